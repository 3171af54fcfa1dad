"""What does not fit together in a Statement of Applicability is a finding, each kind of it."""

import pytest
from soa_kit import AT, RISK, SYSTEM, Book, codes, days, left_out, line, lines, one, standing

from aims_mlflow.assessment import Status
from aims_mlflow.evidence import Basis

CLEAN = {"status": "not started"}


def test_a_whole_statement_that_fits_has_no_finding():
    book = Book()
    book.soa(lines(A_10_4=left_out()))
    assert book.stands().findings == ()


@pytest.mark.parametrize(
    ("stands", "shown"),
    [
        ((Status.NOT_SATISFIED, None, ()), "not satisfied"),
        ((Status.STALE, None, ()), "stale"),
        ((Status.NOT_APPLICABLE, Basis.MEASURED, ()), "measured"),
        ((Status.NOT_APPLICABLE, None, ("supplier_process:supplier_process",)), "supplier_process:supplier_process"),
    ],
)
def test_left_out_yet_evidenced(stands, shown):
    book = Book()
    book.soa(lines(A_10_3=left_out()))
    soa = book.stands(SYSTEM, standing=standing(A_10_3=stands))
    found = [f for f in soa.findings if f.code == "excluded-yet-evidenced"]
    assert [(f.control, f.where, f.contradiction) for f in found] == [("A.10.3", "soa:soa", True)]
    assert found[0].what.endswith(shown)


@pytest.mark.parametrize(
    "stands", [(Status.NOT_APPLICABLE, None, ()), (Status.NOT_APPLICABLE, Basis.DECLARED, ("soa:soa",))]
)
def test_left_out_and_not_evidenced_fits(stands):
    book = Book()
    book.soa(lines(A_10_3=left_out()))
    assert codes(book.stands(SYSTEM, standing=standing(A_10_3=stands)), "A.10.3") == []


def test_a_statement_on_record_that_only_this_control_asks_for_is_evidence_of_it():
    book = Book()
    book.soa(lines(A_10_3=left_out()))
    assert codes(book.stands()) == []
    book.file("supplier_process", {"statement": "We vet suppliers."}, valid_until=days(10))
    assert codes(book.stands()) == ["excluded-yet-evidenced"]
    assert codes(book.stands(at=AT.replace(month=12, day=30)), "A.10.3") == [], "what lapsed shows nothing any more"


def test_left_out_yet_a_risk_is_treated_by_it():
    book = Book()
    book.soa(lines(A_7_4=left_out()))
    assert codes(book.stands()) == []
    book.file("risk", RISK | {"controls": ("A.7.4",)}, id="R-1")
    soa = book.stands()
    assert codes(soa) == ["excluded-yet-treats-risk"]
    assert soa.findings[0].what == "it is left out, and a risk is to be treated by it: R-1"
    assert one(soa, "A.7.4").risks == ("R-1",)
    book.file("risk", RISK | {"controls": ("A.7.4",), "status": "closed"}, id="R-1")
    assert codes(book.stands()) == [], "a closed risk needs no control"


def test_a_risk_of_one_system_does_not_contradict_the_line_of_another():
    book = Book()
    book.soa(lines())
    book.own({"A.7.4": left_out()}, system="chat")
    book.file("risk", RISK | {"controls": ("A.7.4",)}, id="R-1", systems=(SYSTEM,))
    assert codes(book.stands("chat")) == []
    book.file("risk", RISK | {"controls": ("A.7.4",)}, id="R-2", systems=("chat",))
    assert codes(book.stands("chat"), "A.7.4") == ["excluded-yet-treats-risk"]


def test_left_out_and_linked_to_a_risk():
    book = Book()
    book.file("risk", RISK, id="R-1")
    book.soa(lines(A_7_4=left_out(risks=("risk:R-1",))))
    assert codes(book.stands()) == ["excluded-yet-treats-risk"]
    assert one(book.stands(), "A.7.4").risks == ("R-1",)


