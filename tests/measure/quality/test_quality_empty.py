"""Data that holds nothing, or a column that does: never a pass on rules that had nothing to judge."""

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.config import Columns, DataQualityPolicy
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import Suite, as_suite, measure_quality, profile_table, suite_in_force

N = 100


def good():
    rng = np.random.default_rng(0)
    return pd.DataFrame({f"c{place}": rng.normal(size=N) for place in range(19)} | {"label": rng.choice(["a", "b"], N)})


def derived(frame, reference=None, *, own=(), **columns):
    policy, declared = DataQualityPolicy(), Columns(**columns)
    profile = None if reference is None else profile_table(as_table(reference), policy=policy, columns=declared)
    suite = suite_in_force(as_suite(list(own)), policy=policy, columns=declared, profile=profile)
    return measure_quality(as_table(frame), rules=suite, columns=declared)


def on(column, kind="not_be_null", **kwargs):
    return {"type": f"expect_column_values_to_{kind}", "kwargs": {"column": column, **kwargs}}


EMPTY = {
    "NaN": np.full(N, np.nan),
    "None": pd.Series([None] * N, dtype=object),
    "NaT": pd.Series([pd.NaT] * N, dtype="datetime64[ns]"),
    "NA": pd.array([pd.NA] * N, dtype="Int64"),
    "no category": pd.Categorical([None] * N, categories=["a", "b"]),
    "text": pd.array([None] * N, dtype="string[pyarrow]"),
    "Arrow": pd.array([None] * N, dtype="double[pyarrow]"),
    "of no type": pd.array([None] * N, dtype="null[pyarrow]"),
    "sparse": pd.arrays.SparseArray([np.nan] * N),
}


@pytest.mark.parametrize("with_reference", ["none", "itself", "one that was filled", "one without the column"])
@pytest.mark.parametrize("kind", EMPTY)
def test_one_empty_column_among_twenty_fails_and_is_named(kind, with_reference):
    frame = good().assign(gone=EMPTY[kind])
    reference = {"none": None, "itself": frame, "one that was filled": frame.assign(gone=1.5)}.get(
        with_reference, good()
    )
    payload = derived(frame, reference)
    assert payload.verdict == "fail"
    assert "on column 'gone': the column holds no value" in payload.reason
    assert payload.numbers["empty_columns"] == 1
    assert {r.column for r in payload.rules if r.verdict != "pass"} == {"gone"}


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_an_empty_column_of_no_type_fails(library):
    module = pytest.importorskip(library)
    make = module.DataFrame if library == "polars" else module.table
    payload = derived(make({"x": [1.5] * N, "gone": [None] * N}))
    assert payload.verdict == "fail"
    assert "'gone'" in payload.reason


def test_a_single_value_is_enough_without_a_reference():
    frame = good().assign(rare=[1.0] + [np.nan] * (N - 1))
    assert derived(frame).verdict == "pass"


@pytest.mark.parametrize("with_reference", [True, False])
def test_a_column_may_be_empty_where_its_rule_or_the_declaration_says_so_and_the_reason_names_it(with_reference):
    frame = good().assign(gone=np.nan)
    reference = frame if with_reference else None
    for payload in (derived(frame, reference, own=[on("gone", mostly=0)]), derived(frame, reference, ignore=("gone",))):
        assert payload.verdict == "pass"
        assert "no value in 1 of 21 columns: 'gone'" in payload.reason


def test_an_allowance_of_all_nulls_does_not_let_an_empty_column_through():
    policy = DataQualityPolicy(max_missing_increase=1)
    profile = profile_table(as_table(good()), policy=policy)
    suite = suite_in_force(Suite("own"), policy=policy, columns=Columns(), profile=profile)
    payload = measure_quality(as_table(good().assign(c3=np.nan)), rules=suite)
    assert payload.verdict == "fail"
    assert "'c3'" in payload.reason


NOTHING = {
    "no columns": (pd.DataFrame(index=range(N)), "The data has no columns"),
    "no rows": (good().iloc[:0], "The data has no rows"),
    "no rows and no columns": (pd.DataFrame(), "The data has no columns"),
    "no value": (pd.DataFrame({"c0": np.full(N, np.nan), "label": [None] * N}), "No column of the data holds a value"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_data_that_holds_nothing_fails_every_derived_suite(name):
    frame, _ = NOTHING[name]
    for reference in (None, good(), frame):
        payload = derived(frame, reference)
        assert payload.verdict == "fail"
        assert ": the " in payload.reason or ": missing " in payload.reason


@pytest.mark.parametrize("name", NOTHING)
def test_data_that_holds_nothing_does_not_pass_rules_on_names_and_counts(name):
    frame, reason = NOTHING[name]
    rules = [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"max_value": N}},
        {"type": "expect_table_column_count_to_be_between", "kwargs": {"max_value": N}},
    ]
    payload = measure_quality(as_table(frame), rules=as_suite(rules))
    assert [rule.verdict for rule in payload.rules] == ["pass", "pass"]
    assert payload.verdict == "not_tested"
    assert payload.reason.startswith(reason)


@pytest.mark.parametrize("engine", ["direct", "public"])
@pytest.mark.parametrize("kind", ["None", "text", "no category"])
def test_the_type_of_a_column_without_values_is_not_confirmed(kind, engine):
    frame = pd.DataFrame({"x": EMPTY[kind], "y": 1.0})
    rules = as_suite([on("x", "be_of_type", type_="str"), on("x", "be_in_type_list", type_list=["str", "object"])])
    payload = measure_quality(as_table(frame), rules=rules, engine=engine)
    assert "pass" not in {str(rule.verdict) for rule in payload.rules}
    assert payload.verdict != "pass"
