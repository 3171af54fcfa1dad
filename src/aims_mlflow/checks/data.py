"""Checks of data: content, quality rules, drift."""

from __future__ import annotations

from typing import ClassVar

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.checks.case import Case, Item
from aims_mlflow.checks.judging import Judgement, by_verdict, judge
from aims_mlflow.checks.keys import role_of
from aims_mlflow.checks.limits import OTHER_LIMIT
from aims_mlflow.checks.records import is_fact
from aims_mlflow.evidence import (
    DataQualityEvidence,
    DatasetRecord,
    DatasetRef,
    DriftEvidence,
    EvidenceBase,
    EvidenceStatus,
    LineageRecord,
    RuleVerdict,
    Verdict,
)

_CRITICAL = (None, "critical")


class ContentKnown:
    """Every dataset is identified by the SHA-256 of its full content."""

    id: ClassVar[str] = "DS001"
    arguments: ClassVar[tuple[str, ...]] = ("role",)

    def check(self, case: Case) -> CheckResult:
        """Log the dataset with the frame it was made from, so that its full content can be hashed."""
        gap = _unidentified(case)

        def rule(item: Item) -> Judgement:
            record = item.record
            if not isinstance(record, DatasetRecord) or record.dataset.sha256 is None:
                return Outcome.MISSING, "its full content was not hashed"
            if gap:
                return Outcome.MISSING, gap
            return Outcome.PASS, f"{record.dataset.rows} rows by full content"

        return judge(case, rule)


def _unidentified(case: Case) -> str:
    """What the run used besides, and nobody identified by content; empty where there is nothing of the kind."""
    known = [i.record.dataset for i in case.pool.own("dataset") if isinstance(i.record, DatasetRecord)]
    contents = {ref.sha256 for ref in known}
    for ref in case.pool.subject.datasets:
        if ref.sha256 is not None and ref.sha256 not in contents:
            return f"of {ref.name or 'another dataset'} there is no record"
    lineage = max(case.pool.own("lineage"), key=lambda i: (i.record.captured_at, i.digest), default=None)
    by_name_only = 0
    if lineage is not None:
        by_name_only = int(lineage.record.numbers.get("inputs_without_content_digest") or 0)
        by_name_only -= _identified_before(lineage.record, known)
    return f"{by_name_only} more went into the run, known by name only" if by_name_only else ""


def _identified_before(lineage: EvidenceBase, known: list[DatasetRef]) -> int:
    """Inputs the latest capture knew by name only, of which an earlier one has the content: the run was resumed.

    MLflow's own digest joins them, as it joins the inputs of a run with their content when they are captured.
    """
    digests = {ref.mlflow_digest for ref in known if ref.sha256 is not None and ref.mlflow_digest is not None}
    edges = lineage.edges if isinstance(lineage, LineageRecord) else ()
    return sum(any(edge.source.endswith(f"@mlflow:{digest}") for digest in digests) for edge in edges)


class RulesMet:
    """Every data-quality rule that matters is met."""

    id: ClassVar[str] = "DQ001"
    arguments: ClassVar[tuple[str, ...]] = ("role",)

    def check(self, case: Case) -> CheckResult:
        """Mend or exclude the rows the failed rules name, and measure again by the same rules.

        Other rules answer another question: where a rule itself was wrong, state why and measure in a new run.
        """

        def rule(item: Item) -> Judgement:
            outcome, reason = by_verdict(item)
            record = item.record
            if outcome is not Outcome.PASS or not isinstance(record, DataQualityEvidence):
                return outcome, reason
            verdicts = {r.verdict for r in record.rules if r.severity in _CRITICAL}
            if RuleVerdict.FAIL in verdicts:
                return Outcome.FAIL, "it calls itself passed, yet a critical rule in it failed"
            if verdicts & {RuleVerdict.ERROR, RuleVerdict.UNKNOWN}:
                return Outcome.ERROR, "it calls itself passed, yet a critical rule in it could not run"
            if not any(r.verdict is RuleVerdict.PASS for r in record.rules):
                return Outcome.MISSING, "no rule had anything to judge"
            return outcome, reason

        return judge(case, rule, matches=lambda item: not is_fact(item))


