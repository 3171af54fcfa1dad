"""What the page of the gap shows: a heat map, what to do first, every row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from aims_mlflow.controls import Framework
from aims_mlflow.management.gap import GapAssessment, GapLine, SystemGap, Trend, Work, work_of
from aims_mlflow.management.maturity import HIGHEST
from aims_mlflow.report.charts import Segment, stack
from aims_mlflow.report.gap.words import (
    HOW_IT_COUNTS,
    LEVELS,
    RISK,
    figure,
    headline,
    last_run_text,
    percent,
    titled,
    trend_text,
)
from aims_mlflow.report.words import STATUS, Label, cut, holds, minute, plural

WORK = 20
"""Things to do that the page lists."""
MAPS = 24
"""Systems whose rows are mapped one by one; the overview shows all."""
_WHOLE = "The organization"
_DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A square of the heat map."""

    text: str
    heat: str
    """``h0`` on target, ``h1`` to ``h4`` levels below it, ``hx`` excluded."""
    title: str
    label: str = ""
    """The row's id, where the square is one row."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class MapLine:
    """A system across the heat map."""

    name: str
    risk: Label | None
    mean: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A column of the heat map: a clause, or an objective of Annex A."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class SystemView:
    """A system with all its rows as squares."""

    name: str
    risk: Label | None
    facts: str
    numbers: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class RowText:
    """A row of the table."""

    id: str
    title: str
    label: Label
    level: str
    heat: str
    reason: str
    next_step: str
    about: str


@dataclass(frozen=True, slots=True)
class GroupRows:
    """Rows under one heading."""

    heading: str
    summary: str
    rows: tuple[RowText, ...]


@dataclass(frozen=True, slots=True)
class WorkText:
    """A thing to do."""

    label: Label
    risk: Label
    rows: str
    level: str
    next_step: str
    reason: str
    about: str


@dataclass(frozen=True, slots=True)
class GapPage:
    """Everything the templates show."""

    title: str
    subtitle: str
    headline: str
    figures: tuple[tuple[str, str, str], ...]
    """Number, what it is, and a remark."""
    bar: tuple[Segment, ...]
    bar_text: str
    groups: tuple[Group, ...]
    overview: tuple[MapLine, ...]
    work: tuple[WorkText, ...]
    work_more: int
    trend: Trend | None
    trend_text: str
    maps: tuple[SystemView, ...]
    maps_more: int
    table: tuple[GroupRows, ...]
    undeclared: tuple[str, ...]
    problems: tuple[str, ...]
    last_run: tuple[str, ...] = ()
    """What the last run satisfies and no row counts yet: the sentence, the rows, how they count."""


def build_gap_page(
    assessment: GapAssessment, shown: SystemGap, frameworks: Sequence[Framework], trend: Trend | None = None
) -> GapPage:
    """What the templates show."""
    titles = {group: title for framework in frameworks for group, title in framework.groups.items()}
    columns = _columns(shown, titles)
    one_system = not shown.is_whole
    systems = [shown] if one_system else [one for one in assessment.systems if one.system is not None]
    whole = [] if one_system else [assessment.whole]
    mapped = [*whole, *systems] if len(systems) != 1 or one_system else systems
    work = work_of(shown.lines if one_system else [line for one in assessment.systems for line in one.lines])
    names = " and ".join(framework.title for framework in frameworks)
    return GapPage(
        title=f"Gap to {names}",
        subtitle=f"{_name(shown)} on {minute(assessment.at)}",
        headline=headline(shown),
        figures=_figures(shown, len(systems)),
        bar=_bar(shown),
        bar_text=_bar_text(shown),
        groups=columns,
        overview=tuple(_map_line(one, columns) for one in [*whole, *systems]) if len(systems) > 1 else (),
        work=tuple(_work_text(one, several=len(systems) > 1) for one in work[:WORK]),
        work_more=max(0, len(work) - WORK),
        trend=trend,
        trend_text=trend_text(trend) if trend else "",
        maps=tuple(_system_view(one) for one in mapped[:MAPS]),
        maps_more=max(0, len(mapped) - MAPS),
        table=tuple(_tables(shown, titles, several=len(systems) > 1)),
        undeclared=assessment.undeclared if not one_system else (),
        problems=assessment.problems,
        last_run=_last_run(assessment),
    )


def _last_run(assessment: GapAssessment) -> tuple[str, ...]:
    run = assessment.last_run
    if run is None or not run.rows:
        return ()
    return last_run_text(run), titled(tuple(run.rows), tuple(run.rows.values()), len(run.rows)), HOW_IT_COUNTS


def _name(shown: SystemGap) -> str:
    if shown.is_whole:
        return _WHOLE
    return shown.name if shown.system in (None, shown.name) else f"{shown.name} ({shown.system})"


def _figures(shown: SystemGap, systems: int) -> tuple[tuple[str, str, str], ...]:
    summary = shown.summary
    alone = summary.mean_applicable is not None and summary.mean_applicable != summary.mean
    remark = f"{figure(summary.mean_applicable)} of the applicable rows alone" if alone else ""
    found = [
        (figure(summary.mean), "mean maturity", remark or f"of {HIGHEST}; target {figure(summary.mean_target)}"),
        (percent(summary.fresh_share), "of rows on current evidence", f"{summary.fresh} of {summary.applicable}"),
        (str(summary.below_target), "rows below target", f"of {summary.applicable} that apply"),
        (str(summary.excluded), "controls excluded", "they never raise the mean"),
    ]
    if shown.is_whole:
        found.append((str(systems), "declared " + ("system" if systems == 1 else "systems"), ""))
    return tuple(found)


def _by_level(shown: SystemGap) -> list[tuple[int, int]]:
    counted = [line for line in shown.lines if line.applies]
    return [(level, sum(line.maturity == level for line in counted)) for level in LEVELS if level <= HIGHEST]


def _bar(shown: SystemGap) -> tuple[Segment, ...]:
    parts = [(number, f"v{level}", f"L{level}:") for level, number in _by_level(shown)]
    return stack([*parts, (shown.summary.excluded, "vx", "excluded")])


def _bar_text(shown: SystemGap) -> str:
    parts = [f"{number} at level {level} ({LEVELS[level][0]})" for level, number in _by_level(shown)]
    return f"Rows by maturity: {', '.join(parts)}, {shown.summary.excluded} excluded."


# the heat map


def _columns(shown: SystemGap, titles: dict[str, str]) -> tuple[Group, ...]:
    ids = dict.fromkeys(_top(line.group) for line in shown.lines)
    return tuple(Group(one, titles.get(one, one)) for one in ids)


def _top(group: str) -> str:
    """``6`` of ``6.1``; Annex A's objectives and other groups stand for themselves."""
    return group.partition(".")[0] if re.fullmatch(r"\d+(\.\d+)*", group) else group


