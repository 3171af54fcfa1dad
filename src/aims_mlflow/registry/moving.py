"""Ask the gate, and promote through it: for those whose server has no gate as for those whose server has one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

from aims_mlflow.api.policies import Config
from aims_mlflow.config import load_settings
from aims_mlflow.errors import InputError
from aims_mlflow.gate.decision import GateDecision
from aims_mlflow.gate.entries import Level, Target
from aims_mlflow.registry.acting import REASON_HEADER, acting, stating
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.probing import gate_level
from aims_mlflow.registry.standing import refresh


@dataclass(frozen=True)
class Promotion:
    """A move that was made."""

    decision: GateDecision
    """What the gate said; of a gated server, what this process would have said by its own policy."""
    made_by: Level
    """``enforced`` where the server's own gate let it pass, ``advised`` where a gate in this process did."""
    version: str
    """The version that now holds the target: of a promotion by copying, the new one."""


def target_of(*, alias: str | None = None, stage: str | None = None, to_model: str | None = None) -> Target:
    """The one target that was given.

    Raises:
        InputError: none or several, or a stage MLflow does not know.
    """
    given = [("alias", alias), ("stage", stage), ("registration", to_model)]
    named = [(kind, name) for kind, name in given if name]
    if len(named) != 1:
        raise InputError(
            "name one target: an alias, a stage, or a model to copy to",
            remedy="It is --to, --to-stage or --to-model on the command line; alias=, stage= or to_model= in Python.",
        )
    kind, name = named[0]
    if kind == "stage":
        name = _stage(str(name))
    return Target.model_validate({"kind": kind, "name": name})


def _stage(name: str) -> str:
    """The stage as MLflow writes it; MLflow takes letters of any case.

    Raises:
        InputError: there is no such stage.
    """
    from mlflow.entities.model_registry.model_version_stages import ALL_STAGES

    known = {str(stage).lower(): str(stage) for stage in ALL_STAGES}
    found = known.get(name.lower())
    if found is None:
        close = get_close_matches(name.lower(), known, n=1)
        hint = f"Did you mean {known[close[0]]}? " if close else ""
        listed = ", ".join(known.values())
        raise InputError(f"MLflow knows no stage {name[:60]!r}", remedy=f"{hint}Its stages are {listed}.")
    return found


def version_of(client: Any, target: str) -> tuple[str, str]:
    """Registered model and version of ``models:/name/version`` or ``models:/name@alias``.

    Raises:
        InputError: it names no registered version.
    """
    rest = target.removeprefix("models:/") if target.startswith("models:/") else ""
    name, slash, version = rest.rpartition("/")
    if not slash and "@" in rest:
        name, _, alias = rest.rpartition("@")
        return name, str(client.get_model_version_by_alias(name, alias).version)
    if not name or not version.isdigit():
        raise InputError(
            f"{target!r} does not name one registered version",
            remedy="Give models:/<name>/<version> or models:/<name>@<alias>.",
        )
    return name, version


def gate_version(
    target: str,
    *,
    alias: str | None = None,
    stage: str | None = None,
    to_model: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
    at: datetime | None = None,
) -> GateDecision:
    """What the gate says of a move, without making it.

    Args:
        target: ``models:/name/version`` or ``models:/name@alias``.
        alias: Alias it would get.
        stage: Stage it would go to.
        to_model: Registered model it would be copied to.
        config: The policy: ``aims.yaml`` by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        at: The moment to decide for; now where None.

    Raises:
        InputError: not one version, or not one target.
        MlflowException: there is no such version.
    """
    client = _client(tracking_uri)
    wanted = target_of(alias=alias, stage=stage, to_model=to_model)
    name, version = version_of(client, target)
    return _keeper(client, config).decide(name, version, wanted, at)


def promote_version(
    target: str,
    *,
    alias: str | None = None,
    stage: str | None = None,
    to_model: str | None = None,
    reason: str | None = None,
    archive_existing: bool = False,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Promotion:
    """Move a version through the gate: decide, write the decision down, make the move.

    A server that has a gate of its own decides and logs itself.

    Args:
        target: ``models:/name/version`` or ``models:/name@alias``.
        alias: Alias to set.
        stage: Stage to move it to.
        to_model: Registered model to copy it to.
        reason: Why; it stands in the log.
        archive_existing: Of a stage: archive what is there.
        config: The policy; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        InputError: not one version, or not one target.
        MlflowException: PERMISSION_DENIED with reason and remedy where the move is refused, or what MLflow raises.
    """
    client = _client(tracking_uri)
    wanted = target_of(alias=alias, stage=stage, to_model=to_model)
    name, version = version_of(client, target)
    keeper = _keeper(client, config)

    def make() -> str:
        match wanted.kind:
            case "alias":
                client.set_registered_model_alias(name, wanted.name, version)
                return version
            case "stage":
                with warnings.catch_warnings():
                    # MLflow deprecates stages and says so of the line that calls it, which is ours and not the user's.
                    warnings.filterwarnings("ignore", ".*transition_model_version_stage", FutureWarning)
                    client.transition_model_version_stage(name, version, wanted.name, archive_existing)
                return version
            case "registration":
                return str(client.copy_model_version(f"models:/{name}/{version}", wanted.name).version)

    with stating(reason=reason):
        level = gate_level(client, name)
        if level is not None:
            said = keeper.decide(name, version, wanted)
            with _saying(reason):
                made = make()
            refresh(client, name, version, config=config)
            return Promotion(said, level, made)
        before = None if wanted.kind == "registration" else lambda: _holder(client, name, wanted)
        made = keeper.move(name, version, wanted, _VERBS[wanted.kind], before, acting(), reason, make)
        refresh(client, name, version, config=config)
        return Promotion(keeper.decide(name, version, wanted), Level.ADVISED, made)


_VERBS = {
    "alias": "set_registered_model_alias",
    "stage": "transition_model_version_stage",
    "registration": "copy_model_version",
}


def _holder(client: Any, name: str, target: Target) -> str | None:
    """The version, or versions, at the target now."""
    if target.kind == "alias":
        held = client.get_registered_model(name).aliases.get(target.name)
        return None if held is None else str(held)
    found = client.search_model_versions(f"name='{name}'") if "'" not in name else []
    return ",".join(str(v.version) for v in found if v.current_stage == target.name) or None


def _client(tracking_uri: str | None) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri)


def _keeper(client: Any, config: Config) -> Gatekeeper:
    return Gatekeeper(client, client, load_settings(config), Level.ADVISED)


@contextmanager
def _saying(reason: str | None) -> Iterator[None]:
    """Send the reason along with the requests of the block, for the server's log."""
    if not reason:
        yield
        return
    text = quote(reason[:500])
    from mlflow.tracking.request_header import registry
    from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider

    class SaidReason(RequestHeaderProvider):  # type: ignore[misc]
        """One header."""

        def in_context(self) -> bool:
            return True

        def request_headers(self) -> dict[str, str]:
            return {REASON_HEADER: text}

    providers = registry._request_header_provider_registry._registry
    said = SaidReason()
    providers.append(said)
    try:
        yield
    finally:
        providers.remove(said)
