"""Impact assessments (6.1.4, 8.4, A.5.2 to A.5.5), in the shape of ISO/IEC 42005."""

from __future__ import annotations

from typing import Literal

from aims_mlflow.evidence.base import Number, Record, Sha256


class Effect(Record):
    """A benefit or harm to somebody."""

    to: str
    """The person, group, or part of society."""
    of: Literal["individuals", "groups", "society", "environment"]
    what: str
    kind: Literal["benefit", "harm"]
    severity: Literal["negligible", "minor", "moderate", "major", "severe"] = "minor"
    likelihood: Literal["rare", "unlikely", "possible", "likely", "certain"] = "possible"
    measure: str | None = None
    """What is done about it."""


class MeasuredNumber(Record):
    """A number filled in from evidence."""

    name: str
    value: Number = None
    low: Number = None
    high: Number = None
    evidence: Sha256


class ImpactContent(Record):
    """The outcome of an assessment of one system (the record's ``systems`` names it), bound to a version."""

    registered_name: str | None = None
    version: str | None = None
    model_sha256: Sha256 | None = None
    """Content of the version it covers; null: of no version in particular."""
    intended_use: str
    misuse: tuple[str, ...] = ()
    """Foreseeable uses it is not meant for."""
    regions: tuple[str, ...] = ()
    data_sources: tuple[str, ...] = ()
    environment: str = ""
    affected: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    measured: tuple[MeasuredNumber, ...] = ()
    conclusion: Literal["acceptable", "acceptable with measures", "not acceptable"]
    reason: str
