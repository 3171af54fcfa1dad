"""Targets and predictions, read from columns of any library and set side by side."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any, Literal

import numpy as np
import pandas as pd

from aims_mlflow.errors import InputError
from aims_mlflow.frames import Column, ColumnKind, as_column, as_table

Task = Literal["classification", "multiclass", "regression"]
TASKS: tuple[Task, ...] = ("classification", "multiclass", "regression")

MOST_CLASSES = 50
"""Whole-number targets with more distinct values than this count as quantities, unless the task is given."""

_NUMERIC = frozenset({ColumnKind.FLOAT, ColumnKind.INTEGER, ColumnKind.BOOLEAN})


@dataclass(frozen=True)
class Labelled:
    """Targets and predictions of a classifier: n codes each into the same sorted labels, -1 where missing."""

    labels: tuple[Any, ...]
    true: np.ndarray
    predicted: np.ndarray
    positive: int | None
    """Place of the positive label; None where it is not known or not meant (more than two labels and none given)."""

    @property
    def binary(self) -> bool:
        """Whether there are at most two labels."""
        return len(self.labels) <= 2

    @property
    def present(self) -> np.ndarray:
        """True where neither target nor prediction is missing."""
        return (self.true >= 0) & (self.predicted >= 0)


@dataclass(frozen=True)
class Measured:
    """Targets and predictions of a regression: n floats each, NaN where missing."""

    true: np.ndarray
    predicted: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """True where neither target nor prediction is missing."""
        there: np.ndarray = ~(np.isnan(self.true) | np.isnan(self.predicted))
        return there


def read_outcomes(y_true: Any, y_pred: Any, *, task: str, positive_label: Any = None) -> Labelled | Measured:
    """Targets and predictions as one pair of arrays.

    Args:
        y_true: Targets, one column of n values (Series, array, list, of pandas, numpy, polars or Arrow).
        y_pred: Predictions, n values.
        task: ``auto`` or one of ``TASKS``. ``auto``: text, categories and booleans are labels; so are at most 50
            distinct whole numbers predicted by whole numbers; anything else is a quantity.
        positive_label: The label that counts as positive; the greater of two where None.

    Raises:
        InputError: lengths differ; label types that cannot be compared; fractions predicted for two labels; an unknown
            task or positive label; two pandas Series with the same index in another order.
    """
    if task not in ("auto", *TASKS):
        raise InputError(f"there is no task {task!r}", where="task", remedy=f"Choose auto or {', '.join(TASKS)}.")
    true, predicted = as_column(y_true, "y_true"), as_column(y_pred, "y_pred")
    same_rows(true, predicted)
    if task == "regression" or (task == "auto" and _is_quantity(true, predicted)):
        return Measured(_quantities(true), _quantities(predicted))
    _refuse_fractions(true, predicted)
    return _labelled(true, predicted, positive_label)


def same_rows(one: Column, two: Column) -> None:
    """Refuse columns that cannot belong to the same rows.

    Raises:
        InputError: lengths differ, or the same pandas index in another order.
    """
    if len(one) != len(two):
        raise InputError(
            f"{one.name} has {len(one)} values and {two.name} has {len(two)}",
            where=two.name,
            remedy="Hand over one value a row in both.",
        )
    left, right = (c.raw.index if isinstance(c.raw, pd.Series) else None for c in (one, two))
    if left is None or right is None or isinstance(left, pd.RangeIndex) or isinstance(right, pd.RangeIndex):
        return
    if not left.equals(right) and left.sort_values().equals(right.sort_values()):
        raise InputError(
            f"{one.name} and {two.name} have the same index in another order: their rows would be mixed up",
            where=two.name,
            remedy="Bring one into the order of the other, e.g. with .loc, or hand over plain arrays.",
        )


def _is_quantity(true: Column, predicted: Column) -> bool:
    if true.kind not in (ColumnKind.FLOAT, ColumnKind.INTEGER) or predicted.kind not in _NUMERIC:
        return False
    values = true.numbers()
    values = values[~np.isnan(values)] if true.missing() else values
    if true.kind is ColumnKind.FLOAT and not _all_whole(values):
        return True
    if not len(values) or values.max() - values.min() <= 1:
        return False
    distinct = len(pd.unique(values))
    return distinct > MOST_CLASSES or (distinct > 2 and not _all_whole(predicted.numbers()))


def _all_whole(values: np.ndarray) -> bool:
    present = values[~np.isnan(values)]
    return bool((np.floor(present) == present).all()) and bool(np.isfinite(present).all())


def _refuse_fractions(true: Column, predicted: Column) -> None:
    if predicted.kind is ColumnKind.FLOAT and true.kind in _NUMERIC:
        values = true.numbers()
        if _all_whole(values) and not _all_whole(predicted.numbers()):
            raise InputError(
                "y_pred holds fractions where y_true holds labels",
                where="y_pred",
                remedy="Hand over predicted labels as y_pred and probabilities as y_proba, or set task='regression'.",
            )


def _quantities(column: Column) -> np.ndarray:
    if column.kind not in _NUMERIC:
        raise InputError(
            f"{column.name} holds {column.kind.value} values, a regression needs numbers",
            where=column.name,
            remedy="Set task='classification' if these are labels.",
        )
    return column.numbers()


def _labelled(true: Column, predicted: Column, positive_label: Any) -> Labelled:
    codes_true, found_true = true.codes()
    codes_predicted, found_predicted = predicted.codes()
    known: dict[Any, None] = {}
    texts: dict[str, bool] = {}
    places: list[list[Any]] = []
    for column, found in ((true, found_true), (predicted, found_predicted)):
        plain = [_plain_label(value, column) for value in found]
        known.update(dict.fromkeys(plain))
        if plain:
            texts[column.name] = isinstance(plain[0], str)
        if len({isinstance(label, str) for label in plain}) > 1:
            raise _mixed(f"{column.name} holds text and numbers")
        places.append(plain)
    if len(set(texts.values())) > 1:
        told = " and ".join(f"{name} holds {'text' if is_text else 'numbers'}" for name, is_text in texts.items())
        raise _mixed(told)
    positive = None if positive_label is None else _positive(positive_label, list(known))
    if positive is not None:
        known.setdefault(positive)
    elif len(known) == 1 and next(iter(known)) in (0, 1):
        # 0 and 1 (or False and True) name the negative and the positive class even where only one occurs.
        only = next(iter(known))
        known.setdefault(type(only)(1 - only))
    labels = tuple(sorted(known))
    place = {label: i for i, label in enumerate(labels)}
    codes = [
        np.array([*(place[label] for label in plain), -1], dtype=np.intp)[np.asarray(own)]
        for own, plain in ((codes_true, places[0]), (codes_predicted, places[1]))
    ]
    greater = 1 if len(labels) == 2 else None
    chosen = greater if positive is None else place[positive]
    return Labelled(labels, codes[0], codes[1], chosen)


def _mixed(told: str) -> InputError:
    return InputError(
        f"the labels are of different types: {told}",
        where="y_pred",
        remedy="Bring targets and predictions to the same type of label, e.g. with .astype(str).",
    )


def _plain_label(value: Any, column: Column) -> Any:
    """A label as bool, int, float or str."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float) or hasattr(value, "__float__"):
        number = float(value)
        return int(number) if isfinite(number) and number == int(number) else number
    raise InputError(
        f"{column.name} holds labels of type {type(value).__name__}",
        where=column.name,
        remedy="Labels are text, whole numbers or booleans.",
    )


