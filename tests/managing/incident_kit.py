"""A system with a champion behind a gate, as the tests of incidents start from."""

from __future__ import annotations

import sys
from pathlib import Path

from mlflow import MlflowClient

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
from gate_kit import assess, make_version

from aims_mlflow.managing.incidents import Incidents
from aims_mlflow.managing.nonconformities import Nonconformities
from aims_mlflow.managing.records import ManagementRecords

POLICY = """
system: {id: loans, name: Loan scoring, risk_class: minimal, owner: {name: Head of credit}}
registered_models: [credit, 'credit-*']
gate:
  mode: enforce
  guarded:
    - {models: ['*'], aliases: [champion], stages: [Production], profile: two}
  profiles:
    two: {controls: [A.6.2.4, A.7.4], evidence: [performance]}
"""


def write_policy(folder, text=POLICY):
    path = Path(folder) / "aims.yaml"
    path.write_text(text)
    return path


def gated_client(uri):
    """A client with the gate in its own process."""
    return MlflowClient(tracking_uri=uri, registry_uri=f"aims:{uri}")


def champion(client, name="credit", text="weights"):
    """An assessed version that serves."""
    version = make_version(client, name, text=text)
    assess(client, version, text=text)
    client.set_registered_model_alias(name, "champion", version.version)
    return version


def incidents(**options):
    return Incidents(ManagementRecords(**options))


def nonconformities(**options):
    return Nonconformities(ManagementRecords(**options))


def handle(log, id_, *, authority=True):
    """Everything closing needs."""
    log.correct(id_, "taken out of service")
    log.explain(id_, "labels of one branch were swapped")
    log.plan(id_, "Audit the labels", owner="Data lead", due="2030-01-31")
    log.done(id_, 1)
    log.check(id_, effective=True, how="two weeks of scores", checked_by="Model validation")
    if authority and log.kind == "incident":
        log.notify(id_, to="authority", reference="MSA-1")


__all__ = [
    "POLICY",
    "assess",
    "champion",
    "gated_client",
    "handle",
    "incidents",
    "make_version",
    "nonconformities",
    "write_policy",
]
