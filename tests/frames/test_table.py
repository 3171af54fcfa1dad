"""``as_table`` reads frames of four libraries and MLflow's datasets, and says what every column holds."""

import datetime as dt
import time
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from aims_mlflow.errors import InputError
from aims_mlflow.frames import ColumnKind, as_column, as_table, fingerprint_table

UTC = dt.UTC
DAY = dt.datetime(2024, 5, 1, 12, tzinfo=UTC)

PANDAS_COLUMNS = {
    "float64": (pd.Series([1.5, np.nan, 3.0]), "float", [1.5, np.nan, 3.0]),
    "float32": (pd.Series([1.5, np.nan, 3.0], dtype="float32"), "float", [1.5, np.nan, 3.0]),
    "int64": (pd.Series([1, 2, 3]), "integer", [1, 2, 3]),
    "uint8": (pd.Series([1, 2, 255], dtype="uint8"), "integer", [1, 2, 255]),
    "bool": (pd.Series([True, False, True]), "boolean", [1, 0, 1]),
    "Int64": (pd.Series([1, None, 3], dtype="Int64"), "integer", [1, np.nan, 3]),
    "UInt8": (pd.Series([1, None, 3], dtype="UInt8"), "integer", [1, np.nan, 3]),
    "Float64": (pd.Series([1.5, None, 3], dtype="Float64"), "float", [1.5, np.nan, 3]),
    "boolean": (pd.Series([True, None, False], dtype="boolean"), "boolean", [1, np.nan, 0]),
    "arrow int": (pd.Series([1, None, 3], dtype=pd.ArrowDtype(pa.int32())), "integer", [1, np.nan, 3]),
    "arrow float": (pd.Series([1.5, None, 3], dtype=pd.ArrowDtype(pa.float64())), "float", [1.5, np.nan, 3]),
    "arrow half": (pd.Series([1.5, None, 3], dtype=pd.ArrowDtype(pa.float16())), "float", [1.5, np.nan, 3]),
    "arrow bool": (pd.Series([True, None, False], dtype=pd.ArrowDtype(pa.bool_())), "boolean", [1, np.nan, 0]),
    "arrow decimal": (
        pd.Series([Decimal("1.50"), None, Decimal(3)], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
        "float",
        [1.5, np.nan, 3],
    ),
    "decimal": (pd.Series([Decimal("1.50"), None, Decimal(3)]), "float", [1.5, np.nan, 3]),
    "object int": (pd.Series([1, None, 3], dtype=object), "integer", [1, np.nan, 3]),
    "object huge int": (pd.Series([2**70, None, 3], dtype=object), "integer", [float(2**70), np.nan, 3]),
    "object float": (pd.Series([1.5, None, 3.0], dtype=object), "float", [1.5, np.nan, 3]),
    "object int and float": (pd.Series([1.5, None, 3], dtype=object), "float", [1.5, np.nan, 3]),
    "object bool": (pd.Series([True, None, False], dtype=object), "boolean", [1, np.nan, 0]),
    "sparse": (pd.Series(pd.arrays.SparseArray([1.5, np.nan, 3.0])), "float", [1.5, np.nan, 3]),
    "datetime": (
        pd.Series(pd.to_datetime(["1970-01-02", None, "1970-01-01 00:00:01"], format="ISO8601")),
        "datetime",
        [86400, np.nan, 1],
    ),
    "zoned": (
        pd.Series(pd.to_datetime(["1970-01-02", None, "1970-01-01 01:00:00"], format="ISO8601")).dt.tz_localize(
            "Europe/Berlin"
        ),
        "datetime",
        [82800, np.nan, 0],
    ),
    "arrow zoned": (
        pd.Series([DAY, None, DAY], dtype=pd.ArrowDtype(pa.timestamp("us", "UTC"))),
        "datetime",
        [DAY.timestamp(), np.nan, DAY.timestamp()],
    ),
    "arrow date": (
        pd.Series([dt.date(1970, 1, 2), None, dt.date(1970, 1, 1)], dtype=pd.ArrowDtype(pa.date32())),
        "datetime",
        [86400, np.nan, 0],
    ),
    "object date": (pd.Series([dt.date(1970, 1, 2), None, dt.date(1970, 1, 1)]), "datetime", [86400, np.nan, 0]),
    "object zones": (
        pd.Series([DAY, None, DAY.astimezone(dt.timezone(dt.timedelta(hours=3)))], dtype=object),
        "datetime",
        [DAY.timestamp(), np.nan, DAY.timestamp()],
    ),
    "timedelta": (pd.Series(pd.to_timedelta([1, None, 2.5], unit="s")), "timedelta", [1, np.nan, 2.5]),
    "object timedelta": (
        pd.Series([dt.timedelta(seconds=1), None, dt.timedelta(seconds=2.5)], dtype=object),
        "timedelta",
        [1, np.nan, 2.5],
    ),
}


@pytest.mark.parametrize("case", PANDAS_COLUMNS)
def test_numeric_pandas_columns_are_read_as_numbers_with_nan_where_missing(case):
    series, kind, numbers = PANDAS_COLUMNS[case]
    column = as_table(series.to_frame("x"))["x"]
    assert column.kind == kind
    np.testing.assert_allclose(column.numbers(), np.asarray(numbers, dtype=float), rtol=0)
    assert column.missing() == np.isnan(np.asarray(numbers, dtype=float)).sum()
    assert column.numbers().dtype == np.float64


LABEL_COLUMNS = {
    "str": (pd.Series(["a", None, "b", "a"]), "string"),
    "object": (pd.Series(["a", None, "b", "a"], dtype=object), "string"),
    "object with nan": (pd.Series(["a", np.nan, "b", "a"], dtype=object), "string"),
    "string python": (pd.Series(["a", None, "b", "a"], dtype="string[python]"), "string"),
    "arrow string": (pd.Series(["a", None, "b", "a"], dtype=pd.ArrowDtype(pa.string())), "string"),
    "category": (pd.Categorical(["a", None, "b", "a"], categories=["z", "b", "a"]), "category"),
    "arrow dictionary": (pa.array(["a", None, "b", "a"]).dictionary_encode(), "category"),
    "arrow string view": (pa.array(["a", None, "b", "a"], pa.string_view()), "string"),
    "arrow chunks": (pa.chunked_array([["a", None], [], ["b", "a"]], pa.large_string()), "string"),
    "polars": (pl.Series(["a", None, "b", "a"]), "string"),
    "polars categorical": (pl.Series(["a", None, "b", "a"], dtype=pl.Categorical), "category"),
    "polars enum": (pl.Series(["a", None, "b", "a"], dtype=pl.Enum(["z", "b", "a"])), "category"),
}


@pytest.mark.parametrize("case", LABEL_COLUMNS)
def test_text_and_categories_are_coded_into_the_values_that_occur(case):
    values, kind = LABEL_COLUMNS[case]
    column = as_column(pd.Series(values) if isinstance(values, pd.Categorical) else values)
    codes, found = column.codes()
    assert column.kind == kind
    assert [None if c < 0 else found[c] for c in codes] == ["a", None, "b", "a"]
    assert sorted(found) == ["a", "b"]
    assert column.missing() == 1
    with pytest.raises(InputError, match="not numbers"):
        column.numbers()


POLARS_COLUMNS = {
    "float": (pl.Series([1.5, None, float("nan")]), "float", [1.5, np.nan, np.nan]),
    "int": (pl.Series([1, None, 3], dtype=pl.UInt16), "integer", [1, np.nan, 3]),
    "bool": (pl.Series([True, None, False]), "boolean", [1, np.nan, 0]),
    "decimal": (pl.Series([Decimal("1.5"), None, Decimal(2)]), "float", [1.5, np.nan, 2]),
    "date": (pl.Series([dt.date(1970, 1, 2), None, dt.date(1970, 1, 1)]), "datetime", [86400, np.nan, 0]),
    "datetime": (pl.Series([DAY, None, DAY]), "datetime", [DAY.timestamp(), np.nan, DAY.timestamp()]),
    "duration": (pl.Series([dt.timedelta(seconds=1.5), None, dt.timedelta(0)]), "timedelta", [1.5, np.nan, 0]),
}


@pytest.mark.parametrize("case", POLARS_COLUMNS)
def test_polars_and_arrow_columns_are_read_as_numbers_with_nan_where_missing(case):
    series, kind, numbers = POLARS_COLUMNS[case]
    for values in (series, series.to_arrow(), pa.chunked_array([series.to_arrow()[:1], series.to_arrow()[1:]])):
        column = as_column(values)
        assert column.kind == kind
        np.testing.assert_allclose(column.numbers(), np.asarray(numbers, dtype=float), rtol=0)
        assert column.missing() == np.isnan(np.asarray(numbers, dtype=float)).sum()


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pd.Series([[1, 2], None, [1, 2], {"a": 1}]), ["[i1,i2]", '{s"a":i1}']),
        (pd.Series([1, "1", True, 1.0, None], dtype=object), [1, "1", True, 1.0]),
        (pl.Series([[1, 2], None, [1, 2], [3]]), ["[i1,i2]", "[i3]"]),
        (pa.array([{"a": 1}, None, {"a": 1}]), ['{s"a":i1}']),
    ],
)
def test_mixed_and_nested_values_are_told_apart_by_their_canonical_text(values, found):
    column = as_column(values)
    codes, listed = column.codes()
    assert column.kind is ColumnKind.MIXED
    assert [(type(v), v) for v in listed] == [(type(v), v) for v in found]
    assert (codes == -1).sum() == 1 == column.missing()


