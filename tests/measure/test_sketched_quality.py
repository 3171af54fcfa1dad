"""Derived rules held against a profile: the verdicts the rows themselves get."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.config import Columns, DataQualityPolicy, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import RuleVerdict, Verdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import measure_quality, profile_table
from aims_mlflow.measure.quality.run import suite_in_force
from aims_mlflow.measure.quality.suite import Suite
from aims_mlflow.measure.sketched import quality_of_profile
from aims_mlflow.sketches import Profile

COLUMNS = Columns(ids=("key",), target="paid", safe_labels=("branch",))
PRIVACY = PrivacyPolicy()


def frame(rows, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": rng.normal(100, 20, rows),
            "ratio": np.where(rng.random(rows) < 0.02, np.nan, rng.standard_cauchy(rows)),
            "age": rng.integers(18, 90, rows),
            "branch": rng.choice(["north", "south", "east"], rows),
            "key": np.arange(rows),
            "paid": rng.random(rows) < 0.4,
        }
    )


REFERENCE = frame(4000)
PLAN = Profile.plan_of(as_table(REFERENCE), columns=COLUMNS, privacy=PRIVACY)
BASE = Profile.of(as_table(REFERENCE), PLAN)


def quality(rows, **kwargs):
    own = Profile.empty(PLAN)
    for part in rows if isinstance(rows, list) else [rows]:
        own.add(as_table(part))
    return quality_of_profile(
        Profile.from_bytes(BASE.to_bytes(smallest_cell=5)), own,
        policy=DataQualityPolicy(), columns=COLUMNS, privacy=PRIVACY, **kwargs,
    )  # fmt: skip


def failed(payload):
    return {(rule.rule, rule.column) for rule in payload.rules if rule.verdict is RuleVerdict.FAIL}


def broken(kind):
    rows = frame(1000, seed=1)
    at = rows.index
    match kind:
        case "nulls":
            rows.loc[at[:150], "amount"] = np.nan
        case "a few nulls more":
            rows.loc[at[:30], "amount"] = np.nan
        case "out of range":
            rows.loc[at[:100], "amount"] = 900.0
        case "under the range":
            rows.loc[at[:100], "age"] = -500
        case "unseen labels":
            rows.loc[at[:50], "branch"] = "west"
        case "a few unseen labels":
            rows.loc[at[:6], "branch"] = "west"
        case "empty column":
            rows["amount"] = np.nan
    return rows


@pytest.mark.parametrize(
    "kind",
    ["nothing", "nulls", "a few nulls more", "out of range", "under the range", "unseen labels", "a few unseen labels"],
)
def test_verdicts_are_those_of_the_rows_themselves(kind):
    rows = broken(kind)
    found = quality(rows)
    profile = profile_table(as_table(REFERENCE), columns=COLUMNS)
    suite = suite_in_force(Suite("own"), policy=DataQualityPolicy(), columns=COLUMNS, profile=profile)
    right = measure_quality(as_table(rows), rules=suite, columns=COLUMNS)
    assert found.verdict is right.verdict
    unique = {rule for rule in failed(right) if "unique" in rule[0]}
    assert failed(found) == failed(right) - unique
    by_rule = {(rule.rule, rule.column): rule for rule in right.rules}
    for rule in found.rules:
        other = by_rule.get((rule.rule, rule.column))
        if other is not None and rule.rule in (
            "expect_column_values_to_not_be_null",
            "expect_column_values_to_be_in_set",
        ):
            assert (rule.verdict, rule.unexpected, rule.value) == (other.verdict, other.unexpected, other.value)


def test_an_empty_column_is_no_pass():
    found = quality(broken("empty column"))
    assert found.verdict is Verdict.FAIL
    assert ("expect_column_values_to_not_be_null", "amount") in failed(found)


def test_missing_new_and_retyped_columns_are_told():
    rows = frame(1000, seed=1)
    found = quality([rows.iloc[:400], rows.iloc[400:].drop(columns="age").assign(amount="lots", branch=1.5, extra=1)])
    assert found.verdict is Verdict.FAIL
    assert {("expect_table_columns_to_match_set", None), ("expect_column_values_to_be_in_type_list", "amount"),
            ("expect_column_values_to_be_in_type_list", "branch")} <= failed(found)  # fmt: skip
    assert ("expect_column_values_to_not_be_null", "age") in failed(found)
    numbers = found.numbers
    assert (numbers["missing_columns"], numbers["new_columns"], numbers["retyped_columns"]) == (1, 1, 2)
    assert "1 column" in found.reason
    gone = quality(rows.drop(columns="age"))
    assert {r.error_type for r in gone.rules if r.column == "age"} >= {"MissingColumn"}


def test_data_without_a_target_is_not_blamed_for_it_unless_it_should_have_one():
    rows = frame(1000, seed=1).drop(columns="paid")
    assert quality(rows).verdict is Verdict.PASS
    assert quality(rows, labelled=True).verdict is Verdict.FAIL


def test_no_rows_are_no_pass():
    assert quality([]).verdict is not Verdict.PASS


def test_counts_of_a_few_rows_are_not_told_nor_any_label():
    rows = frame(1000, seed=1)
    rows.loc[rows.index[:3], "branch"] = "west"
    found = quality(rows)
    rule = next(r for r in found.rules if r.rule == "expect_column_values_to_be_in_set")
    assert rule.unexpected is None and rule.value is None
    assert "west" not in repr(found) and "north" not in repr(found)


def test_ranges_end_at_edges_of_bins_and_the_rules_are_the_same_each_time():
    one, other = quality(frame(500, seed=2)), quality(frame(700, seed=3))
    assert one.suite_sha256 == other.suite_sha256
    between = [r for r in one.rules if r.rule == "expect_column_values_to_be_between"]
    assert {r.column for r in between} == {"amount", "ratio", "age"}
    amount = next(r for r in between if r.column == "amount")
    assert -10 < amount.limit["min_value"] < 30 and 170 < amount.limit["max_value"] < 210


def test_profiles_of_different_plans_are_refused():
    other = frame(500, seed=9)
    plan = Profile.plan_of(as_table(other), columns=COLUMNS, privacy=PRIVACY)
    with pytest.raises(InputError, match="different plans"):
        quality_of_profile(
            BASE, Profile.of(as_table(other), plan), policy=DataQualityPolicy(), columns=COLUMNS, privacy=PRIVACY
        )
