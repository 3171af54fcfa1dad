"""The metrics: what they are called, which way is better, and their values with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aims_mlflow.evidence.base import Interval
from aims_mlflow.measure import intervals
from aims_mlflow.measure.intervals import Cells
from aims_mlflow.measure.limits import Direction
from aims_mlflow.measure.outcomes import Labelled, Measured, Task

_HIGHER: Direction = "higher_is_better"
_LOWER: Direction = "lower_is_better"

BINARY: dict[str, Direction | None] = {
    "accuracy": _HIGHER,
    "balanced_accuracy": _HIGHER,
    "precision": _HIGHER,
    "recall": _HIGHER,
    "specificity": _HIGHER,
    "f1": _HIGHER,
    "mcc": _HIGHER,
    "roc_auc": _HIGHER,
    "log_loss": _LOWER,
    "brier": _LOWER,
}
MULTICLASS: dict[str, Direction | None] = {
    "accuracy": _HIGHER,
    "balanced_accuracy": _HIGHER,
    "precision_macro": _HIGHER,
    "recall_macro": _HIGHER,
    "f1_macro": _HIGHER,
    "mcc": _HIGHER,
    "log_loss": _LOWER,
}
REGRESSION: dict[str, Direction | None] = {
    "mae": _LOWER,
    "mse": _LOWER,
    "rmse": _LOWER,
    "r2": _HIGHER,
    "mean_error": None,
}
BY_TASK: dict[Task, dict[str, Direction | None]] = {
    "classification": BINARY,
    "multiclass": MULTICLASS,
    "regression": REGRESSION,
}
DIRECTIONS: dict[str, Direction | None] = BINARY | MULTICLASS | REGRESSION

ALIASES: dict[str, str] = {
    "accuracy_score": "accuracy",
    "balanced_accuracy_score": "balanced_accuracy",
    "precision_score": "precision",
    "recall_score": "recall",
    "sensitivity": "recall",
    "true_positive_rate": "recall",
    "true_negative_rate": "specificity",
    "f1_score": "f1",
    "macro_f1": "f1_macro",
    "macro_precision": "precision_macro",
    "macro_recall": "recall_macro",
    "matthews_corrcoef": "mcc",
    "roc_auc_score": "roc_auc",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
}
"""Names scikit-learn and MLflow use for the same metrics."""

METRICS: frozenset[str] = frozenset(DIRECTIONS) | frozenset(ALIASES)
"""Every name a limit may be set for."""


def canonical_metric(name: str) -> str | None:
    """Our name of a metric known under that name; None where it is not computed here."""
    own = ALIASES.get(name, name)
    return own if own in DIRECTIONS else None


@dataclass(frozen=True)
class Found:
    """One metric's value."""

    estimate: Interval
    n: int
    """Rows the metric stands on: its denominator where it is a share."""
    why: str = ""
    """Why it is undefined, where it is."""


NO_SCORES = "No probabilities were handed over (y_proba)."
_ONE_CLASS = "It needs rows of both classes."


def binary(pair: Labelled, scores: np.ndarray | str | None, level: float) -> dict[str, Found]:
    """Metrics of a classifier with two labels.

    Args:
        pair: Targets and predictions.
        scores: n scores of the positive class, or the reason there are none.
        level: Confidence.
    """
    kept = pair.present
    true, predicted = pair.true[kept], pair.predicted[kept]
    accuracy = {"accuracy": _share(float(np.count_nonzero(true == predicted)), float(len(true)), level, "No rows.")}
    if pair.positive is None:
        unknown = Found(
            intervals.undefined(level), 0, "Only one label occurs and positive_label does not say which it is."
        )
        return accuracy | dict.fromkeys((name for name in BINARY if name != "accuracy"), unknown)
    table = np.bincount(2 * (true == pair.positive) + (predicted == pair.positive), minlength=4)
    tn, fp, fn, tp = (float(count) for count in table)
    rows = len(true)
    cells = Cells(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), table.astype(float), 2)
    return accuracy | {
        "balanced_accuracy": Found(
            intervals.mean_of_proportions(np.array([tp, tn]), np.array([tp + fn, tn + fp]), level), rows, _ONE_CLASS
        ),
        "precision": _share(tp, tp + fp, level, "No row was predicted positive."),
        "recall": _share(tp, tp + fn, level, "No row is positive."),
        "specificity": _share(tn, tn + fp, level, "No row is negative."),
        "f1": Found(intervals.f1_score(tp, fp, fn, level), int(tp + fp + fn), "No row is positive or predicted so."),
        "mcc": Found(intervals.matthews(cells, level), rows, "Targets or predictions hold one class only."),
        **_scored(pair, kept, scores, level),
    }


def _share(successes: float, rows: float, level: float, why: str) -> Found:
    return Found(intervals.proportion(successes, rows, level), int(rows), why)


