"""What a review says, and what every review must say. Nothing here asks MLflow."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence.base import now
from aims_mlflow.gate.entries import Level, ReviewEntry, write_entry
from aims_mlflow.gate.outcome import BREAK_GLASS_DAYS
from aims_mlflow.registry.acting import acting
from aims_mlflow.registry.log import TransitionLog

if TYPE_CHECKING:
    from aims_mlflow.gate.decision import VersionFacts

Until = datetime | date | str
"""A moment with a zone, or a day, which counts in full (UTC); as text in ISO 8601."""
Decision = Literal["approve", "reject", "waive", "break-glass", "withdraw"]


def said_by(
    person: str, role: str | None, reason: str | None, targets: str | Iterable[str], until: Until | None
) -> dict[str, Any]:
    """The words of a review as fields of its entry.

    Raises:
        InputError: the end of validity is no time.
    """
    return {
        "person": (person or "").strip(),
        "role": (role or "").strip() or None,
        "reason": " ".join((reason or "").split()) or None,
        "targets": texts(targets),
        "valid_until": moment(until) if until is not None else None,
    }


def texts(given: str | Iterable[str]) -> tuple[str, ...]:
    """One text or several, each once, without empty ones."""
    listed = [given] if isinstance(given, str) else list(given)
    return tuple(dict.fromkeys(text.strip() for text in listed if text.strip()))


def moment(until: Until) -> datetime:
    """The end of validity as a time in UTC.

    Raises:
        InputError: it is no day, and no time with a zone.
    """
    given: Any = until
    try:
        if isinstance(given, str):
            text = given.strip()
            given = date.fromisoformat(text) if len(text) <= len("2026-01-31") else datetime.fromisoformat(text)
        if isinstance(given, datetime):
            if given.tzinfo is None:
                raise ValueError(until)
            return given.astimezone(UTC)
        return datetime.combine(given, time(23, 59, 59), UTC)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{str(until)[:40]!r} is neither a day nor a time with a zone",
            remedy="For example: 2026-01-31, or 2026-01-31T18:00:00+01:00.",
        ) from error


def draft_of(decision: Decision, model: str, version: str, said: Mapping[str, Any], content: str) -> ReviewEntry:
    """The entry before it has its place in the log.

    Args:
        decision: What is said.
        model: Name of the registered model.
        version: Its number.
        said: See ``said_by``.
        content: Digest of the model's files.

    Raises:
        InputError: something is missing, or too long.
    """
    _check_named(said["person"])
    try:
        draft = ReviewEntry(
            decision=decision,
            number=1,
            at=now(),
            model=model,
            version=version,
            actor=acting(),
            level=Level.ADVISED,
            nonce=secrets.token_hex(8),
            model_sha256=content,
            **said,
        )
        write_entry(draft)
    except (ValidationError, EvidenceError) as error:
        raise InputError(_what_is_wrong(error), remedy="Shorten it, and use plain text.") from error
    check_draft(draft, draft.at)
    return draft


def _what_is_wrong(error: ValidationError | EvidenceError) -> str:
    if isinstance(error, EvidenceError):
        return error.message
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if field == "person":
        return "the person's name is too long"
    return f"{field}: {first['msg'].lower()}"


def _check_named(person: str) -> None:
    if not person.strip():
        raise InputError("the person is not named", remedy="Name who says it, with --person.")


def check_draft(draft: ReviewEntry, at: datetime) -> None:
    """What every review must say, whoever made the draft.

    Raises:
        InputError: it does not.
    """
    _check_named(draft.person)
    if draft.decision != "withdraw":  # what was said under such a name can be taken back
        _check_filled_in(draft)
    if draft.decision in {"waive", "break-glass", "reject"} and not (draft.reason or "").strip():
        raise InputError(f"a {_NAMES[draft.decision]} needs a reason", remedy="Give one with --reason.")
    if draft.decision == "waive" and not draft.controls:
        raise InputError("a waiver needs the controls it is for", remedy="Name them with --control, e.g. A.7.4.")
    if draft.decision in {"waive", "break-glass"} and draft.valid_until is None:
        raise InputError(f"a {_NAMES[draft.decision]} needs an end", remedy="Give one with --valid-until, a day.")
    if draft.valid_until is not None and draft.valid_until <= at:
        raise InputError("the end of validity is past", remedy="Give a later day with --valid-until.")
    longest = timedelta(days=BREAK_GLASS_DAYS + 1)  # the last day counts in full
    if draft.decision == "break-glass" and draft.valid_until is not None and draft.valid_until - at > longest:
        raise InputError(
            f"a break-glass holds for {BREAK_GLASS_DAYS} days at most", remedy="Give an earlier day, or waive controls."
        )
    if draft.decision == "withdraw" and draft.withdraws is None:
        raise InputError("a withdrawal needs the entry it takes back")


_EXAMPLES = {
    "person": {"NAME", "ANOTHER", "PERSON", "YOUR NAME"},
    "role": {"ROLE"},
    "reason": {"REASON", "WHY"},
}
"""What stands for the words to be filled in, in messages and examples."""


def _check_filled_in(draft: ReviewEntry) -> None:
    """See that nothing of an example was left as it stood.

    Raises:
        InputError: something was.
    """
    for field, examples in _EXAMPLES.items():
        said = str(getattr(draft, field) or "").strip()
        if said and (said.strip("<>[]{}") in examples or not any(letter.isalnum() for letter in said)):
            raise InputError(f"{said[:40]!r} is no {field}", remedy=f"Fill in --{field}.")


_NAMES = {
    "approve": "approval",
    "reject": "rejection",
    "waive": "waiver",
    "break-glass": "break-glass",
    "withdraw": "withdrawal",
}


def content_of(facts: VersionFacts) -> str | None:
    """Digest of the content a review of the version is bound to: the one the gate compares it with."""
    held = facts.held
    if held is None:
        return facts.model_sha256
    changed = facts.model_sha256 is not None and facts.model_sha256 != held.statement.model_sha256
    return None if changed or held.statement.source != facts.source else held.statement.model_sha256


def is_same(entry: ReviewEntry, draft: ReviewEntry) -> bool:
    """Whether a client sent it before: MLflow's client repeats a request whose answer it did not get."""
    fields = {"decision", "person", "role", "version", "targets", "controls", "model_sha256", "withdraws", "nonce"}
    return draft.nonce is not None and entry.model_dump(include=fields) == draft.model_dump(include=fields)


def write_to(log: TransitionLog, draft: ReviewEntry) -> ReviewEntry:
    """Write it into the log.

    Raises:
        EvidenceError: the log is broken.
        DeliveryError: MLflow or the anchor file cannot be written.
    """
    entry = log.append(draft)
    if not isinstance(entry, ReviewEntry):  # pragma: no cover  (the log gives back what it was given)
        raise EvidenceError("the log wrote another entry")
    return entry
