"""Rules derived from the declaration and the reference: they hold on data like it and break on data that is not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aims_mlflow.config import Columns, DataQualityPolicy
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import Suite, as_suite, derive_suite, measure_quality, profile_table, suite_in_force

POLICY = DataQualityPolicy()


def people(rows=2000, seed=0):
    rng = np.random.default_rng(seed)
    income = rng.lognormal(8, 1, rows)
    income[rng.random(rows) < 0.02] = np.nan
    return pd.DataFrame(
        {
            "id": np.arange(rows) + 10_000,
            "age": rng.integers(18, 90, rows),
            "income": income,
            "job": rng.choice(["cook", "nurse", "pilot"], rows),
            "member": rng.random(rows) < 0.5,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
            "left": rng.random(rows) < 0.2,
        }
    )


DECLARED = Columns(target="left", ids=("id",), sensitive=("job",), time="joined")
PROFILE = profile_table(as_table(people()), columns=DECLARED)


def judged(current, *, columns=DECLARED, profile=PROFILE, policy=POLICY, labelled=True, own=None):
    suite = suite_in_force(own or Suite("own"), policy=policy, columns=columns, profile=profile, labelled=labelled)
    return measure_quality(as_table(current), rules=suite, columns=columns)


def failed(payload):
    return {(r.rule.removeprefix("expect_"), r.column) for r in payload.rules if r.verdict == "fail"}


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("rows", [300, 2000, 20_000])
def test_another_draw_of_the_same_population_passes(seed, rows):
    payload = judged(people(rows, seed))
    assert payload.verdict == "pass", payload.reason
    assert payload.numbers["errors"] == payload.numbers["vacuous"] == 0


CHANGES = {
    "more missing": (
        lambda d: d.assign(income=d.income.where(d.index % 10 != 0)),
        ("column_values_to_not_be_null", "income"),
    ),
    "another unit": (lambda d: d.assign(age=d.age * 12), ("column_values_to_be_between", "age")),
    "a new job": (
        lambda d: d.assign(job=d.job.where(d.index % 20 != 0, "miner")),
        ("column_values_to_be_in_set", "job"),
    ),
    "numbers as text": (lambda d: d.assign(age=d.age.astype(str)), ("column_values_to_be_in_type_list", "age")),
    "numbers as objects of text": (
        lambda d: d.assign(age=d.age.astype(str).astype(object)),
        ("column_values_to_be_in_type_list", "age"),
    ),
    "times as text": (lambda d: d.assign(joined=d.joined.astype(str)), ("column_values_to_be_in_type_list", "joined")),
    "truth as text": (lambda d: d.assign(member=d.member.astype(str)), ("column_values_to_be_in_type_list", "member")),
    "a column gone": (lambda d: d.drop(columns="income"), ("table_columns_to_match_set", None)),
    "the target gone": (lambda d: d.drop(columns="left"), ("column_to_exist", "left")),
    "the sensitive column gone": (lambda d: d.drop(columns="job"), ("column_to_exist", "job")),
    "ids twice": (lambda d: d.assign(id=d.id // 2), ("column_values_to_be_unique", "id")),
    "a target missing": (
        lambda d: d.assign(left=d.left.astype(object).where(d.index > 0, None)),
        ("column_values_to_not_be_null", "left"),
    ),
    "no rows": (lambda d: d.iloc[:0], ("table_row_count_to_be_between", None)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_fails_the_rule_meant_for_it(change):
    spoil, rule = CHANGES[change]
    payload = judged(spoil(people(2000, 1)))
    assert payload.verdict == "fail"
    assert rule in failed(payload)


def test_a_missing_column_is_named():
    assert "'income'" in judged(people().drop(columns="income")).reason


@pytest.mark.parametrize(
    "to",
    [
        lambda d: d.convert_dtypes(dtype_backend="numpy_nullable"),
        lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
        lambda d: d.astype({"age": "uint8", "income": "float32", "job": "category", "member": object}),
        lambda d: d.astype({"age": "float64", "joined": "datetime64[s]"}),
        lambda d: __import__("polars").from_pandas(d),
        lambda d: __import__("pyarrow").Table.from_pandas(d),
    ],
)
def test_the_same_data_in_other_types_passes(to):
    payload = judged(to(people(2000, 1)))
    assert payload.verdict == "pass", payload.reason


def test_without_a_reference_the_declaration_alone_gives_rules():
    suite = derive_suite(POLICY, DECLARED)
    kinds = {(rule.type.removeprefix("expect_"), rule.columns): rule.severity for rule in suite.rules}
    assert kinds == {
        ("table_row_count_to_be_between", ()): "critical",
        ("table_column_count_to_be_between", ()): "critical",
        ("column_to_exist", ("left",)): "critical",
        ("column_to_exist", ("job",)): "critical",
        ("column_to_exist", ("joined",)): "critical",
        ("column_to_exist", ("id",)): "critical",
        ("column_values_to_not_be_null", ("left",)): "critical",
        ("column_values_to_not_be_null", ("id",)): "critical",
        ("column_values_to_be_unique", ("id",)): "warning",
    }


def test_every_column_without_a_rule_on_nulls_must_hold_a_value_whatever_the_columns_are():
    suite = derive_suite(POLICY, Columns(target="left", ignore=("note",)))
    put = {
        r.columns[0]: r.kwargs.get("mostly") for r in suite.over(people().assign(note=None)).rules if "not_be" in r.type
    }
    assert put.pop("left") is None
    assert set(put) == set(people().columns) - {"left"}
    assert all(0 < mostly < 1e-6 for mostly in put.values())
    assert suite.sha256 != Suite("same rules without", suite.rules).sha256


def test_unlabelled_data_needs_no_target():
    assert judged(people(500, 1).drop(columns="left"), labelled=False).verdict == "pass"


def test_an_id_that_repeats_in_the_reference_is_not_held_to_be_unique():
    visits = people().assign(id=lambda d: d.id // 3)
    profile = profile_table(as_table(visits), columns=DECLARED)
    assert not any("unique" in rule.type for rule in derive_suite(POLICY, DECLARED, profile).rules)


def test_limits_follow_the_policy_and_the_reference_not_the_data_at_hand():
    rules = {(r.type, r.columns[0]): r.kwargs for r in derive_suite(POLICY, DECLARED, PROFILE).rules if r.columns}
    age = rules["expect_column_values_to_be_between", "age"]
    low, high = np.quantile(people().age, [0.01, 0.99])
    width = high - low
    assert low - 0.5 * width - 0.02 * width < age["min_value"] <= low - 0.5 * width
    assert high + 0.5 * width <= age["max_value"] < high + 0.5 * width + 0.02 * width
    income = people().income.isna().mean()
    assert rules["expect_column_values_to_not_be_null", "income"]["mostly"] == pytest.approx(
        1 - income - 0.05, abs=1e-6
    )
    tight = DataQualityPolicy(max_categories=2)
    tight_profile = profile_table(as_table(people()), policy=tight, columns=DECLARED)
    assert "expect_column_values_to_be_in_set" not in {
        r.type for r in derive_suite(tight, DECLARED, tight_profile).rules if r.columns == ("job",)
    }


def test_ignored_and_predicted_columns_have_no_rules():
    columns = Columns(ignore=("income",), prediction="member", probability="age")
    suite = derive_suite(POLICY, columns, PROFILE)
    assert not {"income", "member", "age"} & {name for rule in suite.rules for name in rule.columns}


def test_a_whole_number_declared_categorical_gets_a_set():
    columns = Columns(categorical=("code",))
    frame = pd.DataFrame({"code": np.arange(500) % 7})
    profile = profile_table(as_table(frame), columns=columns)
    types = [rule.type for rule in derive_suite(POLICY, columns, profile).rules if rule.columns == ("code",)]
    assert "expect_column_values_to_be_in_set" in types
    assert "expect_column_values_to_be_between" not in types
    assert judged(frame.replace(6, 99), columns=columns, profile=profile).verdict == "fail"


def test_what_the_author_ruled_on_is_not_derived_too():
    own = as_suite([{"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "max_value": 30}}])
    suite = suite_in_force(own, policy=POLICY, columns=DECLARED, profile=PROFILE)
    about_age = [r for r in suite.rules if r.columns == ("age",) and r.type.endswith("between")]
    assert [rule.kwargs for rule in about_age] == [{"column": "age", "max_value": 30}]
    assert suite_in_force(own, policy=DataQualityPolicy(derive=False), columns=DECLARED, profile=PROFILE) is own


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 600),
    shape=st.sampled_from(
        ["normal", "cauchy", "pareto", "two points", "constant", "tiny", "huge", "infinite", "integers"]
    ),
)
def test_the_reference_itself_always_passes(seed, rows, shape):
    rng = np.random.default_rng(seed)
    values = {
        "normal": lambda: rng.normal(0, 1, rows),
        "cauchy": lambda: rng.standard_cauchy(rows),
        "pareto": lambda: rng.pareto(0.5, rows),
        "two points": lambda: np.where(rng.random(rows) < 0.015, 1e6, 0.0),
        "constant": lambda: np.full(rows, 0.1 + 0.2),
        "tiny": lambda: rng.normal(0, 1e-300, rows),
        "huge": lambda: rng.normal(0, 1e300, rows),
        "infinite": lambda: np.where(rng.random(rows) < 0.3, np.inf, rng.normal(0, 1, rows)),
        "integers": lambda: rng.integers(-(2**40), 2**40, rows),
    }[shape]()
    frame = pd.DataFrame({"x": values})
    profile = profile_table(as_table(frame))
    payload = judged(frame, columns=Columns(), profile=profile)
    assert payload.verdict == "pass", payload.reason
