"""What the log says of who holds which alias and stage, against who does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aims_mlflow.gate.entries import Entry, FailedEntry, FoundEntry, MoveEntry, RegisteredEntry, Target

ARCHIVED = "Archived"
GONE = "None"
"""Stage of a version that is in none, and of one that was deleted."""


@dataclass(frozen=True)
class Said:
    """The last word of the log on an alias, or on a version's stage."""

    holds: str | None
    """The version that holds the alias, None for nobody; or the stage of the version."""
    entry: MoveEntry | FoundEntry
    before: str | None = None
    """What was before: where the registry still stands if the move was never made."""

    @property
    def move(self) -> MoveEntry | None:
        """The entry, where it is a move."""
        return self.entry if isinstance(self.entry, MoveEntry) else None

    @property
    def was_announced(self) -> bool:
        """Whether the entry was written before the registry was changed, not after."""
        return not isinstance(self.entry, FoundEntry) or self.entry.reverted


@dataclass
class LogState:
    """The log, read through."""

    aliases: dict[str, Said] = field(default_factory=dict)
    stages: dict[str, Said] = field(default_factory=dict)
    """Version to its stage."""
    registered: set[str] = field(default_factory=set)
    """Versions whose making is on record."""
    displaced: dict[str, str] = field(default_factory=dict)
    """Version to the stage out of which a later move may have sent it to the archive."""

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> LogState:
        """Read a log through: refused moves and those that failed change nothing."""
        entries = tuple(entries)
        failed = {e.move for e in entries if isinstance(e, FailedEntry)}
        state = cls()
        for entry in entries:
            if isinstance(entry, MoveEntry) and entry.was_made and entry.number not in failed:
                state._moved(entry)
            elif isinstance(entry, FoundEntry):
                state._found(entry)
            elif isinstance(entry, RegisteredEntry) and entry.version is not None:
                state.registered.add(entry.version)
        return state

    def _moved(self, entry: MoveEntry) -> None:
        name = entry.target.name
        if entry.target.kind == "alias":
            # What a move really found there counts for more than what the log said.
            self.aliases[name] = Said(entry.version, entry, entry.from_version)
        elif entry.target.kind == "stage" and entry.version is not None:
            held = self.stages.get(entry.version)
            self.stages[entry.version] = Said(name, entry, held.holds if held else None)
            self.displaced.pop(entry.version, None)
            for other in (entry.from_version or "").split(","):
                if other and other != entry.version:
                    self.displaced[other] = name

    def _found(self, entry: FoundEntry) -> None:
        name = entry.target.name
        if entry.target.kind == "alias":
            holds = entry.from_version if entry.reverted else entry.version
            self.aliases[name] = Said(holds, entry, entry.version if entry.reverted else entry.from_version)
        elif entry.target.kind == "stage" and entry.version is not None:
            self.stages[entry.version] = Said(name, entry, entry.from_version)
            self.displaced.pop(entry.version, None)
        elif entry.version is not None:
            self.registered.add(entry.version)


@dataclass(frozen=True)
class Standing:
    """How the registry stands."""

    aliases: Mapping[str, str]
    """Alias to version."""
    stages: Mapping[str, str] | None = None
    """Version to stage, of every version; None where versions were not read."""


@dataclass(frozen=True)
class Difference:
    """Registry and log do not agree."""

    target: Target
    """Of a stage: where the version stands now."""
    version: str | None
    """Who holds it; None for nobody."""
    said: str | None
    """Who should, by the log; of a stage the stage the version should be in."""
    not_made: MoveEntry | None = None
    """The move that was never made, where the registry stands as before it."""
    gone: bool = False
    """The version does not exist any more."""


def differences(
    log: LogState,
    standing: Standing,
    *,
    model: str,
    guarded: Callable[[Target], bool],
    is_settled: Callable[[Entry], bool] = lambda _: True,
) -> list[Difference]:
    """Where the registry stands otherwise than the log says.

    Args:
        log: The log.
        standing: The registry.
        model: Name of the registered model.
        guarded: Whether a target is guarded: only these are in the log.
        is_settled: Whether an entry is old enough that its move would have been made by now.
    """
    found = [*_aliases(log, standing, guarded, is_settled)]
    if standing.stages is not None:
        found += _stages(log, standing.stages, guarded, is_settled)
        making = Target(kind="registration", name=model)
        if guarded(making):
            new = sorted(standing.stages.keys() - log.registered, key=_number)
            found += [Difference(making, version, None) for version in new]
    return found


def _aliases(
    log: LogState, standing: Standing, guarded: Callable[[Target], bool], is_settled: Callable[[Entry], bool]
) -> Iterator[Difference]:
    for alias in sorted(standing.aliases.keys() | log.aliases.keys()):
        target = Target(kind="alias", name=alias)
        now, said = standing.aliases.get(alias), log.aliases.get(alias)
        if now == (said.holds if said else None) or not guarded(target):
            continue
        if said is None:
            yield Difference(target, now, None)
        elif now != said.before or not said.was_announced:
            yield Difference(target, now, said.holds)
        elif is_settled(said.entry):
            yield Difference(target, now, said.holds, said.move)


def _stages(
    log: LogState, stages: Mapping[str, str], guarded: Callable[[Target], bool], is_settled: Callable[[Entry], bool]
) -> Iterator[Difference]:
    for version in sorted(stages.keys() | log.stages.keys(), key=_number):
        now, said = stages.get(version, GONE), log.stages.get(version)
        there = Target(kind="stage", name=now)
        is_guarded = guarded(there)
        if said is None:
            if is_guarded and now != GONE:
                yield Difference(there, version, None)
            continue
        wanted = said.holds or GONE
        if now == wanted or not (is_guarded or guarded(Target(kind="stage", name=wanted))):
            continue
        if now == ARCHIVED and log.displaced.get(version) == wanted:
            continue  # MLflow made room for another; that it did may stand in no entry of its own
        if version not in stages:
            yield Difference(there, version, wanted, gone=True)
        elif not said.was_announced or (now != said.before and (is_guarded or said.before is not None)):
            yield Difference(there, version, wanted)
        elif is_settled(said.entry):
            yield Difference(there, version, wanted, said.move)


def _number(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isascii() and version.isdigit() else (0, version)
