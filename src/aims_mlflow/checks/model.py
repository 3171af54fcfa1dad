"""Checks of the model: identity, interface, performance, fairness."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.checks.case import Case, Item
from aims_mlflow.checks.declared import NO_FILE, undeclared_of
from aims_mlflow.checks.judging import Judgement, by_verdict, judge, result
from aims_mlflow.checks.keys import is_logged, role_of
from aims_mlflow.checks.limits import (
    OTHER_LIMIT,
    Line,
    fairness_lines,
    is_loss_laxer,
    judge_lines,
    performance_lines,
)
from aims_mlflow.checks.records import is_fact
from aims_mlflow.config.completeness import declared
from aims_mlflow.config.models import PerformancePolicy
from aims_mlflow.evidence import (
    DatasetRecord,
    DeclarationRecord,
    EvidenceStatus,
    FairnessEvidence,
    LineageRecord,
    ModelRecord,
    PerformanceEvidence,
    Verdict,
)

_JUDGED = (Verdict.PASS, Verdict.FAIL, Verdict.UNCERTAIN)
_HELD_OUT_ROLES = frozenset({"validation", "test"})
TRAINED_ON = "performance was measured only on the data the model was trained on"
NOT_WHICH_MODEL = "it does not say which of the run's models it is about"


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
        """Improve the model, or collect more data where the interval straddles the limit, and measure again.

        Each metric is held against the limit declared now, whatever limit it was measured by.
        """
        policy = case.pool.declaration.performance
        own = [item for item in case.pool.own("performance") if isinstance(item.record, PerformanceEvidence)]
        lines = {
            i.digest: performance_lines(i.record, policy) for i in own if isinstance(i.record, PerformanceEvidence)
        }
        unclear = _says_not_which_model(case)
        held_out = HeldOut.of(case) if case.arguments("held_out") else None

        def verdict(item: Item) -> Judgement:
            record = item.record
            if not isinstance(record, PerformanceEvidence) or item.digest not in lines:
                return by_verdict(item)
            return judge_lines(item, lines[item.digest], [c.verdict for c in record.comparisons])

        def bears(item: Item) -> bool:
            if is_fact(item) or _names_no_limit_of_its_own(item):
                return False
            if item.foreign:
                return True
            if unclear(item):
                return False
            return held_out is None or not held_out.objection(item) or verdict(item)[0] is not Outcome.PASS

        spoken = [item for item in own if bears(item)]
        unjudged = _unjudged_limits(policy.metrics, spoken, lines, held_out)

        def rule(item: Item) -> Judgement:
            outcome, reason = verdict(item)
            record = item.record
            if outcome is not Outcome.PASS or not isinstance(record, PerformanceEvidence):
                return outcome, reason
            doubt = _doubt(record, lines[item.digest], policy)
            if doubt is None and unjudged:
                return Outcome.MISSING, f"no result for the declared limit of {', '.join(unjudged[:5])}"
            return doubt or (outcome, reason)

        return judge(case, rule, matches=bears, nothing=_why_no_performance(own, unclear, held_out))


def _doubt(record: PerformanceEvidence, lines: Sequence[Line], policy: PerformancePolicy) -> Judgement | None:
    """Why a record that calls itself passed is not believed; None where nothing in it speaks against."""
    judged = [line.verdict for line in lines] + [c.verdict for c in record.comparisons]
    if Verdict.FAIL in judged:
        return Outcome.FAIL, "it calls itself passed, yet a metric in it failed"
    if Verdict.PASS not in judged:
        return Outcome.MISSING, "no metric was held against a limit"
    if is_loss_laxer(record, policy):
        return Outcome.STALE, f"its loss against the baseline was {OTHER_LIMIT}"
    return None


def _why_no_performance(own: Sequence[Item], unclear: Callable[[Item], bool], held_out: HeldOut | None) -> str:
    """What to say of performance records none of which counts; empty where there is none."""
    judged = [item for item in own if not is_fact(item) and not _names_no_limit_of_its_own(item)]
    for item in judged:
        if unclear(item):
            return f"{item.label}: {NOT_WHICH_MODEL}"
    for item in judged if held_out is not None else ():
        if held_out is not None and (objection := held_out.objection(item)):
            return objection
    return f"{own[0].label}: metrics are on record, but no limit was set for them" if own else ""


@dataclass(frozen=True)
class HeldOut:
    """Tells data the model was not trained on from the rest."""

    training_content: frozenset[str]
    training_names: frozenset[str]

    @classmethod
    def of(cls, case: Case) -> HeldOut:
        """By the training datasets on record."""
        refs = [i.record.dataset for i in case.pool.own("dataset") if isinstance(i.record, DatasetRecord)]
        training = [ref for ref in refs if role_of(ref.role) == "training"]
        return cls(frozenset(r.sha256 for r in training if r.sha256), frozenset(r.name for r in training if r.name))

    def objection(self, item: Item) -> str:
        """Why the record does not count as measured on held-out data; empty where it does."""
        record = item.record
        if not isinstance(record, PerformanceEvidence):
            return ""
        ref = record.dataset
        if ref is None:
            if not is_logged(record):
                return f"{item.label}: it does not say on which data"
            roles = {name_role(m.name) for m in record.metrics if m.verdict in _JUDGED}
            if roles & _HELD_OUT_ROLES:
                return ""
            return TRAINED_ON if roles == {"training"} else (
                f"{item.label}: it does not say on which data; a metric's name can, as in test_accuracy"
            )  # fmt: skip
        role = role_of(ref.role)
        if role == "training" or ref.sha256 in self.training_content:
            return TRAINED_ON
        if role is None and not ref.name:
            return f"{item.label}: it does not say on which data"
        if role is None and ref.sha256 is None and ref.name in self.training_names:
            return TRAINED_ON
        return ""


def name_role(metric: str) -> str | None:
    """The data a logged metric says it is of, by the first or last word of its name (``training_f1``, ``f1-val``)."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", metric) if word]
    roles = {role_of(word) for word in (words[0], words[-1])} if words else set()
    if "training" in roles:
        return "training"
    return next((role for role in _HELD_OUT_ROLES if role in roles), None)