def _positive(given: Any, known: list[Any]) -> Any:
    label = given.item() if isinstance(given, np.generic) else given
    if label in known:
        return next(own for own in known if own == label)
    if known and isinstance(label, str) != isinstance(known[0], str):
        word = "numbers" if isinstance(label, str) else "text"
        raise InputError(f"positive_label is {label!r} and the labels are {word}", where="positive_label")
    if len(known) < 2:
        return label
    near = get_close_matches(str(label), [str(own) for own in known], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"positive_label {label!r} is none of the {len(known)} labels", where="positive_label", remedy=hint.strip()
    )


def read_scores(y_proba: Any, labels: Labelled) -> np.ndarray:
    """Predicted probabilities: n scores of the positive class, or n rows and one column a label, NaN where missing.

    One column is the positive class's score. Columns named like the labels are put in their order; others are taken to
    be in the order of the sorted labels, as scikit-learn gives them.

    Raises:
        InputError: lengths differ, a column is no number, or there are more or fewer columns than labels.
    """
    if isinstance(y_proba, list | tuple):
        y_proba = _array_of(y_proba)
    table = as_table(y_proba)
    if table.rows != len(labels.true):
        raise InputError(f"y_true has {len(labels.true)} values and y_proba has {table.rows}", where="y_proba")
    names = [str(label) for label in labels.labels]
    if len(table.columns) == 1:
        return _score(table.columns[0])
    if len(table.columns) != len(names):
        raise InputError(
            f"y_proba has {len(table.columns)} columns and there are {len(names)} labels",
            where="y_proba",
            remedy="Hand over a frame with one column a label, named like the label.",
        )
    columns = [table[name] for name in names] if set(table.names) == set(names) else table.columns
    return np.column_stack([_score(column) for column in columns])


def _array_of(rows: list[Any] | tuple[Any, ...]) -> np.ndarray:
    try:
        return np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("y_proba holds something else than numbers, or rows of different lengths") from error


def _score(column: Column) -> np.ndarray:
    if column.kind not in _NUMERIC:
        raise InputError(f"y_proba holds {column.kind.value} values, not numbers", where="y_proba")
    return column.numbers()


def told_rows(used: int, rows: int, smallest_cell: int) -> bool:
    """Whether the number of rows used may be told: neither it nor what it leaves of all rows is a few."""
    return not (0 < used < smallest_cell or 0 < rows - used < smallest_cell)


def told_dropped(dropped: int, smallest_cell: int) -> int:
    """The number of rows left out as it may be told: a few count as ``smallest_cell``."""
    return smallest_cell if 0 < dropped < smallest_cell else dropped
