"""What is kept of the revisions that were read: of those that may count their text, of others some seventy bytes.

A parsed record takes several times the memory of its packed text, and a store holds many times more revisions than
count. So a text is parsed to see that it is a record, packed, and parsed again for whoever asks for the record; and of
a revision that can count no more only its place in the chain is kept, which still tells whether the chain holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from struct import Struct

from aims_mlflow.evidence import sha256_of
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Revision

Key = tuple[str, str]

_FIELDS = set(ManagementRecord.model_fields)
_AT_ONCE = 256
"""Parsed records that are held at once: what a version of a system is judged by, which several ask for in turn."""


def parsed(text: bytes, digest: str) -> ManagementRecord:
    """The record a text holds.

    Its digest is the one its text has, so that a field which a later version adds does not make every older record
    look altered. All fields count as set, as they do where a record is filed.

    Raises:
        ValidationError: it is no record.
    """
    record = ManagementRecord.model_validate_json(text)
    record.__dict__["digest"] = digest
    record.model_fields_set.update(_FIELDS)
    return record


@lru_cache(maxsize=_AT_ONCE)
def _reparsed(packed: bytes) -> ManagementRecord:
    text = zlib.decompressobj(_WINDOW, _ALIKE).decompress(packed)
    return parsed(text, sha256_of(text))


def _packed(text: bytes) -> bytes:
    """The text in about half its bytes, in some ten microseconds."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, 4, zlib.Z_DEFAULT_STRATEGY, _ALIKE)
    return packer.compress(text) + packer.flush()


_WINDOW = -12
_ALIKE = (
    b'"schema_version":"1","supports":[],"systems":[],"type":"","valid_from":"2026-01-01","valid_until":null,'
    b'"withdrawn":null}{"approver":null,"content":{"statement":""},"document":{"sha256":"sha256:","title":"",'
    b'"uri":"https://","version":null},"id":"","links":[],"owner":"","previous":"sha256:",'
    b'"recorded_at":"2026-01-01T00:00:00Z","recorded_by":"","revision":1,'
)
"""What the texts of records have alike, and need not be kept with each."""


@lru_cache(maxsize=4_096)
def _one(words: tuple[str, ...]) -> tuple[str, ...]:
    """One object for what many records say alike."""
    return words


class Shelved(Filed):
    """A revision of which the text is kept, packed, and the record parsed when it is asked for."""

    __slots__ = ("_is_withdrawn", "_links", "_packed", "_systems")
    _is_withdrawn: bool
    _links: tuple[str, ...]
    _packed: bytes
    _systems: tuple[str, ...]

    def __init__(self, record: ManagementRecord, text: bytes, run_id: str, *, deleted: bool) -> None:
        keep = object.__setattr__  # the base is frozen
        keep(self, "_packed", _packed(text))
        keep(self, "_systems", _one(record.systems))
        keep(self, "_links", _one(record.links))
        keep(self, "_is_withdrawn", record.withdrawn is not None)
        keep(self, "run_id", run_id)
        keep(self, "deleted", deleted)

    @property
    def record(self) -> ManagementRecord:
        """The record: equal each time, and not always the same object."""
        return _reparsed(self._packed)

    @property
    def systems(self) -> tuple[str, ...]:
        """Of the record."""
        return self._systems

    @property
    def links(self) -> tuple[str, ...]:
        """Of the record."""
        return self._links

    @property
    def is_withdrawn(self) -> bool:
        """Whether the revision takes the record back."""
        return self._is_withdrawn


# the chain of a record

_ROW = Struct("<32sqiBHH")
"""Digest, when it was filed (microseconds), first day (ordinal), flags, bytes of its number, bytes of its run's id."""
_WITHDRAWN, _DELETED, _CLAIMED, _FIRST, _FOLLOWS, _IS_HEX = (1 << n for n in range(6))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SCHEME = "sha256:"


