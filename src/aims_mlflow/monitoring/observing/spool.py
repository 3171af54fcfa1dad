"""What a replica keeps on disk: the checkpoint of each part it is filling, and finished parts until they are delivered.

Each life of a process has a folder of its own, locked while it lives: whoever can lock the folder of another knows that
it is dead, and delivers what it left. A killed process leaves its checkpoints whole, because each takes the place of
the one before in one step; they outlive the process, not the power supply (finished parts are flushed to the disk).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError

from aims_mlflow.attach.spool import seal_of, spool_folders
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import Record, UtcTime, canonical_json
from aims_mlflow.monitoring.observing.parts import SUFFIX, Part, PartId, read_part

_log = logging.getLogger("aims_mlflow")

OPEN = ".open"
LOCK = "lock"
ABOUT = "replica.json"
SET_ASIDE = ".damaged"
_FOLDER = "observe"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Home(Record):
    """Where the parts of a replica go; all that is needed to deliver them when it is dead."""

    schema_version: str = "1"
    replica: str
    tracking_uri: str
    model: str
    version: str
    system_id: str | None = None
    experiment: str
    started_at: UtcTime
    seal: str = Field(default="", repr=False)

    def sealed(self) -> Home:
        """With its seal."""
        return self.model_copy(update={"seal": seal(canonical_json(self.model_copy(update={"seal": ""})))})


def replica_name(given: str | None = None) -> str:
    """A name for this life of this process that no other has: the one given, else the host's, and a random end."""
    stem = _UNSAFE.sub("-", given or socket.gethostname())[:60].strip("-") or "replica"
    return f"{stem}-{uuid.uuid4().hex[:16]}"


def spool_roots(given: Path | str | None = None) -> tuple[Path, ...]:
    """Folders of all replicas, in the order they are tried: the given one, undelivered evidence's, a temporary one."""
    own = Path(tempfile.gettempdir()) / f"aims-mlflow-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    last = own / _FOLDER
    if given is not None:
        return (Path(given), last)
    return (*(folder / _FOLDER for folder in spool_folders()), last)


_own_key = secrets.token_bytes(32)


def seal(content: bytes) -> str:
    """The user's seal; one of this process only, where the user's key can neither be read nor made.

    What is sealed so and left behind is only delivered by somebody who adopts it.
    """
    try:
        return seal_of(content)
    except OSError:
        return hmac.new(_own_key, content, hashlib.sha256).hexdigest()


class ReplicaSpool:
    """The folder of one replica. Every method may raise ``OSError``.

    Args:
        root: Folder of all replicas.
        home: Where its parts go.
    """

    def __init__(self, root: Path, home: Home) -> None:
        self.folder = root / home.replica
        self.home = home
        # Made under a name nobody looks at, so that it is never seen without its lock.
        new = root / f".{home.replica}"
        new.mkdir(parents=True, mode=0o700)
        held = None
        try:
            held = try_lock(new)
            if held is None:
                raise OSError(f"{new} is locked")
            _write(new, ABOUT, canonical_json(home.sealed()), flush=True)
            new.rename(self.folder)
        except OSError:
            if held is not None:
                os.close(held)
            shutil.rmtree(new, ignore_errors=True)
            raise
        self._lock = held

    def checkpoint(self, part: Part) -> None:
        """Take the place of the part's checkpoint before, in one step."""
        _write(self.folder, f"{part.id}{OPEN}", part.sealed(seal), flush=False)

    def finish(self, part: Part) -> Path:
        """Write a finished part; its checkpoint is then gone."""
        path = _write(self.folder, f"{part.id}{SUFFIX}", part.sealed(seal), flush=True)
        (self.folder / f"{part.id}{OPEN}").unlink(missing_ok=True)
        return path

    def forget(self) -> None:
        """After a fork: the folder and its lock are the parent's."""
        with suppress(OSError):
            os.close(self._lock)

    def close(self) -> None:
        """Give the folder up; it is removed if nothing waits in it."""
        if not waiting(self.folder) and not list(self.folder.glob(f"*{OPEN}")):
            _remove_if_empty(self.folder)
        with suppress(OSError):
            os.close(self._lock)


def waiting(folder: Path) -> list[Path]:
    """Finished parts of a replica, oldest name first."""
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    return []


