"""What follows, or goes before, each wrapped call of MLflow.

Each step takes (state, the client or dataset, the call's arguments, its result).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aims_mlflow.hooks.finishing import finish_run, settings_of
from aims_mlflow.hooks.state import State

_log = logging.getLogger("aims_mlflow")


_TERMINAL = frozenset({"FINISHED", "FAILED", "KILLED"})


_RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")


def _after_create_run(state: State, client: Any, given: dict[str, Any], run: Any) -> None:  # noqa: ARG001
    parent = run.data.tags.get("mlflow.parentRunId")
    state.of(run.info.run_id)
    if parent:
        state.of(parent).children.append(run.info.run_id)


def _after_entity(state: State, dataset: Any, given: dict[str, Any], entity: Any) -> None:  # noqa: ARG001
    with state.lock:
        state.window.append((entity, dataset))


def _after_log_inputs(state: State, client: Any, given: dict[str, Any], result: Any) -> None:  # noqa: ARG001
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


def _find_dataset(state: State, entity: Any) -> Any:
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


def _before_log_model(state: State, client: Any, given: dict[str, Any], result: Any) -> None:  # noqa: ARG001
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


def _after_create_version(state: State, client: Any, given: dict[str, Any], version: Any) -> None:  # noqa: ARG001
    """A version made after its run was captured gets the run's conclusions at once."""
    from aims_mlflow.api import tag_version

    run_id = getattr(version, "run_id", None)
    options = state.options
    if run_id and options is not None and options.assess:
        run = state.runs.get(run_id)
        if run is None or run.finished_as is not None:
            tag_version(client, version, settings=settings_of(options))


def _before_end(state: State, client: Any, given: dict[str, Any], result: Any) -> None:  # noqa: ARG001
    """Note the exception that ends the run; only its class, since its text may hold data."""
    kind = sys.exc_info()[0]
    if kind is None and state.shutting_down and "ipykernel" not in sys.modules:
        kind = getattr(sys, "last_type", None)
    state.of(given["run_id"]).exception = kind.__name__ if kind is not None else None


def ends_run(name: str, given: dict[str, Any]) -> bool:
    """Whether the call ends its run."""
    return name == "set_terminated" or str(given.get("status") or "").upper() in _TERMINAL


def _after_end(state: State, client: Any, given: dict[str, Any], result: Any) -> None:
    run_id = given["run_id"]
    status = str(given.get("status") or "FINISHED").upper()
    if _other_rank():
        return
    finish_run(state, client, run_id, status, unreachable=result if isinstance(result, Exception) else None)


def _after_update(state: State, client: Any, given: dict[str, Any], result: Any) -> None:
    if ends_run("update_run", given):
        _after_end(state, client, given, result)


BEFORE: dict[str, Callable[..., None]] = {
    "log_model_artifacts": _before_log_model,
    "log_artifacts": _before_log_model,
    "set_terminated": _before_end,
    "update_run": _before_end,
}


AFTER: dict[str, Callable[..., None]] = {
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
