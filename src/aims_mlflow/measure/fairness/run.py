"""Fairness measured: targets, predictions and sensitive columns in, everything ``FairnessEvidence`` needs out."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pandas as pd

from aims_mlflow.config.models import FairnessPolicy, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Interval, Threshold, Tool, Verdict
from aims_mlflow.evidence.model_quality import Disparity, GroupResult
from aims_mlflow.frames import Column, as_column, as_table
from aims_mlflow.frames.table import Table
from aims_mlflow.measure import intervals
from aims_mlflow.measure.fairness.disclosure import told_rows_of
from aims_mlflow.measure.fairness.disparities import EQUALIZED_ODDS, MEANS, RATES, WITHHELD, Gap, Wanted, gap, wanted
from aims_mlflow.measure.fairness.groups import (
    GroupMetric,
    Groups,
    classification_metrics,
    read_groups,
    regression_metrics,
)
from aims_mlflow.measure.limits import is_limited, judge, overall, thresholds_of
from aims_mlflow.measure.outcomes import Labelled, Measured, Task, read_outcomes, same_rows, told_dropped, told_rows

VERSION = "2"
_METHOD = (
    "One confusion table a group (for a regression: mean errors); rates by fairlearn's definitions, undefined ones "
    "null; gaps are greatest less smallest and smallest over greatest, with intervals from counts, no bootstrap. "
    "Nothing is told of groups of fewer than {cell} rows, and where there are any, so many evenly spaced rows of the "
    "largest group are left out that the rows not told are {cell} for each of them: no such size can be worked out. "
    "Rates by which a count of fewer than {cell} people in a group could be are withheld; gaps are between the groups "
    "told. "
    "Rows without target or prediction: 1 to {cell} are told as {cell}."
)


@dataclass(frozen=True)
class FairnessPayload:
    """What a measurement of fairness yields; the fields of ``FairnessEvidence`` that are its own."""

    task: Literal["classification", "multiclass", "regression", "unknown"]
    groups: tuple[GroupResult, ...]
    disparities: tuple[Disparity, ...]
    rows: int | None
    min_group_size: int
    verdict: Verdict
    reason: str
    numbers: dict[str, float | None]
    thresholds: tuple[Threshold, ...]
    method: str
    parameters: dict[str, Any]
    engine: Tool

    def as_fields(self) -> dict[str, Any]:
        """The payload as keyword arguments of ``FairnessEvidence``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def measure_fairness(
    y_true: Any,
    y_pred: Any,
    sensitive: Any,
    *,
    policy: FairnessPolicy,
    task: str = "auto",
    privacy: PrivacyPolicy | None = None,
    safe_labels: Collection[str] = (),
    positive_label: Any = None,
    salt: bytes | str | None = None,
    source: str = "argument",
) -> FairnessPayload:
    """Measure how predictions treat the groups of each sensitive attribute, one attribute at a time.

    Args:
        y_true: Targets, one column of n values. Rows without target or prediction are left out and counted.
        y_pred: Predictions, n values.
        sensitive: One column of n values, or a frame or dict of several. Missing values are the group ``missing``.
        policy: Limits by disparity, smallest group that is judged, confidence.
        task: ``auto``, ``classification``, ``multiclass`` or ``regression``.
        privacy: The smallest count that may be told; a smaller group has neither count nor metrics, and a few rows of
            the largest group are left out with it (``disclosure``). Rates that give away a smaller count are withheld;
            a limit on them is then at best uncertain. Rows left out for want of a target or prediction are no attribute
            of a person in a group: few of them are rounded up to this number, and whoever knows how many rows the data
            has can still work out how many.
        safe_labels: Attributes whose labels may be written. Other labels are ``group`` and a salted digest.
        positive_label: The label that counts as positive; the greater of two where None. With more than two labels it
            makes one against all others.
        salt: For the digests. Without one a random salt is drawn and forgotten: labels cannot be guessed from the
            record, nor matched between two records. A secret of the caller's makes them match.
        source: Where the limits come from, for the record.

    Raises:
        InputError: lengths differ, labels cannot be compared, or a limit names an unknown disparity.
    """
    privacy = privacy or PrivacyPolicy()
    pair = read_outcomes(y_true, y_pred, task=task, positive_label=positive_label)
    attributes = _attributes(sensitive, y_true)
    named = _task(pair)
    gaps = wanted(policy, named, positive=isinstance(pair, Labelled) and pair.positive is not None)
    secret = salt.encode() if isinstance(salt, str) else salt if salt is not None else secrets.token_bytes(16)
    measured = [
        _measure(column, pair, gaps, policy, privacy, safe=column.name in safe_labels, salt=secret)
        for column in attributes
    ]
    rows = int(pair.present.sum())
    groups = tuple(group for part in measured for group in part[0])
    disparities = tuple(disparity for part in measured for disparity in part[1])
    limited = [d for d in disparities if is_limited(policy.metrics.get(f"{d.metric}_{d.statistic}"))]
    verdict = Verdict.NOT_TESTED if rows == 0 else overall(d.verdict for d in limited)
    return FairnessPayload(
        task=named,
        groups=groups,
        disparities=disparities,
        rows=rows if told_rows(rows, len(pair.true), privacy.smallest_cell) else None,
        min_group_size=policy.min_group_size,
        verdict=verdict,
        reason=_reason(verdict, limited, policy, rows),
        numbers=_numbers(disparities, groups, told_dropped(len(pair.true) - rows, privacy.smallest_cell)),
        thresholds=tuple(t for name, limit in policy.metrics.items() for t in thresholds_of(name, limit, source)),
        method=_METHOD.format(cell=privacy.smallest_cell),
        parameters={
            "task": task,
            "attributes": [column.name for column in attributes],
            "confidence": policy.confidence,
            "require_certain": policy.require_certain,
            "min_group_size": policy.min_group_size,
            "smallest_cell": privacy.smallest_cell,
        },
        engine=Tool(name="aims-mlflow fairness", version=VERSION),
    )


