"""The statement on record decides what an assessment leaves out, and 6.1.3 rests on it."""

from datetime import date

import mlflow
import pandas as pd
import pytest

import aims_mlflow
from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import now
from aims_mlflow.managing.applicability import contradictions, record_applicability, statement_of_applicability
from aims_mlflow.managing.records import ManagementRecords

CONTROLS = [row.id for row in load_catalog(()).rows.values() if row.kind == "control"]
DECLARED = {"system": {"id": "loans", "name": "Loan scoring"}}


def lines(out=(), only=None):
    return {
        "lines": {
            control: {"applicable": control not in out, "justification": "So it was decided."}
            for control in (only or CONTROLS)
        }
    }


def record(out=(), *, only=None, approver="Board", **said):
    return record_applicability(lines(out, only), owner="Head of AI", approver=approver, config=DECLARED, **said)


def a_run():
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
    return run.info.run_id


def findings(run_id, config=DECLARED, **said):
    assessment = aims_mlflow.assess(run_id, config=config, **said)
    return {finding.id: finding for finding in assessment.findings}


def test_an_assessment_leaves_out_what_the_statement_on_record_leaves_out(mlflow_store):
    run_id = a_run()
    assert findings(run_id)["A.10.4"].status is Status.NEEDS_ATTESTATION
    record(["A.10.4", "A.10.3"])
    found = findings(run_id)
    assert found["A.10.4"].status is Status.NOT_APPLICABLE
    assert found["A.10.4"].reason == "Excluded in the Statement of Applicability: So it was decided."
    assert found["A.2.2"].status is Status.NEEDS_ATTESTATION
    record(["A.10.4"], only=["A.10.4"], approver=None, system="loans")
    assert findings(run_id)["A.10.4"].status is Status.NOT_APPLICABLE, (
        "the organization's counts where the own does not"
    )


def test_somebody_who_says_it_applies_is_heard(mlflow_store):
    run_id = a_run()
    record(["A.10.4"])
    record(only=["A.10.4"], system="loans")
    assert findings(run_id)["A.10.4"].status is Status.NEEDS_ATTESTATION
    record(["A.10.3"])
    said = DECLARED | {"applicability": {"A.10.3": {"applicable": True, "reason": "We buy data."}}}
    assert findings(run_id)["A.10.3"].status is Status.NOT_APPLICABLE
    assert findings(run_id, said)["A.10.3"].status is not Status.NOT_APPLICABLE


def test_what_aims_yaml_leaves_out_alone_applies_once_the_statement_says_so(mlflow_store):
    run_id = a_run()
    said = DECLARED | {"applicability": {"A.10.3": {"applicable": False, "reason": "All made here."}}}
    assert findings(run_id, said)["A.10.3"].status is Status.NOT_APPLICABLE
    record()
    assert findings(run_id, said)["A.10.3"].status is not Status.NOT_APPLICABLE


def test_evidence_that_exists_cannot_be_declared_away(mlflow_store):
    run_id = a_run()
    record(["A.7.4"])
    with mlflow.start_run(run_id=run_id):
        bad = pd.DataFrame({"x": [1.0, None, None, None]})
        aims_mlflow.log_data_quality(bad, role="training", suite=[NOT_NULL])
    found = findings(run_id)["A.7.4"]
    assert found.status is Status.NOT_SATISFIED
    assert "at odds with evidence on file" in found.reason


NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}}


def test_row_6_1_3_rests_on_a_whole_and_approved_statement(mlflow_store):
    run_id = a_run()

    def part():
        return next(c for c in findings(run_id)["6.1.3"].checks if c.requirement == "soa")

    assert part().outcome == "missing"
    record(only=CONTROLS[5:])
    assert "5 of 38 controls are not decided" in part().reason
    record(approver=None)
    assert "no approver" in part().reason
    record(valid_until=date(2090, 1, 31))
    assert part().outcome == "pass"


