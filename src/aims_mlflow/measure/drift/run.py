"""A dataset against its reference, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from aims_mlflow.config import Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import ColumnDrift, Threshold, Tool, Verdict
from aims_mlflow.frames import Table
from aims_mlflow.measure.drift.budget import any_false_alarm, holm
from aims_mlflow.measure.drift.measures import Measured, measure
from aims_mlflow.measure.drift.select import Choice, NotTested, check_policy, choose_method, column_names, plan_column
from aims_mlflow.measure.drift.summary import ReferenceSummary

NATIVE_VERSION = "1"
"""Version of the native drift engine: changed whenever a score or verdict may come out differently."""

MISSING_CHANGE = 0.05
"""A change of the missing share from which the column's reason speaks of it."""


@dataclass(frozen=True)
class DriftPayload:
    """Everything a ``DriftEvidence`` says about the comparison itself."""

    columns: tuple[ColumnDrift, ...]
    drifted: int
    tested: int
    uncertain: int
    not_tested: int
    drifted_share: float | None
    share_limit: float
    false_alarm_budget: float | None
    verdict: Verdict
    reason: str
    numbers: dict[str, float | None]
    thresholds: tuple[Threshold, ...]
    method: str
    parameters: dict[str, Any]
    engine: Tool
    html: str | None = field(default=None, repr=False)
    """Evidently's own page, only if asked for: it embeds category labels and sample texts."""


@dataclass(frozen=True)
class Judged:
    """A column's result with what the run as a whole needs to know of it."""

    result: ColumnDrift
    open: bool = False
    """Not tested, and drift may be hiding here."""
    null_p: float | None = None
    chance: float | None = None


class Holds(Protocol):
    """A column that knows how many of its values are missing."""

    def missing(self) -> int:
        """Rows without a value."""


class Sides(Protocol):
    """What a comparison's summary needs to know of a side: a table, or what is left of one."""

    rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""

    def __contains__(self, name: object) -> bool: ...

    def __getitem__(self, name: str) -> Holds: ...


def measure_drift(
    reference: Table,
    current: Table,
    *,
    policy: DriftPolicy,
    columns: Columns,
    privacy: PrivacyPolicy,
    summary: ReferenceSummary | None = None,
    source: str = "aims.yaml",
) -> DriftPayload:
    """Compare two tables.

    Every column of either side gets a result: tested, or ``not_tested`` with the reason. With the policy's defaults
    each verdict is Evidently's. ``require_certain`` turns a score whose sampling interval straddles its limit into
    ``uncertain``; a false alarm budget turns a score over its limit into ``uncertain`` unless Holm's procedure, over
    all tested columns at that budget, shows that it is not sampling noise.

    Args:
        reference: What the other is compared with.
        current: The data in question.
        policy: Methods, limits, budget and engine.
        columns: Identifiers, time, ignored, categorical and numerical columns.
        privacy: The smallest count that may be told.
        summary: The reference's summaries if they are known already; bounds then need no pass over the reference.
        source: Where the policy's settings come from, for ``Threshold.source``.

    Raises:
        ConfigError: a method name is unknown; the message names the nearest.
        EngineError: ``engine="evidently"`` and Evidently cannot be imported.
    """
    check_policy(policy)
    if policy.engine == "evidently":
        from aims_mlflow.measure.drift.evidently import measure_with_evidently

        return measure_with_evidently(
            reference, current, policy=policy, columns=columns, privacy=privacy, source=source
        )
    judged = []
    for name in column_names(reference, current):
        known = summary.columns.get(name) if summary is not None else None
        result = judge_column(name, reference, current, policy, columns, known)
        judged.append(with_counts(result, reference, current, privacy))
    return summarise(judged, reference, current, policy, source, Tool(name="aims-mlflow drift", version=NATIVE_VERSION))


