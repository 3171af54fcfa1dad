"""Great Expectations as the engine: called directly, no context, batch fingerprints, progress bars or raw values.

The metrics of a few rules at a time are resolved over a frame of only the columns those rules read. Great Expectations
filters the whole frame it is given once per rule, so this is where the time and the memory go; see
``benchmarks/bench_quality.py``. What it needs of the library are an expectation's ``get_validation_dependencies`` and
``_validate`` (the two methods authors of custom expectations override), ``MetricsCalculator`` and
``PandasExecutionEngine``. Where a version of Great Expectations has not got them, the public path runs instead.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from aims_mlflow.evidence.data import RuleVerdict
from aims_mlflow.frames import Table
from aims_mlflow.measure.quality.library import engine_version, library
from aims_mlflow.measure.quality.outcome import Job, Outcome, number_of
from aims_mlflow.measure.quality.public_path import run_public
from aims_mlflow.measure.quality.repeats import NULLS, ROWS, counted
from aims_mlflow.measure.quality.suite import SuiteRule
from aims_mlflow.measure.quality.values import NO_NAME, frame_of, header_of

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMAT = {"result_format": "BOOLEAN_ONLY", "partial_unexpected_count": 0}
"""No value of the data is collected; the counts are read from the metrics the verdict is made of."""

_TOGETHER = 4
"""Rules resolved in one graph: each keeps its row mask until the graph is done."""

_ON_COUNT = frozenset(
    {
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
    }
)
_ON_HEADER = frozenset(
    {
        "expect_column_to_exist",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_columns_to_match_ordered_list",
        "expect_table_columns_to_match_set",
    }
)
_COLUMNS_SET = "expect_table_columns_to_match_set"
_NOT_NULL = "expect_column_values_to_not_be_null"
_ON_TYPE = frozenset(
    {
        "expect_column_type_to_be",
        "expect_column_values_to_be_in_type_list",
        "expect_column_values_to_be_of_type",
    }
)
_OVER_ALL_ROWS = frozenset({"expect_column_proportion_of_non_null_values_to_be_between"})
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ROW_CONDITION = ("row_condition", "condition_parser")
_NOT_SKIPPING_NULLS = ("column_values.nonnull", "column_values.null")


def run_rules(table: Table, rules: Sequence[SuiteRule], *, public: bool = False) -> list[Outcome]:
    """Every rule's outcome, in order.

    Args:
        table: The data.
        rules: The rules.
        public: Use Great Expectations' documented path (an ephemeral context) instead: slower, and it can run only one
            at a time in a process.
    """
    library()
    outcomes: dict[int, Outcome] = {}
    jobs: list[Job] = []
    for place, rule in enumerate(rules):
        made = _refused(table, rule) or _expectation(rule, _is_moments(table, rule))
        if isinstance(made, Outcome):
            outcomes[place] = made
        else:
            jobs.append(Job(place, rule, made))
    if public or _direct() is None:
        outcomes.update(run_public(table, jobs))
    else:
        outcomes.update(_run_direct(table, jobs))
    return [_weighed(table, rule, outcomes[place]) for place, rule in enumerate(rules)]


def _direct() -> tuple[Any, Any] | None:
    """The two classes the direct path needs, or None in a version that has moved or changed them."""
    try:
        from great_expectations.execution_engine import PandasExecutionEngine
        from great_expectations.expectations.expectation import Expectation
        from great_expectations.validator.metrics_calculator import MetricsCalculator
    except ImportError:
        return None
    if not (hasattr(Expectation, "_validate") and hasattr(Expectation, "get_validation_dependencies")):
        return None
    return PandasExecutionEngine, MetricsCalculator


def _refused(table: Table, rule: SuiteRule) -> Outcome | None:
    """The outcome of a rule that cannot be put to this table at all."""
    if rule.type in _ON_HEADER:
        return None
    for name in rule.columns:
        if name not in table:
            near = difflib.get_close_matches(name, table.names, n=1)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            reason = f"the data has no column {name!r}{hint}"
            return Outcome(RuleVerdict.ERROR, error_type="MissingColumn", reason=reason)
        if rule.source != "derived" and _is_ambiguous(table, name):
            reason = f"the data has several columns named {name!r}"
            return Outcome(RuleVerdict.ERROR, error_type="AmbiguousColumn", reason=reason)
    if "$PARAMETER" in str(rule.kwargs):
        reason = "the suite gives no value for one of its parameters"
        return Outcome(RuleVerdict.ERROR, error_type="MissingParameter", reason=reason)
    return None


def _is_ambiguous(table: Table, name: str) -> bool:
    return f"{name}#2" in table.renamed and str(table.renamed[f"{name}#2"]) == name


def _is_moments(table: Table, rule: SuiteRule) -> bool:
    """Whether the rule is about one column of points in time (not of calendar dates)."""
    if len(rule.columns) != 1 or rule.columns[0] not in table:
        return False
    return table[rule.columns[0]].dtype.lower().startswith(("datetime", "timestamp"))


def _at_midnight(value: Any) -> Any:
    """A calendar date as the moment it begins; Great Expectations cannot compare a date with a moment."""
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        with contextlib.suppress(ValueError):
            return dt.datetime.fromisoformat(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    return value


def _expectation(rule: SuiteRule, moments: bool = False) -> Any:
    """The rule as Great Expectations' object, or the outcome that says why there is none."""
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    try:
        kind = get_expectation_impl(rule.type)
    except ExpectationNotFoundError:
        near = difflib.get_close_matches(rule.type, list_registered_expectation_implementations(), n=1, cutoff=0.4)
        hint = f"; the nearest it knows is {near[0]}" if near else ""
        reason = f"Great Expectations {engine_version()} knows no rule type {rule.type!r}{hint}"
        return Outcome(RuleVerdict.UNKNOWN, error_type="ExpectationNotFoundError", reason=reason)
    kwargs = copy.deepcopy(dict(rule.kwargs))
    kwargs.update({key: str(kwargs[key]) or NO_NAME for key in ("column", "column_A", "column_B") if key in kwargs})
    if moments:
        kwargs.update({key: _at_midnight(kwargs[key]) for key in ("min_value", "max_value") if key in kwargs})
    try:
        return kind(**kwargs)
    except Exception as error:  # noqa: BLE001  (custom expectations validate as they like; recorded as an error)
        return _raised(error, "its arguments do not fit the rule type")


