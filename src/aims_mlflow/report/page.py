"""What a report shows of an assessment, the same for every format: facts, what to fix first, counts, register."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from aims_mlflow.assessment import Assessment, Finding, Outcome, Status
from aims_mlflow.controls import Framework, Strength
from aims_mlflow.evidence import Basis, DeclarationRecord, EvidenceBase
from aims_mlflow.report import charts, words
from aims_mlflow.report.detail import Detail
from aims_mlflow.report.words import Label

_NUMBERED = re.compile(r"(A\.\d+|\d+)(?:\.|$)")


class Fact(NamedTuple):
    """A line of the facts table."""

    name: str
    value: str
    code: bool = False
    missing: bool = False
    """True where the value says that something is not on file."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A record that a finding rests on."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement of a row, judged."""

    label: Label
    requirement: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class RowText:
    """What a row of the register says, apart from the records it rests on: the same from run to run.

    Made by ``_row_text`` alone, which hands out one object for one text: what is rendered of it is kept beside it.
    """

    id: str
    title: str
    label: Label
    strength: Label
    basis: str
    reason: str
    next_step: str
    checks: tuple[Check, ...]
    attention: bool


@dataclass(frozen=True, slots=True)
class RowView:
    """A row of the register."""

    text: RowText
    evidence: tuple[Cited, ...]
    more_evidence: int
    holds: words.Holds | None


@dataclass(frozen=True, slots=True)
class GroupView:
    """A clause group or Annex A objective."""

    heading: str
    rows: tuple[RowView, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class FrameworkView:
    """A framework and its groups."""

    title: str
    groups: tuple[GroupView, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows have a status."""

    label: Label
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one status that are only listed."""

    label: Label
    ids: str
    rows: int
    next_step: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything about the assessment itself."""

    title: str
    subtitle: str
    overall: Label
    headline: str
    facts: tuple[Fact, ...]
    first: tuple[RowText, ...]
    """Rows to fix first, worst first."""
    batches: tuple[Batch, ...]
    counts: tuple[Count, ...]
    bar: tuple[charts.Segment, ...]
    bar_text: str
    frameworks: tuple[FrameworkView, ...]
    total: int


@lru_cache(maxsize=512)
def top_group(group: str) -> str:
    """``6`` of ``6.1`` or ``6.1.2``, ``A.6`` of ``A.6.2``; a group of another form is its own top."""
    match = _NUMBERED.match(group)
    return match[1] if match else group


def ranked(assessment: Assessment) -> list[Finding]:
    """Rows that are not met, worst first; within a status in the order of ``attention``, then of the register."""
    place = {row: i for i, row in enumerate(assessment.attention)}
    last = len(place)
    unmet = [f for f in assessment.findings if f.status not in (Status.SATISFIED, Status.NOT_APPLICABLE)]
    return sorted(unmet, key=lambda f: (words.STATUS[f.status].rank, place.get(f.id, last)))


def counted(assessment: Assessment) -> dict[Status, int]:
    """Rows by status, counted from the findings themselves."""
    counts = dict.fromkeys(Status, 0)
    for finding in assessment.findings:
        counts[finding.status] += 1
    return counts


def build_page(
    assessment: Assessment,
    evidence: Sequence[EvidenceBase],
    *,
    detail: Detail,
    manifest_sha256: str | None,
    owner: str | None,
    frameworks: Sequence[Framework],
) -> Page:
    """Work out the page."""
    counts = counted(assessment)
    views = {id(f): _row(f, assessment, detail) for f in assessment.findings}
    unmet = ranked(assessment)
    first, batches = _fix_first(unmet, views, detail.first)
    ordered = sorted(Status, key=lambda s: words.STATUS[s].rank)
    total = len(assessment.findings)
    told = [f"{counts[s]} {words.STATUS[s].word}" for s in ordered if counts[s]]
    return Page(
        title=assessment.system_name or assessment.subject.system_id or "System not declared",
        subtitle=_subtitle(assessment),
        overall=words.OVERALL[assessment.overall],
        headline=assessment.headline,
        facts=_facts(assessment, manifest_sha256, owner or _declared_owner(evidence)),
        first=first,
        batches=batches,
        counts=tuple(Count(words.STATUS[s], counts[s]) for s in ordered),
        bar=charts.stack((counts[s], words.STATUS[s].look, words.STATUS[s].symbol) for s in ordered),
        bar_text=f"{words.plural(total, 'row')}: {', '.join(told) or 'none'}.",
        frameworks=_frameworks(assessment, views, frameworks),
        total=total,
    )


