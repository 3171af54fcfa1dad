"""One profile against another, column by column: the verdicts of ``measure_drift``, with proven bounds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from aims_mlflow.config import Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Tool, Verdict
from aims_mlflow.measure.drift.measures import Measured
from aims_mlflow.measure.drift.run import (
    DriftPayload,
    Judged,
    not_tested,
    sentence,
    summarise,
    verdict_of,
    with_counts,
)
from aims_mlflow.measure.drift.sample import Counts
from aims_mlflow.measure.drift.select import Choice, NotTested, check_policy, choose_method, declared
from aims_mlflow.measure.drift.select import Plan as Selected
from aims_mlflow.measure.sketched.cells import (
    Cells,
    cells_of_labels,
    cells_of_numbers,
    distinct_labels,
    distinct_numbers,
)
from aims_mlflow.measure.sketched.line import Line
from aims_mlflow.measure.sketched.scores import Task, measure
from aims_mlflow.measure.sketched.sides import Side, lacks
from aims_mlflow.sketches import ColumnPlan, ColumnSketch, LabelSketch, NumberSketch, Profile, RowSketch

VERSION = "1"
"""Version of the engine: changed whenever a score, bound or verdict may come out differently."""

_METHOD = (
    "Evidently 0.7.23's drift definitions and automatic choice, told from two mergeable profiles by this library: "
    "counts and sums per bin give proven bounds of each score (score_low, score_high), and a column whose bounds "
    "straddle its limit is uncertain. Sampling intervals and null probabilities: named in each column's "
    "score_interval; Holm (1979) across columns where a false alarm budget is set."
)
WITHHELD = 0.05
"""Share of the current values that may be left out, because they came in parts too small to be told."""


def drift_of_profiles(
    reference: Profile,
    current: Profile,
    *,
    policy: DriftPolicy,
    columns: Columns,
    privacy: PrivacyPolicy,
    source: str = "aims.yaml",
) -> DriftPayload:
    """Compare two profiles made by one plan.

    Every column of either side gets a result. Methods, limits and verdicts are those of ``measure_drift``; a score
    that the profiles know within bounds only is told with them, and is ``uncertain`` where they straddle the limit.
    What a profile cannot tell (texts, methods on values) is ``not_tested`` with the reason.

    Args:
        reference: What the other is compared with.
        current: The data in question, by the same plan.
        policy: Methods, limits and budget; ``engine`` does not matter, Evidently needs rows.
        columns: Identifiers, time, ignored, categorical and numerical columns.
        privacy: The smallest count that may be told.
        source: Where the policy's settings come from, for ``Threshold.source``.

    Raises:
        ConfigError: a method name is unknown.
        InputError: the profiles were made by different plans.
    """
    check_policy(policy)
    if reference.plan.sha256 != current.plan.sha256:
        msg = "profiles made by different plans cannot be compared"
        raise InputError(msg, remedy="Make the current profile by the plan of its reference.")
    sides = Side(reference), Side(current)
    native = policy.model_copy(update={"engine": "native"})
    judged = [
        with_counts(_judge(plan, reference, current, native, columns), *sides, privacy)
        for plan in reference.plan.columns
    ]
    judged += [
        not_tested(name, NotTested("unsupported", "the column is new: the reference does not have it"))
        for name in current.new_columns
    ]
    engine = Tool(name="aims-mlflow drift from profiles", version=VERSION)
    payload = summarise(judged, *sides, native, source, engine)
    parameters = {
        **payload.parameters,
        "engine": "profiles",
        "reference_profile": reference.sha256,
        "rows_withheld": [reference.withheld, current.withheld],
    }
    return replace(payload, method=_METHOD, parameters=parameters)


def _judge(plan: ColumnPlan, reference: Profile, current: Profile, policy: DriftPolicy, columns: Columns) -> Judged:
    name, word = plan.name, "unsupported"
    try:
        task = _task(plan, reference, current, policy, columns)
        if isinstance(task, NotTested):
            return not_tested(name, task)
        word = task.word
        judged = _with_distinct(name, task, task.distinct, policy)
        if task.fewest is None:
            return judged
        return _agreed(judged, _with_distinct(name, task, task.fewest, policy))
    except Exception as error:  # noqa: BLE001  (one odd column must not cost the evidence of the others; it counts as open)
        return not_tested(name, NotTested(word, f"the column could not be measured ({type(error).__name__})"))


def _with_distinct(name: str, task: Task, distinct: int, policy: DriftPolicy) -> Judged:
    """The verdict if the column holds so many distinct values."""
    # Only the type, the rows and the number of distinct values decide which method it is.
    selected = Selected(task.word, task.of, Counts(np.zeros(0, int), np.zeros(0, int)), distinct, *task.rows)
    choice = choose_method(name, selected, policy)
    if isinstance(choice, NotTested):
        return not_tested(name, choice)
    try:
        found = measure(task, choice, policy, distinct)
    except InputError as error:
        return not_tested(name, NotTested(task.word, error.message), choice)
    return _within_bounds(verdict_of(name, task.word, choice, found, policy, task.notes, task.rows), choice, found)


def _agreed(judged: Judged, other: Judged) -> Judged:
    """What both say, where the profiles leave open which method is the column's."""
    if judged.result.verdict is other.result.verdict:
        return judged
    reason = (
        f"{judged.result.reason} The profiles leave open whether the column holds more than 5 distinct values; if not, "
        f"it is: {other.result.reason}"
    )
    return replace(judged, result=judged.result.model_copy(update={"verdict": Verdict.UNCERTAIN, "reason": reason}))


