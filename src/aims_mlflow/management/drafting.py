"""Drafting a revision: what it says is checked before it is filed, so that nothing wrong is ever on record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef
from aims_mlflow.evidence.base import Record
from aims_mlflow.management.record import ManagementRecord, names_several
from aims_mlflow.management.state import State, circles
from aims_mlflow.management.types import RecordType, said_by, type_of


def draft(
    state: State,
    catalog: Catalog,
    type_id: str,
    *,
    id: str | None = None,  # noqa: A002  (the word of the record)
    content: Record | Mapping[str, Any],
    owner: str,
    recorded_by: str = "",
    approver: str | None = None,
    valid_from: date | None = None,
    valid_until: date | None = None,
    systems: Sequence[str] = (),
    supports: Sequence[str] = (),
    links: Sequence[str] = (),
    document: DocumentRef | None = None,
    withdrawn: str | None = None,
    known_systems: Collection[str] = (),
) -> ManagementRecord:
    """The next revision of a record, or the first of a new one.

    Args:
        state: What is on file now; ``state.at`` is the moment of filing.
        catalog: The register in force.
        type_id: Record type.
        id: The record's id; where None, the type for a topic of the organization, ``type-system`` for one of a system.
        content: Typed by the record type.
        owner: The one who answers for it.
        recorded_by: Who files it.
        approver: Who approved it.
        valid_from: First day; today where None.
        valid_until: Last day; the usual validity of the type where None.
        systems: Systems it is about; none: the organization.
        supports: Clauses and controls, where it does not speak on all that ask for its type.
        links: Records it rests on, ``type:id``.
        document: The document.
        withdrawn: Why it is withdrawn.
        known_systems: Systems that are declared elsewhere, beside those in the inventory.

    Raises:
        InputError: an unknown type, id, system or record; a content that does not fit; dates in the wrong order, or in
            the past; more than one owner; a circle of links.
    """
    kind = type_of(type_id, catalog)
    today = state.at.date()
    begins = valid_from or today
    until = valid_until or (begins + timedelta(days=kind.serves_days) if kind.serves_days else None)
    _check_dates(begins, until, today, withdrawn)
    _check_owner(owner)
    about = tuple(dict.fromkeys(systems))
    _check_scope(kind, about, {one.record.id for one in state.of_type("system")} | set(known_systems))
    _check_rows(kind, supports, catalog)
    name = id or _usual_id(kind, about)
    before = state.get(type_id, name)
    try:
        typed = kind.content.model_validate(content.model_dump() if isinstance(content, Record) else dict(content))
        made = ManagementRecord(
            type=type_id,
            id=name,
            revision=before.record.revision + 1 if before else 1,
            previous=before.record.digest if before else None,
            recorded_at=_after(state.at, before.record.recorded_at if before else None),
            recorded_by=recorded_by,
            owner=owner.strip(),
            approver=approver.strip() if approver else None,
            valid_from=begins,
            valid_until=until,
            withdrawn=withdrawn,
            systems=about,
            supports=tuple(dict.fromkeys(supports)),
            links=tuple(dict.fromkeys(links)),
            document=document,
            content=typed.model_dump(mode="json"),
        )
    except ValidationError as error:
        raise InputError(f"the record is not valid: {said_by(error)}", where=f"{type_id}:{name}") from error
    except (PydanticSerializationError, UnicodeError) as error:
        raise InputError("the content holds something JSON has no form for", where=f"{type_id}:{name}") from error
    _check_links(made, state)
    return made


def _usual_id(kind: RecordType, systems: Sequence[str]) -> str:
    if not kind.is_topic and kind.id != "soa":
        raise InputError(f"a record of type {kind.id!r} needs an id", remedy="Name one, short and stable: R-1.")
    return "-".join((kind.id, *systems))[:100]


def _after(moment: datetime, before: datetime | None) -> datetime:
    """The moment of filing, always later than that of the revision before, whatever the clocks say."""
    return moment if before is None or moment > before else before + timedelta(milliseconds=1)


def _check_dates(begins: date, until: date | None, today: date, withdrawn: str | None) -> None:
    if until is None or withdrawn:
        return
    if until < begins:
        raise InputError(
            f"it would end on {until}, before it begins on {begins}", where="valid_until", remedy="Swap the dates."
        )
    if until < today:
        raise InputError(
            f"it ended on {until}, before it was filed: nothing could rest on it",
            where="valid_until",
            remedy="Give the day it has to be reviewed by.",
        )


def _check_owner(owner: str) -> None:
    if not owner.strip():
        raise InputError("a record needs an owner", where="owner", remedy="Name the person or function that answers.")
    if names_several(owner):
        raise InputError(
            f"{owner!r} names more than one owner",
            where="owner",
            remedy="Name the one who answers for it; the others can stand in the statement.",
        )


def _check_scope(kind: RecordType, systems: Sequence[str], known: Collection[str]) -> None:
    if kind.scope == "system" and not systems:
        raise InputError(f"a record of type {kind.id!r} is about a system", remedy="Name it: --system ID.")
    if kind.scope == "organization" and systems:
        raise InputError(f"a record of type {kind.id!r} is of the organization", where="systems")
    for system in systems:
        if system not in known:
            hint = nearest(system, known) or "'aims systems' lists them; 'aims systems declare' adds one."
            raise InputError(f"there is no system {system[:100]!r}", where="systems", remedy=hint)


def _check_rows(kind: RecordType, supports: Sequence[str], catalog: Catalog) -> None:
    for row_id in supports:
        row = catalog.rows.get(row_id)
        if row is None:
            hint = nearest(row_id, catalog.rows) or "'aims register' lists them."
            raise InputError(f"there is no clause or control {row_id[:60]!r}", where="supports", remedy=hint)
        asked = {topic for need in row.requires for topic in _words(need.where.get("topic", ()))}
        if kind.topics and not asked & set(kind.topics):
            raise InputError(
                f"{row_id} does not rest on {kind.id!r}",
                where="supports",
                remedy=f"It asks for {', '.join(sorted(asked))}." if asked else "It asks for no statement.",
            )


def _words(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _check_links(made: ManagementRecord, state: State) -> None:
    on_file = {f"{type_}:{name}": one.links for (type_, name), one in state.current.items()}
    for link in made.links:
        if link not in on_file and link != made.link:
            hint = nearest(link, on_file) or "File that record first."
            raise InputError(f"there is no record {link[:120]!r}", where="links", remedy=hint)
    on_file[made.link] = made.links
    for circle in circles(on_file):
        if made.link in circle:
            shown = " -> ".join((*circle, circle[0]))
            raise InputError(f"the record would rest on itself: {shown}", where="links", remedy="Take out a link.")
