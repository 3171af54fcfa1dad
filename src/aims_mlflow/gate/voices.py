"""What people said of a version, and what of it counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aims_mlflow.config.gate import ApprovalRule, GatePerson
from aims_mlflow.gate.case import Case
from aims_mlflow.gate.entries import Entry, HoldEntry, Identity, ReviewEntry, without_replays
from aims_mlflow.gate.holds import OpenHold, known_keys, open_holds
from aims_mlflow.gate.outcome import BREAK_GLASS_DAYS, CLOCKS_DIFFER, Problem
from aims_mlflow.gate.signing import is_signed_by


@dataclass(frozen=True)
class Reviews:
    """What people said of the content that counts now."""

    approvals: tuple[ReviewEntry, ...]
    """The latest of each person."""
    rejections: tuple[ReviewEntry, ...]
    waivers: tuple[ReviewEntry, ...]
    passed_over: tuple[str, ...]
    """Why approvals did not count, for the message."""
    holds: tuple[OpenHold, ...] = ()
    """Serious incidents that hold the model, whatever its content."""

    @classmethod
    def of(cls, entries: Sequence[Entry], case: Case, gate_keys: frozenset[str]) -> Reviews:
        """What counts of the entries of a log, for the case."""
        held = case.facts.held
        content = held.statement.model_sha256 if held else case.facts.model_sha256
        # First the few that are reviews: a log is mostly moves.
        reviews = without_replays([e for e in entries if isinstance(e, ReviewEntry)])
        reviews = [e for e in reviews if e.at <= case.at + CLOCKS_DIFFER]
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
            open_holds(
                entries,
                at=case.at,
                keys=known_keys(case.declaration, gate_keys),
                objection=lambda entry: _not_known(entry, rule, case, gate_keys),
                facts=case.facts,
            ),
        )


def _is_waiver(entry: ReviewEntry) -> bool:
    """Whether it says what a waiver must. A break-glass that no command wrote must not hold for longer either."""
    if entry.valid_until is None or not entry.reason:
        return False
    longest = timedelta(days=BREAK_GLASS_DAYS + 1)  # the last day counts in full
    return entry.decision == "waive" or entry.valid_until - entry.at <= longest


def _not_withdrawn(said: Sequence[ReviewEntry], case: Case, gate_keys: frozenset[str]) -> list[ReviewEntry]:
    """What stands: only the person who said something can take it back, known as well as when it was said."""
    rule = case.guard.profile.approvals
    back = {
        (e.withdraws, _person(e.person, case))
        for e in said
        if e.decision == "withdraw" and not _not_known(e, rule, case, gate_keys)
    }
    return [e for e in said if e.decision != "withdraw" and (e.digest, _person(e.person, case)) not in back]


def _is_for(entry: ReviewEntry, case: Case) -> bool:
    return not entry.targets or case.target.name.casefold() in {t.casefold() for t in entry.targets}


def _person(name: str, case: Case) -> str:
    """One name a person: a login counts as the person it belongs to."""
    plain = name.strip().casefold()
    people = case.declaration.gate.people if case.declaration.gate else {}
    for person, known in people.items():
        if plain == person.casefold() or plain in {login.casefold() for login in known.logins}:
            return person.casefold()
    return plain


def _known(name: str, case: Case) -> GatePerson | None:
    people = case.declaration.gate.people if case.declaration.gate else {}
    return next((who for person, who in people.items() if person.casefold() == _person(name, case)), None)


def _not_known(entry: ReviewEntry | HoldEntry, rule: ApprovalRule, case: Case, gate_keys: frozenset[str]) -> str:
    """Why the entry's person is not known well enough; empty where it is."""
    if not entry.person.strip():
        return "no name"
    people = case.declaration.gate.people if case.declaration.gate else {}
    known = _known(entry.person, case)
    if people and known is None:
        return "not among the people of the policy"
    if known is not None and isinstance(entry, ReviewEntry) and entry.role and entry.role not in known.roles:
        return f"may not act as {entry.role}"
    identity = _identity(entry, known, case, gate_keys)
    if list(Identity).index(identity) < list(Identity).index(Identity(rule.identity)):
        return f"identity is only {identity}, {rule.identity} asked"
    return ""


def _identity(
    entry: ReviewEntry | HoldEntry, known: GatePerson | None, case: Case, gate_keys: frozenset[str]
) -> Identity:
    """How sure it is that the person named said it: by signature, by a server's word on the login, or by claim."""
    if entry.signature and entry.key and is_signed_by(entry.key, entry.signed_bytes(), entry.signature):
        if known is not None and known.key == entry.key:
            return Identity.SIGNED
        logged_in = entry.actor.identity is Identity.AUTHENTICATED and entry.actor.name
        if logged_in and entry.key in gate_keys and _person(str(entry.actor.name), case) == _person(entry.person, case):
            return Identity.AUTHENTICATED
    return Identity.CLAIMED


def wanting_approvals(case: Case, reviews: Reviews) -> list[Problem]:
    """Rejections that stand, and the approvals the policy asks for that are not there."""
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


def _trainers(case: Case) -> set[str]:
    """Who trained it, as the run says now and as it said when it was assessed: the run's tag can be changed."""
    return _persons((case.facts.trained_by, case.facts.held.statement.trained_by if case.facts.held else None), case)


_NOBODY = {"", "unknown"}
"""What MLflow writes where nobody said who made a run."""


def _makers(case: Case) -> set[str]:
    return _trainers(case) | _persons((case.facts.registered_by, *case.facts.makers), case)


def _persons(names: Iterable[str | None], case: Case) -> set[str]:
    return {_person(name, case) for name in names if name and name.strip().casefold() not in _NOBODY}


def with_waiver(problem: Problem, case: Case, reviews: Reviews) -> Problem:
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
        if problem.id == "held" and not (whole and all(entry.at > hold.entry.at for hold in reviews.holds)):
            continue  # said before anybody knew of the incident, or too little to set it aside
        if whole or problem.id in entry.controls:
            return problem.model_copy(update={"waived_by": entry.digest, "waiver": _in_words(entry)})
    return problem


def _in_words(waiver: ReviewEntry) -> str:
    kind = "break-glass" if waiver.decision == "break-glass" else "waived"
    role = f" as {waiver.role}" if waiver.role else ""
    return f"{kind} by {waiver.person}{role} until {waiver.valid_until:%Y-%m-%d %H:%M} UTC: {waiver.reason}"