def _within_bounds(judged: Judged, choice: Choice, found: Measured) -> Judged:
    """Uncertain where the proven bounds lie on both sides of the limit."""
    method, limit = choice.method, found.limit
    if method.crossed(found.low, limit) == method.crossed(found.high, limit):
        return judged
    letter = "p" if method.direction == "p_value" else "the score"
    reason = (
        f"{method.title}: all the profiles tell is that {letter} lies between {found.low:.4g} and {found.high:.4g}, "
        f"on both sides of the limit {limit:.3g}"
    )
    reason = "; ".join([reason, *([choice.note] if choice.note else []), *found.notes])
    result = judged.result.model_copy(update={"verdict": Verdict.UNCERTAIN, "reason": sentence(reason)})
    return replace(judged, result=result)


def _task(
    plan: ColumnPlan, reference: Profile, current: Profile, policy: DriftPolicy, columns: Columns
) -> Task | NotTested:
    name = plan.name
    left_out = declared(name, policy, columns)
    if left_out is not None:
        return left_out
    left, right = reference.columns[name], current.columns[name]
    word = _word(plan)
    for side, profile, told in ((left, reference, "reference"), (right, current, "current data")):
        if not profile.rows - profile.withheld:
            rows = f"the {told} has no rows"
            few = f"the {told} came in parts of too few rows to be told"
            return NotTested(word, few if profile.rows else rows)
        if lacks(side):
            return NotTested(word, f"the column is missing in the {told}")
    unfit = _unfit(plan, left, right) or _withheld(word, right, current)
    if unfit is not None:
        return unfit
    notes = _notes(left, reference, "reference") + _notes(right, current, "current data")
    if isinstance(left, NumberSketch) and isinstance(right, NumberSketch):
        return _of_numbers(word, left, right, columns, notes)
    if isinstance(left, LabelSketch) and isinstance(right, LabelSketch):
        return _of_labels(left, right, columns, notes)
    return NotTested(word, "the profile tells nothing of the column's values")


def _word(plan: ColumnPlan) -> str:
    if plan.kind == "number":
        return plan.was if plan.was in ("datetime", "timedelta") else "numerical"
    return {"label": "categorical", "text": "text", "time": "time", "id": "id"}.get(plan.kind, "unsupported")


