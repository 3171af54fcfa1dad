"""How well a model performs before anyone knows what was right: an estimate from its scores and a calibration."""

from __future__ import annotations

from aims_mlflow.measure.estimated.calibration import Calibration, calibrate
from aims_mlflow.measure.estimated.run import EstimatedPayload, estimate_performance
from aims_mlflow.measure.estimated.scores import ScoreCounts

__all__ = ["Calibration", "EstimatedPayload", "ScoreCounts", "calibrate", "estimate_performance"]
