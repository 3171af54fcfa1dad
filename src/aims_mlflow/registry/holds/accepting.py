"""A hold or release that a client sent to the gate: who may say it, and whether the incident's record bears it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aims_mlflow.config.gate import GatePerson
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence.base import now
from aims_mlflow.gate.entries import Actor, HoldEntry, read_entry
from aims_mlflow.gate.holds import known_keys, open_holds
from aims_mlflow.gate.outcome import CLOCKS_DIFFER
from aims_mlflow.gate.signing import SigningKey
from aims_mlflow.registry.holds.drafts import check_record
from aims_mlflow.registry.reviews.accepting import by_own_key, check_sender
from aims_mlflow.registry.reviews.allowed import person_of

if TYPE_CHECKING:
    from aims_mlflow.registry.gatekeeper import Gatekeeper

_LONGEST_DRAFT = 5000
_BY_COMMAND = "Use `aims incident`."


def accept_hold(gate: Gatekeeper, model: str, text: str, *, actor: Actor) -> HoldEntry:
    """Take a hold or release that a client sent to the gate, and write it into the log.

    Args:
        gate: The gate; its log signs what is not signed by the person's own key.
        model: Name of the registered model, as the request named it.
        text: The draft, as JSON.
        actor: Who sent it, as the server knows.

    Returns:
        The entry as written; the one that is there already where the model is held by the incident, or a client sent
        it twice.

    Raises:
        InputError: it is none, the incident's record says otherwise, or it speaks for somebody else.
        EvidenceError: the log, or the incident's record, is broken.
        DeliveryError: MLflow or the anchor file cannot be reached.
    """
    draft = _parsed(text)
    if draft.model != model:
        raise InputError("the hold is about another model", remedy=_BY_COMMAND)
    policy = gate.policies.current()
    people = policy.declaration.gate.people if policy.declaration.gate else {}
    at = now()
    if by_own_key(draft, people):
        if abs(draft.at - at) > CLOCKS_DIFFER:
            raise InputError("the hold is signed for another time", remedy="Set the clock, and send it again.")
    else:
        check_sender(actor, draft.person, people)
        update = {"at": at, "actor": actor, "level": gate.level, "signature": None, "key": None}
        draft = draft.model_copy(update=update)
    check_record(gate.tracking, draft)
    entries = gate.log.read(model, fresh=True)
    same = next((e for e in entries if isinstance(e, HoldEntry) and _is_same(e, draft)), None)
    if same is not None:
        return same
    keys = known_keys(policy.declaration, gate.gate_keys)
    if draft.state == "held":
        about = (draft.incident, draft.version)
        open_ones = [one.entry for one in open_holds(entries, keys=keys)]
        standing = [entry for entry in open_ones if (entry.incident, entry.version) == about]
        sure = next((entry for entry in standing if stands_for(entry, draft, gate.log.key)), None)
        if sure is not None:
            return sure
    else:
        check_releaser(draft.person, people)
        lifted = {e.digest for e in entries if isinstance(e, HoldEntry) and e.incident == draft.incident}
        if draft.releases not in lifted:
            raise InputError(f"no hold of incident {draft.incident} stands there", remedy="`aims history` lists them.")
    entry = gate.log.append(draft)
    if not isinstance(entry, HoldEntry):  # pragma: no cover  (the log gives back what it was given)
        raise EvidenceError("the log wrote another entry")
    return entry


def stands_for(hold: HoldEntry, draft: HoldEntry, key: SigningKey | None) -> bool:
    """Whether a hold in the log makes another one needless: where one would be signed, only a signed one does.

    Who can write into the log could else put a hold there first that anybody can lift.
    """
    would_be = draft.key or (key.public if key is not None else None)
    return would_be is None or (hold.is_signed() and hold.key == would_be)


def check_releaser(person: str, people: Mapping[str, GatePerson]) -> None:
    """See that the release will count: where the policy names people, only theirs does.

    Raises:
        InputError: the person is not among them.
    """
    if people and person_of(person, people) is None:
        raise InputError(
            f"{person[:60]!r} is not among the people of the policy, whose releases alone count",
            remedy="They are listed under gate.people in aims.yaml.",
        )


def _parsed(text: str) -> HoldEntry:
    if len(text) > _LONGEST_DRAFT:
        raise InputError("the hold is too long", remedy=_BY_COMMAND)
    try:
        draft = read_entry(text)
    except EvidenceError as error:
        raise InputError("what was sent is no hold", remedy=_BY_COMMAND) from error
    if not isinstance(draft, HoldEntry):
        raise InputError("what was sent is no hold", remedy=_BY_COMMAND)
    return draft


def _is_same(entry: HoldEntry, draft: HoldEntry) -> bool:
    """Whether a client sent it before: MLflow's client repeats a request whose answer it did not get."""
    fields = {"state", "incident", "person", "record_sha256", "releases", "nonce"}
    return draft.nonce is not None and entry.model_dump(include=fields) == draft.model_dump(include=fields)
