"""``aims verify``: read the whole log anew and hold it against itself and against the anchor file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence.base import Record, UtcTime, now
from aims_mlflow.gate.entries import (
    Entry,
    HoldEntry,
    Identity,
    Level,
    ReviewEntry,
    name_after,
    read_entry,
    write_entry,
)
from aims_mlflow.gate.holds import is_as_sure
from aims_mlflow.registry.anchors import VARIABLE, Anchor, Anchored, AnchorFile, AnchorLines, is_firm, store_name
from aims_mlflow.registry.records import NEXT, SEGMENT, Mapping, Records, hashed, slot, workspace

if TYPE_CHECKING:
    from aims_mlflow.registry.log import TransitionLog


class Damage(StrEnum):
    """What can be wrong with a log."""

    DELETED = "deleted"
    """A records run, or the experiment that names the first, is deleted or gone."""
    REPLACED = "replaced"
    """The store's whole log is another than the anchor file knows."""
    DISPLACED = "displaced"
    """The list of logs names another log, or none, for the model."""
    CUT = "cut"
    """Entries at the end are gone."""
    REMOVED = "removed"
    """An entry in between is gone."""
    ALTERED = "altered"
    """An entry was changed."""
    REWRITTEN = "rewritten"
    """The log agrees with itself, and not with the anchor file."""
    SIGNATURE = "signature"
    """An entry's signature is not by the key it names, or an entry of the gate is not signed by the gate."""
    REPLAYED = "replayed"
    """A signed entry stands there twice."""
    RELEASE = "release"
    """A hold is released by an entry that does not count, or a hold that is not there."""
    ANCHORS = "anchors"
    """The anchor file itself is damaged, or is about another log."""
    UNANCHORED = "unanchored"
    """Nothing outside MLflow says anything of the log."""


class LogProblem(Record):
    """One thing that is wrong."""

    damage: Damage
    model: str | None = None
    number: int | None = None
    """The entry, or the first of several."""
    what: str
    remedy: str


class LogCheck(Record):
    """What came of it."""

    schema_version: Literal["1"] = "1"
    at: UtcTime
    store: str
    models: int = 0
    entries: int = 0
    anchored: int = 0
    """Entries the anchor file vouches for."""
    problems: tuple[LogProblem, ...] = ()
    notes: tuple[str, ...] = ()
    pinned: int = 0
    """Lines added to the anchor file."""
    accepted: bool = False
    """Whether what is wrong was accepted: from now on the anchor file is about the log as it is."""
    without_log: tuple[str, ...] = ()
    """Models that were named and have none."""

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


_COPIED = f"Another copy of this database may have written to this anchor file: give each an {VARIABLE} of its own"
_RESTORE = (
    "Restore MLflow's backup, or accept the log as it is with `aims verify --pin` once someone has looked. " + _COPIED
)
_BROKEN = "Restore MLflow's backup: until then the gate refuses what rests on this log"


