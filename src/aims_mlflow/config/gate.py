"""The gate's policy, section ``gate`` of ``aims.yaml``: which moves in the registry are guarded, what each needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from aims_mlflow.config.sections import RiskClass, Section
from aims_mlflow.evidence.base import Basis

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""A name, or a pattern with ``*`` and ``?``; letters' case does not matter."""
PublicKey = Annotated[str, StringConstraints(pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$")]
"""A public key as ``aims keygen`` prints it."""


class GateMode(StrEnum):
    """What the gate does with a move it would refuse."""

    OBSERVE = "observe"
    """Let it pass, and write into the log that it would have been refused."""
    ENFORCE = "enforce"
    """Refuse it."""


class ApprovalRule(Section):
    """Whose approval a move needs."""

    count: int = Field(default=0, ge=0, le=20)
    """Number of different persons."""
    roles: tuple[str, ...] = ()
    """Roles of which each must be among the approvers."""
    four_eyes: bool = True
    """Whoever trained or registered the version may not be the sole approver."""
    identity: Literal["claimed", "authenticated", "signed"] = "claimed"
    """How an approver must be known: as the command said, by the server's login, or by a key of ``people``. A stronger
    way serves for a weaker one."""
    max_age_days: int | None = Field(default=None, ge=1)
    """An older approval does not count; null: only its own expiry binds."""


class GateProfile(Section):
    """What a guarded move needs."""

    controls: tuple[str, ...] = ()
    """Ids of clauses and controls that must be satisfied. One the system's own declaration excludes is not."""
    evidence: tuple[str, ...] = ()
    """Kinds of evidence (``data_quality``, ``drift``, ``performance``...) whose verdict must be pass."""
    minimum_basis: Basis = Basis.ATTESTED
    """The weakest basis a required control may rest on: measured, reported, declared, attested."""
    basis: dict[str, Basis] = Field(default_factory=dict)
    """The same for single controls."""
    uncertain: Literal["refuse", "allow"] = "refuse"
    """What an uncertain verdict means. Stale, missing and unreadable evidence always refuses."""
    max_age_days: int = Field(default=30, ge=1)
    """Greatest age of the assessment."""
    signed: bool = False
    """The assessment must be signed by a key of ``trusted_keys``."""
    files: Literal["hash", "listing"] = "listing"
    """How the model's files are compared with those assessed: by content, or by path and size where hashing them would
    mean a download. Files on the server's own disk are always hashed."""
    approvals: ApprovalRule = ApprovalRule()
    waivers: bool = True
    """Whether a waiver or a break-glass may let a move pass."""
    not_waivable: tuple[str, ...] = ()
    """Controls and evidence kinds no waiver covers."""


class GateRule(Section):
    """Moves of some models that are guarded in one way. The first rule that names a move decides."""

    models: tuple[Pattern, ...] = ("*",)
    """Registered models."""
    aliases: tuple[Pattern, ...] = ()
    stages: tuple[Pattern, ...] = ()
    new_versions: bool = False
    """Guard the making of versions too: for models whose very name is a promise, to which others are promoted by
    copying."""
    mode: GateMode | None = None
    """Null: the mode of the section."""
    profile: str | None = None
    """Name of a profile; null: the one of the risk class."""
    risk_class: RiskClass | None = None
    """Null: the system's."""


class GatePerson(Section):
    """Someone who may approve."""

    logins: tuple[str, ...] = ()
    """Other names the person is known by: user names of the tracking server or of the machine."""
    roles: tuple[str, ...] = ()
    """Roles the person may approve in; empty: none is confirmed."""
    key: PublicKey | None = None


class GatePolicy(Section):
    """The whole section. Absent, the gate has no policy and refuses every move it is put in front of."""

    mode: GateMode = GateMode.ENFORCE
    guarded: tuple[GateRule, ...] = ()
    profiles: dict[str, GateProfile] = Field(default_factory=dict)
    """Own profiles, or others in place of ``minimal``, ``limited`` and ``high``."""
    people: dict[str, GatePerson] = Field(default_factory=dict)
    """Name to who it is. Where any are named, only they may approve, each in the roles given."""
    trusted_keys: dict[str, PublicKey] = Field(default_factory=dict)
    """Name to public key of those who may sign assessments: a CI job's, a service's."""
    servers: dict[str, PublicKey] = Field(default_factory=dict)
    """Name to public key of the gated servers whose word on a login is believed; a server believes its own."""
