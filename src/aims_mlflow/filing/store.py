"""Management records in MLflow: one run for each revision, its content in parameters, which MLflow lets nobody change.

The next revision is named by a parameter of the one before: of two people who revise a record at the same moment one
wins, and the other is told. Search returns parameters with the runs, so the whole of the records is read without a
single download.
"""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from aims_mlflow.attach.store import check_reachable
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence import now, sha256_of
from aims_mlflow.filing.document import FOLDER
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Problem, State

EXPERIMENT = "aims-management"
KIND_TAG = "aims.kind"
KIND = "management"
RECORD_TAG = "aims.record"
"""``type:id``, for search; what counts is the content."""
DIGEST = "sha256"
NEXT = "next"
"""Parameter of a revision that names the run of the next one."""
_CHUNK = 5_500
"""Characters of a parameter: MLflow keeps 6,000."""
_MOST = 90
"""Parameters of content; MLflow takes a hundred at once."""
_PAGE = 1_000
_FILE_STORE = ("file:", "/", "./", "../")

_T = TypeVar("_T")


class RevisedError(AimsError):
    """Somebody else revised the record at the same moment."""

    error_code = "REVISED_MEANWHILE"


class RecordStore:
    """The management records of one MLflow tracking store.

    Args:
        client: An ``MlflowClient``.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.uri = str(getattr(client, "tracking_uri", "") or "")

    @property
    def can_hold_records(self) -> bool:
        """Whether the store has a database: in a folder of files anybody can change them, and none are kept there."""
        return bool(self.uri) and not self.uri.startswith(_FILE_STORE)

    # reading

    def read(self, at: datetime | None = None) -> State:
        """What was known at a moment; now where None.

        Raises:
            DeliveryError: MLflow cannot be reached.
        """
        filed, problems = self.everything()
        return State.of(filed, at=at or now(), problems=problems)

    def everything(self, link: str | None = None) -> tuple[list[Filed], list[Problem]]:
        """Every revision ever filed, and what is wrong with the runs that hold them.

        Args:
            link: Only of one record, ``type:id``.

        Raises:
            DeliveryError: MLflow cannot be reached.
        """
        filed: list[Filed] = []
        problems: list[Problem] = []
        named: dict[str, str] = {}
        for run in self._runs(f"tags.`{RECORD_TAG}` = '{link}'" if link else ""):
            params = run.data.params
            if params.get(NEXT):
                named[params[NEXT]] = str(run.info.run_id)
            try:
                one = filed_of(run)
            except EvidenceError as error:
                problems.append(_unreadable(run, error))
                continue
            if one is not None:
                filed.append(one)
        return _claimed(filed, named, problems), problems

    def document(self, one: Filed) -> bytes:
        """The document kept with a record, checked against its hash.

        Raises:
            InputError: the record keeps no document.
            EvidenceError: it is absent, or not the one that was filed.
            DeliveryError: MLflow cannot be reached.
        """
        named = one.record.document
        if named is None or named.sha256 is None or named.uri is not None or one.run_id is None:
            raise InputError("the record keeps no document", where=one.record.link)
        run_id = one.run_id
        with tempfile.TemporaryDirectory() as folder:
            try:
                listed = [f.path for f in self.client.list_artifacts(run_id, FOLDER)]
                fetched = [self.client.download_artifacts(run_id, path, folder) for path in listed[:1]]
                content = Path(fetched[0]).read_bytes() if fetched else b""
            except Exception as error:
                raise DeliveryError(_words(error), where=f"run {run_id}") from error
        if not content or sha256_of(content) != named.sha256:
            what = "is absent" if not content else "is not the one that was filed"
            raise EvidenceError(
                f"the document {what}", where=f"{one.record.link}, run {run_id}", remedy="File the document anew."
            )
        return content

    def _runs(self, only: str = "") -> Iterator[Any]:
        """The records runs, deleted ones too, oldest first."""
        from mlflow.entities import ViewType

        experiment = self._ask(lambda: self.client.get_experiment_by_name(EXPERIMENT))
        if experiment is None:
            return
        token: str | None = None
        while True:
            search = partial(
                self.client.search_runs,
                [experiment.experiment_id],
                filter_string=only,
                run_view_type=ViewType.ALL,
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            page = self._ask(search)
            yield from page
            token = page.token
            if not token:
                return

    # writing

    def file(self, record: ManagementRecord, document: Path | None = None) -> Filed:
        """File a revision, as ``management.drafting.draft`` made it.

        Args:
            record: The revision.
            document: The file that is kept with it.

        Returns:
            The record as filed.

        Raises:
            RevisedError: somebody filed that revision first; read again and decide again.
            InputError: it is too large.
            DeliveryError: MLflow cannot be reached.
        """
        chunks = _chunks(record)
        before = self._run_of(record.type, record.id, record.revision - 1) if record.revision > 1 else None
        if record.revision > 1 and before is None:
            raise RevisedError("the revision before is not on file", where=record.link, remedy="Read again.")
        run_id = self._new_run(record)
        if document is not None:
            self._ask(lambda: self.client.log_artifact(run_id, str(document), FOLDER))
        self._write(run_id, record, chunks)
        if before is not None:
            self._claim(before, run_id, record)
        self._ask(lambda: _plain(self.client, "update_run")(self.client, run_id, status="FINISHED"))
        return Filed(record, run_id)

    def _new_run(self, record: ManagementRecord) -> str:
        tags = {
            KIND_TAG: KIND,
            RECORD_TAG: record.link,
            "mlflow.runName": f"{record.link} r{record.revision}"[:250],
            "aims.owner": record.owner[:500],
            "aims.valid_until": str(record.valid_until or "none"),
        }
        experiment = self._experiment()
        run = self._ask(lambda: _plain(self.client, "create_run")(self.client, experiment, tags=tags))
        return str(run.info.run_id)

    def _write(self, run_id: str, record: ManagementRecord, chunks: list[str]) -> None:
        from mlflow.entities import Param

        params = [Param(DIGEST, record.digest), *(Param(f"record.{n:03d}", text) for n, text in enumerate(chunks))]
        self._ask(lambda: self.client.log_batch(run_id, params=params))

    def _claim(self, before: str, run_id: str, record: ManagementRecord) -> None:
        try:
            self.client.log_param(before, NEXT, run_id)
        except Exception as error:
            held = self._ask(lambda: self.client.get_run(before)).data.params.get(NEXT)
            if held == run_id:  # the answer was lost after the write
                return
            if held is None:
                raise DeliveryError(_words(error), where=f"run {before}") from error
            with suppress(AimsError):
                self._ask(lambda: self.client.delete_run(run_id))
            raise RevisedError("somebody else revised it first", where=record.link, remedy="Read again.") from error

    def _run_of(self, type_: str, id_: str, revision: int) -> str | None:
        """The run that holds a revision, of two first ones the earlier."""
        state = State.of(self.everything(f"{type_}:{id_}")[0], at=datetime.max.replace(tzinfo=UTC))
        one = state.get(type_, id_)
        return one.run_id if one is not None and one.record.revision == revision else None

    def _experiment(self) -> str:
        found = self._ask(lambda: self.client.get_experiment_by_name(EXPERIMENT))
        if found is None:
            try:
                return str(self.client.create_experiment(EXPERIMENT, tags={KIND_TAG: KIND}))
            except Exception as error:
                found = self._ask(lambda: self.client.get_experiment_by_name(EXPERIMENT))
                if found is None:
                    raise DeliveryError(_words(error), where=f"experiment {EXPERIMENT}") from error
        if found.lifecycle_stage != "active":
            raise EvidenceError(
                f"the experiment {EXPERIMENT!r}, which holds the records, was deleted",
                remedy=f"Restore it: `mlflow experiments restore -x {found.experiment_id}`.",
            )
        return str(found.experiment_id)

    def _ask(self, call: Callable[[], _T]) -> _T:
        if not self.can_hold_records:
            raise DeliveryError(
                "the records need a database behind MLflow: in a folder of files anybody can change them",
                remedy="Use sqlite:///FILE or a server with a database as tracking store.",
            )
        check_reachable(self.uri)
        try:
            return call()
        except Exception as error:
            raise DeliveryError(_words(error), where="the management records") from error


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
            raise EvidenceError("the record is not what was filed", where=f"run {run.info.run_id}")
        record = ManagementRecord.model_validate_json(text)
    except ValidationError as error:
        raise EvidenceError("the record cannot be read", where=f"run {run.info.run_id}") from error
    if record.digest != params[DIGEST]:
        raise EvidenceError("the record is not in its one form", where=f"run {run.info.run_id}")
    return Filed(record, str(run.info.run_id), deleted=run.info.lifecycle_stage != "active")


def filer() -> str:
    """Who files: the name for the tracking server, else the machine's user."""
    name = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if not name:
        with suppress(Exception):
            name = getpass.getuser()
    return (name or "")[:200]


