"""What a comparison of registry and log says."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from aims_mlflow.evidence.base import Record, Sha256, UtcTime
from aims_mlflow.gate.entries import Level, Target


class Kind(StrEnum):
    """What does not agree."""

    BYPASSED = "bypassed"
    """The registry stands otherwise than the last move in the log left it."""
    NOT_MADE = "not-made"
    """A move was decided and written down, and the registry stands as before it."""
    LAPSED = "lapsed"
    """What serves would be refused now."""
    UNASSESSED = "unassessed"
    """No assessment."""
    CHANGED = "changed"
    """Files or evidence are no longer those that were assessed."""
    TAGS = "tags"
    """Tags of ours say other than the assessment."""
    LOG = "log"
    """The log is broken, or other than the anchor file knows it."""
    RUNNING = "running"
    """A run that was never ended."""


class Discrepancy(Record):
    """One thing that does not agree."""

    kind: Kind
    level: Level
    """How far the gate holds what this is about: ``enforced`` where a server's gate decided on it, ``advised`` where
    the process that made it did, ``detected`` where nothing did and it is only found afterwards."""
    model: str | None = None
    version: str | None = None
    target: Target | None = None
    run_id: str | None = None
    what: str
    """What is wrong, without a full stop."""
    remedy: str
    """What would mend it: one command or one step."""
    recorded: bool = False
    """Whether the log was told."""
    tagged: str | None = None
    """What ``aims.status`` was set to."""

    def __str__(self) -> str:
        about = " ".join(part for part in (self.model, self.version) if part) or (
            f"run {self.run_id}" * bool(self.run_id)
        )
        where = f" → {self.target}" if self.target is not None and self.model else ""
        return f"{about}{where}: {self.what}" if about else self.what


class Reconciliation(Record):
    """All that does not agree."""

    schema_version: Literal["1"] = "1"
    at: UtcTime
    models: tuple[str, ...] = ()
    """Registered models looked at."""
    findings: tuple[Discrepancy, ...] = ()
    unreadable: tuple[str, ...] = ()
    """What could not be looked at: that nothing was found there says nothing."""
    policy_sha256: Sha256 | None = None

    @property
    def clean(self) -> bool:
        """Whether everything could be looked at and nothing was found."""
        return not self.findings and not self.unreadable
