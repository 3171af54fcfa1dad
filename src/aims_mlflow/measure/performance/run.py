"""Performance measured: targets and predictions in, everything ``PerformanceEvidence`` needs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from aims_mlflow.config.models import PerformancePolicy, PrivacyPolicy
from aims_mlflow.evidence.base import Interval, Threshold, Tool, Verdict
from aims_mlflow.evidence.model_quality import Comparison, MetricResult
from aims_mlflow.measure import intervals
from aims_mlflow.measure.limits import is_limited, judge, overall, thresholds_of, unknown_name
from aims_mlflow.measure.outcomes import (
    Labelled,
    Measured,
    Task,
    read_outcomes,
    read_scores,
    told_dropped,
    told_rows,
)
from aims_mlflow.measure.performance import metrics as computed
from aims_mlflow.measure.performance.comparison import compare
from aims_mlflow.measure.performance.metrics import DIRECTIONS, METRICS, Found, canonical_metric

VERSION = "1"
_METHOD = (
    "Metrics by their usual definitions (scikit-learn's), each with a confidence interval from counts or moments, no "
    "bootstrap; the interval's own method names its source. Rows left out: 1 to {cell} are told as {cell}."
)


@dataclass(frozen=True)
class PerformancePayload:
    """What a measurement of performance yields; the fields of ``PerformanceEvidence`` that are its own."""

    task: Literal["classification", "multiclass", "regression", "unknown"]
    metrics: tuple[MetricResult, ...]
    comparisons: tuple[Comparison, ...]
    rows: int | None
    dropped: int
    verdict: Verdict
    reason: str
    numbers: dict[str, float | None]
    thresholds: tuple[Threshold, ...]
    method: str
    parameters: dict[str, Any]
    engine: Tool

    def as_fields(self) -> dict[str, Any]:
        """The payload as keyword arguments of ``PerformanceEvidence``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def measure_performance(
    y_true: Any,
    y_pred: Any,
    *,
    policy: PerformancePolicy,
    y_proba: Any = None,
    task: str | None = None,
    positive_label: Any = None,
    baseline: tuple[str, Mapping[str, float]] | None = None,
    baseline_rows: Mapping[str, int] | None = None,
    privacy: PrivacyPolicy | None = None,
    unknown: Literal["error", "not_tested"] = "error",
    source: str = "argument",
) -> PerformancePayload:
    """Measure predictions against the truth and hold every metric against its limit.

    A metric with its number of rows tells how many predictions were wrong, be they few: a nearly perfect model could
    not be told otherwise. That count is about the whole test set and no attribute of a person in a sensitive group;
    rates of groups, where it is, are withheld by the measurement of fairness. A metric on fewer rows than the smallest
    cell is not told. Few rows left out are rounded up to the smallest cell, and whoever knows how many rows the data
    has can still work out how many from the intervals.

    Args:
        y_true: Targets, one column of n values. Rows without target or prediction are left out and counted.
        y_pred: Predictions, n values.
        policy: Limits by metric, task, confidence, and how much worse than the baseline a metric may be.
        y_proba: Scores of the positive class, n values, or n x labels in the order of the sorted labels.
        task: Overrides the policy's.
        positive_label: The label that counts as positive; the greater of two where None.
        baseline: Name and metrics of the champion.
        baseline_rows: Rows behind the champion's metrics, where known.
        privacy: The smallest number of rows a metric may be told of.
        unknown: What a limit on a metric not computed here means: ``error`` refuses it; ``not_tested`` lists it as
            such and leaves it to the record of metrics logged to MLflow.
        source: Where the limits come from, for the record.

    Raises:
        InputError: lengths differ, labels cannot be compared, the task or positive label is unknown, or a limit names
            an unknown metric while ``unknown`` is ``error``.
    """
    foreign = [name for name in policy.metrics if canonical_metric(name) is None]
    if foreign and unknown == "error":
        raise unknown_name(foreign[0], METRICS, "metric", "performance.metrics")
    privacy = privacy or PrivacyPolicy()
    asked = task or policy.task
    pair = read_outcomes(y_true, y_pred, task=asked, positive_label=positive_label)
    rows = int(pair.present.sum())
    named, found = _measure(pair, y_proba, asked, policy.confidence)
    results = _results(named, found, policy, privacy.smallest_cell, len(pair.true))
    comparisons = () if baseline is None else _comparisons(results, baseline, baseline_rows, policy)
    notes = [f"{len(foreign)} further limits are for metrics not computed here ({_few(foreign)})"] if foreign else []
    if baseline is not None and not comparisons:
        notes.append(f"no metric can be compared with the baseline {baseline[0]}")
    verdict = _verdict(results, comparisons, policy, rows, baseline is not None)
    return PerformancePayload(
        task=named,
        metrics=results,
        comparisons=comparisons,
        rows=rows if told_rows(rows, len(pair.true), privacy.smallest_cell) else None,
        dropped=told_dropped(len(pair.true) - rows, privacy.smallest_cell),
        verdict=verdict,
        reason=_reason(verdict, results, comparisons, policy, rows, notes),
        numbers=_numbers(results),
        thresholds=_thresholds(policy, baseline is not None, source),
        method=_METHOD.format(cell=privacy.smallest_cell),
        parameters={
            "task": asked,
            "confidence": policy.confidence,
            "require_certain": policy.require_certain,
            "smallest_cell": privacy.smallest_cell,
            "probabilities": y_proba is not None,
        },
        engine=Tool(name="aims-mlflow performance", version=VERSION),
    )


