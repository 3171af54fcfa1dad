"""What kind of column it is, and which method judges it, for every column of either side.

Where Evidently has a rule it is followed: floats are numerical, integers numerical if the current side has more than
10 distinct ones, strings are text if more than half of the current values are distinct, booleans and categories are
categorical, and a frame's only datetime column is its time column. Where Evidently is silent or dies, the nearest
sound type is taken (unsigned, nullable, Arrow, Decimal as numbers; further datetimes and durations as seconds; mixed
scalars as categories) or the column is ``not_tested`` with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from aims_mlflow.config import Columns, DriftPolicy
from aims_mlflow.errors import ConfigError
from aims_mlflow.frames import Column, ColumnKind, Table
from aims_mlflow.measure.drift.methods import ColumnType, Method, find_method, select_method
from aims_mlflow.measure.drift.sample import Counts, Numbers, counts_of_labels, counts_of_numbers, few_distinct
from aims_mlflow.measure.drift.wasserstein import Values

_NUMBERS = {ColumnKind.FLOAT, ColumnKind.INTEGER, ColumnKind.BOOLEAN}
_LABELS = {ColumnKind.STRING, ColumnKind.CATEGORY, ColumnKind.MIXED}
_MOMENTS = {ColumnKind.DATETIME, ColumnKind.TIMEDELTA}
_NESTED = (list, tuple, dict, set, frozenset, np.ndarray)


@dataclass(frozen=True)
class NotTested:
    """Why a column is not judged."""

    type: str
    reason: str
    open: bool = True
    """Whether drift may be hiding here; False where the policy says so, or there is nothing to compare by nature."""


@dataclass(frozen=True)
class Texts:
    """Texts of both sides, missing ones left out."""

    reference: Sequence[str]
    current: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """A column that can be judged: its type, its data in the form the methods take, and remarks for the reason."""

    type: str
    of: ColumnType
    data: Numbers | Counts | Texts
    distinct: int
    """Distinct values of both sides together; anything above 5 may say 6."""
    rows: int
    """Rows of the reference, missing and infinite ones left out."""
    current_rows: int
    notes: tuple[str, ...] = ()


def column_names(reference: Table, current: Table) -> list[str]:
    """The reference's columns in their order, then those only the current side has."""
    return [*reference.names, *(name for name in current.names if name not in reference)]


def plan_column(name: str, reference: Table, current: Table, policy: DriftPolicy, columns: Columns) -> Plan | NotTested:
    """How one column can be judged."""
    left_out = declared(name, policy, columns)
    if left_out is not None:
        return left_out
    if name not in current:
        return NotTested(_word(reference[name]), "the column is missing in the current data")
    if name not in reference:
        return NotTested(_word(current[name]), "the column is new: the reference does not have it")
    left, right = reference[name], current[name]
    if not reference.rows or not current.rows:
        side = "reference" if not reference.rows else "current data"
        return NotTested(_word(right), f"the {side} has no rows")
    unsound = _unsupported(left, right)
    if unsound is not None:
        return unsound
    if _is_time(name, current, columns):
        reason = "the only datetime column, taken for the time column (list it under columns.numerical to test it)"
        return NotTested("time", reason, open=False)
    if left.kind in _NUMBERS | _MOMENTS and right.kind in _NUMBERS | _MOMENTS:
        return _plan_numbers(name, left, right, columns)
    return _plan_labels(name, left, right, columns)


def declared(name: str, policy: DriftPolicy, columns: Columns) -> NotTested | None:
    """Why a column is not judged by what is declared of it, if so."""
    own = policy.columns.get(name)
    if name in columns.ids:
        return NotTested("id", "declared an identifier: identifiers differ by nature", open=False)
    if name == columns.time:
        return NotTested("time", "declared the time column: it moves by nature", open=False)
    if name in columns.ignore:
        return NotTested("ignored", "declared to be ignored", open=False)
    if own is not None and own.skip:
        return NotTested("ignored", f"skipped by the policy: {own.reason or 'no reason given'}", open=False)
    return None


