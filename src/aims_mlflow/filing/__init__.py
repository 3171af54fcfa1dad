"""The records experiment: management records as MLflow runs whose parameters nobody can change."""

from aims_mlflow.filing.store import EXPERIMENT, RecordStore
from aims_mlflow.filing.verification import RecordsCheck, verify

__all__ = ["EXPERIMENT", "RecordStore", "RecordsCheck", "verify"]