def test_an_assessment_of_the_past_goes_by_the_statement_of_then(mlflow_store):
    run_id = a_run()
    record()
    between = now()
    record(["A.10.4"])
    assert findings(run_id)["A.10.4"].status is Status.NOT_APPLICABLE
    assert findings(run_id, at=between, attach=False)["A.10.4"].status is Status.NEEDS_ATTESTATION


def test_the_declaration_on_record_stays_what_the_file_says(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {id: loans, name: Loan scoring}\n")
    run_id = a_run()
    record(["A.10.4"])
    findings(run_id, config=None)
    kept = [r for r in aims_mlflow.load_evidence(run_id) if getattr(r, "kind", "") == "declaration"]
    assert kept
    assert not any("applicability" in r.declared or r.content["applicability"] for r in kept)


def test_a_deleted_statement_leaves_nothing_out(mlflow_store):
    run_id = a_run()
    said = DECLARED | {"applicability": {"A.10.3": {"applicable": False, "reason": "All made here."}}}
    filed = record(["A.10.4"])
    mlflow.MlflowClient().delete_run(filed.run_id)
    found = findings(run_id, said)
    assert found["A.10.4"].status is not Status.NOT_APPLICABLE
    assert found["A.10.3"].status is not Status.NOT_APPLICABLE
    assert "soa" in [c.requirement for c in found["6.1.3"].checks if c.outcome == "error"]
    soa = statement_of_applicability(config=said)
    assert all(line.applicable for line in soa.lines)
    assert [f.code for f in soa.contradictions] == ["broken"]


def test_records_that_cannot_be_read_leave_nothing_out(mlflow_store, monkeypatch):
    from aims_mlflow.errors import DeliveryError
    from aims_mlflow.filing import RecordStore

    run_id = a_run()
    said = DECLARED | {"applicability": {"A.10.3": {"applicable": False, "reason": "All made here."}}}

    def fails(*_args, **_named):
        raise DeliveryError("it is away")

    monkeypatch.setattr(RecordStore, "read", fails)
    assert findings(run_id, said)["A.10.3"].status is not Status.NOT_APPLICABLE


def test_the_evidence_beside_a_line_is_that_of_the_portfolio(mlflow_store):
    records = ManagementRecords(config=DECLARED)
    soa = statement_of_applicability(config=DECLARED)
    assert {line.id: line for line in soa.lines}["A.2.2"].evidence_status is Status.NEEDS_ATTESTATION
    records.file(
        "ai_policy",
        {"statement": "We have one."},
        owner="CEO",
        approver="Board",
        document="https://intranet.example/policy",
    )
    for system in (None, "loans"):
        line = {one.id: one for one in statement_of_applicability(system, config=DECLARED).lines}["A.2.2"]
        assert (line.evidence_status, line.evidence) == (Status.SATISFIED, "satisfied (attested; attested)")
    record(["A.2.2"])
    codes = {(f.code, f.control) for f in contradictions(config=DECLARED) if f.contradiction}
    assert ("excluded-yet-evidenced", "A.2.2") in codes


def test_the_organizations_line_is_held_against_the_systems_it_holds_for(mlflow_store):
    records = ManagementRecords(config=DECLARED)
    record(["A.2.2"])
    record(only=["A.2.2"], system="loans")
    records.file("ai_policy", {"statement": "One."}, owner="CEO", systems=["loans"])
    codes = {(f.code, f.control) for f in contradictions(config=DECLARED) if f.contradiction}
    assert ("excluded-yet-evidenced", "A.2.2") not in codes


@pytest.mark.parametrize(
    ("control", "said"), [("A.99", "there is no control 'A.99'"), ("6.1.3", "clauses always apply")]
)
def test_lines_on_what_is_no_control_are_refused(mlflow_store, control, said):
    with pytest.raises(InputError, match=said):
        record(only=[control])
    assert list(ManagementRecords().state().of_type("soa")) == []


def test_a_moment_without_a_time_zone_is_refused(mlflow_store):
    with pytest.raises(InputError, match="needs a time zone"):
        statement_of_applicability(at=now().replace(tzinfo=None))
