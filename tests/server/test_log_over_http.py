"""The transition log over a real server without a gate: one gapless chain, and a word on a version straight into it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient

import aims_mlflow

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
from gate_kit import assess, make_version
from log_kit import log_of, move, write

pytestmark = pytest.mark.server


def test_clients_write_one_gapless_chain_over_http(http_store):
    """They also race for the root: the server has no log before."""
    failures = []

    def work(worker):
        try:
            log = log_of(http_store.uri)
            for n in range(6):
                log.append(move(f"{worker}{n}", "raced"))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(w,)) for w in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    entries = log_of(http_store.uri).read("raced")
    assert [e.number for e in entries] == list(range(1, 25))
    assert sorted(e.version for e in entries) == sorted(f"{w}{n}" for w in range(1, 5) for n in range(6))
    check = log_of(http_store.uri).verify(["raced"])
    assert check.intact, check.problems


def test_a_review_goes_straight_into_the_log_and_leaves_no_tag(http_store):
    client = MlflowClient()
    version = make_version(client, "reviewed")
    stated = assess(client, version)
    entry = aims_mlflow.approve("models:/reviewed/1", person="Ann")
    assert entry == log_of(http_store.uri).read("reviewed")[0]
    assert entry.model_sha256 == stated.model_sha256
    assert "aims.review" not in client.get_model_version("reviewed", "1").tags


def test_a_records_run_deleted_over_http_is_seen(http_store):
    log = log_of(http_store.uri)
    write(log, 2, "gone")
    run = next(c.first for c in log._views[None].chains.values() if c.name == "gone")
    MlflowClient().delete_run(run)
    assert [p.damage for p in log_of(http_store.uri).verify(["gone"]).problems] == ["deleted"]
