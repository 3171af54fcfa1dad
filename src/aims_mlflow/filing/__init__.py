"""The records experiment: management records as MLflow runs whose parameters nobody can change."""

from aims_mlflow.filing.store import EXPERIMENT, RecordStore

__all__ = ["EXPERIMENT", "RecordStore"]
