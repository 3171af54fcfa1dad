"""What a classification says."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from aims_mlflow.catalog.questionnaire import Confidence
from aims_mlflow.config.models import OrganizationRole
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.evidence.base import Record

_WEIGHT = {
    RiskClass.MINIMAL: 0,
    RiskClass.LIMITED: 1,
    RiskClass.UNCLASSIFIED: 2,
    RiskClass.HIGH: 3,
    RiskClass.PROHIBITED: 4,
}
"""What may yet be high-risk or prohibited weighs more than what is known to be neither."""


def is_lighter(one: RiskClass, other: RiskClass) -> bool:
    """Whether a class weighs less: minimal, limited, unclassified, high, prohibited."""
    return _WEIGHT[one] < _WEIGHT[other]


class Matters(StrEnum):
    """What an open question can change."""

    CLASS = "class"
    """Its answer may make the class heavier, or settle it."""
    LIGHTER = "lighter"
    """Its answer may only make the class lighter."""
    DUTIES = "duties"
    """The class stands; duties or dates may change."""


class Reason(Record):
    """Why the class is what it is."""

    text: str
    citation: str
    question: str | None = None


class OpenQuestion(Record):
    """A question that is unsure or unanswered, and matters."""

    id: str
    text: str
    citation: str
    answer: str | None = None
    """``unsure``; null where it was not answered."""
    matters: Matters


class DueDuty(Record):
    """A duty of the organization."""

    id: str
    what: str
    citation: str
    roles: tuple[str, ...] = ()
    """In which roles it carries it; empty: in any."""
    applies_from: date
    date_citation: str
    confidence: Confidence
    """How sure the date is."""
    certain: bool
    """Whether it is due by the answers given; false: it may be, by a question that is open."""
    note: str | None = None


class Classification(Record):
    """A risk class with its reasons. Not legal advice."""

    risk_class: RiskClass
    could_be: RiskClass
    """The heaviest class the open questions leave."""
    reasons: tuple[Reason, ...]
    duties: tuple[DueDuty, ...] = ()
    """By date, then in the order of the law."""
    open: tuple[OpenQuestion, ...] = ()
    """Those that matter for the class first."""
    roles: tuple[str, ...] = ()
    """What the organization is for the system, by the answers."""
    possible_roles: tuple[str, ...] = ()
    """What it may be as well."""
    contradictions: tuple[str, ...] = ()
    """Answers that do not fit together; the heavier one counts."""
    answers: dict[str, str]
    questionnaire: str
    """Id and version."""
    notice: str

    @property
    def is_settled(self) -> bool:
        """Whether no open question can make the class heavier."""
        return self.risk_class is self.could_be

    @property
    def in_short(self) -> str:
        """The reasons in a line, each with its citation."""
        return " ".join(f"{reason.text} ({reason.citation})" for reason in self.reasons)

    def against(self, declared: RiskClass) -> str | None:
        """What is wrong with a class declared elsewhere, in a sentence; None where it is as heavy, or says nothing."""
        if declared is RiskClass.UNCLASSIFIED or not is_lighter(declared, self.risk_class):
            return None
        if self.risk_class is RiskClass.UNCLASSIFIED:
            return f"it is declared {declared}, while the questionnaire leaves open whether it is {self.could_be}"
        return f"it is declared {declared}, while the questionnaire comes to {self.risk_class}"

    def against_role(self, declared: OrganizationRole) -> str | None:
        """What is wrong with a role declared elsewhere, in a sentence; None where it fits, or says nothing."""
        if declared is OrganizationRole.UNDECLARED:
            return None
        said = _ROLES.get(declared, (str(declared),))
        lacking = [role for role in self.roles if role not in said]
        denied = [role for role in said if role not in (*self.roles, *self.possible_roles)]
        if lacking:
            return f"the role is declared {declared}, while the answers say it is {' and '.join(lacking)}, too"
        if denied:
            return f"the role is declared {declared}, while the answers say it is not {' and '.join(denied)}"
        return None


_ROLES = {OrganizationRole.PROVIDER_AND_DEPLOYER: ("provider", "deployer")}
