"""A system row by row: what a version's assessment says, and what the records say now."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aims_mlflow.assessment import Status
from aims_mlflow.config.models import Applicability, Declaration
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import InputError
from aims_mlflow.evaluate import conclude, deciding, evaluate
from aims_mlflow.evidence import Subject, Verdict
from aims_mlflow.evidence.base import Basis
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.measured import Source, basis_as_stated, kinds_of_records, met_as_stated, source_of
from aims_mlflow.management.portfolio import ServedVersion, SystemStanding
from aims_mlflow.management.standing import standing_of
from aims_mlflow.management.state import Filed, State

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "managing"))
from portfolio_kit import CATALOG, CONTENT, all_rows, row, statement

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
S = Status


def served(name="credit", *, problem="", is_broken=False, **changes):
    said = None if problem else statement(**{"assessed_at": NOW - timedelta(days=1), **changes})
    return ServedVersion(name, "1", ("alias champion",), said, problem, is_broken)


def filed(*types, state=None, at=NOW - timedelta(days=2), **said):
    kept = list(state or [])
    for type_id in types:
        known = State.of(kept, at=at)
        made = draft(
            known,
            CATALOG,
            type_id,
            content={"statement": "It is so."},
            owner=said.get("owner", "Head of AI"),
            approver="Board",
            valid_from=said.get("valid_from"),
            valid_until=said.get("valid_until"),
            systems=said.get("systems", ()),
            known_systems=said.get("systems", ()),
            document={"title": "Document"},
        )
        kept.append(Filed(made))
    return kept


def stand(*versions, records=(), declaration=None, at=NOW, models=("credit",), system="loans"):
    bare = SystemStanding(system, "Loans", RiskClass.HIGH, "Head of Credit", None, versions, models=models)
    return standing_of(bare, State.of(records, at=at), CATALOG, declaration or Declaration()).rows


def test_without_a_version_in_service_every_row_says_what_is_missing_and_none_is_satisfied():
    rows = stand()
    assert list(rows) == list(CATALOG.ids)
    assert {one.status for one in rows.values()} == {S.NO_EVIDENCE, S.NEEDS_ATTESTATION}
    assert all(one.reason and one.next_step and one.maturity == 0 and not one.is_fresh for one in rows.values())
    assert "no version of this system is in service" in rows["A.6.2.4"].reason
    assert rows["A.6.2.4"].next_step == "Say which version serves: `aims promote credit VERSION --to ALIAS`."


def test_without_a_version_the_rows_are_those_of_an_assessment_of_nothing():
    """Same rules as `aims assess`: only the words on what is measured differ."""
    plain = {
        f.id: f.status
        for f in evaluate([], CATALOG, Declaration(), subject=Subject(system_id="loans"), at=NOW).findings
    }
    assert {row_id: one.status for row_id, one in stand().items()} == plain


def test_what_is_measured_comes_from_the_assessment_and_what_people_say_from_the_records():
    rows = {"A.6.2.4": row(days=20, at=NOW), "A.10.3": row(S.NEEDS_ATTESTATION, Basis.MEASURED, unmet=1)}
    said = stand(served(rows=all_rows(rows)), records=filed("supplier_process"))
    assert (said["A.6.2.4"].status, said["A.6.2.4"].maturity, said["A.6.2.4"].basis) == (S.SATISFIED, 4, Basis.MEASURED)
    assert said["A.6.2.4"].versions == ("credit/1",)
    assert (said["A.10.3"].status, said["A.10.3"].maturity) == (S.SATISFIED, 3)
    assert said["A.10.3"].records == ("supplier_process:supplier_process",)
    assert said["A.10.3"].owner == "Head of AI"


def test_a_statement_withdrawn_after_the_assessment_no_longer_counts():
    rows = all_rows({"A.10.3": row(basis=Basis.ATTESTED)})
    assert stand(served(rows=rows))["A.10.3"].status is S.NEEDS_ATTESTATION


def test_a_record_filed_after_the_assessment_counts_at_once():
    version = served(rows=all_rows({"4.3": row(S.NEEDS_ATTESTATION, Basis.DECLARED, unmet=1)}))
    assert stand(version)["4.3"].status is S.NEEDS_ATTESTATION
    assert stand(version, records=filed("aims_scope"))["4.3"].status is S.SATISFIED


def test_a_satisfied_row_lapses_when_its_assessment_says():
    said = stand(served(rows=all_rows({"A.6.2.4": row(days=-2, at=NOW)})))["A.6.2.4"]
    assert (said.status, said.maturity, said.is_fresh) == (S.STALE, 2, False)
    assert said.valid_until < NOW
    assert "`aims assess models:/credit/1`" in said.next_step


def test_the_measured_part_of_an_unsatisfied_row_lapses_with_the_freshness_of_the_row():
    """A.10.3 is checked yearly: what was measured at the assessment serves for a year from it, and no longer."""
    rows = all_rows({"A.10.3": row(S.NEEDS_ATTESTATION, Basis.MEASURED, unmet=1)})
    records = filed("supplier_process")
    for age, status in ((364, S.SATISFIED), (366, S.STALE)):
        version = served(rows=rows, assessed_at=NOW - timedelta(days=age))
        assert stand(version, records=records)["A.10.3"].status is status
    shorter = Declaration(freshness={"A.10.3": 30})
    version = served(rows=rows, assessed_at=NOW - timedelta(days=40))
    said = stand(version, records=records, declaration=shorter)["A.10.3"]
    assert said.status is S.STALE


@pytest.mark.parametrize(
    ("status", "maturity"),
    [(S.NOT_SATISFIED, 1), (S.ERROR, 1), (S.UNCERTAIN, 1), (S.STALE, 2), (S.NO_EVIDENCE, 0)],
)
def test_a_measured_row_that_is_not_met_keeps_its_status(status, maturity):
    said = stand(served(rows=all_rows({"A.7.4": row(status, None, unmet=0)})))["A.7.4"]
    assert (said.status, said.maturity) == (status, maturity)
    assert "credit/1" in said.reason


@pytest.mark.parametrize(("is_broken", "status", "maturity"), [(False, S.NO_EVIDENCE, 0), (True, S.ERROR, 1)])
def test_an_assessment_that_does_not_count_is_never_a_pass(is_broken, status, maturity):
    said = stand(served(problem="it was never assessed", is_broken=is_broken))
    assert (said["A.6.2.4"].status, said["A.6.2.4"].maturity) == (status, maturity)
    assert all(one.status is not S.SATISFIED for one in said.values())
    assert "it was never assessed" in said["A.6.2.4"].reason


def test_an_assessment_that_leaves_a_row_out_is_an_error_there():
    rows = all_rows({"A.6.2.4": row()})
    del rows["A.7.4"]
    assert stand(served(rows=rows))["A.7.4"].status is S.ERROR


def test_of_two_versions_the_worse_decides_and_is_named():
    good, bad = all_rows({"A.6.2.4": row()}), all_rows({"A.6.2.4": row(S.NOT_SATISFIED, None, unmet=1)})
    said = stand(served("one", rows=good), served("two", rows=bad))["A.6.2.4"]
    assert (said.status, said.versions, said.maturity) == (S.NOT_SATISFIED, ("two/1",), 1)


def test_the_maturity_of_two_versions_is_the_least_whatever_the_status():
    lapsed = all_rows({"A.6.2.4": row(days=-1, at=NOW)})
    said = stand(served("one", rows=lapsed), served("two", rows=all_rows()))["A.6.2.4"]
    assert (said.status, said.maturity) == (S.STALE, 0)


def test_a_lapsed_record_lowers_maturity_to_2():
    then = NOW - timedelta(days=30)
    records = filed("context", at=then, valid_until=(NOW - timedelta(days=1)).date(), owner="Secretary")
    said = stand(records=records)["4.1"]
    assert (said.status, said.maturity, said.owner) == (S.STALE, 2, "Secretary")
    before = stand(records=records, at=NOW - timedelta(days=2))["4.1"]
    assert (before.status, before.maturity) == (S.SATISFIED, 3)


def test_the_system_s_own_record_takes_the_place_of_the_organization_s():
    general = filed("awareness", owner="People")
    own = filed("awareness", state=general, owner="Credit team", systems=("loans",))
    assert stand(records=own)["7.3"].owner == "Credit team"
    assert stand(records=own, system="chat")["7.3"].owner == "People"


def test_an_excluded_control_is_not_applicable_and_a_clause_cannot_be_excluded():
    declaration = Declaration(
        applicability={row_id: Applicability(applicable=False, reason="We sell none.") for row_id in ("A.10.4", "4.1")}
    )
    rows = stand(declaration=declaration)
    assert rows["A.10.4"].status is S.NOT_APPLICABLE
    assert rows["A.10.4"].next_step == ""
    assert rows["4.1"].status is S.NEEDS_ATTESTATION


def test_evidence_of_failure_is_not_excluded_away():
    declaration = Declaration(applicability={"A.7.4": Applicability(applicable=False, reason="Not ours.")})
    version = served(rows=all_rows({"A.7.4": row(S.NOT_SATISFIED, None, unmet=1)}))
    assert stand(version, declaration=declaration)["A.7.4"].status is S.NOT_SATISFIED


def test_a_pass_that_may_have_rested_on_a_record_counts_only_with_other_evidence():
    """9.3.2 takes monitoring, or incidents and nonconformities, which are records and judged as they are now."""
    rows = all_rows({"9.3.2": row(basis=Basis.ATTESTED)})
    records = filed("management_review_inputs")
    without = stand(served(rows=rows), records=records)["9.3.2"]
    assert without.status is S.NO_EVIDENCE
    monitored = served(rows=rows, kinds={"monitoring": Verdict.PASS})
    assert stand(monitored, records=records)["9.3.2"].status is S.SATISFIED


def test_every_row_of_the_register_has_a_source_for_each_requirement():
    kinds = kinds_of_records(CATALOG)
    sources = {(one.id, need.id): source_of(need, kinds) for one in CATALOG.rows.values() for need in one.requires}
    assert sources["4.1", "statement"] is Source.RECORDS
    assert sources["10.1", "trend"] is Source.RECORDS
    assert sources["A.8.4", "log"] is Source.RECORDS
    assert sources["7.5.3", "protection"] is Source.BOTH
    assert sources["A.6.2.4", "pass_marks"] is Source.MEASURED
    assert sources["4.3", "declared"] is Source.MEASURED
    attested = [k for k, v in sources.items() if v is Source.RECORDS and k[1] not in ("trend", "log")]
    for row_id, need in attested:
        assert next(n for n in CATALOG.rows[row_id].requires if n.id == need).accepts == (Basis.ATTESTED,)


def test_the_row_in_short_tells_no_more_than_it_says():
    """Before the first unmet requirement all were met; from it on, each may be what decided."""
    short = row(S.NOT_SATISFIED, None, unmet=1)
    assert [str(met_as_stated(short, place)) for place in range(3)] == ["pass", "fail", "fail"]
    assert [str(met_as_stated(row(), place)) for place in range(2)] == ["pass", "pass"]
    need = CATALOG.rows["A.6.2.4"].requires[0]
    assert basis_as_stated(row(basis=Basis.MEASURED), need) is Basis.MEASURED
    assert basis_as_stated(row(basis=Basis.ATTESTED), need) is Basis.REPORTED


def test_results_put_together_elsewhere_come_to_what_evaluate_finds():
    findings = evaluate([], CATALOG, Declaration(), subject=Subject(), at=NOW).findings
    for finding in findings:
        assert conclude(finding.id, finding.checks, CATALOG, Declaration(), at=NOW) == finding
        assert deciding(finding.checks)
    with pytest.raises(InputError, match="requirements"):
        conclude("4.1", (), CATALOG, Declaration(), at=NOW)


def test_the_version_s_content_binds_records_that_name_it():
    assert served().statement.model_sha256 == CONTENT
