"""The first Wasserstein distance between two columns: proven bounds from one pass, exact by sorting.

W1 is the area between the two empirical distribution functions F and G. A ``Summary`` keeps, on a grid fixed by the
reference, the count and the sum of the values in each bin. Both together give the integral of F - G over a bin
exactly, hence a lower bound of the area; where F - G cannot change its sign inside the bin, which the counts alone
prove for nearly all bins, that bound is the area itself. Elsewhere the largest gap the counts allow gives an upper
bound. What lies outside the grid (about 0.1 % of the reference at either end) is kept as sorted values and integrated
exactly, so heavy tails do not widen the bounds. On a grid of integers every bin holds one value only and the bounds
meet: the score is exact.

Counts and sums add up and tails concatenate, so summaries of parts merge to the summary of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, floor, isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Values = NDArray[Any]

BINS = 4096
BLOCK = 32_768
"""Values handled at a time: the temporaries of a block stay in the processor's second cache."""
TAIL = 0.001
"""Share of the reference beyond either end of the grid."""
MARGIN = 1e-7
"""Relative room left for rounding before a side of the limit is called proven."""


@dataclass(frozen=True)
class Grid:
    """``bins`` bins of equal width from ``low`` to ``high``; ``unit`` for one bin per integer."""

    low: float
    high: float
    bins: int
    unit: bool = False

    @property
    def scale(self) -> float:
        """Bins per unit of the column."""
        return self.bins / (self.high - self.low)

    def edges(self) -> Floats:
        """The ``bins + 1`` edges."""
        return self.low + np.arange(self.bins + 1) / self.scale

    @classmethod
    def of(cls, reference: Values, *, whole: bool = False) -> Grid:
        """A grid over the middle 99.8 % of a one-dimensional array of numbers.

        ``whole`` says that every finite value, of every side that will stand on the grid, is an integer: then each
        integer gets a bin of its own, if 4,096 of them suffice.
        """
        sample = reference[:: max(1, len(reference) // 20_000)]
        sample = np.asarray(sample[np.isfinite(sample)], dtype=np.float64)
        if not len(sample):
            return cls(0.0, 1.0, 1)
        low, high = (float(q) for q in np.quantile(sample, [TAIL, 1 - TAIL]))
        if whole and high - low < BINS - 1 and max(abs(low), abs(high)) < 2.0**52:
            return cls(float(floor(low)), float(ceil(high) + 1), int(ceil(high) - floor(low)) + 1, unit=True)
        if not isfinite(high - low):
            return cls(0.0, 1.0, 1)
        # A spike at the 99.9 % quantile itself belongs in the last bin, not in the tail.
        high += max((high - low) * 1e-9, abs(high) * 1e-12, 1e-300)
        if not isfinite(BINS / (high - low)):
            return cls(low, low + 1.0, 1)
        return cls(low, high, BINS)


@dataclass(frozen=True)
class Summary:
    """One side of a column on a grid: counts, sums, moments and the values beyond the grid.

    Attributes:
        grid: The grid, the reference's.
        n: Finite values seen.
        skipped: NaN and infinite values seen.
        mean: Mean of the finite values.
        m2: Sum of their squared deviations from the mean.
        counts: Values per bin, int64 of length ``grid.bins``.
        sums: Sum of the values per bin, measured from the bin's left edge in units of bins; float64 of the same length.
        below: Sorted values below the grid.
        above: Sorted values above the grid.
    """

    grid: Grid
    n: int
    skipped: int
    mean: float
    m2: float
    counts: Ints
    sums: Floats
    below: Floats
    above: Floats

    @property
    def std(self) -> float:
        """Population standard deviation (divisor n)."""
        return sqrt(self.m2 / self.n) if self.n else 0.0

    @classmethod
    def of(cls, values: Values, grid: Grid) -> Summary:
        """Summarise a one-dimensional array of numbers in one pass; NaN and infinities are skipped and counted.

        Moments of values whose squares overflow come out infinite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return cls._of(values, grid)

    @classmethod
    def _of(cls, values: Values, grid: Grid) -> Summary:
        unit = grid.unit
        counts = np.zeros(grid.bins, dtype=np.int64)
        sums = np.zeros(grid.bins)
        below: list[Floats] = []
        above: list[Floats] = []
        n, mean, m2 = 0, 0.0, 0.0
        for raw in _blocks(values):
            block = raw.astype(np.float64) if raw.dtype != np.float64 else raw
            if values.dtype.kind not in "iub":
                finite = np.isfinite(block)
                if not finite.all():
                    block = block[finite]
            if not len(block):
                continue
            k = len(block)
            centre = float(block.mean())
            spread = block - centre
            delta, total = centre - mean, n + k
            # Not a dot product: BLAS would wake its threads for every block.
            m2 += float(np.square(spread).sum()) + delta * delta * n * k / total
            mean += delta * k / total
            n = total
            position = np.subtract(block, grid.low, out=spread)
            if not unit:
                position *= grid.scale
            first, last = float(position.min()), float(position.max())
            if first < 0 or last >= grid.bins:
                low, high = position < 0, position >= grid.bins
                below.append(block[low])
                above.append(block[high])
                position = position[~(low | high)]
            index = position.astype(np.int64)
            counts += np.bincount(index, minlength=grid.bins)
            if not unit:
                sums += np.bincount(index, weights=position, minlength=grid.bins)
        if not unit:
            sums -= counts * np.arange(grid.bins, dtype=np.float64)
        return cls(grid, n, len(values) - n, mean, m2, counts, sums, _sorted(below), _sorted(above))

    def merge(self, other: Summary) -> Summary:
        """The summary of both parts together.

        Raises:
            ValueError: the two stand on different grids.
        """
        if self.grid != other.grid:
            msg = "summaries on different grids cannot be merged"
            raise ValueError(msg)
        n = self.n + other.n
        delta = other.mean - self.mean
        return replace(
            self,
            n=n,
            skipped=self.skipped + other.skipped,
            mean=self.mean + delta * other.n / n if n else 0.0,
            m2=self.m2 + other.m2 + (delta * delta * self.n * other.n / n if n else 0.0),
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            below=_sorted([self.below, other.below]),
            above=_sorted([self.above, other.above]),
        )

    def knots(self, other: Summary, limit: int = 256) -> tuple[Floats, Floats, Floats]:
        """Ascending points and both distribution functions just right of them; tails thinned to ``limit`` points."""
        lows = _thin(np.concatenate([self.below, other.below]), limit)
        highs = _thin(np.concatenate([self.above, other.above]), limit)
        edges = self.grid.edges()
        points = np.concatenate([lows, edges, highs])
        return points, self._cdf(lows, highs), other._cdf(lows, highs)

    def _cdf(self, lows: Floats, highs: Floats) -> Floats:
        inside = len(self.below) + np.concatenate([[0], np.cumsum(self.counts)])
        before = np.searchsorted(self.below, lows, side="right")
        after = self.n - len(self.above) + np.searchsorted(self.above, highs, side="right")
        return np.concatenate([before, inside, after]) / max(self.n, 1)


def bounds(reference: Summary, current: Summary) -> tuple[float, float]:
    """Lower and upper bound of W1 between two non-empty summaries on one grid, in the column's own unit."""
    n, m, grid = reference.n, current.n, reference.grid
    width = 1.0 / grid.scale
    cu, cv = reference.counts, current.counts
    f, g = cu / n, cv / m
    before = (len(reference.below) + np.cumsum(cu) - cu) / n - (len(current.below) + np.cumsum(cv) - cv) / m
    area = (before + (cu - reference.sums) / n - (cv - current.sums) / m) * width
    least = np.abs(area)
    sure = (before - g >= 0) | (before + f <= 0)
    most = np.where(sure, least, np.maximum(np.maximum(np.abs(before + f), np.abs(before - g)) * width, least))
    if grid.unit:
        most = least
    tails = 0.0
    if len(reference.below) or len(current.below):
        ends = [float(side[0]) for side in (reference.below, current.below) if len(side)]
        tails += _gap(reference.below, current.below, n, m, 0.0, 0.0, min(ends), grid.low)
    if len(reference.above) or len(current.above):
        ends = [float(side[-1]) for side in (reference.above, current.above) if len(side)]
        at_f, at_g = 1 - len(reference.above) / n, 1 - len(current.above) / m
        tails += _gap(reference.above, current.above, n, m, at_f, at_g, grid.high, max(ends))
    return float(least.sum()) + tails, float(most.sum()) + tails


def exact(reference: Floats, current: Floats) -> float:
    """W1 between two non-empty arrays of finite float64 values, by one sort of each."""
    return exact_sorted(np.sort(reference), np.sort(current))


def exact_sorted(u: Floats, v: Floats) -> float:
    """W1 between two non-empty ascending arrays: the mean distance of their quantiles."""
    n, m = len(u), len(v)
    total = 0.0
    if n == m:
        for start in range(0, n, BLOCK):
            total += float(np.abs(u[start : start + BLOCK] - v[start : start + BLOCK]).sum())
        return total / n
    # Quantile levels in units of 1/(n m), whole numbers so that no tie is missed: u steps at multiples of m, v of n.
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        at_v = np.arange(start * m // n + 1, stop * m // n + 1, dtype=np.int64) * n
        levels = np.concatenate([np.arange(start + 1, stop + 1, dtype=np.int64) * m, at_v])
        levels.sort(kind="stable")
        weights = np.diff(levels, prepend=start * m)
        gaps = np.abs(u[np.minimum((levels - 1) // m, n - 1)] - v[np.minimum((levels - 1) // n, m - 1)])
        total += float((gaps * weights).sum()) / m
    return total / n


def _gap(u: Floats, v: Floats, n: int, m: int, f0: float, g0: float, left: float, right: float) -> float:
    """Exact area between F and G over [left, right], from the sorted values in it and F, G just left of it."""
    if len(u) > len(v):
        u, v, n, m, f0, g0 = v, u, m, n, g0, f0
    # Between neighbours of the shorter side F is constant and G rises: the sign changes once at most, at a known value.
    z = np.concatenate([[left], u, [right]])
    level = f0 + np.arange(len(u) + 1) / n
    stops = np.searchsorted(v, z, side="left")
    stops[-1] = len(v)
    crossing = np.floor((level - g0) * m)
    split = np.clip(crossing, stops[:-1], stops[1:]).astype(np.int64)
    inside = np.concatenate([v, [right]])[split]
    at = np.where(crossing < stops[:-1], z[:-1], np.where(split >= stops[1:], z[1:], inside))
    first = np.stack([stops[:-1], split], axis=1).ravel()
    last = np.stack([split, stops[1:]], axis=1).ravel()
    begin = np.stack([z[:-1], at], axis=1).ravel()
    end = np.stack([at, z[1:]], axis=1).ravel()
    held = last - first
    sums = np.zeros(len(first))
    full = held > 0
    if full.any():
        sums[full] = np.add.reduceat(v, first[full])
        # reduceat runs to the next start; the pieces are gapless, so only the last one runs to the end as it should.
    area = (np.repeat(level, 2) - g0 - first / m) * (end - begin) - (held * end - sums) / m
    return float(np.abs(area).sum())


def _blocks(values: Values) -> Iterator[Values]:
    for start in range(0, len(values), BLOCK):
        yield values[start : start + BLOCK]


def _sorted(parts: list[Floats]) -> Floats:
    joined: Floats = np.concatenate(parts) if parts else np.empty(0)
    joined.sort()
    return joined


def _thin(values: Floats, limit: int) -> Floats:
    """Sorted, at most about ``limit`` of them, the outermost 32 at either end kept."""
    values = np.sort(values)
    if len(values) <= limit:
        return values
    outer = np.arange(32)
    places = np.concatenate([outer, np.linspace(0, len(values) - 1, limit).astype(np.int64), len(values) - 1 - outer])
    kept: Floats = values[np.unique(places)]
    return kept
