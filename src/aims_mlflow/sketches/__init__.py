"""Data in mergeable summaries of constant size: no rows, no single values."""

from __future__ import annotations

from aims_mlflow.sketches.labels import LabelSketch, RowSketch
from aims_mlflow.sketches.numbers import NumberSketch
from aims_mlflow.sketches.plan import ColumnPlan, Plan
from aims_mlflow.sketches.profile import ColumnSketch, Profile

__all__ = ["ColumnPlan", "ColumnSketch", "LabelSketch", "NumberSketch", "Plan", "Profile", "RowSketch"]
