"""The file to fill in: what is written reads back, and every mistake is named with its line."""

import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from soa_kit import CATALOG, CONTROLS, SYSTEM, Book, left_out, line, lines

from aims_mlflow.catalog import load_catalog
from aims_mlflow.errors import InputError
from aims_mlflow.management.record_templates import template_of
from aims_mlflow.management.soa.form import form, read_form
from aims_mlflow.management.soa.statements import on_file


def read(text, catalog=CATALOG):
    return read_form(text.encode(), "soa.yaml", catalog)


def refused(text):
    with pytest.raises(InputError) as caught:
        read(text)
    return str(caught.value)


def test_the_empty_form_has_every_control_with_title_and_a_summary_of_our_own():
    text = form(CATALOG)
    plain = yaml.safe_load(text)
    assert list(plain["content"]["lines"]) == list(CONTROLS)
    for entry in plain["content"]["lines"].values():
        assert entry["applicable"] is None
        assert entry["justification"] is None
        assert (entry["status"], entry["risks"]) == ("not started", [])
        assert {"owner", "next_review"} <= set(entry)
    assert "    A.10.3:  # Suppliers\n" in text
    assert f"      # {CATALOG.rows['A.3.2'].summary}\n" in text
    assert max(map(len, text.splitlines())) <= 120
    assert "no control is decided" in refused(text)


def test_what_is_filled_in_is_read_and_the_rest_is_named_as_undecided():
    text = form(CATALOG).replace("applicable:\n      justification:\n", "applicable: true\n      justification: R\n", 3)
    filled = read(text)
    assert list(filled.content.lines) == ["A.2.2", "A.2.3", "A.2.4"]
    assert filled.undecided == CONTROLS[3:]


def test_what_is_on_record_stands_in_the_form_and_reads_back_the_same():
    book = Book()
    told = line(status="partial", risks=("R-1", "R-2"), owner="Head of data", next_review="2027-05-01")
    book.soa(lines(A_7_4=told, A_10_4=left_out('Say: "no" # really\n- nobody: 1')))
    held = on_file(book.state(), None)
    filled = read(form(CATALOG, held))
    assert filled.content.lines == held.organization.lines
    assert filled.header == {"owner": "Head of AI", "approver": "Board"}


def test_the_form_of_a_system_has_its_own_lines_and_tells_the_organizations():
    book = Book()
    book.soa(lines(A_10_4=left_out("Nobody buys.")))
    book.own({"A.10.3": left_out("All made here.")})
    text = form(CATALOG, on_file(book.state(), SYSTEM), SYSTEM)
    assert "      # Organization: left out. Nobody buys.\n" in text
    filled = read(text)
    assert list(filled.content.lines) == ["A.10.3"]
    assert filled.header["system"] == SYSTEM


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60).map(lambda text: f"Said: {text}."))
def test_any_text_survives_the_form(text):
    book = Book()
    book.soa({"A.2.2": line(justification=text, owner="Head of AI")})
    held = on_file(book.state(), None)
    assert read(form(CATALOG, held)).content.lines == held.organization.lines


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=string.printable, max_size=200))
def test_no_text_is_read_as_something_it_is_not(text):
    try:
        filled = read(text)
    except InputError:
        return
    assert filled.content.lines


def test_the_template_of_the_record_type_is_read_as_well():
    text = template_of("soa", CATALOG).replace("applicable:\n", "applicable: true\n")
    text = text.replace("justification:\n", "justification: A risk needs it.\n")
    assert read(text).undecided == ()


def test_own_controls_are_in_it():
    from pathlib import Path

    catalog = load_catalog((Path(__file__).parents[1] / "examples" / "acme_controls.yaml",))
    plain = yaml.safe_load(form(catalog))
    assert list(plain["content"]["lines"])[-2:] == ["MR-1", "MR-2"]


HEAD = "content:\n  lines:\n"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "    A.2.2: {applicable: false}\n",
            "soa.yaml:3: content.lines.A.2.2.justification: why it is in, or left out",
        ),
        ("    A.2.2: {justification: A reason}\n", "not whether the control applies"),
        ("    A.2.2: {applicable: yes, justification: R}\n", "expected true or false, found 'yes'"),
        ("    A.2.2: {applicable: true, justification: TODO}\n", "is missing"),
        ("    A.2.2: {applicable: true, justification: 12}\n", "is missing|expected text"),
        ("    A.2.2: {applicable: true, justification: R, status: done}\n", "expected one of not started, planned"),
        ("    A.2.2: {applicable: true, justification: R, next_review: soon}\n", "expected a date like 2027-03-31"),
        ("    A.2.2: {applicable: true, justification: R, risks: R-1}\n", "expected a list of ids"),
        ("    A.2.2: {applicable: true, justification: R, owner: 'Ann Lee; Bo Ek'}\n", "more than one owner"),
        ("    A.2.2: {applicable: true, justification: R, owners: X}\n", "unknown key. Did you mean owner"),
        ("    A.2.2: {applicable: true, justification: R}\n    A.2.2: {applicable: true, justification: R}\n", "twice"),
        ("    6.1.3: {applicable: true, justification: R}\n", "it is a clause, and clauses always apply"),
        ("    A.22.2: {applicable: true, justification: R}\n", "there is no control of that id. Did you mean A.2.2"),
        ("    A.2.2: yes\n", "expected a section with the keys applicable"),
        ("    A.2.2:\n\tapplicable: true\n", "a tab in the indentation"),
    ],
)
def test_each_mistake_is_named_with_its_line(entry, said):
    error = refused(HEAD + entry)
    assert any(part in error for part in said.split("|")), error
    assert "soa.yaml:" in error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (
            "type: risk\ncontent: {lines: {A.2.2: {applicable: true, justification: R}}}\n",
            "expected 'soa', found 'risk'",
        ),
        ("lines: []\n", "expected a section with one entry for each control"),
        ("owner: [a]\nlines: {A.2.2: {applicable: true, justification: R}}\n", "owner: expected text"),
        ("owners: a\nlines: {A.2.2: {applicable: true, justification: R}}\n", "unknown key. Did you mean owner"),
    ],
)
def test_a_file_that_is_no_statement_is_refused(text, said):
    assert said in refused(text)


def test_all_mistakes_are_listed_at_once_by_line():
    error = refused(HEAD + "    A.2.2: {applicable: true}\n    A.99: {applicable: true, justification: R}\n")
    assert error.startswith("2 mistakes, nothing was filed")
    assert error.index("soa.yaml:3") < error.index("soa.yaml:4")