def _task(pair: Labelled | Measured) -> Task:
    if isinstance(pair, Measured):
        return "regression"
    return "classification" if pair.binary else "multiclass"


def _attributes(sensitive: Any, y_true: Any) -> tuple[Column, ...]:
    """The sensitive columns, each with a value a row."""
    if isinstance(sensitive, Column):
        columns: tuple[Column, ...] = (sensitive,)
    elif isinstance(sensitive, Table | pd.DataFrame | Mapping) or getattr(sensitive, "ndim", 0) == 2:
        columns = as_table(sensitive).columns
    elif isinstance(sensitive, list | tuple | range) or hasattr(sensitive, "dtype") or hasattr(sensitive, "type"):
        name = getattr(sensitive, "name", None)
        columns = (as_column(sensitive, "sensitive" if name in (None, "") else str(name)),)
    else:
        columns = as_table(sensitive).columns
    if not columns:
        raise InputError("no sensitive column was handed over", where="sensitive")
    truth = as_column(y_true, "y_true")
    for column in columns:
        same_rows(truth, column)
    return columns


def _measure(
    column: Column,
    pair: Labelled | Measured,
    gaps: tuple[Wanted, ...],
    policy: FairnessPolicy,
    privacy: PrivacyPolicy,
    *,
    safe: bool,
    salt: bytes,
) -> tuple[tuple[GroupResult, ...], tuple[Disparity, ...]]:
    """Groups and gaps of one attribute."""
    groups = read_groups(column, safe=safe, salt=salt)
    if isinstance(groups, str):
        nothing = Gap(intervals.undefined(policy.confidence), why=groups)
        return (), tuple(_disparity(column.name, want, nothing, (), policy) for want in gaps)
    smallest = privacy.smallest_cell
    told = told_rows_of(groups.codes, pair.present, len(groups.labels), smallest)
    if told is None:
        why = f"Its groups are so few and small that none can be told without a count of fewer than {smallest} rows."
        nothing = Gap(intervals.undefined(policy.confidence), why=why)
        return (), tuple(_disparity(column.name, want, nothing, (), policy) for want in gaps)
    if isinstance(pair, Measured):
        rows, metrics = regression_metrics(pair, groups, told)
    else:
        rows, metrics = classification_metrics(pair, groups, told, smallest, _first(gaps, policy))
    judged = rows >= max(policy.min_group_size, smallest)
    results = _group_results(groups, rows, metrics, judged, rows < smallest, policy.confidence)
    found = [(want, gap(want, metrics, judged, policy.confidence)) for want in gaps]
    return results, tuple(_disparity(column.name, want, one, groups.labels, policy) for want, one in found)


