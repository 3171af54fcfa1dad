"""The records in use: read what is in force, file a revision, withdraw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from aims_mlflow.api.policies import Config
from aims_mlflow.catalog import Catalog
from aims_mlflow.config import load_settings
from aims_mlflow.delivery import catalog_of
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef
from aims_mlflow.evidence.base import Record
from aims_mlflow.filing import RecordStore
from aims_mlflow.filing.document import document_from
from aims_mlflow.filing.store import RevisedError, filer
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.types import content_of

_TRIES = 5

C = TypeVar("C", bound=Record)


class ManagementRecords:
    """The management records of one MLflow, with the register and declaration in force.

    Args:
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        ConfigError: ``aims.yaml`` is wrong.
        CatalogError: a framework file of the declaration is wrong.
    """

    def __init__(self, *, config: Config = None, tracking_uri: str | None = None) -> None:
        from mlflow import MlflowClient

        self.settings = load_settings(config)
        self.catalog: Catalog = catalog_of(self.settings)
        self.client: Any = MlflowClient(tracking_uri=tracking_uri)
        self.store = RecordStore(self.client)

    def state(self, at: datetime | None = None) -> State:
        """What was known at a moment; now where None.

        Raises:
            DeliveryError: MLflow cannot be reached.
        """
        return self.store.read(at)

    def file(
        self,
        type_id: str,
        content: Record | Mapping[str, Any],
        *,
        owner: str,
        id: str | None = None,  # noqa: A002  (the word of the record)
        approver: str | None = None,
        valid_from: date | None = None,
        valid_until: date | None = None,
        systems: Sequence[str] = (),
        supports: Sequence[str] = (),
        links: Sequence[str] = (),
        document: str | Path | DocumentRef | None = None,
        document_title: str | None = None,
    ) -> Filed:
        """File a record, as its first or next revision: what it said before stays readable.

        Args: see ``management.drafting.draft``; ``document`` is the path of a file (kept with the record), a URI or
            title (pointed at), or a reference.

        Raises:
            InputError: what is given is wrong; nothing was filed.
            DeliveryError: MLflow cannot be reached.
        """
        named, path = document_from(document, title=document_title)
        declared = self.settings.declaration.system.id
        for left in reversed(range(_TRIES)):
            made = draft(
                self.state(),
                self.catalog,
                type_id,
                id=id,
                content=content,
                owner=owner,
                recorded_by=filer(),
                approver=approver,
                valid_from=valid_from,
                valid_until=valid_until,
                systems=systems,
                supports=supports,
                links=links,
                document=named,
                known_systems=(declared,) if declared else (),
            )
            try:
                return self.store.file(made, path)
            except RevisedError:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def revise(
        self,
        type_id: str,
        id: str,  # noqa: A002  (the word of the record)
        change: Callable[[Any], Record],
        **said: Any,
    ) -> Filed:
        """File the next revision of a record, made from its content as it is now; all else stays as it was.

        Args:
            type_id: Record type.
            id: The record's id.
            change: From the content, typed, to the new one. It is called anew where somebody else revised meanwhile.
            said: Fields of the record that change (``owner``, ``approver``, ``valid_until``, ``links``...).

        Raises:
            InputError: there is no such record, it was withdrawn, or the new one is wrong.
            DeliveryError: MLflow cannot be reached.
        """
        for left in reversed(range(_TRIES)):
            state = self.state()
            before = self.one(state, type_id, id)
            try:
                return self._next(state, before, change(content_of(before.record, self.catalog)), said)
            except RevisedError:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def withdraw(self, type_id: str, id: str, *, reason: str) -> Filed:  # noqa: A002
        """Withdraw a record: it stays readable and counts for nothing from now on.

        Raises:
            InputError: there is no such record, it was withdrawn already, or no reason is given.
            DeliveryError: MLflow cannot be reached.
        """
        if not reason.strip():
            raise InputError("a withdrawal needs a reason", where="reason")
        state = self.state()
        before = self.one(state, type_id, id)
        return self._next(state, before, before.record.content, {"withdrawn": reason.strip()})

    def one(self, state: State, type_id: str, id_: str) -> Filed:
        """A record that is not withdrawn.

        Raises:
            InputError: there is none; the nearest ids are named.
        """
        from aims_mlflow.catalog.register import nearest
        from aims_mlflow.management.types import type_of

        type_of(type_id, self.catalog)
        found = state.get(type_id, id_)
        if found is None:
            there = [name for kind, name in state.current if kind == type_id]
            hint = nearest(id_, there) or (f"There are: {', '.join(there[:10])}." if there else "There is none yet.")
            raise InputError(f"there is no record {type_id}:{id_[:100]}", remedy=hint)
        if found.record.withdrawn is not None:
            raise InputError(
                f"the record {found.record.link} was withdrawn: {found.record.withdrawn}", remedy="File a new one."
            )
        return found

    def _next(self, state: State, before: Filed, content: Record | Mapping[str, Any], said: Mapping[str, Any]) -> Filed:
        record = before.record
        kept = {
            name: getattr(record, name)
            for name in (
                "owner",
                "approver",
                "valid_from",
                "valid_until",
                "systems",
                "supports",
                "links",
                "document",
            )
        }
        path: Path | None = None
        given = dict(said)
        if "document" in given:
            given["document"], path = document_from(given["document"], title=given.pop("document_title", None))
        made = draft(
            state,
            self.catalog,
            record.type,
            id=record.id,
            content=content,
            recorded_by=filer(),
            known_systems=record.systems,
            **(kept | given),
        )
        return self.store.file(made, path)
