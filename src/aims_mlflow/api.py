"""The public functions: log evidence, assess, read back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from aims_mlflow.assessment import Assessment
from aims_mlflow.attach.bundle import ASSESSMENT, REPORT_HTML
from aims_mlflow.attach.store import RunStore, check_reachable
from aims_mlflow.capture.collect import Seen, collect
from aims_mlflow.capture.dataset import dataset_record, dataset_ref, role_of
from aims_mlflow.capture.measured import (
    drift_evidence,
    fairness_evidence,
    performance_evidence,
    quality_evidence,
)
from aims_mlflow.capture.model import ModelFacts, read_model_directory
from aims_mlflow.capture.run import COLLECTOR, RunFacts
from aims_mlflow.config import Declaration, Settings, load_settings
from aims_mlflow.delivery import (
    FlushResult,
    assessment_of,
    catalog_of,
    deliver,
    flush,
    publish_version,
    version_ref,
)
from aims_mlflow.errors import ConfigError, DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence import (
    AttestationRecord,
    Basis,
    CustomRecord,
    DataQualityEvidence,
    DatasetRef,
    DocumentRef,
    DriftEvidence,
    EvidenceBase,
    FairnessEvidence,
    ModelRecord,
    ModelRef,
    PerformanceEvidence,
    RunRecord,
    RunRef,
    Subject,
    Threshold,
    Verdict,
    now,
    parse_evidence,
)
from aims_mlflow.evidence.roles import role_of_context
from aims_mlflow.frames import Table, as_table

Config = str | Path | Declaration | Settings | dict[str, Any] | None

_AWAY = frozenset({DeliveryError.error_code, "INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"})
"""Error codes that mean the server is away, not that the caller is wrong."""

_COPIES = 16
"""Copies of copies of a version that are followed back to its model."""

_RUN_ID = re.compile(r"^[0-9a-f]{32}$")


# Logging


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
    settings = load_settings(config)
    target = _target(run_id)
    at = now()
    table, ref = _dataset(data, settings, name=name, role=role)
    base = as_table(reference) if reference is not None else None
    subject = target.subject(settings, ref)
    record = quality_evidence(table, ref, settings=settings, subject=subject, at=at, reference=base, suite=suite)
    _log(target, settings, [_dataset_fact(table, ref, settings, target, at), record])
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
    settings = load_settings(config)
    _check_method(method)
    changes = {k: v for k, v in (("method", method), ("threshold", threshold), ("engine", engine)) if v is not None}
    _refuse_override(settings, changes)
    settings = _with_policy(settings, "drift", changes)
    target = _target(run_id)
    at = now()
    table, ref = _dataset(current, settings, name=name, role=role)
    base, base_ref = _dataset(reference, settings, name=None, role="reference")
    subject = target.subject(settings, ref, base_ref)
    record, page = drift_evidence(base, table, base_ref, ref, settings=settings, subject=subject, at=at, with_page=True)
    facts = [_dataset_fact(t, r, settings, target, at) for t, r in ((base, base_ref), (table, ref))]
    _log(target, settings, [*facts, record])
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
        model: Id or URI of the logged model the predictions are from, where the run has more than one.
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration.

    Returns:
        The evidence as logged, each metric with its confidence interval; undefined metrics are null.

    Raises:
        InputError: lengths differ, labels are of mixed types, or a metric is not known.
    """
    settings = load_settings(config)
    limits = _limits(metrics)
    merged = _stricter(settings.declaration.performance.model_dump()["metrics"], limits)
    changes: dict[str, Any] = {"metrics": merged} if limits else {}
    if task is not None:
        changes["task"] = task
    settings = _with_policy(settings, "performance", changes)
    target = _target(run_id)
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
        subject=_about_model(target.subject(settings, dataset), model),
        at=now(),
        source="aims.yaml and argument" if limits and settings.path else None,
        baseline=_baseline(target.client, reference),
    )
    _log(target, settings, [record])
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
        model: Id or URI of the logged model the predictions are from, where the run has more than one.
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration.

    Returns:
        The evidence as logged. Undefined rates are null; groups under the minimum size are counted, not judged.

    Raises:
        InputError: lengths differ or a metric is not known.
    """
    settings = load_settings(config)
    limits = _limits(metrics)
    merged = _stricter(settings.declaration.fairness.model_dump()["metrics"], limits)
    settings = _with_policy(settings, "fairness", {"metrics": merged} if limits else {})
    target = _target(run_id)
    role = role_of(settings.declaration, name, role)
    dataset = DatasetRef(name=name, role=role)
    record = fairness_evidence(
        y_true,
        y_pred,
        sensitive,
        task=task,
        positive_label=positive_label,
        safe_labels=_names(safe_labels),
        dataset=dataset,
        settings=settings,
        subject=_about_model(target.subject(settings, dataset), model),
        at=now(),
        source="aims.yaml and argument" if limits and settings.path else None,
    )
    _log(target, settings, [record])
    return record


def log_evidence(
    kind: str | EvidenceBase,
    content: Mapping[str, Any] | None = None,
    *,
    verdict: str = "recorded",
    reason: str = "",
    method: str = "Reported by the caller.",
    thresholds: Sequence[Threshold] = (),
    numbers: Mapping[str, float] | None = None,
    valid_until: datetime | date | None = None,
    topic: str | None = None,
    statement: str | None = None,
    owner: str | None = None,
    approver: str | None = None,
    role: str | None = None,
    valid_from: date | None = None,
    supports: str | Sequence[str] = (),
    document: DocumentRef | Mapping[str, Any] | None = None,
    run_id: str | None = None,
    config: Config = None,
) -> EvidenceBase:
    """Log a record of any kind to the run.

    ``log_evidence("attestation", topic="ai_policy", statement=..., owner=...)`` logs a person's statement; any other
    kind that this library does not measure itself is a record of yours: ``log_evidence("robustness", {...},
    verdict="pass", reason=...)``. Such a record is *reported*, never *measured*, and the register weighs it so.

    Args:
        kind: ``attestation``, or a kind of your own (lower case, digits, ``_`` and ``.``), or a whole record of
            either sort.
        content: Free content of a record of your own; JSON values only, no rows of data.
        verdict: ``pass``, ``fail``, ``uncertain``, ``not_tested`` or ``recorded``.
        reason: Why, in one sentence; required with a verdict other than ``recorded``.
        method: How it was obtained.
        thresholds: Limits set before.
        numbers: Summary numbers.
        valid_until: End of validity; required for an attestation.
        topic: Attestation: what it is about (``aims register`` lists the topics).
        statement: Attestation: the statement.
        owner: Attestation: who states it; required.
        approver: Attestation: who approved it.
        role: Attestation: the owner's role.
        valid_from: Attestation: first day; today where None.
        supports: Attestation: ids of clauses and controls.
        document: Attestation: the document, a ``DocumentRef`` or its fields.
        run_id: The run; the active one, else a new one, where None.
        config: ``aims.yaml``, by path, or a declaration.

    Returns:
        The evidence as logged.

    Raises:
        InputError: a kind this library measures itself, a missing field, or content JSON has no form for.
    """
    settings = load_settings(config)
    target = _target(run_id)
    subject = target.subject(settings)
    if isinstance(kind, EvidenceBase):
        record = _whole(kind, subject)
    elif kind == "attestation":
        until = _end_of(valid_until)
        given = {
            "verdict": verdict != Verdict.RECORDED,
            "content": content,
            "numbers": numbers,
            "thresholds": thresholds,
        }
        if any(given.values()):
            named = ", ".join(name for name, there in given.items() if there)
            raise InputError(
                f"an attestation has no {named}: it is a person's statement",
                remedy="Say it in the statement, or log a record of a kind of your own.",
            )
        if not all((text or "").strip() for text in (topic, statement, owner)) or until is None:
            raise InputError(
                "an attestation needs topic, statement, owner and valid_until",
                remedy='For example log_evidence("attestation", topic="ai_policy", statement="...", owner="...", '
                "valid_until=date(2027, 11, 24)).",
            )
        _known_to_register(settings, str(topic), _names(supports))
        record = _made(
            AttestationRecord,
            collector=COLLECTOR,
            captured_at=now(),
            valid_until=until,
            subject=subject,
            method="A named person's statement.",
            verdict=Verdict.RECORDED,
            reason=reason or f"Stated by {owner}.",
            topic=topic,
            statement=statement,
            owner=owner,
            approver=approver,
            role=role,
            valid_from=valid_from or now().date(),
            supports=_names(supports),
            document=document,
        )
    else:
        record = _custom(kind, content, subject, verdict, reason, method, thresholds, numbers, _end_of(valid_until))
    _log(target, settings, [record])
    return record


def _known_to_register(settings: Settings, topic: str, supports: Sequence[str]) -> None:
    """Refuse a topic or id the register does not know, with the nearest one it does."""
    from difflib import get_close_matches

    catalog = catalog_of(settings)
    for what, name, valid in (
        ("topic", topic, catalog.topics),
        *(("id of a clause or control", row, catalog.ids) for row in supports),
    ):
        if name not in valid:
            near = get_close_matches(name, list(valid), n=1, cutoff=0.4)
            hint = f"Did you mean '{near[0]}'?" if near else "`aims register` lists what there is."
            raise InputError(f"unknown {what} {name!r}", remedy=hint)


def _whole(record: EvidenceBase, subject: Subject) -> EvidenceBase:
    """A record made by the caller: any that claims no measurement of this library's, bound to this run and moment."""
    if not isinstance(record, AttestationRecord | CustomRecord):
        _refuse_measured(getattr(record, "kind", ""))
    if isinstance(record, CustomRecord) and record.basis == Basis.MEASURED:
        raise InputError(
            "a record of your own is reported, declared or attested, never measured by this library", where="basis"
        )
    about = record.subject.model_copy(update={"run": subject.run, "system_id": subject.system_id})
    return record.model_copy(update={"subject": about, "collector": COLLECTOR, "captured_at": now()})


