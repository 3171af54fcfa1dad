"""What a report shows of measured evidence: rules, drift, performance, fairness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aims_mlflow.evidence import (
    AttestationRecord,
    CaptureErrorRecord,
    ColumnDrift,
    CustomRecord,
    DataQualityEvidence,
    DatasetRecord,
    DeclarationRecord,
    DriftEvidence,
    EnvironmentRecord,
    FairnessEvidence,
    GroupResult,
    Interval,
    LineageRecord,
    ModelRecord,
    PerformanceEvidence,
    RegistryMoveRecord,
    RuleResult,
    RunRecord,
    Verdict,
)
from aims_mlflow.report import charts, records, words
from aims_mlflow.report.detail import Detail
from aims_mlflow.report.page import Fact
from aims_mlflow.report.records import Body, Cell, TableView, about_dataset, about_model, left_out, tally
from aims_mlflow.report.words import cut, number

_LOOK_AT = (Verdict.FAIL, Verdict.UNCERTAIN)
NONE = "\u2013"
"""Shown where a cell has nothing to say."""
_METRIC_COLUMNS = 5
"""Metrics that get a column of their own in the group table."""


def interval(estimate: Interval) -> str:
    """``0.12 [0.1, 0.14]``; without an interval only the value."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return number(estimate.value)
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def quality_body(record: DataQualityEvidence, detail: Detail) -> Body:
    """Rules, worst first."""
    ordered = sorted(record.rules, key=lambda r: words.RULE[r.verdict].rank)
    shown, rest = ordered[: detail.rules], ordered[detail.rules :]
    extra = f"Of these: {tally(words.RULE[r.verdict] for r in rest)}." if rest else ""
    said = tally(words.RULE[r.verdict] for r in record.rules) or "no rule"
    table = TableView(
        f"Rules, worst first: {said}",
        ("Rule", "Found", "Limit", "Rows", "Verdict"),
        tuple(_rule(r) for r in shown),
        left_out(len(ordered), len(shown), "rules are", extra=extra),
    )
    return Body(
        about=about_dataset(record.dataset),
        facts=(
            Fact("Dataset", record.dataset.sha256 or "no digest", code=True),
            Fact("Rule set", f"{cut(record.suite_name or 'unnamed', 80)}, {words.short(record.suite_sha256)}"),
        ),
        tables=(table,) if shown else (),
        attention=any(r.verdict != "pass" for r in record.rules) or not record.rules,
    )


def _rule(rule: RuleResult) -> tuple[Cell, ...]:
    name = cut(rule.rule.removeprefix("expect_").replace("_", " "), 120)
    where = cut(rule.column, 80) if rule.column is not None else "whole table"
    note = f"raised {cut(rule.error_type, 60)}" if rule.error_type else cut(rule.measure, 60)
    broke = "" if rule.unexpected is None else f"{rule.unexpected:,} broke it"
    limit = number(rule.limit) if isinstance(rule.limit, float) else words.text_of(rule.limit, 60)
    return (
        Cell(where, sub=name, code=rule.column is not None),
        Cell(number(rule.value) if rule.value is not None else NONE, sub=note),
        Cell(NONE if rule.limit is None else limit),
        Cell(NONE if rule.rows is None else f"{rule.rows:,}", sub=broke),
        Cell(label=words.RULE[rule.verdict], sub=rule.severity or ""),
    )


def drift_body(record: DriftEvidence, detail: Detail) -> Body:
    """Columns, worst first, each as a bar against its limit."""
    ratios = {id(c): charts.drift_ratio(c.score, c) for c in record.columns}
    ordered = sorted(record.columns, key=lambda c: (words.VERDICT[c.verdict].rank, -(ratios[id(c)] or 0.0)))
    shown, rest = ordered[: detail.drift], ordered[detail.drift :]
    scale = charts.drift_scale(ratios[id(c)] for c in shown)
    note = left_out(len(ordered), len(shown), "columns are", extra=_rest(rest, ratios))
    table = TableView(
        "Columns, worst first. Bar: the score in multiples of its limit; line: the limit; whisker: an interval.",
        ("Column", "Score against limit", "Score and limit", "Verdict"),
        tuple(_column(c, scale, ratios[id(c)]) for c in shown),
        note,
        chart=1,
    )
    share = "undefined" if record.drifted_share is None else f"{number(record.drifted_share)}"
    of_tested = f"share {share}, limit {number(record.share_limit)}"
    facts = [
        Fact("Compared", f"{about_dataset(record.current)} with {about_dataset(record.reference)}"),
        Fact(
            "Columns",
            f"{record.drifted:,} drifted of {record.tested:,} tested ({of_tested}), "
            f"{record.uncertain:,} uncertain, {record.not_tested:,} not tested",
        ),
    ]
    if record.false_alarm_budget is not None:
        facts.append(Fact("False-alarm budget", f"{number(record.false_alarm_budget)} over the whole run"))
    return Body(
        about=about_dataset(record.current),
        facts=tuple(facts),
        tables=(table,) if shown else (),
        attention=any(c.verdict in _LOOK_AT for c in record.columns) or not record.tested,
    )


