"""The Statement of Applicability as evidence of 6.1.3: whole, approved and in force, or no pass."""

import pytest
from soa_kit import AT, CATALOG, CONTROLS, SYSTEM, Book, days, left_out, line, lines

from aims_mlflow.config import Declaration
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import DocumentRef, Subject
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.state import Filed


def judged(book, system=None, at=AT):
    records = evidence_of(View(book.state(at), CATALOG, system=system))
    found = evaluate(records, CATALOG, Declaration(), subject=Subject(system_id=system), at=at)
    row = next(f for f in found.findings if f.id == "6.1.3")
    return next(check for check in row.checks if check.requirement == "soa")


def stated(book, system=None, at=AT):
    found = evidence_of(View(book.state(at), CATALOG, system=system))
    return [r for r in found if getattr(r, "topic", "") == "statement_of_applicability"]


def test_without_a_statement_there_is_no_evidence():
    assert stated(Book()) == []
    assert judged(Book()).outcome == "missing"


def test_a_whole_and_approved_statement_passes_with_the_digest_of_the_record_as_document():
    book = Book()
    made = book.soa(lines(A_10_4=left_out()))
    (record,) = stated(book)
    assert record.document == DocumentRef(title="Statement of Applicability, soa:soa revision 1", sha256=made.digest)
    assert (record.approver, record.owner) == ("Board", "Head of AI")
    assert judged(book).outcome == "pass"
    assert stated(book, SYSTEM)[0].document == record.document


def test_the_document_that_was_filed_with_it_is_named():
    book = Book()
    document = DocumentRef(title="SoA.pdf", sha256="sha256:" + "1" * 64)
    book.soa(document=document)
    assert stated(book)[0].document == document


@pytest.mark.parametrize("left", [1, 12, 37])
def test_an_incomplete_one_is_no_pass_and_says_how_many_are_undecided(left):
    book = Book()
    book.soa({control: line() for control in CONTROLS[left:]})
    check = judged(book)
    assert check.outcome == "missing"
    assert f"{left} of 38 controls are not decided" in check.reason


def test_a_line_without_a_reason_does_not_decide():
    book = Book()
    book.soa(lines(A_2_2=line(justification="TODO")))
    assert "1 of 38 controls are not decided: A.2.2" in judged(book).reason


def test_one_that_nobody_approved_is_no_pass():
    book = Book()
    book.soa(approver=None)
    assert (judged(book).outcome, "no approver" in judged(book).reason) == ("missing", True)


def test_a_lapsed_one_is_stale():
    book = Book()
    book.soa(valid_until=days(3))
    assert judged(book).outcome == "pass"
    assert judged(book, at=AT.replace(day=28)).outcome == "stale"


def test_one_with_lines_of_the_system_is_as_new_as_the_later_and_serves_as_long_as_the_shorter():
    book = Book()
    general = book.soa(valid_until=days(300))
    own = book.own({"A.10.4": left_out()}, valid_until=days(30), approver="Product council", at=AT.replace(day=22))
    (record,) = stated(book, SYSTEM)
    assert (record.captured_at, record.valid_until) == (own.recorded_at, own.ends)
    assert record.approver == "Board; Product council"
    assert record.document.sha256 not in (general.digest, own.digest)
    assert (record.subject.system_id, record.parameters["record"]) == (SYSTEM, "soa:soa")
    assert judged(book, SYSTEM).outcome == "pass"
    assert stated(book)[0].document.sha256 == general.digest
    assert judged(book, SYSTEM, at=AT.replace(year=2027, month=1)).outcome == "stale"
    assert judged(book, at=AT.replace(year=2027, month=1)).outcome == "pass"


def test_own_lines_that_nobody_approved_spoil_the_system_alone():
    book = Book()
    book.soa()
    book.own({"A.10.4": left_out()}, approver=None)
    assert (judged(book, SYSTEM).outcome, judged(book).outcome) == ("missing", "pass")


def test_own_lines_do_not_make_up_for_the_organizations_statement():
    book = Book()
    book.own(lines())
    check = judged(book, SYSTEM)
    assert check.outcome == "missing"
    assert "the organization has no statement of its own" in check.reason


@pytest.mark.parametrize("link", ["soa:soa", "soa:soa-loans"])
def test_a_deleted_statement_is_an_error_whatever_else_is_there(link):
    book = Book()
    book.soa()
    book.own({"A.10.4": left_out()})
    book.delete(link)
    assert judged(book, SYSTEM).outcome == "error"
    assert judged(book).outcome == ("error" if link == "soa:soa" else "pass")


def test_the_same_records_give_the_same_evidence():
    book = Book()
    book.soa()
    book.own({"A.10.4": left_out()})
    assert [r.digest for r in stated(book, SYSTEM)] == [r.digest for r in stated(book, SYSTEM)]
    assert stated(book, SYSTEM)[0].digest == stated(book, SYSTEM, at=AT.replace(day=29))[0].digest


@pytest.mark.parametrize("link", ["soa:soa", "soa:soa-loans"])
def test_a_statement_whose_content_cannot_be_read_is_an_error_and_leaves_nothing_out(link):
    book = Book()
    book.soa(lines(A_10_3=left_out()))
    book.own({"A.10.4": left_out()})
    book.filed = [
        Filed(f.record.model_copy(update={"content": {"lines": "gone"}}), f.run_id) if f.record.link == link else f
        for f in book.filed
    ]
    assert judged(book, SYSTEM).outcome == "error"
    assert all(line.applicable for line in book.stands(SYSTEM).lines)
    assert "broken" in [f.code for f in book.stands(SYSTEM).findings]
