"""Scores of a window as points with counts: all that an estimate needs, from rows or from the bins of a summary."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from aims_mlflow.errors import InputError
from aims_mlflow.frames import Column
from aims_mlflow.frames.table import as_column
from aims_mlflow.measure.estimated.calibration import check_scores
from aims_mlflow.measure.intervals import Floats
from aims_mlflow.sketches import LabelSketch, NumberSketch, RowSketch
from aims_mlflow.sketches.tails import FIRST, PER_DOUBLING

LN2 = log(2.0)
BLOCKS = 512
"""More distinct scores than this are gathered in as many blocks of neighbours, each at its mean."""


@dataclass(frozen=True)
class ScoreCounts:
    """Ascending scores, each with the number of rows that have it.

    Attributes:
        values: Scores in 0 to 1, ascending.
        counts: Rows at each.
        lows: Lower end of the range the rows of a point lie in; equal to the value where it is exact.
        highs: Upper end of it.
        missing: Rows without a score.
    """

    values: Floats
    counts: np.ndarray
    lows: Floats
    highs: Floats
    missing: int = 0

    @property
    def rows(self) -> int:
        """Rows with a score."""
        return int(self.counts.sum())

    @classmethod
    def read(cls, scores: Any, *, cut: float | None = None) -> ScoreCounts:
        """From rows (see ``of``) or from the summary of the column (see ``of_sketch``).

        Raises:
            InputError: not one column of numbers in 0 to 1.
        """
        if isinstance(scores, ScoreCounts):
            return scores
        if isinstance(scores, LabelSketch | RowSketch):
            raise InputError("the column of scores holds no numbers", where=scores.plan.name)
        return cls.of_sketch(scores) if isinstance(scores, NumberSketch) else cls.of(scores, cut=cut)

    @classmethod
    def of(cls, scores: Any, *, cut: float | None = None) -> ScoreCounts:
        """From rows: a Series, an array or a list of n scores; missing ones are counted.

        Args:
            scores: The scores.
            cut: Where the prediction changes: no block reaches across.

        Raises:
            InputError: not one column of numbers in 0 to 1.
        """
        column = scores if isinstance(scores, Column) else as_column(scores, "scores")
        values = column.numbers()
        there = np.sort(check_scores(values[~np.isnan(values)]))
        missing = len(values) - len(there)
        distinct, counts = np.unique(there, return_counts=True)
        if len(distinct) > BLOCKS:
            starts = np.unique(np.linspace(0, len(there), BLOCKS + 1).astype(np.int64)[:-1])
            if cut is not None:
                starts = np.unique(np.append(starts, min(int(np.searchsorted(there, cut)), len(there) - 1)))
            counts = np.diff(np.append(starts, len(there)))
            distinct = np.add.reduceat(there, starts) / counts
        return cls(distinct, counts, distinct, distinct, missing)

    @classmethod
    def of_bins(cls, lows: Any, highs: Any, counts: Any, *, means: Any = None, missing: int = 0) -> ScoreCounts:
        """From a summary's bins: k lower and k upper ends and k counts; the mean of a bin is its middle where unknown.

        Empty bins may be there; the order does not matter.

        Raises:
            InputError: the arrays differ in length, a bin is turned around, or lies outside 0 to 1 as a whole.
        """
        low, high = np.asarray(lows, dtype=np.float64), np.asarray(highs, dtype=np.float64)
        count = np.asarray(counts, dtype=np.int64)
        middle = (low + high) / 2
        value = middle if means is None else np.asarray(means, dtype=np.float64)
        if not len(low) == len(high) == len(count) == len(value) or (count < 0).any():
            raise InputError("the bins of the scores differ in length or hold negative counts", where="scores")
        held = count > 0
        low, high, count, value = low[held], high[held], count[held], value[held]
        value = np.where(np.isfinite(value), value, (low + high) / 2)
        if not ((low <= high).all() and (high >= 0).all() and (low <= 1).all()):
            raise InputError("the scores leave 0 to 1: they are no probabilities", where="scores")
        # A bin may reach over the end of 0 to 1 by its width; no score does.
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        order = np.argsort(np.clip(value, low, high), kind="stable")
        value = np.clip(value, low, high)
        return cls(value[order], count[order], low[order], high[order], missing)

    @classmethod
    def of_sketch(cls, sketch: NumberSketch) -> ScoreCounts:
        """From the summary of the column of scores, which is all a serving process keeps of them.

        Raises:
            InputError: scores lie outside 0 to 1, or some are infinite.
        """
        plan = sketch.plan
        if sketch.infinite:
            raise InputError("some scores are infinite: they are no probabilities", where=plan.name)
        edges = plan.low + plan.width * np.array([*plan.starts, plan.cells], dtype=np.float64)
        parts = [(edges[:-1], edges[1:], sketch.counts, sketch.blind, sketch.sums)]
        unit = plan.range / FIRST
        for end, sign, tail in ((plan.low, -1.0, sketch.below), (plan.high, 1.0, sketch.above)):
            bins, counts, blind, sums = tail.held()
            # A bin further away than a score can lie is refused as such; its own end need not be a finite number.
            near, far = (
                end + sign * unit * np.expm1(np.minimum(b, 512) / PER_DOUBLING * LN2) for b in (bins, bins + 1)
            )
            parts.append((near, far, counts, blind, sums))
        start, stop, counts, blind, sums = (np.concatenate(column) for column in zip(*parts, strict=True))
        known = counts - blind
        share = np.divide(sums, known, out=np.full(len(counts), 0.5), where=known > 0)
        if plan.unit:
            whole = np.concatenate([sketch.own_cells(), np.zeros(len(counts) - len(sketch.counts), dtype=bool)])
            stop, share = np.where(whole, start, stop), np.where(whole, 0.0, share)
        missing = sketch.missing + sketch.absent + sketch.retyped + sketch.withheld
        return cls.of_bins(
            np.minimum(start, stop),
            np.maximum(start, stop),
            counts,
            means=start + np.clip(share, 0.0, 1.0) * (stop - start),
            missing=missing,
        )

    def above(self, cut: float) -> tuple[Floats, np.ndarray]:
        """Share of each point's rows at or over the cut (by length where its range holds it), and where that is so."""
        straddling = (self.lows < cut) & (cut < self.highs)
        share = np.where(self.values >= cut, 1.0, 0.0)
        width = np.where(straddling, self.highs - self.lows, 1.0)
        return np.where(straddling, (self.highs - cut) / width, share), straddling
