"""``autolog()``: see every run of this process through the public methods of ``MlflowClient``.

The fluent API, autologging's queue, projects and integrations all go through that class, so wrapping it misses fewer
runs than wrapping ``mlflow.start_run`` or ``mlflow.end_run`` does. The wrapped call always happens first and its result
or exception is the caller's; our work follows it, and what goes wrong in it is recorded, never raised.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from pathlib import Path
from typing import Any

from aims_mlflow.config import Declaration, Settings, load_settings
from aims_mlflow.hooks.state import Options, Silence, State, is_enabled, process_state
from aims_mlflow.hooks.wrapping import install, restore

_log = logging.getLogger("aims_mlflow")


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
        silent: True writes no log lines; else each captured run ends with one, which says how many rows are satisfied
            and where the report is.
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

    state = process_state()
    with state.lock:
        if disable:
            restore(state)
            state.options = None
            state.runs.clear()
            state.window.clear()
            return
        settings = load_settings(config) if config is not None else None
        state.options = Options(settings, silent, data_quality, drift, assess, max_datasets)
        if not any(isinstance(f, Silence) for f in _log.filters):
            _log.addFilter(Silence())
        for name in _WRAPPED:
            install(state, MlflowClient, name)
        install(state, Dataset, "_to_mlflow_entity")
        _prepare_process(state)


def _prepare_process(state: State) -> None:
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


__all__ = ["autolog", "is_enabled"]
