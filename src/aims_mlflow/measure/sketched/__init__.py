"""Drift and quality told from profiles: no rows needed, each verdict with the bound its summaries prove."""

from __future__ import annotations

from aims_mlflow.measure.sketched.drift import drift_of_profiles
from aims_mlflow.measure.sketched.quality import quality_of_profile

__all__ = ["drift_of_profiles", "quality_of_profile"]
