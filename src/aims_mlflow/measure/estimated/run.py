"""Performance estimated without labels: scores and a calibration in, what ``EstimatedPerformance`` needs out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from aims_mlflow.config.models import PerformancePolicy, PrivacyPolicy
from aims_mlflow.evidence.base import Interval, Threshold, Tool, Verdict
from aims_mlflow.evidence.model_quality import MetricResult
from aims_mlflow.measure.estimated.calibration import Calibration
from aims_mlflow.measure.estimated.draws import accuracy_only, binary_metrics
from aims_mlflow.measure.estimated.scores import ScoreCounts
from aims_mlflow.measure.intervals import Floats
from aims_mlflow.measure.limits import is_limited, judge, overall, thresholds_of
from aims_mlflow.measure.performance.metrics import DIRECTIONS, canonical_metric

VERSION = "1"
DRAWS = 1000
"""Sets of outcomes an interval is made of."""
METHOD = (
    "Confidence-based performance estimation: the calibrated score is the chance of a positive outcome, and each "
    "metric is computed from expected instead of observed outcomes (Bialek et al. 2024, 'Estimating Model Performance "
    "Under Covariate Shift Without Labels', arXiv:2401.08348; the use of confidence: Guillory et al. 2021, ICCV). "
    "Calibration: observed rates in bins of the score, made ascending, straight lines between. Interval: {draws:,} "
    "draws of the outcomes these rows may have (Poisson-binomial) under rates the calibration leaves possible "
    "(Jeffreys), seed 0: it is where the metric is expected to lie once labels are known."
)
_INTERVAL = f"percentiles of {DRAWS:,} draws: calibration (Jeffreys) and outcomes (Poisson-binomial)"


@dataclass(frozen=True)
class EstimatedPayload:
    """What an estimate yields; the fields of ``EstimatedPerformance`` that are its own."""

    task: Literal["classification", "multiclass"]
    metrics: tuple[MetricResult, ...]
    rows: int | None
    assumptions: tuple[str, ...]
    verdict: Verdict
    reason: str
    numbers: dict[str, float | None]
    thresholds: tuple[Threshold, ...]
    method: str
    parameters: dict[str, Any]
    engine: Tool

    def as_fields(self) -> dict[str, Any]:
        """The payload as keyword arguments of ``EstimatedPerformance``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def estimate_performance(
    scores: Any,
    calibration: Calibration,
    *,
    policy: PerformancePolicy,
    privacy: PrivacyPolicy | None = None,
    smallest: int = 100,
    source: str = "argument",
) -> EstimatedPayload:
    """Estimate how well a model performs on rows whose outcomes are not known yet.

    A limit is held against the estimate as against a measurement, with certainty where the policy asks for it. Limits
    on metrics that cannot be estimated are not spoken to: a measurement with labels does that.

    Args:
        scores: The rows' scores: of the positive class for two labels, of the predicted label for more. A Series, an
            array or a list of n values, a ``Column``, the column's summary from a ``Profile``, or ``ScoreCounts``.
        calibration: What such a score was worth on labelled data.
        policy: Limits by metric, confidence, and whether the interval must be clear of the limit.
        privacy: The smallest number of rows that may be told.
        smallest: Rows below which nothing is estimated.
        source: Where the limits come from, for the record.

    Raises:
        InputError: the scores are no numbers or leave 0 to 1.
    """
    points = ScoreCounts.read(scores, cut=calibration.cut)
    cell = (privacy or PrivacyPolicy()).smallest_cell
    rows = points.rows
    found = _estimates(points, calibration, policy.confidence) if rows >= max(smallest, cell, 1) else {}
    results = _results(found, policy, rows)
    limited = [result for result in results if is_limited(policy.metrics.get(result.name))]
    verdict = overall(result.verdict for result in limited) if found else Verdict.NOT_TESTED
    return EstimatedPayload(
        task=calibration.task,
        metrics=results,
        rows=rows if rows == 0 or rows >= cell else None,
        assumptions=_assumptions(calibration),
        verdict=verdict,
        reason=_reason(verdict, limited, smallest, found=bool(found)),
        numbers=_numbers(found),
        thresholds=tuple(t for name in policy.metrics for t in thresholds_of(name, policy.metrics[name], source)),
        method=METHOD.format(draws=DRAWS),
        parameters={
            "confidence": policy.confidence,
            "require_certain": policy.require_certain,
            "smallest_rows": smallest,
            "cut": calibration.cut,
            "calibration_rows": calibration.total,
            "calibration_bins": len(calibration.rows),
            "calibration_error": round(calibration.error, 9),
            "without_score": points.missing if points.missing == 0 or points.missing >= cell else cell,
        },
        engine=Tool(name="aims-mlflow estimate", version=VERSION),
    )


