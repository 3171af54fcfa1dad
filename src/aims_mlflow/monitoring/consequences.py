"""What follows from alarms: incidents and risks, holds, tags on the version, messages; and what their end undoes.

Everything is worked out anew from the whole history and from what is there already, so it may run as often as one
likes, and go on where it died. Nothing here closes an incident: that is for a person.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeVar

from aims_mlflow.config import AlarmRule
from aims_mlflow.delivery.locks import lock_of
from aims_mlflow.errors import AimsError, InputError
from aims_mlflow.evidence import AlarmState, RunRef, Subject, now
from aims_mlflow.management.incidents import Severity
from aims_mlflow.management.risk_register import UNASSIGNED, criteria_in_force, next_review
from aims_mlflow.management.risks import RiskContent, risk_data
from aims_mlflow.managing.incidents import Incident, Incidents
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.monitoring.episodes import FAILED_TAG, Fact, Key, Memory, Moment, digest_of, in_words
from aims_mlflow.monitoring.notify import Sent, alarm_message, send
from aims_mlflow.monitoring.served import Served
from aims_mlflow.operation.alarms import Episode, episodes, judge
from aims_mlflow.operation.expected import absent
from aims_mlflow.registry.marks import ALARM_TAG
from aims_mlflow.series import WindowStore

_log = logging.getLogger("aims_mlflow")

_SEVERITY: dict[str, Severity] = {"minor": "minor", "major": "major", "critical": "major"}
_CONSEQUENCE = {"minor": 2, "major": 3, "critical": 5}
_RISK_OF = {
    "drift": "drift",
    "estimated": "drift",
    "performance": "drift",
    "fairness": "fairness",
}
"""First part of a number to the rule of risks it is like; ``data_quality`` for the rest."""

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One thing that an alarm asked for."""

    rule: str
    episode: str
    """Name of the episode; empty for what is about all of them."""
    what: Literal["incident", "risk", "hold", "message", "recovery", "tag", "reading"]
    state: Literal["done", "failed", "waiting"]
    """``waiting``: it is for a person, or for a later try."""
    detail: str = ""


@dataclass(frozen=True)
class Consequences:
    """What came of the alarms of a version."""

    states: tuple[AlarmState, ...] = ()
    """How each rule stands."""
    steps: tuple[Step, ...] = ()
    """What was done now, and what could not be done; what had been done before is not repeated."""

    @property
    def failed(self) -> tuple[Step, ...]:
        """What could not be done."""
        return tuple(step for step in self.steps if step.state == "failed")


def follow(served: Served, *, client: Any, until: datetime | None = None, at: datetime | None = None) -> Consequences:
    """Do what the alarms of a version ask for, where it is not done yet. It never raises.

    An alarm opens an incident or a risk, once for each episode; it may hold the version from promotion; it is a tag of
    the version and a message to whom the policy names. When the number is back for long enough, that is noted in the
    record, the hold is released by the policy's rules, the tag goes and a second message is sent. A rule that is new,
    or was changed, asks for nothing about episodes that were over before.

    Args:
        served: The version.
        client: An ``MlflowClient``.
        until: Windows that ended by then are expected to be there; None: the latest that was filed.
        at: Now, for tests.
    """
    if not served.policy.rules:
        return Consequences()
    try:
        store = WindowStore(client, served.policy)
        run_id = store.series(served.model, served.version)
        if run_id is None:
            return Consequences()
        with lock_of(f"follow {run_id}"):
            return _Following(served, client, store, Memory(client, run_id), at or now()).all(until)
    except Exception as error:  # noqa: BLE001  (the windows are on record whatever becomes of this; it says so)
        return Consequences(steps=(_failed(Step("", "", "reading", "failed"), error),))


