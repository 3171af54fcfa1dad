"""``aims risk`` and ``aims impact``: exit codes, what a person reads, files, JSON."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from aims_mlflow.cli import aims
from aims_mlflow.evidence import now

sys.path.insert(0, str(Path(__file__).parents[1] / "managing"))
from risk_store import drifts, measures, serve, write_declaration

TEMPLATES = Path(__file__).parents[2] / "templates" / "records"
OPEN = (
    "risk", "open", "--title", "Labels favour one group", "--source", "training data", "--likelihood", "3",
    "--consequence", "4", "--owner", "Risk office", "--system", "loans", "--id", "R-1",
)  # fmt: skip
IMPACT = """
system: loans
registered_name: credit
version: "1"
owner: Product
approver: Board
effects:
  - {to: applicants, of: individuals, what: refusal, kind: harm, measure: a clerk decides}
  - {to: the region, of: society, what: quicker answers, kind: benefit}
conclusion: acceptable with measures
reason: A clerk decides.
"""


@pytest.fixture
def version(mlflow_store, tmp_path):
    write_declaration(tmp_path)
    return serve()


def run(*arguments):
    return CliRunner().invoke(aims, [str(a) for a in arguments])


def test_without_a_risk_the_list_says_how_to_open_one(version):
    done = run("risk", "list")
    assert done.exit_code == 0
    assert "No risk is on record. Open one: aims risk open" in done.stdout


def test_a_risk_is_opened_treated_accepted_and_closed(version):
    done = run(*OPEN)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("opened: risk R-1 of loans, revision 1, owner Risk office, review by ")
    listed = run("risk", "list")
    assert listed.exit_code == 1
    assert "12 high" in listed.stdout
    assert "1 live risk, 0 overdue, 1 with something wanting" in listed.stdout
    treat = ("risk", "treat", "R-1", "--how", "reduce", "--control", "A.7.4", "--residual", "1", "4")
    assert run(*treat, "--results", "Relabelled.").exit_code == 0
    assert run("risk", "accept", "R-1", "--by", "Head of credit").exit_code == 0
    shown = run("risk", "show", "R-1")
    assert shown.exit_code == 0
    assert "Nothing is wanting." in shown.stdout
    assert "by Head of credit on " in shown.stdout
    assert run("risk", "list").exit_code == 0
    assert run("risk", "review", "R-1", "--note", "seen", "--json").exit_code == 0
    assert run("risk", "close", "R-1", "--results", "Retired.").exit_code == 0
    assert "No risk of that sort" in run("risk", "list").stdout
    assert "closed, reduce, accepted" in run("risk", "list", "--all").stdout


def test_what_is_wrong_ends_with_2_and_says_what_to_do(version):
    for changes, words in (
        (("--likelihood", "6"), "likelihood: Input should be less than or equal to 5"),
        (("--source", "trainig_data"), "Did you mean training_data?"),
        (("--review-by", "2020-01-01"), "the review was due on 2020-01-01, which is past"),
        (("--system", "loan"), "Did you mean loans?"),
    ):
        done = run(*OPEN, *changes)
        assert (done.exit_code, words in done.stderr) == (2, True), done.output
    assert run("risk", "open", "--title", "x").exit_code == 2
    assert run(*OPEN).exit_code == 0
    done = run("risk", "treat", "R-1", "--control", "A.7.44")
    assert (done.exit_code, "Did you mean A.7.4" in done.stderr) == (2, True)
    done = run("risk", "accept", "R-1", "--by", "Ann Lee")
    assert "what is left (12) lies above the tolerable 6" in done.stderr
    done = run("risk", "show", "R-11")
    assert (done.exit_code, "Did you mean R-1?" in done.stderr) == (2, True)
    assert run("risk", "update", "--title", "x").exit_code == 2
    assert run("risk", "update", "R-1").exit_code == 2


def test_a_file_opens_a_risk_flat_or_as_the_template_has_it_and_options_go_first(version, tmp_path):
    review = now().date() + timedelta(days=30)
    flat = f"title: T\nsource: misuse\nlikelihood: 2\nconsequence: 2\nowner: Ann Lee\nreview_by: {review}\n"
    (tmp_path / "flat.yaml").write_text(flat)
    done = run("risk", "open", "--from", "flat.yaml", "--consequence", "5", "--id", "R-2", "--json")
    made = json.loads(done.stdout)
    assert (made["content"]["consequence"], made["content"]["review_by"]) == (5, str(review))
    filled = (TEMPLATES / "risk.yaml").read_text().replace("source:", "source: misuse")
    for old, new in (
        ("owner:", "owner: Ann Lee"),
        ("title:", "title: T"),
        ("id:", "id: R-3"),
        ("system:", "system: loans"),
    ):
        filled = filled.replace(f"{old}  #", f"{new}  #", 1)
    filled = "\n".join(line for line in filled.splitlines() if "YYYY-MM-DD" not in line)
    (tmp_path / "template.yaml").write_text(filled)
    done = run("risk", "open", "--from", "template.yaml", "--likelihood", "2", "--consequence", "2")
    assert done.exit_code == 0, done.output
    assert "risk R-3 of loans" in done.stdout
    (tmp_path / "other.yaml").write_text("type: incident\n")
    assert "holds a record of type 'incident'" in run("risk", "open", "--from", "other.yaml").stderr
    (tmp_path / "broken.yaml").write_text("title: [\n")
    assert "broken.yaml:" in run("risk", "open", "--from", "broken.yaml").stderr
    assert run("risk", "open", "--from", "absent.yaml").exit_code == 2


def test_the_words_for_sources_are_listed(version):
    listed = json.loads(run("risk", "open", "--sources", "--json").stdout)
    assert {"drift", "training_data", "technology_readiness"} <= set(listed)


def test_an_update_from_evidence_says_what_it_opened_and_is_made_for_cron(version):
    done = run("risk", "update")
    assert (done.exit_code, done.stdout) == (
        0, "1 version in service read, 0 confirmed failures, 0 opened, 0 revised.\n"
    )  # fmt: skip
    drifts(version)
    done = run("risk", "update")
    assert done.exit_code == 1
    assert "opened: risk drift-loans of loans, revision 1, owner Head of credit" in done.stdout
    again = json.loads(run("risk", "update", "--json").stdout)
    assert (again["opened"], again["revised"], len(again["failures"])) == ([], [], 1)
    listed = json.loads(run("risk", "list", "--json").stdout)
    (risk,) = listed["risks"]
    assert (risk["opened_by"], risk["left"], risk["band"]) == ("drift", 12, "high")
    assert [one["code"] for one in risk["wanting"]] == ["not weighed", "untreated above the limit"]
    assert listed["summary"][0]["system"] == "loans"


def test_a_risk_as_of_an_earlier_day(version):
    run(*OPEN)
    yesterday = now().date() - timedelta(days=1)
    assert json.loads(run("risk", "list", "--as-of", yesterday, "--json").stdout)["risks"] == []


def test_an_assessment_is_filed_with_its_numbers_listed_and_goes_stale(version, tmp_path):
    measures(version)
    (tmp_path / "impact.yaml").write_text(IMPACT)
    done = run("impact", "new", "--from", "impact.yaml")
    assert done.exit_code == 0, done.output
    assert "filed: impact loans-credit-1, revision 1" in done.stdout
    assert "accuracy" in done.stdout
    assert run("impact", "list").exit_code == 0
    drifts(version)
    listed = run("impact", "list")
    assert listed.exit_code == 1
    assert "stale" in listed.stdout
    shown = run("impact", "show", "loans-credit-1")
    assert (shown.exit_code, "trigger: drift confirmed on " in shown.stdout) == (1, True)
    plain = json.loads(run("impact", "list", "--json").stdout)
    assert plain["assessments"][0]["triggers"][0]["code"] == "confirmed drift"
    assert plain["assessments"][0]["content"]["model_sha256"].startswith("sha256:")


def test_a_version_in_service_without_an_assessment_is_no_all_clear(version):
    listed = run("impact", "list")
    assert listed.exit_code == 1
    assert "in service without an assessment: credit/1: no impact assessment was made of it" in listed.stdout


def test_an_assessment_that_is_wrong_files_nothing(version, tmp_path):
    (tmp_path / "impact.yaml").write_text(IMPACT)
    for text, words in (
        (IMPACT.replace("reason: A", "reasn: A"), "Did you mean reason?"),
        (IMPACT.replace("owner: Product\n", ""), "--owner is missing"),
        (IMPACT.replace("system: loans\n", ""), "an assessment is of one system"),
        (IMPACT + "measured: [{name: x}]\n", "filled in, not written by hand"),
        (IMPACT.replace('"1"', '"7"'), "there is no such version"),
    ):
        (tmp_path / "wrong.yaml").write_text(text)
        done = run("impact", "new", "--from", "wrong.yaml")
        assert (done.exit_code, words in done.stderr) == (2, True), done.output
    assert json.loads(run("impact", "list", "--json").stdout)["assessments"] == []
    assert run("impact", "show", "nothing").exit_code == 2
    refused = IMPACT.replace("acceptable with measures", "not acceptable")
    (tmp_path / "refused.yaml").write_text(refused)
    assert run("impact", "new", "--from", "refused.yaml").exit_code == 1


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    """Tables wrap where the terminal ends: their words are looked for in whole lines."""
    monkeypatch.setenv("COLUMNS", "200")
