"""One move under decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from aims_mlflow.config import Declaration
from aims_mlflow.controls import Row
from aims_mlflow.gate.entries import Target
from aims_mlflow.gate.outcome import VersionFacts
from aims_mlflow.gate.policy import Guard


@dataclass(frozen=True)
class Case:
    """Version, target, what guards it, and the moment."""

    facts: VersionFacts
    target: Target
    guard: Guard
    declaration: Declaration
    at: datetime
    rows: Mapping[str, Row]

    @property
    def uri(self) -> str:
        """The version."""
        return f"models:/{self.facts.model}/{self.facts.version}"

    @property
    def assess(self) -> str:
        """The command that assesses it again."""
        return f"aims assess {self.uri}"

    @property
    def report(self) -> str:
        """The command that says what is wrong."""
        return f"`aims report {self.uri}`"

    @staticmethod
    def row_of(row: Row | None) -> str:
        """The row, as the report names it."""
        return row.id if row else "it"

    def to(self) -> str:
        """The target as an option of the commands."""
        return {"alias": "--to", "stage": "--to-stage", "registration": "--to-model"}[self.target.kind] + (
            f" {self.target.name}"
        )
