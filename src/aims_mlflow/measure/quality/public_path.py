"""Great Expectations' documented path, through an ephemeral context: the cross-check, and the fallback."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from aims_mlflow.evidence.data import RuleVerdict
from aims_mlflow.frames import Table
from aims_mlflow.measure.quality.library import library
from aims_mlflow.measure.quality.outcome import Job, Outcome, number_of

_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
_KEY = "aims_place"
_ONE_AT_A_TIME = threading.Lock()
_NO_RESULT = Outcome(RuleVerdict.ERROR, error_type="NoResult", reason="Great Expectations gave no result for the rule")


def run_public(table: Table, jobs: Sequence[Job]) -> dict[int, Outcome]:
    """Great Expectations' documented path; the project the caller's own code has set is set again afterwards."""
    if not jobs:
        return {}
    for job in jobs:
        job.expectation.meta = {_KEY: job.place}
    gx = library()
    suite = gx.ExpectationSuite(name="aims", expectations=[job.expectation for job in jobs])
    with _ONE_AT_A_TIME, _own_project(gx) as context:
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_pandas("aims").add_dataframe_asset("aims")
        definition = asset.add_batch_definition_whole_dataframe("aims")
        batch = definition.get_batch(batch_parameters={"dataframe": table.pandas()})
        results = batch.validate(suite, result_format=dict(_FORMAT)).results
    found = {result.expectation_config.meta[_KEY]: _public_outcome(result) for result in results}
    return {job.place: found.get(job.place, _NO_RESULT) for job in jobs}


@contextlib.contextmanager
def _own_project(gx: ModuleType) -> Iterator[Any]:
    from great_expectations.data_context.data_context import context_factory
    from great_expectations.exceptions import DataContextError

    manager = context_factory.project_manager
    try:
        before = manager._project
    except DataContextError:
        before = None
    try:
        yield gx.get_context(mode="ephemeral")
    finally:
        manager.set_project(before)


def _public_outcome(result: Any) -> Outcome:
    raised = result.exception_info or {}
    infos = [raised] if "raised_exception" in raised else list(raised.values())
    if any(isinstance(info, dict) and info.get("raised_exception") for info in infos):
        return Outcome(RuleVerdict.ERROR, error_type="Exception", reason="the rule raised on this data")
    content = result.result or {}
    verdict = RuleVerdict.PASS if bool(result.success) else RuleVerdict.FAIL
    broken = content.get("unexpected_count")
    if broken is None or "element_count" not in content:
        return Outcome(verdict, observed=number_of(content.get("observed_value")))
    considered = content["element_count"] - (content.get("missing_count") or 0)
    return Outcome(verdict, considered=int(considered), unexpected=int(broken))
