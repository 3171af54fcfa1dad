"""The risk register: risks, how they are treated, and what is left (ISO/IEC 42001 6.1.2, 6.1.3, 8.2, 8.3)."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import Record, Sha256

SCALE = 5
"""Likelihood and consequence go from 1 (least) to 5; the level of a risk is their product."""


class RiskContent(Record):
    """One risk."""

    title: str = Field(min_length=1)
    source: str
    """Where it comes from, a word of the vocabulary of risk sources."""
    event: str = ""
    affects: tuple[Literal["organization", "individuals", "groups", "society"], ...] = ()
    likelihood: int = Field(ge=1, le=SCALE)
    consequence: int = Field(ge=1, le=SCALE)
    treatment: Literal["avoid", "reduce", "share", "accept", "undecided"] = "undecided"
    actions: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    """Ids of the controls that treat it."""
    residual_likelihood: int | None = Field(default=None, ge=1, le=SCALE)
    residual_consequence: int | None = Field(default=None, ge=1, le=SCALE)
    accepted_by: str | None = None
    """Who accepted what is left."""
    review_by: date
    status: Literal["open", "treated", "closed"] = "open"
    opened_by: str | None = None
    """Rule that opened it by itself; null where a person did."""
    evidence: tuple[Sha256, ...] = ()
    """Digests of the evidence it rests on."""
