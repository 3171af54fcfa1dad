"""For whom a model works: metrics by sensitive group and the gaps between groups."""

from __future__ import annotations

from aims_mlflow.measure.fairness.disparities import DISPARITIES
from aims_mlflow.measure.fairness.run import FairnessPayload, measure_fairness

__all__ = ["DISPARITIES", "FairnessPayload", "measure_fairness"]