def test_codes_of_numbers_booleans_and_datetimes_give_their_values_back():
    assert sorted(as_column(pd.Series([3, 1, 3])).codes()[1]) == [1, 3]
    assert as_column(pd.Series([3, None, 3], dtype="Int64")).codes()[1] == [3]
    codes, found = as_column(pd.Series([True, None, True], dtype="boolean")).codes()
    assert codes.tolist() == [0, -1, 0]
    assert found == [True]
    zoned = pd.Series(pd.to_datetime(["2024-05-01", None, "2024-05-01"])).dt.tz_localize("Asia/Tokyo")
    assert as_column(zoned).codes()[1] == [pd.Timestamp("2024-05-01", tz="Asia/Tokyo")]
    assert as_column(np.array([0.5, np.nan], dtype=np.float16)).codes()[1] == [0.5]


@pytest.mark.parametrize("dtype", [object, "str", "float64"])
def test_a_column_without_any_value_is_read_as_all_missing(dtype):
    column = as_column(pd.Series([None, None], dtype=dtype))
    assert column.missing() == 2
    assert column.codes()[0].tolist() == [-1, -1]
    assert column.codes()[1] == []


def test_null_typed_columns_of_arrow_and_polars_are_text_without_a_value():
    for values in (pa.nulls(3), pl.Series([None, None, None])):
        column = as_column(values)
        assert column.kind is ColumnKind.STRING
        assert column.missing() == 3