@dataclass
class _Following:
    served: Served
    client: Any
    store: WindowStore
    memory: Memory
    at: datetime
    steps: list[Step] = field(default_factory=list)

    @cached_property
    def records(self) -> ManagementRecords:
        found = ManagementRecords(config=self.served.settings, tracking_uri=str(self.client.tracking_uri))
        found.client = self.client  # with the caller's registry, and so its gate
        return found

    @cached_property
    def incidents(self) -> Incidents:
        return Incidents(self.records)

    @property
    def version(self) -> str:
        return f"{self.served.model}/{self.served.version}"

    def all(self, until: datetime | None) -> Consequences:
        policy = self.served.policy
        history = self.store.history(self.served.model, self.served.version)
        seen = [one.window for one in history]
        start = policy.starts or min((window.start for window in seen), default=None)
        end = until or max((window.end for window in seen), default=None)
        latest = max((window.end for window in seen), default=self.at)
        missing = absent(seen, start=start, until=end, length=policy.length) if start and end else []
        states = judge(policy.rules, history, missing)
        found = episodes(policy.rules, history, missing)
        for rule, state in zip(policy.rules, states, strict=True):
            mine = [one for one in found if one.rule == rule.name]
            for episode in mine:
                self._episode(rule, state, episode)
            self._vanished(rule, mine)
        self._tag([state for state in states if state.episode is not None])
        self._try(Step("", "", "tag", "done", "rules"), lambda: self.memory.seen(policy.rules, latest), quiet=True)
        done = Consequences(states, tuple(self.steps))
        try:
            self.memory.failures(f"{step.what} of {step.rule or 'the version'}: {step.detail}" for step in done.failed)
        except Exception as error:  # noqa: BLE001  (it is in the steps, and was logged)
            _log.warning("aims: the tag %s could not be written (%s)", FAILED_TAG, in_words(error))
        return done

    # episodes

    def _episode(self, rule: AlarmRule, state: AlarmState, episode: Episode) -> None:
        keys = self.memory.keys_of(episode)
        first = keys[0]
        is_known = first in self.memory.known(rule.name)
        if episode.ended is not None:
            if not is_known and self.memory.was_before(rule, episode):
                return
            if self.memory.fact(first, "over") is None:
                self._begin(rule, first, episode, _past(rule, episode), tell=False)
            for key in keys:
                self._end(rule, key, episode, _back(rule, episode))
            return
        for key in keys:
            if self.memory.fact(key, "over"):
                self.memory.forget(key, "over", "end")  # a window that came late says that it goes on
        self._begin(rule, first, episode, state.reason, tell=True)

    def _vanished(self, rule: AlarmRule, mine: Sequence[Episode]) -> None:
        """Episodes that windows that came late have done away with. Of a rule that was changed a person decides."""
        for key in self.memory.known(rule.name):
            if any(one.covers(key.since) for one in mine) or self.memory.fact(key, "rule") != digest_of(rule):
                continue
            self._end(rule, key, None, f"Windows that came later show that alarm {rule.name!r} was none.")

    def _begin(self, rule: AlarmRule, key: Key, episode: Episode, reason: str, *, tell: bool) -> None:
        if self.memory.fact(key, "rule") is None:
            self._note(rule, key, "rule", digest_of(rule))
        if rule.opens == "incident":
            self._incident(rule, key, episode, reason)
        elif rule.opens == "risk":
            self._risk(rule, key, episode, reason)
        if rule.block and episode.ended is None:
            self._hold(rule, key)
        if tell:
            self._tell(rule, key, "start", reason, episode.since)
        elif self.memory.fact(key, "start") is None:
            self._note(rule, key, "start", "not told: it was over")

    def _end(self, rule: AlarmRule, key: Key, episode: Episode | None, note: str) -> None:
        if self.memory.fact(key, "over") is None:
            step = Step(rule.name, key.name, "recovery", "done", note)
            if self._try(step, lambda: self._recovered(key, note)) is not None:
                self._note(rule, key, "over", self.at.isoformat())
        over = episode.ended.end if episode is not None and episode.ended is not None else self.at
        self._tell(rule, key, "end", note, key.since, over=f"{over:%Y-%m-%d %H:%M} UTC")

    # records

    def _incident(self, rule: AlarmRule, key: Key, episode: Episode, reason: str) -> None:
        if self.memory.fact(key, "incident") is not None:
            return
        step = Step(rule.name, key.name, "incident", "done")
        opened = self._try(step, lambda: self._opened(rule, key, episode, reason), quiet=True)
        if opened is not None:
            self.steps.append(replace(step, detail=opened.id))
            self._note(rule, key, "incident", opened.id)

    def _opened(self, rule: AlarmRule, key: Key, episode: Episode, reason: str) -> Incident:
        def open_(owner: str | None) -> Incident:
            return self.incidents.open(
                f"Alarm {rule.name}: {_limit(rule)} in {self.version}",
                systems=(self.served.system_id,) if self.served.system_id else (),
                severity=_SEVERITY[rule.severity],
                owner=owner,
                occurred_at=min(episode.since, self.at),
                affected=[self.version],
                note=f"{reason}{_critical(rule)}",
                rule=rule.name,
                episode=f"{self.version} {key.name}",
            )

        try:
            return open_(None)
        except InputError as error:
            if error.where != "owner":
                raise
            return open_(UNASSIGNED)

    def _risk(self, rule: AlarmRule, key: Key, episode: Episode, reason: str) -> None:
        if self.memory.fact(key, "risk") is not None:
            return
        step = Step(rule.name, key.name, "risk", "done")
        name = self._try(step, lambda: self._opened_risk(rule, key, episode, reason), quiet=True)
        if name is not None:
            self.steps.append(replace(step, detail=name))
            self._note(rule, key, "risk", name)

    def _opened_risk(self, rule: AlarmRule, key: Key, episode: Episode, reason: str) -> str:
        told = hashlib.sha256(f"{self.version} {key.name}".encode()).hexdigest()[:10]
        name = f"alarm-{rule.name.replace('_', '-')}-{told}"
        state = self.records.state()
        if state.get("risk", name) is not None:
            return name
        like = risk_data().rules[_RISK_OF.get(rule.number.partition(".")[0], "data_quality")]
        consequence = _CONSEQUENCE[rule.severity]
        level = like.likelihood * consequence
        day = self.at.date()
        content = RiskContent(
            title=f"Alarm {rule.name}: {_limit(rule)} in {self.version}",
            source=like.source,
            event=reason,
            affects=like.affects,
            likelihood=like.likelihood,
            consequence=consequence,
            controls=rule.controls,
            review_by=next_review(criteria_in_force(state, self.records.catalog), level, day),
            opened_by=f"alarm {rule.name}",
            versions=(self.version,),
            confirmed_at=min(episode.since, self.at),
            news=(reason,),
            log=(f"{day}: opened by rule {rule.name}: {reason}",),
        )
        system = self.served.system_id
        owner = self.served.settings.declaration.system.owner
        self.records.file(
            "risk",
            content,
            owner=owner.name if owner else UNASSIGNED,
            id=name,
            systems=(system,) if system else (),
        )
        return name

    def _hold(self, rule: AlarmRule, key: Key) -> None:
        incident = self.memory.fact(key, "incident")
        if incident is None:  # it could not be opened, which is said
            return

        def hold() -> Incident:
            digest = self.served.ref.sha256
            return self.incidents.block(incident, self.served.model, self.served.version, model_sha256=digest)

        step = Step(rule.name, key.name, "hold", "done", incident)
        held = self._try(step, hold, quiet=True)
        if held is not None and held.content.is_closed:
            self.steps.append(replace(step, state="waiting", detail=f"{incident} was closed by a person"))
        elif held is not None and any(one.state == "held" for one in held.holds):
            self.steps.append(step)

    def _recovered(self, key: Key, note: str) -> bool:
        incident, risk = self.memory.fact(key, "incident"), self.memory.fact(key, "risk")
        if incident is not None:
            self.incidents.recover(incident, note)
        if risk is not None:
            self._risk_noted(risk, note)
        return True

    def _risk_noted(self, name: str, note: str) -> None:
        filed = self.records.state().get("risk", name)
        if filed is None or filed.record.withdrawn is not None:
            return
        line = f": {note}"

        def noted(before: RiskContent) -> RiskContent:
            return before.model_copy(update={"log": (*before.log, f"{self.at.date()}{line}")})

        if not any(str(one).endswith(line) for one in filed.record.content.get("log", ())):
            self.records.revise("risk", name, noted)

    # tags and messages

    def _tag(self, standing: Sequence[AlarmState]) -> None:
        def write() -> str | None:
            name, version = self.served.model, self.served.version
            said = ", ".join(f"{one.rule} since {one.since:%Y-%m-%d}" for one in standing if one.since)[:500]
            there = dict(self.client.get_model_version(name, version).tags or {}).get(ALARM_TAG)
            if said and there != said:
                self.client.set_model_version_tag(name, version, ALARM_TAG, said)
            elif not said and any(step.what == "recovery" and step.state == "failed" for step in self.steps):
                return None  # it may still be held, and the gate keeps the tag for so long
            elif not said and there is not None:
                self.client.delete_model_version_tag(name, version, ALARM_TAG)
            else:
                return None
            return said or "none"

        step = Step("", "", "tag", "done")
        written = self._try(step, write, quiet=True)
        if written is not None:
            self.steps.append(replace(step, detail=written))

    def _tell(self, rule: AlarmRule, key: Key, moment: Moment, what: str, since: datetime, *, over: str = "") -> None:
        """Tell people once; what failed is tried again later, for the targets that did not get it."""
        targets = self.served.policy.notify
        said = self.memory.fact(key, moment)
        if not targets or (said is not None and not said.startswith("failed")):
            return
        already = said.partition("sent ")[2].split(",") if said else []
        step = Step(rule.name, key.name, "message", "done", moment)

        def tell() -> tuple[Sent, ...] | None:
            if self.memory.may_try(key, moment, self.at) is None:
                return None
            message = alarm_message(
                rule=rule.name,
                system=self._system(),
                version=self.version,
                controls=rule.controls,
                rows=self.records.catalog.rows,
                what=what,
                since=f"{since:%Y-%m-%d %H:%M} UTC",
                remedy=_remedy(rule),
                filed=self._filed(key),
                held=rule.block and not over,
                link=self._link(),
                over=over,
            )
            sent = send(message, targets, already=already)
            reached = [*already, *(one.key for one in sent if not one.error)]
            errors = [f"{one.target}: {one.error}" for one in sent if one.error]
            done = f"sent {','.join(filter(None, reached))}"
            self.memory.note(key, moment, done if not errors else f"failed {len(errors)}; {done}")
            return sent

        sent = self._try(step, tell, quiet=True)
        errors = [f"{one.target}: {one.error}" for one in sent or () if one.error]
        if errors:
            _log.warning("aims: the message of alarm %s was not sent (%s)", rule.name, "; ".join(errors))
            self.steps.append(replace(step, state="failed", detail="; ".join(errors)))
        elif sent is not None:
            self.steps.append(step)
        elif said is not None:
            self.steps.append(replace(step, state="failed", detail=f"{said.partition(';')[0]}, tried again later"))

    def _system(self) -> str | None:
        system = self.served.settings.declaration.system
        return f"{system.name} ({system.id})" if system.id and system.name else system.id or system.name

    def _filed(self, key: Key) -> str:
        incident, risk = self.memory.fact(key, "incident"), self.memory.fact(key, "risk")
        return f"incident:{incident}" if incident else f"risk:{risk}" if risk else ""

    def _link(self) -> str:
        """The page of the version's report; empty where MLflow is no server."""
        from aims_mlflow.report import report_links

        uri = str(self.client.tracking_uri)
        if not uri.startswith("http"):
            return ""
        run = None
        if self.served.run_id is not None:
            info = self.client.get_run(self.served.run_id).info
            run = RunRef(run_id=self.served.run_id, experiment_id=info.experiment_id)
        links = report_links(Subject(run=run, model=self.served.ref))
        target = links.rows or links.version
        return f"{uri.rstrip('/')}/{target}" if target else ""

    # failing

    def _note(self, rule: AlarmRule, key: Key, fact: Fact, value: str) -> None:
        self._try(Step(rule.name, key.name, "tag", "done"), lambda: self.memory.note(key, fact, value), quiet=True)

    def _try(self, step: Step, call: Callable[[], T], *, quiet: bool = False) -> T | None:
        """Do it; what fails is a step that failed, and the others go on."""
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  (one thing that fails must not keep the others from being done)
            self.steps.append(_failed(step, error))
            return None
        if not quiet:
            self.steps.append(step)
        return result


