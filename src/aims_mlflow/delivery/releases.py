"""Release decisions and moves as evidence: what the registry's gate wrote down of the version assessed."""

from __future__ import annotations

from collections.abc import Sequence

from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.evidence import Basis, EvidenceBase, ModelRef, RegistryMoveRecord, Subject, Verdict
from aims_mlflow.gate.entries import Entry, FailedEntry, MoveEntry


def release_records(log: Sequence[Entry], model: ModelRef | None) -> list[EvidenceBase]:
    """The latest move of the version to each target.

    Only moves that were made count, and only of the content assessed. What passed by a waiver, or only because the
    policy observes, is a decision under criteria that were not all met. Names of people stay in the log.

    Args:
        log: The transition log of the registered model.
        model: The version, with the digest of its files.
    """
    if model is None or model.sha256 is None or not model.registered_name:
        return []
    failed = {e.move for e in log if isinstance(e, FailedEntry)}
    latest: dict[str, MoveEntry] = {}
    for entry in log:
        if not isinstance(entry, MoveEntry) or not entry.was_made or entry.number in failed:
            continue
        if entry.outcome == "not-guarded":  # nothing was decided
            continue
        if entry.version == model.version and entry.model_sha256 == model.sha256:
            latest[f"{entry.target.kind}:{entry.target.name}"] = entry
    return [_record(entry, model) for entry in latest.values()]


def _record(entry: MoveEntry, model: ModelRef) -> RegistryMoveRecord:
    met = entry.outcome == "allow"
    where = f"{entry.target.kind} {entry.target.name}"
    wanting = "; ".join(entry.problems) or "nothing is named"
    how = "by a waiver" if entry.outcome == "allow-by-waiver" else "though the policy would refuse it"
    return RegistryMoveRecord(
        basis=Basis.MEASURED,
        collector=COLLECTOR,
        captured_at=entry.at,
        subject=Subject(model=model),
        method="Read from the registry's transition log, whose entries name each other by digest.",
        verdict=Verdict.PASS if met else Verdict.FAIL,
        reason=f"Moved to {where}; every condition of the policy was met."
        if met
        else f"Moved to {where} {how}; wanting: {wanting}.",
        target=where,
        from_version=entry.from_version,
        outcome="allow-by-waiver" if entry.outcome == "allow-by-waiver" else "allow" if met else "refuse",
        mode=entry.mode,
        level=entry.level.value,
        problems=entry.problems,
        approvals=len(entry.approved),
        moved_by=entry.actor.identity.value,
        entry=entry.number,
        entry_sha256=entry.digest,
        policy_sha256=entry.policy_sha256,
        statement_sha256=entry.statement_sha256,
    )
