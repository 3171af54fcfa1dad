"""A real server over the gate: Python and REST are refused and allowed, and the log outlives a kill."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from real_server import Server

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "registry"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "managing"))
import registry_script
from click.testing import CliRunner
from gate_kit import assess, make_version, write_policy
from incident_kit import handle

import aims_mlflow
from aims_mlflow.cli import aims
from aims_mlflow.gate.entries import Level
from aims_mlflow.managing.incidents import Incidents
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.registry.log import TransitionLog

pytestmark = [pytest.mark.server, pytest.mark.filterwarnings("ignore::FutureWarning")]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gated")
    before = {name: os.environ.get(name) for name in ("AIMS_CONFIG", "XDG_STATE_HOME")}
    os.environ.update(AIMS_CONFIG=str(write_policy(folder)), XDG_STATE_HOME=str(folder / "state"))
    server = Server(folder, "--registry-store-uri", f"aims:sqlite:///{folder / 'server.db'}")
    server.start()
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    yield server
    server.stop()


@pytest.fixture
def gated(running, monkeypatch):
    """A plain client of the gated server. The policy is the server's alone."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    write_policy(running.folder)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(running.uri)
    mlflow.set_registry_uri(running.uri)
    yield MlflowClient(tracking_uri=running.uri, registry_uri=running.uri)
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)


def log_of(running, model, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(running.folder / "state"))
    return TransitionLog(MlflowClient(tracking_uri=running.uri)).read(model)


def post(running, path, body, method="POST"):
    return requests.request(method, f"{running.uri}/api/2.0/mlflow/{path}", json=body, timeout=30)


def test_the_servers_log_names_policy_and_mode_and_each_refusal(gated, running):
    make_version(gated, "credit-log")
    with pytest.raises(MlflowException):
        gated.set_registered_model_alias("credit-log", "champion", "1")
    said = (running.folder / "server.log").read_text()
    assert f"the model registry is gated by {running.folder / 'aims.yaml'}, mode enforce" in said
    assert said.count("aims: refused 'credit-log' 1 to 'champion': the version was not assessed") == 1


def test_the_python_client_is_refused_and_allowed(gated, running, monkeypatch):
    version = make_version(gated, "credit-py")
    for call in (
        lambda: gated.set_registered_model_alias("credit-py", "champion", "1"),
        lambda: gated.transition_model_version_stage("credit-py", "1", "Production"),
    ):
        with pytest.raises(MlflowException) as caught:
            call()
        assert caught.value.error_code == "PERMISSION_DENIED"
        assert "AIMS refused: the version was not assessed. Next: aims assess models:/credit-py/1" in str(caught.value)
    assess(gated, version)
    gated.set_registered_model_alias("credit-py", "champion", "1")
    gated.transition_model_version_stage("credit-py", "1", "Production")
    assert gated.get_model_version_by_alias("credit-py", "champion").current_stage == "Production"
    moves = [e for e in log_of(running, "credit-py", monkeypatch) if e.type == "move"]
    assert [e.outcome for e in moves] == ["refuse", "refuse", "allow", "allow"]
    assert {e.level for e in moves} == {Level.ENFORCED}
    assert all(e.is_signed() for e in moves)


