"""What the log says of the past: which version served where, since when, moved by whom, on what. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from aims_mlflow.evidence.base import Record, Sha256, UtcTime
from aims_mlflow.gate.entries import (
    Actor,
    Entry,
    FailedEntry,
    FoundEntry,
    HoldEntry,
    Level,
    MoveEntry,
    RegisteredEntry,
    RenamedEntry,
    ReviewEntry,
    Target,
    without_replays,
)
from aims_mlflow.gate.holds import is_as_sure

_NOT_SERVING = {"none", "archived"}
"""Stages in which a version serves nobody."""


class Said(Record):
    """A person's word a move rested on."""

    digest: Sha256
    person: str | None = None
    """None where it stands in another model's log: that of the version this one is a copy of."""
    role: str | None = None
    decision: str | None = None
    valid_until: UtcTime | None = None


class Serving(Record):
    """A version under an alias or in a stage, from one move to the next."""

    target: Target
    version: str
    since: UtcTime
    """When it was moved there, or found there; deciding again on what serves already changes nothing of it."""
    known_before: UtcTime | None = None
    """Of what was found: when the log last knew better, so that it came there between the two. Null: it never did."""
    until: UtcTime | None = None
    """Null while it serves; where its end was found, the moment it was found."""
    by: Actor
    """Who moved it there; nobody knows of what was found."""
    found_by: Actor | None = None
    """Who looked, where it was found."""
    ended_by: Actor | None = None
    end_found_by: Actor | None = None
    """Who looked, where its end was found."""
    confirmed_at: UtcTime | None = None
    """When it was last moved to where it stood already: outcome, reason and digests are of that decision."""
    confirmed_by: Actor | None = None
    level: Level
    """``detected`` where it was found there and no move explains it."""
    outcome: Literal["allow", "refuse", "allow-by-waiver", "not-guarded", "found"]
    mode: Literal["observe", "enforce"] | None = None
    reason: str | None = None
    problems: tuple[str, ...] = ()
    approved: tuple[Said, ...] = ()
    waived: tuple[Said, ...] = ()
    statement_sha256: Sha256 | None = None
    """The assessment it was decided on."""
    evidence_sha256: Sha256 | None = None
    model_sha256: Sha256 | None = None
    policy_sha256: Sha256 | None = None
    number: int
    """The entry in the log."""


class Refusal(Record):
    """A move that was refused, or that the registry did not make."""

    number: int
    at: UtcTime
    target: Target
    version: str | None
    by: Actor
    problems: tuple[str, ...]
    failed: str | None = None
    """The registry's error, where the gate had let it pass."""


class Review(Record):
    """What a person said, and whether it stands."""

    number: int
    digest: Sha256
    at: UtcTime
    version: str | None
    decision: str
    person: str
    role: str | None = None
    identity: str
    """``signed`` where a key signed it and no login was seen; else as the log has it."""
    reason: str | None = None
    targets: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    valid_until: UtcTime | None = None
    withdrawn: bool = False
    lapsed: bool = False


class Holding(Record):
    """A serious incident that held the model."""

    number: int
    digest: Sha256
    incident: str
    severity: str
    what: str | None = None
    since: UtcTime
    by: Actor
    person: str
    level: Level
    until: UtcTime | None = None
    """Null while it holds."""
    released_by: str | None = None
    why: str | None = None
    """What was said when it was released."""
    release: int | None = None
    """The entry that released it."""
    doubtful: bool = False
    """Whether the release is not signed by the key that signed the hold: the policy says whether it counts."""


class History(Record):
    """The log of a model as it reads at a moment."""

    schema_version: Literal["1"] = "1"
    model: str
    at: UtcTime
    entries: int
    """Entries up to that moment."""
    former_names: tuple[str, ...] = ()
    servings: tuple[Serving, ...] = ()
    """Oldest first."""
    refusals: tuple[Refusal, ...] = ()
    reviews: tuple[Review, ...] = ()
    holdings: tuple[Holding, ...] = ()
    """Oldest first."""
    registered: int = 0
    """Versions whose making is on record."""

    @property
    def current(self) -> tuple[Serving, ...]:
        """What served at that moment."""
        return tuple(s for s in self.servings if s.until is None)


