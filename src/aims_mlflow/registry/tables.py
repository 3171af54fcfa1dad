"""Small queries on MLflow's own tables, where its stores are databases; its public calls everywhere else.

MLflow's calls load a version with all its kin, and a run with every metric. The gate needs a few columns, and must not
make a move half as slow again. Where a table is not as it was, each of these says None and the public call serves.

One of them writes: a parameter nobody wrote yet, for the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from aims_mlflow.errors import DeliveryError

_T = TypeVar("_T")
_CONTEXT = "mlflow.data.context"
_DELETED = "Deleted_Internal"
_PATIENCE = 2.0
"""Seconds after which a database that fails counts as one that does not answer."""


@dataclass(frozen=True)
class VersionRow:
    """A registered version."""

    name: str
    version: str
    source: str | None
    run_id: str | None
    tags: Mapping[str, str] = field(default_factory=dict)
    place: str | None = None
    """Where its files are served from; None: the registry must be asked."""


@dataclass(frozen=True)
class RunRow:
    """A run, as far as the gate looks at it."""

    run_id: str
    artifact_uri: str
    lifecycle_stage: str
    user: str | None
    tags: Mapping[str, str]
    datasets: tuple[tuple[str, str, str], ...]
    """Name, MLflow's digest, context."""


def version_row(store: Any, model: Any, version: Any) -> VersionRow | None:
    """A version of a registry that is a database; None elsewhere, and where there is none of that number."""
    if not isinstance(model, str):
        return None

    def read(connection: Any) -> VersionRow | None:
        given = {"model": model, "version": int(version), **_workspace(store)}
        rows = connection.execute(_queries(_has_workspaces(store))["version"], given).all()
        if not rows:
            return None
        row = rows[0]
        held = {str(one.key): str(one.value) for one in rows if one.key is not None}
        place = row.storage_location or row.source
        return VersionRow(row.name, str(row.version), row.source, row.run_id, held, place)

    return _on(store, read)


def run_row(client: Any, run_id: str, tags: Sequence[str]) -> RunRow | None:
    """A run of a tracking store that is a database; None elsewhere, and where there is none of that id."""
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    if store is None or getattr(store, "supports_workspaces", False):
        return None

    def read(connection: Any) -> RunRow | None:
        queries = _run_queries(tuple(tags))
        given = {"run": run_id}
        rows = connection.execute(queries["run"], given).all()
        if not rows:
            return None
        row = rows[0]
        held = {str(one.key): str(one.value) for one in rows if one.key is not None}
        used: dict[str, tuple[str, str, str]] = {}
        for dataset, name, digest, context in connection.execute(queries["inputs"], given):
            used.setdefault(str(dataset), (str(name), str(digest), str(context or "")))
        return RunRow(
            row.run_uuid, str(row.artifact_uri or ""), str(row.lifecycle_stage), row.user_id, held, tuple(used.values())
        )

    return _on(store, read)


def aliases_of(store: Any, model: str, alias: str | None = None) -> dict[str, str] | None:
    """Aliases of a model with their versions, or the one named; None where the registry is no database."""

    def read(connection: Any) -> dict[str, str]:
        query = _queries(_has_workspaces(store))["alias" if alias is not None else "aliases"]
        given = {"model": model, "alias": alias} if alias is not None else {"model": model}
        return {str(a): str(v) for a, v in connection.execute(query, given | _workspace(store))}

    return _on(store, read)


def model_tag(store: Any, model: str, key: str) -> str | None:
    """A tag of a registered model, empty where it has none of that name; None where the registry is no database."""

    def read(connection: Any) -> str:
        given = {"model": model, "key": key, **_workspace(store)}
        return str(connection.execute(_queries(_has_workspaces(store))["model_tag"], given).scalar() or "")

    return _on(store, read)


def stages_of(store: Any, model: str) -> dict[str, str] | None:
    """Versions of a model that stand in a stage; None where the registry is no database."""

    def read(connection: Any) -> dict[str, str]:
        query = _queries(_has_workspaces(store))["stages"]
        return {str(v): str(s) for v, s in connection.execute(query, {"model": model, **_workspace(store)})}

    return _on(store, read)


def write_param(client: Any, run_id: str, key: str, text: str) -> bool:
    """Write a parameter nobody wrote yet: one statement, one commit, and as durable as MLflow's own call.

    MLflow's call loads the run, looks whether the parameter is there, and writes it, which takes twice as long.
    The table's primary key decides of several writers, here as there.

    Returns:
        True where it was written. False where the call for it is MLflow's own: the store is no database of MLflow's
        own kind, the run is gone, the parameter is there, or anything failed.

    Raises:
        DeliveryError: see ``_on``. Whether it was written is not known then.
    """
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    if store is None or getattr(store, "supports_workspaces", False) or not _is_mlflows(client, store):
        return False

    def write(connection: Any) -> bool:
        insert = _param_insert()
        if insert is None:
            return False
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout = 20000")  # as MLflow's own sessions have it
        if connection.execute(insert, {"run": run_id, "slot": key, "text": text}).rowcount != 1:
            return False
        connection.commit()
        return True

    return bool(_on(store, write))


