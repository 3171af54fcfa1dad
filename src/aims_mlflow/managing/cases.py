"""What incidents and nonconformities have in common in use: filing, steps, the log and its reviews."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Generic, TypeVar

from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.filing.store import RevisedError, filer
from aims_mlflow.management import incident_steps as steps
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.incident_log import REVIEW, CaseLog, Kind, Logged, log_of
from aims_mlflow.management.incidents import (
    CorrectiveAction,
    EffectivenessCheck,
    IncidentContent,
    LogLine,
    LogReview,
    NonconformityContent,
)
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.types import content_of
from aims_mlflow.managing.records import ManagementRecords

C = TypeVar("C", IncidentContent, NonconformityContent)
Moment = datetime | date | str
"""A time with its zone, or a day; as text in ISO 8601."""
_TRIES = 5
_DAY = len("2026-01-31")


class Cases(Generic[C]):
    """The log of one kind in use.

    Args:
        records: The management records.
    """

    kind: ClassVar[Kind]
    prefix: ClassVar[str]
    """What numbered ids begin with."""

    def __init__(self, records: ManagementRecords) -> None:
        self.records = records

    # reading

    def log(self, *, system: str | None = None, at: datetime | None = None) -> CaseLog:
        """The log as it was known at a moment; now where None.

        Raises:
            InputError: there is no such system.
            DeliveryError: MLflow cannot be reached.
        """
        state = self.records.state(at)
        if system is not None:
            self._check_system(state, system)
        return log_of(self.kind, state, system=system)

    def one(self, state: State, id_: str) -> Logged:
        """One as it stands.

        Raises:
            InputError: there is none, or it was withdrawn.
            EvidenceError: its record is broken.
        """
        filed = self.records.one(state, self.kind, id_)
        broken = [p for p in state.problems if p.blocks and (p.type, p.id) == filed.record.key]
        if broken:
            raise EvidenceError(broken[0].what, where=filed.record.link, remedy=broken[0].remedy)
        return self._logged(filed, state)

    def _logged(self, filed: Filed, state: State) -> Logged:
        return Logged(filed, self._content(filed), max(state.at, filed.record.recorded_at))

    def _content(self, filed: Filed) -> Any:
        return content_of(filed.record, self.records.catalog)

    # steps

    def correct(self, id_: str, correction: str, *, by: str | None = None) -> Logged:
        """Say what was done at once; an incident is contained by it. See ``incident_steps.corrected``."""
        return self._step(id_, by, lambda c, at, by: steps.corrected(c, correction, at=at, by=by))

    def explain(self, id_: str, cause: str, *, by: str | None = None) -> Logged:
        """Say why it happened."""
        return self._step(id_, by, lambda c, at, by: steps.explained(c, cause, at=at, by=by))

    def plan(self, id_: str, what: str, *, owner: str, due: Moment, by: str | None = None) -> Logged:
        """Plan an action against its return; a day counts in full."""
        until = until_end(due, "due")
        said = {"what": " ".join(what.split()), "owner": owner.strip(), "due": until}

        def change(content: C, at: datetime, by: str) -> C:
            return steps.planned(content, steps.made(CorrectiveAction, said), at=at, by=by)

        return self._step(id_, by, change)

    def done(self, id_: str, number: int, *, done_at: Moment | None = None, by: str | None = None) -> Logged:
        """Say that an action was done."""
        return self._step(id_, by, lambda c, at, by: steps.done(c, number, was(done_at, at, "done_at"), at=at, by=by))

    def no_action(self, id_: str, reason: str, *, by: str | None = None) -> Logged:
        """Say why no action is needed."""
        return self._step(id_, by, lambda c, at, by: steps.no_action(c, reason, at=at, by=by))

    def check(
        self, id_: str, *, effective: bool, how: str, checked_by: str, at: Moment | None = None, by: str | None = None
    ) -> Logged:
        """Say whether what was done worked."""

        def change(content: C, now_: datetime, by: str) -> C:
            said = {"at": was(at, now_, "at"), "by": checked_by.strip(), "effective": effective, "how": how.strip()}
            return steps.checked(content, steps.made(EffectivenessCheck, said), at=now_, by=by)

        return self._step(id_, by, change)

    def _step(self, id_: str, by: str | None, change: Callable[[C, datetime, str], C], **said: Any) -> Logged:
        """File the next revision, made by a step."""
        at, who = now(), by or filer()

        def named(content: C) -> C:
            with self._naming(id_):
                return change(content, at, who)

        filed = self.records.revise(self.kind, id_, named, **said)
        return Logged(filed, self._content(filed), max(at, filed.record.recorded_at))

    @contextmanager
    def _naming(self, id_: str) -> Iterator[None]:
        """Say of which one an error is, and put its id into the commands that mend it."""
        try:
            yield
        except InputError as error:
            remedy = error.remedy.replace(" ID ", f" {id_} ")
            raise InputError(error.message, where=f"{self.kind}:{id_}", remedy=remedy) from error

    def review(
        self,
        statement: str,
        *,
        owner: str,
        system: str | None = None,
        valid_until: date | None = None,
        valid_from: date | None = None,
        approver: str | None = None,
    ) -> Filed:
        """Say that somebody looked through the log, and what was found.

        Args:
            statement: What was looked at, and found.
            owner: Who looked.
            system: The log of one system; None: all of it.
            valid_until: Until when it serves; a quarter where None.
            valid_from: The day it was looked through; today where None.
            approver: Who approved it.

        Raises:
            InputError: nothing is said, there is no such system, or a date is wrong.
            DeliveryError: MLflow cannot be reached.
        """
        if not statement.strip():
            raise InputError(
                "nothing is said of the log", where="statement", remedy="Say what was looked at, and found."
            )
        type_id = REVIEW[self.kind]
        return self.records.file(
            type_id,
            LogReview(statement=statement.strip()),
            owner=owner,
            id="-".join(filter(None, (type_id, system)))[:100],
            systems=(system,) if system else (),
            valid_from=valid_from or now().date(),
            valid_until=valid_until,
            approver=approver,
        )

    # filing

    def _file_new(
        self,
        content: Callable[[datetime], C],
        *,
        id_: str | None,
        owner: str,
        systems: Sequence[str],
        links: Sequence[str] = (),
        once: bool = False,
    ) -> Filed:
        """File the first revision of a new one.

        Of two people who open one at the same moment one gets the number, and the other the next.

        Args:
            content: From the moment of filing.
            id_: Its id; the next number where None.
            owner: Who answers for it.
            systems: What it is about.
            links: Records it rests on.
            once: Of a rule: where the id is on file, that is the one.
        """
        for _ in range(_TRIES):
            state = self.records.state()
            name = id_ or self._number(state)
            there = state.get(self.kind, name)
            if there is not None and once:
                return there
            if there is not None:
                raise InputError(f"{self.kind}:{name} is on file already", where="id", remedy="Leave out --id.")
            made = draft(
                state,
                self.records.catalog,
                self.kind,
                id=name,
                content=content(state.at),
                owner=owner,
                recorded_by=filer(),
                systems=systems,
                links=links,
                known_systems=self._declared(),
            )
            try:
                return self.records.store.file(made)
            except RevisedError:
                continue  # somebody else was faster: what is on file now decides
        raise InputError("too many are opened at the same moment", remedy="Try again.")

    def _number(self, state: State) -> str:
        numbers = [
            int(found[1])
            for kind, name in state.current
            if kind == self.kind and (found := re.fullmatch(rf"{self.prefix}-(\d{{1,9}})", name))
        ]
        return f"{self.prefix}-{max(numbers, default=0) + 1}"

    # systems and owners

    def _declared(self) -> tuple[str, ...]:
        own = self.records.settings.declaration.system.id
        return (own,) if own else ()

    def _check_system(self, state: State, system: str) -> None:
        known = {one.record.id for one in state.of_type("system")} | set(self._declared())
        if system not in known:
            hint = nearest(system, known) or "'aims systems' lists them."
            raise InputError(f"there is no system {system[:100]!r}", where="system", remedy=hint)

    def _owner(self, state: State, owner: str | None, systems: Sequence[str]) -> str:
        """The one who answers: the one named, else the owner of the system."""
        if owner and owner.strip():
            return owner.strip()
        declared = self.records.settings.declaration.system
        for system in systems:
            filed = state.get("system", system)
            if filed is not None:
                return filed.record.owner
            if system == declared.id and declared.owner is not None:
                return declared.owner.name
        raise InputError("it needs an owner", where="owner", remedy="Name who answers for it, with --owner.")


def rule_id(prefix: str, rule: str, about: Sequence[str], episode: str) -> str:
    """The id of what a rule opens: the same for one episode, whoever calls it how often."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", rule).strip("-")[:40] or "rule"
    told = "\n".join((rule, *sorted(about), episode))
    return f"{prefix}-{plain}-{hashlib.sha256(told.encode()).hexdigest()[:10]}"


