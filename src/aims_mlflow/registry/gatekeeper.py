"""Decides on moves and makes them: decision, entry in the log, then the registry's own write, one after the other."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from aims_mlflow.catalog import load_catalog
from aims_mlflow.config import Settings
from aims_mlflow.config.gate import GateMode
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError
from aims_mlflow.evidence import now
from aims_mlflow.gate.decision import DecisionOutcome, GateDecision, Problem, decide
from aims_mlflow.gate.entries import (
    MAX_CHARS,
    Actor,
    Entry,
    FailedEntry,
    Level,
    MoveEntry,
    RegisteredEntry,
    Target,
    write_entry,
)
from aims_mlflow.gate.messages import named, refusal
from aims_mlflow.gate.outcome import LOG_AWAY, LOG_BROKEN
from aims_mlflow.registry.anchors import state_directory, store_name
from aims_mlflow.registry.facts import Reading, VersionReader
from aims_mlflow.registry.keys import gate_key
from aims_mlflow.registry.locks import ModelLocks
from aims_mlflow.registry.log import LogMovedError, TransitionLog
from aims_mlflow.registry.policies import Policy, PolicyWatch

_log = logging.getLogger("aims_mlflow")
_T = TypeVar("_T")
_TRIES = 20
_LOG_ROOM = MAX_CHARS - 600
"""Characters of an entry, less what the log adds: signature, digest of the entry before, nonce."""
REGISTRYS_OWN = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""Error codes with which MLflow says that there is no such version: its answer stands, with or without a gate."""