def _measure(pair: Labelled | Measured, y_proba: Any, asked: str, level: float) -> tuple[Task, dict[str, Found]]:
    if isinstance(pair, Measured):
        return "regression", computed.regression(pair, level)
    scores = None if y_proba is None else read_scores(y_proba, pair)
    if pair.binary and asked != "multiclass":
        return "classification", computed.binary(pair, scores, level)
    return "multiclass", computed.multiclass(pair, scores, level)


def _results(
    task: Task, found: Mapping[str, Found], policy: PerformancePolicy, smallest: int, rows: int
) -> tuple[MetricResult, ...]:
    """One result a metric, under the name its limit is declared by; then the limits no metric stands for."""
    declared: dict[str, list[str]] = {}
    for name in policy.metrics:
        declared.setdefault(canonical_metric(name) or name, []).append(name)
    out = [
        _result(name, metric, own, policy, smallest, rows)
        for own, metric in found.items()
        if own in declared or metric.why != computed.NO_SCORES
        for name in declared.get(own, [own])
    ]
    for own, names in declared.items():
        if own not in found:
            why = f"It is no metric of a {task} task." if own in DIRECTIONS else "It is not computed here."
            nothing = Found(intervals.undefined(policy.confidence), 0, why)
            out += [_result(name, nothing, own, policy, smallest, rows) for name in names]
    return tuple(out)


def _result(name: str, metric: Found, own: str, policy: PerformancePolicy, smallest: int, rows: int) -> MetricResult:
    estimate, why = metric.estimate, metric.why
    if 0 < metric.n < smallest and estimate.value is not None:
        estimate = intervals.undefined(estimate.level, estimate.method)
        why = f"It stands on fewer than {smallest} rows and is not told."
    found = judge(
        estimate, policy.metrics.get(name), certain=policy.require_certain, direction=DIRECTIONS.get(own), why=why
    )
    return MetricResult(
        name=name,
        estimate=estimate,
        n=metric.n if told_rows(metric.n, rows, smallest) else None,
        threshold=found.threshold,
        direction=found.direction,
        verdict=found.verdict,
        reason=found.reason,
    )


def _comparisons(
    results: tuple[MetricResult, ...],
    baseline: tuple[str, Mapping[str, float]],
    rows: Mapping[str, int] | None,
    policy: PerformancePolicy,
) -> tuple[Comparison, ...]:
    return compare(
        results,
        baseline[1],
        baseline_ref=baseline[0],
        max_loss=policy.max_loss,
        baseline_rows=rows,
        confidence=policy.confidence,
        certain=policy.require_certain,
    )


def _verdict(
    results: tuple[MetricResult, ...],
    comparisons: tuple[Comparison, ...],
    policy: PerformancePolicy,
    rows: int,
    compared: bool,
) -> Verdict:
    if rows == 0:
        return Verdict.NOT_TESTED
    limited = [r for r in results if is_limited(policy.metrics.get(r.name))]
    ours = [r.verdict for r in limited if canonical_metric(r.name) is not None]
    judged = ours + [c.verdict for c in comparisons]
    if limited and not ours:
        judged.append(Verdict.NOT_TESTED)
    if compared and not comparisons:
        judged.append(Verdict.NOT_TESTED)
    return overall(judged)


