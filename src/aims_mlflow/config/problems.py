"""A mistake in a declaration: where it stands, what was expected, and the nearest valid name."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from aims_mlflow.config.models import Declaration

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Loc = tuple[str | int, ...]
"""Keys and list positions from the root of the declaration to a value."""


@dataclass(frozen=True)
class Problem:
    """One mistake. ``str()`` gives the sentence: place, key, what is wrong."""

    loc: Loc
    message: str
    line: int | None = None
    """Line in the file, counted from 1; None where there is no file."""
    label: str = "declaration"
    """How the file is named to the reader."""

    @property
    def key(self) -> str:
        """The dotted name of the key, empty for the file as a whole."""
        return dotted(self.loc)

    def __str__(self) -> str:
        place = self.label if self.line is None else f"{self.label}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


def dotted(loc: Loc) -> str:
    """``system.id``, ``attestations[0].owner``; characters that cannot be printed are escaped."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if part.isprintable() else repr(part)[1:-1]
            text += f".{name}" if text else name
    return text


def nearest(name: str, valid: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The valid name closest to ``name`` (case and ``-``/``_`` apart), or None."""
    folded = {_fold(known): known for known in sorted(valid, reverse=True)}
    found = get_close_matches(_fold(name), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def did_you_mean(name: str, valid: Collection[str]) -> str:
    """``; did you mean 'x'?``, or the valid names when they are few and none is close, or nothing."""
    close = nearest(name, valid)
    if close is not None:
        return f"; did you mean {close!r}?"
    if 0 < len(valid) <= 24:
        return f"; expected one of {listing(sorted(valid) if isinstance(valid, set | frozenset) else valid)}"
    return ""


def listing(names: Iterable[str]) -> str:
    """``'a', 'b', 'c'``."""
    return ", ".join(repr(name) for name in names)


def describe(value: Any) -> str:
    """What was found, in YAML's words; long text is cut."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    return f"{text if len(text) <= 40 else text[:37] + '...'!r}"


def annotation_at(loc: Loc) -> Any:
    """The declared type of the value at ``loc``, ``None`` stripped; None where the models know no such place."""
    kind: Any = Declaration
    for part in loc:
        kind = _descend(kind, part)
        if kind is None:
            return None
    return kind


def fields_at(loc: Loc) -> tuple[str, ...]:
    """Names of the keys the section at ``loc`` may have; empty where it is no section."""
    kind = annotation_at(loc)
    return tuple(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else ()


def sections_with(key: str) -> tuple[str, ...]:
    """Dotted names of the fixed sections that have a key of this name, for a key put in the wrong place."""
    found = [key] if key in Declaration.model_fields else []
    found += [f"{name}.{key}" for name in Declaration.model_fields if key in fields_at((name,))]
    return tuple(found)


def explain(error: ErrorDetails) -> str:
    """A pydantic error as a sentence of ours: what was expected, what was found, the nearest valid name."""
    loc: Loc = tuple(error["loc"])
    kind, found, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if kind == "missing":
        return "required here, but missing"
    if kind in {"model_type", "model_attributes_type", "dict_type", "dataclass_type"}:
        keys = fields_at(loc)
        return f"expected a section{f' with the keys {listing(keys)}' if keys else ''}, found {describe(found)}"
    if kind in {"enum", "literal_error"}:
        valid = [part.strip(" '") for part in str(context.get("expected", "")).replace(" or ", ", ").split(",")]
        hint = nearest(str(found), valid) if isinstance(found, str) else None
        meant = f"; did you mean {hint!r}?" if hint else ""
        return f"expected {'one of ' if len(valid) > 1 else ''}{', '.join(valid)}, found {describe(found)}{meant}"
    if kind == "string_pattern_mismatch" and loc == ("system", "id"):
        return (
            "expected at most 100 letters, digits, '_', '.' or '-', beginning with a letter or digit, "
            f"found {describe(found)}"
        )
    expected = _expected(kind, context)
    return f"{expected}, found {describe(found)}" if expected else str(error["msg"])


_EXPECTED = {
    "tuple_type": "expected a list (one item a line with '- ', or [a, b])",
    "list_type": "expected a list (one item a line with '- ', or [a, b])",
    "string_type": "expected text",
    "string_too_short": "expected text",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "json_type": "expected text",
}


def _expected(kind: str, context: dict[str, Any]) -> str:
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind.startswith("date"):
        return "expected a date like 2026-11-30"
    limits = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}
    if kind in limits:
        bound = context.get({">": "gt", ">=": "ge", "<": "lt", "<=": "le"}[limits[kind]])
        return f"expected a number {limits[kind]} {bound:g}"
    return ""


def _unknown_key(loc: Loc) -> str:
    key, section = str(loc[-1]), loc[:-1]
    valid = fields_at(section)
    if nearest(key, valid) is None:
        elsewhere = sections_with(key)
        if elsewhere:
            return f"unknown key here; did you mean {listing(elsewhere)}?"
    return f"unknown key{did_you_mean(key, valid)}"


def _descend(kind: Any, part: str | int) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    inner: Any = None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        inner = field.annotation if field else None
    elif origin is dict:
        inner = arguments[1]
    elif origin in {tuple, list}:
        inner = arguments[0]
    if typing.get_origin(inner) in {typing.Union, types.UnionType}:
        inner = next((option for option in typing.get_args(inner) if option is not type(None)), None)
    return inner


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
