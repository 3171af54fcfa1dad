"""What the receiver does once it was hinted at a registered model: it looks into the registry itself."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aims_mlflow.config.gate import GateMode
from aims_mlflow.evidence.base import Record, canonical_json, now, sha256_of
from aims_mlflow.gate.decision import VersionFacts
from aims_mlflow.gate.entries import FoundEntry, Level, Target
from aims_mlflow.gate.signing import own_key
from aims_mlflow.registry.acting import acting
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.log import LogMovedError
from aims_mlflow.registry.policies import Policy
from aims_mlflow.registry.reconcile.checking import changes, contradictions
from aims_mlflow.registry.reconcile.reading import ModelView, newest_of
from aims_mlflow.registry.reconcile.standing import Difference
from aims_mlflow.registry.reconcile.watch import Watch, words

_log = logging.getLogger("aims_mlflow")
_TRIES = 5
_NEWEST = 5
"""Versions looked at beside those that serve: the hint does not say, in words to be believed, which was made."""
_AGAIN = 600.0
"""Seconds after which a version that could not be assessed is tried again."""
_REMEMBERED = 10_000


class Look(Record):
    """What came of one look."""

    model: str
    found: tuple[str, ...] = ()
    """Moves no entry of the log explains; all were written down."""
    reverted: tuple[str, ...] = ()
    """Aliases put back."""
    assessed: tuple[str, ...] = ()
    """Versions assessed again."""


class Looker:
    """Looks at models.

    Args:
        client: ``MlflowClient``.
        keeper: Knows policy and log.
        assess: Assesses ``models:/name/version`` and writes that to MLflow.
        revert: Whether a forbidden alias is put back.
    """

    def __init__(self, client: Any, keeper: Gatekeeper, assess: Callable[[str], Any], *, revert: bool = False) -> None:
        self.watch = Watch(client, keeper)
        self.keeper = keeper
        self.registry = keeper.registry
        self.assess = assess
        self.revert = revert
        self._left: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()
        """Version to how this process left it, and until when it is left so."""

    def look(self, model: str) -> Look:
        """Compare a model with its log, write down what differs, assess what needs it.

        Raises:
            AimsError, MlflowException: registry or log cannot be read or written.
        """
        policy = self.keeper.policies.current()
        if policy.broken:
            _log.warning("aims: %r was not looked at: the gate's policy is broken (%s)", model, policy.broken)
            return Look(model=model)
        if policy.declaration.gate is None or not policy.names(model):
            return Look(model=model)
        found, reverted, seen = self._moves(model, policy)
        assessed = self._assess(seen, policy) if seen.exists else []
        return Look(model=model, found=tuple(found), reverted=tuple(reverted), assessed=tuple(assessed))

    # moves

    def _moves(self, model: str, policy: Policy) -> tuple[list[str], list[str], ModelView]:
        found: list[str] = []
        reverted: list[str] = []
        tries = 0
        while True:
            seen = self.watch.view(model, policy)
            known, tries = len(seen.entries), tries + 1
            try:
                for one in self.watch.differences(seen, policy):
                    if one.not_made is not None or self._is_prompts(seen.name, one):
                        continue  # what was never made is for `aims reconcile`: another may be about to make it
                    forbidden = self.revert and self._is_forbidden(seen, one, policy)
                    known = self.watch.record(seen, one, known=known, reverted=forbidden).number
                    said = words(one, model)
                    found.append(said)
                    _log.warning("aims: found in the registry: %r: %s", model, said)
                    if forbidden and self._put_back(model, one):
                        reverted.append(one.target.name)
                        known = len(self.keeper.log.read(model, fresh=True))
            except LogMovedError:
                if tries < _TRIES:
                    continue
                raise
            return found, reverted, seen

    def _is_prompts(self, model: str, one: Difference) -> bool:
        """Whether it is about a prompt, which nothing guards."""
        if one.version is None or one.gone or not self._exists(model, one.version):
            return False
        return self.keeper.reader.read(model, one.version, {}).is_prompt

    def _exists(self, model: str, version: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self.registry.get_model_version(model, version)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

    def _is_forbidden(self, seen: ModelView, one: Difference, policy: Policy) -> bool:
        if one.target.kind != "alias" or one.version is None:
            return False
        if policy.mode(seen.name, one.target) is not GateMode.ENFORCE:
            return False
        if not self._exists(seen.name, one.version):
            return True
        return self.keeper.decide(seen.name, one.version, one.target).refused

    def _put_back(self, model: str, one: Difference) -> bool:
        """Let the alias name what the log says; where that cannot be, nothing."""
        from mlflow.exceptions import MlflowException

        alias = one.target.name
        held = dict(self.registry.get_registered_model(model).aliases or {})
        if str(held.get(alias)) != one.version:
            return False  # somebody was faster
        if one.said is not None:
            try:
                self.registry.set_registered_model_alias(model, alias, one.said)
            except MlflowException as error:
                _log.warning("aims: alias %r of %r goes not back to %s (%s)", alias, model, one.said, error.error_code)
            else:
                _log.warning("aims: alias %r of %r was put back to version %s", alias, model, one.said)
                return True
        self.registry.delete_registered_model_alias(model, alias)
        _log.warning("aims: alias %r of %r was removed", alias, model)
        if one.said is not None:
            self._note_removal(model, one.target, one.said)
        return True

    def _note_removal(self, model: str, target: Target, said: str) -> None:
        """The log expects the version it said before; a gated registry has written the removal down itself."""
        self.keeper.log.append(
            FoundEntry(
                number=1,
                at=now(),
                model=model,
                version=None,
                actor=acting(),
                level=Level.DETECTED,
                target=target,
                from_version=said,
                finding=f"alias {target.name} could not be put back to {said} and was removed",
            )
        )

    # assessments

    def _assess(self, seen: ModelView, policy: Policy) -> list[str]:
        """Assess versions whose assessment is missing, of other content, or contradicted by their tags."""
        done = []
        for version in self._of_interest(seen):
            before = self._read(seen.name, version, policy)
            if before is None or not before.needs_assessing():
                continue
            key = (seen.name, version)
            left, until = self._left.get(key, ("", 0.0))
            if left == before.mark and time.monotonic() < until:
                continue
            uri = f"models:/{seen.name}/{version}"
            try:
                self.assess(uri)
            except Exception as error:  # noqa: BLE001  (every artifact store has its own errors; nothing was written)
                name = getattr(error, "error_code", None) or type(error).__name__
                _log.warning("aims: %r could not be assessed (%s)", uri, name)
                self._leave(key, before.mark, time.monotonic() + _AGAIN)
                continue
            # Our own tags come back as deliveries: a version as we left it is not assessed again.
            after = self._read(seen.name, version, policy)
            self._leave(key, after.mark if after else "", float("inf"))
            done.append(version)
            _log.info("aims: %r was assessed", uri)
        return done

    def _read(self, model: str, version: str, policy: Policy) -> _Version | None:
        """The version; None for a prompt's."""
        reading = self.keeper.reader.read(model, version, policy.trusted_keys)
        if reading.is_prompt:
            return None
        tags = dict(self.registry.get_model_version(model, version).tags or {})
        return _Version(reading.facts, {str(k): str(v) for k, v in tags.items()}, policy.trusted_keys)

    def _of_interest(self, seen: ModelView) -> Iterator[str]:
        serving = [*seen.standing.aliases.values()]
        serving += [v for v, stage in (seen.standing.stages or {}).items() if stage not in {"None", "Archived"}]
        newest = [str(v.version) for v in newest_of(self.registry, seen.name, _NEWEST)]
        yield from (v for v in dict.fromkeys([*serving, *newest]) if v in newest or self._exists(seen.name, v))

    def _leave(self, key: tuple[str, str], mark: str, until: float) -> None:
        self._left[key] = (mark, until)
        self._left.move_to_end(key)
        while len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)


@dataclass(frozen=True)
class _Version:
    facts: VersionFacts
    tags: Mapping[str, str]
    trusted: Mapping[str, str]

    def needs_assessing(self) -> bool:
        """Whether its assessment is missing, of other content, or contradicted by its tags."""
        held = self.facts.held
        if held is None or changes(self.facts):
            return True
        # An assessment made here must not take the place of one signed with a key that is not here.
        can_replace = held.signed_by is None or own_key() is not None
        return can_replace and bool(contradictions(self.tags, self.trusted))

    @property
    def mark(self) -> str:
        """What it is now, in one digest."""
        facts = self.facts.model_dump(mode="json", exclude={"held"})
        return sha256_of(canonical_json({"facts": facts, "tags": self.tags}))
