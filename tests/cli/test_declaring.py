"""``aims init`` and ``aims check``."""

import json

import pytest
from click.testing import CliRunner

from aims_mlflow.cli import aims
from aims_mlflow.cli.declaring import expectation_names
from aims_mlflow.config import load_settings


def run(*arguments, **environment):
    return CliRunner().invoke(aims, [str(a) for a in arguments], env=environment)


def test_init_writes_a_valid_file_and_check_then_says_what_is_missing(tmp_path):
    made = run("init", "--system-id", "credit-scoring")
    assert (made.exit_code, made.stderr) == (0, "")
    assert "wrote aims.yaml" in made.stdout
    assert load_settings().declaration.system.id == "credit-scoring"
    checked = run("check")
    assert checked.exit_code == 0
    assert "valid: aims.yaml" in checked.stdout
    assert "  - system.purpose\n" in checked.stdout
    assert "system.id" not in checked.stdout


def test_init_does_not_overwrite_unless_forced(tmp_path):
    file = tmp_path / "aims.yaml"
    file.write_text("mine")
    refused = run("init")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: aims.yaml: the file is there already\n  '--force' replaces it; '--path' writes elsewhere.\n"
    )
    assert file.read_text() == "mine"
    assert run("init", "--force").exit_code == 0
    assert "version: 1" in file.read_text()


def test_init_takes_a_path_or_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    assert run("init", "--path", "folder").exit_code == 0
    assert (tmp_path / "folder" / "aims.yaml").is_file()
    gone = run("init", "--path", "no/such/folder/aims.yaml")
    assert gone.exit_code == 2
    assert gone.stderr.startswith("error: no/such/folder/aims.yaml: cannot be written")


@pytest.mark.parametrize("wrong", ["credit scoring", "-x", "", "a" * 101, 'a"\nb: c', "[red]x"])
def test_init_refuses_an_id_that_is_none(tmp_path, wrong):
    refused = run("init", "--system-id", wrong)
    assert refused.exit_code == 2
    assert "not valid" in refused.stderr
    assert not (tmp_path / "aims.yaml").exists()


def test_check_lists_every_mistake_and_ends_with_1(tmp_path):
    (tmp_path / "aims.yaml").write_text(
        "system:\n  risk_clas: high\nfreshness: {A.7.44: 3}\ndrift: {method: wasserstien}\n"
        "data_quality:\n  rules: [{type: expect_column_values_to_be_betwen}]\n"
    )
    done = run("check")
    assert done.exit_code == 1
    assert done.stdout == (
        "aims.yaml:2: system.risk_clas: unknown key; did you mean 'risk_class'?\n"
        "aims.yaml:3: freshness.A.7.44: unknown id of a clause or control 'A.7.44'; did you mean 'A.7.4'?\n"
        "aims.yaml:4: drift.method: unknown drift method 'wasserstien'; did you mean 'wasserstein'?\n"
        "aims.yaml:6: data_quality.rules[0].type: unknown expectation 'expect_column_values_to_be_betwen'; "
        "did you mean 'expect_column_values_to_be_between'?\n"
        "\nnot valid: 4 mistakes in aims.yaml\n"
    )


