"""What a user sees after a captured run: one line where nothing was set up, and nothing where it is silenced."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap

import mlflow
import pytest

import aims_mlflow

SCRIPT = """
import mlflow
import aims_mlflow
{before}
aims_mlflow.autolog({options})
with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0.9)
print(run.info.run_id)
"""


def script(uri, folder, *, before="", options="", **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT).format(before=before, options=options)],
        cwd=folder,
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), [line for line in done.stderr.splitlines() if "aims" in line]


def test_a_plain_script_shows_one_line_in_mlflows_own_form(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {id: credit}\n")
    run_id, lines = script(mlflow_store, tmp_path)
    assert len(lines) == 1
    assert " INFO aims_mlflow: " in lines[0]
    assert f"run {run_id}: WARN, " in lines[0]
    judged = aims_mlflow.api.load_assessment(run_id)
    assert judged.in_short in lines[0]
    assert "aims/report.html" in lines[0]
    assert f"aims report {run_id}" in lines[0]


@pytest.mark.parametrize(
    "how",
    [
        {"options": "silent=True"},
        pytest.param(
            {"MLFLOW_LOGGING_LEVEL": "WARNING"},
            marks=pytest.mark.skipif(mlflow.__version__.startswith("2."), reason="MLflow 2 does not know the variable"),
        ),
        {"before": "import logging; logging.getLogger('aims_mlflow').setLevel('WARNING')"},
    ],
)
def test_it_can_be_silenced(mlflow_store, tmp_path, how):
    assert script(mlflow_store, tmp_path, **how)[1] == []


def test_the_users_own_logging_gets_it_once(mlflow_store, tmp_path):
    before = "import logging; logging.basicConfig(level='INFO', format='MINE %(message)s')"
    lines = script(mlflow_store, tmp_path, before=before)[1]
    assert [line.split(" ")[0] for line in lines] == ["MINE"]
    assert "no aims.yaml was found" in lines[0]


def test_a_run_that_is_not_assessed_says_what_comes_next(mlflow_store, caplog):
    aims_mlflow.autolog(assess=False)
    with caplog.at_level(logging.INFO, "aims_mlflow"), mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 0.9)
    said = [r.getMessage() for r in caplog.records if r.name == "aims_mlflow"]
    assert len(said) == 1
    assert f"aims assess {run.info.run_id}" in said[0]
