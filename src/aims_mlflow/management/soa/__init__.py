"""The Statement of Applicability (6.1.3): every control with what was decided, and what does not fit together. Pure."""

from __future__ import annotations

from aims_mlflow.management.soa.deciding import applicability_in_force
from aims_mlflow.management.soa.lines import soa_lines
from aims_mlflow.management.soa.models import Decision, Soa, SoaFinding, SoaLine, SoaSource

__all__ = ["Decision", "Soa", "SoaFinding", "SoaLine", "SoaSource", "applicability_in_force", "soa_lines"]