def test_duplicate_and_non_string_names_become_unique_text_and_the_originals_are_kept():
    frame = pd.DataFrame([[1, 2, 3, 4, 5]], columns=["a", "a", 3, None, "a#2"])
    table = as_table(frame)
    assert table.names == ("a", "a#3", "3", "None", "a#2")
    assert table.renamed == {"a#3": "a", "3": 3, "None": None}
    assert table["a#3"].numbers().tolist() == [2]
    assert table.pandas().columns.tolist() == list(table.names)
    assert frame.columns.tolist() == ["a", "a", 3, None, "a#2"]


def test_a_multiindex_of_columns_is_flattened_with_dots():
    frame = pd.DataFrame([[1, 2, 3]], columns=pd.MultiIndex.from_tuples([("x", "y"), ("x", ""), ("x", "y")]))
    assert as_table(frame).names == ("x.y", "x", "x.y#2")


def test_pandas_gives_the_very_frame_back_where_nothing_had_to_be_renamed():
    frame = pd.DataFrame({"a": [1.0]}, index=[7])
    assert as_table(frame).pandas() is frame


@pytest.mark.parametrize("rows", [0, 3])
def test_frames_without_rows_or_columns_have_their_shape(rows):
    empty = as_table(pd.DataFrame(index=range(rows)))
    assert (empty.rows, empty.names) == (rows, ())
    assert empty.pandas().shape == (rows, 0)
    table = as_table(pd.DataFrame({"a": [1.0] * rows, "b": ["x"] * rows, "c": pd.Categorical(["x"] * rows)}))
    assert table.rows == rows
    assert [len(c.codes()[0]) for c in table.columns] == [rows] * 3
    assert as_table(pl.DataFrame({"a": [1.0] * rows}).lazy()).rows == rows
    assert as_table(pa.table({"a": pa.array([], pa.string())}))["a"].codes()[1] == []
    assert as_table({}).rows == 0


