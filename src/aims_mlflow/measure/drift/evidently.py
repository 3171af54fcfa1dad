"""Evidently itself, as a cross-check: its own report, column by column, on types it can read.

Columns are planned as the native engine plans them (declared ones left out, odd types normalised), then each goes
through ``Report([ValueDrift(...)])`` alone: one column it cannot digest does not cost the others, and no full frame
is copied per column.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from aims_mlflow.config import Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.errors import EngineError
from aims_mlflow.evidence import Tool
from aims_mlflow.frames import ColumnKind, Table
from aims_mlflow.measure.drift.measures import Measured
from aims_mlflow.measure.drift.noise import Sampling
from aims_mlflow.measure.drift.run import DriftPayload, Judged, not_tested, summarise, verdict_of, with_counts
from aims_mlflow.measure.drift.sample import Numbers
from aims_mlflow.measure.drift.select import (
    Choice,
    NotTested,
    Plan,
    Texts,
    check_policy,
    choose_method,
    column_names,
    plan_column,
)


def import_evidently() -> Any:
    """The ``evidently`` package.

    Raises:
        EngineError: it is not installed, or does not import on this environment.
    """
    try:
        _give_pandas_its_name_back()
        import evidently
    except Exception as error:
        msg = f"Evidently cannot be imported ({type(error).__name__})"
        raise EngineError(msg, remedy="Install evidently, or use drift.engine: native.") from error
    return evidently


def _give_pandas_its_name_back() -> None:
    """Set the one pandas name Evidently up to 0.7.23 imports and pandas 3.1 no longer has.

    Evidently uses it in a legacy column-type test only; for a NumPy type the old function gave the scalar class.
    """
    from pandas.core.dtypes import common

    if not hasattr(common, "infer_dtype_from_object"):
        setattr(common, "infer_dtype_from_object", lambda dtype: np.dtype(dtype).type)  # noqa: B010


@contextmanager
def _untracked() -> Iterator[None]:
    """``DO_NOT_TRACK`` for the call only, then as it was; Evidently's warnings stay out of the user's log."""
    before = os.environ.get("DO_NOT_TRACK")
    os.environ["DO_NOT_TRACK"] = "1"
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            os.environ.pop("DO_NOT_TRACK", None)
        else:
            os.environ["DO_NOT_TRACK"] = before


def measure_with_evidently(
    reference: Table,
    current: Table,
    *,
    policy: DriftPolicy,
    columns: Columns,
    privacy: PrivacyPolicy,
    source: str = "aims.yaml",
) -> DriftPayload:
    """Compare two tables with Evidently; same form as the native engine's.

    Sampling intervals and effect sizes are not Evidently's to give and stay empty; so ``require_certain`` changes
    nothing and a false alarm budget turns every column over its limit into ``uncertain`` except where the score is a
    p-value.

    Raises:
        ConfigError: a method name is unknown.
        EngineError: Evidently cannot be imported.
    """
    check_policy(policy)
    with _untracked():
        evidently = import_evidently()
        judged = []
        for name in column_names(reference, current):
            one = _column(name, reference, current, policy, columns)
            judged.append(with_counts(one, reference, current, privacy))
        html = _page(judged, reference, current, policy, columns) if policy.evidently_html else None
    engine = Tool(name="evidently", version=str(evidently.__version__))
    return summarise(judged, reference, current, policy, source, engine, html)


def _column(name: str, reference: Table, current: Table, policy: DriftPolicy, columns: Columns) -> Judged:
    word = "unsupported"
    try:
        plan = plan_column(name, reference, current, policy, columns)
        if isinstance(plan, NotTested):
            return not_tested(name, plan)
        word = plan.type
        choice = choose_method(name, plan, policy)
        if isinstance(choice, NotTested):
            return not_tested(name, choice)
        return _report(name, plan, choice, reference, current, policy)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  (Evidently derives ColumnNotFound and others from BaseException)
        return not_tested(name, NotTested(word, f"Evidently could not measure the column ({type(error).__name__})"))


def _report(name: str, plan: Plan, choice: Choice, reference: Table, current: Table, policy: DriftPolicy) -> Judged:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    frames = [_frame("value", side) for side in _normalised(plan, reference, current, name)]
    kind = {"numerical": "numerical_columns", "categorical": "categorical_columns", "text": "text_columns"}[plan.of]
    definition = DataDefinition(**{kind: ["value"]})
    left, right = (Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
    pinned = choice.method.name if choice.pinned or choice.note else None
    metric = ValueDrift(column="value", method=pinned, threshold=choice.threshold)
    snapshot = Report([metric], include_tests=True).run(right, left)
    found = snapshot.dict()
    score = float(found["metrics"][0]["value"])
    status = str(getattr(found["tests"][0]["status"], "value", found["tests"][0]["status"]))
    if not np.isfinite(score):
        return not_tested(name, NotTested(plan.type, f"Evidently's score ({choice.method.title}) is undefined"), choice)
    is_p = choice.method.direction == "p_value" and choice.method.name not in {"chisquare", "g_test"}
    sampling = Sampling(None, score if is_p else None, choice.threshold if is_p else None)
    measured = Measured(score, score, score, choice.threshold, sampling, None)
    judged = verdict_of(name, plan.type, choice, measured, policy, plan.notes, (plan.rows, plan.current_rows))
    return _as_evidently_says(judged, drifted=status == "FAIL")


def _as_evidently_says(judged: Judged, *, drifted: bool) -> Judged:
    """The verdict is the one Evidently's own test gave, also where its limit is not the one it shows."""
    from aims_mlflow.evidence import Verdict

    verdict = Verdict.FAIL if drifted else Verdict.PASS
    if judged.result.verdict is verdict:
        return judged
    text = f"Evidently's own test {'failed' if drifted else 'passed'} on a score of {judged.result.score:.3g}."
    result = judged.result.model_copy(update={"verdict": verdict, "reason": text})
    return Judged(result, judged.open, judged.null_p, judged.chance)


