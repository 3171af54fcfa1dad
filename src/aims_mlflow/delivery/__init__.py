"""Evidence and assessments into MLflow; into the spool where MLflow cannot be reached."""

from __future__ import annotations

from aims_mlflow.delivery.flushing import FlushResult, flush
from aims_mlflow.delivery.judging import assessment_of, catalog_of
from aims_mlflow.delivery.run import Delivery, deliver
from aims_mlflow.delivery.versions import describe_version, publish_version, version_ref

__all__ = [
    "Delivery",
    "FlushResult",
    "assessment_of",
    "catalog_of",
    "deliver",
    "describe_version",
    "flush",
    "publish_version",
    "version_ref",
]
