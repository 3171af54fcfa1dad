"""A review that a client sent to the gate: who may say it, and whether it is about the version as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aims_mlflow.config.gate import GatePerson
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence.base import now
from aims_mlflow.gate.entries import Actor, Entry, HoldEntry, Identity, ReviewEntry, read_entry
from aims_mlflow.gate.outcome import CLOCKS_DIFFER
from aims_mlflow.registry.reviews.allowed import check_controls, person_of, role_of
from aims_mlflow.registry.reviews.drafts import check_draft, content_of, is_same, write_to

if TYPE_CHECKING:
    from aims_mlflow.registry.gatekeeper import Gatekeeper

_LONGEST_DRAFT = 8000


def accept_review(gate: Gatekeeper, model: str, version: str | int, text: str, *, actor: Actor) -> ReviewEntry:
    """Take a review that a client sent to the gate, and write it into the log.

    Args:
        gate: The gate; its log signs what is not signed by the person's own key.
        model: Name of the registered model, as the request named it.
        version: Its number.
        text: The draft, as JSON.
        actor: Who sent it, as the server knows.

    Returns:
        The entry as written; the one that is there already where a client sent it twice.

    Raises:
        InputError: it is no review of this version as it is now, or speaks for somebody else.
        EvidenceError: the log is broken.
        DeliveryError: MLflow or the anchor file cannot be written.
        MlflowException: there is no such version.
    """
    draft = _parsed(text)
    if (draft.model, draft.version) != (model, str(version)):
        raise InputError("the review is about another version", remedy="Send it with `aims approve`.")
    policy = gate.policies.current()
    people = policy.declaration.gate.people if policy.declaration.gate else {}
    at = now()
    if by_own_key(draft, people):
        if abs(draft.at - at) > CLOCKS_DIFFER:
            raise InputError("the review is signed for another time", remedy="Set the clock, and send it again.")
    else:
        check_sender(actor, draft.person, people)
        update = {"at": at, "actor": actor, "level": gate.level, "signature": None, "key": None}
        draft = draft.model_copy(update=update)
    check_draft(draft, at)
    if draft.decision != "withdraw":
        role_of(draft.person, draft.role, policy.declaration)
        check_controls(draft.controls, policy.declaration)
    entries = gate.log.read(model, fresh=True)
    same = next((e for e in entries if isinstance(e, ReviewEntry) and is_same(e, draft)), None)
    if same is not None:
        return same
    if draft.decision == "withdraw":
        _check_withdrawal(draft, entries, people)
    else:
        facts = gate.reader.read(model, version, policy.trusted_keys).facts
        # Unassessed, the review counts for nothing yet, and later for the content it names and no other.
        if facts.held is not None and draft.model_sha256 != content_of(facts):
            raise InputError(
                "the version is not what it was when the review was written",
                remedy=f"Look at it again: `aims assess models:/{model}/{version}`.",
            )
    return write_to(gate.log, draft)


def _parsed(text: str) -> ReviewEntry:
    if len(text) > _LONGEST_DRAFT:
        raise InputError("the review is too long")
    try:
        draft = read_entry(text)
    except EvidenceError as error:
        raise InputError("what was sent is no review", remedy="Send it with `aims approve`.") from error
    if not isinstance(draft, ReviewEntry):
        raise InputError("what was sent is no review", remedy="Send it with `aims approve`.")
    return draft


def by_own_key(draft: ReviewEntry | HoldEntry, people: Mapping[str, GatePerson]) -> bool:
    """Whether it is signed by the key the policy knows its person by."""
    known = people.get(str(person_of(draft.person, people)))
    return known is not None and known.key is not None and known.key == draft.key and draft.is_signed()


def _same_person(one: str, other: str, people: Mapping[str, GatePerson]) -> bool:
    if one.strip().casefold() == other.strip().casefold():
        return True
    known = person_of(one, people)
    return known is not None and known == person_of(other, people)


def check_sender(actor: Actor, person: str, people: Mapping[str, GatePerson]) -> None:
    """See that who is logged in speaks for nobody else.

    Raises:
        InputError: the login is another person's.
    """
    if actor.identity is not Identity.AUTHENTICATED:
        return
    if not actor.name or not _same_person(actor.name, person, people):
        raise InputError(
            f"who is logged in as {actor.name!r} cannot speak for {person!r}",
            remedy="Name yourself, or have the login listed under gate.people in aims.yaml.",
        )


def _check_withdrawal(draft: ReviewEntry, entries: Iterable[Entry], people: Mapping[str, GatePerson]) -> None:
    back = next((e for e in entries if isinstance(e, ReviewEntry) and e.digest == draft.withdraws), None)
    if back is None or back.decision == "withdraw" or back.model_sha256 != draft.model_sha256:
        raise InputError("there is no such entry to withdraw", remedy="`aims history` lists them.")
    if not _same_person(back.person, draft.person, people):
        raise InputError(f"only {back.person} can take that back")
