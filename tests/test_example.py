"""The worked example: run once as a reader would, its pages, and what each row of the register comes to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
from click.testing import CliRunner

from aims_mlflow.catalog import load_catalog
from aims_mlflow.cli import aims as command_line

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_demo import NO_NETWORK

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "organisation"
SCREENING, WINE = "benefit-screening", "wine-sorting"

OK, ASK, NONE, OUT = "satisfied", "needs-attestation", "no-evidence", "not-applicable"
STATED, MEASURED = 3, 4
"""Levels of a row that is satisfied: by statements among others, or by measurement alone."""
EXPECTED = {
    SCREENING: {
        "4.1": (OK, STATED), "4.2": (OK, STATED), "4.3": (OK, STATED), "4.4": (OK, STATED),
        "5.1": (OK, STATED), "5.2": (OK, STATED), "5.3": (OK, STATED),
        "6.1.1": (OK, STATED), "6.1.2": (OK, STATED),
        "6.1.3": (ASK, 0),  # nobody accepted what is left of the risk that case workers lean on the list
        "6.1.4": (OK, STATED), "6.2": (OK, STATED), "6.3": (OK, STATED),
        "7.1": (OK, STATED), "7.2": (OK, STATED),
        "7.3": (ASK, 0), "7.4": (ASK, 0),  # no record of awareness, no plan of communication
        "7.5.1": (OK, STATED), "7.5.2": (OK, STATED), "7.5.3": (OK, STATED),
        "8.1": (OK, STATED), "8.2": (OK, STATED),
        "8.3": (ASK, 0),  # the treatment of that risk has no result
        "8.4": (OK, STATED), "9.1": (OK, STATED), "9.2.1": (OK, STATED),
        "9.2.2": (ASK, 0),  # an audit, and no programme of audits
        "9.3.1": (OK, STATED), "9.3.2": (OK, STATED), "9.3.3": (OK, STATED),
        "10.1": (NONE, 0),  # on the first day there is no earlier one to compare with
        "10.2": (OK, STATED),
        "A.2.2": (OK, STATED), "A.2.3": (ASK, 0), "A.2.4": (OK, STATED),
        "A.3.2": (OK, STATED), "A.3.3": (OK, STATED),
        "A.4.2": (OK, STATED), "A.4.3": (OK, STATED), "A.4.4": (OK, MEASURED), "A.4.5": (OK, STATED), "A.4.6": (ASK, 0),
        "A.5.2": (OK, STATED), "A.5.3": (OK, STATED), "A.5.4": (OK, STATED), "A.5.5": (OK, STATED),
        "A.6.1.2": (OK, STATED), "A.6.1.3": (OK, STATED),
        "A.6.2.2": (OK, STATED), "A.6.2.3": (OK, STATED), "A.6.2.4": (OK, MEASURED), "A.6.2.5": (OK, MEASURED),
        "A.6.2.6": (OK, MEASURED), "A.6.2.7": (OK, STATED),
        "A.6.2.8": (NONE, 0),  # a decision on logging, and no log
        "A.7.2": (OK, STATED), "A.7.3": (OK, STATED), "A.7.4": (OK, MEASURED), "A.7.5": (OK, STATED),
        "A.7.6": (OK, STATED),
        "A.8.2": (OK, STATED), "A.8.3": (ASK, 0), "A.8.4": (OK, STATED), "A.8.5": (OK, STATED),
        "A.9.2": (OK, STATED), "A.9.3": (ASK, 0), "A.9.4": (OK, STATED),
        "A.10.2": (OK, STATED), "A.10.3": (OK, STATED),
        "A.10.4": (OUT, 0),
    },
}  # fmt: skip
EXPECTED[WINE] = EXPECTED[SCREENING] | {
    "6.1.3": (OK, STATED), "8.3": (OK, STATED),  # its one risk is accepted and done with
    "8.1": (NONE, 0), "9.1": (NONE, 0), "A.6.2.6": (NONE, 0), "A.9.4": (NONE, 0),  # nobody watches it
    "8.4": (ASK, 0), "A.5.3": (ASK, 0), "A.5.5": (ASK, 0),  # no impact assessment
    "A.5.4": (OUT, 0),  # left out for this system alone
    "A.4.2": (ASK, 0), "A.4.5": (ASK, 0), "A.6.2.2": (ASK, 0), "A.6.2.3": (ASK, 0), "A.6.2.7": (ASK, 0),
    "A.8.2": (ASK, 0),  # the screening's own papers say nothing of it
}  # fmt: skip

RESTING = {
    "supplier_process:supplier_process": {(SCREENING, "A.10.3"), (WINE, "A.10.3")},
    "ai_policy:ai_policy": {(SCREENING, "5.2"), (SCREENING, "A.2.2"), (WINE, "5.2"), (WINE, "A.2.2")},
    f"system_requirements:system_requirements-{SCREENING}": {(SCREENING, "A.6.2.2")},
    f"impact:{SCREENING}-{SCREENING}-2": {(SCREENING, row) for row in ("8.4", "A.5.3", "A.5.4", "A.5.5")},
}
"""Record to the rows that rest on it."""

PAGES = {
    "gap.html": "24 of 69 applicable rows are below their target level; mean maturity 1.94 of 4, 65 % of the rows",
    "soa.html": "of 38 controls 37 apply and 1 is left out; every one is decided.",
    "annex-iv.html": "13 of 23 items have no gap; 11 gaps named in place.",
    "crosswalk.html": "Support is no conformity with it",
    "requests.html": "143 requirements of ISO/IEC 42001 make 90 requests",
    "card.html": "11 of 13 items have no gap; 2 gaps named in place.",
}


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """One run in a folder whose name has a space, with an empty home and without a network."""
    guard = tmp_path_factory.mktemp("guard")
    (guard / "sitecustomize.py").write_text(NO_NETWORK, "utf-8")
    (guard / "home").mkdir()
    folder = guard / "an example"
    away = {"MLFLOW_TRACKING_URI", "XDG_STATE_HOME", "AIMS_CONFIG", "AIMS_ANCHORS", "AIMS_SPOOL_DIR", "AIMS_GATE_KEY"}
    env = {name: value for name, value in os.environ.items() if name not in away} | {
        "PYTHONPATH": str(guard), "NETWORK_LOG": str(guard / "tried"), "HOME": str(guard / "home"), "COLUMNS": "160",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), str(folder)],
        capture_output=True, text=True, timeout=280, check=False, env=env, cwd=guard, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return SimpleNamespace(done=done, folder=folder, guard=guard, env=env)


def aims(example, *command, store="mlflow.db"):
    """A command in the example's folder, in this process, as JSON."""
    uri = f"sqlite:///{example.folder / store}"  # named outright: what other tests set in MLflow counts for more
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(example.folder)
        patch.setenv("XDG_STATE_HOME", str(example.folder / ".state"))
        mlflow.set_registry_uri(uri)
        done = CliRunner().invoke(command_line, [*command, "--json", "--tracking-uri", uri])
        mlflow.set_registry_uri(None)
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.stdout)


