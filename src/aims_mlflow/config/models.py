"""The AI system's declaration as code: the models behind ``aims.yaml``."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from aims_mlflow.config.gate import GatePolicy
from aims_mlflow.config.monitoring import MonitoringPolicy
from aims_mlflow.config.sections import MetricLimit, RiskClass, Section


class OrganizationRole(StrEnum):
    """What the organization is for this system (AI Act Art. 3, ISO/IEC 22989)."""

    PROVIDER = "provider"
    DEPLOYER = "deployer"
    PROVIDER_AND_DEPLOYER = "provider_and_deployer"
    IMPORTER = "importer"
    DISTRIBUTOR = "distributor"
    UNDECLARED = "undeclared"


class Person(Section):
    """Someone who answers for something; a function is better than a name."""

    name: str = Field(min_length=1)
    contact: str | None = None


class System(Section):
    """The AI system."""

    id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    """Short stable id, written to the tag ``aims.system_id``."""
    name: str | None = None
    purpose: str | None = None
    intended_use: str | None = None
    not_for: tuple[str, ...] = ()
    """Uses that are out of bounds."""
    owner: Person | None = None
    roles: dict[str, Person] = Field(default_factory=dict)
    """Role name to the person or function that holds it."""
    organization_role: OrganizationRole = OrganizationRole.UNDECLARED
    risk_class: RiskClass = RiskClass.UNCLASSIFIED
    risk_reason: str | None = None
    affected_groups: tuple[str, ...] = ()
    lifecycle_stage: Literal["inception", "design", "verification", "deployment", "operation", "retirement"] | None = (
        None
    )
    human_oversight: str | None = None


class Columns(Section):
    """Which column is what."""

    target: str | None = None
    prediction: str | None = None
    probability: str | None = None
    """Column with the predicted probability of the positive class."""
    positive_label: Any = None
    sensitive: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    """Identifiers: never profiled, never tested for drift."""
    time: str | None = None
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    """Columns to treat as categorical whatever their type."""
    numerical: tuple[str, ...] = ()
    safe_labels: tuple[str, ...] = ()
    """Columns whose category labels may be written in evidence; the labels of others are hashed."""


class Datasheet(Section):
    """One dataset: its role and what a reviewer must know of it."""

    role: Literal["training", "validation", "test", "reference", "current", "production", "other"] = "other"
    contexts: tuple[str, ...] = ()
    """MLflow contexts or dataset names that mean this dataset; its own name always does."""
    description: str | None = None
    owner: str | None = None
    origin: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    collected: str | None = None
    """Collection window."""
    labelling: str | None = None
    preparation: str | None = None
    """Criteria and methods of preparation, and why."""
    known_bias: str | None = None
    retention: str | None = None


class Rule(Section):
    """A data-quality rule in Great Expectations' language."""

    type: str
    """Expectation type, e.g. ``expect_column_values_to_be_between``."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    id: str | None = None
    severity: Literal["critical", "warning", "info"] = "critical"


class DataQualityPolicy(Section):
    """Rules the data must meet."""

    suite: str | None = None
    """Path of a Great Expectations suite (JSON), relative to ``aims.yaml``."""
    rules: tuple[Rule, ...] = ()
    derive: bool = True
    """Add rules derived from the declared columns and the reference data's profile."""
    max_missing_increase: float = Field(default=0.05, ge=0, le=1)
    """Derived rule: share of nulls a column may have above its reference."""
    range_margin: float = Field(default=0.5, ge=0)
    """Derived rule: how far, in widths of the reference's 1 %-99 % range, a numeric column may leave it."""
    unseen_share: float = Field(default=0.01, ge=0, le=1)
    """Derived rule: share of rows that may hold categories the reference has not."""
    max_categories: int = Field(default=200, ge=1)
    """Derived rule: more distinct values than this and no set rule is derived."""


