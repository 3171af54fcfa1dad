"""The fingerprint changes with any content and only with content."""

import datetime as dt
import hashlib
import json
import subprocess
import sys
import time
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.errors import InputError
from aims_mlflow.frames import as_table, fingerprint_table, schema_digest


def digest(frame):
    return fingerprint_table(as_table(frame))


TEXT = st.text(max_size=5)
ANY_TIME = st.datetimes(min_value=dt.datetime(1900, 1, 1), max_value=dt.datetime(2200, 1, 1))  # noqa: DTZ001
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VALUES = {
    "float64": st.floats(),
    "Float64": st.none() | st.floats(allow_nan=False),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "Int32": st.none() | st.integers(-(2**31), 2**31 - 1),
    "bool": st.booleans(),
    "boolean": st.none() | st.booleans(),
    "str": st.none() | TEXT,
    "string[python]": st.none() | TEXT,
    "category": st.none() | TEXT,
    "datetime64[us]": st.none() | ANY_TIME,
    "timedelta64[us]": st.none() | st.timedeltas(dt.timedelta(days=-9000), dt.timedelta(days=9000)),
    "object": NESTED,
}


def canonical(value):
    """What the fingerprint calls one value: NaN, None and NaT are one; -0.0 and 0.0 are two."""
    from aims_mlflow.frames.tokens import token

    return token(value)


@st.composite
def cells(draw):
    """One column's type, its values, and a row with another value for it."""
    dtype = draw(st.sampled_from(sorted(VALUES)))
    values = draw(st.lists(VALUES[dtype], min_size=1, max_size=30))
    return dtype, values, draw(st.integers(0, len(values) - 1)), draw(VALUES[dtype])


def series(values, dtype):
    if dtype == "object":
        column = pd.Series([None] * len(values), dtype=object)
        for row, value in enumerate(values):
            column.iat[row] = value
        return column
    if dtype in {"str", "category"}:
        return pd.Series([v if v is None else str(v) for v in values], dtype="object").astype(dtype)
    return pd.Series(values, dtype=dtype)


@settings(max_examples=300, deadline=None)
@given(cells())
def test_any_single_cell_changes_it_and_a_copy_does_not(case):
    dtype, values, row, other = case
    before = series(values, dtype).to_frame("x")
    assert digest(before) == digest(before.copy(deep=True))
    changed = list(values)
    changed[row] = other
    after = series(changed, dtype).to_frame("x")
    if as_table(before)["x"].kind is as_table(after)["x"].kind:
        same = canonical(values[row]) == canonical(other)
        assert (digest(before) == digest(after)) is same


@settings(max_examples=150, deadline=None)
@given(cells(), st.integers(0, 29))
def test_swapping_two_different_rows_changes_it(case, other):
    dtype, values, row, _ = case
    other %= len(values)
    swapped = list(values)
    swapped[row], swapped[other] = swapped[other], swapped[row]
    same = canonical(values[row]) == canonical(values[other])
    assert (digest({"x": series(values, dtype)}) == digest({"x": series(swapped, dtype)})) is same


@settings(max_examples=150, deadline=None)
@given(cells(), st.data())
def test_moving_a_text_border_between_rows_or_columns_changes_it(case, data):
    dtype, values, row, _ = case
    frame = series(values, dtype).to_frame("x")
    longer = pd.concat([frame, frame.iloc[[row]]], ignore_index=True)
    assert digest(frame) != digest(longer)
    assert digest(frame) != digest(frame.rename(columns={"x": "y"}))
    twice = {"x": frame["x"], "y": frame["x"]}
    assert digest(twice) != digest(frame)
    assert digest({"y": frame["x"], "x": frame["x"]}) != digest(twice)


@pytest.mark.parametrize(
    ("one", "two"), [(["ab", "c"], ["a", "bc"]), (["", None], [None, ""]), (["a\0", "b"], ["a", "\0b"])]
)
@pytest.mark.parametrize("dtype", ["str", "object", "string[python]", "category"])
def test_texts_are_told_apart_by_where_they_end(one, two, dtype):
    assert digest({"x": pd.Series(one, dtype=dtype)}) != digest({"x": pd.Series(two, dtype=dtype)})


