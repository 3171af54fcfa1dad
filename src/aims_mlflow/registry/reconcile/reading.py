"""Registry and log as they stand, read so that the two belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aims_mlflow.config import Declaration
from aims_mlflow.gate.entries import Entry, Target
from aims_mlflow.gate.policy import guard_of, guards_stages
from aims_mlflow.registry import holders
from aims_mlflow.registry.facts import PROMPT_TAG, is_prompt_source
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reconcile.standing import Standing

_PAGE = 200
_READS = 5
_Found = tuple[Standing, list[Any], dict[str, str]]
"""Standing, versions and tags of a registered model."""


@dataclass(frozen=True)
class ModelView:
    """One registered model."""

    name: str
    standing: Standing
    entries: tuple[Entry, ...]
    versions: Sequence[Any] = field(default_factory=tuple)
    """Every version, where they were read."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the registered model."""
    exists: bool = True


def model_names(registry: Any, log: TransitionLog | None) -> list[str]:
    """Registered models that hold models, and those with a log. A tag does not make a prompt of a model."""
    names = {str(m.name) for m in _pages(registry.search_registered_models)}
    prompts = {str(m.name) for m in _pages(registry.search_registered_models, f"tags.`{PROMPT_TAG}` = 'true'")}
    hidden = {name for name in prompts if not is_prompts(versions_of(registry, name))}
    logged = set(log.models()) if log is not None else set()
    return sorted((names - prompts) | hidden | (logged - (prompts - hidden)))


def is_prompts(versions: Sequence[Any]) -> bool:
    """Whether all versions are a prompt's: nothing can be served under such a name."""
    return bool(versions) and all(is_prompt_source(v.source) for v in versions)


def versions_of(registry: Any, model: str) -> list[Any]:
    """Every version of a registered model, oldest first.

    Raises:
        EvidenceError: MLflow's filter cannot hold the name.
    """
    return holders.versions(registry, model)


def newest_of(registry: Any, model: str, most: int) -> list[Any]:
    """The newest versions of a registered model.

    Raises:
        EvidenceError: see ``versions_of``.
    """
    found = registry.search_model_versions(holders.named(model), max_results=most, order_by=["version_number DESC"])
    newest = [v for v in found if v.name == model]
    return newest or versions_of(registry, model)[: -most - 1 : -1]


def needs_versions(declaration: Declaration, model: str) -> bool:
    """Whether the policy guards what aliases do not tell: stages, or the making of versions."""
    making = guard_of(declaration, model, Target(kind="registration", name=model))
    return making is not None or guards_stages(declaration, model)


def registry_of(client: Any) -> Any:
    """MLflow's own store behind a client, gated where the client is.

    The client itself does not see a model somebody gave the tag of a prompt.
    """
    return client._get_registry_client().store


def view(registry: Any, log: TransitionLog, model: str, *, with_versions: bool) -> ModelView:
    """A model's log and standing. The log is read before and after, until nothing was written meanwhile.

    Raises:
        EvidenceError: the log is broken.
        DeliveryError: MLflow cannot be reached.
        MlflowException: the registry cannot be read.
    """
    known, entries = -1, log.read(model, fresh=True)
    found = None
    for _ in range(_READS):
        if len(entries) == known:
            break
        known = len(entries)
        found = _standing(registry, model, with_versions=with_versions)
        entries = log.read(model, fresh=True)
    return _viewed(model, found, entries)


def standing_of(registry: Any, model: str) -> ModelView:
    """A model as the registry has it, without its log.

    Raises:
        EvidenceError: see ``versions_of``.
        MlflowException: the registry cannot be read.
    """
    return _viewed(model, _standing(registry, model, with_versions=True), ())


def _viewed(model: str, found: _Found | None, entries: tuple[Entry, ...]) -> ModelView:
    if found is None:
        return ModelView(model, Standing({}, {}), entries, exists=False)
    standing, versions, tags = found
    return ModelView(model, standing, entries, versions, tags)


def _standing(registry: Any, model: str, *, with_versions: bool) -> _Found | None:
    try:
        held = registry.get_registered_model(model)
    except Exception as error:
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if held.name != model:  # a database that takes names for the same that differ in case
        return None
    aliases = {str(alias): str(version) for alias, version in dict(held.aliases or {}).items()}
    all_tags = getattr(held, "_tags", None) or held.tags or {}  # MLflow leaves out the tag of a prompt
    tags = {str(k): str(v) for k, v in dict(all_tags).items()}
    if not with_versions:
        return Standing(aliases), [], tags
    versions = versions_of(registry, model)
    return Standing(aliases, {str(v.version): str(v.current_stage or "None") for v in versions}), versions, tags


def _pages(search: Any, filter_string: str | None = None) -> Iterator[Any]:
    token = None
    while True:
        page = search(filter_string=filter_string, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
