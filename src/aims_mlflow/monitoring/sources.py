"""Read the live data of one window from where ``aims.yaml`` says it is: files, a folder of them, or a database."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.config import LiveSource
from aims_mlflow.errors import AimsError, InputError
from aims_mlflow.frames import as_table
from aims_mlflow.monitoring.incoming import batch_of, seconds_of
from aims_mlflow.operation.windows import Window

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_FIELD = re.compile(r"\{(?:start|end)(?::[^{}]*)?\}")
_PARQUET = (".parquet", ".pq")
_ENDINGS = (*_PARQUET, ".csv", ".tsv", ".csv.gz")
_MOST_FILES = 10_000


class SourceError(AimsError):
    """The live data of a window could not be read: it is not there yet, or its place cannot be reached."""

    error_code = "SOURCE_UNAVAILABLE"


@dataclass(frozen=True)
class Moment:
    """An end of a window as a pattern writes it: ``{start}`` or, by ``strftime``, ``{start:%Y/%m/%d}``."""

    at: datetime
    whole_days: bool

    def __format__(self, spec: str) -> str:
        """``2026-01-31`` where windows are whole days, else ``20260131T130000Z``; as ``spec`` says where it does."""
        return self.at.strftime(spec or ("%Y-%m-%d" if self.whole_days else "%Y%m%dT%H%M%SZ"))


def read_window(
    source: LiveSource,
    window: Window,
    *,
    time: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The rows a source has of a window.

    A path with ``{start}`` or ``{end}``, and a query with ``:start`` and ``:end``, name the window's data themselves:
    all of it is given, so that rows dated elsewhere are counted by whoever takes it. Of any other path or query the
    rows in the window are given, by their time; those without a readable one too.

    Args:
        source: Where it is.
        window: The window.
        time: The column with the moment of each row, where the source names none.
        folder: What a relative path starts from; the working directory where None.
        environment: Variables for ``$NAME``; those of the process where None.

    Raises:
        InputError: the source is not complete, or its pattern or column is wrong.
        SourceError: the data is not there, or cannot be read now. What the place says is not repeated: it may hold
            secrets.
    """
    variables = os.environ if environment is None else environment
    column = source.time or time
    if (source.path is None) == (source.query is None):
        raise InputError(
            "give either path or query", where="monitoring.data", remedy="Say in aims.yaml where the live data is."
        )
    if source.path is not None:
        return _files(_filled(source.path, variables), window, column, folder)
    return _query(source, window, column, variables)


def expanded(text: str, environment: Mapping[str, str] | None = None) -> str:
    """A text with ``$NAME`` replaced from the environment.

    Raises:
        InputError: there is no such variable.
    """
    return _filled(text, os.environ if environment is None else environment)


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not variables.get(name):
            raise InputError(f"the environment has no variable {name}", where="monitoring", remedy=f"Set {name}.")
        return variables[name]

    return _VARIABLE.sub(value, text)


# files


def _files(path: str, window: Window, column: str | None, folder: Path | None) -> pd.DataFrame:
    named = bool(_FIELD.search(path))
    if not named and column is None:
        raise InputError(
            "nothing tells which rows belong to a window",
            where="monitoring.data",
            remedy="Name the column with the moment of each row (time), or put {start} into path.",
        )
    found = _matching(_placed(path, window), folder)
    if not found:
        raise SourceError(
            f"there is no file of the window {window.name}", where="monitoring.data", remedy="Look at what writes it."
        )
    frames = [_file(one, window, None if named else column) for one in found]
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0].reset_index(drop=True)


def _placed(path: str, window: Window) -> str:
    days = window.length % timedelta(days=1) == timedelta(0)
    try:
        return path.format(start=Moment(window.start, days), end=Moment(window.end, days))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise InputError(
            "the pattern holds something else than {start} and {end}",
            where="monitoring.data.path",
            remedy="Write {start} or {start:%Y-%m-%d}; a brace of its own is written twice.",
        ) from error


def _matching(pattern: str, folder: Path | None) -> list[Path]:
    """Files a path, a folder or a pattern stands for, in the order of their names."""
    place = Path(pattern).expanduser()
    place = place if place.is_absolute() else (folder or Path.cwd()) / place
    try:
        if place.is_file():
            return [place]
        pattern = f"{glob.escape(str(place))}/**/*" if place.is_dir() else str(place)
        listed = (Path(one) for one in glob.iglob(pattern, recursive=True))  # noqa: PTH207
        found = sorted(one for one in listed if one.name.lower().endswith(_ENDINGS) and one.is_file())
    except OSError as error:
        raise SourceError(f"it cannot be listed ({type(error).__name__})", where="monitoring.data") from error
    visible = [one for one in found if not one.name.startswith((".", "_"))]  # what a writer has not finished
    if len(visible) > _MOST_FILES:
        raise InputError(
            f"the path stands for more than {_MOST_FILES} files", where="monitoring.data", remedy="Put {start} into it."
        )
    return visible


