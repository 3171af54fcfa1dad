"""What falls due: records to review, rows that lapse, risks, actions and notices, by who answers for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.applicability import ApplicabilityContent
from aims_mlflow.management.incident_clocks import clocks_of
from aims_mlflow.management.incidents import CorrectiveAction, IncidentContent, NonconformityContent
from aims_mlflow.management.portfolio import Portfolio
from aims_mlflow.management.risks import RiskContent
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.types import content_of, record_types

NOBODY = "nobody named"


class Due(Record):
    """Something to be done by a day."""

    by: UtcTime
    what: str
    """In one line."""
    owner: str
    system: str | None = None
    about: str
    """A record (``type:id``) or version (``name/version``), for a stable identity."""
    rows: tuple[str, ...] = ()
    """Clauses and controls that lapse with it."""
    next_step: str
    overdue: bool = False

    @property
    def key(self) -> str:
        """What it is, whenever it is asked for."""
        return f"{self.about} {self.what}"


def due_items(state: State, catalog: Catalog, *, portfolio: Portfolio | None = None, within: timedelta) -> list[Due]:
    """All that is overdue or falls due within a time, earliest first.

    Args:
        state: The records; ``state.at`` is now.
        catalog: The register in force.
        portfolio: The systems with their versions in service, for rows that rest on measured evidence.
        within: How far to look ahead.
    """
    limit = state.at + within
    found = chain(_records(state, catalog), _typed(state, catalog), _versions(portfolio) if portfolio else ())
    marked = [one.model_copy(update={"overdue": one.by < state.at}) for one in found if one.by <= limit]
    return sorted(marked, key=lambda one: (one.by, one.owner, one.key))


def by_owner(items: Iterable[Due]) -> dict[str, list[Due]]:
    """The items by who answers for them; owners in the order of their first."""
    found: dict[str, list[Due]] = {}
    for item in items:
        found.setdefault(item.owner, []).append(item)
    return found


def _records(state: State, catalog: Catalog) -> Iterator[Due]:
    """Records whose last day comes."""
    types = record_types(catalog)
    for one in _in_force(state):
        record = one.record
        kind = types.get(record.type)
        if record.ends is None or kind is None or _is_closed(one, catalog):
            continue
        yield Due(
            by=record.ends,
            what=f"{kind.title} ends: review it",
            owner=record.owner,
            system=record.systems[0] if len(record.systems) == 1 else None,
            about=record.link,
            rows=_rows_on(record.type, record.supports, catalog) if kind.is_topic else (),
            next_step=f"Review it and state it anew: 'aims attest {record.type}'."
            if kind.is_topic
            else f"Review it and file it anew: 'aims records show {record.link}'.",
        )


def _in_force(state: State) -> Iterator[Filed]:
    for key, one in state.current.items():
        if one.record.withdrawn is None and not one.deleted and key not in state.blocked:
            yield one


def _rows_on(topic: str, supports: tuple[str, ...], catalog: Catalog) -> tuple[str, ...]:
    found = []
    for row in catalog.rows.values():
        topics = [need.where.get("topic", ()) for need in row.requires]
        asked = {word for words in topics for word in ((words,) if isinstance(words, str) else words)}
        if topic in asked and (not supports or row.id in supports):
            found.append(row.id)
    return tuple(found)


def _is_closed(one: Filed, catalog: Catalog) -> bool:
    content = _content(one, catalog)
    return getattr(content, "status", None) == "closed"


def _content(one: Filed, catalog: Catalog) -> Record | None:
    try:
        return content_of(one.record, catalog)
    except AimsError:  # what cannot be read is named elsewhere, and its last day still counts
        return None


def _typed(state: State, catalog: Catalog) -> Iterator[Due]:
    """Reviews and actions that stand inside a record."""
    for one in _in_force(state):
        content = _content(one, catalog)
        link, owner = one.record.link, one.record.owner
        system = one.record.systems[0] if len(one.record.systems) == 1 else None
        if isinstance(content, RiskContent) and content.status != "closed":
            yield Due(
                by=_end_of(content.review_by),
                what=f"risk to be reviewed: {content.title}",
                owner=owner,
                system=system,
                about=link,
                next_step=f"'aims risk review {one.record.id}'.",
            )
        elif isinstance(content, ApplicabilityContent):
            for control, line in content.lines.items():
                if line.next_review is not None:
                    yield Due(
                        by=_end_of(line.next_review),
                        what=f"{control} to be reviewed in the Statement of Applicability",
                        owner=line.owner or owner,
                        system=system,
                        about=link,
                        rows=(control,),
                        next_step="'aims soa record' with the line as it is now.",
                    )
        elif isinstance(content, IncidentContent | NonconformityContent) and content.status != "closed":
            yield from _actions(content.actions, one, system)
            if isinstance(content, IncidentContent):
                yield from _notices(content, one, system, state.at)


def _actions(actions: Iterable[CorrectiveAction], one: Filed, system: str | None) -> Iterator[Due]:
    for action in actions:
        if action.done_at is None:
            yield Due(
                by=action.due,
                what=f"corrective action: {action.what}",
                owner=action.owner,
                system=system,
                about=one.record.link,
                next_step=f"'aims {one.record.type} show {one.record.id}' says where it stands.",
            )


def _notices(content: IncidentContent, one: Filed, system: str | None, at: datetime) -> Iterator[Due]:
    for clock in clocks_of(content, at):
        if clock.state in ("running", "overdue"):
            yield Due(
                by=clock.due,
                what=f"notice to the authority, {clock.ref}: {content.title}",
                owner=one.record.owner,
                system=system,
                about=one.record.link,
                next_step=f"Once it is told: 'aims incident notify {one.record.id} --to authority'.",
            )


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time.max.replace(microsecond=0), UTC)


def _versions(portfolio: Portfolio) -> Iterator[Due]:
    """Measured rows of versions in service that lapse; those of one version and moment together."""
    for system in portfolio.systems:
        together: dict[tuple[str, datetime], list[str]] = {}
        for row in system.rows.values():
            if row.status in (Status.SATISFIED, Status.STALE) and row.valid_until is not None and row.versions:
                together.setdefault((row.versions[0], row.valid_until), []).append(row.id)
        for (version, until), rows in together.items():
            yield Due(
                by=until,
                what=f"evidence of {version} lapses ({', '.join(rows[:6])}{'...' if len(rows) > 6 else ''})",
                owner=system.owner or NOBODY,
                system=system.system,
                about=version,
                rows=tuple(rows),
                next_step=f"Measure anew and 'aims assess models:/{version}'.",
            )
