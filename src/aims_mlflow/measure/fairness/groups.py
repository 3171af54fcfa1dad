"""Groups of one sensitive attribute: who belongs to which, and each group's metrics from one table of counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aims_mlflow.frames import Column, ColumnKind
from aims_mlflow.frames.tokens import token
from aims_mlflow.measure.fairness.disclosure import Cells, is_few, withheld_rates
from aims_mlflow.measure.intervals import Estimates, Floats, proportions, t_quantile
from aims_mlflow.measure.outcomes import Labelled, Measured

MOST_NUMBERS = 50
"""An attribute of numbers or times with more distinct values than this is no grouping."""
MOST_GROUPS = 500
"""Nor is any attribute with more distinct values than this."""

MISSING = "missing"

_ORDERED = frozenset({ColumnKind.FLOAT, ColumnKind.INTEGER, ColumnKind.DATETIME, ColumnKind.TIMEDELTA})


@dataclass(frozen=True)
class Groups:
    """Who belongs to which group."""

    attribute: str
    labels: tuple[str, ...]
    """As written in the evidence, sorted; ``missing`` last, if any value is."""
    codes: np.ndarray
    """Place of each row's group in ``labels``."""


def read_groups(column: Column, *, safe: bool, salt: bytes) -> Groups | str:
    """The groups of an attribute, or the reason it has none.

    Args:
        column: The attribute, one value a row. Missing values are a group of their own.
        safe: Whether its labels may be written; otherwise a label is a salted digest, 12 hex digits of SHA-256.
        salt: Kept secret it keeps a few well-known labels from being tried one by one.
    """
    codes, found = column.codes()
    if column.kind in _ORDERED and len(found) > MOST_NUMBERS:
        return (
            f"{column.name} has more than {MOST_NUMBERS} distinct numbers or times; it is no grouping. "
            "Cut it into classes first."
        )
    if len(found) > MOST_GROUPS:
        return f"{column.name} has more than {MOST_GROUPS} distinct values; it is no grouping. Merge them first."
    labels = [_plain(value) if safe else _hashed(column.name, value, salt) for value in found]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    place = np.empty(len(labels) + 1, dtype=np.intp)
    place[order] = np.arange(len(labels))
    place[-1] = len(labels)
    written = [labels[i] for i in order]
    own = place[np.asarray(codes)]
    if (np.asarray(codes) < 0).any():
        written.append(MISSING)
    return Groups(column.name, tuple(written), own)


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return f"{MISSING} (as written in the data)" if text == MISSING else text


def _hashed(attribute: str, value: Any, salt: bytes) -> str:
    content = salt + attribute.encode("utf-8", "surrogatepass") + b"\0" + token(value).encode("utf-8", "surrogatepass")
    return f"group {hashlib.sha256(content).hexdigest()[:12]}"


@dataclass(frozen=True)
class GroupMetric:
    """One metric of all groups of an attribute."""

    value: Floats
    """NaN where undefined or withheld."""
    withheld: np.ndarray
    """True where it is not told, whether it is defined or not, for it would give away a count of a few people."""
    at: Callable[[float], Estimates]
    """Values with limits, by confidence level."""
    non_negative: bool = True


def classification_metrics(
    pair: Labelled, groups: Groups, kept: np.ndarray, smallest: int, first: str = "selection_rate"
) -> tuple[Floats, dict[str, GroupMetric]]:
    """Rows of each group and its rates, from one confusion table a group.

    Without a positive label (more than two labels and none given) only accuracy is defined.

    Args:
        pair: Targets and predictions.
        groups: The group of each row.
        kept: True for the rows that count.
        smallest: The smallest count of people that may be told or worked out, see ``withheld_rates``.
        first: The rate to tell where not all can be.
    """
    k = len(groups.labels)
    own, true, predicted = groups.codes, pair.true, pair.predicted
    if not kept.all():
        own, true, predicted = own[kept], true[kept], predicted[kept]
    if pair.positive is None:
        wrong, right = np.bincount(2 * own + (true == predicted), minlength=2 * k).reshape(k, 2).astype(float).T
        withheld = is_few(right, smallest) | is_few(wrong, smallest)
        return right + wrong, {"accuracy": _rate(right, right + wrong, withheld)}
    cell = 4 * own + 2 * (true == pair.positive) + (predicted == pair.positive)
    tn, fp, fn, tp = np.bincount(cell, minlength=4 * k).reshape(k, 4).astype(float).T
    rows = tn + fp + fn + tp
    # With more than two labels a row is right only where the label itself is.
    right = tp + tn if pair.binary else np.bincount(own[true == predicted], minlength=k).astype(float)
    counts = {
        "selection_rate": (tp + fp, rows),
        "true_positive_rate": (tp, tp + fn),
        "false_positive_rate": (fp, fp + tn),
        "true_negative_rate": (tn, fp + tn),
        "false_negative_rate": (fn, tp + fn),
        "accuracy": (right, rows),
        "precision": (tp, tp + fp),
    }
    withheld_in = withheld_rates(Cells(tn, fp, fn, tp, right - tp), smallest, first)
    return rows, {name: _rate(*count, withheld_in[name]) for name, count in counts.items()}


def _rate(successes: Floats, rows: Floats, withheld: np.ndarray) -> GroupMetric:
    def at(level: float) -> Estimates:
        full = proportions(successes, rows, level)
        return Estimates(*(np.where(withheld, np.nan, part) for part in (full.value, full.low, full.high)))

    return GroupMetric(at(0.5).value, withheld, at)


def regression_metrics(pair: Measured, groups: Groups, kept: np.ndarray) -> tuple[Floats, dict[str, GroupMetric]]:
    """Rows of each group and its mean error (prediction less target), mean absolute error and mean prediction."""
    own, true, predicted = groups.codes[kept], pair.true[kept], pair.predicted[kept]
    rows = np.bincount(own, minlength=len(groups.labels)).astype(float)
    with np.errstate(invalid="ignore", over="ignore"):
        error = predicted - true
        return rows, {
            "mean_error": _mean(error, own, rows, non_negative=False),
            "mae": _mean(np.abs(error), own, rows, non_negative=True),
            "mean_prediction": _mean(predicted, own, rows, non_negative=False),
        }


def _mean(values: Floats, own: np.ndarray, rows: Floats, *, non_negative: bool) -> GroupMetric:
    k = len(rows)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value = np.bincount(own, weights=values, minlength=k) / rows
        squares = np.bincount(own, weights=(values - value[own]) ** 2, minlength=k)
        deviation = np.sqrt(squares / (rows - 1))
    value = np.where(np.isfinite(value), value, np.nan)
    # Few equal values tell nothing of the spread: their limits are unknown.
    known = (rows > 1) & np.isfinite(deviation) & ((deviation > 0) | (rows >= 30))

    def at(level: float) -> Estimates:
        reach = np.array(
            [t_quantile(level, int(n) - 1) if there else np.nan for n, there in zip(rows, known, strict=True)]
        )
        half = reach * np.where(known, deviation, np.nan) / np.sqrt(np.maximum(rows, 1))
        low = np.maximum(value - half, 0.0) if non_negative else value - half
        return Estimates(value, low, value + half)

    return GroupMetric(value, np.zeros(k, bool), at, non_negative)
