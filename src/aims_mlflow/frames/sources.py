"""Where a table comes from: frames of four libraries, dicts of arrays, and the datasets of ``mlflow.data``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.errors import InputError
from aims_mlflow.frames.kinds import is_arrow, is_polars_series
from aims_mlflow.frames.storage import object_array

_READ = (
    "pandas DataFrame or Series, numpy array, polars DataFrame, LazyFrame or Series, pyarrow Table, RecordBatch "
    "or array, a dict of name to values, and mlflow.data datasets of pandas, numpy or polars"
)


@dataclass(frozen=True)
class Source:
    """Column labels and column objects of a frame."""

    labels: list[Any]
    raws: list[Any]
    rows: int
    frame: Any
    """The frame itself where pandas can take it whole, else None."""


def source_of(frame: Any) -> Source:
    """The columns of a frame or dataset.

    Raises:
        InputError: the object is none this library reads, or its columns differ in length.
    """
    dataset = _mlflow_dataset(frame)
    if dataset is not None:
        return dataset
    if isinstance(frame, pd.DataFrame):
        return Source(list(frame.columns), [series for _, series in frame.items()], len(frame), frame)
    if isinstance(frame, pd.Series):
        return Source(["0" if frame.name is None else frame.name], [frame], len(frame), None)
    if isinstance(frame, pd.Index):
        return source_of(frame.to_series())
    if isinstance(frame, pd.api.extensions.ExtensionArray):
        return source_of(pd.Series(frame))
    if isinstance(frame, np.ndarray):
        return _numpy_source(frame)
    if isinstance(frame, Mapping):
        return _mapping_source(frame)
    return _polars_source(frame) or _arrow_source(frame) or _refuse(frame)


def _refuse(frame: Any) -> Source:
    library = type(frame).__module__.split(".")[0]
    if library == "pyspark":
        msg = "Spark frames are not read here yet"
        raise InputError(msg, remedy="Hand over frame.toPandas() or frame.toArrow(), of a sample if it is large.")
    msg = f"an object of type {type(frame).__module__}.{type(frame).__qualname__} is no frame that can be read"
    raise InputError(msg, remedy=f"What is read: {_READ}.")


def _mlflow_dataset(frame: Any) -> Source | None:
    """Never touches ``.schema``, ``.profile``, ``.digest`` or ``to_dict()`` of a dataset: they walk over all rows."""
    classes = {f"{cls.__module__}.{cls.__name__}" for cls in type(frame).__mro__}
    if "mlflow.data.pandas_dataset.PandasDataset" in classes or "mlflow.data.polars_dataset.PolarsDataset" in classes:
        return source_of(frame.df)
    if "mlflow.data.numpy_dataset.NumpyDataset" in classes:
        return _side_by_side(source_of(frame.features), frame.targets, "target")
    if "mlflow.data.evaluation_dataset.EvaluationDataset" in classes:
        return _evaluation_source(frame)
    if "mlflow.data.spark_dataset.SparkDataset" in classes:
        msg = "Spark datasets are not read here yet"
        raise InputError(msg, remedy="Hand over dataset.df.toPandas(), of a sample if it is large.")
    if "mlflow.data.dataset.Dataset" in classes or "mlflow.entities.dataset.Dataset" in classes:
        msg = (
            f"a dataset of type {type(frame).__name__} cannot be read: it holds no rows, or in a form not read here yet"
        )
        raise InputError(msg, remedy=f"What is read: {_READ}.")
    return None


def _evaluation_source(dataset: Any) -> Source:
    features = source_of(dataset.features_data)
    if isinstance(dataset.features_data, np.ndarray):
        features = Source(list(dataset.feature_names), features.raws, features.rows, None)
    features = _side_by_side(
        features, dataset.labels_data if dataset.has_targets else None, dataset.targets_name or "target"
    )
    predictions = dataset.predictions_data if dataset.has_predictions else None
    return _side_by_side(features, predictions, dataset.predictions_name or "prediction")


def _side_by_side(features: Source, more: Any, name: str) -> Source:
    if more is None:
        return features
    added = source_of(more)
    if added.rows != features.rows:
        msg = f"the dataset has {features.rows} rows of features and {added.rows} of {name}"
        raise InputError(msg, where=name)
    labels = added.labels if isinstance(more, Mapping) else [name] if len(added.labels) == 1 else None
    if labels is None:
        labels = [f"{name}_{label}" for label in added.labels]
    return Source([*features.labels, *labels], [*features.raws, *added.raws], features.rows, None)


def _numpy_source(array: np.ndarray) -> Source:
    if isinstance(array, np.ma.MaskedArray):
        return _masked_source(array)
    if array.ndim == 0:
        msg = "a numpy array without a dimension is no frame"
        raise InputError(msg, remedy="Hand over an array of rows (1-D) or of rows and columns (2-D).")
    if array.dtype.names:
        if array.ndim > 1:
            msg = "a structured numpy array of more than one dimension is no frame"
            raise InputError(msg, remedy="Hand over a 1-D structured array.")
        return Source(list(array.dtype.names), [array[name] for name in array.dtype.names], len(array), None)
    if array.ndim == 1:
        return Source(["0"], [array], len(array), None)
    if array.ndim == 2:
        return Source([str(i) for i in range(array.shape[1])], list(array.T), len(array), array)
    places = list(np.ndindex(*array.shape[1:]))
    return Source([",".join(map(str, p)) for p in places], [array[(slice(None), *p)] for p in places], len(array), None)


def _masked_source(array: np.ma.MaskedArray[Any, Any]) -> Source:
    plain = np.asarray(array.data)
    mask = np.ma.getmaskarray(array)
    source, masks = _numpy_source(plain), _numpy_source(mask)
    raws = [
        pd.Series(raw).convert_dtypes(convert_string=False).mask(m)
        for raw, m in zip(source.raws, masks.raws, strict=True)
    ]
    return Source(source.labels, raws, source.rows, None)


def _mapping_source(columns: Mapping[Any, Any]) -> Source:
    labels: list[Any] = []
    raws: list[Any] = []
    for label, values in columns.items():
        for part, raw in _parts(values):
            labels.append(f"{label}[{part}]" if part else label)
            raws.append(raw)
    lengths = [len(raw) for raw in raws]
    if len(set(lengths)) > 1:
        told = ", ".join(f"{label!r} has {n}" for label, n in list(zip(labels, lengths, strict=True))[:10])
        msg = f"the columns differ in length: {told}"
        raise InputError(msg, remedy="Hand over columns of the same number of rows.")
    return Source(labels, raws, lengths[0] if lengths else 0, None)


def _parts(values: Any) -> list[tuple[str, Any]]:
    """The columns behind one entry of a dict: one, or several where it is an array of rows and more dimensions."""
    if isinstance(values, pd.Series) or is_polars_series(values) or is_arrow(values):
        return [("", values)]
    if isinstance(values, list | tuple | range):
        return [("", _list_column(list(values)))]
    if isinstance(values, np.ndarray) and values.ndim == 1 and not values.dtype.names:
        return [("", values)] if not isinstance(values, np.ma.MaskedArray) else [("", _masked_source(values).raws[0])]
    source = source_of(values)
    if len(source.raws) == 1:
        return [("", source.raws[0])]
    return list(zip(map(str, source.labels), source.raws, strict=True))


def _list_column(values: list[Any]) -> Any:
    """A list as a pandas Series; values of several types stay as they are (pandas would make True and 1.5 floats)."""
    objects = object_array(values)
    one_type = len({type(value) for value in values}) == 1
    return pd.Series(objects).infer_objects() if one_type else pd.Series(objects)


def _polars_source(frame: Any) -> Source | None:
    polars = sys.modules.get("polars")
    if polars is None or not hasattr(polars, "LazyFrame") or not hasattr(polars, "Series"):
        return None  # absent, or another thread is importing it
    if isinstance(frame, polars.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, polars.Series):
        return Source([frame.name or "0"], [frame], len(frame), None)
    if isinstance(frame, polars.DataFrame):
        return Source(list(frame.columns), frame.get_columns(), frame.height, None)
    return None


def _arrow_source(frame: Any) -> Source | None:
    arrow = sys.modules.get("pyarrow")
    if arrow is None or not hasattr(arrow, "RecordBatch") or not hasattr(arrow, "ChunkedArray"):
        return None  # absent, or another thread is importing it
    if isinstance(frame, arrow.RecordBatch):
        frame = arrow.Table.from_batches([frame])
    if isinstance(frame, arrow.Table):
        return Source(list(frame.column_names), list(frame.columns), frame.num_rows, None)
    if isinstance(frame, arrow.Array | arrow.ChunkedArray):
        return Source(["0"], [frame], len(frame), None)
    return None
