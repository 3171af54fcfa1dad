"""The statement as a page: contradictions first, then every control under its objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aims_mlflow.controls import Strength
from aims_mlflow.evidence import Basis
from aims_mlflow.management.applicability import ImplementationStatus
from aims_mlflow.management.soa import Decision, Soa, SoaFinding, SoaLine, SoaSource
from aims_mlflow.report import words
from aims_mlflow.report.environment import environment
from aims_mlflow.report.page import Fact
from aims_mlflow.report.words import Label

DECISION: dict[Decision, Label] = {
    Decision.APPLIES: Label("applies", "✓", "ok", "Somebody decided that it applies, with a reason."),
    Decision.EXCLUDED: Label("left out", "\u2013", "na", "Left out, with a reason, by a statement that is in force."),
    Decision.NOT_DECIDED: Label(
        "not decided", "○", "none", "Nobody decided, or not with effect: it counts as applicable."
    ),
}
IMPLEMENTATION: dict[ImplementationStatus, Label] = {
    "not started": Label("not started", "○", "none", "By the word of the statement."),
    "planned": Label("planned", "◇", "ask", "By the word of the statement."),
    "partial": Label("partial", "▲", "unc", "By the word of the statement."),
    "implemented": Label("implemented", "✓", "ok", "By the word of the statement."),
}
_ABSENT = Label("none on record", "○", "none", "")
_CONTRADICTORY = Label("contradictory", "✗", "bad", "")
_UNSHOWN = Label("not shown yet", "▲", "unc", "")
_NOT_IN_FORCE = Label("not in force", "▽", "old", "")
_INCOMPLETE = Label("incomplete", "▲", "unc", "")
_COMPLETE = Label("complete", "✓", "ok", "")
HEADINGS: dict[str, str] = {
    "broken": "A statement that counts for nothing",
    "absent": "No statement",
    "not-in-force": "A statement that is not in force",
    "not-approved": "A statement nobody approved",
    "stray": "A statement nobody reads",
    "undecided": "Controls nobody decided on",
    "no-reason": "Lines without a reason",
    "excluded-yet-evidenced": "Left out, yet evidenced",
    "excluded-yet-treats-risk": "Left out, yet a risk needs it",
    "implemented-without-evidence": "Said to be implemented, and evidence does not show it",
    "included-without-evidence": "Applies, without evidence",
    "declaration-differs": "aims.yaml says otherwise",
    "overlays-differ": "Statements of one system that differ",
    "overlay-alone": "A system's own line without one of the organization",
    "unknown-control": "Lines on what is no control",
    "clause": "Lines on clauses",
    "risk-unknown": "Risks that are not on record",
    "risk-closed": "Risks that are none to treat any more",
    "review-past": "Reviews that are due",
}
"""Kind of finding to its heading, in the order of the page."""
_ORDER = {code: number for number, code in enumerate(HEADINGS)}
_CONTRADICTION = Label("contradiction", "✗", "bad", "")
_CLAIMS = {
    "implemented-without-evidence": HEADINGS["implemented-without-evidence"],
    "included-without-evidence": "Said to be in place in part, and nothing on file shows it",
}
"""Contradictions that are no more than a claim ahead of its evidence, with their headings."""
_GROUND: dict[Basis, str] = {
    Basis.MEASURED: "measured here",
    Basis.REPORTED: "reported by the caller's own code",
    Basis.DECLARED: "what aims.yaml says",
    Basis.ATTESTED: "a person's statement",
}
"""The weakest ground that evidence stands on, in a sentence."""
_ONLY_WORDS = "rests on a person's statement, which alone can show it"
_CAN: dict[Strength, str] = {
    Strength.AUTOMATIC: "measurement alone can show it",
    Strength.ASSISTED: "measurement and a person's statement together can show it",
    Strength.ATTESTED: "only a person's statement can show it",
}
_OPEN = Label("open", "○", "none", "")


@dataclass(frozen=True, slots=True)
class LineView:
    """A control."""

    line: SoaLine
    decision: Label
    status: Label | None
    evidence: Label | None
    shown_by: str
    """What the evidence rests on, and what can show the control at all."""


@dataclass(frozen=True, slots=True)
class ObjectiveView:
    """The controls under one objective."""

    heading: str
    summary: str
    lines: tuple[LineView, ...]


@dataclass(frozen=True, slots=True)
class FindingView:
    """What does not fit, or is open, the same for one or several controls."""

    controls: str
    """Ids, with commas; empty where it is about the whole."""
    what: str
    remedy: str
    where: str


@dataclass(frozen=True, slots=True)
class KindView:
    """Findings of one kind."""

    label: Label
    heading: str
    count: int
    findings: tuple[FindingView, ...]


@dataclass(frozen=True, slots=True)
class SoaPage:
    """Everything the page shows."""

    title: str
    subtitle: str
    overall: Label
    headline: str
    facts: tuple[Fact, ...]
    counts: tuple[tuple[Label, int], ...]
    contradictions: tuple[KindView, ...]
    open: tuple[KindView, ...]
    objectives: tuple[ObjectiveView, ...]
    controls: int
    own: int
    looked: bool
    """Whether evidence was looked at."""


def html_page(soa: Soa) -> bytes:
    """The statement as one page without scripts or foreign parts."""
    return _rendered(soa, "soa.html.j2", html=True)


def markdown_page(soa: Soa) -> bytes:
    """The statement as Markdown."""
    return _rendered(soa, "soa.md.j2", html=False)


def _rendered(soa: Soa, template: str, *, html: bool) -> bytes:
    context: dict[str, Any] = {"page": build_soa(soa), "decisions": DECISION, "implementation": IMPLEMENTATION}
    return environment(html=html).get_template(template).render(context).encode("utf-8", "backslashreplace")


def build_soa(soa: Soa) -> SoaPage:
    """What every format shows."""
    overall, headline = _verdict(soa)
    open_ = tuple(finding for finding in soa.findings if not finding.contradiction)
    about = f"of {soa.system_name or soa.system}" if soa.system else "of the organization"
    return SoaPage(
        title=f"Statement of Applicability {about}",
        subtitle=f"ISO/IEC 42001, 6.1.3 · as of {words.day(soa.at)}",
        overall=overall,
        headline=headline,
        facts=tuple(_facts(soa)),
        counts=tuple((DECISION[decision], number) for decision, number in soa.counts.items()),
        contradictions=_kinds(soa.contradictions, _CONTRADICTION),
        open=_kinds(open_, _OPEN),
        objectives=tuple(_objectives(soa)),
        controls=len(soa.lines),
        own=sum(line.own for line in soa.lines),
        looked=any(line.evidence for line in soa.lines),
    )


def _kinds(findings: tuple[SoaFinding, ...], label: Label) -> tuple[KindView, ...]:
    """The findings by kind, those that say the same of several controls as one."""
    found = []
    for code in sorted({finding.code for finding in findings}, key=lambda code: (_ORDER.get(code, -1), code)):
        kind = [finding for finding in findings if finding.code == code]
        alike: dict[tuple[str, str, str], list[str]] = {}
        for f in kind:
            alike.setdefault((f.what, f.remedy, f.where), []).extend([f.control] if f.control else [])
        heading = HEADINGS.get(code, code)
        claimed = label is _CONTRADICTION and code in _CLAIMS
        views = [FindingView(", ".join(ids), what, remedy, where) for (what, remedy, where), ids in alike.items()]
        if claimed:
            heading = _CLAIMS[code]
        found.append(KindView(_UNSHOWN if claimed else label, heading, len(kind), tuple(views)))
    return tuple(found)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _verdict(soa: Soa) -> tuple[Label, str]:
    counts = soa.counts
    left = counts[Decision.NOT_DECIDED]
    out = counts[Decision.EXCLUDED]
    decided = f"of {len(soa.lines)} controls {counts[Decision.APPLIES]} apply and {out} {_are(out)} left out"
    text = f"{decided}; {left} {_are(left)} not decided: what nobody decided counts as applicable."
    if not left:
        text = f"{decided}; every one is decided."
    if not soa.sources:
        return _ABSENT, f"There is no statement on record: {text}"
    if soa.contradictions and all(finding.code in _CLAIMS for finding in soa.contradictions):
        ahead = len(soa.contradictions)
        return (
            _UNSHOWN,
            f"{words.plural(ahead, 'line')} {'say' if ahead > 1 else 'says'} more than evidence shows; {text}",
        )
    if soa.contradictions:
        return _CONTRADICTORY, f"{words.plural(len(soa.contradictions), 'contradiction')}; {text}"
    if any(source.lack for source in soa.sources):
        return _NOT_IN_FORCE, f"No exclusion counts, for {next(s.lack for s in soa.sources if s.lack)}: {text}"
    if left or all(source.systems for source in soa.sources):
        return _INCOMPLETE, _begun(text)
    return _COMPLETE, _begun(text)


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _facts(soa: Soa) -> list[Fact]:
    about = f"{soa.system_name} ({soa.system})" if soa.system_name else soa.system or "the organization"
    facts = [Fact("About", about)]
    if soa.role:
        facts.append(Fact("Role", f"{soa.role.replace('_', ' ')} of the system"))
    if not soa.sources:
        facts.append(Fact("Statement", "none on record", missing=True))
    for source in soa.sources:
        facts += _of_source(source)
    if len(soa.sources) > 1 and soa.sha256:
        facts.append(Fact("Digest of both", soa.sha256, code=True))
    return facts


def _of_source(source: SoaSource) -> list[Fact]:
    until = f" until {source.valid_until}" if source.valid_until else ", without an end"
    named = f"{source.record} revision {source.revision}, filed {words.minute(source.recorded_at)}"
    facts = [
        Fact(f"Statement of {', '.join(source.systems)}" if source.systems else "Statement", named),
        Fact("Digest", source.sha256, code=True),
        Fact("Owner", source.owner),
        Fact("Approved by", source.approver or "nobody", missing=source.approver is None),
        Fact("Valid", f"from {source.valid_from}{until}"),
    ]
    if source.document is not None:
        facts.append(Fact("Document", source.document.title))
    return facts


def _objectives(soa: Soa) -> list[ObjectiveView]:
    found = []
    for group in dict.fromkeys((line.framework, line.group) for line in soa.lines):
        lines = tuple(line for line in soa.lines if (line.framework, line.group) == group)
        own = " (our own)" if lines[0].own else ""
        out = sum(not line.applicable for line in lines)
        summary = words.plural(len(lines), "control") + (f", {out} left out" if out else "")
        heading = f"{group[1]} {soa.groups.get(group[1], '')}".strip() + own
        found.append(ObjectiveView(heading, summary, tuple(_line(line) for line in lines)))
    return found


def _line(line: SoaLine) -> LineView:
    is_more = line.evidence_strength is not Strength.ATTESTED
    rests = [f"rests on {_GROUND[line.evidence_basis]}"] if line.evidence_basis is not None else []
    can = [_CAN[line.evidence_strength]] if line.evidence_strength is not None else []
    return LineView(
        line=line,
        decision=DECISION[line.decision],
        status=IMPLEMENTATION[line.status] if line.status is not None else None,
        evidence=words.STATUS[line.evidence_status] if line.evidence_status is not None else None,
        shown_by=_ONLY_WORDS if line.evidence_basis is Basis.ATTESTED and not is_more else "; ".join([*rests, *can]),
    )
