"""The risks a Statement of Applicability speaks of, or that name its controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pydantic import ValidationError

from aims_mlflow.management.risks import RiskContent
from aims_mlflow.management.state import State


@dataclass(frozen=True)
class KnownRisk:
    """A risk on record."""

    id: str
    systems: tuple[str, ...]
    controls: tuple[str, ...]
    """Controls that treat it."""
    gone: str
    """Why it is no open risk; empty where it is one."""


@dataclass(frozen=True)
class Risks:
    """The risks on record."""

    known: Mapping[str, KnownRisk]
    system: str | None

    def that_name(self, control: str) -> tuple[str, ...]:
        """Ids of the open risks that bear on the system (for the organization: its own) and name the control."""
        return tuple(risk.id for risk in self.bearing if control in risk.controls)

    @cached_property
    def bearing(self) -> tuple[KnownRisk, ...]:
        """The open ones that bear on the system; for the organization those of no system."""
        found = (risk for risk in self.known.values() if not risk.gone)
        return tuple(risk for risk in found if not risk.systems or self.system in risk.systems)


def risks_of(state: State, system: str | None) -> Risks:
    """All risks on record, those that count for nothing too, each with why."""
    return Risks(_known(state), system)


@lru_cache(maxsize=1)
def _known(state: State) -> Mapping[str, KnownRisk]:
    """The risks, read once for all systems of a state, which is equal to itself alone."""
    known = {}
    for (type_, id_), one in state.current.items():
        if type_ != "risk":
            continue
        record = one.record
        try:
            content = RiskContent.model_validate(record.content)
        except ValidationError:
            known[id_] = KnownRisk(id_, record.systems, (), "its content cannot be read")
            continue
        gone = "it is closed" if content.status == "closed" else ""
        if record.withdrawn is not None:
            gone = "it was withdrawn"
        elif one.deleted or record.key in state.blocked:
            gone = "something is wrong with its record"
        known[id_] = KnownRisk(id_, record.systems, content.controls, gone)
    return known