def test_an_incident_over_http_holds_the_python_client_and_closing_it_frees_it(gated, running, monkeypatch, tmp_path):
    """The hold goes through the server's gate, which looks at the incident's record and signs."""
    version = make_version(gated, "credit-inc")
    assess(gated, version)
    gated.set_registered_model_alias("credit-inc", "champion", "1")
    own = {
        "config": {"system": {"id": "loans", "owner": {"name": "Head of credit"}}, "registered_models": ["credit-inc"]}
    }
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "client"))
    opened = aims_mlflow.open_incident("Scores shifted", severity="serious", harm="death", **own)
    assert [(s.model, s.state) for s in opened.holds] == [("credit-inc", "held")]
    assert [a.targets for a in opened.content.affected] == [("alias champion",)]
    for call in (
        lambda: gated.set_registered_model_alias("credit-inc", "champion", "1"),
        lambda: gated.transition_model_version_stage("credit-inc", "1", "Production"),
    ):
        with pytest.raises(MlflowException) as caught:
            call()
        assert caught.value.error_code == "PERMISSION_DENIED"
        said = f"AIMS refused: serious incident {opened.id} is open. Next: aims incident close {opened.id}."
        assert said in str(caught.value)
    assert "aims.hold" not in gated.get_registered_model("credit-inc").tags
    again = aims_mlflow.update_incident(opened.id, note="seen again", **own)
    assert [s.state for s in again.holds] == ["held before"]
    log = Incidents(ManagementRecords(**own))
    handle(log, opened.id)
    closed = log.close(opened.id)
    assert [(s.model, s.state) for s in closed.holds] == [("credit-inc", "released")]
    gated.set_registered_model_alias("credit-inc", "champion", "1")
    entries = log_of(running, "credit-inc", monkeypatch)
    holds = [e for e in entries if e.type == "hold"]
    assert [(e.state, e.incident, e.level) for e in holds] == [
        ("held", opened.id, Level.ENFORCED),
        ("released", opened.id, Level.ENFORCED),
    ]
    assert all(e.is_signed() for e in holds)
    assert len({e.key for e in entries}) == 1  # the gate's
    assert [e.outcome for e in entries if e.type == "move"] == ["allow", "refuse", "refuse", "allow"]
    shown = CliRunner().invoke(aims, ["history", "credit-inc", "--tracking-uri", running.uri])
    assert opened.id in shown.output
    key = holds[0].key
    anchors = running.folder / "state" / "aims-mlflow" / "anchors.jsonl"
    checked = TransitionLog(MlflowClient(tracking_uri=running.uri), anchors=anchors).verify(
        ["credit-inc"], gate_keys=[key]
    )
    assert checked.intact, checked.problems


@pytest.mark.parametrize("api", ["api/2.0", "ajax-api/2.0"])
def test_rest_is_refused_with_403_and_the_decisive_words_first(gated, running, api):
    name = f"credit-{api[:3]}"
    version = make_version(gated, name)
    alias = {"name": name, "alias": "champion", "version": "1"}
    stage = {"name": name, "version": "1", "stage": "Production", "archive_existing_versions": True}
    url = f"{running.uri}/{api}/mlflow"
    for answer in (
        requests.post(f"{url}/registered-models/alias", json=alias, timeout=30),
        requests.post(f"{url}/model-versions/transition-stage", json=stage, timeout=30),
    ):
        assert answer.status_code == 403
        assert answer.json()["error_code"] == "PERMISSION_DENIED"
        first_dozen = " ".join(answer.json()["message"].split()[:12])
        assert first_dozen.startswith("AIMS refused: the version was not assessed. Next: aims assess")
    assess(gated, version)
    assert requests.post(f"{url}/registered-models/alias", json=alias, timeout=30).status_code == 200
    assert requests.post(f"{url}/model-versions/transition-stage", json=stage, timeout=30).status_code == 200


def test_rest_cannot_bring_tags_delete_what_serves_or_promote_by_copying(gated, running):
    version = make_version(gated, "credit-rest")
    body = {"name": "credit-rest", "source": version.source, "run_id": version.run_id,
            "tags": [{"key": "aims.status", "value": "pass"}, {"key": "AIMS.vsa", "value": "x"}]}  # fmt: skip
    made = post(running, "model-versions/create", body).json()["model_version"]
    assert [(t["key"], t["value"]) for t in made["tags"]] == [("aims.status", "not-assessed")]
    tag = {"name": "credit-rest", "version": "1", "key": "aims.status", "value": "pass"}
    assert post(running, "model-versions/set-tag", tag).status_code == 403
    post(running, "registered-models/create", {"name": "live"})
    copied = {"name": "live", "source": "models:/credit-rest/1", "run_id": version.run_id}
    assert "was not assessed" in post(running, "model-versions/create", copied).json()["message"]
    assess(gated, version)
    gated.set_registered_model_alias("credit-rest", "champion", "1")
    gone = {"name": "credit-rest", "version": "1"}
    assert post(running, "model-versions/delete", gone, "DELETE").status_code == 403
    assert post(running, "registered-models/delete", {"name": "credit-rest"}, "DELETE").status_code == 403
    assert post(running, "model-versions/create", copied).status_code == 200


