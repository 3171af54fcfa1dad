"""Incidents in use: opened, handled, closed; the reviews of their log; and what monitoring opens by rule."""

from __future__ import annotations

from aims_mlflow.managing.incidents.log import Incident, Incidents
from aims_mlflow.managing.incidents.verbs import (
    close_incident,
    open_by_rule,
    open_incident,
    review_incidents,
    search_incidents,
    update_incident,
)

__all__ = [
    "Incident",
    "Incidents",
    "close_incident",
    "open_by_rule",
    "open_incident",
    "review_incidents",
    "search_incidents",
    "update_incident",
]
