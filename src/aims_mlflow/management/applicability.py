"""The Statement of Applicability (6.1.3): which controls apply, why, and how far they are in place."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import StringConstraints

from aims_mlflow.evidence.base import Record

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

ImplementationStatus = Literal["not started", "planned", "partial", "implemented"]
"""How far a control is in place; clause 6.1.3 does not ask for it, auditors do."""

IMPLEMENTATION: tuple[ImplementationStatus, ...] = get_args(ImplementationStatus)

SOA = "soa"
"""The record type, and the id of the organization's statement."""


class ApplicabilityLine(Record):
    """One control."""

    applicable: bool
    justification: Text
    """Why it is in, or why it is left out."""
    status: ImplementationStatus = "not started"
    risks: tuple[Text, ...] = ()
    """Ids of the risks it treats."""
    owner: Text | None = None
    next_review: date | None = None


class ApplicabilityContent(Record):
    """The organization's statement (id ``soa``), or a system's overlay (``soa-<system>``) of the lines it changes."""

    lines: dict[str, ApplicabilityLine]
    """Control id to line; a control without one is not decided."""