class Gatekeeper:
    """The gate of one registry.

    Args:
        registry: A store of MLflow's model registry, or an ``MlflowClient``.
        tracking: An ``MlflowClient``: runs are read and the log is written through it.
        settings: The policy; None: from ``aims.yaml``, read again when it changes.
        level: How far the gate binds.
        log: Another log than that of ``tracking``.
    """

    def __init__(
        self,
        registry: Any,
        tracking: Any,
        settings: Settings | PolicyWatch | None = None,
        level: Level = Level.ADVISED,
        *,
        log: TransitionLog | None = None,
    ) -> None:
        self.registry = registry
        self.tracking = tracking
        self.level = level
        self.policies = settings if isinstance(settings, PolicyWatch) else PolicyWatch(settings)
        self.reader = VersionReader(registry, tracking)
        self._given_log = log

    @cached_property
    def log(self) -> TransitionLog:
        """The transition log."""
        return self._given_log or TransitionLog(self.tracking, key=gate_key(self.level))

    @cached_property
    def locks(self) -> ModelLocks:
        """The locks of the registry's models."""
        engine = getattr(self.registry, "engine", None)
        uri = getattr(self.registry, "db_uri", None) or getattr(self.registry, "_registry_uri", None)
        name = store_name(str(uri or getattr(self.tracking, "tracking_uri", "")).removeprefix("aims:"))
        return ModelLocks(name, state_directory() / "locks", engine)

    # decisions

    def decide(self, model: str, version: str | int, target: Target, at: datetime | None = None) -> GateDecision:
        """What the gate would say of a move now; nothing is written.

        Raises:
            MlflowException: the registry does not know the version.
        """
        policy = self.policies.current()
        reading = self.reader.read(model, version, policy.trusted_keys)
        return self._judged(reading, target, policy, at or now(), fresh=True)[0]

    def content(self, model: str, version: str | int) -> str | None:
        """Digest of the files a version was assessed by, else of those it holds; None where neither is known."""
        facts = self.reader.read(model, version, self.policies.current().trusted_keys).facts
        return facts.held.statement.model_sha256 if facts.held else facts.model_sha256

    def _judged(
        self, reading: Reading, target: Target, policy: Policy, at: datetime, *, fresh: bool = False
    ) -> tuple[GateDecision, int | None]:
        """The decision, and how many entries of the log it goes into were known to it."""
        facts = reading.facts
        if policy.broken:
            what = f"the gate's policy cannot be used: {policy.broken}"[:400]
            problem = Problem(id="policy", what=what, remedy=policy.remedy)
            mode = policy.mode(facts.model, target) or GateMode.ENFORCE
            common = {"at": at, "model": facts.model, "version": facts.version, "target": target}
            return GateDecision(outcome=DecisionOutcome.REFUSE, mode=mode, problems=(problem,), **common), None
        logs, known, unreadable = self._logs(reading, logged_in(facts.model, target), fresh=fresh)
        registered = _makers(logs, reading.versions)
        facts = facts.model_copy(
            update={
                "unreadable": (*facts.unreadable, *unreadable),
                "registered_by": registered[0] if registered else None,
                "makers": (*facts.makers, *registered),
            }
        )
        decision = decide(
            facts,
            target,
            [entry for entries in logs.values() for entry in entries],
            policy.declaration,
            at=at,
            rows=load_catalog().rows,
            gate_keys=self.gate_keys,
            policy_digest=policy.sha256,
        )
        return decision, known

    @cached_property
    def gate_keys(self) -> frozenset[str]:
        """Public keys this gate itself signs with: what they sign counts."""
        key = gate_key(self.level) if self.level is Level.ENFORCED else None
        return frozenset({key.public}) if key is not None else frozenset()

    def _logs(
        self, reading: Reading, own: str, *, fresh: bool
    ) -> tuple[dict[str, tuple[Entry, ...]], int | None, tuple[str, ...]]:
        """The logs a decision looks into, by model; how many entries its own has; what could not be read."""
        found: dict[str, tuple[Entry, ...]] = {}
        known = None
        if reading.silent:
            return {}, None, (LOG_AWAY,)
        for model in dict.fromkeys((own, *reading.models)):
            try:
                # That nothing new stands in its own log shows when the decision is written there; in others, not.
                entries = self.log.read(model, fresh=fresh or model != own)
            except EvidenceError:
                return {}, None, (LOG_BROKEN,)
            except AimsError:
                return {}, None, (LOG_AWAY,)
            if model == own:
                known = len(entries)
            found[model] = entries
        return found, known, ()

    # moves

    def move(
        self,
        model: str,
        version: str | int,
        target: Target,
        operation: str,
        from_version: str | Callable[[], str | None] | None,
        actor: Actor,
        reason: str | None,
        do: Callable[[], _T],
    ) -> _T:
        """Decide on a move, write the decision down, and make the move.

        Args:
            model: Registered model of the version; of a registration the one it is copied from.
            version: Its number.
            target: Alias, stage, or the model it is registered in.
            operation: The registry's verb.
            from_version: Who holds the target now, or what tells it while the lock is held.
            actor: Who moves it.
            reason: Why.
            do: Makes the move in the registry.

        Raises:
            MlflowException: PERMISSION_DENIED with the reason, where the move is refused; else what ``do`` raises.
        """
        policy = self.policies.current()
        mode = policy.mode(model, target)
        if mode is None:
            return do()
        made = _Move(model, str(version), target, operation, actor, reason)
        entry: Entry | None = None
        with ExitStack() as stack:
            try:
                stack.enter_context(self.locks.hold(logged_in(model, target)))
                policy = self.policies.current()
                entry, decision = self._write_ahead(made, from_version, policy)
            except Exception as error:  # our own fault may neither let a guarded move pass nor break an observed one
                unknown = getattr(error, "error_code", None) in REGISTRYS_OWN and not isinstance(error, AimsError)
                if mode is GateMode.OBSERVE:
                    if not unknown:
                        _log.warning("aims: a move of %s was not observed (%s)", model, type(error).__name__)
                    return do()
                if unknown:
                    raise
                self._tell_refused(model, version, target, f"the gate could not decide ({type(error).__name__})")
                raise fault(error, f"{model} {version} → {target}") from error
            if decision is not None and decision.refused:
                raise self.refused(decision)
            return self._made(entry, do)

    def refused(self, decision: GateDecision) -> Exception:
        """The error of a decision that refuses; a server also says it in its own log, for who runs it."""
        problem = decision.open_problems[0]
        # What is said of approvals, rejections and holds names people, and quotes them.
        first = problem.id if problem.id in {"approvals", "held", "rejected"} else named(problem)
        self._tell_refused(decision.model, decision.version, decision.target, first)
        return denied(refusal(decision), decision)

    def _tell_refused(self, model: str, version: str | int, target: Target, why: str) -> None:
        if self.level is Level.ENFORCED:
            _log.warning("aims: refused %r %s to %r: %s", model, version, str(target), why)

    def _write_ahead(
        self, made: _Move, from_version: str | Callable[[], str | None] | None, policy: Policy
    ) -> tuple[Entry | None, GateDecision | None]:
        """Decide and log. Another process may have written to the log meanwhile: then both are done again."""
        fresh = False
        for _ in range(_TRIES):
            reading = self.reader.read(made.model, str(made.version), policy.trusted_keys)
            if reading.is_prompt:
                return None, None
            holder = from_version() if callable(from_version) else from_version
            decision, known = self._judged(reading, made.target, policy, now(), fresh=fresh)
            draft = made.entry(decision, holder, reading.facts.model, self.level)
            try:
                if reading.silent:
                    raise DeliveryError("the evidence store does not answer", remedy="Try again.")
                return self.log.append(draft, after=known), decision
            except LogMovedError:
                fresh = True
            except AimsError as error:
                if not decision.refused:
                    raise
                _log.warning("aims: a refusal could not be logged (%s)", error.error_code)
                return None, decision
        raise DeliveryError("the transition log is too busy", remedy="Try again.")

    def _made(self, entry: Entry | None, do: Callable[[], _T]) -> _T:
        try:
            return do()
        except Exception as error:
            if entry is not None:
                self._failed(entry, error)
            raise

    def _failed(self, entry: Entry, error: Exception) -> None:
        name = str(getattr(error, "error_code", None) or type(error).__name__)
        failed = FailedEntry(
            number=1,
            at=now(),
            model=entry.model,
            version=entry.version,
            actor=entry.actor,
            level=self.level,
            move=entry.number,
            error=name,
        )
        self.note(failed)

    def removal(
        self,
        model: str,
        version: str | None,
        target: Target,
        operation: str,
        from_version: Callable[[], str | None],
        actor: Actor,
        reason: str | None,
        do: Callable[[], _T],
        *,
        locked: bool = False,
    ) -> _T:
        """Make a move that takes a version out of service.

        It is logged and never refused: not even a log that cannot be written keeps a bad model in service. ``locked``
        where the model's lock is held already.
        """
        entry = None
        with ExitStack() as stack:
            try:
                if not locked:
                    stack.enter_context(self.locks.hold(model))
                made = _Move(model, version, target, operation, actor, reason)
                holder = from_version()
                if holder is not None:
                    entry = self.log.append(made.taken_out(holder, self.level))
            except Exception as error:  # noqa: BLE001  (see above)
                _log.warning("aims: %s of %s was not logged (%s)", operation, model, type(error).__name__)
            return self._made(entry, do)

    def decided(
        self, decision: GateDecision, operation: str, actor: Actor, reason: str | None, do: Callable[[], _T]
    ) -> _T:
        """Log a registration that was decided without facts, and make it where the decision lets it pass."""
        made = _Move(decision.model, decision.version, decision.target, operation, actor, reason)
        entry: Entry | None = None
        try:
            entry = self.log.append(made.entry(decision, None, decision.model, self.level))
        except Exception as error:  # noqa: BLE001  (whether it passes is decided already)
            _log.warning("aims: a decision on %s was not logged (%s)", decision.model, type(error).__name__)
        if decision.refused:
            raise self.refused(decision)
        return self._made(entry, do)

    def renamed(self, model: str, new_name: str, actor: Actor, do: Callable[[], _T]) -> _T:
        """Rename a model and let its log go on under the new name.

        The log goes first: should the registry then not follow, it is led back.
        """
        moved = None
        if self._is_taken(new_name):  # MLflow refuses; the log of the model that has the name stays where it is
            return do()
        try:
            moved = self.log.rename(model, new_name, actor=actor, level=self.level)
        except Exception as error:  # noqa: BLE001  (nothing serves: the log stays under the old name)
            _log.warning("aims: the log of %s was not renamed (%s)", model, type(error).__name__)
        try:
            return do()
        except Exception:
            if moved is not None:
                self._led_back(new_name, model, actor)
            raise

    def _is_taken(self, name: str) -> bool:
        try:
            return str(self.registry.get_registered_model(name).name) == name
        except Exception as error:  # noqa: BLE001  (where that cannot be told, no log is touched)
            return getattr(error, "error_code", "") not in REGISTRYS_OWN

    def _led_back(self, new_name: str, model: str, actor: Actor) -> None:
        try:
            self.log.rename(new_name, model, actor=actor, level=self.level)
        except Exception as error:  # noqa: BLE001  (the registry's own error is raised)
            _log.warning("aims: the log of %s was not led back (%s)", model, type(error).__name__)

    def note(self, draft: Entry) -> None:
        """Write an entry on something that happened; a log that cannot be written costs a warning."""
        try:
            self.log.append(draft)
        except Exception as error:  # noqa: BLE001  (it happened all the same)
            _log.warning("aims: an entry on %s was not logged (%s)", draft.model, type(error).__name__)

    def registered(self, model: str, version: str, *, source: str | None, run_id: str | None, actor: Actor) -> None:
        """Log that a version was made."""
        entry = RegisteredEntry(
            number=1,
            at=now(),
            model=model,
            version=version,
            actor=actor,
            level=self.level,
            source=(source or "")[:1000] or None,
            run_id=run_id,
        )
        self.note(entry)


