"""A record of the management system: a statement, a risk, an incident..., in revisions that are never overwritten."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field

from aims_mlflow.evidence import DocumentRef
from aims_mlflow.evidence.base import JsonValue, Record, Sha256, UtcTime, canonical_json, sha256_of

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
LINK_PATTERN = r"^[a-z][a-z0-9_]{0,63}:[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"

Link = Annotated[str, Field(pattern=LINK_PATTERN)]
"""Another record, ``type:id``: ``risk:R-3``."""


class ManagementRecord(Record):
    """One revision of one record. All revisions stay readable; the latest one known counts."""

    schema_version: Literal["1"] = "1"
    type: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    """Record type: a topic of the register (``ai_policy``), or one of the typed ones (``risk``, ``incident``...)."""
    id: str = Field(pattern=ID_PATTERN)
    """Stable id, unique within its type."""
    revision: int = Field(default=1, ge=1)
    previous: Sha256 | None = None
    """Digest of the revision before."""
    recorded_at: UtcTime
    """When it was filed: what was known at a date is told by it."""
    recorded_by: str = ""
    """Who filed it, as far as the process knew; the claim of a process, not of a login."""
    owner: str = Field(min_length=1)
    """The one person or function that answers for it."""
    approver: str | None = None
    valid_from: date
    valid_until: date | None = None
    """Last day; null: until it is superseded or withdrawn."""
    withdrawn: str | None = None
    """Why it was withdrawn; from this revision on it counts for nothing."""
    systems: tuple[str, ...] = ()
    """Ids of the AI systems it is about; empty: the organization."""
    supports: tuple[str, ...] = ()
    """Clauses and controls it supports; empty: all that ask for its type."""
    links: tuple[Link, ...] = ()
    """Records it rests on. Never in a circle."""
    document: DocumentRef | None = None
    content: dict[str, JsonValue] = Field(default_factory=dict)
    """Typed by ``type``, see ``types``."""

    @property
    def key(self) -> tuple[str, str]:
        """Type and id: what the revisions of one record share."""
        return self.type, self.id

    @property
    def link(self) -> str:
        """``type:id``."""
        return f"{self.type}:{self.id}"

    @cached_property
    def canonical(self) -> bytes:
        """Its one byte form."""
        return canonical_json(self)

    @cached_property
    def digest(self) -> str:
        """``sha256:`` over the canonical bytes."""
        return sha256_of(self.canonical)

    def __copy__(self) -> Self:
        copy = super().__copy__()
        for name in ("canonical", "digest"):  # a copy may be given other fields: the bytes are not the original's
            copy.__dict__.pop(name, None)
        return copy

    @property
    def starts(self) -> datetime:
        """The first moment of its first day, UTC."""
        return datetime.combine(self.valid_from, time.min, UTC)

    @property
    def ends(self) -> datetime | None:
        """The last second of its last day, UTC; None where it has none."""
        if self.valid_until is None:
            return None
        return datetime.combine(self.valid_until, time.max.replace(microsecond=0), UTC)

    def is_about(self, system: str | None) -> bool:
        """Whether it bears on a system: records of the organization bear on every one."""
        return not self.systems or system in self.systems


_SEVERAL = re.compile(r"\s(?:and|und|et)\s|[;,/&|]|\s\+\s", re.IGNORECASE)


def names_several(owner: str) -> bool:
    """Whether the text seems to name more than one owner: what two answer for, nobody does.

    ``Head of Risk and Compliance`` is one function: only names on both sides of the word count, i.e. where each side
    is a person's name or an e-mail address.
    """
    parts = [part.strip() for part in _SEVERAL.split(owner) if part and part.strip()]
    if len(parts) < 2:
        return False
    return all("@" in part or _PERSON.fullmatch(part) for part in parts)


_PERSON = re.compile(r"[A-ZÀ-Þ][\w.'-]+(?:\s[A-ZÀ-Þ][\w.'-]*){1,3}")
