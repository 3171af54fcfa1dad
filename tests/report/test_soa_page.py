"""The statement as a page and as Markdown: everything is on it, contradictions first, and nothing breaks out."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "management"))
from soa_kit import CONTROLS, SYSTEM, Book, left_out, line, lines, standing

from aims_mlflow.assessment import Status
from aims_mlflow.evidence import Basis
from aims_mlflow.management import applicability
from aims_mlflow.management.soa import Decision, contradictions
from aims_mlflow.report.soa import render_soa
from aims_mlflow.report.soa.page import DECISION, HEADINGS, IMPLEMENTATION, build_soa

NASTY = '<script>alert(1)</script> | `x` [a](b) \x1b[31m "q"'


class Seen(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [f"{name}={value}" for name, value in attrs]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def a_book(reason="A risk needs it."):
    book = Book()
    told = line(
        justification=reason, status="implemented", risks=("R-1",), owner="Head of data", next_review="2026-01-31"
    )
    book.soa(lines(A_7_4=told, A_10_4=left_out(reason), A_2_2=None))
    return book


def page(book, system=None, **said):
    return render_soa(book.stands(system, **said), "html").decode()


def test_the_page_has_every_control_and_the_head_of_the_statement():
    book = a_book()
    seen = Seen(page(book, SYSTEM, standing=standing(A_7_4=(Status.STALE, Basis.MEASURED, ()))))
    for control in CONTROLS:
        assert f"{control} " in seen.text
    record = book.filed[-1].record
    for said in ("Loan scoring", "soa:soa revision 1", record.digest, "Board", "Head of AI", "2026-11-24"):
        assert said in seen.text
    for said in ("Risks: R-1", "Owner: Head of data", "next review 2026-01-31", "implemented", "stale", "measured"):
        assert said in seen.text


def test_contradictions_stand_before_the_controls_and_open_ones_behind_them():
    text = Seen(page(a_book())).text
    places = [
        text.index(said) for said in ("What does not fit", "Risks that are not on record", "Open", "Controls nobody")
    ]
    assert places == sorted(places)
    assert places[-1] < text.index("in the order of Annex A")


def test_nothing_of_the_records_becomes_markup():
    book = a_book(NASTY)
    text = page(book)
    plain = Seen(page(a_book()))
    seen = Seen(text)
    assert sorted(seen.tags) == sorted(plain.tags)
    assert "script" not in seen.tags
    assert "\x1b" not in text
    markdown = render_soa(book.stands(), "md").decode()
    assert "<script" not in markdown
    rows = [row for row in markdown.splitlines() if row.startswith("| **")]
    assert len(rows) == 38
    assert {len(row.replace("\\|", "").split("|")) for row in rows} == {11}


def test_the_page_needs_nothing_from_elsewhere():
    seen = Seen(page(a_book()))
    assert not {"script", "img", "link", "iframe", "form"} & set(seen.tags)
    assert not [a for a in seen.attributes if "http" in a.lower() and not a.startswith(("http-equiv", "content="))]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (None, "none on record"),
        ({}, "complete"),
        ({"A_2_2": None}, "incomplete"),
        ({"A_2_2": line(risks=("R-9",))}, "contradictory"),
    ],
)
def test_the_head_says_how_the_statement_stands(said, word):
    book = Book()
    if said is not None:
        book.soa(lines(**said))
    made = build_soa(book.stands())
    assert made.overall.word == word
    assert f" {word} " in Seen(page(book)).text.lower()


def test_one_that_nobody_approved_is_never_shown_as_complete():
    book = Book()
    book.soa(approver=None)
    assert build_soa(book.stands()).overall.word == "not in force"


def test_controls_that_say_the_same_are_told_in_one_line():
    book = Book()
    book.soa(lines(A_7_4=line(risks=("R-1",)), A_7_5=line(risks=("R-1",))))
    (kind,) = build_soa(book.stands()).contradictions
    assert (kind.count, [f.controls for f in kind.findings]) == (2, ["A.7.4, A.7.5"])


def test_every_word_has_a_label():
    assert set(DECISION) == set(Decision)
    assert set(IMPLEMENTATION) == set(applicability.IMPLEMENTATION)
    written = Path(contradictions.__file__).read_text()
    found = re.findall(r'code="([a-z-]+)"|"(not-[a-z-]+)"', written)
    assert {first or second for first, second in found} == set(HEADINGS)


def test_a_claim_nothing_shows_yet_is_called_so_and_no_contradiction():
    book = Book()
    book.soa(lines(A_7_4=line(status="partial"), A_2_2=line(status="implemented")))
    none = standing(A_7_4=(Status.NO_EVIDENCE, None, ()), A_2_2=(Status.NEEDS_ATTESTATION, None, ()))
    soa = book.stands(SYSTEM, standing=none)
    made = build_soa(soa)
    assert {f.code for f in soa.contradictions} == {"implemented-without-evidence", "included-without-evidence"}
    assert made.overall.word == "not shown yet"
    assert made.headline.startswith("2 lines say more than evidence shows")
    assert [kind.label.word for kind in made.contradictions] == ["not shown yet", "not shown yet"]
    text = Seen(page(book, SYSTEM, standing=none)).text
    assert "Said to be in place in part, and nothing on file shows it" in text
    book = a_book()
    assert build_soa(book.stands(SYSTEM, standing=none)).overall.word == "contradictory", "a risk that is not on record"


def test_the_page_says_what_evidence_rests_on_and_what_can_show_a_control_in_words():
    seen = Seen(page(a_book(), SYSTEM, standing=standing(A_2_2=(Status.SATISFIED, Basis.ATTESTED, ()))))
    assert "rests on a person's statement, which alone can show it" in seen.text
    assert "attested · attested" not in seen.text
