"""The decision on one move: a pure function of the assessment, the reviews, the policy and the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from aims_mlflow.config import Declaration
from aims_mlflow.config.gate import GateMode
from aims_mlflow.controls import Row
from aims_mlflow.errors import AimsError
from aims_mlflow.gate.asked import lacking
from aims_mlflow.gate.case import Case
from aims_mlflow.gate.entries import Entry, ReviewEntry, Target
from aims_mlflow.gate.holds import held as held_by
from aims_mlflow.gate.outcome import DecisionOutcome, GateDecision, Problem, VersionFacts
from aims_mlflow.gate.policy import ProhibitedError, guard_of, policy_sha256
from aims_mlflow.gate.voices import Reviews, wanting_approvals, with_waiver


def decide(
    facts: VersionFacts,
    target: Target,
    entries: Sequence[Entry],
    declaration: Declaration,
    *,
    at: datetime,
    rows: Mapping[str, Row] | None = None,
    gate_keys: Iterable[str] = (),
    policy_digest: str | None = None,
) -> GateDecision:
    """Decide whether a version may move to a target.

    Args:
        facts: What registry and run say now.
        target: Alias, stage or model.
        entries: The model's log, verified; what is said of other versions' content does not count. For a copied version
            the log of the original's model too.
        declaration: Its section ``gate`` is the policy.
        at: Now.
        rows: The register's rows by id: their titles and remedies, for the messages.
        gate_keys: Public keys of further servers whose word on a login is believed.
        policy_digest: The declaration's ``policy_sha256``, where it is known already.
    """
    common = {
        "at": at,
        "model": facts.model,
        "version": facts.version,
        "target": target,
        "policy_sha256": policy_digest or policy_sha256(declaration),
    }
    try:
        guard = guard_of(declaration, facts.model, target)
    except AimsError as error:
        name = "prohibited" if isinstance(error, ProhibitedError) else "policy"
        problem = Problem(id=name, what=error.message, remedy=error.remedy or "Correct the gate's policy.")
        mode = declaration.gate.mode if declaration.gate else GateMode.ENFORCE
        return GateDecision(outcome=DecisionOutcome.REFUSE, mode=mode, problems=(problem,), **common)
    if guard is None:
        return GateDecision(outcome=DecisionOutcome.NOT_GUARDED, mode=GateMode.OBSERVE, **common)
    case = Case(facts, target, guard, declaration, at, rows or {})
    servers = declaration.gate.servers.values() if declaration.gate else ()
    reviews = Reviews.of(entries, case, frozenset([*gate_keys, *servers]))
    problems = [*held_by(reviews.holds), *lacking(case), *wanting_approvals(case, reviews)]
    covered = [with_waiver(p, case, reviews) for p in problems]
    open_ones = [p for p in covered if p.waived_by is None]
    waived = [p.waived_by for p in covered if p.waived_by is not None]
    outcome = DecisionOutcome.ALLOW
    if open_ones:
        outcome = DecisionOutcome.REFUSE
    elif waived:
        outcome = DecisionOutcome.ALLOW_BY_WAIVER
    used = [r for r in reviews.waivers if r.digest in set(waived)]
    held = facts.held
    return GateDecision(
        outcome=outcome,
        mode=guard.mode,
        profile=guard.profile_name,
        risk_class=str(guard.risk_class),
        problems=tuple(covered),
        approved_by=tuple(r.person for r in reviews.approvals),
        approvals=tuple(r.digest for r in reviews.approvals),
        approvals_needed=guard.profile.approvals.count,
        waivers=tuple(r.digest for r in used),
        break_glass=any(r.decision == "break-glass" for r in used),
        statement_sha256=held.statement.digest if held else None,
        evidence_sha256=held.statement.evidence_sha256 if held else None,
        model_sha256=held.statement.model_sha256 if held else facts.model_sha256,
        signed_by=held.signed_by if held else None,
        valid_until=None if open_ones else _valid_until(case, reviews, used),
        **common,
    )


def _valid_until(case: Case, reviews: Reviews, used: Sequence[ReviewEntry]) -> datetime | None:
    """The first moment at which something the decision rests on lapses."""
    profile, held = case.guard.profile, case.facts.held
    ends: list[datetime] = []
    if held is not None:
        ends.append(held.statement.assessed_at + timedelta(days=profile.max_age_days))
        rows = (held.statement.rows.get(row) for row in profile.controls)
        ends += [row.valid_until for row in rows if row is not None and row.valid_until is not None]
    days = profile.approvals.max_age_days
    if profile.approvals.count or profile.approvals.roles:
        ends += [e.valid_until for e in reviews.approvals if e.valid_until is not None]
        ends += [e.at + timedelta(days=days) for e in reviews.approvals if days]
    ends += [e.valid_until for e in used if e.valid_until is not None]
    return min((end for end in ends if end > case.at), default=None)


__all__ = ["DecisionOutcome", "GateDecision", "Problem", "VersionFacts", "decide"]
