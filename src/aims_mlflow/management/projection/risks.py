"""The risk register as evidence: one statement for each topic that rests on all risks together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from aims_mlflow.checks.case import TYPED_RECORD
from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import AttestationRecord, DocumentRef, EvidenceBase, EvidenceStatus, Subject, Verdict
from aims_mlflow.management.projection.view import METHOD, View
from aims_mlflow.management.risk_register import TOPICS, Fault, RiskRegister, Topic, in_words, register_of

_MOST_NAMES = 5


def risks(view: View) -> Iterator[EvidenceBase]:
    """What the risks that bear on a system show, by topic; nothing where there is no risk on record.

    The register is as old as the risk that was looked at longest ago, and serves until the first review is due. What
    stands against a topic makes it lack; a risk that cannot be read makes it an error; neither is ever passed over.
    """
    register = register_of(view.state, view.catalog, view.system)
    if register.lines or register.broken:
        yield from [_on(topic, register, view) for topic in TOPICS]


def _on(topic: Topic, register: RiskRegister, view: View) -> AttestationRecord:
    against = register.against(topic)
    unreadable = [fault for fault in against if fault.code == "unreadable"]
    lacking = [fault for fault in against if not fault.is_of_time]
    status, verdict, reason = EvidenceStatus.OK, Verdict.RECORDED, _sums_up(topic, register)
    if unreadable:
        status, verdict, reason = EvidenceStatus.ERROR, Verdict.NOT_TESTED, _reason(unreadable)
    elif lacking:
        verdict, reason = Verdict.NOT_TESTED, _reason(lacking)
    elif against:
        reason = _reason(against)
    dated = register.dated or _known(view)
    return AttestationRecord(
        collector=COLLECTOR,
        status=status,
        captured_at=dated,
        valid_until=register.ends,
        subject=Subject(system_id=view.system),
        method=METHOD,
        parameters={
            TYPED_RECORD: "risk",
            "record": _first(against, register),
            "records": [line.filed.record.link for line in register.lines],
            "record_sha256": register.sha256,
        },
        numbers={
            "risks": len(register.lines),
            "live": len(register.live),
            "wanting": sum(bool(line.faults) for line in register.lines),
        },
        verdict=verdict,
        reason=reason,
        topic=topic,
        statement=_sums_up(topic, register),
        owner=_names(line.filed.record.owner for line in register.live or register.lines) or "nobody",
        approver=_approvers(topic, register),
        valid_from=dated.date(),
        document=DocumentRef(title="Risk register", sha256=register.sha256),
    )


def _first(against: Sequence[Fault], register: RiskRegister) -> str | None:
    """The risk to look at first: one that something stands against, else the one whose review is due first."""
    if against:
        return against[0].risk if ":" in against[0].risk else f"risk:{against[0].risk}"
    due = min((line for line in register.live if line.ends), key=lambda line: (line.ends, line.id), default=None)
    return due.filed.record.link if due else None


def _known(view: View) -> datetime:
    """When the last broken risk was filed, where no other is on record."""
    known = [p.known_at for p in view.state.problems if p.type == "risk" and p.known_at is not None]
    return max(known, default=view.at)


def _sums_up(topic: Topic, register: RiskRegister) -> str:
    counted = f"{len(register.lines)} {'risk' if len(register.lines) == 1 else 'risks'} on record"
    live = [line.content for line in register.live if line.content is not None]
    if topic == "risk_assessment":
        highest = max((content.left for content in live), default=0)
        return f"{counted}, {len(live)} live, the highest level {highest} of 25."
    if topic == "risk_treatment_plan":
        accepted = sum(bool(content.accepted_by) for content in live)
        return f"{counted}; what is left of {accepted} of {len(live)} live ones is accepted."
    done = sum(line.content is not None and line.content.status != "open" for line in register.lines)
    return f"{counted}, {done} treated or closed."


def _reason(faults: Sequence[Fault]) -> str:
    return f"{in_words(faults)}."


def _names(given: Iterator[str]) -> str:
    names = sorted(set(given))
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _approvers(topic: Topic, register: RiskRegister) -> str | None:
    """Who accepted what is left, for the plan; who approved the records, for the rest and where nothing is left."""
    named = [line.filed.record.approver or "" for line in register.lines]
    if topic == "risk_treatment_plan":
        accepted = [line.content.accepted_by or "" for line in register.lines if line.content is not None]
        named = accepted if any(name.strip() for name in accepted) else named
    return _names(name for name in named if name.strip()) or None
