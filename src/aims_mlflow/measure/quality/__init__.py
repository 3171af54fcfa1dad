"""Data quality: rules in Great Expectations' language, written by users or derived, held against a table."""

from __future__ import annotations

from aims_mlflow.measure.quality.derive import derive_suite
from aims_mlflow.measure.quality.profile import ColumnProfile, Profile, profile_table
from aims_mlflow.measure.quality.run import QualityPayload, measure_quality, suite_in_force
from aims_mlflow.measure.quality.suite import Suite, SuiteRule, as_suite, read_suite, suite_from_policy

__all__ = [
    "ColumnProfile",
    "Profile",
    "QualityPayload",
    "Suite",
    "SuiteRule",
    "as_suite",
    "derive_suite",
    "measure_quality",
    "profile_table",
    "read_suite",
    "suite_from_policy",
    "suite_in_force",
]
