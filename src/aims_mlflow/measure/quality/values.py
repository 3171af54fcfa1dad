"""Columns as Great Expectations judges them fastest: one at a time, numpy-backed, converted only when a rule asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aims_mlflow.frames import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_NAME = "(no name)"
"""What a column with an empty name is called before Great Expectations, which takes none."""

_EXACT_IN_FLOAT = 2**53


def frame_of(table: Table, names: Iterable[str], *, as_stored: bool = False, coded: bool = False) -> pd.DataFrame:
    """A frame of some columns with a plain row number as index.

    Args:
        table: The table.
        names: Names of its columns, as text.
        as_stored: True keeps pandas' types (for rules about types); False converts to numpy's where nothing is lost.
        coded: True turns text of few distinct values into a category (for rules on nulls and sets): Great Expectations
            copies the column for each rule.
    """
    index = pd.RangeIndex(table.rows)
    series = []
    labels = []
    for name in names:
        found = table[name].short_codes() if coded else None
        if found is not None:
            series.append(pd.Series(pd.Categorical.from_codes(found[0], pd.Index(found[1])), index=index))
        else:
            column = stored(table[name]) if as_stored else judged(stored(table[name]))
            series.append(column.set_axis(index))
        labels.append(name or NO_NAME)
    return _framed(series, labels, index)


def header_of(table: Table) -> pd.DataFrame:
    """A frame of no rows with every column's name and pandas type, for rules that read only those."""
    series = [stored(column, rows=0).reset_index(drop=True) for column in table.columns]
    return _framed(series, [column.name for column in table.columns], pd.RangeIndex(0))


def _framed(series: list[pd.Series[Any]], labels: list[str], index: pd.RangeIndex) -> pd.DataFrame:
    """A frame of the series under names of any letters (pandas' own text type refuses lone surrogates)."""
    frame = pd.DataFrame(dict(enumerate(series)), index=index, copy=False)
    frame.columns = pd.Index(labels, dtype=object)
    return frame


def stored(column: Column, *, rows: int | None = None) -> pd.Series[Any]:
    """The column as a pandas Series of its own type (at most ``rows`` rows of it); no copy where it is one already."""
    raw = column.raw if rows is None else column.raw[:rows]
    if isinstance(raw, pd.Series):
        return raw
    if isinstance(raw, np.ndarray):
        return pd.Series(raw, copy=False)
    series = raw.to_pandas()
    return series if isinstance(series, pd.Series) else pd.Series(series)


def judged(series: pd.Series[Any]) -> pd.Series[Any]:
    """The same values in a numpy type that Great Expectations compares in one step.

    It walks every other type value by value (13 times slower for Arrow numbers). Whole numbers beyond 2**53 with
    missing values, and times outside the range of nanoseconds, stay as they are: slow and exact.
    """
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return _numpy_judged(series, dtype)
    if isinstance(dtype, pd.SparseDtype):
        dense = pd.Series(np.asarray(series.array))
        return judged(dense)
    if isinstance(dtype, pd.CategoricalDtype | pd.StringDtype | pd.DatetimeTZDtype | pd.PeriodDtype | pd.IntervalDtype):
        return series
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, pd.ArrowDtype) and kind not in "biufM":
        return series
    if kind == "M":
        return _in_nanoseconds(series.astype("datetime64[ns]")) if _zone_free(dtype) else series
    if kind not in "biuf":
        return series
    return _masked_judged(series, kind)


def _numpy_judged(series: pd.Series[Any], dtype: np.dtype[Any]) -> pd.Series[Any]:
    if dtype.kind == "f" and dtype.itemsize < 8:
        return series.astype(np.float64)
    if dtype.kind == "i" and dtype.itemsize < 8:
        return series.astype(np.int64)
    if dtype.kind == "u" and (dtype.itemsize < 8 or not len(series) or int(series.max()) < 2**63):
        return series.astype(np.int64)
    return _in_nanoseconds(series) if dtype.kind == "M" else series


def _in_nanoseconds(series: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return series.astype("datetime64[ns]")
    except pd.errors.OutOfBoundsDatetime:
        return series


def _zone_free(dtype: Any) -> bool:
    return getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None) is None


def _masked_judged(series: pd.Series[Any], kind: str) -> pd.Series[Any]:
    """Numbers and booleans with a mask beside them (pandas' nullable types, Arrow)."""
    missing = bool(series.isna().any())
    if kind == "b":
        return series.astype(object).where(series.notna(), None) if missing else series.astype(bool)
    if missing and kind in "iu" and not _exact_in_float(series):
        return series.astype("Int64" if kind == "i" else "UInt64")
    if missing or kind == "f":
        return pd.Series(series.to_numpy(dtype=np.float64, na_value=np.nan))
    values = series.to_numpy()
    return _numpy_judged(pd.Series(values), values.dtype) if values.dtype.kind in "iu" else series


def _exact_in_float(series: pd.Series[Any]) -> bool:
    present = series.dropna()
    return not len(present) or max(abs(int(present.min())), abs(int(present.max()))) <= _EXACT_IN_FLOAT
