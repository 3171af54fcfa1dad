"""Plain statements by topic, and records that something is wrong with."""

from __future__ import annotations

from collections.abc import Iterator

from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import AttestationRecord, Basis, CustomRecord, EvidenceBase, EvidenceStatus, Subject, Verdict
from aims_mlflow.management.projection.view import METHOD, View, attested, nearest_to
from aims_mlflow.management.state import Problem
from aims_mlflow.management.types import record_types

_LOGS = frozenset({"incident", "nonconformity"})
"""Kinds that stand for a whole log, which says itself what of it cannot be read."""


def statements(view: View) -> Iterator[EvidenceBase]:
    """Every statement on a topic, as evidence."""
    for type_id, kind in record_types(view.catalog).items():
        if kind.is_topic:
            yield from [attested(view, one, type_id) for one in nearest_to(view, type_id)]


def broken(view: View) -> Iterator[EvidenceBase]:
    """Records that something is wrong with, as evidence that could not be made."""
    types = record_types(view.catalog)
    for problem in view.state.problems:
        filed = view.state.get(problem.type, problem.id)
        about = filed is None or filed.record.is_about(view.system)
        if not (problem.blocks and about):
            continue
        for topic in types[problem.type].topics if problem.type in types else ():
            yield AttestationRecord(
                collector=COLLECTOR,
                status=EvidenceStatus.ERROR,
                captured_at=problem.known_at or view.at,
                subject=Subject(),
                method=METHOD,
                parameters={"record": f"{problem.type}:{problem.id}", "run_id": problem.run_id},
                verdict=Verdict.NOT_TESTED,
                reason=f"record {problem.type}:{problem.id}: {problem.what}",
                topic=topic,
                statement="unreadable",
                owner="nobody",
                valid_from=(problem.known_at or view.at).date(),
            )
        for kind in types[problem.type].gives if problem.type in types else ():
            if kind not in _LOGS:
                yield _unmade(kind, problem, view)


def _unmade(kind: str, problem: Problem, view: View) -> CustomRecord:
    """Evidence of a kind of its own that could not be made."""
    return CustomRecord(
        kind=kind,
        basis=Basis.REPORTED,
        collector=COLLECTOR,
        status=EvidenceStatus.ERROR,
        captured_at=problem.known_at or view.at,
        method=METHOD,
        parameters={"record": f"{problem.type}:{problem.id}", "run_id": problem.run_id},
        verdict=Verdict.NOT_TESTED,
        reason=f"record {problem.type}:{problem.id}: {problem.what}",
        content={"id": f"{problem.type}:{problem.id}, {problem.code}"},
    )
