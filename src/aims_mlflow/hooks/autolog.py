"""``autolog()``: see every run of this process through the public methods of ``MlflowClient``.

The fluent API, autologging's queue, projects and integrations all go through that class, so wrapping it misses fewer
runs than wrapping ``mlflow.start_run`` or ``mlflow.end_run`` does. The wrapped call always happens first and its result
or exception is the caller's; our work follows it, and what goes wrong in it is recorded, never raised.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aims_mlflow.config import Declaration, Settings, load_settings
from aims_mlflow.errors import ConfigError

_log = logging.getLogger("aims_mlflow")

_TERMINAL = frozenset({"FINISHED", "FAILED", "KILLED"})
_RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
_WRAPPED = (
    "create_run",
    "set_terminated",
    "update_run",
    "log_inputs",
    "log_model_artifacts",
    "log_artifacts",
    "_create_model_version",
)
"""Methods of ``MlflowClient``. All are public but the last, which ``register_model`` and ``log_model`` call directly;
one that an MLflow version lacks is left out."""
_WINDOW = 32
"""Datasets kept alive between the moment MLflow turns them into an entity and the moment it logs that entity:
autologging flushes its queue after they would be gone."""


@dataclass(frozen=True)
class Options:
    """What ``autolog`` was asked for."""

    config: Any = None
    silent: bool = False
    data_quality: bool = True
    drift: bool = True
    assess: bool = True
    max_datasets: int = 16


@dataclass
class _RunState:
    """What was seen of one run."""

    datasets: list[Any] = field(default_factory=list)
    models: list[Any] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    exception: str | None = None
    finished_as: str | None = None
    """Content digest of the run at its last capture: a run ended twice is captured once."""


class _State:
    """The one state of a process. Kept on the ``mlflow`` module, so that reloading ours does not lose it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.options: Options | None = None
        self.originals: dict[tuple[type, str], Callable[..., Any]] = {}
        self.wrappers: dict[tuple[type, str], Callable[..., Any]] = {}
        self.runs: dict[str, _RunState] = {}
        self.window: deque[tuple[Any, Any]] = deque(maxlen=_WINDOW)
        self.local = threading.local()
        self.shutting_down = False
        self.refused_spool: set[str] = set()
        self.said: set[str] = set()

    def of(self, run_id: str) -> _RunState:
        with self.lock:
            return self.runs.setdefault(run_id, _RunState())

    def say(self, message: str, *args: object) -> None:
        """A line for the data scientist, once per process and text, unless silent."""
        options = self.options
        if options is not None and not options.silent and message not in self.said:
            self.said.add(message)
            _log.warning(message, *args)


def _state() -> _State:
    import mlflow

    found = getattr(mlflow, "_aims_mlflow_state", None)
    if found is None:
        found = _State()
        mlflow._aims_mlflow_state = found
    state: _State = found
    return state


def is_enabled() -> bool:
    """Whether this process captures runs."""
    mlflow = sys.modules.get("mlflow")
    state = getattr(mlflow, "_aims_mlflow_state", None)
    return state is not None and state.options is not None


def autolog(
    config: str | Path | Declaration | Settings | dict[str, Any] | None = None,
    *,
    disable: bool = False,
    silent: bool = False,
    data_quality: bool = True,
    drift: bool = True,
    assess: bool = True,
    max_datasets: int = 16,
) -> None:
    """Capture ISO/IEC 42001 evidence of every MLflow run of this process, from now on.

    Call it once, before or after other ``autolog`` calls; calling it again changes the options and stacks nothing.
    When a run ends, its datasets, models, parameters, metrics, environment and lineage become evidence under the
    artifact folder ``aims/``, with a finding for each clause and control, a report and five tags. The caller's own
    MLflow calls keep their results, exceptions and order. What goes wrong here becomes an evidence record with status
    ``error`` and one warning.

    Args:
        config: ``aims.yaml``, by path, or a declaration; None looks at ``AIMS_CONFIG``, then for ``aims.yaml`` upward
            from the working folder, at the end of each run. Without one, capture works and says what is undeclared.
        disable: True switches capture off again and restores MLflow's own methods.
        silent: True writes no log lines.
        data_quality: False leaves out the data-quality rules.
        drift: False leaves out the comparison with the reference dataset.
        assess: False writes evidence only; ``aims assess RUN`` concludes later.
        max_datasets: Datasets captured per run; further ones are recorded as not captured.

    Raises:
        ConfigError: ``config`` was given and is wrong. A file that is only found is read at the end of the run,
            where a mistake becomes evidence instead.
    """
    from mlflow import MlflowClient
    from mlflow.data.dataset import Dataset

    state = _state()
    with state.lock:
        if disable:
            _restore(state)
            state.options = None
            state.runs.clear()
            state.window.clear()
            return
        settings = load_settings(config) if config is not None else None
        state.options = Options(settings, silent, data_quality, drift, assess, max_datasets)
        if not any(isinstance(f, _Silence) for f in _log.filters):
            _log.addFilter(_Silence())
        for name in _WRAPPED:
            _install(state, MlflowClient, name)
        _install(state, Dataset, "_to_mlflow_entity")
        _prepare_process(state)


