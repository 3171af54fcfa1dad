"""What a records run holds: a revision in its parameters, and what is wrong where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence import sha256_of
from aims_mlflow.filing.shelf import Chain, Key, Shelved, parsed
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Problem, Revision, State

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
    read = _read(run)
    return None if read is None else read[1]


def _read(run: Any) -> tuple[ManagementRecord, Shelved] | None:
    """The record a run holds, and the revision as it is kept; None for one that was never written to its end."""
    params = run.data.params
    if DIGEST not in params:
        return None
    text = "".join(params[name] for name in sorted(params) if name.startswith("record.")) + "\n"
    content = text.encode()
    try:
        if sha256_of(content) != params[DIGEST]:
            raise EvidenceError("the record is not what was filed", where=f"run {run.info.run_id}", remedy=_ANEW)
        record = parsed(content, params[DIGEST])
    except ValidationError as error:
        raise EvidenceError("the record cannot be read", where=f"run {run.info.run_id}", remedy=_ANEW) from error
    is_deleted = run.info.lifecycle_stage != "active"
    return record, Shelved(record, content, str(run.info.run_id), deleted=is_deleted)


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


class Reading:
    """The revisions of a store, and what is wrong with the runs that hold them.

    Args:
        runs: The records runs, deleted ones too; each is let go once it is read.
        fetch: One run by its id; None where it is gone for good.
        since: Only states of this moment and later ones will be asked for. Of revisions that count at none of them no
            more is kept than their place in the chain, so that memory grows with the records and not with their past.
    """

    def __init__(
        self, runs: Iterable[Any], fetch: Callable[[str], Any | None], *, since: datetime | None = None
    ) -> None:
        self._since = since
        self.problems: list[Problem] = []
        self._chains: dict[Key, Chain] = {}
        self._order: list[Shelved] = []
        """All of them as they were read, where all are kept."""
        self._unread: set[str] = set()
        """Runs that hold no revision, or one that cannot be read."""
        self._named: dict[str, str] = {}
        """Runs that are named as the next revision and were not met yet, and the run that names each."""
        self._claimed_late: set[str] = set()
        """Runs that were met before the one that names them."""
        for run in runs:
            self._take(run)
        self._follow(fetch)
        self._report()

    def state(self, at: datetime) -> State:
        """What was known at a moment, ``since`` or later."""
        chains = ([one for one, claimed in self._told(chain) if claimed] for _, chain in sorted(self._chains.items()))
        return State.of_chains(chains, at=at, problems=self.problems)

    @cached_property
    def filed(self) -> list[Filed]:
        """Every revision, as they were read; none where ``since`` was given, for then not all of them are kept."""
        claimed = {one.run_id for chain in self._chains.values() for one, claimed in self._told(chain) if claimed}
        return [one for one in self._order if one.run_id in claimed]

    def _told(self, chain: Chain) -> Iterator[tuple[Revision, bool]]:
        for one, claimed in chain.revisions():
            yield one, claimed or one.run_id in self._claimed_late

    def _take(self, run: Any) -> None:
        run_id = str(run.info.run_id)
        if run_id in self._unread:  # pages shift where somebody files meanwhile
            return
        following = run.data.params.get(NEXT)
        if following:
            self._named[following] = run_id
        try:
            read = _read(run)
        except EvidenceError as error:
            self.problems.append(_unreadable(run, error))
            read = None
        if read is None:
            self._unread.add(run_id)
            return
        record, one = read
        chain = self._chains.get(record.key)
        if chain is None:
            chain = self._chains[record.key] = Chain(record.key)
        elif chain.holds(run_id):
            return
        is_named = self._named.pop(run_id, None) is not None
        chain.add(record, one, claimed=record.revision == 1 or is_named, since=self._since)
        if self._since is None:
            self._order.append(one)

    def _follow(self, fetch: Callable[[str], Any | None]) -> None:
        """See that every revision a filed one names is there: else the older one would count again, in silence."""
        asked: set[str] = set()
        self._settle()
        while absent := sorted(self._named.keys() - self._unread - asked):
            for run_id in absent:
                asked.add(run_id)
                run = fetch(run_id)
                if run is not None:  # filed while the pages were read
                    self._take(run)
            self._settle()

    def _settle(self) -> None:
        """Strike out of the named runs those that were met before the one that names them."""
        if self._named:
            for chain in self._chains.values():
                for one, _ in chain.revisions():
                    if self._named.pop(str(one.run_id), None) is not None:
                        self._claimed_late.add(str(one.run_id))

    def _report(self) -> None:
        """Say what was not filed to its end, and what is gone.

        First revisions are filed, and later ones that the revision before names.
        """
        naming = set(self._named.values())
        before: dict[str, Revision] = {}
        for chain in self._chains.values():
            told = list(self._told(chain))
            numbers = {one.number for one, claimed in told if claimed}
            for one, claimed in told:
                if not claimed and not one.deleted and one.number not in numbers:
                    self.problems.append(_unfinished(one))
                if one.run_id in naming:
                    before[str(one.run_id)] = one
        self.problems += [_gone(before[run], following) for following, run in self._named.items() if run in before]


def _unfinished(one: Revision) -> Problem:
    return Problem(
        code="unfinished",
        type=one.key[0],
        id=one.key[1],
        revision=one.number,
        what=f"revision {one.number} was not filed to its end",
        remedy="File it again.",
        run_id=one.run_id,
        blocks=False,
        known_at=one.recorded_at,
    )


def _gone(before: Revision, following: str) -> Problem:
    return Problem(
        code="gap",
        type=before.key[0],
        id=before.key[1],
        revision=before.number + 1,
        what=f"revision {before.number + 1} (run {following[:64]}) is gone or cannot be read",
        remedy=_ANEW,
        run_id=following[:64],
        known_at=before.recorded_at,
    )


def _unreadable(run: Any, error: EvidenceError) -> Problem:
    type_, _, id_ = str(run.data.tags.get(RECORD_TAG, "unknown:unknown")).partition(":")
    return Problem(code="altered", type=type_, id=id_, what=error.message, remedy=_ANEW, run_id=str(run.info.run_id))


def is_filed(params: Mapping[str, str]) -> bool:
    """Whether a run's parameters hold a revision, readable or not."""
    return DIGEST in params