def _raised(error: BaseException, reason: str) -> Outcome:
    name = error.error_type if isinstance(error, _MetricError) else type(error).__name__
    return Outcome(RuleVerdict.ERROR, error_type=name, reason=reason)


class _MetricError(Exception):
    """A metric of a rule could not be computed; holds the cause's class and nothing of its text."""

    def __init__(self, error_type: str) -> None:
        self.error_type = error_type
        super().__init__(error_type)


def _run_direct(table: Table, jobs: Sequence[Job]) -> dict[int, Outcome]:
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(_group(job), []).append(job)
    outcomes: dict[int, Outcome] = {}
    for (kind, *names), members in groups.items():
        if kind == "condition":
            outcomes.update(_run_conditional(table, members[0]))
            continue
        frame = _frame(table, kind, names, coded=all(_is_on_labels(job.rule) for job in members))
        for start in range(0, len(members), _TOGETHER):
            outcomes.update(_resolve(frame, members[start : start + _TOGETHER]))
        del frame  # before the next one is made
    return outcomes


def _group(job: Job) -> tuple[Any, ...]:
    """Rules with the same key are judged over one frame."""
    rule = job.rule
    if rule.kwargs.get("row_condition") is not None:
        return "condition", job.place
    if rule.type in _ON_COUNT:
        return ("count",)
    if rule.type in _ON_HEADER:
        return ("header",)
    if rule.columns:
        as_stored = rule.type in _ON_TYPE and rule.source != "derived"
        return ("type" if as_stored else "values", *rule.columns)
    return "whole", job.place


