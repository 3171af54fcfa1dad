"""Filing without the verbs above it: drafts made from what is on file, and MLflow's own tables behind its back."""

from __future__ import annotations

import sqlite3

from mlflow import MlflowClient

from aims_mlflow.catalog import load_catalog
from aims_mlflow.filing import RecordStore
from aims_mlflow.filing.document import document_from
from aims_mlflow.management.drafting import draft

CATALOG = load_catalog(())


class Killed(BaseException):
    """The process ended here: nothing catches it."""


def store(uri=None):
    return RecordStore(MlflowClient(tracking_uri=uri))


def drafted(kept, type_id="ai_policy", *, text="We have one.", document=None, **more):
    reference, path = document_from(document)
    made = draft(
        kept.read(),
        CATALOG,
        type_id,
        content={"statement": text},
        owner="Head of AI",
        document=more.pop("reference", reference),
        **more,
    )
    return made, path


def file(kept, type_id="ai_policy", **more):
    made, path = drafted(kept, type_id, **more)
    return kept.file(made, path)


def sql(uri, statement, *values):
    """Change MLflow's tables as somebody with the database file could."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        changed = database.execute(statement, values).rowcount
    database.close()
    assert changed > 0
    return changed


def tamper(uri, run_id, old, new, name="record.000"):
    return sql(
        uri,
        "UPDATE params SET value = replace(value, ?, ?) WHERE run_uuid = ? AND key = ? AND instr(value, ?)",
        old,
        new,
        run_id,
        name,
        old,
    )


def purge(uri, run_id):
    """Take a run out for good, as `mlflow gc` does."""
    for table in ("params", "tags", "latest_metrics", "metrics"):
        with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run_id,))
        database.close()
    sql(uri, "DELETE FROM runs WHERE run_uuid = ?", run_id)


def codes(problems):
    return [(p.code, p.type, p.id, p.revision) for p in problems]


def in_force(kept, type_id="ai_policy"):
    return [one.record.revision for one in kept.read().of_type(type_id)]
