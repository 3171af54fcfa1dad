"""Evidence about data: content fingerprint, quality rules, drift."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from aims_mlflow.evidence.base import DatasetRef, EvidenceBase, Interval, JsonValue, Number, Record, Sha256, Verdict


class ColumnFact(Record):
    """A column's name and type, no value of it."""

    name: str
    dtype: str
    missing: int
    """Rows that are null or NaN."""


class DatasetRecord(EvidenceBase):
    """A dataset the run used: digest of the full content, shape, columns."""

    kind: Literal["dataset"] = "dataset"
    dataset: DatasetRef
    source_type: str | None = None
    """MLflow's word for where it came from (``local``, ``s3``, ``code``...); no path."""
    schema_sha256: Sha256
    columns: tuple[ColumnFact, ...] = ()
    declared_as: str | None = None
    """Name of the entry in ``aims.yaml`` that describes it (its datasheet), if any."""


class RuleVerdict(StrEnum):
    """The outcome of one data-quality rule."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    VACUOUS = "vacuous"
    """It held only because there was nothing to judge: an empty frame or an all-null column."""
    ERROR = "error"
    """The rule raised (no such column, wrong type...)."""
    UNKNOWN = "unknown"
    """The installed rule engine does not know this rule type."""


class RuleResult(Record):
    """One rule and what it found; no value of the data."""

    rule_id: str
    """Stable: digest of type and arguments, or the id the author gave it."""
    rule: str
    """Great Expectations' name of the rule type, e.g. ``expect_column_values_to_not_be_null``."""
    column: str | None = None
    measure: str
    """What ``value`` counts, e.g. ``unexpected share``."""
    value: Number = None
    limit: JsonValue = None
    verdict: RuleVerdict
    rows: int | None = None
    """Rows the rule looked at (nulls it skips not counted)."""
    unexpected: int | None = None
    """Rows that broke the rule; null where suppressed (fewer than the smallest cell) or not counted per row."""
    severity: str | None = None
    error_type: str | None = None
    source: Literal["suite", "aims.yaml", "derived", "argument"] = "argument"
    reason: str = ""
    """Why the rule judged nothing (unknown type and the nearest known, no such column...); empty for pass and fail."""


class DataQualityEvidence(EvidenceBase):
    """Rules run over one dataset."""

    kind: Literal["data_quality"] = "data_quality"
    dataset: DatasetRef
    rules: tuple[RuleResult, ...] = ()
    suite_sha256: Sha256
    """Over the rule set in force."""
    suite_name: str | None = None


class ColumnDrift(Record):
    """One column compared with its reference."""

    column: str
    type: str
    """``numerical``, ``categorical``, ``text``, ``datetime``, ``id``, ``unsupported``..."""
    method: str | None = None
    direction: Literal["distance", "p_value"] | None = None
    """``distance``: high means drift; ``p_value``: low means drift."""
    score: Number = None
    score_low: Number = None
    """Proven lower bound of the score; equal to ``score`` when it is exact."""
    score_high: Number = None
    threshold: Number = None
    verdict: Verdict
    reason: str = ""
    effect: Interval | None = None
    """Effect size with its confidence interval; ``effect.method`` names both."""
    score_interval: Interval | None = None
    """Where sampling puts the score of the populations behind both samples; null where the method has none."""
    null_p: Number = None
    """Probability of a score at least as telling when nothing has drifted."""
    n_reference: int | None = None
    n_current: int | None = None
    missing_reference: int | None = None
    missing_current: int | None = None


class DriftEvidence(EvidenceBase):
    """One dataset compared with a reference, column by column."""

    kind: Literal["drift"] = "drift"
    reference: DatasetRef
    current: DatasetRef
    columns: tuple[ColumnDrift, ...] = ()
    drifted: int = 0
    tested: int = 0
    uncertain: int = 0
    not_tested: int = 0
    drifted_share: Number = None
    """Drifted over tested columns; null when none was tested."""
    share_limit: float
    false_alarm_budget: Number = None
    """Probability, over the whole run, of calling at least one undrifted column drifted."""