def _file(path: Path, window: Window, column: str | None) -> pd.DataFrame:
    try:
        if path.name.lower().endswith(_PARQUET):
            return _inside(_parquet(path, window, column), window, column)
        if path.name.lower().endswith(".csv.gz"):
            return _inside(pd.read_csv(path), window, column)
        return _inside(batch_of(path).pandas(), window, column)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except InputError as error:
        if error.where == "monitoring.data":
            raise
        raise SourceError(error.message, where="monitoring.data") from error
    except Exception as error:  # whatever the reader of a half-written or damaged file raises
        raise SourceError(f"a file cannot be read ({type(error).__name__})", where="monitoring.data") from error


def _parquet(path: Path, window: Window, column: str | None) -> pd.DataFrame:
    """Only the row groups that may hold rows of the window are read, where the time is stored as one."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    data = ds.dataset(str(path), format="parquet")
    kind = data.schema.field(column).type if column is not None and column in data.schema.names else None
    chosen = None
    if kind is not None and pa.types.is_timestamp(kind):
        start, end = (_scalar(moment, kind) for moment in (window.start, window.end))
        field = ds.field(column)
        chosen = ((field >= start) & (field < end)) | field.is_null()
    frame: pd.DataFrame = data.to_table(filter=chosen).to_pandas()
    return frame


def _scalar(moment: datetime, kind: Any) -> Any:
    import pyarrow as pa

    return pa.scalar(moment if kind.tz else moment.replace(tzinfo=None), type=kind)


def _inside(frame: pd.DataFrame, window: Window, column: str | None) -> pd.DataFrame:
    if column is None:
        return frame
    if column not in frame.columns:
        if frame.empty and not len(frame.columns):
            return frame
        raise InputError(
            f"the data has no column {column!r}, which holds the moment of each row",
            where="monitoring.data",
            remedy="Name it: time, or columns.time.",
        )
    seconds = seconds_of(as_table(frame[[column]])[column])
    inside = (seconds >= window.start.timestamp()) & (seconds < window.end.timestamp())
    kept: pd.DataFrame = frame[inside | ~np.isfinite(seconds)].reset_index(drop=True)
    return kept


# a database


def _query(source: LiveSource, window: Window, column: str | None, variables: Mapping[str, str]) -> pd.DataFrame:
    query = source.query or ""
    bound = {name for name in ("start", "end") if re.search(rf"(?<![:\w]):{name}\b", query)}
    if len(bound) < 2 and column is None:
        raise InputError(
            "nothing tells which rows belong to a window",
            where="monitoring.data.query",
            remedy="Use :start and :end in it, or name the column with the moment of each row (time).",
        )
    if source.database is None:
        raise InputError("the query needs a database", where="monitoring.data", remedy="Give its SQLAlchemy URL.")
    url = _filled(source.database, variables)
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    except Exception as error:
        raise InputError(
            f"the database's URL cannot be used ({type(error).__name__})",
            where="monitoring.data.database",
            remedy="Write a SQLAlchemy URL, and install the driver it names.",
        ) from error
    try:
        with engine.connect() as connection:
            given = {name: _bound(getattr(window, name), engine.dialect.name) for name in bound}
            frame: pd.DataFrame = pd.read_sql_query(sqlalchemy.text(query), connection, params=given)
    except Exception as error:  # drivers raise what they like
        raise SourceError(
            f"the database did not answer the query ({type(error).__name__})", where="monitoring.data"
        ) from error
    finally:
        engine.dispose()
    return frame if len(bound) == 2 else _inside(frame, window, column)


def _bound(moment: datetime, dialect: str) -> Any:
    """A moment as the database compares it: with its zone where it knows zones, else UTC without one.

    SQLite compares text: ``2026-01-31 00:00:00`` is how its own functions write a time.
    """
    plain = moment.astimezone(UTC)
    if dialect == "sqlite":
        return plain.strftime("%Y-%m-%d %H:%M:%S")
    return (
        plain if dialect in ("postgresql", "snowflake", "bigquery", "trino", "oracle") else plain.replace(tzinfo=None)
    )
