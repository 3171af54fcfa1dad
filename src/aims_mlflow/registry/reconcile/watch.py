"""One registered model held against its log; what is found can be written down."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from aims_mlflow.config import Settings
from aims_mlflow.evidence.base import now
from aims_mlflow.gate.entries import Entry, FailedEntry, FoundEntry, Level, Target
from aims_mlflow.registry.acting import acting
from aims_mlflow.registry.anchors import state_directory
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.keys import VARIABLE, gate_key
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.policies import Policy
from aims_mlflow.registry.reconcile.reading import ModelView, needs_versions, registry_of, view
from aims_mlflow.registry.reconcile.standing import ARCHIVED, GONE, Difference, LogState, differences

SETTLED = timedelta(seconds=30)
"""A move is written down before it is made: for so long it may be under way."""
NOT_MADE = "NOT_CARRIED_OUT"


def watching_gatekeeper(client: Any, settings: Settings | None) -> Gatekeeper:
    """A gatekeeper for looking on. Where this machine has the server's key, what the server signed counts.

    Args:
        client: ``MlflowClient``.
        settings: The policy; None: from ``aims.yaml``, read again when it changes.
    """
    has_key = bool(os.environ.get(VARIABLE, "").strip()) or (state_directory() / "gate.key").exists()
    level = Level.ENFORCED if has_key else Level.ADVISED
    return Gatekeeper(registry_of(client), client, settings, level, log=TransitionLog(client, key=gate_key(level)))


class Watch:
    """Looks at registered models and writes down what no move in the log explains.

    Args:
        client: ``MlflowClient``.
        keeper: Knows policy and log.
        settled: Age from which an entry's move should have been made.
    """

    def __init__(self, client: Any, keeper: Gatekeeper, *, settled: timedelta = SETTLED) -> None:
        self.client = client
        self.keeper = keeper
        self.settled = settled

    def view(self, model: str, policy: Policy, *, with_versions: bool | None = None) -> ModelView:
        """Registry and log of a model.

        Raises:
            ConfigError: there is no policy.
            EvidenceError, DeliveryError, MlflowException: see ``reading.view``.
        """
        wanted = needs_versions(policy.declaration, model) if with_versions is None else with_versions
        return view(self.keeper.registry, self.keeper.log, model, with_versions=wanted)

    def differences(self, seen: ModelView, policy: Policy, at: datetime | None = None) -> list[Difference]:
        """Where the two do not agree."""
        moment = at or now()
        found = differences(
            LogState.of(seen.entries),
            seen.standing,
            model=seen.name,
            guarded=lambda target: policy.mode(seen.name, target) is not None,
            is_settled=lambda entry: moment - entry.at >= self.settled,
        )
        return found if seen.exists else [replace(one, not_made=None) for one in found]

    def record(self, seen: ModelView, difference: Difference, *, known: int, reverted: bool = False) -> Entry:
        """Write down one difference.

        Args:
            seen: What was looked at.
            difference: The difference.
            known: Number of entries the log had, those written since included.
            reverted: Whether it is about to be put right.

        Raises:
            LogMovedError: the log has more entries by now: look again.
            EvidenceError, DeliveryError: it cannot be written.
        """
        common: dict[str, Any] = {
            "number": 1,
            "at": now(),
            "model": seen.name,
            "version": difference.version,
            "actor": acting(),
            "level": Level.DETECTED,
        }
        draft: FoundEntry | FailedEntry
        if difference.not_made is not None:
            move = difference.not_made
            draft = FailedEntry(**common | {"version": move.version}, move=move.number, error=NOT_MADE)
        else:
            finding = words(difference, seen.name) + ("; put right" if reverted else "")
            draft = FoundEntry(
                **common,
                target=difference.target,
                from_version=difference.said,
                finding=finding,
                reverted=reverted,
            )
        return self.keeper.log.append(draft, after=known)


_UNGUARDED = "it went past the gate, or was made before it was guarded"
_SINCE = "it went past the gate, or was changed while nothing guarded it"


def words(difference: Difference, model: str) -> str:
    """What does not agree, in one sentence without a full stop."""
    target, move = difference.target, difference.not_made
    if move is not None:
        to = "the removal of" if move.version is None else f"the move of version {move.version} to"
        return f"{to} {move.target} (entry {move.number}) was not carried out, or was undone past the gate"
    if target.kind == "registration":
        return f"the making of version {difference.version} of {model} is not in the log: {_UNGUARDED}"
    if target.kind == "stage":
        now_there = "was deleted" if difference.gone else f"stands in stage {target.name}"
        if difference.said is None:
            return f"version {difference.version} {now_there}, which is not in the log: {_UNGUARDED}"
        said = f"the log's last move left it in {difference.said}"
        return f"version {difference.version} {now_there}, and {said}: {_SINCE}"
    now_there = f"names version {difference.version}" if difference.version else "names no version"
    if difference.said is None:
        return f"alias {target.name} {now_there}, which is not in the log: {_UNGUARDED}"
    return f"alias {target.name} {now_there}, and the log's last move set it to {difference.said}: {_SINCE}"


def held_at(seen: ModelView, policy: Policy) -> list[tuple[Target, str]]:
    """Guarded aliases and stages, each with a version that stands under it."""
    held = [(Target(kind="alias", name=alias), version) for alias, version in sorted(seen.standing.aliases.items())]
    held += [
        (Target(kind="stage", name=stage), version)
        for version, stage in (seen.standing.stages or {}).items()
        if stage not in {GONE, ARCHIVED}
    ]
    return [(target, version) for target, version in held if policy.mode(seen.name, target) is not None]