def _first(gaps: tuple[Wanted, ...], policy: FairnessPolicy) -> str:
    """The rate to tell where not all can be: the first with a limit."""
    limited = [want.metric for want in gaps if is_limited(policy.metrics.get(want.key))]
    rates = ["true_positive_rate" if metric == EQUALIZED_ODDS else metric for metric in limited]
    return next((metric for metric in rates if metric in RATES), RATES[0])


def _group_results(
    groups: Groups,
    rows: np.ndarray,
    metrics: Mapping[str, GroupMetric],
    judged: np.ndarray,
    hidden: np.ndarray,
    level: float,
) -> tuple[GroupResult, ...]:
    estimates = {name: metric.at(level) for name, metric in metrics.items()}
    how = {name: "Student" if name in MEANS else "Wilson (1927)" for name in metrics}
    return tuple(
        GroupResult(
            attribute=groups.attribute,
            group=label,
            n=None if hidden[place] else int(rows[place]),
            judged=bool(judged[place]),
            metrics={
                name: Interval(level=level, method=_WITHHELD_RATE)
                if metrics[name].withheld[place]
                else Interval(
                    value=one.value[place], low=one.low[place], high=one.high[place], level=level, method=how[name]
                )
                for name, one in estimates.items()
            },
        )
        for place, label in enumerate(groups.labels)
    )


_WITHHELD_RATE = "not told: with the other numbers it would give away a count of a few people"


def _disparity(
    attribute: str,
    want: Wanted,
    found: Gap,
    labels: tuple[str, ...],
    policy: FairnessPolicy,
) -> Disparity:
    """A gap held against its limit; what is not told keeps it from passing, never from failing.

    Args:
        attribute: The sensitive column.
        want: Which gap.
        found: The gap between the groups judged.
        labels: Of all groups.
        policy: The limits.
    """
    better: Literal["higher_is_better", "lower_is_better"] = (
        "higher_is_better" if want.statistic == "ratio" else "lower_is_better"
    )
    judgement = judge(
        found.estimate, policy.metrics.get(want.key), certain=policy.require_certain, direction=better, why=found.why
    )
    verdict, reason = judgement.verdict, judgement.reason
    if found.undefined and found.estimate.value is not None:
        reason = f"{reason} It is undefined in {found.undefined} of the judged groups."
        if verdict is Verdict.PASS:  # nothing was seen of that group, however sure the others are
            verdict = Verdict.UNCERTAIN
    if found.withheld and found.estimate.value is not None:
        reason = f"{reason} {WITHHELD.format(found.withheld)}"
    if verdict is Verdict.PASS and found.withheld:
        verdict = Verdict.UNCERTAIN
    return Disparity(
        attribute=attribute,
        metric=want.name,
        statistic=want.statistic,
        estimate=found.estimate,
        lowest_group=None if found.lowest is None else labels[found.lowest],
        highest_group=None if found.highest is None else labels[found.highest],
        threshold=judgement.threshold,
        verdict=verdict,
        reason=reason,
    )


def _reason(verdict: Verdict, limited: list[Disparity], policy: FairnessPolicy, rows: int) -> str:
    blamed = [f"{d.metric}_{d.statistic} by {d.attribute}" for d in limited if d.verdict is verdict]
    few = ", ".join(blamed[:5]) + (f" and {len(blamed) - 5} more" if len(blamed) > 5 else "")
    level = f"with {policy.confidence:.0%} confidence" if policy.require_certain else "by the values alone"
    match verdict:
        case Verdict.FAIL:
            return f"Beyond the limit {level}: {few}."
        case Verdict.UNCERTAIN:
            return f"Not decided: the interval straddles the limit, or a group's rate is undefined or not told: {few}."
        case Verdict.NOT_TESTED:
            return f"Not tested: {few}." if rows else "No row has both a target and a prediction."
        case Verdict.PASS:
            return f"Every gap with a limit keeps it {level}."
        case _:
            return "Recorded: no limit is set."


def _numbers(
    disparities: tuple[Disparity, ...], groups: tuple[GroupResult, ...], dropped: int
) -> dict[str, float | None]:
    gaps = {f"{d.attribute}/{d.metric}_{d.statistic}": d.estimate.value for d in disparities}
    return {
        **{name: value for name, value in gaps.items() if value is not None},
        "groups": len(groups),
        "judged_groups": sum(group.judged for group in groups),
        "dropped_rows": dropped,
    }
