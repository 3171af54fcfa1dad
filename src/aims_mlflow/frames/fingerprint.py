"""Full-content SHA-256 of a table.

Every column is hashed for itself, then one hash goes over the number of rows and, column by column and in order, the
name, the kind, the form the values were hashed in and the column's hash. Only values count, not how they are kept:

- The width of a number type, the chunks of an Arrow array, the order and unused levels of a category, the memory
  layout, the index of a pandas frame and the library itself do not change the fingerprint. The same floats, whole
  numbers, booleans, texts, categories, dates, times (in the same zone) and durations give the same fingerprint in
  pandas, polars, Arrow and numpy.
- Null, NaN, NaT and NA are one value, "missing"; -0.0 and 0.0 are two. A category column is not a text column, a whole
  number is not a float, the instant 12:00 UTC is not 13:00 in a +01:00 zone, a date is not midnight.
- Values without a fixed form (lists, dicts, decimals, mixed objects) are hashed one by one by their canonical text, in
  which a tuple or an array is a list and the order of a dict's keys does not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from aims_mlflow.errors import InputError
from aims_mlflow.frames.kinds import ColumnKind
from aims_mlflow.frames.storage import Coded, Objects, Plain, Text, plain_of_objects, storage_of
from aims_mlflow.frames.table import Column, Table
from aims_mlflow.frames.tokens import token

_VERSION = 1
_BLOCK = 1 << 15
"""Rows converted at once: bounds the extra memory to a megabyte, and a block stays in the processor's cache."""


def fingerprint_table(table: Table) -> str:
    """``sha256:...`` over every row, column name and kind, in order.

    Raises:
        InputError: a column holds objects whose content cannot be told (their only text is an address in memory).
    """
    columns = [[column.name, column.kind.value, *_fingerprint_column(column)] for column in table.columns]
    return _sha256({"fingerprint": _VERSION, "rows": table.rows, "columns": columns})


def schema_digest(table: Table) -> str:
    """``sha256:...`` over column names, kinds and the library's own type names, in order."""
    columns = [[column.name, column.kind.value, column.dtype] for column in table.columns]
    return _sha256({"schema": _VERSION, "columns": columns})


def _sha256(content: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _fingerprint_column(column: Column) -> tuple[str, str]:
    """The form the values were hashed in, and the hex digest."""
    try:
        storage = storage_of(column.raw)
        if isinstance(storage, Objects):
            if column.kind is ColumnKind.STRING:
                return _hash_object_text(storage.values)
            storage = plain_of_objects(storage, column.kind) or storage
        match storage:
            case Plain():
                return _hash_plain(storage)
            case Coded():
                return _hash_coded(storage)
            case Text():
                return _hash_text(storage)
            case Objects():
                return "tokens", _hash_tokens(map(token, storage.values))
    except InputError as error:
        raise InputError(error.message, where=column.name, remedy=error.remedy) from error


def _blocks(length: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, length)) for start in range(0, length, _BLOCK))


def _hash_tokens(tokens: Any) -> str:
    digest = hashlib.sha256()
    for text in tokens:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()


def _hash_plain(plain: Plain) -> tuple[str, str]:
    kind = plain.values.dtype.kind
    if kind == "f":
        return _hash_floats(plain)
    if kind in "Mm":
        form, digest = _hash_moments(plain)
        return (f"{form} {plain.zone}" if kind == "M" else form), digest
    if kind == "c":
        return "complex", _hash_blocks(plain, np.dtype("<c16"))
    if kind == "b":
        return "boolean", _hash_blocks(plain, np.dtype("u1"))
    if kind == "u" and plain.values.dtype.itemsize == 8 and len(plain.values) and plain.values.max() > 2**63 - 1:
        return "unsigned", _hash_blocks(plain, np.dtype("<u8"))
    return "integer", _hash_blocks(plain, np.dtype("<i8"))


def _hash_floats(plain: Plain) -> tuple[str, str]:
    if plain.values.dtype.itemsize > 8:
        narrow = plain.values.astype(np.float64)
        if not np.array_equal(narrow.astype(plain.values.dtype), plain.values, equal_nan=True):
            return "tokens", _hash_tokens(map(token, plain.values))
    return "float", _hash_blocks(plain, np.dtype("<f8"))


def _hash_blocks(plain: Plain, dtype: np.dtype[Any]) -> str:
    """Over little-endian bytes, missing ones as zero (floats: as the one NaN); then which are missing, if any."""
    digest = hashlib.sha256()
    for block in _blocks(len(plain.values)):
        original = plain.values[block]
        values = np.ascontiguousarray(original, dtype=dtype)
        missing = None if plain.mask is None else plain.mask[block]
        if dtype.kind in "fc":
            not_a_number = np.isnan(values)
            missing = not_a_number if missing is None else missing | not_a_number
        if missing is not None and missing.any():
            values = values.copy() if np.shares_memory(values, original) else values
            values[missing] = np.nan if dtype.kind in "fc" else 0
        digest.update(values.data)
    if plain.mask is not None and dtype.kind not in "fc" and plain.mask.any():
        digest.update(b"missing")
        digest.update(np.packbits(plain.mask).data)
    return digest.hexdigest()


