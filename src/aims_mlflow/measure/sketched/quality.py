"""The derived rules of data quality held against a profile, with limits that come from the reference's profile."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from aims_mlflow.config import Columns, DataQualityPolicy, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import RuleVerdict, Threshold, Tool
from aims_mlflow.frames import ColumnKind
from aims_mlflow.measure.quality.derive import derive_suite
from aims_mlflow.measure.quality.disclosure import rule_result
from aims_mlflow.measure.quality.outcome import Outcome
from aims_mlflow.measure.quality.profile import ColumnProfile
from aims_mlflow.measure.quality.profile import Profile as Derived
from aims_mlflow.measure.quality.run import QualityPayload
from aims_mlflow.measure.quality.suite import Suite, SuiteRule
from aims_mlflow.measure.quality.verdict import counts, overall
from aims_mlflow.measure.sketched.sides import lacks
from aims_mlflow.sketches import ColumnPlan, ColumnSketch, LabelSketch, NumberSketch, Profile
from aims_mlflow.sketches.tails import FIRST, PER_DOUBLING

VERSION = "1"
"""Version of the engine: changed whenever a verdict may come out differently."""

_METHOD = (
    "Rules derived from the declaration and the reference's profile, in Great Expectations' words, held against the "
    "counts of a mergeable profile by this library. Ranges end at edges of the profile's bins, so counts are exact."
)
_TAIL = 0.01
_TYPES = "expect_column_values_to_be_in_type_list"
_LABEL_TYPES = ["str", "category", "object"]


def quality_of_profile(
    reference: Profile,
    current: Profile,
    *,
    policy: DataQualityPolicy,
    columns: Columns,
    privacy: PrivacyPolicy,
    labelled: bool | None = None,
) -> QualityPayload:
    """The derived rules, held against a profile.

    The rules are those of ``derive_suite``, as far as profiles can tell them: rows and columns are there, columns keep
    their type, nulls do not increase, numbers keep to the reference's range, labels to its labels. Uniqueness and the
    author's own suite need rows. A column that some rows came without counts as null in them.

    Args:
        reference: The profile the limits come from.
        current: The data in question, by the same plan.
        policy: The limits.
        columns: Which column is what.
        privacy: The smallest count that may be told.
        labelled: Whether the data should hold the target; where not said, whether it does.

    Raises:
        InputError: the profiles were made by different plans.
    """
    if reference.plan.sha256 != current.plan.sha256:
        msg = "profiles made by different plans cannot be compared"
        raise InputError(msg, remedy="Make the current profile by the plan of its reference.")
    if labelled is None:
        target = current.columns.get(columns.target or "")
        labelled = target is None or not lacks(target)
    derived = Derived(
        reference.rows, tuple(_derived(sketch, reference, policy, privacy) for sketch in _known(reference))
    )
    suite = derive_suite(policy, columns, derived, labelled=labelled, name="derived from a profile")
    out = {*columns.ignore, columns.prediction, columns.probability} | ({columns.target} if not labelled else set())
    typed = tuple(
        SuiteRule(_TYPES, {"column": sketch.plan.name, "type_list": _LABEL_TYPES}, source="derived")
        for sketch in _known(reference)
        if isinstance(sketch, LabelSketch) and sketch.plan.name not in out and sketch.plan.was in ("string", "category")
    )
    suite = Suite(suite.name, suite.rules + typed, suite.every_column)
    put = suite.over([name for name, sketch in current.columns.items() if not lacks(sketch)]).rules
    rows = current.rows - current.withheld
    results = tuple(
        rule_result(
            rule,
            _outcome(rule, current),
            smallest_cell=privacy.smallest_cell,
            safe_labels=columns.safe_labels,
            rows=rows,
        )
        for rule in put
    )
    verdict, reason = overall(results)
    changes = {word: len(found) for word, found in current.schema_changes.items()}
    if changes.get("new"):
        reason = f"{reason} {changes['new']} columns came that the reference does not have."
    return QualityPayload(
        rules=results,
        suite_sha256=suite.sha256,
        suite_name=suite.name,
        verdict=verdict,
        reason=reason,
        numbers={
            **counts(results),
            "rows": current.rows,
            "rows_withheld": current.withheld,
            "columns": sum(not lacks(sketch) for sketch in current.columns.values()) + len(current.new_columns),
            "missing_columns": changes.get("missing", 0),
            "new_columns": changes.get("new", 0),
            "retyped_columns": changes.get("retyped", 0),
        },
        thresholds=(
            Threshold(name="failed_critical", op="<=", value=0, source="method"),
            Threshold(name="errors", op="<=", value=0, source="method"),
            Threshold(name="unknown", op="<=", value=0, source="method"),
        ),
        method=_METHOD,
        parameters={
            "engine_path": "profile",
            "smallest_cell": privacy.smallest_cell,
            "rule_sources": {"derived": len(put)},
            "reference_profile": reference.sha256,
        },
        engine=Tool(name="aims-mlflow quality from profiles", version=VERSION),
    )


def _known(reference: Profile) -> list[ColumnSketch]:
    return [sketch for sketch in reference.columns.values() if sketch.rows]


def _derived(
    sketch: ColumnSketch, reference: Profile, policy: DataQualityPolicy, privacy: PrivacyPolicy
) -> ColumnProfile:
    """What the rules need to know of a column of the reference."""
    plan, cell = sketch.plan, privacy.smallest_cell
    rows = max(reference.rows - reference.withheld, 1)
    gone = sketch.missing + sketch.absent
    share = min(max(gone, cell if gone else 0) / rows, 1.0)
    low = high = None
    outside = 0.0
    if isinstance(sketch, NumberSketch) and plan.was in ("float", "integer"):
        low, high, outside = _range(sketch, policy, cell)
    categories = None
    if (
        isinstance(sketch, LabelSketch)
        and plan.complete
        and 0 < len(plan.levels) + len(plan.rare) <= policy.max_categories
    ):
        categories = (*plan.levels, *plan.rare)
    return ColumnProfile(
        plan.name, ColumnKind(plan.was), plan.dtype, reference.rows, share, low, high, outside, categories
    )


def _range(sketch: NumberSketch, policy: DataQualityPolicy, cell: int) -> tuple[float | None, float | None, float]:
    """A range the column may keep to, between edges of bins, and the reference's own share outside it."""
    n = sketch.n
    if n < 4 * cell:
        return None, None, 0.0
    bins = _bins(sketch)
    held = np.asarray([count for _, _, count in bins])
    rank = max(math.ceil(_TAIL * n), cell)
    first = int(np.searchsorted(np.cumsum(held), rank))
    last = len(bins) - 1 - int(np.searchsorted(np.cumsum(held[::-1]), rank))
    left, right = bins[first][0], bins[last][1]
    margin = policy.range_margin * (right - left)
    low, high = _snapped(sketch.plan, left - margin, up=False), _snapped(sketch.plan, right + margin, up=True)
    if low is None or high is None:
        return None, None, 0.0
    outside = _outside(sketch, low, high)
    return low, high, min(max(outside, cell if outside else 0) / n, 1.0)


