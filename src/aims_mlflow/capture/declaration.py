"""What evidence keeps of ``aims.yaml``: enough to judge the run again where the file is not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from aims_mlflow.config import Declaration, Settings
from aims_mlflow.evidence import DeclarationRecord, EvidenceBase

_SECTIONS = frozenset(
    {
        "system",
        "registered_models",
        "columns",
        "datasets",
        "data_quality",
        "drift",
        "performance",
        "fairness",
        "privacy",
        "freshness",
        "applicability",
        "attestations",
        "frameworks",
    }
)
"""All but the gate, which reads its own rules from the file."""
_MARK = "performance"
"""A section that records of earlier versions, which kept too little to judge by, do not hold."""


def declared_content(declaration: Declaration) -> dict[str, Any]:
    """The declaration without what may quote the data: arguments of rules and the positive label."""
    return declaration.model_dump(
        mode="json",
        include=set(_SECTIONS),
        exclude={"columns": {"positive_label"}, "data_quality": {"rules": {"__all__": {"kwargs"}}}},
    )


def settings_on_record(evidence: Sequence[EvidenceBase]) -> Settings | None:
    """The declaration a run was captured with; None where it had none, or a record too short to judge by."""
    found = [r for r in evidence if isinstance(r, DeclarationRecord)]
    latest = max(found, key=lambda r: r.captured_at, default=None)
    if latest is None or not latest.declared or _MARK not in latest.content:
        return None
    try:
        declaration = Declaration.model_validate(dict(latest.content))
    except ValidationError:  # written by a version with other sections
        return None
    return Settings(declaration, None, latest.declaration_sha256)