def _scored(pair: Labelled, kept: np.ndarray, scores: np.ndarray | str | None, level: float) -> dict[str, Found]:
    if not isinstance(scores, np.ndarray):
        missing = Found(intervals.undefined(level), 0, scores or NO_SCORES)
        return dict.fromkeys(("roc_auc", "log_loss", "brier"), missing)
    if scores.ndim == 2:
        scores = scores[:, pair.positive or 0]
    there = kept & ~np.isnan(scores)
    positive, score = pair.true[there] == pair.positive, scores[there]
    rows = len(score)
    out = {"roc_auc": Found(intervals.roc_auc(score, positive, level), rows, _ONE_CLASS)}
    if rows and not (score.min() >= 0 and score.max() <= 1):
        no = Found(intervals.undefined(level), rows, "The scores leave 0 to 1: they are no probabilities.")
        return out | {"log_loss": no, "brier": no}
    edge = np.finfo(np.float64).eps
    loss = -np.log(np.clip(np.where(positive, score, 1 - score), edge, 1 - edge))
    return out | {
        "log_loss": Found(intervals.mean(loss, level, at_least=0.0), rows, "No rows."),
        "brier": Found(intervals.mean((positive - score) ** 2, level, at_least=0.0), rows, "No rows."),
    }


def multiclass(pair: Labelled, scores: np.ndarray | str | None, level: float) -> dict[str, Found]:
    """Metrics of a classifier with more than two labels; averages are plain means over the labels that occur.

    A label that never occurs in the targets, or is never predicted, makes the macro average of what it has no value for
    undefined; balanced accuracy averages over the labels of the targets.
    """
    kept = pair.present
    cells = _cells(pair.true[kept], pair.predicted[kept], len(pair.labels))
    rows = int(cells.rows)
    hits, truths, predictions = cells.hits(), cells.truths(), cells.predictions()
    met = truths > 0
    either = met | (predictions > 0)
    return {
        "accuracy": _share(float(hits.sum()), float(rows), level, "No rows."),
        "balanced_accuracy": Found(intervals.mean_of_proportions(hits[met], truths[met], level), rows, "No rows."),
        "precision_macro": Found(
            intervals.mean_of_proportions(hits[either], predictions[either], level), rows, "A label is never predicted."
        ),
        "recall_macro": Found(
            intervals.mean_of_proportions(hits[either], truths[either], level), rows, "A predicted label never occurs."
        ),
        "f1_macro": Found(intervals.macro_f1(_narrow(cells, either), level), rows, "No rows."),
        "mcc": Found(intervals.matthews(cells, level), rows, "Targets or predictions hold one class only."),
        "log_loss": _class_log_loss(pair, kept, scores, level),
    }


def _cells(true: np.ndarray, predicted: np.ndarray, classes: int) -> Cells:
    found, counts = np.unique(true * classes + predicted, return_counts=True)
    row, column = np.divmod(found, classes)
    return Cells(row, column, counts.astype(float), classes)


def _narrow(cells: Cells, used: np.ndarray) -> Cells:
    place = np.cumsum(used) - 1
    return Cells(place[cells.true], place[cells.predicted], cells.count, int(used.sum()))


def _class_log_loss(pair: Labelled, kept: np.ndarray, scores: np.ndarray | str | None, level: float) -> Found:
    if not isinstance(scores, np.ndarray):
        return Found(intervals.undefined(level), 0, scores or NO_SCORES)
    if scores.ndim == 1:
        return Found(intervals.undefined(level), 0, "It needs one column of probabilities a label.")
    there = kept & ~np.isnan(scores).any(axis=1)
    chances = scores[there]
    rows = len(chances)
    if rows and not (chances.min() >= 0 and np.allclose(chances.sum(axis=1), 1, atol=1e-6)):
        return Found(intervals.undefined(level), rows, "The columns of y_proba do not add up to 1.")
    edge = np.finfo(np.float64).eps
    loss = -np.log(np.clip(chances[np.arange(rows), pair.true[there]], edge, 1 - edge))
    return Found(intervals.mean(loss, level, at_least=0.0), rows, "No rows.")


def regression(pair: Measured, level: float) -> dict[str, Found]:
    """Metrics of a regression; the error is prediction less target."""
    kept = pair.present
    true, predicted = pair.true[kept], pair.predicted[kept]
    rows = len(true)
    if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
        return dict.fromkeys(
            REGRESSION, Found(intervals.undefined(level), rows, "Targets or predictions hold infinity.")
        )
    error = predicted - true
    computed: dict[str, Callable[[], Interval]] = {
        "mae": lambda: intervals.mean(np.abs(error), level, at_least=0.0),
        "mse": lambda: intervals.mean(error**2, level, at_least=0.0),
        "rmse": lambda: intervals.root_mean_square(error, level),
        "r2": lambda: intervals.determination(true, error, level),
        "mean_error": lambda: intervals.mean(error, level),
    }
    with np.errstate(over="ignore", invalid="ignore"):
        found = {name: compute() for name, compute in computed.items()}
    why: Any = {"r2": "It needs two rows at least and targets that vary."}
    return {name: Found(estimate, rows, why.get(name, "No rows.")) for name, estimate in found.items()}