class _Move:
    """A move that was asked for."""

    def __init__(
        self, model: str, version: str | None, target: Target, operation: str, actor: Actor, reason: str | None
    ) -> None:
        self.model = model
        self.version = version
        self.target = target
        self.operation = operation
        self.actor = actor
        self.reason = reason

    def entry(self, decision: GateDecision, holder: str | None, model: str, level: Level) -> MoveEntry:
        """The decision as an entry. What does not fit is cut from the list of problems, and said."""
        copied = self.target.kind == "registration"
        entry = MoveEntry(
            number=1,
            at=decision.at,
            model=logged_in(model, self.target),
            version=None if copied else decision.version,
            actor=self.actor,
            level=level,
            reason=self.reason,
            target=self.target,
            operation=self.operation,
            from_version=f"{model}/{decision.version}" if copied else holder,
            outcome=decision.outcome.value,
            mode=decision.mode.value,
            problems=tuple(f"{p.id}: {p.what}" for p in decision.problems),
            waived=decision.waivers,
            approved=decision.approvals,
            policy_sha256=decision.policy_sha256,
            statement_sha256=decision.statement_sha256,
            evidence_sha256=decision.evidence_sha256,
            model_sha256=decision.model_sha256,
        )
        return _fitting(entry)

    def taken_out(self, holder: str, level: Level) -> MoveEntry:
        """The entry of a move that needs no decision."""
        entry = MoveEntry(
            number=1,
            at=now(),
            model=self.model,
            version=self.version,
            actor=self.actor,
            level=level,
            reason=self.reason,
            target=self.target,
            operation=self.operation,
            from_version=holder,
            outcome="allow",
            mode="enforce",
        )
        return _fitting(entry)


