"""What every section of ``aims.yaml`` is, and the risk classes."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of ``aims.yaml``; unknown keys are refused."""

    # A limit of infinity or NaN would let everything pass.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class RiskClass(StrEnum):
    """Risk class in the words of the EU AI Act."""

    PROHIBITED = "prohibited"
    HIGH = "high"
    LIMITED = "limited"
    MINIMAL = "minimal"
    UNCLASSIFIED = "unclassified"


class MetricLimit(Section):
    """Limits of one metric."""

    min: float | None = None
    max: float | None = None
