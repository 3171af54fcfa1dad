"""``Table``: a frame as a list of columns, whatever library it came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.errors import InputError
from aims_mlflow.frames.kinds import ColumnKind, is_polars_series, kind_of
from aims_mlflow.frames.sources import Source, source_of
from aims_mlflow.frames.storage import (
    Coded,
    Objects,
    Plain,
    Text,
    encode_few,
    encode_text,
    plain_of_objects,
    storage_of,
    tally_codes,
)
from aims_mlflow.frames.tokens import NULL, token


@dataclass(frozen=True, eq=False)
class Column:
    """One column."""

    name: str
    """Its name as text; unique in the table (a duplicate gets ``#2``, ``#3``...)."""
    kind: ColumnKind
    dtype: str
    """The library's own name of the type."""
    raw: Any
    """The column object of its library (pandas Series, polars Series, pyarrow ChunkedArray, numpy array)."""

    def __len__(self) -> int:
        return len(self.raw)

    def numbers(self) -> np.ndarray:
        """float64 values, NaN where missing. For FLOAT, INTEGER, BOOLEAN (0/1), Decimal, DATETIME/TIMEDELTA (seconds).

        The array may be the frame's own memory: do not write into it.

        Raises:
            InputError: the column holds something else.
        """
        if self.kind not in _NUMERIC:
            msg = f"column {self.name!r} holds {self.kind.value} values ({self.dtype}), not numbers"
            raise InputError(msg, where=self.name)
        storage = storage_of(self.raw)
        if isinstance(storage, Objects):
            plain = plain_of_objects(storage, self.kind)
            if plain is None:
                return _numbers_one_by_one(storage.values, self.kind)
            storage = plain
        if not isinstance(storage, Plain):
            msg = f"column {self.name!r} of type {self.dtype} cannot be read as numbers"
            raise InputError(msg, where=self.name)
        return _plain_numbers(storage)

    def codes(self) -> tuple[np.ndarray, list[Any]]:
        """Integer codes (-1 where missing) and the list of distinct values they stand for, in no promised order.

        Only values that occur are listed: unused levels of a category are left out. Unhashable values (lists,
        dicts) and mixed ones are told apart by their canonical text, so 1, 1.0, True and "1" are four values; an
        unhashable one is listed as that text.
        """
        storage = storage_of(self.raw)
        if isinstance(storage, Text):
            storage = encode_text(storage)
        if isinstance(storage, Coded):
            return _used(storage)
        if isinstance(storage, Objects):
            if self.kind is ColumnKind.STRING:
                codes, found = pd.factorize(storage.values)
                return codes, list(found)
            plain = plain_of_objects(storage, self.kind)
            if plain is None:
                return _codes_by_token(storage.values)
            storage = plain
        return _plain_codes(storage)

    def tallies(self) -> tuple[list[Any], np.ndarray]:
        """The distinct values ``codes`` lists, in no promised order, and how many rows hold each."""
        codes, levels = self.short_codes() or self.codes()
        return levels, tally_codes(codes, len(levels))

    def short_codes(self) -> tuple[np.ndarray, list[Any]] | None:
        """What ``codes`` says, in two bytes a row; None for anything but text of at most a thousand distinct values."""
        storage = storage_of(self.raw) if self.kind is ColumnKind.STRING else None
        coded = encode_few(storage) if isinstance(storage, Text) else None
        return None if coded is None else (coded.codes, list(coded.levels))

    def at(self, rows: slice | np.ndarray) -> Column:
        """The column with some of its rows only, by position; a slice copies nothing."""
        raw = self.raw
        if isinstance(raw, pd.Series):
            raw = raw.iloc[rows]
        elif isinstance(rows, slice) or isinstance(raw, np.ndarray) or is_polars_series(raw):
            raw = raw[rows]
        else:
            raw = raw.take(rows)
        return Column(self.name, self.kind, self.dtype, raw)

    def missing(self) -> int:
        """Number of rows that are null or NaN."""
        return self._missing

    @cached_property
    def _missing(self) -> int:
        if is_polars_series(self.raw) and self.kind is not ColumnKind.FLOAT:
            return int(self.raw.null_count())
        storage = storage_of(self.raw)
        match storage:
            case Plain():
                mask = storage.missing_mask()
                return 0 if mask is None else int(np.count_nonzero(mask))
            case Coded():
                return int(np.count_nonzero(np.asarray(storage.codes) < 0))
            case Text():
                return int(storage.chunks.null_count)
            case Objects():
                return int(np.count_nonzero(pd.isna(storage.values)))


_NARROW = 1024
"""Whole numbers spread no wider than this are coded by counting."""

_NUMERIC = frozenset(
    {ColumnKind.FLOAT, ColumnKind.INTEGER, ColumnKind.BOOLEAN, ColumnKind.DATETIME, ColumnKind.TIMEDELTA}
)


def _plain_numbers(plain: Plain) -> np.ndarray:
    values = plain.values
    if values.dtype.kind in "Mm":
        unit, step = np.datetime_data(values.dtype)
        whole = values.view("i8")
        per_second = {"D": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
        if unit not in per_second:
            whole, unit, step = values.astype(f"{values.dtype.kind}8[s]").view("i8"), "s", 1
        factor = per_second[unit]
        numbers = whole * (factor * step) if unit in "Dhm" else whole / factor * step
        missing = np.isnat(values) if plain.mask is None else np.isnat(values) | plain.mask
        numbers[missing] = np.nan
        return numbers
    if plain.mask is None:
        return values.astype(np.float64, copy=False)
    numbers = values.astype(np.float64)
    numbers[plain.mask] = np.nan
    return numbers


def _numbers_one_by_one(values: np.ndarray, kind: ColumnKind) -> np.ndarray:
    missing = pd.isna(values)
    numbers = np.full(len(values), np.nan)
    present = values[~missing]
    if kind in (ColumnKind.DATETIME, ColumnKind.TIMEDELTA):
        seconds = [_seconds(value) for value in present]
    else:
        seconds = [float(value) for value in present]
    numbers[~missing] = seconds
    return numbers


def _seconds(value: Any) -> float:
    if hasattr(value, "total_seconds"):
        return float(value.total_seconds())
    moment = pd.Timestamp(value)
    return float((moment.tz_localize("UTC") if moment.tzinfo is None else moment).timestamp())


def _used(coded: Coded) -> tuple[np.ndarray, list[Any]]:
    codes = np.asarray(coded.codes)
    used = coded.used()
    if len(used) == len(coded.levels):
        return codes, list(coded.levels)
    place = np.full(len(coded.levels) + 1, -1, dtype=np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    return place[codes], [coded.levels[level] for level in used]


def _plain_codes(plain: Plain) -> tuple[np.ndarray, list[Any]]:
    values = plain.values
    if plain.mask is not None:
        codes = np.full(len(values), -1, dtype=np.int64)
        inner, found = _plain_codes(Plain(values[~plain.mask], zone=plain.zone))
        codes[~plain.mask] = inner
        return codes, found
    if values.dtype.kind in "Mm" and np.datetime_data(values.dtype)[0] not in {"s", "ms", "us", "ns"}:
        values = values.astype(f"{values.dtype.kind}8[s]")
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if values.dtype.kind in "biu" and len(values):
        narrow = _narrow_codes(values)
        if narrow is not None:
            return narrow
    codes, distinct = pd.factorize(values)
    if values.dtype.kind == "M":
        index = pd.DatetimeIndex(distinct)
        return codes, list(index.tz_localize("UTC").tz_convert(plain.zone) if plain.zone not in ("", "date") else index)
    return codes, list(pd.TimedeltaIndex(distinct)) if values.dtype.kind == "m" else distinct.tolist()


def _narrow_codes(values: np.ndarray) -> tuple[np.ndarray, list[Any]] | None:
    """Codes by counting, several times faster than hashing; None where the numbers are spread too widely to count."""
    lowest, highest = int(values.min()), int(values.max())
    if highest - lowest >= _NARROW:
        return None
    if values.dtype.itemsize < 8:  # wide enough that no difference overflows
        away = values.astype(np.int64) - lowest
    else:
        away = (values - values.dtype.type(lowest)).astype(np.int64)
    used = np.bincount(away, minlength=highest - lowest + 1) > 0
    found = [lowest + place for place in np.flatnonzero(used).tolist()]
    return (np.cumsum(used) - 1)[away], [bool(value) for value in found] if values.dtype.kind == "b" else found


def _codes_by_token(values: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    codes = np.empty(len(values), dtype=np.int64)
    seen: dict[str, int] = {}
    found: list[Any] = []
    for row, value in enumerate(values):
        text = token(value)
        if text == NULL:
            codes[row] = -1
            continue
        code = seen.setdefault(text, len(found))
        if code == len(found):
            found.append(value if _hashable(value) else text)
        codes[row] = code
    return codes, found


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


class Table:
    """A frame seen as columns; values are converted only when asked for.

    Attributes:
        rows: Number of rows.
        columns: The columns, in the frame's order.
        renamed: Text name to original label, for the columns whose name had to be changed (not text, or a duplicate).
    """

    rows: int
    columns: tuple[Column, ...]
    renamed: dict[str, Any]

    def __init__(self, source: Source) -> None:
        names, self.renamed = _unique_names(source.labels)
        self.rows = source.rows
        self.columns = tuple(
            Column(name, kind_of(raw), str(raw.type if hasattr(raw, "type") else raw.dtype), raw)
            for name, raw in zip(names, source.raws, strict=True)
        )
        self._by_name = {column.name: column for column in self.columns}
        self._frame = source.frame

    def __len__(self) -> int:
        return self.rows

    @property
    def names(self) -> tuple[str, ...]:
        """Column names as text, unique."""
        return tuple(self._by_name)

    def __getitem__(self, name: str) -> Column:
        try:
            return self._by_name[name]
        except KeyError:
            shown = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
            msg = f"there is no column {name!r}"
            raise InputError(msg, remedy=f"The columns are: {shown or 'none'}.") from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def select(self, names: Iterable[str]) -> Table:
        """A table of the named columns only, in the order given.

        Raises:
            InputError: a name is not in the table.
        """
        chosen = [self[name] for name in names]
        return Table(Source([c.name for c in chosen], [c.raw for c in chosen], self.rows, None))

    def pandas(self) -> pd.DataFrame:
        """A pandas frame with unique text column names; no copy of the values where pandas allows.

        A pandas frame comes back with its own index, any other with 0, 1, 2...
        """
        if isinstance(self._frame, pd.DataFrame):
            if not self.renamed and all(type(label) is str for label in self._frame.columns):
                return self._frame
            frame = self._frame.copy(deep=False)
        elif isinstance(self._frame, np.ndarray):
            frame = pd.DataFrame(self._frame, copy=False)
        else:
            series = {place: _as_series(column.raw) for place, column in enumerate(self.columns)}
            frame = pd.DataFrame(series, index=pd.RangeIndex(self.rows), copy=False)
        frame.columns = pd.Index(list(self.names), dtype=object)
        return frame


def _as_series(raw: Any) -> pd.Series:
    if isinstance(raw, pd.Series):
        return raw.reset_index(drop=True)
    if isinstance(raw, np.ndarray):
        return pd.Series(raw, copy=False)
    series: pd.Series = raw.to_pandas()
    return series


def _unique_names(labels: Sequence[Any]) -> tuple[list[str], dict[str, Any]]:
    if all(type(label) is str for label in labels) and len(set(labels)) == len(labels):
        return list(labels), {}
    texts = [_text(label) for label in labels]
    taken = set(texts)
    used: set[str] = set()
    names: list[str] = []
    renamed: dict[str, Any] = {}
    for label, text in zip(labels, texts, strict=True):
        name = text
        number = 2
        while name in used or (name != text and name in taken):
            name = f"{text}#{number}"
            number += 1
        used.add(name)
        names.append(name)
        if not isinstance(label, str) or name != label:
            renamed[name] = label
    return names, renamed


def _text(label: Any) -> str:
    """A label as text; the levels of a MultiIndex are joined with a dot."""
    if isinstance(label, tuple):
        return ".".join(_text(part) for part in label if part != "")
    return str(label)


def as_table(frame: Any) -> Table:
    """A table over a frame (pandas, numpy, polars, pyarrow, dict of arrays) or an ``mlflow.data`` dataset.

    Nothing is copied or converted; only object columns are looked at, to tell what they hold. The index of a pandas
    frame is not a column.

    Raises:
        InputError: the object is no frame this library reads; the message names what it reads.
    """
    return frame if isinstance(frame, Table) else Table(source_of(frame))


def as_column(values: Any, name: str = "values") -> Column:
    """One column of values: a Series, an array, a list, or a frame of a single column.

    Raises:
        InputError: not readable, or more than one column.
    """
    if isinstance(values, Column):
        return values
    table = as_table({name: list(values)} if isinstance(values, list | tuple | range) else values)
    if len(table.columns) != 1:
        msg = f"{name} needs one column of values and got {len(table.columns)}"
        raise InputError(msg, where=name, remedy="Hand over a Series, an array or a list.")
    only = table.columns[0]
    return Column(name, only.kind, only.dtype, only.raw)
