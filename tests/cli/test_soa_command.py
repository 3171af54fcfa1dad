"""``aims soa``: shown, written, filled in, recorded and checked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from aims_mlflow.cli import aims
from aims_mlflow.evidence import now

DECLARED = """
system: {id: loans, name: Loan scoring, organization_role: provider}
applicability:
  A.10.3: {applicable: false, reason: All made here.}
"""


def run(*arguments):
    return CliRunner().invoke(aims, ["soa", *map(str, arguments)])


def rows(*arguments):
    found = run("--json", *arguments)
    assert found.exit_code == 0, found.output
    return {row["id"]: row for row in json.loads(found.stdout)}


def fill(file="soa.yaml", **changed):
    """A form in which every control applies but for those given."""
    assert run("init", "--out", file, "--force").exit_code == 0
    plain = yaml.safe_load(Path(file).read_text())
    for control, entry in plain["content"]["lines"].items():
        entry.update({"applicable": True, "justification": "A risk needs it."})
        entry.update(changed.get(control.replace(".", "_"), {}))
    Path(file).write_text(yaml.safe_dump(plain))
    return file


OUT = {"applicable": False, "justification": "Nobody buys from us."}


@pytest.mark.parametrize("config", [None, DECLARED])
def test_a_database_that_is_not_there_is_answered_with_all_38_controls_and_none_is_made(tmp_path, config):
    if config:
        (tmp_path / "aims.yaml").write_text(config)
    before = sorted(tmp_path.rglob("*"))
    nowhere = ("--tracking-uri", f"sqlite:///{tmp_path}/none.db")
    found = rows(*nowhere)
    assert len(found) == 38
    assert all({"id", "applicable", "justification"} <= set(row) for row in found.values())
    supplier = found.pop("A.10.3")
    assert {(row["applicable"], row["justification"]) for row in found.values()} == {(True, "not decided yet")}
    assert (supplier["applicable"], supplier["justification"]) == (
        (False, "All made here.") if config else (True, "not decided yet")
    )
    shown = run(*nowhere)
    assert (shown.exit_code, "none on record" in shown.output) == (0, True)
    for form in ("html", "csv", "md"):
        assert "A.10.4" in run("--format", form, *nowhere).output
    assert run("check", *nowhere).exit_code == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_in_an_empty_folder_the_command_leaves_it_empty(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [sys.executable, "-m", "aims_mlflow", "soa", "--json"]
    done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=True, timeout=120)
    assert len(json.loads(done.stdout)) == 38
    assert list(empty.iterdir()) == []


def test_from_the_form_to_a_statement_that_fits(mlflow_store):
    empty = run("init")
    assert (empty.exit_code, "wrote soa.yaml" in empty.output) == (0, True)
    assert run("init").exit_code == 2, "a file that is there is not replaced"
    refused = run("record", "soa.yaml", "--owner", "Head of AI")
    assert refused.exit_code == 2
    assert "no control is decided" in refused.stderr
    fill(A_10_4=OUT)
    made = run("record", "soa.yaml", "--owner", "Head of AI", "--approver", "Board", "--valid-until", "2090-01-31")
    assert made.exit_code == 0, made.output
    assert "recorded soa:soa revision 1, 38 controls, valid until 2090-01-31\nsha256:" in made.stdout
    found = rows()
    assert (found["A.10.4"]["applicable"], found["A.10.4"]["justification"]) == (False, "Nobody buys from us.")
    assert (found["A.2.2"]["applicable"], found["A.2.2"]["scope"]) == (True, "organization")
    assert found["A.2.2"]["evidence_status"] == "needs-attestation"
    again = json.loads(run("record", "soa.yaml", "--owner", "Head of AI", "--json").stdout)
    assert (again["revision"], again["approver"]) == (2, None)
    assert rows()["A.10.4"]["applicable"], "without an approver no exclusion counts"


def test_what_is_on_record_comes_back_in_the_form(mlflow_store):
    fill(A_10_4=OUT)
    run("record", "soa.yaml", "--owner", "Head of AI", "--approver", "Board")
    assert run("init", "--force").exit_code == 0
    made = json.loads(run("record", "soa.yaml", "--json").stdout)
    assert (made["revision"], made["owner"], made["approver"]) == (2, "Head of AI", "Board")
    assert made["content"]["lines"]["A.10.4"]["justification"] == "Nobody buys from us."


def test_a_system_has_lines_of_its_own(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text(DECLARED.split("applicability")[0])
    fill()
    run("record", "soa.yaml", "--owner", "Head of AI", "--approver", "Board")
    assert run("init", "--system", "loans", "--out", "own.yaml").exit_code == 0
    text = Path("own.yaml").read_text()
    assert "# Organization: applies. A risk needs it." in text
    place = text.index("A.10.4:")
    entry = (
        text[place:].replace("applicable:", "applicable: false", 1).replace("justification:", "justification: Free", 1)
    )
    Path("own.yaml").write_text(text[:place] + entry)
    made = run("record", "own.yaml", "--owner", "Product owner", "--approver", "Board")
    assert made.stdout.startswith("recorded soa:soa-loans revision 1, 1 control,"), made.output
    assert (rows()["A.10.4"]["applicable"], rows("--system", "loans")["A.10.4"]["applicable"]) == (True, False)
    wrong = run("--system", "loan")
    assert (wrong.exit_code, "Did you mean loans?" in wrong.stderr) == (2, True)


def test_check_names_each_contradiction_and_ends_with_1(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text(DECLARED)
    fill(A_7_4={"risks": ["R-9"], "status": "implemented"})
    run("record", "soa.yaml", "--owner", "Head of AI", "--approver", "Board")
    found = run("check", "--json")
    assert found.exit_code == 1
    said = {(f["control"], f["code"]) for f in json.loads(found.stdout) if f["contradiction"]}
    assert said == {
        ("A.7.4", "risk-unknown"),
        ("A.7.4", "implemented-without-evidence"),
        ("A.10.3", "declaration-differs"),
    }
    text = run("check").output
    assert "contradiction: A.7.4: it names a risk that is not on record: R-9 (soa:soa). File the risk" in text
    assert "3 contradictions, " in text


def test_as_of_shows_what_was_on_record_then(mlflow_store):
    fill()
    run("record", "soa.yaml", "--owner", "Head of AI", "--approver", "Board")
    between = now()
    fill(A_10_4=OUT)
    run("record", "soa.yaml", "--owner", "Head of AI", "--approver", "Board")
    assert rows()["A.10.4"]["applicable"] is False
    assert rows("--as-of", between.isoformat())["A.10.4"]["applicable"] is True
    assert rows("--as-of", "2020-01-01")["A.2.2"]["justification"] == "not decided yet"
    assert run("--as-of", "2090-01-01").exit_code == 2


def test_files_are_written_in_the_format_of_their_suffix(mlflow_store):
    for suffix, begins in (
        (".html", b"<!DOCTYPE"),
        (".csv", b"\xef\xbb\xbf"),
        (".xlsx", b"PK"),
        (".md", b"# Statement"),
    ):
        made = run("--out", f"soa{suffix}")
        assert (made.exit_code, made.stdout) == (0, "")
        assert Path(f"soa{suffix}").read_bytes().lstrip().startswith(begins)
        first = Path(f"soa{suffix}").read_bytes()
        run("--out", f"soa{suffix}")
        assert Path(f"soa{suffix}").read_bytes() == first
    assert "names no format" in run("--out", "soa.pdf").stderr
    assert "--out soa.xlsx" in run("--format", "xlsx").stderr
    assert "two ways" in run("--format", "md", "--json").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("record", "none.yaml", "--owner", "A"), "'aims soa init' writes one"),
        (("record", "soa.yaml"), "a statement needs an owner"),
        (("record", "soa.yaml", "--owner", "Ann Lee; Bo Ek"), "names more than one owner"),
        (("record", "soa.yaml", "--owner", "A", "--valid-until", "soon"), "is no day"),
        (("record", "soa.yaml", "--owner", "A", "--valid-until", "2020-01-01"), "before it begins"),
        (("record", "soa.yaml", "--owner", "A", "--system", "none"), "there is no system 'none'"),
        (("--json", "record", "soa.yaml"), "Put options after the command"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_filed(mlflow_store, arguments, said):
    fill()
    found = run(*arguments)
    assert found.exit_code == 2
    assert said in found.stderr
    assert rows()["A.2.2"]["decision"] == "not decided"
