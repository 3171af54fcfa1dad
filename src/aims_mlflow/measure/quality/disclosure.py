"""What of a rule and its outcome may be told: no value of the data, no label, no count of a few rows."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from aims_mlflow.evidence.base import canonical_json, sha256_of
from aims_mlflow.evidence.data import RuleResult, RuleVerdict
from aims_mlflow.measure.quality.outcome import Outcome
from aims_mlflow.measure.quality.suite import SuiteRule, plain

ROWS_BROKEN = "unexpected share"
"""The measure of every rule that is checked row by row: rows that broke it over rows it looked at."""

_ABOUT_THE_TABLE = {
    "expect_table_row_count_to_be_between": "row count",
    "expect_table_row_count_to_equal": "row count",
    "expect_table_column_count_to_be_between": "column count",
    "expect_table_column_count_to_equal": "column count",
}

_ABOUT_MANY_ROWS = {
    "expect_column_mean_to_be_between": "mean",
    "expect_column_stdev_to_be_between": "standard deviation",
    "expect_column_sum_to_be_between": "sum",
    "expect_column_proportion_of_unique_values_to_be_between": "share of distinct values",
    "expect_column_proportion_of_non_null_values_to_be_between": "share of rows that are not null",
    "expect_column_unique_value_count_to_be_between": "distinct values",
}
"""Numbers that are nobody's own once enough rows stand behind them. All other observed values (minimum,
maximum, median, quantiles, most common value...) can be one person's and are left out."""

_SHARE_OF_NULLS = frozenset({"expect_column_proportion_of_non_null_values_to_be_between"})

_SHOWN_NAMES = frozenset({"column_A", "column_B", "column_list", "column_set", "type_", "type_list", "strftime_format"})
"""Arguments that are names of columns or types, or a format: text that is no label."""

_NOT_A_LIMIT = frozenset({"column", "condition_parser"})

_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?")


def rule_result(
    rule: SuiteRule, outcome: Outcome, *, smallest_cell: int, safe_labels: Collection[str], rows: int | None = None
) -> RuleResult:
    """The rule's entry in the evidence.

    Args:
        rule: The rule.
        outcome: What the engine found.
        smallest_cell: Counts of fewer rows than this, none apart, are left out, and so are the numbers that give them
            away: the share made of them, and the rows judged where only a few were not.
        safe_labels: Columns whose labels may be written.
        rows: Rows of the table.
    """
    value, unexpected = _value(rule, outcome, smallest_cell)
    considered = outcome.considered
    if considered is not None and rows is not None and _is_small(rows - considered, smallest_cell):
        considered, unexpected = None, unexpected if unexpected == 0 else None  # their quotient is the share
    return RuleResult(
        rule_id=rule.id,
        rule=rule.type,
        column=", ".join(rule.columns) or None,
        measure=measure_of(rule, outcome),
        value=value,
        limit=limit_of(rule, safe_labels),
        verdict=outcome.verdict,
        rows=considered if considered is None or considered >= smallest_cell else None,
        unexpected=unexpected,
        severity=rule.severity,
        error_type=outcome.error_type,
        source=rule.source,
        reason=outcome.reason,
    )


def measure_of(rule: SuiteRule, outcome: Outcome) -> str:
    """What ``value`` is, in words."""
    if outcome.unexpected is not None:
        return ROWS_BROKEN
    return _ABOUT_THE_TABLE.get(rule.type) or _ABOUT_MANY_ROWS.get(rule.type) or "held or not"


def _value(rule: SuiteRule, outcome: Outcome, smallest_cell: int) -> tuple[float | None, int | None]:
    """The number that may be told and the count of rows that broke the rule; None for what may not."""
    rows, broken = outcome.considered, outcome.unexpected
    if outcome.verdict is RuleVerdict.VACUOUS:
        return None, None
    if broken is not None and rows is not None:
        if _is_small(broken, smallest_cell) or _is_small(rows - broken, smallest_cell):
            return None, None
        return (broken / rows if rows else None), broken
    if rule.type in _ABOUT_THE_TABLE:
        return outcome.observed, None
    if rule.type not in _ABOUT_MANY_ROWS or outcome.observed is None or rows is None or rows < smallest_cell:
        return None, None
    if rule.type in _SHARE_OF_NULLS:
        present = round(outcome.observed * rows)
        if _is_small(present, smallest_cell) or _is_small(rows - present, smallest_cell):
            return None, None
    return outcome.observed, None


def _is_small(count: int, smallest_cell: int) -> bool:
    return 0 < count < smallest_cell


def limit_of(rule: SuiteRule, safe_labels: Collection[str]) -> dict[str, Any] | None:
    """The rule's arguments as they may be written.

    Numbers, truth values, times, and names of columns and types stand as they are. Sets of values, patterns and
    conditions hold labels: unless every column of the rule is declared safe they are told by their size and digest.
    """
    safe = bool(rule.columns) and all(name in safe_labels for name in rule.columns)
    limit: dict[str, Any] = {}
    for key, value in sorted(rule.kwargs.items()):
        if key in _NOT_A_LIMIT or value is None:
            continue
        shown = plain(value)
        if key in _SHOWN_NAMES or _is_measure(value) or (safe and key != "row_condition"):
            limit[key] = shown
        else:
            limit[key] = _digest(shown)
    return limit or None


def _is_measure(value: Any) -> bool:
    if isinstance(value, str):
        return _ISO_TIME.fullmatch(value) is not None
    if isinstance(value, dt.date):
        return True
    return isinstance(value, bool | int) or (isinstance(value, float) and not math.isnan(value))


def _digest(value: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"sha256": sha256_of(canonical_json(value))}
    if isinstance(value, list | Mapping):
        told["values"] = len(value)
    return told
