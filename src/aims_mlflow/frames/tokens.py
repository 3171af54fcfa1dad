"""One text for any Python value: equal values give equal texts, different ones different texts, in every process."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.errors import InputError

NULL = "null"


def token(value: Any) -> str:
    """The canonical text of a value, prefixed by a letter for its type.

    Missing values (None, NaN, NaT, NA) are one token. Lists, tuples and arrays are one type, dict order does not count,
    ``1``, ``1.0``, ``True`` and ``"1"`` are four values.

    Raises:
        InputError: the value's only text is its address in memory, or it contains itself.
    """
    try:
        return _token(value)
    except RecursionError as error:
        msg = f"a value of type {type(value).__name__} is nested too deeply, or contains itself"
        raise InputError(msg, remedy="Flatten the column, or leave it out.") from error


def _token(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return NULL
    if isinstance(value, str):
        return "s" + json.dumps(str(value))
    if isinstance(value, np.generic):
        return _numpy_scalar(value)
    if isinstance(value, bool):
        return f"b{value:d}"
    if isinstance(value, int):
        return f"i{int(value)}"
    if isinstance(value, float):
        return NULL if value != value else f"f{float(value)!r}"
    if isinstance(value, bytes | bytearray | memoryview):
        return "y" + bytes(value).hex()
    if isinstance(value, Decimal):
        return _decimal(value)
    return _moment(value) or _container(value)


def _numpy_scalar(value: np.generic) -> str:
    if isinstance(value, np.datetime64):
        return NULL if np.isnat(value) else _moment(pd.Timestamp(value)) or ""
    if isinstance(value, np.timedelta64):
        return NULL if np.isnat(value) else _moment(pd.Timedelta(value)) or ""
    if isinstance(value, np.longdouble) and value.dtype.itemsize > 8:
        return NULL if np.isnan(value) else f"f{value!s}"
    plain = value.item()
    return f"{value.dtype}{value!r}" if isinstance(plain, np.generic) else _token(plain)


def _decimal(value: Decimal) -> str:
    if value.is_nan():
        return NULL
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return f"d{value}"
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    return f"d{'-' if sign and kept else ''}{kept or '0'}e{exponent + len(text) - len(kept) if kept else 0}"


def _moment(value: Any) -> str | None:
    if isinstance(value, dt.datetime):
        return f"t{value.isoformat()}"
    if isinstance(value, dt.date):
        return f"D{value.isoformat()}"
    if isinstance(value, dt.time):
        return f"T{value.isoformat()}"
    if isinstance(value, dt.timedelta):
        return f"p{value.days}d{value.seconds}s{value.microseconds}u{getattr(value, 'nanoseconds', 0)}n"
    return None


def _container(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _token(value.tolist())
    if isinstance(value, Mapping):
        pairs = sorted((_token(key), _token(item)) for key, item in value.items())
        return "{" + ",".join(f"{key}:{item}" for key, item in pairs) + "}"
    if isinstance(value, AbstractSet):
        return "<" + ",".join(sorted(map(_token, value))) + ">"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_token, value)) + "]"
    if isinstance(value, pd.Series | pd.Index):
        return _token(value.tolist())
    return _object(value)


def _object(value: Any) -> str:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    text = repr(value)
    if " at 0x" not in text:
        return f"o{name}={json.dumps(text)}"
    state = getattr(value, "__dict__", None)
    if not state:
        raise InputError(
            f"a value of type {name} has no text but its address in memory, so its content cannot be told",
            remedy="Convert the column to numbers, text, lists or dicts, or leave it out.",
        )
    return f"o{name}{_token(dict(state))}"
