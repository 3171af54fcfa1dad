"""The files of a model where they lie: hashed on this machine's disk, else listed."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from aims_mlflow.capture.model import ADDED_BY_DOWNLOAD, files_sha256
from aims_mlflow.evidence import ModelFile
from aims_mlflow.gate.statement import listing_digest

_MOST_FILES = 20_000
_DEEPEST = 30
_SERVED_FROM = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
"""MLflow's server sets it for its workers: what ``mlflow-artifacts:`` stands for there."""
_OWN_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
"""As above: where new experiments keep their artifacts; it may name the server itself."""


class FilesUnreadable(Exception):  # noqa: N818  (a reason, shown to people)
    """Why a model's files could not be looked at, in a few words."""


@dataclass(frozen=True)
class FileDigests:
    """What was found where a model lies."""

    model_sha256: str | None
    """Over path and content; None where they were only listed."""
    listing_sha256: str
    """Over path and size."""


def digests_at(location: str, *, tracking_uri: str | None, hashed: bool = True) -> FileDigests:
    """Digests of the files at an artifact location.

    Args:
        location: URI or path of the model's folder.
        tracking_uri: Server that ``mlflow-artifacts:`` goes through, outside of the server itself.
        hashed: False lists files that could be hashed.

    Raises:
        FilesUnreadable: there are none, or they cannot be read.
    """
    location = served_location(location)
    folder = local_folder(location)
    if folder is not None:
        return _on_disk(folder, hashed=hashed)
    return FileDigests(None, listing_digest(_listed(location, tracking_uri)))


def served_location(location: str) -> str:
    """The location itself; in MLflow's server what ``mlflow-artifacts:`` stands for.

    Raises:
        FilesUnreadable: the path leaves the place the server serves from, names another server, or could be read in
            more than one way.
    """
    destination = os.environ.get(_SERVED_FROM, "")
    parts = urlsplit(location)
    if parts.scheme != "mlflow-artifacts" or not destination:
        return location
    if parts.netloc not in {"", urlsplit(os.environ.get(_OWN_ROOT, "")).netloc}:
        msg = "the model's files lie on another server"
        raise FilesUnreadable(msg)
    path = parts.path
    if ".." in path.split("/") or set(path) & set("%\0\\") or parts.query or parts.fragment:
        msg = "the model's files lie outside the artifact store, or in a folder of a strange name"
        raise FilesUnreadable(msg)
    return f"{destination.rstrip('/')}/{path.lstrip('/')}"


def local_folder(location: str) -> Path | None:
    """The folder on this machine's disk a location names; None where it names another place.

    MLflow decodes a plain path as it does a URI, so what it loads from ``model%2F..%2Fother`` lies in ``other``.
    """
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path)) if parts.netloc in {"", "localhost"} else None
    if parts.scheme == "" or (len(parts.scheme) == 1 and os.name == "nt"):
        return Path(unquote(location))
    return None


# on disk


class _Hashes:
    """Digest of every file and folder hashed before, for as long as size and times stay; bounded."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[Any, str] = OrderedDict()
        self.unlock()

    def unlock(self) -> None:
        """A lock of its own, for a process forked while another thread held it."""
        self._lock = threading.Lock()

    def get(self, key: Any) -> str | None:
        with self._lock:
            return self._held.get(key)

    def put(self, key: Any, digest: str) -> None:
        with self._lock:
            self._held[key] = digest
            while len(self._held) > self._size:
                self._held.popitem(last=False)


_FILES, _FOLDERS = _Hashes(50_000), _Hashes(2_000)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FILES.unlock)
    os.register_at_fork(after_in_child=_FOLDERS.unlock)

_Signature = tuple[str, int, int, int, int]
"""Path, size, time of change of content and of the file's record, number of the file. The third can be set back by
whoever owns the file, the fourth not."""


def _on_disk(folder: Path, *, hashed: bool) -> FileDigests:
    try:
        found = sorted(_walk(folder))
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        msg = f"the model's files cannot be read ({type(error).__name__})"
        raise FilesUnreadable(msg) from error
    if not found:
        msg = "the model has no files"
        raise FilesUnreadable(msg)
    listing = listing_digest((path, size) for path, size, *_ in found)
    if not hashed:
        return FileDigests(None, listing)
    key = (str(folder), tuple(found))
    model = _FOLDERS.get(key)
    if model is None:
        model = _hashed(folder, found)
        _FOLDERS.put(key, model)
    return FileDigests(model, listing)


def _hashed(folder: Path, found: list[_Signature]) -> str:
    import hashlib

    files = []
    for signature in found:
        path, size, *_ = signature
        key = (str(folder), signature)
        digest = _FILES.get(key)
        if digest is None:
            try:
                with (folder / path).open("rb") as stream:
                    digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
                    after = os.fstat(stream.fileno())
            except OSError as error:
                msg = f"the model's files cannot be read ({type(error).__name__})"
                raise FilesUnreadable(msg) from error
            if _signature(path, after) != signature:
                msg = "the model's files changed while they were read"
                raise FilesUnreadable(msg)
            _FILES.put(key, digest)
        files.append(ModelFile(path=path, sha256=digest, bytes=size))
    return files_sha256(files)


def _walk(folder: Path) -> Iterator[_Signature]:
    """Every file below the folder. Nothing but plain files and folders may be there: a link could lead anywhere."""
    pending, count = [(str(folder), "", 0)], 0
    while pending:
        place, prefix, depth = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                count += 1
                path = prefix + entry.name
                status = entry.stat(follow_symlinks=False)
                if count > _MOST_FILES or depth > _DEEPEST:
                    msg = "the model has too many files"
                    raise FilesUnreadable(msg)
                if stat.S_ISDIR(status.st_mode):
                    pending.append((entry.path, f"{path}/", depth + 1))
                elif not stat.S_ISREG(status.st_mode):
                    msg = "among the model's files is a link or device"
                    raise FilesUnreadable(msg)
                elif path not in ADDED_BY_DOWNLOAD:
                    yield _signature(path, status)


def _signature(path: str, status: os.stat_result) -> _Signature:
    return path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


# elsewhere


def _listed(location: str, tracking_uri: str | None) -> list[tuple[str, int]]:
    """Path and size of every file, through MLflow's artifact repository."""
    found: list[tuple[str, int]] = []
    try:
        repository = _repository(location, tracking_uri)
        pending: list[tuple[str | None, int]] = [(None, 0)]
        while pending:
            place, depth = pending.pop()
            for item in repository.list_artifacts(place):
                if item.is_dir:
                    pending.append((item.path, depth + 1))
                elif item.path not in ADDED_BY_DOWNLOAD:
                    found.append((item.path, int(item.file_size)))
            if len(found) > _MOST_FILES or depth > _DEEPEST:
                msg = "the model has too many files"
                raise FilesUnreadable(msg)
    except FilesUnreadable:
        raise
    except Exception as error:  # every artifact store has errors of its own
        msg = f"the model's files cannot be listed ({type(error).__name__})"
        raise FilesUnreadable(msg) from error
    if not found:
        msg = "the model has no files"
        raise FilesUnreadable(msg)
    return found


def _repository(location: str, tracking_uri: str | None) -> Any:
    from inspect import signature

    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if tracking_uri and "tracking_uri" in signature(get_artifact_repository).parameters:
        return get_artifact_repository(location, tracking_uri=tracking_uri)
    return get_artifact_repository(location)
