"""The model card of a bill of materials (CycloneDX 1.6): parameters, metrics by slice, considerations. Plain JSON.

CycloneDX's library for Python does not write model cards and the content of data components yet; its validator knows
both, and judges what is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aims_mlflow.documentation.bom.components import dataset_refs
from aims_mlflow.documentation.material import Judged, Material, short, verdict_word
from aims_mlflow.evidence import (
    DatasetRecord,
    Disparity,
    EvidenceBase,
    FairnessEvidence,
    Interval,
    ModelRecord,
    PerformanceEvidence,
    RunRecord,
)
from aims_mlflow.management.impact import Effect, ImpactContent

Plain = dict[str, Any]

_APPROACH = {"classification": "supervised", "multiclass": "supervised", "regression": "supervised"}
_MOST = 500
"""Metrics; how many are left out is a property."""


def cards(material: Material, one: Judged) -> tuple[Plain, dict[str, Plain]]:
    """The model card, and by bom-ref what each data component holds."""
    refs = dataset_refs(one)
    metrics, left_out = _metrics(one)
    card: Plain = {"bom-ref": "model-card", "modelParameters": _parameters(one, [ref for ref, _, _ in refs])}
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    considerations = _considerations(material, one)
    if considerations:
        card["considerations"] = considerations
    card["properties"] = _properties(material, one, left_out)
    return card, {ref: _data(material, one, record, named.name or "") for ref, record, named in refs}


def _parameters(one: Judged, data: list[str]) -> Plain:
    record = one.first("model", ModelRecord)
    task = next((r.task for r in _measured(one) if r.task != "unknown"), "")
    made: Plain = {}
    if task:
        made["approach"] = {"type": _APPROACH[task]}
        made["task"] = task
    if record is not None and record.flavors:
        made["architectureFamily"] = ", ".join(record.flavors)
    if data:
        made["datasets"] = [{"ref": ref} for ref in data]
    for side in ("input", "output"):
        columns = [{"format": f"{c.name}: {c.type}"} for c in one.signature if c.side == side]
        if columns:
            made[f"{side}s"] = columns
    return made


def _measured(one: Judged) -> list[PerformanceEvidence | FairnessEvidence]:
    return [*one.of("performance", PerformanceEvidence), *one.of("fairness", FairnessEvidence)]


def _metrics(one: Judged) -> tuple[list[Plain], int]:
    """Metrics overall, by group, and the differences between groups; undefined ones are left out."""
    made = []
    for r in one.of("performance", PerformanceEvidence):
        where = _slice(r.dataset.role if r.dataset else None, r.dataset.name if r.dataset else None)
        made += [_metric(metric.name, metric.estimate, where) for metric in r.metrics]
    for f in one.of("fairness", FairnessEvidence):
        where = _slice(f.dataset.role if f.dataset else None, f.dataset.name if f.dataset else None)
        for group in f.groups:
            cell = f"{where}, {group.attribute} = {group.group}"
            made += [_metric(name, estimate, cell) for name, estimate in sorted(group.metrics.items())]
        made += [
            _metric(f"{gap.metric} {gap.statistic}", gap.estimate, f"{where}, between groups of {gap.attribute}")
            for gap in f.disparities
        ]
    known = [metric for metric in made if metric is not None]
    return known[:_MOST], max(0, len(known) - _MOST)


def _slice(role: str | None, name: str | None) -> str:
    return " ".join(part for part in (role or "", name or "") if part) or "data not told"


def _metric(name: str, estimate: Interval, where: str) -> Plain | None:
    if estimate.value is None:
        return None
    made: Plain = {"type": name, "value": repr(estimate.value), "slice": where}
    if estimate.low is not None and estimate.high is not None:
        made["confidenceInterval"] = {"lowerBound": repr(estimate.low), "upperBound": repr(estimate.high)}
    return made


def _considerations(material: Material, one: Judged) -> Plain:
    effects = _effects(material)
    uses = material.said("intended_use")[0]
    made: Plain = {
        "useCases": [str(uses)] if uses else [],
        "technicalLimitations": [f"Not for: {use}" for use in material.said("not_for")[0] or ()],
        "ethicalConsiderations": [
            {"name": f"{e.what} ({e.severity}, {e.likelihood})", "mitigationStrategy": e.measure or "none named"}
            for e in effects
            if e.kind == "harm"
        ],
        "fairnessAssessments": [
            {
                "groupAtRisk": f"{gap.attribute}: {gap.lowest_group or 'a group'}",
                "harms": _harm(gap),
            }
            for f in one.of("fairness", FairnessEvidence)
            for gap in f.disparities
        ],
    }
    return {name: value for name, value in made.items() if value}


def _harm(gap: Disparity) -> str:
    return f"{gap.metric} {gap.statistic} between groups: {verdict_word(gap.verdict)}"


def _effects(material: Material) -> Iterable[Effect]:
    contents = (material.content(one, ImpactContent) for one in material.nearest("impact"))
    return [effect for content in contents if content is not None for effect in content.effects]


def _properties(material: Material, one: Judged, left_out: int) -> list[Plain]:
    run = one.first("run", RunRecord)
    named: list[tuple[str, str]] = []
    for name in run.params if run else ():
        told = one.parameters.get(name, "") if one.parameters is not None else "value is in MLflow"
        named.append((f"aims:parameter:{name}", told))
    if run is not None:
        named += [("aims:code", run.git_commit or ""), ("aims:parameters_sha256", run.params_sha256)]
    if left_out:
        named.append(("aims:metrics_left_out", str(left_out)))
    assessment = one.attached
    if assessment is not None:
        named.append(("aims:assessment", f"{assessment.overall}: {assessment.headline}"))
    named.append(("aims:human_oversight", str(material.said("human_oversight")[0] or "")))
    named += [("aims:evidence", _name(record)) for record in _rests_on(one)]
    if not material.said("intended_use")[0]:
        named.append(("aims:gap", "no intended use is declared"))
    if not _measured(one):
        named.append(("aims:gap", "no metric is on record"))
    return [{"name": name, "value": value} for name, value in named if value]


def _rests_on(one: Judged) -> list[EvidenceBase]:
    kinds = ("run", "environment", "model", "dataset", "performance", "fairness")
    return [record for kind in kinds for record in one.of(kind, EvidenceBase)]


def _name(record: EvidenceBase) -> str:
    return f"{getattr(record, 'kind', 'record')}-{short(record.digest)}"


def _data(material: Material, one: Judged, record: DatasetRecord | None, name: str) -> Plain:
    """What a data component holds: its data sheet, never a value."""
    sheet = one.declaration.datasets.get(record.declared_as or "") if record is not None else None
    made: Plain = {"type": "dataset", "name": name or "a data set without a name"}
    if sheet is None:
        return made
    told = [
        ("Origin", sheet.origin),
        ("Collected", sheet.collected),
        ("Labelling", sheet.labelling),
        ("Preparation", sheet.preparation),
        ("Known bias", sheet.known_bias),
        ("Legal basis", sheet.legal_basis),
        ("Retention", sheet.retention),
    ]
    properties = [{"name": f"aims:{what.lower().replace(' ', '_')}", "value": value} for what, value in told if value]
    if properties:
        made["contents"] = {"properties": properties}
    if sheet.description:
        made["description"] = sheet.description
    if sheet.owner:
        made["governance"] = {"owners": [{"organization": {"name": sheet.owner}}]}
    sensitive = [c.name for c in record.columns if c.name in material.declaration.columns.sensitive] if record else []
    if sensitive:
        made["sensitiveData"] = sensitive
    return made
