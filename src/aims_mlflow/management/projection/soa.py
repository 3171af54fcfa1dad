"""The Statement of Applicability as evidence on its topic: only one that decides on every control is a statement."""

from __future__ import annotations

from collections.abc import Iterator

from aims_mlflow.evidence import AttestationRecord, DocumentRef, EvidenceBase, Verdict
from aims_mlflow.management.applicability import SOA
from aims_mlflow.management.projection.view import View, attested, whence
from aims_mlflow.management.soa.lines import annex_a, without_line
from aims_mlflow.management.soa.statements import OnFile, Said, on_file

TOPIC = "statement_of_applicability"


def soa(view: View) -> Iterator[EvidenceBase]:
    """The statement that holds for the system: the organization's with the system's own lines in it.

    It is as old as the later of the two, serves as long as the shorter, and is approved where both are. Its document is
    the one filed with it, or else the record itself, by digest. One that leaves controls undecided judges nothing.
    """
    filed = on_file(view.state, view.system)
    if filed.broken:
        yield from _unreadable(view, filed)
        return
    if not filed.sources:
        return
    controls = annex_a(view.catalog)
    left = without_line(filed, controls)
    first, *more = filed.sources
    text = f"Decides on {len(controls) - len(left)} of {len(controls)} controls of Annex A ({_versions(filed)})."
    record = attested(view, first.filed, TOPIC, statement=text)
    for said in more:
        record = _joined(record, attested(view, said.filed, TOPIC, statement=text), said)
    changed: dict[str, object] = {"document": _document(filed)}
    if left or filed.organization is None:
        lacking = f"{len(left)} of {len(controls)} controls are not decided" if left else "all lines are a system's own"
        who = "" if filed.organization is not None else ", and the organization has no statement of its own"
        changed |= {"verdict": Verdict.NOT_TESTED, "reason": f"{lacking}{who}: {_named(left)}".rstrip(": ")}
    yield record.model_copy(update=changed)


def _unreadable(view: View, filed: OnFile) -> Iterator[EvidenceBase]:
    """Statements whose content cannot be read, as errors; what is wrong with the records is told elsewhere."""
    for link, _ in filed.broken:
        one = view.state.get(SOA, link.removeprefix(f"{SOA}:"))
        if one is not None and not one.deleted and one.record.key not in view.state.blocked:
            yield attested(view, one, TOPIC)


def _joined(record: AttestationRecord, own: AttestationRecord, said: Said) -> AttestationRecord:
    """The organization's statement and a system's own, as one."""
    ends = [r.valid_until for r in (record, own) if r.valid_until is not None]
    approvers = [r.approver for r in (record, own)]
    return own.model_copy(
        update={
            "captured_at": max(record.captured_at, own.captured_at),
            "valid_until": min(ends, default=None),
            "valid_from": max(record.valid_from, own.valid_from),
            "approver": "; ".join(dict.fromkeys(a for a in approvers if a)) if all(approvers) else None,
            "supports": own.supports or record.supports,
            "parameters": record.parameters | {f"with_{said.record.link}": whence(said.filed)},
        }
    )


def _document(filed: OnFile) -> DocumentRef:
    """The document of the statement that speaks last, else the records themselves."""
    named = next((s.record.document for s in reversed(filed.sources) if s.record.document is not None), None)
    return named or DocumentRef(title=f"Statement of Applicability, {_versions(filed)}", sha256=filed.sha256)


def _versions(filed: OnFile) -> str:
    return ", ".join(f"{said.record.link} revision {said.record.revision}" for said in filed.sources)


def _named(left: tuple[str, ...]) -> str:
    return ", ".join(left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
