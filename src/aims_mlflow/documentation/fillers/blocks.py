"""What fillers share: blocks made from evidence, one version after the other, and what is lacking where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aims_mlflow.documentation.material import Judged, Material, cited, estimate, number, short, verdict_word
from aims_mlflow.documentation.paper import Block, Fact, Facts, Table, Text
from aims_mlflow.evidence import (
    CustomRecord,
    DataQualityEvidence,
    DatasetRecord,
    DriftEvidence,
    EnvironmentRecord,
    EvidenceBase,
    FairnessEvidence,
    MetricResult,
    PerformanceEvidence,
    RuleVerdict,
    RunRecord,
    Verdict,
)

MOST_ROWS = 200
"""Rows of a table; how many are left out is said."""
_SHEET = (
    "description",
    "owner",
    "origin",
    "licence",
    "legal_basis",
    "collected",
    "labelling",
    "preparation",
    "known_bias",
    "retention",
)


@dataclass(frozen=True)
class Lack:
    """Something a filler found missing; whose job it is and what to do come from the part, unless they are given."""

    what: str
    how: str = ""
    whose: str = ""
    answerable: bool = False
    """Whether a person's answer under the item's reference is as good."""


Found = Block | Lack
Filler = Callable[[Material], Sequence[Found]]


def by_version(material: Material, make: Callable[[Judged], Sequence[Found]], what: str) -> list[Found]:
    """The blocks of each version; where some have none, that is said. Nothing where no version has any.

    Args:
        material: All that is known.
        make: Blocks of one version; empty where it has none.
        what: What is lacking of a version without.
    """
    made: list[Found] = []
    lacking: list[Found] = []
    for one in material.versions:
        found = () if one.problem else make(one)
        if found:
            made += found
        elif one.problem:
            how = f"Put it right, then `aims assess {one.label}`."
            lacking.append(Lack(f"{what} of {one.label}: {one.problem}", how=how))
        else:
            lacking.append(Lack(f"{what} of {one.label}"))
    if any(one.problem for one in material.versions):
        return [*made, *lacking]
    return [*made, *lacking] if made else []


def wanting(material: Material, record: EvidenceBase) -> list[Found]:
    """What is lacking where a piece of evidence has lapsed, or judged nothing."""
    found: list[Found] = []
    if record.valid_until is not None and record.valid_until < material.at:
        found.append(Lack(f"current evidence: {cited(record)} has lapsed"))
    if record.verdict is Verdict.NOT_TESTED:
        found.append(Lack(f"a result: {cited(record)} judged nothing. {record.reason}"))
    return found


def facts(pairs: Iterable[tuple[str, object]], source: str) -> list[Block]:
    """Facts that are known; nothing where none is."""
    known = tuple(Fact(name=name, value=str(value)) for name, value in pairs if value not in (None, "", ()))
    return [Facts(facts=known, source=source)] if known else []


def stated(material: Material, topic: str) -> list[Found]:
    """Statements on a topic."""
    return list(material.statements(topic))


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], source: str, note: str = "") -> Table:
    """A table of at most ``MOST_ROWS`` rows; how many are left out is said."""
    shown = tuple(tuple(row) for row in rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        note = f"{len(rows) - MOST_ROWS} more rows are in the evidence. {note}".strip()
    return Table(caption=caption, head=tuple(head), rows=shown, note=note, source=source)


# evidence as blocks


def metric_tables(material: Material, one: Judged) -> list[Found]:
    """Metrics with their intervals, limits and verdicts, one table for each piece of evidence."""
    made: list[Found] = []
    for record in one.of("performance", PerformanceEvidence):
        rows = [_metric_row(metric) for metric in record.metrics]
        data = _about(record.dataset.name if record.dataset else None, record.dataset.role if record.dataset else None)
        caption = f"{one.label}: metrics on {data}"
        if rows:
            made.append(
                table(caption, ("Metric", "Estimate", "Rows", "Limit", "Verdict"), rows, cited(record), record.reason)
            )
        made += wanting(material, record)
        if rows and all(metric.estimate.low is None for metric in record.metrics):
            made.append(
                Lack(
                    f"uncertainty of the metrics on {data}: they were logged as single numbers",
                    how="Call `aims_mlflow.log_performance(...)` with targets and predictions.",
                    whose="data scientist",
                )
            )
    return made


def _metric_row(metric: MetricResult) -> tuple[str, ...]:
    sign = {"higher_is_better": "at least ", "lower_is_better": "at most ", None: ""}[metric.direction]
    limit = f"{sign}{number(metric.threshold)}" if metric.threshold is not None else "none set"
    rows = f"{metric.n:,}" if metric.n is not None else "not told"
    return metric.name, estimate(metric.estimate), rows, limit, verdict_word(metric.verdict)


def group_tables(material: Material, one: Judged) -> list[Found]:
    """Metrics by group, and the gaps between groups."""
    made: list[Found] = []
    for record in one.of("fairness", FairnessEvidence):
        data = _about(record.dataset.name if record.dataset else None, record.dataset.role if record.dataset else None)
        rows = []
        for group in record.groups:
            size = f"{group.n:,}" if group.n is not None else "suppressed"
            if not group.judged:
                rows.append((group.attribute, group.group, size, "", f"fewer than {record.min_group_size}: not judged"))
            rows += [
                (group.attribute, group.group, size, name, estimate(value)) for name, value in group.metrics.items()
            ]
        if rows:
            head = ("Attribute", "Group", "Rows", "Metric", "Estimate")
            made.append(table(f"{one.label}: metrics by group on {data}", head, rows, cited(record)))
        gaps = [
            (
                gap.attribute,
                f"{gap.metric} {gap.statistic}",
                estimate(gap.estimate),
                number(gap.threshold) if gap.threshold is not None else "none set",
                verdict_word(gap.verdict),
            )
            for gap in record.disparities
        ]
        if gaps:
            head = ("Attribute", "Difference between groups", "Estimate", "Limit", "Verdict")
            made.append(table(f"{one.label}: differences between groups on {data}", head, gaps, cited(record)))
        made += wanting(material, record)
    return made


def dataset_blocks(one: Judged, *, roles: frozenset[str] | None = None) -> list[Found]:
    """Datasets by content, each with its data sheet; an answer its data sheet lacks is a gap of its own."""
    records = [r for r in one.of("dataset", DatasetRecord) if roles is None or (r.dataset.role or "") in roles]
    if not records:
        return []
    rows = [
        (
            _about(r.dataset.name, None),
            r.dataset.role or "not told",
            f"{r.dataset.rows:,}" if r.dataset.rows is not None else "not told",
            str(r.dataset.columns if r.dataset.columns is not None else "not told"),
            r.dataset.sha256 or "no digest of the full content",
        )
        for r in records
    ]
    head = ("Data set", "Role", "Rows", "Columns", "SHA-256 of the full content")
    made: list[Found] = [table(f"{one.label}: data sets", head, rows, "; ".join(cited(r) for r in records[:4]))]
    if roles is not None:
        return made
    for record in records:
        made += _sheet(one, record)
    return made


def _sheet(one: Judged, record: DatasetRecord) -> list[Found]:
    name = _about(record.dataset.name, record.dataset.role)
    sheet = one.declaration.datasets.get(record.declared_as or "")
    if sheet is None:
        how = f"Describe it under datasets in aims.yaml: {', '.join(_SHEET)}."
        return [Lack(f"a data sheet of {name}", how=how, whose="data scientist")]
    known = [(field.replace("_", " ").capitalize(), getattr(sheet, field)) for field in _SHEET]
    made: list[Found] = []
    filled = facts([(f"Data sheet of {name}", record.declared_as), *known], "aims.yaml, datasets")
    made += filled
    absent = [field for field in _SHEET if not getattr(sheet, field)]
    if absent:
        where = f"datasets.{record.declared_as} in aims.yaml"
        how = f"Fill in {', '.join(absent)} of {where} (a word such as 'none' will do)."
        made.append(Lack(f"in the data sheet of {name}: {', '.join(absent)}", how=how, whose="data scientist"))
    return made


def quality_tables(material: Material, one: Judged) -> list[Found]:
    """Data-quality rules and what came of them, a line for each dataset."""
    records = one.of("data_quality", DataQualityEvidence)
    if not records:
        return []
    rows = []
    for r in records:
        met = sum(rule.verdict is RuleVerdict.PASS for rule in r.rules)
        broken = [f"{rule.rule} {rule.column or ''}".strip() for rule in r.rules if rule.verdict is RuleVerdict.FAIL]
        rows.append(
            (
                _about(r.dataset.name, r.dataset.role),
                f"{met} of {len(r.rules)}",
                "; ".join(broken[:5]) or "none",
                verdict_word(r.verdict),
                r.reason,
            )
        )
    head = ("Data set", "Rules met", "Broken", "Verdict", "Why")
    made: list[Found] = [table(f"{one.label}: data quality", head, rows, "; ".join(cited(r) for r in records[:4]))]
    for r in records:
        made += wanting(material, r)
    return made


def drift_tables(material: Material, one: Judged) -> list[Found]:
    """Comparisons of data with their reference, a line for each."""
    records = one.of("drift", DriftEvidence)
    if not records:
        return []
    rows = [
        (
            f"{r.captured_at:%Y-%m-%d}",
            _about(r.current.name, r.current.role),
            _about(r.reference.name, r.reference.role),
            f"{r.drifted} of {r.tested} tested columns",
            verdict_word(r.verdict),
            r.reason,
        )
        for r in records
    ]
    head = ("Date", "Data", "Reference", "Drifted", "Verdict", "Why")
    made: list[Found] = [table(f"{one.label}: drift", head, rows, "; ".join(cited(r) for r in records[:4]))]
    for r in records:
        made += wanting(material, r)
    return made


def software_blocks(one: Judged) -> list[Found]:
    """Python and packages with their versions."""
    record = software_of(one)
    if record is None:
        return []
    rows = [(name, version or "not pinned") for name, version in sorted(record.packages.items())]
    made: list[Found] = [
        table(f"{one.label}: Python {record.python} and packages", ("Package", "Version"), rows, cited(record))
    ]
    if record.unpinned:
        how = 'Log the model with exact versions: `log_model(..., pip_requirements=["name==version"])`.'
        made.append(Lack(f"exact versions of {', '.join(record.unpinned[:20])}", how=how, whose="data scientist"))
    return made


def software_of(one: Judged) -> EnvironmentRecord | None:
    """The environment packed with the model, else that of the process."""
    found = one.of("environment", EnvironmentRecord)
    return max(found, key=lambda r: (r.source == "model", r.captured_at, r.digest), default=None)


def run_blocks(one: Judged) -> list[Found]:
    """The training run: code, outcome, parameters."""
    record = one.first("run", RunRecord)
    if record is None:
        return []
    dirty = {True: "changed since the commit", False: "as committed", None: "not known whether changed"}
    made: list[Found] = []
    made += facts(
        [
            ("Version", one.label),
            ("Run", one.run_id),
            ("Outcome", record.run_status),
            ("Code", f"commit {record.git_commit}, {dirty[record.git_dirty]}" if record.git_commit else None),
            ("Kind of source", record.source_type),
            ("Seconds", number(record.duration_seconds) if record.duration_seconds is not None else None),
            ("Child runs", len(record.child_run_ids) or None),
        ],
        cited(record),
    )
    if not record.git_commit:
        how = "Train from a git checkout, so that MLflow records the commit."
        made.append(Lack(f"the version of the code that trained {one.label}", how=how, whose="data scientist"))
    made += parameter_blocks(one, record)
    return made


def parameter_blocks(one: Judged, record: RunRecord) -> list[Found]:
    """Names of the parameters, with their values where those may be told."""
    if not record.params:
        return []
    if one.parameters is not None:
        rows = [(name, one.parameters.get(name, "")) for name in record.params]
        return [table(f"{one.label}: parameters", ("Parameter", "Value"), rows, f"MLflow, run {one.run_id}")]
    names = ", ".join(record.params[:MOST_ROWS])
    said = f"Parameters (values are in MLflow, run {one.run_id}, digest {short(record.params_sha256)}): {names}."
    made: list[Found] = [Text(text=said, source=cited(record))]
    if one.parameters_changed:
        how = f"See who changed run {one.run_id}, and train anew."
        made.append(Lack("the values of the parameters: those in MLflow are not those the run ended with", how=how))
    return made


def custom_blocks(one: Judged, kind: str) -> list[Found]:
    """Records of the caller's own kind: what they say, and their verdict."""
    made: list[Found] = []
    for record in one.of(kind, CustomRecord):
        pairs: list[tuple[str, object]] = [("Version", one.label), ("Verdict", verdict_word(record.verdict))]
        pairs.append(("Why", record.reason))
        pairs += [(name, number(value)) for name, value in sorted(record.numbers.items())]
        pairs += [(str(name), _plain(value)) for name, value in sorted(record.content.items())]
        made += facts(pairs[:MOST_ROWS], cited(record))
    return made


def _plain(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _about(name: str | None, role: str | None) -> str:
    shown = name or "a data set without a name"
    return f"{shown} ({role})" if role else shown
