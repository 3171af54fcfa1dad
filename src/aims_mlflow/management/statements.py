"""Statements: what a person says of the management system, by topic of the register."""

from __future__ import annotations

from pydantic import Field

from aims_mlflow.evidence.base import Record


class Statement(Record):
    """A named person's dated statement."""

    statement: str = Field(min_length=1)
    answers: dict[str, str] = Field(default_factory=dict)
    """What the topic's template asks, answered: heading to text."""
    role: str | None = None
    """The owner's role."""
