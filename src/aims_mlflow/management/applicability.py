"""The Statement of Applicability (6.1.3): which controls apply, why, and how far they are in place."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import Record


class ApplicabilityLine(Record):
    """One control."""

    applicable: bool
    justification: str = Field(min_length=1)
    """Why it is in, or why it is left out."""
    status: Literal["not started", "planned", "partial", "implemented"] = "not started"
    risks: tuple[str, ...] = ()
    """Ids of the risks it treats."""
    owner: str | None = None
    next_review: date | None = None


class ApplicabilityContent(Record):
    """The organization's statement (id ``soa``), or a system's overlay (``soa-<system>``) of the lines it changes."""

    lines: dict[str, ApplicabilityLine]
    """Control id to line."""
