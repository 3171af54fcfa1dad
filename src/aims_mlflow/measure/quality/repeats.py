"""How many rows hold a value that occurs more than once: counted by sorting, not by hashing.

Pandas' hash table, which Great Expectations uses, takes 42 bytes a row. A pass over values already in order takes none,
a sort takes four or eight.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.measure.quality.outcome import Job

UNIQUE = "column_values.unique.unexpected_count"
NULLS = "column_values.nonnull.unexpected_count"
ROWS = "table.row_count"
"""Great Expectations' names of the counts."""

_BLOCK = 1 << 16


def counted(frame: pd.DataFrame, job: Job, wanted: Iterable[str]) -> dict[str, Any] | None:
    """The metrics of a rule on the uniqueness of plain numbers; None where Great Expectations counts.

    Its hash table of such a column is the largest thing in memory of all rules. What it makes of the counts stays its.
    """
    if set(wanted) != {UNIQUE, NULLS, ROWS} or job.rule.kwargs.get("row_condition") is not None:
        return None
    column = frame[job.expectation.column]
    if not is_countable(column.dtype):
        return None
    values = column.to_numpy()
    nulls = int(np.count_nonzero(np.isnan(values))) if values.dtype.kind == "f" else 0
    return {UNIQUE: repeated_rows(values), NULLS: nulls, ROWS: len(values)}


def is_countable(dtype: Any) -> bool:
    """Whether columns of this type can be counted here: NumPy's whole numbers and floats."""
    return isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def repeated_rows(values: np.ndarray) -> int:
    """Rows whose value occurs in another row too; NaN, which is no value, left out.

    Equal is what NumPy calls equal, as for pandas: 0.0 is -0.0.
    """
    if _ascends(values) or _ascends(values[::-1]):
        return 0
    ordered = _narrow(values)
    ordered.sort()
    repeated = 0
    previous = False
    for start in range(0, len(ordered), _BLOCK):
        block = ordered[start : start + _BLOCK + 1]
        if not len(block) - 1:
            break
        same = block[1:] == block[:-1]
        # A row is repeated where it equals the one before it or the one after it.
        repeated += int(np.count_nonzero(same[1:] | same[:-1])) + int(same[0] or previous)
        previous = bool(same[-1])
    return repeated + int(previous)


def _ascends(values: np.ndarray) -> bool:
    """Whether each value is larger than the one before it; NaN is not."""
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK + 1]
        if not (block[1:] > block[:-1]).all():
            return False
    return True


def _narrow(values: np.ndarray) -> np.ndarray:
    """A copy to sort: without NaN, whole numbers as distances from the least in half the width where they fit."""
    if values.dtype.kind == "f":
        missing = np.isnan(values)
        return values[~missing] if missing.any() else values.copy()
    lowest, highest = values.min(), values.max()
    if values.dtype.itemsize < 8 or int(highest) - int(lowest) >= 2**32:
        return values.copy()
    narrow = np.empty(len(values), dtype=np.uint32)
    for start in range(0, len(values), _BLOCK):
        narrow[start : start + _BLOCK] = values[start : start + _BLOCK] - lowest
    return narrow
