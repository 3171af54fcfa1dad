"""One verdict over all rules: it fails closed, and its sentence names the worst rule."""

import itertools

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.evidence import (
    DataQualityEvidence,
    DatasetRef,
    RuleResult,
    RuleVerdict,
    Tool,
    Verdict,
    canonical_json,
    now,
    parse_evidence,
)
from aims_mlflow.frames import as_table
from aims_mlflow.measure.quality import as_suite, measure_quality
from aims_mlflow.measure.quality.verdict import counts, overall


def result(verdict, severity="critical", column="x", value=None):
    measure = "unexpected share" if value is not None else "held or not"
    unexpected = None if value is None else int(value * 100)
    return RuleResult(
        rule_id="r",
        rule="expect_it",
        column=column,
        measure=measure,
        value=value,
        unexpected=unexpected,
        verdict=verdict,
        severity=severity,
        reason="" if verdict in ("pass", "fail") else "because",
    )


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([], "not_tested"),
        ([("pass", "critical")], "pass"),
        ([("fail", "critical"), ("pass", "critical")], "fail"),
        ([("fail", "critical"), ("error", "critical")], "fail"),
        ([("fail", "critical"), ("unknown", "info")], "fail"),
        ([("error", "critical"), ("pass", "critical")], "uncertain"),
        ([("error", "info"), ("pass", "critical")], "uncertain"),
        ([("unknown", "warning"), ("pass", "critical")], "uncertain"),
        ([("error", "critical")], "not_tested"),
        ([("unknown", "critical"), ("vacuous", "critical")], "not_tested"),
        ([("vacuous", "critical")], "not_tested"),
        ([("vacuous", "critical"), ("pass", "critical")], "uncertain"),
        ([("vacuous", "info"), ("pass", "critical")], "pass"),
        ([("fail", "warning"), ("pass", "critical")], "pass"),
        ([("fail", "warning"), ("fail", "info")], "uncertain"),
        ([("pass", "warning")], "pass"),
    ],
)
def test_the_verdict_of_every_mixture(results, verdict):
    assert overall([result(*pair) for pair in results])[0] == verdict


def test_no_mixture_with_a_rule_that_did_not_run_passes():
    for mixture in itertools.product(RuleVerdict, repeat=3):
        verdict, reason = overall([result(one) for one in mixture])
        assert reason.endswith(".")
        if verdict is Verdict.PASS:
            assert set(mixture) == {RuleVerdict.PASS}


def test_the_sentence_names_the_worst_rule_and_its_column():
    reason = overall([result("fail", column="mild", value=0.1), result("fail", column="bad", value=0.9)])[1]
    assert "'bad'" in reason
    assert "90.00%" in reason
    assert "2 of 2 rules failed" in reason


def test_failed_warnings_are_counted_and_said():
    results = [result("pass"), result("fail", "warning", "w"), result("fail", "info", "i")]
    verdict, reason = overall(results)
    assert verdict is Verdict.PASS
    assert "2 of lower severity failed" in reason
    numbers = counts(results)
    assert (numbers["failed"], numbers["failed_critical"], numbers["failed_warning"], numbers["failed_info"]) == (
        2,
        0,
        1,
        1,
    )


def test_the_payload_is_evidence_that_reads_back():
    rules = as_suite(
        [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "x", "min_value": 0},
                "severity": "warning",
            },
            {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "gone"}},
        ],
        name="mine",
    )
    payload = measure_quality(as_table(pd.DataFrame({"x": np.arange(-50.0, 50.0)})), rules=rules)
    record = DataQualityEvidence(
        collector=Tool(name="c", version="0"), captured_at=now(), dataset=DatasetRef(), **payload.as_fields()
    )
    assert parse_evidence(canonical_json(record)) == record
    first, second = record.rules
    assert (first.verdict, first.value, first.unexpected, first.rows, first.severity) == (
        "fail",
        0.5,
        50,
        100,
        "warning",
    )
    assert (second.verdict, second.error_type) == ("error", "MissingColumn")
    assert record.suite_name == "mine"
    assert record.suite_sha256 == rules.sha256
    assert record.engine.name == "great_expectations"
    assert record.numbers["rows"] == 100