def _unfit(plan: ColumnPlan, left: ColumnSketch, right: ColumnSketch) -> NotTested | None:
    """Why there is nothing to compare, if so."""
    if plan.kind == "time":
        reason = "the only datetime column, taken for the time column (list it under columns.numerical to test it)"
        return NotTested("time", reason, open=False)
    if plan.kind == "id":
        reason = "an identifier: all values distinct single words (list it under columns.categorical to test it)"
        return NotTested("id", reason, open=False)
    if plan.kind == "ignored":
        return NotTested("ignored", "the reference's profile was made without it")
    word = _word(plan)
    if right.retyped and not right.n:
        return NotTested("unsupported", f"the column changed its type: it was {plan.was} in the reference")
    values = [side.n + side.withheld for side in (left, right)]
    if not any(values):
        return NotTested(word, "neither side has a value", open=False)
    for count, side, told in zip(values, (left, right), ("reference", "current data"), strict=True):
        if not count:
            return NotTested(word, f"the {told} has no {'finite ' * _infinite(side)}value in this column")
        if not side.n:
            return NotTested(word, f"the {told} has too few values in this column to be told")
    if plan.kind == "text":
        return NotTested("text", "texts are compared word by word, which a profile does not tell")
    if isinstance(left, RowSketch):
        return NotTested("unsupported", f"values of type {plan.dtype} have no drift method")
    return None


def _withheld(word: str, side: ColumnSketch, profile: Profile) -> NotTested | None:
    """Bounds speak of the values that are told; where too many are not, they prove nothing of the whole."""
    left_out = profile.withheld + side.withheld
    if left_out <= WITHHELD * (side.n + left_out):
        return None
    share = left_out / (side.n + left_out)
    return NotTested(word, f"{share:.0%} of the current data came in parts of too few values to be told")


def _infinite(side: ColumnSketch) -> bool:
    return not isinstance(side, RowSketch) and side.infinite > 0


def _notes(side: ColumnSketch, profile: Profile, told: str) -> tuple[str, ...]:
    notes = []
    if _infinite(side):
        notes.append(f"infinite values of the {told} are left out")
    if side.absent:
        notes.append(f"some rows of the {told} came without the column")
    if side.retyped:
        notes.append(f"some rows of the {told} hold another type there")
    if side.withheld or profile.withheld:
        notes.append(f"values in parts of the {told} with too few to be told are left out")
    return tuple(notes)


def _of_numbers(word: str, left: NumberSketch, right: NumberSketch, columns: Columns, notes: tuple[str, ...]) -> Task:
    name = left.plan.name
    floats = right.seen & 1
    categorical = name in columns.categorical or right.seen == 4
    if not categorical and not floats:
        categorical = distinct_numbers(right)[1] <= 10
    rows = left.n, right.n

    def cells() -> Cells:
        return cells_of_numbers(left, right)

    fewest, most = distinct_numbers(left, right)
    if categorical and name not in columns.numerical:
        return Task("categorical", "categorical", rows, fewest, cells, None, notes)
    distinct = fewest if most <= 5 else 6
    line = partial(Line.of, left, right)
    return Task(word, "numerical", rows, distinct, cells, line, notes, fewest if fewest <= 5 < most else None)


def _of_labels(left: LabelSketch, right: LabelSketch, columns: Columns, notes: tuple[str, ...]) -> Task | NotTested:
    plan = left.plan
    if plan.was == "string" and plan.name not in columns.categorical and distinct_labels(right).high > right.n * 0.5:
        reason = "the current labels are mostly distinct, as texts are: those a profile does not tell"
        if distinct_labels(right).low <= right.n * 0.5:
            reason = "the current labels may be mostly distinct, as texts are: the profile does not tell for sure"
        return NotTested("text", reason)
    found = cells_of_labels(left, right)
    if plan.was == "mixed":
        notes = (*notes, "values of several types are compared as categories")
    if len(plan.rare) > 1 and right.rare:
        notes = (*notes, "labels that are rare in the reference are counted together")
    return Task("categorical", "categorical", (left.n, right.n), found.fewest, lambda: found, None, notes)
