"""Words in the log that are true in form, and meant to get a version past the gate."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cases import AT, CHAMPION, declaration, facts, review, row, rows, statement

from aims_mlflow.assessment import Status
from aims_mlflow.gate.decision import decide
from aims_mlflow.gate.messages import refusal


def judge(of=None, entries=(), policy=None, at=AT):
    return decide(of or facts(), CHAMPION, entries, policy or declaration(), at=at)


def test_words_dated_in_the_future_do_not_count_yet():
    policy = declaration("limited")
    later = review(at=AT + timedelta(hours=1))
    assert judge(entries=[later], policy=policy).refused
    assert not judge(entries=[later], policy=policy, at=AT + timedelta(hours=2)).refused


def test_a_break_glass_that_went_past_the_commands_holds_no_longer_than_they_allow():
    """Who may write into the records runs can write an entry no command makes."""
    broken = facts(statement(rows=rows(A_7_4=row(Status.NOT_SATISFIED))))
    glass = review("break-glass", valid_until=AT + timedelta(days=3))
    assert not judge(broken, [glass]).refused
    assert judge(broken, [review("break-glass", valid_until=AT + timedelta(days=3650))]).refused


@pytest.mark.parametrize("name", [None, "", " ", "unknown"])
def test_one_approval_is_not_four_eyes_where_nobody_knows_who_trained(name):
    policy = declaration("limited")
    of_nobody = facts(statement(trained_by=name), trained_by=name)
    decision = judge(of_nobody, [review(person="a")], policy)
    assert decision.refused
    assert "who trained it is not known" in refusal(decision)
    assert not judge(of_nobody, [review(person="a"), review(person="b", number=2)], policy).refused


def test_who_made_the_version_does_not_waive_the_approvals():
    policy = declaration("limited")
    waiver = review("waive", person="Trainer ", controls=("approvals",))
    assert judge(entries=[waiver], policy=policy).refused
    assert not judge(entries=[waiver.model_copy(update={"person": "head of models"})], policy=policy).refused


def test_a_role_the_policy_does_not_give_a_person_is_not_taken():
    policy = declaration(
        profiles={"minimal": {"approvals": {"count": 1, "roles": ["validation"]}}},
        people={"v": {"roles": ["validation"]}, "o": {}},
    )
    assert judge(entries=[review(person="o", role="validation")], policy=policy).refused
    assert not judge(entries=[review(person="v", role="validation")], policy=policy).refused