def _frame(name: str, values: Any) -> Any:
    import pandas as pd

    return pd.DataFrame({name: values})


def _normalised(plan: Plan, reference: Table, current: Table, name: str) -> tuple[Any, Any]:
    """Both sides of a column in types Evidently reads: float64, int64, or objects of strings and scalars."""
    import pandas as pd

    if isinstance(plan.data, Texts):
        return pd.Series(list(plan.data.reference), dtype=object), pd.Series(list(plan.data.current), dtype=object)
    if isinstance(plan.data, Numbers):
        left, right = plan.data.as_stored
        return pd.Series(left), pd.Series(right)
    return _labels(reference, name), _labels(current, name)


def _labels(table: Table, name: str) -> Any:
    import pandas as pd

    column = table[name]
    if column.kind in {ColumnKind.FLOAT, ColumnKind.INTEGER, ColumnKind.BOOLEAN}:
        return pd.Series(column.numbers()).dropna()
    codes, labels = column.codes()
    objects = np.empty(len(labels), dtype=object)
    objects[:] = list(labels)
    return pd.Series(objects[np.asarray(codes)[np.asarray(codes) >= 0]])


def _page(
    judged: Sequence[Judged], reference: Table, current: Table, policy: DriftPolicy, columns: Columns
) -> str | None:
    """Evidently's page over the tested columns. It embeds category labels and sample texts of the data."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    sides: list[dict[str, Any]] = [{}, {}]
    kinds: dict[str, list[str]] = {"numerical_columns": [], "categorical_columns": [], "text_columns": []}
    methods: dict[str, Any] = {}
    thresholds: dict[str, float] = {}
    for one in judged:
        name = one.result.column
        if one.result.score is None:
            continue
        plan = plan_column(name, reference, current, policy, columns)
        choice = None if isinstance(plan, NotTested) else choose_method(name, plan, policy)
        if isinstance(plan, NotTested) or not isinstance(choice, Choice):
            continue
        for side, values in zip(sides, _normalised(plan, reference, current, name), strict=True):
            side[name] = values
        kinds[{"numerical": "numerical_columns", "text": "text_columns"}.get(plan.of, "categorical_columns")].append(
            name
        )
        if choice.pinned:
            methods[name] = choice.method.name
        thresholds[name] = choice.threshold
    if not sides[0]:
        return None
    import pandas as pd

    definition = DataDefinition(**kinds)
    left, right = (Dataset.from_pandas(pd.DataFrame(side), data_definition=definition) for side in sides)
    preset = DataDriftPreset(
        per_column_method=methods or None, per_column_threshold=thresholds, drift_share=policy.share_limit
    )
    page: str = Report([preset], include_tests=True).run(right, left).get_html_str(as_iframe=False)
    return page


__all__ = ["import_evidently", "measure_with_evidently"]
