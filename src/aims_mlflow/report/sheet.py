"""Tables as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from aims_mlflow.report.markdown import clean

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_WIDE = {ord(wide): plain for wide, plain in zip("＝＋－＠", "=+-@", strict=True)}  # noqa: RUF001
"""Full-width forms, which some spreadsheets read like the plain ones."""


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The table, UTF-8, lines ended by CRLF (RFC 4180).

    A cell that a spreadsheet could take for a formula gets an apostrophe before it, which it shows as text.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_safe(name) for name in head])
    writer.writerows([_safe(value) for value in row] for row in rows)
    return out.getvalue()


def _safe(value: object) -> str:
    text = "" if value is None else clean(str(value))
    bare = text.translate(_WIDE).lstrip(" \u00a0\u3000\ufeff\u200b'\"")
    return f"'{text}" if bare.startswith(_STARTS) or text.startswith(("\t", "\r", "\n")) else text
