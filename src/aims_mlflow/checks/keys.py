"""Which records answer the same question, so that the later takes the place of the earlier.

A later record must never be a way to be rid of an earlier failure by asking less. So a key holds all that could have
been made weaker: the dataset, the rules, the method, the limits nobody declared. Limits that ``aims.yaml`` declares are
not part of it, since each record is judged by them as they stand now.
"""

from __future__ import annotations

from collections.abc import Iterable

from aims_mlflow.config.models import Declaration
from aims_mlflow.evidence import (
    AttestationRecord,
    Basis,
    CustomRecord,
    DataQualityEvidence,
    DatasetRecord,
    DatasetRef,
    DriftEvidence,
    EnvironmentRecord,
    EvidenceBase,
    FairnessEvidence,
    ModelRecord,
    PerformanceEvidence,
    RegistryMoveRecord,
    RunRecord,
    Verdict,
    canonical_json,
)
from aims_mlflow.evidence.roles import role_of_context

Key = tuple[object, ...]

AGAINST_BASELINE = "loss against the baseline"
"""Name of the limit of comparisons in a record's thresholds."""

_JUDGED = (Verdict.PASS, Verdict.FAIL, Verdict.UNCERTAIN)
_LEFT_OUT = frozenset({"id", "time", "ignored"})
"""Types of the columns a drift comparison leaves out because it was told to."""
_NO_NAMES = frozenset({None, "", "dataset"})
"""``dataset`` is what MLflow calls every dataset that was given no name."""


def role_of(role: str | None) -> str | None:
    """The role in the register's word."""
    return role_of_context(role).lower() if role else None


def is_unidentified(ref: DatasetRef | None) -> bool:
    """Whether nothing tells the dataset from another: neither its content nor a name of its own."""
    return ref is None or (ref.sha256 is None and ref.name in _NO_NAMES)


def key_of(record: EvidenceBase, kind: str, declaration: Declaration) -> Key:
    """Records with equal keys answer the same question.

    Of a dataset with a name the latest content under that name and role counts: that is how data are mended. Two kinds
    of data are told otherwise: training data by content, since a model stays trained on what it was trained on, and
    mending them means training anew; and live data, where each window takes the place of the one before. A dataset
    without a name is told by its content. One without either stands on its own, and nothing takes its place.
    """
    match record:
        case DatasetRecord():
            return (kind, *_content(record.dataset, record))
        case DataQualityEvidence():
            return (kind, *_content(record.dataset, record), record.suite_name, record.suite_sha256)
        case DriftEvidence():
            return (kind, *_content(record.current, record), *_content(record.reference, record), *_method(record))
        case PerformanceEvidence() if is_logged(record):
            return (kind, "logged")  # metrics read from MLflow: the last reading is what MLflow says
        case PerformanceEvidence():
            return (kind, *_content(record.dataset, record), *_metrics(record, declaration))
        case FairnessEvidence():
            return (kind, *_content(record.dataset, record), *_disparities(record, declaration))
        case AttestationRecord() | RegistryMoveRecord():  # the last move to a target is what serves there
            return (kind, record.topic if isinstance(record, AttestationRecord) else record.target)
        case ModelRecord():
            named = record.subject.model
            return (kind, named and (named.model_id or named.uri or named.name))
        case RunRecord():
            return (kind, record.subject.run and record.subject.run.run_id)
        case EnvironmentRecord():
            named = record.subject.model if record.source == "model" else None
            return (kind, record.source, named and (named.model_id or named.uri or named.name))
        case CustomRecord():
            name = record.content.get("id")
            return (kind, name) if isinstance(name, str) and name else (kind, None, record.digest)
        case _:
            return (kind,)


def series_of(record: EvidenceBase, key: Key) -> Key:
    """Records of one series renew each other: a pass takes the place of an older one that lapsed, never of a failure.

    It is the key itself but for records that stand on their own, which would else be stale for ever after.
    """
    alone = frozenset({record.digest})
    return tuple(part for part in key if part not in alone)


def is_logged(record: EvidenceBase) -> bool:
    """Whether it holds metrics as the caller logged them to MLflow."""
    return isinstance(record, PerformanceEvidence) and record.dataset is None and record.basis is Basis.REPORTED


def _content(ref: DatasetRef | None, record: EvidenceBase) -> Key:
    """Names a dataset; see ``key_of``."""
    if ref is None:
        return (None, None, record.digest)
    role = role_of(ref.role)
    if is_unidentified(ref):
        return (None, role, record.digest)
    if role == "production":
        return (ref.name, role)
    return (ref.name, role, ref.sha256 if role == "training" or ref.name in _NO_NAMES else None)


def _method(record: DriftEvidence) -> Key:
    """How columns were compared and from which share on they count; which ones by order were not compared at all."""
    parameters = {name: value for name, value in record.parameters.items() if name not in ("columns_absent", "window")}
    left_out = {c.column for c in record.columns if c.verdict is Verdict.NOT_TESTED and c.type in _LEFT_OUT}
    return (record.share_limit, record.false_alarm_budget, canonical_json(parameters), frozenset(left_out))


def _metrics(record: PerformanceEvidence, declaration: Declaration) -> Key:
    own = ((m.name, m.threshold, m.verdict) for m in record.metrics)
    names = frozenset(m.name for m in record.metrics)
    baselines = frozenset(c.baseline_ref for c in record.comparisons)
    return (names, baselines, _undeclared_limits(record, own, declaration.performance.metrics))


def _disparities(record: FairnessEvidence, declaration: Declaration) -> Key:
    own = ((f"{d.metric}_{d.statistic}", d.threshold, d.verdict) for d in record.disparities)
    told = frozenset((d.attribute, d.metric, d.statistic) for d in record.disparities)
    return (told, record.min_group_size, _undeclared_limits(record, own, declaration.fairness.metrics))


def _undeclared_limits(
    record: EvidenceBase, own: Iterable[tuple[str, float | None, Verdict]], declared: Iterable[str]
) -> frozenset[object]:
    """Limits that stand in the record alone."""
    known = {*declared, AGAINST_BASELINE}
    listed = {(t.name, t.op, str(t.value)) for t in record.thresholds if t.name not in known}
    known |= {t.name for t in record.thresholds}
    return frozenset(
        listed | {(n, "", str(limit)) for n, limit, verdict in own if verdict in _JUDGED and n not in known}
    )
