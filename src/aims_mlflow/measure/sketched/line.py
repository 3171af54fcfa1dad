"""Two summaries of one column laid side by side: proven bounds of the distances between what they summarise.

The first Wasserstein distance is the area between the two distribution functions F and G. In a bin the counts and
sums of both sides give the integral of F - G, hence a lower bound of the area; where the counts prove that F - G does
not change its sign there, that bound is the area itself. Elsewhere two upper bounds serve, the smaller one counts: the
largest gap the counts allow; and the area with each side's mass put at its own mean, plus what moving it there can
cost, ``2 m (1 - m)`` of the bin's width for a mean at ``m``. "Blind" values, of which only the bin is known, widen the
bounds by what their place in the bin can change. All lengths are in a unit that keeps squares within floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log2, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.measure.drift.wasserstein import MARGIN
from aims_mlflow.sketches.coding import STEPS
from aims_mlflow.sketches.numbers import NumberSketch, Tail
from aims_mlflow.sketches.tails import FIRST, PER_DOUBLING, log2_width

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FAR_EDGE = 400.0
"""From this edge on one more or less in units of the first bin does not count."""
_ARITHMETIC = 1e-11
"""How far a mean place may be off, in its bin's widths, by rounding (1e-13 when measured)."""
_LARGEST = 480.0
"""Base-2 logarithm of the longest length: its square, times any number of rows, is still a float."""


