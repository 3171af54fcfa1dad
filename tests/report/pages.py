"""Readers of rendered pages, for the tests of this folder."""

from __future__ import annotations

from enum import Enum
from html.parser import HTMLParser
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

_VOID = {"meta", "br", "hr", "img", "link", "input"}
TAGS = frozenset(
    (
        "html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "h1", "h2", "h3", "p",
        "div", "span", "b", "i", "code", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr",
        "th", "td", "details", "summary", "svg", "rect", "line", "circle", "text",
    )
)  # fmt: skip
ATTRIBUTES = frozenset(
    (
        "lang", "charset", "http-equiv", "content", "name", "class", "role", "aria-label", "aria-hidden", "title",
        "scope", "colspan", "open", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "dx", "width", "height",
    )
)  # fmt: skip


class Page(HTMLParser):
    """Walks a page strictly: every tag known, closed in order, no attribute beyond those we write."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.style = ""
        self.headings: list[str] = []
        self.titles: list[str] = []
        self.svgs = 0
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, f"unexpected <{tag}>"
        for name, value in attrs:
            assert name in ATTRIBUTES, f"unexpected attribute {name} on <{tag}>"
            if name in ("aria-label", "title"):
                self.titles.append(value or "")
        if tag == "svg":
            self.svgs += 1
            given = dict(attrs)
            assert given["role"] == "img" and given["aria-label"], "a chart needs a text alternative"
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
            return
        self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def _closed_set(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return True
    return any(_closed_set(part) for part in get_args(annotation))


def with_text(value: Any, text: str) -> Any:
    """A copy in which every free text, also keys of dicts, is replaced; digests and closed sets stay."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        changes = {
            name: with_text(getattr(value, name), text)
            for name in fields
            if name != "kind" and not _closed_set(fields[name].annotation)
        }
        return value.model_copy(update=changes)
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return value if value.startswith("sha256:") else text
    if isinstance(value, tuple):
        return tuple(with_text(item, text) for item in value)
    if isinstance(value, dict):
        return {
            key if str(key).startswith("sha256:") else f"{text}{i}": with_text(item, text)
            for i, (key, item) in enumerate(value.items())
        }
    return value
