"""The statement as CSV and as an Excel workbook, in which no text can turn into a formula."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, time

from aims_mlflow.management.soa import Soa, SoaLine
from aims_mlflow.report.sheet import begins_formula, guarded

COLUMNS: dict[str, str] = {
    "id": "Control",
    "title": "Title",
    "applicable": "Applicable",
    "justification": "Justification",
    "risks": "Linked risks",
    "status": "Implementation status",
    "evidence": "Evidence",
    "owner": "Owner",
    "next_review": "Next review",
    "scope": "Scope note",
    "decision": "Decision",
}
"""Name of a column in CSV to its heading in a workbook."""

_OF_THE_STATEMENT = ("statement_of", "statement", "statement_sha256", "as_of")
"""Columns of CSV that say which statement a line is from; a workbook says it on a sheet of its own."""

_LONGEST = 32_767
"""Characters of a cell in a workbook; Excel refuses a file with more."""
_CUT = " [shortened: the CSV has it whole]"
_NO_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
_WIDTHS = (10, 34, 11, 60, 16, 15, 30, 22, 12, 22, 13)
_DAWN = datetime(1980, 1, 1, tzinfo=UTC)


def values(line: SoaLine) -> dict[str, str]:
    """A line as texts, by column; empty where nobody said."""
    return {
        "id": line.id,
        "title": line.title,
        "applicable": "yes" if line.applicable else "no",
        "justification": line.justification,
        "risks": ", ".join(line.risks),
        "status": line.status or "",
        "evidence": line.evidence or "",
        "owner": line.owner or "",
        "next_review": str(line.next_review or ""),
        "scope": line.scope,
        "decision": str(line.decision),
    }


def csv_table(soa: Soa) -> bytes:
    """One line for each control, in UTF-8 with a mark of it, which Excel needs; every cell is quoted and guarded."""
    whence = dict(zip(_OF_THE_STATEMENT, _statement(soa), strict=True))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [*COLUMNS, *whence], quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    for line in soa.lines:
        writer.writerow({name: guarded(text) for name, text in (values(line) | whence).items()})
    return out.getvalue().encode("utf-8-sig")


def _statement(soa: Soa) -> tuple[str, str, str, str]:
    return soa.system or "organization", soa.version, soa.sha256 or "", f"{soa.at:%Y-%m-%d}"


def xlsx_workbook(soa: Soa) -> bytes:
    """A workbook with the controls, the findings, and what the statement is made of.

    Every cell is written as text, and what could be read as a formula is marked as text for Excel as well. It is
    created, by its own word, when the latest of its records was filed: the same statement gives the same bytes.
    """
    import xlsxwriter

    out = io.BytesIO()
    plain = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(out, plain)
    created = max((source.recorded_at for source in soa.sources), default=_DAWN)
    midnight = datetime.combine(created.date(), time.min)
    book.set_properties({"title": "Statement of Applicability", "author": "", "created": midnight})
    sheets = (
        ("Controls", [list(COLUMNS.values()), *(list(values(line).values()) for line in soa.lines)], _WIDTHS),
        ("Findings", _findings(soa), (26, 12, 60, 60, 18)),
        ("Statement", _facts(soa), (24, 90)),
    )
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
    body = book.add_format({"text_wrap": True, "valign": "top"})
    marked = book.add_format({"text_wrap": True, "valign": "top", "quote_prefix": True})
    for name, rows, widths in sheets:
        sheet = book.add_worksheet(name)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                look = head if number == 0 else marked if begins_formula(text) else body
                sheet.write_string(number, column, _fitting(text), look)
        sheet.freeze_panes(1, 1 if name == "Controls" else 0)
        if len(rows) > 1:
            sheet.autofilter(0, 0, len(rows) - 1, len(rows[0]) - 1)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
    book.close()
    return out.getvalue()


def _fitting(text: str) -> str:
    """Text as a cell can hold it; never cut without a word."""
    text = _NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    # Excel counts in units of UTF-16.
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 <= _LONGEST:
        return text
    room = (_LONGEST - len(_CUT)) * 2
    return text.encode("utf-16-le", "surrogatepass")[:room].decode("utf-16-le", "ignore") + _CUT


def _findings(soa: Soa) -> list[list[str]]:
    rows = [["Finding", "Control", "What", "What to do", "Record"]]
    return [*rows, *([f.code, f.control or "", f.what, f.remedy, f.where] for f in soa.findings)]


def _facts(soa: Soa) -> list[list[str]]:
    rows = [["What", "Value"], ["Statement of", soa.system or "the organization"]]
    if soa.system_name:
        rows.append(["Name of the system", soa.system_name])
    if soa.role:
        rows.append(["Role of the organization", soa.role.replace("_", " ")])
    rows += [["As of", f"{soa.at:%Y-%m-%d}"], ["Digest", soa.sha256 or "none: there is no statement on record"]]
    rows += [[f"Controls: {decision}", str(number)] for decision, number in soa.counts.items()]
    for source in soa.sources:
        until = f" until {source.valid_until}" if source.valid_until else ""
        words = [
            f"revision {source.revision}",
            f"filed {source.recorded_at:%Y-%m-%d}",
            f"valid from {source.valid_from}{until}",
            f"owner {source.owner}",
            f"approved by {source.approver}" if source.approver else "not approved",
            source.sha256,
        ]
        rows.append([source.record, "; ".join(words)])
    return rows
