"""Evidence that could not be delivered, kept on disk until it can be.

A bundle is sealed with a key that only its user can read (HMAC-SHA256), so that a file somebody else left in a shared
folder, or a checked-out repository brought along, is never delivered as this user's evidence.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from aims_mlflow.config import Declaration, Settings
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import EvidenceBase, canonical_json, now, parse_evidence

_FORMAT = "1"
_KEY_BYTES = 32


@dataclass(frozen=True)
class SpoolEntry:
    """One undelivered bundle."""

    path: Path
    tracking_uri: str
    run_id: str
    reason: str
    evidence: tuple[EvidenceBase, ...]
    settings: Settings
    """The declaration that was in force."""
    assess: bool
    """Whether it was to be assessed."""


def spool_directory() -> Path:
    """``$AIMS_SPOOL_DIR``, else ``.aims/spool`` in the working folder."""
    named = os.environ.get("AIMS_SPOOL_DIR")
    return Path(named) if named else Path.cwd() / ".aims" / "spool"


def _state_directory() -> Path:
    """The user's folder for state; one of his own among the temporary files where he has no home."""
    named = os.environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):
        return (Path(named) if named else Path.home() / ".local" / "state") / "aims-mlflow"
    return Path(tempfile.gettempdir()) / f"aims-mlflow-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _fallback_directory() -> Path:
    return _state_directory() / "spool"


def spool(
    tracking_uri: str,
    run_id: str,
    evidence: Sequence[EvidenceBase],
    *,
    reason: str,
    settings: Settings | None = None,
    assess: bool = True,
) -> Path:
    """Write a bundle to disk, whole or not at all; the user's state folder serves if the spool is not writable.

    Returns:
        The file.

    Raises:
        OSError: neither place can be written.
    """
    used = settings or Settings()
    body = {
        "format": _FORMAT,
        "tracking_uri": tracking_uri,
        "run_id": run_id,
        "reason": reason,
        "assess": assess,
        "declaration": used.declaration.model_dump(mode="json"),
        "declaration_path": str(used.path) if used.path else None,
        "declaration_sha256": used.sha256,
        "evidence": [record.model_dump(mode="json") for record in evidence],
    }
    content = canonical_json({"body": body, "seal": _seal(body)})
    name = f"{now():%Y%m%dT%H%M%S}-{run_id}-{uuid.uuid4().hex[:8]}.json"
    try:
        return _write(spool_directory(), name, content)
    except OSError:
        return _write(_fallback_directory(), name, content)


def _write(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = folder / f".{name}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return part.rename(folder / name)


def seal_of(content: bytes) -> str:
    """Seal of other content of this user's on the same disk, in hexadecimal.

    Raises:
        OSError: the user's key can neither be read nor made.
    """
    return hmac.new(_key(), content, hashlib.sha256).hexdigest()


def spool_folders() -> tuple[Path, Path]:
    """Where undelivered content goes, and where if that cannot be written."""
    return spool_directory(), _fallback_directory()


def _seal(body: object) -> str:
    return hmac.new(_key(), canonical_json(body), hashlib.sha256).hexdigest()


def _key() -> bytes:
    """The user's sealing key, made on first use; readable by its user only.

    Raises:
        OSError: it can neither be read nor made, or others may read it.
    """
    path = _state_directory() / "spool.key"
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
    about = path.lstat()
    foreign = hasattr(os, "getuid") and (about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077)
    if foreign or not stat.S_ISREG(about.st_mode):
        msg = f"{path} does not belong to this user alone"
        raise OSError(msg)
    return path.read_bytes()


def spooled_files() -> list[Path]:
    """The waiting bundles, oldest first."""
    found = []
    for folder in {spool_directory(), _fallback_directory()}:
        with suppress(OSError):  # most often it is not there
            found += [path for path in folder.iterdir() if path.name.endswith(".json")]
    return sorted(found, key=lambda path: path.name)


def read_entry(path: Path) -> SpoolEntry:
    """A waiting bundle.

    Raises:
        EvidenceError: the file cannot be read, or this user did not spool it; it is left where it is.
    """
    try:
        whole = json.loads(path.read_bytes())
        body = whole["body"]
        sealed = hmac.compare_digest(str(whole["seal"]), _seal(body))
        if body["format"] != _FORMAT:
            raise EvidenceError(f"spool format {body['format']!r} is not known", where=str(path))
        if not sealed:
            raise EvidenceError(
                "the spool file was not written by this user, or was changed since",
                where=str(path),
                remedy="It is not delivered. Deliver it as the user who spooled it, or remove it.",
            )
        declared_at = Path(body["declaration_path"]) if body["declaration_path"] else None
        return SpoolEntry(
            path=path,
            tracking_uri=body["tracking_uri"],
            run_id=body["run_id"],
            reason=body["reason"],
            settings=Settings(
                Declaration.model_validate_json(json.dumps(body["declaration"])),
                declared_at,
                body["declaration_sha256"],
            ),
            assess=bool(body["assess"]),
            evidence=tuple(parse_evidence(r, where=str(path)) for r in body["evidence"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise EvidenceError(
            "the spool file cannot be read", where=str(path), remedy="It is kept; open it or move it away."
        ) from error
