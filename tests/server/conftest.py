"""One server per session: starting it takes longer than any test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from real_server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def http_store(server):
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.uri)
    mlflow.set_registry_uri(server.uri)
    mlflow.set_experiment("over-http")
    yield server
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)
