"""Written last, read only when it matches; never lost when it cannot be written."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.attach.spool import spooled_files
from aims_mlflow.errors import EvidenceError


def artifacts(run_id):
    return Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://")) / "aims"


@pytest.fixture
def captured(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1)
    return run.info.run_id


def test_every_promised_file_is_there_with_its_digest_in_the_manifest(captured):
    import hashlib

    root = artifacts(captured)
    manifest = json.loads((root / "manifest.json").read_text())
    files = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    assert {"report.html", "report.md", "assessment.json", "controls_matrix.json", "manifest.json"} <= files
    assert files - {"manifest.json"} == set(manifest["files"])
    for path, entry in manifest["files"].items():
        assert entry["sha256"] == "sha256:" + hashlib.sha256((root / path).read_bytes()).hexdigest()
    tag = mlflow.get_run(captured).data.tags["aims.evidence"]
    assert tag == "sha256:" + hashlib.sha256((root / "manifest.json").read_bytes()).hexdigest()


def test_findings_point_to_evidence_by_digest(captured):
    digests = {r.digest for r in aims_mlflow.load_evidence(captured)}
    pointed = {d for f in aims_mlflow.load_assessment(captured).findings for d in f.evidence}
    assert pointed
    assert pointed <= digests


def in_fresh_process(code, tmp_path, *arguments, check=True):
    script = tmp_path / "fresh.py"
    script.write_text(textwrap.dedent(code))
    env = {**os.environ, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=check,
    )


def tamper_change(root):
    path = next((root / "evidence").glob("run-*.json"))
    path.write_bytes(path.read_bytes().replace(b"FINISHED", b"FAILED__"))


def tamper_remove(root):
    next((root / "evidence").glob("run-*.json")).unlink()


def tamper_manifest(root):
    path = root / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")


def tamper_manifest_away(root):
    (root / "manifest.json").unlink()


@pytest.mark.parametrize("tamper", [tamper_change, tamper_remove, tamper_manifest, tamper_manifest_away])
def test_changed_evidence_is_never_read(captured, tmp_path, tamper):
    tamper(artifacts(captured))
    # A reader in another process: this one may remember what it wrote itself.
    out = in_fresh_process(
        """
        import sys, aims_mlflow
        try:
            aims_mlflow.load_evidence(sys.argv[1])
        except aims_mlflow.EvidenceError as error:
            print("REFUSED", error)
        """,
        tmp_path,
        captured,
    )
    assert "REFUSED" in out.stdout


def test_a_changed_assessment_is_never_read(captured):
    path = artifacts(captured) / "assessment.json"
    path.write_bytes(path.read_bytes().replace(b"no-evidence", b"satisfied"))
    with pytest.raises(EvidenceError, match=r"assessment\.json"):
        aims_mlflow.load_assessment(captured)


def test_a_run_without_evidence_is_an_error_not_an_empty_pass(mlflow_store):
    with mlflow.start_run() as run:
        pass
    assert aims_mlflow.load_evidence(run.info.run_id) == []
    with pytest.raises(EvidenceError, match="no AIMS evidence"):
        aims_mlflow.load_assessment(run.info.run_id)


def test_the_users_own_description_is_kept(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run(description="My *own* words\n\nwith lines") as run:
        pass
    note = mlflow.get_run(run.info.run_id).data.tags["mlflow.note.content"]
    assert "My *own* words\n\nwith lines" in note
    assert note.startswith("AIMS: ")
    assert f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/aims/report.html" in note
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_metric("x", 1)
    again = mlflow.get_run(run.info.run_id).data.tags["mlflow.note.content"]
    assert again.count("AIMS: ") == 1
    assert "My *own* words\n\nwith lines" in again


def test_the_controls_matrix_is_a_table_mlflow_can_load(captured):
    table = mlflow.load_table("aims/controls_matrix.json", run_ids=[captured])
    assert len(table) == 70
    assert set(table.columns) >= {"control", "status"}


def test_a_run_deleted_midway_loses_nothing(mlflow_store, caplog):
    aims_mlflow.autolog()
    run = mlflow.start_run()
    MlflowClient().delete_run(run.info.run_id)
    with contextlib.suppress(mlflow.MlflowException):
        mlflow.end_run()
    waiting = spooled_files()
    assert len(waiting) == 1
    result = aims_mlflow.flush()
    assert result.kept == [str(waiting[0])]
    assert "deleted" in result.reasons[str(waiting[0])]
    MlflowClient().restore_run(run.info.run_id)
    assert aims_mlflow.flush().delivered == [run.info.run_id]
    assert aims_mlflow.load_evidence(run.info.run_id, "run")
    assert spooled_files() == []


def test_an_artifact_store_that_cannot_be_written_loses_nothing(mlflow_store, tmp_path, caplog):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    experiment = mlflow.create_experiment("ro", artifact_location=(tmp_path / "blocked").as_uri())
    aims_mlflow.autolog()
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_metric("m", 1)
    assert "aims.evidence" not in mlflow.get_run(run.info.run_id).data.tags
    assert len(spooled_files()) == 1
    assert "aims flush" in caplog.text
    (tmp_path / "blocked").unlink()
    # The next run of the same store delivers it by itself.
    with mlflow.start_run():
        pass
    assert spooled_files() == []
    assert aims_mlflow.load_evidence(run.info.run_id, "run")


def test_a_locked_database_loses_nothing(mlflow_store, tmp_path, monkeypatch):
    import sqlite3

    aims_mlflow.autolog()
    from aims_mlflow.attach.store import RunStore

    original = RunStore.write
    lock = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)

    def while_locked(self, *args, **kwargs):
        lock.execute("BEGIN EXCLUSIVE")
        try:
            return original(self, *args, **kwargs)
        finally:
            lock.execute("ROLLBACK")

    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", "1")
    monkeypatch.setattr(RunStore, "write", while_locked)
    with mlflow.start_run() as run:
        pass
    assert len(spooled_files()) == 1
    monkeypatch.setattr(RunStore, "write", original)
    assert aims_mlflow.flush().delivered == [run.info.run_id]


def test_two_processes_writing_to_one_run_keep_both_evidences(mlflow_store, tmp_path):
    with mlflow.start_run() as run:
        pass
    code = """
        import sys, time, aims_mlflow
        while time.time() < float(sys.argv[3]):
            time.sleep(0.005)
        for n in range(4):
            aims_mlflow.log_evidence("my.kind", {"who": sys.argv[2], "n": n}, run_id=sys.argv[1])
        """
    import time

    start = str(time.time() + 12)
    threads = []
    for who in ("one", "two"):
        folder = tmp_path / who
        folder.mkdir()
        threads.append(threading.Thread(target=in_fresh_process, args=(code, folder, run.info.run_id, who, start)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {(r.content["who"], r.content["n"]) for r in aims_mlflow.load_evidence(run.info.run_id, "my.kind")}
    assert found == {(w, n) for w in ("one", "two") for n in range(4)}


def test_threads_writing_to_one_run_keep_every_evidence(mlflow_store):
    with mlflow.start_run() as run:
        pass
    threads = [
        threading.Thread(
            target=aims_mlflow.log_evidence, args=("my.kind", {"n": n}), kwargs={"run_id": run.info.run_id}
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(aims_mlflow.load_evidence(run.info.run_id, "my.kind")) == 8


def test_tags_over_mlflows_limits_are_cut_in_sight_and_nothing_breaks(mlflow_store, tmp_path):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        for n in range(120):
            mlflow.set_tag(f"t{n}", "v" * 8000)
        mlflow.log_metric("m" * 250, 1.0)
    assert mlflow.get_run(run.info.run_id).data.tags["aims.status"]
    assert aims_mlflow.load_assessment(run.info.run_id)


def statuses(assessment):
    return {f.id: f.status.value for f in assessment.findings}


def remove_quality(root):
    next((root / "evidence").glob("data_quality-*.json")).unlink()


def change_quality(root):
    path = next((root / "evidence").glob("data_quality-*.json"))
    path.write_bytes(path.read_bytes().replace(b'"verdict":"fail"', b'"verdict":"pass"'))


@pytest.mark.parametrize("tamper", [remove_quality, change_quality, tamper_manifest, tamper_manifest_away])
def test_assessing_again_does_not_launder_evidence_that_was_removed_or_changed(mlflow_store, tmp_path, tamper):
    import pandas as pd

    with mlflow.start_run() as run:
        pass
    rule = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0, "max_value": 1}}
    frame = pd.DataFrame({"x": [5.0] * 50})
    aims_mlflow.log_data_quality(frame, suite=[rule], name="d", role="training", run_id=run.info.run_id)
    assert statuses(aims_mlflow.assess(run.info.run_id))["A.7.4"] == "not-satisfied"
    tamper(artifacts(run.info.run_id))
    out = in_fresh_process(
        """
        import sys, aims_mlflow
        found = aims_mlflow.assess(sys.argv[1])
        print("STATUS", {f.id: str(f.status) for f in found.findings}["A.7.4"])
        print("LOST", sorted({r.of_kind for r in aims_mlflow.load_evidence(sys.argv[1], "capture_error")}))
        """,
        tmp_path,
        run.info.run_id,
    )
    assert "STATUS error" in out.stdout or "STATUS not-satisfied" in out.stdout
    assert "'data_quality'" in out.stdout.split("LOST")[1]


def test_a_network_fault_while_reading_is_never_taken_for_an_absent_file(captured, monkeypatch):
    import requests

    from aims_mlflow.attach.store import RunStore

    def broken(self, name, folder):
        raise requests.ConnectionError("HTTP 404 is part of a run id")

    monkeypatch.setattr(RunStore, "_file", RunStore._file)
    store = RunStore(MlflowClient(), captured)
    repository = store._repository
    monkeypatch.setattr(type(repository), "_download_file", broken)
    with pytest.raises(requests.ConnectionError):
        aims_mlflow.load_evidence(captured)


def test_a_tag_torn_from_its_manifest_by_another_writer_is_mended(mlflow_store, monkeypatch):
    with mlflow.start_run() as run:
        pass
    from aims_mlflow.attach.store import RunStore

    aims_mlflow.log_evidence("my.kind", {"n": 0}, run_id=run.info.run_id)
    original, torn = MlflowClient.log_batch, []

    def between(self, run_id, *args, **kwargs):
        if not torn:  # another writer gets in between our files and our tag
            torn.append(run_id)
            aims_mlflow.log_evidence("my.kind", {"n": 1}, run_id=run_id)
        return original(self, run_id, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", between)
    aims_mlflow.log_evidence("my.kind", {"n": 2}, run_id=run.info.run_id)
    monkeypatch.setattr(MlflowClient, "log_batch", original)
    assert torn
    assert {r.content["n"] for r in aims_mlflow.load_evidence(run.info.run_id, "my.kind")} == {0, 1, 2}
    store = RunStore(MlflowClient(), run.info.run_id)
    assert store.manifest_sha256() == store.facts().tags["aims.evidence"]


def test_evidence_logged_after_an_assessment_takes_the_verdict_back(captured):
    assert mlflow.get_run(captured).data.tags["aims.status"] != "not-assessed"
    aims_mlflow.log_evidence("my.kind", {"a": 1}, run_id=captured)
    tags = mlflow.get_run(captured).data.tags
    assert (tags["aims.status"], tags["aims.fresh_until"], tags["aims.attention"]) == ("not-assessed", "none", "none")


def test_a_long_description_of_the_user_is_never_cut(mlflow_store):
    aims_mlflow.autolog()
    for length in (7000, 7900, 8000):
        words = "w" * (length - 4) + " end"
        with mlflow.start_run(description=words) as run:
            pass
        note = mlflow.get_run(run.info.run_id).data.tags["mlflow.note.content"]
        assert words in note
        assert len(note) <= 8000
