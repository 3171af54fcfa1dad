"""The risk class from answers: what is open never makes it lighter, and every answer set gives one."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.catalog.questionnaire import load_questionnaire
from aims_mlflow.config.models import OrganizationRole
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import InputError
from aims_mlflow.management.classification import (
    answers_from,
    checked,
    classify,
    is_lighter,
    next_question,
)

ASKED = load_questionnaire()
NO = {question.id: "no" for question in ASKED.questions}
BASE = NO | {"ai_system": "yes", "in_union": "yes", "provider": "yes", "deployer": "yes"}
"""An AI system in the Union that does nothing the Act speaks of."""
CREDIT = BASE | {"annex_iii_5": "yes", "annex_iii_5b": "yes", "decides_on_persons": "yes"}
ESCAPE = {
    "art6_3_profiling": "no",
    "art6_3_no_influence": "yes",
    "art6_3_a": "yes",
    "art6_4_documented": "yes",
}


def yes(*ids, base=BASE):
    found = dict(base)
    for one in ids:
        found[one] = "yes"
        if ASKED.by_id[one].under:
            found[ASKED.by_id[one].under] = "yes"
    return found


def without(answers, *ids):
    return {one: answer for one, answer in answers.items() if one not in ids}


def open_ids(outcome, matters):
    return [one.id for one in outcome.open if one.matters == matters]


def duties(outcome):
    return {duty.id: duty for duty in outcome.duties}


# the classes


def test_a_system_that_does_nothing_the_act_speaks_of_is_minimal_and_owes_literacy():
    outcome = classify(BASE)
    assert outcome.risk_class is RiskClass.MINIMAL
    assert outcome.is_settled
    assert not outcome.open
    assert list(duties(outcome)) == ["ai_literacy"]
    assert outcome.roles == ("provider", "deployer")


@pytest.mark.parametrize("question", [q.id for q in ASKED.by_part["prohibited"]])
def test_a_prohibited_practice_is_prohibited_from_its_own_date(question):
    outcome = classify(yes(question))
    assert outcome.risk_class is RiskClass.PROHIBITED
    (duty,) = outcome.duties
    added = question in ("art5_ba", "art5_bb")
    assert duty.applies_from == (date(2026, 12, 2) if added else date(2025, 2, 2))
    assert [reason.question for reason in outcome.reasons] == [question]
    assert "Art. 5(1)" in outcome.in_short


@pytest.mark.parametrize("use", [use.id for use in ASKED.uses])
def test_a_listed_use_is_high_risk_and_cites_its_point(use):
    outcome = classify(yes(use))
    assert outcome.risk_class is RiskClass.HIGH
    assert outcome.is_settled
    point = use.removeprefix("annex_iii_")[0]
    assert outcome.reasons[0].citation.startswith(f"Annex III, point {point}")
    assert duties(outcome)["data_governance"].applies_from == date(2027, 12, 2)


def test_an_area_of_annex_iii_alone_makes_nothing_high_risk():
    assert classify(BASE | {"annex_iii_5": "yes"}).risk_class is RiskClass.MINIMAL


def test_a_product_with_third_party_assessment_is_high_risk_from_the_later_date():
    outcome = classify(BASE | {"annex_i_covered": "yes", "annex_i_third_party": "yes"})
    assert outcome.risk_class is RiskClass.HIGH
    assert duties(outcome)["data_governance"].applies_from == date(2028, 8, 2)
    assert "fundamental_rights" not in duties(outcome)
    assert "tell_persons" not in duties(outcome)


def test_a_product_without_third_party_assessment_is_not():
    assert classify(BASE | {"annex_i_covered": "yes"}).risk_class is RiskClass.MINIMAL


def test_both_ways_to_be_high_risk_give_the_earlier_date():
    outcome = classify(CREDIT | {"annex_i_covered": "yes", "annex_i_third_party": "yes"})
    assert duties(outcome)["data_governance"].applies_from == date(2027, 12, 2)


@pytest.mark.parametrize(
    ("question", "duty", "role"),
    [
        ("art50_1", "tell_of_interaction", "provider"),
        ("art50_2", "mark_output", "provider"),
        ("art50_3", "tell_exposed", "deployer"),
        ("art50_4_deep_fake", "disclose_deep_fakes", "deployer"),
        ("art50_4_text", "disclose_text", "deployer"),
    ],
)
def test_a_case_of_transparency_is_limited_with_the_duty_of_its_role(question, duty, role):
    outcome = classify(yes(question))
    assert outcome.risk_class is RiskClass.LIMITED
    assert duties(outcome)[duty].roles == (role,)
    assert duties(outcome)[duty].applies_from == date(2026, 8, 2)
    others = classify(yes(question) | {role: "no"})
    assert duty not in duties(others)


def test_what_is_no_ai_system_is_not_covered_and_nothing_else_is_asked():
    outcome = classify({"ai_system": "no"})
    assert outcome.risk_class is RiskClass.MINIMAL
    assert outcome.is_settled
    assert outcome.reasons[0].citation == "Art. 3(1)"
    assert not outcome.duties
    assert not outcome.open
    assert next_question({"ai_system": "no"}) is None


def test_no_ai_system_that_does_what_the_act_speaks_of_is_a_contradiction_and_the_heavier_class():
    outcome = classify({"ai_system": "no", "annex_iii_5b": "yes"})
    assert outcome.risk_class is RiskClass.HIGH
    assert any("ai_system is answered no" in text for text in outcome.contradictions)


def test_a_use_answered_yes_in_an_area_answered_no_counts_and_is_named():
    outcome = classify(BASE | {"annex_iii_5b": "yes"})
    assert outcome.risk_class is RiskClass.HIGH
    assert outcome.contradictions == (
        "annex_iii_5 is answered no, and yet annex_iii_5b yes: the heavier answer counts",
    )


def test_outside_the_union_the_class_stands_and_no_duty_is_listed():
    outcome = classify(CREDIT | {"in_union": "no"})
    assert outcome.risk_class is RiskClass.HIGH
    assert not outcome.duties
    assert outcome.reasons[-1].citation == "Art. 2(1)"
    assert classify(CREDIT | {"excluded_purpose": "yes"}).reasons[-1].citation == "Art. 2(3), (6) and (8)"


def test_whether_the_act_reaches_it_being_open_keeps_every_duty():
    assert duties(classify(CREDIT | {"in_union": "unsure", "excluded_purpose": "unsure"})) == duties(classify(CREDIT))


# Art. 6(3)


def test_a_documented_exception_takes_a_listed_use_out_and_brings_its_own_duties():
    outcome = classify(CREDIT | ESCAPE)
    assert outcome.risk_class is RiskClass.MINIMAL
    assert {"derogation_document", "derogation_registration"} <= set(duties(outcome))
    assert "data_governance" not in duties(outcome)
    assert any(reason.citation == "Art. 6(3)(a)" for reason in outcome.reasons)


@pytest.mark.parametrize("answer", ["yes", "unsure", None])
def test_profiling_or_not_knowing_of_it_keeps_a_listed_use_high_risk(answer):
    answers = CREDIT | ESCAPE | {"art6_3_profiling": answer}
    assert classify(answers).risk_class is RiskClass.HIGH


@pytest.mark.parametrize("question", ["art6_3_no_influence", "art6_3_a", "art6_4_documented"])
@pytest.mark.parametrize("answer", ["no", "unsure", None])
def test_an_exception_that_is_not_shown_in_full_is_none(question, answer):
    outcome = classify(CREDIT | ESCAPE | {question: answer})
    assert outcome.risk_class is RiskClass.HIGH
    assert outcome.is_settled


def test_what_would_show_the_exception_is_named_as_what_could_make_it_lighter():
    outcome = classify(without(CREDIT, *ESCAPE, "art6_3_b", "art6_3_c", "art6_3_d"))
    assert outcome.risk_class is RiskClass.HIGH
    assert open_ids(outcome, "class") == []
    assert {"art6_3_profiling", "art6_4_documented"} <= set(open_ids(outcome, "lighter"))


def test_the_exception_does_not_reach_products():
    answers = CREDIT | ESCAPE | {"annex_i_covered": "yes", "annex_i_third_party": "yes"}
    assert classify(answers).risk_class is RiskClass.HIGH


# what is open


def test_without_answers_it_is_unclassified_and_could_be_prohibited():
    outcome = classify({})
    assert (outcome.risk_class, outcome.could_be) == (RiskClass.UNCLASSIFIED, RiskClass.PROHIBITED)
    assert not outcome.is_settled
    assert "art5_a" in open_ids(outcome, "class")
    assert outcome.possible_roles == ("provider", "deployer", "importer", "distributor")
    assert all(not duty.certain for duty in outcome.duties)


@pytest.mark.parametrize("answer", ["unsure", None])
@pytest.mark.parametrize("question", ["art5_f", "annex_iii_2", "annex_iii_5b"])
def test_an_open_question_that_decides_leaves_it_unclassified_and_is_the_one_named(question, answer):
    area = ASKED.by_id[question].under
    answers = BASE | ({area: "yes"} if area else {}) | {question: answer}
    outcome = classify(answers)
    assert outcome.risk_class is RiskClass.UNCLASSIFIED
    assert open_ids(outcome, "class") == [question]
    assert question in outcome.in_short


def test_both_conditions_of_a_product_are_needed_so_one_that_is_open_decides_only_with_the_other():
    assert classify(BASE | {"annex_i_third_party": "unsure"}).risk_class is RiskClass.MINIMAL
    outcome = classify(BASE | {"annex_i_covered": "yes", "annex_i_third_party": "unsure"})
    assert outcome.risk_class is RiskClass.UNCLASSIFIED
    assert open_ids(outcome, "class") == ["annex_i_third_party"]


def test_high_risk_stays_high_risk_while_a_practice_is_open_and_says_so():
    outcome = classify(CREDIT | {"art5_b": "unsure"})
    assert (outcome.risk_class, outcome.could_be) == (RiskClass.HIGH, RiskClass.PROHIBITED)
    assert open_ids(outcome, "class") == ["art5_b"]


def test_an_open_case_of_transparency_counts_as_one():
    outcome = classify(BASE | {"art50_1": "unsure"})
    assert outcome.risk_class is RiskClass.LIMITED
    assert outcome.is_settled
    assert open_ids(outcome, "lighter") == ["art50_1"]
    assert not duties(outcome)["tell_of_interaction"].certain


def test_an_open_area_is_named_instead_of_all_its_uses():
    outcome = classify(without(BASE, *(q for q in BASE if q.startswith("annex_iii_5"))))
    assert open_ids(outcome, "class") == ["annex_iii_5"]


def test_a_use_that_is_unsure_in_an_area_answered_no_is_open_and_named():
    outcome = classify(BASE | {"annex_iii_1a": "unsure"})
    assert outcome.risk_class is RiskClass.UNCLASSIFIED
    assert open_ids(outcome, "class") == ["annex_iii_1a"]


def test_an_open_role_keeps_its_duties_as_not_certain():
    outcome = classify(without(CREDIT, "deployer"))
    assert outcome.possible_roles == ("deployer",)
    assert not duties(outcome)["use_as_instructed"].certain
    assert duties(outcome)["data_governance"].certain


# duties and roles


def test_a_deployer_alone_owes_nothing_of_the_provider():
    found = duties(classify(CREDIT | {"provider": "no"}))
    assert "use_as_instructed" in found
    assert "data_governance" not in found


@pytest.mark.parametrize("question", ["art25_a", "art25_b", "art25_c"])
def test_who_brands_changes_or_repurposes_a_high_risk_system_becomes_its_provider(question):
    outcome = classify(CREDIT | {"provider": "no", question: "yes"})
    assert "provider" in outcome.roles
    assert "data_governance" in duties(outcome)


def test_credit_scoring_asks_private_deployers_too_for_the_impact_on_rights():
    assert "fundamental_rights" in duties(classify(CREDIT))
    recruiting = yes("annex_iii_4a")
    assert "fundamental_rights" not in duties(classify(recruiting))
    assert "fundamental_rights" in duties(classify(recruiting | {"public_service": "yes"}))
    assert not duties(classify(recruiting | {"public_service": "unsure"}))["fundamental_rights"].certain
    assert "fundamental_rights" not in duties(classify(yes("annex_iii_2") | {"public_service": "yes"}))


def test_a_general_purpose_model_brings_duties_of_its_own_and_no_class():
    outcome = classify(BASE | {"gpai_model": "yes"})
    assert outcome.risk_class is RiskClass.MINIMAL
    assert duties(outcome)["gpai_documents"].applies_from == date(2025, 8, 2)
    assert "gpai_systemic_risk" not in duties(outcome)
    assert "gpai_systemic_risk" in duties(classify(BASE | {"gpai_model": "yes", "gpai_systemic": "yes"}))
    assert "gpai_representative" not in duties(outcome)
    assert "gpai_representative" in duties(classify(BASE | {"gpai_model": "yes", "outside_union": "yes"}))


def test_duties_come_by_date():
    dates = [duty.applies_from for duty in classify(CREDIT).duties]
    assert dates == sorted(dates)


def test_every_role_answered_no_is_named():
    outcome = classify(CREDIT | {"provider": "no", "deployer": "no"})
    assert any("every role" in text for text in outcome.contradictions)


def test_a_lighter_class_declared_elsewhere_is_a_contradiction_and_a_heavier_one_is_not():
    outcome = classify(CREDIT)
    assert "comes to high" in outcome.against(RiskClass.MINIMAL)
    assert outcome.against(RiskClass.HIGH) is None
    assert outcome.against(RiskClass.PROHIBITED) is None
    assert outcome.against(RiskClass.UNCLASSIFIED) is None
    assert "leaves open whether it is prohibited" in classify({}).against(RiskClass.LIMITED)
    assert classify({}).against(RiskClass.HIGH) is None


def test_a_role_declared_elsewhere_is_held_against_the_answers():
    outcome = classify(CREDIT)
    assert outcome.against_role(OrganizationRole.PROVIDER_AND_DEPLOYER) is None
    assert outcome.against_role(OrganizationRole.UNDECLARED) is None
    assert "deployer, too" in outcome.against_role(OrganizationRole.PROVIDER)
    assert "not importer" in classify(BASE | {"provider": "no", "deployer": "no"}).against_role(
        OrganizationRole.IMPORTER
    )
    assert classify({}).against_role(OrganizationRole.IMPORTER) is None


def test_every_outcome_says_that_it_is_no_legal_advice_and_names_the_questionnaire():
    assert "Not legal advice" in classify({}).notice
    assert classify({}).questionnaire == ASKED.name


# properties

ANSWERS = st.fixed_dictionaries(
    {}, optional={question.id: st.sampled_from(["yes", "no", "no", "no", "unsure"]) for question in ASKED.questions}
)
LIKELY = st.fixed_dictionaries(
    {}, optional={question.id: st.sampled_from(["yes", "no", "unsure", None]) for question in ASKED.questions}
).map(lambda given: {one: answer for one, answer in (NO | given).items() if answer is not None})
"""Mostly no: so that single answers decide."""
SETS = st.one_of(ANSWERS, LIKELY, LIKELY.map(lambda given: given | {"ai_system": "yes"}))
TRIGGERS = sorted(
    {q.id for part in ("prohibited", "annex_i", "annex_iii", "transparency") for q in ASKED.by_part[part]}
    | {"art6_3_profiling", "ai_system"}
)
EXCEPTIONS = ("art6_3_no_influence", "art6_3_a", "art6_3_b", "art6_3_c", "art6_3_d", "art6_4_documented")


@settings(max_examples=150, deadline=None)
@given(SETS)
def test_every_answer_set_gives_one_class_the_same_each_time_whatever_its_order(answers):
    outcome = classify(answers)
    assert outcome == classify(dict(reversed(answers.items())))
    assert outcome.reasons
    assert not is_lighter(outcome.could_be, outcome.risk_class) or outcome.risk_class is RiskClass.UNCLASSIFIED
    assert outcome.is_settled or open_ids(outcome, "class")
    assert all(answers.get(one.id) in (None, "unsure") for one in outcome.open)


@settings(max_examples=200, deadline=None)
@given(SETS, st.sampled_from(TRIGGERS), st.sampled_from(["unsure", "yes", None]))
def test_a_no_turned_into_unsure_or_yes_never_makes_the_class_lighter(answers, trigger, answer):
    before = classify(answers | {trigger: "no"})
    after = classify(answers | {trigger: answer})
    assert not is_lighter(after.risk_class, before.risk_class)
    assert not is_lighter(after.could_be, before.could_be)


@settings(max_examples=100, deadline=None)
@given(LIKELY, st.sampled_from(EXCEPTIONS), st.sampled_from(["unsure", "no", None]))
def test_an_exception_that_falls_away_never_makes_the_class_lighter(answers, question, answer):
    answers |= ESCAPE | {"ai_system": "yes"}
    assert not is_lighter(
        classify(answers | {question: answer}).risk_class, classify(answers | {question: "yes"}).risk_class
    )


@settings(max_examples=50, deadline=None)
@given(SETS, st.sampled_from([q.id for q in ASKED.by_part["prohibited"]]))
def test_art_5_answered_yes_is_prohibited_whatever_else_is_answered(answers, question):
    assert classify(answers | {question: "yes"}).risk_class is RiskClass.PROHIBITED


@settings(max_examples=60, deadline=None)
@given(LIKELY)
def test_the_questions_that_are_not_asked_would_not_have_changed_the_class(answers):
    told = NO | answers | {"ai_system": "yes"}
    told = {one: "no" if told.get(ASKED.by_id[one].under or "") == "no" else answer for one, answer in told.items()}
    given_: dict[str, str] = {}
    while (question := next_question(given_)) is not None:
        assert question.id not in given_
        given_[question.id] = told[question.id]
    assert classify(given_).risk_class is classify(told).risk_class


def test_who_answers_one_by_one_can_show_the_exception():
    told = CREDIT | ESCAPE | {"art6_3_a": "no", "art6_3_c": "yes"}
    given_: dict[str, str] = {}
    while (question := next_question(given_)) is not None:
        given_[question.id] = told[question.id]
    assert classify(given_).risk_class is RiskClass.MINIMAL
    assert "art6_3_b" in given_
    assert "art6_3_d" not in given_  # one condition is enough


def test_an_ordinary_system_is_asked_about_thirty_questions():
    given_: dict[str, str] = {}
    while (question := next_question(given_)) is not None:
        given_[question.id] = BASE[question.id]
    assert len(given_) < 40
    assert not classify(given_).open


# bad input


def test_an_unknown_question_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"no question 'anex_iii_5b'.*Did you mean annex_iii_5b"):
        classify({"anex_iii_5b": "yes"})


@pytest.mark.parametrize("answer", ["maybe", "", 1, 0, 2.5, [], {"yes": "no"}])
def test_an_answer_that_is_none_is_named(answer):
    with pytest.raises(InputError, match="ai_system: expected yes, no or unsure"):
        classify({"ai_system": answer})


def test_answers_are_read_whatever_their_case_and_truth_values_too():
    assert checked({"deployer": "No", "ai_system": True, "in_union": " UNSURE ", "provider": None}) == {
        "ai_system": "yes",
        "in_union": "unsure",
        "deployer": "no",
    }


def test_a_file_of_answers_is_read_plain_or_under_its_heading():
    assert answers_from(b"ai_system: yes\nin_union: no\nprovider:\n", "a.yaml") == {
        "ai_system": "yes",
        "in_union": "no",
    }
    assert answers_from(b"answers:\n  ai_system: true\n", "a.yaml") == {"ai_system": "yes"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "a.yaml:1: the file is empty"),
        (b"- ai_system\n", "a.yaml:1: expected keys and values"),
        (b"yes\n", "a.yaml:1: expected keys and values"),
        (b"answers: [yes]\n", "a.yaml:1: expected questions with their answers"),
        (b"answers:\n", "a.yaml:1: expected questions with their answers"),
        (b"answers:\n  ai_system: yes\nreason: x\n", "a.yaml:3: unknown key 'reason'"),
        (b"ai_system: yes\nai_system: no\n", "the key stands twice"),
        (b"ai_system: [yes]\n", "a.yaml:1: ai_system: expected yes, no or unsure, found list"),
        (b"ai_system: perhaps\n", "a.yaml:1: ai_system: expected yes, no or unsure, found 'perhaps'"),
        (b"ai_system: unsur\n", "Did you mean unsure"),
        (b"ai_system: yes\n\nai_sistem: no\n", "a.yaml:3: there is no question 'ai_sistem'. Did you mean ai_system"),
        (b"x: yes\ny: no\n", "2 mistakes in the answers"),
        (b"ai_system: \xff\n", "expected UTF-8"),
    ],
)
def test_a_wrong_file_of_answers_is_named_with_its_line(content, said):
    with pytest.raises(InputError) as error:
        answers_from(content, "a.yaml")
    assert said in str(error.value)
