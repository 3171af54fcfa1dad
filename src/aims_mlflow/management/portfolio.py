"""How the systems of an organization stand: one line for every row of the register, for each system. Models only."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from aims_mlflow.assessment import Ground, Status
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.controls import Strength
from aims_mlflow.evidence.base import Basis, Record, UtcTime
from aims_mlflow.gate.statement import Statement


class RowStanding(Record):
    """One clause or control, as it stands for one system (or for the organization, where there is no system)."""

    id: str
    title: str
    kind: str
    status: Status
    strength: Strength
    basis: Basis | None = None
    """The weakest basis of what it rests on; null without evidence."""
    reason: str
    next_step: str
    valid_until: UtcTime | None = None
    """Until when it holds; of a stale one, when it lapsed."""
    until_ground: Ground | None = None
    """What says so."""
    records: tuple[str, ...] = ()
    """Management records it rests on, ``type:id``."""
    versions: tuple[str, ...] = ()
    """Versions in service that decide it, ``name/version``; empty where only records do."""
    owner: str | None = None
    """Who answers for what is to be done: the owner of the record that lapses, else of the system."""
    maturity: int = Field(default=0, ge=0, le=4)
    """Capped by the evidence it rests on, see ``maturity``; of several versions the least."""
    is_fresh: bool = False
    """Whether all it rests on is current: nothing it needs is missing, lapsed or could not be judged."""
    decided_by: str = ""
    """The requirement that decides it, by its id; empty where all are met."""


@dataclass(frozen=True)
class ServedVersion:
    """A registered version that serves: an alias or stage points to it."""

    registered_name: str
    version: str
    targets: tuple[str, ...]
    """``alias champion``, ``stage Production``."""
    statement: Statement | None = None
    """Its assessment in short (tag ``aims.vsa``)."""
    problem: str = ""
    """Why there is none that counts: never assessed, unreadable..."""
    is_broken: bool = False
    """Whether there is one that cannot be read or believed: an error, where an absent one is no evidence."""
    remedy: str = ""
    """What to do about the problem."""
    status: str = ""
    """Its tag ``aims.status``: a signpost, on which nothing rests."""

    @property
    def uri(self) -> str:
        """``name/version``."""
        return f"{self.registered_name}/{self.version}"


@dataclass(frozen=True)
class SystemStanding:
    """One AI system."""

    system: str | None
    """Its id; None: the organization alone, where no system is declared."""
    name: str
    risk_class: RiskClass
    owner: str | None = None
    lifecycle_stage: str | None = None
    versions: tuple[ServedVersion, ...] = ()
    rows: dict[str, RowStanding] = field(default_factory=dict)
    """Every row of the register, in its order."""
    models: tuple[str, ...] = ()
    """Registered models that belong to it."""


@dataclass(frozen=True)
class Portfolio:
    """All systems, high-risk ones first, and what belongs to none."""

    at: UtcTime
    systems: tuple[SystemStanding, ...]
    undeclared: tuple[str, ...] = ()
    """Registered models that belong to no declared system."""
    problems: tuple[str, ...] = ()
    """What is wrong with the inventory: models two systems claim, declarations that lapsed or were deleted."""

    def get(self, system: str | None) -> SystemStanding | None:
        """The system of that id; None where there is none."""
        return next((one for one in self.systems if one.system == system), None)