class _Silence(logging.Filter):
    """Drops our log lines while ``autolog(silent=True)`` is on; the logger's own level stays the user's."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Whether the line is written."""
        state = getattr(sys.modules.get("mlflow"), "_aims_mlflow_state", None)
        return not (state is not None and state.options is not None and state.options.silent)


def _prepare_process(state: _State) -> None:
    if getattr(state, "prepared", False):
        return
    state.prepared = True  # type: ignore[attr-defined]

    def leaving() -> None:
        state.shutting_down = True

    atexit.register(leaving)

    def forked() -> None:
        state.lock = threading.RLock()
        state.runs = {}

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)


def _install(state: _State, owner: type, name: str) -> None:
    current = owner.__dict__.get(name)
    key = (owner, name)
    if current is None or current is state.wrappers.get(key):
        return
    wrapper = _wrap(state, name, current)
    state.originals[key], state.wrappers[key] = current, wrapper
    setattr(owner, name, wrapper)


def _restore(state: _State) -> None:
    for key, wrapper in list(state.wrappers.items()):
        owner, name = key
        if owner.__dict__.get(name) is wrapper:
            setattr(owner, name, state.originals[key])
            del state.wrappers[key], state.originals[key]
        # A wrapper somebody else has wrapped stays in place; without options it only passes calls on.


def _wrap(state: _State, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)
    before, after = _BEFORE.get(name), _AFTER.get(name)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if state.options is None or getattr(state.local, "busy", False):
            return original(self, *args, **kwargs)
        try:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
        except TypeError:
            return original(self, *args, **kwargs)  # MLflow says itself what is wrong with the call
        given = bound.arguments
        if before is not None:
            _guarded(state, name, before, self, given, None)
        try:
            result = original(self, *args, **kwargs)
        except Exception as error:
            if name in {"set_terminated", "update_run"} and _ends(name, given):
                _guarded(state, name, after, self, given, error)
            raise
        if after is not None:
            _guarded(state, name, after, self, given, result)
        return result

    call.__aims_original__ = original  # type: ignore[attr-defined]
    return call


def _guarded(
    state: _State, name: str, step: Callable[..., None] | None, owner: Any, given: dict[str, Any], result: Any
) -> None:
    """Run a step of ours: MLflow calls inside it pass through, and nothing it raises reaches the caller.

    What it raises becomes an error on the run's record, for the kinds of evidence that are missing because of it.
    """
    if step is None:
        return
    state.local.busy = True
    try:
        step(state, owner, given, result)
    except Exception as error:  # noqa: BLE001  (a training job must not die of its evidence)
        state.say("aims: a capture step failed (%s); training goes on", type(error).__name__)
        _log.debug("aims: cause", exc_info=True)
        _note_failure(state, name, owner, given, error)
    finally:
        state.local.busy = False


_FEEDS = {
    "log_inputs": ("dataset", "data_quality", "drift"),
    "log_model_artifacts": ("model", "environment"),
    "log_artifacts": ("model", "environment"),
}
"""The kinds of evidence a hooked call feeds."""


def _note_failure(state: _State, name: str, owner: Any, given: dict[str, Any], error: Exception) -> None:
    from aims_mlflow.capture.collect import capture_error
    from aims_mlflow.delivery import deliver
    from aims_mlflow.evidence import RunRef, Subject, now

    run_id = given.get("run_id")
    if not isinstance(run_id, str):
        return
    about = Subject(run=RunRef(run_id=run_id))
    try:
        if name in {"set_terminated", "update_run"}:  # the capture as a whole failed: at least that is on record
            failed = capture_error("run", "capturing the run", error, subject=about, at=now())
            deliver(owner, run_id, [failed], Settings(), assess=True)
            return
        for kind in _FEEDS.get(name, ()):
            failed = capture_error(kind, f"watching {name}", error, subject=about, at=now())
            state.of(run_id).errors.append(failed)
    except Exception:  # noqa: BLE001  (the last resort: the warning above stands)
        _log.debug("aims: cause", exc_info=True)


