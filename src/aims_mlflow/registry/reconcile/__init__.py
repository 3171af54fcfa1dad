"""The registry held against the log, after the fact: what passed by the gate, and what no longer holds."""

from aims_mlflow.registry.reconcile.findings import Discrepancy, Kind, Reconciliation
from aims_mlflow.registry.reconcile.sweep import reconcile

__all__ = ["Discrepancy", "Kind", "Reconciliation", "reconcile"]
