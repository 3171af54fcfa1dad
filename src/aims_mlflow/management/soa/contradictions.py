"""What does not fit together in a Statement of Applicability, and what is open in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.config import Declaration
from aims_mlflow.config.completeness import is_filled
from aims_mlflow.evidence import Basis
from aims_mlflow.management.applicability import SOA, ApplicabilityLine
from aims_mlflow.management.portfolio import RowStanding
from aims_mlflow.management.soa.deciding import DECLARED, Ruling, declared_line
from aims_mlflow.management.soa.models import SoaFinding
from aims_mlflow.management.soa.risks import Risks
from aims_mlflow.management.soa.statements import OnFile, Said
from aims_mlflow.management.state import State

_ORGANIZATION = f"{SOA}:{SOA}"
_RECORD_ANEW = "Correct the line and record the statement anew: 'aims soa record'."
_NOTHING = (Status.NO_EVIDENCE, Status.NEEDS_ATTESTATION)
_SHOWN = (Status.SATISFIED, Status.NOT_SATISFIED, Status.UNCERTAIN, Status.STALE)
"""Statuses that only evidence about the control can give."""


@dataclass(frozen=True)
class Sight:
    """All that the rules look at."""

    state: State
    catalog: Catalog
    system: str | None
    filed: OnFile
    rulings: Mapping[str, Ruling]
    """Control id to what is decided of it."""
    risks: Risks
    rows: Mapping[str, RowStanding]
    """How the controls stand; empty where nobody looked."""
    declaration: Declaration | None


def findings_in(sight: Sight) -> tuple[SoaFinding, ...]:
    """Everything that does not fit, contradictions first, then what is open; each by control."""
    order = {control: number for number, control in enumerate(sight.rulings)}
    found = [finding for rule in _RULES for finding in rule(sight)]
    return tuple(sorted(found, key=lambda f: (not f.contradiction, order.get(f.control or "", -1))))


# the statements themselves


def _statements(sight: Sight) -> Iterator[SoaFinding]:
    filed = sight.filed
    for link, what in filed.broken:
        yield SoaFinding(
            code="broken",
            where=link,
            what=f"the statement counts for nothing: {what}",
            remedy="Restore MLflow's backup, or record the statement anew.",
        )
    for link in filed.strays:
        yield SoaFinding(
            code="stray",
            where=link,
            what=f"a statement of the organization under another id than {SOA!r} is read by nobody",
            remedy=f"Record it as {SOA!r} and withdraw this one.",
        )
    for said in filed.sources:
        if said.lack:
            code = "not-approved" if said.record.approver is None else "not-in-force"
            yield SoaFinding(
                code=code,
                where=said.record.link,
                what=f"no exclusion of the statement counts, for {said.lack}",
                remedy="Record it anew with --approver and a --valid-until that is to come.",
                contradiction=False,
            )
    if filed.organization is None and not any(link == _ORGANIZATION for link, _ in filed.broken):
        yield SoaFinding(
            code="absent",
            where=_ORGANIZATION,
            what="the organization has no Statement of Applicability on record",
            remedy="Write one with 'aims soa init', fill it in, and file it with 'aims soa record'.",
            contradiction=False,
        )


def _open(sight: Sight) -> Iterator[SoaFinding]:
    left = [control for control, ruling in sight.rulings.items() if not ruling.decided]
    if left:
        shown = ", ".join(left[:8]) + (f" and {len(left) - 8} more" if len(left) > 8 else "")
        yield SoaFinding(
            code="undecided",
            where=_ORGANIZATION,
            what=f"{len(left)} of {len(sight.rulings)} controls are not decided: {shown}",
            remedy="Decide on each, with the reason; until then it counts as applicable.",
            contradiction=False,
        )
    for control, said, line in _leading(sight):
        if not is_filled(line.justification):
            yield SoaFinding(
                code="no-reason",
                control=control,
                where=said.record.link,
                what="the line gives no reason",
                remedy=f"Say why the control is in or out. {_RECORD_ANEW}",
                contradiction=False,
            )


# lines that cannot stand


def _unknown(sight: Sight) -> Iterator[SoaFinding]:
    for said, control, _ in _lines(sight):
        row = sight.catalog.rows.get(control)
        if row is None:
            hint = nearest(control, sight.rulings)
            yield SoaFinding(
                code="unknown-control",
                control=control[:60],
                where=said.record.link,
                what="there is no such control in the register",
                remedy=f"{hint} {_RECORD_ANEW}".strip(),
            )
        elif row.kind != "control":
            yield SoaFinding(
                code="clause",
                control=control,
                where=said.record.link,
                what="it is a clause, and clauses always apply: the line counts for nothing",
                remedy=f"Take the line out. {_RECORD_ANEW}",
            )


def _alone(sight: Sight) -> Iterator[SoaFinding]:
    """Lines of a system's own on what the organization says nothing about."""
    organization = sight.filed.organization
    for said in sight.filed.overlays:
        alone = [c for c in said.lines if c in sight.rulings and (organization is None or c not in organization.lines)]
        for control in alone:
            yield SoaFinding(
                code="overlay-alone",
                control=control,
                where=said.record.link,
                what="the system's statement changes a line that the organization's does not have",
                remedy="Decide on the control for the organization first.",
            )


