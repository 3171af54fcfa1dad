"""Checks of records that this library did not measure itself, and of statements."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.checks.case import Case, Item, start_of_validity
from aims_mlflow.checks.judging import Judgement, by_presence, by_verdict, is_human, judge
from aims_mlflow.evidence import AttestationRecord, Basis, EvidenceStatus, Verdict


class OnRecord:
    """The evidence is on record."""

    id: ClassVar[str] = "EV001"
    arguments: ClassVar[tuple[str, ...]] = ("role",)

    def check(self, case: Case) -> CheckResult:
        """Read the record's own reason, mend what it names, and record it anew under the same ``id`` in its content.

        A record without an id stands on its own: no later one takes the place of its failure.
        """
        return judge(case, by_presence)


class VerdictPassed:
    """The record says that its conditions were met."""

    id: ClassVar[str] = "RC001"
    arguments: ClassVar[tuple[str, ...]] = ("role",)

    def check(self, case: Case) -> CheckResult:
        """Mend what the record names as not met, and record it anew under the same ``id`` in its content.

        A record without an id stands on its own: no later one takes the place of its failure.
        """
        return judge_verdicts(case)


class StatementInForce:
    """A named person's statement on the topic is in force."""

    id: ClassVar[str] = "AT001"
    arguments: ClassVar[tuple[str, ...]] = ("topic", "needs")

    def check(self, case: Case) -> CheckResult:
        """Settle what the statement says is not met, then state it anew."""
        topics = case.arguments("topic")
        needs = case.arguments("needs")
        if case.pool.holds_none_of(case.requirement.evidence):
            return _no_statement(case.requirement.id, self.id, topics, case.requirement.accepts)

        def rule(item: Item) -> Judgement:
            outcome, reason = by_presence(item)
            missing = [name for name in needs if not getattr(item.record, name, None)]
            if outcome is Outcome.PASS and missing:
                return Outcome.MISSING, f"it names no {' and no '.join(missing)}"
            return outcome, reason

        def bears(item: Item) -> bool:
            record = item.record
            if not isinstance(record, AttestationRecord) or record.topic not in topics:
                return False
            return not record.supports or case.row.id in record.supports

        def in_force(item: Item) -> bool:
            record = item.record
            return bears(item) and isinstance(record, AttestationRecord) and start_of_validity(record) <= case.pool.at

        typed = any(item.is_typed and in_force(item) for item in case.pool.of_kind("attestation"))

        def counts(item: Item) -> bool:
            plain = not item.is_typed and item.record.status is EvidenceStatus.OK
            return in_force(item) and not (typed and plain)

        named = _named(topics)
        coming = [i for i in case.pool.own("attestation") if bears(i) and not in_force(i)]
        nothing = f"no attestation on {named} is on file"
        if coming:
            starts = min(start_of_validity(i.record) for i in coming if isinstance(i.record, AttestationRecord))
            nothing = f"the attestation on {named} is not valid before {starts:%Y-%m-%d}"
        return judge(case, rule, matches=counts, nothing=nothing)


def _named(topics: tuple[str, ...]) -> str:
    return " or ".join(repr(topic) for topic in topics)


@cache
def _no_statement(requirement: str, check: str, topics: tuple[str, ...], accepts: tuple[Basis, ...]) -> CheckResult:
    """The result where no statement at all is on file: the same for half the register, run after run."""
    return CheckResult(
        requirement=requirement,
        check=check,
        outcome=Outcome.MISSING,
        reason=f"no attestation on {_named(topics)} is on file",
        attested_part=is_human(accepts),
    )


def is_fact(item: Item) -> bool:
    """Whether the record states facts that were held against no limit."""
    return item.record.verdict is Verdict.RECORDED and item.record.status is EvidenceStatus.OK


def judge_verdicts(case: Case) -> CheckResult:
    """Judge by the records' own verdicts; records without a limit are left aside, and alone they are no pass."""
    roles = case.arguments("role")
    facts = [
        item
        for kind in case.requirement.evidence
        for item in case.pool.own(kind)
        if is_fact(item) and (not roles or item.has_role(roles))
    ]
    nothing = f"{facts[0].label}: it states facts but was held against no limit" if facts else ""
    return judge(case, by_verdict, matches=lambda item: not is_fact(item), nothing=nothing)