def test_the_kind_of_a_column_counts():
    kinds = [
        pd.Series([0, 1]),
        pd.Series([0.0, 1.0]),
        pd.Series([False, True]),
        pd.Series(["0", "1"]),
        pd.Series(["0", "1"]).astype("category"),
        pd.Series([0, 1]).astype("category"),
        pd.Series([0, "1"], dtype=object),
        pd.Series([0, 1], dtype="datetime64[ns]"),
        pd.Series([0, 1], dtype="datetime64[ns]").dt.tz_localize("UTC"),
        pd.Series([0, 1], dtype="timedelta64[ns]"),
        pd.Series([0j, 1j]),
        pd.Series([b"0", b"1"]),
        pd.Series([Decimal(0), Decimal(1)]),
    ]
    assert len({digest({"x": values}) for values in kinds}) == len(kinds)


WHEN = dt.datetime(2024, 5, 1, 12, 30, 15, 123456)  # noqa: DTZ001
SAME_EVERYWHERE = {
    "float": ([1.5, None, -0.0], pa.float64()),
    "float32": ([1.5, None, -0.0], pa.float32()),
    "int": ([1, 2, -3], pa.int64()),
    "int8": ([1, 2, -3], pa.int8()),
    "int with null": ([1, None, 3], pa.int64()),
    "huge unsigned": ([1, None, 2**64 - 1], pa.uint64()),
    "bool": ([True, None, False], pa.bool_()),
    "str": (["a", None, "ü<b>\0"], pa.string()),
    "large str": (["a", None, ""], pa.large_string()),
    "category": (["b", None, "a"], pa.dictionary(pa.int8(), pa.string())),
    "datetime": ([WHEN, None, WHEN], pa.timestamp("us")),
    "datetime ms": ([WHEN.replace(microsecond=123000), None, None], pa.timestamp("ms")),
    "datetime far": ([dt.datetime(9999, 1, 1), None, dt.datetime(1, 1, 1)], pa.timestamp("us")),  # noqa: DTZ001
    "zoned": ([WHEN.replace(tzinfo=ZoneInfo("Europe/Berlin")), None, None], pa.timestamp("us", "Europe/Berlin")),
    "date": ([dt.date(2024, 5, 1), None, dt.date(1960, 1, 1)], pa.date32()),
    "timedelta": ([dt.timedelta(seconds=1), None, dt.timedelta(days=-3)], pa.duration("us")),
    "list": ([[1, 2], None, []], pa.list_(pa.int64())),
}


@pytest.mark.parametrize("case", SAME_EVERYWHERE)
def test_the_same_values_give_the_same_digest_in_arrow_polars_and_pandas(case):
    values, arrow_type = SAME_EVERYWHERE[case]
    whole = pa.table({"x": pa.array(values, arrow_type)})
    chunked = pa.concat_tables([whole[:1], whole[1:1], whole[1:]])
    framed = whole.to_pandas(types_mapper=pd.ArrowDtype)
    digests = {
        "arrow": digest(whole),
        "arrow sliced": digest(pa.concat_tables([whole, whole]).slice(3, 3)),
        "arrow chunked": digest(chunked),
        "batch": digest(whole.combine_chunks().to_batches()[0]),
        "polars": digest(pl.from_arrow(whole)),
        "pandas arrow": digest(framed),
        "pandas index": digest(framed.set_axis([9, 8, 7])),
    }
    if not (None in values and pa.types.is_integer(arrow_type)):  # plain pandas makes floats of those
        digests["pandas"] = digest(whole.to_pandas())
    if case not in {"category", "zoned"}:
        digests["python"] = digest({"x": values})
    assert len(set(digests.values())) == 1, digests


def test_nullable_pandas_types_have_the_digest_of_arrow_values():
    table = pa.table({"i": pa.array([1, None]), "f": pa.array([1.5, None]), "b": pa.array([True, None])})
    frame = pd.DataFrame({"i": [1, None], "f": [1.5, None], "b": [True, None]})
    assert digest(table) == digest(frame.astype({"i": "Int16", "f": "Float32", "b": "boolean"}))


def test_a_string_column_has_one_digest_in_all_forms_of_pandas():
    values = ["a", None, "longer text", "a", ""]
    forms = [pd.Series(values, dtype=d) for d in (object, "str", "string[python]", "string[pyarrow]")]
    forms.append(pd.Series(["a", np.nan, "longer text", "a", ""], dtype=object))
    forms.append(np.array(values, dtype=object))
    assert len({digest({"x": form}) for form in forms}) == 1


