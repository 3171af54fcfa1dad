"""``aims attest`` and ``aims records``: what a person types, reads, and gets as exit code."""

from __future__ import annotations

import json
import sqlite3

import mlflow
import pytest
from click.testing import CliRunner

import aims_mlflow
from aims_mlflow.catalog import load_catalog
from aims_mlflow.cli import aims
from aims_mlflow.filing import EXPERIMENT, RecordStore
from aims_mlflow.management.record_templates import template_of

ATTEST = ("attest", "ai_policy", "--owner", "Head of AI", "--statement", "In force.")


def run(*arguments):
    return CliRunner().invoke(aims, [str(a) for a in arguments], env={"COLUMNS": "160"})


@pytest.fixture
def policy(mlflow_store, tmp_path):
    path = tmp_path / "policy.md"
    path.write_text("# AI policy\n")
    return path


@pytest.fixture
def whole(policy):
    done = run(*ATTEST, "--approver", "Board", "--document", policy)
    assert done.exit_code == 0, done.output
    return done


def filed():
    return RecordStore(mlflow.MlflowClient()).everything()[0]


def test_what_was_filed_and_the_rows_it_supports_are_printed(whole):
    assert whole.stdout.startswith("filed: ai_policy:ai_policy, revision 1, owner Head of AI, from ")
    for row in ("5.2", "A.2.2"):
        assert any(line.startswith(row) and "✓ met" in line for line in whole.stdout.splitlines())
    assert whole.stderr == ""


def test_rows_it_does_not_meet_are_named_with_the_reason_and_it_is_filed(mlflow_store):
    done = run(*ATTEST, "--approver", "Board")
    assert done.exit_code == 0
    assert done.stdout.count("□ not met") == 2
    assert "note: 5.2, A.2.2 not met by it: attestation 'ai_policy': it names no document." in done.stderr
    assert len(filed()) == 1


def test_json_says_the_same(policy):
    done = run(*ATTEST, "--document", policy, "--json")
    found = json.loads(done.stdout)
    assert (found["link"], found["revision"], found["owner"]) == ("ai_policy:ai_policy", 1, "Head of AI")
    assert found["document"]["title"] == "policy.md"
    assert [(row["row"], row["is_met"]) for row in found["rows"]] == [("5.2", False), ("A.2.2", False)]
    (one,) = filed()
    assert (found["digest"], found["run_id"]) == (one.record.digest, one.run_id)


def test_every_option_reaches_the_record(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {id: credit, name: Credit}\n")
    (tmp_path / "said.md").write_text("Said at length: ä.\n", encoding="utf-8")
    run("attest", "concerns_channel", "--owner", "Ann Lee", "--statement", "There is one.")
    done = run(
        "attest", "user_information", "--owner", "Ann Lee", "--statement", "@said.md", "--approver", "Bob Ray",
        "--role", "Product owner", "--document", "https://example.org/d.pdf", "--document-sha256", "ab" * 32,
        "--valid-from", "2026-01-01", "--valid-until", "2099-12-31", "--system", "credit", "--supports", "A.8.2",
        "--link", "concerns_channel:concerns_channel", "--id", "info", "--json",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["content"] == {"statement": "Said at length: ä.", "answers": {}, "role": "Product owner"}
    assert found["document"]["sha256"] == "sha256:" + "ab" * 32
    assert (found["valid_from"], found["valid_until"]) == ("2026-01-01", "2099-12-31")
    assert (found["systems"], found["supports"]) == (["credit"], ["A.8.2"])
    assert (found["links"], found["id"]) == (["concerns_channel:concerns_channel"], "info")
    assert (found["owner"], found["approver"]) == ("Ann Lee", "Bob Ray")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("attest",), "TOPIC is missing"),
        (("attest", "ai_policy"), "--statement is missing"),
        (("attest", "ai_policy", "--statement", "x"), "--owner is missing"),
        (("attest", "polcy", "--statement", "x", "--owner", "y"), "Did you mean ai_policy?"),
        (("attest", "risk", "--statement", "x", "--owner", "y"), "`aims risk open` makes one."),
        (("attest", "ai_policy", "--statement", "@nowhere.md", "--owner", "y"), "nowhere.md: cannot be read"),
        ((*ATTEST, "--valid-until", "2020-01-01"), "before it begins"),
        ((*ATTEST, "--valid-until", "soon"), "--valid-until: 'soon' is no date"),
        ((*ATTEST, "--document", "nowhere.pdf"), "there is no file 'nowhere.pdf'"),
        ((*ATTEST, "--template"), "goes with no other option than --config: --owner, --statement"),
        (("attest", "--template"), "TOPIC is missing"),
        (("attest", "--template", "--from", "x"), "not both"),
        (("attest", "--from", "nowhere.md"), "nowhere.md: cannot be read"),
        (("attest", "gap", "--template"), "computed"),
        (("records", "show", "ai_policy"), "names no record"),
        (("records", "show", "ai_policy:nowhere"), "There is none yet."),
        (("records", "withdraw", "ai_policy:nowhere", "--reason", "x"), "no record ai_policy:nowhere"),
        (("records", "--type", "polcy"), "Did you mean ai_policy?"),
        (("records", "--as-of", "2999-01-01"), "is in the future"),
    ],
)
def test_what_could_not_run_ends_with_2_and_says_what_next(mlflow_store, arguments, says):
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.stderr.split())
    assert filed() == []


