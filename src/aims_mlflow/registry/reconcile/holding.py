"""Open serious incidents held against the logs of their models: who is not held, and who is held for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from shlex import quote
from typing import Any

from aims_mlflow.config import Declaration
from aims_mlflow.errors import AimsError
from aims_mlflow.filing import RecordStore
from aims_mlflow.gate.entries import HoldEntry, Level
from aims_mlflow.gate.holds import known_keys, open_holds
from aims_mlflow.management.incident_log import Logged, log_of
from aims_mlflow.management.incidents import IncidentContent
from aims_mlflow.management.state import Problem, State
from aims_mlflow.registry.acting import acting
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.holds.drafts import hold_of
from aims_mlflow.registry.holds.systems import Owners, registered_models
from aims_mlflow.registry.reconcile.findings import Discrepancy, Kind
from aims_mlflow.registry.reconcile.reading import ModelView


class Holding:
    """The incidents on record, against what the logs hold.

    Args:
        client: ``MlflowClient``.
        keeper: Knows registry and log.
        declaration: ``aims.yaml``.
        unreadable: What could not be looked at is added here.
    """

    def __init__(self, client: Any, keeper: Gatekeeper, declaration: Declaration, unreadable: list[str]) -> None:
        self.client = client
        self.keeper = keeper
        self.declaration = declaration
        self.unreadable = unreadable

    @cached_property
    def _state(self) -> State | None:
        """The records as they are now, read once; None where they cannot be read, which is said."""
        store = RecordStore(self.client)
        if not store.can_hold_records:
            return None
        try:
            return store.read()
        except AimsError as error:
            self.unreadable.append(f"the management records: {error.message}")
            return None

    @cached_property
    def _incidents(self) -> Mapping[str, Logged]:
        return {one.id: one for one in log_of("incident", self._state).cases} if self._state else {}

    @cached_property
    def _broken(self) -> Mapping[str, Problem]:
        return {p.id: p for p in log_of("incident", self._state).problems} if self._state else {}

    @cached_property
    def _owners(self) -> Owners | None:
        if self._state is None:
            return None
        return Owners(registered_models(self.keeper.registry), self._state, self.declaration)

    def findings(self, seen: ModelView, *, fix: bool) -> list[Discrepancy]:
        """What does not agree for a model.

        Args:
            seen: The model, with its log.
            fix: Write the holds that are lacking. A release is never written here: who closes the incident releases.
        """
        holding = [one for one in self._incidents.values() if one.holds]
        keys = known_keys(self.declaration, self.keeper.gate_keys)
        standing = [one.entry for one in open_holds(seen.entries, keys=keys)]
        blocking = any(_blocks(one) for one in self._incidents.values())
        if self._owners is None or not (holding or standing or blocking):
            return []
        held = {entry.incident for entry in standing if entry.version is None}
        lacking = [one for one in holding if one.id not in held and self._owners.concerns(one, seen.name)]
        found = [self._lacking(seen.name, one, fix=fix) for one in lacking]
        found += [self._lacking(seen.name, one, version, fix=fix) for one, version in self._unheld(seen.name, standing)]
        return found + [one for entry in standing if (one := self._left_over(seen.name, entry)) is not None]

    def _unheld(self, model: str, standing: Sequence[HoldEntry]) -> list[tuple[Logged, str]]:
        """Versions that an open incident says it holds while an alarm stands, and nothing in the log does."""
        held = {(entry.incident, entry.version) for entry in standing}
        named = [(one, *uri.rpartition("/")[::2]) for one in self._incidents.values() for uri in _blocks(one)]
        return [(one, version) for one, name, version in named if name == model and (one.id, version) not in held]

    def _lacking(self, model: str, incident: Logged, version: str | None = None, *, fix: bool) -> Discrepancy:
        recorded = fix and self._written(model, incident, version)
        step = f"`aims reconcile {quote(model)} --fix-log` holds it"
        return self._found(
            model,
            f"{incident.weight} incident {incident.id} is open, and nothing in the log holds "
            f"{'the model' if version is None else f'version {version}'}",
            f"`aims incident show {incident.id}` says what it is about" if recorded else step,
            recorded=recorded,
        )

    def _written(self, model: str, incident: Logged, version: str | None = None) -> bool:
        person = acting().name or incident.record.owner
        try:
            self.keeper.log.append(hold_of(model, incident, person, level=Level.DETECTED, version=version))
        except AimsError as error:
            self.unreadable.append(f"{model}: the hold could not be written ({error.error_code})")
            return False
        return True

    def _left_over(self, model: str, entry: HoldEntry) -> Discrepancy | None:
        """A hold whose incident is open and serious no more, or cannot be read."""
        name = entry.incident
        known, broken = self._incidents.get(name), self._broken.get(name)
        if known is not None and (
            known.holds if entry.version is None else f"{model}/{entry.version}" in _blocks(known)
        ):
            return None
        if broken is not None:
            return self._found(model, f"the log holds the model for incident {name}: {broken.what}", broken.remedy)
        state = self._state
        filed = state.get("incident", name) if state is not None else None
        if filed is None:
            what = f"the log holds the model for incident {name}, which is not on file"
            return self._found(model, what, "Restore MLflow's backup, or look into the log: `aims history`")
        said = "is closed" if known is not None and known.content.is_closed else "is not open and serious any more"
        said = "was withdrawn" if filed.record.withdrawn is not None else said
        is_open = known is not None and not known.content.is_closed and filed.record.withdrawn is None
        step = f'aims incident update {name} --note "..."' if is_open else f"aims incident close {name}"
        return self._found(model, f"incident {name} {said}, and the log still holds the model", step)

    @staticmethod
    def _found(model: str, what: str, remedy: str, *, recorded: bool = False) -> Discrepancy:
        return Discrepancy(
            kind=Kind.HELD, level=Level.DETECTED, model=model, what=what, remedy=remedy.rstrip("."), recorded=recorded
        )


def _blocks(incident: Logged) -> tuple[str, ...]:
    """Versions an open incident holds while an alarm stands."""
    content = incident.content
    return content.blocks if isinstance(content, IncidentContent) and not content.is_closed else ()
