"""What a comparison of registry and log says."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from aims_mlflow.evidence.base import Record, Sha256, UtcTime
from aims_mlflow.gate.entries import Level, Target


class Kind(StrEnum):
    """What does not agree."""

    BYPASSED = "bypassed"
    """Not in the log: the registry stands otherwise than the last move in the log left it.

    It went past the gate, or was made before it was guarded.
    """
    NOT_MADE = "not-made"
    """A move was decided and written down, and the registry stands as before it."""
    LAPSED = "lapsed"
    """What serves was allowed once, and would be refused now."""
    NEVER_VALID = "never-valid"
    """What serves would be refused now, and no move in the log was ever allowed."""
    UNASSESSED = "unassessed"
    """No assessment."""
    CHANGED = "changed"
    """Files or evidence are no longer those that were assessed."""
    TAGS = "tags"
    """Tags of ours say other than the assessment."""
    HELD = "held"
    """A serious incident is open and the log does not hold the model, or the other way round."""
    LOG = "log"
    """The log is broken, or other than the anchor file knows it."""
    RUNNING = "running"
    """A run that was never ended."""


WORDS = {
    Kind.BYPASSED: "not in the log",
    Kind.NOT_MADE: "not made",
    Kind.NEVER_VALID: "never valid",
    Kind.HELD: "incident and hold",
    Kind.RUNNING: "left running",
}
"""What people read, where it is more than the kind's own word."""
LEVELS = {
    Level.ENFORCED: "a server's gate decided, which binds everyone",
    Level.ADVISED: "the process that made the move decided, which binds no other",
    Level.DETECTED: "no gate decided, it was only found afterwards",
}
"""What the levels mean of a finding."""


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
