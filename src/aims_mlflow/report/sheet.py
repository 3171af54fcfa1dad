"""Tables as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from aims_mlflow.report.markdown import clean

_RISKY = "'=+\\-@|%\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a spreadsheet may take for the beginning of a formula, full-width forms among it, and the mark itself."""
_BLANK = '\\s\ufeff\u200b"'
"""What some spreadsheets pass over before they look for a formula."""
_SEPARATORS = ',;\t\r\n"'
_FORMULA = re.compile(f"[{_BLANK}]*[{_RISKY}]")
_TO_GUARD = re.compile(f"\\A(?=[{_BLANK}]*[{_RISKY}])|(?<=[{_SEPARATORS}])(?=[{_RISKY}])")
_GUARDED = re.compile(f"(?:\\A|(?<=[{_SEPARATORS}]))'(.)", re.DOTALL)
_MARK = "'"


def guarded(text: str) -> str:
    """A text as it may stand in a cell of CSV: with an apostrophe before whatever could begin a formula.

    That is at its beginning, and after a comma, semicolon, tab, quote or line break inside it: a spreadsheet set to
    another separator than ours begins a cell there. ``unguarded`` gives the text back.
    """
    return _TO_GUARD.sub(_MARK, text)


def unguarded(cell: str) -> str:
    """The text of a cell that ``guarded`` made."""
    return _GUARDED.sub(r"\1", cell)


def begins_formula(text: str) -> bool:
    """Whether a spreadsheet could take the text for a formula."""
    return _FORMULA.match(text) is not None


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The table, UTF-8, lines ended by CRLF (RFC 4180), every cell guarded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in head])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> str:
    return guarded("" if value is None else clean(str(value)))
