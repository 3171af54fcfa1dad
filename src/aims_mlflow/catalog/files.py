"""Read one catalog file: strict YAML (a key that stands twice is refused), every mistake with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping

    SafeLoader = yaml.SafeLoader
else:
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

M = TypeVar("M", bound=BaseModel)

FRAMEWORK_KEYS = ("framework", "notice", "groups", "rows", "freshness_profiles", "evidence_kinds", "topics", "checks")
CROSSWALK_KEYS = ("crosswalk", "entries")


class _StrictLoader(SafeLoader):
    """YAML's safe loader, by libyaml where it is there, that refuses duplicate keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping; PyYAML itself would let the last of two equal keys win."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                message = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def parse(content: bytes, *, where: str) -> dict[str, Any]:
    """The file's content as a mapping with known top-level keys.

    Raises:
        CatalogError: not UTF-8, not YAML, not a mapping, or a top-level key that means nothing.
    """
    try:
        plain = yaml.load(content, Loader=_StrictLoader)  # noqa: S506  (a subclass of the safe loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        message = str(getattr(error, "problem", None) or "it is not YAML in UTF-8")
        raise CatalogError(f"the file cannot be read: {message}", where=place) from error
    if not isinstance(plain, dict):
        raise CatalogError("expected a mapping with 'framework' or 'crosswalk'", where=where)
    keys = CROSSWALK_KEYS if "crosswalk" in plain else FRAMEWORK_KEYS
    for key in plain:
        if key not in keys:
            options = {*FRAMEWORK_KEYS, *CROSSWALK_KEYS}
            remedy = nearest(str(key), options) or f"Known keys: {', '.join(keys)}."
            raise CatalogError(f"unknown key {str(key)[:60]!r}", where=where, remedy=remedy)
    return plain


def build(model: type[M], plain: Any, *, where: str, **known: Any) -> M:
    """One model from its plain form.

    Raises:
        CatalogError: a field is missing, unknown or wrong; the first such field is named.
    """
    if not isinstance(plain, dict):
        raise CatalogError("expected a mapping", where=where)
    try:
        return model.model_validate({**plain, **known})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        fields = model.model_fields
        remedy = nearest(field, fields) if first["type"] == "extra_forbidden" else ""
        if first["type"] == "string_type":
            remedy = "Put it in quotes: what looks like a number or a date is read as one."
        raise CatalogError(f"{field}: {first['msg'].lower()}", where=where, remedy=remedy) from error
    except TypeError as error:
        raise CatalogError("a key is not text", where=where, remedy="Put keys in quotes.") from error


def table(plain: Mapping[str, Any], key: str, *, where: str) -> dict[str, Any]:
    """A mapping under ``key`` whose keys are text; empty where the key is absent.

    Raises:
        CatalogError: not a mapping, or a key that is not text.
    """
    value = plain.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CatalogError("expected a mapping", where=f"{where}, {key}")
    for name in value:
        if not isinstance(name, str):
            raise CatalogError(f"the id {name!r} is not text", where=f"{where}, {key}", remedy="Put it in quotes.")
    return value
