"""One verdict and one sentence over all rules of a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from aims_mlflow.evidence.base import Verdict
from aims_mlflow.evidence.data import RuleResult, RuleVerdict
from aims_mlflow.frames import Table
from aims_mlflow.measure.quality.disclosure import ROWS_BROKEN

_NOT_RUN = (RuleVerdict.ERROR, RuleVerdict.UNKNOWN)
_JUDGED = (RuleVerdict.PASS, RuleVerdict.FAIL)
_SHOWN = 5
"""Columns named in a sentence at most."""


def overall(results: Sequence[RuleResult], table: Table | None = None) -> tuple[Verdict, str]:
    """The verdict over all rules, and why, in one sentence.

    Args:
        results: The rules' results.
        table: The data; where it is given, columns without a value are named, and data without any passes nothing.

    1. ``fail`` if a critical rule failed.
    2. ``not_tested`` if no rule judged anything: there is none, or each raised, was unknown or had nothing to judge.
    3. ``uncertain`` if a rule of any severity could not run, if a critical rule had nothing to judge, or if only rules
       that cannot fail the data were judged and one of them failed.
    4. ``not_tested`` if the data has no row, no column or no value: rules on names and counts alone prove nothing.
    5. ``pass`` otherwise. Failed rules of severity ``warning`` and ``info`` are counted in the sentence.
    """
    failed = [r for r in results if r.verdict is RuleVerdict.FAIL]
    critical = [r for r in failed if r.severity == "critical"]
    not_run = [r for r in results if r.verdict in _NOT_RUN]
    vacuous = [r for r in results if r.verdict is RuleVerdict.VACUOUS]
    judged = [r for r in results if r.verdict in _JUDGED]
    if critical:
        worst = max(critical, key=_badness)
        return Verdict.FAIL, f"{_count(critical, results)} failed, first of all {_named(worst)}{_broken(worst)}."
    if not results:
        return Verdict.NOT_TESTED, "There is no rule to hold the data against."
    if not judged:
        first = (not_run or vacuous)[0]
        return Verdict.NOT_TESTED, f"None of {len(results)} rules judged anything; {_named(first)}: {first.reason}."
    if not_run:
        first = not_run[0]
        return Verdict.UNCERTAIN, f"{_count(not_run, results)} could not run; {_named(first)}: {first.reason}."
    empty = [r for r in vacuous if r.severity == "critical"]
    if empty:
        return Verdict.UNCERTAIN, f"{_count(empty, results)} had nothing to judge, first {_named(empty[0])}."
    if failed and not any(r.severity == "critical" for r in judged):
        worst = max(failed, key=_badness)
        return Verdict.UNCERTAIN, (
            f"{_count(failed, results)} failed, first of all {_named(worst)}, and no critical rule was judged."
        )
    nothing = _nothing_in(table) if table is not None else ""
    if nothing:
        held = f"{len(judged) - len(failed)} of {len(results)} rules"
        return Verdict.NOT_TESTED, f"{nothing}; {held} held, on names and counts, and prove nothing."
    warned = f"; {len(failed)} of lower severity failed, first of all {_named(failed[0])}" if failed else ""
    skipped = f"; {len(vacuous)} of lower severity had nothing to judge" if vacuous else ""
    without = _without_values(table)
    return Verdict.PASS, f"{len(judged) - len(failed)} of {len(results)} rules held{warned}{skipped}{without}."


def empty_columns(table: Table) -> list[str]:
    """Names of the columns in which every row is null or NaN; none where there are no rows."""
    return [column.name for column in table.columns if table.rows and column.missing() == table.rows]


def _nothing_in(table: Table) -> str:
    if not table.columns:
        return "The data has no columns"
    if not table.rows:
        return "The data has no rows"
    return "No column of the data holds a value" if len(empty_columns(table)) == len(table.columns) else ""


def _without_values(table: Table | None) -> str:
    empty = empty_columns(table) if table is not None else []
    if not empty or table is None:
        return ""
    more = ", ..." if len(empty) > _SHOWN else ""
    return f"; no value in {len(empty)} of {len(table.columns)} columns: {', '.join(map(repr, empty[:_SHOWN]))}{more}"


def counts(results: Sequence[RuleResult]) -> dict[str, float | None]:
    """How many rules ended how, as summary numbers."""
    by_verdict = {verdict: sum(r.verdict is verdict for r in results) for verdict in RuleVerdict}
    failed = [r for r in results if r.verdict is RuleVerdict.FAIL]
    judged = by_verdict[RuleVerdict.PASS] + by_verdict[RuleVerdict.FAIL]
    return {
        "rules": len(results),
        "passed": by_verdict[RuleVerdict.PASS],
        "failed": by_verdict[RuleVerdict.FAIL],
        "failed_critical": sum(r.severity == "critical" for r in failed),
        "failed_warning": sum(r.severity == "warning" for r in failed),
        "failed_info": sum(r.severity == "info" for r in failed),
        "vacuous": by_verdict[RuleVerdict.VACUOUS],
        "errors": by_verdict[RuleVerdict.ERROR],
        "unknown": by_verdict[RuleVerdict.UNKNOWN],
        "passed_share": by_verdict[RuleVerdict.PASS] / judged if judged else None,
    }


def _badness(result: RuleResult) -> float:
    """Share of rows that broke the rule; a rule that is not about rows breaks as a whole."""
    return 1.0 if result.measure != ROWS_BROKEN else result.value or 0.0


def _count(some: Sequence[RuleResult], results: Sequence[RuleResult]) -> str:
    return f"{len(some)} of {len(results)} rules"


def _named(result: RuleResult) -> str:
    return result.rule if result.column is None else f"{result.rule} on column {result.column!r}"


def _broken(result: RuleResult) -> str:
    if result.reason:
        return f": {result.reason}"
    if result.unexpected is None or result.value is None:
        return ""
    return f" ({result.value:.2%} of rows broke it)"
