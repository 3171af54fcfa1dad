"""The words and numbers of the gap: risk classes, levels, means and shares."""

from __future__ import annotations

from collections.abc import Sequence

from aims_mlflow.config.sections import RiskClass
from aims_mlflow.management.gap import Change, LastRun, SystemGap, Trend
from aims_mlflow.management.maturity import HIGHEST
from aims_mlflow.report.words import Label, day, plural

RISK: dict[RiskClass, Label] = {
    RiskClass.PROHIBITED: Label("prohibited", "✗", "bad", "It may not be put into use in the EU."),
    RiskClass.HIGH: Label("high risk", "▲", "unc", "Held to more: level 4 where measured evidence can show it."),
    RiskClass.UNCLASSIFIED: Label("unclassified", "◇", "ask", "Held to what a high-risk system is held to."),
    RiskClass.LIMITED: Label("limited risk", "□", "na", "Duties of transparency."),
    RiskClass.MINIMAL: Label("minimal risk", "□", "na", "No duties of its own."),
}

LEVELS: dict[int, tuple[str, str]] = {
    0: ("nothing on file", "Nothing is on file for at least one thing the row asks for."),
    1: ("evidence fails", "Evidence is there; it shows a failure, allows no verdict, or could not be judged."),
    2: ("lapsed", "All was met once; part of the evidence is too old, or about another version."),
    3: ("stated", "All is met now, at least a part of it by a person's word alone."),
    4: ("measured", "All is met now, by measured or reported evidence alone."),
    5: ("steadily improved", "Never given here: it shows in a series of gap assessments, not in one."),
}


def headline(shown: SystemGap) -> str:
    """The state in one sentence."""
    summary = shown.summary
    if not summary.applicable:
        return "No clause or control applies."
    if not summary.below_target:
        return f"All {summary.applicable} applicable rows are at their target level."
    return (
        f"{summary.below_target} of {summary.applicable} applicable rows are below their target level; "
        f"mean maturity {figure(summary.mean)} of {HIGHEST}, "
        f"{percent(summary.fresh_share)} of the rows rest on current evidence."
    )


def last_run_text(run: LastRun) -> str:
    """What the last run satisfies and no row counts yet, in one sentence without the rows."""
    many = plural(len(run.rows), "row")
    return f"Not counted yet: run {run.run_id}, assessed on {day(run.assessed_at)}, satisfies {many} by itself"


HOW_IT_COUNTS = (
    "They count once their AI system is declared and a version serves: `aims init`, `aims systems declare`, then "
    "`aims promote MODEL VERSION --to ALIAS`."
)


def titled(rows: Sequence[str], titles: Sequence[str], most: int) -> str:
    """Rows with their titles, the first of them: ``4.1 Context; 4.3 Scope; and 2 more``."""
    named = [f"{row} {title}".strip() for row, title in zip(rows, titles or [""] * len(rows), strict=True)]
    more = [f"and {len(named) - most} more"] if len(named) > most else []
    return "; ".join([*named[:most], *more])


def figure(value: float | None) -> str:
    """A mean to two digits, never rounded up to the next whole."""
    if value is None:
        return "none"
    return f"{int(value * 100 + 1e-9) / 100:.2f}"


def percent(share: float | None) -> str:
    """A share in per cent: never rounded up to the whole, nor down to nothing."""
    if share is None:
        return "none"
    if 0 < share < 0.01:
        return "< 1 %"
    return f"{int(share * 100 + 1e-9)} %"


def trend_text(trend: Trend) -> str:
    """The change in one sentence."""
    moved = f"{plural(len(trend.better), 'row')} better, {len(trend.worse)} worse, {trend.same} as before"
    changed = f", {len(trend.other)} changed otherwise" if trend.other else ""
    mean = f"mean maturity {figure(trend.mean_before)} then, {figure(trend.mean)} now"
    fresh = f"current evidence {percent(trend.fresh_share_before)} then, {percent(trend.fresh_share)} now"
    return f"Since {day(trend.since)}: {moved}{changed}; {mean}; {fresh}. Compared with {trend.source}."


def change_text(change: Change) -> str:
    """A change in a few words."""
    before = f"level {change.maturity_before} ({change.status_before.replace('-', ' ')})"
    return f"{before} → level {change.maturity} ({change.status.replace('-', ' ')})"
