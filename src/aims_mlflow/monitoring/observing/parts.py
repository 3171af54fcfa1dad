"""A part: what one replica saw of one window, in summaries; the smallest thing that is shipped and counted once."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import Record, Sha256, UtcTime, canonical_json, sha256_of
from aims_mlflow.operation.windows import EPOCH, Window

if TYPE_CHECKING:
    from aims_mlflow.sketches import Profile

SUFFIX = ".bin"
_MAGIC = b"aims part 1 "
_SEAL = 64
_ID = re.compile(r"^([A-Za-z0-9_-]{1,120})\.(-?[0-9]{1,12})-([1-9][0-9]{0,9})\.([0-9]{1,9})$")


@dataclass(frozen=True, order=True, slots=True)
class PartId:
    """Replica, window and a number that counts up: no two parts share all three."""

    replica: str
    window: Window
    sequence: int

    def __str__(self) -> str:
        seconds = int(self.window.length.total_seconds())
        return f"{self.replica}.{self.window.index}-{seconds}.{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> PartId:
        """From its text.

        Raises:
            EvidenceError: it is none.
        """
        found = _ID.match(text)
        if found is None:
            raise EvidenceError("that is no name of a part", where=text[:200])
        length = timedelta(seconds=int(found[3]))
        try:
            start = EPOCH + int(found[2]) * length
            window = Window(start, start + length)
        except OverflowError:
            raise EvidenceError("the window of a part lies beyond all time", where=text) from None
        return cls(found[1], window, int(found[4]))


class PartHeader(Record):
    """What is known of a part besides its summaries."""

    schema_version: str = "1"
    part: str
    model: str
    version: str
    model_sha256: Sha256 | None = None
    reference_sha256: Sha256 | None = None
    profile_sha256: Sha256 | None = None
    """Over the bytes that follow; null where the version has no reference and rows are only counted."""
    rows: int = Field(default=0, ge=0)
    """Rows that are in the summaries, or counted where there are none."""
    calls: int = Field(default=0, ge=0)
    failed_calls: int = Field(default=0, ge=0)
    """Calls that the model answered with an exception; their rows are not among ``rows``."""
    lost: dict[str, int] = Field(default_factory=dict)
    """Reason to rows that were served and are in no summary."""
    set_back: int = 0
    """Times the clock was set back by more than a minute."""
    first: UtcTime | None = None
    last: UtcTime | None = None
    complete: bool = True
    """False: the last checkpoint of a replica that was killed; the rows after it are lost."""


@dataclass(frozen=True)
class Part:
    """A part as it is written."""

    id: PartId
    header: PartHeader
    profile: bytes = field(repr=False, default=b"")

    def sealed(self, seal: Callable[[bytes], str]) -> bytes:
        """The file: a line with the seal, a line with the header, the profile."""
        body = canonical_json(self.header) + self.profile
        return _MAGIC + seal(body).encode("ascii") + b"\n" + body

    def read_profile(self) -> Profile | None:
        """The summaries; None where rows were only counted.

        Raises:
            EvidenceError: they are damaged.
        """
        from aims_mlflow.sketches import Profile

        return Profile.from_bytes(self.profile) if self.profile else None


def read_part(content: bytes, *, seal: Callable[[bytes], str] | None = None, name: str = "") -> Part:
    """A part from its file.

    Args:
        content: The file.
        seal: Makes the seal it must bear; None leaves the seal unchecked.
        name: What the part must be called; any name where empty.

    Raises:
        EvidenceError: it is damaged, or another part than its name says, or somebody else's.
    """
    first, _, body = content.partition(b"\n")
    line, newline, profile = body.partition(b"\n")
    if not first.startswith(_MAGIC) or len(first) != len(_MAGIC) + _SEAL or not newline:
        raise EvidenceError("this is no part of a window", where=name)
    if seal is not None and not hmac.compare_digest(first[len(_MAGIC) :], seal(body).encode("ascii")):
        raise EvidenceError("the part was not written by this user, or was changed since", where=name)
    try:
        header = PartHeader.model_validate(json.loads(line))
    except (ValueError, ValidationError) as error:
        raise EvidenceError(f"the header of a part cannot be read ({type(error).__name__})", where=name) from None
    if name and header.part != name:
        raise EvidenceError("the part is another than its name says", where=name)
    if header.profile_sha256 != (sha256_of(profile) if profile else None):
        raise EvidenceError("the summaries of a part are damaged", where=name)
    return Part(PartId.parse(header.part), header, profile)
