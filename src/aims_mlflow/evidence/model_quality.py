"""Evidence about how well, and for whom, a model works."""

from __future__ import annotations

from typing import Literal

from aims_mlflow.evidence.base import DatasetRef, EvidenceBase, Interval, Number, Record, Verdict


class MetricResult(Record):
    """One metric with its interval and limit."""

    name: str
    estimate: Interval
    n: int | None = None
    threshold: Number = None
    direction: Literal["higher_is_better", "lower_is_better"] | None = None
    verdict: Verdict
    reason: str = ""
    origin: str = "computed"
    """``computed`` here from targets and predictions, or ``mlflow`` where it is a metric logged to the run."""


class Comparison(Record):
    """A metric against a baseline or champion."""

    metric: str
    value: Number
    baseline: Number
    baseline_ref: str
    """The run, version or value it is compared with."""
    difference: Interval
    threshold: Number = None
    verdict: Verdict
    reason: str = ""


class PerformanceEvidence(EvidenceBase):
    """Metrics of a model on a dataset."""

    kind: Literal["performance"] = "performance"
    task: Literal["classification", "multiclass", "regression", "unknown"]
    dataset: DatasetRef | None = None
    metrics: tuple[MetricResult, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    rows: int | None = None
    dropped: int = 0
    """Rows left out because target or prediction was missing."""


class GroupResult(Record):
    """One group's metrics."""

    attribute: str
    group: str
    """The label where declared safe, a salted digest otherwise, ``missing`` for absent values."""
    n: int | None
    """Rows; null where fewer than the smallest cell."""
    judged: bool
    """False where the group is smaller than the minimum: counted, not judged."""
    metrics: dict[str, Interval]
    """Undefined rates are null, never 0."""


class Disparity(Record):
    """The gap between groups in one metric."""

    attribute: str
    metric: str
    statistic: Literal["difference", "ratio"]
    estimate: Interval
    lowest_group: str | None = None
    highest_group: str | None = None
    threshold: Number = None
    verdict: Verdict
    reason: str = ""


class FairnessEvidence(EvidenceBase):
    """Metrics by sensitive group and the gaps between groups."""

    kind: Literal["fairness"] = "fairness"
    task: Literal["classification", "multiclass", "regression", "unknown"]
    dataset: DatasetRef | None = None
    groups: tuple[GroupResult, ...] = ()
    disparities: tuple[Disparity, ...] = ()
    rows: int | None = None
    min_group_size: int
