"""The header of a filled template: a few YAML fields, each with its line."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import yaml

from aims_mlflow.catalog.register import nearest
from aims_mlflow.management.record_templates.problems import Problems, is_placeholder

REQUIRED = ("type", "owner")
TEXTS = ("type", "id", "owner", "approver", "role", "document")
DATES = ("valid_from", "valid_until")
LISTS = {"system": "systems", "supports": "supports", "links": "links"}
"""Fields that take one word or a list of words, with their name in the record."""

NAMES = (*TEXTS, *DATES, *LISTS)

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_NULL = "tag:yaml.org,2002:null"


class _Loader(yaml.SafeLoader):
    """Leaves dates as they are written: the models read them, and name the field of one that does not exist."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (as in the class above)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(lines: list[str], start: int, problems: Problems) -> dict[str, Any]:
    """The fields of a header between two ``---`` lines.

    Args:
        lines: The text up to the end of the header.
        start: Index of its first line.
        problems: Takes what is wrong.
    """
    node = compose("\n" * start + "\n".join(lines[start:]), problems)
    return fields(node, start, problems)


def compose(text: str, problems: Problems) -> yaml.Node | None:
    """The nodes of a YAML text, which know their lines.

    Raises:
        InputError: it is not YAML, or not the plain kind: aliases can make a small text a huge one.
    """
    try:
        for token in yaml.scan(text, Loader=_Loader):
            if isinstance(token, yaml.AliasToken):
                problems.add(token.start_mark.line + 1, "header", f"write out what '*{token.value}' stands for")
                problems.settle()
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        _add_unreadable(error, problems)
    except RecursionError:
        problems.add(1, "header", "nested too deeply to be read")
    problems.settle()
    return None


def plain(node: yaml.Node | None, problems: Problems) -> Any:
    """What a node says, dates as text; an empty mapping where there is no node.

    Raises:
        InputError: it holds what plain YAML does not, such as a tag of a program's object.
    """
    if node is None:
        return {}
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:
        _add_unreadable(error, problems)
        problems.settle()
        raise
    finally:
        loader.dispose()


def _add_unreadable(error: Exception, problems: Problems) -> None:
    mark = getattr(error, "problem_mark", None)
    why = getattr(error, "problem", None) or "a character or number that it does not allow"
    line = mark.line + 1 if mark else 1
    problems.add(line, "header", f"not readable as YAML ({why}); put values with ':' in quotes")


def fields(node: yaml.Node | None, start: int, problems: Problems, also: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of the header, checked.

    Args:
        node: The YAML mapping.
        start: Its line, where it names no field.
        problems: Takes what is wrong.
        also: Names that are allowed and read elsewhere.
    """
    made: dict[str, Any] = {}
    seen: dict[str, int] = {}
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    for key, value in pairs:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            problems.add(line, name, f"the field stands twice, first in line {seen[name]}")
        seen[name] = line
        if name in LISTS:
            made[LISTS[name]] = _list(name, value, problems)
        elif name in TEXTS or name in DATES:
            text = _text(name, value, problems)
            made[name] = _date(name, text, line, problems) if text and name in DATES else text or None
        elif name not in also:
            hint = nearest(name, (*NAMES, *also))
            problems.add(line, name[:60], f"there is no such field. {hint}".rstrip(". "))
    # A line 'approver:' stands only in templates of records that need one.
    for name in (*REQUIRED, *(name for name in ("approver",) if name in seen)):
        if not made.get(name):
            problems.add(seen.get(name, start + 1), name, "is not filled in")
    return made


def _text(name: str, node: yaml.Node, problems: Problems) -> str:
    """A scalar as written; empty where it is null or was refused."""
    if not isinstance(node, yaml.ScalarNode):
        problems.add(node.start_mark.line + 1, name, "expected one text; in quotes, if it begins with [ or {")
        return "?"
    text = "" if node.tag == _NULL else str(node.value).strip()
    if text and is_placeholder(text):
        problems.add(node.start_mark.line + 1, name, f"the placeholder {text!r} was left in")
    return text


def _date(name: str, text: str, line: int, problems: Problems) -> date | None:
    if is_placeholder(text):
        return None
    if not _ISO.fullmatch(text):
        problems.add(line, name, f"{text[:40]!r} is not a date in the form YYYY-MM-DD")
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.add(line, name, f"there is no day {text!r}")
        return None


def _list(name: str, node: yaml.Node, problems: Problems) -> tuple[str, ...]:
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return tuple(text for item in items if (text := _text(name, item, problems)))
