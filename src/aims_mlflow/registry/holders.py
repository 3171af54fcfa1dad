"""Who holds an alias or a stage of a registered model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aims_mlflow.registry.facts import is_prompt_source
from aims_mlflow.registry.tables import aliases_of, stages_of

_PAGE = 200
NOWHERE = frozenset({"None", "Archived"})
"""Stages in which nothing serves."""


def of_alias(store: Any, model: str, alias: str) -> str | None:
    """Version the alias names; None where it names none."""
    known = aliases_of(store, model, alias)
    if known is not None:
        return next(iter(known.values()), None)
    try:
        return str(store.get_model_version_by_alias(model, alias).version)
    except Exception as error:
        if getattr(error, "error_code", "") in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def of_stage(store: Any, model: str, stage: str) -> list[str]:
    """Versions in the stage, oldest first."""
    known = stages_of(store, model)
    if known is None:
        known = {str(v.version): str(v.current_stage) for v in _versions(store, model)}
    return sorted((version for version, there in known.items() if there == stage), key=int)


def aliases(store: Any, model: str) -> list[str]:
    """Aliases of the model."""
    known = aliases_of(store, model)
    if known is None:
        return [str(alias) for alias in store.get_registered_model(model).aliases or ()]
    return list(known)


def stages(store: Any, model: str) -> set[str]:
    """Stages in which the model has a version that serves."""
    known = stages_of(store, model)
    found = {str(v.current_stage) for v in _versions(store, model)} if known is None else set(known.values())
    return found - NOWHERE


def has_models(store: Any, model: str) -> bool:
    """Whether the registered model has a version that is no prompt's."""
    return any(not is_prompt_source(version.source) for version in _versions(store, model))


def recent_tags(store: Any, model: str) -> list[Mapping[str, str]]:
    """Tags of the newest versions."""
    found = store.search_model_versions(_named(model), max_results=20, order_by=["version_number DESC"])
    return [dict(v.tags or {}) for v in found]


def _versions(store: Any, model: str) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = store.search_model_versions(_named(model), max_results=_PAGE, page_token=token)
        found += page
        token = getattr(page, "token", None)
        if not token:
            return found


def _named(model: str) -> str:
    """A filter for the model's versions. Its language knows no escape, so the quote is the one not in the name."""
    quote = '"' if "'" in model else "'"
    if quote in model or "\\" in model:
        msg = "the model's name cannot be searched for"
        raise ValueError(msg)
    return f"name={quote}{model}{quote}"
