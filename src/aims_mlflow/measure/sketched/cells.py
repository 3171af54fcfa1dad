"""Counts of both sides by label or by number, some of them of several labels together, and what they say for sure.

A cell that holds several labels hides how its rows split among them. Joining labels never raises a distance between
shares, nor Pearson's statistic (the data processing inequality of f-divergences, Csiszár 1967), so the joined counts
give its lower bound; the upper bound takes the split that tells the sides apart best. Where only one side has rows in
a joined cell the Jensen-Shannon distance does not depend on the split.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.errors import InputError
from aims_mlflow.measure.drift.budget import chi_square_tail
from aims_mlflow.measure.drift.methods import Method
from aims_mlflow.measure.drift.sample import Counts
from aims_mlflow.measure.sketched.line import Bounded
from aims_mlflow.sketches.labels import LabelSketch
from aims_mlflow.sketches.numbers import MANY, NumberSketch

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_OVER = MANY + 1


@dataclass(frozen=True)
class Cells:
    """Counts of both sides.

    Attributes:
        reference: Rows of the reference by cell.
        current: Rows of the current data by cell.
        single: Whether the cell stands for one label or number only.
        fewest: Different labels of both sides together, at least.
        most: The same, at most.
        known: Whether a joined cell holds labels of the reference only, each in at least one row of it.
        first: The cell of the label that sorts first, where that is known.
        joined: Labels of the reference in the joined cell that is ``known``.
    """

    reference: Ints
    current: Ints
    single: NDArray[np.bool_]
    fewest: int
    most: float
    first: int | None = None
    known: NDArray[np.bool_] | None = None
    joined: int = 0

    @property
    def held(self) -> NDArray[np.bool_]:
        """Cells that hold something."""
        return (self.reference + self.current) > 0

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Cells of several labels in which both sides have rows."""
        return ~self.single & (self.reference > 0) & (self.current > 0)

    @property
    def counts(self) -> Counts:
        """The counts as the drift methods take them, a joined cell as one category."""
        held = self.held
        first = int(np.count_nonzero(held[: self.first])) if self.first is not None and held[self.first] else 0
        return Counts(self.reference[held], self.current[held], first=first)

    def score(self, method: Method) -> Bounded:
        """Bounds of a method's score.

        Raises:
            InputError: the method cannot be had from these counts.
        """
        if method.name == "jensenshannon":
            return self._jensen_shannon()
        if method.name == "chisquare":
            return self._chi_square()
        if not np.all(self.single[self.held]) and not self._one_each():
            msg = (
                f"{method.title} needs the counts of each label, and the profile counts some of them together: "
                "rare ones, or such as the reference does not have"
            )
            raise InputError(msg)
        if method.name == "z" and self.most > 2 and self.first is None:
            msg = f"{method.title} needs to know which label sorts first, which the profile does not tell"
            raise InputError(msg)
        value = method.score(self.counts)
        return Bounded(value, value, value)

    def _one_each(self) -> bool:
        """Whether there are no more labels than cells: then none is joined after all."""
        return bool(self.most <= np.count_nonzero(self.held))

    def _jensen_shannon(self) -> Bounded:
        n, m = int(self.reference.sum()), int(self.current.sum())
        p, q = self.reference / n, self.current / m
        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(p > 0, p * np.log(p / middle), 0.0) + np.where(q > 0, q * np.log(q / middle), 0.0)
        apart = (p + q) * log(2.0)
        hidden = self.hidden if not self._one_each() else np.zeros(len(p), dtype=bool)
        low = max(float(terms.sum()) / 2, 0.0)
        high = max(float(np.where(hidden, apart, terms).sum()) / 2, low)
        return Bounded(sqrt(low), sqrt(low), sqrt(high))

    def _chi_square(self) -> Bounded:
        """Bounds of the p-value of Evidently's chi-square test, which takes the reference's shares for exact."""
        n, m = int(self.reference.sum()), int(self.current.sum())
        expected = self.reference * (m / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(self.held, (self.current - expected) ** 2 / expected, 0.0)
        least = float(terms.sum())
        joined = ~self.single & self.held & (self.reference > 0)
        if self._one_each():
            joined[:] = False
        most = least
        for place in np.flatnonzero(joined).tolist():
            if self.known is not None and self.known[place]:
                rarest = m / n
                rest = float(expected[place]) - rarest
                most += max((float(self.current[place]) - rarest) ** 2 / rarest + rest - float(terms[place]), 0.0)
            elif self.current[place] > 0:
                most = inf
            else:
                # Empty on this side: the statistic is the sum of what was expected, however it splits.
                continue
        if least == inf:
            return Bounded(0.0, 0.0, 0.0)
        high = 1.0 if self.most == inf else chi_square_tail(least, int(self.most) - 1)
        low = 0.0 if most == inf else chi_square_tail(most, max(self.fewest, 1) - 1)
        value = min(max(chi_square_tail(least, int(min(self.most, self.fewest)) - 1), low), high)
        return Bounded(low, value, high)


def cells_of_labels(reference: LabelSketch, current: LabelSketch) -> Cells:
    """Counts by label: the plan's, its rare ones together, and those the reference has not."""
    plan = reference.plan
    rare = len(plan.rare)
    u = np.concatenate([reference.counts, [reference.rare, reference.unseen]])
    v = np.concatenate([current.counts, [current.rare, current.unseen]])
    levels = len(plan.levels)
    single = np.concatenate([np.ones(levels, dtype=bool), [rare <= 1, False]])
    known = np.zeros(len(u), dtype=bool)
    known[levels] = plan.complete and reference.rare >= rare
    own = int(np.count_nonzero((u + v)[:levels])) + (rare if reference.rare else min(rare, current.rare, 1))
    new = reference.distinct.merge(current.distinct).bounds()
    fewest = own + max(round(new[0]), 1 if u[-1] + v[-1] else 0)
    most = float(own + min(int(np.ceil(new[2] - 1e-3)), int(u[-1] + v[-1])))
    if not reference.rare and current.rare:
        most += min(rare, current.rare) - 1
    first = plan.levels.index(plan.first) if plan.first in plan.levels and not u[-1] + v[-1] else None
    return Cells(u, v, single, fewest, max(most, float(fewest)), first, known, rare)


def distinct_labels(sketch: LabelSketch) -> Bounded:
    """Different labels of one side."""
    own = int(np.count_nonzero(sketch.counts))
    rare = min(len(sketch.plan.rare), sketch.rare)
    low, value, high = sketch.distinct.bounds()
    return Bounded(own + min(rare, 1) + low, own + rare / 2 + value, own + rare + min(high, sketch.unseen))


def distinct_numbers(*sides: NumberSketch) -> tuple[int, float]:
    """Different numbers of the sides together: at least, at most; 17 for more than 16."""
    plan = sides[0].plan
    if any(side.others is None for side in sides):
        return _OVER, inf
    others = len(set().union(*(side.others or set() for side in sides)))
    if plan.unit:
        own = sides[0].own_cells()
        held, sure = np.zeros(len(own), dtype=bool), np.zeros(len(own), dtype=bool)
        for side in sides:
            held |= own & (side.counts > 0)
            # Fractions are counted with the others; a whole number may or may not be among what the cell holds.
            sure |= own & (side.counts > 0) & (_whole(side))
        return int(sure.sum()) + others, float(int(held.sum()) + others)
    if plan.points:
        held = np.logical_or.reduce([side.points > 0 for side in sides])
        return int(held.sum()) + others, float(int(held.sum()) + others)
    return others, float(others)


def _whole(side: NumberSketch) -> NDArray[np.bool_]:
    """Cells of one whole number in which nothing else was seen."""
    if not side.seen & 1:
        return np.ones(len(side.counts), dtype=bool)
    return np.asarray((side.sums == 0) & (side.blind == 0))


def cells_of_numbers(reference: NumberSketch, current: NumberSketch) -> Cells:
    """Counts by number, as far as numbers have a bin or point of their own."""
    plan = reference.plan
    fewest, most = distinct_numbers(reference, current)
    parts: list[tuple[Ints, Ints]] = []
    singles: list[NDArray[np.bool_]] = []
    if plan.points:
        parts.append((reference.points, current.points))
        singles.append(np.ones(len(plan.points), dtype=bool))
        rest = [np.asarray([side.n - int(side.points.sum())]) for side in (reference, current)]
        parts.append((rest[0], rest[1]))
        singles.append(np.zeros(1, dtype=bool))
    else:
        parts.append((reference.counts, current.counts))
        own = reference.own_cells()
        for side in (reference, current):
            own = own & (_whole(side) | (side.counts == 0))
        singles.append(own)
        for tail in ("below", "above"):
            sides = [getattr(side, tail).held() for side in (reference, current)]
            keys = np.union1d(sides[0][0], sides[1][0])
            both = []
            for held in sides:
                dense = np.zeros(len(keys), dtype=np.int64)
                dense[np.searchsorted(keys, held[0])] = held[1]
                both.append(dense)
            parts.append((both[0], both[1]))
            singles.append(np.zeros(len(keys), dtype=bool))
    u, v = (np.concatenate([part[side] for part in parts]) for side in range(2))
    first = int(np.flatnonzero(u + v)[0]) if not plan.points and (u + v)[: len(plan.starts)].any() else None
    if first is not None and len(reference.below.held()[0]) + len(current.below.held()[0]):
        first = None
    return Cells(u.astype(np.int64), v.astype(np.int64), np.concatenate(singles), fewest, most, first)
