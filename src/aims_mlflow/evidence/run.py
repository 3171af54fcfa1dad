"""Evidence about the run itself, its model, environment and lineage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import EvidenceBase, JsonValue, Number, Record, Sha256


class RunRecord(EvidenceBase):
    """What MLflow knows of the run: parameters, metrics, source, outcome."""

    kind: Literal["run"] = "run"
    run_status: str
    """FINISHED, FAILED or KILLED, as the caller's code ended it."""
    exception: str | None = None
    """Class name of the exception that ended the run; its text may hold data and is not kept."""
    params: tuple[str, ...] = ()
    """Names of the logged parameters; the values stay in MLflow, bound by ``params_sha256``."""
    params_sha256: Sha256
    metrics: dict[str, Number] = Field(default_factory=dict)
    git_commit: str | None = None
    git_dirty: bool | None = None
    source_type: str | None = None
    parent_run_id: str | None = None
    child_run_ids: tuple[str, ...] = ()
    duration_seconds: Number = None


class EnvironmentRecord(EvidenceBase):
    """The software the run used."""

    kind: Literal["environment"] = "environment"
    python: str
    packages: dict[str, str]
    """Distribution name to version; empty version where a requirement is not pinned."""
    source: Literal["model", "process"]
    """Read from the logged model's requirements, or from the running process."""
    unpinned: tuple[str, ...] = ()


class ModelFile(Record):
    """One file of the model artifact."""

    path: str
    sha256: Sha256
    bytes: int


class ModelRecord(EvidenceBase):
    """A logged model: flavours, signature, input example and the digest of every file."""

    kind: Literal["model"] = "model"
    flavors: tuple[str, ...] = ()
    signature_inputs: int | None = None
    """Number of declared input columns or tensors; null without a signature."""
    signature_outputs: int | None = None
    signature_sha256: Sha256 | None = None
    input_example: bool = False
    """Whether an input example was logged with it (its values are not copied here)."""
    mlflow_version: str | None = None
    files: tuple[ModelFile, ...] = ()


class LineageEdge(Record):
    """``source`` was used to make ``target``."""

    source: str
    target: str
    relation: Literal["input", "output", "parent", "registered_as"]


class LineageRecord(EvidenceBase):
    """The chain dataset - run - logged model - registered version."""

    kind: Literal["lineage"] = "lineage"
    edges: tuple[LineageEdge, ...] = ()


class DeclarationRecord(EvidenceBase):
    """What ``aims.yaml`` declared when the run was captured, and what it left out."""

    kind: Literal["declaration"] = "declaration"
    declaration_sha256: Sha256 | None = None
    """Over the bytes of the file; null when there was none."""
    declared: tuple[str, ...] = ()
    """Dotted names of the fields that were filled in."""
    undeclared: tuple[str, ...] = ()
    """Dotted names of the fields a reviewer will ask for and that are missing."""
    content: dict[str, JsonValue] = Field(default_factory=dict)
    """What was declared, so that the run can be judged again: without arguments of rules and the positive label."""


class CaptureErrorRecord(EvidenceBase):
    """A collector of ours could not run. No control accepts it."""

    kind: Literal["capture_error"] = "capture_error"
    of_kind: str
    """The kind of evidence that is missing because of it."""
    stage: str
    error_type: str
    """Class of the exception; its text may hold data and is not kept."""