def _is_on_labels(rule: SuiteRule) -> bool:
    """Whether a category says as much as the text itself; whoever writes a rule of his own may mean the text."""
    return rule.source == "derived" and rule.type in {_NOT_NULL, "expect_column_values_to_be_in_set"}


def _frame(table: Table, kind: str, names: Sequence[str], *, coded: bool) -> pd.DataFrame:
    if kind == "count":
        return pd.DataFrame(index=pd.RangeIndex(table.rows))
    if kind == "header":
        return header_of(table)
    if kind == "whole":
        return table.pandas()
    return frame_of(table, dict.fromkeys(names), as_stored=kind == "type", coded=coded)


def _run_conditional(table: Table, job: Job) -> dict[int, Outcome]:
    """A rule with a row condition: over the columns the condition mentions, or over all if that was not enough."""
    text = str(job.rule.kwargs["row_condition"])
    names = [name for name in table.names if name in job.rule.columns or name in text]
    frame = frame_of(table, names)
    found = _resolve(frame, [job])
    if found[job.place].verdict is RuleVerdict.ERROR and len(names) < len(table.names):
        frame = table.pandas()
        found = _resolve(frame, [job])
    outcome = found[job.place]
    if outcome.considered is None and len(job.rule.columns) == 1:
        same_rows = {key: job.rule.kwargs[key] for key in _ROW_CONDITION if key in job.rule.kwargs}
        kwargs = {"column": job.rule.columns[0], **same_rows}
        counter = _expectation(SuiteRule("expect_column_values_to_not_be_null", kwargs))
        counts = _resolve(frame, [Job(job.place, job.rule, counter)])[job.place]
        if counts.considered is not None and counts.unexpected is not None:
            return {job.place: replace(outcome, considered=counts.considered - counts.unexpected)}
    return found


def _resolve(frame: pd.DataFrame, jobs: Sequence[Job]) -> dict[int, Outcome]:
    """The rules' outcomes; where one raises, each is judged alone so that it takes no other with it."""
    try:
        return _evaluate(frame, jobs)
    except Exception as error:  # noqa: BLE001  (a rule may raise anything; recorded as an error, never as a pass)
        if len(jobs) == 1:
            return {jobs[0].place: _raised(error, "the rule raised on this data")}
    return {place: outcome for job in jobs for place, outcome in _resolve(frame, [job]).items()}


def _evaluate(frame: pd.DataFrame, jobs: Sequence[Job]) -> dict[int, Outcome]:
    found = _direct()
    assert found is not None  # noqa: S101  (for the type checker: run_rules asked)
    engine_class, calculator_class = found
    engine = engine_class(caching=False)
    engine.load_batch_data("batch", frame)
    try:
        return _evaluate_with(engine, calculator_class, frame, jobs)
    finally:
        # The engine and its batch hold each other: the frame would stay until Python next looks for cycles.
        with contextlib.suppress(AttributeError):
            engine.batch_manager.batch_data_cache.clear()


def _evaluate_with(engine: Any, calculator_class: Any, frame: pd.DataFrame, jobs: Sequence[Job]) -> dict[int, Outcome]:
    causes: dict[Any, str] = {}
    engine.resolve_metrics = _watched(engine.resolve_metrics, causes)
    calculator = calculator_class(execution_engine=engine, show_progress_bars=False)
    needs = [
        job.expectation.get_validation_dependencies(execution_engine=engine, runtime_configuration=_format())
        for job in jobs
    ]
    by_hand = [counted(frame, job, need.metric_configurations) for job, need in zip(jobs, needs, strict=True)]
    graph = calculator.build_metric_dependency_graph(
        metric_configurations=[
            metric
            for need, own in zip(needs, by_hand, strict=True)
            if own is None
            for metric in need.get_metric_configurations()
        ],
        runtime_configuration=_format(),
    )
    metrics, aborted = calculator.resolve_validation_graph(graph=graph, runtime_configuration=_format())
    if aborted:
        raise _MetricError(next((causes[key] for key in aborted if key in causes), "MetricResolutionError"))
    outcomes = {}
    for job, need, own in zip(jobs, needs, by_hand, strict=True):
        if own is None:
            own = {name: metrics[metric.id] for name, metric in need.metric_configurations.items()}
        answer = job.expectation._validate(
            metrics=own, runtime_configuration={"result_format": need.result_format}, execution_engine=engine
        )
        outcomes[job.place] = _outcome(job.expectation, own, answer)
    return outcomes


