"""The decision on one move: a pure function of the assessment, the reviews, the policy and the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from aims_mlflow.assessment import Status
from aims_mlflow.config import Declaration
from aims_mlflow.config.gate import ApprovalRule, GateMode, GatePerson
from aims_mlflow.controls import Row
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence.base import Basis, Record, Sha256, UtcTime, Verdict
from aims_mlflow.gate.entries import Entry, Identity, ReviewEntry, Target, without_replays
from aims_mlflow.gate.policy import Guard, guard_of, policy_sha256
from aims_mlflow.gate.signing import is_signed_by
from aims_mlflow.gate.statement import Held, RowResult

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
    ``policy``, ``unreadable``."""
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


def decide(
    facts: VersionFacts,
    target: Target,
    entries: Sequence[Entry],
    declaration: Declaration,
    *,
    at: datetime,
    rows: Mapping[str, Row] | None = None,
    gate_keys: Iterable[str] = (),
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
    """
    common = {
        "at": at,
        "model": facts.model,
        "version": facts.version,
        "target": target,
        "policy_sha256": policy_sha256(declaration),
    }
    try:
        guard = guard_of(declaration, facts.model, target)
    except AimsError as error:
        problem = Problem(id="policy", what=error.message, remedy=error.remedy or "Correct the gate's policy.")
        mode = declaration.gate.mode if declaration.gate else GateMode.ENFORCE
        return GateDecision(outcome=DecisionOutcome.REFUSE, mode=mode, problems=(problem,), **common)
    if guard is None:
        return GateDecision(outcome=DecisionOutcome.NOT_GUARDED, mode=GateMode.OBSERVE, **common)
    case = _Case(facts, target, guard, declaration, at, rows or {})
    servers = declaration.gate.servers.values() if declaration.gate else ()
    reviews = _Reviews.of(entries, case, frozenset([*gate_keys, *servers]))
    problems = [*_assessment(case), *_approvals(case, reviews)]
    covered = [_waived(p, case, reviews) for p in problems]
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


@dataclass(frozen=True)
class _Case:
    facts: VersionFacts
    target: Target
    guard: Guard
    declaration: Declaration
    at: datetime
    rows: Mapping[str, Row]

    @property
    def uri(self) -> str:
        return f"models:/{self.facts.model}/{self.facts.version}"

    @property
    def assess(self) -> str:
        return f"aims assess {self.uri}"

    @property
    def report(self) -> str:
        """The command that says what is wrong."""
        return f"`aims report {self.uri}`"

    @staticmethod
    def row_of(row: Row | None) -> str:
        """The row, as the report names it."""
        return row.id if row else "it"

    def to(self) -> str:
        """The target as an option of the commands."""
        return {"alias": "--to", "stage": "--to-stage", "registration": "--to-model"}[self.target.kind] + (
            f" {self.target.name}"
        )


def _assessment(case: _Case) -> list[Problem]:
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


def _reading(what: str, case: _Case) -> str:
    """What to do about something that cannot be read."""
    return f"aims verify {case.facts.model}" if what in {LOG_BROKEN, LOG_AWAY} else case.assess


def _binding(case: _Case, held: Held) -> list[Problem]:
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


def _controls(case: _Case, held: Held) -> list[Problem]:
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


def _remedy(result: RowResult | None, row: Row | None, case: _Case) -> str:
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


def _lacks(result: RowResult | None, row: str, case: _Case) -> str:
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


def _kinds(case: _Case, held: Held) -> list[Problem]:
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


# Reviews


@dataclass(frozen=True)
class _Reviews:
    """What people said of the content that counts now."""

    approvals: tuple[ReviewEntry, ...]
    """The latest of each person."""
    rejections: tuple[ReviewEntry, ...]
    waivers: tuple[ReviewEntry, ...]
    passed_over: tuple[str, ...]
    """Why approvals did not count, for the message."""

    @classmethod
    def of(cls, entries: Sequence[Entry], case: _Case, gate_keys: frozenset[str]) -> _Reviews:
        held = case.facts.held
        content = held.statement.model_sha256 if held else case.facts.model_sha256
        reviews = [
            e for e in without_replays(entries) if isinstance(e, ReviewEntry) and e.at <= case.at + CLOCKS_DIFFER
        ]
        said = [e for e in reviews if e.model_sha256 == content and _is_for(e, case)]
        said = _not_withdrawn(said, case, gate_keys)
        current = [e for e in said if e.valid_until is None or e.valid_until > case.at]
        rule = case.guard.profile.approvals
        counted: dict[str, ReviewEntry] = {}
        waivers, why = [], []
        for entry in current:
            lacking = _not_known(entry, rule, case, gate_keys)
            if entry.decision in {"waive", "break-glass"}:
                if not lacking and _is_waiver(entry):
                    waivers.append(entry)
            elif entry.decision == "reject":
                counted[_person(entry.person, case)] = entry  # a rejection stops, whoever says it
            elif lacking:
                why.append(f"{entry.person}: {lacking}")
            elif rule.max_age_days and case.at - entry.at > timedelta(days=rule.max_age_days):
                why.append(f"{entry.person}: older than {rule.max_age_days} days")
            else:
                counted[_person(entry.person, case)] = entry
        return cls(
            tuple(e for e in counted.values() if e.decision == "approve"),
            tuple(e for e in counted.values() if e.decision == "reject"),
            tuple(waivers),
            tuple(dict.fromkeys(why)),
        )


def _is_waiver(entry: ReviewEntry) -> bool:
    """Whether it says what a waiver must. A break-glass that no command wrote must not hold for longer either."""
    if entry.valid_until is None or not entry.reason:
        return False
    longest = timedelta(days=BREAK_GLASS_DAYS + 1)  # the last day counts in full
    return entry.decision == "waive" or entry.valid_until - entry.at <= longest


def _not_withdrawn(said: Sequence[ReviewEntry], case: _Case, gate_keys: frozenset[str]) -> list[ReviewEntry]:
    """What stands: only the person who said something can take it back, known as well as when it was said."""
    rule = case.guard.profile.approvals
    back = {
        (e.withdraws, _person(e.person, case))
        for e in said
        if e.decision == "withdraw" and not _not_known(e, rule, case, gate_keys)
    }
    return [e for e in said if e.decision != "withdraw" and (e.digest, _person(e.person, case)) not in back]


def _is_for(entry: ReviewEntry, case: _Case) -> bool:
    return not entry.targets or case.target.name.casefold() in {t.casefold() for t in entry.targets}


def _person(name: str, case: _Case) -> str:
    """One name a person: a login counts as the person it belongs to."""
    plain = name.strip().casefold()
    people = case.declaration.gate.people if case.declaration.gate else {}
    for person, known in people.items():
        if plain == person.casefold() or plain in {login.casefold() for login in known.logins}:
            return person.casefold()
    return plain


def _known(name: str, case: _Case) -> GatePerson | None:
    people = case.declaration.gate.people if case.declaration.gate else {}
    return next((who for person, who in people.items() if person.casefold() == _person(name, case)), None)


def _not_known(entry: ReviewEntry, rule: ApprovalRule, case: _Case, gate_keys: frozenset[str]) -> str:
    """Why the entry's person is not known well enough; empty where it is."""
    if not entry.person.strip():
        return "no name"
    people = case.declaration.gate.people if case.declaration.gate else {}
    known = _known(entry.person, case)
    if people and known is None:
        return "not among the people of the policy"
    if known is not None and entry.role and entry.role not in known.roles:
        return f"may not act as {entry.role}"
    identity = _identity(entry, known, case, gate_keys)
    if list(Identity).index(identity) < list(Identity).index(Identity(rule.identity)):
        return f"identity is only {identity}, {rule.identity} asked"
    return ""


def _identity(entry: ReviewEntry, known: GatePerson | None, case: _Case, gate_keys: frozenset[str]) -> Identity:
    """How sure it is that the person named said it: by signature, by a server's word on the login, or by claim."""
    if entry.signature and entry.key and is_signed_by(entry.key, entry.signed_bytes(), entry.signature):
        if known is not None and known.key == entry.key:
            return Identity.SIGNED
        logged_in = entry.actor.identity is Identity.AUTHENTICATED and entry.actor.name
        if logged_in and entry.key in gate_keys and _person(str(entry.actor.name), case) == _person(entry.person, case):
            return Identity.AUTHENTICATED
    return Identity.CLAIMED


def _approvals(case: _Case, reviews: _Reviews) -> list[Problem]:
    rule, found = case.guard.profile.approvals, []
    for entry in reviews.rejections:
        what = f"rejected by {entry.person}" + (f": {entry.reason}" if entry.reason else "")
        remedy = "Mend what was rejected and register a new version, or have the rejection withdrawn"
        found.append(Problem(id="rejected", what=what[:200], remedy=remedy))
    if not rule.count and not rule.roles:
        return found
    approve = f'aims approve {case.uri} {case.to()} --person NAME --reason "..."'
    if rule.roles:
        approve = approve.replace("--person", "--role ROLE --person")
    has = len(reviews.approvals)
    because = f" ({'; '.join(reviews.passed_over[:2])})" if reviews.passed_over else ""
    if has < rule.count:
        found.append(Problem(id="approvals", what=f"{has} of {rule.count} approvals{because}", remedy=approve))
    roles = {e.role for e in reviews.approvals}
    missing = [role for role in rule.roles if role not in roles]
    if missing:
        what = f"no approval as {', '.join(missing)}"
        found.append(Problem(id="approvals", what=what, remedy=approve.replace("ROLE", missing[0])))
    if rule.four_eyes and has:
        what = ""
        if all(_person(e.person, case) in _makers(case) for e in reviews.approvals):
            what = "approved only by who trained or registered it"
        elif has == 1 and not _trainers(case):
            what = "one approval is not four eyes: who trained it is not known"
        if what:
            found.append(Problem(id="approvals", what=what, remedy=approve.replace("NAME", "ANOTHER")))
    return found


def _trainers(case: _Case) -> set[str]:
    """Who trained it, as the run says now and as it said when it was assessed: the run's tag can be changed."""
    return _persons((case.facts.trained_by, case.facts.held.statement.trained_by if case.facts.held else None), case)


_NOBODY = {"", "unknown"}
"""What MLflow writes where nobody said who made a run."""


def _makers(case: _Case) -> set[str]:
    return _trainers(case) | _persons((case.facts.registered_by, *case.facts.makers), case)


def _persons(names: Iterable[str | None], case: _Case) -> set[str]:
    return {_person(name, case) for name in names if name and name.strip().casefold() not in _NOBODY}


def _waived(problem: Problem, case: _Case, reviews: _Reviews) -> Problem:
    """The problem, with the waiver that covers it. No waiver covers a policy that is wrong or content that changed."""
    profile = case.guard.profile
    if not profile.waivers or problem.id in {"policy", "content", "unreadable", "signature", "rejected"}:
        return problem
    for entry in reviews.waivers:
        whole = entry.decision == "break-glass"
        if problem.id in profile.not_waivable and not whole:
            continue
        by_maker = profile.approvals.four_eyes and _person(entry.person, case) in _makers(case)
        if problem.id == "approvals" and by_maker and not whole:  # else four eyes would be two
            continue
        if whole or problem.id in entry.controls:
            return problem.model_copy(update={"waived_by": entry.digest, "waiver": _in_words(entry)})
    return problem


def _in_words(waiver: ReviewEntry) -> str:
    kind = "break-glass" if waiver.decision == "break-glass" else "waived"
    role = f" as {waiver.role}" if waiver.role else ""
    return f"{kind} by {waiver.person}{role} until {waiver.valid_until:%Y-%m-%d %H:%M} UTC: {waiver.reason}"


def _valid_until(case: _Case, reviews: _Reviews, used: Sequence[ReviewEntry]) -> datetime | None:
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