def _failed(step: Step, error: Exception) -> Step:
    told = in_words(error)
    if isinstance(error, AimsError) and error.remedy:
        told = f"{told}. {error.remedy}"
    about = f"{step.what} of {step.rule or 'the alarms'}"
    _log.warning("aims: %s could not be done: %s", about, told)
    _log.debug("aims: cause", exc_info=error)
    return replace(step, state="failed", detail=told)


def _limit(rule: AlarmRule) -> str:
    return f"{rule.number} {'above' if rule.above is not None else 'below'} {rule.limit:.4g}"


def _remedy(rule: AlarmRule) -> str:
    return (rule.remedy or "").strip() or "Look into it, and record what is done about it."


def _critical(rule: AlarmRule) -> str:
    if rule.severity != "critical":
        return ""
    return " The rule calls it critical: whether it is serious in the sense of the law is for a person to say."


def _past(rule: AlarmRule, episode: Episode) -> str:
    return (
        f"{_limit(rule)} from {episode.since:%Y-%m-%d %H:%M} UTC until {episode.last.end:%Y-%m-%d %H:%M} UTC, "
        "as windows that came later show."
    )


def _back(rule: AlarmRule, episode: Episode) -> str:
    ended = episode.ended or episode.last
    return (
        f"Alarm {rule.name!r} is over: {rule.number} is back in {rule.recover_windows} "
        f"{'window' if rule.recover_windows == 1 else 'windows'} in a row, the last until "
        f"{ended.end:%Y-%m-%d %H:%M} UTC; last breach until {episode.last.end:%Y-%m-%d %H:%M} UTC."
    )