def _refuse_measured(kind: str) -> NoReturn:
    measured = {
        "data_quality": "log_data_quality",
        "drift": "log_drift",
        "performance": "log_performance",
        "fairness": "log_fairness",
    }
    raise InputError(
        f"evidence of kind {kind!r} is measured by this library and cannot be written by hand",
        remedy=f"Call aims_mlflow.{measured[kind]}()." if kind in measured else "It is captured by autolog().",
    )


def _custom(
    kind: str,
    content: Mapping[str, Any] | None,
    subject: Subject,
    verdict: str,
    reason: str,
    method: str,
    thresholds: Sequence[Threshold],
    numbers: Mapping[str, float] | None,
    valid_until: datetime | None,
) -> CustomRecord:
    from aims_mlflow.evidence import TYPED_KINDS

    if kind in TYPED_KINDS:
        _refuse_measured(kind)
    if verdict != Verdict.RECORDED and not reason:
        raise InputError(f"a verdict of {verdict!r} needs a reason", remedy="Say why in one sentence: reason='...'.")
    record: CustomRecord = _made(
        CustomRecord,
        kind=kind,
        basis=Basis.REPORTED,
        collector=COLLECTOR,
        captured_at=now(),
        valid_until=valid_until,
        subject=subject,
        method=method,
        verdict=verdict,
        reason=reason or "Reported by the caller.",
        thresholds=tuple(thresholds),
        numbers=dict(numbers or {}),
        content=dict(content or {}),
    )
    return record


