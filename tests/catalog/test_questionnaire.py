"""The questionnaire as data: complete, cited, dated, in its own words; and files that are wrong."""

from __future__ import annotations

import re
from datetime import date
from importlib.resources import files

import pytest
import yaml

from aims_mlflow.catalog.questionnaire import load_questionnaire, questionnaire_of
from aims_mlflow.errors import CatalogError

ASKED = load_questionnaire()
FILE = (files("aims_mlflow.catalog") / "ai_act_questions.yaml").read_bytes()


def ids(part):
    return [question.id for question in ASKED.by_part[part]]


def test_every_prohibited_practice_is_asked_with_the_two_that_were_added():
    assert ids("prohibited") == [f"art5_{point}" for point in (*"abcdefgh", "ba", "bb")]
    added = {question.id for question in ASKED.by_part["prohibited"] if question.date}
    assert added == {"art5_ba", "art5_bb"}
    assert ASKED.dates["new_prohibitions"].date == date(2026, 12, 2)


def test_every_use_of_annex_iii_is_asked():
    expected = {"1": "abc", "2": "", "3": "abcd", "4": "ab", "5": "abcd", "6": "abcde", "7": "abcd", "8": "ab"}
    found = {area: [use.id for use in uses] for area, uses in ASKED.areas.items()}
    assert found == {f"annex_iii_{point}": [f"annex_iii_{point}{u}" for u in uses] for point, uses in expected.items()}
    assert len(ASKED.uses) == 25


def test_every_question_cites_the_law_is_a_question_and_says_what_follows():
    for question in ASKED.questions:
        assert re.search(r"Art\. \d|Annex", question.citation), question.id
        assert question.text.endswith("?"), question.id
        assert question.consequence.endswith("."), question.id


def test_every_duty_cites_the_law_and_has_a_date_with_a_source():
    for duty in ASKED.duties:
        assert re.search(r"Art\. \d", duty.citation), duty.id
        for name in duty.dates.values():
            assert all(source in ASKED.sources for source in ASKED.dates[name].sources)


def test_dates_are_those_of_the_product_s_law_dates():
    listed = yaml.safe_load((files("aims_mlflow.catalog") / "law_dates.yaml").read_bytes())["dates"]
    known = {one["date"] for one in listed}
    assert {when.date for when in ASKED.dates.values()} <= known


def test_the_notice_says_that_it_is_no_legal_advice():
    assert "Not legal advice" in ASKED.notice
    assert ASKED.name == f"eu_ai_act {ASKED.version}"


def test_it_claims_no_conformity():
    assert not re.search(rb"\bcompliant\b|\bcertified\b", FILE, re.IGNORECASE)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"- id: art5_b\n", b"- id: art5_a\n", "the question 'art5_a' stands twice"),
        (b"- id: data_governance\n", b"- id: risk_management\n", "the duty 'risk_management' stands twice"),
        (b"  under: annex_iii_8\n", b"  under: annex_iii_88\n", "there is no question in this part 'annex_iii_88'"),
        (b"any_of: [workplace]", b"any_of: [workplaces]", "Did you mean workplace"),
        (b"roles: [importer]", b"roles: [exporter]", "there is no role 'exporter'"),
        (b"not_for: [annex_iii_2]", b"not_for: [annex_iii_1]", "there is no use of Annex III 'annex_iii_1'"),
        (b"from: {asked: gpai}", b"from: {asked: never}", "there is no date 'never'"),
        (b"sources: [base], confidence", b"sources: [bass], confidence", "there is no source 'bass'"),
        (b"  part: prohibited\n", b"  part: forbidden\n", "questions.3.part"),
        (b"questionnaire:\n", b"questionnaires:\n", "id: field required"),
        (b"questions:\n", b"\tquestions:\n", "a tab in the indentation"),
        (b"date: '2025-08-02'", b"date: soon", "dates.gpai.date"),
    ],
)
def test_a_wrong_file_is_named_with_its_place(old, new, said):
    assert old in FILE
    with pytest.raises(CatalogError, match=re.escape(said)):
        questionnaire_of(FILE.replace(old, new), where="mine.yaml")
