"""What the policy asks of the assessment, and what is lacking."""

from __future__ import annotations

from datetime import timedelta

from aims_mlflow.assessment import Status
from aims_mlflow.controls import Row
from aims_mlflow.evidence.base import Basis, Verdict
from aims_mlflow.gate.case import Case
from aims_mlflow.gate.outcome import CLOCKS_DIFFER, LOG_AWAY, LOG_BROKEN, Problem
from aims_mlflow.gate.statement import Held, RowResult


def lacking(case: Case) -> list[Problem]:
    """What is wrong with the assessment: its absence, its binding, its age, and what the profile asks for."""
    facts, profile = case.facts, case.guard.profile
    found = [Problem(id="unreadable", what=what, remedy=_reading(what, case)) for what in facts.unreadable]
    if facts.held is None:
        if not found:
            found.append(Problem(id="assessment", what="the version was not assessed", remedy=case.assess))
        return found
    held = facts.held
    found += _binding(case, held)
    if profile.signed and held.signed_by is None:
        what = "the assessment is not signed by a trusted key"
        found.append(Problem(id="signature", what=what, remedy=f"{case.assess}, with AIMS_SIGNING_KEY set"))
    age = case.at - held.statement.assessed_at
    if age > timedelta(days=profile.max_age_days):
        what = f"the assessment is {age.days} days old, {profile.max_age_days} allowed"
        found.append(Problem(id="assessment", what=what, remedy=case.assess))
    elif age < -CLOCKS_DIFFER:
        what = "the assessment is dated in the future"
        found.append(Problem(id="assessment", what=what, remedy=case.assess))
    return [*found, *_controls(case, held), *_kinds(case, held)]


def _reading(what: str, case: Case) -> str:
    """What to do about something that cannot be read."""
    return f"aims verify {case.facts.model}" if what in {LOG_BROKEN, LOG_AWAY} else case.assess


def _binding(case: Case, held: Held) -> list[Problem]:
    """Whether the assessment is about what the version holds now."""
    facts, said = case.facts, held.statement
    changed = []
    if facts.source != said.source:
        changed.append("it is about other files")
    elif facts.model_sha256 is not None:
        if facts.model_sha256 != said.model_sha256:
            changed.append("the model's files changed since")
    elif facts.listing_sha256 is not None and case.guard.profile.files == "listing":
        if facts.listing_sha256 != said.listing_sha256:
            changed.append("the model's files changed since")
    else:
        changed.append("the model's files could not be compared")
    if facts.evidence_sha256 != said.evidence_sha256:
        changed.append("its run's evidence changed since")
    if facts.inputs_sha256 != said.inputs_sha256:
        changed.append("its run's datasets changed since")
    return [
        Problem(id="content", what=f"the assessment does not count: {what}", remedy=case.assess) for what in changed
    ]


def _controls(case: Case, held: Held) -> list[Problem]:
    found = []
    for row in case.guard.profile.controls:
        result = held.statement.rows.get(row)
        what = _lacks(result, row, case)
        if what:
            known = case.rows.get(row)
            found.append(
                Problem(id=row, title=known.title if known else "", what=what, remedy=_remedy(result, known, case))
            )
    return found


def _remedy(result: RowResult | None, row: Row | None, case: Case) -> str:
    """What the register says mends the first unmet requirement, then the command that assesses again."""
    again = {Status.STALE, Status.SATISFIED}  # nothing is wrong but its age
    if result is None or result.status in again:
        return case.assess
    if result.status in {
        Status.NOT_SATISFIED,
        Status.UNCERTAIN,
        Status.ERROR,
    }:  # the register knows what is missing only
        return f"mend what {case.report} says of {case.row_of(row)}; then {case.assess}"
    if row is None or result.unmet is None or result.unmet >= len(row.requires):  # another edition of the register
        return case.assess
    return f"{row.requires[result.unmet].remedy.rstrip('.')}; then {case.assess}"


def _lacks(result: RowResult | None, row: str, case: Case) -> str:
    """Why a row does not serve; empty where it does.

    What the declaration calls not applicable does not serve either: whoever trains writes the declaration, and could
    exempt the model from the policy.
    """
    profile = case.guard.profile
    if result is None:
        return "not assessed"
    uncertain_serves = result.status is Status.UNCERTAIN and profile.uncertain == "allow"
    if result.status is not Status.SATISFIED and not uncertain_serves:
        return _WORDS[result.status]
    if result.valid_until is not None and result.valid_until < case.at:
        return "stale"
    weakest, ranks = profile.basis.get(row, profile.minimum_basis), list(Basis)
    if result.basis is None or ranks.index(result.basis) > ranks.index(weakest):
        return f"rests on {result.basis or 'no'} evidence, {weakest} asked"
    return ""


_WORDS = {
    Status.SATISFIED: "satisfied",
    Status.NOT_SATISFIED: "not satisfied",
    Status.UNCERTAIN: "uncertain",
    Status.STALE: "stale",
    Status.NO_EVIDENCE: "no evidence",
    Status.NEEDS_ATTESTATION: "needs attestation",
    Status.NOT_APPLICABLE: "declared not applicable, but the policy asks for it",
    Status.ERROR: "could not be judged",
}
_VERDICTS = {
    Verdict.FAIL: "failed",
    Verdict.UNCERTAIN: "uncertain",
    Verdict.NOT_TESTED: "not tested",
    Verdict.RECORDED: "holds no verdict",
}


def _kinds(case: Case, held: Held) -> list[Problem]:
    profile, found = case.guard.profile, []
    for kind in profile.evidence:
        verdict = held.statement.kinds.get(kind)
        if verdict is Verdict.PASS or (verdict is Verdict.UNCERTAIN and profile.uncertain == "allow"):
            continue
        what = "no evidence" if verdict is None else _VERDICTS[verdict]
        call = _CALLS.get(kind, f'aims_mlflow.log_evidence(kind="{kind}", ...)')
        mend = f"call {call} in the run" if verdict is None else f"mend what {case.report} says of {named_kind(kind)}"
        found.append(Problem(id=kind, what=what, remedy=f"{mend}; then {case.assess}"))
    return found


def named_kind(kind: str) -> str:
    """A kind of evidence in words."""
    return kind.replace("_", " ")


_CALLS = {
    "data_quality": "aims_mlflow.log_data_quality(frame)",
    "drift": "aims_mlflow.log_drift(current, reference)",
    "performance": "aims_mlflow.log_performance(y_true, y_pred)",
    "fairness": "aims_mlflow.log_fairness(y_true, y_pred, sensitive)",
}