class Bounded(NamedTuple):
    """A number known within bounds."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Side:
    """One summary on the common bins."""

    n: int
    counts: Ints
    blind: Ints
    places: Floats
    """Mean place of the known values in their bin, 0 to 1 from its left edge."""
    slack: Floats
    """How far that mean may be off."""

    @property
    def known(self) -> Floats:
        """Share of the values in each bin whose mean place is known."""
        shares: Floats = (self.counts - self.blind) / self.n
        return shares

    @property
    def shares(self) -> Floats:
        """Share of the values in each bin."""
        shares: Floats = self.counts / self.n
        return shares

    @property
    def before(self) -> Floats:
        """Distribution function at the left edge of each bin, and at the right edge of the last."""
        return np.concatenate([[0], np.cumsum(self.counts)]) / self.n


@dataclass(frozen=True)
class Line:
    """The bins of both sides from the leftmost to the rightmost that holds something.

    Attributes:
        left: Left edges, from the grid's lower end, in units.
        widths: Widths in units.
        log_unit: Base-2 logarithm of the unit.
        low: The grid's lower end, in the column's own unit.
        exact: Bins whose values all lie at the left edge: one whole number each.
        reference: The reference.
        current: The current data.
    """

    left: Floats
    widths: Floats
    log_unit: float
    low: float
    exact: NDArray[np.bool_]
    reference: Side
    current: Side

    @classmethod
    def of(cls, reference: NumberSketch, current: NumberSketch) -> Line:
        """Lay two summaries of the same plan side by side; both must hold a value."""
        plan = reference.plan
        last = [max(_last(getattr(side, tail)) for side in (reference, current)) for tail in ("below", "above")]
        log_cell, log_range = log2(plan.width), log2(plan.range)
        log_first = log_range - log2(FIRST)
        extent = max(log_range, *(log_first + (bins + 1) / PER_DOUBLING for bins in last)) + 1
        log_unit = max(log_cell, extent - _LARGEST)
        below, above = (np.arange(bins + 1, dtype=np.float64) for bins in last)
        edges = np.asarray([*plan.starts, plan.cells], dtype=np.float64)
        cell = _power(np.float64(log_cell - log_unit))
        widths = np.concatenate(
            [
                _power(log2_width(below[::-1], log_first) - log_unit),
                np.diff(edges) * cell,
                _power(log2_width(above, log_first) - log_unit),
            ]
        )
        left = np.concatenate(
            [-_distance(below[::-1] + 1, log_first, log_unit), edges[:-1] * cell,
             plan.cells * cell + _distance(above, log_first, log_unit)]
        )  # fmt: skip
        whole = not (reference.seen | current.seen) & 1
        own = np.concatenate([np.zeros(len(below), bool), reference.own_cells(), np.zeros(len(above), bool)])
        sides = [_side(sketch, last) for sketch in (reference, current)]
        fractions = np.logical_or(*(side.places * (side.counts > side.blind) > 0 for side in sides))
        rounded = reference.rounded or current.rounded
        told = np.logical_and(*(side.blind == 0 for side in sides)) & (not rounded)
        exact = own & ~fractions & (told | whole)
        if whole:
            sides = [_at_edge(side, exact) for side in sides]
        return cls(left, widths, log_unit, plan.low, exact, sides[0], sides[1])

    @property
    def points(self) -> Floats:
        """Edges of the bins, in units."""
        return np.concatenate([self.left, [self.left[-1] + self.widths[-1]]])

    def wasserstein(self) -> Bounded:
        """The area between both distribution functions, in units."""
        u, v = self.reference, self.current
        before = u.before[:-1] - v.before[:-1]
        f, g = u.shares, v.shares
        fb, gb = u.blind / u.n, v.blind / v.n
        known = before + u.known * (1 - u.places) - v.known * (1 - v.places)
        slack = u.known * u.slack + v.known * v.slack
        lowest, highest = known - gb - slack, known + fb + slack
        least = np.maximum(np.maximum(lowest, -highest), 0.0)
        largest = np.maximum(np.abs(lowest), np.abs(highest))
        sure = (before - g >= 0) | (before + f <= 0)
        most = np.maximum(np.abs(before + f), np.abs(before - g))
        spread = 2 * (u.known * _spread(u) + v.known * _spread(v)) + (fb + gb) / 2 + slack
        most = np.minimum(most, self._gathered(before) + spread)
        most = np.maximum(np.where(sure, np.minimum(most, largest), most), least)
        value = np.clip(np.abs(known + (fb - gb) / 2), least, most)
        low, middle, high = (float(np.sum(part * self.widths)) for part in (least, value, most))
        return Bounded(low * (1 - MARGIN), middle, high * (1 + MARGIN))

    def _gathered(self, before: Floats) -> Floats:
        """Area over each bin's width with known values at their mean and blind ones in the middle."""
        u, v = self.reference, self.current
        middle = np.full(len(before), 0.5)
        at = np.stack([u.places, v.places, middle])
        steps = np.stack([u.known, -v.known, u.blind / u.n - v.blind / v.n])
        order = np.argsort(at, axis=0)
        at, steps = np.take_along_axis(at, order, 0), np.take_along_axis(steps, order, 0)
        level = before + np.concatenate([np.zeros((1, len(before))), np.cumsum(steps, axis=0)])
        stops = np.concatenate([np.zeros((1, len(before))), at, np.ones((1, len(before)))])
        area: Floats = (np.abs(level) * np.diff(stops, axis=0)).sum(axis=0)
        return area

    def deviation(self, side: Side) -> Bounded:
        """Standard deviation (divisor n) of one side, in units."""
        mean = self.mean(side)
        known, blind = side.known, side.blind / side.n
        left, right = self.left - mean.value, self.left + self.widths - mean.value
        at = left + side.places * self.widths
        slack = side.slack * self.widths
        inside = side.places * (1 - side.places) * self.widths**2
        inside = np.where(self.exact, 0.0, inside)
        nearest = np.where((left <= 0) & (right >= 0), 0.0, np.minimum(left**2, right**2))
        farthest = np.maximum(left**2, right**2)
        least = float(np.sum(known * np.maximum(np.abs(at) - slack, 0.0) ** 2 + blind * nearest))
        most = float(np.sum(known * ((np.abs(at) + slack) ** 2 + inside + slack * self.widths) + blind * farthest))
        middle = (left + right) / 2
        value = float(np.sum(known * (at**2 + inside / 3) + blind * (middle**2 + self.widths**2 / 12)))
        off = max(mean.high - mean.value, mean.value - mean.low)
        low = max(sqrt(least) - off, 0.0)
        # Squares of deviations from any point are at least those from the mean.
        high = sqrt(most)
        return Bounded(low * (1 - MARGIN), min(max(sqrt(value), low), high), high * (1 + MARGIN))

    def mean(self, side: Side) -> Bounded:
        """Mean of one side, in units from the grid's lower end."""
        known, blind = side.known, side.blind / side.n
        at = self.left + side.places * self.widths
        sure = float(np.sum(known * at))
        slack = float(np.sum(known * side.slack * self.widths))
        low = float(np.sum(blind * self.left)) - slack
        high = float(np.sum(blind * (self.left + self.widths))) + slack
        return Bounded(sure + low, sure + (low + high) / 2, sure + high)

    def largest_gap(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Counts (a of the reference, b of the current data) whose ``|a/n - b/m|`` bounds the largest |F - G|."""
        u, v = self.reference, self.current
        a, b = (np.concatenate([[0], np.cumsum(side.counts)]) for side in (u, v))
        at_edges = int(np.argmax(np.abs(a / u.n - b / v.n)))
        least = int(a[at_edges]), int(b[at_edges])
        # Between the edges of a bin that holds values of both sides, one may come wholly before the other.
        open_bins = (u.counts > 0) & (v.counts > 0) & ~self.exact
        pairs = [least]
        for first, second in ((a[1:], b[:-1]), (a[:-1], b[1:])):
            gaps = np.where(open_bins, np.abs(first / u.n - second / v.n), 0.0)
            place = int(np.argmax(gaps))
            pairs.append((int(first[place]), int(second[place])))
        most = max(pairs, key=lambda pair: abs(pair[0] / u.n - pair[1] / v.n))
        return least, most

    def in_units(self, length: float) -> float:
        """A length of the column's own unit in units; the largest float at most."""
        if length <= 0:
            return 0.0
        return float(2.0 ** min(log2(length) - self.log_unit, 1023.0))

    def largest_mean(self) -> float:
        """The size of the reference's mean, in the column's own unit, roughly."""
        mean = abs(self.mean(self.reference).value)
        exponent = log2(mean) + self.log_unit if mean else -inf
        return float(abs(self.low) + 2.0 ** min(exponent, 1000.0))


def _spread(side: Side) -> Floats:
    spread: Floats = side.places * (1 - side.places)
    return spread


def _power(exponent: Floats | np.float64) -> Floats:
    return np.asarray(np.exp2(np.maximum(exponent, -1080.0)))


def _distance(edge: Floats, log_first: float, log_unit: float) -> Floats:
    """Distance from the grid's end to an edge of a bin beyond it, in units."""
    log = log_first - log_unit
    near, far = np.minimum(edge, _FAR_EDGE), edge > _FAR_EDGE
    distance = _power(np.float64(log)) * np.expm1(near / PER_DOUBLING * np.log(2.0))
    jump = _power(log + edge / PER_DOUBLING) - _power(np.float64(log + _FAR_EDGE / PER_DOUBLING))
    return np.asarray(distance + np.where(far, jump, 0.0))


def _last(tail: Tail) -> int:
    keys = tail.held()[0]
    return int(keys[-1]) if len(keys) else -1


def _side(sketch: NumberSketch, last: list[int]) -> Side:
    parts: list[list[Floats]] = [[], [], []]
    for tail, length, outward in ((sketch.below, last[0] + 1, True), (sketch.above, last[1] + 1, False)):
        keys, counts, blind, sums = tail.held()
        dense = [np.zeros(length), np.zeros(length), np.zeros(length)]
        for into, values in zip(dense, (counts, blind, sums), strict=True):
            into[keys] = values
        if outward:
            # Places beyond the lower end are counted away from the grid.
            dense = [dense[0][::-1], dense[1][::-1], (dense[0] - dense[1] - dense[2])[::-1]]
        for part, into in zip(parts, dense, strict=True):
            part.append(into)
    inner = (sketch.counts, sketch.blind, sketch.sums)
    counts, blind, sums = (
        np.concatenate([part[0], middle, part[1]]) for part, middle in zip(parts, inner, strict=True)
    )
    known = counts - blind
    places = np.clip(np.divide(sums, known, out=np.zeros(len(sums)), where=known > 0), 0.0, 1.0)
    slack = np.full(len(places), 1.0 / STEPS if sketch.rounded else _ARITHMETIC)
    return Side(sketch.n, counts.astype(np.int64), blind.astype(np.int64), places, slack)


def _at_edge(side: Side, exact: NDArray[np.bool_]) -> Side:
    """Whole numbers with a bin of their own are not blind: they can only lie at its edge."""
    return Side(
        side.n,
        side.counts,
        np.where(exact, 0, side.blind),
        np.where(exact, 0.0, side.places),
        np.where(exact, 0.0, side.slack),
    )
