"""Serving processes that are killed, servers that are away: what was answered is counted, save a stated tail."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastapi
import mlflow
import pytest
from mlflow import MlflowClient

from aims_mlflow.attach.store import RunStore
from aims_mlflow.evidence import MonitoringWindow
from aims_mlflow.monitoring.merging import close_unclosed
from aims_mlflow.monitoring.observing import ObservedModel, Observer, observed_model
from aims_mlflow.monitoring.observing.shipping import deliver_leftovers
from aims_mlflow.monitoring.observing.target import target_of
from aims_mlflow.monitoring.served import served_by
from real_server import Server, free_port

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "monitoring"))
from observe_kit import DECLARATION, MODEL, Rule, Wall, registered, rows, settings

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning")]
_log = logging.getLogger(__name__)
HERE = Path(__file__).resolve().parent
SCORES = pytest.mark.skipif(
    mlflow.__version__.startswith("2.") and not hasattr(fastapi.FastAPI, "route"),
    reason="MLflow 2's scoring server does not start with this FastAPI",
)


@pytest.fixture
def client(tmp_path, _store_template):
    shutil.copy(_store_template, tmp_path / "server.db")
    uri = f"sqlite:///{tmp_path / 'server.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture
def name(client, tmp_path):
    (tmp_path / "aims.yaml").write_text(json.dumps(DECLARATION))
    return registered(client, tmp_path)


def environment(folder, **more):
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", **more}
    env["AIMS_SPOOL_DIR"] = str(folder / "spool-root")
    return env


def counted(client, spool, folder):
    """Deliver what is left, file every window, and add up the rows in the evidence."""
    done = deliver_leftovers((spool,))
    assert not done.kept, done.kept
    assert not done.set_aside
    _results, failed = close_unclosed(client, settings(), early=True)
    assert not failed
    total = 0
    experiment = client.get_experiment_by_name("aims-monitoring")
    for run in client.search_runs([experiment.experiment_id], "tags.`aims.kind` = 'monitor'"):
        store = RunStore(client, run.info.run_id)
        found = [r for r in store.holdings(store.facts()).evidence if isinstance(r, MonitoringWindow)]
        total += max(found, key=lambda r: r.captured_at).rows
    return total, done.recovered


def killed_again_and_again(client, name, folder, *, times, every_rows):
    """Rows asked and answered over all lives, and the number of lives that got as far as answering."""
    log, spool = folder / "app.log", folder / "spool"
    asked, answered, lives = 0, 0, 0
    for turn in range(times):
        log.write_text("")
        command = [sys.executable, str(HERE / "observed_app.py"), str(client.tracking_uri), name]
        command += [str(folder / "aims.yaml"), str(spool), str(log), str(every_rows)]
        process = subprocess.Popen(command, env=environment(folder), stderr=(folder / "app.err").open("ab"))
        try:
            deadline = time.monotonic() + 60
            while not log.stat().st_size and time.monotonic() < deadline:
                assert process.poll() is None, (folder / "app.err").read_text()[-2000:]
                time.sleep(0.02)
            time.sleep(random.Random(turn).uniform(0.05, 2.0))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        lines = [line.split() for line in log.read_text().splitlines()]
        asked += sum(int(n) for word, n in lines if word == "asked")
        answered += sum(int(n) for word, n in lines if word == "answered")
        lives += bool(lines)
    return asked, answered, lives


def check_kills(client, name, folder, *, times, every_rows):
    asked, answered, lives = killed_again_and_again(client, name, folder, times=times, every_rows=every_rows)
    total, recovered = counted(client, folder / "spool", folder)
    _log.info(
        "%d kills: %d rows asked, %d answered, %d in evidence; %d lost, limit %d; %d checkpoints recovered last",
        times, asked, answered, total, answered - total, lives * every_rows, recovered,
    )  # fmt: skip
    assert lives == times
    assert answered > times * every_rows * 2, "too little to tell"
    assert total <= asked, "rows were counted twice"
    assert answered - total < lives * every_rows
    again, _ = counted(client, folder / "spool", folder)
    assert again == total


def test_a_process_killed_twice_under_load_loses_less_than_every_rows_and_counts_none_twice(client, name, tmp_path):
    check_kills(client, name, tmp_path, times=2, every_rows=500)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("every_rows", [500, 4096])
def test_a_process_killed_twenty_times_under_load_loses_less_than_every_rows_each_time(
    client, name, tmp_path, every_rows
):
    check_kills(client, name, tmp_path, times=20, every_rows=every_rows)


@contextmanager
def serving(folder, model, uri, *options):
    """A real ``mlflow models serve``."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local",
               "--host", "127.0.0.1", "--port", str(port), *options]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment(folder, MLFLOW_TRACKING_URI=uri, PATH=path), stdout=log, stderr=log,
            start_new_session=True, cwd=folder,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert process.poll() is None, (folder / "serve.log").read_text()[-3000:]
            with suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2)
                break
            time.sleep(0.2)
        yield process, f"http://127.0.0.1:{port}/invocations"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def ask(url, frame):
    body = json.dumps({"dataframe_split": frame.to_dict(orient="split", index=False)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["predictions"]


@SCORES
@pytest.mark.server
def test_a_real_scoring_server_that_is_asked_to_stop_delivers_every_row(client, name, tmp_path):
    folder = observed_model(name, tmp_path / "packed", config=settings(), tracking_uri=str(client.tracking_uri))
    served = 0
    with serving(tmp_path, folder, str(client.tracking_uri)) as (process, url):
        for seed in range(10):
            frame = rows(30, seed=seed)
            assert ask(url, frame) == Rule().predict(frame).tolist()
            served += 30
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        deadline = time.monotonic() + 30
        with suppress(ProcessLookupError):  # its worker goes on until the last answer is out
            while time.monotonic() < deadline:
                os.killpg(process.pid, 0)
                time.sleep(0.05)
    left = [p for p in (tmp_path / "spool-root").rglob("*") if p.suffix in {".open", ".bin"}]
    assert not left, "all of it is delivered"
    spool = tmp_path / "spool-root" / "observe"
    assert counted(client, spool, tmp_path) == (served, 0)


@SCORES
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(1500)
def test_a_real_scoring_server_killed_twenty_times_loses_at_most_the_last_second(client, name, tmp_path):
    folder = observed_model(
        name, tmp_path / "packed", config=settings(), tracking_uri=str(client.tracking_uri), every_rows=200
    )
    asked = answered = 0
    spool = tmp_path / "spool-root" / "observe"
    for turn in range(20):
        choose = random.Random(turn)
        with serving(tmp_path, folder, str(client.tracking_uri), "--workers", "2") as (process, url):
            end = time.monotonic() + choose.uniform(0.3, 3.0)
            while time.monotonic() < end:
                frame = rows(choose.choice([1, 5, 50]), seed=turn)
                asked += len(frame)
                ask(url, frame)
                answered += len(frame)
            os.killpg(process.pid, signal.SIGKILL)
    total, recovered = counted(client, spool, tmp_path)
    _log.info(
        "20 kills of mlflow models serve, 2 workers: %d rows asked, %d answered, %d in evidence, %d recovered last",
        asked, answered, total, recovered,
    )  # fmt: skip
    assert total <= asked
    assert answered - total < 20 * 2 * 200


@pytest.mark.server
def test_rows_of_a_window_during_which_the_server_was_away_are_delivered_after(client, name, tmp_path, monkeypatch):
    server = Server(tmp_path)
    if mlflow.__version__.startswith("2."):  # it reaches a server's artifacts by its global setting alone
        monkeypatch.setattr("mlflow.store.artifact.mlflow_artifacts_repo.get_tracking_uri", lambda: server.uri)
    served = served_by(client, name, settings())
    wall = Wall(datetime(2026, 11, 5, 8, tzinfo=UTC).timestamp())
    observer = Observer(
        target_of(served, server.uri), spool=tmp_path / "spool", clock=wall.clock(), background=False, closes=True
    )
    model = ObservedModel(Rule(), observer)
    for _ in range(6):  # the whole window
        model.predict(rows(50))
        observer.save()
        with suppress(Exception):
            observer.ship()
        wall.at += 600
    observer.save()
    done = observer.ship()
    assert len(done.kept) == 1
    try:
        server.start()
        done = observer.ship()
        assert (len(done.delivered), done.kept) == (1, {})
        wall.at += timedelta(hours=1).total_seconds()
        observer.close_due()
        observer.close(ship=False)
        over_http = MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)
        total, _ = counted(over_http, tmp_path / "spool", tmp_path)
        assert total == 300
        assert served.model == MODEL
    finally:
        server.stop()
