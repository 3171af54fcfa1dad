"""`aims gap`: on an empty folder, over two systems, as a report, as a record, against an earlier day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner

import aims_mlflow
from aims_mlflow.catalog import load_catalog
from aims_mlflow.cli import aims
from aims_mlflow.managing.records import ManagementRecords

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "managing"))
from portfolio_kit import all_rows, declare, register, row

FIELDS = {"id", "status", "maturity", "title", "target", "next_step", "owner", "valid_until", "system"}


def run(*arguments):
    return CliRunner().invoke(aims, ["gap", *map(str, arguments)])


def rows_of(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.stdout)


@pytest.fixture
def two_systems(mlflow_store):
    records = ManagementRecords(config={})
    declare(records, "loans", risk_class="high", models=["credit"])
    declare(records, "chat", risk_class="minimal", models=["chat"], owner="Head of Service")
    met = {"A.6.2.4": row(), "A.7.4": row()}
    register(records.client, "credit", rows=all_rows(met))
    register(records.client, "chat", rows=all_rows(met))
    records.file("awareness", {"statement": "All were trained."}, owner="People")
    return records


def test_on_an_empty_folder_every_row_says_what_is_missing_and_nothing_is_made_there(tmp_path):
    """In a process of its own: this one may have an MLflow in use already."""
    command = [sys.executable, "-m", "aims_mlflow", "gap", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)
    assert sorted(r["id"] for r in rows) == sorted(load_catalog(()).ids)
    assert len(rows) == 70
    for one in rows:
        assert one.keys() >= FIELDS
        assert one["maturity"] == 0 and one["status"] in ("no-evidence", "needs-attestation")
        assert one["reason"] and one["next_step"]
    assert [path for path in tmp_path.iterdir() if path.name != ".state"] == []


def test_on_an_empty_folder_the_terminal_says_what_to_do_and_ends_with_1():
    done = run("--tracking-uri", "sqlite:///absent.db")
    assert done.exit_code == 1
    assert "70 of 70 applicable rows are below their target level" in done.output
    assert "aims systems declare" in done.output


def test_on_a_folder_of_files_it_works_and_says_that_no_records_are_kept_there(tmp_path):
    """MLflow's old store, which may hold runs and models, but no records."""
    (tmp_path / "mlruns").mkdir()
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "./mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"}
    for arguments in ((), ("--since", "2026-01-01")):
        done = subprocess.run(
            [sys.executable, "-m", "aims_mlflow", "gap", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "No records are kept here" in done.stdout


def test_two_systems_the_high_risk_one_first(two_systems):
    done = run()
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert next(i for i, x in enumerate(lines) if x.startswith("loans")) < next(
        i for i, x in enumerate(lines) if x.startswith("chat")
    )
    rows = {one["id"]: one for one in rows_of()}
    assert rows["7.3"]["status"] == "satisfied" and rows["7.3"]["maturity"] == 3
    assert rows["A.7.4"] | {"maturity": 4, "target": 4, "gap": 0} == rows["A.7.4"]
    assert rows["4.1"]["system"] == "loans" and rows["4.1"]["also"] == ["chat"]


def test_one_system_has_its_own_targets(two_systems):
    assert {r["id"]: r["target"] for r in rows_of("--system", "chat")}["A.7.4"] == 3
    assert {r["id"]: r["target"] for r in rows_of("--system", "loans")}["A.7.4"] == 4
    assert {r["id"]: r["target"] for r in rows_of("--system", "chat", "--target", 2)}["4.1"] == 2


def test_an_unknown_system_is_named_and_ends_with_2(two_systems):
    done = run("--system", "laons")
    assert done.exit_code == 2
    assert "laons" in done.output and "loans" in done.output


@pytest.mark.parametrize("form", ["html", "md"])
def test_a_report_is_written(two_systems, form, tmp_path):
    out = tmp_path / f"gap.{form}"
    done = run("--out", out)
    assert done.exit_code == 1 and f"wrote {out}" in done.stderr
    text = out.read_text(encoding="utf-8")
    assert "Gap to ISO/IEC 42001" in text and "Loans" in text
    assert run("--format", form).stdout[:200] == text[:200]


def test_the_state_of_today_is_filed_and_the_second_day_is_a_comparison(two_systems):
    done = run("--record", "--owner", "Head of AI")
    assert done.exit_code == 1
    today = datetime.now(UTC).date()
    assert f"filed gap:gap-{today} (revision 1)" in done.stderr
    record = two_systems.state().get("gap", f"gap-{today}").record
    assert record.content["rows"]["7.3"] == {"status": "satisfied", "maturity": 3, "target": 3}
    assert record.content["systems"].keys() == {"loans", "chat"}
    assert "revision 2" in run("--record", "--owner", "Head of AI").stderr
    one = {r["id"]: r for r in rows_of()}["10.1"]
    assert one["status"] == "no-evidence" and "only one on file" in one["reason"]


def test_since_an_earlier_day_says_what_changed(two_systems):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    done = run("--since", yesterday)
    assert "Since" in done.output and "better" in done.output
    before = {r["id"]: r["before"] for r in rows_of("--since", yesterday)}
    assert before["7.3"]["maturity"] == 0 and before["7.3"]["status"] == "needs-attestation"


def test_as_of_an_earlier_day_what_came_later_is_not_known(two_systems):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    assert all(one["maturity"] == 0 for one in rows_of("--as-of", yesterday))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--record"], "owner"),
        (["--owner", "Head of AI"], "--record"),
        (["--record", "--owner", "Head of AI", "--as-of", "2026-01-01"], "today"),
        (["--json", "--out", "x.html"], "exclude"),
        (["--out", "x.docx"], "--format"),
        (["--since", "2999-01-01"], "future"),
        (["--since", "2026-06-01", "--as-of", "2026-01-01"], "not before"),
        (["--as-of", "yesterday"], "yesterday"),
        (["--target", "5"], "5"),
        (["--out", "absent/x.html", "--tracking-uri", "sqlite:///no.db"], "absent"),
    ],
)
def test_wrong_options_are_named_and_end_with_2(arguments, said):
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_where_every_row_is_at_its_target_it_ends_with_0(mlflow_store, tmp_path):
    """All that is measured met by the version, all else stated or filed: then, and only then."""
    catalog = load_catalog(())
    stated = {
        "statement": "It is so.",
        "owner": "Head of AI",
        "approver": "Board",
        "valid_from": datetime.now(UTC).date().isoformat(),
        "valid_until": "2099-01-01",
        "document": "Manual",
    }
    config = {
        "version": 1,
        "system": {"id": "loans", "risk_class": "high"},
        "registered_models": ["credit"],
        "attestations": [{"topic": topic, **stated} for topic in catalog.topics],
    }
    (tmp_path / "aims.yaml").write_text(json.dumps(config), encoding="utf-8")
    records = ManagementRecords()
    register(records.client, "credit", rows=all_rows(otherwise=row()), kinds={"monitoring": "pass"}, system_id="loans")
    for log in ("incident_log", "nonconformity_log"):
        records.file(log, {"statement": "Looked through it."}, owner="Head of AI", id=log)
    records.file("access_list", {"statement": "Two may write.", "facts": {"readers": 5}}, owner="IT", id="access")
    earlier = {"assessed_at": "2026-05-01T00:00:00Z", "rows": {}, "mean": 1.0, "fresh_share": 0.1}
    records.file("gap", earlier, owner="Head of AI", id="gap-2026-05-01")
    run("--record", "--owner", "Head of AI")
    done = run("--system", "loans")
    below = [(one["id"], one["reason"]) for one in rows_of() if one["gap"]]
    assert (below, done.exit_code) == ([], 0)
    assert "All 70 applicable rows are at their target level." in done.output


