"""The registry's verbs, gated: each takes MLflow's own method and decides whether, and with what, it is called."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aims_mlflow.config.gate import GateMode
from aims_mlflow.errors import AimsError, EvidenceError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.gate.decision import DecisionOutcome, GateDecision, Problem
from aims_mlflow.gate.entries import Target
from aims_mlflow.gate.holds import open_holds
from aims_mlflow.gate.messages import GATE_TAG, gate_tag
from aims_mlflow.gate.policy import (
    demands_signature,
    guarded_targets,
    guards_stages,
    mode_of,
    policy_sha256,
    rules_about,
)
from aims_mlflow.gate.statement import TAG, Held, read_statement
from aims_mlflow.registry import holders, marks
from aims_mlflow.registry.acting import acting, stated_reason
from aims_mlflow.registry.facts import PROMPT_TAG, copied_from, is_prompt_source, is_prompts_name
from aims_mlflow.registry.gatekeeper import REGISTRYS_OWN, Gatekeeper, denied, fault
from aims_mlflow.registry.policies import Policy

_log = logging.getLogger("aims_mlflow")
Call = Callable[..., Any]
"""MLflow's own method with the caller's arguments filled in; keywords change them."""


class GatedVerbs:
    """The verbs of one store that are not MLflow's alone.

    Every method takes the original as ``do`` and the caller's arguments by name. It returns what the original returns.
    """

    def __init__(self, store: Any, gatekeeper: Gatekeeper) -> None:
        self.store = store
        self.gate = gatekeeper

    # moves

    def set_registered_model_alias(self, do: Call, name: str, alias: str, version: Any) -> Any:
        """Decide on the version the alias is to name."""
        target = _target("alias", alias)
        if target is None:
            return do()
        return self.gate.move(
            name,
            version,
            target,
            "set_registered_model_alias",
            lambda: holders.of_alias(self.store, name, alias),
            acting(),
            stated_reason(),
            do,
        )

    def delete_registered_model_alias(self, do: Call, name: str, alias: str) -> Any:
        """Log that the alias names nothing any more."""
        target = _target("alias", alias)
        if target is None or self._policy().mode(name, target) is None:
            return do()
        return self.gate.removal(
            name,
            None,
            target,
            "delete_registered_model_alias",
            lambda: holders.of_alias(self.store, name, alias),
            acting(),
            stated_reason(),
            do,
        )

    def transition_model_version_stage(
        self, do: Call, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> Any:
        """Decide on the version that is to stand in the stage; log those that leave it."""
        policy = self._policy()
        target = _target("stage", _canonical_stage(stage))
        if target is None:
            return do()
        if policy.mode(name, target) is None:
            if policy.known and not guards_stages(policy.declaration, name):
                return do()
            return self._leave_stage(do, policy, name, version, target)
        before: list[str] = []

        def holder() -> str | None:
            before[:] = holders.of_stage(self.store, name, target.name)
            return ",".join(before) or None

        def make() -> Any:
            made = do()
            if archive_existing_versions:
                self._archived(name, str(made.version), before)
            return made

        return self.gate.move(
            name, version, target, "transition_model_version_stage", holder, acting(), stated_reason(), make
        )

    def _leave_stage(self, do: Call, policy: Policy, name: str, version: Any, target: Target) -> Any:
        """A version goes where nothing guards; worth an entry where it leaves a guarded stage."""
        try:
            entity = self.store.get_model_version(name, version)
            prompts = self.gate.reader.is_prompt(self.gate.reader.version(name, version))
        except Exception:  # noqa: BLE001  (MLflow's own error is raised by its own method)
            return do()
        stage = Target(kind="stage", name=str(entity.current_stage or "None"))
        if prompts or stage == target or policy.mode(name, stage) is None:
            return do()
        return self.gate.removal(
            name,
            str(entity.version),
            target,
            "transition_model_version_stage",
            lambda: str(entity.version),
            acting(),
            stated_reason(),
            do,
        )

    def _archived(self, name: str, version: str, before: Iterable[str]) -> None:
        """Log those that MLflow sent to the archive to make room."""
        for other in before:
            if other != version:
                self.gate.removal(
                    name,
                    other,
                    Target(kind="stage", name="Archived"),
                    "transition_model_version_stage",
                    lambda other=other: other,  # type: ignore[misc]
                    acting(),
                    stated_reason(),
                    _nothing,
                    locked=True,
                )

    # versions and models

    def create_registered_model(self, do: Call, name: str, tags: Any = None, **_: Any) -> Any:
        """A new model has no tags of ours."""
        if not tags or self._mode(name) is GateMode.OBSERVE:
            return do()
        kept = marks.without_reserved(tags)
        return do() if len(kept) == len(list(tags)) else do(tags=kept)

    def create_model_version(
        self, do: Call, name: str, source: Any, run_id: Any = None, tags: Any = None, **_: Any
    ) -> Any:
        """A new version starts unassessed, whatever tags come with it; in a guarded model it must be a good copy."""
        policy = self._policy()
        enforced = self._mode(name) is GateMode.ENFORCE
        said = {getattr(t, "key", ""): getattr(t, "value", "") for t in tags or ()}
        looks_so = is_prompt_source(source) and str(said.get(PROMPT_TAG)).lower() == "true"
        if (looks_so or (enforced and policy.names(name))) and self._is_prompts(name):
            if looks_so or not enforced:
                return do()
            # A model among prompts would let an alias name a prompt where a model was.
            raise denied(f"AIMS refused: the name is a prompt's. Next: register the model under another. ({name})")
        actor = acting()

        def make() -> Any:
            made = do(tags=_unassessed(tags, hides=policy.names(name))) if enforced else do()
            if policy.known and policy.names(name):
                self.gate.registered(str(made.name), str(made.version), source=str(source), run_id=run_id, actor=actor)
            return made

        target = _target("registration", name)
        if target is None:
            return make()
        copied = copied_from(source)
        if not policy.known:
            # Training goes on while nobody can read the policy; promoting by a copy does not.
            if copied is not None:
                raise self._unusable(policy, name, target)
            return make()
        if policy.declaration.gate is None or policy.mode(name, target) is None:
            return make()
        if copied is None:
            return self._original(policy, name, target, make)
        return self.gate.move(*copied, target, "create_model_version", None, actor, stated_reason(), make)

    def _is_prompts(self, name: str) -> bool:
        try:
            return is_prompts_name(self.store, name)
        except Exception:  # noqa: BLE001  (then it is no prompt that is known, and the gate stands before it)
            return False

    def _original(self, policy: Policy, name: str, target: Target, make: Callable[[], Any]) -> Any:
        """A version that is no copy has no assessment yet: a model whose name is a promise does not take it."""
        problem = Problem(
            id="assessment",
            what="only a copy of an assessed version may be made here",
            remedy="Register it under another name, assess it, then copy that version",
        )
        decision = GateDecision(
            at=now(),
            model=name,
            version="new",
            target=target,
            outcome=DecisionOutcome.REFUSE,
            mode=policy.mode(name, target) or GateMode.ENFORCE,
            problems=(problem,),
            policy_sha256=policy_sha256(policy.declaration),
        )
        return self.gate.decided(decision, "create_model_version", acting(), stated_reason(), make)

    def delete_model_version(self, do: Call, name: str, version: Any) -> Any:
        """What serves is not deleted."""
        return self._unless_serving(do, name, "delete_model_version", version)

    def delete_registered_model(self, do: Call, name: str) -> Any:
        """A model of which a version serves is not deleted."""
        return self._unless_serving(do, name, "delete_registered_model")

    def rename_registered_model(self, do: Call, name: str, new_name: str) -> Any:
        """What serves keeps its name, and no model leaves or enters the policy by its name."""
        policy = self._policy()
        if not (policy.names(name) or policy.names(new_name)):
            return do()
        enforced = GateMode.ENFORCE in {self._mode(name), self._mode(new_name)}
        if enforced and rules_about(policy.declaration, name) != rules_about(policy.declaration, str(new_name)):
            raise denied(
                "AIMS refused: the new name falls under other rules of the gate. "
                f"Next: copy the version to a model of that name instead. ({name} → {new_name})"
            )

        def rename() -> Any:
            return self.gate.renamed(name, str(new_name), acting(), do)

        return self._unless_serving(rename, name, "rename_registered_model")

    def _unless_serving(self, do: Callable[[], Any], name: str, operation: str, version: Any = None) -> Any:
        policy = self._policy()
        if not policy.names(name):
            return do()
        try:
            with self.gate.locks.hold(name):
                serving = self._serving(policy, name, version)
                if not serving:
                    return _passed(do)
        except _OwnError as own:
            raise own.error from own.error.__cause__
        except Exception as error:
            if self._mode(name) is GateMode.OBSERVE or getattr(error, "error_code", None) in REGISTRYS_OWN:
                return do()
            raise fault(error, f"{operation} of {name}") from error
        remedy = "take the version out of service first"
        raise denied(f"AIMS refused: it serves as {', '.join(serving)}. Next: {remedy}. ({operation} of {name})")

    def _serving(self, policy: Policy, name: str, version: Any) -> list[str]:
        """Guarded targets the model, or one version of it, stands under."""
        if self._mode(name) is GateMode.OBSERVE:
            return []
        if version is None:
            held = holders.aliases(self.store, name), holders.stages(self.store, name)
        else:
            entity = self.store.get_model_version(name, version)
            if self.gate.reader.is_prompt(self.gate.reader.version(name, version)):
                return []
            held = list(entity.aliases or ()), {str(entity.current_stage)}
        aliases, stages = held
        targets = [t for a in aliases if (t := _target("alias", a))]
        targets += [t for s in stages if s not in holders.NOWHERE and (t := _target("stage", s))]
        return sorted(t.name for t in targets if policy.mode(name, t) is GateMode.ENFORCE)

    # tags

    def set_model_version_tag(self, do: Call, name: str, version: Any, tag: Any) -> Any:
        """A tag of ours must be true; a review goes to the log."""
        if str(tag.key) == PROMPT_TAG:
            return self._prompts_version_tag(do, name, version)
        if not marks.is_reserved(tag.key):
            return do()
        if tag.key == marks.REVIEW_TAG:
            return self._review(name, version, str(tag.value))
        if self._mode(name) is GateMode.OBSERVE:
            return do()
        return self._checked(name, f"tag of {name} {version}", lambda: self._version_tag(do, name, version, tag))

    def _prompts_version_tag(self, do: Call, name: str, version: Any) -> Any:
        """A model with one version that bears it vanishes from MLflow's search, with all its versions."""
        if self._mode(name) is GateMode.OBSERVE or not self._policy().names(name) or self._is_prompts(name):
            return do()
        raise denied(
            "AIMS refused: the registered model is no prompt. Next: keep prompts under a name of their own. "
            f"(tag of {name} {version})"
        )

    def _version_tag(self, do: Call, name: str, version: Any, tag: Any) -> Any:
        policy = self._policy()
        key, value = str(tag.key), str(tag.value)
        marks.check_name(key, marks.VERSION_TAGS)
        row = self.gate.reader.version(name, version)
        held = _held(row.tags, policy.trusted_keys)
        if key == TAG:
            marks.check_statement(
                value,
                held,
                source=self.gate.reader.source(row),
                trusted=policy.trusted_keys,
                signed=demands_signature(policy.declaration, name),
                at=now(),
            )
        elif key == GATE_TAG:
            return _passed(lambda: do(tag=type(tag)(key, self._decisions(policy, row.name, row.version))))
        elif key == marks.ALARM_TAG:
            marks.check_alarms(value)
        else:
            marks.check_flat(key, value, held)
        return _passed(do)

    def _decisions(self, policy: Policy, name: str, version: Any) -> str:
        """The gate's own decisions, whatever the caller thinks they are."""
        return gate_tag(self.gate.decide(name, version, t) for t in guarded_targets(policy.declaration, name))

    def _review(self, name: str, version: Any, text: str) -> None:
        from aims_mlflow.registry.reviews import accept_review

        try:
            with self.gate.locks.hold(name):
                accept_review(self.gate, name, version, text, actor=acting())
        except AimsError as error:
            raise fault(error, f"review of {name} {version}") from error

    def delete_model_version_tag(self, do: Call, name: str, version: Any, key: Any) -> Any:
        """Tags of ours stay; that of alarms until none holds the version."""
        if str(key) == marks.ALARM_TAG and self._mode(name) is GateMode.ENFORCE:
            return self._checked(name, f"tag of {name} {version}", lambda: self._alarms_over(do, name, version))
        return self._keep(do, f"{name} {version}", name, key)

    def _alarms_over(self, do: Call, name: str, version: Any) -> Any:
        standing = [one.entry for one in open_holds(self.gate.log.read(name, fresh=True))]
        if any(entry.version == str(version) for entry in standing):
            raise InputError("an alarm holds the version", remedy="Leave it to `aims monitor` and `aims watch`")
        return _passed(do)

    def set_registered_model_tag(self, do: Call, name: str, tag: Any) -> Any:
        """A tag of ours says what the model's assessments say; a hold goes to the log; no model becomes a prompt."""
        if str(tag.key) == marks.HOLD_TAG:
            return self._hold(name, str(tag.value))
        if self._mode(name) is GateMode.OBSERVE:
            return do()
        if str(tag.key) == PROMPT_TAG and self._policy().names(name):
            return self._checked(name, f"tag of {name}", lambda: self._prompt_tag(do, name))
        if not marks.is_reserved(tag.key):
            return do()
        return self._checked(name, f"tag of {name}", lambda: self._model_tag(do, name, str(tag.key), str(tag.value)))

    def _hold(self, name: str, text: str) -> None:
        from aims_mlflow.registry.holds import accept_hold

        try:
            with self.gate.locks.hold(name):
                accept_hold(self.gate, name, text, actor=acting())
        except AimsError as error:
            raise fault(error, f"hold of {name}") from error

    def _prompt_tag(self, do: Call, name: str) -> Any:
        if holders.has_models(self.store, name):
            raise InputError("the registered model holds models", remedy="Keep prompts under a name of their own")
        return _passed(do)

    def _model_tag(self, do: Call, name: str, key: str, value: str) -> Any:
        system = self._policy().declaration.system
        said = [(system.id, str(system.risk_class))]
        for tags in holders.recent_tags(self.store, name):
            held = _held(tags, self._policy().trusted_keys)
            if held is not None:
                said.append((held.statement.system_id, held.statement.risk_class))
        marks.check_model_tag(key, value, said)
        return _passed(do)

    def delete_registered_model_tag(self, do: Call, name: str, key: Any) -> Any:
        """Tags of ours stay."""
        return self._keep(do, name, name, key)

    def _keep(self, do: Call, what: str, name: str, key: Any) -> Any:
        if not marks.is_reserved(key) or self._mode(name) is GateMode.OBSERVE:
            return do()
        raise denied(f"AIMS refused: the tag {str(key)[:60]!r} is kept by the gate. Next: leave it. ({what})")

    def _checked(self, name: str, what: str, write: Callable[[], Any]) -> Any:
        """Check and write under the model's lock, so that no other assessment comes between."""
        try:
            with self.gate.locks.hold(name):
                return write()
        except _OwnError as own:
            raise own.error from own.error.__cause__
        except Exception as error:
            if getattr(error, "error_code", None) in REGISTRYS_OWN and not isinstance(error, AimsError):
                raise
            raise fault(error, what) from error

    # the policy

    def _policy(self) -> Policy:
        return self.gate.policies.current()

    def _mode(self, name: str) -> GateMode:
        policy = self._policy()
        return mode_of(policy.declaration, str(name)) if policy.known else GateMode.ENFORCE

    def _unusable(self, policy: Policy, name: str, target: Target) -> Exception:
        problem = Problem(
            id="policy",
            what=f"the gate's policy cannot be used: {policy.broken}"[:400],
            remedy=policy.remedy,
        )
        decision = GateDecision(
            at=now(),
            model=name,
            version="new",
            target=target,
            outcome=DecisionOutcome.REFUSE,
            mode=GateMode.ENFORCE,
            problems=(problem,),
        )
        return self.gate.refused(decision)


