"""Each check alone: what it passes, what it refuses, and that nothing on file is never a pass."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from aims_mlflow.assessment import Outcome
from aims_mlflow.catalog import load_catalog
from aims_mlflow.checks import (
    ALIKE_WITHOUT_EVIDENCE,
    BUILTIN,
    Case,
    Pool,
    advice_of,
    available_checks,
    title_of,
)
from aims_mlflow.config import Declaration
from aims_mlflow.controls import Requirement
from aims_mlflow.evidence import Basis, DatasetRef, EvidenceStatus, LineageEdge, RuleVerdict, RunRef, Subject, Verdict
from good_run import (
    AT,
    MODEL,
    SUBJECT,
    TEST,
    TRAINING,
    attestation,
    custom,
    dataset,
    declaration,
    declared_record,
    drift,
    environment,
    failed_capture,
    fairness,
    gap,
    lineage,
    metric,
    model,
    performance,
    quality,
    rule,
    run,
    sha,
)

CATALOG = load_catalog()


def need(check, kind, accepts=(Basis.MEASURED, Basis.REPORTED), **where):
    return Requirement(id="x", what="it", evidence=(kind,), check=check, accepts=accepts, where=where, remedy="Do it.")


def judged(requirement, *evidence, max_age=None, row="A.7.4", at=AT, subject=SUBJECT, source=None):
    pool = Pool.of(evidence, subject=subject, at=at, declaration=source or Declaration())
    case = Case(CATALOG.row(row), requirement, pool, max_age)
    return available_checks()[requirement.check].check(case)


DQ = need("DQ001", "data_quality")
AI_POLICY = need("AT001", "attestation", (Basis.ATTESTED,), topic="ai_policy", needs=("document", "approver"))


def test_every_check_is_listed_once_and_the_register_knows_it_with_its_arguments():
    ids = [made.id for made in BUILTIN]
    assert len(ids) == len(set(ids))
    assert {made.id: made.arguments for made in BUILTIN} == dict(CATALOG.checks)
    assert set(available_checks()) >= set(ids)


@pytest.mark.parametrize("made", BUILTIN, ids=lambda made: made.id)
def test_every_check_says_what_it_holds_and_what_to_do(made):
    assert title_of(made()).endswith(".")
    assert len(title_of(made())) < 100
    assert len(advice_of(made())) > 20


ALL_KINDS = [
    run(), environment(), model(), lineage(), declared_record(), dataset(TRAINING), dataset(TEST), quality(TRAINING),
    drift(TEST), performance(), fairness(), attestation("ai_policy"), custom("incident"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "requirement"), [(r, q) for r in CATALOG.rows.values() for q in r.requires])
def test_without_evidence_of_its_kinds_a_check_says_the_same_whatever_else_is_on_file(row, requirement):
    check = available_checks()[requirement.check]
    others = [record for record in ALL_KINDS if record.kind not in requirement.evidence]
    said = {
        check.check(Case(row, requirement, Pool.of(evidence, subject=about, at=AT, declaration=source), age))
        for evidence, about, source, age in (
            ([], Subject(), Declaration(), None),
            (others, SUBJECT, declaration(), timedelta(days=3)),
            (others[:3], SUBJECT, Declaration(), timedelta(0)),
        )
    }
    assert all(one.outcome is Outcome.MISSING for one in said) or type(check) not in ALIKE_WITHOUT_EVIDENCE
    assert len(said) == 1 or type(check) not in ALIKE_WITHOUT_EVIDENCE


@pytest.mark.parametrize("check", sorted(CATALOG.checks))
def test_no_check_passes_on_nothing(check):
    where = {"topic": "ai_policy"} if check == "AT001" else {}
    kind = {"FA001": "fairness", "DC001": "declaration"}.get(check, "run")
    for arguments in (where, dict.fromkeys(CATALOG.checks[check], ("x",))):
        found = judged(need(check, kind, tuple(Basis), **arguments))
        assert found.outcome is not Outcome.PASS
        assert found.reason


# Rules of counting, shown on data quality.


def test_rules_met_pass_and_point_to_their_evidence():
    record = quality()
    found = judged(DQ, record)
    assert found.outcome is Outcome.PASS
    assert found.evidence == (record.digest,)
    assert found.basis is Basis.MEASURED
    assert not found.attested_part


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.FAIL, Outcome.FAIL),
        (Verdict.UNCERTAIN, Outcome.UNCERTAIN),
        (Verdict.NOT_TESTED, Outcome.MISSING),
        (Verdict.RECORDED, Outcome.MISSING),
    ],
)
def test_a_verdict_other_than_pass_is_never_a_pass(verdict, outcome):
    assert judged(DQ, quality(verdict=verdict)).outcome is outcome
    worse = judged(DQ, quality(verdict=verdict), quality(TEST)).outcome
    assert worse is (Outcome.PASS if verdict is Verdict.RECORDED else outcome)


def test_every_dataset_must_pass_not_only_one():
    assert judged(DQ, quality(TRAINING), quality(TEST, verdict=Verdict.FAIL)).outcome is Outcome.FAIL


def test_the_latest_record_of_the_same_content_and_suite_counts():
    earlier = quality(verdict=Verdict.FAIL, captured_at=AT - timedelta(hours=1))
    assert judged(DQ, earlier, quality()).outcome is Outcome.PASS
    later = quality(verdict=Verdict.FAIL, captured_at=AT + timedelta(seconds=1))
    assert judged(DQ, quality(), later).outcome is Outcome.FAIL


def test_of_two_records_of_the_same_moment_the_worse_counts():
    assert judged(DQ, quality(), quality(verdict=Verdict.FAIL)).outcome is Outcome.FAIL


def test_a_later_pass_on_other_content_does_not_hide_a_failure():
    other = DatasetRef(name="loans.csv", role="training", sha256=sha("smaller"))
    earlier = quality(verdict=Verdict.FAIL, captured_at=AT - timedelta(hours=1))
    assert judged(DQ, earlier, quality(other)).outcome is Outcome.FAIL


def test_a_later_window_of_live_data_takes_the_place_of_the_one_before():
    windows = [DatasetRef(name="scored", role="production", sha256=sha(f"window {i}")) for i in range(2)]
    earlier = quality(windows[0], verdict=Verdict.FAIL, captured_at=AT - timedelta(days=1))
    requirement = need("DQ001", "data_quality", role="production")
    assert judged(requirement, earlier, quality(windows[1])).outcome is Outcome.PASS
    later = quality(windows[1], verdict=Verdict.FAIL)
    assert judged(requirement, quality(windows[0], captured_at=AT - timedelta(days=1)), later).outcome is Outcome.FAIL


def test_a_collector_that_could_not_run_is_an_error_until_its_evidence_comes():
    error = failed_capture("data_quality", subject=Subject(run=RunRef(run_id="r1")))
    assert judged(DQ, error).outcome is Outcome.ERROR
    assert judged(DQ, error, quality()).outcome is Outcome.ERROR, "made at the same moment, not later"
    assert judged(DQ, error, quality(captured_at=AT + timedelta(seconds=1))).outcome is Outcome.PASS
    assert judged(DQ, failed_capture("drift"), quality()).outcome is Outcome.PASS
    again = quality(captured_at=AT + timedelta(seconds=1), status=EvidenceStatus.ERROR, verdict=Verdict.NOT_TESTED)
    assert judged(DQ, error, again).outcome is Outcome.ERROR


def test_an_error_about_one_dataset_is_not_undone_by_another():
    about_test = Subject(run=RunRef(run_id="r1"), datasets=(TEST,))
    error = failed_capture("data_quality", subject=about_test, captured_at=AT - timedelta(hours=1))
    assert judged(DQ, error, quality(TRAINING)).outcome is Outcome.ERROR
    assert judged(DQ, error, quality(TRAINING), quality(TEST)).outcome is Outcome.PASS


def test_an_error_of_the_whole_run_is_undone_by_a_later_success_that_names_no_dataset():
    error = failed_capture("performance", captured_at=AT - timedelta(hours=1))
    assert len(error.subject.datasets) == 2
    assert judged(HELD_OUT, error).outcome is Outcome.ERROR
    assert judged(HELD_OUT, error, performance(None)).outcome is Outcome.MISSING, "it does not say on which data"
    blank = TEST.model_copy(update={"name": None, "sha256": None, "mlflow_digest": None})
    assert judged(HELD_OUT, error, performance(blank)).outcome is Outcome.PASS


def test_an_error_about_a_dataset_is_undone_by_the_explicit_call_that_knows_no_mlflow_digest():
    unread = TRAINING.model_copy(update={"sha256": None, "role": "train"})
    about = Subject(run=RunRef(run_id="r1"), datasets=(unread,))
    error = failed_capture("data_quality", subject=about, captured_at=AT - timedelta(hours=1))
    by_hand = TRAINING.model_copy(update={"mlflow_digest": None})
    assert judged(DQ, error, quality(by_hand)).outcome is Outcome.PASS
    assert judged(DQ, error, quality(by_hand.model_copy(update={"name": "other"}))).outcome is Outcome.ERROR
    changed = TRAINING.model_copy(update={"mlflow_digest": "zz"})
    assert judged(DQ, error, quality(changed)).outcome is Outcome.ERROR, "of that name, but not that content"
    nameless = Subject(run=RunRef(run_id="r1"), datasets=(DatasetRef(),))
    unknown = failed_capture("data_quality", subject=nameless, captured_at=AT - timedelta(hours=1))
    assert judged(DQ, unknown, quality()).outcome is Outcome.ERROR


def test_a_sentence_about_the_run_does_not_call_it_a_run_of_one_dataset():
    reason = judged(need("RN001", "run", needs=("finished",)), run(run_status="FAILED")).reason
    assert reason == "run: it ended as FAILED"
    assert judged(DQ, quality()).reason.startswith("data quality of loans.csv (training): ")


def test_an_error_bears_on_a_role_unless_every_dataset_it_names_has_another():
    live = TEST.model_copy(update={"name": "scored", "role": "production"})
    blank = TEST.model_copy(update={"role": None})
    requirement = need("DQ001", "data_quality", role="production")

    def outcome(*datasets):
        about = Subject(run=RunRef(run_id="r1"), datasets=datasets)
        return judged(requirement, failed_capture("data_quality", subject=about), quality(live)).outcome

    assert outcome(TRAINING, TEST) is Outcome.PASS
    assert outcome(live) is Outcome.ERROR
    assert outcome(TRAINING, blank) is Outcome.ERROR, "the one without a role might be live data"
    assert outcome() is Outcome.ERROR


def test_evidence_about_something_else_is_stale():
    other_version = MODEL.model_copy(update={"sha256": sha("other model")})
    cases = {
        "another version": SUBJECT.model_copy(update={"model": other_version}),
        "another run": Subject(run=RunRef(run_id="r2")),
        "another AI system": SUBJECT.model_copy(update={"system_id": "other"}),
        "not bound": Subject(),
    }
    for words, subject in cases.items():
        found = judged(DQ, quality(subject=subject))
        assert found.outcome is Outcome.STALE, words
        assert words in found.reason
        assert judged(DQ, quality(subject=subject), quality()).outcome is Outcome.PASS


def test_the_same_version_evaluated_in_another_run_counts():
    subject = Subject(run=RunRef(run_id="r2"), model=MODEL)
    assert judged(DQ, quality(subject=subject)).outcome is Outcome.PASS


def test_a_basis_that_is_not_accepted_does_not_count_and_is_named():
    found = judged(need("DQ001", "data_quality", (Basis.MEASURED,)), quality(basis=Basis.REPORTED))
    assert found.outcome is Outcome.MISSING
    assert "reported" in found.reason


def test_a_record_of_the_callers_own_cannot_call_itself_measured():
    requirement = need("RC001", "gate_decision", (Basis.MEASURED,))
    assert judged(requirement, custom("gate_decision", basis=Basis.MEASURED)).outcome is Outcome.MISSING
    assert judged(need("RC001", "gate_decision"), custom("gate_decision", basis=Basis.MEASURED)).basis is Basis.REPORTED


def test_old_evidence_is_stale_to_the_second_and_a_failure_stays_a_failure():
    week = timedelta(days=7)
    assert judged(DQ, quality(), max_age=week, at=AT + week).outcome is Outcome.PASS
    late = AT + week + timedelta(seconds=1)
    found = judged(DQ, quality(), max_age=week, at=late)
    assert found.outcome is Outcome.STALE
    assert found.valid_until == AT + week
    assert judged(DQ, quality(verdict=Verdict.FAIL), max_age=week, at=late).outcome is Outcome.FAIL
    own_end = quality(valid_until=AT + timedelta(days=1))
    assert judged(DQ, own_end, max_age=week, at=AT + timedelta(days=2)).outcome is Outcome.STALE
    assert judged(DQ, own_end, at=AT + timedelta(days=2)).outcome is Outcome.STALE


def test_evidence_from_the_future_does_not_count():
    found = judged(DQ, quality(captured_at=AT + timedelta(minutes=6)))
    assert found.outcome is Outcome.MISSING
    assert "dated after" in found.reason
    assert judged(DQ, quality(captured_at=AT + timedelta(minutes=4))).outcome is Outcome.PASS


# Data.


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ((), Outcome.MISSING),
        ((rule(RuleVerdict.VACUOUS),), Outcome.MISSING),
        ((rule(), rule(RuleVerdict.FAIL)), Outcome.FAIL),
        ((rule(), rule(RuleVerdict.ERROR)), Outcome.ERROR),
        ((rule(), rule(RuleVerdict.UNKNOWN)), Outcome.ERROR),
        ((rule(), rule(RuleVerdict.FAIL, severity="warning")), Outcome.PASS),
    ],
)
def test_a_pass_that_its_own_rules_contradict_is_not_believed(rules, outcome):
    assert judged(DQ, quality(rules=rules)).outcome is outcome


def test_the_tested_data_must_be_the_very_data_it_was_trained_on():
    requirement = need("DQ002", "data_quality")
    assert judged(requirement, dataset(), quality()).outcome is Outcome.PASS
    assert judged(requirement, dataset(), quality(verdict=Verdict.FAIL)).outcome is Outcome.PASS, (
        "tested, if not passed"
    )
    assert judged(requirement, dataset(), quality(verdict=Verdict.NOT_TESTED)).outcome is Outcome.MISSING
    other = TRAINING.model_copy(update={"sha256": sha("another extract")})
    assert judged(requirement, dataset(), quality(other)).outcome is Outcome.MISSING
    assert judged(requirement, dataset(), dataset(other), quality()).outcome is Outcome.MISSING
    assert judged(requirement, dataset(TEST), quality(TEST)).outcome is Outcome.MISSING, "no training data on record"
    blank = other.model_copy(update={"role": None})
    assert judged(requirement, dataset(blank), quality(blank)).outcome is Outcome.MISSING, (
        "nobody says it is training data"
    )
    assert judged(requirement, dataset(), dataset(blank), quality()).outcome is Outcome.MISSING, "it might be, too"
    broken = quality(status=EvidenceStatus.ERROR, verdict=Verdict.NOT_TESTED)
    assert judged(requirement, dataset(), broken).outcome is Outcome.ERROR


def test_a_dataset_known_by_name_only_is_not_identified():
    requirement = need("DS001", "dataset")
    assert judged(requirement, dataset(), dataset(TEST)).outcome is Outcome.PASS
    assert judged(requirement, dataset()).outcome is Outcome.MISSING, "the run used a second one"
    loose = lineage(numbers={"inputs_without_content_digest": 1.0})
    assert judged(requirement, dataset(), dataset(TEST), loose).outcome is Outcome.MISSING
    nameless = TEST.model_copy(update={"sha256": None})
    assert judged(requirement, dataset(), dataset(nameless)).outcome is Outcome.MISSING


def test_a_resumed_run_knows_the_content_of_what_went_in_before():
    requirement = need("DS001", "dataset")

    def resumed(digest):
        edges = (LineageEdge(source=f"dataset:loans.csv@mlflow:{digest}", target="run:r1", relation="input"),)
        return lineage(edges=edges, numbers={"inputs_without_content_digest": 1.0})

    known = (dataset(TRAINING), dataset(TEST), lineage(captured_at=AT - timedelta(hours=1)))
    assert judged(requirement, *known, resumed(TRAINING.mlflow_digest)).outcome is Outcome.PASS
    assert judged(requirement, *known, resumed("another")).outcome is Outcome.MISSING


def test_a_resumed_run_is_not_asked_again_for_what_it_made_before():
    requirement = need("LN001", "lineage")
    first = lineage(captured_at=AT - timedelta(hours=1))
    resumed = lineage(edges=(LineageEdge(source="dataset:batch", target="run:r1", relation="input"),))
    assert judged(requirement, resumed).outcome is Outcome.MISSING
    assert judged(requirement, first, resumed).outcome is Outcome.PASS
    ended = RunRef(run_id="r1", experiment_id="1", sha256=sha("as it stood then"))
    before = first.model_copy(update={"subject": SUBJECT.model_copy(update={"run": ended})})
    assert judged(requirement, before, resumed).outcome is Outcome.PASS
    elsewhere = first.model_copy(update={"subject": SUBJECT.model_copy(update={"run": RunRef(run_id="r2")})})
    assert judged(requirement, elsewhere, resumed).outcome is Outcome.MISSING


def test_drift_of_a_test_set_says_nothing_of_live_data():
    requirement = need("DR001", "drift", role="production")
    live = TEST.model_copy(update={"role": "production"})
    assert judged(requirement, drift()).outcome is Outcome.MISSING
    assert judged(requirement, drift(live)).outcome is Outcome.PASS
    assert judged(requirement, drift(TEST.model_copy(update={"role": "prod"}))).outcome is Outcome.PASS
    assert judged(requirement, drift(TEST.model_copy(update={"role": None}))).outcome is Outcome.MISSING


def test_drift_that_compared_nothing_is_no_pass():
    requirement = need("DR001", "drift")
    assert judged(requirement, drift(tested=0, drifted_share=None)).outcome is Outcome.MISSING
    assert judged(requirement, drift(tested=2, drifted=1, drifted_share=0.5)).outcome is Outcome.FAIL


# Model.


def test_a_model_needs_digest_and_signature_where_asked():
    requirement = need("MD001", "model", needs=("digest", "signature"))
    assert judged(requirement, model()).outcome is Outcome.PASS
    assert judged(requirement, model(signature_inputs=None)).outcome is Outcome.FAIL
    blank = SUBJECT.model_copy(update={"model": MODEL.model_copy(update={"sha256": None})})
    assert judged(requirement, model(subject=blank)).outcome is Outcome.MISSING
    assert judged(need("MD001", "model", needs=("input_example",)), model()).outcome is Outcome.FAIL


HELD_OUT = need("PF001", "performance", held_out="required")


def test_performance_counts_on_held_out_data_only():
    assert judged(HELD_OUT, performance()).outcome is Outcome.PASS
    found = judged(HELD_OUT, performance(TRAINING))
    assert found.outcome is Outcome.MISSING
    assert "trained on" in found.reason
    renamed = TEST.model_copy(update={"sha256": TRAINING.sha256})
    assert judged(HELD_OUT, dataset(), performance(renamed)).outcome is Outcome.MISSING
    assert judged(HELD_OUT, performance(TRAINING), performance()).outcome is Outcome.PASS
    assert judged(HELD_OUT, performance(TRAINING, verdict=Verdict.FAIL), performance()).outcome is Outcome.FAIL
    found = judged(HELD_OUT, performance(None))
    assert found.outcome is Outcome.MISSING
    assert "on which data" in found.reason
    assert judged(HELD_OUT, performance(None), performance()).outcome is Outcome.PASS, "another record says it"
    assert judged(HELD_OUT, performance(DatasetRef())).outcome is Outcome.MISSING
    assert judged(HELD_OUT, performance(DatasetRef(role="test"))).outcome is Outcome.PASS
    assert judged(HELD_OUT, performance(DatasetRef(name="loans_2026"))).outcome is Outcome.PASS
    by_name = DatasetRef(name=TRAINING.name)
    assert judged(HELD_OUT, dataset(), performance(by_name)).outcome is Outcome.MISSING, "the training data by its name"


def test_metrics_without_a_limit_are_no_pass_and_do_not_spoil_one():
    logged = performance(None, verdict=Verdict.RECORDED, basis=Basis.REPORTED)
    found = judged(HELD_OUT, logged)
    assert found.outcome is Outcome.MISSING
    assert "limit" in found.reason
    assert judged(HELD_OUT, logged, performance()).outcome is Outcome.PASS
    assert judged(HELD_OUT, performance(metrics=())).outcome is Outcome.MISSING
    assert judged(HELD_OUT, performance(metrics=(metric(), metric("f1", Verdict.FAIL)))).outcome is Outcome.FAIL


def test_a_declared_limit_that_nobody_measured_is_missing():
    source = declaration(performance={"metrics": {"roc_auc": {"min": 0.8}, "recall": {"min": 0.5}}})
    found = judged(HELD_OUT, performance(), source=source)
    assert found.outcome is Outcome.MISSING
    assert "recall" in found.reason
    both = performance(metrics=(metric(), metric("recall")))
    assert judged(HELD_OUT, both, source=source).outcome is Outcome.PASS


FAIR = need("FA001", "fairness", when_declared=("columns.sensitive", "fairness.metrics"))
SILENT = declaration(columns={}, fairness={})


def test_fairness_is_asked_for_where_sensitive_columns_are_declared():
    assert judged(FAIR, fairness(), declared_record()).outcome is Outcome.PASS
    assert judged(FAIR, declared_record()).outcome is Outcome.MISSING
    record = declared_record(SILENT)
    found = judged(FAIR, record)
    assert found.outcome is Outcome.PASS
    assert found.evidence == (record.digest,)
    assert found.basis is None
    assert judged(FAIR).outcome is Outcome.MISSING, "no declaration says that there are none"
    assert judged(FAIR, record, fairness(verdict=Verdict.FAIL)).outcome is Outcome.FAIL
    assert judged(FAIR, record, failed_capture("fairness")).outcome is Outcome.ERROR
    late = AT + timedelta(days=31)
    assert judged(FAIR, record, max_age=timedelta(days=30), at=late).outcome is Outcome.STALE


def test_a_difference_beyond_its_limit_fails_whatever_the_summary_says():
    assert judged(FAIR, fairness(disparities=(gap(Verdict.FAIL),))).outcome is Outcome.FAIL
    assert judged(FAIR, fairness(disparities=())).outcome is Outcome.MISSING
    source = declaration(fairness={"metrics": {"true_positive_rate_difference": {"max": 0.1}}})
    assert judged(FAIR, fairness(), source=source).outcome is Outcome.MISSING


# Run.


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.PASS),
        ({"run_status": "FAILED"}, Outcome.FAIL),
        ({"run_status": "KILLED"}, Outcome.FAIL),
        ({"run_status": "RUNNING"}, Outcome.MISSING),
        ({"git_commit": None}, Outcome.MISSING),
        ({"git_dirty": True}, Outcome.UNCERTAIN),
        ({"git_dirty": None}, Outcome.PASS),
    ],
)
def test_a_run_must_have_finished_from_committed_code(changes, outcome):
    assert judged(need("RN001", "run", needs=("finished", "git_commit")), run(**changes)).outcome is outcome


def test_a_failed_run_that_was_resumed_and_finished_counts_as_finished():
    requirement = need("RN001", "run", needs=("finished",))
    failed = run(run_status="FAILED", captured_at=AT - timedelta(hours=1))
    assert judged(requirement, failed, run()).outcome is Outcome.PASS


def test_every_package_must_have_an_exact_version():
    requirement = need("EN001", "environment")
    assert judged(requirement, environment()).outcome is Outcome.PASS
    assert judged(requirement, environment(unpinned=("numpy",))).outcome is Outcome.FAIL
    assert judged(requirement, environment(packages={"numpy": ""})).outcome is Outcome.FAIL
    assert judged(requirement, environment(packages={})).outcome is Outcome.MISSING


def test_lineage_must_meet_in_the_run():
    requirement = need("LN001", "lineage")
    into = LineageEdge(source="d", target="r", relation="input")
    out = LineageEdge(source="r", target="m", relation="output")
    assert judged(requirement, lineage()).outcome is Outcome.PASS
    for edges in ((), (into,), (out,), (into, out.model_copy(update={"source": "another run"}))):
        assert judged(requirement, lineage(edges=edges)).outcome is Outcome.MISSING


# Declared and attested.


def test_declared_fields_must_be_filled_for_every_dataset():
    requirement = need("DC001", "declaration", (Basis.DECLARED,), fields=("system.purpose", "datasets.*.origin"))
    found = judged(requirement, declared_record())
    assert found.outcome is Outcome.PASS
    assert found.basis is Basis.DECLARED
    assert found.attested_part
    sheets = {"loans.csv": {"origin": "core banking"}, "loans_test.csv": {"role": "test"}}
    found = judged(requirement, declared_record(declaration(datasets=sheets)))
    assert found.outcome is Outcome.MISSING
    assert "datasets.loans_test.csv.origin" in found.reason
    assert "loans.csv.origin" not in found.reason
    assert judged(requirement, declared_record(declaration(datasets={}))).outcome is Outcome.MISSING
    assert judged(requirement).outcome is Outcome.MISSING


def test_declared_fields_are_told_by_name_where_the_content_is_not_kept():
    requirement = need("DC001", "declaration", (Basis.DECLARED,), fields=("datasets.*.origin", "datasets.*.licence"))
    names = ("datasets.a.csv.origin", "datasets.a.csv.licence", "datasets.b.origin")
    found = judged(requirement, declared_record(content={}, declared=names, undeclared=()))
    assert found.outcome is Outcome.MISSING
    assert "datasets.b.licence" in found.reason
    assert judged(requirement, declared_record(content={}, declared=names[:2], undeclared=())).outcome is Outcome.PASS


def test_a_declaration_that_calls_itself_measured_is_still_declared():
    requirement = need("DC001", "declaration", (Basis.MEASURED,), fields=("system.purpose",))
    assert judged(requirement, declared_record(basis=Basis.MEASURED)).outcome is Outcome.MISSING


def test_a_declaration_without_a_file_is_not_kept_as_code():
    requirement = need("DC002", "declaration", (Basis.DECLARED,))
    assert judged(requirement, declared_record()).outcome is Outcome.PASS
    assert judged(requirement, declared_record(declaration_sha256=None)).outcome is Outcome.MISSING


def test_a_statement_counts_on_its_topic_for_the_rows_it_names_while_it_is_in_force():
    def outcome(**changes):
        at = changes.pop("at", AT)
        return judged(AI_POLICY, attestation(**changes), row="5.2", at=at).outcome

    assert outcome() is Outcome.PASS
    assert outcome(topic="competence") is Outcome.MISSING
    assert outcome(supports=("5.2", "A.2.2")) is Outcome.PASS
    assert outcome(supports=("A.2.2",)) is Outcome.MISSING
    assert outcome(valid_from=date(2026, 12, 1)) is Outcome.MISSING
    assert outcome(valid_until=AT - timedelta(seconds=1)) is Outcome.STALE
    assert outcome(document=None) is Outcome.MISSING
    assert outcome(approver=None) is Outcome.MISSING
    assert outcome(verdict=Verdict.FAIL) is Outcome.FAIL
    assert outcome(verdict=Verdict.NOT_TESTED) is Outcome.MISSING
    assert outcome(subject=Subject(system_id="other")) is Outcome.STALE
    assert outcome(subject=Subject(run=RunRef(run_id="records run"))) is Outcome.PASS, "kept in a run of its own"


def test_a_statement_is_as_old_as_the_day_it_is_valid_from():
    year = timedelta(days=365)
    old = attestation(valid_from=date(2025, 11, 1), valid_until=AT + timedelta(days=999))
    assert judged(AI_POLICY, old, row="5.2", max_age=year).outcome is Outcome.STALE
    endless = attestation(valid_from=date(2025, 11, 1), valid_until=None)
    assert judged(AI_POLICY, endless, row="5.2").outcome is Outcome.STALE, "one year where nothing else ends it"


def test_a_renewal_that_is_not_in_force_yet_leaves_the_present_one_standing():
    renewal = attestation(valid_from=date(2026, 12, 31), captured_at=AT + timedelta(seconds=1))
    assert judged(AI_POLICY, attestation(), renewal, row="5.2").outcome is Outcome.PASS
    found = judged(AI_POLICY, renewal, row="5.2")
    assert "2026-12-31" in found.reason


def test_a_withdrawn_statement_does_not_come_back():
    earlier = attestation(captured_at=AT - timedelta(days=2))
    withdrawn = attestation(verdict=Verdict.FAIL, reason="Withdrawn.")
    assert judged(AI_POLICY, earlier, withdrawn, row="5.2").outcome is Outcome.FAIL


# The caller's own records.


def test_facts_are_on_record_but_pass_no_condition():
    noted = custom("transition", verdict=Verdict.RECORDED)
    assert judged(need("EV001", "transition"), noted).outcome is Outcome.PASS
    assert judged(need("RC001", "transition"), noted).outcome is Outcome.MISSING
    assert judged(need("RC001", "transition"), custom("transition")).outcome is Outcome.PASS
    assert judged(need("EV001", "transition"), custom("transition", verdict=Verdict.FAIL)).outcome is Outcome.FAIL


def test_records_with_an_id_each_count():
    first = custom("incident", content={"id": "i-1"}, verdict=Verdict.FAIL, captured_at=AT - timedelta(days=1))
    second = custom("incident", content={"id": "i-2"})
    closed = custom("incident", content={"id": "i-1"})
    assert judged(need("RC001", "incident"), first, second).outcome is Outcome.FAIL
    assert judged(need("RC001", "incident"), first, second, closed).outcome is Outcome.PASS
