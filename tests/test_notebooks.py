"""The notebooks run from top to bottom in a kernel of their own, and are kept without outputs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIVE = {"aims.status", "aims.attention", "aims.assessed", "aims.fresh_until", "aims.evidence"}
PROBE = "import json; print('PROBE', json.dumps(mlflow.get_run(batch.info.run_id).data.tags))"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The five-minute notebook after its run, with a look at the open run put in before it is ended."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(ROOT / "notebooks" / "data_scientist_five_minutes.ipynb", as_version=4)
    (ending,) = [index for index, cell in enumerate(notebook.cells) if cell.source == "mlflow.end_run()"]
    notebook.cells.insert(ending, nbformat.v4.new_code_cell(PROBE))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AIMS_CONFIG", "AIMS_SPOOL_DIR", "AIMS_MLFLOW_AUTOLOG", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
            patch.delenv(name, raising=False)
        patch.setenv("IPYTHONDIR", str(folder / ".ipython"))
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=200, kernel_name="python3", resources=resources).execute()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name("diabetes").experiment_id])
    runs = {run.data.tags["mlflow.runName"]: run for run in found}
    return SimpleNamespace(folder=folder, cells=notebook.cells, uri=uri, runs=runs)


def printed(executed, source):
    """What the cells whose source holds a text gave, as text."""
    parts = []
    for cell in executed.cells:
        if cell.cell_type == "code" and source in cell.source:
            for output in cell.outputs:
                parts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "".join(parts)


def evidence(executed, name, kind):
    import aims_mlflow

    return aims_mlflow.load_evidence(executed.runs[name].info.run_id, kind, tracking_uri=executed.uri)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs_and_traces_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.source
        assert set(cell.metadata) <= {"tags"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert not re.search(r"/(home|root|tmp|Users|work)/", path.read_text("utf-8"))


def test_no_cell_complains(executed):
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            text = output.get("text", "")
            assert not re.search(r"aims: .*(failed|wrong|error)", text), text
            assert "UserWarning: Consider" not in text


def test_both_runs_got_their_five_tags(executed):
    assert set(executed.runs) == {"train", "55 and over"}
    for name, status in (("train", "warn"), ("55 and over", "fail")):
        run = executed.runs[name]
        tags = run.data.tags
        assert run.info.status == "FINISHED"
        assert {tag for tag in tags if tag.startswith("aims.")} == FIVE
        assert tags["aims.status"] == status


def test_a_run_left_open_over_several_cells_is_captured_when_it_is_ended(executed):
    (line,) = [text for text in printed(executed, PROBE).splitlines() if text.startswith("PROBE ")]
    while_open = json.loads(line.removeprefix("PROBE "))
    assert while_open.get("aims.status", "not-assessed") == "not-assessed"
    assert "aims.assessed" not in while_open
    records = evidence(executed, "55 and over", None)
    (run,) = [record for record in records if record.kind == "run"]
    assert (run.run_status, run.exception) == ("FINISHED", None)
    roles = {record.dataset.name: record.dataset.role for record in records if record.kind == "dataset"}
    assert roles == {"under-55": "training", "55-and-over": "production"}
    assert {"data_quality", "drift", "performance", "declaration"} <= {record.kind for record in records}


def test_the_training_run_holds_model_data_quality_drift_performance_and_fairness(executed):
    records = evidence(executed, "train", None)
    kinds = {record.kind for record in records}
    assert {"model", "environment", "dataset", "data_quality", "drift", "performance", "fairness"} <= kinds
    verdicts = {r.verdict for r in records if r.kind in {"data_quality", "drift", "fairness"}}
    assert verdicts == {"pass"}
    assert [record.kind for record in records if record.status == "error"] == []


def test_the_older_patients_drift_and_the_held_out_ones_do_not(executed):
    (calm,) = evidence(executed, "train", "drift")
    (odd,) = evidence(executed, "55 and over", "drift")
    assert [column.column for column in calm.columns if column.verdict == "fail"] == []
    assert odd.verdict == "fail"
    assert {"age", "bp"} <= {column.column for column in odd.columns if column.verdict == "fail"}


def test_the_reader_sees_headlines_tables_and_the_report(executed):
    assert "of 70 applicable clauses and controls are satisfied" in printed(executed, "headline")
    assert "A.7.4" in printed(executed, 'found["status"] == "satisfied"')
    assert "not-satisfied" in printed(executed, 'found["status"] == "not-satisfied"')
    assert "fail" in printed(executed, '"method", "score"')
    (page,) = [o.data["text/html"] for c in executed.cells if "srcdoc" in c.source for o in c.outputs if "data" in o]
    assert "Diabetes progression" in page
    assert "&lt;!DOCTYPE html&gt;" in page
    assert "<script" not in page


def test_its_aims_yaml_has_no_mistake(executed):
    done = subprocess.run(
        [sys.executable, "-m", "aims_mlflow", "check", str(executed.folder / "aims.yaml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
