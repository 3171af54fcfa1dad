"""``aims assess``, ``aims report`` and ``aims flush``, against a real store."""

import json

import pytest
from click.testing import CliRunner

from aims_mlflow.assessment import Overall, Status
from aims_mlflow.cli import aims
from aims_mlflow.cli.assessing import exit_code, print_assessment, where_the_report_is
from aims_mlflow.report.words import STATUS
from aims_mlflow.testing import sample_assessment


def run(*arguments, **environment):
    return CliRunner().invoke(aims, [str(a) for a in arguments], env=environment)


@pytest.mark.parametrize("width", [50, 80, 120, 200])
def test_what_needs_attention_comes_first_in_its_order_at_any_width(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    judged = sample_assessment()
    print_assessment(judged)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= width
    ids = [line.split(" ", 1)[0] for line in printed.splitlines() if line.split(" ", 1)[0] in judged.attention]
    assert ids == list(judged.attention)
    assert "✗ not satisfied" in printed
    assert f"{len(judged.findings) - len(judged.attention)} rows not listed here" in " ".join(printed.split())


def test_all_lists_every_row_and_the_counts_add_up(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    judged = sample_assessment()
    print_assessment(judged, every=True)
    printed = capsys.readouterr().out
    shown = {line.split(" ", 1)[0] for line in printed.splitlines()}
    assert {finding.id for finding in judged.findings} <= shown
    for status in Status:
        assert (f"{judged.counts[status]} {STATUS[status].word}" in printed) == (judged.counts[status] > 0)


def test_what_people_write_stays_text(capsys):
    judged = sample_assessment().model_copy(update={"system_name": "[red]x[/red] \x1b[31m", "headline": "[link=x]y"})
    print_assessment(judged)
    printed = capsys.readouterr().out
    assert "[red]x[/red] \\x1b[31m" in printed
    assert "[link=x]y" in printed
    assert "\x1b" not in printed


def test_the_page_of_a_tracking_server_is_named_but_never_its_password():
    judged = sample_assessment()
    known = where_the_report_is(judged, "abc", tracking_uri="https://ml.example.org/", attached=True)
    assert (
        f"https://ml.example.org/#/experiments/2/runs/{judged.subject.run.run_id}/artifacts/aims/report.html" in known
    )
    assert "aims report abc" in known
    secret = where_the_report_is(judged, "abc", tracking_uri="https://u:secret@ml.example.org/", attached=True)
    assert "secret" not in secret
    assert where_the_report_is(judged, "abc", tracking_uri=None, attached=False) == "Nothing was written to MLflow."


@pytest.fixture
def finished_run(mlflow_store):
    import mlflow

    with mlflow.start_run() as started:
        mlflow.log_param("depth", 3)
        mlflow.log_metric("accuracy", 0.9)
    return started.info.run_id


def test_a_run_is_assessed_reported_and_the_verdict_is_the_exit_code(finished_run, tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {id: credit, name: Credit}\n")
    done = run("assess", finished_run, "--json")
    said = json.loads(done.stdout)
    assert len(said["findings"]) == 70
    assert done.exit_code == exit_code(Overall(said["overall"])) != 0

    shown = run("assess", f"runs:/{finished_run}")
    assert shown.exit_code == done.exit_code
    assert f"artifact aims/report.html of run {finished_run}" in shown.stdout

    again = run("report", finished_run, "--format", "json")
    assert again.exit_code == 0, again.stderr
    assert len(json.loads(again.stdout)["findings"]) == 70
    page = run("report", finished_run, "--output", "page.html")
    assert (page.exit_code, page.stdout) == (0, "")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    assert "A.7.4" in run("report", finished_run).stdout
    assert run("report", finished_run, "--output", "no/folder/x.md").exit_code == 2


@pytest.mark.parametrize(
    ("overall", "codes"),
    [
        (Overall.PASS, {"fail": 0, "stale": 0, "warn": 0}),
        (Overall.WARN, {"fail": 0, "stale": 0, "warn": 1}),
        (Overall.STALE, {"fail": 0, "stale": 1, "warn": 1}),
        (Overall.FAIL, {"fail": 1, "stale": 1, "warn": 1}),
        (Overall.ERROR, {"fail": 2, "stale": 2, "warn": 2}),
        (Overall.NOT_ASSESSED, {"fail": 2, "stale": 2, "warn": 2}),
    ],
)
def test_fail_on_says_from_which_finding_on_the_code_is_1(overall, codes):
    assert {name: exit_code(overall, fail_on=name) for name in codes} == codes
    assert exit_code(overall) == codes["warn"]


def test_fail_on_is_an_option_of_assess(finished_run, tmp_path):
    (tmp_path / "aims.yaml").write_text("performance: {metrics: {test_accuracy: {min: 0.5}}}\n")
    said = json.loads(run("assess", finished_run, "--json", "--no-attach").stdout)
    assert said["overall"] == "warn"
    codes = [run("assess", finished_run, "--no-attach", "--fail-on", name).exit_code for name in ("fail", "warn")]
    assert codes == [0, 1]
    assert run("assess", finished_run, "--fail-on", "nothing").exit_code == 2
    assert run("assess", "0" * 32, "--fail-on", "fail").exit_code == 2
    assert "0 ok, 1 findings" in " ".join(run("assess", "--help").stdout.split())


def test_the_suffix_of_the_output_is_its_form_and_others_are_refused(finished_run, tmp_path):
    run("assess", finished_run)
    forms = {"r.md": "**", "r.HTML": "<!doctype html", "r.json": "{", "report": "**"}
    for name, start in forms.items():
        assert run("report", finished_run, "--output", name).exit_code == 0
        content = (tmp_path / name).read_text(encoding="utf-8").lower()
        assert start in content[:600], name
        if name.endswith("json"):
            assert len(json.loads(content)["findings"]) == 70
    for name in ("r.pdf", "r.txt", "r.html.bak"):
        done = run("report", finished_run, "--output", name)
        assert done.exit_code == 2
        assert ".html" in done.stderr
        assert not (tmp_path / name).exists()
    assert run("report", finished_run, "--output", "r.txt", "--format", "md").exit_code == 0


def test_judging_only_writes_nothing(finished_run):
    import mlflow

    done = run("assess", finished_run, "--no-attach")
    assert "Nothing was written to MLflow." in done.stdout
    assert not [tag for tag in mlflow.get_run(finished_run).data.tags if tag.startswith("aims.")]
    assert run("report", finished_run).exit_code == 2


@pytest.mark.parametrize("target", ["0" * 32, "models:/nobody/1", "nonsense", "runs:/"])
def test_what_cannot_be_found_could_not_run(mlflow_store, target):
    for command in ("assess", "report"):
        done = run(command, target)
        assert (done.exit_code, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith("error: ")
        assert "ImportError" not in done.stderr


def test_a_wrong_declaration_stops_the_assessment(finished_run, tmp_path):
    (tmp_path / "wrong.yaml").write_text("systm: {}\n")
    done = run("assess", finished_run, "--config", "wrong.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "wrong.yaml:1: systm: unknown key; did you mean 'system'?" in done.stderr


def test_an_empty_spool_has_nothing_to_deliver(mlflow_store, tmp_path):
    spool = str(tmp_path / "spool")
    assert json.loads(run("flush", "--json", AIMS_SPOOL_DIR=spool).stdout) == {
        "delivered": [],
        "kept": [],
        "reasons": {},
    }
    done = run("flush", AIMS_SPOOL_DIR=spool)
    assert (done.exit_code, done.stdout) == (0, "nothing to deliver\n")


def test_what_cannot_be_delivered_is_kept_and_said(mlflow_store, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "broken.json").write_text("{")
    done = run("flush", AIMS_SPOOL_DIR=str(spool))
    assert done.exit_code == 1
    assert "0 delivered, 1 kept" in done.stdout
    assert (spool / "broken.json").exists()
