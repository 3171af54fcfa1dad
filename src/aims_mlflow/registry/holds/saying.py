"""Hold models and release them: through the registry's gate where there is one, else straight into the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from aims_mlflow.config import Declaration
from aims_mlflow.errors import AimsError, DeliveryError, InputError
from aims_mlflow.gate.entries import HoldEntry, write_entry
from aims_mlflow.gate.holds import is_as_sure, known_keys, open_holds
from aims_mlflow.gate.signing import own_key
from aims_mlflow.management.incident_log import Logged
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import State
from aims_mlflow.registry.acting import acting
from aims_mlflow.registry.holds.accepting import check_releaser, stands_for
from aims_mlflow.registry.holds.drafts import hold_of, release_of
from aims_mlflow.registry.holds.systems import Owners, registered_models
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.marks import HOLD_TAG
from aims_mlflow.registry.probing import is_gated
from aims_mlflow.registry.reconcile.reading import registry_of

_REFUSED = "AIMS refused"


@dataclass(frozen=True)
class HoldStep:
    """What came of it for one registered model."""

    model: str
    state: Literal["held", "held before", "released", "failed"]
    number: int | None = None
    """The entry in its log."""
    error: str = ""
    """Why it failed, with what to do."""


class Holds:
    """The holds on the models of one MLflow.

    Args:
        client: ``MlflowClient``.
        declaration: ``aims.yaml``: which models are its system's, whose releases count.
    """

    def __init__(self, client: Any, declaration: Declaration) -> None:
        self.client = client
        self.declaration = declaration
        self.log = TransitionLog(client, key=own_key())

    @cached_property
    def models(self) -> dict[str, str | None]:
        """Registered models, with the system the model's own tag names."""
        return registered_models(registry_of(self.client))

    @cached_property
    def _keys(self) -> frozenset[str]:
        return known_keys(self.declaration)

    @cached_property
    def _gated(self) -> bool:
        return is_gated(self.client, next(iter(self.models), "aims"))

    def ready(self) -> None:
        """Ask the registry what has to be known, before anything is filed.

        Raises:
            MlflowException: it cannot be asked.
        """
        _ = self._gated

    def hold(self, incident: Logged, state: State, *, person: str | None = None) -> tuple[HoldStep, ...]:
        """Hold every model the incident is about, where it is not held by it yet.

        Args:
            incident: An open serious incident.
            state: The records, for the inventory.
            person: Who says it; None: who acts.
        """
        who = self._person(person, incident.record)
        concerned = Owners(self.models, state, self.declaration).concerned(incident)
        return tuple(self._hold(model, incident, who) for model in concerned)

    def hold_version(
        self, incident: Logged, model: str, version: str, *, model_sha256: str | None = None, person: str | None = None
    ) -> HoldStep:
        """Hold one version, where the incident does not hold it yet.

        Args:
            incident: An open incident that says it holds the version.
            model: The registered model.
            version: Its version.
            model_sha256: Digest of its files.
            person: Who says it; None: who acts.
        """
        who = self._person(person, incident.record)
        return self._hold(model, incident, who, version=version, model_sha256=model_sha256)

    def _hold(
        self,
        model: str,
        incident: Logged,
        person: str,
        *,
        version: str | None = None,
        model_sha256: str | None = None,
    ) -> HoldStep:
        try:
            draft = hold_of(model, incident, person, version=version, model_sha256=model_sha256)
            if not self._gated:  # a gate knows itself whether the model is held
                about = (incident.id, draft.version)
                mine = [one for one in self._standing(model) if (one.incident, one.version) == about]
                sure = next((one for one in mine if stands_for(one, draft, self.log.key)), None)
                if sure is not None:
                    return HoldStep(model, "held before", sure.number)
            entry = self._put(draft)
            return HoldStep(model, "held" if entry.nonce == draft.nonce else "held before", entry.number)
        except AimsError as error:
            return HoldStep(model, "failed", error=str(error))

    def standing(self, incident: str) -> dict[str, tuple[HoldEntry, ...]]:
        """Models an incident holds now, each with the entries; those of which the log cannot be read are left out."""
        found = {}
        for model in self._names():
            try:
                mine = tuple(one for one in self._standing(model) if one.incident == incident)
            except AimsError:  # the gate refuses guarded moves of it whatever is released
                continue
            if mine:
                found[model] = mine
        return found

    def check_release(
        self, standing: Mapping[str, Sequence[HoldEntry]], *, person: str | None, record: ManagementRecord
    ) -> None:
        """See that releases written here would count, before anything is closed.

        Raises:
            InputError: the holds are signed and there is no key here that lifts them, or the policy here names people
                and the person is none of them.
        """
        people = self.declaration.gate.people if self.declaration.gate else {}
        check_releaser(self._person(person, record), people)
        if self._gated:
            return
        for model, hold in ((model, hold) for model, holds in standing.items() for hold in holds):
            trial = release_of(model, hold, record, self._person(person, record), None)
            trial = trial.signed(self.log.key) if self.log.key else trial
            if not is_as_sure(hold, trial, self._keys):
                raise InputError(
                    f"{model} is held by a signed entry, and nothing here can sign its release",
                    where=record.id,
                    remedy="Close it through the gated server, or set AIMS_SIGNING_KEY to a key the policy knows.",
                )

    def release(
        self,
        standing: Mapping[str, Sequence[HoldEntry]],
        record: ManagementRecord,
        *,
        person: str | None,
        reason: str | None,
    ) -> tuple[HoldStep, ...]:
        """Release what an incident holds that is open and serious no more."""
        who = self._person(person, record)
        return tuple(self._release(model, holds, record, who, reason) for model, holds in sorted(standing.items()))

    def _release(
        self, model: str, holds: Sequence[HoldEntry], record: ManagementRecord, person: str, reason: str | None
    ) -> HoldStep:
        number = None
        try:
            for hold in holds:
                number = self._put(release_of(model, hold, record, person, reason)).number
            return HoldStep(model, "released", number)
        except AimsError as error:
            return HoldStep(model, "failed", error=str(error))

    # the log

    def _names(self) -> list[str]:
        """Registered models, and logs of models that were deleted or renamed."""
        return sorted({*self.models, *self.log.names()})

    def _standing(self, model: str) -> list[HoldEntry]:
        return [one.entry for one in open_holds(self.log.read(model, fresh=True), keys=self._keys)]

    @staticmethod
    def _person(person: str | None, record: ManagementRecord) -> str:
        return (person or acting().name or record.owner).strip()[:200]

    def _put(self, draft: HoldEntry) -> HoldEntry:
        if self.log.key is not None:
            draft = draft.signed(self.log.key)
        if not self._gated:
            return self._written(draft)
        self._hand_over(draft)
        tags = self.client.get_registered_model(draft.model).tags or {}
        if HOLD_TAG in tags:  # the gate went away meanwhile, and the tag was stored as any other
            self.client.delete_registered_model_tag(draft.model, HOLD_TAG)
            return self._written(draft)
        try:
            entries = self.log.read(draft.model, fresh=True)
        except AimsError:  # the gate took it; who may not read the log has said it all the same
            return draft
        said = [e for e in entries if isinstance(e, HoldEntry) and e.incident == draft.incident]
        return next((e for e in said if e.nonce == draft.nonce), said[-1] if said else draft)

    def _written(self, draft: HoldEntry) -> HoldEntry:
        entry = self.log.append(draft)
        return entry if isinstance(entry, HoldEntry) else draft

    def _hand_over(self, draft: HoldEntry) -> None:
        """Send it to the registry's gate.

        Raises:
            InputError: the gate, or the server's own permissions, refuse it.
            DeliveryError: the registry does not take it.
        """
        from mlflow.exceptions import MlflowException

        try:
            self.client.set_registered_model_tag(draft.model, HOLD_TAG, write_entry(draft))
        except MlflowException as error:
            text = str(error.message)
            if _REFUSED in text:
                raise InputError(text[text.index(_REFUSED) :]) from error
            if error.error_code == "PERMISSION_DENIED" or "code 403" in text:
                raise InputError(
                    f"the server does not let this login edit {draft.model!r}",
                    remedy="Ask its administrator for the permission EDIT on the registered model.",
                ) from error
            raise DeliveryError(f"the hold could not be sent ({error.error_code})", where=draft.model) from error
