"""Champion and challenger: metrics held against those of a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

from aims_mlflow.config.sections import MetricLimit
from aims_mlflow.evidence.base import Interval, Verdict
from aims_mlflow.evidence.model_quality import Comparison, MetricResult
from aims_mlflow.measure import intervals
from aims_mlflow.measure.limits import Direction, judge
from aims_mlflow.measure.performance.metrics import DIRECTIONS, canonical_metric

_SHARES = frozenset({"accuracy", "precision", "recall", "specificity"})
"""Metrics that are shares of independent rows, so that two of them have a difference with a score interval."""


def compare(
    metrics: Iterable[MetricResult],
    baseline: Mapping[str, float],
    *,
    baseline_ref: str,
    max_loss: float = 0.0,
    baseline_rows: Mapping[str, int] | None = None,
    confidence: float = 0.95,
    certain: bool = True,
) -> tuple[Comparison, ...]:
    """Every metric both sides have, this model less the baseline.

    Where the metric is a share and the rows behind both are known, the difference has Newcombe's interval and the
    verdict asks for it to be clear of the limit. Otherwise the interval is unknown and the values alone decide: the
    reason says so. The two are taken as measured on different rows; on the same rows the interval is wider than needed.

    Args:
        metrics: This model's metrics. Undefined ones and those without a better direction are left out.
        baseline: The baseline's metrics by name (ours, scikit-learn's or MLflow's).
        baseline_ref: The run, version or value compared with.
        max_loss: How much worse than the baseline a metric may be.
        baseline_rows: Metric name to the rows (the denominator) behind the baseline's value, where known.
        confidence: Level of the interval.
        certain: False: the values decide even where there is an interval.
    """
    known = {(canonical_metric(name) or name): float(value) for name, value in baseline.items()}
    rows = {(canonical_metric(name) or name): n for name, n in (baseline_rows or {}).items()}
    out: list[Comparison] = []
    seen: set[str] = set()
    for metric in metrics:
        own = canonical_metric(metric.name) or metric.name
        direction = DIRECTIONS.get(own, metric.direction)
        value = metric.estimate.value
        if value is None or direction is None or own in seen or not isfinite(known.get(own, float("nan"))):
            continue
        seen.add(own)
        change = _difference(own, metric, known[own], rows.get(own), confidence)
        out.append(_judged(metric.name, value, known[own], baseline_ref, change, direction, max_loss, certain))
    return tuple(out)


def _difference(name: str, metric: MetricResult, baseline: float, rows: int | None, level: float) -> Interval:
    value = metric.estimate.value or 0.0
    if name in _SHARES and rows and metric.n and 0 <= baseline <= 1:
        found = intervals.difference(value * metric.n, metric.n, baseline * rows, rows, level)
        return found.model_copy(update={"value": value - baseline})
    return Interval(value=value - baseline, level=level, method="difference of the values; its uncertainty is unknown")


def _judged(
    name: str,
    value: float,
    baseline: float,
    ref: str,
    change: Interval,
    direction: Direction,
    max_loss: float,
    certain: bool,
) -> Comparison:
    limit = MetricLimit(min=0.0 - max_loss) if direction == "higher_is_better" else MetricLimit(max=max_loss)
    has_interval = change.low is not None
    found = judge(change, limit, certain=certain and has_interval, direction=direction)
    told = {
        Verdict.PASS: f"It loses no more than the {max_loss:g} allowed.",
        Verdict.FAIL: f"It loses more than the {max_loss:g} allowed.",
        Verdict.UNCERTAIN: f"The interval straddles a loss of {max_loss:g}; more rows decide.",
    }
    note = "" if has_interval else " Judged by the values alone, the interval is unknown."
    return Comparison(
        metric=name,
        value=value,
        baseline=baseline,
        baseline_ref=ref,
        difference=change,
        threshold=found.threshold,
        verdict=found.verdict,
        reason=f"{told.get(found.verdict, found.reason)}{note}",
    )
