"""What a column holds, after its library's types are looked through."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd


class ColumnKind(StrEnum):
    """What a column holds, after its library's types are looked through."""

    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    CATEGORY = "category"
    DATETIME = "datetime"
    TIMEDELTA = "timedelta"
    MIXED = "mixed"
    """Objects of several types, or unhashable ones (lists, dicts)."""
    OTHER = "other"


_BY_NUMPY_KIND = {
    "b": ColumnKind.BOOLEAN,
    "i": ColumnKind.INTEGER,
    "u": ColumnKind.INTEGER,
    "f": ColumnKind.FLOAT,
    "c": ColumnKind.OTHER,
    "M": ColumnKind.DATETIME,
    "m": ColumnKind.TIMEDELTA,
    "U": ColumnKind.STRING,
    "T": ColumnKind.STRING,
    "S": ColumnKind.OTHER,
    "V": ColumnKind.MIXED,
}

_BY_INFERRED = {
    "string": ColumnKind.STRING,
    "empty": ColumnKind.STRING,
    "boolean": ColumnKind.BOOLEAN,
    "integer": ColumnKind.INTEGER,
    "integer-na": ColumnKind.INTEGER,
    "floating": ColumnKind.FLOAT,
    "mixed-integer-float": ColumnKind.FLOAT,
    "decimal": ColumnKind.FLOAT,
    "datetime64": ColumnKind.DATETIME,
    "datetime": ColumnKind.DATETIME,
    "date": ColumnKind.DATETIME,
    "timedelta64": ColumnKind.TIMEDELTA,
    "timedelta": ColumnKind.TIMEDELTA,
    "categorical": ColumnKind.CATEGORY,
    "mixed": ColumnKind.MIXED,
    "mixed-integer": ColumnKind.MIXED,
}


def is_arrow(raw: Any) -> bool:
    """Whether the object is a pyarrow array, without importing pyarrow."""
    arrow = sys.modules.get("pyarrow")
    # While another thread is importing the library its names are not all there, and no object is of it yet.
    return hasattr(arrow, "ChunkedArray") and isinstance(raw, arrow.Array | arrow.ChunkedArray)  # type: ignore[union-attr]


def is_polars_series(raw: Any) -> bool:
    """Whether the object is a polars Series, without importing polars."""
    polars = sys.modules.get("polars")
    return hasattr(polars, "Series") and isinstance(raw, polars.Series)  # type: ignore[union-attr]


def kind_of(raw: Any) -> ColumnKind:
    """The kind of a column object of any library this one reads.

    Only object columns are looked into (one pass that stops at the first odd value); all others are told by their type.
    An object, Arrow null or polars Null column without any value counts as text: nothing says otherwise.
    """
    if isinstance(raw, pd.Series):
        return _pandas_kind(raw)
    if isinstance(raw, np.ndarray):
        return kind_of_objects(raw) if raw.dtype.kind == "O" else _BY_NUMPY_KIND.get(raw.dtype.kind, ColumnKind.OTHER)
    if is_polars_series(raw):
        return _polars_kind(raw)
    return arrow_kind(raw.type)


def kind_of_objects(values: np.ndarray) -> ColumnKind:
    """The kind of an array of Python objects, by looking at them."""
    return _BY_INFERRED.get(inferred(values), ColumnKind.OTHER)


def inferred(values: np.ndarray) -> str:
    """Pandas' word for what an object array holds, missing values left aside."""
    word: str = pd.api.types.infer_dtype(values, skipna=True)
    if word not in ("mixed", "mixed-integer-float"):
        return word
    # Before version 3 pandas takes floats with None among them for a mix.
    missing = pd.isna(values)
    return pd.api.types.infer_dtype(values[~missing], skipna=True) if missing.any() else word


def _pandas_kind(series: pd.Series) -> ColumnKind:
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind == "O":
            return kind_of_objects(series.to_numpy())
        return _BY_NUMPY_KIND.get(dtype.kind, ColumnKind.OTHER)
    if isinstance(dtype, pd.CategoricalDtype):
        return ColumnKind.CATEGORY
    if isinstance(dtype, pd.StringDtype):
        return ColumnKind.STRING
    if isinstance(dtype, pd.ArrowDtype):
        return arrow_kind(dtype.pyarrow_dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ColumnKind.DATETIME
    if isinstance(dtype, pd.SparseDtype):
        return kind_of(np.asarray(series.array))
    if isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
        return ColumnKind.OTHER
    return _BY_NUMPY_KIND.get(dtype.kind, kind_of_objects(series.to_numpy(dtype=object)))


def arrow_kind(arrow_type: Any) -> ColumnKind:
    """The kind of an Arrow data type."""
    import pyarrow.types as pat

    tests: tuple[tuple[Any, ColumnKind], ...] = (
        (pat.is_dictionary, ColumnKind.CATEGORY),
        (pat.is_boolean, ColumnKind.BOOLEAN),
        (pat.is_integer, ColumnKind.INTEGER),
        (pat.is_floating, ColumnKind.FLOAT),
        (pat.is_decimal, ColumnKind.FLOAT),
        (pat.is_timestamp, ColumnKind.DATETIME),
        (pat.is_date, ColumnKind.DATETIME),
        (pat.is_duration, ColumnKind.TIMEDELTA),
        (pat.is_string, ColumnKind.STRING),
        (pat.is_large_string, ColumnKind.STRING),
        (pat.is_string_view, ColumnKind.STRING),
        (pat.is_null, ColumnKind.STRING),
        (pat.is_nested, ColumnKind.MIXED),
    )
    return next((kind for test, kind in tests if test(arrow_type)), ColumnKind.OTHER)


def _polars_kind(series: Any) -> ColumnKind:
    import polars as pl

    dtype = series.dtype
    if dtype.is_integer():
        return ColumnKind.INTEGER
    if dtype.is_numeric():
        return ColumnKind.FLOAT
    if dtype == pl.Object:
        return kind_of_objects(series.to_numpy())
    if dtype.is_nested():
        return ColumnKind.MIXED
    by_type: tuple[tuple[Any, ColumnKind], ...] = (
        (pl.Boolean, ColumnKind.BOOLEAN),
        (pl.String, ColumnKind.STRING),
        (pl.Null, ColumnKind.STRING),
        (pl.Categorical, ColumnKind.CATEGORY),
        (pl.Enum, ColumnKind.CATEGORY),
        (pl.Datetime, ColumnKind.DATETIME),
        (pl.Date, ColumnKind.DATETIME),
        (pl.Duration, ColumnKind.TIMEDELTA),
    )
    return next((kind for known, kind in by_type if dtype == known), ColumnKind.OTHER)
