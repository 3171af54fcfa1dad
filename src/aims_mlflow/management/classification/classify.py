"""From answers to a risk class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aims_mlflow.catalog.questionnaire import Question, Questionnaire, load_questionnaire
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.management.classification.answers import checked
from aims_mlflow.management.classification.duties import duties_of
from aims_mlflow.management.classification.outcome import Classification, Matters, OpenQuestion, Reason
from aims_mlflow.management.classification.weighing import (
    CONDITIONS,
    DEFINITION,
    DOCUMENTED,
    EXCLUDED,
    IN_UNION,
    MODEL,
    NO_INFLUENCE,
    PROFILING,
    ROLES,
    SYSTEMIC,
    Leaning,
    Weighed,
)

_SHOWN = 6
_ORDER = (Matters.CLASS, Matters.LIGHTER, Matters.DUTIES)


def classify(answers: Mapping[str, object], questionnaire: Questionnaire | None = None) -> Classification:
    """The risk class that follows from answers, with reasons, duties and what is open. Not legal advice.

    Art. 5 answered yes is prohibited. A high-risk use or product answered yes is high-risk, whatever else is open; that
    Art. 6(3) takes it out has to be shown, and written down. Where nothing is answered so, but one of these questions
    is unsure or unanswered, the class is ``unclassified``, which weighs more than limited or minimal.

    Args:
        answers: Question id to ``yes``, ``no`` or ``unsure``.
        questionnaire: The one that ships with the library where None.

    Raises:
        InputError: a question or answer that is not there.
    """
    asked = questionnaire or load_questionnaire()
    given = checked(answers, asked)
    weighed = Weighed(asked, given)
    risk_class, could_be = _class(weighed), _heaviest(weighed)
    found = _open(weighed, risk_class)
    return Classification(
        risk_class=risk_class,
        could_be=could_be,
        reasons=tuple(_reasons(weighed, risk_class, could_be, found)),
        duties=duties_of(weighed, risk_class),
        open=found,
        roles=tuple(role for role in ROLES if weighed.role(role) is Leaning.YES),
        possible_roles=tuple(role for role in ROLES if weighed.role(role) is Leaning.OPEN),
        contradictions=tuple(_contradictions(weighed)),
        answers=given,
        questionnaire=asked.name,
        notice=asked.notice,
    )


def _class(weighed: Weighed) -> RiskClass:
    if weighed.is_no_ai:
        return RiskClass.MINIMAL
    if weighed.prohibited is Leaning.YES:
        return RiskClass.PROHIBITED
    if weighed.high is Leaning.YES:
        return RiskClass.HIGH
    if Leaning.OPEN in (weighed.prohibited, weighed.high):
        return RiskClass.UNCLASSIFIED
    return RiskClass.LIMITED if weighed.limited > Leaning.NO else RiskClass.MINIMAL


def _heaviest(weighed: Weighed) -> RiskClass:
    """What the class would be with every open question answered for the worse."""
    if weighed.is_no_ai:
        return RiskClass.MINIMAL
    if weighed.prohibited > Leaning.NO:
        return RiskClass.PROHIBITED
    if weighed.high > Leaning.NO:
        return RiskClass.HIGH
    return RiskClass.LIMITED if weighed.limited > Leaning.NO else RiskClass.MINIMAL


# open questions


def _open(weighed: Weighed, risk_class: RiskClass) -> tuple[OpenQuestion, ...]:
    found = [
        OpenQuestion(
            id=question.id,
            text=question.text,
            citation=question.citation,
            answer=weighed.answers.get(question.id),
            matters=_matters(weighed, question, risk_class),
        )
        for question in weighed.questionnaire.questions
        if _is_open(weighed, question)
    ]
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.matters)))


def _is_open(weighed: Weighed, question: Question) -> bool:
    if weighed.of(question.id) is not Leaning.OPEN or not weighed.is_asked(question):
        return False
    if question.under is not None:
        # Where what it stands under is itself open, that is the one question to ask.
        return weighed.of(question.under) is Leaning.YES or question.id in weighed.answers
    uses = weighed.questionnaire.areas.get(question.id)
    return not uses or any(weighed.of(use.id) is Leaning.OPEN for use in uses)


def _matters(weighed: Weighed, question: Question, risk_class: RiskClass) -> Matters:
    match question.part:
        case "definition":
            return Matters.DUTIES if risk_class is RiskClass.MINIMAL else Matters.LIGHTER
        case "prohibited":
            return Matters.CLASS if weighed.prohibited is Leaning.OPEN else Matters.DUTIES
        case "annex_i":
            return Matters.CLASS if weighed.high is Leaning.OPEN else Matters.DUTIES
        case "annex_iii":
            is_deciding = weighed.annex_iii is Leaning.OPEN and weighed.high is Leaning.OPEN
            return Matters.CLASS if is_deciding else Matters.DUTIES
        case "derogation":
            return Matters.DUTIES if weighed.derogated else Matters.LIGHTER
        case "transparency":
            is_deciding = weighed.limited is Leaning.OPEN and risk_class is RiskClass.LIMITED
            return Matters.LIGHTER if is_deciding else Matters.DUTIES
        case _:
            return Matters.DUTIES


# reasons


def _reasons(
    weighed: Weighed, risk_class: RiskClass, could_be: RiskClass, found: tuple[OpenQuestion, ...]
) -> Iterator[Reason]:
    asked = weighed.questionnaire
    match risk_class:
        case RiskClass.PROHIBITED:
            yield from _said_yes(weighed, asked.by_part["prohibited"])
        case RiskClass.HIGH:
            yield from _why_high(weighed)
        case RiskClass.UNCLASSIFIED:
            yield _left_open(could_be, [one.id for one in found if one.matters is Matters.CLASS])
        case RiskClass.LIMITED:
            yield from _derogation(weighed)
            yield from _said_yes(weighed, asked.by_part["transparency"])
            if weighed.limited is Leaning.OPEN:
                asks = [one.id for one in asked.by_part["transparency"] if weighed.of(one.id) is Leaning.OPEN]
                yield _left_open(could_be, asks)
        case RiskClass.MINIMAL if weighed.is_no_ai:
            yield _reason(asked.by_id[DEFINITION])
        case RiskClass.MINIMAL:
            yield from _derogation(weighed)
            yield Reason(
                text="No prohibited practice, no high-risk product or use, and no case of transparency applies.",
                citation="Art. 5, 6 and 50",
            )
    if weighed.is_out_of_reach:
        outside = IN_UNION if weighed.of(IN_UNION) is Leaning.NO else EXCLUDED
        yield Reason(
            text="By the answers the Act does not reach it: the class says how it would stand, and no duty is listed.",
            citation=asked.by_id[outside].citation,
            question=outside,
        )


def _why_high(weighed: Weighed) -> Iterator[Reason]:
    asked = weighed.questionnaire
    if weighed.annex_i is Leaning.YES:
        yield from _said_yes(weighed, asked.by_part["annex_i"])
    if weighed.annex_iii is Leaning.YES:
        yield from _said_yes(weighed, asked.uses)
        if weighed.of(PROFILING) is Leaning.YES:
            yield _reason(asked.by_id[PROFILING])
        elif weighed.of(NO_INFLUENCE) is Leaning.NO or weighed.any_of(CONDITIONS) is Leaning.NO:
            yield Reason(text="The exception for uses without significant risk does not hold.", citation="Art. 6(3)")
        elif weighed.of(DOCUMENTED) is Leaning.NO:
            yield _reason(asked.by_id[DOCUMENTED])
        else:
            yield Reason(text="The exception for uses without significant risk is not shown.", citation="Art. 6(3)")


def _derogation(weighed: Weighed) -> Iterator[Reason]:
    if weighed.derogated and weighed.listed > Leaning.NO:
        asked = weighed.questionnaire
        yield Reason(
            text="A use that Annex III lists or may list; by the documented assessment without significant risk.",
            citation="Art. 6(3) and (4)",
        )
        yield from _said_yes(weighed, [asked.by_id[one] for one in CONDITIONS])


def _left_open(could_be: RiskClass, ids: list[str]) -> Reason:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    verb = "is" if len(ids) == 1 else "are"
    return Reason(
        text=f"It may be {could_be}: {', '.join(ids[:_SHOWN])}{more} {verb} open.", citation="Art. 5, 6 and 50"
    )


def _said_yes(weighed: Weighed, questions: tuple[Question, ...] | list[Question]) -> Iterator[Reason]:
    return (_reason(question) for question in questions if weighed.of(question.id) is Leaning.YES)


def _reason(question: Question) -> Reason:
    return Reason(text=question.consequence, citation=question.citation, question=question.id)


# contradictions


def _contradictions(weighed: Weighed) -> Iterator[str]:
    asked = weighed.questionnaire
    if weighed.of(DEFINITION) is Leaning.NO and not weighed.is_no_ai:
        yield (
            f"{DEFINITION} is answered no, and yet a use or practice that the Act speaks of yes: "
            "the heavier answer counts until one of them is put right"
        )
    for area, uses in asked.areas.items():
        said = [use.id for use in uses if weighed.of(use.id) is Leaning.YES]
        if weighed.answers.get(area) == "no" and said:
            yield f"{area} is answered no, and yet {', '.join(said)} yes: the heavier answer counts"
    if weighed.of(MODEL) is Leaning.NO and weighed.of(SYSTEMIC) is Leaning.YES:
        yield f"{MODEL} is answered no, and yet {SYSTEMIC} yes: the heavier answer counts"
    if all(weighed.role(role) is Leaning.NO for role in ROLES) and not weighed.is_no_ai:
        yield "every role is answered no, so that no duty would be yours: one of them has to be put right"
