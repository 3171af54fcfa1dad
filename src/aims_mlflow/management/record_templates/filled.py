"""Reading a filled template: what was answered, what was left open, and where it cannot be taken as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeAlias

from pydantic import Field

from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Record
from aims_mlflow.management.incidents import LogReview
from aims_mlflow.management.record_templates import header, typed
from aims_mlflow.management.record_templates.headings import sections
from aims_mlflow.management.record_templates.packaged import GENERAL, packaged
from aims_mlflow.management.record_templates.problems import Problems, is_placeholder
from aims_mlflow.management.reports import ReportedFacts

STATEMENT = "Statement"
"""The heading that every template begins with: what the record says in a sentence or two."""

_LONGEST = 1_000_000
"""Characters of the longest text that is read."""

Model: TypeAlias = type[Record]
"""A content model of a record type."""


class FilledRecord(Record):
    """A template that somebody filled in. Whether it may be filed is for ``drafting`` to say."""

    type: str
    id: str | None = None
    owner: str
    approver: str | None = None
    role: str | None = None
    """The owner's role."""
    valid_from: date | None = None
    valid_until: date | None = None
    systems: tuple[str, ...] = ()
    supports: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    document: str | None = None
    """A file or an address, as written."""
    statement: str = ""
    """Empty where the type has fields of its own."""
    answers: dict[str, str] = Field(default_factory=dict)
    """Heading to what stands under it, comments taken out."""
    unanswered: tuple[str, ...] = ()
    """Headings, of the text or its template, under which nothing is said."""
    fields: dict[str, Any] | None = None
    """The content of a type with fields of its own (``risk``, ``system``...)."""

    def content_for(self, model: Model) -> dict[str, Any]:
        """The content of the record, in the shape of its type.

        Args:
            model: The content model of the record type.
        """
        if self.fields is not None:
            return self.fields
        if issubclass(model, LogReview):
            # A log review has one text; what was answered is part of it.
            answered = [f"{heading}: {answer}" for heading, answer in self.answers.items()]
            return {"statement": "\n\n".join((self.statement, *answered))}
        if issubclass(model, ReportedFacts):
            return {"statement": self.statement, "facts": dict(self.answers)}
        return {"statement": self.statement, "answers": dict(self.answers), "role": self.role}


def read_filled(text: str, where: str) -> FilledRecord:
    """What a filled template says.

    Comments (``<!-- ... -->`` at the start of a line) are no answers, neither are the template's own questions.
    Headings inside code fences, and ``---`` after the header, are text.

    Args:
        text: The content of the file.
        where: Its name, for errors.

    Raises:
        InputError: the header is missing or not valid, a required field is not filled in, a placeholder was left in,
            the statement is missing, a heading stands twice, a comment or code fence has no end. Line and field are
            named.
    """
    if len(text) > _LONGEST:
        raise InputError(
            f"the text is longer than {_LONGEST:,} characters",
            where=where,
            remedy="Answer in short, and name the long document under 'document'.",
        )
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip()), None)
    problems = Problems(where)
    if first is not None and lines[first].rstrip() == "---":
        made = _markdown(lines, first, problems)
    elif first is not None and any(line.startswith("type:") for line in lines):
        made = typed.read(lines, problems)
    else:
        raise InputError(
            "it does not begin with a header between two lines '---'",
            where=f"{where}, line {(first or 0) + 1}",
            remedy="`aims attest TOPIC --template` writes a text to start from.",
        )
    return FilledRecord(**made)


def _markdown(lines: list[str], first: int, problems: Problems) -> dict[str, Any]:
    end = next((n for n in range(first + 1, len(lines)) if lines[n].rstrip() == "---"), None)
    if end is None:
        problems.add(first + 1, "header", "the second '---' line that ends the header is missing")
        problems.settle()
    made = header.read(lines[: end or 0], first + 1, problems)
    type_id = made.get("type", "")
    if typed.model_of(type_id):
        problems.add(first + 1, "type", f"a record of type {type_id!r} has fields, its template is YAML")
    found = sections(lines, (end or 0) + 1, problems)
    asked = _questions(type_id)
    statement, answers, unanswered = "", {}, []
    for heading, section in found.items():
        answer = section.text
        if answer and is_placeholder(answer):
            problems.add(section.line, f"'## {heading}'", f"the placeholder {answer!r} was left in")
        said = _says(answer, asked.get(heading))
        if heading == STATEMENT:
            statement = answer if said else ""
        elif said:
            answers[heading] = answer
        else:
            unanswered.append(heading)
    if not statement:
        line = found[STATEMENT].line if STATEMENT in found else len(lines)
        problems.add(line, f"'## {STATEMENT}'", "is not filled in: say in a sentence or two what holds")
    problems.settle()
    missing = [heading for heading in asked if heading not in found and heading != STATEMENT]
    return made | {"statement": statement, "answers": answers, "unanswered": (*unanswered, *missing)}


def _questions(type_id: str) -> Mapping[str, str]:
    """What the template of the type asks, by heading."""
    text = packaged(type_id) or packaged(GENERAL) if _NAME.fullmatch(type_id) else None
    if not text or not text.startswith("---\n"):
        return {}
    parts = re.split(r"(?m)^## (.+)$", text)
    return {parts[n]: _flat(parts[n + 1].replace("<!--", "").replace("-->", "")) for n in range(1, len(parts), 2)}


_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _says(answer: str, question: str | None) -> bool:
    """Whether something is said: a letter or digit at least, and not the template's own question."""
    return any(c.isalnum() for c in answer) and _flat(answer) != question


def _flat(text: str) -> str:
    return " ".join(text.split())
