"""Wrap MLflow's methods: the call itself is the caller's, and nothing of ours reaches him."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

from aims_mlflow.config import Settings
from aims_mlflow.hooks.state import State
from aims_mlflow.hooks.steps import AFTER, BEFORE, ends_run

_log = logging.getLogger("aims_mlflow")


_FEEDS = {
    "log_inputs": ("dataset", "data_quality", "drift"),
    "log_model_artifacts": ("model", "environment"),
    "log_artifacts": ("model", "environment"),
}
"""The kinds of evidence a hooked call feeds."""


def install(state: State, owner: type, name: str) -> None:
    """Wrap one method, unless it is absent or wrapped already."""
    current = owner.__dict__.get(name)
    key = (owner, name)
    if current is None or current is state.wrappers.get(key):
        return
    wrapper = _wrap(state, name, current)
    state.originals[key], state.wrappers[key] = current, wrapper
    setattr(owner, name, wrapper)


def restore(state: State) -> None:
    """Put MLflow's own methods back."""
    for key, wrapper in list(state.wrappers.items()):
        owner, name = key
        if owner.__dict__.get(name) is wrapper:
            setattr(owner, name, state.originals[key])
            del state.wrappers[key], state.originals[key]


def _wrap(state: State, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)
    before, after = BEFORE.get(name), AFTER.get(name)

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
            if name in {"set_terminated", "update_run"} and ends_run(name, given):
                _guarded(state, name, after, self, given, error)
            raise
        if after is not None:
            _guarded(state, name, after, self, given, result)
        return result

    call.__aims_original__ = original  # type: ignore[attr-defined]
    return call


def _guarded(
    state: State, name: str, step: Callable[..., None] | None, owner: Any, given: dict[str, Any], result: Any
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


def _note_failure(state: State, name: str, owner: Any, given: dict[str, Any], error: Exception) -> None:
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