def _rest(rest: list[ColumnDrift], ratios: dict[int, float | None]) -> str:
    if not rest:
        return ""
    known = [r for c in rest if (r := ratios[id(c)]) is not None]
    high = f" The highest of them stands at {number(round(max(known), 2))} times its limit." if known else ""
    return f"Of these: {tally(words.VERDICT[c.verdict] for c in rest)}.{high}"


def _column(column: ColumnDrift, scale: float, ratio: float | None) -> tuple[Cell, ...]:
    label = words.VERDICT[column.verdict]
    if ratio is None:
        said = "nothing to draw"
        bar = None
    else:
        times = f"{number(round(ratio, 2))} times the limit"
        if column.direction == "p_value":
            times += " (logarithms; a low p-value means drift)"
        said = times
        name = cut(column.column, 60)
        title = f"{name}: score {number(column.score)}, limit {number(column.threshold)}, {times}, {label.word}"
        bar = charts.drift_bar(column, scale, title)
    low, high = column.score_low, column.score_high
    bounds = f" (proven between {number(low)} and {number(high)})" if low != high else ""
    effect = f"effect {interval(column.effect)}" if column.effect and column.effect.value is not None else ""
    sub = "; ".join(p for p in (cut(column.method or "", 60), effect) if p)
    score = NONE if column.score is None else f"{number(column.score)}{bounds}, limit {number(column.threshold)}"
    return (
        Cell(cut(column.column, 80), sub=cut(column.type, 30), code=True),
        Cell(sub=said, bar=bar),
        Cell(score, sub=sub or cut(column.reason, 160)),
        Cell(label=label),
    )


def performance_body(record: PerformanceEvidence, detail: Detail) -> Body:
    """Metrics as dots with whiskers, then comparisons."""
    metrics = sorted(record.metrics, key=lambda m: words.VERDICT[m.verdict].rank)
    shown = metrics[: detail.metrics]
    shares = all(_in_unit(m.estimate, m.threshold) for m in shown)
    common = charts.axis(v for m in shown for v in (m.estimate.value, m.estimate.low, m.estimate.high, m.threshold))
    rows = []
    for m in shown:
        estimate, label = m.estimate, words.VERDICT[m.verdict]
        ends = common if shares else charts.axis((estimate.value, estimate.low, estimate.high, m.threshold))
        limit = _limit(m.threshold, m.direction)
        title = f"{cut(m.name, 60)} {interval(estimate)}, {limit}, {label.word}"
        basis = f"n {m.n:,}" if m.n is not None else ""
        origin = "logged to MLflow" if m.origin == "mlflow" else basis
        rows.append(
            (
                Cell(cut(m.name, 80), sub=origin, code=True),
                Cell(dot=charts.dot(estimate, m.threshold, m.verdict, ends, title)),
                Cell(interval(estimate), sub=cut(m.reason, 160) or limit),
                Cell(label=label),
            )
        )
    axis = f"the same axis from {common[0]:.2g} to {common[1]:.2g}" if shares else "an axis of its own"
    tables = []
    if rows:
        tables.append(
            TableView(
                f"Metrics with intervals; each on {axis}, the line marks the limit.",
                ("Metric", "Estimate, interval, limit", "Value", "Verdict"), tuple(rows),
                left_out(len(metrics), len(shown), "metrics are"), chart=1,
            )
        )  # fmt: skip
    if record.comparisons:
        tables.append(_comparisons(record, detail))
    counted = "rows unknown" if record.rows is None else f"{record.rows:,} rows, {record.dropped:,} left out"
    return Body(
        about=about_dataset(record.dataset),
        facts=(
            about_model(record.subject.model),
            Fact("Task", record.task),
            Fact("Judged on", f"{about_dataset(record.dataset) or 'unnamed'}: {counted}"),
        ),
        tables=tuple(tables),
        attention=any(m.verdict in _LOOK_AT for m in metrics) or any(c.verdict in _LOOK_AT for c in record.comparisons),
    )


def _in_unit(estimate: Interval, limit: float | None) -> bool:
    return all(v is None or 0 <= v <= 1 for v in (estimate.value, estimate.low, estimate.high, limit))


def _limit(threshold: float | None, direction: str | None) -> str:
    if threshold is None:
        return "no limit declared"
    side = {"lower_is_better": "at most", "higher_is_better": "at least"}.get(direction or "", "limit")
    return f"{side} {number(threshold)}"


