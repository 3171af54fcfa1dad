"""What the hooks of a process know of its runs."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_log = logging.getLogger("aims_mlflow")


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
class RunState:
    """What was seen of one run."""

    datasets: list[Any] = field(default_factory=list)
    models: list[Any] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    exception: str | None = None
    finished_as: str | None = None
    """Content digest of the run at its last capture: a run ended twice is captured once."""


class State:
    """The one state of a process. Kept on the ``mlflow`` module, so that reloading ours does not lose it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.options: Options | None = None
        self.originals: dict[tuple[type, str], Callable[..., Any]] = {}
        self.wrappers: dict[tuple[type, str], Callable[..., Any]] = {}
        self.runs: dict[str, RunState] = {}
        self.window: deque[tuple[Any, Any]] = deque(maxlen=_WINDOW)
        self.local = threading.local()
        self.shutting_down = False
        self.refused_spool: set[str] = set()
        self.said: set[str] = set()

    def of(self, run_id: str) -> RunState:
        """What was seen of a run so far."""
        with self.lock:
            return self.runs.setdefault(run_id, RunState())

    def say(self, message: str, *args: object) -> None:
        """A line for the data scientist, once per process and text, unless silent."""
        options = self.options
        if options is not None and not options.silent and message not in self.said:
            self.said.add(message)
            _log.warning(message, *args)


def process_state() -> State:
    """The state of this process, made at the first call."""
    import mlflow

    found = getattr(mlflow, "_aims_mlflow_state", None)
    if found is None:
        found = State()
        mlflow._aims_mlflow_state = found
    state: State = found
    return state


def is_enabled() -> bool:
    """Whether this process captures runs."""
    mlflow = sys.modules.get("mlflow")
    state = getattr(mlflow, "_aims_mlflow_state", None)
    return state is not None and state.options is not None


class Silence(logging.Filter):
    """Drops our log lines while ``autolog(silent=True)`` is on; the logger's own level stays the user's."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Whether the line is written."""
        state = getattr(sys.modules.get("mlflow"), "_aims_mlflow_state", None)
        return not (state is not None and state.options is not None and state.options.silent)
