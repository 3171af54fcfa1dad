"""A server killed in the middle of moves, again and again: what was half-done is named, and nothing is lost."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy
from mlflow import MlflowClient

from aims_mlflow.gate.signing import read_key
from aims_mlflow.registry.acting import REASON_HEADER
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reconcile import reconcile
from databases import KINDS, postgres_databases
from real_server import gated_server

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "registry"))
from gate_kit import assess, make_version, write_policy

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
_log = logging.getLogger(__name__)
ROUNDS = 12
CLIENTS = 6
MODEL = "credit"
VERSIONS = ["1", "2", "3", "4", "5", "6"]
UNASSESSED = "3"


@pytest.fixture(params=KINDS)
def running(request, tmp_path_factory, _store_template):
    folder = tmp_path_factory.mktemp("killed")
    write_policy(folder)
    with ExitStack() as stack:
        if request.param == "sqlite":
            uris = [f"sqlite:///{folder / name}" for name in ("runs.db", "registry.db")]
            for uri in uris:
                shutil.copy(_store_template, uri.removeprefix("sqlite:///"))
        else:
            uris = stack.enter_context(postgres_databases(2))
        stores = ("--registry-store-uri", f"aims:{uris[1]}")
        server = gated_server(folder, "--workers", "2", *stores, database=uris[0])
        server.registry = uris[1]
        stack.callback(server.stop)
        server.start()
        yield server


@pytest.fixture
def client(running, monkeypatch):
    monkeypatch.setenv("AIMS_CONFIG", str(running.folder / "aims.yaml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(running.folder / "state"))
    return MlflowClient(tracking_uri=running.uri, registry_uri=running.uri)


class Traffic:
    """Clients that move alias and stage until the server is gone, and what each move was answered."""

    def __init__(self, running, turn):
        self.running = running
        self.turn = turn
        self.asked = {}
        self.answered = {}
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _client(self, number):
        choose = random.Random(f"{self.turn} {number}")
        with requests.Session() as session:
            for step in range(10_000):
                reason = f"round {self.turn}, client {number}, step {step}"
                version = choose.choice(VERSIONS)
                path, body = "registered-models/alias", {"name": MODEL, "alias": "champion", "version": version}
                if choose.random() < 0.4:
                    path = "model-versions/transition-stage"
                    body = {"name": MODEL, "version": version, "stage": "Production", "archive_existing_versions": True}
                if self.over.is_set():
                    return
                self.asked[reason] = version
                try:
                    answer = session.post(
                        f"{self.running.uri}/api/2.0/mlflow/{path}",
                        json=body,
                        headers={REASON_HEADER: reason},
                        timeout=30,
                    )
                except requests.RequestException:
                    return
                self.answered[reason] = answer.status_code

    def killed(self, after, *, between):
        """Kill every process of the server, some seconds from now.

        Args:
            after: Seconds.
            between: True keeps the registry from writing for the last half second, so that the kill falls between the
                log's write and the registry's; False leaves it to chance.
        """
        time.sleep(after)
        with unwritable(self.running.registry) if between else nullcontext():
            time.sleep(0.5 if between else 0)
            os.killpg(self.running.process.pid, signal.SIGKILL)
            self.running.process.wait(30)
            time.sleep(0.2)
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads)
        self.running.stop()


@contextmanager
def unwritable(uri):
    """A registry whose rows can be read and not written: who writes waits."""
    engine = sqlalchemy.create_engine(uri)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("LOCK TABLE model_versions, registered_model_aliases IN EXCLUSIVE MODE")
        yield
        connection.rollback()
    engine.dispose()


def disagreements(client, entries):
    """Alias, or stage of a version, where the registry is not as the log's last word on it has it; told by hand."""
    failed = {e.move for e in entries if e.type == "failed"}
    made = [e for e in entries if e.type == "move" and e.outcome == "allow" and e.number not in failed]
    champion = next((e for e in reversed(made) if e.target.name == "champion"), None)
    found = {}
    if champion is not None:
        held = client.get_registered_model(MODEL).aliases.get("champion")
        if str(held) != champion.version:
            found["champion"] = champion.number
    stages = {str(v.version): v.current_stage for v in client.search_model_versions(f"name='{MODEL}'")}
    last = next((e for e in reversed(made) if e.target.name == "Production"), None)
    in_production = {v for v, stage in stages.items() if stage == "Production"}
    if last is not None and in_production != {last.version}:
        found["Production"] = last.number
    return found


