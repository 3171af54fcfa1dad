"""What is measured of a window: quality, drift, performance and fairness where labels are, estimates where not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aims_mlflow.capture.collect import capture_error
from aims_mlflow.capture.dataset import dataset_ref
from aims_mlflow.capture.measured import drift_evidence, fairness_evidence, performance_evidence, quality_evidence
from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.config import Settings
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DatasetRef, DriftEvidence, EvidenceBase, Verdict, now
from aims_mlflow.frames import Table, as_table
from aims_mlflow.monitoring.labels import Joined
from aims_mlflow.monitoring.served import Served

_log = logging.getLogger("aims_mlflow")


@dataclass(frozen=True)
class Reference:
    """A frame the live data is held against, in place of the profile on record."""

    table: Table
    ref: DatasetRef


@dataclass(frozen=True)
class Measured:
    """What was measured of a window, as ``filing.file_window`` takes it."""

    evidence: tuple[EvidenceBase, ...]
    rows: int
    labels: Mapping[str, int] = field(default_factory=dict)
    profile_sha256: str | None = None
    reference_sha256: str | None = None


def measure_window(
    served: Served,
    data: Any,
    settings: Settings | None = None,
    *,
    labels: Joined | None = None,
    reference: Reference | None = None,
    at: datetime | None = None,
) -> Measured:
    """Measure a window of live data.

    Quality by the rules in force, drift against the version's reference, an estimate of performance from the scores,
    and, with labels, performance and fairness. What cannot be measured is an error on record, and costs only itself.

    Args:
        served: The version, with its reference.
        data: The window's rows as a ``Table``, or a ``sketches.Profile`` of them.
        settings: The declaration; the served version's where None.
        labels: The outcome of each row; only with a table.
        reference: A frame in place of the reference on record.
        at: When; now where None.

    Raises:
        InputError: the reference is not the version's own, or labels come with a profile.
    """
    settings = settings or served.settings
    reference_sha256 = _reference_sha256(served, reference)
    served.check_reference(reference_sha256)
    parts = _Parts(served, settings, at or now())
    if not isinstance(data, Table):
        if labels is not None:
            raise InputError("labels are joined to rows, and a profile has none", where="labels")
        return _measure_profile(parts, data, reference_sha256)
    ref = dataset_ref(data, name=served.live.name, role=served.live.role)
    parts.add("data_quality", "running the rules", lambda: _quality(parts, data, ref, reference))
    if settings.declaration.drift.enabled:
        parts.add("drift", "comparing with the reference", lambda: _drift(parts, data, ref, reference, labels))
    _estimate(parts, data, ref)
    if labels is not None:
        _outcomes(parts, data, ref, labels)
    cell = settings.declaration.privacy.smallest_cell
    return Measured(
        evidence=tuple(parts.records),
        rows=data.rows,
        labels=labels.counts(cell) if labels is not None else {},
        profile_sha256=parts.profile_sha256,
        reference_sha256=reference_sha256,
    )


@dataclass
class _Parts:
    """The records so far, and the one way to add more."""

    served: Served
    settings: Settings
    at: datetime
    records: list[EvidenceBase] = field(default_factory=list)
    profile_sha256: str | None = None

    def add(self, kind: str, stage: str, make: Callable[[], EvidenceBase | None]) -> None:
        """Keep what is made, or the record that it could not be."""
        try:
            record = make()
        except Exception as error:  # noqa: BLE001  (the other measurements go on; the failure becomes evidence)
            _log.warning("aims: %s of the window could not be measured (%s)", kind.replace("_", " "), error)
            _log.debug("aims: cause", exc_info=True)
            record = capture_error(kind, stage, error, subject=self.served.subject, at=self.at)
        if record is not None:
            self.records.append(record)


def _reference_sha256(served: Served, reference: Reference | None) -> str | None:
    if reference is not None:
        return reference.ref.sha256
    return served.reference.profile_sha256 if served.reference is not None else None


def _quality(parts: _Parts, data: Table, ref: DatasetRef, reference: Reference | None) -> EvidenceBase:
    return quality_evidence(
        data,
        ref,
        settings=parts.settings,
        subject=parts.served.subject,
        at=parts.at,
        reference=reference.table if reference is not None else None,
    )


def _drift(
    parts: _Parts, data: Table, ref: DatasetRef, reference: Reference | None, labels: Joined | None
) -> EvidenceBase:
    """Drift of all columns; of the target where labels are."""
    served, settings = parts.served, parts.settings
    columns = settings.declaration.columns
    if data.rows < served.policy.smallest_window:
        return _not_compared(parts, ref, reference, _few(data.rows, served.policy.smallest_window))
    table = data
    if labels is not None and columns.target is not None:
        frame = data.pandas().reset_index(drop=True)
        table = as_table(frame.assign(**{columns.target: labels.target}))
    if reference is not None:
        base = reference.table
        if columns.target is not None and columns.target in base and columns.target not in table:
            base = base.select([name for name in base.names if name != columns.target])
        return drift_evidence(base, table, reference.ref, ref, settings=settings, subject=served.subject, at=parts.at)
    if served.reference is None or served.profile is None:
        why = "The version's training run keeps no reference profile, and no reference was given."
        return _not_compared(parts, ref, None, why)
    return _drift_of_profiles(parts, served.profile.of(table, served.profile.plan), ref)


def _drift_of_profiles(parts: _Parts, profile: Any, ref: DatasetRef) -> EvidenceBase:
    from dataclasses import fields

    from aims_mlflow.measure.sketched import drift_of_profiles

    declaration = parts.settings.declaration
    payload = drift_of_profiles(
        parts.served.profile,
        profile,
        policy=declaration.drift,
        columns=declaration.columns,
        privacy=declaration.privacy,
        source="aims.yaml" if parts.settings.path else "argument",
    )
    parts.profile_sha256 = profile.digest(smallest_cell=declaration.privacy.smallest_cell)
    own = {f.name: getattr(payload, f.name) for f in fields(payload) if f.name != "html"}
    reference = parts.served.reference
    return DriftEvidence(
        collector=COLLECTOR,
        captured_at=parts.at,
        subject=parts.served.subject,
        reference=reference.dataset if reference is not None else DatasetRef(),
        current=ref,
        **own,
    )


def _not_compared(parts: _Parts, ref: DatasetRef, reference: Reference | None, why: str) -> EvidenceBase:
    """Drift that was not judged, and why: never a pass."""
    policy = parts.settings.declaration.drift
    known = parts.served.reference
    base = reference.ref if reference is not None else known.dataset if known is not None else DatasetRef()
    return DriftEvidence(
        collector=COLLECTOR,
        captured_at=parts.at,
        subject=parts.served.subject,
        method="Not compared.",
        verdict=Verdict.NOT_TESTED,
        reason=why,
        reference=base,
        current=ref,
        share_limit=policy.share_limit,
        false_alarm_budget=policy.false_alarm_budget,
        numbers={"rows_current": ref.rows},
    )


def _few(rows: int, least: int) -> str:
    if rows == 0:
        return "The window is empty."
    return f"The window has {rows} rows; drift is judged from {least} on (monitoring.smallest_window)."


def _estimate(parts: _Parts, data: Table, ref: DatasetRef) -> None:
    """Estimated performance, where scores come and a calibration is on record."""
    served, columns = parts.served, parts.settings.declaration.columns
    if not served.policy.estimate or columns.probability is None or columns.probability not in data:
        return
    from aims_mlflow.capture.estimated import calibration_in, estimated_evidence

    def make() -> EvidenceBase | None:
        found = calibration_in(served.evidence)
        if found is None:
            return None
        calibration, digest = found
        return estimated_evidence(
            data[str(columns.probability)].numbers(),
            calibration,
            calibrated_on=digest,
            settings=parts.settings,
            subject=served.subject,
            at=parts.at,
            dataset=ref,
        )

    parts.add("estimated_performance", "estimating performance", make)


def _outcomes(parts: _Parts, data: Table, ref: DatasetRef, labels: Joined) -> None:
    """Performance and fairness over the rows whose outcome is known."""
    declaration = parts.settings.declaration
    columns = declaration.columns
    frame = data.pandas().reset_index(drop=True)
    known = labels.target.notna()
    true = labels.target[known].infer_objects()

    def predictions() -> Any:
        if columns.prediction is None or columns.prediction not in data:
            raise InputError(
                "the batch holds no predictions",
                where="columns.prediction",
                remedy="Declare columns.prediction in aims.yaml and give the batch with the predictions made.",
            )
        return frame.loc[known, columns.prediction]

    def performance() -> EvidenceBase:
        has_scores = columns.probability is not None and columns.probability in data
        return performance_evidence(
            true,
            predictions(),
            y_proba=frame.loc[known, columns.probability] if has_scores else None,
            positive_label=None,
            dataset=ref,
            settings=parts.settings,
            subject=parts.served.subject,
            at=parts.at,
            baseline=None,
        )

    def fairness() -> EvidenceBase:
        sensitive = frame.loc[known, [name for name in columns.sensitive if name in data]]
        absent = [name for name in columns.sensitive if name not in data]
        if absent:
            raise InputError(f"the batch has no column {absent[0]!r}", where="columns.sensitive")
        return fairness_evidence(
            true,
            predictions(),
            sensitive,
            task=None,
            positive_label=None,
            safe_labels=(),
            dataset=ref,
            settings=parts.settings,
            subject=parts.served.subject,
            at=parts.at,
        )

    parts.add("performance", "measuring performance", performance)
    if columns.sensitive:
        parts.add("fairness", "measuring fairness", fairness)


def _measure_profile(parts: _Parts, profile: Any, reference_sha256: str | None) -> Measured:
    """A window that comes as summaries: what they can tell."""
    served, declaration = parts.served, parts.settings.declaration
    ref = served.live.model_copy(update={"rows": profile.rows, "columns": len(profile.columns)})
    parts.profile_sha256 = profile.digest(smallest_cell=declaration.privacy.smallest_cell)

    def quality() -> EvidenceBase | None:
        from aims_mlflow.monitoring.summarised import quality_of_window

        return quality_of_window(served, profile, ref, settings=parts.settings, at=parts.at)

    def drift() -> EvidenceBase:
        if served.profile is None:
            return _not_compared(parts, ref, None, "The version's training run keeps no reference profile.")
        if profile.rows < served.policy.smallest_window:
            return _not_compared(parts, ref, None, _few(profile.rows, served.policy.smallest_window))
        return _drift_of_profiles(parts, profile, ref)

    parts.add("data_quality", "running the rules", quality)
    if declaration.drift.enabled:
        parts.add("drift", "comparing with the reference", drift)
    return Measured(
        evidence=tuple(parts.records),
        rows=profile.rows,
        profile_sha256=parts.profile_sha256,
        reference_sha256=reference_sha256,
    )
