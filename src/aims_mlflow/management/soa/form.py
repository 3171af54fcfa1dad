"""The statement as a file to fill in: written with every control, read with the line of every mistake."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.config.completeness import is_filled
from aims_mlflow.config.document import Document, read_document
from aims_mlflow.config.problems import Loc
from aims_mlflow.controls import Row
from aims_mlflow.errors import InputError
from aims_mlflow.management.applicability import IMPLEMENTATION, SOA, ApplicabilityContent, ApplicabilityLine
from aims_mlflow.management.record import names_several
from aims_mlflow.management.soa.lines import controls_of
from aims_mlflow.management.soa.statements import OnFile

_FIELDS = tuple(ApplicabilityLine.model_fields)
_HEADER = ("type", "id", "owner", "approver", "valid_from", "valid_until", "system", "document")
_PLAIN_KEY = re.compile(r"[A-Z][A-Za-z0-9]*[.-][A-Za-z0-9.-]*[A-Za-z0-9]")
_PLACEHOLDER_DAY = "YYYY-MM-DD"
_WIDTH = 110
_SHOWN = 20
"""Mistakes that are listed before the rest is only counted."""


@dataclass(frozen=True)
class FilledSoa:
    """What a filled-in file says."""

    content: ApplicabilityContent
    undecided: tuple[str, ...]
    """Controls of the register the file leaves open."""
    header: Mapping[str, str]
    """``owner``, ``approver``, ``valid_from``, ``valid_until``, ``system`` and ``document``, those that are filled."""


def form(catalog: Catalog, filed: OnFile | None = None, system: str | None = None) -> str:
    """A file with every control, what is on record filled in.

    Args:
        catalog: The register in force.
        filed: The statements on record.
        system: The system whose own lines are to be written. What holds for the organization stands above each as a
            comment; None writes the organization's.
    """
    general = filed.organization if filed is not None else None
    own = (filed.overlays[0] if filed is not None and filed.overlays else None) if system is not None else general
    held = own.record if own is not None else None
    head = [
        "# Statement of Applicability: every control, whether it applies, and why. ISO/IEC 42001, 6.1.3.",
        "# Fill in 'applicable' (true or false) and 'justification' (why it is in, or left out). One with neither",
        "# is not decided: the control counts as applicable, and the statement is not complete.",
        *(["# Of a system only the lines that differ from the organization's are needed."] if system else []),
        f"# Then: aims soa record FILE{f' --system {system}' if system else ''}",
        "# Titles and texts are our own words, not those of the standard.",
        "",
        f"type: {SOA}",
        f"owner:{_given(held.owner if held else None)}  # the one person or function that answers for it",
        f"approver:{_given(held.approver if held else None)}  # who approved it; without one no exclusion counts",
        "valid_until:  # last day, by which it is reviewed; left out: 365 days on",
        *([f"system: {_quoted(system)}"] if system else []),
        "",
        "content:",
        "  lines:",
    ]
    groups = {group: title for framework in catalog.frameworks for group, title in framework.groups.items()}
    body: list[str] = []
    before = ""
    for row in controls_of(catalog):
        if row.group != before:
            before = row.group
            body += ["", f"    # {_comment(row.group)} {_comment(groups.get(row.group, ''))}".rstrip()]
        line = own.lines.get(row.id) if own is not None else None
        said = general.lines.get(row.id) if general is not None and system is not None else None
        body += _entry(row, line, said)
    return "\n".join([*head, *body]) + "\n"


def _entry(row: Row, line: ApplicabilityLine | None, general: ApplicabilityLine | None) -> Iterator[str]:
    """The entry of a control: what is on record, and above it what holds for the organization."""
    yield f"    {_key(row.id)}:  # {_comment(row.title)}"
    notes = [row.summary]
    if general is not None:
        notes.append(f"Organization: {'applies' if general.applicable else 'left out'}. {general.justification}")
    for note in notes:
        yield from (f"      # {text}" for text in textwrap.wrap(_comment(note), _WIDTH - 8))
    yield f"      applicable:{f' {str(line.applicable).lower()}' if line else ''}"
    yield f"      justification:{_given(line.justification if line else None)}"
    yield f"      status: {line.status if line else IMPLEMENTATION[0]}  # {', '.join(IMPLEMENTATION)}"
    yield f"      risks: [{', '.join(map(_quoted, line.risks)) if line else ''}]  # ids of risks it treats"
    yield f"      owner:{_given(line.owner if line else None)}"
    yield f"      next_review:{_given(str(line.next_review)) if line and line.next_review else ''}"


def _given(text: str | None) -> str:
    return f" {_quoted(text)}" if text else ""


def _quoted(text: str) -> str:
    """A YAML scalar that reads back as the text, whatever is in it."""
    plain = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in plain)


def _escaped(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _key(control: str) -> str:
    return (
        control if control[:1].isalpha() and control.replace(".", "").replace("-", "").isalnum() else _quoted(control)
    )


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def read_form(content: bytes, label: str, catalog: Catalog) -> FilledSoa:
    """What a filled-in file says.

    Args:
        content: The bytes of the file.
        label: Its name, for errors.
        catalog: The register in force.

    Raises:
        InputError: the file is not YAML, an id is no control, a line is half filled in or does not fit; all mistakes
            are listed, each with its line.
    """
    document = read_document(content, label)
    _settle(document)
    plain = document.content
    place, lines = _lines_of(document, plain)
    header = _header(document, plain)
    controls = {row.id for row in controls_of(catalog)}
    made: dict[str, ApplicabilityLine] = {}
    for control, entry in lines.items():
        loc: Loc = (*place, control)
        if _check_id(document, loc, control, controls, catalog):
            line = _line(document, loc, entry)
            if line is not None:
                made[control] = line
    if not made and not document.problems:
        document.add(place, "no control is decided: fill in 'applicable' and 'justification'")
    _settle(document)
    left = tuple(row.id for row in controls_of(catalog) if row.id not in made)
    return FilledSoa(ApplicabilityContent(lines=made), left, header)


def _lines_of(document: Document, plain: Mapping[str, Any]) -> tuple[Loc, Mapping[str, Any]]:
    """Where the lines stand: under ``content``, or at the top."""
    place: Loc = ("content", "lines") if "content" in plain else ("lines",)
    inner: Any = plain
    for part in place:
        inner = inner.get(part) if isinstance(inner, dict) else None
    for key in plain:
        if key not in (*_HEADER, "content", "lines"):
            document.add((key,), f"unknown key. {nearest(key, (*_HEADER, 'content', 'lines'))}".strip())
    if not isinstance(inner, dict):
        document.add(place, "expected a section with one entry for each control ('aims soa init' writes it)")
        return place, {}
    return place, inner


def _header(document: Document, plain: Mapping[str, Any]) -> dict[str, str]:
    if plain.get("type", SOA) != SOA:
        document.add(("type",), f"expected {SOA!r}, found {str(plain['type'])[:40]!r}")
    found: dict[str, str] = {}
    for name in _HEADER[2:]:
        value = plain.get(name)
        if value is not None and not isinstance(value, str):
            document.add((name,), "expected text")
        elif value and is_filled(value) and value.strip() != _PLACEHOLDER_DAY:
            found[name] = value.strip()
    return found


def _check_id(document: Document, loc: Loc, control: str, controls: set[str], catalog: Catalog) -> bool:
    if control in controls:
        return True
    if control in catalog.rows:
        document.add(loc, "it is a clause, and clauses always apply: only controls have a line here")
    else:
        hint = nearest(control, controls) or "'aims register' lists them."
        document.add(loc, f"there is no control of that id. {hint}")
    return False


def _line(document: Document, loc: Loc, entry: Any) -> ApplicabilityLine | None:
    """A line; None for one that is left open, or is wrong (which is noted)."""
    if entry is None:
        return None
    if not isinstance(entry, dict):
        document.add(loc, f"expected a section with the keys {', '.join(_FIELDS)}")
        return None
    for key in entry:
        if key not in _FIELDS:
            document.add((*loc, key), f"unknown key. {nearest(key, _FIELDS)}".strip())
    given = {k: v for k, v in entry.items() if k in _FIELDS and v not in (None, "")}
    reasoned = is_filled(given.get("justification"))
    if "applicable" not in given and not reasoned:
        return None
    if "applicable" not in given:
        document.add((*loc, "applicable"), "a reason stands here, and not whether the control applies: true or false")
        return None
    if not isinstance(given["applicable"], bool):
        document.add((*loc, "applicable"), f"expected true or false, found {str(given['applicable'])[:40]!r}")
        return None
    if not reasoned:
        document.add((*loc, "justification"), "why it is in, or left out, is missing")
        return None
    return _validated(document, loc, given)


def _validated(document: Document, loc: Loc, given: dict[str, Any]) -> ApplicabilityLine | None:
    before = len(document.problems)
    for name in ("justification", "status", "owner", "next_review"):
        if not isinstance(given.get(name, ""), str):
            document.add((*loc, name), "expected text" if name != "next_review" else "expected a date like 2027-03-31")
    owner = given.get("owner")
    if isinstance(owner, str) and names_several(owner):
        document.add((*loc, "owner"), f"{owner[:80]!r} names more than one owner: name the one who answers for it")
    if len(document.problems) > before:
        return None
    try:
        return ApplicabilityLine.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            document.add((*loc, *detail["loc"]), _words(detail["loc"], detail["msg"]))
        return None


def _words(loc: tuple[int | str, ...], message: str) -> str:
    match loc[:1]:
        case ("status",):
            return f"expected one of {', '.join(IMPLEMENTATION)}"
        case ("next_review",):
            return "expected a date like 2027-03-31"
        case ("risks",):
            return "expected a list of ids: [R-1, R-2]"
        case _:
            return message


def _settle(document: Document) -> None:
    if not document.problems:
        return
    found = sorted(document.problems, key=lambda p: (p.line or 0, p.key, p.message))
    shown = [str(problem) for problem in found[:_SHOWN]]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    if len(found) == 1:
        raise InputError(shown[0], remedy="Nothing was filed.")
    raise InputError(f"{len(found)} mistakes, nothing was filed", remedy="\n".join([*shown, *more]))


def day(text: str, where: str) -> date:
    """A day of the header.

    Raises:
        InputError: it is none.
    """
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"{text[:40]!r} is no day", where=where, remedy="Write it like 2027-03-31.") from error
