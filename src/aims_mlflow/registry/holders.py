"""Who holds an alias or a stage of a registered model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aims_mlflow.errors import EvidenceError
from aims_mlflow.registry.facts import PROMPT_TAG, is_prompt_source
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
        known = {str(v.version): str(v.current_stage) for v in versions(store, model)}
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
    found = {str(v.current_stage) for v in versions(store, model)} if known is None else set(known.values())
    return found - NOWHERE


def has_models(store: Any, model: str) -> bool:
    """Whether the registered model has a version that is no prompt's."""
    return any(not is_prompt_source(version.source) for version in versions(store, model))


def recent_tags(store: Any, model: str) -> list[Mapping[str, str]]:
    """Tags of the newest versions."""
    found = store.search_model_versions(named(model), max_results=20, order_by=["version_number DESC"])
    return [dict(v.tags or {}) for v in found]


def versions(store: Any, model: str) -> list[Any]:
    """Every version of the model, oldest first.

    MLflow's search leaves out all versions of a model of which one bears the tag of a prompt, and whoever may write a
    tag can set it. What it leaves out is asked for one by one.

    Raises:
        EvidenceError: MLflow's filter cannot hold the name.
        MlflowException: the registry cannot be read.
    """
    found = {int(v.version): v for v in _search(store, named(model)) if v.name == model}
    if not found:
        tagged = _search(store, f"{named(model)} and tags.`{PROMPT_TAG}` = 'true'")
        found = {int(v.version): v for v in tagged if v.name == model}
        for number in range(1, _newest(store, model) + 1):
            if number not in found and (version := _version(store, model, number)) is not None:
                found[number] = version
    return [found[number] for number in sorted(found)]


def _search(store: Any, filter_string: str) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = store.search_model_versions(filter_string, max_results=_PAGE, page_token=token)
        found += page
        token = getattr(page, "token", None)
        if not token:
            return found


def _newest(store: Any, model: str) -> int:
    """Number of the newest version; 0 where there is none."""
    try:
        latest = store.get_registered_model(model).latest_versions
    except Exception as error:
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            return 0
        raise
    return max((int(version.version) for version in latest or ()), default=0)


def _version(store: Any, model: str, number: int) -> Any | None:
    try:
        return store.get_model_version(model, str(number))
    except Exception as error:
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":  # deleted
            return None
        raise


def named(model: str) -> str:
    """A filter for the model's versions. Its language knows no escape, so the quote is the one not in the name.

    Raises:
        EvidenceError: there is none.
    """
    quote = '"' if "'" in model else "'"
    if quote in model or "\\" in model:
        raise EvidenceError("the versions of a model of this name cannot be searched", where=model)
    return f"name={quote}{model}{quote}"
