"""Confirmed failures and the register: one risk for each episode, nothing twice, nothing for what is not confirmed."""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_kit import AT, CATALOG, SYSTEM, Book

from aims_mlflow.evidence import DatasetRef, EvidenceStatus, Verdict
from aims_mlflow.management.risk_changes import changed
from aims_mlflow.management.risk_register import register_of
from aims_mlflow.management.risk_rules import Signal, signals_of, steps

sys.path.insert(0, str(Path(__file__).parents[1]))
from good_run import TEST, drift, fairness, performance, quality, sha

LIVE = DatasetRef(name="scored", role="production", sha256=sha("live"))
HOUR = timedelta(hours=1)


def failures(*evidence, version="credit/1"):
    return signals_of(evidence, system=SYSTEM, version=version)


def signal(number: int, rule="drift", system=SYSTEM, at=AT):
    return Signal(rule, system, "credit/1", sha(f"{rule}{system}{number}"), at + number * HOUR)


def apply(book: Book, signals, at):
    """What `aims risk update` does, on a book."""
    made = steps(signals, book.state(at), CATALOG)
    for step in made:
        book.file("risk", step.id, step.content, at=at, systems=(step.system,), owner="Head of credit")
    return made


def one(book, id_, at=AT + 100 * HOUR):
    return next(line for line in register_of(book.state(at), CATALOG, SYSTEM).lines if line.id == id_)


@pytest.mark.parametrize("make", [drift, quality, fairness])
def test_a_failure_is_confirmed_where_the_verdict_is_fail_and_in_no_other_case(make):
    assert [s.rule for s in failures(make(verdict=Verdict.FAIL))] == [make(verdict=Verdict.FAIL).kind]
    for verdict in (Verdict.PASS, Verdict.UNCERTAIN, Verdict.NOT_TESTED, Verdict.RECORDED):
        assert failures(make(verdict=verdict)) == []
    assert failures(make(verdict=Verdict.FAIL, status=EvidenceStatus.ERROR)) == []


def test_other_kinds_of_evidence_open_nothing():
    assert failures(performance(verdict=Verdict.FAIL)) == []


def test_of_data_that_were_mended_the_latest_counts_and_of_live_data_every_window():
    failed, mended = drift(TEST, verdict=Verdict.FAIL), drift(TEST, captured_at=AT + HOUR)
    assert failures(failed, mended) == []
    live = [drift(LIVE, verdict=Verdict.FAIL), drift(LIVE, captured_at=AT + HOUR)]
    assert [s.evidence for s in failures(*live)] == [live[0].digest]


def test_the_first_failure_opens_a_risk_that_nobody_has_weighed():
    book = Book()
    (step,) = apply(book, [signal(1)], AT + 2 * HOUR)
    assert step.id == "drift-loans"
    line = one(book, "drift-loans")
    assert (line.content.opened_by, line.content.source, line.content.status) == ("drift", "drift", "open")
    assert line.content.evidence == (signal(1).evidence,)
    assert line.content.confirmed_at == signal(1).at
    assert line.content.versions == ("credit/1",)
    assert [fault.code for fault in line.faults] == ["not weighed", "untreated above the limit"]


def test_the_same_evidence_again_changes_nothing():
    book = Book()
    apply(book, [signal(1)], AT + 2 * HOUR)
    assert apply(book, [signal(1), signal(1)], AT + 3 * HOUR) == []


def test_a_further_failure_while_it_is_open_is_its_next_revision_and_voids_what_was_accepted():
    book = Book()
    apply(book, [signal(1)], AT + 2 * HOUR)
    line = one(book, "drift-loans")
    settled = changed(
        line.content,
        {"treatment": "accept", "accepted_by": "Ann Lee", "accepted_because": "So.", "status": "treated"},
        note="seen",
        weighed=True,
        today=AT.date(),
    )
    book.file("risk", "drift-loans", settled, at=AT + 3 * HOUR)
    assert one(book, "drift-loans").faults == ()
    (step,) = apply(book, [signal(1), signal(4)], AT + 5 * HOUR)
    assert step.id == "drift-loans"
    line = one(book, "drift-loans")
    assert line.filed.record.revision == 3
    assert line.content.evidence == (signal(1).evidence, signal(4).evidence)
    assert (line.content.status, line.content.accepted_by) == ("open", None)
    assert [fault.code for fault in line.faults] == ["not weighed", "accepted without a name"]


def test_after_it_is_closed_the_next_failure_opens_another_and_the_old_evidence_does_not():
    book = Book()
    apply(book, [signal(1)], AT + 2 * HOUR)
    done = changed(
        one(book, "drift-loans").content, {"status": "closed", "results": "Trained anew."}, note="", weighed=True,
        today=AT.date(),
    )  # fmt: skip
    book.file("risk", "drift-loans", done, at=AT + 3 * HOUR)
    assert apply(book, [signal(1)], AT + 4 * HOUR) == []
    (step,) = apply(book, [signal(1), signal(5)], AT + 6 * HOUR)
    assert (step.id, step.before) == ("drift-loans-2", None)
    assert step.content.evidence == (signal(5).evidence,)


def test_a_risk_that_a_person_opened_for_the_same_source_is_left_alone():
    book = Book()
    book.risk("R-1", source="drift")
    (step,) = apply(book, [signal(1)], AT + 2 * HOUR)
    assert step.id == "drift-loans"


def test_each_cause_and_each_system_has_its_own_risk():
    book = Book()
    made = apply(book, [signal(1), signal(2, "fairness"), signal(3, "data_quality"), signal(4, system="other")], AT)
    assert sorted(step.id for step in made) == ["data-quality-loans", "drift-loans", "drift-other", "fairness-loans"]


def test_a_risk_of_the_rule_that_is_broken_is_not_written_to_again():
    from aims_mlflow.management.state import Filed

    book = Book()
    apply(book, [signal(1)], AT + 2 * HOUR)
    broken = book.filed[-1]
    book.filed[-1] = Filed(broken.record, broken.run_id, deleted=True)
    (step,) = steps([signal(1), signal(2)], book.state(AT + 5 * HOUR), CATALOG)
    assert (step.id, step.before) == ("drift-loans-2", None)
    assert step.content.evidence == (signal(2).evidence,)


def test_a_confirmed_drift_opens_the_rows_of_risk_until_somebody_has_dealt_with_it():
    book = Book()
    book.risk()
    assert book.statuses()["8.2"] == "satisfied"
    apply(book, [signal(0)], AT)
    assert {book.statuses()[row] for row in ("8.2", "6.1.3", "8.3")} == {"needs-attestation"}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), max_size=4), max_size=6), st.integers(0, 999))
def test_however_often_and_in_whatever_order_it_runs_every_failure_is_on_the_register_once(batches, seed):
    order = random.Random(seed)
    book, seen = Book(), []
    for turn, batch in enumerate(batches):
        seen += batch
        shown = [signal(number, ("drift", "fairness")[number % 2]) for number in seen]
        order.shuffle(shown)
        apply(book, shown, AT + (20 + turn) * HOUR)
        assert apply(book, shown, AT + (20 + turn) * HOUR) == []
    lines = register_of(book.state(AT + 90 * HOUR), CATALOG, SYSTEM).lines
    held = [digest for line in lines for digest in line.content.evidence]
    assert len(held) == len(set(held)) == len(set(seen))
    assert {line.id for line in lines} <= {"drift-loans", "fairness-loans"}
