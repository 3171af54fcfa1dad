"""The incident log in use: opened with the evidence frozen and the models held, handled, closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from aims_mlflow.errors import DeliveryError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.filing.store import filer
from aims_mlflow.gate.entries import HoldEntry
from aims_mlflow.management import incident_steps as steps
from aims_mlflow.management.incident_clocks import Clock
from aims_mlflow.management.incident_log import Kind, Logged
from aims_mlflow.management.incidents import Addressee, AffectedVersion, Harm, IncidentContent, Notice, Severity
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import State
from aims_mlflow.managing.cases import Cases, Moment, first_line, rule_id, since_start, was
from aims_mlflow.managing.freezing import FrozenCheck, freeze, still
from aims_mlflow.managing.registered import read_registered
from aims_mlflow.registry.holds import Holds, HoldStep, Owners


@dataclass(frozen=True)
class Incident:
    """An incident as it stands now."""

    logged: Logged
    holds: tuple[HoldStep, ...] = ()
    """What was held or released by the last step."""
    frozen: tuple[FrozenCheck, ...] = ()
    """Whether the affected versions still are what they were; only where that was asked for."""

    @property
    def id(self) -> str:
        """Its id."""
        return self.logged.id

    @property
    def record(self) -> ManagementRecord:
        """Its record, latest revision."""
        return self.logged.record

    @property
    def content(self) -> IncidentContent:
        """What is on record."""
        content = self.logged.content
        if not isinstance(content, IncidentContent):  # pragma: no cover  (it is made from incidents only)
            raise TypeError(content)
        return content

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """The clocks of Art. 73, the strictest first."""
        return self.logged.clocks

    @property
    def overdue(self) -> tuple[str, ...]:
        """What is overdue, by name."""
        return self.logged.overdue


class Incidents(Cases[IncidentContent]):
    """The incident log in use."""

    kind: ClassVar[Kind] = "incident"
    prefix: ClassVar[str] = "INC"

    def open(
        self,
        title: str,
        *,
        systems: Sequence[str] = (),
        severity: Severity,
        owner: str | None = None,
        id: str | None = None,  # noqa: A002  (the word of the record)
        aware_at: Moment | None = None,
        occurred_at: Moment | None = None,
        harm: Harm = "none",
        widespread: bool = False,
        affected: Sequence[str] | None = None,
        note: str | None = None,
        links: Sequence[str] = (),
        person: str | None = None,
        rule: str | None = None,
        episode: str = "",
    ) -> Incident:
        """Open an incident; see ``open_incident``."""
        at, by = now(), person or filer()
        state = self.records.state(at)
        about = self._about(state, systems)
        answers = self._owner(state, owner, about)
        said = {
            "title": " ".join((title or "").split()),
            "severity": severity,
            "harm": harm,
            "widespread": widespread,
            "occurred_at": self._past(occurred_at, at, "occurred_at"),
            "aware_at": self._past(aware_at, at, "aware_at") or at,
            "opened_by": rule,
            "log": [line.model_dump() for line in first_line(rule, at, by, note)],
        }
        steps.made(IncidentContent, said)  # what is wrong is said before the registry is asked
        name = rule_id(self.prefix, rule, about, episode) if rule else id
        there = state.get(self.kind, name) if rule and name else None
        if there is not None:  # one for each episode, open or closed
            logged = self._logged(there, state)
            return Incident(logged, self._held(logged, state, person) if logged.holds else ())
        holds = self._holds()
        if severity == "serious":
            holds.ready()
        frozen = freeze(self.records.client, self._affected(state, about, affected, holds))
        said["affected"] = [one.model_dump() for one in frozen]
        said["evidence"] = list(dict.fromkeys(one.evidence_sha256 for one in frozen if one.evidence_sha256))
        filed = self._file_new(
            lambda _: steps.made(IncidentContent, said),
            id_=name,
            owner=answers,
            systems=about,
            links=links,
            once=rule is not None,
        )
        logged = self._logged(filed, state)
        return Incident(logged, self._held(logged, self.records.state(), person, holds) if logged.holds else ())

    def update(
        self,
        id_: str,
        *,
        correction: str | None = None,
        cause: str | None = None,
        severity: Severity | None = None,
        reason: str | None = None,
        harm: Harm | None = None,
        widespread: bool | None = None,
        occurred_at: Moment | None = None,
        aware_at: Moment | None = None,
        affected: Sequence[str] = (),
        note: str | None = None,
        owner: str | None = None,
        person: str | None = None,
    ) -> Incident:
        """Say more of an incident; see ``update_incident``."""
        state = self.records.state()
        before = self.one(state, id_)
        described = {
            "harm": harm,
            "widespread": widespread,
            "occurred_at": since_start(occurred_at, "occurred_at") if occurred_at is not None else None,
            "aware_at": since_start(aware_at, "aware_at") if aware_at is not None else None,
            "affected": self._more_affected(affected),
        }
        lifted = _was_serious(before) and (severity or before.weight) != "serious"
        holds = self._holds()
        standing = _freed(holds.standing(id_), before, whole=lifted) if lifted or _has_blocked(before) else {}
        if standing:
            holds.check_release(standing, person=person, record=before.record)
        if severity == "serious" or before.holds:
            holds.ready()

        def change(content: IncidentContent, at: datetime, by: str) -> IncidentContent:
            made = content
            if severity is not None and severity != content.severity:
                made = steps.rated(made, severity, reason, at=at, by=by)
            if any(value not in (None, ()) for value in described.values()):
                made = steps.described(made, at=at, by=by, **described)  # type: ignore[arg-type]
            if correction is not None:
                made = steps.corrected(made, correction, at=at, by=by)
            if cause is not None:
                made = steps.explained(made, cause, at=at, by=by)
            if note is not None:
                made = steps.noted(made, note, at=at, by=by)
            if made is content and owner is None:
                raise InputError("nothing is changed by it", remedy="Say what is other than before, or add a note.")
            return made

        logged = self._step(id_, person, change, **({"owner": owner} if owner else {}))
        if logged.holds:
            return Incident(logged, self._held(logged, self.records.state(), person, holds))
        if standing:
            return Incident(logged, self._released(logged, standing, person, reason, holds))
        return Incident(logged)

    def notify(
        self,
        id_: str,
        *,
        to: Addressee | None = None,
        at: Moment | None = None,
        kind: Literal["initial", "intermediate", "final"] = "initial",
        reference: str | None = None,
        not_due: str | None = None,
        person: str | None = None,
    ) -> Incident:
        """Say who was told, or why the authority need not be."""
        if (to is None) == (not_due is None):
            raise InputError("say who was told, or why no notice was due", remedy="Give --to, or --not-due.")

        def change(content: IncidentContent, moment: datetime, by: str) -> IncidentContent:
            if not_due is not None:
                return steps.not_due(content, not_due, at=moment, by=by)
            notice = {"to": to, "at": was(at, moment, "at"), "kind": kind, "reference": reference}
            return steps.notified(content, steps.made(Notice, notice), at=moment, by=by)

        return Incident(self._step(id_, person, change))

    def close(self, id_: str, *, note: str | None = None, person: str | None = None) -> Incident:
        """Close an incident and release what it holds.

        Of one that is closed or was withdrawn already, what it still holds is released.

        Raises:
            InputError: closing needs something that is not there, or it is closed and holds nothing.
        """
        state = self.records.state()
        found = state.get(self.kind, id_)
        if found is not None and found.record.withdrawn is not None:
            return self._let_go(self._logged(found, state), person, found.record.withdrawn)
        before = self.one(state, id_)
        if before.content.is_closed:
            return self._let_go(before, person, note)
        with self._naming(id_):  # what is missing is said before logs are read
            steps.closed(Incident(before).content, at=now(), by=person or filer(), note=note)
        holds = self._holds()
        standing = holds.standing(id_) if _was_serious(before) or _has_blocked(before) else {}
        holds.check_release(standing, person=person, record=before.record) if standing else None
        logged = self._step(id_, person, lambda content, at, by: steps.closed(content, at=at, by=by, note=note))
        return Incident(logged, self._released(logged, standing, person, note or "closed", holds) if standing else ())

    def _let_go(self, before: Logged, person: str | None, note: str | None) -> Incident:
        holds = self._holds()
        standing = holds.standing(before.id)
        if not standing:
            content = before.content
            what = f"it was closed on {content.closed_at:%Y-%m-%d}" if content.closed_at else "it was withdrawn"
            raise InputError(f"{what}, and holds nothing", where=before.record.link)
        holds.check_release(standing, person=person, record=before.record)
        return Incident(before, self._released(before, standing, person, note or "closed", holds))

    def show(self, id_: str, *, at: datetime | None = None) -> Incident:
        """An incident as it stands or stood, and whether its versions still are what they were."""
        logged = self.one(self.records.state(at), id_)
        shown = Incident(logged)
        return Incident(logged, frozen=still(self.records.client, shown.content.affected))

    # an alarm of the monitoring

    def block(self, id_: str, model: str, version: str, *, model_sha256: str | None = None) -> Incident:
        """Hold a version from promotion while the alarm that opened the incident stands, as often as it is called.

        What a person has closed holds nothing any more.

        Args:
            id_: The incident.
            model: The registered model.
            version: Its version.
            model_sha256: Digest of its files, so that a copy is held too.

        Raises:
            InputError: there is no such incident.
            DeliveryError: MLflow cannot be reached; or it is on file, and the version could not be held.
        """
        logged = self.one(self.records.state(), id_)
        named = f"{model}/{version}"
        if logged.content.is_closed:
            return Incident(logged)
        if named not in Incident(logged).content.blocks:
            logged = self._step(id_, None, lambda content, at, _: steps.blocked(content, named, at=at))
        done = (self._holds().hold_version(logged, model, version, model_sha256=model_sha256),)
        self._refresh_version(model, version, done)
        _raise_failed(done, f"{id_} is on file, but {named} is not held by it")
        return Incident(logged, done)

    def recover(self, id_: str, note: str) -> Incident:
        """Note that the alarm is over, and release the versions it held; the incident stays open for a person.

        Where the policy names people whose releases count, and the one who acts is none of them, the versions stay
        held until one of them says more of the incident, or closes it.

        Args:
            id_: The incident.
            note: That the number is back, and since when. It is noted once.

        Raises:
            InputError: there is no such incident.
            DeliveryError: MLflow cannot be reached; or it is noted, and not every version could be released.
        """
        logged = self.one(self.records.state(), id_)
        content = Incident(logged).content
        if not content.is_closed and (content.blocks or all(line.what != note for line in content.log)):
            logged = self._step(id_, None, lambda content, at, _: steps.recovered(content, note, at=at))
        if not _has_blocked(logged):
            return Incident(logged)
        holds = self._holds()
        standing = _freed(holds.standing(id_), logged, whole=False)
        if not standing:
            return Incident(logged)
        try:
            holds.check_release(standing, person=None, record=logged.record)
        except InputError as error:
            failed = tuple(HoldStep(model, "failed", error=str(error)) for model in standing)
            _raise_failed(failed, f"{id_}: the alarm is over, and the version is held until a person releases it")
        done = holds.release(standing, logged.record, person=None, reason=note)
        for model, entries in standing.items():
            for entry in entries:
                self._refresh_version(model, str(entry.version), done)
        _raise_failed(done, f"{id_}: the alarm is over, but not every version is released")
        return Incident(logged, done)

    def _refresh_version(self, model: str, version: str, done: Sequence[HoldStep]) -> None:
        from aims_mlflow.registry.standing import refresh

        if any(step.state in {"held", "released"} for step in done):
            refresh(self.records.client, model, version, config=self.records.settings)

    # holds

    def _holds(self) -> Holds:
        return Holds(self.records.client, self.records.settings.declaration)

    def _held(
        self, logged: Logged, state: State, person: str | None, holds: Holds | None = None
    ) -> tuple[HoldStep, ...]:
        done = (holds or self._holds()).hold(logged, state, person=person)
        self._refresh(logged, done)
        _raise_failed(done, f"{logged.id} is on file and open, but not every model is held by it")
        return done

    def _released(
        self,
        logged: Logged,
        standing: Mapping[str, Sequence[HoldEntry]],
        person: str | None,
        reason: str | None,
        holds: Holds,
    ) -> tuple[HoldStep, ...]:
        done = holds.release(standing, logged.record, person=person, reason=reason)
        self._refresh(logged, done)
        _raise_failed(done, f"{logged.id} is on file as it is now, but not every model is released")
        return done

    def _refresh(self, logged: Logged, done: Sequence[HoldStep]) -> None:
        """Bring tags and descriptions of the affected versions up to date: signposts, no more."""
        from aims_mlflow.registry.standing import refresh

        touched = {step.model for step in done if step.state in {"held", "released"}}
        for one in Incident(logged).content.affected:
            if one.registered_name in touched and one.targets:
                refresh(self.records.client, one.registered_name, one.version, config=self.records.settings)

    # what it is about

    def _about(self, state: State, systems: Sequence[str]) -> tuple[str, ...]:
        about = tuple(dict.fromkeys(systems)) or self._declared()
        if not about:
            raise InputError("an incident is of a system", where="system", remedy="Name it: --system ID.")
        for system in about:
            self._check_system(state, system)
        return about

    def _affected(
        self, state: State, systems: Sequence[str], named: Sequence[str] | None, holds: Holds
    ) -> list[tuple[str, str, tuple[str, ...]]]:
        """The versions named; where none are, those in service of the systems."""
        served = read_registered(self.records.client).served
        if named is not None:
            serving = {(one.model, one.version): one.targets for versions in served.values() for one in versions}
            return [(*which, serving.get(which, ())) for which in map(_version, dict.fromkeys(named))]
        owners = Owners(holds.models, state, self.records.settings.declaration)
        mine = [model for model in holds.models if not owners.systems_of(model).isdisjoint(systems)]
        return [(one.model, one.version, one.targets) for model in sorted(mine) for one in served.get(model, ())]

    def _more_affected(self, named: Sequence[str]) -> tuple[AffectedVersion, ...]:
        return freeze(self.records.client, [(*_version(one), ()) for one in dict.fromkeys(named)])

    @staticmethod
    def _past(given: Moment | None, at: datetime, where: str) -> datetime | None:
        return None if given is None else steps.not_later(since_start(given, where), at, where)


def _was_serious(logged: Logged) -> bool:
    """Whether it is serious or ever was: models may be held by it."""
    return logged.weight == "serious" or any(line.what.startswith("severity ") for line in logged.content.log)


def _has_blocked(logged: Logged) -> bool:
    """Whether it holds a version while an alarm stands, or ever did."""
    return any(line.what.startswith(steps.BLOCKS) for line in logged.content.log)


def _freed(
    standing: Mapping[str, Sequence[HoldEntry]], logged: Logged, *, whole: bool
) -> dict[str, tuple[HoldEntry, ...]]:
    """Of the holds that stand, those the incident bears out no more: of whole models, where ``whole``, and versions."""
    blocks = Incident(logged).content.blocks
    left = {
        model: tuple(e for e in entries if (whole if e.version is None else f"{model}/{e.version}" not in blocks))
        for model, entries in standing.items()
    }
    return {model: entries for model, entries in left.items() if entries}


def _version(named: str) -> tuple[str, str]:
    name, _, version = named.strip().removeprefix("models:/").rpartition("/")
    if not name or not (version.isascii() and version.isdigit()):
        raise InputError(
            f"{named[:120]!r} names no registered version", where="affected", remedy="For example: credit/3."
        )
    return name, version


def _raise_failed(done: Sequence[HoldStep], what: str) -> None:
    failed = [step for step in done if step.state == "failed"]
    if failed:
        raise DeliveryError(
            f"{what}: {'; '.join(f'{step.model}: {step.error}' for step in failed[:5])}",
            remedy="Mend that; then `aims reconcile --fix-log` holds, and `aims incident close` releases, the rest.",
        )
