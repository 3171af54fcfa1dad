"""How well a model predicts: metrics with intervals, held against limits and against a baseline."""

from __future__ import annotations

from aims_mlflow.measure.performance.comparison import compare
from aims_mlflow.measure.performance.metrics import METRICS, canonical_metric
from aims_mlflow.measure.performance.run import PerformancePayload, judge_logged_metrics, measure_performance

__all__ = [
    "METRICS",
    "PerformancePayload",
    "canonical_metric",
    "compare",
    "judge_logged_metrics",
    "measure_performance",
]