def test_numpy_arrays_of_any_shape_are_read():
    assert as_table(np.array([1, 2])).names == ("0",)
    table = as_table(np.arange(6.0).reshape(3, 2))
    assert table.names == ("0", "1")
    assert table["1"].numbers().tolist() == [1, 3, 5]
    assert table.pandas()["1"].tolist() == [1, 3, 5]
    assert as_table(np.zeros((3, 2, 2))).names == ("0,0", "0,1", "1,0", "1,1")
    structured = as_table(np.array([(1, "x"), (2, "y")], dtype=[("n", "i4"), ("s", "U3")]))
    assert structured["n"].kind is ColumnKind.INTEGER
    assert structured["s"].codes()[1] == ["x", "y"]
    masked = as_table(np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False]))
    assert masked["0"].missing() == 1
    with pytest.raises(InputError, match="without a dimension"):
        as_table(np.array(3))


def test_dicts_of_arrays_are_read_and_unequal_lengths_are_refused_with_both():
    table = as_table({"a": np.array([1, 2]), "b": ["x", "y"], "c": pl.Series([1.0, 2.0]), "d": np.zeros((2, 2))})
    assert table.names == ("a", "b", "c", "d[0]", "d[1]")
    assert table.pandas().shape == (2, 5)
    with pytest.raises(InputError, match="'a' has 2, 'b' has 3"):
        as_table({"a": [1, 2], "b": [1, 2, 3]})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
@pytest.mark.parametrize("spread", [1, 100, 5000])
def test_codes_of_narrow_and_wide_integers_stand_for_their_values(dtype, spread):
    ends = np.iinfo(dtype)
    random = np.random.default_rng(0)
    for low in {int(ends.min), int(ends.max) - min(spread, int(ends.max))}:
        values = (low + random.integers(0, min(spread, 100), 300).astype(object)).astype(dtype)
        values[0], values[-1] = low, min(low + spread, int(ends.max))
        codes, found = as_column(values).codes()
        assert [found[code] for code in codes] == values.tolist()
        assert len(set(found)) == len(found)


def test_arrays_of_pandas_own_types_are_columns():
    assert as_column(pd.array([1, None], dtype="Int64")).missing() == 1
    assert as_column(pd.Categorical(["a", "b"])).kind is ColumnKind.CATEGORY
    assert as_table({"t": pd.date_range("2024-01-01", periods=2)})["t"].kind is ColumnKind.DATETIME


def test_lists_keep_their_values_apart():
    assert as_column([True, 1.5]).kind is ColumnKind.MIXED
    assert as_column([True, False]).kind is ColumnKind.BOOLEAN
    assert as_column([1, None]).kind is ColumnKind.INTEGER
    assert as_column(["a", None]).kind is ColumnKind.STRING


def test_two_thousand_columns_are_read_and_hashed_at_once():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 2000)))
    before = time.process_time()
    table = as_table(frame)
    assert len(table.columns) == 2000
    assert fingerprint_table(table).startswith("sha256:")
    assert time.process_time() - before < 1  # about 0.05 alone; the machine is shared


def test_a_table_is_read_as_itself_and_can_be_narrowed():
    table = as_table(pd.DataFrame({"a": [1], "b": [2]}))
    assert as_table(table) is table
    assert table.select(["b"]).names == ("b",)
    assert "a" in table
    assert "c" not in table
    with pytest.raises(InputError, match=r"no column 'c'.*The columns are: a, b"):
        table["c"]


@pytest.mark.parametrize("thing", [3, "text", object(), None, [1, 2]])
def test_what_is_no_frame_is_refused_with_a_list_of_what_is_read(thing):
    with pytest.raises(InputError, match="pandas DataFrame or Series"):
        as_table(thing)


def test_spark_frames_are_refused_by_name():
    spark = type("DataFrame", (), {"__module__": "pyspark.sql.dataframe"})
    with pytest.raises(InputError, match="Spark frames are not read here yet"):
        as_table(spark())


