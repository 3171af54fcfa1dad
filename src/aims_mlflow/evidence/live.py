"""Evidence of live operation: windows, the reference they are held against, estimates, traces."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import DatasetRef, EvidenceBase, Number, Record, Sha256, UtcTime
from aims_mlflow.evidence.model_quality import MetricResult


class ReferenceProfile(EvidenceBase):
    """A dataset in mergeable summaries, so that live data can be held against it without access to its rows."""

    kind: Literal["reference_profile"] = "reference_profile"
    dataset: DatasetRef
    profile_sha256: Sha256
    """Over the profile's bytes; evidence of drift names it as its reference."""
    profile: str
    """The profile itself: base64 of its bytes."""
    rows: int
    columns: tuple[str, ...] = ()


class WindowRef(Record):
    """A span of time, its end not included."""

    start: UtcTime
    end: UtcTime


class AlarmState(Record):
    """How a rule stands after a window."""

    rule: str
    number: str
    state: Literal["quiet", "breached", "alarm", "recovering", "unknown"]
    """``breached``: not yet enough windows in a row; ``recovering``: an alarm whose number is back, not long enough;
    ``unknown``: the number could not be had, which never ends an alarm."""
    value: Number = None
    low: Number = None
    high: Number = None
    limit: Number = None
    episode: str | None = None
    """Name of the alarm's episode, ``<rule>@<start of its first window>``; null while there is none."""
    since: UtcTime | None = None
    """Start of the episode's first window."""
    reason: str = ""


class MonitoringWindow(EvidenceBase):
    """One window of live use: what was expected, what came, what was measured, which alarms stand."""

    kind: Literal["monitoring_window"] = "monitoring_window"
    window: WindowRef
    length_seconds: int
    expected_from: UtcTime | None = None
    """Start of the first window that was expected of the version."""
    missing: tuple[WindowRef, ...] = ()
    """Windows before this one that never came; at most the latest 50."""
    missing_count: int = 0
    rows: int | None = None
    parts: int = 1
    """Replicas' parts or batches it was put together from."""
    late_rows: int = 0
    """Rows dated outside the window: counted, left to their own."""
    labels: dict[str, int] = Field(default_factory=dict)
    """Counts of the join with labels: ``matched``, ``unmatched``, ``duplicate``, ``unknown``."""
    profile_sha256: Sha256 | None = None
    reference_sha256: Sha256 | None = None
    """Digest of the reference profile it was held against."""
    measured: dict[str, str] = Field(default_factory=dict)
    """Digest of each record of the window to its kind."""
    alarms: tuple[AlarmState, ...] = ()


class EstimatedPerformance(EvidenceBase):
    """Performance estimated before labels arrive: an estimate, never a measurement of what was right."""

    kind: Literal["estimated_performance"] = "estimated_performance"
    task: Literal["classification", "multiclass"]
    dataset: DatasetRef | None = None
    metrics: tuple[MetricResult, ...] = ()
    rows: int | None = None
    calibrated_on: Sha256 | None = None
    """Digest of the profile whose calibration was used."""
    assumptions: tuple[str, ...] = ()


class TraceWindow(EvidenceBase):
    """Traces of a window, counted: no text of any of them."""

    kind: Literal["trace_window"] = "trace_window"
    window: WindowRef
    traces: int
    errors: int
    open: int = 0
    """Traces without an end."""
    expected: int | None = None
    coverage: Number = None
    """Traces over requests expected; null where nobody said how many."""
    oldest: UtcTime | None = None
    """Moment of the oldest trace still kept."""
    by_version: dict[str, int] = Field(default_factory=dict)
    """Version of model or prompt to traces."""
    metrics: tuple[MetricResult, ...] = ()
    """Rates and percentiles with their intervals."""