def test_files_on_the_servers_own_disk_are_hashed(gated, running):
    version = make_version(gated, "credit-files")
    assess(gated, version)
    gated.set_registered_model_alias("credit-files", "champion", "1")
    weights = next((running.folder / "served").rglob(f"{version.run_id}/**/weights.txt"))
    weights.write_text("WEIGHTS")
    with pytest.raises(MlflowException, match="files changed since"):
        gated.set_registered_model_alias("credit-files", "champion", "1")


def test_sixteen_clients_at_once_leave_one_decision_each(gated, running, monkeypatch):
    for number in range(2):
        assess(gated, make_version(gated, "credit-many", text=f"w{number}"), text=f"w{number}")
    answers = []

    def move(number):
        body = {"name": "credit-many", "alias": "champion", "version": str(number % 2 + 1)}
        answers.append(post(running, "registered-models/alias", body).status_code)

    threads = [threading.Thread(target=move, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 16
    moves = [e for e in log_of(running, "credit-many", monkeypatch) if e.type == "move"]
    assert len(moves) == 16
    assert moves[-1].version == gated.get_model_version_by_alias("credit-many", "champion").version
    assert [m.from_version for m in moves] == [None, *(m.version for m in moves)][:-1]


def test_a_client_with_a_gate_of_its_own_does_not_log_twice(gated, running, monkeypatch, tmp_path):
    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path)))
    twice = MlflowClient(tracking_uri=running.uri, registry_uri=f"aims:{running.uri}")
    version = make_version(twice, "credit-twice")
    with pytest.raises(MlflowException, match="was not assessed"):
        twice.set_registered_model_alias("credit-twice", "champion", version.version)
    entries = log_of(running, "credit-twice", monkeypatch)
    assert [(e.type, e.level) for e in entries] == [("registered", Level.ENFORCED), ("move", Level.ENFORCED)]


def test_observing_over_rest_gives_what_a_plain_server_gives(gated, running, server):
    """Against the session's plain server, with the same script as on the stores."""
    (running.folder / "aims.yaml").write_text(
        "system: {id: loans, risk_class: minimal}\n"
        "gate:\n  mode: observe\n  guarded:\n    - {aliases: ['*'], stages: ['*'], new_versions: true}\n"
    )
    said = []
    for one in (server, running):
        mlflow.set_tracking_uri(one.uri)
        mlflow.set_registry_uri(one.uri)
        client = MlflowClient(tracking_uri=one.uri, registry_uri=one.uri)
        said.append(registry_script.run(client._get_registry_client().store, client))
    plain, observed = said
    for expected, got in zip(plain.said, observed.said, strict=True):
        assert repr(got).replace(str(running.port), "PORT") == repr(expected).replace(str(server.port), "PORT")


def test_after_a_kill_log_and_registry_agree(gated, running, monkeypatch):
    for number in range(2):
        assess(gated, make_version(gated, "credit-kill", text=f"w{number}"), text=f"w{number}")
    stop = threading.Event()

    def move():
        number = 0
        while not stop.is_set():
            number += 1
            body = {"name": "credit-kill", "alias": "champion", "version": str(number % 2 + 1)}
            try:
                post(running, "registered-models/alias", body)
            except requests.RequestException:
                return

    threads = [threading.Thread(target=move) for _ in range(3)]
    for thread in threads:
        thread.start()
    stop.wait(1.0)
    os.killpg(running.process.pid, signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join(60)
    running.stop()
    monkeypatch.setenv("AIMS_CONFIG", str(running.folder / "aims.yaml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(running.folder / "state"))
    running.start()
    moves = [e for e in log_of(running, "credit-kill", monkeypatch) if e.type == "move"]
    held = gated.get_model_version_by_alias("credit-kill", "champion").version
    # written ahead: at most the very last entry was not made
    assert held in {m.version for m in moves[-2:]}
    assert [m.from_version for m in moves][:-1] == [None, *(m.version for m in moves)][: len(moves) - 1]
    gated.set_registered_model_alias("credit-kill", "champion", "1")
    assert gated.get_model_version_by_alias("credit-kill", "champion").version == "1"
