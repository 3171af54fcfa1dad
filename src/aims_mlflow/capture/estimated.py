"""Estimated performance as evidence, and the calibration it needs: made where labels are, found where they are not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.config import Settings
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import (
    DatasetRef,
    EstimatedPerformance,
    EvidenceBase,
    EvidenceStatus,
    PerformanceEvidence,
    ReferenceProfile,
    Subject,
)
from aims_mlflow.measure.estimated import Calibration, calibrate, estimate_performance

KEY = "calibration"
"""Where a record's ``parameters`` hold a calibration."""
_NOT_HELD_OUT = frozenset({"training", "production"})
"""Roles of data no calibration is made on: scores flatter on the one, and live windows are what it is made for."""


def calibration_parameters(
    y_true: Any, y_pred: Any, y_proba: Any, *, positive_label: Any, dataset: DatasetRef, settings: Settings
) -> dict[str, Any]:
    """The entry of ``parameters`` that keeps a calibration; empty where none can be made.

    None is made without scores, on training or live data, of a regression, of few rows, or where the predictions do
    not follow from the score.
    """
    if y_proba is None or dataset.role in _NOT_HELD_OUT:
        return {}
    try:
        made = calibrate(
            y_true,
            y_pred,
            y_proba,
            task=settings.declaration.performance.task,
            positive_label=positive_label
            if positive_label is not None
            else settings.declaration.columns.positive_label,
            privacy=settings.declaration.privacy,
        )
    except InputError:
        # Performance itself is measured and refuses what is wrong with the input; here it only means no estimates.
        return {}
    return {KEY: made.record()}


def calibration_in(records: Iterable[EvidenceBase]) -> tuple[Calibration, str] | None:
    """The calibration kept with a version's evidence, and the digest of the record that holds it.

    A reference profile's comes first, then that of the latest measurement of performance.

    Raises:
        EvidenceError: the one found is damaged.
    """
    holding = [
        record
        for record in records
        if isinstance(record, ReferenceProfile | PerformanceEvidence)
        and record.status is EvidenceStatus.OK
        and isinstance(record.parameters.get(KEY), dict)
    ]
    if not holding:
        return None
    chosen = max(holding, key=lambda one: (isinstance(one, ReferenceProfile), one.captured_at, one.digest))
    return Calibration.of_record(chosen.parameters[KEY]), chosen.digest


def estimated_evidence(
    scores: Any,
    calibration: Calibration,
    *,
    calibrated_on: str | None,
    settings: Settings,
    subject: Subject,
    at: datetime,
    dataset: DatasetRef | None = None,
    source: str | None = None,
) -> EstimatedPerformance:
    """Estimate performance from scores before labels arrive.

    Args:
        scores: n scores (``columns.probability``), or that column's summary from a ``Profile``.
        calibration: What a score was worth on labelled data.
        calibrated_on: Digest of the record that keeps the calibration.
        settings: The declaration in force.
        subject: What the evidence is about.
        at: When.
        dataset: The window's data, by content.
        source: Where the limits come from, for the record.

    Raises:
        InputError: the scores are no numbers or leave 0 to 1.
    """
    declaration = settings.declaration
    monitoring = declaration.monitoring
    payload = estimate_performance(
        scores,
        calibration,
        policy=declaration.performance,
        privacy=declaration.privacy,
        smallest=monitoring.smallest_window if monitoring else 100,
        source=source or ("aims.yaml" if settings.path else "argument"),
    )
    return EstimatedPerformance(
        collector=COLLECTOR,
        captured_at=at,
        subject=subject,
        dataset=dataset,
        calibrated_on=calibrated_on,
        **payload.as_fields(),
    )
