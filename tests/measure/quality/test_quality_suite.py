"""A suite is read from whatever holds rules, and no rule is lost on the way."""

import datetime as dt
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.config import DataQualityPolicy
from aims_mlflow.config.models import Rule
from aims_mlflow.errors import ConfigError
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import Suite, SuiteRule, as_suite, measure_quality, read_suite, suite_from_policy

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}}
BETWEEN = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0}}


def test_the_json_of_great_expectations_1_and_of_0_18_is_the_same_suite():
    new = {"name": "n", "expectations": [NOT_NULL, BETWEEN], "meta": {"great_expectations_version": "1.24.1"}}
    old = {
        "expectation_suite_name": "n",
        "expectations": [
            {"expectation_type": rule["type"], "kwargs": rule["kwargs"], "meta": {}} for rule in (NOT_NULL, BETWEEN)
        ],
    }
    assert as_suite(new) == as_suite(old) == as_suite(json.dumps(old))
    assert as_suite(new).name == "n"


def test_objects_and_their_json_are_the_same_suite():
    import great_expectations as gx
    import great_expectations.expectations as gxe

    made = gx.ExpectationSuite(
        name="n",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="x", severity="warning"),
            gxe.ExpectColumnValuesToBeBetween(column="x", min_value=0, mostly=0.9),
        ],
    )
    from_object, from_json = as_suite(made), as_suite(made.to_json_dict())
    assert from_object.sha256 == from_json.sha256 == as_suite(list(made.expectations)).sha256
    assert [rule.severity for rule in from_object.rules] == ["warning", "critical"]
    assert from_object.rules[1].kwargs == {"column": "x", "min_value": 0, "mostly": 0.9}


def test_the_digest_is_over_the_rules_whatever_their_order_ids_and_name():
    one = as_suite([NOT_NULL, BETWEEN], name="a")
    other = as_suite([{**BETWEEN, "id": "mine"}, NOT_NULL], name="b")
    assert one.sha256 == other.sha256
    assert one.sha256 != as_suite([NOT_NULL]).sha256
    assert one.sha256 != as_suite([{**NOT_NULL, "meta": {"severity": "info"}}, BETWEEN]).sha256


def test_arguments_of_any_type_have_a_digest():
    kwargs = {"column": "x", "value_set": {3, "a", 2.5}, "min_value": np.float64(1), "max_value": dt.date(2024, 1, 1)}
    twin = {"column": "x", "value_set": ["a", 2.5, 3], "min_value": 1.0, "max_value": "2024-01-01"}
    assert SuiteRule("expect_x", kwargs).id == SuiteRule("expect_x", {**twin, "value_set": {2.5, 3, "a"}}).id
    assert SuiteRule("expect_x", {"column": "x", "min_value": float("inf")}).id


def test_the_same_rule_twice_counts_once_and_one_id_for_two_rules_is_made_two():
    assert len(as_suite([NOT_NULL, NOT_NULL]).rules) == 1
    ids = [rule.id for rule in as_suite([{**NOT_NULL, "id": "mine"}, {**BETWEEN, "id": "mine"}]).rules]
    assert ids == ["mine", "mine#2"]
    both = as_suite([{**NOT_NULL, "severity": "info"}, NOT_NULL])
    assert [rule.severity for rule in both.rules] == ["info", "critical"]


def test_a_request_for_raw_values_in_a_rule_is_dropped():
    rule = as_suite(
        [{**NOT_NULL, "kwargs": {"column": "x", "result_format": "COMPLETE", "catch_exceptions": True}}]
    ).rules[0]
    assert rule.kwargs == {"column": "x"}


def test_a_parameter_takes_the_suite_s_value_and_without_one_the_rule_is_an_error():
    rule = {"type": BETWEEN["type"], "kwargs": {"column": "x", "min_value": {"$PARAMETER": "low"}}}
    table = as_table(pd.DataFrame({"x": [1.0, 2.0]}))
    filled = as_suite({"name": "n", "expectations": [rule], "suite_parameters": {"low": 5}})
    assert measure_quality(table, rules=filled).rules[0].verdict == "fail"
    result = measure_quality(table, rules=as_suite([rule])).rules[0]
    assert (result.verdict, result.error_type) == ("error", "MissingParameter")


def test_a_policy_s_file_and_inline_rules_are_one_suite(tmp_path):
    (tmp_path / "suite.json").write_text(json.dumps({"name": "file", "expectations": [NOT_NULL]}))
    policy = DataQualityPolicy(
        suite="suite.json", rules=(Rule(type=BETWEEN["type"], kwargs=BETWEEN["kwargs"], severity="info"),)
    )
    suite = suite_from_policy(policy, base=tmp_path)
    assert [(rule.source, rule.severity) for rule in suite.rules] == [("suite", "critical"), ("aims.yaml", "info")]
    assert suite.name == "file"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("[1]", "expectations[0]"),
        ('{"name": "x"}', "cannot be read from a dict"),
        ('{"expectations": [{"kwargs": {}}, {"type": "expect_x", "kwargs": 3}]}', "'type' is missing"),
        ('{"expectations": [{"type": "expect_x", "severity": "deadly"}]}', "severity"),
    ],
)
def test_a_wrong_suite_file_says_what_where_and_what_to_do(tmp_path, content, says):
    path = tmp_path / "suite.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_suite(path)
    assert says in caught.value.message
    assert caught.value.where == str(path)
    assert caught.value.remedy


def test_every_wrong_entry_is_listed():
    with pytest.raises(ConfigError) as caught:
        as_suite([NOT_NULL, {}, 3, BETWEEN])
    assert len(caught.value.problems) == 2


def test_what_holds_no_rules_is_refused():
    with pytest.raises(ConfigError, match="cannot be read from a int"):
        as_suite(3)
    with pytest.raises(ConfigError, match="not JSON"):
        as_suite("suite.json")


def test_an_unknown_rule_type_is_reported_with_the_nearest_known_and_never_dropped():
    suite = as_suite([NOT_NULL, {"type": "expect_column_values_to_be_beetween", "kwargs": {"column": "x"}}])
    payload = measure_quality(as_table({"x": np.arange(3.0)}), rules=suite)
    assert [result.verdict for result in payload.rules] == ["pass", "unknown"]
    assert "expect_column_values_to_be_between" in payload.rules[1].reason
    assert payload.verdict == "uncertain"


def test_a_suite_of_no_rules_is_not_a_pass():
    assert measure_quality(as_table({"x": np.arange(3.0)}), rules=Suite("empty")).verdict == "not_tested"


def test_reading_and_deriving_rules_imports_no_rule_engine():
    code = (
        "import sys; from aims_mlflow.config import Columns, DataQualityPolicy\n"
        "from aims_mlflow.measure.quality import as_suite, derive_suite\n"
        "as_suite([{'type': 'expect_x'}]); derive_suite(DataQualityPolicy(), Columns(target='y'))\n"
        "print([name for name in ('great_expectations', 'scipy', 'mlflow') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