@dataclass
class _Read:
    """One log, read as far as it goes, whatever is wrong with it."""

    first: str
    name: str | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    length: int = 0
    unlinked: set[int] = field(default_factory=set)
    """Numbers of entries that do not continue the one before."""
    holds: dict[str, HoldEntry] = field(default_factory=dict)
    """By digest."""
    problems: list[LogProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def head(self) -> Entry | None:
        """The last entry."""
        return self.entries.get(self.length)

    def problem(self, damage: Damage, what: str, number: int | None = None, remedy: str = _BROKEN) -> None:
        """Note one."""
        self.problems.append(LogProblem(damage=damage, model=self.name, number=number, what=what, remedy=remedy))

    def hold(self, entry: HoldEntry, gate_keys: frozenset[str]) -> None:
        """Take up a hold, or see that a release is one that may count."""
        if entry.state == "held":
            self.holds[entry.digest] = entry
            return
        held = self.holds.get(str(entry.releases))
        if held is None or held.incident != entry.incident:
            self.problem(Damage.RELEASE, "a release names no hold of the log", entry.number, "It does not count")
        elif not is_as_sure(held, entry, gate_keys):
            if entry.is_signed():
                self.notes.append(
                    f"{self.name}: entry {entry.number} releases a hold by another key than it was signed with; "
                    "it counts where the policy knows the key"
                )
            else:
                what = f"the hold of incident {held.incident} is signed, and its release is not"
                self.problem(Damage.RELEASE, what, entry.number, "It does not count: the model is still held")

    @property
    def sound(self) -> bool:
        """Whether it agrees with itself."""
        return not self.problems and not self.unlinked


def verify(
    log: TransitionLog,
    models: Iterable[str] | None = None,
    *,
    anchors: Path | None = None,
    gate_keys: frozenset[str] = frozenset(),
    pin: bool = False,
) -> LogCheck:
    """Read every log anew and say what is wrong with any.

    Args:
        log: The log; nothing it knows is used.
        models: Only these; None: all.
        anchors: The anchor file; None: the log's own.
        gate_keys: Public keys of the gates; with some, an entry of a gate must be signed by one of them.
        pin: True adds the heads of logs that agree with themselves to the anchor file. Where they contradict older
            lines, the log counts as accepted from there on; this check still says what was wrong.

    Raises:
        DeliveryError: MLflow or the anchor file cannot be read, or, with ``pin``, not written.
    """
    wanted = None if models is None else set(models)

    def check(*, pin: bool) -> LogCheck:
        file = AnchorFile(anchors) if anchors is not None else AnchorFile(log.anchors.path)
        return _Verification(log, file, file.read(), wanted, gate_keys).run(named=anchors is not None, pin=pin)

    found = check(pin=pin)
    if found.pinned and not found.intact:
        found = found.model_copy(update={"accepted": check(pin=False).intact})
    return found


class _Verification:
    def __init__(
        self,
        log: TransitionLog,
        file: AnchorFile,
        lines: AnchorLines,
        wanted: set[str] | None,
        gate_keys: frozenset[str],
    ) -> None:
        self.log = log
        self.records: Records = log.records
        self.file = file
        self.lines = lines
        self.wanted = wanted
        self.gate_keys = gate_keys
        self.store = store_name(self.records.uri, workspace())
        self.problems: list[LogProblem] = []
        self.notes: list[str] = []

    def run(self, *, named: bool, pin: bool) -> LogCheck:
        root = self._root(named=named)
        if self.lines.broken:
            many = len(self.lines.broken)
            lines = f"{many} line{'s' if many > 1 else ''} of the anchor file"
            what = f"{lines} cannot be read or {'were' if many > 1 else 'was'} altered, the first is line"
            self._problem(Damage.ANCHORS, f"{what} {self.lines.broken[0]}", remedy=f"Look into {self.file.path}")
        found: list[_Read] = []
        held: dict[str, Anchored] = {}
        if root is not None:
            held = dict(self.lines.of(root))
            mappings = self._mappings(root)
            chains = dict.fromkeys([m.chain for made in mappings.values() for m in made] + list(held))
            found = [self._read(chain, held.get(chain)) for chain in chains]
            found = [read for read in found if self.wanted is None or read.name in self.wanted]
            for read in found:
                self._displaced(read, mappings)
                self._against_anchors(read, held.get(read.first), pin=pin)
                self.problems += read.problems
                self.notes += read.notes
        pinned = self._pin(root, found, held) if pin and root is not None else 0
        kept = [read for read in found if read.length]
        without = sorted((self.wanted or set()) - {str(read.name) for read in kept})
        self.notes += [f"{name}: has no log" for name in without]
        return LogCheck(
            at=now(),
            store=self.store,
            models=len(kept),
            entries=sum(read.length for read in kept),
            anchored=sum(len(held[read.first].heads) for read in kept if read.first in held),
            problems=tuple(self.problems),
            notes=tuple(self.notes),
            pinned=pinned,
            without_log=tuple(without),
        )

    def _problem(self, damage: Damage, what: str, *, remedy: str, model: str | None = None) -> None:
        self.problems.append(LogProblem(damage=damage, model=model, what=what, remedy=remedy))

    # the whole

    def _root(self, *, named: bool) -> str | None:
        """The root, and what is wrong with it."""
        known = self.lines.roots.get(self.store, [])
        try:
            root = self.records.root()
        except EvidenceError as error:
            self._problem(Damage.DELETED, error.message, remedy=error.remedy.rstrip(".") or _BROKEN)
            return known[-1] if known else None
        if known and known[-1] != root:
            lost = sum(len(a.heads) for (owner, _), a in self.lines.chains.items() if owner == known[-1])
            what = f"the log of this store was {'removed' if root is None else 'replaced'}: "
            what += f"the anchor file knows {lost} entries of another"
            if not is_firm(self.store):
                what += ", unless another store answers at this address now"
            self._problem(Damage.REPLACED, what, remedy=_RESTORE)
        elif named and self.lines.lines and not (root and self.lines.of(root)):
            what = "no line of the anchor file is about this log: it is another store's, or the log was replaced"
            self._problem(Damage.ANCHORS, what, remedy="Give the anchor file of this store's gate")
        if root is not None and len(known) > 1 and known[-1] == root:
            self.notes.append(f"the log replaces {len(known) - 1} earlier ones of this store; it was accepted")
        return root

    def _mappings(self, root: str) -> dict[str, list[Mapping]]:
        try:
            return self.records.mappings(root)
        except EvidenceError as error:
            what = f"the list of logs (run {root}): {error.message}"
            self._problem(Damage.DELETED, what, remedy=error.remedy.rstrip(".") or _BROKEN)
            return {}

    # one log

    def _read(self, chain: str, held: Anchored | None) -> _Read:
        read = _Read(chain, held.model if held else None)
        run: str | None = chain
        seen: set[str] = set()
        base, previous, signatures = 0, None, set[str]()
        while run is not None and run not in seen:
            seen.add(run)
            try:
                params = self.records.params(run)
            except EvidenceError as error:
                read.problem(
                    Damage.DELETED, f"{error.message} (run {run})", base + 1, error.remedy.rstrip(".") or _BROKEN
                )
                break
            numbers = sorted(int(key) for key in params if key.isdecimal() and key == slot(int(key)))
            last = max(numbers, default=base)
            for number in range(base + 1, last + 1):
                text = params.get(slot(number))
                if text is None:
                    read.problem(Damage.REMOVED, "an entry is missing, and later ones are there", number)
                    previous = None
                    continue
                entry = self._entry(read, number, text, signatures)
                if entry is not None and previous is not None and entry.previous != previous:
                    read.unlinked.add(number)
                elif entry is not None and number == 1 and entry.previous is not None:
                    read.problem(Damage.ALTERED, "the first entry names one before it", 1)
                previous = entry.digest if entry is not None else None
            read.length = last
            strays = [key for key in params if key != NEXT and slot(int(key) if key.isdecimal() else 0) != key]
            if strays:
                read.notes.append(f"{read.name}: run {run} holds {len(strays)} parameters that are no entries")
            base += SEGMENT
            run = params.get(NEXT) if last == base else None
        return read

    def _entry(self, read: _Read, number: int, text: str, signatures: set[str]) -> Entry | None:
        """What stands at a place, judged by itself."""
        try:
            entry = read_entry(text)
            if write_entry(entry) != text:
                read.problem(Damage.ALTERED, "an entry is not in the form it was written in", number)
        except EvidenceError:
            read.problem(Damage.ALTERED, "an entry cannot be read", number)
            return None
        if entry.number != number:
            read.problem(Damage.ALTERED, f"an entry says it is number {entry.number}", number)
        if read.entries and entry.model != read.name and number - 1 in read.entries:
            read.problem(Damage.ALTERED, f"an entry is about another model, {entry.model!r}", number)
        read.entries[number] = entry
        read.name = name_after(entry)
        if entry.signature is not None or entry.key is not None:
            if not entry.is_signed():
                read.problem(Damage.SIGNATURE, "an entry's signature is not by the key it names", number)
            if entry.signature in signatures:
                read.problem(Damage.REPLAYED, "a signed entry stands there a second time", number, "It does not count")
            signatures.add(entry.signature or "")
        if isinstance(entry, HoldEntry):
            read.hold(entry, self.gate_keys)
        # A person's own key signs a review too, but only a gate knows a login.
        of_login = entry.actor.identity is Identity.AUTHENTICATED
        by_gate = entry.level is Level.ENFORCED and (of_login or not isinstance(entry, ReviewEntry))
        if self.gate_keys and by_gate and entry.key not in self.gate_keys:
            read.problem(Damage.SIGNATURE, "an entry of the gate is not signed by a gate's key", number)
        return entry

    def _against_anchors(self, read: _Read, held: Anchored | None, *, pin: bool) -> None:
        """What the anchor file says of it; which of two entries that do not fit was altered is told by that, too."""
        heads = {n: digest for n, (digest, _) in held.heads.items()} if held else {}
        other = sorted(n for n, digest in heads.items() if n in read.entries and read.entries[n].digest != digest)
        for number in sorted(read.unlinked):
            # Either of the two may have been altered: the one the file vouches for was not.
            vouched = heads.get(number - 1) == read.entries[number - 1].digest
            guilty = number if vouched and number not in heads else number - 1
            if guilty not in other:
                read.problem(Damage.ALTERED, "an entry was altered: the next one does not follow it", guilty)
        if other and read.sound:
            since = held.heads[other[0]][1].at if held else None
            what = f"the entries from {other[0]} on are not those of {since:%Y-%m-%d %H:%M} UTC in the anchor file"
            read.problem(Damage.REWRITTEN, what, other[0], _RESTORE)
        else:
            for number in other:
                read.problem(Damage.ALTERED, "an entry is not the one the anchor file knows", number)
        gone = [n for n in heads if n > read.length]
        if gone and not any(p.damage is Damage.DELETED for p in read.problems):
            what = f"the log ends at entry {read.length}; the anchor file knows entries up to {max(gone)}"
            read.problem(Damage.CUT, what, read.length + 1, _RESTORE)
        if held and held.superseded:
            read.notes.append(f"{read.name}: {held.superseded} older anchors no longer count, the log was accepted")
        if held and held.conflicting:
            what = f"the anchor file gives entry {held.conflicting[0]} two digests"
            read.problem(Damage.ANCHORS, what, held.conflicting[0], f"{_COPIED}. Look into {self.file.path}")
        if read.length and not heads:
            if pin:
                read.notes.append(f"{read.name}: nothing outside MLflow vouches for what was written before now")
            else:
                what = "nothing outside MLflow vouches for the log"
                remedy = "Give the anchor file of the gate's machine with --anchors, or start one with --pin"
                read.problem(Damage.UNANCHORED, what, None, remedy)
        elif heads and max(heads) < read.length:
            more = read.length - max(heads)
            last = f"last {more} entries are" if more > 1 else "last entry is"
            read.notes.append(f"{read.name}: the {last} not in the anchor file")

    def _displaced(self, read: _Read, mappings: dict[str, list[Mapping]]) -> None:
        """Whether the model's log is the one the list names."""
        if read.name is None or not read.length:
            return
        made = mappings.get(hashed(read.name))
        if made and made[-1].chain == read.first:
            return
        if made is not None or not read.name.endswith("Z)"):  # set aside by a later model of the name
            what = "the list of logs names another log for the model" if made else "the list of logs lacks the model"
            read.problem(Damage.DISPLACED, what)

    # accepting

    def _pin(self, root: str, found: list[_Read], held: dict[str, Anchored]) -> int:
        """Add a line for each log that agrees with itself and whose head the file does not know."""
        lines = []
        if (known := self.lines.roots.get(self.store)) and known[-1] != root:
            lines.append(Anchor(at=now(), store=self.store, root=root, accepted=True))
        acceptable = {Damage.CUT, Damage.REWRITTEN, Damage.ANCHORS}
        for read in found:
            head = read.head
            damages = {p.damage for p in read.problems}
            if head is None or damages - acceptable:
                continue
            anchored = held.get(read.first)
            if anchored is None or damages or anchored.heads.get(read.length, ("",))[0] != head.digest:
                about = {"chain": read.first, "model": read.name, "number": read.length, "digest": head.digest}
                accepted = bool(damages)
                lines.append(Anchor(at=now(), store=self.store, root=root, accepted=accepted, **about))
        with self.file.opened() as write:
            for line in lines:
                write(line.signed(self.log.key))
        return len(lines)
