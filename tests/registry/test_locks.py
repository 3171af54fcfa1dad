"""One move of a model at a time, over processes; and who dies gives its lock back at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import sqlalchemy

from aims_mlflow.errors import DeliveryError
from aims_mlflow.registry import locks
from aims_mlflow.registry.locks import ModelLocks
from databases import KINDS, postgres_databases

HOLDER = """
import sys, time
from pathlib import Path
import sqlalchemy
from aims_mlflow.registry.locks import ModelLocks
_, uri, folder, model = sys.argv
with ModelLocks("registry", Path(folder), sqlalchemy.create_engine(uri)).hold(model):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=KINDS)
def places(request, tmp_path):
    """URI of a registry and the folders two processes keep lock files in: on PostgreSQL they share none."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'm.db'}", tmp_path / "state", tmp_path / "state"
        return
    with postgres_databases() as (uri,):
        yield uri, tmp_path / "one", tmp_path / "other"


@pytest.fixture
def holder(places):
    uri, _, other = places
    command = [sys.executable, "-c", HOLDER, uri, str(other), "credit"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_waits_while_one_holds_the_model_and_not_for_another_model(places, holder, monkeypatch):
    monkeypatch.setattr(locks, "_LONGEST_WAIT", 0.5)
    uri, own, _ = places
    engine = sqlalchemy.create_engine(uri)
    mine = ModelLocks("registry", own, engine)
    with mine.hold("other"):
        pass
    with pytest.raises(DeliveryError, match="did not end"), mine.hold("credit"):
        pytest.fail("two held it")
    with ModelLocks("another registry", own, engine).hold("credit"):
        pass


def test_the_lock_of_a_killed_process_is_free_at_once(places, holder):
    uri, own, _ = places
    mine = ModelLocks("registry", own, sqlalchemy.create_engine(uri))
    holder.kill()
    holder.wait()
    start = time.monotonic()
    with mine.hold("other", "credit"):
        assert time.monotonic() - start < 2