def _map_line(one: SystemGap, columns: Sequence[Group]) -> MapLine:
    cells = []
    for column in columns:
        lines = [line for line in one.lines if _top(line.group) == column.id]
        cells.append(_group_cell(column, lines))
    risk = None if one.is_whole or one.system is None else RISK[one.risk_class]
    return MapLine(_name(one), risk, figure(one.summary.mean), tuple(cells))


def _group_cell(column: Group, lines: Sequence[GapLine]) -> Cell:
    counted = [line for line in lines if line.applies]
    if not counted:
        return Cell(_DASH, "hx", f"{column.id} {column.title}: excluded")
    mean, below = fmean(line.maturity for line in counted), sum(line.gap > 0 for line in counted)
    worst = fmean(line.gap for line in counted)
    title = f"{column.id} {column.title}: mean level {mean:.1f}, {below} of {plural(len(counted), 'row')} below target"
    return Cell(f"{mean:.1f}", _heat(worst), title)


def _heat(gap: float) -> str:
    """Levels below target: any gap shows, and only a whole one is the darkest."""
    if gap <= 0:
        return "h0"
    return f"h{min(4, max(1, round(gap)))}"


def _system_view(one: SystemGap) -> SystemView:
    summary = one.summary
    facts = []
    if one.is_whole:
        facts.append("Each row is the worst over the systems.")
    if one.owner:
        facts.append(f"Owner: {one.owner}.")
    if one.lifecycle_stage:
        facts.append(f"Stage: {one.lifecycle_stage}.")
    if not one.is_whole:
        shown = ", ".join(one.versions[:6]) + (f" and {len(one.versions) - 6} more" if len(one.versions) > 6 else "")
        facts.append(f"In service: {shown or 'no version'}.")
    excluded = f", {summary.excluded} excluded" if summary.excluded else ""
    numbers = (
        f"Mean {figure(summary.mean)}, current {percent(summary.fresh_share)}, "
        f"{summary.below_target} of {summary.applicable} below target{excluded}"
    )
    risk = None if one.is_whole or one.system is None else RISK[one.risk_class]
    return SystemView(_name(one), risk, " ".join(facts), numbers, tuple(_row_cell(line) for line in one.lines))