def first_line(rule: str | None, at: datetime, by: str, note: str | None) -> tuple[LogLine, ...]:
    """The log's first line."""
    said = f"opened by rule {rule}" if rule else "opened"
    return (LogLine(at=at, by="" if rule else by, what=said + (f": {note.strip()}" if note and note.strip() else "")),)


# moments


def since_start(given: Moment, where: str) -> datetime:
    """When something began to count: of a day its first moment, so that no clock starts too late.

    Raises:
        InputError: it is no day, and no time with a zone.
    """
    return _moment(given, where, time.min)


def until_end(given: Moment, where: str) -> datetime:
    """Until when something is due: a day counts in full.

    Raises:
        InputError: see ``since_start``.
    """
    return _moment(given, where, time(23, 59, 59))


def was(given: Moment | None, at: datetime, where: str) -> datetime:
    """When something was done: now where None; of today as a day, now; of an earlier day its end.

    Raises:
        InputError: see ``since_start``.
    """
    if given is None:
        return at
    moment = until_end(given, where)
    return at if is_day(given) and moment > at and moment.date() == at.date() else moment


def is_day(given: Moment) -> bool:
    """Whether it is a day without a time."""
    if isinstance(given, str):
        return len(given.strip()) <= _DAY
    return not isinstance(given, datetime)


def _moment(given: Any, where: str, of_day: time) -> datetime:
    try:
        if isinstance(given, str):
            text = given.strip()
            given = date.fromisoformat(text) if len(text) <= _DAY else datetime.fromisoformat(text)
        if isinstance(given, datetime):
            if given.tzinfo is None:
                raise ValueError(given)
            return given.astimezone(UTC)
        return datetime.combine(given, of_day, UTC)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{str(given)[:40]!r} is neither a day nor a time with a zone",
            where=where,
            remedy="For example: 2026-01-31, or 2026-01-31T18:00:00+01:00.",
        ) from error
