"""The derived rules over a window that comes as summaries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.config import Settings
from aims_mlflow.evidence import DataQualityEvidence, DatasetRef, EvidenceBase
from aims_mlflow.monitoring.served import Served


def quality_of_window(
    served: Served, profile: Any, ref: DatasetRef, *, settings: Settings, at: datetime
) -> EvidenceBase | None:
    """The rules the version's reference profile gives, held against the window's; None where there is no reference.

    Args:
        served: The version.
        profile: The window, a ``sketches.Profile``.
        ref: The window's data by name and role.
        settings: The declaration in force.
        at: When.
    """
    from aims_mlflow.measure.sketched import quality_of_profile

    if served.profile is None:
        return None
    declaration = settings.declaration
    payload = quality_of_profile(
        served.profile,
        profile,
        policy=declaration.data_quality,
        columns=declaration.columns,
        privacy=declaration.privacy,
    )
    return DataQualityEvidence(
        collector=COLLECTOR, captured_at=at, subject=served.subject, dataset=ref, **payload.as_fields()
    )
