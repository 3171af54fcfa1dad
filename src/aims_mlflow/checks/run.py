"""Checks of the run itself: outcome, code, environment, lineage."""

from __future__ import annotations

from typing import ClassVar

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.checks.case import Case, Item
from aims_mlflow.checks.judging import Judgement, judge
from aims_mlflow.evidence import EnvironmentRecord, EvidenceBase, LineageRecord, RunRecord

_ENDED = ("FINISHED", "FAILED", "KILLED")


class RunOnRecord:
    """The run is on record as far as it is asked for: ended, finished, its code known."""

    id: ClassVar[str] = "RN001"
    arguments: ClassVar[tuple[str, ...]] = ("needs",)

    def check(self, case: Case) -> CheckResult:
        """Run the training again, to its end and from committed code."""
        needs = case.arguments("needs")

        def rule(item: Item) -> Judgement:
            record = item.record
            if not isinstance(record, RunRecord):
                return Outcome.MISSING, "it does not describe a run"
            return _judge_run(record, needs)

        return judge(case, rule)


def _judge_run(record: RunRecord, needs: tuple[str, ...]) -> Judgement:
    if record.run_status not in _ENDED:
        return Outcome.MISSING, f"the run has not ended ({record.run_status})"
    if "finished" in needs and record.run_status != "FINISHED":
        return Outcome.FAIL, f"it ended as {record.run_status}"
    if "git_commit" in needs:
        if not record.git_commit:
            return Outcome.MISSING, "the code it ran is not known by a git commit"
        if record.git_dirty:
            return Outcome.UNCERTAIN, "the code it ran had changes that were not committed"
        if record.git_dirty is None:
            return Outcome.PASS, f"it ended as {record.run_status}; whether its code was all committed is not known"
    return Outcome.PASS, f"it ended as {record.run_status}"


class SoftwarePinned:
    """Every package is known at an exact version."""

    id: ClassVar[str] = "EN001"
    arguments: ClassVar[tuple[str, ...]] = ()

    def check(self, case: Case) -> CheckResult:
        """Pin the packages named and log the model anew."""

        def rule(item: Item) -> Judgement:
            record = item.record
            if not isinstance(record, EnvironmentRecord) or not record.packages:
                return Outcome.MISSING, "it lists no packages"
            loose = sorted({*record.unpinned, *(name for name, version in record.packages.items() if not version)})
            if loose:
                shown = ", ".join(loose[:5]) + (f" and {len(loose) - 5} more" if len(loose) > 5 else "")
                return Outcome.FAIL, f"no exact version of {shown}"
            return Outcome.PASS, f"{len(record.packages)} packages at exact versions"

        return judge(case, rule)


def _run_id(record: EvidenceBase) -> str | None:
    return record.subject.run.run_id if record.subject.run else None


class LineageComplete:
    """The chain from dataset to run to model is closed."""

    id: ClassVar[str] = "LN001"
    arguments: ClassVar[tuple[str, ...]] = ()

    def check(self, case: Case) -> CheckResult:
        """Log data and model in the same run, so that both ends of the chain meet.

        What a run was fed and what it made only grows: a capture after the run was resumed adds to those before it.
        """
        captured = [i.record for i in case.pool.own("lineage")]

        def rule(item: Item) -> Judgement:
            record = item.record
            if not isinstance(record, LineageRecord):
                return Outcome.MISSING, "it holds no links"
            edges = set(record.edges)
            for one in captured:
                if isinstance(one, LineageRecord) and _run_id(one) == _run_id(record):
                    edges.update(one.edges)
            fed = {edge.target for edge in edges if edge.relation == "input"}
            made = {edge.source for edge in edges if edge.relation == "output"}
            if not fed:
                return Outcome.MISSING, "it names no dataset that went into the run"
            if not made:
                return Outcome.MISSING, "it names no model that came out of the run"
            if not fed & made:
                return Outcome.MISSING, "the dataset and the model it names do not meet in one run"
            return Outcome.PASS, f"{len(edges)} links from dataset to model"

        return judge(case, rule)