def _format() -> dict[str, Any]:
    return {"result_format": dict(_FORMAT)}


def _watched(resolve: Callable[..., Any], causes: dict[Any, str]) -> Callable[..., Any]:
    """``resolve_metrics`` that notes the class of what made a metric fail (Great Expectations keeps only the text)."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        try:
            return resolve(*args, **kwargs)
        except Exception as error:
            for metric in getattr(error, "failed_metrics", ()):
                causes[metric.id] = type(error.__cause__ or error).__name__
            raise

    return watched


def _outcome(expectation: Any, metrics: dict[str, Any], answer: Any) -> Outcome:
    success = answer["success"] if isinstance(answer, dict) else answer.success
    result = (answer.get("result") if isinstance(answer, dict) else answer.result) or {}
    verdict = RuleVerdict.PASS if bool(success) else RuleVerdict.FAIL
    mapped = getattr(expectation, "map_metric", None)
    broken = metrics.get(f"{mapped}.unexpected_count")
    if broken is None:
        return Outcome(verdict, observed=number_of(result.get("observed_value")))
    considered = metrics.get(f"{mapped}.filtered_row_count")
    if considered is None:
        considered = metrics[ROWS]
        if mapped not in _NOT_SKIPPING_NULLS:
            considered -= metrics[NULLS]
    return Outcome(verdict, considered=int(considered), unexpected=int(broken))


def _weighed(table: Table, rule: SuiteRule, outcome: Outcome) -> Outcome:
    """The outcome with the rows a column's number was taken from, and a pass that judged nothing called vacuous."""
    if outcome.verdict is RuleVerdict.FAIL:
        outcome = replace(outcome, reason=_reason_of_failure(table, rule))
    if outcome.verdict in (RuleVerdict.ERROR, RuleVerdict.UNKNOWN) or rule.type in _ON_COUNT | _ON_HEADER:
        return outcome
    if outcome.considered is None and rule.columns and rule.type not in _ON_TYPE and "row_condition" not in rule.kwargs:
        missing = 0 if rule.type in _OVER_ALL_ROWS else max(table[name].missing() for name in rule.columns)
        outcome = replace(outcome, considered=table.rows - missing)
    if outcome.verdict is not RuleVerdict.PASS:
        return outcome
    # Great Expectations judges the type of a column of objects by its values.
    untyped = rule.type in _ON_TYPE and any(table[name].missing() == table.rows for name in rule.columns)
    if table.rows == 0 or outcome.considered == 0 or untyped:
        return replace(outcome, verdict=RuleVerdict.VACUOUS, reason="there was nothing to judge")
    return outcome


def _reason_of_failure(table: Table, rule: SuiteRule) -> str:
    """What a number of broken rows does not say; empty where it says all."""
    if rule.type == _COLUMNS_SET:
        return _odd_columns(table, rule)
    if rule.type in _ON_COUNT and table.rows == 0:
        return "the data has no rows"
    if rule.type in _ON_HEADER and not table.columns:
        return "the data has no columns"
    if rule.type == _NOT_NULL and table.rows and all(table[n].missing() == table.rows for n in rule.columns):
        return "the column holds no value"
    return ""


def _odd_columns(table: Table, rule: SuiteRule) -> str:
    """Names of the columns that are missing and, where the rule forbids them, of those too many."""
    wanted = {str(name) for name in rule.kwargs.get("column_set") or ()}
    absent = sorted(wanted.difference(table.names))
    extra = [] if rule.kwargs.get("exact_match") is False else sorted(set(table.names) - wanted)
    parts = (
        f"{what} {', '.join(map(repr, names[:10]))}" for what, names in (("missing", absent), ("extra", extra)) if names
    )
    return " and ".join(parts)
