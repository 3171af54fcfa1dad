"""Metrics from expected or drawn outcomes at each score."""

from __future__ import annotations

import numpy as np

from aims_mlflow.measure.intervals import Floats


def binary_metrics(values: Floats, above: Floats, positive: Floats, negative: Floats) -> dict[str, Floats]:
    """Metrics of ``b`` sets of outcomes, NaN where undefined.

    Args:
        values: k ascending scores.
        above: Share of each score's rows predicted positive: k, or b x k.
        positive: b x k rows that are positive.
        negative: b x k rows that are not.
    """
    tp, fp = (positive * above).sum(axis=1), (negative * above).sum(axis=1)
    p, n = positive.sum(axis=1), negative.sum(axis=1)
    fn, tn = p - tp, n - fp
    below = np.cumsum(negative, axis=1) - negative
    squares = (positive * (1 - values) ** 2 + negative * values**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, specificity = tp / p, tn / n
        return {
            "accuracy": (tp + tn) / (p + n),
            "balanced_accuracy": (recall + specificity) / 2,
            "precision": tp / (tp + fp),
            "recall": recall,
            "specificity": specificity,
            "f1": 2 * tp / (2 * tp + fp + fn),
            "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
            "roc_auc": (positive * (below + negative / 2)).sum(axis=1) / (p * n),
            "brier": squares / (p + n),
            "positive_rate": p / (p + n),
        }


def accuracy_only(right: Floats, wrong: Floats) -> dict[str, Floats]:
    """Share of right predictions of ``b`` sets of outcomes."""
    good, bad = right.sum(axis=1), wrong.sum(axis=1)
    return {"accuracy": good / (good + bad)}
