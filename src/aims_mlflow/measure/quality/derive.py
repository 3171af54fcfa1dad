"""Rules derived from what is declared and from the reference data's profile, before the data at hand is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aims_mlflow.config.models import Columns, DataQualityPolicy
from aims_mlflow.frames import ColumnKind
from aims_mlflow.measure.quality.profile import ColumnProfile, Profile
from aims_mlflow.measure.quality.suite import EveryColumn, Severity, Suite, SuiteRule

_NUMBER_TYPES = (
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "Int64Dtype",
    "UInt64Dtype",
    "int",
    "float",
)
"""A column of whole numbers turns into floats as soon as a value is missing: both are numbers.

A derived rule on types is judged after nullable and Arrow types have been turned into NumPy's (``values.judged``)."""

_SOME = 1e-9
"""Share of rows with a value that a column has as soon as it has one (in data of up to 1e9 rows)."""

_NOT_NULL = "expect_column_values_to_not_be_null"
_ZONE = re.compile(r"tz=|, *[A-Z+-]|time_zone='")
_TIME_TYPES = ("datetime64[s]", "datetime64[ms]", "datetime64[us]", "datetime64[ns]")


def derive_suite(
    policy: DataQualityPolicy,
    columns: Columns,
    profile: Profile | None = None,
    *,
    labelled: bool = True,
    name: str = "derived",
) -> Suite:
    """The rules that follow from the declaration and, if there is one, the reference data's profile.

    From the declaration alone: there are rows and columns; every column not ignored holds a value; the target (where
    the data is labelled), sensitive, time and id columns exist; the target has no nulls; the ids have none and are
    unique (a warning as long as no reference shows that they are meant to be). A column that may be empty gets a rule
    of its own in ``aims.yaml``: ``expect_column_values_to_not_be_null`` with ``mostly: 0``.

    From the profile, for each column not ignored: it exists; its share of nulls is at most the reference's plus
    ``max_missing_increase``, and never 1; numbers, truth values and times keep to their kind of type; numbers stay
    within the reference's 1 %-99 % range plus ``range_margin`` of its width, apart from the share of the reference's
    own rows that do not, plus ``unseen_share``; labels are those of the reference apart from ``unseen_share`` of the
    rows, where the reference has at most ``max_categories``.

    Args:
        policy: The limits, from ``aims.yaml``.
        columns: Which column is what.
        profile: The reference data; never the data to be judged.
        labelled: False for data that has no target yet (production input).
        name: Name of the suite.
    """
    rules = [
        SuiteRule("expect_table_row_count_to_be_between", {"min_value": 1}, source="derived"),
        *_declared(columns, profile, labelled=labelled),
    ]
    kept: list[ColumnProfile] = []
    if profile is not None:
        left_out = {*columns.ignore, columns.prediction, columns.probability}
        if not labelled:
            left_out.add(columns.target)
        kept = [column for column in profile.columns if column.name not in left_out]
    if kept:
        there = {"column_set": [column.name for column in kept], "exact_match": False}
        rules.append(_rule("expect_table_columns_to_match_set", there))
    else:
        rules.append(_rule("expect_table_column_count_to_be_between", {"min_value": 1}))
    for column in kept:
        rules.extend(_profiled(column, policy, columns))
    return Suite(name, tuple(rules), EveryColumn(_rule(_NOT_NULL, {"mostly": _SOME}), frozenset(columns.ignore)))


def _rule(kind: str, kwargs: dict[str, Any], severity: Severity = "critical") -> SuiteRule:
    return SuiteRule(kind, kwargs, severity=severity, source="derived")


def _declared(columns: Columns, profile: Profile | None, *, labelled: bool) -> Iterator[SuiteRule]:
    target = columns.target if labelled else None
    named = dict.fromkeys(name for name in (target, *columns.sensitive, columns.time, *columns.ids) if name is not None)
    for name in named:
        yield _rule("expect_column_to_exist", {"column": name})
    for name in dict.fromkeys(n for n in (target, *columns.ids) if n is not None):
        yield _rule(_NOT_NULL, {"column": name})
    yield from _unique(columns, profile)


def _unique(columns: Columns, profile: Profile | None) -> Iterator[SuiteRule]:
    """Uniqueness of the ids: each by itself where the reference shows it, else all together, as a warning."""
    if profile is not None:
        shown = {column.name for column in profile.columns if column.unique}
        for name in columns.ids:
            if name in shown:
                yield _rule("expect_column_values_to_be_unique", {"column": name})
    elif len(columns.ids) == 1:
        yield _rule("expect_column_values_to_be_unique", {"column": columns.ids[0]}, "warning")
    elif columns.ids:
        yield _rule("expect_compound_columns_to_be_unique", {"column_list": list(columns.ids)}, "warning")


def _profiled(column: ColumnProfile, policy: DataQualityPolicy, columns: Columns) -> Iterator[SuiteRule]:
    name = column.name
    if name in columns.ids:
        return
    allowed = round(column.missing_share + policy.max_missing_increase, 6)
    if name != columns.target:
        yield _rule(_NOT_NULL, {"column": name, "mostly": max(round(1 - allowed, 6), _SOME)})
    types = _types(column)
    if types and column.missing_share < 1:
        yield _rule("expect_column_values_to_be_in_type_list", {"column": name, "type_list": list(types)})
    if column.low is not None and column.high is not None:
        mostly = max(0.0, round(1 - column.outside_share - policy.unseen_share, 6))
        limits = {"column": name, "min_value": column.low, "max_value": column.high, "mostly": mostly}
        yield _rule("expect_column_values_to_be_between", limits)
    if column.categories is not None:
        limits = {"column": name, "value_set": list(column.categories), "mostly": round(1 - policy.unseen_share, 6)}
        yield _rule("expect_column_values_to_be_in_set", limits)


def _types(column: ColumnProfile) -> tuple[str, ...]:
    """The types the column's kind allows; none where Great Expectations cannot tell them apart (text, zones, dates)."""
    if column.kind in (ColumnKind.FLOAT, ColumnKind.INTEGER) and "decimal" not in column.dtype.lower():
        return _NUMBER_TYPES if column.dtype != "object" else ()
    if column.kind is ColumnKind.BOOLEAN:
        return ("bool",)
    zone_free = column.dtype.startswith(("datetime64", "timestamp", "Datetime")) and not _ZONE.search(column.dtype)
    return _TIME_TYPES if column.kind is ColumnKind.DATETIME and zone_free else ()
