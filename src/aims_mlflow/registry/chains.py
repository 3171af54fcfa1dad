"""One model's log as far as it was read, and how it is read on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence.base import sha256_of
from aims_mlflow.gate.entries import Entry, name_after, read_link
from aims_mlflow.registry.anchors import COPIED
from aims_mlflow.registry.records import NEXT, SEGMENT, Records, slot

_RESTORE = "Restore MLflow's backup. `aims verify` says what is broken."


@dataclass
class Chain:
    """One log as far as it was read. Its identity is the id of its first records run."""

    segments: list[str]
    """Ids of its records runs."""
    name: str | None = None
    """The registered model's name after the last entry; None before the first."""
    entries: list[Entry] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """What stands in the last records run."""
    loaded: bool = False
    """Whether it was read and held against the anchor file once."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def first(self) -> str:
        """Its identity."""
        return self.segments[0]

    @property
    def head(self) -> str | None:
        """Digest of the last entry."""
        return self.digests[-1] if self.digests else None

    def is_of(self, model: str) -> bool:
        """Whether the model's next entry belongs here: a log that was renamed goes on under its new name only."""
        return self.name is None or self.name == model

    def take(self, text: str) -> None:
        """Take up what stands at the next place.

        Raises:
            EvidenceError: it is no entry, or does not continue the log.
        """
        number = len(self.entries) + 1
        try:
            self.keep(read_link(text, number=number, previous=self.head, model=self.name), text)
        except EvidenceError as error:
            raise self.broken(error.message, number) from error

    def keep(self, entry: Entry, text: str) -> None:
        """Take up an entry known to be good."""
        self.entries.append(entry)
        self.digests.append(sha256_of(f"{text}\n".encode()))  # the text is the entry's one form
        self.texts.append(text)
        self.name = name_after(entry)

    def segment(self, run_id: str) -> None:
        """Go on in another records run."""
        self.segments.append(run_id)
        self.texts.clear()

    def broken(self, what: str, number: int) -> EvidenceError:
        """The error that names the place."""
        where = f"log of {self.name or 'a model'}, entry {number}, run {self.segments[-1]}"
        return EvidenceError(what, where=where, remedy=_RESTORE)


def advance(records: Records, chain: Chain) -> None:
    """Read the entries that were added since, and see that those of the last records run are still as they were.

    Raises:
        EvidenceError: an entry is missing, altered, or does not continue the log; or a records run is gone.
        DeliveryError: MLflow cannot be reached.
    """
    while True:
        params = records.params(chain.segments[-1])
        base = (len(chain.segments) - 1) * SEGMENT
        for place, text in enumerate(chain.texts, base + 1):
            if params.get(slot(place)) != text:
                raise chain.broken("a log entry was altered or removed since it was read", place)
        filled = len(chain.texts)
        while filled < SEGMENT and (found := params.get(slot(base + filled + 1))) is not None:
            chain.take(found)
            filled += 1
        beyond = [key for key in params if key.isdecimal() and int(key) > base + filled]
        if beyond:
            raise chain.broken("a log entry is missing, and later ones are there", base + filled + 1)
        if filled < SEGMENT or NEXT not in params:
            return
        chain.segment(params[NEXT])


def check_heads(chain: Chain, heads: Mapping[int, str], file: str) -> None:
    """Hold a log against what the anchor file said of it before the log was read.

    Args:
        chain: The log.
        heads: Number of an entry to its digest.
        file: The anchor file, for the message.

    Raises:
        EvidenceError: it is shorter, or other, than it was.
    """
    named = f"log of {chain.name or 'a model'}"
    for number, digest in sorted(heads.items()):
        if number > len(chain.digests):
            what = f"the log ends at entry {len(chain.digests)}, and the anchor file knows entry {max(heads)}"
            raise EvidenceError(what, where=f"{named}, anchor file {file}", remedy=f"{_RESTORE} {COPIED}")
        if chain.digests[number - 1] != digest:
            what = "the log was rewritten: an entry is not the one the anchor file knows"
            where = f"{named}, entry {number}, anchor file {file}"
            raise EvidenceError(what, where=where, remedy=f"{_RESTORE} {COPIED}")
