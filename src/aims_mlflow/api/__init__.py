"""The public functions: log evidence, assess, read back."""

from __future__ import annotations

from aims_mlflow.api.assessing import assess, tag_version
from aims_mlflow.api.measuring import log_data_quality, log_drift, log_fairness, log_performance
from aims_mlflow.api.reading import load_assessment, load_evidence, load_report
from aims_mlflow.api.stating import log_evidence
from aims_mlflow.api.targets import Place, resolve
from aims_mlflow.delivery import FlushResult, flush
from aims_mlflow.evidence import parse_evidence

__all__ = [
    "FlushResult",
    "Place",
    "assess",
    "flush",
    "load_assessment",
    "load_evidence",
    "load_report",
    "log_data_quality",
    "log_drift",
    "log_evidence",
    "log_fairness",
    "log_performance",
    "parse_evidence",
    "resolve",
    "tag_version",
]
