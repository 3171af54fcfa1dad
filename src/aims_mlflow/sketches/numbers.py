"""All number columns of a profile at once: one position per value, one count and one sum per bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.sketches.plan import ColumnPlan
from aims_mlflow.sketches.tails import FIRST, place

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Values = NDArray[Any]

BLOCK = 32_768
"""Values handled at a time: the temporaries of a block stay in the processor's second cache."""
MANY = 16
"""Different numbers that are told apart at most, apart from those with a bin or point of their own."""
_FLOAT, _WHOLE, _TRUTH = 1, 2, 4


NEAR = 64
"""Bins beyond either end that are always there; further ones are kept as they come."""


def _nothing() -> Ints:
    return np.zeros(NEAR, dtype=np.int64)


@dataclass
class Tail:
    """Bins beyond one end of the grid: counts, blind counts and sums of the first 64, and of further ones by place."""

    counts: Ints = field(default_factory=_nothing)
    blind: Ints = field(default_factory=_nothing)
    sums: Floats = field(default_factory=lambda: np.zeros(NEAR))
    far: dict[int, list[float]] = field(default_factory=dict)

    def add_far(self, key: int, count: int, blind: int, total: float) -> None:
        """Count values of a further bin."""
        own = self.far.setdefault(key, [0, 0, 0.0])
        own[0] += count
        own[1] += blind
        own[2] += total

    def take(self, other: Tail) -> None:
        """Add those of the other."""
        self.counts += other.counts
        self.blind += other.blind
        self.sums += other.sums
        for key, (count, blind, total) in other.far.items():
            self.add_far(key, int(count), int(blind), total)

    def held(self) -> tuple[Ints, Ints, Ints, Floats]:
        """Places of the bins that hold something, ascending, with their counts, blind counts and sums."""
        near = np.flatnonzero(self.counts)
        keys = sorted(self.far)
        rows = [self.far[key] for key in keys]
        return (
            np.concatenate([near, np.asarray(keys, dtype=np.int64)]),
            np.concatenate([self.counts[near], np.asarray([row[0] for row in rows], dtype=np.int64)]),
            np.concatenate([self.blind[near], np.asarray([row[1] for row in rows], dtype=np.int64)]),
            np.concatenate([self.sums[near], np.asarray([row[2] for row in rows], dtype=np.float64)]),
        )

    def put(self, keys: Ints, counts: Ints, blind: Ints, sums: Floats) -> None:
        """Set the bins that hold something."""
        near = keys < NEAR
        self.counts[keys[near]], self.blind[keys[near]], self.sums[keys[near]] = counts[near], blind[near], sums[near]
        for key, *own in zip(*(part[~near].tolist() for part in (keys, counts, blind, sums)), strict=True):
            self.far[key] = own

    @property
    def count(self) -> int:
        """Values in it."""
        return int(self.counts.sum()) + int(sum(own[0] for own in self.far.values()))


@dataclass
class NumberSketch:
    """One number column: counts and sums per bin.

    Sums are of the values' places in their bin, as shares of its width; those of ``blind`` values are not known.
    """

    plan: ColumnPlan
    counts: Ints
    blind: Ints
    sums: Floats
    rows: int = 0
    """Rows in which there was such a column, of the right type."""
    missing: int = 0
    infinite: int = 0
    absent: int = 0
    """Rows without the column."""
    retyped: int = 0
    """Rows in which it held something else than numbers."""
    withheld: int = 0
    """Values left out of what was shipped: too few to be told."""
    seen: int = 0
    """Kinds of number seen: 1 floats, 2 whole numbers, 4 truth values."""
    below: Tail = field(default_factory=Tail)
    above: Tail = field(default_factory=Tail)
    points: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Rows that hold each of the plan's points."""
    rounded: bool = False
    """Whether sums were read from bytes, where they are told in steps."""
    others: set[int] | None = field(default_factory=set)
    """Short digests of the different numbers without a bin or point of their own; None for more than 16 of them."""

    @property
    def n(self) -> int:
        """Finite values."""
        return int(self.counts.sum()) + self.below.count + self.above.count

    def spans(self) -> Ints:
        """Cells of each bin."""
        ends = np.asarray([*self.plan.starts, self.plan.cells], dtype=np.int64)
        return ends[1:] - ends[:-1]

    def note(self, values: Floats) -> None:
        """Keep count of different numbers until there are many."""
        if self.others is None or not len(values):
            return
        distinct = np.unique(values[:64])
        if len(distinct) <= MANY:
            distinct = np.unique(values)
        if len(distinct) > MANY:
            self.others = None
            return
        # Nonnegative zero, so that -0.0 and 0.0 are one.
        bits = (distinct + 0.0).view(np.uint64)
        mixed = (bits * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)
        self.others.update(mixed.tolist())
        if len(self.others) > MANY:
            self.others = None

    def merge(self, other: NumberSketch) -> NumberSketch:
        """Both together."""
        joined = NumberSketch(
            self.plan,
            self.counts + other.counts,
            self.blind + other.blind,
            self.sums + other.sums,
            seen=self.seen | other.seen,
            rounded=self.rounded or other.rounded,
            points=self.points + other.points,
            others=None if self.others is None or other.others is None else self.others | other.others,
        )
        for name in COUNTERS:
            setattr(joined, name, getattr(self, name) + getattr(other, name))
        for side in (self, other):
            joined.below.take(side.below)
            joined.above.take(side.above)
        joined.forget_many()
        return joined

    def own_cells(self) -> NDArray[np.bool_]:
        """Bins that stand for one whole number."""
        return self.spans() == 1 if self.plan.unit else np.zeros(len(self.counts), dtype=bool)

    def forget_many(self) -> None:
        """Different numbers are told apart only as long as there are few of them in all."""
        if self.others is None:
            return
        if len(self.others) > MANY or np.count_nonzero(self.counts[self.own_cells()]) > MANY:
            self.others = None


