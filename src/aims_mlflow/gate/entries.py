"""What the transition log holds: one entry a decision, an approval, a rejection, a waiver, a hold.

Every entry names the one before it by digest. A field added later must be optional and null where it is unknown: null
is not written, so the digests of older entries stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence.base import Record, Sha256, UtcTime, canonical_json, sha256_of
from aims_mlflow.gate.signing import SigningKey, is_signed_by

MAX_CHARS = 5800
"""MLflow cuts what is longer than 6,000 characters."""


class Identity(StrEnum):
    """How sure it is who acted, strongest last."""

    UNKNOWN = "unknown"
    """Nobody said."""
    CLAIMED = "claimed"
    """The client or command said so."""
    AUTHENTICATED = "authenticated"
    """The tracking server's own login."""
    SIGNED = "signed"
    """A signature by the person's key."""


class Level(StrEnum):
    """How a move came to be in the log."""

    ENFORCED = "enforced"
    """Decided in the server: nobody who uses it gets around."""
    ADVISED = "advised"
    """Decided in the process that made it: other processes are not bound."""
    DETECTED = "detected"
    """Found afterwards."""


class Actor(Record):
    """Who acted."""

    name: str | None = None
    identity: Identity = Identity.UNKNOWN


class Target(Record):
    """Where a version is moved to."""

    kind: Literal["alias", "stage", "registration"]
    name: str
    """Alias or stage; for a registration the registered model in which a version is made."""

    def __str__(self) -> str:
        return self.name if self.kind != "registration" else f"registration in {self.name}"


class EntryBase(Record):
    """Fields of every entry."""

    schema_version: Literal["1"] = "1"
    number: int = Field(ge=1)
    """Place in the model's log, from 1, without gaps."""
    previous: Sha256 | None = None
    """Digest of the entry before; null for the first."""
    at: UtcTime
    model: str
    version: str | None = None
    actor: Actor = Actor()
    level: Level
    reason: str | None = Field(default=None, max_length=1000)
    """What the actor said."""
    nonce: str | None = Field(default=None, max_length=64)
    """A random text: of two entries that say the same at the same moment, each is known again as one's own."""
    signature: str | None = None
    """By the key of the actor, or of the server that saw the actor's login, over ``signed_bytes``."""
    key: str | None = None
    """Public key of the signature; whether it is to be trusted is for the policy to say."""

    @property
    def digest(self) -> str:
        """``sha256:`` over the whole entry."""
        return sha256_of(self.content())

    def content(self) -> bytes:
        """The entry's one byte form: canonical JSON, null left out."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))

    def signed_bytes(self) -> bytes:
        """What a signature is over: all that the actor knew, so neither the place in the log nor the signature."""
        left_out = {"signature", "key", "number", "previous"}
        return canonical_json(self.model_dump(mode="json", exclude_none=True, exclude=left_out))

    def signed(self, key: SigningKey) -> Self:
        """The entry with a signature."""
        return self.model_copy(update={"signature": key.sign(self.signed_bytes()), "key": key.public})

    def is_signed(self) -> bool:
        """Whether its signature is by the key it names."""
        return bool(self.signature and self.key and is_signed_by(self.key, self.signed_bytes(), self.signature))


class MoveEntry(EntryBase):
    """A decision on a move, written before the move is made."""

    type: Literal["move"] = "move"
    target: Target
    operation: str
    """The registry's own verb, e.g. ``set_registered_model_alias``."""
    from_version: str | None = None
    """Who held alias or stage before; several in a stage are joined by commas."""
    outcome: Literal["allow", "refuse", "allow-by-waiver", "not-guarded"]
    mode: Literal["observe", "enforce"]
    """In ``observe`` a refused move was made all the same."""
    problems: tuple[str, ...] = ()
    """Why it was, or would have been, refused; what a waiver covers included."""
    waived: tuple[str, ...] = ()
    """Digests of the waivers it rests on."""
    approved: tuple[str, ...] = ()
    """Digests of the approvals it rests on."""
    policy_sha256: Sha256 | None = None
    statement_sha256: Sha256 | None = None
    """The assessment it was decided on."""
    evidence_sha256: Sha256 | None = None
    model_sha256: Sha256 | None = None

    @property
    def was_made(self) -> bool:
        """Whether the registry was told to make the move."""
        return self.outcome != "refuse" or self.mode == "observe"

    def fitted(self, limit: int) -> Self:
        """The entry with so many of its problems as fit, and how many were left out; its digest is of what is kept."""
        kept, fit = len(self.problems), self
        while kept and len(fit.content()) > limit:
            kept -= 1
            more = f"and {len(self.problems) - kept} more"
            fit = self.model_copy(update={"problems": (*self.problems[:kept], more)})
        return fit


class FailedEntry(EntryBase):
    """A move that was allowed and that the registry then did not make."""

    type: Literal["failed"] = "failed"
    move: int
    """Number of the move's entry."""
    error: str
    """Class of the error or MLflow's error code."""


