"""The numbers of the windows of one version, in order: what alarms are judged over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aims_mlflow.operation.windows import Window


@dataclass(frozen=True)
class WindowNumbers:
    """One window that was filed, by its numbers."""

    window: Window
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Name to value; a number that could not be had is not in it."""
    lows: Mapping[str, float] = field(default_factory=dict)
    """Name to the lower end of the number's interval, where it has one."""
    highs: Mapping[str, float] = field(default_factory=dict)
    run_id: str | None = None
    """The monitoring run."""
