"""What is known of the reference data when rules are derived from it: aggregates of each column, never a row."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aims_mlflow.config.models import Columns, DataQualityPolicy, PrivacyPolicy
from aims_mlflow.frames import Column, ColumnKind, Table
from aims_mlflow.measure.quality.repeats import is_countable, repeated_rows
from aims_mlflow.measure.quality.values import stored

_SAMPLE = 100_000
"""Quantiles are taken from at most this many rows, drawn once with a fixed seed: the 1 % quantile's rank is then off by
0.03 percentage points (one standard error), far inside the margin a rule adds."""

_FEW_ROWS = 20_000
"""Rows whose distinct values are looked up at a time, until there are too many for a set."""

_TAIL = 0.01
_DIGITS = 3

_NUMERIC = (ColumnKind.FLOAT, ColumnKind.INTEGER)
_LABELS = (ColumnKind.STRING, ColumnKind.CATEGORY, ColumnKind.BOOLEAN)


@dataclass(frozen=True)
class ColumnProfile:
    """One column of the reference."""

    name: str
    kind: ColumnKind
    dtype: str
    rows: int
    missing_share: float
    low: float | None = None
    """Lower end of the range a numeric column may keep to: its 1 % quantile less the margin, rounded outwards."""
    high: float | None = None
    outside_share: float = 0.0
    """Share of the reference's own values outside that range."""
    categories: tuple[Any, ...] | None = None
    """Distinct values; None where there are more than the policy's ``max_categories`` or the column has no labels."""
    unique: bool | None = None
    """Whether no value occurs twice; looked up only for declared ids."""


@dataclass(frozen=True)
class Profile:
    """The reference data, column by column."""

    rows: int
    columns: tuple[ColumnProfile, ...]

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)


def profile_table(
    table: Table,
    *,
    policy: DataQualityPolicy | None = None,
    columns: Columns | None = None,
    privacy: PrivacyPolicy | None = None,
) -> Profile:
    """The profile of reference (or training) data.

    A range's ends are no one's value: each tail left out holds at least ``privacy.smallest_cell`` rows (so a column of
    fewer than four times as many has no range), the margin is added, and the ends are rounded outwards to three digits
    of the range's width.
    """
    policy, columns, privacy = policy or DataQualityPolicy(), columns or Columns(), privacy or PrivacyPolicy()
    drawn = np.random.default_rng(0).integers(0, table.rows, _SAMPLE) if table.rows > _SAMPLE else None
    return Profile(
        table.rows,
        tuple(_profile(column, drawn, table.rows, policy, columns, privacy) for column in table.columns),
    )


def _profile(
    column: Column,
    drawn: np.ndarray | None,
    rows: int,
    policy: DataQualityPolicy,
    columns: Columns,
    privacy: PrivacyPolicy,
) -> ColumnProfile:
    missing = _share(column.missing(), rows, privacy.smallest_cell)
    own = ColumnProfile(column.name, column.kind, column.dtype, rows, missing)
    if column.name in columns.ids:
        return replace(own, unique=_is_unique(column))
    coded = column.name in columns.categorical
    if column.kind in _NUMERIC and not coded:
        numbers = (column if drawn is None else column.at(drawn)).numbers()
        low, high, outside = _range(numbers, policy, privacy.smallest_cell)
        return replace(own, low=low, high=high, outside_share=outside)
    if column.kind in _LABELS or (coded and column.kind is ColumnKind.INTEGER):
        return replace(own, categories=_categories(column, policy.max_categories))
    return own


def _range(
    values: np.ndarray, policy: DataQualityPolicy, smallest_cell: int
) -> tuple[float | None, float | None, float]:
    finite = values[np.isfinite(values)]
    if len(finite) < 4 * smallest_cell:
        return None, None, 0.0
    rank = max(math.ceil(_TAIL * len(finite)), smallest_cell) - 1
    finite.partition([rank, len(finite) - 1 - rank])
    low, high = float(finite[rank]), float(finite[len(finite) - 1 - rank])
    width = high - low
    if not math.isfinite(width):
        return None, None, 0.0
    low, high = _outwards(low - policy.range_margin * width, high + policy.range_margin * width, width)
    present = len(values) - int(np.count_nonzero(np.isnan(values)))
    outside = int(np.count_nonzero(values < low)) + int(np.count_nonzero(values > high))
    return low, high, _share(outside, present, smallest_cell)


def _share(count: int, rows: int, smallest_cell: int) -> float:
    """The share; a few rows count as ``smallest_cell``, for a limit made of it must not give them away."""
    return min(max(count, smallest_cell if count else 0) / rows, 1.0) if rows else 0.0


def _outwards(low: float, high: float, width: float) -> tuple[float, float]:
    """Both ends moved away from each other to the next multiple of a step: the width's third digit."""
    scale = width or max(abs(low), abs(high))
    if scale == 0:
        return low, high
    power = math.floor(math.log10(scale)) - (_DIGITS - 1)
    if abs(power) > 300:
        return low, high
    return _rounded(low, power, math.floor), _rounded(high, power, math.ceil)


def _rounded(value: float, power: int, toward: Any) -> float:
    if power >= 0:
        return float(toward(value / 10**power) * 10**power)
    scaled = value * 10**-power
    return toward(scaled) / 10**-power if math.isfinite(scaled) and abs(scaled) < 2**53 else value


def _is_unique(column: Column) -> bool | None:
    """Whether no value occurs twice, missing ones apart; None where the values cannot be compared (lists, dicts)."""
    values = stored(column)
    if is_countable(values.dtype):
        return repeated_rows(values.to_numpy()) == 0
    try:
        return bool(values.dropna().is_unique)
    except TypeError:
        return None


def _categories(column: Column, most: int) -> tuple[Any, ...] | None:
    found: dict[Any, None] = {}
    for start in range(0, len(column), _FEW_ROWS):
        found.update(dict.fromkeys(column.at(slice(start, start + _FEW_ROWS)).codes()[1]))
        if len(found) > most:
            return None
    return tuple(sorted(found, key=str)) or None
