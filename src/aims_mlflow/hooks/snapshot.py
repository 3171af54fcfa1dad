"""A dataset as it was when it was logged, without copying it."""

from __future__ import annotations

import sys
from typing import Any


def frame_of(dataset: Any) -> Any:
    """The frame behind an ``mlflow.data`` dataset, or the dataset itself where it holds several arrays."""
    frame = getattr(dataset, "_df", None)
    return frame if frame is not None else dataset


def snapshot(frame: Any) -> tuple[Any, str | None]:
    """A view that later changes of the caller's frame do not reach, or the digest to tell them by.

    pandas with copy-on-write gives such a view for nothing; polars and Arrow frames do not change. For NumPy arrays
    and older pandas the content is hashed now, and held against the hash at the end of the run.

    Returns:
        The frame to keep, and its content digest now where it could change unseen.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        if _copy_on_write(pandas):
            return frame.copy(deep=False), None
        return frame, _digest(frame)
    module = type(frame).__module__.split(".")[0]
    if module in {"polars", "pyarrow", "pyspark"}:
        return frame, None
    return frame, _digest(frame)


def _copy_on_write(pandas: Any) -> bool:
    if int(pandas.__version__.split(".")[0]) >= 3:
        return True
    return bool(pandas.get_option("mode.copy_on_write") is True)


def _digest(frame: Any) -> str | None:
    from aims_mlflow.errors import InputError
    from aims_mlflow.frames import as_table, fingerprint_table

    try:
        return fingerprint_table(as_table(frame))
    except InputError:
        return None
