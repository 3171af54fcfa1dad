"""Small queries on MLflow's own tables, where its stores are databases; its public calls everywhere else.

MLflow's calls load a version with all its kin, and a run with every metric. The gate needs a few columns, and must not
make a move half as slow again. Where a table is not as it was, each of these says None and the public call serves.
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
        versions, tags = _queries(_has_workspaces(store))["version"], _queries(_has_workspaces(store))["tags"]
        given = {"model": model, "version": int(version), **_workspace(store)}
        row = connection.execute(versions, given).first()
        if row is None:
            return None
        held = {str(key): str(value) for key, value in connection.execute(tags, given)}
        place = row.storage_location or row.source
        return VersionRow(row.name, str(row.version), row.source, row.run_id, held, place)

    return _on(store, read)


def run_row(client: Any, run_id: str, tags: Sequence[str]) -> RunRow | None:
    """A run of a tracking store that is a database; None elsewhere, and where there is none of that id."""
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    if store is None or getattr(store, "supports_workspaces", False):
        return None

    def read(connection: Any) -> RunRow | None:
        queries = _run_queries()
        given = {"run": run_id}
        row = connection.execute(queries["run"], given).first()
        if row is None:
            return None
        held = {
            str(key): str(value) for key, value in connection.execute(queries["tags"], given | {"keys": list(tags)})
        }
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
    from sqlalchemy import bindparam, select

    version, tag = models.SqlModelVersion.__table__.c, models.SqlModelVersionTag.__table__.c
    alias, of_model = models.SqlRegisteredModelAlias.__table__.c, models.SqlRegisteredModelTag.__table__.c

    def of(table: Any) -> list[Any]:
        found = [table.name == bindparam("model")]
        return [*found, table.workspace == bindparam("workspace")] if workspaces else found

    there = [*of(version), version.current_stage != _DELETED]
    columns = (version.name, version.version, version.source, version.storage_location, version.run_id)
    return {
        "version": select(*columns).where(*there, version.version == bindparam("version")),
        "tags": select(tag.key, tag.value).where(*of(tag), tag.version == bindparam("version")),
        "model_tag": select(of_model.value).where(*of(of_model), of_model.key == bindparam("key")),
        "alias": select(alias.alias, alias.version).where(*of(alias), alias.alias == bindparam("alias")),
        "aliases": select(alias.alias, alias.version).where(*of(alias)),
        "stages": select(version.version, version.current_stage).where(
            *of(version), version.current_stage.in_(("Staging", "Production", "Archived"))
        ),
    }


@cache
def _run_queries() -> dict[str, Any]:
    from mlflow.store.tracking.dbmodels import models
    from sqlalchemy import and_, bindparam, select

    run, tag = models.SqlRun.__table__.c, models.SqlTag.__table__.c
    used, data, said = (
        models.SqlInput.__table__,
        models.SqlDataset.__table__,
        models.SqlInputTag.__table__,
    )
    with_context = and_(said.c.input_uuid == used.c.input_uuid, said.c.name == _CONTEXT)
    joined = used.join(data, used.c.source_id == data.c.dataset_uuid).outerjoin(said, with_context)
    return {
        "run": select(run.run_uuid, run.artifact_uri, run.lifecycle_stage, run.user_id).where(
            run.run_uuid == bindparam("run")
        ),
        "tags": select(tag.key, tag.value).where(
            tag.run_uuid == bindparam("run"), tag.key.in_(bindparam("keys", expanding=True))
        ),
        "inputs": select(data.c.dataset_uuid, data.c.name, data.c.digest, said.c.value)
        .select_from(joined)
        .where(used.c.destination_type == "RUN", used.c.destination_id == bindparam("run")),
    }
