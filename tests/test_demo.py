"""The demo on real census data: what it finds, what it leaves behind, and that it needs no network."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from aims_mlflow.assessment import Overall, Status
from aims_mlflow.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parent))
from real_server import Server

NO_NETWORK = """
import os, socket

def note(what):
    with open(os.environ["NETWORK_LOG"], "a") as file:
        file.write(what + "\\n")

def guard(name):
    original = getattr(socket.socket, name)

    def call(self, address):
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(("127.", "::1", "localhost")):
            note(f"{name} {address}")
            raise OSError("no network in this test")
        return original(self, address)

    setattr(socket.socket, name, call)

guard("connect")
guard("connect_ex")
look_up = socket.getaddrinfo

def getaddrinfo(host, *args, **kwargs):
    if host not in (None, "", "localhost", "127.0.0.1", "::1"):
        note(f"look-up {host}")
        raise OSError("no network in this test")
    return look_up(host, *args, **kwargs)

socket.getaddrinfo = getaddrinfo
note("shut")
"""
"""Named ``sitecustomize``, it shuts the network for a process and its children, and notes who tried it."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One demo for all tests, in a folder whose name has a space."""
    import mlflow

    from aims_mlflow.demo import run_demo

    home = tmp_path_factory.mktemp("home")
    steps = []
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(home)
        for name in ("AIMS_CONFIG", "AIMS_SPOOL_DIR", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
            patch.delenv(name, raising=False)
        uri, level = mlflow.get_tracking_uri(), logging.getLogger("mlflow").level
        # Without the package that ships the data this raises, and the error names the remedy.
        result = run_demo("my demo", progress=steps.append)
        logging.getLogger("mlflow").setLevel(level)
    assert mlflow.get_tracking_uri() == uri
    assert len(steps) == 3
    return result


def by_id(judged):
    return {finding.id: finding for finding in judged.findings}


def drift(demo, run_id):
    import aims_mlflow

    return aims_mlflow.load_evidence(run_id, "drift", tracking_uri=demo.tracking_uri)


def test_the_good_run_has_nothing_against_it_and_its_data_and_tools_are_satisfied(demo):
    findings = by_id(demo.good)
    assert len(findings) == 70
    counted = demo.good.counts
    assert (counted["not-satisfied"], counted["error"], counted["uncertain"], counted["stale"]) == (0, 0, 0, 0)
    assert [f.id for f in findings.values() if f.status is Status.NOT_SATISFIED] == []
    assert findings["A.7.4"].status is Status.SATISFIED
    assert findings["A.4.4"].status is Status.SATISFIED
    assert demo.good.overall is Overall.WARN  # a demo has no management system behind it, and says so
    assert demo.good.attention == ()


def test_the_batch_it_was_never_meant_for_is_found_out(demo):
    findings = by_id(demo.drifted)
    assert findings["A.7.4"].status is Status.NOT_SATISFIED
    assert findings["A.9.4"].status is Status.NOT_SATISFIED
    assert demo.drifted.overall is Overall.FAIL
    assert {"A.7.4", "A.9.4"} <= set(demo.drifted.attention)
    assert "RELP" in findings["A.7.4"].reason
    assert findings["A.9.4"].next_step


def test_the_batch_truly_drifts_and_the_test_data_of_the_good_run_does_not(demo):
    (odd,) = drift(demo, demo.drifted_run)
    drifted = {column.column for column in odd.columns if column.verdict == "fail"}
    assert odd.verdict == "fail"
    assert len(drifted) >= 5
    assert "RELP" in drifted
    (calm,) = drift(demo, demo.good_run)
    assert calm.verdict == "pass"
    assert [column.column for column in calm.columns if column.verdict == "fail"] == []


def test_model_performance_and_fairness_are_measured_and_met_on_the_data_it_was_made_for(demo):
    import aims_mlflow

    records = aims_mlflow.load_evidence(demo.good_run, tracking_uri=demo.tracking_uri)
    measured = [record for record in records if getattr(record, "dataset", None)]
    kinds = {"performance", "fairness"}
    verdicts = {r.kind: r.verdict for r in measured if r.kind in kinds and r.dataset.name == "census-2016"}
    assert verdicts == {"performance": "pass", "fairness": "pass"}
    assert [record for record in records if record.status == "error"] == []


def test_the_registered_version_and_the_run_carry_the_verdict(demo):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=demo.tracking_uri, registry_uri=demo.tracking_uri)
    five = {"aims.status", "aims.attention", "aims.assessed", "aims.fresh_until", "aims.evidence"}
    version = client.get_model_version("employment-support", demo.model_version)
    tags = client.get_run(demo.good_run).data.tags
    assert {name for name in tags if name.startswith("aims.")} == five
    assert {name for name in version.tags if name.startswith("aims.")} == {*five, "aims.vsa"}
    assert (tags["aims.status"], version.tags["aims.status"]) == ("warn", "warn")
    assert client.get_run(demo.drifted_run).data.tags["aims.status"] == "fail"
    model = client.get_registered_model("employment-support")
    assert (model.tags["aims.system_id"], model.tags["aims.risk"]) == ("employment-support", "high")


