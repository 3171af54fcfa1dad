"""The inventory: AI systems, the models that belong to them, and their risk class with its reasons."""

from __future__ import annotations

from pydantic import Field

from aims_mlflow.config.models import OrganizationRole
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.evidence.base import Record


class SystemContent(Record):
    """An AI system, as declared. The record's id is the system's id."""

    name: str
    purpose: str | None = None
    intended_use: str | None = None
    not_for: tuple[str, ...] = ()
    organization_role: OrganizationRole = OrganizationRole.UNDECLARED
    lifecycle_stage: str | None = None
    registered_models: tuple[str, ...] = ()
    """Names or patterns of registered models, as in ``aims.yaml``."""
    risk_class: RiskClass = RiskClass.UNCLASSIFIED
    risk_reason: str | None = None
    answers: dict[str, str] = Field(default_factory=dict)
    """The questionnaire: question id to ``yes``, ``no`` or ``unsure``."""
    questionnaire: str | None = None
    """Id and version of the questionnaire that was answered."""
    regions: tuple[str, ...] = ()
    data_sources: tuple[str, ...] = ()
    affected_groups: tuple[str, ...] = ()
    human_oversight: str | None = None
    declaration_sha256: str | None = None
    """Digest of the ``aims.yaml`` it was taken from."""