def _made(model: type[Any], **fields: Any) -> Any:
    """Build a record; what does not fit is the caller's mistake and is said in his words."""
    from pydantic import ValidationError

    from aims_mlflow.evidence import canonical_json

    try:
        record = model(**fields)
        canonical_json(record)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise InputError(f"the record is not valid: {wrong}") from error
    except (TypeError, ValueError) as error:
        raise InputError(
            "the content holds a value JSON has no form for",
            remedy="Use text, finite numbers, booleans, null, lists and dicts with text keys.",
        ) from error
    return record


def _end_of(moment: datetime | date | None) -> datetime | None:
    from datetime import UTC, time

    if moment is None or isinstance(moment, datetime):
        return moment.astimezone(UTC) if moment is not None else None
    return datetime.combine(moment, time(23, 59, 59), UTC)


# Where it goes


@dataclass(frozen=True)
class _Target:
    client: Any
    run_id: str
    facts: RunFacts | None

    def subject(self, settings: Settings, *datasets: DatasetRef) -> Subject:
        run = self.facts.ref if self.facts else RunRef(run_id=self.run_id)
        return Subject(system_id=settings.declaration.system.id, run=run, datasets=datasets)


def _target(run_id: str | None) -> _Target:
    """The run to log to: the one named, the active one, or a new active one, as MLflow's own ``log_*`` do."""
    import mlflow
    from mlflow import MlflowClient

    client = MlflowClient()
    if run_id is None:
        active = mlflow.active_run() or mlflow.start_run()
        run_id = active.info.run_id
    elif not _RUN_ID.match(run_id):
        raise InputError(
            f"{run_id!r} is not a run id", remedy="A run id has 32 hex digits; `mlflow runs list` shows them."
        )
    try:
        check_reachable(str(client.tracking_uri))
        facts = RunStore(client, run_id).facts()
    except (DeliveryError, mlflow.MlflowException) as error:
        if getattr(error, "error_code", "") not in _AWAY:
            raise
        facts = None  # the evidence is spooled; it names the run without its content digest
    return _Target(client, run_id, facts)


