"""Answers to the questionnaire: read, checked, and which question comes next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from aims_mlflow.catalog.questionnaire import Question, Questionnaire, load_questionnaire
from aims_mlflow.catalog.register import nearest
from aims_mlflow.config.document import read_document
from aims_mlflow.errors import InputError
from aims_mlflow.management.classification.weighing import Weighed

_SHOWN = 5


class Answer(StrEnum):
    """What a question may be answered with."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


_WORDS: dict[Any, Answer] = {True: Answer.YES, False: Answer.NO, "y": Answer.YES, "n": Answer.NO, "u": Answer.UNSURE}
_WORDS |= {str(answer): answer for answer in Answer}


def answer_of(word: object) -> Answer | None:
    """The answer a word or truth value stands for; None where it is none."""
    plain = word.strip().lower() if isinstance(word, str) else word
    return _WORDS.get(plain) if isinstance(plain, str | bool) else None


def checked(answers: Mapping[str, object], questionnaire: Questionnaire | None = None) -> dict[str, str]:
    """Answers in the one form they are kept, in the order of the questionnaire.

    Args:
        answers: Question id to ``yes``, ``no`` or ``unsure``, a truth value, or None for one that is not answered.
        questionnaire: The one that ships with the library where None.

    Raises:
        InputError: a question that is not there (the nearest ones are named), or an answer that is none.
    """
    return _checked(answers, questionnaire or load_questionnaire(), {}, "")


def answers_from(content: bytes, where: str, questionnaire: Questionnaire | None = None) -> dict[str, str]:
    """Answers from a YAML file: question ids with their answers, at the top or under ``answers``.

    Args:
        content: The file.
        where: How it is named in errors.
        questionnaire: The one that ships with the library where None.

    Raises:
        InputError: it is not YAML, has another shape, or see ``checked``; each mistake with its line.
    """
    document = read_document(content, where)
    if document.problems:
        raise InputError(
            "the answers cannot be read",
            where=str(document.problems[0]),
            remedy="Write one question a line: 'ai_system: yes'.",
        )
    plain: dict[str, Any] = document.content
    prefix: tuple[str, ...] = ()
    if "answers" in plain:
        others = [key for key in plain if key != "answers"]
        if others:
            raise InputError(
                f"unknown key {others[0][:60]!r} beside 'answers'",
                where=f"{where}:{document.line_of((others[0],))}",
                remedy="Put every answer under 'answers', or none.",
            )
        plain, prefix = plain["answers"], ("answers",)
    if not isinstance(plain, dict):
        raise InputError(
            "expected questions with their answers",
            where=f"{where}:{document.line_of(prefix)}",
            remedy="Write one question a line: 'ai_system: yes'.",
        )
    lines = {key: document.line_of((*prefix, key)) for key in plain}
    return _checked(plain, questionnaire or load_questionnaire(), lines, where)


def _checked(
    answers: Mapping[str, object], asked: Questionnaire, lines: Mapping[str, int | None], where: str
) -> dict[str, str]:
    kept: dict[str, str] = {}
    mistakes: list[tuple[str, str, str]] = []
    for question_id, word in answers.items():
        place = f"{where}:{lines[question_id]}" if lines.get(question_id) else where
        if question_id not in asked.by_id:
            hint = nearest(str(question_id), asked.by_id) or "'aims systems classify --questions' lists them."
            mistakes.append((place, f"there is no question {str(question_id)[:60]!r}", hint))
            continue
        answer = answer_of(word)
        if answer is not None:
            kept[question_id] = str(answer)
        elif word is not None:
            found = f"{word[:40]!r}" if isinstance(word, str) else type(word).__name__
            hint = nearest(word, [str(one) for one in Answer]) if isinstance(word, str) else ""
            mistakes.append((place, f"{question_id}: expected yes, no or unsure, found {found}", hint))
    if mistakes:
        raise _error(mistakes)
    return {question_id: kept[question_id] for question_id in asked.by_id if question_id in kept}


def _error(mistakes: list[tuple[str, str, str]]) -> InputError:
    if len(mistakes) == 1:
        place, message, hint = mistakes[0]
        return InputError(message, where=place, remedy=hint)
    shown = [f"{f'{place}: ' if place else ''}{message}. {hint}".strip() for place, message, hint in mistakes]
    more = f" And {len(mistakes) - _SHOWN} more." if len(mistakes) > _SHOWN else ""
    return InputError(f"{len(mistakes)} mistakes in the answers", remedy=" ".join(shown[:_SHOWN]) + more)


def next_question(answers: Mapping[str, str], questionnaire: Questionnaire | None = None) -> Question | None:
    """The first question that is not answered and can still change something; None where there is none."""
    asked = questionnaire or load_questionnaire()
    weighed = Weighed(asked, answers)
    return next((q for q in asked.questions if q.id not in answers and weighed.is_asked(q)), None)