def _word(column: Column) -> str:
    if column.kind in {ColumnKind.FLOAT, ColumnKind.INTEGER}:
        return "numerical"
    if column.kind in {ColumnKind.STRING, ColumnKind.CATEGORY, ColumnKind.BOOLEAN}:
        return "categorical"
    return column.kind.value if column.kind in _MOMENTS else "unsupported"


def _unsupported(left: Column, right: Column) -> NotTested | None:
    empty = [column.missing() == len(column) for column in (left, right)]
    if all(empty):
        return NotTested(_word(right), "neither side has a value", open=False)
    if any(empty):
        return NotTested(_word(right), f"the {'reference' if empty[0] else 'current data'} has no value in this column")
    for column, side in ((left, "reference"), (right, "current data")):
        if column.kind is ColumnKind.OTHER:
            return NotTested("unsupported", f"values of type {column.dtype} ({side}) have no drift method")
        if column.kind is ColumnKind.MIXED and _nested(column):
            return NotTested(
                "unsupported", f"the {side} holds lists or other nested values, which have no drift method"
            )
    groups = [next((g for g in (_NUMBERS, _LABELS) if c.kind in g), {c.kind}) for c in (left, right)]
    category = ColumnKind.CATEGORY in (left.kind, right.kind) and not {left.kind, right.kind} & _MOMENTS
    if groups[0] != groups[1] and not category:
        kinds = f"{left.kind.value} in the reference, {right.kind.value} in the current data"
        return NotTested("unsupported", f"the column changed its type: {kinds}")
    return None


def _nested(column: Column) -> bool:
    raw = column.raw
    values = (
        raw.to_numpy()
        if hasattr(raw, "to_numpy") and str(raw.dtype if hasattr(raw, "dtype") else "") == "object"
        else raw
    )
    if not isinstance(values, np.ndarray) or values.dtype.kind != "O":
        return True
    return any(isinstance(value, _NESTED) for value in values)


def _is_time(name: str, current: Table, columns: Columns) -> bool:
    if columns.time is not None or name in columns.numerical or current[name].kind is not ColumnKind.DATETIME:
        return False
    return sum(column.kind is ColumnKind.DATETIME for column in current.columns) == 1


def numbers_of(column: Column) -> Values:
    """A numeric column as the frame holds it where that is a plain array, else as float64."""
    raw = column.raw
    if column.kind in _NUMBERS:
        if isinstance(raw, np.ndarray) and raw.dtype.kind in "iufb":
            return raw
        if isinstance(getattr(raw, "dtype", None), np.dtype) and raw.dtype.kind in "iufb" and hasattr(raw, "to_numpy"):
            values: Values = raw.to_numpy()
            return values
    return column.numbers()


def _plan_numbers(name: str, left: Column, right: Column, columns: Columns) -> Plan | NotTested:
    reference, current = numbers_of(left), numbers_of(right)
    whole = all(c.kind in {ColumnKind.INTEGER, ColumnKind.BOOLEAN} for c in (left, right))
    data = Numbers(reference, current, whole=whole)
    kind = left.kind if left.kind in _MOMENTS else right.kind
    word = kind.value if kind in _MOMENTS else "numerical"
    if not data.n or not data.m:
        return NotTested(
            word, f"the {'reference' if not data.n else 'current data'} has no finite value in this column"
        )
    notes = _infinite(left, data.n, "reference") + _infinite(right, data.m, "current data")
    categorical = name in columns.categorical or right.kind is ColumnKind.BOOLEAN
    if not categorical and right.kind is ColumnKind.INTEGER:
        categorical = few_distinct(current, 10) is not None
    if categorical and name not in columns.numerical:
        right_values = few_distinct(current, 256)
        left_values = few_distinct(reference, 256) if right_values is not None else None
        both = None if left_values is None or right_values is None else np.union1d(left_values, right_values)
        counts = counts_of_numbers(reference, current, both)
        return Plan("categorical", "categorical", counts, len(counts.reference), data.n, data.m, notes)
    few = few_distinct(current, 5)
    also = few_distinct(reference, 5) if few is not None else None
    distinct = 6 if few is None or also is None else len(np.union1d(few, also))
    return Plan(word, "numerical", data, distinct, data.n, data.m, notes)