def judge_column(
    name: str, reference: Table, current: Table, policy: DriftPolicy, columns: Columns, known: Any = None
) -> Judged:
    """One column's verdict; whatever goes wrong with it is told in its own result and leaves the others alone."""
    word = "unsupported"
    try:
        plan = plan_column(name, reference, current, policy, columns)
        if isinstance(plan, NotTested):
            return not_tested(name, plan)
        word = plan.type
        choice = choose_method(name, plan, policy)
        if isinstance(choice, NotTested):
            return not_tested(name, choice)
        try:
            found = measure(plan, choice, policy.confidence, known, calibrate=policy.false_alarm_budget is not None)
        except InputError as error:
            return not_tested(name, NotTested(word, error.message), choice)
        return verdict_of(name, word, choice, found, policy, plan.notes, (plan.rows, plan.current_rows))
    except Exception as error:  # noqa: BLE001  (one odd column must not cost the evidence of the others; it counts as open)
        reason = f"the column could not be measured ({type(error).__name__})"
        return not_tested(name, NotTested(word, reason))


def not_tested(name: str, why: NotTested, choice: Choice | None = None) -> Judged:
    """The result of a column that is not judged."""
    result = ColumnDrift(
        column=name,
        type=why.type,
        method=choice.method.name if choice else None,
        direction=choice.method.direction if choice else None,
        verdict=Verdict.NOT_TESTED,
        reason=sentence(why.reason),
    )
    return Judged(result, open=why.open)


def verdict_of(
    name: str,
    word: str,
    choice: Choice,
    found: Measured,
    policy: DriftPolicy,
    notes: tuple[str, ...] = (),
    rows: tuple[int, int] | None = None,
) -> Judged:
    """The verdict of a measured column, before the run's false alarm budget."""
    method, limit, interval = choice.method, found.limit, found.sampling.interval
    crossed = method.crossed(found.score, limit)
    straddles = (
        interval is not None
        and interval.low is not None
        and interval.high is not None
        and method.crossed(interval.low, limit) != method.crossed(interval.high, limit)
    )
    verdict = Verdict.FAIL if crossed else Verdict.PASS
    if straddles and policy.require_certain:
        verdict = Verdict.UNCERTAIN
    where = f"{found.score:.3g}" if found.low == found.high else f"{found.low:.4g} to {found.high:.4g}"
    is_p = method.direction == "p_value"
    relation = {"<": "under", "<=": "at most", ">": "over", ">=": "at or over"}[method.sign]
    opposite = {"<": "not under", "<=": "over", ">": "not over", ">=": "under"}[method.sign]
    parts = [
        f"{method.title}: {'p = ' if is_p else ''}{where} is {relation if crossed else opposite} the limit {limit:.3g}"
    ]
    if straddles and interval is not None:
        parts.append(
            f"its {interval.level:.0%} sampling interval {interval.low:.3g} to {interval.high:.3g} straddles the limit"
        )
    parts += [choice.note] if choice.note else []
    parts += [*notes, *found.notes]
    result = ColumnDrift(
        column=name,
        type=word,
        method=method.name,
        direction=method.direction,
        score=found.score,
        score_low=found.low,
        score_high=found.high,
        threshold=limit,
        verdict=verdict,
        reason=sentence("; ".join(parts)),
        effect=found.effect,
        score_interval=interval,
        null_p=found.sampling.null_p,
        n_reference=rows[0] if rows else None,
        n_current=rows[1] if rows else None,
    )
    return Judged(result, null_p=found.sampling.null_p, chance=found.sampling.chance)


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def with_counts(judged: Judged, reference: Sides, current: Sides, privacy: PrivacyPolicy) -> Judged:
    """Add missing counts. Counts of a few rows, or that leave a few rows, are left out; a few rows get no score."""
    cell = privacy.smallest_cell
    judged = _without_few(judged, cell)
    result = judged.result
    name = result.column
    tables = (reference, current)
    missing = [table[name].missing() if name in table else None for table in tables]
    used = (result.n_reference, result.n_current)
    told = [_tellable(count, table.rows, cell) for count, table in zip(missing, tables, strict=True)]
    # What is neither missing nor used is infinite: its count is told by the difference.
    shown = [
        n
        if n is not None and there and _tellable(n, table.rows, cell) and _tellable(n, table.rows - gone, cell)
        else None
        for n, there, gone, table in zip(used, told, (count or 0 for count in missing), tables, strict=True)
    ]
    update: dict[str, Any] = {
        "missing_reference": missing[0] if told[0] else None,
        "missing_current": missing[1] if told[1] else None,
        "n_reference": shown[0],
        "n_current": shown[1],
    }
    if None not in missing and all(told) and reference.rows and current.rows:
        before, after = (missing[0] or 0) / reference.rows, (missing[1] or 0) / current.rows
        if abs(after - before) >= MISSING_CHANGE:
            update["reason"] = f"{result.reason} The missing share went from {before:.1%} to {after:.1%}."
    return replace(judged, result=result.model_copy(update=update))