def _claimed(filed: list[Filed], named: dict[str, str], problems: list[Problem]) -> list[Filed]:
    """The first revisions, and later ones that the revision before names; others were never filed to the end."""
    kept = []
    for one in filed:
        record = one.record
        if record.revision == 1 or one.run_id in named:
            kept.append(one)
        elif not one.deleted:
            problems.append(
                Problem(
                    code="unfinished",
                    type=record.type,
                    id=record.id,
                    revision=record.revision,
                    what=f"revision {record.revision} was not filed to its end",
                    remedy="File it again.",
                    run_id=one.run_id,
                    blocks=False,
                    known_at=record.recorded_at,
                )
            )
    return kept


def _unreadable(run: Any, error: EvidenceError) -> Problem:
    type_, _, id_ = str(run.data.tags.get(RECORD_TAG, "unknown:unknown")).partition(":")
    return Problem(
        code="altered",
        type=type_,
        id=id_,
        what=error.message,
        remedy="Restore MLflow's backup, or file the record anew under another id.",
        run_id=str(run.info.run_id),
    )


def _chunks(record: ManagementRecord) -> list[str]:
    text = record.canonical.decode().removesuffix("\n")
    chunks = [text[n : n + _CHUNK] for n in range(0, len(text), _CHUNK)]
    if len(chunks) > _MOST:
        raise InputError(
            f"the record has {len(text):,} characters; up to {_CHUNK * _MOST:,} are kept",
            where=record.link,
            remedy="Put the long part into its document.",
        )
    return chunks


def _plain(client: Any, name: str) -> Callable[..., Any]:
    """MLflow's own method, past the hooks of ``autolog``: a record is no run of the user's."""
    method = getattr(type(client), name)
    plain: Callable[..., Any] = getattr(method, "__aims_original__", method)
    return plain


def _words(error: Exception) -> str:
    code = getattr(error, "error_code", None) or type(error).__name__
    return f"MLflow could not read or write a record ({code})"


__all__ = ["EXPERIMENT", "RecordStore", "RevisedError", "filed_of", "filer"]
