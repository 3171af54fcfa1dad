"""What is taken from a call of ``predict``: the least that can be, and so that nobody can change it afterwards."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.errors import InputError
from aims_mlflow.frames import Table, as_table

LARGE = 65_536
"""Rows from which a frame is summarised within the call, where it need not be copied."""


MANY = 256
"""Rows from which a frame is summarised by itself, if it is of one numeric type."""


@dataclass(slots=True)
class Taken:
    """One call: its rows and what the model made of them."""

    moment: float
    rows: int
    inputs: Any
    outputs: Any


class Snapshot:
    """Rows taken before the model sees them."""

    __slots__ = ("inputs", "rows")

    def __init__(self, rows: int, inputs: Any) -> None:
        self.rows = rows
        self.inputs = inputs


def snapshot(data: Any) -> Snapshot:
    """A copy of the rows that neither the model nor the caller can change; of a large frame the frame itself.

    What is no frame is counted as so many rows as it has items, and one where it has none.
    """
    if isinstance(data, pd.DataFrame):
        rows = len(data)
        return Snapshot(rows, data if rows >= LARGE else data.copy())
    if isinstance(data, np.ndarray):
        rows = len(data) if data.ndim else 1
        return Snapshot(rows, data if rows >= LARGE else data.copy())
    if isinstance(data, pd.Series):
        return Snapshot(len(data), data if len(data) >= LARGE else data.copy())
    if isinstance(data, Mapping):
        held = {name: copy.copy(values) for name, values in data.items()}
        return Snapshot(_rows_of_mapping(held), held)
    if isinstance(data, list | tuple):
        return Snapshot(len(data), [copy.copy(row) for row in data])
    return Snapshot(_rows_of_other(data), data if _is_immutable(data) else None)


def result_copy(result: Any, rows: int) -> Any:
    """The model's answer, so that the caller may change his; None where it is no column for these rows."""
    if isinstance(result, np.ndarray):
        if not result.ndim or len(result) != rows:
            return None
        return result if rows >= LARGE else result.copy()
    if isinstance(result, pd.DataFrame | pd.Series):
        if len(result) != rows:
            return None
        return result if rows >= LARGE else result.copy()
    if isinstance(result, list | tuple):
        return list(result) if len(result) == rows else None
    return None


def _rows_of_mapping(held: Mapping[Any, Any]) -> int:
    lengths = {len(v) if hasattr(v, "__len__") and not isinstance(v, str | bytes) else 1 for v in held.values()}
    return max(lengths, default=0)


def _rows_of_other(data: Any) -> int:
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and shape and isinstance(shape[0], int):
        return shape[0]
    return 1


def _is_immutable(data: Any) -> bool:
    """Whether it is a frame of Arrow or polars, whose rows nobody changes in place."""
    library = type(data).__module__.partition(".")[0]
    return library in {"pyarrow", "polars"} and library in sys.modules


@dataclass(frozen=True)
class Names:
    """The columns the model's answer is filed under."""

    prediction: str = "prediction"
    probability: str = "probability"
    only_probability: bool = False
    """True: a single column of numbers is the probability of the positive class."""


def arrays_of(one: Taken, names: Names, known: frozenset[str]) -> Mapping[str, Any] | None:
    """A call's columns as arrays, where that needs no look at each of them: a frame of many rows of one numeric type.

    None for any other, which are better put together first.
    """
    frame = one.inputs
    if not isinstance(frame, pd.DataFrame) or len(frame) < MANY:
        return None
    labels = list(frame.columns)
    if len(set(labels)) < len(labels) or not all(type(label) is str for label in labels):
        return None
    types = set(frame.dtypes)
    only = next(iter(types), None)
    if len(types) != 1 or not isinstance(only, np.dtype) or only.kind not in "iufb":
        return None
    whole = frame.to_numpy()
    found = {label: whole[:, place] for place, label in enumerate(labels)}
    for name, values in _answers([one.outputs], names).items():
        if name in known and name not in found:
            found[name] = values.to_numpy() if isinstance(values, pd.Series) else values
    return found


