"""The sweep over a registry: what passed by the gate, what no longer holds, what was left undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from shlex import quote
from typing import Any

from aims_mlflow.api.policies import Config
from aims_mlflow.attach.store import check_reachable
from aims_mlflow.config import Settings, load_settings
from aims_mlflow.config.gate import GateMode
from aims_mlflow.errors import AimsError, ConfigError, DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence.base import now
from aims_mlflow.gate.decision import DecisionOutcome, GateDecision
from aims_mlflow.gate.entries import Level, MoveEntry, Target
from aims_mlflow.gate.messages import named
from aims_mlflow.gate.policy import policy_sha256
from aims_mlflow.gate.statement import TAG
from aims_mlflow.registry.facts import PROMPT_TAG, Reading
from aims_mlflow.registry.log import LogMovedError
from aims_mlflow.registry.policies import Policy
from aims_mlflow.registry.reconcile import checking
from aims_mlflow.registry.reconcile.findings import Discrepancy, Kind, Reconciliation
from aims_mlflow.registry.reconcile.holding import Holding
from aims_mlflow.registry.reconcile.reading import ModelView, is_prompts, model_names, standing_of
from aims_mlflow.registry.reconcile.remedies import mending, removal
from aims_mlflow.registry.reconcile.standing import Difference, LogState
from aims_mlflow.registry.reconcile.watch import SETTLED, Watch, held_at, watching_gatekeeper, words
from aims_mlflow.registry.records import KIND, KIND_TAG

_TRIES = 5
_SHOWN = 3
_STATUS = "aims.status"


def reconcile(
    models: Sequence[str] = (),
    *,
    config: Config | Settings | None = None,
    tracking_uri: str | None = None,
    since: datetime | None = None,
    running_hours: float = 24.0,
    full: bool = False,
    fix_log: bool = False,
    tag: bool = False,
    settled: timedelta = SETTLED,
    at: datetime | None = None,
) -> Reconciliation:
    """Hold the registry against the log, and what serves against its evidence.

    Args:
        models: Registered models; none given: all the policy is about, and all that have a log.
        config: ``aims.yaml`` by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        since: Versions that do not serve, and runs, from before are left out. What serves is always looked at.
        running_hours: A run that has not ended after so many hours counts as left over.
        full: Read evidence and files of every version in full; otherwise only of those that serve.
        fix_log: Write into the log what no move in it explains, and which moves were never made.
        tag: Set ``aims.status`` of a version without an assessment that counts to ``not-assessed`` or ``stale``.
        settled: A move written down less than this ago may be under way.
        at: The moment to decide for; now where None.

    Raises:
        ConfigError: the policy is broken, or there is none.
        InputError: a model named has neither registered versions nor a log.
        DeliveryError, MlflowException: MLflow cannot be reached.
    """
    from mlflow import MlflowClient, MlflowException

    settings = load_settings(config)
    if settings.declaration.gate is None or not settings.declaration.gate.guarded:
        raise ConfigError("there is no policy to hold the registry against", remedy="Write a section 'gate'.")
    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    keeper = watching_gatekeeper(client, settings)
    sweep = _Sweep(Watch(client, keeper, settled=settled), at or now(), since, full=full, fix_log=fix_log, tag=tag)
    sweep.logs(models)
    for name in models or sweep.names():
        try:
            sweep.model(name, named=bool(models))
        except (DeliveryError, MlflowException) as error:
            sweep.unreadable.append(f"{name}: {getattr(error, 'error_code', type(error).__name__)}")
    if not models:
        sweep.runs(timedelta(hours=running_hours))
    return Reconciliation(
        at=sweep.at,
        models=tuple(sweep.looked_at),
        findings=tuple(sweep.findings),
        unreadable=tuple(sweep.unreadable),
        policy_sha256=policy_sha256(settings.declaration),
    )


class _Sweep:
    def __init__(
        self, watch: Watch, at: datetime, since: datetime | None, *, full: bool, fix_log: bool, tag: bool
    ) -> None:
        self.watch = watch
        self.client = watch.client
        self.keeper = watch.keeper
        self.registry = watch.keeper.registry
        self.policy: Policy = watch.keeper.policies.current()
        self.at = at
        self.since = since
        self.full = full
        self.fix_log = fix_log
        self.tag = tag
        self.findings: list[Discrepancy] = []
        self.unreadable: list[str] = []
        self.looked_at: list[str] = []
        self.holding = Holding(watch.client, watch.keeper, self.policy.declaration, self.unreadable)

    def names(self) -> list[str]:
        """The models to look at."""
        try:
            found = model_names(self.registry, self.keeper.log)
        except EvidenceError:  # said in ``logs``
            found = model_names(self.registry, None)
        return [name for name in found if self.policy.names(name) or self._log_is_there(name)]

    def _log_is_there(self, name: str) -> bool:
        try:
            return bool(self.keeper.log.read(name))
        except AimsError:
            return True

    # the log

    def logs(self, models: Sequence[str]) -> None:
        """Whether the logs are whole."""
        from aims_mlflow.registry.verifying import Damage

        key = self.keeper.log.key
        known = {key.public} if key is not None and self.keeper.level is Level.ENFORCED else set()
        checked = self.keeper.log.verify(models or None, gate_keys=known)
        for problem in checked.problems:
            if problem.damage is not Damage.UNANCHORED:
                self._found(Kind.LOG, Level.DETECTED, problem.what, problem.remedy, model=problem.model)

    # a model

    def model(self, name: str, *, named: bool) -> None:
        """Hold one model against its log and its versions against their assessments."""
        seen: ModelView | None
        try:
            seen = self._agreed(name)
        except EvidenceError as error:
            if not any(f.kind is Kind.LOG and f.model in {name, None} for f in self.findings):
                self._found(Kind.LOG, Level.DETECTED, error.message, error.remedy or "Run `aims verify`", model=name)
            seen = self._registry_only(name)
        if seen is None or _is_prompt(seen):
            return
        if not seen.exists and not seen.entries:
            if named:
                raise InputError(f"there is no registered model {name!r} and no log of one")
            return
        self.looked_at.append(name)
        if seen.exists:
            self.findings += self.holding.findings(seen, fix=self.fix_log)
        if str(seen.tags.get(PROMPT_TAG)).lower() == "true":
            what = f"the tag {PROMPT_TAG} hides it from the pages of models, and it holds models"
            self._found(Kind.TAGS, Level.DETECTED, what, "Remove the tag", model=name)
        if seen.exists:
            serving = self._serving(seen)
            self._others(seen, serving)

    def _registry_only(self, name: str) -> ModelView | None:
        """The registry's side alone, where the log cannot be read."""
        try:
            return standing_of(self.registry, name)
        except EvidenceError as error:
            self.unreadable.append(str(error))
            return None

    def _agreed(self, name: str) -> ModelView:
        """Look at a model and its log, say where they differ, and write that down if asked to."""
        tries = 0
        while True:
            seen = self.watch.view(name, self.policy, with_versions=True)
            found = self.watch.differences(seen, self.policy, self.at)
            if _is_prompt(seen):
                return seen
            known, tries = len(seen.entries), tries + 1
            try:
                for one in found if self.fix_log else ():
                    known = self.watch.record(seen, one, known=known).number
            except LogMovedError:
                if tries < _TRIES:
                    continue
                self.unreadable.append(f"{name}: its log changes faster than it can be read")
                return seen
            self.findings += [_differing(seen, one, recorded=self.fix_log) for one in found]
            return seen

    # versions

    def _serving(self, seen: ModelView) -> set[str]:
        """Decide again on everything under a guarded target."""
        log = LogState.of(seen.entries)
        held = held_at(seen, self.policy)
        for target, version in held:
            entry = log.aliases.get(target.name) if target.kind == "alias" else log.stages.get(version)
            level = entry.entry.level if entry else Level.DETECTED
            if all(str(v.version) != version for v in seen.versions):
                what, remedy = "the version does not exist any more", f"Remove the {target.kind}"
                if target.kind == "alias":
                    remedy = removal(seen.name, target.name)
                about = {"model": seen.name, "version": version, "target": target}
                self._found(Kind.CHANGED, level, what, remedy, **about)
                continue
            try:
                decision = self.keeper.decide(seen.name, version, target, self.at)
            except Exception as error:  # noqa: BLE001  (whatever a registry raises: what serves is not passed over)
                self.unreadable.append(f"{seen.name} {version} → {target}: {type(error).__name__}")
                continue
            if decision.outcome is DecisionOutcome.REFUSE:
                self._refused(decision, level, once=_was_allowed(seen, version, target))
        exist = {str(v.version) for v in seen.versions}
        for version in sorted({version for _, version in held} & exist, key=int):
            reading = self.keeper.reader.read(seen.name, version, self.policy.trusted_keys)
            if not reading.is_prompt:
                self._in_full(seen, reading, version)
        return {version for _, version in held}

    def _refused(self, decision: GateDecision, level: Level, *, once: bool) -> None:
        problems = decision.open_problems
        ids = {p.id for p in problems}
        refused = Kind.LAPSED if once else Kind.NEVER_VALID
        kind, status = refused, None
        if "content" in ids:
            kind, status = Kind.CHANGED, "stale"
        elif "assessment" in ids:
            unassessed = decision.statement_sha256 is None
            kind = Kind.UNASSESSED if unassessed else refused
            status = "not-assessed" if unassessed else "stale"
        would = "would be refused now" if decision.mode is GateMode.ENFORCE else "would be refused now, and is observed"
        more = f"; {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        self._found(
            kind,
            level,
            f"{would}: {'; '.join(named(p) for p in problems[:_SHOWN])}{more}",
            problems[0].remedy,
            model=decision.model,
            version=decision.version,
            target=decision.target,
            tagged=self._tag(decision.model, decision.version, status),
        )

    def _in_full(self, seen: ModelView, reading: Reading, version: str) -> None:
        """What shows only when evidence and files are read from end to end."""
        try:
            place = str(self.registry.get_model_version_download_uri(seen.name, version))
            found = checking.hidden_changes(self.client, reading.facts, place)
        except Exception as error:  # noqa: BLE001  (every artifact store has errors of its own; nothing passes for it)
            self.unreadable.append(f"{seen.name} {version}: its files could not be read ({type(error).__name__})")
            return
        for what in found:
            self._changed(seen.name, version, what)

    def _changed(self, model: str, version: str, what: str) -> None:
        remedy = f"aims assess models:/{model}/{version}"
        tagged = self._tag(model, version, "stale")
        self._found(Kind.CHANGED, Level.DETECTED, what, remedy, model=model, version=version, tagged=tagged)

    def _others(self, seen: ModelView, serving: set[str]) -> None:
        """Versions that do not serve, and the tags of all."""
        bare: list[str] = []
        for entity in seen.versions:
            version, tags = str(entity.version), {str(k): str(v) for k, v in dict(entity.tags or {}).items()}
            recent = self.since is None or entity.creation_timestamp >= self.since.timestamp() * 1000
            if version not in serving and not recent:
                continue
            for what in checking.contradictions(tags, self.policy.trusted_keys):
                remedy = f"aims assess models:/{seen.name}/{version}"
                self._found(Kind.TAGS, Level.DETECTED, what, remedy, model=seen.name, version=version)
            if version in serving:
                continue
            if TAG not in tags:
                bare.append(version)
                if tags.get(_STATUS) != "not-assessed":
                    self._tag(seen.name, version, "not-assessed")
            elif self.full:
                reading = self.keeper.reader.read(seen.name, version, self.policy.trusted_keys)
                for what in checking.changes(reading.facts):
                    self._changed(seen.name, version, what)
                self._in_full(seen, reading, version)
        if bare:
            self._bare(seen.name, bare)

    def _bare(self, name: str, versions: Sequence[str]) -> None:
        """One finding for all versions of a model that were never assessed and do not serve."""
        shown = ", ".join(versions[:10]) + (", ..." if len(versions) > 10 else "")
        number = f"version {shown} has" if len(versions) == 1 else f"{len(versions)} versions have"
        what = f"{number} no assessment" + (f": {shown}" if len(versions) > 1 else "")
        self._found(
            Kind.UNASSESSED,
            Level.DETECTED,
            what,
            f"aims assess models:/{name}/{versions[-1]}",
            model=name,
            version=versions[0] if len(versions) == 1 else None,
        )

    def _tag(self, model: str, version: str, status: str | None) -> str | None:
        """Set a status that is not true any more, where that was asked for."""
        if not self.tag or status is None:
            return None
        from mlflow.entities.model_registry import ModelVersionTag

        try:
            self.registry.set_model_version_tag(model, version, ModelVersionTag(_STATUS, status))
        except Exception as error:  # noqa: BLE001  (the finding stands; that it could not be tagged is said beside it)
            self.unreadable.append(f"{model} {version}: {_STATUS} could not be set ({type(error).__name__})")
            return None
        return status

    # runs

    def runs(self, longest: timedelta) -> None:
        """Runs that were begun and never ended."""
        begun_before = self.at - longest
        for run in self._running(begun_before):
            if run.data.tags.get(KIND_TAG) == KIND:
                continue
            began = datetime.fromtimestamp(run.info.start_time / 1000, self.at.tzinfo)
            hours = int((self.at - began).total_seconds() // 3600)
            self._found(
                Kind.RUNNING,
                Level.DETECTED,
                f"left RUNNING for {hours} hours (begun {began:%Y-%m-%d %H:%M} UTC)",
                f"End it as it deserves: mlflow.MlflowClient().set_terminated({run.info.run_id!r}, 'KILLED')",
                run_id=run.info.run_id,
            )

    def _running(self, before: datetime) -> Iterator[Any]:
        where = f"attributes.status = 'RUNNING' and attributes.start_time <= {int(before.timestamp() * 1000)}"
        if self.since is not None:
            where += f" and attributes.start_time >= {int(self.since.timestamp() * 1000)}"
        experiments = [e.experiment_id for e in _all(self.client.search_experiments)]
        for start in range(0, len(experiments), 100):
            chosen = experiments[start : start + 100]
            yield from _all(partial(self.client.search_runs, chosen, where))

    def _found(self, kind: Kind, level: Level, what: str, remedy: str, **about: Any) -> None:
        self.findings.append(Discrepancy(kind=kind, level=level, what=what, remedy=remedy.rstrip("."), **about))


def _is_prompt(seen: ModelView) -> bool:
    return not seen.entries and is_prompts(seen.versions)


def _was_allowed(seen: ModelView, version: str, target: Target) -> bool:
    """Whether the log has a move of the version to the target that was allowed."""
    moves = [e for e in seen.entries if isinstance(e, MoveEntry) and e.version == version]
    allowed = [e for e in moves if e.outcome in {"allow", "allow-by-waiver"}]
    return any((e.target.kind, e.target.name.casefold()) == (target.kind, target.name.casefold()) for e in allowed)


def _differing(seen: ModelView, one: Difference, *, recorded: bool) -> Discrepancy:
    """A difference between registry and log as a finding."""
    model, move = seen.name, one.not_made
    steps = [mending(seen.name, one)] if seen.exists and not one.gone else []
    if not recorded:
        puts = "writes into the log that it was not made" if move else "puts it on record"
        steps.append(f"`aims reconcile {quote(model)} --fix-log` {puts}")
    steps.append(f"`aims history {quote(model)}` shows what was decided")
    return Discrepancy(
        kind=Kind.NOT_MADE if move else Kind.BYPASSED,
        level=move.level if move else Level.DETECTED,
        model=model,
        version=move.version if move else one.version,
        target=move.target if move else one.target,
        what=words(one, model),
        remedy="; ".join(step for step in steps if step),
        recorded=recorded,
    )


def _all(search: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=200, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
