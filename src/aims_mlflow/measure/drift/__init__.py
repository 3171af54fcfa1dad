"""Drift of a dataset against its reference."""

from __future__ import annotations

from aims_mlflow.measure.drift.methods import METHODS, Method, find_method
from aims_mlflow.measure.drift.run import DriftPayload, measure_drift
from aims_mlflow.measure.drift.summary import ReferenceSummary

__all__ = ["METHODS", "DriftPayload", "Method", "ReferenceSummary", "find_method", "measure_drift"]