def test_a_template_is_printed_filled_in_and_filed(policy, tmp_path):
    printed = run("attest", "ai_policy", "--template")
    assert printed.exit_code == 0
    assert printed.stdout == template_of("ai_policy", load_catalog(()))
    refused = tmp_path / "untouched.md"
    refused.write_text(printed.stdout)
    assert run("attest", "--from", refused).exit_code == 2
    filled = (
        printed.stdout.replace("owner:  #", "owner: Head of AI  #")
        .replace("approver:  #", "approver: Board  #")
        .replace("valid_from: YYYY-MM-DD", "valid_from: 2026-01-01")
        .replace("valid_until: YYYY-MM-DD", "valid_until: 2099-12-31")
        .replace("document:  #", "document: policy.md  #")
        .replace("## Statement\n", "## Statement\n\nIn force since May.\n")
    )
    (tmp_path / "filled.md").write_text(filled)
    done = run("attest", "ai_policy", "--from", "filled.md")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("✓ met") == 2
    assert filed()[0].record.content["statement"] == "In force since May."
    assert run("attest", "concerns_channel", "--from", "filled.md").exit_code == 2


def test_a_folder_of_filled_templates_is_filed_or_none_of_it_where_one_cannot_be_read(mlflow_store, tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    for topic in ("awareness", "resources"):
        text = f"---\ntype: {topic}\nowner: Ann Lee\n---\n## Statement\n\nSo it is.\n"
        (folder / f"{topic}.md").write_text(text)
    (folder / "zz.md").write_text("---\ntype: context\n---\n")
    assert run("attest", "--from", folder).exit_code == 2
    assert filed() == []
    (folder / "zz.md").unlink()
    done = run("attest", "--from", folder)
    assert done.exit_code == 0, done.output
    assert "2 records filed." in done.stdout
    assert {one.record.type for one in filed()} == {"awareness", "resources"}


def test_every_topic_has_a_template_that_can_be_printed(mlflow_store):
    for topic in load_catalog(()).topics:
        done = run("attest", topic, "--template")
        assert done.exit_code == 0, done.output
        assert f"type: {topic}" in done.stdout


def test_the_list_says_what_is_in_force_until_when_and_whose_it_is(whole):
    aims_mlflow.attest(
        "concerns_channel", "There is one.", owner="Ann Lee", valid_from="2098-01-01", valid_until="2099-01-01"
    )
    done = run("records")
    assert done.exit_code == 0
    assert "2 records now, 1 in force." in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("concerns_channel")]
    for word in ("not yet valid", "2098-01-01", "2099-01-01", "Ann Lee", "organization"):
        assert word in line
    assert "concerns" not in run("records", "--type", "ai_policy").stdout
    assert "ai_policy" not in run("records", "--owner", "ann lee").stdout
    assert "No record" in run("records", "--system", "credit").stdout


