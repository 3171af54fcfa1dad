"""The direct engine says what Great Expectations' own documented path says, rule by rule."""

import sys
import threading
import warnings

import every_expectation
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aims_mlflow.evidence import RuleVerdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import as_suite, measure_quality
from aims_mlflow.measure.quality import great_expectations as engine


def both(frame, rules):
    table, suite = as_table(frame), as_suite(rules)
    direct, public = engine.run_rules(table, suite.rules), engine.run_rules(table, suite.rules, public=True)
    return suite.rules, direct, public


def found(outcome):
    return outcome.verdict, outcome.considered, outcome.unexpected, outcome.observed


def test_direct_and_public_path_agree_on_rules_of_every_type():
    rules, direct, public = both(every_expectation.frame(), every_expectation.rules())
    # Great Expectations 1.8 raises on its public path while it collects the values that broke a set of pairs.
    old = engine.engine_version().startswith("1.8.")
    different = [
        (rule.type, rule.columns, a, b)
        for rule, a, b in zip(rules, direct, public, strict=True)
        if found(a) != found(b) and not (old and rule.type.endswith("pair_values_to_be_in_set"))
    ]
    assert different == []
    assert len(rules) >= 60
    assert {outcome.verdict for outcome in direct} == set(RuleVerdict)


def test_every_type_great_expectations_has_is_covered():
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    engine.library()
    known = {name for name in list_registered_expectation_implementations() if not name.startswith("custom_")}
    assert known <= {rule["type"] for rule in every_expectation.rules()}


CELL = {
    "float": st.one_of(st.floats(allow_nan=True, allow_infinity=True, width=32), st.integers(-3, 3).map(float)),
    "int": st.integers(-5, 5),
    "text": st.one_of(st.none(), st.sampled_from(["a", "b", "c", "", "ü"])),
    "bool": st.booleans(),
}
RULES = st.lists(
    st.one_of(
        st.tuples(st.just("not_be_null"), st.fixed_dictionaries({"mostly": st.sampled_from([0.0, 0.5, 0.9, 1.0])})),
        st.tuples(st.just("be_unique"), st.just({})),
        st.tuples(
            st.just("be_between"),
            st.fixed_dictionaries(
                {
                    "min_value": st.integers(-3, 0),
                    "max_value": st.integers(0, 3),
                    "mostly": st.sampled_from([0.3, 1.0]),
                },
                optional={"strict_min": st.booleans(), "strict_max": st.booleans()},
            ),
        ),
        st.tuples(
            st.just("be_in_set"),
            st.fixed_dictionaries({"value_set": st.lists(st.sampled_from([0, 1, 2, "a", "b", True]), max_size=4)}),
        ),
        st.tuples(
            st.just("be_of_type"), st.fixed_dictionaries({"type_": st.sampled_from(["float64", "int64", "str"])})
        ),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), kind=st.sampled_from(sorted(CELL)), rows=st.integers(0, 30), rules=RULES)
def test_direct_and_public_path_agree_on_random_columns_and_rules(data, kind, rows, rules):
    cells = data.draw(st.lists(CELL[kind], min_size=rows, max_size=rows))
    dtype = {"float": "float64", "int": "int64", "text": object, "bool": bool}[kind]
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=dtype), "y": np.arange(rows)})
    made = [{"type": f"expect_column_values_to_{name}", "kwargs": {"column": "x", **kwargs}} for name, kwargs in rules]
    _, direct, public = both(frame, made)
    assert [found(outcome) for outcome in direct] == [found(outcome) for outcome in public]


@pytest.mark.parametrize(
    "dtype", ["float32", "int8", "uint16", "uint64", "Int64", "Float64", "int32[pyarrow]", "double[pyarrow]"]
)
def test_converting_a_column_changes_no_verdict_and_no_count(dtype):
    values = np.arange(200) % 23
    plain = as_table(pd.DataFrame({"x": values.astype("float64" if "loat" in dtype or "double" in dtype else "int64")}))
    other = as_table(pd.DataFrame({"x": pd.Series(values).astype(dtype)}))
    rules = as_suite(
        [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "x", "min_value": 2, "max_value": 20.5},
            },
            {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "x", "value_set": [0, 1, 2]}},
            {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "x", "min_value": 0, "max_value": 11}},
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}},
        ]
    ).rules
    assert [found(o) for o in engine.run_rules(plain, rules)] == [found(o) for o in engine.run_rules(other, rules)]