def _row(finding: Finding, assessment: Assessment, detail: Detail) -> RowView:
    if not finding.evidence:
        return _row_without_evidence(finding, detail)
    cited = finding.evidence[:6]
    return RowView(
        text=_text(finding, detail),
        evidence=tuple([Cited(f"{assessment.evidence.get(d, 'record')}-{words.short(d)}", d) for d in cited]),
        more_evidence=len(finding.evidence) - len(cited),
        holds=words.holds(finding.valid_until, finding.until_ground, finding.status),
    )


@lru_cache(maxsize=2048)
def _row_without_evidence(finding: Finding, detail: Detail) -> RowView:
    holds = words.holds(finding.valid_until, finding.until_ground, finding.status)
    return RowView(_text(finding, detail), (), 0, holds)


def _text(finding: Finding, detail: Detail) -> RowText:
    shown = len(finding.checks) > 1 and any(c.reason != finding.reason for c in finding.checks)
    checks = finding.checks[: detail.checks] if shown else ()
    return _row_text(
        detail.text,
        finding.id,
        finding.title,
        finding.status,
        finding.strength,
        finding.basis,
        finding.reason,
        finding.next_step,
        tuple([(c.outcome, c.requirement, c.reason) for c in checks]),
    )


@lru_cache(maxsize=2048)
def _row_text(
    longest: int,
    row_id: str,
    title: str,
    status: Status,
    strength: Strength,
    basis: Basis | None,
    reason: str,
    next_step: str,
    checks: tuple[tuple[Outcome, str, str], ...],
) -> RowText:
    return RowText(
        id=row_id,
        title=words.cut(title, min(160, longest)),
        label=words.STATUS[status],
        strength=words.STRENGTH[strength],
        basis=words.BASIS[basis].word if basis else "",
        reason=words.cut(reason, longest),
        next_step=words.cut(next_step, longest),
        checks=tuple(_check(outcome, name, why, reason) for outcome, name, why in checks),
        attention=status in words.ATTENTION,
    )


def _check(outcome: Outcome, requirement: str, reason: str, said: str) -> Check:
    return Check(words.OUTCOME[outcome], words.cut(requirement, 60), "" if reason == said else words.cut(reason, 240))


def _fix_first(
    unmet: list[Finding], views: dict[int, RowView], most: int
) -> tuple[tuple[RowText, ...], tuple[Batch, ...]]:
    first: list[RowText] = []
    batches: list[Batch] = []
    for status in (*words.ATTENTION, Status.NO_EVIDENCE, Status.NEEDS_ATTESTATION):
        rows = [f for f in unmet if f.status is status]
        full = 0 if status is Status.NEEDS_ATTESTATION else most
        first += [views[id(f)].text for f in rows[:full]]
        rest = rows[full:]
        if rest:
            steps = {f.next_step for f in rest}
            step = steps.pop() if len(steps) == 1 else "Each row of the register says what to do."
            ids = ", ".join(words.cut(f.id, 40) for f in rest[:200])
            batches.append(Batch(words.STATUS[status], ids, len(rest), words.cut(step, 300)))
    return tuple(first), tuple(batches)


def _subtitle(assessment: Assessment) -> str:
    model, run = assessment.subject.model, assessment.subject.run
    parts = []
    if model and model.registered_name:
        parts.append(f"model {model.registered_name}" + (f" version {model.version}" if model.version else ""))
    elif model and (model.name or model.model_id):
        parts.append(f"logged model {model.name or model.model_id}")
    if run:
        parts.append(f"run {run.run_id}")
    return " · ".join(words.cut(p, 200) for p in parts) or "no run or model named"


