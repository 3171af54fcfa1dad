"""What a score was worth on labelled data: how often the outcome was positive (or the prediction right), by score."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import floor, log10
from typing import Any, Literal

import numpy as np

from aims_mlflow.config.models import PrivacyPolicy
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.measure.intervals import Floats
from aims_mlflow.measure.outcomes import Labelled, read_outcomes, read_scores

VERSION = 1
MOST_BINS = 30
EQUAL_WIDTHS = 20
ROWS_A_BIN = 50
"""Bins of fewer rows would tell more about chance than about the score."""
FEWEST_ROWS = 100
"""Labelled rows below which no calibration is made."""

Kind = Literal["classification", "multiclass"]


@dataclass(frozen=True)
class Calibration:
    """Observed rates by score, in bins: counts of at least the smallest cell, and no single value of the data.

    Attributes:
        task: ``classification``: the score is the positive class's and the rate that of positives. ``multiclass``: the
            score is that of the predicted label and the rate that of right predictions.
        cut: Scores from here on are predicted positive; None for ``multiclass``.
        edges: k + 1 ascending scores, from 0 to 1, rounded to two significant digits.
        means: Mean score of each bin.
        rows: Rows of each bin.
        hits: Positive (or rightly predicted) rows of each bin.
    """

    task: Kind
    cut: float | None
    edges: tuple[float, ...]
    means: tuple[float, ...]
    rows: tuple[int, ...]
    hits: tuple[int, ...]

    @property
    def total(self) -> int:
        """Rows it was made from."""
        return sum(self.rows)

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of score and observed rate, weighted by rows."""
        rows = np.array(self.rows, dtype=np.float64)
        gap = np.abs(np.array(self.means) - np.array(self.hits) / rows)
        return float((gap * rows).sum() / rows.sum())

    def chances(self, scores: Floats) -> Floats:
        """Chance that the outcome is positive (or the prediction right), for each score."""
        rates = np.array(self.hits, dtype=np.float64) / np.array(self.rows)
        return np.asarray(self._curve(rates[None, :], scores)[0])

    def drawn_chances(self, scores: Floats, draws: int, generator: np.random.Generator) -> Floats:
        """The same ``draws`` times (one a row), each from rates this calibration leaves possible (Jeffreys)."""
        hits, rows = np.array(self.hits), np.array(self.rows)
        rates = generator.beta(hits + 0.5, rows - hits + 0.5, size=(draws, len(rows)))
        return self._curve(rates, scores)

    def _curve(self, rates: Floats, scores: Floats) -> Floats:
        """Rates made ascending, and read between the bins' mean scores in a straight line."""
        weights = np.array(self.rows, dtype=np.float64)
        ascending = np.stack([isotonic(row, weights) for row in rates])
        means = np.array(self.means)
        if len(means) == 1:
            return np.repeat(ascending, len(scores), axis=1)
        place = np.clip(np.searchsorted(means, scores) - 1, 0, len(means) - 2)
        share = np.clip((scores - means[place]) / (means[place + 1] - means[place]), 0.0, 1.0)
        return np.asarray(ascending[:, place] * (1 - share) + ascending[:, place + 1] * share, dtype=np.float64)

    def record(self) -> dict[str, Any]:
        """As it is kept with evidence: plain JSON."""
        return {
            "version": VERSION,
            "task": self.task,
            "cut": self.cut,
            "edges": list(self.edges),
            "means": list(self.means),
            "rows": list(self.rows),
            "hits": list(self.hits),
        }

    @classmethod
    def of_record(cls, record: Any) -> Calibration:
        """Back from ``record``.

        Raises:
            EvidenceError: it is not what ``record`` writes.
        """
        try:
            own = cls(
                task=record["task"],
                cut=None if record["cut"] is None else float(record["cut"]),
                edges=tuple(float(value) for value in record["edges"]),
                means=tuple(float(value) for value in record["means"]),
                rows=tuple(int(value) for value in record["rows"]),
                hits=tuple(int(value) for value in record["hits"]),
            )
            known = record["version"] == VERSION
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceError("the calibration cannot be read", where="calibration") from error
        if not known or not own._sound():
            raise EvidenceError("the calibration is damaged or of another version", where="calibration")
        return own

    def _sound(self) -> bool:
        bins = len(self.rows)
        cut_fits = (self.cut is not None and 0 <= self.cut <= 1) if self.task == "classification" else self.cut is None
        return (
            self.task in ("classification", "multiclass")
            and cut_fits
            and bins > 0
            and len(self.edges) == bins + 1
            and len(self.means) == len(self.hits) == bins
            and self.edges[0] == 0
            and self.edges[-1] == 1
            and all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False))
            and all(a < b for a, b in zip(self.means, self.means[1:], strict=False))
            and all(0 <= hits <= rows and rows > 0 for hits, rows in zip(self.hits, self.rows, strict=True))
        )


