"""Measurements as evidence: the numbers of ``measure`` with subject, time and collector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, overload

from aims_mlflow.capture.estimated import calibration_parameters
from aims_mlflow.capture.run import COLLECTOR, RunFacts, carried, not_carried
from aims_mlflow.config import Settings
from aims_mlflow.evidence import (
    Basis,
    DataQualityEvidence,
    DatasetRef,
    DriftEvidence,
    FairnessEvidence,
    PerformanceEvidence,
    Subject,
)
from aims_mlflow.frames import Table, as_table, fingerprint_table


def _source(settings: Settings) -> str:
    """Where limits come from, for the record."""
    return "aims.yaml" if settings.path else "argument"


def quality_evidence(
    table: Table,
    ref: DatasetRef,
    *,
    settings: Settings,
    subject: Subject,
    at: datetime,
    reference: Table | None = None,
    suite: Any = None,
) -> DataQualityEvidence:
    """Run the rules in force over a table.

    Args:
        table: The data.
        ref: The dataset, by content.
        settings: The declaration in force.
        subject: What the evidence is about.
        at: When.
        reference: The data the derived limits come from; None derives from the declaration alone.
        suite: The caller's rules, which then are the only ones; a path is read as JSON.

    Raises:
        ConfigError: the suite is wrong.
    """
    from aims_mlflow.measure.quality import as_suite, measure_quality, profile_table, read_suite, suite_from_policy
    from aims_mlflow.measure.quality import suite_in_force as in_force

    declaration = settings.declaration
    policy, columns, privacy = declaration.data_quality, declaration.columns, declaration.privacy
    if suite is not None:
        is_file = isinstance(suite, Path) or (isinstance(suite, str) and not suite.lstrip().startswith(("{", "[")))
        rules = read_suite(Path(suite)) if is_file else as_suite(suite)
    else:
        own = suite_from_policy(policy, base=settings.path.parent if settings.path else None)
        profile = profile_table(reference, policy=policy, columns=columns, privacy=privacy) if reference else None
        labelled = columns.target is None or columns.target in table or ref.role in {"training", "validation", "test"}
        rules = in_force(own, policy=policy, columns=columns, profile=profile, labelled=labelled)
    payload = measure_quality(table, rules=rules, privacy=privacy, columns=columns)
    return DataQualityEvidence(collector=COLLECTOR, captured_at=at, subject=subject, dataset=ref, **payload.as_fields())


@overload
def drift_evidence(
    reference: Table,
    current: Table,
    reference_ref: DatasetRef,
    current_ref: DatasetRef,
    *,
    settings: Settings,
    subject: Subject,
    at: datetime,
    with_page: Literal[True],
) -> tuple[DriftEvidence, str | None]: ...


@overload
def drift_evidence(
    reference: Table,
    current: Table,
    reference_ref: DatasetRef,
    current_ref: DatasetRef,
    *,
    settings: Settings,
    subject: Subject,
    at: datetime,
    with_page: Literal[False] = False,
) -> DriftEvidence: ...


def drift_evidence(
    reference: Table,
    current: Table,
    reference_ref: DatasetRef,
    current_ref: DatasetRef,
    *,
    settings: Settings,
    subject: Subject,
    at: datetime,
    with_page: bool = False,
) -> DriftEvidence | tuple[DriftEvidence, str | None]:
    """Compare a table with its reference; ``with_page`` adds Evidently's own page, where the policy asks for it."""
    from dataclasses import fields

    from aims_mlflow.measure.drift import measure_drift

    declaration = settings.declaration
    payload = measure_drift(
        reference,
        current,
        policy=declaration.drift,
        columns=declaration.columns,
        privacy=declaration.privacy,
        source=_source(settings),
    )
    own = {f.name: getattr(payload, f.name) for f in fields(payload) if f.name != "html"}
    record = DriftEvidence(
        collector=COLLECTOR, captured_at=at, subject=subject, reference=reference_ref, current=current_ref, **own
    )
    return (record, payload.html) if with_page else record