def _reason(
    verdict: Verdict,
    results: tuple[MetricResult, ...],
    comparisons: tuple[Comparison, ...],
    policy: PerformancePolicy,
    rows: int,
    notes: list[str],
) -> str:
    limited = [r for r in results if is_limited(policy.metrics.get(r.name)) and canonical_metric(r.name) is not None]
    blamed = [r.name for r in limited if r.verdict is verdict]
    blamed += [f"{c.metric} against {c.baseline_ref}" for c in comparisons if c.verdict is verdict]
    level = f"with {policy.confidence:.0%} confidence" if policy.require_certain else "by the values alone"
    total = len(limited) + len(comparisons)
    match verdict:
        case Verdict.FAIL:
            told = f"Beyond the limit {level}: {_few(blamed)}"
        case Verdict.UNCERTAIN:
            told = f"The interval straddles the limit: {_few(blamed)}"
        case Verdict.NOT_TESTED:
            nothing = "No row has both a target and a prediction" if rows == 0 else "Not every limit could be tested"
            told = f"{nothing}: {_few(blamed)}" if blamed and rows else nothing
        case Verdict.PASS:
            told = f"All {total} limits are met {level}" if total > 1 else f"The limit is met {level}"
        case _:
            told = "Recorded: no limit is set"
    return f"{'; '.join([told, *notes])}."


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _numbers(results: tuple[MetricResult, ...]) -> dict[str, float | None]:
    return {result.name: result.estimate.value for result in results if result.estimate.value is not None}


def _thresholds(policy: PerformancePolicy, compared: bool, source: str) -> tuple[Threshold, ...]:
    found = [t for name, limit in policy.metrics.items() for t in thresholds_of(name, limit, source)]
    if compared:
        origin = source if "max_loss" in policy.model_fields_set else "default"
        found.append(Threshold(name="loss against the baseline", op="<=", value=policy.max_loss, source=origin))
    return tuple(found)


def judge_logged_metrics(
    metrics: Mapping[str, float],
    policy: PerformancePolicy,
    rows: int | None = None,
    *,
    baseline: tuple[str, Mapping[str, float]] | None = None,
    source: str = "argument",
) -> PerformancePayload:
    """Hold metrics the caller logged to MLflow against their limits, by the value alone: their rows are not known here.

    A limit on a metric that was not logged is not spoken to, another record may; the verdict is ``not_tested`` where
    limits are declared and no metric of theirs was logged.

    Args:
        metrics: Metric name to value, as logged.
        policy: The limits.
        rows: Rows they were measured on, if the caller knows.
        baseline: Name and metrics of the champion.
        source: Where the limits come from, for the record.
    """
    results = tuple(_logged(name, value, policy, rows) for name, value in sorted(metrics.items()))
    comparisons = () if baseline is None else _comparisons(results, baseline, None, policy)
    limited = [r for r in results if is_limited(policy.metrics.get(r.name))]
    absent = [name for name, limit in policy.metrics.items() if is_limited(limit) and name not in metrics]
    judged = [r.verdict for r in limited] + [c.verdict for c in comparisons]
    if (absent and not limited) or (baseline is not None and not comparisons):
        judged.append(Verdict.NOT_TESTED)
    verdict = overall(judged)
    return PerformancePayload(
        task="unknown",
        metrics=results,
        comparisons=comparisons,
        rows=rows,
        dropped=0,
        verdict=verdict,
        reason=_logged_reason(verdict, limited, comparisons, absent),
        numbers=_numbers(results),
        thresholds=_thresholds(policy, baseline is not None, source),
        method="Metrics as the caller logged them to MLflow, judged by their values; their uncertainty is unknown.",
        parameters={"require_certain": False, "not_logged": absent},
        engine=Tool(name="aims-mlflow performance", version=VERSION),
    )


def _logged(name: str, value: float, policy: PerformancePolicy, rows: int | None) -> MetricResult:
    estimate = Interval(value=value, level=policy.confidence, method="as logged; its uncertainty is unknown")
    own = canonical_metric(name)
    direction = DIRECTIONS.get(own) if own else None
    found = judge(
        estimate, policy.metrics.get(name), certain=False, direction=direction, why="The logged value is not finite."
    )
    note = " Its interval is unknown." if found.verdict in (Verdict.PASS, Verdict.FAIL) else ""
    return MetricResult(
        name=name,
        estimate=estimate,
        n=rows,
        threshold=found.threshold,
        direction=found.direction,
        verdict=found.verdict,
        reason=f"{found.reason}{note}",
        origin="mlflow",
    )


def _logged_reason(
    verdict: Verdict, limited: list[MetricResult], comparisons: tuple[Comparison, ...], absent: list[str]
) -> str:
    blamed = [r.name for r in limited if r.verdict is verdict]
    blamed += [f"{c.metric} against {c.baseline_ref}" for c in comparisons if c.verdict is verdict]
    match verdict:
        case Verdict.FAIL:
            told = f"Logged values beyond the limit: {_few(blamed)}"
        case Verdict.PASS:
            told = f"Logged values within the limit: {_few(blamed)}; their intervals are unknown"
        case Verdict.NOT_TESTED | Verdict.UNCERTAIN:
            told = f"Not every limit could be tested: {_few(blamed)}" if blamed else "No metric with a limit was logged"
        case _:
            told = "Recorded as logged: no limit is set"
    more = f"; not logged: {_few(absent)}" if absent else ""
    return f"{told}{more}."
