"""Everything a run shows without further code, one part at a time: a part that fails costs only itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aims_mlflow.capture.dataset import dataset_record, dataset_ref, role_of
from aims_mlflow.capture.declaration import declared_content
from aims_mlflow.capture.measured import drift_evidence, logged_performance, quality_evidence
from aims_mlflow.capture.model import ModelFacts, model_environment, model_record
from aims_mlflow.capture.profile import reference_record
from aims_mlflow.capture.run import (
    COLLECTOR,
    RunFacts,
    declaration_record,
    lineage_record,
    process_environment,
    run_record,
)
from aims_mlflow.config import DriftPolicy, Settings, declared, undeclared
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import (
    Basis,
    CaptureErrorRecord,
    DatasetRef,
    EvidenceBase,
    EvidenceStatus,
    Subject,
    Verdict,
)
from aims_mlflow.frames import Table, as_table

_log = logging.getLogger("aims_mlflow")


@dataclass
class SeenDataset:
    """A dataset a run logged, with the frame it was made from."""

    name: str | None
    mlflow_digest: str | None
    context: str | None
    frame: Any
    source_type: str | None = None
    sha256_when_logged: str | None = None
    """Content digest when it was logged, where the frame could have been changed since."""


_Read = tuple[SeenDataset, Table, DatasetRef]
_Unread = tuple[SeenDataset, DatasetRef, Exception]


@dataclass
class Seen:
    """What was seen of a run while it ran."""

    datasets: list[SeenDataset] = field(default_factory=list)
    models: list[ModelFacts] = field(default_factory=list)
    errors: list[CaptureErrorRecord] = field(default_factory=list)
    status: str | None = None
    exception: str | None = None


@dataclass(frozen=True)
class Wanted:
    """Which parts to collect."""

    data_quality: bool = True
    drift: bool = True


def capture_error(kind: str, stage: str, error: BaseException, *, subject: Subject, at: datetime) -> CaptureErrorRecord:
    """A collector that could not run, as evidence no control accepts."""
    name = type(error).__name__
    return CaptureErrorRecord(
        collector=COLLECTOR,
        status=EvidenceStatus.ERROR,
        basis=Basis.MEASURED,
        captured_at=at,
        subject=subject,
        method="A collector of aims-mlflow that raised.",
        verdict=Verdict.NOT_TESTED,
        reason=f"{kind.replace('_', ' ')} could not be captured: {name} while {stage}.",
        of_kind=kind,
        stage=stage,
        error_type=name,
    )


@dataclass
class _Parts:
    """The records so far, and the one way to add more."""

    at: datetime
    records: list[EvidenceBase] = field(default_factory=list)

    def add(
        self,
        kind: str,
        stage: str,
        subject: Subject,
        make: Callable[..., EvidenceBase | None],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Keep what ``make(*args, subject=subject, **kwargs)`` returns, or the record that it could not run."""
        try:
            record = make(*args, subject=subject, **kwargs)
        except Exception as error:  # noqa: BLE001  (training must go on; the failure becomes evidence)
            _log.warning("aims: %s could not be captured (%s while %s)", kind, type(error).__name__, stage)
            _log.debug("aims: cause", exc_info=True)
            record = capture_error(kind, stage, error, subject=subject, at=self.at)
        if record is not None:
            self.records.append(record)


def collect(
    facts: RunFacts,
    seen: Seen,
    settings: Settings,
    *,
    at: datetime,
    wanted: Wanted = Wanted(),
    children: Iterable[str] = (),
    with_environment: bool = True,
) -> list[EvidenceBase]:
    """All evidence of a run, from its environment and declaration to quality, drift and lineage."""
    declaration = settings.declaration
    parts = _Parts(at)
    parts.records.extend(seen.errors)
    system = declaration.system.id
    bare = Subject(system_id=system, run=facts.ref)

    model_ref = seen.models[-1].ref if len({m.sha256 for m in seen.models}) == 1 else None
    tables, unread = _tables(seen.datasets, settings, parts, bare)
    subject = Subject(system_id=system, run=facts.ref, model=model_ref, datasets=tuple(ref for _, _, ref in tables))
    parts.add(
        "run",
        "reading the run",
        subject,
        run_record,
        facts,
        captured_at=at,
        status=seen.status,
        exception=seen.exception,
        children=children,
        limited=declaration.performance.metrics,
    )
    parts.add(
        "declaration",
        "reading aims.yaml",
        bare,
        declaration_record,
        captured_at=at,
        sha256=settings.sha256,
        declared=declared(declaration),
        undeclared=undeclared(declaration),
        content=declared_content(declaration),
    )
    _models(seen.models, parts, bare)
    about_model = bare.model_copy(update={"model": model_ref})
    if with_environment and not any(m.requirements for m in seen.models):
        parts.add("environment", "listing packages", about_model, process_environment, captured_at=at)
    _data(tables, unread, settings, parts, about_model, wanted)
    parts.add("performance", "judging logged metrics", about_model, logged_performance, facts, settings, at=at)
    parts.add("lineage", "joining the links", subject, lineage_record, facts, captured_at=at)
    return parts.records


