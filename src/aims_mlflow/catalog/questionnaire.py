"""The questionnaire on the EU AI Act as data: questions, dates and duties, each with the place of the law it cites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field

from aims_mlflow.catalog.files import build, table
from aims_mlflow.catalog.register import nearest
from aims_mlflow.config.document import read_document
from aims_mlflow.errors import CatalogError
from aims_mlflow.evidence.base import Record

BUILT_IN = "ai_act_questions.yaml"

Part = Literal[
    "definition", "reach", "prohibited", "annex_i", "annex_iii", "derogation", "transparency", "gpai", "role", "detail"
]
Route = Literal["always", "prohibited", "annex_i", "annex_iii", "asked"]
"""What brings a duty about: being an AI system, a prohibited practice, a way to be high-risk, an answer."""
Confidence = Literal["high", "medium", "low"]


class LawSource(Record):
    """What was read."""

    title: str
    url: str
    published: date


class LawDate(Record):
    """When a part of the law applies."""

    date: date
    citation: str
    sources: tuple[str, ...] = Field(min_length=1)
    confidence: Confidence


class Question(Record):
    """One question, to be answered with yes, no or unsure."""

    id: str
    part: Part
    text: str
    citation: str
    consequence: str
    """What follows, as a sentence."""
    under: str | None = None
    """The question it stands under, e.g. that on the area of Annex III: a no there answers it."""
    help: str | None = None
    date: str | None = None
    """Id of the date from which it counts, where that is not the one of its part."""


class Duty(Record):
    """A duty of a role."""

    id: str
    what: str
    citation: str
    due: Literal["always", "prohibited", "high", "derogated", "asked"]
    """What brings it about; ``derogated``: a listed use that is not high-risk by Art. 6(3)."""
    roles: tuple[str, ...] = ()
    """Questions of the part ``role`` that name who carries it; empty: everyone."""
    any_of: tuple[str, ...] = ()
    """It is due only where one of these is not answered no."""
    both: tuple[str, ...] = Field(default=(), alias="and")
    """And only where none of these is answered no."""
    not_for: tuple[str, ...] = ()
    """Uses of Annex III that do not bring it about."""
    dates: dict[Route, str] = Field(alias="from")
    """Route to the id of the date it applies from."""
    note: str | None = None


class Reading(Record):
    """How a passage was read."""

    note: str
    citation: str
    confidence: Confidence


class Questionnaire(Record):
    """Everything the file says."""

    id: str
    title: str
    version: str
    """The day it was last held against its sources."""
    notice: str
    note: str
    sources: dict[str, LawSource]
    dates: dict[str, LawDate]
    parts: dict[Part, str]
    questions: tuple[Question, ...]
    duties: tuple[Duty, ...]
    reading: tuple[Reading, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Question]:
        """Question by id, in order."""
        return {question.id: question for question in self.questions}

    @cached_property
    def by_part(self) -> Mapping[Part, tuple[Question, ...]]:
        """Questions of each part, in order."""
        return {part: tuple(q for q in self.questions if q.part == part) for part in self.parts}

    @cached_property
    def areas(self) -> Mapping[str, tuple[Question, ...]]:
        """Area of Annex III to the uses in it; an area without any is itself a use."""
        asked = self.by_part["annex_iii"]
        return {q.id: tuple(use for use in asked if use.under == q.id) for q in asked if q.under is None}

    @cached_property
    def uses(self) -> tuple[Question, ...]:
        """The uses of Annex III: what makes a system high-risk."""
        return tuple(use for area, uses in self.areas.items() for use in (uses or (self.by_id[area],)))

    @property
    def name(self) -> str:
        """Id and version, as records keep it."""
        return f"{self.id} {self.version}"


@lru_cache(maxsize=1)
def load_questionnaire() -> Questionnaire:
    """The questionnaire that ships with the library.

    Raises:
        CatalogError: the file is wrong; the first mistake is named.
    """
    return questionnaire_of((files("aims_mlflow.catalog") / BUILT_IN).read_bytes(), where=BUILT_IN)


def questionnaire_of(content: bytes, *, where: str) -> Questionnaire:
    """A questionnaire from the bytes of its file.

    Args:
        content: YAML.
        where: How the file is named in errors.

    Raises:
        CatalogError: it is not YAML, a field is missing or wrong, or it names a question, date or source that is not
            there.
    """
    document = read_document(content, where)
    if document.problems:
        raise CatalogError("the file cannot be read", where=str(document.problems[0]))
    plain: dict[str, Any] = document.content
    made = build(
        Questionnaire,
        table(plain, "questionnaire", where=where)
        | {name: plain.get(name) for name in ("sources", "dates", "parts", "questions", "duties", "reading")},
        where=where,
    )
    _check(made, where)
    return made


def _check(made: Questionnaire, where: str) -> None:
    for kind, ids in (("question", [q.id for q in made.questions]), ("duty", [d.id for d in made.duties])):
        repeated = [one for number, one in enumerate(ids) if one in ids[:number]]
        if repeated:
            raise CatalogError(f"the {kind} {repeated[0]!r} stands twice", where=where)
    for named, there, what, place in _names(made):
        if named not in there:
            raise CatalogError(f"there is no {what} {named!r}", where=f"{where}, {place}", remedy=nearest(named, there))


def _names(made: Questionnaire) -> Iterator[tuple[str, Iterable[str], str, str]]:
    for name, when in made.dates.items():
        yield from ((source, made.sources, "source", f"date {name}") for source in when.sources)
    for question in made.questions:
        here = f"question {question.id}"
        yield question.part, made.parts, "part", here
        if question.under is not None:
            before = {q.id for q in made.by_part[question.part] if q.under is None}
            yield question.under, before, "question in this part", here
        if question.date is not None:
            yield question.date, made.dates, "date", here
    roles = {q.id for q in made.by_part["role"]}
    uses = {q.id for q in made.uses}
    for duty in made.duties:
        here = f"duty {duty.id}"
        yield from ((role, roles, "role", here) for role in duty.roles)
        yield from ((asked, made.by_id, "question", here) for asked in (*duty.any_of, *duty.both))
        yield from ((use, uses, "use of Annex III", here) for use in duty.not_for)
        yield from ((when, made.dates, "date", here) for when in duty.dates.values())