@pytest.mark.parametrize(
    ("status", "stands", "code", "contradicts"),
    [
        ("implemented", (Status.NEEDS_ATTESTATION, None, ()), "implemented-without-evidence", True),
        ("implemented", (Status.STALE, Basis.MEASURED, ()), "implemented-without-evidence", True),
        ("implemented", (Status.ERROR, None, ()), "implemented-without-evidence", True),
        ("partial", (Status.NO_EVIDENCE, None, ()), "included-without-evidence", True),
        ("partial", (Status.NO_EVIDENCE, Basis.DECLARED, ()), "included-without-evidence", True),
        ("planned", (Status.NEEDS_ATTESTATION, None, ()), "included-without-evidence", False),
        ("not started", (Status.NO_EVIDENCE, None, ()), "included-without-evidence", False),
    ],
)
def test_in_place_or_included_without_evidence(status, stands, code, contradicts):
    book = Book()
    book.soa(lines(A_7_4=line(status=status)))
    soa = book.stands(SYSTEM, standing=standing(A_7_4=stands))
    assert codes(soa, "A.7.4") == [code]
    assert next(f for f in soa.findings if f.control == "A.7.4").contradiction is contradicts


@pytest.mark.parametrize(
    ("status", "stands"),
    [
        ("implemented", (Status.SATISFIED, Basis.MEASURED, ())),
        ("partial", (Status.NO_EVIDENCE, Basis.MEASURED, ())),
        ("planned", (Status.SATISFIED, Basis.ATTESTED, ())),
    ],
)
def test_with_evidence_it_fits(status, stands):
    book = Book()
    book.soa(lines(A_7_4=line(status=status)))
    soa = book.stands(SYSTEM, standing=standing(A_7_4=stands))
    assert codes(soa, "A.7.4") == []
    assert one(soa, "A.7.4").evidence_status is stands[0]
    assert one(soa, "A.7.4").evidence.startswith(str(stands[0]).replace("-", " "))


@pytest.mark.parametrize(("statement", "declared"), [(True, False), (False, True)])
def test_aims_yaml_says_otherwise(statement, declared):
    book = Book()
    book.soa(lines(A_10_4=line() if statement else left_out()))
    soa = book.stands(declared={"A.10.4": {"applicable": declared, "reason": "So it is."}})
    assert codes(soa) == ["declaration-differs"]
    assert one(soa, "A.10.4").applicable
    assert codes(book.stands(declared={"A.10.4": {"applicable": statement, "reason": "So it is."}})) == []


def test_a_systems_own_line_without_one_of_the_organization():
    book = Book()
    book.own({"A.10.4": left_out()})
    assert codes(book.stands(SYSTEM), "A.10.4") == ["overlay-alone"]
    book.soa(lines(A_10_4=None))
    assert codes(book.stands(SYSTEM), "A.10.4") == ["overlay-alone"]
    book.soa(lines())
    assert codes(book.stands(SYSTEM)) == []


def test_lines_on_clauses_and_on_what_is_no_control():
    book = Book()
    book.soa(lines() | {"6.1.2": left_out(), "A.7.44": line()})
    soa = book.stands()
    assert {f.control: f.code for f in soa.findings} == {"6.1.2": "clause", "A.7.44": "unknown-control"}
    assert "Did you mean A.7.4" in next(f for f in soa.findings if f.code == "unknown-control").remedy


def test_a_review_that_is_due():
    book = Book()
    book.soa(lines(A_7_4=line(next_review=str(days(0))), A_7_5=line(next_review=str(days(-1)))))
    assert [(f.code, f.control) for f in book.stands().findings] == [("review-past", "A.7.5")]


@pytest.mark.parametrize(
    ("risk", "code"), [(None, "risk-unknown"), ("closed", "risk-closed"), ("withdrawn", "risk-closed"), ("open", None)]
)
def test_a_risk_that_is_named_must_be_one_to_treat(risk, code):
    book = Book()
    book.soa(lines(A_7_4=line(risks=("R-1",))))
    if risk is not None:
        book.file("risk", RISK, id="R-1")
    if risk == "closed":
        book.file("risk", RISK | {"status": "closed"}, id="R-1")
    if risk == "withdrawn":
        book.file("risk", RISK, id="R-1", withdrawn="It was a double.")
    assert codes(book.stands()) == ([code] if code else [])


def test_a_statement_of_the_organization_under_another_id_is_read_by_nobody():
    book = Book()
    book.soa(lines(), id="our-soa")
    assert codes(book.stands()) == ["stray", "absent", "undecided"]


def test_open_ones_come_after_contradictions():
    book = Book()
    book.soa(lines(A_2_2=None, A_10_2=line(next_review=str(days(-3)))), approver=None)
    assert codes(book.stands()) == ["review-past", "not-approved", "undecided"]
    assert [f.contradiction for f in book.stands().findings] == [True, False, False]
