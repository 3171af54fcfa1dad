"""Management records in MLflow: one run for each revision, its content in parameters, which MLflow lets nobody change.

The next revision is named by a parameter of the one before: of two people who revise a record at the same moment one
wins, and the other is told. Search returns parameters with the runs, so the whole of the records is read without a
single download.
"""

from __future__ import annotations

import getpass
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aims_mlflow.attach.store import check_reachable
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.filing import artifacts
from aims_mlflow.filing.document import sha256_of_file
from aims_mlflow.filing.opening import ANNOUNCED_TAG, Rival, may_open, rival_of
from aims_mlflow.filing.runs import DIGEST, NEXT, RECORD_TAG, Reading, chunks_of, filed_of, is_filed
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Problem, State

EXPERIMENT = "aims-management"
KIND_TAG = "aims.kind"
KIND = "management"
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
        read = Reading(self._runs(), self._run, since=at or now())
        return read.state(at or now())

    def states(self, *moments: datetime) -> tuple[State, ...]:
        """What was known at each of several moments, from one reading.

        Raises:
            DeliveryError: MLflow cannot be reached.
        """
        read = Reading(self._runs(), self._run, since=min(moments))
        return tuple(read.state(at) for at in moments)

    def everything(self, link: str | None = None) -> tuple[list[Filed], list[Problem]]:
        """Every revision ever filed, and what is wrong with the runs that hold them.

        Args:
            link: Only of one record, ``type:id``.

        Raises:
            DeliveryError: MLflow cannot be reached.
        """
        read = Reading(self._runs(f"tags.`{RECORD_TAG}` = '{link}'" if link else ""), self._run)
        return read.filed, read.problems

    def document(self, one: Filed) -> bytes:
        """The document kept with a record, checked against its hash.

        One that stayed the same over revisions lies with the one it was filed with.

        Raises:
            InputError: the record keeps no document.
            EvidenceError: it is absent, or not the one that was filed.
            DeliveryError: MLflow cannot be reached.
        """
        if not keeps_document(one):
            raise InputError("the record keeps no document", where=one.record.link)
        filed, _ = self.everything(one.record.link)
        with tempfile.TemporaryDirectory() as folder:
            return self.kept_document(one, filed, Path(folder)).read_bytes()

    def kept_document(self, one: Filed, revisions: list[Filed], folder: Path) -> Path:
        """The document kept with a record, brought into a folder and checked against its hash.

        Args:
            one: The revision.
            revisions: Every revision of its record.
            folder: Where to.

        Raises:
            EvidenceError: it is absent, or not the one that was filed.
            DeliveryError: MLflow cannot be reached.
        """
        named = one.record.document
        digest = named.sha256 if named is not None else None
        runs = [
            other.run_id
            for other in sorted(revisions, key=lambda other: other.record.revision, reverse=True)
            if other.record.revision <= one.record.revision and keeps_document(other, digest)
        ]
        others = False
        for run_id in dict.fromkeys([one.run_id, *runs]):
            for path in self._ask(partial(artifacts.kept, self.client, str(run_id))):
                fetched = self._fetched(str(run_id), path, folder)
                if sha256_of_file(fetched) == digest:
                    return fetched
                others = True
        raise EvidenceError(
            f"the document {'is not the one that was filed' if others else 'is absent'}",
            where=f"{one.record.link}, run {one.run_id}",
            remedy="Restore MLflow's artifacts from a backup, or file the document anew.",
        )

    def _fetched(self, run_id: str, path: str, folder: Path) -> Path:
        into = Path(tempfile.mkdtemp(dir=folder))
        return self._ask(lambda: artifacts.fetch(self.client, run_id, path, into))

    def is_deleted(self) -> str | None:
        """The id of the records' experiment where somebody deleted it; None where it is there, or never was."""
        found = self._ask(lambda: self.client.get_experiment_by_name(EXPERIMENT))
        return None if found is None or found.lifecycle_stage == "active" else str(found.experiment_id)

    def _run(self, run_id: str) -> Any | None:
        """A run by its id; None where there is none."""
        from mlflow.exceptions import MlflowException

        def get() -> Any | None:
            try:
                return self.client.get_run(run_id)
            except MlflowException as error:
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

        return self._ask(get)

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
            InputError: it is too large, or holds text that is no Unicode.
            EvidenceError: the revision before was deleted or cannot be read, so that none may follow it; or the
                document is no longer the one that was given.
            DeliveryError: MLflow cannot be reached.
        """
        chunks = chunks_of(record)
        before = self._run_before(record) if record.revision > 1 else None
        run_id = self._new_run(record)
        if document is not None:
            self._ask(lambda: artifacts.keep(self.client, run_id, document))
            self._check_unchanged(record, document, run_id)
        if before is None:
            self._open(run_id, record)
        self._write(run_id, record, chunks)
        if before is not None:
            self._claim(before, run_id, record)
        self._ask(lambda: _plain(self.client, "update_run")(self.client, run_id, status="FINISHED"))
        return Filed(record, run_id)

    def _new_run(self, record: ManagementRecord) -> str:
        tags = {
            KIND_TAG: KIND,
            **({RECORD_TAG: record.link} if record.revision > 1 else {}),
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
            self._drop(run_id)
            raise RevisedError("somebody else revised it first", where=record.link, remedy="Read again.") from error

    def _open(self, run_id: str, record: ManagementRecord) -> None:
        """Wait for the right to write the first revision.

        Raises:
            RevisedError: somebody else opened the record.
            EvidenceError: what is on file under its name cannot be read.
        """
        from mlflow.entities import RunTag

        def announce() -> None:
            tags = [RunTag(RECORD_TAG, record.link), RunTag(ANNOUNCED_TAG, f"{time.time():.3f}")]
            self._ask(lambda: self.client.log_batch(run_id, tags=tags))

        opened = may_open(
            run_id,
            announce=announce,
            step_back=lambda: self._ask(lambda: self.client.delete_tag(run_id, RECORD_TAG)),
            look=lambda: self._rivals(run_id, record.link),
        )
        if not opened:
            self._drop(run_id)
            for run in self._runs(f"tags.`{RECORD_TAG}` = '{record.link}'"):
                filed_of(run)
            raise RevisedError("somebody else opened the record first", where=record.link, remedy="Read again.")

    def _rivals(self, own: str, link: str) -> list[Rival]:
        """The other runs under a record that are filed, or might be."""
        others = [run for run in self._runs(f"tags.`{RECORD_TAG}` = '{link}'") if str(run.info.run_id) != own]
        found = [(run.info.lifecycle_stage, rival_of(run, is_filed)) for run in others]
        return [rival for stage, rival in found if rival.is_filed or stage == "active"]

    def _run_before(self, record: ManagementRecord) -> str:
        """The run of the revision before; of two first ones the one filed first.

        Raises:
            RevisedError: it is not the latest on file.
            EvidenceError: it was deleted.
        """
        for link in (record.link, None):  # anybody may have changed the tag that the search goes by
            state = State.of(self.everything(link)[0], at=datetime.max.replace(tzinfo=UTC))
            one = state.get(record.type, record.id)
            if one is None or one.record.revision != record.revision - 1:
                continue
            if one.deleted:
                raise EvidenceError(
                    f"revision {one.record.revision} of the record was deleted, and none can follow it",
                    where=record.link,
                    remedy=f"Restore its run, `mlflow runs restore --run-id {one.run_id}`, or use another id.",
                )
            return str(one.run_id)
        raise RevisedError("the revision before is not the latest on file", where=record.link, remedy="Read again.")

    def _check_unchanged(self, record: ManagementRecord, document: Path, run_id: str) -> None:
        named = record.document
        if named is None or sha256_of_file(document) != named.sha256:
            self._drop(run_id)
            raise EvidenceError("the document changed while it was filed", where=document.name, remedy="File it again.")

    def _drop(self, run_id: str) -> None:
        """Leave a run that holds nothing that counts."""
        with suppress(AimsError):
            self._ask(lambda: self.client.delete_run(run_id))

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
        except AimsError:
            raise
        except Exception as error:
            raise DeliveryError(_words(error), where="the management records") from error


def filer() -> str:
    """Who files: the name for the tracking server, else the machine's user."""
    name = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if not name:
        with suppress(Exception):
            name = getpass.getuser()
    return (name or "")[:200]


def keeps_document(one: Filed, sha256: str | None = None) -> bool:
    """Whether a revision's document is kept with the records, not only pointed at; of that hash, where one is given."""
    named = one.record.document
    if named is None or named.sha256 is None or named.uri is not None or one.run_id is None:
        return False
    return sha256 is None or named.sha256 == sha256


def _plain(client: Any, name: str) -> Callable[..., Any]:
    """MLflow's own method, past the hooks of ``autolog``: a record is no run of the user's."""
    method = getattr(type(client), name)
    plain: Callable[..., Any] = getattr(method, "__aims_original__", method)
    return plain


def _words(error: Exception) -> str:
    code = getattr(error, "error_code", None) or type(error).__name__
    return f"MLflow could not read or write a record ({code})"


__all__ = ["EXPERIMENT", "RecordStore", "RevisedError", "filed_of", "filer", "keeps_document"]
