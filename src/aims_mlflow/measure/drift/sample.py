"""One column of both sides, cleaned the way Evidently cleans it: NaN, nulls and infinities left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.measure.drift.wasserstein import BLOCK, Floats, Ints, Values


@dataclass(frozen=True)
class Counts:
    """How often each category occurs on either side; the two arrays speak of the same categories in the same order."""

    reference: Ints
    current: Ints
    first: int = 0
    """Position of the category that sorts first."""
    rows: Callable[[], tuple[Ints, Ints]] | None = field(default=None, compare=False)
    """Gives the category of each row of either side, in row order; only permutation tests ask for it."""

    @property
    def n(self) -> int:
        """Rows of the reference."""
        return int(self.reference.sum())

    @property
    def m(self) -> int:
        """Rows of the current data."""
        return int(self.current.sum())


class Numbers:
    """A numeric column of both sides.

    Attributes:
        reference: Values as the frame holds them: any integer, boolean or float type, NaN and infinities included.
        current: The same for the other side.
        whole: Whether every finite value of both sides is an integer.
        n: Finite values of the reference.
        m: Finite values of the current data.
    """

    def __init__(self, reference: Values, current: Values, *, whole: bool = False) -> None:
        self.reference = reference
        self.current = current
        self.whole = whole
        self.n = count_finite(reference)
        self.m = count_finite(current)

    @cached_property
    def u(self) -> Floats:
        """Finite values of the reference, float64, in row order."""
        return finite(self.reference)

    @cached_property
    def v(self) -> Floats:
        """Finite values of the current data, float64, in row order."""
        return finite(self.current)

    @cached_property
    def u_sorted(self) -> Floats:
        """``u`` in ascending order."""
        return np.sort(self.u)

    @cached_property
    def v_sorted(self) -> Floats:
        """``v`` in ascending order."""
        return np.sort(self.v)

    @property
    def as_stored(self) -> tuple[Values, Values]:
        """``u`` and ``v`` as int64 where the column is whole: some NumPy rules differ between integers and floats."""
        return (self.u.astype(np.int64), self.v.astype(np.int64)) if self.whole else (self.u, self.v)

    @cached_property
    def counts(self) -> Counts:
        """Each distinct number as a category, ascending."""
        left, left_n = np.unique(self.u_sorted, return_counts=True)
        right, right_n = np.unique(self.v_sorted, return_counts=True)
        values = np.union1d(left, right)
        reference, current = np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.int64)
        reference[np.searchsorted(values, left)] = left_n
        current[np.searchsorted(values, right)] = right_n
        return Counts(
            reference, current, rows=lambda: (np.searchsorted(values, self.u), np.searchsorted(values, self.v))
        )


def count_finite(values: Values) -> int:
    """How many values are neither NaN nor infinite."""
    if values.dtype.kind in "iub":
        return len(values)
    return sum(
        int(np.count_nonzero(np.isfinite(values[start : start + BLOCK]))) for start in range(0, len(values), BLOCK)
    )


def finite(values: Values) -> Floats:
    """The finite values as float64, in order."""
    as_float: Floats = values.astype(np.float64, copy=False)
    if values.dtype.kind in "iub":
        return as_float
    keep = np.isfinite(as_float)
    kept: Floats = as_float if keep.all() else as_float[keep]
    return kept


def few_distinct(values: Values, limit: int) -> Floats | None:
    """The distinct finite values, ascending; None as soon as there are more than ``limit``."""
    sample = values[:: max(1, len(values) // 512)][:1024]
    seen = np.unique(finite(sample))
    for start in range(0, len(values), BLOCK):
        if len(seen) > limit:
            return None
        block = values[start : start + BLOCK]
        known = np.zeros(len(block), dtype=bool)
        for value in seen:
            known |= block == value
        if not known.all():
            seen = np.union1d(seen, np.unique(finite(block[~known])))
    return seen if len(seen) <= limit else None


def counts_of_numbers(reference: Values, current: Values, values: Floats | None) -> Counts:
    """Counts of a numeric column by value; ``values`` are its distinct values where they are few and known."""
    if values is None:
        return Numbers(reference, current).counts
    return Counts(
        np.array([_count_equal(reference, value) for value in values], dtype=np.int64),
        np.array([_count_equal(current, value) for value in values], dtype=np.int64),
        rows=lambda: (np.searchsorted(values, finite(reference)), np.searchsorted(values, finite(current))),
    )


def _count_equal(values: Values, value: float) -> int:
    return sum(int(np.count_nonzero(values[start : start + BLOCK] == value)) for start in range(0, len(values), BLOCK))


def counts_of_labels(
    reference: tuple[Sequence[Any], Ints],
    current: tuple[Sequence[Any], Ints],
    codes: Callable[[], Iterable[tuple[NDArray[Any], Sequence[Any]]]],
) -> Counts:
    """Counts of a column of labels from the distinct labels of either side and how many rows hold each.

    Labels of the two sides are the same category where Python calls them equal. Infinite labels are left out.
    ``codes`` gives each side's row by row: codes (-1 where missing) and the labels they stand for.
    """
    place: dict[Any, int] = {}
    maps = [np.array([_place(label, place) for label in labels], dtype=np.int64) for labels, _ in (reference, current)]
    sides = []
    for (_, held), to_place in zip((reference, current), maps, strict=True):
        side = np.zeros(len(place), dtype=np.int64)
        kept = to_place >= 0
        np.add.at(side, to_place[kept], held[kept])
        sides.append(side)

    def rows() -> tuple[Ints, Ints]:
        both = []
        for of_rows, labels in codes():
            placed = np.array([*(_place(label, place) for label in labels), -1], dtype=np.int64)[of_rows]
            both.append(placed[placed >= 0])
        return both[0], both[1]

    return Counts(sides[0], sides[1], first=_first(place), rows=rows)


def _place(label: Any, place: dict[Any, int]) -> int:
    if isinstance(label, float) and not np.isfinite(label):
        return -1
    return place.setdefault(label, len(place))


def _first(labels: Iterable[Any]) -> int:
    listed = list(labels)
    if not listed:
        return 0
    try:
        return listed.index(min(listed))
    except TypeError:
        texts = [str(label) for label in listed]
        return texts.index(min(texts))
