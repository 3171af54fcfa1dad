"""Evidence: frozen records of something observed, a union by ``kind``."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence.base import (
    SCHEMA_VERSION,
    Basis,
    DatasetRef,
    EvidenceBase,
    EvidenceStatus,
    Interval,
    ModelRef,
    Number,
    Record,
    RunRef,
    Sha256,
    Subject,
    Threshold,
    Tool,
    UtcTime,
    Verdict,
    canonical_json,
    now,
    sha256_of,
)
from aims_mlflow.evidence.data import (
    ColumnDrift,
    ColumnFact,
    DataQualityEvidence,
    DatasetRecord,
    DriftEvidence,
    RuleResult,
    RuleVerdict,
)
from aims_mlflow.evidence.live import (
    AlarmState,
    EstimatedPerformance,
    MonitoringWindow,
    ReferenceProfile,
    TraceWindow,
    WindowRef,
)
from aims_mlflow.evidence.model_quality import (
    Comparison,
    Disparity,
    FairnessEvidence,
    GroupResult,
    MetricResult,
    PerformanceEvidence,
)
from aims_mlflow.evidence.records import AttestationRecord, CustomRecord, DocumentRef, RegistryMoveRecord
from aims_mlflow.evidence.run import (
    CaptureErrorRecord,
    DeclarationRecord,
    EnvironmentRecord,
    LineageEdge,
    LineageRecord,
    ModelFile,
    ModelRecord,
    RunRecord,
)

_BY_KIND: dict[str, type[EvidenceBase]] = {
    "run": RunRecord,
    "environment": EnvironmentRecord,
    "model": ModelRecord,
    "lineage": LineageRecord,
    "declaration": DeclarationRecord,
    "capture_error": CaptureErrorRecord,
    "dataset": DatasetRecord,
    "data_quality": DataQualityEvidence,
    "drift": DriftEvidence,
    "performance": PerformanceEvidence,
    "fairness": FairnessEvidence,
    "attestation": AttestationRecord,
    "registry_move": RegistryMoveRecord,
    "reference_profile": ReferenceProfile,
    "monitoring_window": MonitoringWindow,
    "estimated_performance": EstimatedPerformance,
    "trace_window": TraceWindow,
}

TYPED_KINDS: tuple[str, ...] = tuple(_BY_KIND)
"""Kinds with a model of their own; any other kind is a ``CustomRecord``."""


def _kind_of(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in _BY_KIND else "custom"


Evidence = Annotated[
    Annotated[RunRecord, Tag("run")]
    | Annotated[EnvironmentRecord, Tag("environment")]
    | Annotated[ModelRecord, Tag("model")]
    | Annotated[LineageRecord, Tag("lineage")]
    | Annotated[DeclarationRecord, Tag("declaration")]
    | Annotated[CaptureErrorRecord, Tag("capture_error")]
    | Annotated[DatasetRecord, Tag("dataset")]
    | Annotated[DataQualityEvidence, Tag("data_quality")]
    | Annotated[DriftEvidence, Tag("drift")]
    | Annotated[PerformanceEvidence, Tag("performance")]
    | Annotated[FairnessEvidence, Tag("fairness")]
    | Annotated[AttestationRecord, Tag("attestation")]
    | Annotated[RegistryMoveRecord, Tag("registry_move")]
    | Annotated[ReferenceProfile, Tag("reference_profile")]
    | Annotated[MonitoringWindow, Tag("monitoring_window")]
    | Annotated[EstimatedPerformance, Tag("estimated_performance")]
    | Annotated[TraceWindow, Tag("trace_window")]
    | Annotated[CustomRecord, Tag("custom")],
    Discriminator(_kind_of),
]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Evidence)


def parse_evidence(content: bytes | str | dict[str, Any], *, where: str = "") -> EvidenceBase:
    """One evidence record from its JSON form.

    Raises:
        EvidenceError: not JSON, another schema version, or fields that do not fit the kind.
    """
    try:
        plain = content if isinstance(content, dict) else json.loads(content)
    except ValueError as error:
        raise EvidenceError("the evidence is not JSON", where=where) from error
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    if version != SCHEMA_VERSION:
        raise EvidenceError(
            f"the evidence has schema version {version!r}, this library reads {SCHEMA_VERSION!r}",
            where=where,
            remedy="Read it with the version of aims-mlflow that wrote it, named in its 'collector'.",
        )
    try:
        record: EvidenceBase = _ADAPTER.validate_python(plain)
    except ValidationError as error:
        fields = ", ".join(".".join(str(p) for p in e["loc"]) for e in error.errors()[:5])
        raise EvidenceError(f"the evidence does not fit its kind; wrong fields: {fields}", where=where) from error
    return record


def evidence_json_schema() -> dict[str, Any]:
    """The JSON schema of the union, as shipped in ``schema/``."""
    schema = _ADAPTER.json_schema(mode="serialization")
    for kind in schema["$defs"].values():
        told_by = [name for name in ("kind", "schema_version") if name in kind.get("properties", {})]
        if len(told_by) == 2:  # both have a default in code, but no record is written without
            required = kind.get("required", [])
            kind["required"] = [*required, *(name for name in told_by if name not in required)]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "aims-mlflow evidence", **schema}


__all__ = [
    "SCHEMA_VERSION",
    "TYPED_KINDS",
    "AlarmState",
    "AttestationRecord",
    "Basis",
    "CaptureErrorRecord",
    "ColumnDrift",
    "ColumnFact",
    "Comparison",
    "CustomRecord",
    "DataQualityEvidence",
    "DatasetRecord",
    "DatasetRef",
    "DeclarationRecord",
    "Disparity",
    "DocumentRef",
    "DriftEvidence",
    "EnvironmentRecord",
    "EstimatedPerformance",
    "Evidence",
    "EvidenceBase",
    "EvidenceStatus",
    "FairnessEvidence",
    "GroupResult",
    "Interval",
    "LineageEdge",
    "LineageRecord",
    "MetricResult",
    "ModelFile",
    "ModelRecord",
    "ModelRef",
    "MonitoringWindow",
    "Number",
    "PerformanceEvidence",
    "Record",
    "ReferenceProfile",
    "RegistryMoveRecord",
    "RuleResult",
    "RuleVerdict",
    "RunRecord",
    "RunRef",
    "Sha256",
    "Subject",
    "Threshold",
    "Tool",
    "TraceWindow",
    "UtcTime",
    "Verdict",
    "WindowRef",
    "canonical_json",
    "evidence_json_schema",
    "now",
    "parse_evidence",
    "sha256_of",
]
