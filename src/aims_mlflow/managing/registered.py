"""The registry as the inventory sees it: names of registered models, and the versions that serve, in a few searches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from aims_mlflow.attach.store import check_reachable
from aims_mlflow.errors import AimsError, DeliveryError
from aims_mlflow.management.in_service import InService
from aims_mlflow.registry import holders
from aims_mlflow.registry.facts import PROMPT_TAG, is_prompt_source
from aims_mlflow.registry.reconcile.reading import is_prompts, registry_of, versions_of

_PAGE = 1_000
"""Entries of a page: the most MLflow gives of registered models; of versions few enough to stay small in memory."""
_OURS = "aims."

_T = TypeVar("_T")


@dataclass(frozen=True)
class Registered:
    """What the registry holds."""

    models: tuple[str, ...] = ()
    """Names of registered models, sorted. Prompts are none."""
    served: Mapping[str, tuple[InService, ...]] = field(default_factory=dict)
    """Registered model to its versions in service, oldest first; models without one are not in it."""


def read_registered(client: Any) -> Registered:
    """Names of all registered models, and their versions in service with this library's tags.

    That is one search through the registered models, which come with their aliases, and one through the versions, by
    pages, of which only those in service are kept. A prompt is no model; a model somebody gave the tag of a prompt is
    one all the same, and is asked for by itself.

    Raises:
        DeliveryError: MLflow cannot be reached, or does not answer.
    """
    check_reachable(str(getattr(client, "tracking_uri", "") or ""))
    registry = registry_of(client)
    aliases: dict[str, dict[str, list[str]]] = {}
    for model in _models(registry):
        by_version = aliases.setdefault(str(model.name), {})
        for alias, version in dict(model.aliases or {}).items():
            by_version.setdefault(str(version), []).append(f"alias {alias}")
    hidden = _ask(lambda: _hidden(registry))
    for name in hidden:
        aliases.setdefault(name, {})
    served: dict[str, list[InService]] = {}
    for one in _versions(registry):
        _keep(one, aliases, served)
    for name in hidden:
        _keep_hidden(registry, name, aliases, served)
    in_order = {name: tuple(sorted(served[name], key=lambda one: int(one.version))) for name in sorted(served)}
    return Registered(tuple(sorted(aliases)), in_order)


def models_since(client: Any, at: datetime) -> frozenset[str]:
    """Names of the models that were registered later than a moment.

    Raises:
        DeliveryError: MLflow does not answer.
    """
    when = at.timestamp() * 1000
    return frozenset(str(m.name) for m in _models(registry_of(client)) if (m.creation_timestamp or 0) > when)


def _keep(one: Any, aliases: Mapping[str, Mapping[str, list[str]]], served: dict[str, list[InService]]) -> None:
    name, version, stage = str(one.name), str(one.version), str(one.current_stage or "None")
    targets = list(aliases.get(name, {}).get(version, ()))
    if stage not in holders.NOWHERE:
        targets.append(f"stage {stage}")
    if targets:
        tags = {str(k): str(v) for k, v in dict(one.tags or {}).items() if str(k).startswith(_OURS)}
        found = InService(
            name, version, tuple(sorted(targets)), str(one.run_id) if one.run_id else None, tags, one.source
        )
        served.setdefault(name, []).append(found)


def _keep_hidden(
    registry: Any, name: str, aliases: dict[str, dict[str, list[str]]], served: dict[str, list[InService]]
) -> None:
    """Versions of a model that MLflow's searches leave out."""
    held = _ask(lambda: registry.get_registered_model(name))
    for alias, version in dict(held.aliases or {}).items():
        aliases[name].setdefault(str(version), []).append(f"alias {alias}")
    served.pop(name, None)  # what a search showed of it would stand twice
    for one in _ask(lambda: versions_of(registry, name)):
        _keep(one, aliases, served)


def _models(registry: Any, filter_string: str | None = None) -> Iterator[Any]:
    return _pages(registry.search_registered_models, filter_string, ["name ASC"])


def _versions(registry: Any, filter_string: str | None = None) -> Iterator[Any]:
    return _pages(registry.search_model_versions, filter_string, ["name ASC", "version_number ASC"])


def _hidden(registry: Any) -> list[str]:
    """Models somebody gave the tag of a prompt. Of prompts all versions are looked at in one search."""
    tagged = f"tags.`{PROMPT_TAG}` = 'true'"
    newest: dict[str, int] = {}
    for model in _models(registry, tagged):
        latest = model.latest_versions or ()
        newest[str(model.name)] = max((int(version.version) for version in latest), default=0)
    if not newest:
        return []
    of_prompts: dict[str, int] = dict.fromkeys(newest, 0)
    for version in _versions(registry, tagged):
        if str(version.name) in of_prompts and is_prompt_source(version.source):
            of_prompts[str(version.name)] += 1
    # Every number up to the newest is a prompt's: a prompt. Else a version was deleted, or it holds models.
    unclear = [name for name, number in newest.items() if number == 0 or of_prompts[name] != number]
    return sorted(name for name in unclear if not is_prompts(versions_of(registry, name)))


def _pages(search: Callable[..., Any], filter_string: str | None, order: list[str]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = _ask(
            lambda token=token: search(  # type: ignore[misc]
                filter_string=filter_string, max_results=_PAGE, order_by=order, page_token=token
            )
        )
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return


def _ask(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except AimsError:
        raise
    except Exception as error:
        code = getattr(error, "error_code", None) or type(error).__name__
        raise DeliveryError(
            f"the model registry could not be read ({code})", remedy="Check the tracking server, then try again."
        ) from error


__all__ = ["InService", "Registered", "read_registered"]
