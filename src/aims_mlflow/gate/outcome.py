"""What a decision is made of: the facts, the problems, and the decision itself."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from aims_mlflow.config.gate import GateMode
from aims_mlflow.evidence.base import Record, Sha256, UtcTime
from aims_mlflow.gate.entries import Target
from aims_mlflow.gate.statement import Held

CLOCKS_DIFFER = timedelta(minutes=10)
"""By so much the clocks of two machines may differ: what is dated later is dated in the future."""


BREAK_GLASS_DAYS = 7
"""Longest a break-glass may hold."""


LOG_BROKEN = "the transition log is broken"
LOG_AWAY = "the transition log cannot be read"
"""Of what is unreadable: what no assessment can mend."""


class DecisionOutcome(StrEnum):
    """What a decision says."""

    ALLOW = "allow"
    REFUSE = "refuse"
    ALLOW_BY_WAIVER = "allow-by-waiver"
    NOT_GUARDED = "not-guarded"


class Problem(Record):
    """One thing that keeps a move from passing."""

    id: str
    """The control, kind of evidence, or one of ``assessment``, ``content``, ``signature``, ``approvals``, ``rejected``,
    ``held``, ``policy``, ``unreadable``, ``prohibited``."""
    title: str = ""
    """Short title of the control."""
    what: str
    """What is wrong, without a full stop."""
    remedy: str
    """What would mend it: one command or one step."""
    waived_by: Sha256 | None = None
    """Digest of the waiver that covers it."""
    waiver: str = ""
    """The waiver in words: by whom, until when, why."""

    @property
    def could_not_decide(self) -> bool:
        """Whether it says that there is no verdict, rather than a bad one."""
        return self.id in {"policy", "unreadable"}


class VersionFacts(Record):
    """What the registry and the run say of a version now, as opposed to when it was assessed."""

    model: str
    version: str
    source: str | None = None
    """Where its files are, see ``Statement.source``; a copied version's is the original's."""
    run_id: str | None = None
    model_sha256: Sha256 | None = None
    """Over path and content of the files, where they could be hashed."""
    listing_sha256: Sha256 | None = None
    """Over path and size, where only these could be had."""
    evidence_sha256: Sha256 | None = None
    inputs_sha256: Sha256 | None = None
    held: Held | None = None
    """The assessment's statement; None where the version has none."""
    unreadable: tuple[str, ...] = ()
    """What could not be read, each in a few words: never a pass."""
    trained_by: str | None = None
    registered_by: str | None = None
    makers: tuple[str, ...] = ()
    """Whom MLflow named as the user when the run was made, which nobody can change; then everybody the log names as
    having registered it, or what it is a copy of."""


class GateDecision(Record):
    """The decision and everything it rests on."""

    schema_version: Literal["1"] = "1"
    at: UtcTime
    model: str
    version: str
    target: Target
    outcome: DecisionOutcome
    mode: GateMode
    profile: str | None = None
    risk_class: str | None = None
    problems: tuple[Problem, ...] = ()
    """All of them, waived ones too."""
    approved_by: tuple[str, ...] = ()
    approvals: tuple[Sha256, ...] = ()
    waivers: tuple[Sha256, ...] = ()
    break_glass: bool = False
    policy_sha256: Sha256 | None = None
    statement_sha256: Sha256 | None = None
    evidence_sha256: Sha256 | None = None
    model_sha256: Sha256 | None = None
    signed_by: str | None = None
    valid_until: UtcTime | None = None
    """Until when the decision would be the same if nothing but time changed; null where it refuses."""
    approvals_needed: int = Field(default=0, ge=0)

    @property
    def refused(self) -> bool:
        """Whether the registry must be kept from making the move."""
        return self.outcome is DecisionOutcome.REFUSE and self.mode is GateMode.ENFORCE

    @property
    def open_problems(self) -> tuple[Problem, ...]:
        """Those no waiver covers."""
        return tuple(p for p in self.problems if p.waived_by is None)