def _disagreeing(sight: Sight) -> Iterator[SoaFinding]:
    """Several statements of one system that say different things."""
    said: dict[str, dict[bool, str]] = {}
    for overlay in sight.filed.overlays:
        for control, line in overlay.lines.items():
            said.setdefault(control, {}).setdefault(line.applicable, overlay.record.link)
    for control, words in said.items():
        if len(words) > 1 and control in sight.rulings:
            yield SoaFinding(
                code="overlays-differ",
                control=control,
                where=words[False],
                what=f"{words[False]} leaves it out and {words[True]} says that it applies: it counts as applicable",
                remedy="Keep one statement for the system.",
            )


def _declared(sight: Sight) -> Iterator[SoaFinding]:
    for control in sight.rulings:
        declared = declared_line(control, sight.declaration, sight.system)
        spoken = next(sight.filed.lines_on(control), None)
        if declared is None or spoken is None or declared.applicable == spoken[1].applicable:
            continue
        words = ("leaves it out", "says that it applies")
        yield SoaFinding(
            code="declaration-differs",
            control=control,
            where=spoken[0].record.link,
            what=f"{DECLARED} {words[declared.applicable]} and the statement {words[spoken[1].applicable]}: "
            "it counts as applicable",
            remedy=f"Let both say the same; what holds for one system stands in its own statement. {_RECORD_ANEW}",
        )


# lines against evidence and risks


def _evidenced(sight: Sight) -> Iterator[SoaFinding]:
    for control, said, line in _leading(sight):
        if line.applicable:
            continue
        shown = _shown(sight, control)
        if shown:
            yield SoaFinding(
                code="excluded-yet-evidenced",
                control=control,
                where=said.record.link,
                what=f"it is left out, and there is evidence of it: {shown}",
                remedy=f"It seems to be at work: let it apply, or withdraw what is on record. {_RECORD_ANEW}",
            )


def _shown(sight: Sight, control: str) -> str:
    """What shows that a control is at work; empty where nothing does."""
    row = sight.rows.get(control)
    records = [*(row.records if row is not None else ()), *_statements_on(sight, control)]
    records = [link for link in dict.fromkeys(records) if not link.startswith(f"{SOA}:")]
    if records:
        return ", ".join(records[:5])
    if row is None:
        return ""
    if row.status in _SHOWN:
        return _words(row.status)
    return str(row.basis) if row.basis not in (None, Basis.DECLARED) else ""


def _statements_on(sight: Sight, control: str) -> list[str]:
    """Statements on record that support this control by name, or whose topic no other control asks for."""
    askers: dict[str, set[str]] = {}
    for row in sight.catalog.rows.values():
        for need in row.requires:
            topics = need.where.get("topic", ())
            for topic in (topics,) if isinstance(topics, str) else topics:
                askers.setdefault(topic, set()).add(row.id)
    return [
        one.record.link
        for topic, asking in askers.items()
        if control in asking
        for one in sight.state.about(topic, sight.system)
        if one.record.starts <= sight.state.at <= (one.record.ends or sight.state.at)
        and (control in one.record.supports or (not one.record.supports and asking == {control}))
    ]