def _log(target: _Target, settings: Settings, records: Sequence[EvidenceBase]) -> None:
    deliver(target.client, target.run_id, records, settings, assess=False, facts=target.facts)


def _dataset(data: Any, settings: Settings, *, name: str | None, role: str | None) -> tuple[Table, DatasetRef]:
    table = as_table(data)
    is_dataset = hasattr(type(data), "_to_mlflow_entity")
    own_name, digest = (data.name, data._digest) if is_dataset else (None, None)
    label = name or (str(own_name) if own_name else None)
    role = role_of_context(role) if role is not None else role_of(settings.declaration, label, None)
    return table, dataset_ref(table, name=label, role=role, mlflow_digest=digest)


def _about_model(subject: Subject, model: str | None) -> Subject:
    if model is None:
        return subject
    model_id = model.removeprefix("models:/")
    if not model_id.startswith("m-"):
        raise InputError(
            f"{model!r} names no logged model", where="model", remedy="Give models:/m-... as log_model returned it."
        )
    return subject.model_copy(update={"model": ModelRef(model_id=model_id, uri=f"models:/{model_id}")})


def _dataset_fact(table: Table, ref: DatasetRef, settings: Settings, target: _Target, at: datetime) -> EvidenceBase:
    return dataset_record(
        table,
        ref,
        subject=target.subject(settings, ref),
        captured_at=at,
        declaration=settings.declaration,
        smallest_cell=settings.declaration.privacy.smallest_cell,
    )