def history(entries: Sequence[Entry], *, model: str, at: datetime) -> History:
    """The past of a model as it reads at a moment: later entries, later ends and later withdrawals are not in it.

    Args:
        entries: The model's log, verified, in order.
        model: Its name.
        at: The moment.
    """
    known = [e for e in entries if e.at <= at]
    failed = {e.move: e.error for e in known if isinstance(e, FailedEntry)}
    said = {e.digest: e for e in known if isinstance(e, ReviewEntry)}
    posts = _Posts()
    refusals = []
    for entry in known:
        if isinstance(entry, MoveEntry):
            if entry.was_made and entry.number not in failed:
                posts.move(entry, said)
            else:
                refusals.append(
                    Refusal(
                        number=entry.number,
                        at=entry.at,
                        target=entry.target,
                        version=entry.version or entry.from_version,
                        by=entry.actor,
                        problems=entry.problems,
                        failed=failed.get(entry.number),
                    )
                )
        elif isinstance(entry, FoundEntry):
            posts.found(entry)
    withdrawn = {(e.withdraws, e.person.casefold()) for e in said.values() if e.decision == "withdraw"}
    return History(
        model=model,
        at=at,
        entries=len(known),
        former_names=tuple(dict.fromkeys(e.model for e in known if isinstance(e, RenamedEntry) and e.model != model)),
        servings=tuple(sorted([*posts.ended, *posts.open.values()], key=lambda s: (s.since, s.number))),
        refusals=tuple(refusals),
        reviews=tuple(_review(digest, e, at, withdrawn) for digest, e in said.items()),
        holdings=_holdings(known),
        registered=sum(isinstance(e, RegisteredEntry) for e in known),
    )


def _review(digest: str, entry: ReviewEntry, at: datetime, withdrawn: set[tuple[str | None, str]]) -> Review:
    own_key = entry.signature is not None and entry.level is not Level.ENFORCED
    return Review(
        number=entry.number,
        digest=digest,
        at=entry.at,
        version=entry.version,
        decision=entry.decision,
        person=entry.person,
        role=entry.role,
        identity="signed" if own_key else str(entry.actor.identity),
        reason=entry.reason,
        targets=entry.targets,
        controls=entry.controls,
        valid_until=entry.valid_until,
        withdrawn=(digest, entry.person.casefold()) in withdrawn,
        lapsed=entry.valid_until is not None and entry.valid_until <= at,
    )


def _holdings(known: Sequence[Entry]) -> tuple[Holding, ...]:
    found: dict[str, Holding] = {}
    holds: dict[str, HoldEntry] = {}
    for entry in without_replays([one for one in known if isinstance(one, HoldEntry)]):
        if entry.state == "held":
            holds[entry.digest] = entry
            found[entry.digest] = Holding(
                number=entry.number,
                digest=entry.digest,
                incident=entry.incident,
                severity=entry.severity,
                what=entry.reason,
                since=entry.at,
                by=entry.actor,
                person=entry.person,
                level=entry.level,
            )
            continue
        hold = holds.get(str(entry.releases))
        if hold is None or hold.incident != entry.incident:
            continue
        before, doubtful = found[hold.digest], not is_as_sure(hold, entry)
        if before.until is not None and (doubtful or not before.doubtful):
            continue
        ended = {"until": entry.at, "released_by": entry.person, "why": entry.reason, "release": entry.number}
        found[hold.digest] = before.model_copy(update=ended | {"doubtful": doubtful})
    return tuple(found.values())


