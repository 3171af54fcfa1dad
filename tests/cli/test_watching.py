"""``aims reconcile`` for cron, and ``aims webhook`` which does not start without a secret or a policy."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from aims_mlflow.cli import aims

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "registry"))
from deliveries import SECRET, body, signed
from watch_kit import set_alias, version_with_evidence, write_policy

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def run(*arguments, **env):
    return CliRunner().invoke(aims, list(arguments), env={"COLUMNS": "200", **env})


@pytest.fixture
def client(mlflow_store, tmp_path):
    write_policy(tmp_path)
    return MlflowClient()


def test_nothing_found_prints_nothing_and_leaves_with_0(client):
    set_alias(client, "credit", version_with_evidence(client).version)
    result = run("reconcile")
    assert (result.exit_code, result.output) == (0, "")


def test_findings_are_printed_with_what_mends_them_and_leave_with_1(client):
    version = version_with_evidence(client, assessed=False)
    client.set_registered_model_alias("credit", "champion", version.version)
    result = run("reconcile", "credit")
    assert result.exit_code == 1
    assert (
        "detected, not in the log: credit 1 → champion: alias champion names version 1, which is not in the log: "
        in (result.output)
    )
    assert "it went past the gate, or was made before it was guarded" in result.output
    assert "next: `aims promote credit 1 --to champion` takes it through the gate" in result.output
    assert result.output.splitlines()[-2].endswith("found in 1 model")
    assert result.output.splitlines()[-1] == "detected: no gate decided, it was only found afterwards"
    assert "next: aims assess models:/credit/1" in result.output
    found = json.loads(run("reconcile", "--json").output)
    assert {f["kind"] for f in found["findings"]} == {"bypassed", "unassessed"}
    assert found["models"] == ["credit"]


def test_fix_log_tag_since_and_full_are_passed_on(client):
    version = version_with_evidence(client, assessed=False)
    client.set_registered_model_alias("credit", "champion", version.version)
    result = run("reconcile", "--fix-log", "--tag", "--full", "--since", "7d", "--running-hours", "1")
    assert "written into the log" in result.output
    assert "aims.status set to not-assessed" in result.output
    assert "not in the log" not in run("reconcile").output


@pytest.mark.parametrize(
    "arguments",
    [("--since", "yesterday"), ("--since", "9999999999d"), ("nobody",), ("--config", "absent.yaml")],
)
def test_what_cannot_run_leaves_with_2(client, arguments):
    assert run("reconcile", *arguments).exit_code == 2


def test_what_could_not_be_looked_at_leaves_with_2_though_nothing_was_found(client):
    name = "credit-\\'"
    version_with_evidence(client, name)
    result = run("reconcile", name)
    assert result.exit_code == 2
    assert "could not be looked at" in result.output


def test_without_a_store_or_policy_it_leaves_with_2(tmp_path, client):
    assert run("reconcile", "--tracking-uri", "http://127.0.0.1:9").exit_code == 2
    (tmp_path / "aims.yaml").unlink()
    assert run("reconcile").exit_code == 2


def test_the_receiver_does_not_start_without_a_secret_worth_the_name_or_a_policy(client, tmp_path):
    (tmp_path / "empty").write_text("\n")
    for arguments, env in (
        ((), {"AIMS_WEBHOOK_SECRET": ""}),
        ((), {"AIMS_WEBHOOK_SECRET": "short"}),
        (("--secret-file", str(tmp_path / "absent")), {}),
        (("--secret-file", str(tmp_path / "empty")), {"AIMS_WEBHOOK_SECRET": SECRET}),
    ):
        result = run("webhook", *arguments, **env)
        assert result.exit_code == 2, arguments
        assert "secret" in result.output
    (tmp_path / "aims.yaml").unlink()
    result = run("webhook", AIMS_WEBHOOK_SECRET=SECRET)
    assert result.exit_code == 2
    assert "policy" in result.output


def test_the_command_receives_a_delivery_puts_an_alias_back_and_survives_a_restart(client, tmp_path, mlflow_store):
    version = version_with_evidence(client, assessed=False)
    client.set_registered_model_alias("credit", "champion", version.version)
    (tmp_path / "secret").write_text(SECRET + "\n")
    raw = body()
    headers = signed(raw)

    def served(wanted):
        command = [sys.executable, "-m", "aims_mlflow", "webhook", "--port", "0", "--secret-file", "secret", "--revert"]
        env = {**os.environ, "MLFLOW_TRACKING_URI": mlflow_store}
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
        try:
            line = ""
            while "listening" not in line:
                line = process.stderr.readline()
                assert line, "the receiver did not start"
            port = int(line.rsplit(":", 1)[1].split("/")[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", "/webhook", raw, headers)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, wanted)
            deadline = time.monotonic() + 30
            while client.get_registered_model("credit").aliases and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGTERM)
            text = process.stderr.read()
            process.wait(timeout=20)
        assert SECRET not in text
        return text

    assert "was removed" in served(b"taken\n")
    assert client.get_registered_model("credit").aliases == {}
    served(b"taken before\n")
