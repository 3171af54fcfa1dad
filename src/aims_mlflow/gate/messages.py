"""What a refusal says: what failed first, within a dozen words, then the one command that would mend it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from aims_mlflow.gate.decision import DecisionOutcome, GateDecision, Problem
from aims_mlflow.gate.policy import takes_out

GATE_TAG = "aims.gate"
"""Of a registered version: the decision for each guarded target, for people and search. No decision rests on it."""

_SHOWN = 3
_SELF_SAID = frozenset(
    {"approvals", "assessment", "content", "held", "policy", "prohibited", "rejected", "signature", "unreadable"}
)
"""Ids whose problems say in full what they are about."""


def refusal(decision: GateDecision) -> str:
    """The message of a refused move.

    MLflow's toast on a stage lasts three seconds, so the first dozen words decide: ids, titles and what is wrong with
    them, then what to do.
    """
    problems = decision.open_problems
    shown = [named(p) for p in problems[:_SHOWN]]
    more = f"; {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    where = f"{decision.model} {decision.version} → {decision.target}"
    return f"AIMS refused: {('; '.join(shown) + more).rstrip('.')}. Next: {problems[0].remedy.rstrip('.')}. ({where})"


def named(problem: Problem) -> str:
    """The problem with its id and title: what stands in a list of several."""
    if problem.id[0].isupper() or problem.id[0].isdigit():
        return f"{problem.id} {problem.title}".strip() + f": {problem.what}"
    if problem.id in _SELF_SAID:
        return problem.what
    return f"{problem.id.replace('_', ' ')}: {problem.what}"


def one_line(decision: GateDecision) -> str:
    """The decision in one sentence."""
    where = f"{decision.model} {decision.version} to {decision.target}"
    match decision.outcome:
        case DecisionOutcome.NOT_GUARDED:
            return f"Not guarded: {where}: {unguarded(decision)}."
        case DecisionOutcome.ALLOW:
            return f"Allowed: {where}."
        case DecisionOutcome.ALLOW_BY_WAIVER:
            kind = "a break-glass" if decision.break_glass else "a waiver"
            return f"Allowed by {kind}: {where}; not met: {', '.join(named(p) for p in decision.problems)}."
        case DecisionOutcome.REFUSE:
            seen = "Would be refused" if not decision.refused else "Refused"
            return f"{seen}: {where}: {'; '.join(named(p) for p in decision.open_problems)}."


def unguarded(decision: GateDecision) -> str:
    """Why nothing guards the move."""
    return "it leaves service there" if takes_out(decision.target) else "no rule of the policy names it"


def gate_tag(decisions: Iterable[GateDecision]) -> str:
    """The tag's value: target to decision, digest of the assessment, until when; one line of JSON."""
    said: dict[str, str] = {}
    digest, ends = None, []
    for decision in decisions:
        said[decision.target.name] = str(decision.outcome)
        digest = digest or decision.statement_sha256
        ends.append(decision.valid_until)
    until = min((end for end in ends if end is not None), default=None)
    content = said | {
        "digest": digest.removeprefix("sha256:")[:16] if digest else None,
        "valid_until": f"{until:%Y-%m-%d}" if until else None,
    }
    return json.dumps(content, ensure_ascii=False)