_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_COARSE = frozenset({"Y", "M", "W", "D", "h", "m"})


def _hash_moments(plain: Plain) -> tuple[str, str]:
    """Over whole nanoseconds; over seconds and nanoseconds where some value is too far away for 64 bits of those."""
    moments = plain.values
    unit, step = np.datetime_data(moments.dtype)
    if unit in _COARSE or (step != 1 and unit in _PER_SECOND):
        unit = "s" if unit in _COARSE else unit
        moments = moments.astype(f"{moments.dtype.kind}8[{unit}]")
    missing = np.isnat(moments) if plain.mask is None else np.isnat(moments) | plain.mask
    whole = np.ascontiguousarray(moments).view("i8")
    if unit not in _PER_SECOND:  # finer than a nanosecond: no library but numpy has it
        return f"moment {step} {unit}", _hash_blocks(Plain(whole, missing), np.dtype("<i8"))
    factor = 10**9 // _PER_SECOND[unit]
    limit = (2**63 - 1) // factor
    fits = factor == 1 or bool(((whole >= -limit) & (whole <= limit) | missing).all())
    digest = hashlib.sha256()
    for block in _blocks(len(whole)):
        parts = [whole[block] * factor] if fits else list(np.divmod(whole[block], _PER_SECOND[unit]))
        if not fits:
            parts[1] = parts[1] * factor
        for place, part in enumerate(parts):
            part[missing[block]] = np.iinfo(np.int64).min if place == 0 else 0
            digest.update(np.ascontiguousarray(part, dtype="<i8").data)
    return "moment ns" if fits else "moment s+ns", digest.hexdigest()


def _hash_coded(coded: Coded) -> tuple[str, str]:
    """Over the levels that occur, sorted by their canonical text, and the codes into that order."""
    codes = np.asarray(coded.codes)
    used = coded.used()
    texts = [token(coded.levels[level]) for level in used]
    order = sorted(range(len(used)), key=texts.__getitem__)
    place = np.full(len(coded.levels) + 1, -1, dtype="<i4")
    place[[used[i] for i in order]] = np.arange(len(used), dtype="<i4")
    digest = hashlib.sha256(_hash_tokens(texts[i] for i in order).encode("ascii"))
    for block in _blocks(len(codes)):
        digest.update(place[codes[block]].data)
    return "coded", digest.hexdigest()


class _TextHash:
    """Hash of texts: one over all their bytes, one over where each ends (missing ones marked)."""

    def __init__(self) -> None:
        self._bytes = hashlib.sha256()
        self._ends = hashlib.sha256()
        self._total = 0

    def update(self, array: Any) -> None:
        """Add a ``pyarrow`` array of large strings or large binaries."""
        import pyarrow as pa

        missing = None
        if array.null_count:
            missing = array.is_null().to_numpy(zero_copy_only=False)
            array = array.fill_null("" if pa.types.is_large_string(array.type) else b"")
        _, offsets_buffer, bytes_buffer = array.buffers()
        if offsets_buffer is None or len(array) == 0:
            return
        offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
        if bytes_buffer is not None:
            self._bytes.update(memoryview(bytes_buffer)[int(offsets[0]) : int(offsets[-1])])
        ends = offsets[1:] - (offsets[0] - self._total)
        self._total = int(ends[-1])
        if missing is not None:
            ends[missing] = ~ends[missing]
        self._ends.update(np.ascontiguousarray(ends, dtype="<i8").data)

    def hexdigest(self) -> str:
        return hashlib.sha256(self._bytes.digest() + self._ends.digest()).hexdigest()


def _hash_text(text: Text) -> tuple[str, str]:
    import pyarrow.types as pat

    is_text = not (pat.is_binary(text.chunks.type) or pat.is_large_binary(text.chunks.type))
    digest = _TextHash()
    for chunk in text.chunks.chunks:
        for block in _blocks(len(chunk)):
            digest.update(chunk[block].cast("large_string" if is_text else "large_binary"))
    return "text" if is_text else "bytes", digest.hexdigest()


def _hash_object_text(values: np.ndarray) -> tuple[str, str]:
    import pyarrow as pa

    digest = _TextHash()
    for block in _blocks(len(values)):
        try:
            array = pa.array(values[block], type=pa.large_string(), from_pandas=True)
        except UnicodeEncodeError:  # lone surrogates have no UTF-8 form
            return "tokens", _hash_tokens(map(token, values))
        digest.update(array)
    return "text", digest.hexdigest()
