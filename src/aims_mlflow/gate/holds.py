"""Serious incidents that hold a model: what of them stands, and which releases count. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aims_mlflow.config import Declaration
from aims_mlflow.gate.entries import Entry, HoldEntry, without_replays
from aims_mlflow.gate.outcome import CLOCKS_DIFFER, Problem, VersionFacts

_AHEAD = timedelta(days=1)
"""A hold counts though the clock of whoever wrote it was ahead by so much; a release only by ``CLOCKS_DIFFER``."""


@dataclass(frozen=True)
class OpenHold:
    """A hold that no release lifts."""

    entry: HoldEntry
    passed_over: tuple[str, ...] = ()
    """Why releases of it do not count."""


@dataclass
class _Story:
    hold: HoldEntry
    why: list[str] = field(default_factory=list)


def open_holds(
    entries: Iterable[Entry],
    *,
    at: datetime | None = None,
    keys: Collection[str] = (),
    objection: Callable[[HoldEntry], str] = lambda _: "",
    facts: VersionFacts | None = None,
) -> tuple[OpenHold, ...]:
    """The holds that stand, oldest first.

    A hold counts whoever wrote it. A release counts where it names the hold it lifts, is as sure as that, and nothing
    is to be said against whoever wrote it.

    Args:
        entries: The log, or the logs of a version and of what it is a copy of.
        at: Later entries do not count; None: all do.
        keys: Public keys whose word is as good as the hold's own: of the gates, of the people the policy names.
        objection: Why a release does not count, by the policy; empty where it does.
        facts: Only the holds that bear on this version; None: all of the model.
    """
    stories: dict[str, _Story] = {}
    for entry in without_replays([one for one in entries if isinstance(one, HoldEntry)]):
        if facts is not None and not bears_on(entry, facts):
            continue
        if entry.state == "held":
            if at is None or entry.at <= at + _AHEAD:
                stories[entry.digest] = _Story(entry)
            continue
        story = stories.get(str(entry.releases))
        if story is None or story.hold.incident != entry.incident or (at is not None and entry.at > at + CLOCKS_DIFFER):
            continue
        why = "" if is_as_sure(story.hold, entry, keys) else "it is not signed as the hold is"
        why = why or objection(entry)
        if why:
            story.why.append(f"{entry.person}: {why}")
        else:
            del stories[story.hold.digest]
    return tuple(OpenHold(one.hold, tuple(dict.fromkeys(one.why))) for one in stories.values())


def bears_on(hold: HoldEntry, facts: VersionFacts) -> bool:
    """Whether a hold is about a version: of the whole model, of that version, or of the one it is a copy of.

    Where files cannot be compared, a hold in the log of the model it is a copy of counts.
    """
    if hold.version is None:
        return True
    if (hold.model, hold.version) == (facts.model, facts.version):
        return True
    own = {facts.model_sha256, facts.held.statement.model_sha256 if facts.held else None} - {None}
    if hold.model_sha256 is None or not own:
        return hold.model != facts.model
    return hold.model_sha256 in own


def is_as_sure(hold: HoldEntry, release: HoldEntry, keys: Collection[str] = ()) -> bool:
    """Whether a release is as sure as its hold: what a key signed, that key lifts, or another that is known.

    Who can only write into the log cannot free a model that a gate, or a person with a key, has held.
    """
    if not hold.is_signed():
        return True
    return release.is_signed() and (release.key == hold.key or release.key in keys)


def known_keys(declaration: Declaration, gate_keys: Iterable[str] = ()) -> frozenset[str]:
    """Keys whose releases count by the policy: of gated servers, and of the people it names."""
    policy = declaration.gate
    people = [person.key for person in policy.people.values() if person.key] if policy else []
    return frozenset([*gate_keys, *(policy.servers.values() if policy else ()), *people])


def held(holds: Sequence[OpenHold]) -> list[Problem]:
    """What is wrong with any move while incidents are open, each once."""
    why: dict[str, list[str]] = {}
    severity: dict[str, str] = {}
    for one in holds:
        severity.setdefault(one.entry.incident, one.entry.severity)
        why.setdefault(one.entry.incident, []).extend(one.passed_over)
    found = []
    for incident, reasons in why.items():
        because = f" (a release does not count: {'; '.join(dict.fromkeys(reasons))})"[:300] if reasons else ""
        what = f"{severity[incident]} incident {incident} is open{because}"
        found.append(Problem(id="held", what=what, remedy=f"aims incident close {incident}"))
    return found