def test_a_rule_about_types_sees_the_type_the_frame_has():
    frame = pd.DataFrame({"x": pd.Series([1, None], dtype="Int64")})
    rules = [
        {"type": "expect_column_values_to_be_of_type", "kwargs": {"column": "x", "type_": kind}}
        for kind in ("int64", "float64")
    ]
    assert [r.verdict for r in measure_quality(as_table(frame), rules=as_suite(rules)).rules] == ["pass", "fail"]


def test_a_date_is_the_moment_it_begins():
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=10, freq="D")})
    rules = [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "when", "min_value": day, "mostly": 0.5}}
        for day in ("2024-01-06", "2024-01-07", "2024-01-06T00:00:00")
    ]
    results = measure_quality(as_table(frame), rules=as_suite(rules)).rules
    assert [result.verdict for result in results] == ["pass", "fail", "pass"]
    assert results[0].limit["min_value"] == "2024-01-06"


def test_threads_do_not_see_each_other_s_data():
    suite = as_suite([{"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}])
    seen = {}

    def measure(rows):
        table = as_table(pd.DataFrame({"x": np.arange(rows)}))
        seen[rows] = [measure_quality(table, rules=suite).rules[0].value for _ in range(5)]

    threads = [threading.Thread(target=measure, args=(rows,)) for rows in range(10, 18)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {rows: [rows] * 5 for rows in range(10, 18)}


def test_neither_path_touches_the_caller_s_project_warnings_or_environment(capfd):
    import logging
    import os

    import great_expectations as gx

    logging.captureWarnings(False)
    own = gx.get_context(mode="ephemeral")
    shown, environment = warnings.showwarning, dict(os.environ)
    table, suite = as_table(every_expectation.frame()), as_suite(every_expectation.rules())
    capfd.readouterr()
    for way in ("direct", "public"):
        measure_quality(table, rules=suite, engine=way)
    assert gx.data_context.data_context.context_factory.project_manager._project is own
    assert warnings.showwarning is shown
    assert dict(os.environ) == environment
    printed = capfd.readouterr()
    assert "Calculating Metrics" not in printed.err + printed.out
    assert every_expectation.MARKER not in printed.err + printed.out


def test_where_the_direct_classes_are_gone_the_public_path_runs(monkeypatch):
    table, suite = as_table(every_expectation.frame()), as_suite(every_expectation.rules()[:30])
    before = measure_quality(table, rules=suite).rules
    monkeypatch.delattr(sys.modules["great_expectations.validator.metrics_calculator"], "MetricsCalculator")
    calls = []
    public = engine.run_public
    monkeypatch.setattr(engine, "run_public", lambda *args: calls.append(1) or public(*args))
    after = measure_quality(table, rules=suite).rules
    assert calls == [1]
    assert [r.model_copy(update={"error_type": None}) for r in after] == [
        r.model_copy(update={"error_type": None}) for r in before
    ]


def test_one_raising_rule_takes_no_other_with_it():
    frame = pd.DataFrame({"x": ["a", "b", None]})
    kwargs = {"column": "x", "min_value": 0, "max_value": 1}
    rules = [
        {"type": "expect_column_values_to_be_between", "kwargs": kwargs},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x", "mostly": 0.5}},
        {"type": "expect_column_mean_to_be_between", "kwargs": kwargs},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "x"}},
    ]
    results = measure_quality(as_table(frame), rules=as_suite(rules)).rules
    assert [result.verdict for result in results] == ["error", "pass", "error", "pass"]
    assert results[0].error_type == "TypeError"
