"""In observe mode the gate changes nothing: every method of MLflow's registry gives the same, errors included."""

from __future__ import annotations

import shutil
from pathlib import Path

import gate_kit
import mlflow
import pytest
import registry_script
from mlflow import MlflowClient

from aims_mlflow.registry.log import TransitionLog
from databases import KINDS, postgres_databases

POLICY = """
system: {id: loans, name: Loans, risk_class: minimal}
gate:
  mode: observe
  guarded:
    - {aliases: ['*'], stages: ['*'], new_versions: true}
"""


@pytest.fixture(params=KINDS)
def two_databases(request, tmp_path, _store_template):
    """Two empty registries of one kind."""
    if request.param == "sqlite":
        paths = [tmp_path / f"{name}.db" for name in ("plain", "gated")]
        for path in paths:
            shutil.copy(_store_template, path)
        yield [f"sqlite:///{path}" for path in paths]
        return
    with postgres_databases(2) as uris:
        yield uris


def store_of(client: MlflowClient):
    return client._get_registry_client().store


@pytest.fixture
def scripts(two_databases, tmp_path, monkeypatch):
    """What the script said of the plain and of the gated registry, and the gated one's tracking client."""
    (tmp_path / "aims.yaml").write_text(POLICY)
    monkeypatch.setenv("AIMS_CONFIG", str(tmp_path / "aims.yaml"))
    said = []
    before = mlflow.get_tracking_uri()
    for uri, scheme in zip(two_databases, ("", "aims:"), strict=True):
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(scheme + uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=scheme + uri)
        said.append(registry_script.run(store_of(client), client))
    yield *said, MlflowClient(tracking_uri=two_databases[1])
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)


def test_every_public_method_gives_the_same_through_the_gate(scripts):
    plain, gated, tracking = scripts
    assert sorted(registry_script.PUBLIC - gated.used) == []
    assert len(plain.said) == len(gated.said) > 100
    for expected, got in zip(plain.said, gated.said, strict=True):
        assert got == expected
    assert type(gated.store) is not type(plain.store)
    assert isinstance(gated.store, type(plain.store))
    # and it was watched all the while
    moves = [e for e in TransitionLog(tracking).read("n") if e.type == "move"]
    assert {"refuse"} <= {e.outcome for e in moves if e.mode == "observe"}
    assert any(e.type == "registered" for e in TransitionLog(tracking).read("n"))


def test_the_gated_store_is_called_as_mlflows_own(tmp_path, _store_template):
    shutil.copy(_store_template, tmp_path / "m.db")
    uri = f"sqlite:///{tmp_path / 'm.db'}"
    plain = store_of(MlflowClient(uri, uri))
    gated = store_of(MlflowClient(uri, f"aims:{uri}"))
    assert registry_script.signatures(gated) == registry_script.signatures(plain)


def test_a_refused_move_leaves_the_registry_as_it_was(tmp_path, _store_template, monkeypatch):
    shutil.copy(_store_template, tmp_path / "m.db")
    uri = f"sqlite:///{tmp_path / 'm.db'}"
    monkeypatch.setenv("AIMS_CONFIG", str(gate_kit.write_policy(Path(tmp_path))))
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri, f"aims:{uri}")
    gate_kit.make_version(client)
    before = registry_script.plain(client.get_registered_model("credit"), {})
    with pytest.raises(mlflow.MlflowException, match="AIMS refused"):
        client.set_registered_model_alias("credit", "champion", "1")
    assert registry_script.plain(client.get_registered_model("credit"), {}) == before
