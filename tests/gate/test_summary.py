"""What CI and merge requests show of a decision."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest
from cases import AT, CHAMPION, declaration, facts, review, row, rows, statement

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.gate.decision import decide
from aims_mlflow.gate.summary import junit, markdown

REGISTER = load_catalog().rows


def judge(version=None, entries=(), **policy):
    return decide(version or facts(), CHAMPION, entries, declaration(**policy), at=AT, rows=REGISTER)


def broken():
    return facts(statement(rows=rows(A_7_4=row(Status.NOT_SATISFIED))))


def test_a_refusal_is_a_failure_with_the_reason_and_the_command():
    root = Xml.fromstring(junit(judge(broken())))
    assert root.attrib["failures"] == "1"
    failure = root.find(".//failure")
    assert failure.attrib["message"] == "not satisfied"
    assert "aims assess models:/credit/3" in failure.text
    text = markdown(judge(broken()))
    assert text.startswith("### ✗ AIMS gate: refused, `credit` version 3 → `champion`")
    assert (
        "| A.7.4 Quality of data for AI systems | not satisfied | `mend what aims report models:/credit/3 says" in text
    )


@pytest.mark.parametrize(
    ("decision", "word"),
    [
        (judge(), "allowed, "),
        (judge(broken(), mode="observe"), "would be refused"),
        (judge(broken(), [review("waive", controls=("A.7.4",))]), "allowed by waiver"),
        (judge(broken(), [review("break-glass")]), "allowed by break-glass"),
    ],
)
def test_what_is_not_refused_is_no_failure_and_says_why(decision, word):
    root = Xml.fromstring(junit(decision))
    assert root.attrib["failures"] == "0"
    assert root.find(".//testcase") is not None
    assert word in markdown(decision)


def test_names_can_neither_break_out_of_the_table_nor_mention_people():
    said = [review("reject", person="a|b [x](http://evil) @everyone <b>", reason="no\n\n# heading\x00")]
    decision = judge(facts(model="m|x"), said)
    table = [line for line in markdown(decision).splitlines() if line.startswith("| rejected")]
    assert len(table) == 1
    assert "@everyone" not in table[0]
    assert "](http" not in table[0].replace("\\[x](http", "")
    Xml.fromstring(junit(decision))


def test_what_could_not_be_decided_is_an_error_and_not_a_failure():
    root = Xml.fromstring(junit(judge(facts(unreadable=("the run could not be read",)))))
    assert (root.attrib["failures"], root.attrib["errors"]) == ("0", "1")
    assert root.find(".//error").attrib["message"] == "the run could not be read"


def test_what_a_waiver_covers_is_skipped_with_who_waived_it_until_when_and_why():
    decision = judge(broken(), [review("waive", controls=("A.7.4",), role="owner")])
    root = Xml.fromstring(junit(decision))
    assert (root.attrib["skipped"], root.attrib["failures"]) == ("1", "0")
    said = "waived by reviewer as owner until 2026-11-27 12:00 UTC: looked at the report"
    assert root.find(".//skipped").attrib["message"] == said
    assert said in markdown(decision)
    assert Xml.fromstring(junit(judge(broken()))).find(".//skipped") is None
