"""The files under ``aims/`` of a run, and the manifest that binds them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import EvidenceBase, Record, Sha256, Tool, UtcTime, canonical_json, parse_evidence, sha256_of

ROOT = "aims"
"""Artifact folder of a run that holds everything we write."""
MANIFEST = "manifest.json"
ASSESSMENT = "assessment.json"
REPORT_HTML = "report.html"
REPORT_MD = "report.md"
MATRIX = "controls_matrix.json"
EVIDENCE_TAG = "aims.evidence"
"""The commit record: it names the digest of the manifest."""

_EVIDENCE_NAME = re.compile(r"^evidence/[a-z0-9_.]+-([0-9a-f]{16})\.json$")


class FileEntry(Record):
    """One file under ``aims/``."""

    sha256: Sha256
    bytes: int


class Manifest(Record):
    """Every file under ``aims/`` with its digest; the tag ``aims.evidence`` names the digest of this file."""

    schema_version: Literal["1"] = "1"
    run_id: str
    created_at: UtcTime
    collector: Tool
    files: dict[str, FileEntry]

    @property
    def evidence_paths(self) -> tuple[str, ...]:
        """The evidence files it lists."""
        return tuple(path for path in self.files if _EVIDENCE_NAME.match(path))


def evidence_path(record: EvidenceBase) -> str:
    """``evidence/<kind>-<first 16 hex digits of its digest>.json``."""
    kind = re.sub(r"[^a-z0-9_.]", "_", str(getattr(record, "kind", "custom")))
    return f"evidence/{kind}-{record.digest.removeprefix('sha256:')[:16]}.json"


def kind_of_path(path: str) -> str:
    """The kind in an evidence file's name."""
    return path.removeprefix("evidence/").rpartition("-")[0]


def names_itself(path: str, content: bytes) -> bool:
    """Whether an evidence file's name agrees with its content."""
    match = _EVIDENCE_NAME.match(path)
    return bool(match) and sha256_of(content).removeprefix("sha256:").startswith(match[1] if match else "-")


def entry_of(content: bytes) -> FileEntry:
    """Digest and size of a file's content."""
    return FileEntry(sha256=sha256_of(content), bytes=len(content))


def build_manifest(
    run_id: str, files: Mapping[str, FileEntry], *, created_at: datetime, collector: Tool
) -> tuple[bytes, str]:
    """The manifest's bytes and digest."""
    manifest = Manifest(run_id=run_id, created_at=created_at, collector=collector, files=dict(sorted(files.items())))
    content = canonical_json(manifest)
    return content, sha256_of(content)


def read_manifest(content: bytes, *, expected: str, run_id: str) -> Manifest:
    """Parse a manifest and hold it against the digest the tag names.

    Raises:
        EvidenceError: the digest differs, or it is another run's manifest.
    """
    where = f"run {run_id}, {ROOT}/{MANIFEST}"
    remedy = f"Do not rely on this run's evidence. `aims assess {run_id}` gathers again what is still intact."
    if sha256_of(content) != expected:
        raise EvidenceError(
            f"the manifest's digest is not the one the tag {EVIDENCE_TAG} names", where=where, remedy=remedy
        )
    try:
        manifest = Manifest.model_validate(json.loads(content))
    except (ValueError, ValidationError) as error:
        raise EvidenceError("the manifest cannot be read", where=where, remedy=remedy) from error
    if manifest.run_id != run_id:
        raise EvidenceError(f"the manifest belongs to run {manifest.run_id}", where=where, remedy=remedy)
    return manifest


def check_file(manifest: Manifest, path: str, content: bytes | None) -> bytes:
    """The content, if it is the one the manifest lists.

    Raises:
        EvidenceError: the file is absent or its digest differs.
    """
    where = f"run {manifest.run_id}, {ROOT}/{path}"
    remedy = f"Do not rely on it. `aims assess {manifest.run_id}` gathers again what is still intact."
    entry = manifest.files.get(path)
    if entry is None and not path.startswith("evidence/"):
        what = "the run was not assessed" if content is None else "evidence was added after the run was assessed"
        raise EvidenceError(what, where=where, remedy=f"Assess it: `aims assess {manifest.run_id}`.")
    if entry is None:
        raise EvidenceError("the manifest does not list this file", where=where, remedy=remedy)
    if content is None:
        raise EvidenceError("the file is listed in the manifest and absent", where=where, remedy=remedy)
    if sha256_of(content) != entry.sha256:
        raise EvidenceError("the file's content is not what the manifest lists", where=where, remedy=remedy)
    return content


def parse_all(contents: Iterable[tuple[str, bytes]], *, run_id: str) -> list[EvidenceBase]:
    """Evidence records from file contents, oldest first."""
    records = [parse_evidence(content, where=f"run {run_id}, {ROOT}/{path}") for path, content in contents]
    return sorted(records, key=lambda r: (r.captured_at, r.digest))