def _tellable(count: int | None, rows: int, cell: int) -> bool:
    return count is None or not (0 < count < cell or 0 < rows - count < cell)


def _without_few(judged: Judged, cell: int) -> Judged:
    """A score made of a few rows tells of each of them."""
    result = judged.result
    for n, side in ((result.n_reference, "reference"), (result.n_current, "current data")):
        if n is not None and 0 < n < cell:
            return not_tested(result.column, NotTested(result.type, f"the {side} has fewer than {cell} values"))
    return judged


def _apply_budget(judged: list[Judged], budget: float) -> list[Judged]:
    """Holm's procedure over the tested columns: over the limit but within the noise the budget allows is uncertain."""
    tested = [place for place, one in enumerate(judged) if one.result.verdict is not Verdict.NOT_TESTED]
    p_values = [judged[place].null_p for place in tested]
    shown = holm([1.0 if p is None else p for p in p_values], budget)
    out = list(judged)
    for place, real in zip(tested, shown, strict=True):
        result = judged[place].result
        if result.verdict is Verdict.FAIL and not real:
            chance = "an unknown probability" if result.null_p is None else f"probability {result.null_p:.2g}"
            text = (
                f"{result.reason} Sampling alone reaches this with {chance}, which over {len(tested)} tested columns "
                f"the false alarm budget of {budget:g} does not exclude."
            )
            out[place] = replace(
                judged[place], result=result.model_copy(update={"verdict": Verdict.UNCERTAIN, "reason": text})
            )
    return out


def summarise(
    judged: list[Judged],
    reference: Sides,
    current: Sides,
    policy: DriftPolicy,
    source: str,
    engine: Tool,
    html: str | None = None,
) -> DriftPayload:
    """The dataset's verdict from its columns."""
    if policy.false_alarm_budget is not None:
        judged = _apply_budget(judged, policy.false_alarm_budget)
    results = tuple(one.result for one in judged)
    count = {verdict: sum(r.verdict is verdict for r in results) for verdict in Verdict}
    drifted, uncertain = count[Verdict.FAIL], count[Verdict.UNCERTAIN]
    tested = drifted + uncertain + count[Verdict.PASS]
    unknown = sum(one.open for one in judged)
    share = drifted / tested if tested else None
    worst = (drifted + uncertain + unknown) / (tested + unknown) if tested + unknown else 0.0
    verdict, reason = _dataset_verdict(drifted, uncertain, unknown, tested, share, worst, policy.share_limit)
    expected, bound = _false_alarms(judged, policy.false_alarm_budget)
    numbers: dict[str, float | None] = {
        "columns": len(results),
        "tested": tested,
        "drifted": drifted,
        "uncertain": uncertain,
        "not_tested": count[Verdict.NOT_TESTED],
        "not_tested_open": unknown,
        "drifted_share": share,
        "worst_case_share": worst if tested + unknown else None,
        "missing_columns": sum(name not in current for name in reference.names),
        "new_columns": sum(name not in reference for name in current.names),
        "rows_reference": reference.rows,
        "rows_current": current.rows,
        "expected_false_alarms": expected,
        "false_alarm_probability_bound": bound,
    }
    return DriftPayload(
        columns=results,
        drifted=drifted,
        tested=tested,
        uncertain=uncertain,
        not_tested=count[Verdict.NOT_TESTED],
        drifted_share=share,
        share_limit=policy.share_limit,
        false_alarm_budget=policy.false_alarm_budget,
        verdict=verdict,
        reason=reason,
        numbers=numbers,
        thresholds=_thresholds(policy, source),
        method=_METHOD[policy.engine],
        parameters={
            "method": policy.method,
            "threshold": policy.threshold,
            "columns": {name: own.model_dump(exclude_none=True) for name, own in policy.columns.items()},
            "columns_absent": sorted(name for name in policy.columns if name not in reference and name not in current),
            "confidence": policy.confidence,
            "require_certain": policy.require_certain,
            "engine": policy.engine,
        },
        engine=engine,
        html=html,
    )