def _estimates(points: ScoreCounts, calibration: Calibration, level: float) -> dict[str, Interval]:
    generator = np.random.default_rng(0)
    chances = calibration.chances(points.values)
    counts = points.counts.astype(np.float64)
    drawn = calibration.drawn_chances(points.values, DRAWS, generator)
    hits = generator.binomial(points.counts, np.clip(drawn, 0.0, 1.0)).astype(np.float64)
    if calibration.cut is None:
        value = accuracy_only((counts * chances)[None, :], (counts * (1 - chances))[None, :])
        spread = accuracy_only(hits, counts - hits)
    else:
        above, straddling = points.above(calibration.cut)
        value = binary_metrics(points.values, above, (counts * chances)[None, :], (counts * (1 - chances))[None, :])
        # How many rows of a bin the cut lies in are over it is not known: any share is drawn.
        share = np.where(straddling, generator.random((DRAWS, 1)), above) if straddling.any() else above
        spread = binary_metrics(points.values, share, hits, counts - hits)
    return {name: _interval(float(value[name][0]), spread[name], level) for name in value}


def _interval(value: float, draws: Floats, level: float) -> Interval:
    known = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(known):
        return Interval(value=None, level=level, method=_INTERVAL)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        value=value, low=min(float(low), value), high=max(float(high), value), level=level, method=_INTERVAL
    )


def _results(found: dict[str, Interval], policy: PerformancePolicy, rows: int) -> tuple[MetricResult, ...]:
    """One result a metric, under the name its limit is declared by."""
    declared: dict[str, list[str]] = {}
    for name in policy.metrics:
        declared.setdefault(canonical_metric(name) or name, []).append(name)
    return tuple(
        _result(name, own, estimate, policy, rows)
        for own, estimate in found.items()
        if own in DIRECTIONS
        for name in declared.get(own, [own])
    )


def _result(name: str, own: str, estimate: Interval, policy: PerformancePolicy, rows: int) -> MetricResult:
    told = judge(
        estimate,
        policy.metrics.get(name),
        certain=policy.require_certain,
        direction=DIRECTIONS.get(own),
        why="No outcome these rows may have gives it a value.",
    )
    return MetricResult(
        name=name,
        estimate=estimate,
        n=rows,
        threshold=told.threshold,
        direction=told.direction,
        verdict=told.verdict,
        reason=f"Estimated: {told.reason[:1].lower()}{told.reason[1:]}",
        origin="estimated",
    )


def _numbers(found: dict[str, Interval]) -> dict[str, float | None]:
    return {name: estimate.value for name, estimate in found.items() if estimate.value is not None}


def _assumptions(calibration: Calibration) -> tuple[str, ...]:
    hit = "a positive outcome" if calibration.cut is not None else "a right prediction"
    told = [
        f"At a given score {hit} is as likely as it was in the calibration's data: there is no concept drift.",
        f"The calibration's {calibration.total:,} labelled rows were not used to train the model.",
        "Rows are independent of each other; where they are not, the interval is too narrow.",
    ]
    if calibration.cut is not None:
        told.append(f"Rows with a score of {calibration.cut:g} or more are predicted positive, all others negative.")
    return tuple(told)


def _reason(verdict: Verdict, limited: list[MetricResult], smallest: int, *, found: bool) -> str:
    if not found:
        return f"Fewer than {smallest} rows have a score: nothing is estimated."
    names = ", ".join(result.name for result in limited if result.verdict is verdict)
    match verdict:
        case Verdict.FAIL:
            told = f"Estimated to be beyond the limit: {names}"
        case Verdict.UNCERTAIN:
            told = f"The estimate's interval straddles the limit: {names}"
        case Verdict.NOT_TESTED:
            told = f"No value can be estimated: {names}"
        case Verdict.PASS:
            told = f"Estimated to be within the limit: {names}"
        case _:
            told = "Estimated and recorded: no limit is set for what can be estimated"
    return f"{told}. It is an estimate; labels decide."