def _bins(sketch: NumberSketch) -> list[tuple[float, float, int]]:
    """Left edge, right edge and count of each bin that holds something, ascending."""
    plan = sketch.plan
    found = []
    keys, counts_below, _, _ = sketch.below.held()
    for key, count in zip(keys[::-1].tolist(), counts_below[::-1].tolist(), strict=True):
        found.append((plan.low - _beyond(plan, key + 1), plan.low - _beyond(plan, key), count))
    starts = [*plan.starts, plan.cells]
    for place in np.flatnonzero(sketch.counts).tolist():
        count = int(sketch.counts[place])
        found.append((_inner(plan, starts[place]), _inner(plan, starts[place + 1]), count))
    keys, counts_above, _, _ = sketch.above.held()
    for key, count in zip(keys.tolist(), counts_above.tolist(), strict=True):
        found.append(
            (_inner(plan, plan.cells) + _beyond(plan, key), _inner(plan, plan.cells) + _beyond(plan, key + 1), count)
        )
    return found


def _inner(plan: ColumnPlan, cell: int) -> float:
    return plan.low + cell * plan.width


def _beyond(plan: ColumnPlan, edge: int) -> float:
    """Distance from the grid's end to an edge beyond it; infinite where it is no float."""
    power = edge / PER_DOUBLING
    unit = plan.range / FIRST
    return unit * math.expm1(power * math.log(2.0)) if power < 1000 else math.inf