def _ends(name: str, given: dict[str, Any]) -> bool:
    return name == "set_terminated" or str(given.get("status") or "").upper() in _TERMINAL


# Steps. Each takes (state, the client or dataset, the call's arguments, its result).


def _after_create_run(state: _State, client: Any, given: dict[str, Any], run: Any) -> None:  # noqa: ARG001
    parent = run.data.tags.get("mlflow.parentRunId")
    state.of(run.info.run_id)
    if parent:
        state.of(parent).children.append(run.info.run_id)


def _after_entity(state: _State, dataset: Any, given: dict[str, Any], entity: Any) -> None:  # noqa: ARG001
    with state.lock:
        state.window.append((entity, dataset))


def _after_log_inputs(state: _State, client: Any, given: dict[str, Any], result: Any) -> None:  # noqa: ARG001
    from aims_mlflow.capture.collect import SeenDataset
    from aims_mlflow.hooks.snapshot import frame_of, snapshot

    run = state.of(given["run_id"])
    for item in given.get("datasets") or ():
        entity = item.dataset
        context = next((t.value for t in item.tags or () if t.key == "mlflow.data.context"), None)
        found = _find_dataset(state, entity)
        room = state.options is not None and len(run.datasets) < state.options.max_datasets
        if found is None or not room:
            known = {(d.name, d.mlflow_digest, d.context) for d in run.datasets}
            if (entity.name, entity.digest, context) in known:
                continue
        frame, fingerprint = None, None
        if found is not None and room:
            try:
                frame, fingerprint = snapshot(frame_of(found))
            except Exception:  # noqa: BLE001  (a frame that cannot be kept is recorded as not seen; the others go on)
                _log.debug("aims: cause", exc_info=True)
        # MLflow's digest is no proof of content: two datasets may share it, and both are kept until they are hashed.
        run.datasets.append(
            SeenDataset(
                name=entity.name,
                mlflow_digest=entity.digest,
                context=context,
                frame=frame,
                source_type=getattr(entity, "source_type", None),
                sha256_when_logged=fingerprint,
            )
        )


def _find_dataset(state: _State, entity: Any) -> Any:
    """The dataset object an entity was made from."""
    with state.lock:
        for pair in reversed(state.window):
            if pair[0] is entity:
                state.window.remove(pair)
                return pair[1]
        for made, dataset in reversed(state.window):  # the entity was copied on its way
            if (made.name, made.digest) == (entity.name, entity.digest):
                return dataset
    return None


def _before_log_model(state: _State, client: Any, given: dict[str, Any], result: Any) -> None:  # noqa: ARG001
    """Hash a model's files while they are still on this machine."""
    from aims_mlflow.capture.model import read_model_directory

    directory = given.get("local_dir")
    if not directory or not (Path(directory) / "MLmodel").is_file():
        return
    facts = read_model_directory(directory, model_id=given.get("model_id"), name=given.get("artifact_path"))
    run_id = given.get("run_id") or (facts.run_id if facts else None)
    if facts is not None and run_id is not None:
        run = state.of(run_id)
        run.models = [m for m in run.models if m.model_id != facts.model_id or m.model_id is None]
        run.models.append(facts)


def _after_create_version(state: _State, client: Any, given: dict[str, Any], version: Any) -> None:  # noqa: ARG001
    """A version made after its run was captured gets the run's conclusions at once."""
    from aims_mlflow.api import tag_version

    run_id = getattr(version, "run_id", None)
    options = state.options
    if run_id and options is not None and options.assess:
        run = state.runs.get(run_id)
        if run is None or run.finished_as is not None:
            tag_version(client, version, settings=_settings(options))


def _before_end(state: _State, client: Any, given: dict[str, Any], result: Any) -> None:  # noqa: ARG001
    """Note the exception that ends the run; only its class, since its text may hold data."""
    kind = sys.exc_info()[0]
    if kind is None and state.shutting_down and "ipykernel" not in sys.modules:
        kind = getattr(sys, "last_type", None)
    state.of(given["run_id"]).exception = kind.__name__ if kind is not None else None