def _facts(assessment: Assessment, manifest: str | None, owner: str | None) -> tuple[Fact, ...]:
    subject, model = assessment.subject, assessment.subject.model
    version = f"{model.registered_name} version {model.version}" if model and model.registered_name else None
    run = subject.run.run_id if subject.run else None

    def fact(name: str, value: str | None, otherwise: str, *, code: bool = False) -> Fact:
        return Fact(name, value or otherwise, code and bool(value), not value)

    risk = None if assessment.risk_class == "unclassified" else assessment.risk_class
    facts = [
        fact("System", assessment.system_name, "not declared"),
        fact("System id", subject.system_id, "not declared", code=True),
        fact("Risk class", risk and f"{risk} (terms of the EU AI Act)", "unclassified"),
        fact("Owner", owner, "not declared"),
        fact("Model version", version, "not registered"),
        fact("Model files", model.sha256 if model else None, "no digest", code=True),
        fact("Run", run, "no run", code=True),
        fact("Assessed", words.minute(assessment.assessed_at), ""),
        fact("Fresh until", _fresh(assessment), "no end on file"),
        fact("Evidence manifest", manifest, "its digest is in the tag aims.evidence of the run", code=True),
        fact("Declaration", assessment.declaration_sha256, "no aims.yaml", code=True),
        fact("Register", assessment.catalog_sha256, "", code=True),
        fact("Made by", f"{assessment.collector.name} {assessment.collector.version}", ""),
    ]
    if assessment.undeclared:
        gaps = [words.cut(name, 60) for name in assessment.undeclared[:12]]
        more = len(assessment.undeclared) - len(gaps)
        facts.append(Fact("Undeclared", ", ".join(gaps) + (f" and {more} more" if more > 0 else ""), missing=True))
    return tuple(facts)


def _fresh(assessment: Assessment) -> str | None:
    if assessment.fresh_until is None:
        return None
    past = " (past at the time of the assessment)" if assessment.fresh_until <= assessment.assessed_at else ""
    return words.minute(assessment.fresh_until) + past


def _declared_owner(evidence: Sequence[EvidenceBase]) -> str | None:
    for record in evidence:
        if isinstance(record, DeclarationRecord):
            system = record.content.get("system")
            owner = system.get("owner") if isinstance(system, dict) else None
            name = owner.get("name") if isinstance(owner, dict) else owner
            if isinstance(name, str) and name:
                return words.cut(name, 120)
    return None


def _frameworks(
    assessment: Assessment, views: Mapping[int, RowView], known: Sequence[Framework]
) -> tuple[FrameworkView, ...]:
    by_id = {framework.id: framework for framework in known}
    under = {(f.id, row.id): row.group for f in known for row in f.rows}
    tree: dict[str, dict[str, list[RowView]]] = {}
    for finding in assessment.findings:
        group = top_group(under.get((finding.framework, finding.id), ""))
        tree.setdefault(finding.framework, {}).setdefault(group, []).append(views[id(finding)])
    return tuple(
        FrameworkView(
            title=words.cut(by_id[name].title if name in by_id else name, 120),
            groups=tuple(
                GroupView(_heading(group, by_id.get(name)), tuple(rows), _summary(rows))
                for group, rows in groups.items()
            ),
            rows=sum(len(rows) for rows in groups.values()),
        )
        for name, groups in tree.items()
    )


def _heading(group: str, framework: Framework | None) -> str:
    if framework is None or not group:
        return "Rows"
    word = "Annex " if group.startswith("A.") else ("Clause " if group.isdigit() else "")
    return words.cut(f"{word}{group} {framework.groups.get(group, '')}".strip(), 160)


def _summary(rows: Sequence[RowView]) -> str:
    met = sum(r.text.label is words.STATUS[Status.SATISFIED] for r in rows)
    left_out = sum(r.text.label is words.STATUS[Status.NOT_APPLICABLE] for r in rows)
    applicable = len(rows) - left_out
    return f"{met} of {applicable} satisfied" if applicable else "not applicable"
