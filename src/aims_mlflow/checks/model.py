"""Checks of the model: identity, interface, performance, fairness."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.checks.case import Case, Item, role_of
from aims_mlflow.checks.declared import undeclared_of
from aims_mlflow.checks.judging import Judgement, by_verdict, judge, result
from aims_mlflow.checks.records import is_fact
from aims_mlflow.evidence import (
    DatasetRecord,
    DeclarationRecord,
    EvidenceStatus,
    FairnessEvidence,
    ModelRecord,
    PerformanceEvidence,
    Verdict,
)

_JUDGED = (Verdict.PASS, Verdict.FAIL, Verdict.UNCERTAIN)


class ModelIdentified:
    """The model is identified by content, and its interface is declared."""

    id: ClassVar[str] = "MD001"
    arguments: ClassVar[tuple[str, ...]] = ("needs",)

    def check(self, case: Case) -> CheckResult:
        """Log the model anew with a signature: an input example is enough for MLflow to infer one."""
        needs = case.arguments("needs")

        def rule(item: Item) -> Judgement:
            record = item.record
            named = record.subject.model
            if "digest" in needs and (named is None or named.sha256 is None):
                return Outcome.MISSING, "its files were not hashed"
            if not isinstance(record, ModelRecord):
                return Outcome.MISSING, "it does not describe a model"
            if "signature" in needs and not record.signature_inputs:
                return Outcome.FAIL, "it was logged without a signature"
            if "input_example" in needs and not record.input_example:
                return Outcome.FAIL, "it was logged without an input example"
            return Outcome.PASS, f"{len(record.files)} files hashed"

        return judge(case, rule, nothing="no logged model is on record")


class PerformanceWithinLimits:
    """Performance keeps every limit that was set, on data the model was not trained on."""

    id: ClassVar[str] = "PF001"
    arguments: ClassVar[tuple[str, ...]] = ("role", "held_out")

    def check(self, case: Case) -> CheckResult:
        """Improve the model, or collect more data where the interval straddles the limit, and measure again."""
        trained_on = _training_content(case) if case.arguments("held_out") else set()

        def on_training_data(item: Item) -> bool:
            record = item.record
            if not case.arguments("held_out") or not isinstance(record, PerformanceEvidence) or record.dataset is None:
                return False
            return role_of(record.dataset.role) == "training" or record.dataset.sha256 in trained_on

        def bears(item: Item) -> bool:
            if is_fact(item) or _names_no_limit_of_its_own(item):
                return False
            return not on_training_data(item) or item.record.verdict is not Verdict.PASS

        unjudged = _unjudged_limits(case, bears)

        def rule(item: Item) -> Judgement:
            outcome, reason = by_verdict(item)
            record = item.record
            if outcome is not Outcome.PASS or not isinstance(record, PerformanceEvidence):
                return outcome, reason
            judged = [m.verdict for m in record.metrics] + [c.verdict for c in record.comparisons]
            if Verdict.FAIL in judged:
                return Outcome.FAIL, "it calls itself passed, yet a metric in it failed"
            if Verdict.PASS not in judged:
                return Outcome.MISSING, "no metric was held against a limit"
            if unjudged:
                return Outcome.MISSING, f"no result for the declared limit of {', '.join(unjudged[:5])}"
            return outcome, reason

        own = case.pool.own("performance")
        nothing = ""
        if any(on_training_data(item) for item in own):
            nothing = "performance was measured only on the data the model was trained on"
        elif own:
            nothing = f"{own[0].label}: metrics are on record, but no limit was set for them"
        return judge(case, rule, matches=bears, nothing=nothing)


def _names_no_limit_of_its_own(item: Item) -> bool:
    """Logged metrics among which no declared one was found: silent on the matter, another record may speak."""
    record = item.record
    silent = record.verdict is Verdict.NOT_TESTED and record.status is EvidenceStatus.OK
    return silent and isinstance(record, PerformanceEvidence) and record.dataset is None


def _training_content(case: Case) -> set[str | None]:
    return {
        item.record.dataset.sha256
        for item in case.pool.own("dataset")
        if isinstance(item.record, DatasetRecord)
        and item.record.dataset.sha256 is not None
        and role_of(item.record.dataset.role) == "training"
    }


def _unjudged_limits(case: Case, bears: Callable[[Item], bool]) -> list[str]:
    """Declared limits that no record on file speaks to."""
    judged = {
        metric.name
        for item in case.pool.own("performance")
        if isinstance(item.record, PerformanceEvidence) and bears(item)
        for metric in item.record.metrics
        if metric.verdict in _JUDGED
    }
    return [name for name in case.pool.declaration.performance.metrics if name not in judged]


def _unjudged_disparities(case: Case) -> list[str]:
    """Declared limits of disparities, by metric and statistic, that no record on file speaks to."""
    judged = {
        f"{gap.metric}_{gap.statistic}"
        for item in case.pool.own("fairness")
        if isinstance(item.record, FairnessEvidence)
        for gap in item.record.disparities
        if gap.verdict in _JUDGED
    }
    return [name for name in case.pool.declaration.fairness.metrics if name not in judged]


class GroupsTreatedAlike:
    """Differences between groups keep their limits, where sensitive columns are declared."""

    id: ClassVar[str] = "FA001"
    arguments: ClassVar[tuple[str, ...]] = ("role", "when_declared")

    def check(self, case: Case) -> CheckResult:
        """Look into the group metrics, mitigate or give the reason in the impact assessment, and measure again."""
        unjudged = _unjudged_disparities(case)

        def rule(item: Item) -> Judgement:
            outcome, reason = by_verdict(item)
            record = item.record
            if outcome is not Outcome.PASS or not isinstance(record, FairnessEvidence):
                return outcome, reason
            judged = {d.verdict for d in record.disparities}
            if Verdict.FAIL in judged:
                return Outcome.FAIL, "it calls itself passed, yet a difference in it is beyond its limit"
            if Verdict.PASS not in judged:
                return Outcome.MISSING, "no difference was held against a limit"
            if unjudged:
                return Outcome.MISSING, f"no result for the declared limit of {', '.join(unjudged[:5])}"
            return outcome, reason

        found = judge(case, rule, matches=lambda item: not is_fact(item))
        if found.evidence or found.outcome is not Outcome.MISSING or not case.arguments("when_declared"):
            return found
        return self._unless_declared(case)

    @staticmethod
    def _unless_declared(case: Case) -> CheckResult:
        """Without fairness evidence: not asked for where the declaration names no sensitive columns or limits.

        The declaration must be on file to say so; its silence, not ours, is what the result rests on.
        """
        declarations = [item for item in case.pool.own("declaration") if isinstance(item.record, DeclarationRecord)]
        if not declarations:
            reason = "no fairness evidence is on file, and no declaration that says whether there are sensitive columns"
            return result(case, Outcome.MISSING, reason)
        last = max(declarations, key=lambda item: (item.record.captured_at, item.digest))
        asked = case.arguments("when_declared")
        record = last.record
        silent = set(undeclared_of(asked, record)) if isinstance(record, DeclarationRecord) else set()
        if silent != set(asked):
            names = ", ".join(name for name in asked if name not in silent)
            return result(case, Outcome.MISSING, f"{names} declared, but no fairness evidence is on file")
        if not case.is_current(last):
            return result(case, Outcome.STALE, "the declaration that names no sensitive columns has lapsed", [last])
        reason = "not asked for: aims.yaml names no sensitive columns"
        return result(case, Outcome.PASS, reason, [last], valid_until=case.lapses(last))
