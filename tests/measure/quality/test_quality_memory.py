"""What keeps memory low changes no verdict and no count: repeats by sorting, labels as codes, frames let go."""

import gc
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aims_mlflow.config import Columns, DataQualityPolicy, DriftPolicy, PrivacyPolicy
from aims_mlflow.frames import as_table, fingerprint_table
from aims_mlflow.measure.drift import measure_drift
from aims_mlflow.measure.quality import (
    Suite,
    SuiteRule,
    as_suite,
    measure_quality,
    profile_table,
    repeats,
    suite_in_force,
)
from aims_mlflow.measure.quality import great_expectations as engine

UNIQUE = "expect_column_values_to_be_unique"


def plain(outcome):
    return outcome.verdict, outcome.considered, outcome.unexpected


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.data(),
    dtype=st.sampled_from(["int64", "int8", "uint64", "int32", "float64", "float32"]),
    block=st.sampled_from([1, 2, 3, 7, 64]),
    order=st.sampled_from(["drawn", "ascending", "descending"]),
)
def test_repeats_are_those_pandas_finds_whatever_the_type_and_the_block(data, dtype, block, order):
    edges = np.iinfo(dtype) if dtype[0] in "iu" else None
    cell = (
        st.one_of(st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1.5]), st.floats(width=32))
        if edges is None
        else st.one_of(st.integers(0, 9), st.sampled_from([edges.min, edges.max, edges.max - 1]))
    )
    values = np.array(data.draw(st.lists(cell, max_size=40)), dtype=dtype)
    values = {"drawn": values, "ascending": np.sort(values), "descending": np.sort(values)[::-1]}[order]
    before = values.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_BLOCK", block)
        found = repeats.repeated_rows(values)
    assert found == int(pd.Series(values).dropna().duplicated(keep=False).sum())
    np.testing.assert_array_equal(values, before)


IDS = {
    "in order": np.arange(300),
    "backwards": np.arange(300)[::-1],
    "shuffled": np.random.default_rng(0).permutation(300) + 2**40,
    "far apart": np.arange(300)[::-1] % 299 * 2**50,
    "unsigned": np.array([2**63 - 1, 5, 5] * 100, dtype=np.uint64),
    "beyond int64": np.array([2**64 - 1, 2**64 - 2, *range(5, 303)], dtype=np.uint64),
    "two the same": np.r_[np.arange(299), 7],
    "floats with NaN": np.where(np.arange(300) % 3 == 0, np.nan, np.arange(300)),
    "zeros of both signs": np.r_[0.0, -0.0, np.arange(1.0, 299.0)],
    "only NaN": np.full(300, np.nan),
    "nullable": pd.array([1, None, 3] * 100, dtype="Int64"),
    "truth values": np.arange(300) % 2 == 0,
    "text": np.array([f"id {n // 2}" for n in range(300)], dtype=object),
    "nothing": np.array([], dtype=np.int64),
}


@pytest.mark.parametrize("name", IDS)
def test_uniqueness_is_judged_as_on_great_expectations_own_path(name):
    rules = as_suite(
        [
            {"type": UNIQUE, "kwargs": {"column": "x"}},
            {"type": UNIQUE, "kwargs": {"column": "x", "mostly": 0.6}},
            {"type": UNIQUE, "kwargs": {"column": "x", "row_condition": "y < 20", "condition_parser": "pandas"}},
        ]
    ).rules
    table = as_table(pd.DataFrame({"x": IDS[name], "y": np.arange(len(IDS[name]))}))
    direct, public = engine.run_rules(table, rules), engine.run_rules(table, rules, public=True)
    assert [plain(outcome) for outcome in direct] == [plain(outcome) for outcome in public]


LABELS = {
    "text": pd.array(["a", "b", None, "z"] * 50, dtype="string[pyarrow]"),
    "Arrow text": pd.array(["a", "b", None, "z"] * 50, dtype="string[pyarrow]"),
    "objects": pd.Series(["a", "b", None, "z"] * 50, dtype=object),
    "no value": pd.array([None] * 200, dtype="string[pyarrow]"),
    "empty text": pd.array(["", "a"] * 100, dtype="string[pyarrow]"),
    "many": pd.array([f"label {n}" for n in range(200)], dtype="string[pyarrow]"),
    "truth values": np.arange(200) % 2 == 0,
}


@pytest.mark.parametrize("values", [["a", "b"], ["a", 1, True], [""], [False], [f"label {n}" for n in range(199)]])
@pytest.mark.parametrize("name", LABELS)
def test_derived_rules_on_labels_are_judged_as_on_great_expectations_own_path(name, values):
    kwargs = {"column": "x", "mostly": 0.45}
    rules = [
        SuiteRule("expect_column_values_to_not_be_null", kwargs, source="derived"),
        SuiteRule("expect_column_values_to_be_in_set", {**kwargs, "value_set": values}, source="derived"),
    ]
    table = as_table(pd.DataFrame({"x": LABELS[name]}))
    direct, public = engine.run_rules(table, rules), engine.run_rules(table, rules, public=True)
    assert [plain(outcome) for outcome in direct] == [plain(outcome) for outcome in public]


def test_the_frame_a_rule_was_judged_over_is_let_go_at_once(monkeypatch):
    seen = []
    make = engine._frame

    def watched(*args, **kwargs):
        frame = make(*args, **kwargs)
        seen.append(weakref.ref(frame))
        return frame

    monkeypatch.setattr(engine, "_frame", watched)
    table = as_table(pd.DataFrame({"x": np.arange(100.0), "y": np.arange(100)}))
    rules = as_suite([{"type": UNIQUE, "kwargs": {"column": name}} for name in ("x", "y")]).rules
    gc.collect()
    gc.disable()
    try:
        engine.run_rules(table, rules)
        assert len(seen) == 2
        assert [frame() for frame in seen] == [None, None]
    finally:
        gc.enable()


def big(rows, seed):
    rng = np.random.default_rng(seed)
    data = {f"f{place}": rng.normal(place, 1, rows) for place in range(12)}
    data["f3"][rng.random(rows) < 0.02] = np.nan
    data |= {f"i{place}": rng.poisson(20, rows) for place in range(4)}
    data |= {f"c{levels}": rng.choice([f"label {n}" for n in range(levels)], rows) for levels in (3, 10, 50)}
    return pd.DataFrame({**data, "id": rng.permutation(rows)})


def test_quality_and_drift_take_less_than_a_fifth_of_the_frame():
    columns, policy, privacy = Columns(ids=("id",)), DataQualityPolicy(), PrivacyPolicy()

    def measure(reference, current):
        base, table = as_table(reference), as_table(current)
        fingerprint_table(table)
        profile = profile_table(base, policy=policy, columns=columns, privacy=privacy)
        suite = suite_in_force(Suite("own"), policy=policy, columns=columns, profile=profile)
        quality = measure_quality(table, rules=suite, columns=columns)
        return quality, measure_drift(base, table, policy=DriftPolicy(), columns=columns, privacy=privacy)

    reference, current = big(420_000, 0), big(420_000, 1)
    measure(reference[:1000], current[:1000])  # what the first use of a library keeps
    gc.collect()
    tracemalloc.start()
    try:
        quality, drift = measure(reference, current)
        extra = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (quality.verdict, drift.tested) == ("pass", 19)
    assert extra < 0.2 * current.memory_usage(deep=True).sum()
