"""The two environments that render the templates."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aims_mlflow.catalog.packaged import template_root
from aims_mlflow.report import markdown, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment

    from aims_mlflow.report.page import Cited, RowText, RowView

_TICKS = re.compile("`([^`]+)`")
_LONGEST = 2_000
"""No single text of a report is longer; the views cut most of them much earlier."""


def _load(name: str) -> tuple[str, str, None] | None:
    path = template_root().joinpath(*name.split("/"))
    return (path.read_text(encoding="utf-8"), str(path), None) if path.is_file() else None


def _plain(value: Any) -> Any:
    """HTML: make odd characters visible, then leave the escaping to Jinja."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        # Whatever 'clean' replaces is not printable, and most texts are short and plain.
        return value if len(value) <= _LONGEST and value.isprintable() else markdown.clean(value[:_LONGEST])
    return value


def _spans(value: str) -> Any:
    """HTML: what stands between backticks as code, everything escaped."""
    from markupsafe import Markup, escape

    parts = _TICKS.split(_plain(value))
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts))


def _marked(value: Any) -> str:
    """Markdown: whatever is not Markdown already is escaped, so that no expression can forget it."""
    return value if isinstance(value, markdown.Markdown) else _escaped(str(value))


@lru_cache(maxsize=4096)
def _escaped(value: str) -> markdown.Markdown:
    return markdown.escape(value[:_LONGEST])


@lru_cache(maxsize=2)
def environment(*, html: bool) -> Environment:
    """The environment of one output form; templates are compiled once for the life of the process."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

    # `select_autoescape()` alone does not escape '*.html.j2'.
    escape = select_autoescape(enabled_extensions=("html", "html.j2"), disabled_extensions=("css.j2",), default=True)
    made = Environment(
        loader=FunctionLoader(_load),
        autoescape=escape if html else False,  # noqa: S701  (the Markdown form escapes in 'finalize')
        finalize=_plain if html else _marked,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"spans": _spans} if html else {"code": markdown.code, "link": markdown.link}
    made.globals["words"] = words
    if html:
        made.globals |= {"register_rows": _html_rows, "first_item": _html_first, "badge": _badge, "legend": _legend}
    else:
        made.globals |= {"register_rows": _markdown_rows, "first_item": _markdown_first}
    return made


# Most rows of the register read the same from run to run, and both forms together are the larger part of what the end
# of a run costs: a row is rendered once and kept. What differs every time, the records it rests on, goes into a slot.

_SLOT = "\0"
"""No text holds it: ``markdown.clean`` makes such characters visible."""


def _html_rows(rows: Sequence[RowView]) -> Any:
    """Rows of the register, one below the other."""
    from markupsafe import Markup

    parts = []
    for row in rows:
        head, tail = _html_around(row.text)
        cited = _html_cited(row.evidence, row.more_evidence, row.holds) if row.evidence or row.holds else ""
        parts.append(head + cited + tail)
    return Markup("\n".join(parts))  # noqa: S704  (rendered by the escaping environment)


def _markdown_rows(rows: Sequence[RowView], links: Mapping[str, str]) -> markdown.Markdown:
    """Lines of the register's table."""
    parts = []
    for row in rows:
        head, tail = _markdown_around(row.text)
        cited = " | "
        if row.evidence or row.holds:
            targets = tuple([(item.digest, links[item.digest]) for item in row.evidence if item.digest in links])
            cited = _markdown_cited(row.evidence, row.more_evidence, row.holds, targets)
        parts.append(head + cited + tail)
    return markdown.Markdown("\n".join(parts))


@lru_cache(maxsize=2048)
def _html_around(text: RowText) -> tuple[str, str]:
    from markupsafe import Markup

    slot = Markup(_SLOT)  # noqa: S704  (a constant)
    head, tail = str(_rows(html=True).register_row(text, slot)).split(_SLOT)
    return head, tail


@lru_cache(maxsize=2048)
def _markdown_around(text: RowText) -> tuple[str, str]:
    head, tail = str(_rows(html=False).register_row(text, markdown.Markdown(_SLOT))).split(_SLOT)
    return head, tail


# Many rows of one assessment rest on the same records.


@lru_cache(maxsize=256)
def _html_cited(evidence: tuple[Cited, ...], more: int, holds: words.Holds | None) -> str:
    return str(_rows(html=True).cited(evidence, more, holds))


@lru_cache(maxsize=256)
def _markdown_cited(
    evidence: tuple[Cited, ...], more: int, holds: words.Holds | None, links: tuple[tuple[str, str], ...]
) -> str:
    return str(_rows(html=False).cited(evidence, more, holds, dict(links)))


@lru_cache(maxsize=2)
def _rows(*, html: bool) -> Any:
    name = "partials/row.html.j2" if html else "partials/row.md.j2"
    return environment(html=html).get_template(name).module


@lru_cache(maxsize=2048)
def _html_first(text: RowText) -> Any:
    return _rows(html=True).first_item(text)


@lru_cache(maxsize=2048)
def _markdown_first(text: RowText) -> markdown.Markdown:
    return markdown.Markdown(_rows(html=False).first_item(text))


@lru_cache(maxsize=256)
def _badge(label: words.Label) -> Any:
    """The macro ``badge``, kept: there are some thirty labels, and a page shows them a hundred times."""
    marks: Any = environment(html=True).get_template("partials/marks.html.j2").module
    return marks.badge(label)


@lru_cache(maxsize=1)
def _legend() -> Any:
    """What the words and marks mean: the same in every report."""
    from markupsafe import Markup

    text = environment(html=True).get_template("partials/legend.html.j2").render().rstrip("\n")
    return Markup(text)  # noqa: S704  (rendered by the escaping environment)