def test_what_the_last_run_satisfies_is_shown_where_no_system_is_declared_and_counts_for_none(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as made:
        mlflow.log_metric("accuracy", 0.9)
        frame = pd.DataFrame({"a": [1.0, 2.0, 3.0] * 20, "b": [0, 1, 0] * 20})
        mlflow.log_input(mlflow.data.from_pandas(frame, name="loans"), context="training")
    aims_mlflow.autolog(disable=True)
    shown = {f.id: f.title for f in aims_mlflow.load_assessment(made.info.run_id).findings if f.status == "satisfied"}
    assert shown
    done = run("--rows", 0)
    assert done.exit_code == 1
    flat = " ".join(done.output.split())
    assert f"Not counted yet: run {made.info.run_id}" in flat and "aims systems declare" in flat
    assert all(f"{row} {title}" in flat for row, title in shown.items())
    rows = {one["id"]: one for one in rows_of()}
    assert {row for row, one in rows.items() if one["last_run"] == made.info.run_id} == set(shown)
    assert all(rows[row]["maturity"] == 0 for row in shown)
    for form in ("html", "md"):
        assert "Not counted yet" in run("--format", form).stdout
    assert "Not counted yet" not in run("--as-of", "2026-01-01").output


def test_where_a_version_serves_the_last_run_is_not_spoken_of(two_systems):
    assert all(one["last_run"] is None for one in rows_of())
    assert "Not counted yet" not in run().output


def test_what_to_do_first_names_rows_by_their_titles(two_systems):
    titles = {row.id: row.title for row in load_catalog(()).rows.values()}
    output = " ".join(run().output.split())
    text = run("--format", "html").stdout
    first = rows_of()[0]["id"]
    assert f"{first} {titles[first]}" in output
    assert f"{first} {titles[first]}" in text[text.index("What to do first") :]


def test_on_the_first_day_the_next_step_of_the_comparison_is_what_helps(two_systems):
    run("--record", "--owner", "Head of AI")
    step = {one["id"]: one for one in rows_of()}["10.1"]["next_step"]
    assert "`aims gap --record --owner WHO`" in step and "another on a later day" in step