def _names_no_limit_of_its_own(item: Item) -> bool:
    """Logged metrics among which no declared one was found: silent on the matter, another record may speak."""
    record = item.record
    silent = record.verdict is Verdict.NOT_TESTED and record.status is EvidenceStatus.OK
    return silent and isinstance(record, PerformanceEvidence) and record.dataset is None


def _unjudged_limits(
    declared: Iterable[str], spoken: Sequence[Item], lines: Mapping[str, Sequence[Line]], held_out: HeldOut | None
) -> list[str]:
    """Declared limits that no record on file speaks to; a logged metric speaks of held-out data only by its name."""
    judged = set()
    for item in spoken:
        named_data = held_out is None or not is_logged(item.record)
        judged |= {
            line.name
            for line in lines[item.digest]
            if line.verdict in _JUDGED and (named_data or name_role(line.name) is not None)
        }
    return [name for name in declared if name not in judged]


def _says_not_which_model(case: Case) -> Callable[[Item], bool]:
    """Whether a record does not tell which of the run's models it is about; never where there is but one."""
    assessed = case.pool.subject.model
    if assessed is None:
        return lambda _: False
    models = {i.record.subject.model.sha256 for i in case.pool.of_kind("model") if i.record.subject.model}
    made = [
        {edge.target.partition("@")[0] for edge in item.record.edges if edge.relation == "output"}
        for item in case.pool.own("lineage")
        if isinstance(item.record, LineageRecord)
    ]
    if len(models - {None} | {assessed.sha256}) < 2 and max(map(len, made), default=0) < 2:
        return lambda _: False

    def unclear(item: Item) -> bool:
        named = item.record.subject.model
        if item.foreign or item.record.status is EvidenceStatus.ERROR:
            return False
        by_content = named is not None and named.sha256 is not None
        by_id = named is not None and named.model_id is not None and named.model_id == assessed.model_id
        return not by_content and not by_id

    return unclear


