"""Impact assessments: bound to a version, stale on each trigger, which is named, and never a pass when refused."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_kit import AT, CATALOG, FILED_AT, IMPACT, MODEL, ROWS, SYSTEM, Book

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import GroupResult, Interval, MetricResult, ModelRef, Verdict
from aims_mlflow.management.impact import measured_numbers
from aims_mlflow.management.impact_state import state_of
from aims_mlflow.management.risk_rules import Signal, steps

sys.path.insert(0, str(Path(__file__).parents[1]))
from good_run import TEST, attestation, drift, fairness, model, performance, sha

RESTS_ON_IMPACT = {"8.4", "A.5.3", "A.5.4", "A.5.5"}
RESTS_ON_RISKS = {"6.1.3", "8.2", "8.3"}
WHOLE = dict.fromkeys(ROWS, "satisfied") | dict.fromkeys(RESTS_ON_RISKS, "needs-attestation")
"""With an assessment in order and no risk on record."""
HOUR = timedelta(hours=1)
LATER = FILED_AT + 5 * HOUR
RETRAINED = ModelRef(name="model", model_id="m-2", registered_name="credit", version="2", sha256=sha("model 2"))
PERIL = {"title": "Wrong refusals", "severity": "serious", "harm": "fundamental rights"}


@pytest.fixture
def book():
    made = Book()
    made.system()
    made.impact()
    return made


def stands(book, at=AT, **how):
    (one,) = book.state(at).of_type("impact")
    return state_of(one, book.state(at), CATALOG, model=how.pop("model", MODEL), **how)


def test_without_an_assessment_its_rows_say_so_and_with_one_they_are_met(book):
    assert {Book().statuses()[row] for row in RESTS_ON_IMPACT} == {"needs-attestation"}
    assert book.statuses() == WHOLE
    assert (stands(book).word, stands(book).triggers) == ("current", ())


def test_the_evidence_is_bound_to_the_version_and_names_the_record_by_digest(book):
    (filed,) = book.state().of_type("impact")
    found = [one for one in book.evidence() if one.topic in ("impact_assessment", "individual_impact")]
    for one in found:
        assert one.subject.model.sha256 == MODEL.sha256
        assert one.document.sha256 == filed.record.digest
        assert (one.owner, one.approver) == ("Product", "Board")
        assert one.valid_until == filed.record.ends


def test_without_an_effect_on_society_only_that_row_is_open():
    book = Book()
    book.impact(effects=IMPACT["effects"][:1])
    assert book.statuses() == WHOLE | {"A.5.5": "needs-attestation"}
    assert "says nothing of society" in book.findings()["A.5.5"].reason
    book.impact("I-2", effects=IMPACT["effects"][1:], at=LATER)
    assert book.statuses() == WHOLE | {"A.5.4": "needs-attestation"}


def change(book, at=LATER, **fields):
    book.system(at=at, **fields)


TRIGGERS = {
    "new data source 'bureau'": lambda b: change(b, data_sources=("applications", "bureau")),
    "data source 'applications' is not used any more": lambda b: change(b, data_sources=("bureau",)),
    "new region 'SE'": lambda b: change(b, regions=("NO", "SE")),
    "the intended use was changed": lambda b: change(b, intended_use="Decides alone."),
    "the record of system loans cannot be read": lambda b: b.filed.append(_strange(b)),
    "open serious incident INC-1": lambda b: b.file("incident", "INC-1", PERIL | {"aware_at": LATER}, at=LATER),
    "drift was confirmed: risk drift-loans": lambda b: _drift_risk(b, LATER),
}


def _strange(book):
    from aims_mlflow.management.state import Filed

    last = book.system(at=LATER)
    book.filed.pop()
    return Filed(last.record.model_copy(update={"content": {"nonsense": 1}}), last.run_id)


def _drift_risk(book, at):
    (step,) = steps([Signal("drift", SYSTEM, "credit/1", sha("d"), at)], book.state(at), CATALOG)
    book.file("risk", step.id, step.content, at=at)


@pytest.mark.parametrize("what", TRIGGERS)
def test_each_trigger_makes_it_stale_from_its_moment_and_is_named_in_the_finding(book, what):
    TRIGGERS[what](book)
    state = stands(book)
    assert state.word == "stale"
    assert what in [trigger.what for trigger in state.triggers]
    assert state.ends == LATER - timedelta(milliseconds=1)
    found = book.findings()
    for row in RESTS_ON_IMPACT:
        assert found[row].status == "stale"
        assert what in found[row].reason
    before = stands(book, at=LATER - HOUR)
    assert (before.word, before.triggers) == ("current", ())


def test_drift_in_evidence_that_came_after_the_assessment_is_a_trigger_and_earlier_drift_is_not(book):
    after = drift(verdict=Verdict.FAIL, captured_at=LATER)
    before = drift(verdict=Verdict.FAIL, captured_at=FILED_AT - HOUR)
    uncertain = drift(verdict=Verdict.UNCERTAIN, captured_at=LATER)
    assert [t.code for t in stands(book, evidence=[after]).triggers] == ["confirmed drift"]
    assert stands(book, evidence=[before, uncertain, drift(captured_at=LATER)]).triggers == ()
    assert book.findings(run=[after])["8.4"].status == "stale"


def test_a_later_assessment_takes_the_trigger_in_and_holds_again(book):
    change(book, data_sources=("applications", "bureau"), intended_use="Support of two clerks.")
    assert stands(book).word == "stale"
    book.impact(at=LATER + HOUR, data_sources=("bureau", "applications"), intended_use="Support of two clerks.")
    assert stands(book).word == "current"
    assert book.statuses() == WHOLE


def test_an_incident_or_drift_the_assessment_rests_on_is_one_it_knew_of(book):
    book.file("incident", "INC-1", PERIL | {"aware_at": LATER}, at=LATER)
    _drift_risk(book, LATER)
    book.impact(at=LATER + HOUR)
    assert stands(book).word == "current"
    book.file("incident", "INC-1", PERIL | {"aware_at": LATER, "widespread": True}, at=LATER + 2 * HOUR)
    assert [t.code for t in stands(book).triggers] == ["serious incident"]
    book.impact(at=LATER + 3 * HOUR, links=("incident:INC-1",))
    book.file("incident", "INC-1", PERIL | {"aware_at": LATER}, at=LATER + 4 * HOUR)
    assert stands(book).word == "current"


def test_minor_incidents_and_those_of_another_system_are_no_trigger(book):
    book.file("incident", "INC-1", PERIL | {"aware_at": LATER, "severity": "major"}, at=LATER)
    book.file("incident", "INC-2", PERIL | {"aware_at": LATER}, at=LATER, systems=("other",))
    assert stands(book).word == "current"


def test_weighing_the_risk_of_a_drift_that_was_assessed_pulls_no_trigger_again(book):
    _drift_risk(book, LATER)
    book.impact(at=LATER + HOUR)
    line = next(iter(book.state().of_type("risk")))
    book.file("risk", "drift-loans", line.record.content | {"news": []}, at=LATER + 2 * HOUR)
    assert stands(book).word == "current"


def test_it_does_not_count_for_another_version_and_the_finding_says_why(book):
    found = book.findings(model=RETRAINED)
    assert found["A.5.5"].status == "stale"
    assert "another version of the model" in found["A.5.5"].reason
    assert [t.what for t in stands(book, model=RETRAINED).triggers] == [
        "new model version: credit 2 has other content than the one assessed"
    ]


def test_one_assessment_for_each_version_serves_both(book):
    book.impact("I-2", at=LATER, version="2", model_sha256=RETRAINED.sha256)
    assert book.statuses() == WHOLE
    assert book.findings(model=RETRAINED)["A.5.5"].status == "satisfied"


def test_one_from_before_there_was_a_version_covers_none(book):
    early = Book()
    early.impact(registered_name=None, version=None, model_sha256=None)
    assert {early.statuses()[row] for row in RESTS_ON_IMPACT} == {"stale"}
    assert "before there was a version" in early.findings()["8.4"].reason
    book.impact("I-0", at=LATER, registered_name=None, version=None, model_sha256=None)
    assert book.statuses() == WHOLE


def test_a_version_whose_files_are_gone_is_covered_by_nothing(book):
    gone = MODEL.model_copy(update={"sha256": None})
    assert book.findings(model=gone)["A.5.5"].status != "satisfied"
    assert stands(book, model=gone).word == "stale"


def test_a_system_found_not_acceptable_fails_and_nothing_filed_beside_it_makes_up_for_that(book):
    book.impact("I-2", at=FILED_AT - 2 * HOUR, conclusion="not acceptable", reason="It harms.")
    found = book.findings()
    for row in RESTS_ON_IMPACT:
        assert found[row].status == "not-satisfied"
        assert "it was found not acceptable: It harms" in found[row].reason
    plain = [attestation(topic) for topic in ("impact_assessment", "individual_impact", "societal_impact")]
    assert {str(book.findings(more=plain)[row].status) for row in RESTS_ON_IMPACT} == {"not-satisfied"}


def test_a_plain_statement_does_not_make_up_for_a_stale_assessment_or_one_of_another_version(book):
    change(book, regions=("NO", "SE"))
    plain = [attestation(topic) for topic in ("impact_assessment", "individual_impact", "societal_impact")]
    assert {str(book.findings(more=plain)[row].status) for row in RESTS_ON_IMPACT} == {"stale"}
    assert book.findings(more=plain, model=RETRAINED)["A.5.5"].status == "stale"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"effects": ()}, "names no effect on anybody"),
        ({"effects": ({**IMPACT["effects"][0], "measure": None}, IMPACT["effects"][1])}, "no measure is named"),
        ({"thresholds": ({"what": "error rate", "limit": "5 %", "met": False},)}, "the threshold on error rate"),
    ],
)
def test_one_that_leaves_something_out_is_no_assessment(changes, words):
    book = Book()
    book.impact(**changes)
    assert stands(book).word == "incomplete"
    assert {book.statuses()[row] for row in RESTS_ON_IMPACT} == {"needs-attestation"}
    assert words in book.findings()["8.4"].reason


def test_a_small_harm_needs_no_measure_where_the_system_is_acceptable_as_it_is():
    book = Book()
    harm = {**IMPACT["effects"][0], "measure": None}
    book.impact(conclusion="acceptable", effects=(harm, IMPACT["effects"][1]))
    assert book.statuses() == WHOLE
    book.impact(conclusion="acceptable", effects=({**harm, "severity": "severe"}, IMPACT["effects"][1]), at=LATER)
    assert book.statuses()["8.4"] == "needs-attestation"


def test_an_assessment_that_lapsed_by_its_own_date_is_stale(book):
    from datetime import date

    book.file("impact", "I-1", IMPACT, at=LATER, valid_until=date(2026, 11, 21), owner="Product")
    assert {book.statuses()[row] for row in RESTS_ON_IMPACT} == {"stale"}
    assert stands(book).reason == "its record lapsed on 2026-11-21"


def test_one_that_cannot_be_read_is_an_error(book):
    from aims_mlflow.management.state import Filed

    last = book.filed[-1]
    strange = last.record.model_copy(update={"content": last.record.content | {"conclusion": "fine"}})
    book.filed[-1] = Filed(strange, last.run_id)
    assert {book.statuses()[row] for row in RESTS_ON_IMPACT} == {"error"}


# what was measured


def test_measured_numbers_carry_interval_verdict_data_and_digest_of_their_evidence():
    perf = performance()
    groups = (
        GroupResult(attribute="sex", group="g1", n=90, judged=True, metrics={"recall": Interval(value=0.8)}),
        GroupResult(attribute="sex", group="g2", n=None, judged=False, metrics={"recall": Interval(value=0.1)}),
    )
    fair = fairness(groups=groups)
    found = {one.name: one for one in measured_numbers([perf, fair, drift()])}
    assert set(found) == {"roc_auc", "recall [sex=g1]", "selection_rate_ratio [sex]"}
    auc = found["roc_auc"]
    assert (auc.value, auc.low, auc.high, auc.evidence) == (0.9, 0.88, 0.92, perf.digest)
    assert (auc.data, auc.verdict) == ("loans_test.csv (test)", Verdict.PASS)
    assert (found["recall [sex=g1]"].n, found["recall [sex=g1]"].evidence) == (90, fair.digest)


def test_of_a_metric_measured_twice_the_latest_counts_and_what_could_not_run_does_not():
    later = performance(captured_at=AT + HOUR, metrics=(_auc(0.7),))
    assert [one.value for one in measured_numbers([later, performance()])] == [0.7]
    assert measured_numbers([performance(verdict=Verdict.NOT_TESTED)]) == ()


def _auc(value, verdict=Verdict.PASS):
    return MetricResult(
        name="roc_auc", estimate=Interval(value=value), direction="higher_is_better", verdict=verdict, threshold=0.5
    )


def assessed_with_limits(max_loss=0.02):
    book = Book()
    measured = [one.model_dump(mode="json") for one in measured_numbers([performance(metrics=(_auc(0.9),))])]
    retraining = {"assess": "beyond limits", "max_loss": max_loss}
    book.impact(measured=measured, retraining=retraining)
    return book


def test_retraining_within_its_limits_is_covered_where_the_assessment_says_so():
    book = assessed_with_limits()
    run = [performance(metrics=(_auc(0.89),))]
    assert stands(book, model=RETRAINED, evidence=run).word == "current"
    renewed = [one for one in book.evidence(model=RETRAINED, evidence=run) if one.topic == "societal_impact"]
    assert [one.subject.model for one in renewed] == [RETRAINED]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ([performance(metrics=(_auc(0.87),))], "roc_auc moved from 0.9 to 0.87"),
        ([performance(metrics=(_auc(0.95, Verdict.FAIL),), verdict=Verdict.FAIL)], "not shown to be within their"),
        ([performance(metrics=(_auc(0.9),)), fairness(verdict=Verdict.UNCERTAIN)], "not shown to be within their"),
        ([performance(metrics=())], "roc_auc was not measured on it"),
        ([], "roc_auc was not measured on it"),
    ],
)
def test_retraining_beyond_its_limits_or_unmeasured_is_a_trigger(run, words):
    state = stands(assessed_with_limits(), model=RETRAINED, evidence=run)
    assert state.word == "stale"
    assert words in state.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conclusion": "maybe"}, "conclusion"),
        ({"intended_use": ""}, "intended_use"),
        ({"reason": ""}, "reason"),
        ({"effects": ({"to": "x", "of": "martians", "what": "y", "kind": "harm"},)}, "effects.0.of"),
        ({"retraining": {"max_loss": -1}}, "max_loss"),
        ({"model_sha256": "abc"}, "model_sha256"),
    ],
)
def test_an_assessment_that_is_wrong_is_refused_with_the_field(changes, words):
    with pytest.raises(InputError) as raised:
        Book().impact(**changes)
    assert words in str(raised.value)


def test_an_assessment_is_of_a_system():
    with pytest.raises(InputError):
        Book().file("impact", "I-1", IMPACT, systems=())


events = st.lists(st.sampled_from(sorted(TRIGGERS)), unique=True, max_size=4)


@settings(max_examples=15, deadline=None)
@given(events, st.randoms())
def test_the_evidence_does_not_depend_on_the_order_of_reading_and_no_trigger_ever_passes(names, random):
    book = Book()
    book.system()
    book.impact()
    for name in names:
        if name != "the record of system loans cannot be read":
            TRIGGERS[name](book)
    before = [one.digest for one in book.evidence()]
    random.shuffle(book.filed)
    assert [one.digest for one in book.evidence()] == before
    triggered = stands(book).triggers
    assert (book.statuses()["A.5.5"] == "satisfied") == (not triggered)
    assert TEST.sha256 is not None
    assert model().kind == "model"
