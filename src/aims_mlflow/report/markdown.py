"""Escaping for Markdown: text of others stays text, in CommonMark, GitHub's flavour and MLflow's two renderers."""

from __future__ import annotations

import re
from typing import Any

_PUNCTUATION = re.compile(r"[\\`*\[\]|~#{}$]|(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^(>|[-+](?=\s|$)|[-=](?=[-=\s]*$)|\d{1,9}(?=[.)](?:\s|$)))")
_AUTOLINK = re.compile(r"(?i)(?=://)|(?<=\bwww)(?=\.)|(?<=@)")
_SPACE = re.compile(r"\s+")
_WORD_JOINER = "\u2060"


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def _one_line(value: Any) -> str:
    return _SPACE.sub(" ", clean(str(value))).strip()


def escape(value: Any) -> Markdown:
    """Plain text as Markdown of one line: no markup, HTML, table cell, heading, list or link can come of it.

    ``<`` and ``&`` become entities, since not every renderer takes a backslash there; a word joiner (U+2060) keeps
    web and mail addresses and ``@names`` from turning into links by themselves.
    """
    if isinstance(value, Markdown):
        return value
    text = _one_line(value)
    text = _PUNCTUATION.sub(lambda m: "\\" + m[0], text)
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    text = _AUTOLINK.sub(_WORD_JOINER, text)
    return Markdown(_LINE_START.sub(_guard, text))


def _guard(match: re.Match[str]) -> str:
    mark = match[1]
    if mark == ">":
        return "&gt;"
    return f"{mark}{_WORD_JOINER}" if mark.isdigit() else f"\\{mark}"


def code(value: Any) -> Markdown:
    """A name or digest as a code span; fences are longer than any run of backticks inside, pipes do not end a cell."""
    text = _one_line(value)
    if not text:
        return Markdown("")
    if "|" in text or "\\" in text:
        return escape(text)
    runs = [len(run) for run in re.findall(r"`+", text)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return Markdown(f"{fence}{pad}{text}{pad}{fence}")


def link(text: Any, target: str | None) -> Markdown:
    """A link, or only its text where there is no target. Targets come from ``ReportLinks``, which checks them."""
    words = escape(text)
    return Markdown(f"[{words}]({target})") if target else words


_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def clean(text: str) -> str:
    """Control characters, lone surrogates and marks that turn the reading direction become visible escapes."""
    return _UNSAFE.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)
