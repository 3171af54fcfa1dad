"""Bad input gets a clear record: never a crash, never a pass nobody earned."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.config import Columns, DataQualityPolicy
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import Suite, as_suite, measure_quality, profile_table, suite_in_force

N = 200
RNG = np.random.default_rng(0)


def on(kind, column="x", **kwargs):
    return {"type": f"expect_column_values_to_{kind}", "kwargs": {"column": column, **kwargs}}


SOME_OF_EACH = [
    on("not_be_null"),
    on("be_between", min_value=0, max_value=10),
    on("be_in_set", value_set=[0, 1, "a"]),
    on("be_unique"),
    on("be_of_type", type_="float64"),
    on("be_in_type_list", type_list=["float64", "str"]),
    {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "x", "min_value": -1e9}},
    {"type": "expect_column_to_exist", "kwargs": {"column": "x"}},
    {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
]


def verdicts(frame, rules=SOME_OF_EACH):
    payload = measure_quality(as_table(frame), rules=as_suite(rules))
    json.dumps([rule.model_dump(mode="json") for rule in payload.rules], allow_nan=False)
    return payload.verdict, [rule.verdict for rule in payload.rules]


def derived(frame, columns=None):
    columns = columns or Columns()
    table = as_table(frame)
    profile = profile_table(table, columns=columns)
    suite = suite_in_force(Suite("own"), policy=DataQualityPolicy(), columns=columns, profile=profile)
    return measure_quality(table, rules=suite, columns=columns)


COLUMNS = {
    "all NaN": np.full(N, np.nan),
    "all None": pd.Series([None] * N, dtype=object),
    "constant": np.ones(N),
    "infinite": np.r_[RNG.normal(size=N - 20), [np.inf] * 10, [-np.inf] * 10],
    "mixed": pd.Series([1, "x", 2.5, None, [1]] * (N // 5), dtype=object),
    "bool": RNG.random(N) < 0.5,
    "nullable bool": pd.array([True, None] * (N // 2), dtype="boolean"),
    "zoned times": pd.date_range("2024-01-01", periods=N, tz="Europe/Berlin"),
    "times": pd.date_range("2024-01-01", periods=N),
    "far times": pd.Series(np.array(["0001-01-01", "9999-01-01"] * (N // 2), dtype="datetime64[s]")),
    "spans": pd.to_timedelta(np.arange(N), "s"),
    "periods": pd.period_range("2024-01", periods=N, freq="D"),
    "category": pd.Categorical(RNG.choice(["a", "b"], N), categories=["a", "b", "unseen"]),
    "Int64": pd.array([1, None] * (N // 2), dtype="Int64"),
    "Int64 beyond floats": pd.array([2**60 + 1, None] * (N // 2), dtype="Int64"),
    "uint64 beyond int64": np.array([2**64 - 1, 0] * (N // 2), dtype="uint64"),
    "Arrow int": pd.Series([1, None] * (N // 2), dtype="int64[pyarrow]"),
    "Arrow text": pd.Series(["a", None] * (N // 2), dtype="string[pyarrow]"),
    "nested": pd.Series([[1, 2], [3]] * (N // 2)),
    "dicts": pd.Series([{"a": 1}] * N),
    "decimals": pd.Series([Decimal(k) for k in range(N)]),
    "huge integers": pd.Series([2**70 + k for k in range(N)], dtype=object),
    "complex": np.arange(N) * 1j,
    "sparse": pd.arrays.SparseArray(np.r_[np.zeros(N - 5), np.ones(5)]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_kind_of_column_gets_a_verdict_for_every_rule(name):
    frame = pd.DataFrame({"x": COLUMNS[name]})
    overall, each = verdicts(frame)
    assert len(each) == len(SOME_OF_EACH)
    assert "unknown" not in each
    assert overall != "pass"
    assert each[-2:] == ["pass", "pass"]


@pytest.mark.parametrize("name", COLUMNS)
def test_every_kind_of_column_keeps_to_rules_derived_from_itself(name):
    payload = derived(pd.DataFrame({"x": COLUMNS[name]}))
    assert payload.verdict == ("fail" if name.startswith("all ") else "pass"), payload.reason
    assert payload.numbers["errors"] == 0


def test_an_empty_frame_passes_nothing():
    overall, each = verdicts(pd.DataFrame({"x": np.array([], dtype=float)}))
    assert overall == "fail"
    assert each == ["vacuous"] * 6 + ["fail", "pass", "fail"]


def test_an_empty_frame_without_a_rule_on_rows_is_not_tested():
    assert verdicts(pd.DataFrame({"x": np.array([], dtype=float)}), SOME_OF_EACH[:6])[0] == "not_tested"


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame(index=range(5))])
def test_a_frame_without_columns_has_errors_for_rules_on_columns(frame):
    _, each = verdicts(frame)
    assert each[:7] == ["error"] * 7
    assert each[7] == "fail"


def test_an_all_null_column_is_vacuous_where_it_would_pass():
    _, each = verdicts(pd.DataFrame({"x": np.full(N, np.nan)}))
    assert each[:4] == ["fail", "vacuous", "vacuous", "vacuous"]


def test_a_rule_on_a_name_that_stands_twice_is_an_error():
    frame = pd.DataFrame(np.ones((5, 2)), columns=["x", "x"])
    payload = measure_quality(as_table(frame), rules=as_suite([on("be_unique"), on("not_be_null", "x#2")]))
    assert [(rule.verdict, rule.error_type) for rule in payload.rules] == [("error", "AmbiguousColumn"), ("pass", None)]
    assert derived(frame).verdict == "pass"


def test_names_that_are_numbers_are_found():
    frame = pd.DataFrame(np.ones((5, 2)), columns=[0, 1])
    payload = measure_quality(as_table(frame), rules=as_suite([on("not_be_null", 0), on("be_between", 1, max_value=0)]))
    assert [rule.verdict for rule in payload.rules] == ["pass", "fail"]
    assert [rule.column for rule in payload.rules] == ["0", "1"]


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "ü — 列", "a\u2028b", "a.b", "`", "", "{x}", "%s", "batch_id"]
)
def test_any_name_works(name):
    frame = pd.DataFrame({name: np.arange(50.0)})
    payload = derived(frame)
    assert payload.verdict == "pass", payload.reason
    assert {rule.column for rule in payload.rules} == {None, name or None}


def test_categories_with_unseen_levels_fail():
    reference = pd.DataFrame({"x": pd.Categorical(["a", "b"] * 50)})
    current = pd.DataFrame({"x": pd.Categorical(["a", "c"] * 50)})
    suite = suite_in_force(
        Suite("own"), policy=DataQualityPolicy(), columns=Columns(), profile=profile_table(as_table(reference))
    )
    assert measure_quality(as_table(current), rules=suite).verdict == "fail"


def test_a_hundred_thousand_distinct_texts_are_not_made_a_set():
    frame = pd.DataFrame({"x": [f"text {k}" for k in range(100_000)]})
    payload = derived(frame)
    assert payload.verdict == "pass"
    assert not any("in_set" in rule.rule for rule in payload.rules)
    assert derived(frame, Columns(ids=("x",))).verdict == "pass"


def test_two_thousand_columns_are_all_judged():
    frame = pd.DataFrame(np.ones((3, 2000)), columns=[f"c{k}" for k in range(2000)])
    rules = [on("be_between", name, min_value=0) for name in frame.columns]
    payload = measure_quality(as_table(frame), rules=as_suite(rules))
    assert payload.numbers["passed"] == 2000


def test_an_odd_index_does_not_matter():
    frame = pd.DataFrame({"x": np.arange(10.0), "s": ["a", "b"] * 5}, index=[0] * 10)
    many = frame.set_index(pd.MultiIndex.from_product([[0, 1], range(5)]))
    rule = on("be_between", min_value=5, row_condition='s=="a"', condition_parser="pandas")
    plain = measure_quality(as_table(frame.reset_index(drop=True)), rules=as_suite([rule])).rules
    assert measure_quality(as_table(frame), rules=as_suite([rule])).rules == plain
    assert measure_quality(as_table(many), rules=as_suite([rule])).rules == plain
    assert plain[0].rows == 5


def test_the_frame_is_not_changed():
    frame = pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64"), "f": np.float32([1, 2, np.nan])}, index=[5, 6, 7])
    before = frame.copy(deep=True)
    verdicts(frame)
    derived(frame)
    pd.testing.assert_frame_equal(frame, before)