def test_order_and_unused_levels_of_a_category_do_not_count():
    values = ["b", None, "a", "b"]
    forms = [
        pd.Categorical(values),
        pd.Categorical(values, categories=["b", "a"]),
        pd.Categorical(values, categories=["z", "b", "y", "a"], ordered=True),
    ]
    digests = {digest({"x": pd.Series(form)}) for form in forms}
    digests.add(digest({"x": pl.Series(values, dtype=pl.Enum(["z", "a", "b"]))}))
    digests.add(digest({"x": pa.chunked_array([pa.array(["b", None]), pa.array(["a", "b"])]).dictionary_encode()}))
    assert len(digests) == 1
    renamed = pd.Series(forms[0]).cat.rename_categories({"a": "b", "b": "a"})
    assert digest({"x": renamed}) not in digests


def test_memory_layout_byte_order_and_width_do_not_count():
    values = np.arange(12, dtype=float).reshape(6, 2)
    forms = [values, np.asfortranarray(values), values.astype(">f8"), values.astype("f4"), np.repeat(values, 2, 0)[::2]]
    assert len({digest(form) for form in forms}) == 1
    assert digest(pd.DataFrame(values, columns=["0", "1"])) == digest(values)


def test_every_nan_is_the_same_nan_and_minus_zero_is_not_zero():
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype="u8").view("f8")
    assert digest(odd) == digest(np.array([np.nan, np.nan]))
    assert digest(np.array([0.0])) != digest(np.array([-0.0]))
    assert odd.view("u8").tolist() == [0x7FF8000000000001, 0xFFF8000000000000], (
        "the frame itself must not be written to"
    )


def test_moments_of_any_unit_have_the_digest_of_their_instant():
    units = [np.array(["2024-05-01", "NaT"], dtype=f"M8[{unit}]") for unit in ("D", "h", "s", "ms", "us", "ns")]
    assert len({digest(form) for form in units}) == 1
    assert digest(np.array(["3024-05-01"], "M8[s]")) == digest(np.array(["3024-05-01"], "M8[us]"))
    ns = np.array(["2024-05-01T00:00:00.000000001"], "M8[ns]")
    assert digest(ns) != digest(ns.astype("M8[us]"))
    assert digest(np.array([1], "M8[ps]")) != digest(np.array([2], "M8[ps]"))


def test_blocks_do_not_show_in_the_digest_of_long_columns():
    """300,000 rows are hashed in three blocks; a change in each is seen, another chunking is not."""
    rows = 300_000
    names = np.array(["a", "bb", "ccc"], dtype=object)[np.arange(rows) % 3]
    frame = pd.DataFrame({"f": np.arange(rows) / 7, "s": names, "i": np.arange(rows)})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    chunked = pa.concat_tables([table[:1000], table[1000:200_001], table[200_001:]])
    before = digest(frame)
    assert digest(table) == digest(chunked) == before
    for row in (5, 140_000, rows - 1):
        for column, value in (("f", -1.0), ("s", "x"), ("i", -1)):
            changed = frame.copy()
            changed.loc[row, column] = value
            assert digest(changed) != before


def test_four_million_values_take_a_fraction_of_a_second_of_cpu():
    rows, random = 200_000, np.random.default_rng(0)
    frame = pd.DataFrame({f"f{i}": random.normal(size=rows) for i in range(12)})
    for i in range(4):
        frame[f"i{i}"] = random.integers(0, 1000, rows)
        frame[f"s{i}"] = random.choice(["alpha", "beta", "gamma"], rows)
    before = time.process_time()
    digest(frame)
    assert time.process_time() - before < 0.4  # about 0.03 alone; the machine is shared


@pytest.mark.parametrize("where", ["row 20,000", "datetime", "bool", "dict"])
def test_it_sees_what_mlflows_own_digest_misses(where):
    """MLflow hashes the first 10,000 rows, and only numbers and text."""
    from mlflow.data.digest_utils import compute_pandas_digest

    rows = 30_000 if where == "row 20,000" else 10
    frame = pd.DataFrame({"n": np.arange(rows, dtype=float)})
    frame["t"] = pd.Timestamp("2024-05-01")
    frame["b"] = True
    frame["d"] = [{"a": 1} for _ in range(rows)]
    changed = frame.copy()
    match where:
        case "row 20,000":
            changed.loc[20_000, "n"] = -1.0
        case "datetime":
            changed.loc[3, "t"] = pd.Timestamp("1999-01-01")
        case "bool":
            changed.loc[3, "b"] = False
        case _:
            changed.at[3, "d"] = {"a": 2}
    assert compute_pandas_digest(frame) == compute_pandas_digest(changed), "MLflow no longer misses this"
    assert digest(frame) != digest(changed)


