"""ISO/IEC 42001 evidence as a by-product of MLflow runs.

Importing this package does nothing and imports nothing heavy; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "autolog": "aims_mlflow.hooks.autolog",
    **dict.fromkeys(
        (
            "flush",
            "load_assessment",
            "load_evidence",
            "log_data_quality",
            "log_drift",
            "log_evidence",
            "log_fairness",
            "log_performance",
        ),
        "aims_mlflow.api",
    ),
    **dict.fromkeys(("GatedMlflowClient", "enable_gate"), "aims_mlflow.registry.client"),
    "assess": "aims_mlflow.registry.standing",
    "model_card": "aims_mlflow.managing.documenting",
    "monitor": "aims_mlflow.monitoring.monitor",
    **dict.fromkeys(("log_observed", "observe", "observed_model"), "aims_mlflow.monitoring.observing"),
    **dict.fromkeys(("gate_version", "promote_version"), "aims_mlflow.registry.moving"),
    **dict.fromkeys(("approve", "break_glass", "reject", "waive", "withdraw"), "aims_mlflow.registry.reviews"),
    **dict.fromkeys(("attest", "search_records", "withdraw_record"), "aims_mlflow.managing.attesting"),
    **dict.fromkeys(("open_risk", "search_risks"), "aims_mlflow.managing.risks"),
    **dict.fromkeys(
        ("close_incident", "open_incident", "search_incidents", "update_incident"), "aims_mlflow.managing.incidents"
    ),
    **dict.fromkeys(("declare_system", "search_systems"), "aims_mlflow.managing.systems"),
    **dict.fromkeys(("Assessment", "Finding", "Overall", "Status"), "aims_mlflow.assessment"),
    **dict.fromkeys(("AimsError", "ConfigError", "EvidenceError", "InputError"), "aims_mlflow.errors"),
}

__all__ = [
    "AimsError",
    "Assessment",
    "ConfigError",
    "EvidenceError",
    "Finding",
    "GatedMlflowClient",
    "InputError",
    "Overall",
    "Status",
    "__version__",
    "approve",
    "assess",
    "attest",
    "autolog",
    "break_glass",
    "close_incident",
    "declare_system",
    "enable_gate",
    "flush",
    "gate_version",
    "load_assessment",
    "load_evidence",
    "log_data_quality",
    "log_drift",
    "log_evidence",
    "log_fairness",
    "log_observed",
    "log_performance",
    "model_card",
    "monitor",
    "observe",
    "observed_model",
    "open_incident",
    "open_risk",
    "promote_version",
    "reject",
    "search_incidents",
    "search_records",
    "search_risks",
    "search_systems",
    "update_incident",
    "waive",
    "withdraw",
    "withdraw_record",
]

if TYPE_CHECKING:
    from aims_mlflow.api import (
        flush,
        load_assessment,
        load_evidence,
        log_data_quality,
        log_drift,
        log_evidence,
        log_fairness,
        log_performance,
    )
    from aims_mlflow.assessment import Assessment, Finding, Overall, Status
    from aims_mlflow.errors import AimsError, ConfigError, EvidenceError, InputError
    from aims_mlflow.hooks.autolog import autolog
    from aims_mlflow.managing.attesting import attest, search_records, withdraw_record
    from aims_mlflow.managing.documenting import model_card
    from aims_mlflow.managing.incidents import close_incident, open_incident, search_incidents, update_incident
    from aims_mlflow.managing.risks import open_risk, search_risks
    from aims_mlflow.managing.systems import declare_system, search_systems
    from aims_mlflow.monitoring.monitor import monitor
    from aims_mlflow.monitoring.observing import log_observed, observe, observed_model
    from aims_mlflow.registry.client import GatedMlflowClient, enable_gate
    from aims_mlflow.registry.moving import gate_version, promote_version
    from aims_mlflow.registry.reviews import approve, break_glass, reject, waive, withdraw
    from aims_mlflow.registry.standing import assess


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