def _snapped(plan: ColumnPlan, value: float, *, up: bool) -> float | None:
    """The next edge of a bin away from the middle; None where there is none that is a float."""
    if not math.isfinite(value):
        return None
    edges = [_inner(plan, start) for start in (*plan.starts, plan.cells)]
    if edges[0] <= value <= edges[-1]:
        return min(edge for edge in edges if edge >= value) if up else max(edge for edge in edges if edge <= value)
    if (value > edges[-1]) != up:
        return edges[-1] if value > edges[-1] else edges[0]
    away = value - edges[-1] if up else edges[0] - value
    edge = max(math.ceil(math.log2(1 + away / (plan.range / FIRST)) * PER_DOUBLING), 0)
    reach = _beyond(plan, edge if _beyond(plan, edge) >= away else edge + 1)
    snapped = edges[-1] + reach if up else edges[0] - reach
    return snapped if math.isfinite(snapped) else None


def _outside(sketch: NumberSketch, low: float, high: float) -> int:
    """Values outside a range that ends at edges of bins."""
    # The middle of a bin is safely on one side of an edge, whatever the rounding.
    return sum(count for left, right, count in _bins(sketch) if not low <= left / 2 + right / 2 <= high)


def _outcome(rule: SuiteRule, current: Profile) -> Outcome:
    name = rule.kwargs.get("column")
    if name is None:
        return _of_table(rule, current)
    sketch = current.columns.get(str(name))
    if rule.type == "expect_column_to_exist":
        there = str(name) in current.new_columns or (sketch is not None and not sketch.absent)
        return Outcome(RuleVerdict.PASS if there else RuleVerdict.FAIL)
    if sketch is None or lacks(sketch):
        return Outcome(RuleVerdict.ERROR, error_type="MissingColumn", reason="there is no such column")
    judge = _BY_TYPE.get(rule.type)
    if judge is None:
        return Outcome(RuleVerdict.ERROR, error_type="NotInProfile", reason="a profile does not tell it")
    considered, unexpected = judge(rule, sketch)
    if not considered:
        return Outcome(RuleVerdict.VACUOUS, 0, 0, reason="there was nothing to judge")
    mostly = float(rule.kwargs.get("mostly", 1.0))
    held = (considered - unexpected) / considered >= mostly
    return Outcome(RuleVerdict.PASS if held else RuleVerdict.FAIL, considered, unexpected)


def _of_table(rule: SuiteRule, current: Profile) -> Outcome:
    if rule.type == "expect_table_row_count_to_be_between":
        enough = current.rows >= rule.kwargs["min_value"]
        return Outcome(RuleVerdict.PASS if enough else RuleVerdict.FAIL, observed=float(current.rows))
    there = {name for name, sketch in current.columns.items() if not sketch.absent} | set(current.new_columns)
    if rule.type == "expect_table_columns_to_match_set":
        held = set(rule.kwargs["column_set"]) <= there
    else:
        held = len(there) >= int(rule.kwargs.get("min_value", 1))
    return Outcome(RuleVerdict.PASS if held else RuleVerdict.FAIL)


def _nulls(_: SuiteRule, sketch: ColumnSketch) -> tuple[int, int]:
    return sketch.rows + sketch.absent + sketch.retyped, sketch.missing + sketch.absent


def _retyped(_: SuiteRule, sketch: ColumnSketch) -> tuple[int, int]:
    return sketch.rows - sketch.missing + sketch.retyped, sketch.retyped


def _between(rule: SuiteRule, sketch: ColumnSketch) -> tuple[int, int]:
    if not isinstance(sketch, NumberSketch):
        return 0, 0
    outside = _outside(sketch, float(rule.kwargs["min_value"]), float(rule.kwargs["max_value"]))
    return sketch.n + sketch.infinite, outside + sketch.infinite


def _in_set(_: SuiteRule, sketch: ColumnSketch) -> tuple[int, int]:
    return (sketch.n, sketch.unseen) if isinstance(sketch, LabelSketch) else (0, 0)


_BY_TYPE: dict[str, Callable[[SuiteRule, Any], tuple[int, int]]] = {
    "expect_column_values_to_not_be_null": _nulls,
    _TYPES: _retyped,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
}