def test_the_digest_is_the_same_in_every_process():
    code = (
        "import pandas as pd; from aims_mlflow.frames import as_table, fingerprint_table\n"
        "f = pd.DataFrame({'s': ['a', 'b'], 'o': [{'k': {3, 'x', 2.5}}, [None, True]]})\n"
        "print(fingerprint_table(as_table(f)))"
    )
    here = digest(pd.DataFrame({"s": ["a", "b"], "o": [{"k": {3, "x", 2.5}}, [None, True]]}))
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert there.stdout.strip() == here


def test_the_definition_of_the_digest_is_fixed():
    """Another definition makes old evidence unprovable: it must come on purpose, with a new version number."""
    column = hashlib.sha256(np.array([1.0, 2.0], "<f8").tobytes()).hexdigest()
    content = {"fingerprint": 1, "rows": 2, "columns": [["x", "float", "float", column]]}
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert digest({"x": np.array([1.0, 2.0])}) == f"sha256:{expected}"
    frame = pd.DataFrame({"s": ["a", None], "c": pd.Categorical(["x", "y"]), "t": pd.to_datetime(["2024-05-01", None])})
    assert digest(frame) == "sha256:43621d4930669aaa503a04375fd86a6bf3f992f16de9ed003c42ba153cb1d624"


def test_objects_that_have_only_an_address_are_refused_and_named():
    with pytest.raises(InputError, match=r"^thing: .*builtins.object.*address in memory"):
        digest(pd.DataFrame({"thing": [object(), 1]}))
    loop = []
    loop.append(loop)
    with pytest.raises(InputError, match="contains itself"):
        digest({"x": pd.Series([loop, 1])})


def test_objects_with_a_state_are_told_by_it():
    class Point:
        def __init__(self, x):
            self.x = x

    assert digest({"p": pd.Series([Point(1), 0])}) == digest({"p": pd.Series([Point(1), 0])})
    assert digest({"p": pd.Series([Point(1), 0])}) != digest({"p": pd.Series([Point(2), 0])})


@pytest.mark.parametrize(
    "values",
    [
        [b"a", None],
        [1 + 2j, None],
        [dt.time(1), None],
        [2**70, 1],
        [Decimal("1.10"), Decimal("Infinity")],
        [pd.Period("2024-01"), pd.Period("2024-02")],
        [pd.Interval(0, 1), pd.Interval(1, 2)],
        ["lone \udc80", "b"],
        [(1, 2), [1, 2]],
        [{1, 2}, frozenset({3})],
        [np.array([1, 2]), np.array([[1]])],
        [np.float32(1.5), "x", np.datetime64("2024-05-01"), np.timedelta64(1, "s"), np.longdouble("1.1")],
    ],
)
def test_rare_values_have_a_stable_digest_too(values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    assert digest(frame) == digest(frame.copy())
    assert digest(frame) != digest(frame.iloc[::-1]) or values == [(1, 2), [1, 2]]


def test_decimals_are_their_exact_value_not_a_float():
    exact = [Decimal("0.1000000000000000000001"), Decimal("0.1")]
    assert digest({"x": exact[:1]}) != digest({"x": exact[1:]})
    assert digest({"x": [Decimal("1.10")]}) == digest({"x": pa.array([Decimal("1.1")], pa.decimal128(20, 5))})
    assert digest({"x": [Decimal(100)]}) == digest({"x": [Decimal("1E+2")]}) != digest({"x": [Decimal(10)]})


def test_frames_without_rows_or_columns_have_digests_of_their_own():
    frames = [
        pd.DataFrame(),
        pd.DataFrame(index=[0, 1]),
        pd.DataFrame({"a": pd.Series([], dtype=float)}),
        pd.DataFrame({"a": pd.Series([], dtype=int)}),
        pd.DataFrame({"a": pd.Series([], dtype="str")}),
    ]
    assert len({digest(frame) for frame in frames}) == len(frames)
    assert digest(pa.table({"a": pa.array([], pa.string())})) == digest(frames[-1])


def test_names_with_markup_and_lone_surrogates_are_hashed():
    assert digest({"<b>\udc80": [1]}) != digest({"<b>": [1]})


def test_the_schema_digest_is_over_names_and_types_only():
    frame = pd.DataFrame({"a": [1.0], "b": ["x"]})
    before = schema_digest(as_table(frame))
    assert schema_digest(as_table(frame.assign(a=5.0))) == before
    assert schema_digest(as_table(frame.assign(a=5))) != before
    assert schema_digest(as_table(frame.rename(columns={"a": "c"}))) != before
    assert schema_digest(as_table(frame[["b", "a"]])) != before
    assert schema_digest(as_table(frame.astype({"a": "float32"}))) != before