def tables_of(taken: Sequence[Taken], names: Names, known: frozenset[str]) -> list[tuple[list[Taken], Table | None]]:
    """The rows of some calls as few tables, inputs and outputs side by side; None for calls that cannot be read.

    Calls whose frames have the same columns and types share a table.

    Args:
        taken: The calls.
        names: Columns of the answers.
        known: Columns the plan has; of the answers only those are looked at.
    """
    found: list[tuple[list[Taken], Table | None]] = []
    for group in _alike(taken):
        try:
            found.append((group, _table(group, names, known)))
        except (InputError, ValueError, TypeError, AttributeError, KeyError, IndexError):
            if len(group) == 1:
                found.append((group, None))
            else:
                found += [pair for one in group for pair in tables_of([one], names, known)]
    return found


def _alike(taken: Sequence[Taken]) -> list[list[Taken]]:
    groups: list[list[Taken]] = []
    last: Any = None
    for one in taken:
        columns = one.inputs.columns if isinstance(one.inputs, pd.DataFrame) else None
        alike = groups and (
            type(one.inputs) is type(groups[-1][0].inputs)
            and columns is not None
            and type(one.outputs) is type(groups[-1][0].outputs)
            and (columns is last or columns.equals(last))
        )
        if alike:
            groups[-1].append(one)
        else:
            groups.append([one])
            last = columns
    return [part for group in groups for part in _by_types(group)]


def _by_types(group: list[Taken]) -> list[list[Taken]]:
    """Frames whose types differ are kept apart: put together, whole numbers would become floats and both objects."""
    if len(group) == 1:
        return [group]
    by_types: dict[tuple[Any, ...], list[Taken]] = {}
    for one in group:
        by_types.setdefault(tuple(one.inputs.dtypes), []).append(one)
    return list(by_types.values())


def _table(group: list[Taken], names: Names, known: frozenset[str]) -> Table:
    first = group[0].inputs
    if isinstance(first, pd.DataFrame):
        whole = pd.concat([one.inputs for one in group], ignore_index=True) if len(group) > 1 else first
    elif first is None:
        raise InputError("what was given to the model is no frame")
    elif isinstance(first, list):
        whole = _frame_of_list(first)
    else:
        whole = first
    table = as_table(whole)
    if table.rows != sum(one.rows for one in group):
        raise InputError("the frame has other rows than were counted")
    answers = _answers([one.outputs for one in group], names)
    added = {name: values for name, values in answers.items() if name in known and name not in table}
    if not added:
        return table
    columns = {column.name: column.raw for column in table.columns}
    return as_table({**columns, **added})


def _frame_of_list(rows: list[Any]) -> Any:
    if rows and all(isinstance(row, Mapping) for row in rows):
        return pd.DataFrame(rows)
    return pd.DataFrame(np.asarray(rows)) if rows and isinstance(rows[0], list | tuple) else {"0": rows}


def _answers(outputs: list[Any], names: Names) -> dict[str, Any]:
    first = outputs[0]
    if first is None or any(type(one) is not type(first) for one in outputs):
        return {}
    if isinstance(first, pd.DataFrame):
        whole = pd.concat(outputs, ignore_index=True) if len(outputs) > 1 else first
        if len(whole.columns) == 1:
            return {_single(whole.iloc[:, 0], names): whole.iloc[:, 0]}
        return {str(label): whole.iloc[:, place] for place, label in enumerate(whole.columns)}
    if isinstance(first, pd.Series):
        series = pd.concat(outputs, ignore_index=True) if len(outputs) > 1 else first
        return {_single(series, names): series}
    if isinstance(first, list):
        values = pd.Series([value for one in outputs for value in one])
        return {_single(values, names): values}
    array = np.concatenate(outputs) if len(outputs) > 1 else first
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return {_single(array, names): array}
    if array.ndim == 2 and array.shape[1] == 2:
        return {names.probability: array[:, 1]}
    return (
        {f"{names.probability}_{place}": array[:, place] for place in range(array.shape[1])} if array.ndim == 2 else {}
    )


def _single(values: Any, names: Names) -> str:
    is_number = getattr(values.dtype, "kind", "") == "f"
    return names.probability if names.only_probability and is_number else names.prediction