def _false_alarms(judged: list[Judged], budget: float | None) -> tuple[float | None, float | None]:
    """False alarms to expect if nothing has drifted, and a bound on the probability of any; null if not known."""
    chances = [one.chance for one in judged if one.result.verdict is not Verdict.NOT_TESTED]
    known = [chance for chance in chances if chance is not None]
    if not known or len(known) < len(chances):
        return None, budget if chances else None
    expected, bound = sum(known), any_false_alarm(known)
    if budget is None:
        return expected, bound
    return min(expected, budget * len(known)), min(bound, budget)


_METHOD: Mapping[Literal["native", "evidently"], str] = {
    "native": (
        "Evidently 0.7.23's drift definitions and automatic choice, computed by this library; Wasserstein distances "
        "over 50,000 rows by proven one-pass bounds (count and sum per bin), sorted only where these leave the verdict "
        "open; the score is then the lower bound. Sampling intervals and null probabilities: named in each column's "
        "score_interval; Holm (1979) across columns where a false alarm budget is set."
    ),
    "evidently": "Evidently's own report, run column by column on normalised types, as a cross-check.",
}


def _dataset_verdict(
    drifted: int, uncertain: int, unknown: int, tested: int, share: float | None, worst: float, limit: float
) -> tuple[Verdict, str]:
    if share is None:
        return Verdict.NOT_TESTED, "No column could be tested; each column's reason says why."
    told = f"{drifted} of {tested} tested columns drifted ({share:.0%})"
    if share >= limit:
        return Verdict.FAIL, f"{told}, at or over the limit of {limit:.0%}."
    if worst >= limit:
        hidden = [f"{uncertain} uncertain"] if uncertain else []
        hidden += [f"{unknown} that could not be tested"] if unknown else []
        return Verdict.UNCERTAIN, f"{told}, but with the {' and '.join(hidden)} it may reach the limit of {limit:.0%}."
    return Verdict.PASS, f"{told}, under the limit of {limit:.0%}" + (
        f", whatever the {uncertain + unknown} uncertain or untested ones hold." if uncertain + unknown else "."
    )


def _thresholds(policy: DriftPolicy, source: str) -> tuple[Threshold, ...]:
    def origin(field_name: str) -> str:
        return source if field_name in policy.model_fields_set else "default"

    found = [Threshold(name="drifted_share", op="<", value=policy.share_limit, source=origin("share_limit"))]
    if policy.threshold is not None:
        found.append(Threshold(name="column_score", op="<", value=policy.threshold, source=origin("threshold")))
    if policy.false_alarm_budget is not None:
        found.append(Threshold(name="false_alarm_budget", op="<=", value=policy.false_alarm_budget, source=source))
    found += [
        Threshold(name=f"column_score:{name}", op="<", value=own.threshold, source=source)
        for name, own in policy.columns.items()
        if own.threshold is not None
    ]
    return tuple(found)
