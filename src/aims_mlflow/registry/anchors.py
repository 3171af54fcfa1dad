"""What is known of a log outside itself: the digest of every entry this machine wrote, in a file beside MLflow.

Who can change the database can rewrite the whole log, and it will agree with itself; it will not agree with this file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, ValidationError

from aims_mlflow.errors import DeliveryError
from aims_mlflow.evidence.base import Record, Sha256, UtcTime, canonical_json
from aims_mlflow.gate.signing import SigningKey, is_signed_by

VARIABLE = "AIMS_ANCHORS"
COPIED = (
    f"If another copy of this database wrote to this file, give the copy an {VARIABLE} of its own, and take the log as"
    " it is with `aims verify --pin`."
)
"""What else may be the matter where file and log disagree: a copy has the same logs, and goes on with them."""


class Anchor(Record):
    """One line of the file."""

    schema_version: Literal["1"] = "1"
    at: UtcTime
    store: str
    """The tracking store, as the process that wrote the line called it; without credentials."""
    root: str
    """Id of the run all logs of the store start from."""
    chain: str | None = None
    """Id of the first records run of the model's log; null where the line is about the whole store."""
    model: str | None = None
    number: int = Field(default=0, ge=0)
    digest: Sha256 | None = None
    accepted: bool = False
    """A person looked at a log that contradicts older lines, and takes it as it is from here on."""
    signature: str | None = None
    key: str | None = None

    def signed_bytes(self) -> bytes:
        """What the signature is over: all but itself."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True, exclude={"signature", "key"}))

    def signed(self, key: SigningKey | None) -> Self:
        """The line, signed where there is a key."""
        if key is None:
            return self
        return self.model_copy(update={"signature": key.sign(self.signed_bytes()), "key": key.public})

    def is_genuine(self) -> bool:
        """Whether it is unsigned, or signed by the key it names."""
        if self.signature is None and self.key is None:
            return True
        return bool(self.signature and self.key and is_signed_by(self.key, self.signed_bytes(), self.signature))


@dataclass
class Anchored:
    """What the lines say of one log."""

    model: str
    heads: dict[int, tuple[str, Anchor]] = field(default_factory=dict)
    """Number of an entry to its digest and line, since a person last accepted the log."""
    superseded: int = 0
    """Lines from before that."""
    conflicting: tuple[int, ...] = ()
    """Numbers two lines give different digests."""

    def add(self, line: Anchor) -> None:
        """Take up one more line."""
        if line.accepted:
            self.superseded += len(self.heads)
            self.heads, self.conflicting = {}, ()
        if line.digest is None:
            return
        held = self.heads.get(line.number)
        if held is not None and held[0] != line.digest:
            self.conflicting = (*self.conflicting, line.number)
        self.heads.setdefault(line.number, (line.digest, line))
        self.model = line.model or self.model


@dataclass
class AnchorLines:
    """The file's content, in order of use."""

    chains: dict[tuple[str, str], Anchored] = field(default_factory=dict)
    """Root and chain to what is known of it."""
    roots: dict[str, list[str]] = field(default_factory=dict)
    """Store to the roots it had, the one that counts last."""
    accepted: set[str] = field(default_factory=set)
    """Roots a person accepted in place of an older one."""
    broken: list[int] = field(default_factory=list)
    """Lines that cannot be read or were altered."""
    lines: int = 0

    def of(self, root: str) -> Mapping[str, Anchored]:
        """Chain to what is known of it, of one root."""
        return {chain: held for (owner, chain), held in self.chains.items() if owner == root}

    def add(self, text: str) -> None:
        """Take up one more line."""
        self.lines += 1
        try:
            line = Anchor.model_validate_json(text)
        except ValidationError:
            self.broken.append(self.lines)
            return
        if not line.is_genuine():
            self.broken.append(self.lines)
            return
        known = self.roots.setdefault(line.store, [])
        if line.root not in known:
            known.append(line.root)
        if line.chain is None:
            if line.accepted:
                self.accepted.add(line.root)
                known.remove(line.root)
                known.append(line.root)
            return
        self.chains.setdefault((line.root, line.chain), Anchored(line.model or "")).add(line)


class AnchorFile:
    """The file. It only grows; several processes may write it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known = AnchorLines()
        self._read = (0, 0, 0)

    def forget_locks(self) -> None:
        """A lock of its own, for a process that was forked while another thread held it."""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[Anchor], None]]:
        """Open the file before the log is written to, and give what adds a line to it.

        Raises:
            DeliveryError: it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error

        def write(line: Anchor) -> None:
            # One write at the end of the file: lines of several processes do not mix.
            content = canonical_json(line.model_dump(mode="json", exclude_none=True))
            try:
                written = os.write(descriptor, content)
            except OSError as error:
                raise self._unwritable(error) from error
            if written != len(content):
                raise DeliveryError("the anchor file took part of a line only", where=str(self.path))

        try:
            yield write
        finally:
            os.close(descriptor)

    def _unwritable(self, error: OSError) -> DeliveryError:
        return DeliveryError(
            f"the anchor file cannot be written ({error.strerror})",
            where=str(self.path),
            remedy=f"Make it writable, or name another with {VARIABLE}.",
        )

    def read(self) -> AnchorLines:
        """What the file says; what was read before is not read again. Empty where there is no file.

        Raises:
            DeliveryError: it is there and cannot be read.
        """
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    about = os.fstat(file.fileno())
                    device, inode, offset = self._read
                    if (device, inode) != (about.st_dev, about.st_ino) or about.st_size < offset:
                        self._known, offset = AnchorLines(), 0
                    file.seek(offset)
                    whole, _, _torn = file.read().rpartition(b"\n")
                    if whole:
                        for line in whole.split(b"\n"):
                            self._known.add(line.decode("utf-8", "replace"))
                        offset += len(whole) + 1
                    self._read = (about.st_dev, about.st_ino, offset)
            except FileNotFoundError:
                self._known, self._read = AnchorLines(), (0, 0, 0)
            except OSError as error:
                raise DeliveryError(
                    f"the anchor file cannot be read ({error.strerror})", where=str(self.path)
                ) from error
            return self._known


def state_directory() -> Path:
    """The user's folder for state; one of his own among the temporary files where he has no home."""
    named = os.environ.get("XDG_STATE_HOME")
    with contextlib.suppress(RuntimeError):
        return (Path(named) if named else Path.home() / ".local" / "state") / "aims-mlflow"
    return Path(tempfile.gettempdir()) / f"aims-mlflow-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def default_anchors() -> Path:
    """``AIMS_ANCHORS``, else ``anchors.jsonl`` in the user's folder for state."""
    named = os.environ.get(VARIABLE, "").strip()
    return Path(named).expanduser() if named else state_directory() / "anchors.jsonl"


def store_name(uri: str, workspace: str | None = None) -> str:
    """A tracking store's URI without credentials and query; a relative SQLite path made whole."""
    parts = urlsplit(uri)
    if parts.scheme.startswith("sqlite"):
        path = uri.split("?", 1)[0].partition(":///")[2]
        name = f"sqlite:///{Path(path).absolute() if path else ':memory:'}"
    else:
        host = parts.netloc.rpartition("@")[2]
        name = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    return f"{name}#{workspace}" if workspace else name


def is_firm(store: str) -> bool:
    """Whether a store's name stays the store's: a network address or memory may be another's tomorrow."""
    return not store.startswith(("http:", "https:", "sqlite:///:memory:"))