def _is_mlflows(client: Any, store: Any) -> bool:
    """Whether ``log_param`` is MLflow's own all the way: what another put in its place must not be passed by."""
    theirs = {type(client): "mlflow.tracking.client", type(store): "mlflow.store.tracking.sqlalchemy_store"}
    return all(getattr(getattr(kind, "log_param", None), "__module__", "") == name for kind, name in theirs.items())


def _on(store: Any, read: Callable[[Any], _T]) -> _T | None:
    """Read from the store's database, where it has one.

    Raises:
        DeliveryError: the database kept us waiting and did not answer; MLflow's own call would wait as long again.
    """
    engine = getattr(store, "engine", None)
    if engine is None:
        return None
    begun = time.monotonic()
    try:
        with engine.connect() as connection:
            return read(connection)
    except Exception as error:
        if time.monotonic() - begun > _PATIENCE:
            raise DeliveryError("the database does not answer", remedy="Try again.") from error
        return None  # MLflow's own call comes next, and says in its own words what is wrong


def _has_workspaces(store: Any) -> bool:
    return hasattr(store, "_get_active_workspace")


def _workspace(store: Any) -> dict[str, str]:
    return {"workspace": str(store._get_active_workspace())} if _has_workspaces(store) else {}


@cache
def _queries(workspaces: bool) -> dict[str, Any]:
    from mlflow.store.model_registry.dbmodels import models
    from sqlalchemy import and_, bindparam, select

    versions, tags = models.SqlModelVersion.__table__, models.SqlModelVersionTag.__table__
    version, tag = versions.c, tags.c
    alias, of_model = models.SqlRegisteredModelAlias.__table__.c, models.SqlRegisteredModelTag.__table__.c

    def of(table: Any) -> list[Any]:
        found = [table.name == bindparam("model")]
        return [*found, table.workspace == bindparam("workspace")] if workspaces else found

    there = [*of(version), version.current_stage != _DELETED]
    columns = (version.name, version.version, version.source, version.storage_location, version.run_id)
    own = [tag.name == version.name, tag.version == version.version]
    tagged = versions.outerjoin(tags, and_(*own, tag.workspace == version.workspace) if workspaces else and_(*own))
    return {
        "version": select(*columns, tag.key, tag.value)
        .select_from(tagged)
        .where(*there, version.version == bindparam("version")),
        "model_tag": select(of_model.value).where(*of(of_model), of_model.key == bindparam("key")),
        "alias": select(alias.alias, alias.version).where(*of(alias), alias.alias == bindparam("alias")),
        "aliases": select(alias.alias, alias.version).where(*of(alias)),
        "stages": select(version.version, version.current_stage).where(
            *of(version), version.current_stage.in_(("Staging", "Production", "Archived"))
        ),
    }


@cache
def _run_queries(tags: tuple[str, ...]) -> dict[str, Any]:
    from mlflow.store.tracking.dbmodels import models
    from sqlalchemy import and_, bindparam, or_, select

    runs, of_run = models.SqlRun.__table__, models.SqlTag.__table__
    run, tag = runs.c, of_run.c
    named = or_(*(tag.key == key for key in tags))
    used, data, said = (
        models.SqlInput.__table__,
        models.SqlDataset.__table__,
        models.SqlInputTag.__table__,
    )
    with_context = and_(said.c.input_uuid == used.c.input_uuid, said.c.name == _CONTEXT)
    joined = used.join(data, used.c.source_id == data.c.dataset_uuid).outerjoin(said, with_context)
    return {
        "run": select(run.run_uuid, run.artifact_uri, run.lifecycle_stage, run.user_id, tag.key, tag.value)
        .select_from(runs.outerjoin(of_run, and_(tag.run_uuid == run.run_uuid, named)))
        .where(run.run_uuid == bindparam("run")),
        "inputs": select(data.c.dataset_uuid, data.c.name, data.c.digest, said.c.value)
        .select_from(joined)
        .where(used.c.destination_type == "RUN", used.c.destination_id == bindparam("run")),
    }


@cache
def _param_insert() -> Any | None:
    """Takes a parameter of a run that is there and not deleted; None where the table is not as it was."""
    from mlflow.store.tracking.dbmodels import models
    from sqlalchemy import bindparam, insert, select

    param, run = models.SqlParam.__table__, models.SqlRun.__table__.c
    key = {"run_uuid", "key"}
    if {c.name for c in param.primary_key} != key or set(param.c.keys()) != {*key, "value"}:
        return None
    there = select(
        run.run_uuid, bindparam("slot", type_=param.c.key.type), bindparam("text", type_=param.c.value.type)
    ).where(run.run_uuid == bindparam("run"), run.lifecycle_stage == "active")
    return insert(param).from_select(["run_uuid", "key", "value"], there)