def _stricter(declared: Mapping[str, Any], given: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Declared and given limits together; where both limit a metric, the stricter one of each side."""
    merged: dict[str, dict[str, Any]] = {name: dict(limit) for name, limit in declared.items()}
    for name, limit in given.items():
        held = merged.setdefault(name, {})
        for side, pick in (("min", max), ("max", min)):
            values = [v for v in (held.get(side), limit.get(side)) if v is not None]
            if values:
                held[side] = pick(values)
        held.update({k: v for k, v in limit.items() if k not in {"min", "max"}})
    return merged


def _refuse_override(settings: Settings, changes: Mapping[str, Any]) -> None:
    """A limit or method of drift that ``aims.yaml`` declares is not set aside by an argument."""
    policy = settings.declaration.drift
    declared = {
        "threshold": policy.threshold is not None or any(c.threshold is not None for c in policy.columns.values()),
        "method": policy.method != "auto" or any(c.method is not None for c in policy.columns.values()),
    }
    for name in ("threshold", "method"):
        if name in changes and declared[name]:
            raise InputError(
                f"aims.yaml declares the drift {name}", where=name, remedy="Change it there, or leave the argument out."
            )


def _with_policy(settings: Settings, section: str, changes: Mapping[str, Any]) -> Settings:
    from pydantic import ValidationError

    if not changes:
        return settings
    plain = settings.declaration.model_dump()
    plain[section] = plain[section] | dict(changes)
    try:
        return Settings(Declaration.model_validate(plain), settings.path, settings.sha256)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"], where=".".join(map(str, first["loc"][1:]))) from error


def _check_method(method: str | None) -> None:
    if method is None or method == "auto":
        return
    from aims_mlflow.measure.drift.methods import find_method

    try:
        find_method(method)
    except ConfigError as error:
        raise InputError(error.message, where="method", remedy=error.remedy) from error


def _limits(metrics: Mapping[str, Any] | None) -> dict[str, dict[str, float]]:
    wrong = [name for name, limit in (metrics or {}).items() if not isinstance(limit, Mapping)]
    if wrong:
        raise InputError(
            "a limit says whether it is the least or the most",
            where=f"metrics[{wrong[0]!r}]",
            remedy=f'Give {{{wrong[0]!r}: {{"min": ...}}}} or {{{wrong[0]!r}: {{"max": ...}}}}.',
        )
    return {name: dict(limit) for name, limit in (metrics or {}).items()}


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    """One name may stand for a list of one."""
    return (given,) if isinstance(given, str) else tuple(given)


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


# Assessing


@dataclass(frozen=True)
class Place:
    """Where a run id or model URI leads."""

    run_id: str | None
    model: ModelRef | None = None
    version: Any = None
    """The registered version, an ``mlflow.entities.model_registry.ModelVersion``."""
    files_uri: str | None = None


def resolve(client: Any, target: str) -> Place:
    """Follow a run id, ``runs:/id[/path]``, ``models:/name/version``, ``models:/name@alias`` or ``models:/m-id``.

    Raises:
        InputError: none of these.
        MlflowException: it does not exist.
    """
    if _RUN_ID.match(target):
        return Place(target)
    if target.startswith("runs:/"):
        run_id, _, path = target.removeprefix("runs:/").partition("/")
        if _RUN_ID.match(run_id):
            return Place(run_id, ModelRef(name=path, uri=target), files_uri=target) if path else Place(run_id)
    if target.startswith("models:/"):
        rest = target.removeprefix("models:/")
        if rest.startswith("m-") and "/" not in rest:
            return _logged_model(client, rest)
        return _registered(client, rest, target)
    raise InputError(
        f"{target!r} names neither a run nor a model",
        remedy="Give a run id, runs:/<id>, models:/<name>/<version> or models:/<name>@<alias>.",
    )


def _logged_model(client: Any, model_id: str) -> Place:
    model = client.get_logged_model(model_id)
    ref = ModelRef(name=model.name, model_id=model_id, uri=f"models:/{model_id}")
    return Place(model.source_run_id, ref, files_uri=model.artifact_location)


def _registered(client: Any, rest: str, target: str) -> Place:
    if "@" in rest:
        name, _, alias = rest.rpartition("@")
        version = client.get_model_version_by_alias(name, alias)
    else:
        name, _, number = rest.rpartition("/")
        if not name or not number.isdigit():
            raise InputError(
                f"{target!r} does not name one version",
                remedy="Give models:/<name>/<version> or models:/<name>@<alias>.",
            )
        version = client.get_model_version(name, number)
    ref = version_ref(version).model_copy(update={"model_id": _logged_id(client, version)})
    run_id = version.run_id or None
    files = client.get_model_version_download_uri(version.name, str(version.version))
    if ref.model_id:
        logged = client.get_logged_model(ref.model_id)
        run_id, files = run_id or logged.source_run_id, logged.artifact_location
    return Place(run_id, ref, version, files)


def _logged_id(client: Any, version: Any) -> str | None:
    """Id of the logged model behind a version; a copied version points to the one it was copied from."""
    from mlflow import MlflowException

    for _ in range(_COPIES):
        found, source = version_ref(version).model_id, str(version.source or "")
        name, _, number = source.removeprefix("models:/").rpartition("/")
        if found or not source.startswith("models:/") or not number.isdigit():
            return found
        try:
            version = client.get_model_version(name, number)
        except MlflowException:  # deleted since: the copy stands for itself
            return None
    return None


def read_model(client: Any, uri: str, *, model_id: str | None = None, name: str | None = None) -> ModelFacts | None:
    """Hash a model's files where they are stored; those of a remote store are downloaded to a temporary folder.

    None where a local folder holds no model.
    """
    import tempfile

    from mlflow.artifacts import download_artifacts
    from mlflow.utils.file_utils import local_file_uri_to_path

    with tempfile.TemporaryDirectory(prefix="aims-model-") as folder:
        local = local_file_uri_to_path(uri) if uri.startswith(("file:", "/")) else None
        path = local or download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=client.tracking_uri)
        return read_model_directory(path, model_id=model_id, name=name)


def assess(
    target: str,
    *,
    config: Config = None,
    tracking_uri: str | None = None,
    attach: bool = True,
    at: datetime | None = None,
) -> Assessment:
    """Judge a run or model version against every clause and control of the register.

    The evidence is read from the run and verified; what MLflow itself shows (run, model files, lineage, declaration) is
    captured if it is not on record yet. A model's files are hashed again, so evidence about other files does not count.

    Args:
        target: Run id, ``runs:/id``, ``models:/name/version``, ``models:/name@alias`` or ``models:/m-id``.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        attach: True writes assessment, reports and tags to the run and version; False only returns the findings.
        at: The moment to judge freshness for; now where None. Only without ``attach``.

    Returns:
        The assessment, one finding for each row.

    Raises:
        InputError: ``target`` names neither run nor model.
        EvidenceError: with ``attach=False``, evidence that does not match its manifest.
        DeliveryError: it could not be written; the evidence is in the spool.
    """
    from mlflow import MlflowClient

    settings = load_settings(config)
    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    place = resolve(client, target)
    if place.run_id is None:
        return _assess_without_run(client, place, settings, attach=attach, at=at)
    store = RunStore(client, place.run_id)
    facts = store.facts()
    held = store.holdings(facts, salvage=attach)
    read = _read_place(client, place, facts)
    model = _model_assessed(place, read, held.evidence)
    new = _missing(facts, held.evidence, read, settings)
    if not attach or at is not None:
        return assessment_of([*held.evidence, *new], settings, facts, at=at or now(), model=model)
    delivery = deliver(client, place.run_id, new, settings, assess=True, facts=facts, model=model)
    if delivery.assessment is None:
        raise DeliveryError(
            "the assessment could not be written",
            where=f"run {place.run_id}",
            remedy="The evidence is kept in the spool; `aims flush` delivers it."
            if delivery.spooled
            else "The warning above says what could not be judged.",
        )
    if place.version is not None:
        # The delivery may have tagged it by what is on record: what it holds now decides what is written.
        version = client.get_model_version(place.version.name, place.version.version)
        publish_version(client, version, delivery.assessment, facts, settings, delivery.evidence_sha256)
    return delivery.assessment


def _read_place(client: Any, place: Place, facts: RunFacts) -> list[ModelFacts]:
    """The models the assessment is about, hashed now; those whose files are gone are left out."""
    if place.files_uri is not None:
        found = [read_model(client, place.files_uri, model_id=place.model.model_id if place.model else None)]
    else:
        logged = [client.get_logged_model(model_id) for model_id in facts.model_ids]
        found = [read_model(client, m.artifact_location, model_id=m.model_id, name=m.name) for m in logged]
    return [read for read in found if read is not None]


def _model_assessed(place: Place, read: Sequence[ModelFacts], held: Sequence[EvidenceBase]) -> ModelRef | None:
    """The model with the digest its files have now; without one, so that no evidence is about it, where they are gone.

    For a run that is one whose files are not those on record, if there is such; None leaves it to the evidence.
    """
    if place.model is not None:
        return place.model.model_copy(update={"sha256": read[0].sha256 if read else None})
    now_there = {m.model_id: m.sha256 for m in read}
    recorded = [r.subject.model for r in held if isinstance(r, ModelRecord) and r.subject.model]
    known = {(model.model_id, model.sha256) for model in recorded}
    for model in recorded:
        digest = now_there.get(model.model_id)
        if model.model_id is not None and (model.model_id, digest) not in known:
            return model.model_copy(update={"sha256": digest})
    return None


def _missing(
    facts: RunFacts, held: Sequence[EvidenceBase], read: Sequence[ModelFacts], settings: Settings
) -> list[EvidenceBase]:
    """What MLflow shows and the run has no record of yet."""
    runs = [r for r in held if isinstance(r, RunRecord)]
    models = {r.subject.model.sha256 for r in held if isinstance(r, ModelRecord) and r.subject.model}
    ids = {r.subject.model.model_id for r in held if isinstance(r, ModelRecord) and r.subject.model}
    current = [r for r in runs if r.subject.run and r.subject.run.sha256 == facts.content_sha256]
    fresh_models = [m for m in read if m.sha256 not in models and m.model_id not in ids]
    declarations = {getattr(r, "declaration_sha256", "-") for r in held if r.__class__.__name__ == "DeclarationRecord"}
    have = {getattr(r, "kind", "") for r in held}
    if current and not fresh_models and settings.sha256 in declarations:
        return []
    status = runs[-1].run_status if current else facts.status
    exception = runs[-1].exception if current else None
    found = collect(
        facts,
        Seen(models=list(fresh_models), status=status, exception=exception),
        settings,
        at=now(),
        with_environment=False,
    )
    drop = {"performance"} if "performance" in have and current else set()
    if current:
        drop |= {"run", "lineage"} if not fresh_models else {"run"}
    return [r for r in found if getattr(r, "kind", "") not in drop]


def _assess_without_run(
    client: Any, place: Place, settings: Settings, *, attach: bool, at: datetime | None
) -> Assessment:
    """A model no run made: there is no evidence and nowhere to attach it; every row says so."""
    facts = RunFacts(run_id="", experiment_id="", status="")
    assessment = assessment_of([], settings, facts, at=at or now(), model=place.model)
    if attach and place.version is not None:
        publish_version(client, place.version, assessment, facts, settings, None)
    return assessment


def tag_version(client: Any, version: Any, *, settings: Settings) -> None:
    """Give a version that was just registered the conclusions of its run, bound to its own content."""
    place = _registered(client, f"{version.name}/{version.version}", f"models:/{version.name}/{version.version}")
    if place.run_id is None:
        client.set_model_version_tag(version.name, str(version.version), "aims.status", "not-assessed")
        return
    store = RunStore(client, place.run_id)
    facts = store.facts()
    held = store.holdings(facts)
    digest = facts.tags.get("aims.evidence")
    if digest is None:
        client.set_model_version_tag(version.name, str(version.version), "aims.status", "not-assessed")
        return
    read = _read_place(client, place, facts)
    model = _model_assessed(place, read, held.evidence)
    assessment = assessment_of(held.evidence, settings, facts, at=now(), model=model)
    publish_version(client, place.version, assessment, facts, settings, digest)


# Reading back


def load_evidence(target: str, kind: str | None = None, *, tracking_uri: str | None = None) -> list[EvidenceBase]:
    """The evidence of a run or model version, oldest first, verified against its manifest and tag.

    Raises:
        InputError: ``target`` names neither run nor model.
        EvidenceError: a file was changed, added or removed since, or has an unknown schema.
    """
    store, facts, place = _opened(target, tracking_uri)
    if store is None:
        return []
    found = store.holdings(facts).evidence
    del place
    return [r for r in found if kind is None or getattr(r, "kind", "") == kind]


def load_assessment(target: str, *, tracking_uri: str | None = None) -> Assessment:
    """The assessment last attached to a run or to the run of a model version, verified.

    Raises:
        InputError: ``target`` names neither run nor model.
        EvidenceError: there is none, or it does not match its manifest.
    """
    store, facts, _ = _opened(target, tracking_uri)
    if store is None:
        raise EvidenceError("no run made this model, so it holds no assessment", where=target)
    return Assessment.model_validate_json(store.read(ASSESSMENT, facts))


def load_report(target: str, *, tracking_uri: str | None = None) -> bytes:
    """The HTML report last attached, verified; errors as ``load_assessment``."""
    store, facts, _ = _opened(target, tracking_uri)
    if store is None:
        raise EvidenceError("no run made this model, so it holds no report", where=target)
    return store.read(REPORT_HTML, facts)


def _opened(target: str, tracking_uri: str | None) -> tuple[RunStore | None, RunFacts, Place]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    place = resolve(client, target)
    if place.run_id is None:
        return None, RunFacts("", "", ""), place
    store = RunStore(client, place.run_id)
    return store, store.facts(), place


__all__ = [
    "FlushResult",
    "assess",
    "flush",
    "load_assessment",
    "load_evidence",
    "load_report",
    "log_data_quality",
    "log_drift",
    "log_evidence",
    "log_fairness",
    "log_performance",
    "parse_evidence",
]