def _treating(sight: Sight) -> Iterator[SoaFinding]:
    for control, said, line in _leading(sight):
        if line.applicable:
            continue
        named = [risk.removeprefix("risk:") for risk in line.risks]
        treated = [*named, *(r for r in sight.risks.that_name(control) if r not in named)]
        if treated:
            several = len(treated) > 1
            yield SoaFinding(
                code="excluded-yet-treats-risk",
                control=control,
                where=said.record.link,
                what=f"it is left out, and {'risks' if several else 'a risk'} {'are' if several else 'is'} to be "
                f"treated by it: {', '.join(treated[:5])}",
                remedy=f"Let it apply, or treat the risk otherwise. {_RECORD_ANEW}",
            )


def _without_evidence(sight: Sight) -> Iterator[SoaFinding]:
    for control, said, line in _leading(sight):
        row = sight.rows.get(control)
        if row is None or not line.applicable:
            continue
        if line.status == "implemented" and row.status is not Status.SATISFIED:
            yield SoaFinding(
                code="implemented-without-evidence",
                control=control,
                where=said.record.link,
                what=f"it is said to be implemented, and evidence does not show it: {_words(row.status)}",
                remedy=row.next_step or f"Provide the evidence, or say 'partial'. {_RECORD_ANEW}",
            )
        elif row.status in _NOTHING and row.basis in (None, Basis.DECLARED):
            yield SoaFinding(
                code="included-without-evidence",
                control=control,
                where=said.record.link,
                what="it is said to be in place in part, and nothing on file shows any of it"
                if line.status == "partial"
                else f"it applies, and there is no evidence of it ({line.status})",
                remedy=row.next_step or "Provide the evidence.",
                contradiction=line.status == "partial",
            )


def _links(sight: Sight) -> Iterator[SoaFinding]:
    known = sight.risks.known
    for said, control, line in _lines(sight):
        for named in line.risks:
            risk = named.removeprefix("risk:")
            if risk not in known:
                yield SoaFinding(
                    code="risk-unknown",
                    control=control,
                    where=said.record.link,
                    what=f"it names a risk that is not on record: {risk[:100]}",
                    remedy=f"{nearest(risk, known)} File the risk, or correct the line.".strip(),
                )
            elif known[risk].gone:
                yield SoaFinding(
                    code="risk-closed",
                    control=control,
                    where=said.record.link,
                    what=f"it names the risk {risk}, which is none to treat any more: {known[risk].gone}",
                    remedy=f"Take the risk out of the line, or open it again. {_RECORD_ANEW}",
                )


def _reviews(sight: Sight) -> Iterator[SoaFinding]:
    for said, control, line in _lines(sight):
        if line.next_review is not None and line.next_review < sight.state.at.date():
            yield SoaFinding(
                code="review-past",
                control=control,
                where=said.record.link,
                what=f"its review was due on {line.next_review}",
                remedy=f"Review the line and set the next day. {_RECORD_ANEW}",
            )


def _words(status: Status) -> str:
    return str(status).replace("-", " ")


def _lines(sight: Sight) -> Iterator[tuple[Said, str, ApplicabilityLine]]:
    """The line that decides on each control, then those on what is no control."""
    for control, said, line in _leading(sight):
        yield said, control, line
    for control in sight.filed.named:
        if control not in sight.rulings:
            said, line = next(sight.filed.lines_on(control))
            yield said, control, line


def _leading(sight: Sight) -> Iterator[tuple[str, Said, ApplicabilityLine]]:
    """The controls with the line that decides on each: the system's own, else the organization's."""
    for control, ruling in sight.rulings.items():
        if ruling.said is not None and ruling.line is not None:
            yield control, ruling.said, ruling.line


_RULES = (
    _statements,
    _open,
    _unknown,
    _alone,
    _disagreeing,
    _declared,
    _evidenced,
    _treating,
    _without_evidence,
    _links,
    _reviews,
)
