"""Whether a control applies: left out only where somebody left it out with effect, and nobody objects."""

import itertools

import pytest
from soa_kit import AT, CATALOG, CONTROLS, FILED_AT, SYSTEM, Book, codes, days, left_out, line, lines, one

from aims_mlflow.catalog import load_catalog
from aims_mlflow.config import Declaration
from aims_mlflow.evidence.base import sha256_of
from aims_mlflow.management.soa import Decision, applicability_in_force, soa_lines
from aims_mlflow.management.state import Problem, State

OUT = {"A.10.4": {"applicable": False, "reason": "No customers."}}
IN = {"A.10.4": {"applicable": True, "reason": "There are customers."}}


def test_without_any_record_all_38_controls_are_there_and_none_is_decided():
    soa = soa_lines(State(at=AT), CATALOG)
    assert [found.id for found in soa.lines] == list(CONTROLS)
    assert len(CONTROLS) == 38
    for found in soa.lines:
        assert (found.applicable, found.decision, found.justification) == (True, "not decided", "not decided yet")
        assert (found.status, found.evidence, found.scope) == (None, None, "")
    assert codes(soa) == ["absent", "undecided"]
    assert (soa.sha256, soa.version, soa.counts[Decision.NOT_DECIDED]) == (None, "", 38)


def test_the_lines_say_all_that_is_on_record():
    book = Book()
    told = line(status="partial", risks=("R-1",), owner="Head of data", next_review="2027-05-01")
    made = book.soa(lines(A_7_4=told))
    soa = book.stands()
    found = one(soa, "A.7.4")
    assert (found.title, found.applicable, found.justification) == (
        CATALOG.rows["A.7.4"].title,
        True,
        "A risk needs it.",
    )
    assert (found.status, found.risks, found.owner) == ("partial", ("R-1",), "Head of data")
    assert (str(found.next_review), found.scope, found.group) == ("2027-05-01", "organization", "A.7")
    assert one(soa, "A.2.2").owner == "Head of AI", "who answers for the statement answers for its lines"
    assert (soa.version, soa.sha256) == ("soa:soa revision 1", made.digest)
    assert soa.sources[0].approver == "Board"


def test_a_revision_changes_version_and_digest():
    book = Book()
    first = book.soa()
    second = book.soa(lines(A_10_4=left_out()))
    soa = book.stands()
    assert (soa.version, soa.sha256) == ("soa:soa revision 2", second.digest)
    assert first.digest != second.digest
    assert not one(soa, "A.10.4").applicable


def test_a_system_has_the_organizations_lines_and_its_own_in_their_place():
    book = Book()
    general = book.soa(lines(A_10_4=left_out("Nobody buys.")))
    own = book.own({"A.10.4": line(justification="This one is sold."), "A.10.3": left_out("All made here.")})
    soa = book.stands(SYSTEM)
    assert (one(soa, "A.10.4").applicable, one(soa, "A.10.4").scope) == (True, "overlay of loans")
    assert (one(soa, "A.10.3").applicable, one(soa, "A.10.3").justification) == (False, "All made here.")
    assert one(soa, "A.2.2").scope == "organization"
    assert soa.version == "soa:soa revision 1, soa:soa-loans revision 1"
    assert soa.sha256 == sha256_of(f'["{general.digest}","{own.digest}"]\n'.encode())
    for other in (None, "chat"):
        untouched = book.stands(other)
        assert (one(untouched, "A.10.4").applicable, one(untouched, "A.10.3").applicable) == (False, True)
        assert untouched.sha256 == general.digest


def test_own_controls_stand_after_annex_a(tmp_path):
    from pathlib import Path

    own = Path(__file__).parents[1] / "examples" / "acme_controls.yaml"
    catalog = load_catalog((own,))
    soa = soa_lines(State(at=AT), catalog)
    assert [found.id for found in soa.lines] == [*CONTROLS, "MR-1", "MR-2"]
    assert [found.id for found in soa.lines if found.own] == ["MR-1", "MR-2"]
    assert soa.groups["MR"] == "Model risk"


WORDS = {None: None, True: True, False: False}


@pytest.mark.parametrize(
    ("own", "general", "declared"),
    list(itertools.product([None, True, False], [None, True, False], [None, True, False])),
)
def test_a_control_is_left_out_only_where_somebody_did_and_nobody_says_it_applies(own, general, declared):
    book = Book()
    if general is not None:
        book.soa(lines(A_10_4=line() if general else left_out()))
    if own is not None:
        book.own({"A.10.4": line() if own else left_out()})
    said = {None: {}, True: IN, False: OUT}[declared]
    statement = own if own is not None else general
    wanted = statement is not True and declared is not True and False in (statement, declared)
    soa = book.stands(SYSTEM, declared=said, name=SYSTEM)
    assert one(soa, "A.10.4").applicable is not wanted
    declaration = Declaration.model_validate({"system": {"id": SYSTEM}, "applicability": said})
    in_force = applicability_in_force(book.state(), declaration, SYSTEM, CATALOG).get("A.10.4")
    assert (in_force is not None and not in_force.applicable) is wanted