def test_check_as_json_says_the_same_to_machines(tmp_path):
    (tmp_path / "aims.yaml").write_text("system:\n  risk_clas: high\n")
    done = run("check", "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["valid"] is False
    assert said["problems"] == [
        {
            "line": 2,
            "key": "system.risk_clas",
            "message": "unknown key; did you mean 'risk_class'?",
            "text": "aims.yaml:2: system.risk_clas: unknown key; did you mean 'risk_class'?",
        }
    ]
    (tmp_path / "aims.yaml").write_text("system:\n  id: credit\n")
    said = json.loads(run("check", "--json").stdout)
    assert (said["valid"], said["problems"]) == (True, [])
    assert said["sha256"].startswith("sha256:")
    assert "system.purpose" in said["undeclared"]


def test_check_without_a_file_could_not_run():
    done = run("check")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "aims init" in done.stderr
    assert run("check", "nope.yaml").exit_code == 2
    named = run("check", AIMS_CONFIG="gone.yaml")
    assert named.exit_code == 2
    assert "AIMS_CONFIG" in named.stderr


def test_check_of_an_unreadable_file_could_not_run(tmp_path):
    (tmp_path / "aims.yaml").mkdir()
    done = run("check", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "cannot be read" in done.stderr


def test_a_rule_of_ones_own_is_a_hint_and_no_mistake(tmp_path):
    (tmp_path / "aims.yaml").write_text("data_quality: {rules: [{type: expect_house_policy_to_hold}]}\n")
    done = run("check")
    assert done.exit_code == 0
    assert "  - expect_house_policy_to_hold\n" in done.stdout
    assert json.loads(run("check", "--json").stdout)["unknown_rules"] == ["expect_house_policy_to_hold"]


def test_a_broken_framework_file_is_a_mistake(tmp_path):
    (tmp_path / "house.yaml").write_text("rows: 3\n")
    (tmp_path / "aims.yaml").write_text("frameworks: [house.yaml]\nfreshness: {HOUSE.1: 3}\n")
    done = run("check")
    assert done.exit_code == 1
    assert "house.yaml" in done.stdout


def test_nothing_in_the_file_is_taken_as_markup_or_as_a_command_to_the_terminal(tmp_path):
    (tmp_path / "aims.yaml").write_text('system:\n  "[red]x": 1\n  "a\\e[31mb": 2\n  risk_class: "[bold]\\e]0;t\\a"\n')
    done = run("check")
    assert "system.[red]x: unknown key" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "[bold]" in done.stdout


def test_the_rule_names_are_those_of_the_installed_engine():
    names = expectation_names()
    assert len(names) > 40
    assert "expect_column_values_to_be_between" in names


def test_names_of_topics_disparities_and_ids_are_held_against_the_register(tmp_path):
    (tmp_path / "aims.yaml").write_text(
        "system: {id: a}\ncolumns: {sensitive: [sex]}\nfairness: {metrics: {selection_rat_ratio: {min: 0.8}}}\n"
        "attestations:\n- {topic: ai_polcy, statement: s, owner: o, valid_from: 2026-01-01, valid_until: 2027-01-01}\n"
    )
    checked = run("check")
    assert checked.exit_code == 1
    assert "aims.yaml:3: fairness.metrics.selection_rat_ratio" in checked.stdout
    assert "did you mean 'selection_rate_ratio'?" in checked.stdout
    assert "did you mean 'ai_policy'?" in checked.stdout


def test_flush_delivers_what_waits_and_says_so(mlflow_store):
    import mlflow

    from aims_mlflow.attach.spool import spool, spooled_files
    from aims_mlflow.evidence import CustomRecord, Tool, now

    with mlflow.start_run() as active:
        pass
    record = CustomRecord(
        kind="my.kind",
        collector=Tool(name="aims-mlflow", version="0"),
        captured_at=now(),
        method="m",
        verdict="recorded",
        reason="r",
    )
    spool(mlflow_store, active.info.run_id, [record], reason="away")
    flushed = run("flush", "--json")
    assert flushed.exit_code == 0
    assert json.loads(flushed.stdout)["delivered"] == [active.info.run_id]
    assert spooled_files() == []


def test_check_refuses_a_misspelt_metric_and_names_those_that_are_ones_own(tmp_path):
    file = tmp_path / "aims.yaml"
    file.write_text("performance:\n  metrics:\n    acuracy: {min: 0.8}\n")
    done = run("check")
    assert done.exit_code == 1
    assert "aims.yaml:3: performance.metrics.acuracy: unknown metric 'acuracy'; did you mean 'accuracy'?" in done.stdout
    file.write_text("performance:\n  metrics:\n    profit_per_case: {min: 0.8}\n    accuracy: {min: 0.8}\n")
    done = run("check")
    assert done.exit_code == 0
    assert "mlflow.log_metric" in done.stdout
    assert "  - profit_per_case\n" in done.stdout
    assert "  - accuracy\n" not in done.stdout
    assert json.loads(run("check", "--json").stdout)["own_metrics"] == ["profit_per_case"]