def calibrate(
    y_true: Any,
    y_pred: Any,
    y_proba: Any,
    *,
    task: str = "auto",
    positive_label: Any = None,
    privacy: PrivacyPolicy | None = None,
) -> Calibration:
    """Calibrate a model's scores on labelled data it was not trained on.

    At most 50 bins, of equal rows and of equal width; their edges are rounded to two significant digits, and bins with
    few rows, few hits or few misses are joined with a neighbour, so that no count below the smallest cell and no value
    of the data is kept.

    Args:
        y_true: Targets, n values. Rows without target, prediction or score are left out.
        y_pred: Predictions, n values.
        y_proba: Scores of the positive class, or with more labels n x labels, or the score of the predicted label.
        task: ``classification``, ``multiclass`` or ``auto``.
        positive_label: The label that counts as positive; the greater of two where None.
        privacy: The smallest count that may be told.

    Raises:
        InputError: not a classification, scores outside 0 to 1, too few labelled rows, or predictions that do not
            follow from the score by one cut.
    """
    pair = read_outcomes(y_true, y_pred, task=task, positive_label=positive_label)
    if not isinstance(pair, Labelled):
        raise InputError(
            "performance can be estimated from scores for classification only", where="task", remedy="Log the labels."
        )
    cell = (privacy or PrivacyPolicy()).smallest_cell
    scores = read_scores(y_proba, pair)
    binary = pair.binary and task != "multiclass"
    if scores.ndim == 2:
        scores = _of_one_label(scores, pair, binary=binary)
    there = pair.present & ~np.isnan(scores)
    scores = check_scores(scores[there])
    if binary:
        hits = pair.true[there] == pair.positive
        cut = _cut(scores, pair.predicted[there] == pair.positive)
    else:
        hits, cut = pair.true[there] == pair.predicted[there], None
    if len(scores) < max(FEWEST_ROWS, 2 * cell):
        raise InputError(f"{FEWEST_ROWS} labelled rows with a score are needed for a calibration", where="y_proba")
    edges, bins = _binned(scores, hits, cell)
    return Calibration(
        task="classification" if binary else "multiclass",
        cut=cut,
        edges=tuple(edges),
        means=tuple(_mean(one) for one in bins),
        rows=tuple(int(one[0]) for one in bins),
        hits=tuple(int(one[1]) for one in bins),
    )


def _of_one_label(scores: Floats, pair: Labelled, *, binary: bool) -> Floats:
    if binary:
        return np.asarray(scores[:, pair.positive or 0])
    return np.asarray(scores[np.arange(len(scores)), np.maximum(pair.predicted, 0)])


def check_scores(scores: Floats) -> Floats:
    """The scores, all of which lie in 0 to 1.

    Raises:
        InputError: one does not.
    """
    if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        raise InputError(
            "the scores leave 0 to 1: they are no probabilities",
            where="y_proba",
            remedy="Hand over predict_proba's values, or bring the scores to 0 to 1.",
        )
    return scores


def _cut(scores: Floats, positive: np.ndarray) -> float:
    """The score from which on the model says positive, told by the shortest decimal that separates the two."""
    highest = float(scores[~positive].max()) if not positive.all() else None
    lowest = float(scores[positive].min()) if positive.any() else None
    if highest is not None and lowest is not None and not highest < lowest:
        # A model that rounds 0.5 down has predictions of both kinds at the very cut.
        raise InputError(
            "the predictions do not follow from the score by one cut",
            where="y_pred",
            remedy="Calibrate with the score the predictions were made from.",
        )
    low, high = highest if highest is not None else -1.0, lowest if lowest is not None else 2.0
    if low < 0.5 <= high:
        return 0.5
    return shortest_between(low, high)