def _tables(
    datasets: Sequence[SeenDataset], settings: Settings, parts: _Parts, bare: Subject
) -> tuple[list[_Read], list[_Unread]]:
    """The datasets with their tables, and those that could not be read, each with an error on record."""
    out: list[_Read] = []
    unread: list[_Unread] = []
    for data in datasets:
        role = role_of(settings.declaration, data.name, data.context)
        try:
            if data.frame is None:
                raise InputError("the frame behind the dataset was not seen", where=f"dataset {data.name}")
            table = as_table(data.frame)
            ref = dataset_ref(table, name=data.name, role=role, mlflow_digest=data.mlflow_digest)
            if data.sha256_when_logged not in {None, ref.sha256}:
                raise InputError(
                    "the dataset was changed after it was logged",
                    where=f"dataset {data.name}",
                    remedy="Log a copy, or log it after the last change.",
                )
        except Exception as error:  # noqa: BLE001  (as in _Parts.add)
            _log.warning("aims: dataset %r could not be read (%s)", data.name, type(error).__name__)
            _log.debug("aims: cause", exc_info=True)
            blank = DatasetRef(name=data.name, role=role, mlflow_digest=data.mlflow_digest)
            named = bare.model_copy(update={"datasets": (blank,)})
            parts.records.extend(
                capture_error(kind, "reading the dataset", error, subject=named, at=parts.at)
                for kind in ("dataset", "data_quality")
            )
            unread.append((data, blank, error))
            continue
        out.append((data, table, ref))
    return out, unread


def _models(models: Sequence[ModelFacts], parts: _Parts, bare: Subject) -> None:
    for facts in models:
        about = bare.model_copy(update={"model": facts.ref})
        parts.add("model", "recording the model", about, model_record, facts, captured_at=parts.at)
        parts.add("environment", "reading requirements", about, model_environment, facts, captured_at=parts.at)


def _data(
    tables: Sequence[_Read],
    unread: Sequence[_Unread],
    settings: Settings,
    parts: _Parts,
    about_model: Subject,
    wanted: Wanted,
) -> None:
    declaration = settings.declaration
    place = _reference([(d, ref) for d, _, ref in tables] + [(d, ref) for d, ref, _ in unread], declaration.drift)
    reference = tables[place] if place is not None and place < len(tables) else None
    named = _named([(d, ref) for d, _, ref in tables], declaration.drift)
    profiled = tables[named][2] if named is not None else None
    if place is not None and wanted.drift and declaration.drift.enabled:
        _undone(tables, unread, place, parts, about_model)
    for data, table, ref in tables:
        about = about_model.model_copy(update={"datasets": (ref,)})
        parts.add(
            "dataset",
            "recording the dataset",
            about,
            dataset_record,
            table,
            ref,
            captured_at=parts.at,
            declaration=declaration,
            context=data.context,
            source_type=data.source_type,
            smallest_cell=declaration.privacy.smallest_cell,
        )
        if wanted.drift and declaration.drift.enabled and ref is profiled:
            parts.add(
                "reference_profile",
                "summarising the reference",
                about,
                reference_record,
                table,
                ref,
                settings=settings,
                at=parts.at,
            )
        base = reference if reference is not None and reference[2] is not ref else None
        if wanted.data_quality:
            parts.add(
                "data_quality",
                "running the rules",
                about,
                quality_evidence,
                table,
                ref,
                settings=settings,
                at=parts.at,
                reference=base[1] if base else None,
            )
        if wanted.drift and declaration.drift.enabled and base is not None:
            parts.add(
                "drift",
                "comparing with the reference",
                about.model_copy(update={"datasets": (ref, base[2])}),
                drift_evidence,
                base[1],
                table,
                base[2],
                ref,
                settings=settings,
                at=parts.at,
            )


def _undone(
    tables: Sequence[_Read], unread: Sequence[_Unread], reference: int, parts: _Parts, about_model: Subject
) -> None:
    """An error for each comparison that one of its two datasets could not be read for."""
    refs = [ref for _, _, ref in tables] + [ref for _, ref, _ in unread]
    errors = [None] * len(tables) + [error for _, _, error in unread]
    for place, ref in enumerate(refs):
        error = errors[place] or errors[reference]
        if error is not None and place != reference:
            about = about_model.model_copy(update={"datasets": (ref, refs[reference])})
            parts.records.append(capture_error("drift", "reading the datasets", error, subject=about, at=parts.at))


def _reference(datasets: Sequence[tuple[SeenDataset, DatasetRef]], policy: DriftPolicy) -> int | None:
    """Place of the dataset the others are compared with, by role, context or name; None where only one was logged."""
    return _named(datasets, policy) if len(datasets) > 1 else None


def _named(datasets: Sequence[tuple[SeenDataset, DatasetRef]], policy: DriftPolicy) -> int | None:
    """Place of the dataset that is the reference by role, context or name."""
    for name in (policy.reference, "training", "reference"):
        for place, (data, ref) in enumerate(datasets):
            if name in {ref.role, data.context, data.name}:
                return place
    return None
