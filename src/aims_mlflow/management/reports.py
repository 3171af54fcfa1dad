"""Reported facts of the organization: extracts that a system outside MLflow gives (access lists, retention...)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import JsonValue, Record

REPORTED = ("access_list", "retention")
"""Record types that hold an extract; each becomes evidence of the kind of the same name."""


class ReportedFacts(Record):
    """An extract, with what it comes to."""

    statement: str = Field(min_length=1)
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    verdict: Literal["recorded", "pass", "fail"] = "recorded"