def _comparisons(record: PerformanceEvidence, detail: Detail) -> TableView:
    ordered = sorted(record.comparisons, key=lambda c: words.VERDICT[c.verdict].rank)
    shown = ordered[: detail.metrics]
    return TableView(
        "Compared with a baseline",
        ("Metric", "This model", "Baseline", "Difference", "Verdict"),
        tuple(
            (
                Cell(cut(c.metric, 80), code=True),
                Cell(number(c.value)),
                Cell(number(c.baseline), sub=cut(c.baseline_ref, 80)),
                Cell(interval(c.difference), sub=cut(c.reason, 160)),
                Cell(label=words.VERDICT[c.verdict]),
            )
            for c in shown
        ),
        left_out(len(ordered), len(shown), "comparisons are"),
    )


def fairness_body(record: FairnessEvidence, detail: Detail) -> Body:
    """Gaps between groups, then the groups themselves."""
    gaps = sorted(record.disparities, key=lambda d: words.VERDICT[d.verdict].rank)
    shown = gaps[: detail.groups]
    rows = []
    for gap in shown:
        label = words.VERDICT[gap.verdict]
        ends = charts.axis((0.0, gap.estimate.value, gap.estimate.low, gap.estimate.high, gap.threshold))
        name = f"{cut(gap.metric, 80)}, {gap.statistic}"
        limit = "no limit declared" if gap.threshold is None else f"limit {number(gap.threshold)}"
        title = f"{cut(gap.attribute, 60)}, {name}: {interval(gap.estimate)}, {limit}, {label.word}"
        known = (("lowest", gap.lowest_group), ("highest", gap.highest_group))
        extremes = ", ".join(f"{word} {cut(group, 40)}" for word, group in known if group)
        rows.append(
            (
                Cell(cut(gap.attribute, 80), sub=name, code=True),
                Cell(dot=charts.dot(gap.estimate, gap.threshold, gap.verdict, ends, title), sub=extremes),
                Cell(interval(gap.estimate), sub=cut(gap.reason, 160) or limit),
                Cell(label=label),
            )
        )
    tables = []
    if rows:
        tables.append(
            TableView(
                "Gaps between groups, worst first; each on an axis that starts at or below 0, the line is the limit.",
                ("Attribute and metric", "Estimate, interval, limit", "Value", "Verdict"), tuple(rows),
                left_out(len(gaps), len(shown), "gaps are"), chart=1,
            )
        )  # fmt: skip
    if record.groups:
        tables.append(_groups(record, detail))
    judged = Counter(g.judged for g in record.groups)
    return Body(
        about=about_dataset(record.dataset),
        facts=(
            about_model(record.subject.model),
            Fact("Task", record.task),
            Fact(
                "Groups",
                f"{judged[True]:,} judged, {judged[False]:,} only counted (below {record.min_group_size:,} rows)",
            ),
        ),
        tables=tuple(tables),
        attention=any(g.verdict in _LOOK_AT for g in record.disparities),
    )


def _groups(record: FairnessEvidence, detail: Detail) -> TableView:
    names = list(dict.fromkeys(name for group in record.groups for name in group.metrics))
    columns = names[:_METRIC_COLUMNS]
    shown = record.groups[: detail.groups]
    notes = [
        left_out(len(record.groups), len(shown), "groups are"),
        left_out(len(names), len(columns), "metrics are"),
    ]
    head = tuple(cut(name.replace("_", " "), 40) for name in columns)
    return TableView(
        "Groups", ("Group", "Rows", *head), tuple(_group(g, columns) for g in shown), " ".join(n for n in notes if n)
    )


def _group(group: GroupResult, columns: list[str]) -> tuple[Cell, ...]:
    values = (group.metrics.get(name) for name in columns)
    return (
        Cell(cut(group.group, 60), sub=cut(group.attribute, 60), code=True),
        Cell("suppressed" if group.n is None else f"{group.n:,}", sub="" if group.judged else "counted, not judged"),
        *(Cell(number(v.value) if v else NONE, sub=_ends(v) if v else "") for v in values),
    )


def _ends(estimate: Interval) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


BODIES: dict[type, Callable[..., Body]] = {
    DataQualityEvidence: quality_body,
    DriftEvidence: drift_body,
    PerformanceEvidence: performance_body,
    FairnessEvidence: fairness_body,
    DatasetRecord: records.dataset_body,
    ModelRecord: records.model_body,
    EnvironmentRecord: records.environment_body,
    RunRecord: records.run_body,
    LineageRecord: records.lineage_body,
    DeclarationRecord: records.declaration_body,
    AttestationRecord: records.attestation_body,
    CaptureErrorRecord: records.capture_error_body,
    RegistryMoveRecord: records.registry_move_body,
    CustomRecord: records.custom_body,
}
"""Type of evidence to how it is shown."""