def test_mlflow_datasets_are_read_without_touching_their_slow_properties(monkeypatch):
    import mlflow.data
    from mlflow.data.numpy_dataset import NumpyDataset
    from mlflow.data.pandas_dataset import PandasDataset

    frame = pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]})
    classes = [NumpyDataset, PandasDataset]
    datasets = [
        mlflow.data.from_pandas(frame, targets="y", digest="d"),
        mlflow.data.from_numpy(frame[["a"]].to_numpy(), targets=frame["y"].to_numpy(), digest="d"),
        mlflow.data.from_numpy({"a": frame["a"].to_numpy()}, targets={"y": frame["y"].to_numpy()}, digest="d"),
        mlflow.data.from_pandas(frame, targets="y", digest="d").to_evaluation_dataset(),
    ]

    expected = [("a", "y"), ("0", "target"), ("a", "y"), ("a", "y")]
    if hasattr(mlflow.data, "from_polars"):  # MLflow 3
        from mlflow.data.polars_dataset import PolarsDataset

        classes.append(PolarsDataset)
        datasets.append(mlflow.data.from_polars(pl.from_pandas(frame), targets="y", digest="d"))
        expected.append(("a", "y"))

    def touched(self, *args):
        raise AssertionError("a slow property was touched")

    for cls in classes:
        for name in ("schema", "profile", "digest"):
            monkeypatch.setattr(cls, name, property(touched))
        monkeypatch.setattr(cls, "to_dict", touched)
    tables = [as_table(dataset) for dataset in datasets]
    assert [t.names for t in tables] == expected
    assert all(t.columns[1].numbers().tolist() == [0, 1] for t in tables)


def test_mlflow_datasets_without_rows_are_refused():
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    with pytest.raises(InputError, match="MetaDataset cannot be read"):
        as_table(MetaDataset(HTTPDatasetSource("https://example.org/data.csv")))


def test_subclasses_of_pandas_frames_are_frames():
    class Special(pd.DataFrame):
        pass

    assert as_table(Special({"a": [1]})).names == ("a",)


TALLIED = {
    "text": pd.Series(["b", "a", None, "b"] * 10_000, dtype="string[pyarrow]"),
    "text of many values": pd.Series([f"text {n // 2}" for n in range(40_000)], dtype="string[pyarrow]"),
    "text that gets many values": pd.Series(
        ["a"] * 20_000 + [f"text {n}" for n in range(20_000)], dtype="string[pyarrow]"
    ),
    "text without a value": pd.Series([None] * 3, dtype="string[pyarrow]"),
    "no text": pd.Series([], dtype="string[pyarrow]"),
    "objects": pd.Series(["b", None, "a", "b"], dtype=object),
    "category": pd.Series(pd.Categorical(["b", None, "a", "b"], categories=["a", "never", "b"])),
    "numbers": pd.Series([3, 1, 3]),
    "mixed": pd.Series([1, 1.0, "1", None, [1]], dtype=object),
    "polars": pl.Series(["b", None, "a", "b"]),
    "chunks": pa.chunked_array([["b", None], ["a"], [], ["c", "b"]]),
    "a dictionary with unsigned codes": pa.array(["b", None, "a"])
    .dictionary_encode()
    .cast(pa.dictionary(pa.uint8(), pa.string())),
}


@pytest.mark.parametrize("name", TALLIED)
def test_tallies_and_short_codes_say_what_codes_say(name):
    column = as_column(TALLIED[name])
    codes, found = column.codes()
    values = [None if code < 0 else repr(found[code]) for code in codes.tolist()]
    counts = {value: values.count(value) for value in set(values[:50])} if len(values) > 100 else None
    levels, held = column.tallies()
    tallied = dict(zip(map(repr, levels), held.tolist(), strict=True))
    assert set(tallied) == set(map(repr, found))
    assert sum(tallied.values()) == len(column) - column.missing()
    wanted = counts or {value: values.count(value) for value in set(values)}
    assert all(tallied[value] == count for value, count in wanted.items() if value is not None)
    short = column.short_codes()
    assert (short is not None) == (name in {"text", "text without a value", "no text", "polars", "chunks"})
    if short is not None:
        assert short[0].dtype == np.int16
        assert [None if code < 0 else repr(short[1][code]) for code in short[0].tolist()] == values


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([2, 0, 2])])
@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1.5, np.nan, 3.0], index=[1.0, 0.0, 7.0]),
        pd.Series([1, None, 3], dtype="Int64"),
        np.array([1, 2, 3]),
        pl.Series([1, None, 3]),
        pa.chunked_array([[1], [None, 3]]),
    ],
)
def test_some_rows_of_a_column_are_those_at_the_positions(values, rows):
    column = as_column(values)
    some = column.at(rows)
    assert (some.name, some.kind, some.dtype) == (column.name, column.kind, column.dtype)
    np.testing.assert_array_equal(some.numbers(), column.numbers()[rows])