class GroupsTreatedAlike:
    """Differences between groups keep their limits, where sensitive columns are declared."""

    id: ClassVar[str] = "FA001"
    arguments: ClassVar[tuple[str, ...]] = ("role", "when_declared")

    def check(self, case: Case) -> CheckResult:
        """Look into the group metrics, mitigate or give the reason in the impact assessment, and measure again.

        Each difference is held against the limit declared now, whatever limit it was measured by.
        """
        policy = case.pool.declaration.fairness
        unclear = _says_not_which_model(case)
        own = [item for item in case.pool.own("fairness") if isinstance(item.record, FairnessEvidence)]
        lines = {i.digest: fairness_lines(i.record, policy) for i in own if isinstance(i.record, FairnessEvidence)}
        spoken = {line.name for i in own if not unclear(i) for line in lines[i.digest] if line.verdict in _JUDGED}
        unjudged = [name for name in policy.metrics if name not in spoken]

        def rule(item: Item) -> Judgement:
            if item.digest not in lines:
                return by_verdict(item)
            outcome, reason = judge_lines(item, lines[item.digest])
            if outcome is not Outcome.PASS:
                return outcome, reason
            judged = {line.verdict for line in lines[item.digest]}
            if Verdict.FAIL in judged:
                return Outcome.FAIL, "it calls itself passed, yet a difference in it is beyond its limit"
            if Verdict.PASS not in judged:
                return Outcome.MISSING, "no difference was held against a limit"
            if unjudged:
                return Outcome.MISSING, f"no result for the declared limit of {', '.join(unjudged[:5])}"
            return outcome, reason

        found = judge(case, rule, matches=lambda item: not is_fact(item) and not unclear(item))
        if found.evidence or found.outcome is not Outcome.MISSING:
            return found
        vague = [item for item in own if not is_fact(item) and unclear(item)]
        if vague:
            return result(case, Outcome.MISSING, f"{vague[0].label}: {NOT_WHICH_MODEL}")
        return self._unless_declared(case) if case.arguments("when_declared") else found

    @staticmethod
    def _unless_declared(case: Case) -> CheckResult:
        """Without fairness evidence: not asked for where the declaration names no sensitive columns or limits.

        The declaration must be a file on record to say so; its silence, not ours, is what the result rests on. What
        is declared now counts as well.
        """
        declarations = [item for item in case.pool.own("declaration") if isinstance(item.record, DeclarationRecord)]
        if not declarations:
            reason = "no fairness evidence is on file, and no declaration that says whether there are sensitive columns"
            return result(case, Outcome.MISSING, reason)
        last = max(declarations, key=lambda item: (item.record.captured_at, item.digest))
        asked = case.arguments("when_declared")
        record = last.record
        if not isinstance(record, DeclarationRecord) or record.declaration_sha256 is None:
            reason = f"no fairness evidence is on file, and {NO_FILE} to say whether there are sensitive columns"
            return result(case, Outcome.MISSING, reason)
        silent = set(undeclared_of(asked, record)) - set(declared(case.pool.declaration))
        if silent != set(asked):
            names = ", ".join(name for name in asked if name not in silent)
            return result(case, Outcome.MISSING, f"{names} declared, but no fairness evidence is on file")
        if not case.is_current(last):
            return result(case, Outcome.STALE, "the declaration that names no sensitive columns has lapsed", [last])
        reason = "not asked for: aims.yaml names no sensitive columns"
        return result(case, Outcome.PASS, reason, [last], until=case.serves_until(last))
