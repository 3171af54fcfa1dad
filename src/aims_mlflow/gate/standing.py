"""How a version stands before the gate: what each guarded target would answer, what holds it, who said what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from aims_mlflow.config import Declaration
from aims_mlflow.controls import Row
from aims_mlflow.evidence.base import Record
from aims_mlflow.gate.decision import GateDecision, VersionFacts, decide
from aims_mlflow.gate.entries import Entry, HoldEntry, ReviewEntry
from aims_mlflow.gate.holds import known_keys, open_holds
from aims_mlflow.gate.policy import guarded_targets


class Standing(Record):
    """The decisions of one moment and the reviews in force."""

    decisions: tuple[GateDecision, ...] = ()
    """One for each target the policy names outright."""
    reviews: tuple[ReviewEntry, ...] = ()
    """Approvals, rejections, waivers and break-glasses of this content, latest last."""
    holds: tuple[HoldEntry, ...] = ()
    """Serious incidents that hold the model, oldest first."""

    @property
    def break_glass(self) -> tuple[ReviewEntry, ...]:
        """Those in force: shown in red until they lapse."""
        return tuple(r for r in self.reviews if r.decision == "break-glass")


def standing_of(
    facts: VersionFacts,
    entries: Sequence[Entry],
    declaration: Declaration,
    *,
    at: datetime,
    rows: Mapping[str, Row] | None = None,
    gate_keys: Iterable[str] = (),
) -> Standing:
    """How a version stands.

    Args:
        facts: What registry and run say of it now.
        entries: The model's log.
        declaration: Its section ``gate`` is the policy; without one nothing is decided.
        at: Now.
        rows: The register's rows, for titles and remedies.
        gate_keys: As of ``decide``.
    """
    keys = tuple(gate_keys)
    decisions = tuple(
        decide(facts, target, entries, declaration, at=at, rows=rows, gate_keys=keys)
        for target in guarded_targets(declaration, facts.model)
    )
    content = facts.held.statement.model_sha256 if facts.held else facts.model_sha256
    return Standing(
        decisions=decisions,
        reviews=reviews_in_force(entries, content, at),
        holds=holds_in_force(entries, declaration, at, gate_keys=keys, facts=facts),
    )


def holds_in_force(
    entries: Sequence[Entry],
    declaration: Declaration,
    at: datetime,
    *,
    gate_keys: Iterable[str] = (),
    facts: VersionFacts | None = None,
) -> tuple[HoldEntry, ...]:
    """The holds that stand; whether a release also fits what a guarded target asks of people, its decision says."""
    found = open_holds(entries, at=at, keys=known_keys(declaration, gate_keys), facts=facts)
    return tuple(one.entry for one in found)


def reviews_in_force(entries: Sequence[Entry], content: str | None, at: datetime) -> tuple[ReviewEntry, ...]:
    """What was said of this content, is not expired and was not taken back by the one who said it."""
    said = [e for e in entries if isinstance(e, ReviewEntry) and e.model_sha256 == content]
    back = {(e.withdraws, e.person.strip().casefold()) for e in said if e.decision == "withdraw"}
    return tuple(
        e
        for e in said
        if e.decision != "withdraw"
        and (e.valid_until is None or e.valid_until > at)
        and (e.digest, e.person.strip().casefold()) not in back
    )
