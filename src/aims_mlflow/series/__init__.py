"""Windows of live use in MLflow: one series of runs for each registered version, one run for each window."""

from __future__ import annotations

from aims_mlflow.series.numbers import metric_key, numbers_of
from aims_mlflow.series.store import FiledWindow, WindowStore

__all__ = ["FiledWindow", "WindowStore", "metric_key", "numbers_of"]
