"""Evidence held against the limits that ``aims.yaml`` declares now, where it was judged by others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aims_mlflow.assessment import Outcome
from aims_mlflow.checks.case import Item
from aims_mlflow.checks.judging import Judgement, by_verdict
from aims_mlflow.checks.keys import AGAINST_BASELINE
from aims_mlflow.config.models import FairnessPolicy, PerformancePolicy
from aims_mlflow.config.sections import MetricLimit
from aims_mlflow.evidence import EvidenceBase, FairnessEvidence, Interval, PerformanceEvidence, Verdict
from aims_mlflow.measure.limits import is_limited, judge, overall

OTHER_LIMIT = "judged by another limit than aims.yaml declares now"

_OUTCOME = {
    Verdict.FAIL: Outcome.FAIL,
    Verdict.UNCERTAIN: Outcome.UNCERTAIN,
    Verdict.NOT_TESTED: Outcome.MISSING,
    Verdict.PASS: Outcome.PASS,
    Verdict.RECORDED: Outcome.MISSING,
}


@dataclass(frozen=True)
class Line:
    """One metric or gap of a record, by the limit declared now."""

    name: str
    before: Verdict
    """What the record says."""
    verdict: Verdict
    """What counts."""
    reason: str = ""
    """Why, where it was judged anew; empty where the record's own verdict stands."""


def performance_lines(record: PerformanceEvidence, policy: PerformancePolicy) -> list[Line]:
    """The metrics of a record by the limits in force."""
    return [
        _line(
            m.name, m.estimate, m.verdict, _own_limit(record, m.name, m.threshold, m.direction, policy.metrics), policy,
            record,
        )
        for m in record.metrics
    ]  # fmt: skip


def fairness_lines(record: FairnessEvidence, policy: FairnessPolicy) -> list[Line]:
    """The gaps of a record by the limits in force."""
    lines = []
    for gap in record.disparities:
        name = f"{gap.metric}_{gap.statistic}"
        better = "higher_is_better" if gap.statistic == "ratio" else "lower_is_better"
        own = _own_limit(record, name, gap.threshold, better, policy.metrics)
        line = _line(name, gap.estimate, gap.verdict, own, policy, record)
        if own is None and line.verdict is Verdict.PASS:
            # Whether the rates of all groups were defined is told only where a limit was set.
            line = Line(name, gap.verdict, gap.verdict)
        lines.append(line)
    return lines


def judge_lines(item: Item, lines: Sequence[Line], further: Sequence[Verdict] = ()) -> Judgement:
    """The record's verdict where no line was judged anew, else the worst of what counts now.

    Args:
        item: The record.
        lines: Its metrics or gaps.
        further: Verdicts of its that no declared limit bears on.
    """
    anew = [line for line in lines if line.reason]
    if not anew:
        return by_verdict(item)
    said = item.record.verdict
    standing = [line.verdict for line in lines if not line.reason] + list(further)
    explained = any(line.before is said for line in anew) and said not in standing
    counted = [line.verdict for line in anew] + [v for v in standing if v in (Verdict.FAIL, Verdict.UNCERTAIN)]
    if said not in (Verdict.PASS, Verdict.RECORDED) and not explained:
        counted.append(said)
    verdict = overall(counted)
    blamed = [line for line in anew if line.verdict is verdict]
    if not blamed:
        return _OUTCOME[verdict], by_verdict(item)[1]
    more = f" (and {len(blamed) - 1} more)" if len(blamed) > 1 else ""
    return _OUTCOME[verdict], f"{blamed[0].reason}{more}"


def is_loss_laxer(record: PerformanceEvidence, policy: PerformancePolicy) -> bool:
    """Whether it was compared with a baseline by a greater loss than is allowed now."""
    allowed = [t.value for t in record.thresholds if t.name == AGAINST_BASELINE]
    return any(isinstance(value, int | float) and value > policy.max_loss for value in allowed)


def _own_limit(
    record: EvidenceBase, name: str, threshold: float | None, better: str | None, declared: Mapping[str, MetricLimit]
) -> MetricLimit | None:
    """The limit the record judged by: as it lists it, else the one that decided."""
    listed = {t.op: t.value for t in record.thresholds if t.name == name and t.op in (">=", "<=")}
    if listed:
        return MetricLimit(min=listed.get(">="), max=listed.get("<="))
    if threshold is None:
        return None
    if better is None:
        now = declared.get(name)
        better = "lower_is_better" if now is not None and now.min is None else "higher_is_better"
    return MetricLimit(min=threshold) if better == "higher_is_better" else MetricLimit(max=threshold)


def _line(
    name: str,
    estimate: Interval,
    said: Verdict,
    own: MetricLimit | None,
    policy: PerformancePolicy | FairnessPolicy,
    record: EvidenceBase,
) -> Line:
    declared = policy.metrics.get(name)
    if declared is None or not is_limited(declared):
        return Line(name, said, said)
    # Without an interval, as with metrics logged to MLflow, the value alone decides.
    ranged = estimate.low is not None or estimate.high is not None
    was_certain = bool(record.parameters.get("require_certain", policy.require_certain))
    laxer = ranged and policy.require_certain and (not was_certain or estimate.level < policy.confidence)
    if own == declared and not laxer:
        return Line(name, said, said)
    found = judge(estimate, declared, certain=policy.require_certain and ranged, direction=None)
    verdict, why = found.verdict, found.reason
    if verdict is Verdict.PASS and laxer and estimate.level < policy.confidence:
        verdict = Verdict.UNCERTAIN
        why = f"Its interval has {estimate.level:.0%} confidence, and {policy.confidence:.0%} is asked for."
    if own is not None:
        by_own = judge(estimate, own, certain=was_certain and ranged, direction=None).verdict
        if overall([by_own, said]) is not by_own:  # the record had a reason beyond its limit to be stricter
            verdict = overall([verdict, said])
    limits = f"{OTHER_LIMIT}; by that one" if own is not None else "by the limit aims.yaml declares now"
    return Line(name, said, verdict, f"{name} was {limits}: {why[:1].lower()}{why[1:].rstrip('.')}")