@dataclass
class _Posts:
    """Who serves where, while the log is read."""

    open: dict[tuple[str, str, str], Serving] = field(default_factory=dict)
    """Kind and name of the target, and the version, to what is still going on."""
    ended: list[Serving] = field(default_factory=list)
    known: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """Alias, or version that was in a stage, to when the log last told of it."""

    def move(self, entry: MoveEntry, said: dict[str, ReviewEntry]) -> None:
        """Take up a move that was made."""
        if entry.target.kind == "registration":
            return
        self.known[_told_of(entry.target, entry.version)] = entry.at
        place = (entry.target.kind, entry.target.name, str(entry.version))
        before = self.open.pop(place, None)
        self._leave(entry.target, entry.version, entry)
        if entry.version is None:
            return
        self._enter(
            Serving(
                target=entry.target,
                version=entry.version,
                since=before.since if before else entry.at,
                known_before=before.known_before if before else None,
                by=before.by if before else entry.actor,
                found_by=before.found_by if before else None,
                confirmed_at=entry.at if before else None,
                confirmed_by=entry.actor if before else None,
                level=entry.level,
                outcome=entry.outcome,
                mode=entry.mode,
                reason=entry.reason,
                problems=entry.problems,
                approved=tuple(_said(d, said) for d in entry.approved),
                waived=tuple(_said(d, said) for d in entry.waived),
                statement_sha256=entry.statement_sha256,
                evidence_sha256=entry.evidence_sha256,
                model_sha256=entry.model_sha256,
                policy_sha256=entry.policy_sha256,
                number=entry.number,
            )
        )

    def found(self, entry: FoundEntry) -> None:
        """Take up a state that was found; one that was put right is the one the log had said."""
        if entry.target.kind == "registration":
            return
        is_alias = entry.target.kind == "alias"
        holder = entry.from_version if is_alias and entry.reverted else entry.version
        told_of = _told_of(entry.target, entry.version)
        known_before = self.known.get(told_of)
        self.known[told_of] = entry.at
        if holder is not None and (entry.target.kind, entry.target.name, holder) in self.open:
            return
        self._leave(entry.target, holder, entry)
        if holder is not None:
            self._enter(
                Serving(
                    target=entry.target,
                    version=holder,
                    since=entry.at,
                    known_before=known_before,
                    by=entry.actor if entry.reverted else Actor(),
                    found_by=entry.actor,
                    level=entry.level,
                    outcome="found",
                    reason=entry.finding,
                    number=entry.number,
                )
            )

    def _leave(self, target: Target, version: str | None, entry: Entry) -> None:
        """End what the coming of a version ends: an alias names one version, and a version is in one stage."""
        for place in list(self.open):
            kind, name, held = place
            same_alias = kind == "alias" and target.kind == "alias" and name == target.name
            own_stage = kind == "stage" and target.kind == "stage" and held == version
            if same_alias or own_stage:
                self._end(place, entry)

    def _end(self, place: tuple[str, str, str], entry: Entry) -> None:
        ending = self.open.pop(place)
        end: dict[str, object] = {"until": entry.at, "ended_by": entry.actor}
        if isinstance(entry, FoundEntry) and not entry.reverted:
            end |= {"ended_by": Actor(), "end_found_by": entry.actor}
        self.ended.append(ending.model_copy(update=end))

    def _enter(self, serving: Serving) -> None:
        if serving.target.kind == "stage" and serving.target.name.casefold() in _NOT_SERVING:
            return
        self.open[(serving.target.kind, serving.target.name, serving.version)] = serving


def _told_of(target: Target, version: str | None) -> tuple[str, str]:
    return (target.kind, target.name if target.kind == "alias" else str(version))


def _said(digest: str, said: dict[str, ReviewEntry]) -> Said:
    entry = said.get(digest)
    if entry is None:
        return Said(digest=digest)
    return Said(
        digest=digest,
        person=entry.person,
        role=entry.role,
        decision=entry.decision,
        valid_until=entry.valid_until,
    )
