"""Incidents and nonconformities (A.8.4, 10.2, EU AI Act Art. 73): what happened, its clocks, and what was done."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import Record, Sha256, UtcTime


class AffectedVersion(Record):
    """A registered version that took part."""

    registered_name: str
    version: str
    model_sha256: Sha256 | None = None


class Notice(Record):
    """Who was told, and when."""

    to: Literal["authority", "users", "provider", "persons affected", "management"]
    at: UtcTime
    kind: Literal["initial", "intermediate", "final"] = "initial"
    reference: str | None = None


class EffectivenessCheck(Record):
    """Whether the corrective action worked."""

    at: UtcTime
    by: str
    effective: bool
    how: str


class CorrectiveAction(Record):
    """What is done so that it does not come back."""

    what: str
    owner: str
    due: UtcTime
    done_at: UtcTime | None = None


class IncidentContent(Record):
    """One incident; each update is a revision that holds it whole."""

    title: str = Field(min_length=1)
    severity: Literal["minor", "major", "serious"]
    """``serious`` in the sense of Art. 3(49); it blocks guarded moves of the system until it is closed."""
    harm: Literal[
        "none", "health", "death", "critical infrastructure", "fundamental rights", "property or environment"
    ] = "none"
    widespread: bool = False
    occurred_at: UtcTime | None = None
    aware_at: UtcTime
    """When the organization became aware: the clocks of Art. 73 run from here."""
    affected: tuple[AffectedVersion, ...] = ()
    evidence: tuple[Sha256, ...] = ()
    """Digests of the evidence as it stood at opening."""
    status: Literal["open", "contained", "closed"] = "open"
    notices: tuple[Notice, ...] = ()
    correction: str | None = None
    cause: str | None = None
    actions: tuple[CorrectiveAction, ...] = ()
    effectiveness: EffectivenessCheck | None = None
    opened_by: str | None = None
    """Rule that opened it by itself; null where a person did."""
    log: tuple[str, ...] = ()
    """What was noted at each update, oldest first."""


class NonconformityContent(Record):
    """A requirement that was not met."""

    title: str = Field(min_length=1)
    rows: tuple[str, ...]
    """Clauses and controls that were not met."""
    grade: Literal["major", "minor", "opportunity"] = "minor"
    found_by: Literal["internal audit", "external audit", "monitoring", "management review", "other"] = "other"
    found_at: UtcTime
    correction: str | None = None
    cause: str | None = None
    actions: tuple[CorrectiveAction, ...] = ()
    effectiveness: EffectivenessCheck | None = None
    status: Literal["open", "closed"] = "open"
    opened_by: str | None = None


class LogReview(Record):
    """Somebody looked through the log of incidents or nonconformities: an empty log nobody looks at shows nothing."""

    statement: str = Field(min_length=1)
    """What was looked at, and found."""
