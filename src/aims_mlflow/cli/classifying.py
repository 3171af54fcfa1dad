"""``aims systems classify``: the questionnaire on the EU AI Act, asked or read, and what it comes to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.catalog.questionnaire import Question
    from aims_mlflow.management.classification import Answer, Classification
    from aims_mlflow.managing.systems import Recorded

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MATTERS = {
    "class": "Open, and decisive for the class:",
    "lighter": "Open, and could only make the class lighter:",
    "duties": "Open, and could change duties or dates:",
}


def place_options(command: _Command) -> _Command:
    """``--config``, ``--tracking-uri``, ``--json`` and ``--debug``."""
    options = (
        click.option("--config", type=click.Path(path_type=Path), help="aims.yaml; by default the one found."),
        click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use."),
        json_option,
        debug_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.option(
    "--answers",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file of answers, 'question: yes|no|unsure'; without it each question is asked.",
)
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write the answers to this file.")
@click.option("--record", metavar="SYSTEM", help="Keep answers and class in the record of this system.")
@click.option("--questions", is_flag=True, help="Print all questions as a file of answers to fill in.")
@place_options
@click.pass_context
def classify(
    context: click.Context,
    answers: Path | None,
    save: Path | None,
    record: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    questions: bool,
    as_json: bool,
) -> None:
    """Classify a system by the EU AI Act: class, reasons, duties with dates. Not legal advice.

    What is unsure or unanswered never makes the class lighter. Exit code 1 where the class is prohibited or not
    settled, answers contradict each other, or aims.yaml declares other.
    """
    if questions:
        terminal.write(answers_template())
        return
    from aims_mlflow.management import classification

    if record is not None:
        _check_record(record, config, tracking_uri)
    given = read_answers(answers) if answers is not None else _ask()
    outcome = classification.classify(given)
    if save is not None:
        _save(save, outcome)
    wrong, recorded = _hold_against(outcome, record, config, tracking_uri)
    if as_json:
        _say_json(outcome, wrong, recorded)
    else:
        print_classification(outcome, wrong)
        if recorded is not None:
            filed = recorded.filed.record
            verb = "filed" if recorded.is_new else "unchanged"
            kept = filed.content["risk_class"]
            terminal.say_plain(f"{verb}: system {filed.id}, revision {filed.revision}, risk class {kept}")
    is_met = outcome.is_settled and outcome.risk_class != "prohibited"
    context.exit(MET if is_met and not (outcome.contradictions or wrong) else NOT_MET)


def _check_record(system: str, config: Path | None, tracking_uri: str | None) -> None:
    """Say that there is no such system before somebody answers forty questions."""
    from aims_mlflow.managing.records import ManagementRecords

    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    records.one(records.state(), "system", system)


def _hold_against(
    outcome: Classification, record: str | None, config: Path | None, tracking_uri: str | None
) -> tuple[tuple[str, ...], Recorded | None]:
    """Where ``aims.yaml`` and the record say less; and the record, where answers are kept."""
    from aims_mlflow.managing.systems import against_classification, record_classification

    wrong = against_classification(outcome, record, config=config, tracking_uri=tracking_uri)
    if record is None:
        return wrong, None
    return wrong, record_classification(record, outcome.answers, config=config, tracking_uri=tracking_uri)


def read_answers(path: Path) -> dict[str, str]:
    """Answers from a file.

    Raises:
        InputError: it cannot be read, or what stands in it is wrong.
    """
    from aims_mlflow.management.classification import answers_from

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the answers cannot be read ({error.strerror})", where=str(path)) from error
    return answers_from(content, str(path))


# asking


def _ask() -> dict[str, str]:
    """Ask one question after the other, as long as an answer can change something."""
    from aims_mlflow.catalog.questionnaire import load_questionnaire
    from aims_mlflow.management.classification import next_question

    asked = load_questionnaire()
    terminal.say_plain(f"{asked.title}\n{asked.notice}\nAnswer yes, no or unsure.", error=True)
    given: dict[str, str] = {}
    part = ""
    while (question := next_question(given, asked)) is not None:
        if question.part != part:
            part = question.part
            terminal.say_plain(f"\n{asked.parts[question.part]}", error=True)
        given[question.id] = str(_answer(question))
    return given


def _answer(question: Question) -> Answer:
    from aims_mlflow.management.classification.answers import answer_of

    terminal.say_plain(f"\n{question.text} ({question.citation})", error=True)
    if question.help:
        terminal.say_plain(f"  {question.help}", error=True)
    while True:
        click.echo(f"{question.id} [yes/no/unsure]: ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            raise InputError(
                "the questions were not answered to the end",
                where=question.id,
                remedy="Nothing was kept. '--answers FILE' reads a file; '--questions' prints one to fill in.",
            )
        answer = answer_of(line)
        if answer is not None:
            return answer
        terminal.say_plain("  Answer yes, no or unsure (y, n, u).", error=True)


def _save(path: Path, outcome: Classification) -> None:
    lines = [f"# {outcome.questionnaire}", *(f"{name}: {answer}" for name, answer in outcome.answers.items())]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(path)) from error


def answers_template() -> str:
    """All questions as a YAML file of answers, none of them filled in."""
    from textwrap import wrap

    from aims_mlflow.catalog.questionnaire import load_questionnaire

    asked = load_questionnaire()
    lines = [f"# {asked.title}, questions of {asked.version}.", *(f"# {text}" for text in wrap(asked.notice, 110))]
    lines += ["# Answer each with yes, no or unsure. What is left empty counts as unsure.", "answers:"]
    for part, title in asked.parts.items():
        lines += ["", f"  # {title}"]
        for question in asked.by_part[part]:
            told = " ".join(filter(None, [question.text, f"({question.citation})", question.help]))
            lines += [*(f"  # {text}" for text in wrap(told, 110)), f"  {question.id}:"]
    return "\n".join(lines) + "\n"


# saying


def _say_json(outcome: Classification, wrong: tuple[str, ...], recorded: Recorded | None) -> None:
    said = outcome.model_dump(mode="json") | {"is_settled": outcome.is_settled, "against": list(wrong)}
    if recorded is not None:
        filed = recorded.filed.record
        said["record"] = {
            "system": filed.id,
            "revision": filed.revision,
            "is_new": recorded.is_new,
            "risk_class": filed.content["risk_class"],
        }
    terminal.say_json(said)


def print_classification(outcome: Classification, wrong: tuple[str, ...] = ()) -> None:
    """Class, reasons, what contradicts, duties by date, open questions, and that it is no legal advice."""
    lines = [f"Risk class: {outcome.risk_class}" + ("" if outcome.is_settled else f" (may be {outcome.could_be})")]
    lines += [f"  - {reason.text} ({reason.citation})" for reason in outcome.reasons]
    roles = [*outcome.roles, *(f"{role} (open)" for role in outcome.possible_roles)]
    lines += ["", f"Your organization: {', '.join(roles) or 'no role'}"]
    if wrong:
        lines += ["", "Declared otherwise:", *(f"  - {text}" for text in wrong)]
    if outcome.contradictions:
        lines += ["", "Answers that contradict each other:", *(f"  - {text}" for text in outcome.contradictions)]
    terminal.say_plain("\n".join(lines))
    if outcome.duties:
        terminal.say("", duties_table(outcome))
    for matters, title in _MATTERS.items():
        found = [one for one in outcome.open if one.matters == matters]
        if found:
            listed = "\n".join(f"  - {one.id}: {one.text} ({one.citation})" for one in found)
            terminal.say_plain(f"\n{title}\n{listed}")
    terminal.say_plain(f"\n{outcome.notice}\nQuestionnaire: {outcome.questionnaire}.")


def duties_table(outcome: Classification) -> Any:
    """Duties by date; one that an open question may bring about says so."""
    made = terminal.table("From", "Duty", "As", "Law")
    for duty in outcome.duties:
        told = duty.what if duty.certain else f"{duty.what} (open: may be due)"
        if duty.note:
            told += f" {duty.note}"
        terminal.rows(made, [[str(duty.applies_from), told, ", ".join(duty.roles) or "any", duty.citation]])
    return made
