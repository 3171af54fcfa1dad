"""The statement as it stands at a date: one line for every control, and what does not fit together. Models only."""

from __future__ import annotations

from collections import Counter
from datetime import date
from enum import StrEnum

from aims_mlflow.assessment import Status
from aims_mlflow.controls import Strength
from aims_mlflow.evidence import DocumentRef
from aims_mlflow.evidence.base import Basis, Record, Sha256, UtcTime
from aims_mlflow.management.applicability import ImplementationStatus


class Decision(StrEnum):
    """What is decided of a control."""

    APPLIES = "applies"
    EXCLUDED = "excluded"
    NOT_DECIDED = "not decided"
    """Nobody decided, or the exclusion does not count. It is then taken as applicable."""


class SoaLine(Record):
    """One control, as it stands for the organization or for a system."""

    id: str
    title: str
    applicable: bool
    """False only for an exclusion that counts."""
    justification: str
    risks: tuple[str, ...] = ()
    """Ids of the risks it treats: those the statement names, then those that name the control."""
    status: ImplementationStatus | None = None
    """Null where no statement on record speaks of the control, and where it is left out."""
    evidence: str | None = None
    """What evidence shows, in words; null where none was looked at."""
    owner: str | None = None
    next_review: date | None = None
    scope: str = ""
    """Whose word it is: ``organization``, ``overlay of <system>``, ``aims.yaml``; empty where nobody said."""
    decision: Decision
    group: str
    """Id of the objective it stands under."""
    framework: str
    own: bool = False
    """Whether it is a control of the organization's own, beside Annex A."""
    evidence_status: Status | None = None
    evidence_strength: Strength | None = None
    evidence_basis: Basis | None = None


class SoaFinding(Record):
    """Something that does not fit, or is open."""

    code: str
    control: str | None = None
    where: str
    """The record it is about, ``soa:soa``, or ``aims.yaml``."""
    what: str
    """In one sentence."""
    remedy: str
    contradiction: bool = True
    """False where something is only missing yet."""

    def __str__(self) -> str:
        head = f"{self.control}: " if self.control else ""
        return f"{head}{self.what} ({self.where}). {self.remedy}"


class SoaSource(Record):
    """A record the statement is made of."""

    record: str
    """``soa:soa``."""
    revision: int
    sha256: Sha256
    """Digest of the record."""
    owner: str
    approver: str | None = None
    valid_from: date
    valid_until: date | None = None
    recorded_at: UtcTime
    run_id: str | None = None
    systems: tuple[str, ...] = ()
    document: DocumentRef | None = None
    lack: str = ""
    """Why no exclusion of it counts; empty where they do."""


class Soa(Record):
    """The Statement of Applicability of the organization, or of a system (with the system's own lines in it)."""

    at: UtcTime
    system: str | None = None
    system_name: str | None = None
    role: str | None = None
    """What the organization is for the system: provider, deployer..."""
    sources: tuple[SoaSource, ...] = ()
    """The records it is made of: the organization's, then the system's."""
    sha256: Sha256 | None = None
    """Digest of the record; of several, over their digests. Null where there is none."""
    lines: tuple[SoaLine, ...]
    """Every control of Annex A, in order, then the organization's own."""
    groups: dict[str, str]
    """Objective id to title."""
    findings: tuple[SoaFinding, ...] = ()
    """Contradictions first."""

    @property
    def counts(self) -> dict[Decision, int]:
        """Decision to number of controls, every decision named."""
        counted = Counter(line.decision for line in self.lines)
        return {decision: counted[decision] for decision in Decision}

    @property
    def contradictions(self) -> tuple[SoaFinding, ...]:
        """The findings that do not fit together."""
        return tuple(f for f in self.findings if f.contradiction)

    @property
    def version(self) -> str:
        """``soa:soa revision 3``; with the system's own behind it; empty where there is none."""
        return ", ".join(f"{source.record} revision {source.revision}" for source in self.sources)