COUNTERS = ("rows", "missing", "infinite", "absent", "retyped", "withheld")


@dataclass
class State:
    """What is counted, of all columns end to end."""

    counts: Ints
    sums: Floats
    tail_counts: Ints
    tail_sums: Floats


class Grids:
    """The grids of several number columns, laid end to end so that one count serves them all.

    Each column has its cells, one before them for what lies below (and NaN), one after for what lies above.
    """

    def __init__(self, plans: Sequence[ColumnPlan]) -> None:
        self.plans = tuple(plans)
        self.low = np.array([[plan.low] for plan in plans])
        self.scale = np.array([[plan.scale] for plan in plans])
        self.top = np.array([[plan.cells + 1.0] for plan in plans])
        self.size = sum(plan.cells + 2 for plan in plans)
        offset = 0
        starts: list[int] = []
        left: list[float] = []
        span: list[float] = []
        slices: list[slice] = []
        for plan in plans:
            begin = len(starts) + 1
            edges = np.asarray([*plan.starts, plan.cells])
            starts += [offset, *(offset + 1 + edges[:-1]).tolist(), offset + plan.cells + 1]
            left += [0.0, *edges[:-1].tolist(), 0.0]
            span += [1.0, *np.diff(edges).tolist(), 1.0]
            slices.append(slice(begin, begin + len(plan.starts)))
            offset += plan.cells + 2
        offsets = np.cumsum([0, *(plan.cells + 2 for plan in plans)][:-1]) if plans else np.zeros(0)
        self.offsets = offsets.astype(np.intp)[:, None]
        self.starts = np.asarray(starts, dtype=np.intp)
        self.left = np.asarray(left)
        self.span = np.asarray(span)
        self.slices = tuple(slices)
        self.beyond = np.array([place for where in slices for place in (where.start - 1, where.stop)], dtype=np.intp)
        self.range = np.array([[plan.range] for plan in plans])
        self.unit = np.array([[plan.range / FIRST] for plan in plans])
        self.folded = len(self.starts) < self.size
        self.bins = len(self.starts)

    def views(self) -> tuple[State, list[NumberSketch]]:
        """Empty state of all columns, and a sketch of each whose arrays are parts of it."""
        size = 2 * NEAR * len(self.plans)
        state = State(
            np.zeros(self.bins, dtype=np.int64), np.zeros(self.bins), np.zeros(size, dtype=np.int64), np.zeros(size)
        )
        sketches = []
        for j, (plan, where) in enumerate(zip(self.plans, self.slices, strict=True)):
            below, above = (slice((2 * j + side) * NEAR, (2 * j + side + 1) * NEAR) for side in range(2))
            sketches.append(
                NumberSketch(
                    plan,
                    state.counts[where],
                    np.zeros(len(plan.starts), dtype=np.int64),
                    state.sums[where],
                    points=np.zeros(len(plan.points), dtype=np.int64),
                    below=Tail(state.tail_counts[below], sums=state.tail_sums[below]),
                    above=Tail(state.tail_counts[above], sums=state.tail_sums[above]),
                )
            )
        return state, sketches

    def add(self, arrays: Sequence[Values | None], rows: int, state: State, sketches: list[NumberSketch]) -> None:
        """Add rows to the state; None for a column that is not there."""
        step = max(1, BLOCK // max(len(self.plans), 1))
        with np.errstate(all="ignore"):
            for start in range(0, rows, step):
                self._add_block(arrays, start, min(start + step, rows), state, sketches)

    def _add_block(
        self,
        arrays: Sequence[Values | None],
        start: int,
        stop: int,
        state: State,
        sketches: list[NumberSketch],
    ) -> None:
        count = stop - start
        values = np.empty((len(arrays), count))
        for row, array in zip(values, arrays, strict=True):
            row[:] = np.nan if array is None else array[start:stop]
        weight = values - self.low
        weight *= self.scale
        # One more, for the cell before the grid; the weights do without, for 1 + 1e-17 is 1.
        position = weight + 1.0
        # NaN lands in the cell before the grid.
        np.fmax(position, 0.0, out=position)
        np.minimum(position, self.top, out=position)
        cells = position.astype(np.intp)
        cells += self.offsets
        flat = cells.ravel()
        held = np.bincount(flat, minlength=self.size)
        sums = np.bincount(flat, weights=weight.ravel(), minlength=self.size)
        if self.folded:
            held, sums = np.add.reduceat(held, self.starts), np.add.reduceat(sums, self.starts)
        sums = (sums - held * self.left) / self.span
        state.counts += held
        state.sums += sums
        for j, (sketch, where) in enumerate(zip(sketches, self.slices, strict=True)):
            if sketch.others is not None or sketch.plan.points:
                self._distinct(sketch, values[j], held[where], sums[where])
        if held[self.beyond].any():
            self._outside(values, position, arrays, (state.tail_counts, state.tail_sums), sketches)

    def _outside(
        self,
        values: Floats,
        position: Floats,
        arrays: Sequence[Values | None],
        tails: tuple[Ints, Floats],
        sketches: list[NumberSketch],
    ) -> None:
        """Missing and infinite values, and those beyond the grids, of all columns at once."""
        row, at = np.nonzero((position < 1.0) | (position >= self.top))
        beyond = values[row, at]
        upper = position[row, at] >= 1.0
        nan = np.isnan(beyond)
        if nan.any():
            missing = np.bincount(row[nan], minlength=len(sketches)).tolist()
            for sketch, array, count in zip(sketches, arrays, missing, strict=True):
                sketch.missing += count if array is not None else 0
            row, beyond, upper = row[~nan], beyond[~nan], upper[~nan]
        infinite = np.isinf(beyond)
        if infinite.any():
            for sketch, count in zip(
                sketches, np.bincount(row[infinite], minlength=len(sketches)).tolist(), strict=True
            ):
                sketch.infinite += count
            row, beyond, upper = row[~infinite], beyond[~infinite], upper[~infinite]
        if not len(row):
            return
        # Half of everything, for the distance of two large numbers may be too large for a float.
        halved = np.abs(beyond / 2 - self.low[row, 0] / 2) - np.where(upper, self.range[row, 0] / 2, 0.0)
        places, shares = place(np.maximum(halved, 0.0), self.unit[row, 0])
        side = row * 2 + upper
        near = places < NEAR
        flat = side[near] * NEAR + places[near]
        tails[0][:] += np.bincount(flat, minlength=len(tails[0]))
        tails[1][:] += np.bincount(flat, weights=shares[near], minlength=len(tails[1]))
        if not near.all():
            for key, where, share in zip(*(part[~near].tolist() for part in (places, side, shares)), strict=True):
                sketch = sketches[where // 2]
                (sketch.above if where % 2 else sketch.below).add_far(key, 1, 0, share)
        for j in np.unique(row).tolist():
            if self.plans[j].unit:
                sketches[j].note(beyond[row == j])

    def _distinct(self, sketch: NumberSketch, values: Floats, held: Ints, sums: Floats) -> None:
        """Count the plan's points; note numbers that have neither a point nor a cell of their own."""
        plan = sketch.plan
        if plan.points:
            rest = np.isfinite(values)
            for k, point in enumerate(plan.points):
                equal = values == point
                sketch.points[k] += np.count_nonzero(equal)
                rest &= ~equal
            sketch.note(values[rest])
        elif plan.unit:
            sketch.forget_many()
            # What shares a bin, or is no whole number.
            odd = np.where(sketch.own_cells(), sums != 0, held > 0)
            if odd.any() and sketch.others is not None:
                place = values - plan.low
                inside = (place >= 0) & (place < plan.cells)
                place = place[inside]
                which = np.searchsorted(np.asarray(plan.starts), np.floor(place), side="right") - 1
                alone = sketch.own_cells()[which] & (place == np.floor(place))
                sketch.note(values[inside][odd[which] & ~alone])
        else:
            sketch.note(values[np.isfinite(values)])


def kind_bit(kind: str) -> int:
    """Bit of a kind of number for ``NumberSketch.seen``."""
    return {"integer": _WHOLE, "boolean": _TRUTH}.get(kind, _FLOAT)
