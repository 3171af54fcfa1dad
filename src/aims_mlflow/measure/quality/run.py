"""Data quality measured: a table and a suite in, everything ``DataQualityEvidence`` needs out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from aims_mlflow.config.models import Columns, DataQualityPolicy, PrivacyPolicy
from aims_mlflow.evidence.base import Threshold, Tool, Verdict
from aims_mlflow.evidence.data import RuleResult
from aims_mlflow.frames import Table
from aims_mlflow.measure.quality.derive import derive_suite
from aims_mlflow.measure.quality.disclosure import rule_result
from aims_mlflow.measure.quality.great_expectations import run_rules
from aims_mlflow.measure.quality.library import engine_version
from aims_mlflow.measure.quality.profile import Profile
from aims_mlflow.measure.quality.suite import Suite
from aims_mlflow.measure.quality.verdict import counts, empty_columns, overall

Engine = Literal["direct", "public"]

_METHOD = (
    "Great Expectations' expectations over the full data, judged by its pandas engine (which rows of plain numbers "
    "repeat is counted by sorting); its verdicts, told apart further into vacuous, error and unknown."
)


@dataclass(frozen=True)
class QualityPayload:
    """What a measurement of data quality yields; the fields of ``DataQualityEvidence`` that are its own."""

    rules: tuple[RuleResult, ...]
    suite_sha256: str
    suite_name: str
    verdict: Verdict
    reason: str
    numbers: dict[str, float | None]
    thresholds: tuple[Threshold, ...]
    method: str
    parameters: dict[str, Any]
    engine: Tool

    def as_fields(self) -> dict[str, Any]:
        """The payload as keyword arguments of ``DataQualityEvidence``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def suite_in_force(
    own: Suite,
    *,
    policy: DataQualityPolicy,
    columns: Columns,
    profile: Profile | None = None,
    labelled: bool = True,
) -> Suite:
    """The author's suite and, where ``policy.derive`` says so, the derived rules its author has not ruled on.

    Args:
        own: Rules somebody wrote; may be empty.
        policy: Says whether rules are derived, and their limits.
        columns: Which column is what.
        profile: The reference data's profile, if there is a reference.
        labelled: False for data that has no target yet.
    """
    if not policy.derive:
        return own
    derived = derive_suite(policy, columns, profile, labelled=labelled)
    return own.plus_derived(derived) if own.rules else derived


def measure_quality(
    table: Table,
    *,
    rules: Suite,
    privacy: PrivacyPolicy | None = None,
    columns: Columns | None = None,
    engine: Engine = "direct",
) -> QualityPayload:
    """Every rule of the suite held against the table.

    Args:
        table: The data.
        rules: The suite in force, set before the data was looked at.
        privacy: The smallest count that may be told.
        columns: Which columns' labels may be written.
        engine: ``direct`` calls Great Expectations' engine; ``public`` takes its documented path, for a cross-check.
    """
    privacy, columns = privacy or PrivacyPolicy(), columns or Columns()
    put = rules.over(table.names).rules
    outcomes = run_rules(table, put, public=engine == "public")
    results = tuple(
        rule_result(
            rule, outcome, smallest_cell=privacy.smallest_cell, safe_labels=columns.safe_labels, rows=table.rows
        )
        for rule, outcome in zip(put, outcomes, strict=True)
    )
    verdict, reason = overall(results, table)
    sources = {rule.source for rule in put}
    return QualityPayload(
        rules=results,
        suite_sha256=rules.sha256,
        suite_name=rules.name,
        verdict=verdict,
        reason=reason,
        numbers={
            **counts(results),
            "rows": table.rows,
            "columns": len(table.columns),
            "empty_columns": len(empty_columns(table)),
        },
        thresholds=(
            Threshold(name="failed_critical", op="<=", value=0, source="method"),
            Threshold(name="errors", op="<=", value=0, source="method"),
            Threshold(name="unknown", op="<=", value=0, source="method"),
        ),
        method=_METHOD,
        parameters={
            "engine_path": engine,
            "smallest_cell": privacy.smallest_cell,
            "rule_sources": {source: sum(r.source == source for r in put) for source in sorted(sources)},
        },
        engine=Tool(name="great_expectations", version=engine_version()),
    )
