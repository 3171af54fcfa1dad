"""The Statement of Applicability as a page, a table for spreadsheets, or Markdown. Pure: values in, bytes out."""

from __future__ import annotations

from collections.abc import Callable

from aims_mlflow.errors import InputError
from aims_mlflow.management.soa import Soa
from aims_mlflow.report.soa.page import html_page, markdown_page
from aims_mlflow.report.soa.sheets import csv_table, xlsx_workbook

FORMATS: dict[str, Callable[[Soa], bytes]] = {
    "html": html_page,
    "md": markdown_page,
    "csv": csv_table,
    "xlsx": xlsx_workbook,
}
"""Name of the format, which is the suffix of its file, to what makes it."""


def render_soa(soa: Soa, form: str) -> bytes:
    """The statement in one format.

    The same statement gives the same bytes. Every text is escaped for the format, and no cell of a table is ever a
    formula.

    Args:
        soa: The statement.
        form: A key of ``FORMATS``.

    Raises:
        InputError: there is no such format.
    """
    if form not in FORMATS:
        raise InputError(
            f"there is no format {form[:40]!r}", where="format", remedy=f"There are: {', '.join(FORMATS)}."
        )
    return FORMATS[form](soa)


__all__ = ["FORMATS", "render_soa"]
