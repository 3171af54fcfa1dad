"""A plan made from reference data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.config import Columns, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.frames import Column, ColumnKind, Table
from aims_mlflow.sketches.plan import CELLS, ColumnPlan, Plan
from aims_mlflow.sketches.tokens import digest_of, label_text

Values = NDArray[Any]
Floats = NDArray[np.float64]

SAMPLE = 20_000
"""Values a grid is laid out by, at even steps through the column."""
TAIL = 0.001
"""Share of the reference beyond either end of the grid."""
LEVELS = 512
"""Labels counted one by one at most."""
RARE = 512
"""Labels known by name and counted together at most."""
POINTS = 10
"""A column of fewer different numbers than one more than this is counted by number."""
FEW_ROWS = 1000
RUN = 16
"""Cells a bin may span at most."""
NUMBERS = frozenset({ColumnKind.FLOAT, ColumnKind.INTEGER, ColumnKind.BOOLEAN})
MOMENTS = frozenset({ColumnKind.DATETIME, ColumnKind.TIMEDELTA})
LABELS = frozenset({ColumnKind.STRING, ColumnKind.CATEGORY, ColumnKind.MIXED})
_NESTED = (list, tuple, dict, set, frozenset, np.ndarray)


def plan_of(table: Table, columns: Columns, privacy: PrivacyPolicy) -> Plan:
    """Lay out the summaries of every column of a table."""
    moments = [column.name for column in table.columns if column.kind is ColumnKind.DATETIME]
    only_time = moments[0] if len(moments) == 1 and columns.time is None else None
    found = []
    for column in table.columns:
        try:
            found.append(_column(column, columns, privacy.smallest_cell, only_time))
        except InputError:
            # Values nobody can read (objects without a text of their own): rows are counted, and nothing else.
            found.append(ColumnPlan(column.name, "unsupported", column.kind.value, column.dtype))
    return Plan(tuple(found))


def _column(column: Column, columns: Columns, cell: int, only_time: str | None) -> ColumnPlan:
    name, kind = column.name, column.kind
    bare = ColumnPlan(name, "unsupported", kind.value, column.dtype)
    if name in columns.ids:
        return _as(bare, kind="id")
    if name in columns.ignore:
        return _as(bare, kind="ignored")
    if name == columns.time or (name == only_time and name not in columns.numerical):
        return _as(bare, kind="time")
    if kind in NUMBERS | MOMENTS:
        if name in columns.categorical and kind in NUMBERS:
            return _labels(column, bare, columns, cell)
        return _numbers(numbers_of(column), bare, cell)
    return _labels(column, bare, columns, cell) if kind in LABELS else bare


def _as(plan: ColumnPlan, **changes: Any) -> ColumnPlan:
    return ColumnPlan(**{**plan.__dict__, **changes})


def numbers_of(column: Column) -> Values:
    """A column of numbers or moments as the frame holds it where that is a plain array, else as float64."""
    raw = column.raw
    if column.kind in NUMBERS:
        if isinstance(raw, np.ndarray) and raw.dtype.kind in "iufb":
            return raw
        if isinstance(getattr(raw, "dtype", None), np.dtype) and raw.dtype.kind in "iufb" and hasattr(raw, "to_numpy"):
            values: Values = raw.to_numpy()
            return values
    return column.numbers()


def _numbers(values: Values, bare: ColumnPlan, cell: int) -> ColumnPlan:
    step = max(1, len(values) // SAMPLE)
    with np.errstate(over="ignore", invalid="ignore"):
        sample = values[::step].astype(np.float64)
    sample = np.sort(sample[np.isfinite(sample)])
    if not len(sample):
        return _as(bare, kind="number", low=0.0, width=1.0, cells=1, starts=(0,))
    low, high = _ends(sample, cell)
    if bare.was == ColumnKind.BOOLEAN:
        return _as(bare, kind="number", low=0.0, width=1.0, cells=2, starts=(0, 1), unit=True)
    whole = bool(np.all(sample == np.floor(sample)))
    spread = high > low or bare.was == ColumnKind.INTEGER
    if whole and spread and high - low < CELLS - 12 and max(abs(low), abs(high)) < 2.0**52:
        return _whole(values, bare, cell, low, high)
    points = _points(values, sample, cell)
    low, width, cells = _grid(low, high, len(sample) >= 4 * cell)
    # Up to 1,000 rows distances are told by counts alone (Kolmogorov-Smirnov), and finer bins tell more.
    need = 2 * cell * len(sample) / len(values) if len(values) > FEW_ROWS else 0.0
    starts = _fold(sample, low, width, cells, need)
    return _as(bare, kind="number", low=low, width=width, cells=cells, starts=starts, points=points)


def _ends(ascending: Floats, cell: int) -> tuple[float, float]:
    """The 0.1 % and 99.9 % quantiles, or further in where fewer than ``cell`` values would lie beyond."""
    rank = math.ceil(TAIL * len(ascending))
    rank = max(rank, cell) if len(ascending) >= 4 * cell else 0
    return float(ascending[rank]), float(ascending[len(ascending) - 1 - rank])


def _grid(low: float, high: float, enough: bool) -> tuple[float, float, int]:
    """Lower end, width and number of cells: the ends are rounded away from the data."""
    width = high - low
    if not math.isfinite(width):
        return 0.0, 1.0, 1
    rounding = max(abs(low), abs(high)) * 1e-12
    if width <= max(rounding, 1e-290):
        return low, max(rounding, 1e-12), 1
    step = 10.0 ** (math.floor(math.log10(width)) - (2 if enough else 0))
    ends = math.floor(low / step) * step, math.ceil(high / step) * step
    if all(map(math.isfinite, ends)) and ends[0] <= low and ends[1] >= high:
        low, high = ends
    # A spike at the upper end itself belongs in the last cell, not beyond it.
    high += max((high - low) * 1e-9, abs(high) * 1e-12)
    cell_width = (high - low) / CELLS
    if not math.isfinite(cell_width) or not math.isfinite(1 / cell_width):
        return 0.0, 1.0, 1
    return low, cell_width, CELLS


def _whole(values: Values, bare: ColumnPlan, cell: int, low: float, high: float) -> ColumnPlan:
    """A cell to a whole number; a bin to each that enough rows hold, the others share theirs."""
    first, last = math.floor(low), math.ceil(high)
    if last - first >= 20:
        first, last = first // 5 * 5, -(-last // 5) * 5
    cells = last - first + 1
    with np.errstate(over="ignore", invalid="ignore"):
        position = values.astype(np.float64) - first
        inside = position[(position >= 0) & (position < cells)]
    counts = np.bincount(inside.astype(np.int64), minlength=cells)
    starts = [0]
    for place in range(1, cells):
        common = counts[place - 1] >= cell or counts[place] >= cell
        if common or place - starts[-1] >= RUN:
            starts.append(place)
    return _as(bare, kind="number", low=float(first), width=1.0, cells=cells, starts=tuple(starts), unit=True)


def _points(values: Values, sample: Floats, cell: int) -> tuple[float, ...]:
    """The numbers of a column that holds few different ones, those that enough rows hold."""
    if len(np.unique(sample[:: max(1, len(sample) // 512)])) > POINTS or len(np.unique(sample)) > POINTS:
        return ()
    found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if len(found) > POINTS:
        return ()
    return tuple(float(value) for value, held in zip(found, counts, strict=True) if held >= cell)


def _fold(ascending: Floats, low: float, width: float, cells: int, need: float) -> tuple[int, ...]:
    """First cell of each bin: neighbours of few values share one until they have ``need`` in the sample."""
    with np.errstate(over="ignore"):
        position = np.clip((ascending - low) / width, -1, cells)
    counts = np.bincount(np.floor(position).astype(np.int64) + 1, minlength=cells + 2)[1 : cells + 1]
    starts: list[int] = []
    held = need
    for place, count in enumerate(counts.tolist()):
        if held >= need or place - starts[-1] >= RUN:
            starts.append(place)
            held = count or need
        else:
            held += count
    return tuple(starts)


def _labels(column: Column, bare: ColumnPlan, columns: Columns, cell: int) -> ColumnPlan:
    if column.kind is ColumnKind.MIXED and _nested(column):
        return bare
    levels, counts = column.tallies()
    rows = int(counts.sum())
    chosen = column.name in columns.categorical
    if len(levels) > rows * 0.5 and not chosen and rows:
        if column.kind is ColumnKind.STRING:
            unique = len(levels) == rows
            return _as(bare, kind="id" if unique and not any(" " in str(t).strip() for t in levels[:500]) else "text")
        if column.kind is ColumnKind.MIXED and len(levels) > 20:
            return bare
    kept = [
        (count, digest_of(column.name, level), level)
        for level, count in zip(levels, counts.tolist(), strict=True)
        if not (isinstance(level, float) and not math.isfinite(level))
    ]
    kept.sort(key=lambda one: (-one[0], one[1]))
    common = [one for one in kept if one[0] >= cell][:LEVELS]
    rare = kept[len(common) :]
    common.sort(key=lambda one: one[1])
    return _as(
        bare,
        kind="label",
        levels=tuple(one[1] for one in common),
        rare=tuple(sorted(one[1] for one in rare[:RARE])),
        labels=tuple(label_text(one[2])[1:] for one in common) if column.name in columns.safe_labels else None,
        first=_first(column.name, [one[2] for one in kept]),
        complete=len(rare) <= RARE,
    )


def _first(name: str, labels: list[Any]) -> str | None:
    if not labels:
        return None
    try:
        return digest_of(name, min(labels))
    except TypeError:
        return digest_of(name, min(labels, key=str))


def _nested(column: Column) -> bool:
    raw = column.raw
    if str(getattr(raw, "dtype", "")) != "object":
        return True
    return any(isinstance(value, _NESTED) for value in np.asarray(raw, dtype=object))
