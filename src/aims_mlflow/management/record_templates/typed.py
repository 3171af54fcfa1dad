"""Filled YAML templates, for records with fields of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import ValidationError

from aims_mlflow.catalog import load_catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.evidence.base import Record
from aims_mlflow.management.incidents import LogReview
from aims_mlflow.management.record_templates import header
from aims_mlflow.management.record_templates.problems import Problems, is_placeholder
from aims_mlflow.management.reports import ReportedFacts
from aims_mlflow.management.types import record_types


def model_of(type_id: str) -> type[Record] | None:
    """The content model of a record type with fields of its own; None for what a person writes about."""
    kind = record_types(load_catalog()).get(type_id)
    return (
        None if kind is None or kind.is_topic or issubclass(kind.content, LogReview | ReportedFacts) else kind.content
    )


def read(lines: list[str], problems: Problems) -> dict[str, Any]:
    """The fields and the content of a filled YAML template.

    Empty fields count as not given. Problems name the line of the field, or of the block it is missing from.

    Raises:
        InputError: there were problems.
    """
    node = header.compose("\n".join(lines), problems)
    content = _content(node)
    own = [str(key.value) for key, _ in content.value] if isinstance(content, yaml.MappingNode) else []
    made = header.fields(node, 0, problems, also=("content", *own))
    type_id = made.get("type") or ""
    model = model_of(type_id)
    if model is None and type_id:
        types = record_types(load_catalog())
        why = f"there is no record type {type_id[:60]!r}. {nearest(type_id, types)}".strip()
        if type_id in types:
            why = f"the template of {type_id!r} is Markdown with a header between two lines '---'"
        problems.add(1, "type", why)
    for path, scalar in _scalars(content, ()):
        if is_placeholder(str(scalar.value)) and path:
            problems.add(scalar.start_mark.line + 1, _shown(path), f"the placeholder {scalar.value!r} was left in")
    problems.settle()
    given = _without_nulls(header.plain(content, problems))
    assert model is not None  # noqa: S101  (settled above)
    try:
        typed = model.model_validate(given)
    except ValidationError as error:
        for mistake in error.errors():
            missing = mistake["type"] == "missing"
            why = "is not filled in" if missing else mistake["msg"]
            problems.add(_line(content, mistake["loc"]), _shown(mistake["loc"]), why)
        problems.settle()
        raise
    return made | {"fields": typed.model_dump(mode="json")}


def _content(node: yaml.Node | None) -> yaml.Node | None:
    """What is no part of the header: under ``content``, or beside the header's fields."""
    if not isinstance(node, yaml.MappingNode):
        return None
    inner = _child(node, "content")
    if inner is not None:
        return inner
    own = [(key, value) for key, value in node.value if str(key.value) not in header.NAMES]
    return yaml.MappingNode(node.tag, own, node.start_mark, node.end_mark)


def _shown(path: tuple[int | str, ...]) -> str:
    return ".".join(map(str, path)) or "content"


def _child(node: yaml.Node | None, name: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if str(key.value) == str(name)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(name, int) and name < len(node.value):
        child: yaml.Node = node.value[name]
        return child
    return None


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """Line of the field at the end of the path, or of the innermost block there is."""
    line = node.start_mark.line + 1 if node else 1
    for name in path:
        node = _child(node, name)
        if node is None:
            break
        line = node.start_mark.line + 1
    return line


def _scalars(node: yaml.Node | None, path: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for n, item in enumerate(node.value):
            yield from _scalars(item, (*path, n))
    elif node is not None:
        yield path, node


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value
