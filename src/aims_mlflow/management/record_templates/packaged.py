"""One template for each record type: Markdown for what a person writes, YAML for what has fields of its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.packaged import template_root
from aims_mlflow.controls import Requirement, Row
from aims_mlflow.errors import InputError
from aims_mlflow.management.types import RecordType, type_of

FOLDER = "records"
GENERAL = "own_topic"
"""The template of topics that a framework of the user brings along."""


def template_of(type_id: str, catalog: Catalog) -> str:
    """The text to start a record of that type from, its header filled with what the register asks for.

    Dates, owner and approver are left to the one who fills it in.

    Args:
        type_id: Record type, a topic such as ``ai_policy`` or a typed one such as ``risk``.
        catalog: The register in force; rows of further frameworks are named beside those of ISO/IEC 42001.

    Raises:
        InputError: there is no such type, or its records are computed and not written.
    """
    kind = type_of(type_id, catalog)
    text = packaged(type_id)
    if text is None and kind.is_topic:
        text = packaged(GENERAL)
    if text is None:
        raise InputError(
            f"a record of type {type_id!r} is computed, so it has no template", remedy=f"`aims {type_id} --record`."
        )
    rows = ", ".join(served_by(type_id, catalog))
    if not text.startswith("---\n"):
        return _with_line(text, "# Serves: ", rows)
    body = text.split("\n---\n", 1)[1]
    title, rest = body.lstrip("\n").split("\n", 1)
    if packaged(type_id) is None:
        title = f"# {kind.title}"
    return f"{_header(kind, catalog)}\n{title}\n{_with_line(rest, 'Serves: ', rows)}"


def served_by(type_id: str, catalog: Catalog) -> tuple[str, ...]:
    """Ids of the rows that a record of that type is evidence for, in the order of the register.

    Raises:
        InputError: there is no such type.
    """
    return tuple(dict.fromkeys(row.id for row, _ in _requirements(type_of(type_id, catalog), catalog)))


def asked_of(type_id: str, field: str, catalog: Catalog) -> tuple[str, ...]:
    """Ids of the rows that ask for a field of the record, ``document`` or ``approver``.

    Raises:
        InputError: there is no such type.
    """
    needing = (
        row.id
        for row, requirement in _requirements(type_of(type_id, catalog), catalog)
        if field in _words(requirement.where.get("needs", ()))
    )
    return tuple(dict.fromkeys(needing))


@lru_cache(maxsize=128)
def packaged(type_id: str) -> str | None:
    """The template as it is shipped; None where there is none of that name."""
    for ending in ("md", "yaml"):
        path = template_root() / FOLDER / f"{type_id}.{ending}"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None


def _requirements(kind: RecordType, catalog: Catalog) -> Iterator[tuple[Row, Requirement]]:
    topics, kinds = set(kind.topics), set(kind.gives)
    for row in catalog.rows.values():
        for requirement in row.requires:
            if topics & set(_words(requirement.where.get("topic", ()))) or kinds & set(requirement.evidence):
                yield row, requirement


def _words(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _header(kind: RecordType, catalog: Catalog) -> str:
    """The front matter; a line that a row of the register asks for says so."""
    approved, documented = (asked_of(kind.id, field, catalog) for field in ("approver", "document"))
    ages = [
        catalog.freshness[requirement.freshness or row.freshness].max_age_days
        for row, requirement in _requirements(kind, catalog)
    ]
    days = min([age for age in (kind.serves_days, *ages) if age is not None], default=None)
    renewed = f", to be renewed by then; {days} days are usual" if days else ""
    lines = ["---", f"type: {kind.id}", "owner:  # the one person or function that answers for it"]
    if approved:
        lines.append(f"approver:  # who approved it; {_ask(approved)}")
    lines += [
        "valid_from: YYYY-MM-DD  # first day; without this line: the day it is filed",
        f"valid_until: YYYY-MM-DD  # last day{renewed}",
        "system:  # id of the AI system, where it is about one alone; empty: the organization",
        f"document:  # its file or address{f'; {_ask(documented)}' if documented else ''}; empty: this text",
        "---",
    ]
    return "\n".join(lines) + "\n"


def _ask(rows: tuple[str, ...]) -> str:
    return f"{' and '.join(rows)} ask{'' if len(rows) > 1 else 's'} for one"


def _with_line(text: str, start: str, rest: str) -> str:
    return "\n".join(f"{start}{rest}" if line.startswith(start) else line for line in text.split("\n"))
