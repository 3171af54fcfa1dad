from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.report.pages import with_text

from aims_mlflow.assessment import Overall, Status
from aims_mlflow.report import ReportLinks, controls_matrix, description_block, merge_description, report_links, restate
from aims_mlflow.testing import sample_assessment

ASSESSMENT = sample_assessment()
BLOCK = description_block(ASSESSMENT, report_links(ASSESSMENT.subject))
OTHER = description_block(ASSESSMENT.model_copy(update={"overall": Overall.PASS}))
BEGIN, END = "<!-- aims:begin -->", "<!-- aims:end -->"

texts = st.lists(
    st.text(max_size=20)
    | st.sampled_from([BEGIN, END, "AIMS: x ", "\n", "\r\n", "AIMS: PASS " + BEGIN, "<!--", "\n\n"]),
    max_size=8,
).map("".join)


def test_the_first_line_is_plain_words_and_the_second_holds_the_links():
    first, second, *_ = BLOCK.splitlines()
    assert first.startswith("AIMS: FAIL, 8 of 69 satisfied; 61 open, assessed 2026-11-24, fresh until 2026-12-24 <!--")
    assert second.startswith("[Open report](#/experiments/2/runs/")
    assert "/artifacts/aims/report.html?workflowType=machine_learning)" in second


def test_at_most_five_items_worst_first_say_what_is_left_out():
    items = [line for line in BLOCK.splitlines() if line.startswith("- ")]
    assert len(items) == 5
    assert [i.split(":")[0] for i in items] == [
        "- ✗ not satisfied", "- ✗ not satisfied", "- ! error", "- ▲ uncertain", "- ○ rows",
    ]  # fmt: skip
    assert "1 more row in the report" in items[3]
    assert "2 without evidence, 54 waiting for a person's statement" in items[4]


def test_without_links_or_dates_the_block_says_so():
    bare = description_block(ASSESSMENT.model_copy(update={"fresh_until": None}), ReportLinks())
    assert "no end of freshness on file" in bare and "](" not in bare


def test_missing_evidence_is_named_when_nothing_failed():
    calm = tuple(
        f.model_copy(update={"status": Status.SATISFIED}) if f.id in ASSESSMENT.attention else f
        for f in ASSESSMENT.findings
    )
    block = description_block(
        ASSESSMENT.model_copy(update={"findings": calm, "overall": Overall.WARN, "attention": ()})
    )
    assert block.startswith("AIMS: WARN, 13 of 69 satisfied; 56 open, assessed")
    assert "- ○ no evidence: A.6.2.5" in block


def test_nothing_assessed_is_said_in_the_first_line():
    none = ASSESSMENT.model_copy(update={"findings": (), "overall": Overall.NOT_ASSESSED})
    assert description_block(none).startswith("AIMS: NOT ASSESSED, assessed 2026-11-24")


@pytest.mark.parametrize("hostile", [f"x {END} y", f"{BEGIN}\n", "<script>", "a\nAIMS: PASS"])
def test_no_text_of_the_assessment_can_end_or_open_the_block(hostile):
    block = description_block(with_text(ASSESSMENT, hostile))
    assert block.count("<!--") == 2 and block.endswith(END) and "<script" not in block
    assert merge_description(f"mine\n{block}\nmine", OTHER) == f"mine\n{OTHER}\nmine"


@settings(max_examples=300, deadline=None)
@given(texts)
@example(END)
@example("AIMS: mine\n" + BEGIN)
def test_merging_is_idempotent_and_keeps_any_text_of_the_user(text):
    once = merge_description(text, BLOCK)
    assert merge_description(once, BLOCK) == once
    assert BLOCK in once
    if once != BLOCK and "AIMS: " not in text:
        assert once == f"{BLOCK}\n\n{text}"


@settings(max_examples=300, deadline=None)
@given(texts, texts)
def test_a_newer_block_replaces_only_the_older_one(before, after):
    once = merge_description(before + "\n" + BLOCK + after, OTHER)
    again = merge_description(once, BLOCK)
    assert merge_description(again, OTHER) == once
    if "AIMS: " not in before:
        assert once == before + "\n" + OTHER + after


def test_a_block_that_came_back_with_other_line_ends_is_still_ours():
    assert (
        merge_description(f"a\r\n{BLOCK}\r\nb".replace("\n", "\r\n").replace("\r\r", "\r"), OTHER)
        == f"a\r\n{OTHER}\r\nb"
    )


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_description_becomes_the_block(empty):
    assert merge_description(empty, BLOCK) == BLOCK


def test_loose_markers_of_the_user_are_the_users():
    mine = f"my text {BEGIN} mine {END} more"
    assert merge_description(mine, BLOCK) == f"{BLOCK}\n\n{mine}"


def test_an_unfinished_block_before_ours_does_not_swallow_the_text_between():
    mine = f"AIMS: my notes {BEGIN}\nkeep this\n"
    assert merge_description(mine + BLOCK, OTHER) == mine + OTHER


def test_rows_come_worst_first_even_where_attention_names_none():
    block = description_block(ASSESSMENT.model_copy(update={"attention": ()}))
    items = [line for line in block.splitlines() if line.startswith("- ")]
    assert items[0].startswith("- ✗ not satisfied: A.5.4") and items[3].startswith("- ▲ uncertain")


def test_the_block_stays_short():
    assert len(description_block(with_text(ASSESSMENT, "<" * 10_000), report_links(ASSESSMENT.subject))) < 5_000


def test_the_matrix_has_the_form_of_log_table():
    matrix = controls_matrix(ASSESSMENT)
    assert matrix["columns"] == ["control", "status"]
    assert len(matrix["data"]) == 70
    assert ["A.7.4", "not-satisfied"] in matrix["data"]


@pytest.mark.parametrize(
    ("status", "word"), [("at-risk", "AT-RISK"), ("stale", "STALE"), ("not-assessed", "NOT ASSESSED")]
)
@pytest.mark.parametrize(
    "said", ["", "HELD by incident inc-1, ", "HELD by incident inc-1, BREAK-GLASS until 2026-12-01, "]
)
def test_the_first_line_can_say_another_status_and_nothing_else_changes(status, word, said):
    block = BLOCK.replace("AIMS: ", f"AIMS: {said}", 1)
    text = f"AIMS: WARN, mine\n{block}\nAIMS: FAIL, mine"
    told = restate(text, status)
    assert told == text.replace(f"AIMS: {said}FAIL, 8 of", f"AIMS: {said}{word}, 8 of")
    assert told != text and restate(told, status) == told
    assert merge_description(told, OTHER) == merge_description(text, OTHER)


@settings(max_examples=100, deadline=None)
@given(texts)
def test_a_description_without_our_block_says_what_it_said(text):
    if merge_description(text, BLOCK).count(BEGIN) > text.count(BEGIN):
        assert restate(text, "stale") == text
