"""What may be told of the groups of an attribute so that no count of a few people can be worked out from it.

Sensitive are the counts of 1 to ``smallest_cell - 1`` rows: the size of a group, and in a group the people selected or
not, positive or not, predicted rightly or wrongly, and the four cells of its confusion table. A rate tells its
numerator and its denominator (the denominator also through the width of its Wilson interval), and the rows of all
groups together are known from elsewhere. Withholding the small numbers alone therefore hides nothing. The tests solve
for the counts by brute force, with these rules known to the reader.

One attribute is looked at by itself: counts of the same rows told elsewhere, the whole test set's for example, narrow
down what is withheld here, as in any table published twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aims_mlflow.measure.intervals import Floats

_FAMILIES: dict[str, str] = {
    "selection_rate": "selection_rate",
    "accuracy": "accuracy",
    "true_positive_rate": "true_positive_rate",
    "false_negative_rate": "true_positive_rate",
    "false_positive_rate": "false_positive_rate",
    "true_negative_rate": "false_positive_rate",
    "precision": "precision",
}
"""Rates that tell the same counts."""


def is_few(count: np.ndarray, smallest: int) -> np.ndarray:
    """True where a count is at least one and smaller than the smallest cell."""
    few: np.ndarray = (count > 0) & (count < smallest)
    return few


def told_rows_of(codes: np.ndarray, kept: np.ndarray, groups: int, smallest: int) -> np.ndarray | None:
    """The rows the groups are told on, as a mask, or None where no group can be told.

    The rows of the small groups are left out, and so many of the largest group that all rows less those told are
    ``smallest`` for each small group: whatever the sizes of the small groups, the sizes told could be the same, so that
    they tell nothing of them. The rows left out of the largest group are evenly spaced. Its rates stand on the others.
    No group is told where, going by the sizes that would be told, the largest could have too few rows for that.

    Args:
        codes: The group of each row, 0 to ``groups - 1``.
        kept: True for the rows that count.
        groups: How many groups there are.
        smallest: The smallest size that may be told.
    """
    rows = np.bincount(codes if kept.all() else codes[kept], minlength=groups)
    small = is_few(rows, smallest)
    if not small.any():
        return kept
    largest, hidden = int(np.argmax(rows)), int(small.sum())
    spare = smallest * hidden - int(rows[small].sum())
    rows[small] = 0
    rows[largest] -= spare
    if rows.max() < smallest + hidden * (smallest - 1):
        return None
    told: np.ndarray = kept & ~small[codes]
    own = np.flatnonzero(kept & (codes == largest))
    told[own[(2 * np.arange(spare) + 1) * len(own) // (2 * spare)]] = False
    return told


@dataclass(frozen=True)
class Cells:
    """The confusion tables of all groups, one number a group in each field."""

    tn: Floats
    fp: Floats
    fn: Floats
    tp: Floats
    right_negatives: Floats
    """Rows not positive whose very label was predicted: ``tn`` with two labels, at most ``tn`` with more."""


def withheld_rates(cells: Cells, smallest: int, first: str = "selection_rate") -> dict[str, np.ndarray]:
    """For each rate, True for the groups it must not be told of.

    A group whose table has no cell of a few rows tells all its rates, perfect ones among them: a cell of 0 is nobody.
    Any other group tells one rate (and its complement) by whose counts, with the size of the group, no small count is
    determined: the first choice or else the selection rate. More would determine the small cell. Only selection rate
    and accuracy go together.

    Args:
        cells: The tables.
        smallest: The smallest count that may be told.
        first: The rate to tell by choice, one with a limit.
    """
    tn, fp, fn, tp, right_negatives = cells.tn, cells.fp, cells.fn, cells.tp, cells.right_negatives
    rows = tn + fp + fn + tp
    right = tp + right_negatives

    def safe(*counts: Floats) -> np.ndarray:
        few: np.ndarray = np.any([is_few(count, smallest) for count in counts], axis=0)
        return ~few

    safe_alone = {
        "selection_rate": safe(tp + fp, fn + tn),
        "accuracy": safe(right, rows - right),
        "true_positive_rate": safe(tp, fn, tp + fn, fp + tn),
        "false_positive_rate": safe(fp, tn, fp + tn, tp + fn),
        "precision": safe(tp, fp, tp + fp, fn + tn),
    }
    plain = safe(tn, fp, fn, tp)
    told = {family: plain.copy() for family in safe_alone}
    # Beside the four cells the accuracy tells the right negatives too.
    told["accuracy"] &= safe(right, rows - right, right_negatives, tn - right_negatives)
    choice = _FAMILIES[first]
    told[choice] |= ~plain & safe_alone[choice]
    told["selection_rate"] |= ~plain & safe_alone["selection_rate"] & ~told[choice]
    if choice in ("selection_rate", "accuracy"):
        # They leave the true positives free between bounds at least as far apart as the smallest of the four counts.
        both = ~plain & safe_alone["selection_rate"] & safe_alone["accuracy"]
        told["selection_rate"] |= both
        told["accuracy"] |= both
    return {name: ~told[family] for name, family in _FAMILIES.items()}
