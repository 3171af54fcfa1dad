"""A system as ``aims.yaml`` declares it, held against its record: what to file, and where the two contradict. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aims_mlflow.config.completeness import is_filled
from aims_mlflow.config.models import Declaration
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Record
from aims_mlflow.management.classification import Classification, classify, is_lighter
from aims_mlflow.management.systems import SystemContent

_FROM_SYSTEM = (
    "purpose",
    "intended_use",
    "not_for",
    "organization_role",
    "lifecycle_stage",
    "affected_groups",
    "human_oversight",
)
_HERE = (*_FROM_SYSTEM, "name", "registered_models", "risk_class")
"""What an ``aims.yaml`` at hand and the record should agree on."""
_OF_A_RUN = ("purpose", "intended_use", "not_for", "organization_role", "risk_class")
"""What the ``aims.yaml`` of a run that serves should still say: stage, name and models may have moved on."""


class Contradiction(Record):
    """Where the inventory and something else say different things."""

    field: str
    inventory: str
    """What the inventory says; ``nothing`` where it says nothing."""
    said: str
    """What the other says, or why the inventory cannot be right."""
    by: str
    """Who says it: ``aims.yaml``, ``run ...``, ``questionnaire``."""

    def __str__(self) -> str:
        return f"{self.field}: the inventory says {self.inventory}, {self.by} says {self.said}"


def content_from(declaration: Declaration, sha256: str | None, before: SystemContent | None) -> SystemContent:
    """The content of a system's record, from its declaration.

    What ``aims.yaml`` has no word for (regions, answers to the questionnaire) stays as it was. Once the questionnaire
    was answered, a lighter class in ``aims.yaml`` does not replace the one it came to.

    Args:
        declaration: It names the system.
        sha256: Digest of its file.
        before: The content on record.
    """
    system = declaration.system
    kept = before or SystemContent(name=str(system.id))
    risk_class, reason = _class_from(declaration, before)
    return SystemContent(
        **{name: getattr(system, name) for name in _FROM_SYSTEM},
        name=system.name if system.name and is_filled(system.name) else str(system.id),
        registered_models=declaration.registered_models,
        risk_class=risk_class,
        risk_reason=reason,
        answers=kept.answers,
        questionnaire=kept.questionnaire,
        regions=kept.regions,
        data_sources=tuple(sorted(declaration.datasets)),
        declaration_sha256=sha256,
    )


def is_same(one: SystemContent, other: SystemContent) -> bool:
    """Whether two contents say the same of the system, whatever else changed in the file they were taken from."""
    return one.model_copy(update={"declaration_sha256": other.declaration_sha256}) == other


def classified(
    content: SystemContent, outcome: Classification, declared: RiskClass = RiskClass.UNCLASSIFIED
) -> SystemContent:
    """The content with answers and class of a questionnaire.

    Args:
        content: As it was.
        outcome: Of the questionnaire.
        declared: The class ``aims.yaml`` declares: where it is heavier, it stays.
    """
    heavier = is_lighter(outcome.risk_class, declared) and declared is not RiskClass.UNCLASSIFIED
    return content.model_copy(
        update={
            "answers": outcome.answers,
            "questionnaire": outcome.questionnaire,
            "risk_class": declared if heavier else outcome.risk_class,
            "risk_reason": content.risk_reason if heavier else outcome.in_short,
        }
    )


def outcome_of(content: SystemContent) -> Classification | None:
    """What the answers on record come to today; None without answers, or where the questions are no longer asked."""
    if not content.answers:
        return None
    try:
        return classify(content.answers)
    except InputError:
        return None


def against_declaration(
    content: SystemContent, system: str, declaration: Declaration, *, by: str, of_a_run: bool = False
) -> Iterator[Contradiction]:
    """Where a declaration says other than the record. What it leaves out says nothing.

    Args:
        content: The record's content.
        system: The record's id.
        declaration: The other's word.
        by: Who that is.
        of_a_run: Whether it is what a run was captured with: then only what must still hold is compared.
    """
    if is_filled(declaration.system.id) and declaration.system.id != system:
        yield Contradiction(field="id", inventory=system, said=str(declaration.system.id), by=by)
        return
    for name in _OF_A_RUN if of_a_run else _HERE:
        said = getattr(declaration if name == "registered_models" else declaration.system, name)
        known = getattr(content, name)
        if is_filled(said) and said != known:
            yield Contradiction(field=name, inventory=_shown(known), said=_shown(said), by=by)


def against_questionnaire(content: SystemContent, outcome: Classification | None) -> Iterator[Contradiction]:
    """Where the record's class and role do not fit the answers on record.

    Args:
        content: The record's content.
        outcome: Of ``outcome_of``.
    """
    if outcome is None:
        if content.answers:
            yield Contradiction(
                field="answers",
                inventory=f"answers to {content.questionnaire or 'an earlier questionnaire'}",
                said="that it no longer knows these questions: answer it again",
                by="the questionnaire",
            )
        return
    if is_lighter(content.risk_class, outcome.risk_class):
        yield Contradiction(
            field="risk_class",
            inventory=str(content.risk_class),
            said=f"{outcome.risk_class} ({outcome.in_short})",
            by="the questionnaire",
        )
    if outcome.against_role(content.organization_role):
        yield Contradiction(
            field="organization_role",
            inventory=str(content.organization_role),
            said=" and ".join(outcome.roles) or "none",
            by="the questionnaire",
        )
    for text in outcome.contradictions:
        yield Contradiction(field="answers", inventory="both", said=text, by="the questionnaire")


def _class_from(declaration: Declaration, before: SystemContent | None) -> tuple[RiskClass, str | None]:
    system = declaration.system
    declared = (system.risk_class, system.risk_reason)
    if before is None or not before.answers:
        return declared
    outcome = outcome_of(before)
    known = (outcome.risk_class, outcome.in_short) if outcome else (before.risk_class, before.risk_reason)
    is_heavier = system.risk_class is not RiskClass.UNCLASSIFIED and is_lighter(known[0], system.risk_class)
    return declared if is_heavier else known


def _shown(value: Any) -> str:
    if not is_filled(value):
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