def _row_cell(line: GapLine) -> Cell:
    word = STATUS[line.status].word
    if not line.applies:
        return Cell(_DASH, "hx", f"{line.id} {line.title}: {word}", line.id, "excluded")
    title = f"{line.id} {line.title}: level {line.maturity} of {line.target}, {word}. {line.reason}"
    note = "on target" if line.gap == 0 else f"{line.gap} below"
    return Cell(f"{line.maturity}/{line.target}", _heat(line.gap), cut(title, 300), line.id, note)


# rows and work


def _tables(shown: SystemGap, titles: dict[str, str], *, several: bool) -> Iterable[GroupRows]:
    groups: dict[str, list[GapLine]] = {}
    for line in shown.lines:
        groups.setdefault(line.group, []).append(line)
    for group, lines in groups.items():
        below = sum(line.gap > 0 for line in lines)
        counted = sum(line.applies for line in lines)
        summary = f"{below} of {counted} below target" if counted else "excluded"
        heading = f"{group} {titles[group]}" if group in titles else group
        yield GroupRows(heading, summary, tuple(_row_text(line, several=several) for line in lines))


def _row_text(line: GapLine, *, several: bool) -> RowText:
    about = []
    if several and line.system is not None and line.applies and line.gap:
        others = f" and {len(line.also)} more" if line.also else ""
        about.append(f"Worst: {line.system}{others}")
    if line.owner and line.gap:
        about.append(f"Owner: {line.owner}")
    until = holds(line.valid_until, line.until_ground, line.status)
    if until is not None:
        about.append(str(until).capitalize())
    return RowText(
        id=line.id,
        title=line.title,
        label=STATUS[line.status],
        level=f"{line.maturity} of {line.target}" if line.applies else "excluded",
        heat=_heat(line.gap) if line.applies else "hx",
        reason=cut(line.reason, 400),
        next_step=cut(line.next_step, 400) if line.gap else "",
        about=" · ".join(about),
    )


def _work_text(one: Work, *, several: bool) -> WorkText:
    about = []
    if several and one.systems:
        about.append(_some("System", one.systems))
    if one.owners:
        about.append(_some("Owner", one.owners))
    return WorkText(
        label=STATUS[one.status],
        risk=RISK[one.risk_class],
        rows=titled(one.rows, one.titles, 5),
        level=f"level {one.maturity} of {one.target}",
        next_step=cut(one.next_step, 400),
        reason=cut(one.reason, 300),
        about=" · ".join(about),
    )


def _some(word: str, names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"{word}{'s' if len(names) > 1 else ''}: {shown}" if word else shown
