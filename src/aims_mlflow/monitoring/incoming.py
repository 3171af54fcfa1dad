"""Live data as it comes: read into a table, and told apart by window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.errors import InputError
from aims_mlflow.frames import Column, ColumnKind, Table, as_table
from aims_mlflow.operation.windows import EPOCH, Window

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Rows dated further ahead than this are not taken: clocks of two machines differ by less."""

_PARQUET = (".parquet", ".pq")
_TEXT = (".csv", ".csv.gz", ".tsv", ".txt")
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Numbers of this size and more are nano-, micro- and milliseconds since 1970; smaller ones are seconds."""


def batch_of(data: Any) -> Table:
    """Live data as a table: a frame (pandas, NumPy, polars, Arrow), an ``mlflow.data`` dataset, a CSV or Parquet file.

    Raises:
        InputError: it is none of these, or the file cannot be read.
    """
    if isinstance(data, str | Path):
        return as_table(_read(Path(data)))
    return as_table(data)


def _read(path: Path) -> Any:
    name = path.name.lower()
    if not path.exists():
        raise InputError("there is no such file", where=str(path), remedy="Give the path of a CSV or Parquet file.")
    try:
        if name.endswith(_PARQUET):
            return pd.read_parquet(path)
        if name.endswith(_TEXT):
            return pd.read_csv(path, sep="\t" if name.endswith(".tsv") else ",")
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"the file cannot be read ({type(error).__name__})", where=str(path)) from error
    raise InputError(
        f"{path.suffix or 'no ending'}: the format is not known by its name",
        where=str(path),
        remedy="Give a .csv or .parquet file, or load the data and give the frame.",
    )


@dataclass(frozen=True)
class Split:
    """A batch by window."""

    windows: Mapping[Window, Table]
    """Each window's rows, oldest first."""
    late: int = 0
    """Rows outside the window asked for."""
    unreadable: int = 0
    """Rows without a time, or with one that cannot be read."""
    early: int = 0
    """Rows dated before the version was there to serve."""
    ahead: int = 0
    """Rows dated in the future."""
    rows: Mapping[Window, np.ndarray] = field(default_factory=dict)
    """Places of each window's rows in the batch."""

    @property
    def counts(self) -> dict[str, int]:
        """The rows that belong to no window, by why."""
        return {"unreadable": self.unreadable, "early": self.early, "ahead": self.ahead}


def split(
    table: Table,
    *,
    time: str | None,
    length: timedelta,
    at: datetime,
    window: Window | None = None,
    since: datetime | None = None,
) -> Split:
    """Tell the rows of a batch apart by window.

    Args:
        table: The batch.
        time: The column with the moment of each row; None: all of it belongs to ``window``, else to the one of ``at``.
        length: Length of a window.
        at: Now.
        window: The window asked for: rows outside it are counted and left out. None: each row goes to its own.
        since: Rows before it are of no use: the version was not there to serve. None: any time is taken.

    Raises:
        InputError: the batch lacks the column, or holds rows and not one of them has a time that can be used.
    """
    everything = np.arange(table.rows)
    if time is None or (table.rows == 0 and time not in table):
        whole = window or Window.holding(at, length)
        return Split({whole: table}, rows={whole: everything})
    if time not in table:
        raise InputError(
            f"the batch has no column {time!r}, which holds the moment of each row (columns.time)",
            remedy="Add it, or leave columns.time out of aims.yaml and name the window.",
        )
    seconds = seconds_of(table[time])
    readable = np.isfinite(seconds)
    ahead = readable & (seconds > (at + CLOCK_TOLERANCE).timestamp())
    early = readable & (seconds < since.timestamp()) if since is not None else np.zeros(table.rows, dtype=bool)
    usable = readable & ~ahead & ~early
    counts = {
        "unreadable": int((~readable).sum()),
        "early": int(early.sum()),
        "ahead": int(ahead.sum()),
    }
    if table.rows and not usable.any():
        raise InputError(
            "no row has a time that can be used: " + ", ".join(f"{n} {_WHY[name]}" for name, n in counts.items() if n),
            where=f"column {time}",
            remedy="Look at the clock and at the column; for data from before the version was registered, set "
            "monitoring.start in aims.yaml.",
        )
    if window is not None:
        inside = usable & (seconds >= window.start.timestamp()) & (seconds < window.end.timestamp())
        places = np.flatnonzero(inside)
        return Split({window: _rows(table, places)}, int((usable & ~inside).sum()), **counts, rows={window: places})
    step = length.total_seconds()
    index = np.full(table.rows, np.iinfo(np.int64).min)
    index[usable] = np.floor(seconds[usable] / step).astype(np.int64)
    found: dict[Window, np.ndarray] = {}
    for number in np.unique(index[usable]).tolist():
        start = EPOCH + number * length
        found[Window(start, start + length)] = np.flatnonzero(index == number)
    if not found:
        found[Window.holding(at, length)] = everything
    return Split({w: _rows(table, places) for w, places in found.items()}, **counts, rows=found)


_WHY = {
    "unreadable": "without a time that can be read",
    "early": "dated before the version was registered",
    "ahead": "dated in the future",
}


def _rows(table: Table, places: np.ndarray) -> Table:
    """The table with some of its rows; the table itself where that is all of them."""
    if len(places) == table.rows:
        return table
    return as_table(table.pandas().iloc[places].reset_index(drop=True))


def seconds_of(column: Column) -> np.ndarray:
    """Seconds since 1970 (UTC) for each value, NaN where missing or not readable as a time.

    Times without a zone are taken as UTC. Text is read as ISO 8601. Numbers are seconds, or milli-, micro- or
    nanoseconds where they are as large as that.
    """
    if column.kind is ColumnKind.DATETIME:
        return np.array(column.numbers(), dtype=np.float64)
    if column.kind in (ColumnKind.INTEGER, ColumnKind.FLOAT):
        numbers = np.array(column.numbers(), dtype=np.float64)
        finite = numbers[np.isfinite(numbers)]
        largest = float(np.abs(finite).max()) if len(finite) else 0.0
        return numbers / next((divisor for size, divisor in _UNITS if largest >= size), 1.0)
    codes, levels = column.codes()
    moments = np.array([_moment(level) for level in levels] + [np.nan])
    found: np.ndarray = moments[codes]
    return found


def _moment(value: Any) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    try:
        moment = datetime.fromisoformat(str(value).strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return float("nan")
