"""Clauses, controls, frameworks and crosswalks: models only."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import Basis, Record


class Strength(StrEnum):
    """How a row of the register can be shown."""

    AUTOMATIC = "automatic"
    """Measured evidence alone can show it."""
    ASSISTED = "assisted"
    """The tool gathers a part; a person adds a statement or document."""
    ATTESTED = "attested"
    """Only a person's statement or document shows it."""


class Requirement(Record):
    """One thing that must be on file for a row to be satisfied. All requirements of a row must hold."""

    id: str = ""
    """Short name inside the row, e.g. ``rules_met``."""
    what: str
    """What is asked for, in plain words, completing 'needs ...'."""
    evidence: tuple[str, ...]
    """Kinds of evidence, any of which serves."""
    check: str = "EV001"
    """Id of the check that judges it."""
    accepts: tuple[Basis, ...] = (Basis.MEASURED, Basis.REPORTED)
    where: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Narrows the evidence (``topic: ai_policy``, ``role: training``), or gives the check its arguments."""
    remedy: str
    """What to do when it is missing: the call or command."""
    freshness: str | None = None
    """Name of a freshness profile, where this part ages otherwise than the row (a yearly plan, weekly telemetry)."""


class Row(Record):
    """A clause or control of the register."""

    id: str
    title: str
    kind: Literal["clause", "control"]
    group: str
    """Id of the clause or objective it stands under."""
    summary: str
    """What it asks, in our own words."""
    strength: Strength
    freshness: str
    """Name of a freshness profile."""
    pdca: Literal["plan", "do", "check", "act"] | None = None
    requires: tuple[Requirement, ...] = Field(min_length=1)
    record: str | None = None
    """The documented information it asks for."""
    lifecycle_stage: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


class FreshnessProfile(Record):
    """How long evidence serves."""

    id: str
    max_age_days: int | None = None
    """Null: bound to the version or event, not to a number of days."""
    rule: str
    invalidated_by: tuple[str, ...] = ()


class EvidenceKind(Record):
    """A kind of evidence the register speaks of."""

    id: str
    what: str
    basis: Basis


class Topic(Record):
    """What a person's statement can be about: a record type of the management system."""

    id: str
    title: str


class Framework(Record):
    """A set of rows: ISO/IEC 42001, or the user's own."""

    id: str
    title: str
    version: str
    groups: dict[str, str] = Field(default_factory=dict)
    """Group id to title."""
    rows: tuple[Row, ...]


class CrosswalkEntry(Record):
    """Requirements of another framework that the same evidence supports."""

    row: str
    refs: dict[Literal["high", "medium", "low"], tuple[str, ...]]
    """Confidence to references."""


class Crosswalk(Record):
    """From our rows to another framework's requirements."""

    id: str
    title: str
    source: str
    note: str = ""
    entries: tuple[CrosswalkEntry, ...]