class ReviewEntry(EntryBase):
    """A person's word on a version: approval, rejection, waiver, break-glass, or the withdrawal of one."""

    type: Literal["review"] = "review"
    decision: Literal["approve", "reject", "waive", "break-glass", "withdraw"]
    person: str = Field(min_length=1, max_length=200)
    role: str | None = Field(default=None, max_length=200)
    model_sha256: Sha256
    """The content it is about: it is void for any other."""
    targets: tuple[str, ...] = ()
    """Aliases, stages or models it is for; empty: all."""
    controls: tuple[str, ...] = ()
    """Of a waiver: the controls and evidence kinds it covers. A break-glass covers all."""
    valid_until: UtcTime | None = None
    """Required of a waiver and a break-glass."""
    withdraws: Sha256 | None = None
    """Of a withdrawal: the entry it takes back."""


class HoldEntry(EntryBase):
    """An incident holds the model, or one version of it: no guarded move passes until a later entry releases it.

    A serious incident holds the whole model. One that an alarm of the monitoring opened holds ``version``.
    """

    type: Literal["hold"] = "hold"
    state: Literal["held", "released"]
    incident: str = Field(min_length=1, max_length=100)
    """Id of the incident's record."""
    severity: str = Field(min_length=1, max_length=40)
    """As the record said it."""
    person: str = Field(min_length=1, max_length=200)
    """Who opened or closed the incident. ``reason`` says what happened, or why the model is free again."""
    record_sha256: Sha256
    """Digest of the revision of the record it rests on."""
    releases: Sha256 | None = None
    """Of a release: the entry it lifts. An older one of the same incident, copied, lifts nothing."""
    model_sha256: Sha256 | None = None
    """Over the files of the version held, so that a copy of it is held with it."""


class RegisteredEntry(EntryBase):
    """A version was made."""

    type: Literal["registered"] = "registered"
    source: str | None = None
    run_id: str | None = None


class FoundEntry(EntryBase):
    """A state of the registry that no move in the log explains, or that was put right afterwards."""

    type: Literal["found"] = "found"
    target: Target
    from_version: str | None = None
    """What the log said."""
    finding: str
    reverted: bool = False


class RenamedEntry(EntryBase):
    """The registered model was renamed: the log goes on under the new name."""

    type: Literal["renamed"] = "renamed"
    to: str = Field(min_length=1, max_length=1000)


Entry = Annotated[
    MoveEntry | FailedEntry | ReviewEntry | HoldEntry | RegisteredEntry | FoundEntry | RenamedEntry,
    Field(discriminator="type"),
]
E = TypeVar("E", bound=EntryBase)
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


def write_entry(entry: EntryBase) -> str:
    """The one text form.

    Raises:
        EvidenceError: it is longer than the log can hold, or would not be read back as it is (half a surrogate pair).
    """
    text = entry.content().decode().rstrip("\n")
    if len(text) > MAX_CHARS:
        raise EvidenceError(f"a log entry of {len(text)} characters does not fit", remedy="Shorten its reason.")
    if read_entry(text) != entry:
        raise EvidenceError("a log entry would not be read back as it is", remedy="Use plain text in it.")
    return text


def read_entry(text: str) -> Entry:
    """An entry from its text.

    Raises:
        EvidenceError: it is none.
    """
    try:
        return _ENTRY.validate_json(text)
    except ValidationError as error:
        raise EvidenceError(
            "a log entry cannot be read", remedy="`aims verify` says where the log is broken."
        ) from error


def read_link(text: str, *, number: int, previous: str | None, model: str | None) -> Entry:
    """The entry that stands at a place of a log.

    Args:
        text: What stands there.
        number: The place.
        previous: Digest of the entry before.
        model: Name the registered model had then; None where nothing is known.

    Raises:
        EvidenceError: it is no entry in its one text form, or does not continue the log.
    """
    entry = read_entry(text)
    if entry.content().decode().rstrip("\n") != text:
        raise EvidenceError("a log entry was altered: it is not in the form it was written in")
    if entry.number != number:
        raise EvidenceError(f"a log entry says it is number {entry.number}")
    if entry.previous != previous:
        raise EvidenceError("a log entry does not follow the one before it: one of the two was altered")
    if model is not None and entry.model != model:
        raise EvidenceError("a log entry is about another model")
    return entry


def name_after(entry: Entry) -> str:
    """Name of the registered model once the entry is written."""
    return entry.to if isinstance(entry, RenamedEntry) else entry.model


def without_replays(entries: Iterable[E]) -> list[E]:
    """The entries, signed ones once: who can write into the log can also copy an approval that was withdrawn."""
    seen: set[str] = set()
    kept = []
    for entry in entries:
        if entry.signature is None or entry.signature not in seen:
            kept.append(entry)
        if entry.signature is not None:
            seen.add(entry.signature)
    return kept
