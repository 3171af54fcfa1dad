"""Impact assessments (6.1.4, 8.4, A.5.2 to A.5.5), in the shape of ISO/IEC 42005; every text is the assessor's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from aims_mlflow.checks.keys import key_of
from aims_mlflow.config.models import Declaration
from aims_mlflow.evidence import EvidenceBase, EvidenceStatus, FairnessEvidence, PerformanceEvidence, Verdict
from aims_mlflow.evidence.base import DatasetRef, Interval, Number, Record, Sha256

Severity = Literal["negligible", "minor", "moderate", "major", "severe"]
Likelihood = Literal["rare", "unlikely", "possible", "likely", "certain"]


class Effect(Record):
    """A benefit or harm to somebody."""

    to: str = Field(min_length=1)
    """The person, group, or part of society."""
    of: Literal["individuals", "groups", "society", "environment"]
    what: str = Field(min_length=1)
    kind: Literal["benefit", "harm"]
    severity: Severity = "minor"
    """How much it means to them, for good or ill."""
    likelihood: Likelihood = "possible"
    measure: str | None = None
    """What is done about it."""


class ImpactThreshold(Record):
    """A line that was drawn before: beyond it the use is sensitive, restricted or refused."""

    what: str = Field(min_length=1)
    limit: str = Field(min_length=1)
    met: bool
    """Whether the system stays on the right side of it."""


class MeasuredNumber(Record):
    """A number filled in from evidence."""

    name: str
    value: Number = None
    low: Number = None
    high: Number = None
    n: int | None = None
    """Rows it rests on; null where suppressed or not known."""
    data: str | None = None
    """Name and role of the dataset."""
    direction: Literal["higher_is_better", "lower_is_better"] | None = None
    verdict: Verdict | None = None
    """Held against its limit; null where it has none."""
    evidence: Sha256


class Retraining(Record):
    """What a version trained anew means for the assessment."""

    assess: Literal["every version", "beyond limits"] = "every version"
    """``beyond limits``: a version whose metrics stayed within ``max_loss`` of the measured ones and within their
    limits is covered as well."""
    max_loss: float = Field(default=0.0, ge=0)
    """How much worse than measured a metric may be."""


class ImpactContent(Record):
    """The outcome of an assessment of one system (the record's ``systems`` names it), bound to a version."""

    registered_name: str | None = None
    version: str | None = None
    model_sha256: Sha256 | None = None
    """Content of the version it covers; null: of no version in particular, from before there was one."""
    purpose: str = ""
    intended_use: str = Field(min_length=1)
    declared_use: str | None = None
    """Intended use as the system's record had it when this was filed; null where it had none."""
    misuse: tuple[str, ...] = ()
    """Foreseeable uses it is not meant for."""
    regions: tuple[str, ...] = ()
    data_sources: tuple[str, ...] = ()
    data: str = ""
    """What the data are, how good they are, whom they leave out."""
    model: str = ""
    """What kind of model it is and what it cannot do."""
    environment: str = ""
    """Where and how it is used, and who oversees it."""
    affected: tuple[str, ...] = ()
    """Those it bears on, whether they use it or not."""
    effects: tuple[Effect, ...] = ()
    thresholds: tuple[ImpactThreshold, ...] = ()
    measured: tuple[MeasuredNumber, ...] = ()
    """Filled in from the version's evidence at filing, never by hand."""
    conclusion: Literal["acceptable", "acceptable with measures", "not acceptable"]
    reason: str = Field(min_length=1)
    retraining: Retraining = Retraining()


FILLED_IN = ("registered_name", "version", "model_sha256", "declared_use", "measured")
"""Fields nobody writes by hand: they come from the registry, the records and the evidence."""


def measured_numbers(evidence: Iterable[EvidenceBase]) -> tuple[MeasuredNumber, ...]:
    """Metrics with intervals, those of groups, and the gaps between groups, from the latest evidence of each sort.

    Args:
        evidence: About one version. What could not run, or judged nothing, gives no number.
    """
    found: dict[tuple[str, str | None], MeasuredNumber] = {}
    for record in latest_of(
        evidence
    ):  # oldest first: of one number measured by several sets of limits the latest counts
        if isinstance(record, PerformanceEvidence):
            numbers: Sequence[MeasuredNumber] = [
                _number(m.name, m.estimate, record, record.dataset, n=m.n, verdict=m.verdict, direction=m.direction)
                for m in record.metrics
            ]
        elif isinstance(record, FairnessEvidence):
            numbers = _of_groups(record)
        else:
            continue
        dataset = record.dataset
        content = (dataset.sha256 or dataset.name) if dataset is not None else None
        found |= {(one.name, one.data or content): one for one in numbers}
    return tuple(sorted(found.values(), key=lambda one: (one.name, one.data or "", one.evidence)))


def latest_of(evidence: Iterable[EvidenceBase]) -> list[EvidenceBase]:
    """Of records that answer the same question the latest, as the checks count them; those that could not run not."""
    newest: dict[tuple[object, ...], EvidenceBase] = {}
    for record in evidence:
        if record.status is EvidenceStatus.OK and record.verdict is not Verdict.NOT_TESTED:
            key = key_of(record, str(getattr(record, "kind", "")), _NOTHING_DECLARED)
            held = newest.get(key)
            if held is None or (record.captured_at, record.digest) > (held.captured_at, held.digest):
                newest[key] = record
    return sorted(newest.values(), key=lambda record: (record.captured_at, record.digest))


_NOTHING_DECLARED = Declaration()


def _of_groups(record: FairnessEvidence) -> Sequence[MeasuredNumber]:
    groups = [
        _number(f"{name} [{group.attribute}={group.group}]", estimate, record, record.dataset, n=group.n)
        for group in record.groups
        if group.judged
        for name, estimate in sorted(group.metrics.items())
    ]
    gaps = [
        _number(f"{d.metric}_{d.statistic} [{d.attribute}]", d.estimate, record, record.dataset, verdict=d.verdict)
        for d in record.disparities
    ]
    return [*groups, *gaps]


def _number(
    name: str,
    estimate: Interval,
    record: EvidenceBase,
    dataset: DatasetRef | None,
    *,
    n: int | None = None,
    verdict: Verdict | None = None,
    direction: Literal["higher_is_better", "lower_is_better"] | None = None,
) -> MeasuredNumber:
    named = None
    if dataset is not None and dataset.name:
        named = f"{dataset.name} ({dataset.role})" if dataset.role else dataset.name
    judged = verdict in (Verdict.PASS, Verdict.FAIL, Verdict.UNCERTAIN)
    return MeasuredNumber(
        name=name,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=n,
        data=named,
        direction=direction,
        verdict=verdict if judged else None,
        evidence=record.digest,
    )
