"""The joint-audit view: one list of requests that serves several audits, duplicates merged, nothing lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from document_kit import CATALOG, WHEN, good_evidence, judged, state_of, statement

from aims_mlflow.assessment import Outcome, Status
from aims_mlflow.documentation.neighbours import CONFIDENCES, crosswalk_of
from aims_mlflow.documentation.requests import STATES, EvidenceRequest, RequestList, requests
from aims_mlflow.management.projection import View, evidence_of
from good_run import attestation, custom, declaration

ISO27001 = crosswalk_of(CATALOG, "iso27001_2022")
ISO9001 = crosswalk_of(CATALOG, "iso9001_2015")


def listed(*others, versions=None, **said) -> RequestList:
    return requests(CATALOG, others or (ISO27001,), versions or [judged()], at=WHEN, **said)


def one(found: RequestList, id_: str) -> EvidenceRequest:
    return next(r for r in found.requests if r.id == id_)


def test_every_requirement_of_the_register_is_in_exactly_one_request() -> None:
    found = listed()
    asked = [(asking.row, asking.requirement) for r in found.requests for asking in r.ours]
    assert sorted(asked) == sorted((row.id, need.id) for row in CATALOG.rows.values() for need in row.requires)
    assert found.asked == len(asked)
    assert len({r.id for r in found.requests}) == len(found.requests) < found.asked


def test_two_rows_that_ask_for_one_statement_make_one_request() -> None:
    policy = one(listed(), "statement:ai_policy")
    assert {asking.row for asking in policy.ours} == {"5.2", "A.2.2"}
    assert {t.reference: t.confidence for t in policy.theirs} == {"clause 5.2": "high", "A.5.1": "medium"}


def test_a_reference_of_theirs_stands_once_with_the_best_confidence() -> None:
    for request in listed(ISO27001, ISO9001).requests:
        named = [(t.framework, t.reference) for t in request.theirs]
        assert len(named) == len(set(named))
        for t in request.theirs:
            crosswalk = {c.id: c for c in (ISO27001, ISO9001)}[t.framework]
            rows = {asking.row for asking in request.ours}
            found = [c for e in crosswalk.entries if e.row in rows for c, refs in e.refs.items() if t.reference in refs]
            assert t.confidence == min(found, key=CONFIDENCES.index)
            assert t.relation == "supports"


def test_every_reference_of_the_other_audit_is_served_by_a_request() -> None:
    served = {t.reference for r in listed().requests for t in r.theirs}
    assert served == {ref for e in ISO27001.entries for refs in e.refs.values() for ref in refs}


def test_requests_that_serve_both_come_first() -> None:
    shared = [r.shared for r in listed().requests]
    assert True in shared
    assert shared == sorted(shared, reverse=True)
    alone = requests(CATALOG, (), [judged()], at=WHEN)
    assert not any(r.shared for r in alone.requests)


def test_the_state_is_that_of_the_checks() -> None:
    version = judged()
    found = listed(versions=[version])
    outcomes = {
        (f.id, c.requirement): c.outcome for f in version.assessment.findings for c in f.checks
        if f.status is not Status.NOT_APPLICABLE
    }  # fmt: skip
    for request in found.requests:
        mine = {outcomes[a.row, a.requirement] for a in request.ours if (a.row, a.requirement) in outcomes}
        assert (request.state == "on file") == (mine == {Outcome.PASS}), request.id
        assert request.state in STATES
        assert bool(request.remedy) == (request.state not in ("on file", "excluded"))


def test_of_several_versions_the_worst_counts() -> None:
    assert one(listed(), "evidence:environment:EN001").state == "on file"
    without = judged([r for r in good_evidence() if r.kind != "environment"], version="4")
    found = one(listed(versions=[judged(), without]), "evidence:environment:EN001")
    assert found.state == "open"
    assert "models:/loans/4" in found.reason or "models:/loans/3" in found.reason


def test_a_version_that_cannot_be_read_leaves_nothing_on_file() -> None:
    broken = replace(judged(), assessment=None, evidence=(), problem="altered", version="5")
    found = listed(versions=[judged(), broken])
    assert {r.state for r in found.requests} == {"could not be judged"}
    assert all("altered" in r.reason for r in found.requests)


def test_without_anything_assessed_everything_is_open() -> None:
    found = requests(CATALOG, (ISO27001,), [], at=WHEN)
    assert {r.state for r in found.requests} == {"open"}


def test_what_is_excluded_is_named_so_and_not_on_file() -> None:
    left_out = declaration(applicability={"A.10.4": {"applicable": False, "reason": "No customers."}})
    found = one(listed(versions=[judged(declaration=left_out)]), "statement:customer_expectations")
    assert found.state == "excluded"
    assert "A.10.4" in found.reason


def test_it_says_where_the_evidence_lies() -> None:
    lies = one(listed(), "evidence:environment:EN001").lies
    assert lies
    assert all(place.startswith("run r1, aims/evidence/environment-") for place in lies)


def test_a_management_record_is_named_with_its_run_and_document() -> None:
    from aims_mlflow.evaluate import evaluate
    from aims_mlflow.evidence import DocumentRef, Subject

    filed = statement(
        "ai_policy",
        document=DocumentRef(title="AI policy", uri="https://intranet.example/policy"),
        approver="Board",
    )
    said = evidence_of(View(state_of(filed), CATALOG, system="loans"))
    assessment = evaluate(said, CATALOG, declaration(), subject=Subject(system_id="loans"), at=WHEN)
    version = replace(judged(), assessment=assessment, evidence=tuple(said), name=None)
    found = one(listed(versions=[version]), "statement:ai_policy")
    assert found.state == "on file"
    assert found.valid_until is not None
    assert found.lies == (
        "record ai_policy:ai_policy, run run-0, document AI policy at https://intranet.example/policy",
    )


def test_a_statement_in_aims_yaml_is_not_a_file_of_the_run() -> None:
    said = attestation("ai_policy")
    held = [*good_evidence(), said]
    version = replace(judged(held), run_id=None)
    assert one(listed(versions=[version]), "statement:ai_policy").lies == ("aims.yaml, statement on ai_policy",)


def test_the_list_does_not_depend_on_the_order_of_the_evidence() -> None:
    held = [*good_evidence(), custom("robustness")]
    assert listed(versions=[judged(held)]) == listed(versions=[judged(held[::-1])])


def test_the_sentence_counts_what_was_merged() -> None:
    found = listed(ISO27001, ISO9001)
    assert f"{found.asked} requirements" in found.in_short
    assert f"{len(found.requests)} requests" in found.in_short
    assert "ISO/IEC 27001:2022 and ISO 9001:2015" in found.in_short


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_word_and_a_look(state: str) -> None:
    from aims_mlflow.report.documents import REQUEST_STATE

    assert REQUEST_STATE[state].word == state