def _infinite(column: Column, kept: int, side: str) -> tuple[str, ...]:
    return (f"infinite values of the {side} are left out",) if kept + column.missing() < len(column) else ()


def _plan_labels(name: str, left: Column, right: Column, columns: Columns) -> Plan | NotTested:
    if _NUMBERS & {left.kind, right.kind} and name not in columns.categorical and right.kind is ColumnKind.FLOAT:
        return NotTested(
            "unsupported", "the column changed its type: category in the reference, float in the current data"
        )
    sides = [column.tallies() for column in (left, right)]
    rows = [int(held.sum()) for _, held in sides]
    distinct = len(sides[1][0])
    mostly_distinct = distinct > rows[1] * 0.5
    if right.kind is ColumnKind.STRING and mostly_distinct and name not in columns.categorical:
        texts = [_texts(*column.codes()) for column in (left, right)]
        if all(len(labels) == n for (labels, _), n in zip(sides, rows, strict=True)) and _single_words(texts):
            reason = "an identifier: all values distinct single words (list it under columns.categorical to test it)"
            return NotTested("id", reason, open=False)
        return Plan("text", "text", Texts(*texts), 6, rows[0], rows[1])
    if right.kind is ColumnKind.MIXED and mostly_distinct and distinct > 20:
        return NotTested("unsupported", "values of several types, mostly distinct, have no drift method")
    counts = counts_of_labels(sides[0], sides[1], lambda: (left.codes(), right.codes()))
    if not counts.n or not counts.m:
        return NotTested(
            "categorical", f"the {'reference' if not counts.n else 'current data'} has no finite value in this column"
        )
    notes = ("values of several types are compared as categories",) if right.kind is ColumnKind.MIXED else ()
    return Plan("categorical", "categorical", counts, len(counts.reference), counts.n, counts.m, notes)


def _texts(codes: Any, labels: Sequence[Any]) -> list[str]:
    return [str(labels[code]) for code in codes.tolist() if code >= 0]


def _single_words(texts: Sequence[Sequence[str]]) -> bool:
    return not any(" " in text.strip() for side in texts for text in side[:: max(1, len(side) // 500)])


@dataclass(frozen=True)
class Choice:
    """The method of a column and its limit."""

    method: Method
    threshold: float
    pinned: bool
    source: Literal["default", "policy"]
    note: str = ""


def check_policy(policy: DriftPolicy) -> None:
    """Refuse unknown method names.

    Raises:
        ConfigError: with every unknown name in ``problems``.
    """
    problems = []
    asked = [("drift.method", policy.method)]
    asked += [(f"drift.columns.{name}.method", own.method) for name, own in policy.columns.items() if own.method]
    for where, name in asked:
        if name != "auto":
            try:
                find_method(name, where=where)
            except ConfigError as error:
                problems.append(error)
    if problems:
        first = problems[0]
        raise ConfigError(first.message, where=first.where, remedy=first.remedy, problems=tuple(map(str, problems)))


def choose_method(name: str, plan: Plan, policy: DriftPolicy) -> Choice | NotTested:
    """The pinned method if it fits the column's type, else Evidently's own choice."""
    own = policy.columns.get(name)
    asked = own.method if own is not None and own.method else policy.method
    threshold = own.threshold if own is not None and own.threshold is not None else policy.threshold
    source: Literal["default", "policy"] = "default" if threshold is None else "policy"
    if asked == "auto":
        method = select_method(plan.of, plan.rows, plan.distinct)
        return Choice(method, method.threshold if threshold is None else threshold, False, source)
    method = find_method(asked)
    if plan.of in method.types:
        return Choice(method, method.threshold if threshold is None else threshold, True, source)
    if own is not None and own.method:
        return NotTested(plan.type, f"the method pinned for it, {method.name!r}, is not for {plan.of} columns")
    # The limit set for all columns belongs to the pinned method; another method keeps its own.
    fallback = select_method(plan.of, plan.rows, plan.distinct)
    limit = own.threshold if own is not None and own.threshold is not None else fallback.threshold
    note = f"{method.name!r} is not for {plan.of} columns, so the automatic choice"
    return Choice(fallback, limit, False, "default" if limit == fallback.threshold else "policy", note)
