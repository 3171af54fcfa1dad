"""The systems as they are listed: what is declared, which models and versions belong to it, and what is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from pydantic import Field

from aims_mlflow.config.models import OrganizationRole
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.classification import Classification
from aims_mlflow.management.declared_systems import Contradiction
from aims_mlflow.management.in_service import InService
from aims_mlflow.management.inventory import CONTESTED, InventoriedSystem, Inventory
from aims_mlflow.management.state import Problem
from aims_mlflow.management.systems import SystemContent


class ServedEntry(Record):
    """A version in service, as its tags say it stands."""

    model: str
    version: str
    targets: tuple[str, ...]
    status: str
    """``aims.status``; ``not-assessed`` without one, ``stale`` where what it rests on has lapsed since."""
    fresh_until: date | None = None


class SystemEntry(Record):
    """A declared system."""

    id: str
    name: str
    organization_role: OrganizationRole = OrganizationRole.UNDECLARED
    risk_class: RiskClass = RiskClass.UNCLASSIFIED
    risk_reason: str | None = None
    lifecycle_stage: str | None = None
    owner: str
    valid_until: date | None = None
    revision: int
    models: tuple[str, ...] = ()
    """Registered models it claims."""
    versions: tuple[ServedEntry, ...] = ()
    """In service: an alias or stage points to them."""
    problems: tuple[str, ...] = ()


class SystemsView(Record):
    """All systems, prohibited and high-risk ones first, then unclassified ones; and what belongs to none."""

    at: UtcTime
    systems: tuple[SystemEntry, ...] = ()
    undeclared: tuple[str, ...] = ()
    """Registered models that belong to no declared system."""
    contested: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Registered models that several systems claim."""
    without_models: tuple[str, ...] = ()
    """Ids of systems without a registered model."""
    problems: tuple[Problem, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every registered model belongs to one system, and nothing is wrong with a declaration."""
        return not (self.undeclared or self.contested or self.problems)


class SystemDetail(Record):
    """One system in full."""

    entry: SystemEntry
    content: SystemContent | None
    """None where what is on record cannot be read."""
    classification: Classification | None = None
    """By the answers on record; null without answers."""
    contradictions: tuple[Contradiction, ...] = ()
    unread: tuple[str, ...] = ()
    """Runs whose declaration could not be read: whether they contradict is not known."""

    @property
    def is_clear(self) -> bool:
        """Whether nothing contradicts the record, and nothing is wrong with it."""
        return not (self.contradictions or self.unread or self.entry.problems)


def view_of(inventory: Inventory, served: Mapping[str, Iterable[InService]], at: UtcTime) -> SystemsView:
    """The systems as they are listed.

    Args:
        inventory: Systems and their models.
        served: Registered model to its versions in service.
        at: The moment: what was fresh until before it is stale.
    """
    return SystemsView(
        at=at,
        systems=tuple(entry_of(one, inventory, served, at.date()) for one in inventory.systems),
        undeclared=inventory.undeclared,
        contested=dict(inventory.contested),
        without_models=inventory.without_models,
        problems=inventory.problems,
    )


def entry_of(
    one: InventoriedSystem, inventory: Inventory, served: Mapping[str, Iterable[InService]], today: date
) -> SystemEntry:
    """One line of the list."""
    content, record = one.content, one.record
    known = content or SystemContent(name=one.id)
    return SystemEntry(
        id=one.id,
        name=one.name,
        organization_role=known.organization_role,
        risk_class=known.risk_class,
        risk_reason=known.risk_reason,
        lifecycle_stage=known.lifecycle_stage,
        owner=record.owner,
        valid_until=record.valid_until,
        revision=record.revision,
        models=one.models,
        versions=tuple(served_entry(version, today) for model in one.models for version in served.get(model, ())),
        problems=tuple(_problems(one, inventory)),
    )


def _problems(one: InventoriedSystem, inventory: Inventory) -> Iterator[str]:
    for problem in inventory.problems:
        if problem.id == one.id and problem.code != CONTESTED:
            yield f"{problem.what}. {problem.remedy}"
    for model in one.models:
        others = [system for system in inventory.contested.get(model, ()) if system != one.id]
        if others:
            yield f"the registered model {model!r} is claimed by {', '.join(others)} as well"


def served_entry(version: InService, today: date) -> ServedEntry:
    """A version with its status; a date that cannot be read counts as past."""
    status, until = version.tags.get("aims.status"), version.tags.get("aims.fresh_until", "none")
    fresh_until, is_past = _day(until, today)
    if status is None:
        status = "not-assessed"
    elif is_past and status in _MAY_LAPSE:
        status = "stale"
    return ServedEntry(
        model=version.model,
        version=version.version,
        targets=version.targets,
        status=status,
        fresh_until=fresh_until,
    )


_MAY_LAPSE = frozenset({"pass", "warn"})
"""What was bad stays bad; what was good or open no longer holds."""


def _day(text: str, today: date) -> tuple[date | None, bool]:
    if text == "none":
        return None, False
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None, True
    return day, day < today