class TrainingDataTested:
    """Quality rules were run on exactly the data the model was trained on."""

    id: ClassVar[str] = "DQ002"
    arguments: ClassVar[tuple[str, ...]] = ()

    def check(self, case: Case) -> CheckResult:
        """Run the quality rules on the very frame that is logged as training data."""
        training = _training_data(case)
        tested = {
            item.record.dataset.sha256
            for item in case.pool.own("data_quality")
            if isinstance(item.record, DataQualityEvidence) and _judged_something(item.record)
        }
        missed = [label for sha256, label in training.items() if sha256 is None or sha256 not in tested]

        def rule(_: Item) -> Judgement:
            if missed:
                return Outcome.MISSING, f"no quality results for the exact content of {missed[0]}"
            return Outcome.PASS, f"{len(training)} training {'dataset' if len(training) == 1 else 'datasets'} tested"

        def bears(item: Item) -> bool:
            record = item.record
            if not isinstance(record, DataQualityEvidence):
                return False
            counts = _judged_something(record) or record.status is EvidenceStatus.ERROR
            return counts and (bool(item.foreign) or record.dataset.sha256 in training)

        nothing = "no training dataset is on record"
        if training:
            nothing = f"no quality results for the exact content of {next(iter(training.values()))} are on file"
        return judge(case, rule, matches=bears, nothing=nothing)


def _training_data(case: Case) -> dict[str | None, str]:
    """Content to label of training data and of data whose role nobody named; empty where none is called training."""
    refs = [(i.record.dataset, i.label) for i in case.pool.own("dataset") if isinstance(i.record, DatasetRecord)]
    if not any(role_of(ref.role) == "training" for ref, _ in refs):
        return {}
    return {ref.sha256: label for ref, label in refs if role_of(ref.role) in (None, "training")}


def _judged_something(record: DataQualityEvidence) -> bool:
    judged = any(r.verdict in (RuleVerdict.PASS, RuleVerdict.FAIL) for r in record.rules)
    return judged and record.status is EvidenceStatus.OK and record.verdict is not Verdict.NOT_TESTED


class DriftWithinLimit:
    """The data has not drifted from its reference."""

    id: ClassVar[str] = "DR001"
    arguments: ClassVar[tuple[str, ...]] = ("role",)

    def check(self, case: Case) -> CheckResult:
        """Look into the drifted columns: mend the source, retrain, or set another limit with a reason.

        A comparison by another method or limit does not do away with this one: measure in a new run.
        """
        allowed = case.pool.declaration.drift.share_limit

        def rule(item: Item) -> Judgement:
            outcome, reason = by_verdict(item)
            record = item.record
            if outcome is not Outcome.PASS or not isinstance(record, DriftEvidence):
                return outcome, reason
            if record.tested < 1:
                return Outcome.MISSING, "no column could be compared"
            share = record.drifted_share or 0.0
            if record.drifted and share >= record.share_limit:
                return Outcome.FAIL, "it calls itself passed, yet the share of drifted columns reaches its limit"
            if record.share_limit > allowed:
                told = f"it was {OTHER_LIMIT} ({record.share_limit:.0%} of the columns, now {allowed:.0%})"
                if record.drifted and share >= allowed:
                    return Outcome.FAIL, f"{told}: {share:.0%} drifted"
                return Outcome.STALE, told
            return outcome, reason

        own = case.pool.own("drift")
        nothing = "the data was compared with itself" if any(_is_with_itself(item) for item in own) else ""
        return judge(case, rule, matches=lambda item: not is_fact(item) and not _is_with_itself(item), nothing=nothing)


def _is_with_itself(item: Item) -> bool:
    """Whether data and reference are one content: that they agree shows nothing."""
    record = item.record
    if not isinstance(record, DriftEvidence) or record.verdict is Verdict.FAIL or record.status is EvidenceStatus.ERROR:
        return False
    return record.current.sha256 is not None and record.current.sha256 == record.reference.sha256