class Chain:
    """The revisions of one record, in the order they were read."""

    __slots__ = ("_last", "_rows", "_whole", "key")

    def __init__(self, key: Key) -> None:
        self.key = key
        self._rows = b""
        self._last = b""
        """Digest of the revision read last: mostly it is the one that the next follows."""
        self._whole: tuple[tuple[int, int, bool, Shelved], ...] = ()
        """Of each revision that may count where its row begins, its number (0 for one that may be an attempt nobody
        claimed), whether it served at the first moment asked for, and the revision."""

    def add(self, record: ManagementRecord, one: Shelved, *, claimed: bool, since: datetime | None) -> None:
        """Put a revision to the others, and let go of the contents of those that can count no more.

        Args:
            record: Its record.
            one: The revision.
            claimed: Whether it is a first one, or known to be named by the one before.
            since: Only moments from then on will be asked for; None keeps all.
        """
        place = len(self._rows)
        self._append(record, one, claimed=claimed)
        serves = since is not None and record.recorded_at <= since and (record.starts <= since or one.is_withdrawn)
        self._whole += ((place, record.revision if claimed else 0, serves, one),)
        if len(self._whole) > 1:
            latest = max((number for _, number, serves, _ in self._whole if serves), default=0)
            self._whole = tuple(kept for kept in self._whole if not 0 < kept[1] < latest)

    def _append(self, record: ManagementRecord, one: Shelved, *, claimed: bool) -> None:
        digest = bytes.fromhex(record.digest.removeprefix(_SCHEME))
        before = bytes.fromhex(record.previous.removeprefix(_SCHEME)) if record.previous else b""
        number = record.revision.to_bytes((record.revision.bit_length() + 7) // 8, "big")
        run, flags = _packed_run(str(one.run_id))
        flags |= one.is_withdrawn * _WITHDRAWN | one.deleted * _DELETED | claimed * _CLAIMED
        flags |= _FIRST if not before else _FOLLOWS if before == self._last else 0
        filed_at = (record.recorded_at - _EPOCH) // _MICROSECOND
        row = _ROW.pack(digest, filed_at, record.valid_from.toordinal(), flags, len(number), len(run))
        self._rows += row + number + run + (b"" if flags & (_FIRST | _FOLLOWS) else before)
        self._last = digest

    def holds(self, run_id: str) -> bool:
        """Whether the revision of a run is there."""
        packed, _ = _packed_run(run_id)
        return packed in self._rows and any(one.run_id == run_id for one, _ in self.revisions())

    def revisions(self) -> Iterator[tuple[Revision, bool]]:
        """Each revision, and whether it is known to be a first one or named by the one before."""
        whole = {place: one for place, _, _, one in self._whole}
        at, last = 0, b""
        while at < len(self._rows):
            place = at
            digest, filed_at, first_day, flags, number_size, run_size = _ROW.unpack_from(self._rows, at)
            number, at = self._bytes(at + _ROW.size, number_size)
            run, at = self._bytes(at, run_size)
            before: bytes = b"" if flags & _FIRST else last
            if not flags & (_FIRST | _FOLLOWS):
                before, at = self._bytes(at, len(digest))
            last = digest
            revision = Revision(
                key=self.key,
                number=int.from_bytes(number, "big"),
                previous=_SCHEME + before.hex() if before else None,
                digest=_SCHEME + digest.hex(),
                recorded_at=_EPOCH + filed_at * _MICROSECOND,
                starts=datetime.combine(date.fromordinal(first_day), time.min, UTC),
                is_withdrawn=bool(flags & _WITHDRAWN),
                deleted=bool(flags & _DELETED),
                run_id=run.hex() if flags & _IS_HEX else run.decode("utf-8", "surrogatepass"),
                filed=whole.get(place),
            )
            yield revision, bool(flags & _CLAIMED)

    def _bytes(self, at: int, size: int) -> tuple[bytes, int]:
        """Some bytes of the rows, and where they end."""
        return self._rows[at : at + size], at + size


def _packed_run(run_id: str) -> tuple[bytes, int]:
    """A run's id in bytes, half as many where it is MLflow's hexadecimal one, and the flag that says so."""
    try:
        packed = bytes.fromhex(run_id)
    except ValueError:
        packed = b""
    if packed and packed.hex() == run_id:
        return packed, _IS_HEX
    return run_id.encode("utf-8", "surrogatepass"), 0


__all__ = ["Chain", "Key", "Shelved", "parsed"]
