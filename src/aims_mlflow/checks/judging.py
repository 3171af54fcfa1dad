"""From single records to the outcome of a requirement; the one place where the rules of counting stand.

Evidence about another version counts for nothing; of records that answer the same question (``keys`` says which those
are) the latest counts, and all of those must pass. A collector that could not run is an error until its evidence comes.
Nothing on file is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from aims_mlflow.assessment import CheckResult, Ground, Outcome
from aims_mlflow.checks.case import Case, Item
from aims_mlflow.evidence import Basis, EvidenceStatus, Verdict

WORST_FIRST = (Outcome.FAIL, Outcome.ERROR, Outcome.UNCERTAIN, Outcome.STALE, Outcome.MISSING, Outcome.PASS)
"""Which outcome decides where several stand side by side."""

_RANK = {outcome: rank for rank, outcome in enumerate(WORST_FIRST)}
_WEAKEST_LAST = tuple(Basis)
_HUMAN = frozenset({Basis.DECLARED, Basis.ATTESTED})

Judgement = tuple[Outcome, str]
"""An outcome and why, without the full stop."""


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome that decides; MISSING where there is none, since an empty set is never a pass."""
    return min(outcomes, key=_RANK.__getitem__, default=Outcome.MISSING)


def weakest(bases: Sequence[Basis]) -> Basis | None:
    """The weakest basis; None where there is none."""
    return max(bases, key=_WEAKEST_LAST.index, default=None)


def is_human(accepts: Sequence[Basis]) -> bool:
    """Whether these bases are all a person's words, declared or attested: nothing measured can meet such a part."""
    return _HUMAN.issuperset(accepts)


def result(
    case: Case, outcome: Outcome, reason: str, items: Sequence[Item] = (), *, basis: Basis | None = None,
    until: tuple[datetime, Ground] | None = None,
) -> CheckResult:  # fmt: skip
    """A check result for the case; ``until``: when what meets it lapses, and what says so."""
    requirement = case.requirement
    if not items and basis is None and until is None:
        return _without_items(requirement.id, requirement.check, outcome, reason, is_human(requirement.accepts))
    return CheckResult(
        requirement=requirement.id,
        check=requirement.check,
        outcome=outcome,
        reason=reason,
        evidence=tuple(dict.fromkeys([item.digest for item in items])),
        basis=basis,
        attested_part=is_human(requirement.accepts),
        valid_until=until[0] if until else None,
        until_ground=until[1] if until else None,
    )


@lru_cache(maxsize=2048)
def _without_items(requirement: str, check: str, outcome: Outcome, reason: str, attested_part: bool) -> CheckResult:
    """A result that rests on no record: the same for most of the register, run after run."""
    return CheckResult(
        requirement=requirement, check=check, outcome=outcome, reason=reason, attested_part=attested_part
    )


@dataclass(frozen=True)
class _Judged:
    item: Item
    outcome: Outcome
    reason: str
    until: tuple[datetime, Ground] | None
    """When it stops to serve, and what says so; None of a collector that could not run."""


def by_verdict(item: Item) -> Judgement:
    """What the record's own verdict says; facts without a limit are no pass here."""
    record = item.record
    match record.verdict:
        case Verdict.PASS:
            return Outcome.PASS, _sentence(record.reason)
        case Verdict.FAIL:
            return Outcome.FAIL, _sentence(record.reason)
        case Verdict.UNCERTAIN:
            return Outcome.UNCERTAIN, _sentence(record.reason)
        case Verdict.NOT_TESTED:
            return Outcome.MISSING, f"nothing was judged: {_sentence(record.reason)}"
        case Verdict.RECORDED:
            return Outcome.MISSING, "it states facts but was held against no limit"


def by_presence(item: Item) -> Judgement:
    """As by verdict, but stated facts count."""
    if item.record.verdict is Verdict.RECORDED:
        return Outcome.PASS, _sentence(item.record.reason)
    return by_verdict(item)


def _sentence(text: str) -> str:
    return text.strip().rstrip(".") or "no reason was given"


def judge(
    case: Case,
    rule: Callable[[Item], Judgement],
    *,
    matches: Callable[[Item], bool] = lambda _: True,
    nothing: str = "",
) -> CheckResult:
    """Judge the requirement over its evidence.

    Args:
        case: What to judge.
        rule: Judges one record that is about the subject, of an accepted basis and the latest of its key.
        matches: Whether a record bears on the requirement, beyond its kind and dataset role.
        nothing: What to say where no record is on file; a sentence about the kinds where empty.
    """
    roles = case.arguments("role")
    found = _relevant(case, roles, matches)
    if not found and not case.pool.of_kind("capture_error"):
        return _nothing_counts(case, found, nothing)
    accepted = [item for item in found if not item.foreign and item.basis in case.requirement.accepts]
    judged = _renewed([_judge_item(case, item, rule) for item in _latest(accepted)])
    errors = case.pool.open_errors(case.requirement.evidence, roles)
    judged += [_Judged(item, Outcome.ERROR, _sentence(item.record.reason), None) for item in errors]
    if not judged:
        return _nothing_counts(case, found, nothing)
    return _combined(case, judged)


