"""``log_data_quality``, ``log_drift``, ``log_performance``, ``log_fairness``: measure and log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aims_mlflow.api.destination import about_model, dataset_fact, dataset_of, open_target, record_to
from aims_mlflow.api.given import refuse_misspelt_role
from aims_mlflow.api.policies import (
    Config,
    check_method,
    limits_of,
    names_of,
    refuse_misspelt,
    refuse_override,
    stricter,
    with_policy,
)
from aims_mlflow.api.targets import resolve
from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.dataset import role_of
from aims_mlflow.capture.measured import (
    drift_evidence,
    fairness_evidence,
    performance_evidence,
    quality_evidence,
)
from aims_mlflow.capture.profile import reference_record
from aims_mlflow.config import load_settings
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import (
    DataQualityEvidence,
    DatasetRef,
    DriftEvidence,
    EvidenceBase,
    FairnessEvidence,
    PerformanceEvidence,
    now,
)
from aims_mlflow.frames import as_table


def log_data_quality(
    data: Any,
    *,
    suite: Any = None,
    reference: Any = None,
    name: str | None = None,
    role: str | None = None,
    run_id: str | None = None,
    config: Config = None,
) -> DataQualityEvidence:
    """Run data-quality rules over a frame and log the result to the run.

    Args:
        data: A frame (pandas, NumPy, polars, Arrow) or an ``mlflow.data`` dataset.
        suite: Rules of your own: a Great Expectations suite, a list of expectations, a dict or JSON file in its format.
            None takes the rules of ``aims.yaml`` and those derived from it and from ``reference``.
        reference: The data the limits are derived from, usually the training data.
        name: Name of the dataset; its own where it has one.
        role: ``training``, ``validation``, ``test``, ``current``...
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.

    Returns:
        The evidence as logged: ``rules`` is a list of rule, measure, value, limit and verdict; no value of the data.

    Raises:
        InputError: ``data`` is no frame.
        ConfigError: ``aims.yaml`` or the suite is wrong.
    """
    refuse_misspelt_role(role)
    settings = load_settings(config)
    target = open_target(run_id)
    at = now()
    table, ref = dataset_of(data, settings, name=name, role=role)
    base = as_table(reference) if reference is not None else None
    subject = target.subject(settings, ref)
    record = quality_evidence(table, ref, settings=settings, subject=subject, at=at, reference=base, suite=suite)
    records: list[EvidenceBase] = [dataset_fact(table, ref, settings, target, at), record]
    if settings.declaration.drift.enabled and ref.role == settings.declaration.drift.reference:
        records.append(reference_record(table, ref, settings=settings, subject=subject, at=at))
    record_to(target, settings, records)
    return record


def log_drift(
    current: Any,
    reference: Any,
    *,
    method: str | None = None,
    threshold: float | None = None,
    engine: str | None = None,
    name: str | None = None,
    role: str | None = "current",
    run_id: str | None = None,
    config: Config = None,
) -> DriftEvidence:
    """Compare a frame with its reference, column by column, and log the result to the run.

    Args:
        current: The frame or dataset to judge.
        reference: The frame or dataset it is compared with, usually the training data.
        method: Evidently's name of a drift method for all columns; ``auto`` or None takes the policy's, then
            Evidently's own selection rule.
        threshold: Limit for all columns.
        engine: ``native`` (default) or ``evidently``, which runs Evidently itself as a cross-check.
        name: Name of the current dataset.
        role: Its role.
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration.

    Returns:
        The evidence as logged; ``columns`` holds one result for each column of either frame.

    Raises:
        InputError: one of the two is no frame, or the method is not known.
    """
    refuse_misspelt_role(role)
    settings = load_settings(config)
    check_method(method)
    changes = {k: v for k, v in (("method", method), ("threshold", threshold), ("engine", engine)) if v is not None}
    refuse_override(settings, changes)
    settings = with_policy(settings, "drift", changes)
    target = open_target(run_id)
    at = now()
    table, ref = dataset_of(current, settings, name=name, role=role)
    base, base_ref = dataset_of(reference, settings, name=None, role="reference")
    subject = target.subject(settings, ref, base_ref)
    record, page = drift_evidence(base, table, base_ref, ref, settings=settings, subject=subject, at=at, with_page=True)
    facts = [dataset_fact(t, r, settings, target, at) for t, r in ((base, base_ref), (table, ref))]
    record_to(target, settings, [*facts, record])
    if page:
        target.client.log_text(target.run_id, page, "aims/detail/evidently_drift.html")
    return record


def log_performance(
    y_true: Any,
    y_pred: Any,
    *,
    y_proba: Any = None,
    task: str | None = None,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    baseline: str | Mapping[str, float] | None = None,
    positive_label: Any = None,
    name: str | None = None,
    role: str | None = None,
    model: str | None = None,
    run_id: str | None = None,
    config: Config = None,
) -> PerformanceEvidence:
    """Measure a model's predictions against the truth and log the result to the run.

    Args:
        y_true: Targets, one column of n values.
        y_pred: Predictions, n values.
        y_proba: Probability of the positive class, n values, or n x classes.
        task: ``classification``, ``multiclass`` or ``regression``; found from the targets where None.
        metrics: Limits, e.g. ``{"accuracy": {"min": 0.8}}``, in addition to those of ``aims.yaml``; where both limit a
            metric the stricter one counts.
        baseline: The run id or model URI to compare with (its logged metrics), or a dict of metrics.
        positive_label: The label that counts as positive; the greater of two where None.
        name: Name of the evaluation dataset.
        role: ``validation``, ``test``, ``production``...: without it or a name nobody can say whether the data was held
            out, and controls that ask for held-out data do not count the record.
        model: The model the predictions are from, where the run has more than one: id or URI of the logged model, or
            ``models:/name/version`` or ``models:/name@alias``.
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration.

    Returns:
        The evidence as logged, each metric with its confidence interval; undefined metrics are null.

    Raises:
        InputError: lengths differ, labels are of mixed types, the role or a metric is misspelt, or the model is not
            known.
    """
    refuse_misspelt_role(role)
    settings = load_settings(config)
    limits = limits_of(metrics)
    refuse_misspelt(limits)
    merged = stricter(settings.declaration.performance.model_dump()["metrics"], limits)
    changes: dict[str, Any] = {"metrics": merged} if limits else {}
    if task is not None:
        changes["task"] = task
    settings = with_policy(settings, "performance", changes)
    target = open_target(run_id)
    reference = baseline if baseline is not None else settings.declaration.performance.baseline
    role = role_of(settings.declaration, name, role)
    dataset = DatasetRef(name=name, role=role)
    record = performance_evidence(
        y_true,
        y_pred,
        y_proba=y_proba,
        positive_label=positive_label,
        dataset=dataset,
        settings=settings,
        subject=about_model(target, target.subject(settings, dataset), model),
        at=now(),
        source="aims.yaml and argument" if limits and settings.path else None,
        baseline=_baseline(target.client, reference),
    )
    record_to(target, settings, [record])
    return record


def log_fairness(
    y_true: Any,
    y_pred: Any,
    sensitive: Any,
    *,
    task: str | None = None,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    positive_label: Any = None,
    safe_labels: str | Sequence[str] = (),
    name: str | None = None,
    role: str | None = None,
    model: str | None = None,
    run_id: str | None = None,
    config: Config = None,
) -> FairnessEvidence:
    """Measure how predictions treat groups and log the result to the run.

    Args:
        y_true: Targets, n values.
        y_pred: Predictions, n values.
        sensitive: One column of n values, or a frame or dict of several; missing values form a group of their own.
        task: ``classification`` or ``regression``; found from the targets where None.
        metrics: Limits of gaps, e.g. ``{"selection_rate_ratio": {"min": 0.8}}``, in addition to those of ``aims.yaml``.
        positive_label: The label that counts as positive.
        safe_labels: Sensitive columns whose group labels may be written; the labels of others are hashed.
        name: Name of the evaluation dataset.
        role: ``validation``, ``test``, ``production``...: without it or a name nobody can say whether the data was held
            out, and controls that ask for held-out data do not count the record.
        model: The model the predictions are from, where the run has more than one: id or URI of the logged model, or
            ``models:/name/version`` or ``models:/name@alias``.
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration.

    Returns:
        The evidence as logged. Undefined rates are null; groups under the minimum size are counted, not judged.

    Raises:
        InputError: lengths differ, the role is misspelt, or a metric or the model is not known.
    """
    refuse_misspelt_role(role)
    settings = load_settings(config)
    limits = limits_of(metrics)
    merged = stricter(settings.declaration.fairness.model_dump()["metrics"], limits)
    settings = with_policy(settings, "fairness", {"metrics": merged} if limits else {})
    target = open_target(run_id)
    role = role_of(settings.declaration, name, role)
    dataset = DatasetRef(name=name, role=role)
    record = fairness_evidence(
        y_true,
        y_pred,
        sensitive,
        task=task,
        positive_label=positive_label,
        safe_labels=names_of(safe_labels),
        dataset=dataset,
        settings=settings,
        subject=about_model(target, target.subject(settings, dataset), model),
        at=now(),
        source="aims.yaml and argument" if limits and settings.path else None,
    )
    record_to(target, settings, [record])
    return record


def _baseline(client: Any, baseline: str | Mapping[str, float] | None) -> tuple[str, Mapping[str, float]] | None:
    """What to compare with: its name and metrics."""
    if baseline is None:
        return None
    if isinstance(baseline, Mapping):
        return "given values", dict(baseline)
    place = resolve(client, baseline)
    if place.run_id is None:
        raise InputError(f"the baseline {baseline!r} was not made by a run and has no metrics")
    return baseline, RunStore(client, place.run_id).facts().user_metrics
