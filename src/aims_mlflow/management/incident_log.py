"""The log of incidents, and that of nonconformities, as they stand at a moment. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from pydantic import ValidationError

from aims_mlflow.management.incident_clocks import Clock, ClockRules, clocks_of
from aims_mlflow.management.incidents import IncidentContent, NonconformityContent
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Problem, State

Kind = Literal["incident", "nonconformity"]
Content = IncidentContent | NonconformityContent
CONTENT: dict[Kind, type[IncidentContent] | type[NonconformityContent]] = {
    "incident": IncidentContent,
    "nonconformity": NonconformityContent,
}
REVIEW: dict[Kind, str] = {"incident": "incident_log", "nonconformity": "nonconformity_log"}
"""Record type of the reviews of each log."""


@dataclass(frozen=True, eq=False)
class Logged:
    """One incident or nonconformity, as it stands at a moment."""

    filed: Filed
    content: Content
    at: datetime
    rules: ClockRules | None = None

    @property
    def id(self) -> str:
        """Id of its record."""
        return self.filed.record.id

    @property
    def record(self) -> ManagementRecord:
        """Its record, latest revision."""
        return self.filed.record

    @property
    def weight(self) -> str:
        """Severity or grade."""
        return self.content.severity if isinstance(self.content, IncidentContent) else self.content.grade

    @property
    def holds(self) -> bool:
        """Whether it keeps guarded moves of its systems from passing."""
        return isinstance(self.content, IncidentContent) and self.content.holds

    @cached_property
    def clocks(self) -> tuple[Clock, ...]:
        """The clocks of Art. 73, the strictest first; none where it is not serious, or no incident."""
        if not isinstance(self.content, IncidentContent):
            return ()
        return clocks_of(self.content, self.at, self.rules)

    @cached_property
    def overdue(self) -> tuple[str, ...]:
        """What is overdue, each named with the moment it was due."""
        found = [
            f"{self.id}: notice to the authority ({clock.ref}), due {clock.due:%Y-%m-%d %H:%M} UTC"
            for clock in self.clocks
            if clock.state == "overdue"
        ]
        found += [
            f"{self.id}: action {number}, due {action.due:%Y-%m-%d}"
            for number, action in enumerate(self.content.actions, 1)
            if action.done_at is None and action.due < self.at
        ]
        return tuple(found)

    @cached_property
    def next_due(self) -> datetime | None:
        """The first moment from now on at which something falls due; None where nothing does."""
        due = [clock.due for clock in self.clocks if clock.state == "running"]
        due += [action.due for action in self.content.open_actions if action.due >= self.at]
        return min(due, default=None)

    def plain(self) -> dict[str, Any]:
        """For machines: the record's own words and what follows from them now."""
        record = self.record
        return {
            "id": record.id,
            "revision": record.revision,
            "owner": record.owner,
            "systems": list(record.systems),
            "recorded_at": record.model_dump(mode="json")["recorded_at"],
            **self.content.model_dump(mode="json"),
            "clocks": [clock.model_dump(mode="json") | {"in_words": clock.in_words} for clock in self.clocks],
            "overdue": list(self.overdue),
            "to_close": [] if self.content.is_closed else list(self.content.lacking()),
        }


@dataclass(frozen=True, eq=False)
class CaseLog:
    """A log as it stands at a moment: of one system with what is the organization's, or of all."""

    kind: Kind
    at: datetime
    cases: tuple[Logged, ...] = ()
    """By id."""
    reviews: tuple[Filed, ...] = ()
    """Reviews of the log that are in force or were, by the moment they count from."""
    problems: tuple[Problem, ...] = ()
    """Records of it that count for nothing because something is wrong with them."""
    withdrawn: tuple[str, ...] = ()
    """Ids of those that were withdrawn."""

    @property
    def open(self) -> tuple[Logged, ...]:
        """Those that are not closed."""
        return tuple(one for one in self.cases if not one.content.is_closed)

    @property
    def overdue(self) -> tuple[str, ...]:
        """Everything that is overdue, by name."""
        return tuple(what for one in self.cases for what in one.overdue)

    @property
    def next_due(self) -> datetime | None:
        """The first moment at which something falls due; None where nothing does."""
        return min((one.next_due for one in self.cases if one.next_due is not None), default=None)

    @cached_property
    def last_used(self) -> datetime | None:
        """When somebody last wrote into the log or reviewed it; None where nobody ever did."""
        moments = [one.record.recorded_at for one in self.cases]
        moments += [_counts_from(one.record) for one in self.reviews]
        return max(moments, default=None)

    @property
    def review_ends(self) -> datetime | None:
        """The end of the latest review; None where somebody wrote into the log since, or it has none."""
        latest = self.reviews[-1].record if self.reviews else None
        return latest.ends if latest is not None and _counts_from(latest) == self.last_used else None


def log_of(kind: Kind, state: State, *, system: str | None = None, rules: ClockRules | None = None) -> CaseLog:
    """A log as it was known at the moment of a state.

    Args:
        kind: Of incidents or of nonconformities.
        state: The records.
        system: Only what bears on this system; None: all of it.
        rules: The periods of Art. 73; those shipped where None.
    """
    problems = [p for p in state.problems if p.blocks and p.type in {kind, REVIEW[kind]} and _bears(p, state, system)]
    cases = []
    for filed in _about(kind, state, system):
        try:
            content = CONTENT[kind].model_validate(filed.record.content)
        except ValidationError:
            problems.append(_unreadable(filed))
        else:
            cases.append(Logged(filed, content, state.at, rules))
    reviews = [one for one in _about(REVIEW[kind], state, system) if one.record.starts <= state.at]
    withdrawn = [
        one.record.id
        for (type_, _), one in state.current.items()
        if type_ == kind and one.record.withdrawn is not None and _is_about(one, system)
    ]
    return CaseLog(
        kind=kind,
        at=state.at,
        cases=tuple(cases),
        reviews=tuple(sorted(reviews, key=lambda one: (_counts_from(one.record), one.record.id))),
        problems=tuple(problems),
        withdrawn=tuple(sorted(withdrawn)),
    )


def _about(type_: str, state: State, system: str | None) -> Iterator[Filed]:
    """Every one where no system is asked for: the organization answers for all of them."""
    return state.of_type(type_) if system is None else state.about(type_, system)


def _is_about(one: Filed, system: str | None) -> bool:
    return system is None or one.record.is_about(system)


def _bears(problem: Problem, state: State, system: str | None) -> bool:
    filed = state.get(problem.type, problem.id)
    return filed is None or (filed.record.withdrawn is None and _is_about(filed, system))


def _counts_from(record: ManagementRecord) -> datetime:
    """When a review counts from: the day it is valid from, however late it was filed."""
    return record.recorded_at if record.valid_from >= record.recorded_at.date() else record.starts


def _unreadable(filed: Filed) -> Problem:
    record = filed.record
    return Problem(
        code="unreadable",
        type=record.type,
        id=record.id,
        revision=record.revision,
        what=f"what is on record is no {record.type}",
        remedy=f"Say anew what holds: 'aims {record.type} update {record.id}', or file a new revision.",
        run_id=filed.run_id,
        known_at=record.recorded_at,
    )