class _OwnError(Exception):
    """Carries an error of MLflow's own method past the places where ours are turned into refusals."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _passed(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except Exception as error:
        raise _OwnError(error) from error


def _nothing() -> None:
    return None


def _target(kind: Any, name: Any) -> Target | None:
    """The target; None where it is no name at all, which MLflow's own method says better."""
    return Target(kind=kind, name=name) if isinstance(name, str) else None


def _canonical_stage(stage: Any) -> Any:
    """The stage as MLflow writes it; what it does not know stays as it is."""
    from mlflow.entities.model_registry.model_version_stages import ALL_STAGES

    known = {str(one).lower(): str(one) for one in ALL_STAGES}
    return known.get(stage.lower(), stage) if isinstance(stage, str) else stage


def _unassessed(tags: Any, *, hides: bool) -> list[Any]:
    """The tags a new version starts with; without that of a prompt, where it would hide a model that is none."""
    from mlflow.entities.model_registry import ModelVersionTag

    kept = [t for t in marks.without_reserved(tags or ()) if not (hides and getattr(t, "key", "") == PROMPT_TAG)]
    return [*kept, *(ModelVersionTag(k, v) for k, v in marks.UNASSESSED.items())]


def _held(tags: Any, trusted: Mapping[str, str]) -> Held | None:
    """The assessment in a version's tags; an unreadable one is none, and may be replaced."""
    text = dict(tags or {}).get(TAG)
    if text is None:
        return None
    try:
        return read_statement(str(text), trusted)
    except EvidenceError:
        return None
