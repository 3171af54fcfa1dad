"""The four ways a column's values lie in memory, whatever the library: plain, coded, text, objects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from aims_mlflow.frames.kinds import ColumnKind, inferred, is_polars_series

_T = TypeVar("_T")

_BLOCK = 1 << 14
"""Rows handled at a time where that saves an array over all of them."""

_FEW = 1000
"""Distinct texts up to which they are coded block by block."""


@dataclass(frozen=True)
class Plain:
    """Fixed-width values: bool, integer, float, complex, ``datetime64`` or ``timedelta64``."""

    values: np.ndarray
    mask: np.ndarray | None = None
    """True where missing; ``values`` means nothing there. None when NaN and NaT alone say what is missing."""
    zone: str = ""
    """For datetimes: name of the time zone (values are UTC then), ``date`` for calendar dates, else empty."""

    def missing_mask(self) -> np.ndarray | None:
        """True where missing, NaN and NaT included; None where nothing can be missing."""
        kind = self.values.dtype.kind
        if kind not in "fcMm":
            return self.mask
        own: np.ndarray = np.isnat(self.values) if kind in "Mm" else np.isnan(self.values)
        return own if self.mask is None else own | self.mask


@dataclass(frozen=True)
class Coded:
    """Codes into a list of levels; -1 where missing."""

    codes: np.ndarray
    levels: Sequence[Any]

    def used(self) -> list[int]:
        """Places of the levels that occur, ascending."""
        held = np.zeros(len(self.levels) + 1, dtype=bool)
        for start in range(0, len(self.codes), _BLOCK):
            held[self.codes[start : start + _BLOCK]] = True  # missing ones, -1, mark the place after the last level
        return np.flatnonzero(held[:-1]).tolist()


@dataclass(frozen=True)
class Text:
    """Strings or bytes in Arrow arrays."""

    chunks: Any
    """A ``pyarrow.ChunkedArray``."""


@dataclass(frozen=True)
class Objects:
    """Python objects, one a row."""

    values: np.ndarray


Storage = Plain | Coded | Text | Objects


def storage_of(raw: Any) -> Storage:
    """How the values of a column object lie in memory; converted only where the library has a form of its own."""
    if isinstance(raw, pd.Series):
        return _pandas_storage(raw)
    if isinstance(raw, np.ndarray):
        return _numpy_storage(raw)
    if is_polars_series(raw):
        return Objects(raw.to_numpy()) if str(raw.dtype) == "Object" else _arrow_storage(_chunked(raw.to_arrow()))
    return _arrow_storage(_chunked(raw))


def _chunked(raw: Any) -> Any:
    import pyarrow as pa

    return raw if isinstance(raw, pa.ChunkedArray) else pa.chunked_array([raw])


def _numpy_storage(values: np.ndarray) -> Storage:
    kind = values.dtype.kind
    if kind in "biufcMm":
        return Plain(values)
    if kind == "V":
        return Objects(object_array(values.tolist()))
    return Objects(values if kind == "O" else values.astype(object))


def _pandas_storage(series: pd.Series) -> Storage:
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return _numpy_storage(series.to_numpy())
    if isinstance(dtype, pd.CategoricalDtype):
        return Coded(series.cat.codes.to_numpy(), list(dtype.categories))
    if isinstance(dtype, pd.StringDtype):
        return (
            _arrow_storage(_chunked(_arrow(series))) if dtype.storage != "python" else Objects(series.to_numpy(object))
        )
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_storage(_chunked(_arrow(series)))
    if isinstance(dtype, pd.DatetimeTZDtype):
        moments = np.asarray(series.array.view("i8")).view(f"M8[{dtype.unit}]")
        return Plain(moments, zone=str(dtype.tz))
    if isinstance(dtype, pd.SparseDtype):
        return _numpy_storage(np.asarray(series.array))
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in "biuf":
        values = series.array.to_numpy(dtype=numpy_dtype, na_value=numpy_dtype.type(0))
        mask = np.asarray(series.isna())
        return Plain(values, mask if mask.any() else None)
    return Objects(series.to_numpy(dtype=object))


def _arrow(series: pd.Series) -> Any:
    import pyarrow as pa

    return pa.array(series.array)


def _arrow_storage(chunks: Any) -> Storage:
    import pyarrow.types as pat

    kind = chunks.type
    if pat.is_dictionary(kind):
        return _arrow_coded(chunks)
    if pat.is_string(kind) or pat.is_large_string(kind) or pat.is_binary(kind) or pat.is_large_binary(kind):
        return Text(chunks)
    if pat.is_string_view(kind):
        return Text(_large_strings(chunks))
    if pat.is_timestamp(kind):
        return _arrow_plain(chunks, zone=_zone_name(kind.tz))
    if pat.is_date(kind):
        return _arrow_plain(chunks, zone="date")
    if pat.is_duration(kind) or pat.is_boolean(kind) or pat.is_integer(kind) or pat.is_floating(kind):
        return _arrow_plain(chunks)
    return Objects(object_array(chunks.to_pylist()))


def _large_strings(chunks: Any) -> Any:
    import pyarrow as pa

    try:
        return chunks.cast("large_string")
    except pa.ArrowNotImplementedError:  # pyarrow 17 knows the type and has no cast from it
        return pa.chunked_array([pa.array(chunks.to_pylist(), type="large_string")])


def _zone_name(zone: str | None) -> str:
    """A zone as pandas writes it: Arrow and polars say ``+01:00`` where pandas says ``UTC+01:00``."""
    return f"UTC{zone}" if zone and zone[0] in "+-" else zone or ""


def _arrow_plain(chunks: Any, zone: str = "") -> Plain:
    if str(chunks.type) == "halffloat":
        chunks = chunks.cast("float32")
    name = str(chunks.type)
    if not chunks.null_count or name.startswith(("timestamp", "date", "duration", "float", "double")):
        return Plain(chunks.to_numpy(), zone=zone)
    return Plain(chunks.fill_null(False if name == "bool" else 0).to_numpy(), chunks.is_null().to_numpy(), zone)


def _arrow_coded(chunks: Any) -> Coded:
    import pyarrow as pa

    if not len(chunks):
        return Coded(np.empty(0, dtype=np.int64), [])
    whole = chunks.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0)
    levels = whole.dictionary.to_pylist()
    indices = whole.indices
    if pa.types.is_unsigned_integer(indices.type):
        indices = indices.cast("int64")
    plain = (indices.fill_null(-1) if indices.null_count else indices).to_numpy()
    if None in levels or len(set(map(repr, levels))) < len(levels):
        first: dict[str, int] = {}
        to_first = [
            first.setdefault(repr(level), place) if level is not None else -1 for place, level in enumerate(levels)
        ]
        plain = np.asarray([*to_first, -1], dtype=np.int32)[plain]
    return Coded(plain, levels)


def encode_text(text: Text) -> Coded:
    """Text as codes into its distinct values, in order of appearance."""
    return _arrow_coded(text.chunks.dictionary_encode())


def encode_few(text: Text) -> Coded | None:
    """The same for texts of at most a thousand distinct values, block by block, two bytes a code; None for others."""
    places: dict[Any, int] = {None: -1}
    codes = np.empty(len(text.chunks), dtype=np.int16)
    done = 0
    for chunk in text.chunks.chunks:
        for start in range(0, len(chunk), _BLOCK):
            block = chunk.slice(start, _BLOCK).dictionary_encode()
            if len(block.dictionary) + len(places) > 2 * _FEW:
                return None
            to_place = [places.setdefault(level, len(places) - 1) for level in block.dictionary.to_pylist()]
            if len(places) > _FEW + 1:
                return None
            indices = block.indices.fill_null(len(to_place)) if block.indices.null_count else block.indices
            codes[done : done + len(block)] = np.array([*to_place, -1], dtype=np.int16)[indices.to_numpy()]
            done += len(block)
    del places[None]
    return Coded(codes, list(places))


def tally_codes(codes: np.ndarray, levels: int) -> np.ndarray:
    """How many rows hold each code from 0 to ``levels - 1``; -1 is left out."""
    held = np.zeros(levels + 1, dtype=np.int64)
    # Many rows at a time where levels are many: each block costs a pass over them.
    block = max(_BLOCK, 4 * levels)
    for start in range(0, len(codes), block):
        held += np.bincount(codes[start : start + block].astype(np.int64) + 1, minlength=levels + 1)
    return held[1:]


def object_array(values: Sequence[Any]) -> np.ndarray:
    """A 1-D object array of the values, nested lists left as they are."""
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        array[place] = value
    return array


def plain_of_objects(objects: Objects, kind: ColumnKind) -> Plain | None:
    """Objects that are all of one fixed-width kind, as plain values; None where that would lose something.

    Whole numbers over 64 bits, decimals, whole numbers among floats, and datetimes of several zones stay objects.
    """
    values = objects.values
    if kind is ColumnKind.BOOLEAN:
        return _filled(values, np.dtype(bool), False)
    if kind is ColumnKind.INTEGER:
        for whole in (np.dtype(np.int64), np.dtype(np.uint64)):
            try:
                return _filled(values, whole, 0)
            except OverflowError:
                continue
        return None
    if kind is ColumnKind.FLOAT and all(isinstance(v, float | np.floating) for v in values[~pd.isna(values)]):
        return _filled(values, np.dtype(np.float64), np.nan)
    if kind is ColumnKind.DATETIME:
        return _plain_moments(values)
    if kind is ColumnKind.TIMEDELTA:
        return _or_none(lambda: Plain(pd.TimedeltaIndex(values).to_numpy()))
    return None


def _filled(values: np.ndarray, dtype: np.dtype[Any], fill: Any) -> Plain:
    mask = pd.isna(values)
    if not mask.any():
        return Plain(values.astype(dtype))
    return Plain(np.where(mask, fill, values).astype(dtype), None if dtype.kind == "f" else mask)


def _plain_moments(values: np.ndarray) -> Plain | None:
    if inferred(values) == "date":
        return Plain(np.where(pd.isna(values), None, values).astype("M8[D]"), zone="date")  # type: ignore[call-overload]
    present = values[~pd.isna(values)]
    zones = {str(getattr(value, "tzinfo", None)) for value in present}
    if len(zones) > 1 or any(isinstance(value, dt.date) and not isinstance(value, dt.datetime) for value in present):
        return None
    index = _or_none(lambda: pd.DatetimeIndex(values))
    if index is not None:
        return _pandas_moments(index)
    # Before version 3 pandas counts in nanoseconds and refuses years outside 1677 to 2262.
    if not all(type(value) is dt.datetime for value in present):
        return None
    moments = np.full(len(values), "NaT", dtype="M8[us]")
    moments[~pd.isna(values)] = [v.astimezone(dt.UTC).replace(tzinfo=None) if v.tzinfo else v for v in present]
    return Plain(moments, zone=next(iter(zones), "None").replace("None", ""))


def _pandas_moments(index: pd.DatetimeIndex) -> Plain:
    storage = _pandas_storage(pd.Series(index))
    assert isinstance(storage, Plain)  # noqa: S101  (for the type checker: a DatetimeIndex has no other form)
    return storage


def _or_none(convert: Callable[[], _T]) -> _T | None:
    try:
        return convert()
    except (ValueError, TypeError, OverflowError, pd.errors.OutOfBoundsDatetime):
        return None
