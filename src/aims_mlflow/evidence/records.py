"""Evidence that is not measured here: a person's statement, or a record of the caller's own kind."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from aims_mlflow.evidence.base import Basis, EvidenceBase, JsonValue, Record, Sha256


class DocumentRef(Record):
    """A document, by pointer and hash."""

    title: str
    version: str | None = None
    uri: str | None = None
    sha256: Sha256 | None = None


class AttestationRecord(EvidenceBase):
    """A named person's dated statement that supports clauses or controls."""

    kind: Annotated[str, Field(pattern="^attestation$")] = "attestation"
    basis: Basis = Basis.ATTESTED
    topic: str
    """What it is about, a record type of the register: ``ai_policy``, ``internal_audit``, ``impact_assessment``..."""
    statement: str
    owner: str = Field(min_length=1)
    approver: str | None = None
    role: str | None = None
    valid_from: date
    supports: tuple[str, ...] = ()
    """Ids of the clauses and controls it supports."""
    document: DocumentRef | None = None


class RegistryMoveRecord(EvidenceBase):
    """A move of a registered version that the gate decided on. Names of people stay in the log."""

    kind: Literal["registry_move"] = "registry_move"
    target: str
    """``alias champion``, ``stage Production``, ``registration name``."""
    from_version: str | None = None
    """What was there before."""
    outcome: Literal["allow", "allow-by-waiver", "refuse"]
    """What the gate said; where its policy only observes, a move it would refuse is made all the same."""
    mode: Literal["observe", "enforce"]
    level: Literal["enforced", "advised", "detected"]
    """Whether the server decided, or the process that made the move."""
    problems: tuple[str, ...] = ()
    """What was wanting."""
    approvals: int = 0
    moved_by: Literal["unknown", "claimed", "authenticated", "signed"] = "unknown"
    """How sure it is who moved it."""
    entry: int
    """Number of the entry in the model's transition log."""
    entry_sha256: Sha256
    policy_sha256: Sha256 | None = None
    statement_sha256: Sha256 | None = None
    """The assessment it was decided on."""


class CustomRecord(EvidenceBase):
    """A record of any other kind: the content is the caller's."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{1,63}$")]
    basis: Basis = Basis.REPORTED
    content: dict[str, JsonValue] = Field(default_factory=dict)
