"""The serving path: rows of a model in use, summarised where it serves and shipped as parts of windows."""

from __future__ import annotations

from aims_mlflow.monitoring.observing.deploying import log_observed, observed_model
from aims_mlflow.monitoring.observing.observer import Observer
from aims_mlflow.monitoring.observing.wrapping import ObservedModel, observe

__all__ = ["ObservedModel", "Observer", "log_observed", "observe", "observed_model"]
