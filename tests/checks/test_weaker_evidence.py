"""Evidence that asks less than is declared, or that says less than it should: it never passes for more than it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aims_mlflow.assessment import Outcome
from aims_mlflow.capture.dataset import role_of as role_when_captured
from aims_mlflow.catalog import load_catalog
from aims_mlflow.checks import Case, Pool, available_checks
from aims_mlflow.checks.keys import role_of
from aims_mlflow.config import Declaration
from aims_mlflow.controls import Requirement
from aims_mlflow.evidence import (
    Basis,
    Comparison,
    DatasetRef,
    EvidenceStatus,
    Interval,
    LineageEdge,
    MetricResult,
    ModelRef,
    Subject,
    Threshold,
    Verdict,
)
from aims_mlflow.evidence.roles import role_of_context
from good_run import (
    AT,
    MODEL,
    RUN,
    SUBJECT,
    TEST,
    TRAINING,
    custom,
    dataset,
    declaration,
    declared_record,
    drift,
    fairness,
    gap,
    lineage,
    metric,
    model,
    performance,
    quality,
    run,
    sha,
)

CATALOG = load_catalog()
EARLIER = AT - timedelta(hours=1)


def need(check, kind, **where):
    accepts = (Basis.MEASURED, Basis.REPORTED)
    return Requirement(id="x", what="it", evidence=(kind,), check=check, accepts=accepts, where=where, remedy="Do it.")


def judged(requirement, *evidence, max_age=None, at=AT, subject=SUBJECT, source=None):
    pool = Pool.of(evidence, subject=subject, at=at, declaration=source or Declaration())
    case = Case(CATALOG.row("A.7.4"), requirement, pool, max_age)
    return available_checks()[requirement.check].check(case)


HELD_OUT = need("PF001", "performance", held_out="required")
FAIR = need("FA001", "fairness", when_declared=("columns.sensitive", "fairness.metrics"))
DQ = need("DQ001", "data_quality")
DRIFT = need("DR001", "drift")


# The limits declared now.


def asking(policy=None, **limits):
    """A declaration that limits ``roc_auc``."""
    return declaration(performance={"metrics": {"roc_auc": limits}, **(policy or {})})


@pytest.mark.parametrize(
    ("limits", "policy", "outcome"),
    [
        ({"min": 0.8}, {}, Outcome.PASS),
        ({"min": 0.85}, {}, Outcome.PASS),
        ({"min": 0.95}, {}, Outcome.FAIL),
        ({"min": 0.89}, {}, Outcome.UNCERTAIN),
        ({"min": 0.89}, {"require_certain": False}, Outcome.PASS),
        ({"min": 0.91}, {"require_certain": False}, Outcome.FAIL),
        ({"max": 0.85}, {}, Outcome.FAIL),
        ({"min": 0.8, "max": 0.85}, {}, Outcome.FAIL),
        ({"min": 0.7, "max": 0.95}, {}, Outcome.PASS),
    ],
)
def test_a_metric_of_090_measured_by_a_limit_of_080_is_judged_by_the_limit_declared_now(limits, policy, outcome):
    assert judged(HELD_OUT, performance(), source=asking(policy, **limits)).outcome is outcome


def test_the_reason_says_that_another_limit_was_declared_since():
    found = judged(HELD_OUT, performance(), source=asking(min=0.95))
    assert "roc_auc was judged by another limit than aims.yaml declares now" in found.reason
    assert "0.95" in found.reason


def test_a_failure_by_a_limit_that_was_lowered_since_passes_by_the_new_one():
    low = MetricResult(
        name="roc_auc", estimate=Interval(value=0.7, low=0.68, high=0.72), threshold=0.8, verdict=Verdict.FAIL
    )
    record = performance(metrics=(low,), verdict=Verdict.FAIL)
    assert judged(HELD_OUT, record, source=asking(min=0.6)).outcome is Outcome.PASS
    assert judged(HELD_OUT, record, source=asking(min=0.8)).outcome is Outcome.FAIL
    more = performance(metrics=(low, metric("f1", Verdict.FAIL)), verdict=Verdict.FAIL)
    assert judged(HELD_OUT, more, source=asking(min=0.6)).outcome is Outcome.FAIL, "f1 failed by its own limit"
    other = performance(verdict=Verdict.FAIL)
    assert judged(HELD_OUT, other, source=asking(min=0.6)).outcome is Outcome.FAIL, "it failed by something else"


def test_a_failure_on_training_data_that_passes_now_is_still_no_evidence_of_held_out_data():
    low = MetricResult(
        name="roc_auc", estimate=Interval(value=0.7, low=0.68, high=0.72), threshold=0.8, verdict=Verdict.FAIL
    )
    record = performance(TRAINING, metrics=(low,), verdict=Verdict.FAIL)
    assert judged(HELD_OUT, record, source=asking(min=0.6)).outcome is Outcome.MISSING


def test_a_value_without_interval_is_judged_by_the_value():
    bare = MetricResult(name="roc_auc", estimate=Interval(value=0.9), threshold=0.5, verdict=Verdict.PASS)
    record = performance(metrics=(bare,))
    assert judged(HELD_OUT, record, source=asking(min=0.89)).outcome is Outcome.PASS
    assert judged(HELD_OUT, record, source=asking(min=0.91)).outcome is Outcome.FAIL
    undefined = performance(metrics=(bare.model_copy(update={"estimate": Interval()}),))
    assert judged(HELD_OUT, undefined, source=asking(min=0.89)).outcome is Outcome.MISSING


def test_a_metric_recorded_without_a_limit_is_held_against_the_one_declared_since():
    source = declaration(performance={"metrics": {"roc_auc": {"min": 0.8}, "recall": {"min": 0.95}}})
    noted = metric("recall", Verdict.RECORDED).model_copy(update={"threshold": None})
    record = performance(metrics=(metric(), noted))
    assert judged(HELD_OUT, record, source=source).outcome is Outcome.FAIL


def test_limits_a_record_lists_are_compared_on_both_sides():
    listed = (
        Threshold(name="roc_auc", op=">=", value=0.8, source="aims.yaml"),
        Threshold(name="roc_auc", op="<=", value=0.99, source="aims.yaml"),
    )
    record = performance(thresholds=listed)
    assert judged(HELD_OUT, record, source=asking(min=0.8, max=0.99)).outcome is Outcome.PASS
    assert judged(HELD_OUT, record, source=asking(min=0.8, max=0.89)).outcome is Outcome.UNCERTAIN
    assert judged(HELD_OUT, record, source=asking(min=0.8, max=0.87)).outcome is Outcome.FAIL


def test_a_certainty_that_was_not_asked_for_then_is_asked_for_now():
    narrow = MetricResult(
        name="roc_auc",
        estimate=Interval(value=0.81, low=0.78, high=0.84),
        threshold=0.8,
        direction="higher_is_better",
        verdict=Verdict.PASS,
    )
    record = performance(metrics=(narrow,), parameters={"require_certain": False})
    assert judged(HELD_OUT, record, source=asking(min=0.8)).outcome is Outcome.UNCERTAIN
    assert judged(HELD_OUT, record, source=asking({"require_certain": False}, min=0.8)).outcome is Outcome.PASS
    sure = performance()
    assert judged(HELD_OUT, sure, source=asking({"confidence": 0.99}, min=0.8)).outcome is Outcome.UNCERTAIN


def test_a_greater_loss_against_the_baseline_than_is_allowed_now_is_stale():
    compared = Comparison(
        metric="roc_auc", value=0.9, baseline=0.94, baseline_ref="r0", difference=Interval(value=-0.04),
        threshold=-0.05, verdict=Verdict.PASS,
    )  # fmt: skip
    allowed = (Threshold(name="loss against the baseline", op="<=", value=0.05, source="aims.yaml"),)
    record = performance(comparisons=(compared,), thresholds=allowed)
    assert judged(HELD_OUT, record, source=asking({"max_loss": 0.05}, min=0.8)).outcome is Outcome.PASS
    found = judged(HELD_OUT, record, source=asking({"max_loss": 0.01}, min=0.8))
    assert found.outcome is Outcome.STALE
    assert "another limit" in found.reason


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [(0.8, Outcome.PASS), (0.84, Outcome.PASS), (0.9, Outcome.UNCERTAIN), (0.96, Outcome.FAIL)],
)
def test_a_gap_between_groups_is_judged_by_the_limit_declared_now(limit, outcome):
    source = declaration(fairness={"metrics": {"selection_rate_ratio": {"min": limit}}})
    assert judged(FAIR, fairness(), declared_record(source), source=source).outcome is outcome


def test_a_gap_that_was_uncertain_beyond_its_limit_stays_uncertain():
    source = declaration(fairness={"metrics": {"selection_rate_ratio": {"min": 0.82}}})
    unsure = fairness(disparities=(gap(Verdict.UNCERTAIN),), verdict=Verdict.UNCERTAIN)
    assert judged(FAIR, unsure, source=source).outcome is Outcome.UNCERTAIN, "a group's rate was undefined"


def test_drift_by_a_laxer_share_than_declared_now_is_stale_and_a_failure_where_the_share_is_reached():
    source = declaration(drift={"share_limit": 0.2})
    lax = drift(share_limit=0.9)
    found = judged(DRIFT, lax, source=source)
    assert found.outcome is Outcome.STALE
    assert "another limit" in found.reason
    assert judged(DRIFT, lax, source=declaration(drift={"share_limit": 0.9})).outcome is Outcome.PASS
    assert judged(DRIFT, drift(share_limit=0.1), source=source).outcome is Outcome.PASS, "it asked for more"
    reached = drift(share_limit=0.9, tested=10, drifted=3, drifted_share=0.3)
    assert judged(DRIFT, reached, source=source).outcome is Outcome.FAIL


# What takes the place of what.


def failed_then_passed(requirement, failed, passed, **more):
    assert judged(requirement, failed, **more).outcome is Outcome.FAIL
    return judged(requirement, failed, passed, **more).outcome


def test_a_trivial_suite_does_not_replace_a_strict_one():
    strict = quality(verdict=Verdict.FAIL, captured_at=EARLIER)
    assert failed_then_passed(DQ, strict, quality(suite_sha256=sha("trivial"))) is Outcome.FAIL
    assert failed_then_passed(DQ, strict, quality()) is Outcome.PASS, "the same suite run again"


def test_data_without_name_and_content_stand_on_their_own():
    for ref in (DatasetRef(), DatasetRef(role="test"), DatasetRef(name="dataset", role="test")):
        failed = quality(ref, verdict=Verdict.FAIL, captured_at=EARLIER)
        assert failed_then_passed(DQ, failed, quality(ref)) is Outcome.FAIL
        bad = performance(ref, verdict=Verdict.FAIL, metrics=(metric(verdict=Verdict.FAIL),), captured_at=EARLIER)
        assert failed_then_passed(HELD_OUT, bad, performance(ref.model_copy(update={"role": "test"}))) is Outcome.FAIL
        uneven = fairness(ref, verdict=Verdict.FAIL, captured_at=EARLIER)
        assert failed_then_passed(FAIR, uneven, fairness(ref)) is Outcome.FAIL
    bad = fairness(None, verdict=Verdict.FAIL, captured_at=EARLIER)
    assert failed_then_passed(FAIR, bad, fairness(None)) is Outcome.FAIL


def test_a_lapsed_pass_that_stands_on_its_own_is_renewed_by_a_later_one():
    ref, week = DatasetRef(role="test"), timedelta(days=7)
    old = performance(ref, captured_at=AT - timedelta(days=30))
    assert judged(HELD_OUT, old, max_age=week).outcome is Outcome.STALE
    assert judged(HELD_OUT, old, performance(ref), max_age=week).outcome is Outcome.PASS
    monitoring = need("RC001", "monitoring")
    yesterday = custom("monitoring", captured_at=AT - timedelta(days=30))
    assert judged(monitoring, yesterday, max_age=week).outcome is Outcome.STALE
    assert judged(monitoring, yesterday, custom("monitoring"), max_age=week).outcome is Outcome.PASS
    strict = quality(captured_at=AT - timedelta(days=30))
    trivial = quality(suite_sha256=sha("trivial"))
    assert judged(DQ, strict, trivial, max_age=week).outcome is Outcome.STALE, "another suite renews nothing"


def test_mended_data_of_the_same_name_take_the_place_of_the_old_but_not_for_training():
    mended = TEST.model_copy(update={"sha256": sha("mended")})
    assert failed_then_passed(DQ, quality(TEST, verdict=Verdict.FAIL, captured_at=EARLIER), quality(mended)) is (
        Outcome.PASS
    )
    trained = quality(TRAINING, verdict=Verdict.FAIL, captured_at=EARLIER)
    other = TRAINING.model_copy(update={"sha256": sha("mended")})
    assert failed_then_passed(DQ, trained, quality(other)) is Outcome.FAIL, "it was trained on the old"
    nameless = TEST.model_copy(update={"name": "dataset"})
    bad = quality(nameless, verdict=Verdict.FAIL, captured_at=EARLIER)
    assert failed_then_passed(DQ, bad, quality(mended.model_copy(update={"name": "dataset"}))) is Outcome.FAIL, (
        "MLflow calls every dataset so that has no name"
    )


def test_drift_by_a_more_lenient_method_does_not_replace_a_stricter_one():
    failed = drift(verdict=Verdict.FAIL, captured_at=EARLIER, parameters={"method": "auto", "threshold": None})
    assert failed_then_passed(DRIFT, failed, drift(parameters={"method": "auto", "threshold": None})) is Outcome.PASS
    assert failed_then_passed(DRIFT, failed, drift(parameters={"method": "auto", "threshold": 9.0})) is Outcome.FAIL
    laxer = drift(parameters=failed.parameters, share_limit=0.4)
    assert failed_then_passed(DRIFT, failed, laxer) is Outcome.FAIL
    ignored = failed.columns[0].model_copy(update={"type": "ignored", "verdict": Verdict.NOT_TESTED, "column": "x"})
    fewer = drift(parameters=failed.parameters, columns=(*failed.columns, ignored))
    assert failed_then_passed(DRIFT, failed, fewer) is Outcome.FAIL, "a column was left out by order"


def test_an_undeclared_limit_that_is_lowered_does_not_replace_the_stricter_one():
    def by(limit, verdict, **more):
        one = metric(verdict=verdict).model_copy(update={"threshold": limit})
        return performance(metrics=(one,), verdict=verdict, **more)

    failed = by(0.95, Verdict.FAIL, captured_at=EARLIER)
    assert failed_then_passed(HELD_OUT, failed, by(0.1, Verdict.PASS)) is Outcome.FAIL
    assert failed_then_passed(HELD_OUT, failed, by(0.95, Verdict.PASS)) is Outcome.PASS
    gaps = fairness(disparities=(gap(Verdict.FAIL),), verdict=Verdict.FAIL, captured_at=EARLIER)
    lowered = gap().model_copy(update={"threshold": 0.1})
    assert failed_then_passed(FAIR, gaps, fairness(disparities=(lowered,))) is Outcome.FAIL


def test_records_of_the_callers_own_without_an_id_are_never_replaced():
    gate = need("RC001", "gate_decision")
    failed = custom("gate_decision", verdict=Verdict.FAIL, captured_at=EARLIER)
    assert failed_then_passed(gate, failed, custom("gate_decision")) is Outcome.FAIL
    named = custom("gate_decision", verdict=Verdict.FAIL, captured_at=EARLIER, content={"id": "g-1"})
    assert failed_then_passed(gate, named, custom("gate_decision", content={"id": "g-1"})) is Outcome.PASS
    assert failed_then_passed(gate, named, custom("gate_decision", content={"id": "g-2"})) is Outcome.FAIL


def test_what_judged_nothing_does_not_replace_a_failure_but_a_pass():
    failed = quality(verdict=Verdict.FAIL, captured_at=EARLIER)
    assert failed_then_passed(DQ, failed, quality(verdict=Verdict.NOT_TESTED)) is Outcome.FAIL
    broken = quality(verdict=Verdict.NOT_TESTED, status=EvidenceStatus.ERROR)
    assert failed_then_passed(DQ, failed, broken) is Outcome.FAIL
    passed = quality(captured_at=EARLIER)
    assert judged(DQ, passed, quality(verdict=Verdict.NOT_TESTED)).outcome is Outcome.MISSING
    between = quality(captured_at=EARLIER + timedelta(minutes=1))
    assert judged(DQ, failed, between, quality(verdict=Verdict.NOT_TESTED)).outcome is Outcome.MISSING


# About which model, on which data.

OTHER = ModelRef(name="other", model_id="m-2", sha256=sha("other"))
BY_RUN = Subject(system_id="loans", run=RUN)


def test_of_two_models_of_a_run_evidence_must_say_which_it_is_about():
    second = model(subject=SUBJECT.model_copy(update={"model": OTHER}))
    for requirement, made in ((HELD_OUT, performance), (FAIR, fairness)):
        vague, clear = made(subject=BY_RUN), made()
        assert judged(requirement, vague, model()).outcome is Outcome.PASS, "there is but one model"
        found = judged(requirement, vague, model(), second)
        assert found.outcome is Outcome.MISSING
        assert "which of the run's models" in found.reason
        assert judged(requirement, vague, clear, model(), second).outcome is Outcome.PASS
        by_id = made(subject=BY_RUN.model_copy(update={"model": ModelRef(model_id="m-1")}))
        assert judged(requirement, by_id, model(), second).outcome is Outcome.PASS
        by_other = made(subject=BY_RUN.model_copy(update={"model": ModelRef(model_id="m-2")}))
        assert judged(requirement, by_other, model(), second).outcome is Outcome.STALE
        assert judged(requirement, vague, second).outcome is Outcome.MISSING, "the version itself is the second"


def test_the_links_of_a_run_tell_its_second_model_too():
    out = LineageEdge(source="run:r1", target="model:m-1@sha256:00", relation="output")
    links = lineage(edges=(out, out.model_copy(update={"target": "model:m-2"})))
    assert judged(HELD_OUT, performance(subject=BY_RUN), model(), links).outcome is Outcome.MISSING
    assert judged(HELD_OUT, performance(), model(), links).outcome is Outcome.PASS
    assert judged(HELD_OUT, performance(subject=BY_RUN), links, subject=BY_RUN).outcome is Outcome.PASS, (
        "the run is assessed, no version"
    )


def test_evidence_counts_for_no_version_whose_files_could_not_be_hashed():
    unread = SUBJECT.model_copy(update={"model": MODEL.model_copy(update={"sha256": None})})
    for record, requirement in ((performance(), HELD_OUT), (quality(), DQ), (run(), need("RN001", "run"))):
        found = judged(requirement, record, subject=unread)
        assert found.outcome is Outcome.STALE
        assert "the files of this version could not be hashed" in found.reason


def logged(*metrics, **changes):
    return performance(None, basis=Basis.REPORTED, metrics=metrics, **changes)


def limiting(*names):
    return declaration(performance={"metrics": {name: {"min": 0.8} for name in names}})


def outcome_of_logged(*names):
    """The outcome where metrics of these names, all limited, were logged and nothing else."""
    return judged(HELD_OUT, logged(*(metric(name) for name in names)), source=limiting(*names)).outcome


@pytest.mark.parametrize("name", ["training_accuracy_score", "train_f1", "train/f1", "f1-train", "Training_AUC"])
def test_a_logged_metric_of_training_data_is_not_held_out(name):
    found = judged(HELD_OUT, logged(metric(name)), source=limiting(name))
    assert found.outcome is Outcome.MISSING
    assert "trained on" in found.reason


def test_a_logged_metric_counts_as_held_out_where_its_name_says_so():
    for name in ("test_accuracy", "val_roc_auc", "accuracy-test", "eval/f1", "holdout.f1"):
        assert outcome_of_logged(name) is Outcome.PASS, name
    for name in ("accuracy", "roc_auc", "accuracy_score", "training_test_accuracy", "attest_rate"):
        assert outcome_of_logged(name) is Outcome.MISSING, name
    assert outcome_of_logged("test_accuracy", "training_accuracy") is Outcome.PASS, "the limit names its data"
    assert outcome_of_logged("test_accuracy", "accuracy") is Outcome.MISSING, "of one it is not known"
    failing = logged(metric("training_f1", Verdict.FAIL), verdict=Verdict.FAIL)
    assert judged(HELD_OUT, failing, performance(), source=limiting("training_f1")).outcome is Outcome.FAIL


def test_data_compared_with_itself_shows_no_drift_and_spoils_nothing():
    itself = drift(TEST.model_copy(update={"sha256": TRAINING.sha256}))
    found = judged(DRIFT, itself)
    assert found.outcome is Outcome.MISSING
    assert "compared with itself" in found.reason
    assert judged(DRIFT, itself, drift()).outcome is Outcome.PASS
    unknown = drift(TEST.model_copy(update={"sha256": None}))
    assert judged(DRIFT, unknown).outcome is Outcome.PASS


def test_no_sensitive_columns_are_declared_only_by_a_file():
    silent = declaration(columns={}, fairness={})
    assert judged(FAIR, declared_record(silent), source=silent).outcome is Outcome.PASS
    found = judged(FAIR, declared_record(silent, declaration_sha256=None), source=silent)
    assert found.outcome is Outcome.MISSING
    assert "no aims.yaml" in found.reason
    found = judged(FAIR, declared_record(silent), source=declaration())
    assert found.outcome is Outcome.MISSING, "they are declared by now"


def test_a_run_of_which_nobody_knows_whether_all_was_committed_says_so():
    requirement = need("RN001", "run", needs=("git_commit",))
    found = judged(requirement, run(git_dirty=None))
    assert found.outcome is Outcome.PASS
    assert "not known" in found.reason
    assert "not known" not in judged(requirement, run()).reason


# One table of roles.


@pytest.mark.parametrize(
    ("context", "role"),
    [("Scoring", "production"), ("inference", "production"), ("val", "validation"), ("fit", "training"), ("X", "x")],
)
def test_capture_and_checks_read_a_context_alike(context, role):
    assert role_of(context) == role
    assert str(role_when_captured(Declaration(), None, context)).lower() == role
    assert role_of_context(context).lower() == role


def test_live_data_is_told_by_every_word_for_it():
    live = DatasetRef(name="batch", role="scoring", sha256=sha("batch"))
    assert judged(need("DR001", "drift", role="production"), drift(live)).outcome is Outcome.PASS
    assert judged(HELD_OUT, dataset(), performance(TRAINING.model_copy(update={"role": "fit"}))).outcome is (
        Outcome.MISSING
    )