def _relevant(case: Case, roles: Sequence[str], matches: Callable[[Item], bool]) -> list[Item]:
    return [
        item
        for kind in case.requirement.evidence
        for item in case.pool.of_kind(kind)
        if (not roles or item.has_role(roles)) and matches(item)
    ]


def _latest(items: Sequence[Item]) -> list[Item]:
    """The latest record of each key; all of them where several were made at the same moment.

    One that judged nothing, or could not run, does not take the place of one that judged: both count.
    """
    if len(items) < 2:
        return list(items)
    newest: dict[tuple[object, ...], datetime] = {}
    for item in items:
        for key in _places(item):
            newest[key] = max(newest.get(key, item.record.captured_at), item.record.captured_at)
    return [item for item in items if any(item.record.captured_at == newest[key] for key in _places(item))]


def _places(item: Item) -> tuple[tuple[object, ...], ...]:
    """The places it competes for: the latest of its key, and the latest of those that judged."""
    silent = item.record.verdict is Verdict.NOT_TESTED or item.record.status is EvidenceStatus.ERROR
    return (item.key,) if silent else (item.key, ("judged", *item.key))


def _renewed(judged: Sequence[_Judged]) -> list[_Judged]:
    """Without those that lapsed or say nothing where a later one of their series passed; a failure stays."""
    if len(judged) < 2:
        return list(judged)
    passed: dict[tuple[object, ...], datetime] = {}
    for one in judged:
        if one.outcome is Outcome.PASS:
            moment = one.item.record.captured_at
            passed[one.item.series] = max(passed.get(one.item.series, moment), moment)

    def is_renewed(one: _Judged) -> bool:
        later = passed.get(one.item.series)
        open_ = one.outcome in (Outcome.STALE, Outcome.MISSING) and one.item.key != one.item.series
        return open_ and later is not None and later > one.item.record.captured_at

    return [one for one in judged if not is_renewed(one)]


def _judge_item(case: Case, item: Item, rule: Callable[[Item], Judgement]) -> _Judged:
    until = case.serves_until(item)
    lapses = until[0]
    if item.record.status is EvidenceStatus.ERROR:
        return _Judged(item, Outcome.ERROR, f"could not be made: {_sentence(item.record.reason)}", until)
    outcome, reason = rule(item)
    if outcome is Outcome.PASS and case.pool.at > lapses:
        why = f": {reason}" if item.record.valid_until == lapses and item.is_typed else ""
        outcome, reason = Outcome.STALE, f"{lapsed(until)}{why}"
    return _Judged(item, outcome, reason, until)


def lapsed(until: tuple[datetime, Ground]) -> str:
    """That it serves no more since a moment, in words."""
    moment, ground = until
    due = "was to be looked at again by" if ground is Ground.CYCLE else "lapsed on"
    return f"{due} {moment:%Y-%m-%d}"


def _combined(case: Case, judged: Sequence[_Judged]) -> CheckResult:
    outcome = worst([one.outcome for one in judged])
    deciding = [one for one in judged if one.outcome is outcome]
    deciding.sort(key=lambda one: one.item.record.captured_at, reverse=True)  # the latest speaks for all
    first = deciding[0]
    more = f" (and {len(deciding) - 1} more)" if len(deciding) > 1 else ""
    ends = [one.until for one in deciding if one.until is not None]
    return result(
        case,
        outcome,
        f"{first.item.label}: {first.reason}{more}",
        [one.item for one in deciding] + [one.item for one in judged if one.outcome is not outcome],
        basis=weakest([one.item.basis for one in judged]) if outcome is Outcome.PASS else None,
        until=first_end(ends) if outcome in (Outcome.PASS, Outcome.STALE) else None,
    )


_GROUNDS = tuple(Ground)


def first_end(ends: Iterable[tuple[datetime, Ground]]) -> tuple[datetime, Ground] | None:
    """The earliest end; of equal ones the evidence's own. None where there is none."""
    return min(ends, key=lambda end: (end[0], _GROUNDS.index(end[1])), default=None)


def _nothing_counts(case: Case, found: Sequence[Item], nothing: str) -> CheckResult:
    """Why nothing on file counts: about something else, of the wrong basis, dated ahead, or not there."""
    if found:
        foreign = [item for item in found if item.foreign]
        if foreign:
            return result(case, Outcome.STALE, f"{foreign[0].label}: {foreign[0].foreign}", foreign)
        accepted = " or ".join(case.requirement.accepts)
        reason = f"{found[0].label}: it is {found[0].basis}, and only {accepted} evidence counts here"
        return result(case, Outcome.MISSING, reason, found)
    kinds = case.requirement.evidence
    if case.pool.ahead and any(case.pool.ahead.get(kind) for kind in kinds):
        return result(case, Outcome.MISSING, f"the {_named(kinds)} evidence is dated after the assessment")
    if nothing:
        return result(case, Outcome.MISSING, nothing)
    roles = case.arguments("role")
    about = f" about {' or '.join(roles)} data" if roles else ""
    return result(case, Outcome.MISSING, f"no {_named(kinds)} evidence{about} is on file")


def _named(kinds: Sequence[str]) -> str:
    return " or ".join([kind.replace("_", " ") for kind in kinds])
