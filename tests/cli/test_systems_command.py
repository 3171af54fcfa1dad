"""``aims systems``: what a person reads, what a machine reads, and the exit codes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from aims_mlflow.catalog.questionnaire import load_questionnaire
from aims_mlflow.cli import aims

ASKED = load_questionnaire()
SAID_YES = ("ai_system", "in_union", "provider", "annex_iii_5", "annex_iii_5b", "art6_3_profiling")
DECLARATION = """
system:
  id: credit-scoring
  name: Credit pre-scoring
  organization_role: provider
  risk_class: {risk_class}
  lifecycle_stage: operation
  owner: {{name: Head of Lending}}
registered_models: [credit-*]
"""


def run(*arguments, typed=None):
    return CliRunner().invoke(aims, [str(a) for a in arguments], input=typed)


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def answers(path, **changes):
    given = {q.id: "yes" if q.id in SAID_YES else "no" for q in ASKED.questions} | changes
    return write(path, "".join(f"{question}: {answer}\n" for question, answer in given.items()))


def declare(tmp_path, risk_class="high"):
    write(tmp_path / "aims.yaml", DECLARATION.format(risk_class=risk_class))
    return run("systems", "declare")


def make(name, alias=None, **tags):
    client = MlflowClient()
    client.create_registered_model(name)
    client.create_model_version(name, f"file:///models/{name}", tags=tags)
    if alias:
        client.set_registered_model_alias(name, alias, "1")


# the list


def test_an_empty_registry_says_what_to_do_and_is_met(mlflow_store):
    done = run("systems")
    assert done.exit_code == 0, done.output
    assert "No AI system is declared; 'aims systems declare'" in done.stdout


def test_the_list_shows_each_system_with_its_versions_and_then_what_belongs_to_none(mlflow_store, tmp_path):
    make("credit-pd", "champion", **{"aims.status": "pass", "aims.fresh_until": "2020-02-03"})
    make("fraud")
    assert declare(tmp_path).exit_code == 0
    done = run("systems")
    assert done.exit_code == 1
    text = " ".join(done.stdout.split())
    for part in (
        "credit-scoring",
        "provider",
        "high",
        "operation",
        "Head of Lending",
        "credit-pd",
        "stale",
        "2020-02-03",
    ):
        assert part in text, part
    assert "Registered models that belong to no declared system (1): - fraud" in text
    assert text.index("credit-scoring") < text.index("- fraud")


def test_the_list_as_json_has_the_same(mlflow_store, tmp_path):
    make("credit-pd", "champion", **{"aims.status": "fail"})
    declare(tmp_path)
    done = run("systems", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["is_complete"]
    assert said["undeclared"] == []
    (entry,) = said["systems"]
    assert entry["versions"] == [
        {"model": "credit-pd", "version": "1", "targets": ["alias champion"], "status": "fail", "fresh_until": None}
    ]


def test_a_contested_model_ends_with_one_and_is_named(mlflow_store, tmp_path):
    make("credit-pd")
    declare(tmp_path)
    other = write(tmp_path / "other.yaml", "system: {id: other, owner: {name: Head}}\nregistered_models: ['*-pd']\n")
    assert run("systems", "declare", "--config", other).exit_code == 0
    done = run("systems")
    assert done.exit_code == 1
    assert "'credit-pd' is claimed by credit-scoring, other" in done.stdout


def test_options_before_the_verb_are_refused_instead_of_passed_over(mlflow_store):
    done = run("systems", "--json", "declare")
    assert done.exit_code == 2
    assert "put the options after 'declare'" in done.stderr


def test_a_server_that_does_not_answer_is_could_not_run():
    done = run("systems", "--tracking-uri", "http://127.0.0.1:9")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")


def test_a_folder_of_files_holds_no_records(tmp_path):
    done = run("systems", "--tracking-uri", (tmp_path / "runs").as_uri())
    assert done.exit_code == 2
    assert "database" in done.stderr


# declaring


def test_declaring_says_what_was_filed_and_the_second_time_that_nothing_was(mlflow_store, tmp_path):
    first, again = declare(tmp_path), run("systems", "declare")
    assert first.stdout.startswith("filed: system credit-scoring, revision 1, owner Head of Lending, valid until 2")
    assert again.stdout.startswith("unchanged: system credit-scoring, revision 1")
    said = json.loads(run("systems", "declare", "--json").stdout)
    assert (said["is_new"], said["record"]["id"]) == (False, "credit-scoring")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no aims.yaml here"),
        ("registered_models: [x]\n", "aims.yaml: the declaration names no system"),
        ("system: {id: credit}\n", "nobody answers for the system"),
        ("system: {id: credit, owner: {name: Ann Smith and Bob Jones}}\n", "names more than one owner"),
        ("system: {id: credit, ownr: {name: Head}}\n", "did you mean 'owner'?"),
        ("system: {id: credit, owner: {name: Head}\n", "aims.yaml:"),
    ],
)
def test_what_cannot_be_declared_is_said_with_what_to_do(mlflow_store, tmp_path, content, said):
    if content is not None:
        write(tmp_path / "aims.yaml", content)
    done = run("systems", "declare")
    assert done.exit_code == 2
    assert said in done.stderr


def test_owner_and_day_of_review_may_be_given(mlflow_store, tmp_path):
    write(tmp_path / "aims.yaml", "system: {id: credit}\n")
    done = run("systems", "declare", "--owner", "Head", "--valid-until", "2999-12-31")
    assert done.stdout == "filed: system credit, revision 1, owner Head, valid until 2999-12-31\n"
    assert "note: risk class: not known yet" in done.stderr
    assert run("systems", "declare", "--owner", "Head", "--valid-until", "31.12.2999").exit_code == 2


# classifying


def test_answers_from_a_file_give_class_reasons_and_dated_duties(tmp_path):
    done = run("systems", "classify", "--answers", answers(tmp_path / "a.yaml"))
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert text.startswith("Risk class: high - Creditworthiness")
    assert "(Annex III, point 5(b))" in text
    assert "2027-12-02 Run a risk management system over its whole lifetime. provider Art. 9" in text
    assert "Not legal advice" in text


def test_the_outcome_as_json_is_whole_and_alone_on_stdout(tmp_path):
    done = run("systems", "classify", "--answers", answers(tmp_path / "a.yaml", art5_a="unsure"), "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert (said["risk_class"], said["could_be"], said["is_settled"]) == ("high", "prohibited", False)
    assert [one["id"] for one in said["open"] if one["matters"] == "class"] == ["art5_a"]
    assert {"what", "citation", "applies_from", "date_citation", "certain"} <= set(said["duties"][0])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"annex_iii_5b": "no"}, 0),
        ({"art5_a": "yes"}, 1),
        ({"annex_iii_5b": "unsure"}, 1),
        ({"art50_1": "unsure", "annex_iii_5b": "no"}, 0),
    ],
)
def test_prohibited_and_open_classes_end_with_one(tmp_path, changes, code):
    assert run("systems", "classify", "--answers", answers(tmp_path / "a.yaml", **changes)).exit_code == code


def test_one_question_after_the_other_is_asked_with_its_citation(tmp_path):
    typed = "y\nYES\nno\nperhaps\n" + "n\n" * 60
    done = run("systems", "classify", "--save", tmp_path / "mine.yaml", typed=typed)
    assert done.exit_code == 1, done.output  # every role was answered no
    assert "Prohibited practices (Art. 5)" in done.stderr
    assert "(Art. 5(1)(a))\nart5_a [yes/no/unsure]: " in done.stderr
    assert "Answer yes, no or unsure (y, n, u)." in done.stderr
    assert "art5_a" not in done.stdout
    assert done.stdout.startswith("Risk class: minimal")
    again = run("systems", "classify", "--answers", tmp_path / "mine.yaml")
    assert again.stdout == done.stdout


def test_questions_not_answered_to_the_end_are_could_not_run(tmp_path):
    done = run("systems", "classify", "--save", tmp_path / "mine.yaml", typed="y\ny\n")
    assert done.exit_code == 2
    assert "excluded_purpose: the questions were not answered to the end" in done.stderr
    assert not (tmp_path / "mine.yaml").exists()


def test_the_questions_are_printed_as_a_file_that_can_be_filled_in(tmp_path):
    done = run("systems", "classify", "--questions")
    assert done.exit_code == 0
    assert all(f"\n  {question.id}:\n" in done.stdout for question in ASKED.questions)
    file = write(tmp_path / "a.yaml", done.stdout)
    assert json.loads(run("systems", "classify", "--answers", file, "--json").stdout)["answers"] == {}
    write(file, done.stdout.replace("  ai_system:\n", "  ai_system: no\n"))
    assert run("systems", "classify", "--answers", file).exit_code == 0


def test_the_record_keeps_answers_and_class_and_a_lighter_aims_yaml_is_a_contradiction(mlflow_store, tmp_path):
    declare(tmp_path, risk_class="minimal")
    done = run("systems", "classify", "--answers", answers(tmp_path / "a.yaml"), "--record", "credit-scoring")
    assert done.exit_code == 1
    assert "aims.yaml: it is declared minimal, while the questionnaire comes to high" in done.stdout
    assert done.stdout.endswith("filed: system credit-scoring, revision 2, risk class high\n")
    again = run("systems", "classify", "--answers", tmp_path / "a.yaml", "--record", "credit-scoring", "--json")
    assert json.loads(again.stdout)["record"] == {
        "system": "credit-scoring",
        "revision": 2,
        "is_new": False,
        "risk_class": "high",
    }
    declared = run("systems", "declare")
    assert declared.stdout.startswith("unchanged")
    assert "the record keeps high" in declared.stderr


def test_a_system_that_is_not_declared_is_said_before_anything_is_asked(mlflow_store, tmp_path):
    declare(tmp_path)
    done = run("systems", "classify", "--record", "credit-scorin", typed="y\n")
    assert done.exit_code == 2
    assert "Did you mean credit-scoring?" in done.stderr
    assert "ai_system" not in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("anex_iii_5b: yes\n", "a.yaml:1: there is no question 'anex_iii_5b'\n  Did you mean annex_iii_5b"),
        ("ai_system: perhaps\n", "a.yaml:1: ai_system: expected yes, no or unsure, found 'perhaps'"),
        ("- ai_system\n", "a.yaml:1: expected keys and values"),
        ("answers: [yes]\n", "a.yaml:1: expected questions with their answers"),
        ("a: b: c\n", "a.yaml:1: a colon where none can stand"),
        (None, "a.yaml: the answers cannot be read (No such file or directory)"),
    ],
)
def test_wrong_answers_are_named_with_file_and_line(tmp_path, content, said):
    if content is not None:
        write(tmp_path / "a.yaml", content)
    done = run("systems", "classify", "--answers", "a.yaml")
    assert done.exit_code == 2
    assert said in done.stderr


def test_answers_that_cannot_be_saved_are_could_not_run(tmp_path):
    done = run("systems", "classify", "--answers", answers(tmp_path / "a.yaml"), "--save", tmp_path / "no" / "a.yaml")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


# one system


def test_a_clear_system_is_shown_with_its_duties(mlflow_store, tmp_path):
    make("credit-pd", "champion")
    declare(tmp_path)
    run("systems", "classify", "--answers", answers(tmp_path / "a.yaml"), "--record", "credit-scoring")
    done = run("systems", "show", "credit-scoring")
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "credit-pd/1 (alias champion): not assessed" in text
    assert "risk class: high. Creditworthiness" in text
    assert "Art. 9" in text
    assert "Not legal advice" in text


def test_a_system_somebody_contradicts_ends_with_one_and_names_who(mlflow_store, tmp_path):
    declare(tmp_path)
    write(tmp_path / "aims.yaml", DECLARATION.format(risk_class="limited"))
    done = run("systems", "show", "credit-scoring")
    assert done.exit_code == 1
    assert "  - risk_class: the inventory says high, aims.yaml says limited\n" in done.stdout
    assert "questionnaire: not answered; 'aims systems classify --record credit-scoring' asks it" in done.stdout
    said = json.loads(run("systems", "show", "credit-scoring", "--json").stdout)
    assert not said["is_clear"]
    assert said["contradictions"][0]["by"] == "aims.yaml"


def test_a_system_that_is_not_there_is_could_not_run(mlflow_store):
    done = run("systems", "show", "nothing")
    assert done.exit_code == 2
    assert "there is no record system:nothing" in done.stderr


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    """Tables wrap where the terminal ends: their words are looked for in whole lines."""
    monkeypatch.setenv("COLUMNS", "200")
