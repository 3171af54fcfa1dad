"""What a report shows of the evidence: each record as facts and tables, worst first, the long tail in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aims_mlflow.evidence import (
    AttestationRecord,
    CaptureErrorRecord,
    CustomRecord,
    DatasetRecord,
    DatasetRef,
    DeclarationRecord,
    EnvironmentRecord,
    EvidenceBase,
    EvidenceStatus,
    LineageEdge,
    LineageRecord,
    ModelRecord,
    ModelRef,
    RegistryMoveRecord,
    RunRecord,
    Verdict,
)
from aims_mlflow.report import words
from aims_mlflow.report.charts import Bar, Dot
from aims_mlflow.report.detail import Detail
from aims_mlflow.report.page import Fact
from aims_mlflow.report.words import Label, cut, number


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: text, a name in code type, a badge or a chart."""

    text: str = ""
    sub: str = ""
    code: bool = False
    label: Label | None = None
    bar: Bar | None = None
    dot: Dot | None = None


@dataclass(frozen=True, slots=True)
class TableView:
    """A table and what it leaves out."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    chart: int | None = None
    """The column that holds a chart; formats without charts leave it out."""


@dataclass(frozen=True, slots=True)
class RecordView:
    """One record of evidence."""

    name: str
    heading: str
    label: Label
    reason: str
    open: bool
    facts: tuple[Fact, ...]
    tables: tuple[TableView, ...]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """All records of one kind."""

    title: str
    records: tuple[RecordView, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """The part of a view that differs by kind."""

    about: str = ""
    facts: tuple[Fact, ...] = ()
    tables: tuple[TableView, ...] = ()
    lines: tuple[str, ...] = ()
    attention: bool = False
    """True where a part of it needs a look although the record as a whole passed."""


def left_out(total: int, shown: int, what: str, *, extra: str = "") -> str:
    """The sentence that says how many are not written out; empty when all are."""
    hidden = total - shown
    if hidden <= 0:
        return ""
    tail = f" {extra}" if extra else ""
    return f"{hidden:,} more {what} not written out here; the record's file has all {total:,}.{tail}"


def tally(labels: Iterable[Label]) -> str:
    """``3 pass, 1 fail``, worst first."""
    counts = Counter(labels)
    return ", ".join(f"{n:,} {label.word}" for label, n in sorted(counts.items(), key=lambda item: item[0].rank))


def about_dataset(dataset: DatasetRef | None) -> str:
    """Name and role of a dataset."""
    if dataset is None:
        return ""
    name = cut(dataset.name or words.short(dataset.sha256 or "") or "unnamed dataset", 80)
    return f"{name} ({cut(dataset.role, 40)})" if dataset.role else name


def about_model(model: ModelRef | None) -> Fact:
    """Which model a measurement says it is of."""
    if model is None:
        return Fact("Model", "that of the run")
    version = f"{model.registered_name} version {model.version}" if model.registered_name else model.name
    named = [part for part in (version, model.model_id, model.sha256 and words.short(model.sha256)) if part]
    return Fact("Model", cut(", ".join(dict.fromkeys(named)) or model.uri or "unnamed", 200))


def build_sections(
    evidence: Mapping[str, EvidenceBase], *, at: datetime, detail: Detail, bodies: dict[type, Callable[..., Body]]
) -> tuple[Section, ...]:
    """Sections in the order of ``words.KIND``, other kinds after them.

    Args:
        evidence: Digest to record.
        at: When the assessment was made; what had lapsed by then is shown as past its validity.
        detail: How much to write out.
        bodies: Type of evidence to the function that shows it.
    """
    digests = {id(record): digest for digest, record in evidence.items()}
    by_kind: dict[str, list[EvidenceBase]] = {}
    for record in evidence.values():
        by_kind.setdefault(str(getattr(record, "kind", "custom")), []).append(record)
    order = [*(k for k in words.KIND if k in by_kind), *sorted(k for k in by_kind if k not in words.KIND)]
    sections = []
    for kind in order:
        records = sorted(by_kind[kind], key=lambda r: (words.verdict_of(r).rank, r.captured_at))
        shown = records[: detail.records]
        views = tuple(_view(kind, r, digests[id(r)], at, detail, bodies.get(type(r))) for r in shown)
        hidden = tally(words.verdict_of(r) for r in records[len(shown) :])
        extra = f"Of these: {hidden}." if hidden else ""
        note = left_out(len(records), len(shown), "records of this kind are", extra=extra)
        title = words.KIND.get(kind) or cut(kind.replace("_", " ").capitalize(), 80)
        sections.append(Section(title, views, note.replace("the record's file has", "the folder aims/evidence has")))
    return tuple(sections)


def _view(
    kind: str, record: EvidenceBase, digest: str, at: datetime, detail: Detail, make: Callable[..., Body] | None
) -> RecordView:
    body = make(record, detail) if make else Body()
    label = words.verdict_of(record)
    past = record.valid_until is not None and record.valid_until <= at
    needs_look = record.verdict in (Verdict.FAIL, Verdict.UNCERTAIN, Verdict.NOT_TESTED)
    return RecordView(
        name=f"{kind}-{words.short(digest)}",
        heading=body.about or about_dataset(record.subject.datasets[0] if record.subject.datasets else None),
        label=words.PAST if past and label is not words.ERROR else label,
        reason=cut(record.reason, detail.text),
        open=needs_look or past or body.attention or record.status is not EvidenceStatus.OK,
        facts=(*body.facts, *_common_facts(record, digest, detail)),
        tables=body.tables,
        lines=body.lines,
    )


def _common_facts(record: EvidenceBase, digest: str, detail: Detail) -> tuple[Fact, ...]:
    tool = record.engine or record.collector
    facts = [Fact("Method", cut(f"{record.method}; {tool.name} {tool.version}", 240))]
    if record.thresholds:
        limits = [
            f"{cut(t.name, 60)} {t.op} {words.text_of(t.value, 40)} (set by {cut(t.source, 40)})"
            for t in record.thresholds
        ]
        more = left_out(len(limits), detail.items, "limits are")
        facts.append(Fact("Limits set before", "; ".join(limits[: detail.items]) + (f"; {more}" if more else "")))
    until = f", valid until {words.minute(record.valid_until)}" if record.valid_until else ""
    basis = words.BASIS[record.basis].word
    facts.append(Fact("Captured", f"{words.minute(record.captured_at)}{until}; basis: {basis}"))
    facts.append(Fact("SHA-256", digest, code=True))
    return tuple(facts)


def dataset_body(record: DatasetRecord, detail: Detail) -> Body:
    """Shape, digests and the columns with most missing values."""
    dataset = record.dataset
    shape = " by ".join(
        (f"{dataset.rows:,} rows" if dataset.rows is not None else "rows unknown",
         f"{dataset.columns:,} columns" if dataset.columns is not None else "columns unknown")
    )  # fmt: skip
    gaps = sorted((c for c in record.columns if c.missing), key=lambda c: -c.missing)
    shown = [f"{cut(c.name, 60)} {c.missing:,}" for c in gaps[: detail.items]]
    gap_text = ", ".join(shown) + (f" and {len(gaps) - len(shown):,} more columns" if len(gaps) > len(shown) else "")
    return Body(
        about=f"{about_dataset(dataset)}: {shape}",
        facts=(
            Fact("Full content", dataset.sha256 or "no digest", code=bool(dataset.sha256), missing=not dataset.sha256),
            Fact("Columns and types", record.schema_sha256, code=True),
            Fact("Missing values", gap_text or "none recorded"),
            Fact("Described in aims.yaml", record.declared_as or "not described", missing=not record.declared_as),
            Fact("Source type", record.source_type or "unknown", missing=not record.source_type),
        ),
    )


def model_body(record: ModelRecord, detail: Detail) -> Body:
    """Signature and files."""
    model = record.subject.model
    shown = record.files[: detail.items]
    signature = (
        f"{words.plural(record.signature_inputs, 'input')}, {words.plural(record.signature_outputs or 0, 'output')}"
        if record.signature_inputs is not None
        else "none logged"
    )
    rows = tuple(
        (Cell(cut(f.path, 120), code=True), Cell(f"{f.bytes:,}"), Cell(words.short(f.sha256), code=True)) for f in shown
    )
    files = TableView(
        "Files of the model", ("File", "Bytes", f"SHA-256, first {words.DIGITS} digits"), rows,
        left_out(len(record.files), len(shown), "files are"),
    )  # fmt: skip
    return Body(
        about=cut((model and (model.registered_name or model.name or model.model_id)) or "", 120),
        facts=(
            Fact("Flavours", cut(", ".join(record.flavors), 200) or "none", missing=not record.flavors),
            Fact("Signature", signature, missing=record.signature_inputs is None),
            Fact(
                "Input example", "logged" if record.input_example else "none logged", missing=not record.input_example
            ),
        ),
        tables=(files,) if rows else (),
    )


def environment_body(record: EnvironmentRecord, detail: Detail) -> Body:
    """Python and distributions."""
    packages = len(record.packages)
    first = sorted(record.packages.items())[: detail.items * 2]
    shown = [f"{cut(n, 60)} {cut(v, 30) or '(not pinned)'}" for n, v in first]
    more = left_out(packages, len(shown), "distributions are")
    source = {"model": "the logged model's requirements", "process": "the running process"}[record.source]
    return Body(
        about=f"Python {cut(record.python, 40)}, {words.plural(packages, 'distribution')}",
        facts=(
            Fact("Distributions", (", ".join(shown) + (f". {more}" if more else "")) or "none", missing=not packages),
            Fact("Read from", source),
            Fact("Not pinned", cut(", ".join(record.unpinned), 300) or "none", missing=bool(record.unpinned)),
        ),
    )


def run_body(record: RunRecord, detail: Detail) -> Body:
    """Outcome, code version, parameters, metrics."""
    dirty = {True: ", with uncommitted changes", False: "", None: ""}[record.git_dirty]
    commit = record.git_commit and f"{record.git_commit}{dirty}"
    metrics = list(record.metrics.items())[: detail.items]
    numbers = ", ".join(f"{cut(name, 60)} {number(value)}" for name, value in metrics)
    more = left_out(len(record.metrics), len(metrics), "metrics are")
    family = f"parent {record.parent_run_id}" if record.parent_run_id else "no parent"
    ended = record.run_status + (f" by {cut(record.exception, 80)}" if record.exception else "")
    return Body(
        about=f"ended as {ended}",
        facts=(
            Fact("Code", commit or "no git commit", missing=not commit),
            Fact("Parameters", f"{len(record.params):,}, bound by {words.short(record.params_sha256)}"),
            Fact("Metrics", (numbers + (f". {more}" if more else "")) or "none", missing=not numbers),
            Fact("Family", f"{family}, {words.plural(len(record.child_run_ids), 'child run')}"),
            Fact("Duration", "unknown" if record.duration_seconds is None else f"{number(record.duration_seconds)} s"),
        ),
        attention=record.run_status not in ("FINISHED", "RUNNING"),
    )


def lineage_body(record: LineageRecord, detail: Detail) -> Body:
    """The chain as text."""
    lines = chains(record.edges, limit=detail.items)
    more = "Not every path is written out here; the record's file has all." if len(lines) >= detail.items else ""
    shown = tuple(cut(line, 600) for line in lines)
    return Body(about=words.plural(len(record.edges), "link"), lines=(*shown, more) if more else shown)


def chains(edges: Sequence[LineageEdge], *, limit: int) -> list[str]:
    """Paths from what nothing made to what nothing was made of, ``a → b → c``; a circle is cut where it closes."""
    after: dict[str, list[str]] = {}
    for edge in edges:
        after.setdefault(edge.source, []).append(edge.target)
    made = {edge.target for edge in edges}
    starts = [s for s in after if s not in made] or list(after)[:1]
    paths: list[str] = []
    stack: list[tuple[str, ...]] = [(start,) for start in reversed(starts)]
    # Joining paths can be exponentially many, so both results and steps are bounded.
    for _ in range(limit * 20):
        if not stack or len(paths) >= limit:
            break
        path = stack.pop()
        steps = [t for t in after.get(path[-1], ()) if t not in path]
        if steps and len(path) < 12:
            stack.extend((*path, target) for target in reversed(steps))
        else:
            paths.append(" → ".join(cut(node, 100) for node in path))
    return paths


def declaration_body(record: DeclarationRecord, detail: Detail) -> Body:
    """What was filled in and what was left out."""
    gaps = ", ".join(cut(name, 80) for name in record.undeclared[: detail.items])
    more = left_out(len(record.undeclared), detail.items, "fields are")
    return Body(
        about="aims.yaml" if record.declaration_sha256 else "no aims.yaml",
        facts=(
            Fact("Filled in", words.plural(len(record.declared), "field")),
            Fact(
                "Undeclared", f"{gaps}. {more}" if more else gaps or "nothing a reviewer asks for", missing=bool(gaps)
            ),
            Fact("File", record.declaration_sha256 or "none", code=bool(record.declaration_sha256)),
        ),
        attention=bool(record.undeclared),
    )


def attestation_body(record: AttestationRecord, detail: Detail) -> Body:
    """Who stated what, from when, with which document."""
    document = record.document
    named = (document.title, document.version and f"version {document.version}", document.uri) if document else ()
    parts = [part for part in named if part]
    return Body(
        about=cut(record.topic.replace("_", " "), 80),
        facts=(
            Fact("Statement", cut(record.statement, 600)),
            Fact("Owner", cut(record.owner, 120) + (f", {cut(record.role, 80)}" if record.role else "")),
            Fact(
                "Approved by",
                cut(record.approver, 120) if record.approver else "nobody named",
                missing=not record.approver,
            ),
            Fact("In force from", f"{record.valid_from:%Y-%m-%d}"),
            Fact("Supports", ", ".join(cut(s, 40) for s in record.supports[: detail.items]) or "no row named"),
            Fact("Document", cut(", ".join(parts), 300) or "none", missing=not parts),
            Fact(
                "Document digest",
                (document and document.sha256) or "none",
                code=bool(document and document.sha256),
                missing=not (document and document.sha256),
            ),
        ),
    )


def capture_error_body(record: CaptureErrorRecord, detail: Detail) -> Body:  # noqa: ARG001 (one signature for all)
    """What is missing and where it broke."""
    return Body(
        about=f"{cut(record.of_kind, 80)} could not be captured",
        facts=(Fact("Stage", cut(record.stage, 80)), Fact("Exception class", cut(record.error_type, 120), code=True)),
    )


def registry_move_body(record: RegistryMoveRecord, detail: Detail) -> Body:
    """What the gate decided and where the version went."""
    shown = [cut(problem, 120) for problem in record.problems[: detail.items]]
    return Body(
        about=cut(record.target, 100),
        facts=(
            Fact("Before", cut(record.from_version or "nothing", 80)),
            Fact("Decision", f"{record.outcome}, {record.mode}, {record.level}"),
            Fact("Wanting", "; ".join(shown) or "nothing"),
            Fact("Approvals", str(record.approvals)),
            Fact("Log entry", str(record.entry)),
            Fact("Policy digest", record.policy_sha256 or "none", code=bool(record.policy_sha256)),
        ),
    )


def custom_body(record: CustomRecord, detail: Detail) -> Body:
    """The caller's own content, in short."""
    shown = list(record.content.items())[: detail.items]
    note = left_out(len(record.content), len(shown), "fields are")
    facts = [Fact(cut(key, 60), words.text_of(value, 160)) for key, value in shown]
    return Body(facts=(*facts, Fact("Further fields", note)) if note else tuple(facts))
