"""The duties that follow from answers, with the date each applies from."""

from __future__ import annotations

from datetime import date

from aims_mlflow.catalog.questionnaire import Duty, LawDate, Route
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.management.classification.outcome import DueDuty
from aims_mlflow.management.classification.weighing import ROLES, Leaning, Weighed


def duties_of(weighed: Weighed, risk_class: RiskClass) -> tuple[DueDuty, ...]:
    """Duties by date, then in the order of the law; none where the Act does not cover or reach the system.

    What an open question may bring about is listed too, as not certain.
    """
    if weighed.is_no_ai or weighed.is_out_of_reach:
        return ()
    found = [due for duty in weighed.questionnaire.duties if (due := _due(weighed, duty, risk_class)) is not None]
    return tuple(sorted(found, key=lambda due: due.applies_from))


def _due(weighed: Weighed, duty: Duty, risk_class: RiskClass) -> DueDuty | None:
    if risk_class is RiskClass.PROHIBITED and duty.due != "prohibited":
        return None
    routes = _routes(weighed, duty)
    roles = {role: weighed.role(role) for role in duty.roles}
    parts = [
        max(routes.values(), default=Leaning.NO),
        max(roles.values(), default=Leaning.YES),
        weighed.any_of(duty.any_of) if duty.any_of else Leaning.YES,
        *(weighed.of(question) for question in duty.both),
    ]
    if min(parts) is Leaning.NO:
        return None
    when = min(
        (_date(weighed, duty, route) for route, leaning in routes.items() if leaning > Leaning.NO),
        key=lambda one: one.date,
    )
    return DueDuty(
        id=duty.id,
        what=duty.what,
        citation=duty.citation,
        roles=tuple(role for role in ROLES if roles.get(role, Leaning.NO) > Leaning.NO),
        applies_from=when.date,
        date_citation=when.citation,
        confidence=when.confidence,
        certain=min(parts) is Leaning.YES,
        note=duty.note,
    )


def _routes(weighed: Weighed, duty: Duty) -> dict[Route, Leaning]:
    """What may bring it about; of high-risk systems only the ways it has a date for."""
    match duty.due:
        case "always":
            return {"always": Leaning.YES}
        case "asked":
            return {"asked": Leaning.YES}
        case "prohibited":
            return {"prohibited": weighed.prohibited}
        case "derogated":
            is_out = weighed.derogated and weighed.high < Leaning.YES
            return {"annex_iii": weighed.listed if is_out else Leaning.NO}
        case "high":
            ways: dict[Route, Leaning] = {"annex_iii": _annex_iii(weighed, duty), "annex_i": weighed.annex_i}
            return {route: leaning for route, leaning in ways.items() if route in duty.dates}


def _annex_iii(weighed: Weighed, duty: Duty) -> Leaning:
    if weighed.derogated:
        return Leaning.NO
    return weighed.any_of(use.id for use in weighed.questionnaire.uses if use.id not in duty.not_for)


def _date(weighed: Weighed, duty: Duty, route: Route) -> LawDate:
    """The date of a route; of prohibited practices the earliest of those it is about."""
    asked = weighed.questionnaire
    if route != "prohibited":
        return asked.dates[duty.dates[route]]
    meant = [q for q in asked.by_part["prohibited"] if weighed.of(q.id) is weighed.prohibited]
    return min((asked.dates[q.date or duty.dates[route]] for q in meant), key=_day)


def _day(when: LawDate) -> date:
    return when.date
