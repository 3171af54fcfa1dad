"""Plain statements by topic, and records that something is wrong with."""

from __future__ import annotations

from collections.abc import Iterator

from aims_mlflow.evaluate import COLLECTOR
from aims_mlflow.evidence import AttestationRecord, EvidenceBase, EvidenceStatus, Subject, Verdict
from aims_mlflow.management.projection.view import METHOD, View, attested, nearest_to
from aims_mlflow.management.types import record_types


def statements(view: View) -> Iterator[EvidenceBase]:
    """Every statement on a topic, as evidence."""
    for type_id, kind in record_types(view.catalog).items():
        if kind.is_topic:
            yield from [attested(view, one, type_id) for one in nearest_to(view, type_id)]


def broken(view: View) -> Iterator[EvidenceBase]:
    """Records that something is wrong with, as statements that could not be made."""
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
