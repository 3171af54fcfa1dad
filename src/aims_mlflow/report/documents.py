"""Pivots, evidence requests and papers as pages: HTML, Markdown, CSV, JSON. Pure."""

from __future__ import annotations

import re
from typing import Any

from aims_mlflow.documentation.neighbours import LOW_ONLY, NOTHING, SUPPORTED, Pivot
from aims_mlflow.documentation.paper import Paper
from aims_mlflow.documentation.requests import RequestList
from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import canonical_json
from aims_mlflow.report import words
from aims_mlflow.report.environment import environment
from aims_mlflow.report.markdown import Markdown, code, escape
from aims_mlflow.report.sheet import csv_text
from aims_mlflow.report.words import Label

PIVOT_STATE: dict[str, Label] = {
    SUPPORTED: Label("supports", "✓", "ok", "Current evidence of rows of high or medium confidence supports it."),
    LOW_ONLY: Label("supports, low confidence", "▽", "old", "Only evidence of low confidence is current."),
    NOTHING: Label("no current evidence", "○", "none", "No row that maps to it is satisfied."),
}
REQUEST_STATE: dict[str, Label] = {
    "not met": Label("not met", "✗", "bad", "Evidence shows that it is not met."),
    "could not be judged": Label("could not be judged", "!", "err", "A collector or check could not run."),
    "uncertain": Label("uncertain", "▲", "unc", "Evidence is there, but allows no verdict."),
    "stale": Label("stale", "▽", "old", "The evidence is too old or about another version."),
    "open": Label("open", "○", "none", "Nothing is on file."),
    "on file": Label("on file", "✓", "ok", "Current evidence is on file."),
    "excluded": Label("excluded", "\u2013", "na", "All rows that ask for it are excluded, with a reason."),
}
GAP = Label("gap", "○", "none", "Nothing is known: what is missing, whose job it is, what to do.")
_ANCHOR = re.compile(r"[^a-z0-9]+")


def render_paper(paper: Paper, form: str) -> str:
    """Annex IV or a card.

    Args:
        paper: The document.
        form: ``html``, ``md`` or ``json``.

    Raises:
        InputError: another form.
    """
    if form == "json":
        plain = paper.model_dump(mode="json")
        gaps = [{"ref": ref, **gap.model_dump(mode="json")} for ref, gap in paper.gaps()]
        return canonical_json(plain | {"in_short": paper.in_short, "gaps": gaps}).decode()
    context = {"paper": paper, "gap_label": GAP, "anchor": anchor, "gaps": list(paper.gaps()), "spanned": _spanned}
    return _render("paper", form, context)


def render_pivot(pivot: Pivot, form: str) -> str:
    """A pivot.

    Args:
        pivot: The pivot.
        form: ``html``, ``md``, ``csv`` or ``json``.

    Raises:
        InputError: another form.
    """
    if form == "json":
        return canonical_json(pivot.model_dump(mode="json") | {"counts": pivot.counts}).decode()
    if form == "csv":
        head = ("framework", "reference", "state", "best_confidence", "row", "title", "relation", "confidence")
        rows = [
            (
                pivot.framework,
                line.reference,
                line.state,
                line.confidence,
                one.row,
                one.title,
                one.relation,
                one.confidence,
                str(one.status),
                one.basis,
                words.day(one.valid_until),
                one.reason,
            )
            for line in pivot.lines
            for one in line.rows
        ]
        return csv_text((*head, "status", "basis", "valid_until", "reason"), rows)
    return _render("neighbours", form, {"pivot": pivot, "states": PIVOT_STATE, "status": words.STATUS})


def render_requests(listed: RequestList, form: str) -> str:
    """A list of evidence requests.

    Args:
        listed: The list.
        form: ``html``, ``md``, ``csv`` or ``json``.

    Raises:
        InputError: another form.
    """
    if form == "json":
        return canonical_json(
            listed.model_dump(mode="json") | {"counts": listed.counts, "in_short": listed.in_short}
        ).decode()
    if form == "csv":
        frameworks = tuple(listed.frameworks)
        head = ("id", "asks", "state", "reason", "iso_42001", *frameworks, "lies", "valid_until", "remedy")
        rows = [
            (
                one.id,
                one.asks,
                one.state,
                one.reason,
                ", ".join(dict.fromkeys(asking.row for asking in one.ours)),
                *(
                    ", ".join(f"{t.reference} ({t.confidence})" for t in one.theirs if t.framework == framework)
                    for framework in frameworks
                ),
                "; ".join(one.lies),
                words.day(one.valid_until),
                one.remedy,
            )
            for one in listed.requests
        ]
        return csv_text(head, rows)
    return _render("requests", form, {"listed": listed, "states": REQUEST_STATE, "spanned": _spanned})


def anchor(ref: str) -> str:
    """The id of an element for a reference."""
    return _ANCHOR.sub("-", ref.lower()).strip("-") or "x"


def _spanned(text: str) -> Markdown:
    """Markdown: what stands between backticks as code, everything else escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markdown("".join(code(part) if i % 2 else _kept(part) for i, part in enumerate(parts)))


def _kept(text: str) -> str:
    """Escaped, with a blank at either end where there was one."""
    before, after = text[:1].isspace(), text[-1:].isspace() and len(text) > 1
    return f"{' ' if before else ''}{escape(text)}{' ' if after else ''}"


def _render(name: str, form: str, context: dict[str, Any]) -> str:
    if form not in ("html", "md"):
        raise InputError(f"there is no form {form!r} of it", remedy="Use html, md or json.")
    return environment(html=form == "html").get_template(f"{name}.{form}.j2").render(context)
