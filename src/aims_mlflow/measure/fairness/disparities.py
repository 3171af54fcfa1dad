"""Gaps between groups: what they are called and how they are told with an interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from aims_mlflow.config.models import FairnessPolicy
from aims_mlflow.evidence.base import Interval
from aims_mlflow.measure import intervals
from aims_mlflow.measure.fairness.groups import GroupMetric
from aims_mlflow.measure.intervals import Estimates
from aims_mlflow.measure.limits import unknown_name
from aims_mlflow.measure.outcomes import Task

Statistic = Literal["difference", "ratio"]

RATES = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "true_negative_rate",
    "false_negative_rate",
    "accuracy",
    "precision",
)
MEANS = ("mean_error", "mae", "mean_prediction")
EQUALIZED_ODDS = "equalized_odds"

ALIASES: dict[str, str] = {
    "demographic_parity": "selection_rate",
    "disparate_impact": "selection_rate",
    "equal_opportunity": "true_positive_rate",
    "tpr": "true_positive_rate",
    "fpr": "false_positive_rate",
    "tnr": "true_negative_rate",
    "fnr": "false_negative_rate",
}
"""Names of the literature and of fairlearn for the same gaps."""

_METRICS = (*RATES, *MEANS, EQUALIZED_ODDS)

DISPARITIES: frozenset[str] = frozenset(
    f"{metric}_{statistic}" for metric in (*_METRICS, *ALIASES) for statistic in ("difference", "ratio")
)
"""Every name a limit may be set for."""

_ALWAYS: dict[bool, tuple[tuple[str, Statistic], ...]] = {
    False: (
        ("selection_rate", "difference"),
        ("selection_rate", "ratio"),
        ("true_positive_rate", "difference"),
        ("true_positive_rate", "ratio"),
        ("false_positive_rate", "difference"),
        ("false_positive_rate", "ratio"),
        (EQUALIZED_ODDS, "difference"),
        (EQUALIZED_ODDS, "ratio"),
        ("accuracy", "difference"),
    ),
    True: (("mean_error", "difference"), ("mae", "difference"), ("mae", "ratio")),
}


@dataclass(frozen=True)
class Wanted:
    """One gap to tell."""

    name: str
    """The metric as it is declared, ``demographic_parity`` for example; the key of its limit without the statistic."""
    metric: str
    """The metric it is computed from."""
    statistic: Statistic

    @property
    def key(self) -> str:
        """The name a limit is set under."""
        return f"{self.name}_{self.statistic}"


def wanted(policy: FairnessPolicy, task: Task, *, positive: bool) -> tuple[Wanted, ...]:
    """The gaps to tell: those always told for the task, under their declared names, then the further declared ones.

    Args:
        policy: The limits.
        task: What the model does.
        positive: Whether there is a positive label; without one only accuracy is compared unasked.

    Raises:
        InputError: a limit's name is unknown; the message has the nearest.
    """
    declared = [_parse(name) for name in policy.metrics]
    always = _ALWAYS[task == "regression"]
    if task != "regression" and not positive:
        always = (("accuracy", "difference"),)
    known = {(gap.metric, gap.statistic) for gap in declared}
    return (*declared, *(Wanted(metric, metric, kind) for metric, kind in always if (metric, kind) not in known))


def _parse(name: str) -> Wanted:
    if name not in DISPARITIES:
        raise unknown_name(name, DISPARITIES, "disparity", "fairness.metrics")
    metric, _, statistic = name.rpartition("_")
    kind: Statistic = "ratio" if statistic == "ratio" else "difference"
    return Wanted(metric, ALIASES.get(metric, metric), kind)


@dataclass(frozen=True)
class Gap:
    """A gap between the judged groups of one attribute."""

    estimate: Interval
    lowest: int | None = None
    highest: int | None = None
    undefined: int = 0
    """Judged groups the metric is undefined in: the gap says nothing of them."""
    withheld: int = 0
    """Judged groups whose metric is not told: the gap says nothing of them either."""
    why: str = ""
    """Why there is no estimate."""


def gap(want: Wanted, metrics: Mapping[str, GroupMetric], judged: np.ndarray, level: float) -> Gap:
    """The gap between the judged groups.

    The difference is the greatest less the smallest value, the ratio the smallest over the greatest, as in fairlearn.
    Equalized odds is the worse of the gaps in true and in false positive rates (Hardt et al. 2016). The interval holds
    for all pairs of groups at once, so that looking for the widest gap is paid for. Values that are withheld are left
    out, for the gap and its interval would give them away.

    Args:
        want: Which gap.
        metrics: Metrics of all groups; undefined values are NaN.
        judged: True for the groups that are large enough and may be told.
        level: Confidence.
    """
    if want.metric != EQUALIZED_ODDS:
        return _gap_in(want.metric, want.statistic, metrics, judged, level)
    part_level = 1 - (1 - level) / 2
    parts = [
        _gap_in(name, want.statistic, metrics, judged, part_level)
        for name in ("true_positive_rate", "false_positive_rate")
    ]
    lost = [part for part in parts if part.estimate.value is None]
    if len(lost) == 1 and lost[0].withheld:
        return _alone(next(part for part in parts if part is not lost[0]), lost[0], want.statistic)
    return lost[0] if lost else _worse(parts[0], parts[1], want.statistic, level)


def _gap_in(
    name: str, statistic: Statistic, metrics: Mapping[str, GroupMetric], judged: np.ndarray, level: float
) -> Gap:
    nothing = intervals.undefined(level)
    metric = metrics.get(name)
    if metric is None:
        return Gap(nothing, why="It is not defined for this task, or needs a positive_label.")
    if statistic == "ratio" and not metric.non_negative:
        return Gap(nothing, why="A ratio needs values that cannot be negative.")
    if judged.sum() < 2:
        return Gap(nothing, why="Fewer than two groups are large enough to be judged and may be told.")
    places = np.flatnonzero(judged & ~np.isnan(metric.value))
    withheld = int((judged & metric.withheld).sum())
    undefined = int(judged.sum()) - len(places) - withheld
    if len(places) < 2:
        why = "It is defined in fewer than two of the judged groups."
        if withheld:
            why = f"{WITHHELD.format(withheld)} Fewer than two are left."
        return Gap(nothing, undefined=undefined, withheld=withheld, why=why)
    full = metric.at(intervals.pairwise_level(level, len(places)))
    groups = Estimates(full.value[places], full.low[places], full.high[places])
    how = f"{_HOW[name in MEANS, statistic]}{_PAIRS if len(places) > 2 else ''}"
    compute = intervals.largest_gap if statistic == "difference" else intervals.smallest_ratio
    estimate, lowest, highest = compute(groups, level, how)
    why = "The metric is 0 in every group: no ratio." if estimate.value is None else ""
    return Gap(estimate, int(places[lowest]), int(places[highest]), undefined, withheld, why)


WITHHELD = "It is not told in {} of the judged groups, for it would give away a count of a few people."

_HOW: dict[tuple[bool, Statistic], str] = {
    (False, "difference"): "greatest less smallest; Newcombe (1998) hybrid score interval",
    (False, "ratio"): "smallest over greatest; MOVER-R (Donner and Zou 2012) from Wilson intervals",
    (True, "difference"): "greatest less smallest; MOVER (Zou and Donner 2008) from Student intervals",
    (True, "ratio"): "smallest over greatest; MOVER-R (Donner and Zou 2012) from Student intervals",
}
_PAIRS = ", for all pairs of groups at once (Bonferroni)"


def _worse(one: Gap, two: Gap, statistic: Statistic, level: float) -> Gap:
    """The worse of two gaps, with an interval for the worse of the two, whichever it is."""
    pick = np.maximum if statistic == "difference" else np.minimum
    sides = np.array([[np.nan if v is None else v for v in _ends(part.estimate)] for part in (one, two)])
    value, low, high = (float(end) for end in pick(sides[0], sides[1]))
    worse = one if value == one.estimate.value else two
    how = f"worse of two gaps; {worse.estimate.method}, Bonferroni over the two"
    estimate = Interval(value=value, low=low, high=high, level=level, method=how)
    return Gap(
        estimate, worse.lowest, worse.highest, max(one.undefined, two.undefined), max(one.withheld, two.withheld)
    )


def _alone(one: Gap, lost: Gap, statistic: Statistic) -> Gap:
    """One gap of two, the other not told: the worse of both may be worse, so it can fail a limit and not pass it."""
    known = one.estimate
    estimate = Interval(
        value=known.value,
        low=known.low if statistic == "difference" else None,
        high=known.high if statistic == "ratio" else None,
        level=known.level,
        method=f"one of two gaps, the other is not told; {known.method}",
    )
    return replace(one, estimate=estimate, withheld=max(one.withheld, lost.withheld))


def _ends(estimate: Interval) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high