@pytest.mark.parametrize(
    ("said", "at", "why"),
    [
        ({"valid_until": days(-1)}, AT, "it lapsed on 2026-11-23"),
        ({"valid_from": days(2)}, AT, "it is not valid before 2026-11-26"),
        ({"approver": None}, AT, "nobody approved it"),
    ],
)
def test_an_exclusion_counts_only_from_a_statement_that_is_approved_and_in_force(said, at, why):
    book = Book()
    book.soa(lines(A_10_4=left_out("No customers.")), **said)
    found = one(book.stands(at=at), "A.10.4")
    assert (found.applicable, found.decision) == (True, "not decided")
    assert found.justification == f"not decided yet: the exclusion does not count, for {why}; it says: No customers."
    assert applicability_in_force(book.state(at), Declaration(), None, CATALOG)["A.10.4"].applicable
    assert one(book.stands(at=at), "A.2.2").decision == "applies", "that a control applies is heard all the same"


def test_it_holds_to_the_end_of_its_last_day():
    book = Book()
    book.soa(lines(A_10_4=left_out()), valid_until=days(0))
    assert not one(book.stands(at=AT.replace(hour=23, minute=59)), "A.10.4").applicable
    assert one(book.stands(at=AT.replace(day=25, hour=0)), "A.10.4").applicable


def test_until_the_next_revision_is_valid_the_one_before_serves():
    book = Book()
    book.soa(lines(A_10_4=left_out()))
    book.soa(lines(), valid_from=days(5))
    assert not one(book.stands(), "A.10.4").applicable
    assert one(book.stands(at=AT.replace(day=30)), "A.10.4").applicable


@pytest.mark.parametrize("reason", ["TODO", "tbd", "...", "-"])
def test_a_placeholder_is_no_reason_to_leave_out(reason):
    book = Book()
    book.soa(lines(A_10_4=left_out(reason)))
    assert one(book.stands(), "A.10.4").applicable
    assert "no-reason" in codes(book.stands(), "A.10.4")
    assert one(book.stands(declared={"A.10.3": {"applicable": False, "reason": reason}}), "A.10.3").applicable


def test_nothing_is_left_out_while_a_statement_on_record_cannot_be_relied_on():
    book = Book()
    book.soa(lines(A_10_4=left_out()))
    book.own({"A.10.3": left_out()})
    assert not one(book.stands(SYSTEM), "A.10.4").applicable
    book.delete("soa:soa-loans")
    soa = book.stands(SYSTEM, declared={"A.9.4": {"applicable": False, "reason": "No use."}}, name=SYSTEM)
    assert all(found.applicable for found in soa.lines), "the deleted one might have said that they apply"
    assert "broken" in codes(soa)
    assert not one(book.stands("chat"), "A.10.4").applicable, "another system is not touched"
    assert not one(book.stands(), "A.10.4").applicable


def test_a_statement_whose_run_cannot_be_read_is_not_passed_over():
    problem = Problem(code="altered", type="soa", id="soa", what="the record is not what was filed", remedy="Restore.")
    soa = soa_lines(
        State(at=AT, problems=(problem,)), CATALOG, declaration=Declaration.model_validate({"applicability": OUT})
    )
    assert one(soa, "A.10.4").applicable
    assert codes(soa) == ["broken", "undecided"]


def test_a_withdrawn_statement_says_nothing():
    book = Book()
    book.soa(lines(A_10_4=left_out()))
    book.file("soa", {"lines": lines()}, id="soa", withdrawn="It was about another company.")
    soa = book.stands()
    assert soa.counts[Decision.NOT_DECIDED] == 38
    assert codes(soa) == ["absent", "undecided"]


def test_what_was_filed_later_counts_for_nothing_at_an_earlier_date():
    book = Book()
    book.soa(lines())
    before = book.stands(at=AT)
    book.soa(lines(A_10_4=left_out()), at=AT.replace(day=26))
    assert book.stands(at=AT) == before
    assert not one(book.stands(at=AT.replace(day=27)), "A.10.4").applicable
    assert book.stands(at=FILED_AT.replace(day=1)).counts[Decision.NOT_DECIDED] == 38


def test_lines_of_aims_yaml_count_only_for_its_own_system():
    book = Book()
    assert not one(book.stands(SYSTEM, declared=OUT, name=SYSTEM), "A.10.4").applicable
    assert one(book.stands(SYSTEM, declared=OUT, name=SYSTEM), "A.10.4").scope == "aims.yaml"
    assert one(book.stands("chat", declared=OUT, name=SYSTEM), "A.10.4").applicable
    declaration = Declaration.model_validate({"system": {"id": SYSTEM}, "applicability": OUT})
    assert applicability_in_force(book.state(), declaration, "chat", CATALOG) == {}


def test_lines_on_clauses_and_unknown_controls_never_reach_the_assessment():
    book = Book()
    book.soa(lines() | {"6.1.2": left_out(), "A.99": left_out()})
    in_force = applicability_in_force(book.state(), Declaration(), None, CATALOG)
    assert set(in_force) == set(CONTROLS)


def test_of_two_statements_of_one_system_the_one_that_says_it_applies_is_heard():
    book = Book()
    book.soa()
    book.own({"A.10.4": left_out()})
    book.own({"A.10.4": line(justification="It is sold.")}, id="soa-second")
    soa = book.stands(SYSTEM)
    assert (one(soa, "A.10.4").applicable, one(soa, "A.10.4").justification) == (True, "It is sold.")
    assert "overlays-differ" in codes(soa, "A.10.4")
