"""What a hold, and the release of one, say; and whether the incident's record bears it out."""

from __future__ import annotations

import secrets
from typing import Any

from pydantic import ValidationError

from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.filing import RecordStore
from aims_mlflow.gate.entries import HoldEntry, Level, write_entry
from aims_mlflow.management.incident_log import Logged
from aims_mlflow.management.incidents import IncidentContent
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import State
from aims_mlflow.registry.acting import acting

_LONGEST = 300
"""Characters of the incident's title that are kept in the log."""


def hold_of(
    model: str,
    incident: Logged,
    person: str,
    *,
    level: Level = Level.ADVISED,
    version: str | None = None,
    model_sha256: str | None = None,
) -> HoldEntry:
    """The entry that holds a model, or one version of it with the digest of its files.

    Raises:
        InputError: the words do not fit into the log.
    """
    said = {"state": "held", "severity": incident.weight, "reason": _short(incident.content.title)}
    if version is not None:
        said |= {"version": version, "model_sha256": model_sha256}
    return _made(model, incident.record, person, level, said)


def release_of(model: str, hold: HoldEntry, record: ManagementRecord, person: str, reason: str | None) -> HoldEntry:
    """The entry that releases a model.

    Raises:
        InputError: the words do not fit into the log.
    """
    said = {"state": "released", "severity": hold.severity, "reason": _short(reason), "releases": hold.digest}
    said |= {"version": hold.version, "model_sha256": hold.model_sha256}
    return _made(model, record, person, Level.ADVISED, said)


def _made(model: str, record: ManagementRecord, person: str, level: Level, said: dict[str, Any]) -> HoldEntry:
    try:
        draft = HoldEntry(
            number=1,
            at=now(),
            model=model,
            actor=acting(),
            level=level,
            nonce=secrets.token_hex(8),
            incident=record.id,
            person=person,
            record_sha256=record.digest,
            **said,
        )
        write_entry(draft)
    except (ValidationError, EvidenceError) as error:
        raise InputError("the hold does not fit into the log", remedy="Use plain text, and a shorter title.") from error
    return draft


def _short(text: str | None) -> str | None:
    plain = " ".join((text or "").split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def check_record(client: Any, draft: HoldEntry) -> None:
    """See that the incident's record says what a hold or release rests on.

    Args:
        client: ``MlflowClient`` of the tracking store.
        draft: The hold or release.

    Raises:
        InputError: there is no such record, it was revised since, or it says otherwise.
        EvidenceError: it was deleted or altered.
        DeliveryError: MLflow cannot be reached.
    """
    filed, problems = RecordStore(client).everything(f"incident:{draft.incident}")
    state = State.of(filed, at=max([now(), *(one.record.recorded_at for one in filed)]), problems=problems)
    found = state.get("incident", draft.incident)
    broken = [p for p in state.problems if p.blocks]
    if broken:
        raise EvidenceError(f"the record of incident {draft.incident}: {broken[0].what}", remedy=broken[0].remedy)
    if found is None:
        raise InputError(f"there is no incident {draft.incident[:100]!r}", remedy="`aims incident list` names them.")
    if found.record.digest != draft.record_sha256:
        raise InputError(f"incident {draft.incident} was revised meanwhile", remedy="Do it again.")
    try:
        content = IncidentContent.model_validate(found.record.content)
    except ValidationError as error:
        raise EvidenceError(f"the record of incident {draft.incident} holds no incident") from error
    said = content.holds if draft.version is None else content.holds_version(draft.model, draft.version)
    holds = said and found.record.withdrawn is None
    if holds and draft.state == "released":
        what = "and serious: it holds the model" if draft.version is None else "and holds the version while its alarm"
        raise InputError(
            f"incident {draft.incident} is open {what} {'until it is closed' if draft.version is None else 'stands'}",
            remedy=f"aims incident close {draft.incident}",
        )
    if not holds and draft.state == "held":
        what = "is not open and serious: it holds nothing" if draft.version is None else "holds no such version"
        raise InputError(f"incident {draft.incident} {what}")
