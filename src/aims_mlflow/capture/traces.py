"""A window of traces as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.config import PrivacyPolicy, TracePolicy
from aims_mlflow.evidence import Interval, MetricResult, Subject, Threshold, TraceWindow, Verdict, WindowRef
from aims_mlflow.measure.limits import overall, thresholds_of
from aims_mlflow.measure.traces import TraceCounter, results

LEAST_COVERAGE = 0.95
"""Share of the requests that must be traced where ``aims.yaml`` sets no limit of its own for ``coverage``."""

METHOD = (
    "MLflow traces that began in the window, counted one by one. Rates with Wilson (1927) intervals, means with "
    "Student's, percentiles by order statistics."
)


@dataclass(frozen=True)
class Kept:
    """What is still there of the traces, and what should be."""

    oldest: datetime | None
    """The oldest trace the experiment still holds."""
    since: datetime | None = None
    """End of the earliest window, of those whose traces must still be kept, that is on record with traces in it."""


def trace_evidence(
    counter: TraceCounter,
    window: WindowRef,
    *,
    policy: TracePolicy,
    privacy: PrivacyPolicy,
    subject: Subject,
    at: datetime,
    kept: Kept,
    requests: int | None = None,
    others: int = 0,
    unbound: int = 0,
    source: str = "aims.yaml",
) -> TraceWindow:
    """What the traces of a window show.

    Args:
        counter: The traces, counted.
        window: The window.
        policy: Limits, expected requests, retention.
        privacy: The smallest count that is written of a part of the window.
        subject: The system and version.
        at: When it was counted.
        kept: What is still there of the traces.
        requests: Requests there were in truth (from the gateway, say); the policy's expectation where None.
        others: Traces of the window that name another version: not counted.
        unbound: Counted traces that name no version.
        source: Where the limits come from.
    """
    metrics = list(results(counter.estimates(), {k: v for k, v in policy.limits.items() if k != "coverage"}))
    expected = requests if requests is not None else policy.expected
    coverage = None if expected is None else counter.traces / expected if expected else 1.0
    if expected is not None:
        metrics.append(_coverage(coverage or 0.0, expected, policy))
    metrics.append(_retention(kept, policy, window))
    thresholds = [t for name, limit in sorted(policy.limits.items()) for t in thresholds_of(name, limit, source)]
    if expected is not None and "coverage" not in policy.limits:
        thresholds.append(Threshold(name="coverage", op=">=", value=LEAST_COVERAGE, source="default"))
    thresholds.append(Threshold(name="kept_days", op=">=", value=policy.keep_days, source=source))
    verdict, reason = _verdict(counter, metrics)
    cell = privacy.smallest_cell
    return TraceWindow(
        collector=COLLECTOR,
        captured_at=at,
        subject=subject,
        method=METHOD,
        parameters={
            "guardrails": list(policy.guardrails),
            "of_other_versions": others,
            "naming_no_version": unbound,
            "unrated": dict(sorted(counter.unrated.items())),
            "keep_days": policy.keep_days,
        },
        thresholds=tuple(thresholds),
        numbers={**counter.totals(), **({} if coverage is None else {"coverage": coverage})},
        verdict=verdict,
        reason=reason,
        window=window,
        traces=counter.traces,
        errors=counter.errors,
        open=counter.open,
        expected=expected,
        coverage=coverage,
        oldest=kept.oldest,
        by_version={name: n for name, n in sorted(counter.by_version.items()) if n >= cell},
        metrics=tuple(metrics),
    )


def _coverage(coverage: float, expected: int, policy: TracePolicy) -> MetricResult:
    limit = policy.limits.get("coverage")
    least = limit.min if limit is not None and limit.min is not None else LEAST_COVERAGE
    met = coverage >= least
    return MetricResult(
        name="coverage",
        estimate=Interval(value=coverage, low=coverage, high=coverage),
        n=expected,
        threshold=least,
        direction="higher_is_better",
        verdict=Verdict.PASS if met else Verdict.FAIL,
        reason=f"{coverage:.1%} of {expected} requests left a trace"
        + ("." if met else f", {least:.0%} are asked for."),
    )


def _retention(kept: Kept, policy: TracePolicy, window: WindowRef) -> MetricResult:
    """Whether what must still be kept is there (AI Act Art. 12 and 19)."""
    days = None if kept.oldest is None else (window.end - kept.oldest) / timedelta(days=1)
    if kept.since is None:
        verdict, reason = Verdict.RECORDED, "No earlier window with traces is on record: nothing could have gone yet."
    elif kept.oldest is None or kept.oldest >= kept.since:
        verdict = Verdict.FAIL
        reason = (
            f"Traces from before {kept.since:%Y-%m-%d %H:%M} UTC are gone; they must be kept {policy.keep_days} days."
        )
    else:
        verdict, reason = Verdict.PASS, f"Traces reach back to {kept.oldest:%Y-%m-%d}, as far as they must."
    return MetricResult(
        name="kept_days",
        estimate=Interval(value=days, low=days, high=days),
        threshold=float(policy.keep_days),
        direction="higher_is_better",
        verdict=verdict,
        reason=reason,
    )


def _verdict(counter: TraceCounter, metrics: list[MetricResult]) -> tuple[Verdict, str]:
    counts = f"{counter.traces} traces, {counter.errors} with an error"
    failed = [m for m in metrics if m.verdict is Verdict.FAIL]
    if not counter.traces:
        why = "no trace in the window: nobody used it, or logging was off"
        return (Verdict.FAIL if failed else Verdict.NOT_TESTED), f"{why}{_named(failed)}."
    found = overall(m.verdict for m in metrics)
    worst = [m for m in metrics if m.verdict is found and found not in {Verdict.PASS, Verdict.RECORDED}]
    return found, f"{counts}{_named(worst)}."


def _named(metrics: list[MetricResult]) -> str:
    return "".join(f"; {m.name}: {m.reason.rstrip('.')}" for m in metrics[:3])