def shortest_between(low: float, high: float) -> float:
    """A decimal of the fewest digits above ``low`` and not above ``high``."""
    for digits in range(1, 18):
        unit = Decimal(1).scaleb(-digits)
        found = float((Decimal(high) // unit) * unit)
        if low < found <= high:
            return found
    return high


def _snapped(edges: Floats) -> Floats:
    """Edges rounded to two significant digits of the nearer end's distance: none is a value of the data."""

    def two(value: float) -> float:
        return round(value, 1 - floor(log10(value))) if value > 0 else 0.0

    near = [two(value) if value <= 0.5 else 1 - two(1 - value) for value in edges.tolist()]
    return np.array(sorted({0.0, 1.0, *(round(value, 12) for value in near)}))


def _binned(scores: Floats, hits: np.ndarray, cell: int) -> tuple[list[float], list[list[float]]]:
    """Edges, and rows, hits and sum of scores of each bin; one with few rows, hits or misses joins a neighbour."""
    bins = max(1, min(MOST_BINS, len(scores) // ROWS_A_BIN))
    # Equal rows alone would leave few bins between the ends, where a good model has few rows and rates change most.
    between = np.linspace(0.0, 1.0, EQUAL_WIDTHS + 1)[1:-1]
    edges = _snapped(np.concatenate([np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]), between]))
    place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, len(edges) - 2)
    each = [
        np.bincount(place, weights=weights, minlength=len(edges) - 1).astype(np.float64)
        for weights in (np.ones(len(scores)), hits.astype(np.float64), scores)
    ]
    kept: list[list[float]] = []
    ends: list[float] = []
    for rows, found, total, end in zip(*(values.tolist() for values in each), edges[1:].tolist(), strict=True):
        if kept and not _tellable(kept[-1], cell):
            _join(kept, [rows, found, total])
            ends[-1] = end
        else:
            kept.append([rows, found, total])
            ends.append(end)
    while len(kept) > 1 and not _tellable(kept[-1], cell):
        _join(kept, kept.pop())
        ends.pop(-2)
    for last in range(len(kept) - 1, 0, -1):
        if _mean(kept[last]) <= _mean(kept[last - 1]):  # scores so near to each other that they round to one
            kept[last - 1 : last + 1] = [[a + b for a, b in zip(*kept[last - 1 : last + 1], strict=True)]]
            del ends[last - 1]
    if not _tellable(kept[0], cell):
        raise InputError(
            f"fewer than {cell} labelled rows are positive, or negative: no calibration is made of a few",
            where="y_true",
        )
    return [0.0, *ends], kept


def _join(kept: list[list[float]], more: list[float]) -> None:
    kept[-1] = [a + b for a, b in zip(kept[-1], more, strict=True)]


def _mean(one: list[float]) -> float:
    """Mean score of a bin, to nine digits."""
    return float(f"{one[2] / one[0]:.9g}")


def _tellable(one: list[float], cell: int) -> bool:
    rows, hits, _ = one
    return rows >= max(cell, ROWS_A_BIN) and all(count == 0 or count >= cell for count in (hits, rows - hits))


def isotonic(rates: Floats, weights: Floats) -> Floats:
    """The ascending rates nearest to these in weighted least squares (pool adjacent violators, Ayer et al. 1955)."""
    if not (np.diff(rates) < 0).any():
        return rates
    blocks: list[list[float]] = []
    for rate, weight in zip(rates.tolist(), weights.tolist(), strict=True):
        blocks.append([rate, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            value, weighed, size = blocks.pop()
            before = blocks[-1]
            both = before[1] + weighed
            blocks[-1] = [(before[0] * before[1] + value * weighed) / both, both, before[2] + size]
    return np.repeat([block[0] for block in blocks], [int(block[2]) for block in blocks])