def rows_of(example, store="mlflow.db"):
    """System and row to status and level."""
    return {
        (system, row["id"]): (row["status"], row["maturity"])
        for system in (SCREENING, WINE)
        for row in aims(example, "gap", "--system", system, store=store)
    }


@pytest.fixture(scope="module")
def rows(example):
    return rows_of(example)


def test_it_runs_to_its_end_and_says_where_it_stands(example):
    assert example.done.returncode == 0, example.done.stdout[-2000:] + example.done.stderr[-3000:]
    said = example.done.stdout
    assert "Traceback" not in said + example.done.stderr
    assert "✗ Refused: benefit-screening 1 to champion" in said
    assert "✓ Allowed: benefit-screening 2 to champion." in said
    assert "group quarters: drift fail" in said
    assert "closed: INC-1" in said
    end = said[said.index("7. Where it stands") :]
    assert PAGES["gap.html"] in " ".join(end.split())
    table = end[end.index("What to do first:") : end.index("further things to do")]
    assert len(re.findall(r" of [34] ", table)) == 3


def test_it_needs_no_network_and_writes_only_into_its_folder(example):
    assert set((example.guard / "tried").read_text("utf-8").splitlines()) == {"shut"}
    left = {path.name for path in example.guard.iterdir()} - {"__pycache__"}
    assert left == {"sitecustomize.py", "home", "an example", "tried"}
    kept = [path for path in (example.guard / "home").rglob("*") if path.is_file() and "aims" in str(path)]
    assert kept == []