def _outcomes_sha256(y_true: Any, y_pred: Any) -> str:
    """``sha256:`` over targets and predictions: which outcomes a record speaks of."""
    return fingerprint_table(as_table({"y_true": y_true, "y_pred": y_pred}))


def performance_evidence(
    y_true: Any,
    y_pred: Any,
    *,
    y_proba: Any,
    positive_label: Any,
    dataset: DatasetRef,
    settings: Settings,
    subject: Subject,
    at: datetime,
    baseline: tuple[str, Mapping[str, float]] | None,
    source: str | None = None,
) -> PerformanceEvidence:
    """Measure predictions against the truth, and against a baseline's metrics where one is given.

    Raises:
        InputError: lengths differ, labels are of mixed types, or a limit names an unknown metric.
    """
    from aims_mlflow.measure.performance import measure_performance

    declaration = settings.declaration
    payload = measure_performance(
        y_true,
        y_pred,
        y_proba=y_proba,
        policy=declaration.performance,
        positive_label=positive_label if positive_label is not None else declaration.columns.positive_label,
        baseline=baseline,
        privacy=declaration.privacy,
        unknown="not_tested",
        source=source or _source(settings),
    )
    fields = payload.as_fields()
    fields["parameters"] = {**fields["parameters"], "outcomes_sha256": _outcomes_sha256(y_true, y_pred)}
    fields["parameters"] |= calibration_parameters(
        y_true, y_pred, y_proba, positive_label=positive_label, dataset=dataset, settings=settings
    )
    return PerformanceEvidence(collector=COLLECTOR, captured_at=at, subject=subject, dataset=dataset, **fields)


def logged_performance(
    facts: RunFacts, settings: Settings, *, subject: Subject, at: datetime
) -> PerformanceEvidence | None:
    """The metrics the caller logged, held against the declared limits; None where there are no metrics.

    At most ``MOST_METRICS`` are kept, those with a limit first; the record says how many are left out.
    """
    from aims_mlflow.measure.performance import judge_logged_metrics

    policy = settings.declaration.performance
    metrics, left_out = carried(facts.user_metrics, first=policy.metrics)
    if not metrics:
        return None
    fields = judge_logged_metrics(metrics, policy, source=_source(settings)).as_fields()
    if left_out:
        fields["reason"] = f"{fields['reason']} {not_carried(left_out)}"
        fields["parameters"] = {**fields["parameters"], "metrics_left_out": left_out}
    return PerformanceEvidence(
        collector=COLLECTOR,
        basis=Basis.REPORTED,
        captured_at=at,
        subject=subject,
        **fields,
    )


def fairness_evidence(
    y_true: Any,
    y_pred: Any,
    sensitive: Any,
    *,
    task: str | None,
    positive_label: Any,
    safe_labels: Sequence[str],
    dataset: DatasetRef,
    settings: Settings,
    subject: Subject,
    at: datetime,
    source: str | None = None,
) -> FairnessEvidence:
    """Measure how predictions treat groups.

    Raises:
        InputError: lengths differ or a limit names an unknown metric.
    """
    from aims_mlflow.measure.fairness import measure_fairness

    declaration = settings.declaration
    payload = measure_fairness(
        y_true,
        y_pred,
        sensitive,
        task=task or "auto",
        policy=declaration.fairness,
        privacy=declaration.privacy,
        safe_labels={*safe_labels, *declaration.columns.safe_labels},
        positive_label=positive_label if positive_label is not None else declaration.columns.positive_label,
        source=source or _source(settings),
    )
    fields = payload.as_fields()
    fields["parameters"] = {**fields["parameters"], "outcomes_sha256": _outcomes_sha256(y_true, y_pred)}
    return FairnessEvidence(collector=COLLECTOR, captured_at=at, subject=subject, dataset=dataset, **fields)
