"""What a report shows of the gate: the answer for each guarded target, and who said what of the version."""

from __future__ import annotations

from dataclasses import dataclass

from aims_mlflow.gate.decision import DecisionOutcome, GateDecision
from aims_mlflow.gate.entries import HoldEntry, ReviewEntry
from aims_mlflow.gate.messages import named
from aims_mlflow.gate.standing import Standing
from aims_mlflow.report.words import Label

_OUTCOMES: dict[DecisionOutcome, Label] = {
    DecisionOutcome.ALLOW: Label("may move", "✓", "ok", "Everything the policy asks for is there."),
    DecisionOutcome.ALLOW_BY_WAIVER: Label("may move by waiver", "▲", "unc", "Something is wanting and was accepted."),
    DecisionOutcome.REFUSE: Label("refused", "✗", "bad", "Something the policy asks for is wanting."),
    DecisionOutcome.NOT_GUARDED: Label("not guarded", "○", "none", "The policy does not name it."),
}
_BROKEN = Label("may move by break-glass", "!", "bad", "The policy was set aside by a named person, for a time.")
_OBSERVED = Label("would be refused", "▲", "unc", "The policy only observes.")
_HELD = Label("held", "✗", "bad", "A serious incident is open: no guarded move passes.")
_SAID = {
    "approve": Label("approved", "✓", "ok", ""),
    "reject": Label("rejected", "✗", "bad", ""),
    "waive": Label("waived", "▲", "unc", ""),
    "break-glass": Label("break-glass", "!", "bad", ""),
}


@dataclass(frozen=True, slots=True)
class TargetView:
    """The answer for one target."""

    name: str
    label: Label
    why: str
    until: str


@dataclass(frozen=True, slots=True)
class ReviewView:
    """A person's word."""

    label: Label
    person: str
    role: str
    date: str
    until: str
    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class HoldView:
    """A serious incident that is open."""

    label: Label
    incident: str
    severity: str
    since: str
    what: str


@dataclass(frozen=True, slots=True)
class GateView:
    """The section."""

    targets: tuple[TargetView, ...]
    reviews: tuple[ReviewView, ...]
    alarm: tuple[ReviewView, ...]
    """Break-glasses in force."""
    holds: tuple[HoldView, ...] = ()
    """Serious incidents that hold the model."""


def build_gate(standing: Standing | None) -> GateView | None:
    """The section; None where there is nothing to show."""
    if standing is None or not (standing.decisions or standing.reviews or standing.holds):
        return None
    reviews = tuple(_review(r) for r in standing.reviews)
    alarm = tuple(_review(r) for r in standing.break_glass)
    holds = tuple(_hold(entry) for entry in standing.holds)
    return GateView(tuple(_target(d) for d in standing.decisions), reviews, alarm, holds)


def _hold(entry: HoldEntry) -> HoldView:
    return HoldView(_HELD, entry.incident, entry.severity, f"{entry.at:%Y-%m-%d}", entry.reason or "")


def _target(decision: GateDecision) -> TargetView:
    label = _OUTCOMES[decision.outcome]
    if decision.break_glass:
        label = _BROKEN
    elif decision.outcome is DecisionOutcome.REFUSE and not decision.refused:
        label = _OBSERVED
    wanting = [f"{named(p)} ({p.waiver or 'waived'})" if p.waived_by else named(p) for p in decision.problems]
    approved = f"Approved by {', '.join(decision.approved_by)}." if decision.approved_by else ""
    why = " ".join(filter(None, [f"{'; '.join(wanting)}." if wanting else "", approved])) or "Nothing is wanting."
    until = f"{decision.valid_until:%Y-%m-%d}" if decision.valid_until else ""
    kind = {"alias": "alias", "stage": "stage", "registration": "copies to"}[decision.target.kind]
    return TargetView(f"{kind} {decision.target.name}", label, why, until)


def _review(entry: ReviewEntry) -> ReviewView:
    known = "" if entry.actor.identity == "unknown" else f" ({entry.actor.identity})"
    return ReviewView(
        label=_SAID[entry.decision],
        person=f"{entry.person}{known}",
        role=entry.role or "",
        date=f"{entry.at:%Y-%m-%d}",
        until=f"{entry.valid_until:%Y-%m-%d}" if entry.valid_until else "",
        scope=", ".join([*entry.controls, *(f"to {t}" for t in entry.targets)]),
        reason=entry.reason or "",
    )