def _after_end(state: _State, client: Any, given: dict[str, Any], result: Any) -> None:
    run_id = given["run_id"]
    status = str(given.get("status") or "FINISHED").upper()
    if _other_rank():
        return
    finish_run(state, client, run_id, status, unreachable=result if isinstance(result, Exception) else None)


def _after_update(state: _State, client: Any, given: dict[str, Any], result: Any) -> None:
    if _ends("update_run", given):
        _after_end(state, client, given, result)


_BEFORE: dict[str, Callable[..., None]] = {
    "log_model_artifacts": _before_log_model,
    "log_artifacts": _before_log_model,
    "set_terminated": _before_end,
    "update_run": _before_end,
}
_AFTER: dict[str, Callable[..., None]] = {
    "create_run": _after_create_run,
    "_to_mlflow_entity": _after_entity,
    "log_inputs": _after_log_inputs,
    "set_terminated": _after_end,
    "update_run": _after_update,
    "_create_model_version": _after_create_version,
}


def _other_rank() -> bool:
    """True in a distributed job's process that is not the first: only one of them writes evidence."""
    return any(os.environ.get(name, "0") not in {"", "0"} for name in _RANK_VARIABLES)


def _settings(options: Options) -> Settings:
    return options.config if isinstance(options.config, Settings) else load_settings(None)


def finish_run(state: _State, client: Any, run_id: str, status: str, *, unreachable: Exception | None) -> None:
    """Turn what was seen of a run into evidence and deliver it."""
    from aims_mlflow.attach.store import RunStore, check_reachable
    from aims_mlflow.capture.collect import Seen, Wanted, capture_error, collect
    from aims_mlflow.capture.run import RunFacts
    from aims_mlflow.delivery import deliver
    from aims_mlflow.evidence import RunRef, Subject, now

    options = state.options or Options()
    at = now()
    run = state.of(run_id)
    errors = list(run.errors)
    try:
        settings = _settings(options)
    except ConfigError as error:
        state.say("aims: aims.yaml is wrong, nothing of it is used: %s", "; ".join(error.problems[:3]) or str(error))
        settings = Settings()
        errors.append(
            capture_error("declaration", "reading aims.yaml", error, subject=Subject(run=RunRef(run_id=run_id)), at=at)
        )
    facts = None
    if unreachable is None:
        try:
            check_reachable(str(getattr(client, "tracking_uri", "")))
            facts = RunStore(client, run_id).facts()
        except Exception as error:  # noqa: BLE001  (the server went away: what was seen is spooled)
            unreachable = error
    if facts is not None and not run.datasets and not run.models and run.finished_as == facts.content_sha256:
        return
    seen = Seen(
        datasets=list(run.datasets),
        models=list(run.models),
        errors=errors,
        status=status,
        exception=run.exception,
    )
    known = facts or RunFacts(run_id=run_id, experiment_id="", status=status)
    records = collect(
        known, seen, settings, at=at, wanted=Wanted(options.data_quality, options.drift), children=run.children
    )
    with state.lock:
        run.datasets, run.models, run.errors = [], [], []
        run.finished_as = facts.content_sha256 if facts else None
        _forget_old(state)
    delivery = deliver(client, run_id, records, settings, assess=options.assess, facts=facts)
    if delivery.spooled is None:
        _say_result(options, delivery, settings)
        _deliver_spooled(state, client)


def _forget_old(state: _State, keep: int = 512) -> None:
    """Runs ended long ago need no state."""
    while len(state.runs) > keep:
        ended = next((k for k, r in state.runs.items() if r.finished_as is not None), None)
        if ended is None:
            return
        del state.runs[ended]


def _say_result(options: Options, delivery: Any, settings: Settings) -> None:
    if options.silent or delivery.assessment is None:
        return
    _log.info("aims: run %s: %s", delivery.run_id, delivery.assessment.headline)
    if settings.path is None:
        _log.info("aims: no aims.yaml was found; `aims init` writes one")


def _deliver_spooled(state: _State, client: Any) -> None:
    """What an earlier run could not deliver goes now that its server is there; what is refused waits for ``flush``."""
    from aims_mlflow.attach.spool import spooled_files
    from aims_mlflow.delivery import flush

    if not {str(p) for p in spooled_files()} - state.refused_spool:
        return
    result = flush(tracking_uri=str(getattr(client, "tracking_uri", "")), skip=state.refused_spool)
    state.refused_spool.update(result.kept)
    if result.delivered:
        _log.info("aims: delivered the spooled evidence of %d runs", len(result.delivered))