@dataclass
class Leftover:
    """The folder of a dead replica, locked by whoever looks at it."""

    folder: Path
    home: Home
    parts: list[Path] = field(default_factory=list)
    recovered: int = 0
    """Checkpoints among them: parts whose last rows are lost."""
    adopted: bool = False
    """Whether the seals are left unchecked."""


@contextmanager
def leftover(folder: Path, *, adopt: bool = False) -> Iterator[Leftover | None]:
    """The folder of a replica if it is dead; None while it lives, somebody else looks at it, or it is another user's.

    Its checkpoints become finished parts of the same id, so that whoever delivers them, and however often, they count
    once. A folder that does not say where its parts go is set aside.

    Args:
        folder: The folder.
        adopt: True takes the folder of another user, too, or of one whose key is gone.
    """
    held = try_lock(folder)
    if held is None:
        yield None
        return
    try:
        home = _home_of(folder, adopt=adopt)
        if home is None:
            yield None
            return
        recovered = 0
        for path in sorted(folder.glob(f"*{OPEN}")):
            finished = path.with_name(path.name.removesuffix(OPEN) + SUFFIX)
            if finished.exists():
                path.unlink(missing_ok=True)  # it died between the two steps of finishing
            else:
                path.rename(finished)
                recovered += 1
        yield Leftover(folder, home, waiting(folder), recovered, adopt)
        if not waiting(folder):
            _remove_if_empty(folder)
    finally:
        with suppress(OSError):
            os.close(held)


def replica_folders(roots: tuple[Path, ...]) -> list[Path]:
    """Folders of replicas, dead or alive; those set aside are not among them."""
    found = []
    for root in roots:
        with suppress(OSError):  # most often it is not there
            found += [
                p for p in root.iterdir() if p.is_dir() and SET_ASIDE not in p.name and not p.name.startswith(".")
            ]
    return sorted(found)


def read_spooled(path: Path, *, adopted: bool = False) -> Part:
    """A part in the spool.

    Args:
        path: The file.
        adopted: True leaves its seal unchecked.

    Raises:
        EvidenceError: it is damaged, or not this user's.
        OSError: it cannot be read.
    """
    return read_part(path.read_bytes(), seal=None if adopted else seal, name=path.name.removesuffix(SUFFIX))


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder, so that it is in nobody's way and still there to look at."""
    target = path.with_name(f"{path.name}{SET_ASIDE}-{uuid.uuid4().hex[:6]}")
    moved = path.rename(target)
    _log.warning("aims: %s is damaged; it is kept as %s and what it held is not counted", path.name, moved)
    return moved


def part_named(path: Path) -> PartId | None:
    """The part a file's name says it is; None where it says nothing."""
    with suppress(EvidenceError):
        return PartId.parse(path.name.removesuffix(SUFFIX))
    return None


def try_lock(folder: Path) -> int | None:
    """A lock on a replica's folder that ends with the process; None where another process holds it.

    Raises:
        OSError: the folder cannot be written, or its file system has no locks.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try:
            import fcntl
        except ImportError:
            return _lock_on_windows(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _lock_on_windows(descriptor: int) -> int | None:
    import msvcrt

    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _home_of(folder: Path, *, adopt: bool) -> Home | None:
    """What the folder says of itself; one that is damaged is set aside if it holds anything."""
    try:
        home = Home.model_validate(json.loads((folder / ABOUT).read_bytes()))
    except FileNotFoundError:
        if not any(name.name not in (LOCK, ABOUT) for name in folder.iterdir()):
            _remove_if_empty(folder)
            return None
        set_aside(folder)
        return None
    except (ValueError, ValidationError):
        set_aside(folder)
        return None
    if home.replica != folder.name:
        set_aside(folder)
        return None
    if adopt or home.seal == home.sealed().seal:
        return home
    _log.warning(
        "aims: %s was left by another user, or its key is gone; `aims observe deliver --adopt` delivers it", folder
    )
    return None


def _remove_if_empty(folder: Path) -> None:
    left = [path for path in folder.iterdir() if path.name not in (LOCK, ABOUT) and not path.name.startswith(".")]
    if not left:
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, name: str, content: bytes, *, flush: bool) -> Path:
    part = folder / f".{name}.new"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        if flush:
            stream.flush()
            os.fsync(stream.fileno())
    return part.replace(folder / name)
