"""The numbers of a window, read off its evidence: what MLflow charts and alarms are judged by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from math import isfinite

from aims_mlflow.evidence import (
    DataQualityEvidence,
    Disparity,
    DriftEvidence,
    EstimatedPerformance,
    EvidenceBase,
    FairnessEvidence,
    MetricResult,
    PerformanceEvidence,
    RuleVerdict,
    TraceWindow,
    Verdict,
)
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import Window

LOW, HIGH = ".low", ".high"
_LONGEST = 200
_SERIOUS = (None, "critical")


def metric_key(name: str) -> str:
    """The name of a number as MLflow takes it; one that had to be changed ends in a digest, so that none collide."""
    clean = re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)
    if clean != name or len(clean) > _LONGEST or ".." in clean or "//" in clean or clean.strip(" ./") != clean:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        clean = re.sub(r"[./ ]{2,}", "_", clean[:_LONGEST]).strip(" ./")
        clean = f"{clean}_{digest}"
    return clean


class _Numbers:
    """Name to value, with the ends of its interval where it has one."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.lows: dict[str, float] = {}
        self.highs: dict[str, float] = {}

    def add(self, name: str, value: float | None, low: float | None = None, high: float | None = None) -> None:
        for held, number in ((self.values, value), (self.lows, low), (self.highs, high)):
            if value is not None and number is not None and isfinite(number):
                held[name] = float(number)


def numbers_of(
    window: Window, evidence: Iterable[EvidenceBase], others: Mapping[str, float | None] | None = None
) -> WindowNumbers:
    """The numbers that the evidence of a window holds; what could not be measured is not among them.

    ``drift.drifted_share`` with what uncertain columns make it at least and at most, ``drift.column.<name>`` (the
    score), ``quality.failed`` (critical rules), ``performance.<metric>``, ``estimated.<metric>``,
    ``fairness.<disparity>`` (of the worst attribute) and ``fairness.<attribute>.<disparity>``, ``traces.<metric>``.

    Args:
        window: The window.
        evidence: Its records.
        others: Further numbers, such as ``rows``.
    """
    found = _Numbers()
    for name, value in (others or {}).items():
        found.add(name, value)
    for record in evidence:
        match record:
            case DriftEvidence():
                _drift(found, record)
            case DataQualityEvidence():
                _quality(found, record)
            case PerformanceEvidence():
                _metrics(found, "performance", record.metrics)
            case EstimatedPerformance():
                _metrics(found, "estimated", record.metrics)
            case FairnessEvidence():
                _fairness(found, record.disparities)
            case TraceWindow():
                found.add("traces.traces", record.traces)
                found.add("traces.errors", record.errors)
                found.add("traces.coverage", record.coverage)
                _metrics(found, "traces", record.metrics)
            case _:
                pass
    return WindowNumbers(window, found.values, found.lows, found.highs)


def _drift(found: _Numbers, record: DriftEvidence) -> None:
    if record.verdict is Verdict.NOT_TESTED:
        return
    if record.tested and record.drifted_share is not None:
        worst = record.numbers.get("worst_case_share")
        high = max(record.drifted_share, worst if worst is not None else record.drifted_share)
        found.add("drift.drifted_share", record.drifted_share, record.drifted_share, high)
        found.add("drift.drifted", record.drifted)
    for column in record.columns:
        if column.verdict is not Verdict.NOT_TESTED:
            found.add(f"drift.column.{column.column}", column.score, column.score_low, column.score_high)


def _quality(found: _Numbers, record: DataQualityEvidence) -> None:
    judged = [r for r in record.rules if r.severity in _SERIOUS]
    if record.verdict is Verdict.NOT_TESTED or not judged:
        return
    found.add("quality.failed", sum(r.verdict is RuleVerdict.FAIL for r in judged))
    found.add("quality.not_run", sum(r.verdict in (RuleVerdict.ERROR, RuleVerdict.UNKNOWN) for r in judged))


def _metrics(found: _Numbers, area: str, metrics: Iterable[MetricResult]) -> None:
    for metric in metrics:
        found.add(f"{area}.{metric.name}", metric.estimate.value, metric.estimate.low, metric.estimate.high)


def _fairness(found: _Numbers, disparities: Iterable[Disparity]) -> None:
    worst: dict[str, tuple[float, Disparity]] = {}
    for gap in disparities:
        value = gap.estimate.value
        if value is None:
            continue
        name = f"{gap.metric}_{gap.statistic}"
        found.add(f"fairness.{gap.attribute}.{name}", value, gap.estimate.low, gap.estimate.high)
        bad = -value if gap.statistic == "ratio" else abs(value)
        if name not in worst or bad > worst[name][0]:
            worst[name] = (bad, gap)
    for name, (_, gap) in worst.items():
        found.add(f"fairness.{name}", gap.estimate.value, gap.estimate.low, gap.estimate.high)
