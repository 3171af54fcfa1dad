"""The gap assessment as a record: the state of every row at a date, to be compared with a later one (10.1)."""

from __future__ import annotations

from pydantic import Field

from aims_mlflow.evidence.base import Record, UtcTime


class GapRow(Record):
    """The state of one row."""

    status: str
    maturity: int = Field(ge=0, le=5)
    target: int = Field(default=3, ge=0, le=5)


class GapContent(Record):
    """All rows at one date."""

    assessed_at: UtcTime
    rows: dict[str, GapRow]
    """Row id to state."""
    mean: float
    """Mean maturity; no exclusion raises it."""
    fresh_share: float
    """Share of the applicable rows that rest on current evidence."""
    systems: dict[str, float] = Field(default_factory=dict)
    """System to its mean maturity."""