def test_a_record_that_was_withdrawn_is_listed_on_demand_and_as_of_before(whole):
    assert run("records", "withdraw", "ai_policy:ai_policy", "--reason", "Superseded.").stdout == (
        "withdrawn: ai_policy:ai_policy, revision 2: Superseded.\n"
    )
    assert "No record now" in run("records").stdout
    assert "withdrawn: Superseded." in run("records", "--all").stdout
    before = f"{filed()[0].record.recorded_at:%Y-%m-%dT%H:%M:%S.%f+00:00}"
    then = json.loads(run("records", "--as-of", before, "--json").stdout)
    assert [(one["link"], one["standing"]) for one in then["records"]] == [("ai_policy:ai_policy", "in force")]
    assert "No record as known on 2020-01-01" in run("records", "--as-of", "2020-01-01").stdout


def test_show_prints_every_revision_the_latest_first(whole):
    aims_mlflow.attest("ai_policy", "Second\nedition \x1b[31m.", owner="Ann Lee", answers={"Why": "New law."})
    done = run("records", "show", "ai_policy:ai_policy")
    assert done.exit_code == 0
    assert done.stdout.index("revision 2") < done.stdout.index("revision 1")
    for word in ("Head of AI; approved by Board", "kept with the record", "edition \\x1b[31m.", "Why: New law."):
        assert word in done.stdout
    found = json.loads(run("records", "show", "ai_policy:ai_policy", "--json").stdout)
    assert [one["revision"] for one in found["revisions"]] == [2, 1]
    assert found["problems"] == []


def test_verify_says_that_all_is_whole(whole):
    done = run("records", "verify")
    assert (done.exit_code, done.stdout) == (0, "✓ Whole: 1 record in 1 revision, 1 document hashed again.\n")
    assert json.loads(run("records", "verify", "--json").stdout)["whole"] is True


def test_verify_names_each_problem_and_ends_with_1(whole, mlflow_store):
    client = mlflow.MlflowClient()
    aims_mlflow.attest("concerns_channel", "There is one.", owner="Ann Lee")
    aims_mlflow.attest("awareness", "They know.", owner="Ann Lee", document="https://example.org/a")
    runs = {one.record.type: one.run_id for one in filed()}
    client.delete_run(runs["concerns_channel"])
    with sqlite3.connect(mlflow_store.removeprefix("sqlite:///")) as database:
        database.execute(
            "UPDATE params SET value = replace(value, 'In force.', 'Out of force.') WHERE run_uuid = ?",
            (runs["ai_policy"],),
        )
    database.close()
    done = run("records", "verify")
    assert done.exit_code == 1
    assert "✗ Not whole: 2 problems in 2 records in 2 revisions" in done.stdout
    lines = done.stdout.splitlines()
    assert any(line.startswith("altered: ai_policy:ai_policy: the record is not what was filed") for line in lines)
    assert any(line.startswith("deleted: concerns_channel:concerns_channel: revision 1") for line in lines)
    assert "note: 1 document is only pointed at" in done.stdout
    found = json.loads(run("records", "verify", "--json").stdout)
    assert (found["whole"], {p["code"] for p in found["problems"]}) == (False, {"altered", "deleted"})
    listed = run("records")
    assert "broken: revision 1 was deleted" in listed.stdout
    assert listed.stderr.count("wrong: ") == 2
    shown = run("records", "show", "concerns_channel:concerns_channel")
    assert "its run was deleted" in shown.stdout
    assert "wrong: " in shown.stderr


def test_verify_names_a_document_that_is_not_the_one_that_was_filed(whole, tmp_path):
    (kept,) = tmp_path.rglob("document/policy.md")
    kept.write_text("# Another\n")
    done = run("records", "verify")
    assert done.exit_code == 1
    assert "document: ai_policy:ai_policy: revision 1: the document is not the one that was filed" in done.stdout
    experiment = mlflow.MlflowClient().get_experiment_by_name(EXPERIMENT)
    assert experiment.lifecycle_stage == "active"


@pytest.mark.parametrize("command", [("records", "verify"), ("records",), ATTEST])
def test_where_mlflow_is_away_the_answer_is_2(command):
    done = run(*command, "--tracking-uri", "http://127.0.0.1:9")
    assert done.exit_code == 2
    assert "does not answer" in done.stderr


def test_the_words_of_the_gate_and_of_the_records_do_not_clash():
    assert "what you said of a version" in run("withdraw", "--help").stdout
    assert "Withdraw a record" in run("records", "withdraw", "--help").stdout