class DriftPolicy(Section):
    """How drift is measured and what is too much."""

    enabled: bool = True
    method: str = "auto"
    """Evidently's method name for all columns, or ``auto`` for Evidently's own selection rule."""
    threshold: float | None = None
    """Limit for all columns; null for the method's own."""
    columns: dict[str, ColumnDriftPolicy] = Field(default_factory=dict)
    share_limit: float = Field(default=0.5, gt=0, le=1)
    """Share of drifted columns from which the dataset counts as drifted (Evidently's default 0.5)."""
    reference: str = "training"
    """Role, context or name of the dataset others are compared with."""
    false_alarm_budget: float | None = Field(default=None, gt=0, lt=1)
    """Per run: probability of calling at least one undrifted column drifted. Null: each column at its own limit."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    require_certain: bool = False
    """True: a column whose effect interval straddles the limit is ``uncertain``, not pass or fail by its score."""
    engine: Literal["native", "evidently"] = "native"
    evidently_html: bool = False
    """Attach Evidently's own page; it embeds category labels and sample texts."""


class ColumnDriftPolicy(Section):
    """Drift settings of one column."""

    method: str | None = None
    threshold: float | None = None
    skip: bool = False
    reason: str | None = None


class PerformancePolicy(Section):
    """What the model must reach."""

    task: Literal["auto", "classification", "multiclass", "regression"] = "auto"
    metrics: dict[str, MetricLimit] = Field(default_factory=dict)
    """Metric name (ours, or as logged to MLflow) to its limits."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    require_certain: bool = True
    """True: a metric whose interval straddles its limit is ``uncertain``."""
    baseline: str | None = None
    """Run id or model URI whose logged metrics are the baseline (champion)."""
    max_loss: float = Field(default=0.0, ge=0)
    """How much worse than the baseline a metric may be."""


class FairnessPolicy(Section):
    """How unequal groups may be treated."""

    metrics: dict[str, MetricLimit] = Field(default_factory=dict)
    """Disparity name, e.g. ``selection_rate_ratio`` or ``true_positive_rate_difference``, to its limits."""
    min_group_size: int = Field(default=30, ge=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    require_certain: bool = True


class PrivacyPolicy(Section):
    """What may leave the data."""

    smallest_cell: int = Field(default=5, ge=1)
    """Counts below it are suppressed."""


class ValidityPolicy(Section):
    """How long a finding holds where its evidence does not say."""

    version_bound_days: int = Field(default=365, ge=1, le=3_650)
    """Days from the capture of evidence that nothing dates and only a new version or event does away with: by then the
    management system's own cycle looks at it again."""
    open_days: int = Field(default=30, ge=1, le=3_650)
    """Days until what is missing, failed or could not be judged is looked at again."""


class Applicability(Section):
    """A line of the Statement of Applicability."""

    applicable: bool = True
    reason: str = Field(min_length=1)


class Attestation(Section):
    """A person's statement kept in ``aims.yaml``, for those who have no records experiment yet."""

    topic: str
    statement: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    approver: str | None = None
    valid_from: date
    valid_until: date
    document: str | None = None
    """Title or URI of the document."""
    supports: tuple[str, ...] = ()


class Declaration(Section):
    """The whole of ``aims.yaml``."""

    version: Literal[1] = 1
    system: System = System()
    registered_models: tuple[str, ...] = ()
    """Names or patterns (``credit-*``) of the registered models that belong to the system."""
    columns: Columns = Columns()
    datasets: dict[str, Datasheet] = Field(default_factory=dict)
    data_quality: DataQualityPolicy = DataQualityPolicy()
    drift: DriftPolicy = DriftPolicy()
    performance: PerformancePolicy = PerformancePolicy()
    fairness: FairnessPolicy = FairnessPolicy()
    privacy: PrivacyPolicy = PrivacyPolicy()
    monitoring: MonitoringPolicy | None = None
    """Live operation: windows, alarms, where the data comes from."""
    freshness: dict[str, int] = Field(default_factory=dict)
    """Clause or control id to its maximum evidence age in days, instead of the register's default."""
    validity: ValidityPolicy = ValidityPolicy()
    applicability: dict[str, Applicability] = Field(default_factory=dict)
    """Control id to whether it applies, with the reason (Statement of Applicability)."""
    attestations: tuple[Attestation, ...] = ()
    frameworks: tuple[str, ...] = ()
    """Files with further frameworks or custom controls, relative to ``aims.yaml``."""
    gate: GatePolicy | None = None
    """Which moves in the registry are guarded, and what each needs."""


DriftPolicy.model_rebuild()
Declaration.model_rebuild()
