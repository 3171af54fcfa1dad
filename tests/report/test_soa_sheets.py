"""The statement for spreadsheets: no text ever becomes a formula, and every text comes back as it was."""

import csv
import io
import re
import zipfile
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.catalog import load_catalog
from aims_mlflow.errors import InputError
from aims_mlflow.management.soa import Decision, Soa, SoaLine, soa_lines
from aims_mlflow.management.state import State
from aims_mlflow.report.sheet import guarded, unguarded
from aims_mlflow.report.soa import FORMATS, render_soa
from aims_mlflow.report.soa.sheets import COLUMNS, values

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
EMPTY = soa_lines(State(at=AT), load_catalog(()))
BEGINS_A_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
ATTACKS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    '=HYPERLINK("http://x.example","y")',
    "=cmd|' /C calc'!A0",
    "fine;=1+1",
    'fine";=1+1;"',
    "fine,=1+1",
    "two\n=1+1",
    "'=1+1",
    "''",
    "＝1+1",
    " =1+1",
    "\u00a0\u200b=1+1",
    "|calc",
    "%x",
)
texts = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(alphabet=st.sampled_from("=+-@\t\r\n',;\"ab1 ＝"), min_size=1, max_size=12),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)


def saying(*said):
    """A statement whose lines say these texts everywhere."""
    made = [
        SoaLine(
            id=f"A.{n}",
            title=text,
            applicable=True,
            justification=text,
            risks=(text,),
            owner=text,
            scope=text,
            evidence=text,
            decision=Decision.APPLIES,
            group="A",
            framework="f",
        )
        for n, text in enumerate(said)
    ]
    return Soa(at=AT, system=None, lines=tuple(made), groups={"A": "A"})


def read_csv(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


NAMES = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


def read_xlsx(content, sheet=1):
    """Cells of a sheet as rows of texts, and whether any is a formula; as Excel reads them."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        strings = []
        if "xl/sharedStrings.xml" in file.namelist():
            tree = ElementTree.fromstring(file.read("xl/sharedStrings.xml"))
            strings = ["".join(t.text or "" for t in item.iter(f"{{{NAMES['m']}}}t")) for item in tree]
        tree = ElementTree.fromstring(file.read(f"xl/worksheets/sheet{sheet}.xml"))
    rows = []
    for row in tree.iter(f"{{{NAMES['m']}}}row"):
        cells = []
        for cell in row:
            assert cell.find("m:f", NAMES) is None, "a formula"
            value = cell.find("m:v", NAMES)
            assert value is None or cell.get("t") == "s", "not a text"
            cells.append(_shown(strings[int(value.text)]) if value is not None else "")
        rows.append(cells)
    return rows


def _shown(text):
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda m: chr(int(m[1], 16)), text)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_a_guarded_text_begins_no_formula_wherever_a_cell_may_begin_and_comes_back(text):
    cell = guarded(text)
    assert unguarded(cell) == text
    for separator in ',;\t\r\n"':
        for part in cell.split(separator):
            assert not part.startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20")), (text, cell)
    assert not cell.startswith(BEGINS_A_FORMULA)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_csv_holds_no_formula_and_gives_every_text_back(said):
    soa = saying(*said)
    rows = read_csv(render_soa(soa, "csv"))
    assert len(rows) == len(said)
    for row, line in zip(rows, soa.lines, strict=True):
        assert not any(cell.startswith(BEGINS_A_FORMULA) for cell in row.values())
        assert {name: unguarded(row[name]) for name in COLUMNS} == values(line)


@settings(max_examples=25, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_a_workbook_holds_no_formula_and_gives_every_text_back(said):
    soa = saying(*said)
    rows = read_xlsx(render_soa(soa, "xlsx"))
    assert rows[0] == list(COLUMNS.values())
    for row, line in zip(rows[1:], soa.lines, strict=True):
        wanted = [text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff") for text in values(line).values()]
        assert [_lines(cell) for cell in row] == [_lines(text) for text in wanted]


def _lines(text):
    """XML reads a carriage return as a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_what_could_be_a_formula_is_marked_as_text_for_excel():
    content = render_soa(saying("=1+1"), "xlsx")
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        styles = file.read("xl/styles.xml").decode()
        sheet = file.read("xl/worksheets/sheet1.xml").decode()
    assert 'quotePrefix="1"' in styles
    assert "<f>" not in sheet


def test_escapes_that_excel_would_read_stay_text():
    assert read_xlsx(render_soa(saying("_x0041_"), "xlsx"))[1][1] == "_x0041_"


def test_a_text_too_long_for_a_cell_is_cut_with_a_word():
    long = "é😀" * 20_000
    cell = read_xlsx(render_soa(saying(long), "xlsx"))[1][3]
    assert cell.endswith(" [shortened: the CSV has it whole]")
    assert len(cell.encode("utf-16-le")) // 2 <= 32_767
    assert read_csv(render_soa(saying(long), "csv"))[0]["justification"] == long


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_same_statement_gives_the_same_bytes(form):
    later = EMPTY.model_copy(update={"at": AT.replace(hour=15, minute=59)})
    assert render_soa(EMPTY, form) == render_soa(EMPTY, form) == render_soa(later, form)


def test_every_control_is_in_the_tables_with_which_statement_it_is_from():
    rows = read_csv(render_soa(EMPTY, "csv"))
    assert [row["id"] for row in rows] == [line.id for line in EMPTY.lines]
    assert {row["statement_of"] for row in rows} == {"organization"}
    assert {row["as_of"] for row in rows} == {"2026-11-24"}
    assert {(row["applicable"], row["decision"]) for row in rows} == {("yes", "not decided")}
    assert len(read_xlsx(render_soa(EMPTY, "xlsx"))) == 39
    assert read_xlsx(render_soa(EMPTY, "xlsx"), 2)[1][0] == "absent"
    assert ["Digest", "none: there is no statement on record"] in read_xlsx(render_soa(EMPTY, "xlsx"), 3)


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match="html, md, csv, xlsx"):
        render_soa(EMPTY, "pdf")
