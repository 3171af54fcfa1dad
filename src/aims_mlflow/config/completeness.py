"""What a declaration fills in, and what a reviewer will ask for that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from aims_mlflow.config.models import Datasheet, Declaration, OrganizationRole
from aims_mlflow.config.sections import RiskClass

_PLACEHOLDERS = frozenset({"todo", "tbd", "tba", "fixme", "xxx", "changeme", "?", "...", "-"})
"""Texts that stand for 'not yet'."""

_ASKED_OF_SYSTEM = (
    "id",
    "name",
    "purpose",
    "intended_use",
    "owner",
    "organization_role",
    "risk_class",
    "affected_groups",
)
_ASKED_OF_DATASET = (
    "description",
    "origin",
    "licence",
    "legal_basis",
    "collected",
    "preparation",
    "known_bias",
    "retention",
)


def declared(declaration: Declaration) -> tuple[str, ...]:
    """Dotted names of everything that is filled in, sections and their keys, in the order of the models.

    Defaults the author did not write are left out, and so are empty values, placeholders such as ``TODO``, and the
    answers ``unclassified`` and ``undeclared``.
    """
    return tuple(_declared(declaration, ""))


def undeclared(declaration: Declaration) -> tuple[str, ...]:
    """Dotted names of the fields a reviewer will ask for that are not filled in, in the order of the file."""
    return tuple(_undeclared(declaration))


def is_filled(value: Any) -> bool:
    """Whether a value says something: not empty, not blank, not a placeholder, not 'undeclared'."""
    if value is None or value in (RiskClass.UNCLASSIFIED, OrganizationRole.UNDECLARED):
        return False
    if isinstance(value, str):
        words = value.strip().lower()
        return bool(words) and words not in _PLACEHOLDERS and not words.startswith(("todo:", "todo ", "tbd:", "fixme:"))
    if isinstance(value, dict):
        return bool(value)
    if isinstance(value, tuple | list):
        return any(is_filled(item) for item in value)
    if isinstance(value, BaseModel):
        return any(is_filled(getattr(value, name)) for name in value.model_fields_set)
    return True


def _declared(section: BaseModel, prefix: str) -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if name not in section.model_fields_set or not is_filled(value):
            continue
        path = f"{prefix}{name}"
        yield path
        if isinstance(value, BaseModel):
            yield from _declared(value, f"{path}.")
        elif isinstance(value, dict):
            yield from _declared_entries(value, path)


def _declared_entries(entries: dict[str, Any], path: str) -> Iterator[str]:
    for key, entry in entries.items():
        if is_filled(entry):
            yield f"{path}.{key}"
        if isinstance(entry, BaseModel):
            yield from _declared(entry, f"{path}.{key}.")


def _undeclared(declaration: Declaration) -> Iterator[str]:
    system, columns = declaration.system, declaration.columns
    for name in _ASKED_OF_SYSTEM:
        if not is_filled(getattr(system, name)):
            yield f"system.{name}"
    if is_filled(system.risk_class) and not is_filled(system.risk_reason):
        yield "system.risk_reason"
    if system.risk_class is RiskClass.HIGH and not is_filled(system.human_oversight):
        yield "system.human_oversight"
    if not is_filled(declaration.registered_models):
        yield "registered_models"
    if not is_filled(columns.target):
        yield "columns.target"
    if system.risk_class is RiskClass.HIGH and not is_filled(columns.sensitive):
        yield "columns.sensitive"
    yield from _undeclared_of_datasets(declaration.datasets)
    yield from _undeclared_limits(declaration)


def _undeclared_of_datasets(datasets: dict[str, Datasheet]) -> Iterator[str]:
    if not datasets:
        yield "datasets"
    for name, sheet in datasets.items():
        for asked in _ASKED_OF_DATASET:
            if not is_filled(getattr(sheet, asked)):
                yield f"datasets.{name}.{asked}"


def _undeclared_limits(declaration: Declaration) -> Iterator[str]:
    quality = declaration.data_quality
    if not (quality.derive or quality.rules or quality.suite):
        yield "data_quality.rules"
    for name, column in declaration.drift.columns.items():
        if column.skip and not is_filled(column.reason):
            yield f"drift.columns.{name}.reason"
    if is_filled(declaration.columns.target) and not declaration.performance.metrics:
        yield "performance.metrics"
    if is_filled(declaration.columns.sensitive) and not declaration.fairness.metrics:
        yield "fairness.metrics"
