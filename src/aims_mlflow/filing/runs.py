"""What a records run holds: a revision in its parameters, and what is wrong where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from sys import intern
from typing import Any, cast

from pydantic import ValidationError

from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence import sha256_of
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Problem

RECORD_TAG = "aims.record"
"""``type:id``, for search; what counts is the content."""
DIGEST = "sha256"
NEXT = "next"
"""Parameter of a revision that names the run of the next one."""
_CHUNK = 5_500
"""Characters of a parameter: MLflow keeps 6,000."""
_MOST = 90
"""Parameters of content; MLflow takes a hundred at once."""

_ANEW = "Restore MLflow's backup, or file the record anew under another id."


def filed_of(run: Any) -> Filed | None:
    """The revision a run holds; None for one that was never written to its end.

    Raises:
        EvidenceError: it does not match its digest, or is no record.
    """
    params = run.data.params
    if DIGEST not in params:
        return None
    text = "".join(params[name] for name in sorted(params) if name.startswith("record.")) + "\n"
    try:
        if sha256_of(text.encode()) != params[DIGEST]:
            raise EvidenceError("the record is not what was filed", where=f"run {run.info.run_id}", remedy=_ANEW)
        record = ManagementRecord.model_validate_json(text)
    except ValidationError as error:
        raise EvidenceError("the record cannot be read", where=f"run {run.info.run_id}", remedy=_ANEW) from error
    return Filed(_lean(record, params[DIGEST]), str(run.info.run_id), deleted=run.info.lifecycle_stage != "active")


_FIELDS = frozenset(ManagementRecord.model_fields)


def _lean(record: ManagementRecord, digest: str) -> ManagementRecord:
    """The record as fifty thousand of them are kept.

    Its digest is the one the text was just checked against, so that a field which a later version adds does not make
    every older record look altered. Which fields were set, all of them, is told by one set and not by one for each.
    """
    lean = ManagementRecord.model_construct(_fields_set=_FIELDS, **record.__dict__)  # type: ignore[arg-type]
    lean.__dict__["digest"] = digest
    return lean


def chunks_of(record: ManagementRecord) -> list[str]:
    """The record's one form, cut into the values of parameters.

    Raises:
        InputError: it is too large, or could not be read back as it is (text that is no Unicode).
    """
    text, alike = "", False
    with suppress(ValidationError, UnicodeError):
        text = record.canonical.decode()
        alike = ManagementRecord.model_validate_json(text).digest == record.digest
    if not alike:
        raise InputError("the record holds text that is no Unicode, and could not be read back", where=record.link)
    text = text.removesuffix("\n")
    chunks = [text[n : n + _CHUNK] for n in range(0, len(text), _CHUNK)]
    if len(chunks) > _MOST:
        raise InputError(
            f"the record has {len(text):,} characters; up to {_CHUNK * _MOST:,} are kept",
            where=record.link,
            remedy="Put the long part into its document.",
        )
    return chunks


class Superseded:
    """What is kept of a revision that a later one took the place of: what tells whether the chain holds.

    It stands for the record in ``State.of``, which never looks at more of a revision that does not count.
    """

    __slots__ = ("digest", "id", "key", "previous", "recorded_at", "revision", "starts", "type", "withdrawn")

    def __init__(self, record: ManagementRecord) -> None:
        self.type, self.id = self.key = intern(record.type), intern(record.id)
        self.revision = record.revision
        self.previous = intern(record.previous) if record.previous else None
        self.digest = intern(record.digest)
        self.recorded_at = record.recorded_at
        self.starts = record.starts
        self.withdrawn = record.withdrawn


class Reading:
    """The revisions of a store, and what is wrong with the runs that hold them.

    Args:
        runs: The records runs, deleted ones too.
        fetch: One run by its id; None where it is gone for good.
        since: Only states of this moment and later ones will be asked for. Of revisions that count at none of them no
            more is kept than their place in the chain, so that memory grows with the records and not with their past.
    """

    def __init__(
        self, runs: Iterable[Any], fetch: Callable[[str], Any | None], *, since: datetime | None = None
    ) -> None:
        self._since = since
        self._whole: dict[tuple[str, str], list[int]] = {}
        self.filed: list[Filed] = []
        self.problems: list[Problem] = []
        self._seen: set[str] = set()
        self._named: dict[str, str] = {}
        for run in runs:
            self._take(run)
        self._follow(fetch)
        self._keep_claimed()

    def _take(self, run: Any) -> None:
        run_id = str(run.info.run_id)
        if run_id in self._seen:  # pages shift where somebody files meanwhile
            return
        self._seen.add(run_id)
        following = run.data.params.get(NEXT)
        if following:
            self._named[following] = run_id
        try:
            one = filed_of(run)
        except EvidenceError as error:
            self.problems.append(_unreadable(run, error))
            return
        if one is not None:
            self.filed.append(one)
            if self._since is not None and (one.record.revision == 1 or run_id in self._named):
                self._thin(one, self._since)

    def _thin(self, one: Filed, since: datetime) -> None:
        """Let go of the contents of revisions that can count no more, now that a later one is known to."""
        places = self._whole.setdefault(one.record.key, [])
        places.append(len(self.filed) - 1)
        serving = [self.filed[n].record.revision for n in places if _serves(self.filed[n].record, since)]
        latest = max(serving, default=0)
        for place in [n for n in places if self.filed[n].record.revision < latest]:
            older = self.filed[place]
            stands_for = cast(ManagementRecord, Superseded(older.record))
            self.filed[place] = Filed(stands_for, older.run_id, deleted=older.deleted)
            places.remove(place)

    def _follow(self, fetch: Callable[[str], Any | None]) -> None:
        """See that every revision a filed one names is there: else the older one would count again, in silence."""
        asked: set[str] = set()
        while absent := sorted(self._named.keys() - self._seen - asked):
            for run_id in absent:
                asked.add(run_id)
                run = fetch(run_id)
                if run is not None:  # filed while the pages were read
                    self._take(run)

    def _keep_claimed(self) -> None:
        """Keep first revisions, and later ones that the revision before names; others were never filed to the end."""
        by_run = {one.run_id: one for one in self.filed}
        kept = [one for one in self.filed if one.record.revision == 1 or one.run_id in self._named]
        numbers = {(one.record.key, one.record.revision) for one in kept}
        for one in self.filed:
            record = one.record
            attempt = record.revision > 1 and one.run_id not in self._named
            if attempt and not one.deleted and (record.key, record.revision) not in numbers:
                self.problems.append(_unfinished(one))
        for following, before in self._named.items():
            if following not in by_run and before in by_run:
                self.problems.append(_gone(by_run[before], following))
        self.filed = kept


def _serves(record: ManagementRecord, at: datetime) -> bool:
    """Whether the revision was known at a moment and had begun, or took the record back."""
    return record.recorded_at <= at and (record.starts <= at or record.withdrawn is not None)


def _unfinished(one: Filed) -> Problem:
    return Problem(
        code="unfinished",
        type=one.record.type,
        id=one.record.id,
        revision=one.record.revision,
        what=f"revision {one.record.revision} was not filed to its end",
        remedy="File it again.",
        run_id=one.run_id,
        blocks=False,
        known_at=one.record.recorded_at,
    )


def _gone(before: Filed, following: str) -> Problem:
    return Problem(
        code="gap",
        type=before.record.type,
        id=before.record.id,
        revision=before.record.revision + 1,
        what=f"revision {before.record.revision + 1} (run {following[:64]}) is gone or cannot be read",
        remedy=_ANEW,
        run_id=following[:64],
        known_at=before.record.recorded_at,
    )


def _unreadable(run: Any, error: EvidenceError) -> Problem:
    type_, _, id_ = str(run.data.tags.get(RECORD_TAG, "unknown:unknown")).partition(":")
    return Problem(code="altered", type=type_, id=id_, what=error.message, remedy=_ANEW, run_id=str(run.info.run_id))


def is_filed(params: Mapping[str, str]) -> bool:
    """Whether a run's parameters hold a revision, readable or not."""
    return DIGEST in params