def test_its_reports_are_pages_on_this_machine(demo):
    for run_id in (demo.good_run, demo.drifted_run):
        page = demo.report(run_id)
        assert page.name == "report.html"
        assert page.is_relative_to(demo.directory)
        text = page.read_text("utf-8")
        assert "Employment support triage" in text
        assert page.stat().st_size < 300_000
    assert "RELP" in demo.report(demo.drifted_run).read_text("utf-8")


def test_everything_lands_in_the_folder_named(demo):
    assert {path.name for path in demo.directory.iterdir()} == {"aims.yaml", "mlflow.db", "artifacts"}
    beside = [path for path in demo.directory.parent.rglob("*") if not path.is_relative_to(demo.directory)]
    assert [path for path in beside if path.is_file()] == []  # MLflow 2.x makes an empty mlruns


def test_the_ui_command_survives_a_blank_in_the_folders_name(demo):
    assert demo.tracking_uri in shlex.split(demo.ui_command)


def test_the_ui_command_works_in_a_shell_without_the_virtual_environment(demo):
    """After ``make demo`` the programs stand in .venv/bin, which is not on the path of the shell that called make."""
    program = shlex.split(demo.ui_command)[0]
    assert shutil.which(program, path="/usr/local/bin:/usr/bin:/bin"), f"{program!r} is not found"


@pytest.mark.server
def test_the_store_the_ui_command_names_shows_the_reports(demo, tmp_path):
    server = Server(tmp_path, "--backend-store-uri", demo.tracking_uri)
    server.start()
    try:
        for run_id in (demo.good_run, demo.drifted_run):
            address = f"{server.uri}/get-artifact?run_uuid={run_id}&path=aims/report.html"
            with urllib.request.urlopen(address, timeout=20) as answer:
                assert answer.read() == demo.report(run_id).read_bytes()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shell(demo, tmp_path_factory):
    """``aims demo`` as a person's shell runs it, in the same folder once more, cut off from the network."""
    guard = tmp_path_factory.mktemp("guard")
    (guard / "sitecustomize.py").write_text(NO_NETWORK, "utf-8")
    places = os.pathsep.join(filter(None, [str(guard), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": places, "NETWORK_LOG": str(guard / "tried"), "COLUMNS": "120"}
    for name in ("AIMS_CONFIG", "MLFLOW_TRACKING_URI"):
        env.pop(name, None)
    kept = {path.name for path in (demo.directory / "artifacts").iterdir()}
    done = subprocess.run(
        [sys.executable, "-m", "aims_mlflow", "demo", "--no-ui", "--dir", str(demo.directory)],
        capture_output=True, text=True, timeout=200, check=False, env=env, cwd=guard, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return SimpleNamespace(done=done, tried=(guard / "tried").read_text("utf-8"), kept=kept)


def test_the_command_needs_no_network(shell):
    assert shell.done.returncode == 0, shell.done.stdout[-1000:] + shell.done.stderr[-3000:]
    assert set(shell.tried.splitlines()) == {"shut"}


def test_the_command_prints_findings_the_reports_and_one_command_for_the_ui(demo, shell):
    out = shell.done.stdout
    lines = out.splitlines()
    reports = [line.removeprefix("Report: ") for line in lines if line.startswith("Report: ")]
    assert len(reports) == 2
    assert all(Path(report).is_file() and Path(report).name == "report.html" for report in reports)
    assert "70 clauses and controls" in out
    assert "not satisfied" in out
    assert "A.7.4" in out
    assert "A.9.4" in out
    named = [line for line in lines if "mlflow server" in line]
    assert named == [lines[-1]]
    assert lines[-1].removeprefix("See it in MLflow: ") == demo.ui_command


def test_a_second_demo_adds_to_the_first_and_overwrites_nothing(demo, shell):
    from mlflow import MlflowClient

    after = {path.name for path in (demo.directory / "artifacts").iterdir()}
    assert shell.kept < after
    assert demo.report(demo.good_run).is_file()
    client = MlflowClient(tracking_uri=demo.tracking_uri, registry_uri=demo.tracking_uri)
    versions = {v.version for v in client.search_model_versions("name = 'employment-support'")}
    assert {str(v) for v in versions} == {"1", "2"}
    runs = client.search_runs([client.get_experiment_by_name("census").experiment_id])
    assert len(runs) == 4


def test_without_the_data_the_error_names_the_remedy(monkeypatch, tmp_path):
    from aims_mlflow import demo as module

    monkeypatch.setattr(module, "_PACKAGE", "a-package-nobody-has-installed")
    with pytest.raises(InputError) as caught:
        module.run_demo(tmp_path / "x")
    assert "pip install --no-deps nannyml==0.13.1" in caught.value.remedy


def test_a_file_in_the_way_is_an_error(tmp_path):
    from aims_mlflow.demo import run_demo

    (tmp_path / "x").write_text("")
    with pytest.raises(InputError, match="not a folder"):
        run_demo(tmp_path / "x")
