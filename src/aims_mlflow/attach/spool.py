"""Evidence that could not be delivered, kept on disk until it can be."""

from __future__ import annotations

import getpass
import json
import os
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import EvidenceBase, canonical_json, now, parse_evidence

_FORMAT = "1"


@dataclass(frozen=True)
class SpoolEntry:
    """One undelivered bundle."""

    path: Path
    tracking_uri: str
    run_id: str
    reason: str
    evidence: tuple[EvidenceBase, ...]
    config: str | None = None
    """The ``aims.yaml`` that was in force."""


def spool_directory() -> Path:
    """``$AIMS_SPOOL_DIR``, else ``.aims/spool`` in the working folder."""
    named = os.environ.get("AIMS_SPOOL_DIR")
    return Path(named) if named else Path.cwd() / ".aims" / "spool"


def _fallback_directory() -> Path:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    return Path(tempfile.gettempdir()) / f"aims-spool-{user}"


def spool(
    tracking_uri: str, run_id: str, evidence: Sequence[EvidenceBase], *, reason: str, config: str | None = None
) -> Path:
    """Write a bundle to disk, whole or not at all; the folder for temporary files serves if the spool is not writable.

    Returns:
        The file.

    Raises:
        OSError: neither place can be written.
    """
    content = canonical_json(
        {
            "format": _FORMAT,
            "tracking_uri": tracking_uri,
            "run_id": run_id,
            "reason": reason,
            "config": config,
            "evidence": [record.model_dump(mode="json") for record in evidence],
        }
    )
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


def spooled_files() -> list[Path]:
    """The waiting bundles, oldest first."""
    return sorted(
        (p for d in {spool_directory(), _fallback_directory()} for p in d.glob("*.json")), key=lambda p: p.name
    )


def read_entry(path: Path) -> SpoolEntry:
    """A waiting bundle.

    Raises:
        EvidenceError: the file cannot be read; it is left where it is.
    """
    try:
        plain = json.loads(path.read_bytes())
        if plain["format"] != _FORMAT:
            raise EvidenceError(f"spool format {plain['format']!r} is not known", where=str(path))
        return SpoolEntry(
            path=path,
            tracking_uri=plain["tracking_uri"],
            run_id=plain["run_id"],
            reason=plain["reason"],
            config=plain.get("config"),
            evidence=tuple(parse_evidence(r, where=str(path)) for r in plain["evidence"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(
            "the spool file cannot be read", where=str(path), remedy="It is kept; open it or move it away."
        ) from error