def test_whenever_the_server_is_killed_log_and_registry_agree_or_the_difference_is_named(running, client):
    for number in range(len(VERSIONS)):
        version = make_version(client, MODEL, text=f"w{number}")
        if str(version.version) != UNASSESSED:
            assess(client, version, text=f"w{number}")
    key = read_key(running.folder / "state" / "aims-mlflow" / "gate.key").public
    asked, answered, half_done, unanswered = {}, {}, [], 0
    for turn in range(ROUNDS):
        traffic = Traffic(running, turn)
        traffic.killed(after=random.uniform(0.2, 1.5), between=turn % 2 == 1)
        running.start()
        asked |= traffic.asked
        answered |= traffic.answered
        unanswered += len(traffic.asked) - len(traffic.answered)
        # nothing is lost
        log = TransitionLog(client)
        entries = log.read(MODEL, fresh=True)
        assert [e.number for e in entries] == list(range(1, len(entries) + 1))
        check = log.verify([MODEL], gate_keys={key})
        assert check.intact, check.problems
        decided = [e for e in entries if e.type == "move" and e.reason and e.target.name != "Archived"]
        times = Counter(e.reason for e in decided)
        assert set(times.values()) == {1}
        outcomes = {e.reason: {"allow": 200, "refuse": 403}[e.outcome] for e in decided}
        assert {reason: outcomes[reason] for reason in answered} == answered
        assert all(asked[e.reason] == e.version for e in decided)
        # what is half-done is named, and nothing else
        differ = disagreements(client, entries)
        assert len(differ) <= 1, "moves of a model are made one after the other"
        half_done += differ.values()
        named = findings(running)
        assert {(f.target.name, str(f.kind)) for f in named} == {(name, "not-made") for name in differ}, (
            turn, differ, [str(f) for f in named], [e.number for e in entries[-5:]]
        )  # fmt: skip
        assert all(f"(entry {number})" in f.what for f in named for number in differ.values())
        # the gate goes on, whether that was put on record first or later; a stage that was never given stays named
        if turn % 4 < 2:
            put_on_record(running)
        good = str(turn % 2 + 1)
        client.set_registered_model_alias(MODEL, "champion", good)
        client.transition_model_version_stage(MODEL, good, "Production", archive_existing_versions=True)
        assert str(client.get_model_version_by_alias(MODEL, "champion").version) == good
        assert disagreements(client, TransitionLog(client).read(MODEL, fresh=True)) == {}
        left = findings(running)
        assert all(f"(entry {number})" in f.what for f in left for number in differ.values())
        assert len(left) <= (0 if turn % 4 < 2 else len(differ))
        if left:
            put_on_record(running)
    assert len(answered) > ROUNDS * CLIENTS
    assert half_done, "half of the kills were aimed at it"
    _log.info(
        "%d rounds: %d moves asked for, %d answered, %d cut off; half-done and named: entries %s",
        ROUNDS, len(asked), len(answered), unanswered, half_done,
    )  # fmt: skip


def put_on_record(running):
    reconcile([MODEL], settled=timedelta(0), tracking_uri=running.uri, fix_log=True)
    assert findings(running) == []


def findings(running):
    """What a sweep says of registry against log."""
    said = reconcile([MODEL], settled=timedelta(0), tracking_uri=running.uri)
    assert not said.unreadable
    return [f for f in said.findings if str(f.kind) in {"bypassed", "not-made", "log"}]