def _fitting(entry: MoveEntry) -> MoveEntry:
    left = list(entry.problems)
    while True:
        cut = len(entry.problems) - len(left)
        shown = (*left, f"{cut} more") if cut else tuple(left)
        fitted = entry.model_copy(update={"problems": shown})
        try:
            if len(write_entry(fitted)) <= _LOG_ROOM or not left:
                return fitted
        except EvidenceError:
            if not left:
                raise
        left.pop()


def logged_in(model: str, target: Target) -> str:
    """The model whose log a move belongs to."""
    return target.name if target.kind == "registration" else model


def _makers(logs: Mapping[str, Sequence[Entry]], versions: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Everybody who, by the logs, registered the version or what it is a copy of.

    Whoever is named once stays named: a later entry, which may be forged, takes nobody off. Which log an entry stands
    in says whose it is, for a renamed model's entries bear its old name.
    """
    made = (
        entry.actor.name
        for model, version in versions
        for entry in logs.get(model, ())
        if isinstance(entry, RegisteredEntry) and entry.version == version
    )
    return tuple(dict.fromkeys(name for name in made if name))


def denied(message: str, decision: GateDecision | None = None) -> Exception:
    """The one kind of error the gate raises. Codes that are HTTP 5xx would be retried for minutes and lose the text.

    Within the process the decision is on it, as ``decision``.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    error: Any = MlflowException(message, error_code=PERMISSION_DENIED)
    error.decision = decision
    denial: Exception = error
    return denial


def fault(error: Exception, what: str) -> Exception:
    """A refusal because the gate itself could not do its work."""
    if isinstance(error, AimsError):
        remedy = error.remedy.rstrip(".") or "look into the log of the server"
        return denied(f"AIMS refused: {error.message.rstrip('.')}. Next: {remedy}. ({what})")
    return denied(
        f"AIMS refused: the gate could not decide ({type(error).__name__}). Next: look into the log of the server. "
        f"({what})"
    )


def in_server() -> bool:
    """Whether this process is a worker of ``mlflow server``."""
    return bool(os.environ.get("_MLFLOW_SERVER_FILE_STORE"))
