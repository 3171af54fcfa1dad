"""A logged model's files, flavours, signature and environment as evidence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aims_mlflow.capture.run import COLLECTOR, python_version
from aims_mlflow.evidence import (
    Basis,
    EnvironmentRecord,
    ModelFile,
    ModelRecord,
    ModelRef,
    Subject,
    Verdict,
    canonical_json,
    sha256_of,
)

ADDED_BY_DOWNLOAD = ("registered_model_meta",)
"""Files MLflow writes into a local copy, beside ``MLmodel``; they are not part of what was logged."""

_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:===?\s*([^\s;,]+))?")


@dataclass(frozen=True)
class ModelFacts:
    """A model directory, read."""

    run_id: str | None
    model_id: str | None
    name: str | None
    flavors: tuple[str, ...]
    signature: dict[str, Any] | None
    input_example: bool
    mlflow_version: str | None
    files: tuple[ModelFile, ...]
    requirements: tuple[str, ...]
    python: str | None

    @property
    def sha256(self) -> str:
        """The model's digest: over path and SHA-256 of each file."""
        return files_sha256(self.files)

    @property
    def ref(self) -> ModelRef:
        """The model as a subject."""
        uri = f"models:/{self.model_id}" if self.model_id else None
        if uri is None and self.run_id and self.name:
            uri = f"runs:/{self.run_id}/{self.name}"
        return ModelRef(name=self.name, model_id=self.model_id, uri=uri, sha256=self.sha256)


def files_sha256(files: Iterable[ModelFile]) -> str:
    """``sha256:`` over the sorted manifest of paths and digests."""
    return sha256_of(canonical_json([[f.path, f.sha256] for f in sorted(files, key=lambda f: f.path)]))


def read_model_directory(
    directory: str | Path, *, model_id: str | None = None, name: str | None = None
) -> ModelFacts | None:
    """Read an MLflow model directory; None where it holds no ``MLmodel`` file.

    Raises:
        OSError: a file could not be read.
        ValueError: ``MLmodel`` is not YAML.
    """
    root = Path(directory)
    spec_path = root / "MLmodel"
    if not spec_path.is_file():
        return None
    import yaml

    try:
        spec = yaml.safe_load(spec_path.read_text("utf-8")) or {}
    except yaml.YAMLError as error:
        msg = "MLmodel is not YAML"
        raise ValueError(msg) from error
    files = tuple(
        _hash_file(path, root)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).as_posix() not in ADDED_BY_DOWNLOAD
    )
    requirements = root / "requirements.txt"
    lines = requirements.read_text("utf-8").splitlines() if requirements.is_file() else []
    flavors = spec.get("flavors") or {}
    pyfunc = flavors.get("python_function") or {}
    return ModelFacts(
        run_id=spec.get("run_id"),
        model_id=model_id or spec.get("model_id"),
        name=name or _plain_name(spec.get("artifact_path")),
        flavors=tuple(sorted(flavors)),
        signature=spec.get("signature"),
        input_example=bool(spec.get("saved_input_example_info")),
        mlflow_version=spec.get("mlflow_version"),
        files=files,
        requirements=tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))),
        python=pyfunc.get("python_version"),
    )


def _plain_name(artifact_path: object) -> str | None:
    """The name of the model; MLflow 3 writes the whole artifact URI into that field instead."""
    return artifact_path if isinstance(artifact_path, str) and ":/" not in artifact_path else None


def _hash_file(path: Path, root: Path) -> ModelFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return ModelFile(path=path.relative_to(root).as_posix(), sha256=f"sha256:{digest}", bytes=path.stat().st_size)


def _signature_size(signature: dict[str, Any] | None, side: str) -> int | None:
    raw = (signature or {}).get(side)
    if not raw:
        return None
    try:
        columns = json.loads(raw)
    except (TypeError, ValueError):
        return None
    return len(columns) if isinstance(columns, list) else 1


def model_record(facts: ModelFacts, *, subject: Subject, captured_at: datetime) -> ModelRecord:
    """The model as evidence."""
    size = sum(f.bytes for f in facts.files)
    lacks = [
        what for what, there in (("signature", facts.signature), ("input example", facts.input_example)) if not there
    ]
    reason = f"{len(facts.files)} files hashed, flavours {', '.join(facts.flavors) or 'none'}"
    return ModelRecord(
        collector=COLLECTOR,
        captured_at=captured_at,
        subject=subject,
        method="SHA-256 of every file of the model artifact as it was handed to MLflow.",
        verdict=Verdict.RECORDED,
        reason=reason + (f"; no {' and no '.join(lacks)}." if lacks else "."),
        flavors=facts.flavors,
        signature_inputs=_signature_size(facts.signature, "inputs"),
        signature_outputs=_signature_size(facts.signature, "outputs"),
        signature_sha256=sha256_of(canonical_json(facts.signature)) if facts.signature else None,
        input_example=facts.input_example,
        mlflow_version=facts.mlflow_version,
        files=facts.files,
        numbers={"files": len(facts.files), "bytes": size},
    )


def model_environment(facts: ModelFacts, *, subject: Subject, captured_at: datetime) -> EnvironmentRecord | None:
    """The environment packed with the model; None where it holds no requirements."""
    if not facts.requirements:
        return None
    packages: dict[str, str] = {}
    for line in facts.requirements:
        match = _REQUIREMENT.match(line)
        if match:
            packages[match[1].lower().replace("_", "-")] = match[2] or ""
    unpinned = tuple(sorted(name for name, version in packages.items() if not version))
    reason = f"{len(packages)} requirements packed with the model"
    return EnvironmentRecord(
        collector=COLLECTOR,
        captured_at=captured_at,
        subject=subject,
        method="requirements.txt and MLmodel of the logged model.",
        verdict=Verdict.RECORDED,
        reason=reason + (f", {len(unpinned)} of them without an exact version." if unpinned else ", all pinned."),
        python=facts.python or python_version(),
        packages=dict(sorted(packages.items())),
        source="model",
        unpinned=unpinned,
        basis=Basis.MEASURED,
        numbers={"packages": len(packages), "unpinned": len(unpinned)},
    )