@pytest.mark.parametrize("system", EXPECTED)
def test_each_row_has_the_expected_status_and_level(rows, system):
    assert len(EXPECTED[system]) == 70
    assert {row: found for (one, row), found in rows.items() if one == system} == EXPECTED[system]


def words(given):
    """One word or several, as several."""
    return (given,) if isinstance(given, str) else tuple(given)


def resting_on(path):
    """The link of the record filed from a file, and what rests on it by the register: systems and rows."""
    header = dict(line.split(": ", 1) for line in path.read_text("utf-8").split("---")[1].strip().splitlines())
    topic, system = header["type"], header.get("system")
    asking = {
        row.id
        for row in load_catalog().rows.values()
        for need in row.requires
        if topic in words(need.where.get("topic", ())) or topic in need.evidence
    }
    link = f"{topic}:{topic}-{system}" if system else f"{topic}:{topic}"
    return link, {(one, row) for one in ([system] if system else EXPECTED) for row in asking}


def test_without_one_record_exactly_the_rows_that_rest_on_it_change(example, rows):
    resting = dict(map(resting_on, sorted((EXAMPLE / "records").glob("*.md"))))
    assert len(resting) >= 40
    for number, (link, expected) in enumerate((resting | RESTING).items()):
        store = f"without-{number}.db"
        shutil.copy(example.folder / "mlflow.db", example.folder / store)
        aims(example, "records", "withdraw", link, "--reason", "To see what rests on it.", store=store)
        after = rows_of(example, store)
        (example.folder / store).unlink()
        assert expected, link
        assert {key for key in rows if rows[key] != after[key]} == {key for key in expected if rows[key][0] == OK}, link
        assert {after[key][0] for key in expected} <= {ASK, NONE}, link


@pytest.mark.parametrize("page", PAGES)
def test_each_page_holds_its_figures_and_nothing_it_may_not_say(example, page):
    text = (example.folder / "out" / page).read_text("utf-8")
    plain = " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<style.*?</style>", "", text)).split())
    assert PAGES[page] in plain
    assert not re.search(r"\b(compliant|certified)\b", plain, re.IGNORECASE)
    for place in (str(example.guard), str(ROOT), "file://", "sqlite:"):
        assert place not in text
    assert "<script" not in text


def test_the_sheet_the_parts_and_the_calendar_are_whole(example):
    out = example.folder / "out"
    assert {path.name for path in out.iterdir()} == {*PAGES, "soa.xlsx", "bom.cdx.json", "due.ics"}
    with zipfile.ZipFile(out / "soa.xlsx") as sheet:
        assert sheet.testzip() is None
        assert any(name.startswith("xl/worksheets/") for name in sheet.namelist())
    parts = json.loads((out / "bom.cdx.json").read_text("utf-8"))
    assert parts["specVersion"] == "1.6"
    assert {"census-2015", "census-2016"} <= {part["name"] for part in parts["components"]}
    calendar = (out / "due.ics").read_bytes()
    assert calendar.startswith(b"BEGIN:VCALENDAR\r\n")
    assert calendar.count(b"BEGIN:VEVENT") == calendar.count(b"END:VEVENT") >= 10
    for path in (out / "bom.cdx.json", out / "due.ics"):
        assert str(example.guard) not in path.read_text("utf-8")


def test_the_shipped_declarations_have_no_mistake_and_the_records_name_functions_only(example):
    for system in ("screening", "wine"):
        done = CliRunner().invoke(command_line, ["check", str(example.folder / system / "aims.yaml"), "--json"])
        found = json.loads(done.stdout)
        assert (found["valid"], found["undeclared"]) == (True, []), done.output
    functions = "Management board|IT operations|Internal audit|Model validation"
    known = re.compile(rf"Head of [a-zA-Z ]+|[A-Z][a-z]+ office|{functions}")
    for path in sorted((EXAMPLE / "records").glob("*.md")):
        (owner,) = re.findall(r"(?m)^owner: (.*)$", path.read_text("utf-8"))
        assert known.fullmatch(owner), path.name
        assert "@" not in path.read_text("utf-8")


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert list(tmp_path.iterdir()) == []
