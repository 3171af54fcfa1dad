"""Whether the records are whole: every run read, every revision followed, every kept document hashed again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from aims_mlflow.errors import DeliveryError, EvidenceError
from aims_mlflow.evidence import now
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.filing.store import EXPERIMENT, RecordStore, keeps_document
from aims_mlflow.management.state import Filed, Problem, State

DOCUMENT = "document"
"""Code of a problem: the document is absent, or is not the one that was filed."""
UNREAD = "unread"
"""Code of a problem: whether the document is right could not be told."""


class RecordsCheck(Record):
    """What looking through all records found."""

    checked_at: UtcTime
    records: int
    revisions: int
    documents: int
    """Documents kept with the records, by content, each hashed again."""
    pointers: int
    """Documents that are only pointed at: nothing here can tell whether they changed."""
    problems: tuple[Problem, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(store: RecordStore, *, progress: Callable[[str], None] = lambda _: None) -> RecordsCheck:
    """Read every revision of every record, and hash every kept document.

    Args:
        store: The records.
        progress: Told what is looked at.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    moment = now()
    filed, problems = store.everything()
    state = State.of(filed, at=max([moment, *(one.record.recorded_at for one in filed)]), problems=problems)
    found = list(state.problems)
    deleted = store.is_deleted()
    if deleted is not None:
        found = [_experiment_deleted(deleted), *(p for p in found if p.code != "deleted")]
    wrong, documents, pointers = _documents(store, filed, progress)
    return RecordsCheck(
        checked_at=moment,
        records=len(state.current),
        revisions=len(filed),
        documents=documents,
        pointers=pointers,
        problems=(*found, *wrong),
    )


def _documents(
    store: RecordStore, filed: list[Filed], progress: Callable[[str], None]
) -> tuple[list[Problem], int, int]:
    """What is wrong with the documents, how many were hashed, and how many are only pointed at."""
    by_record: dict[tuple[str, str], list[Filed]] = {}
    for one in filed:
        by_record.setdefault(one.record.key, []).append(one)
    wrong: list[Problem] = []
    documents = pointers = 0
    for _, revisions in sorted(by_record.items()):
        revisions.sort(key=lambda one: (one.record.revision, one.record.recorded_at, one.run_id or ""))
        seen: set[str] = set()
        for one in revisions:
            named = one.record.document
            if named is None:
                continue
            if not keeps_document(one) or named.sha256 is None:
                pointers += 1
                continue
            if named.sha256 in seen:
                continue
            seen.add(named.sha256)
            documents += 1
            progress(f"Hashing the document of {one.record.link} r{one.record.revision}")
            problem = _document_problem(store, one, revisions)
            if problem is not None:
                wrong.append(problem)
    return wrong, documents, pointers


def _document_problem(store: RecordStore, one: Filed, revisions: list[Filed]) -> Problem | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            store.kept_document(one, revisions, Path(folder))
        except EvidenceError as error:
            code, what, remedy = DOCUMENT, error.message, error.remedy
        except DeliveryError as error:
            code, what, remedy = UNREAD, f"the document could not be read: {error.message}", "Try again."
        else:
            return None
    return Problem(
        code=code,
        type=one.record.type,
        id=one.record.id,
        revision=one.record.revision,
        what=f"revision {one.record.revision}: {what}",
        remedy=remedy,
        run_id=one.run_id,
        known_at=one.record.recorded_at,
    )


def _experiment_deleted(experiment_id: str) -> Problem:
    return Problem(
        code="deleted",
        type="experiment",
        id=EXPERIMENT,
        what="the experiment that holds all records was deleted",
        remedy=f"Restore it: `mlflow experiments restore -x {experiment_id}`.",
    )
