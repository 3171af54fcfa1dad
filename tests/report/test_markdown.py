from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.report.pages import with_text

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import RunRef, Subject
from aims_mlflow.report import ReportLinks, render, report_links, words
from aims_mlflow.report.markdown import Markdown, clean, code, escape, link
from aims_mlflow.testing import sample_assessment, sample_drift, sample_evidence

HOSTILE = (
    "# x <script>alert(1)</script> | `a` ``b`` ![i](http://e.example/i) [l](javascript:alert(1)) www.e.example "
    "https://e.example a@e.example @user **b** _i_ ~~s~~\n\n---\n> q\n1. n\n<img src=x> <!-- c --> &amp; \\"
)
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def test_a_printable_text_holds_nothing_that_has_to_be_made_visible():
    assert all(clean(chr(n)) == chr(n) for n in range(0x110000) if chr(n).isprintable())


def rendered(text: str) -> str:
    return READER.render(text)


def tokens(text: str) -> list[str]:
    found = []
    for token in READER.parse(text):
        found.append(token.type)
        found += [child.type for child in token.children or ()]
    return found


MARKUP = (
    "html", "link", "image", "strong", "em_", "s_", "code", "heading", "list", "blockquote", "hr", "table", "fence",
)  # fmt: skip


def markup(text: str) -> list[str]:
    return [t for t in tokens(text) if t.startswith(MARKUP)]


def visible(text: str) -> str:
    return "".join(c.content for t in READER.parse(text) for c in t.children or ()).replace("\u2060", "")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="`*_[]()<>|~#!{}$&\\+-=.:@/ 1aw\n\t", max_size=40))
@example(HOSTILE)
@example("> q")
@example("1. n")
@example("- n")
@example("===")
@example("    code")
@example("www.e.example")
def test_escaped_text_is_only_text_and_reads_the_same(text):
    said = escape(text)
    assert markup(said) == []
    assert visible(said) == " ".join(clean(text).split())
    assert "\n" not in said
    assert not re.search(r"(?i)https?://|www\.|@\w", said)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30) | st.text(alphabet="`|\\<> ab", max_size=30))
@example("``")
@example("a|b`c")
def test_a_code_span_keeps_its_cell_and_its_text(text):
    table = f"| a | b |\n|---|---|\n| {code(text)} | end |\n"
    cells = re.findall(r"<td>(.*?)</td>", rendered(table), re.DOTALL)
    assert len(cells) == 2 and cells[1] == "end"
    shown = unescape(re.sub("</?code>", "", cells[0])).replace("\u2060", "")
    assert shown.split() == clean(text).split()
    assert "<script" not in cells[0]


def test_a_link_is_made_only_of_checked_targets():
    assert link("a]b", "#/x") == "[a\\]b](#/x)"
    assert link("a", None) == "a"
    for bad in ("https://e.example", "/x", "javascript:x", "#/a)b", "#/a b", "#/a\n", "#/<x>", ""):
        with pytest.raises(InputError, match="is not a link inside the MLflow UI"):
            ReportLinks(run=bad)
        with pytest.raises(InputError):
            ReportLinks(evidence={"sha256:x": bad})


def test_links_have_the_forms_that_open_the_right_page(assessment):
    digest = assessment.findings[5].evidence[0]
    links = report_links(assessment.subject, evidence={digest: "evidence/attestation-0.json"})
    run = assessment.subject.run.run_id
    base = f"#/experiments/2/runs/{run}"
    query = "?workflowType=machine_learning"
    assert links.run == base + query
    assert links.report == f"{base}/artifacts/aims/report.html{query}"
    assert links.version == f"#/models/credit-scoring/versions/3{query}"
    assert links.evidence[digest] == f"{base}/artifacts/aims/evidence/attestation-0.json{query}"


def test_names_in_links_are_encoded_and_missing_parts_give_no_link():
    model = sample_assessment(()).subject.model.model_copy(update={"registered_name": "a/b (c)|ü"})
    links = report_links(Subject(run=RunRef(run_id="r"), model=model))
    assert links.run is None and links.report is None
    assert links.version == "#/models/a%2Fb%20%28c%29%7C%C3%BC/versions/3?workflowType=machine_learning"


@pytest.fixture(scope="module")
def page(assessment, evidence):
    return render("report.md", assessment, evidence, links=report_links(assessment.subject))


def test_the_markdown_page_has_every_row_status_and_legend(page, assessment):
    body = page[page.index("## Register") : page.index("## Evidence")]
    rows = re.findall(r"^\| \*\*(\S+?)\*\* ", body, re.MULTILINE)
    assert rows == [f.id for f in assessment.findings]
    for status in Status:
        assert f"| {words.STATUS[status].symbol} {words.STATUS[status].word} |" in body
        assert words.STATUS[status].meaning in page


def test_the_markdown_page_reads_as_tables_headings_and_our_links_only(page):
    html = rendered(page)
    assert html.count("<table>") > 20 and html.count("<h1>") == 1
    targets = re.findall(r'href="([^"]*)"', html)
    assert targets and all(t.startswith("#/") and "workflowType=machine_learning" in t for t in targets)
    assert "html_inline" not in tokens(page) and "html_block" not in tokens(page)


def test_every_table_row_has_as_many_cells_as_its_head(page):
    width = None
    for line in page.splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width, line


def test_a_hostile_text_in_every_field_stays_text(assessment, evidence):
    loud = [with_text(r, HOSTILE) for r in evidence]
    text = render(
        "report.md",
        with_text(assessment, HOSTILE),
        loud,
        owner=HOSTILE,
        frameworks=with_text(load_catalog().frameworks, HOSTILE),
    )
    found = set(tokens(text))
    assert not {"html_inline", "html_block", "image", "link_open", "blockquote_open", "s_open", "em_open"} & found
    assert rendered(text).count("<h1>") == 1
    assert "&lt;script&gt;" in rendered(text)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="`*_[]()<>|~#!\\+-=.:@/ 1a\n", min_size=1, max_size=40))
def test_no_text_adds_a_table_cell_or_a_heading(text, assessment, evidence):
    drift = next(r for r in evidence if r.kind == "drift")
    columns = tuple(c.model_copy(update={"column": text, "method": text, "reason": text}) for c in drift.columns[:3])
    told = assessment.model_copy(update={"findings": assessment.findings[-3:], "headline": text})
    calm = drift.model_copy(update={"columns": drift.columns[:3]})
    plain = render("report.md", told.model_copy(update={"headline": "x"}), (calm,))
    loud = render("report.md", told, (drift.model_copy(update={"columns": columns}),))
    for kind in ("heading_open", "tr_open", "td_open", "hr", "link_open", "html_inline", "list_item_open"):
        assert tokens(loud).count(kind) == tokens(plain).count(kind), kind


def test_the_markdown_page_stays_under_100_kb(assessment):
    drift = sample_drift(2_000)
    many = [drift, *(r.model_copy(update={"reason": str(i)}) for i in range(40) for r in sample_evidence(columns=30))]
    loud = tuple(f.model_copy(update={"reason": "<" * 4_000, "next_step": "|" * 4_000}) for f in assessment.findings)
    text = render("report.md", assessment.model_copy(update={"findings": loud}), many)
    assert len(text.encode()) < 100_000
    assert text.count("\n| **") == 70


def test_escaping_twice_changes_nothing():
    assert escape(escape("a*b")) == "a\\*b"
    assert isinstance(escape("a"), Markdown)
