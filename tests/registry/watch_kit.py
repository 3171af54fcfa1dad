"""What the tests of receiver and sweep start from: versions with real evidence, moves through the gate and past it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from gate_kit import assess, make_version, write_policy
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.config import load_settings
from aims_mlflow.gate.entries import Actor, Level, Target
from aims_mlflow.registry import holders
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.reconcile import reconcile

CHAMPION = Target(kind="alias", name="champion")
PRODUCTION = Target(kind="stage", name="Production")


def version_with_evidence(client, name="credit", *, assessed=True, **changes):
    """A version whose run holds evidence under a true manifest, assessed as good."""
    version = make_version(client, name)
    client.delete_tag(version.run_id, "aims.evidence")
    aims_mlflow.log_evidence("my.kind", {"a": 1}, run_id=version.run_id)
    tag = client.get_run(version.run_id).data.tags["aims.evidence"]
    if assessed:
        assess(client, version, evidence_sha256=tag, **changes)
    version._version = str(version.version)  # an int from a database, a text over HTTP
    return version


def gate_of(client, level=Level.ENFORCED):
    return Gatekeeper(client, client, load_settings(), level)


def set_alias(client, name, version, alias="champion", *, level=Level.ADVISED, do=None):
    """Through the gate."""
    target = Target(kind="alias", name=alias)
    return gate_of(client, level).move(
        name,
        version,
        target,
        "set_registered_model_alias",
        lambda: holders.of_alias(client, name, alias),
        Actor(name="alice"),
        None,
        do or (lambda: client.set_registered_model_alias(name, alias, version)),
    )


def set_stage(client, name, version, stage="Production", *, before=None, archive=False):
    target = Target(kind="stage", name=stage)
    return gate_of(client).move(
        name,
        version,
        target,
        "transition_model_version_stage",
        before,
        Actor(name="alice"),
        None,
        lambda: client.transition_model_version_stage(name, version, stage, archive),
    )


def sql(store, statement, *values):
    with sqlite3.connect(store.removeprefix("sqlite:///")) as db:
        db.execute(statement, values)


def sweep(*models, **options):
    return reconcile(models, **{"settled": timedelta(0)} | options)


def kinds(result):
    return sorted(str(f.kind) for f in result.findings)


__all__ = [
    "CHAMPION",
    "PRODUCTION",
    "MlflowClient",
    "gate_of",
    "kinds",
    "set_alias",
    "set_stage",
    "sql",
    "sweep",
    "version_with_evidence",
    "write_policy",
]
