"""Hostile text in every field stays text: in HTML, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from document_kit import CATALOG, WHEN, good_evidence, judged, material, move, record, statement
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from aims_mlflow.assessment import Status
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.documentation.annex_iv import annex_iv
from aims_mlflow.documentation.card import model_card
from aims_mlflow.documentation.material import Column
from aims_mlflow.documentation.neighbours import crosswalk_of, pivot
from aims_mlflow.documentation.requests import requests
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DatasetRef, Disparity, GroupResult, Interval, MetricResult, Verdict
from aims_mlflow.gate.entries import Actor
from aims_mlflow.gate.history import history
from aims_mlflow.management.portfolio import RowStanding, ServedVersion, SystemStanding
from aims_mlflow.report.documents import render_paper, render_pivot, render_requests
from aims_mlflow.report.sheet import csv_text
from good_run import dataset, declaration, environment, fairness, performance, run

BAD = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }} {% include 'x' %}",
    "| a | b |\n|---|---|\n# head\n- [x](javascript:alert(1)) ![y](http://evil.example/y.png) `code` *b* <https://e.example>",
    '=HYPERLINK("http://evil.example")',
    "\x1b[31mred\x00\u202egnp",
]
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


class Tags(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}


def check_html(text: str) -> None:
    page = Tags()
    page.feed(text)
    assert not {"script", "img", "iframe", "object", "form", "input", "link"} & page.tags
    assert not {name for name in page.attributes if name.startswith("on")}
    assert all(link.startswith("#") for link in page.links)
    assert "default-src 'none'" in text
    assert "49" not in re.findall(r">\s*49\s*<", text)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\u202e" not in text


def check_markdown(text: str) -> None:
    """Rendered by CommonMark with HTML and tables let through, nothing of it becomes an element that was not ours."""
    page = Tags()
    page.feed(MARKDOWN.render(text))
    ours = {"h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "code", "hr"}
    assert page.tags <= ours, page.tags - ours
    assert page.attributes <= {"style"}, page.attributes
    assert "\x1b" not in text
    assert "\x00" not in text


def hostile_material(bad: str):
    ref = DatasetRef(name=bad, role=bad, sha256="sha256:" + "0" * 64, rows=1, columns=1)
    group = GroupResult(attribute=bad, group=bad, n=50, judged=True, metrics={bad: Interval(value=0.5)})
    gap = Disparity(attribute=bad, metric=bad, statistic="ratio", estimate=Interval(value=1.0), verdict=Verdict.FAIL)
    held = [
        *(r for r in good_evidence() if r.kind not in ("dataset", "performance", "fairness", "environment", "run")),
        dataset(ref, reason=bad).model_copy(update={"declared_as": "d"}),
        performance(
            ref, metrics=(MetricResult(name=bad, estimate=Interval(value=1.0), verdict=Verdict.PASS),), reason=bad
        ),
        fairness(ref, groups=(group,), disparities=(gap,)),
        environment(python=bad, packages={bad: bad}, unpinned=(bad,)),
        run(params=(bad,), git_commit=bad),
    ]
    fields = ("description", "owner", "origin", "licence", "known_bias", "retention")
    declared = declaration(
        system={
            "id": "loans",
            "name": bad,
            "purpose": bad,
            "intended_use": bad,
            "not_for": [bad],
            "owner": {"name": bad},
            "organization_role": "provider",
            "human_oversight": bad,
            "affected_groups": [bad],
        },
        datasets={"d": {"role": "training", **dict.fromkeys(fields, bad)}},
        performance={"metrics": {"roc_auc": {"min": 0.5}}},
    )
    version = replace(
        judged(held, declaration=declared),
        targets=(bad,),
        parameters={bad: bad},
        signature=(Column(bad, bad, "input"),),
    )
    broken = replace(version, version="9", assessment=None, evidence=(), problem=bad)
    records = [
        statement("technical_documentation", bad, answers={"Annex IV(8)": bad, bad: bad}, systems=("loans",)),
        statement("risk_assessment_process", bad),
        record(
            "risk",
            {"title": bad, "source": "drift", "likelihood": 1, "consequence": 1, "review_by": "2027-01-01"},
            id_="R-1",
        ),
        record(
            "incident",
            {"title": bad, "severity": "minor", "aware_at": "2026-11-20T10:00:00Z", "cause": bad, "correction": bad},
            id_="I-1",
            systems=("loans",),
        ),
    ]
    entries = [move(actor=Actor(name=bad.replace("\x00", "")[:40]), reason=bad.replace("\x00", "")[:200])]
    logs = (history(entries, model="loans", at=WHEN),)
    return (
        material(*records, versions=[version], declaration=declared, histories=logs, unread=(bad,)),
        replace(version, problem=""),
        broken,
    )


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_annex_iv_and_card_keep_hostile_text_as_text(bad: str, form: str) -> None:
    told, _, broken = hostile_material(bad)
    both = replace(told, versions=(*told.versions, broken))
    for paper in (annex_iv(both), model_card(told)):
        text = render_paper(paper, form)
        if form == "html":
            check_html(text)
        elif form == "md":
            check_markdown(text)
        else:
            assert json.loads(text)["in_short"] == paper.in_short


def standing(bad: str) -> SystemStanding:
    rows = {
        row.id: RowStanding(
            id=row.id,
            title=bad,
            kind=row.kind,
            status=Status.SATISFIED,
            strength=row.strength,
            reason=bad,
            next_step=bad,
        )
        for row in CATALOG.rows.values()
    }
    version = ServedVersion(bad, "1", (bad,))
    return SystemStanding("loans", bad, RiskClass.HIGH, owner=bad, versions=(version,), rows=rows)


@pytest.mark.parametrize("bad", BAD)
def test_pivots_keep_hostile_text_as_text(bad: str) -> None:
    found = pivot(CATALOG, "eu_ai_act", standing(bad), at=WHEN)
    check_html(render_pivot(found, "html"))
    check_markdown(render_pivot(found, "md"))
    check_csv(render_pivot(found, "csv"))
    assert json.loads(render_pivot(found, "json"))["system_name"] == bad


@pytest.mark.parametrize("bad", BAD)
def test_requests_keep_hostile_text_as_text(bad: str) -> None:
    told, version, broken = hostile_material(bad)
    others = [crosswalk_of(CATALOG, "iso27001_2022")]
    for versions in ([version], [version, broken]):
        found = requests(CATALOG, others, versions, at=WHEN, system="loans", subject=bad)
        check_html(render_requests(found, "html"))
        check_markdown(render_requests(found, "md"))
        check_csv(render_requests(found, "csv"))
        assert json.loads(render_requests(found, "json"))["subject"] == bad
    assert told.versions


def check_csv(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1
    for row in rows:
        for cell in row:
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "|", "%")), cell


@given(st.lists(st.lists(st.text(max_size=20), min_size=2, max_size=2), max_size=5))
def test_no_cell_is_a_formula_and_every_cell_comes_back(rows: list[list[str]]) -> None:
    check_csv(csv_text(("a", "b"), rows))
    back = list(csv.reader(io.StringIO(csv_text(("a", "b"), rows))))
    assert len(back) == len(rows) + 1


@pytest.mark.parametrize(
    "cell",
    ["=1+1", " =1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "|cmd", "'=1", '"=1', "\ufeff=1", "\u00a0@x"],
)
def test_known_ways_to_smuggle_a_formula_get_an_apostrophe(cell: str) -> None:
    assert next(csv.reader(io.StringIO(csv_text([cell], ()))))[0].startswith("'")


@pytest.mark.parametrize("cell", ["A.7.4", "on file", "0.9", "clause 4.1", "", "é"])
def test_plain_cells_stay_as_they_are(cell: str) -> None:
    assert next(csv.reader(io.StringIO(csv_text([cell, "x"], ())))) == [cell, "x"]


def test_an_unknown_form_is_an_error() -> None:
    paper = annex_iv(material())
    for render, what in (
        (render_paper, paper),
        (render_pivot, pivot(CATALOG, "eu_ai_act", standing("x"), at=WHEN)),
    ):
        with pytest.raises(InputError):
            render(what, "docx")


def test_long_texts_are_shown_whole_in_paragraphs() -> None:
    long = "x" * 5000 + "END"
    text = render_paper(annex_iv(material(statement("risk_assessment_process", long))), "html")
    assert text.count("x" * 1800) >= 2
    assert "END" in text


def test_pages_have_no_script_no_foreign_origin_and_words_beside_colours() -> None:
    for text in (
        render_paper(annex_iv(material()), "html"),
        render_pivot(pivot(CATALOG, "eu_ai_act", standing("x"), at=WHEN), "html"),
        render_requests(requests(CATALOG, (), [judged()], at=WHEN), "html"),
    ):
        check_html(text)
        assert "prefers-color-scheme:dark" in text
        assert "@media print" in text
        assert "<title>" in text
