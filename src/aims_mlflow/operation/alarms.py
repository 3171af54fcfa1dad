"""Alarms over the windows of one version. Pure: the whole history is judged anew each time, so no state is kept.

A window that is filed late, or twice, therefore needs no care of its own: the history with it is another history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from math import isnan
from typing import Literal

from aims_mlflow.config import AlarmRule
from aims_mlflow.evidence import AlarmState
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import Window

MISSING = "windows.missing"
"""The number that is made here: how many windows in a row never came, up to a window; 0 at one that was filed."""


class _Standing(IntEnum):
    """Where a number stands, the worst last."""

    BACK = 0
    """Back past ``recover``, its interval as a whole."""
    BETWEEN = 1
    """No breach, and not far enough back."""
    STRADDLES = 2
    """The limit lies inside its interval: whether it is a breach is not known."""
    BREACH = 3


@dataclass(frozen=True)
class _Reading:
    """What a rule reads in one window; ``standing`` is None where the number could not be had."""

    window: Window
    standing: _Standing | None = None
    name: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    names: frozenset[str] = frozenset()
    """Numbers that were there."""
    breaching: frozenset[str] = frozenset()
    filed: bool = True


@dataclass(frozen=True)
class Episode:
    """A time an alarm stood, or stands."""

    rule: str
    name: str
    """``<rule>@<start of its first window>``."""
    first: Window
    """The first window that breached."""
    raised: Window
    """The window that made it an alarm."""
    last: Window
    """The last window that breached."""
    ended: Window | None = None
    """The window that ended it; None while it stands."""

    @property
    def since(self) -> datetime:
        """When it began."""
        return self.first.start

    def covers(self, moment: datetime) -> bool:
        """Whether a moment lies in it: an episode may be known by a later start, before an earlier window came."""
        return (
            self.first.start <= moment < (self.ended.end if self.ended else datetime.max.replace(tzinfo=moment.tzinfo))
        )


def judge(
    rules: Sequence[AlarmRule], history: Sequence[WindowNumbers], missing: Sequence[Window] = ()
) -> tuple[AlarmState, ...]:
    """How each rule stands after the last window, in the order of the rules.

    A window breaches where its number lies beyond the limit (where the rule is ``certain``, its interval as a whole).
    ``windows`` such windows in a row are an alarm; windows that are missing, lack the number, or whose interval holds
    the limit, neither count nor break the row. The alarm ends after ``recover_windows`` windows in a row whose number,
    with its interval, is back past ``recover``; a window that is missing, lacks the number or lies between breaks that
    row. ``unknown`` is said where no alarm stands and none is on its way, and the last window does not tell: its number
    could not be had, or its interval holds the limit.

    Args:
        rules: The rules; ``*`` in a rule's number stands for any text, and the worst number speaks.
        history: The windows that were filed, in any order.
        missing: The windows that were expected and never came, in any order.
    """
    spread = _spread(history, missing)
    return tuple(_Course.of(rule, spread).state() for rule in rules)


def episodes(
    rules: Sequence[AlarmRule], history: Sequence[WindowNumbers], missing: Sequence[Window] = ()
) -> tuple[Episode, ...]:
    """Every time an alarm of the rules stood, those that have ended too: rule by rule, oldest first; as ``judge``."""
    spread = _spread(history, missing)
    return tuple(episode for rule in rules for episode in _Course.of(rule, spread).told())


_Spread = list[tuple[Window, list[WindowNumbers]]]


def _spread(history: Sequence[WindowNumbers], missing: Sequence[Window]) -> _Spread:
    """Windows in order, each with what was filed of it: nothing where it is missing."""
    found: dict[Window, list[WindowNumbers]] = {window: [] for window in missing}
    for one in history:
        found.setdefault(one.window, []).append(one)
    return sorted(found.items())


@dataclass
class _Course:
    """How a rule went, window by window."""

    rule: AlarmRule
    row: list[_Reading] = field(default_factory=list)
    """Breaches in a row, while no alarm stands."""
    back: int = 0
    """Windows in a row that are back, while one stands."""
    standing: Episode | None = None
    breached: frozenset[str] = frozenset()
    """Numbers that breached in the episode: all of them must be back."""
    past: list[Episode] = field(default_factory=list)
    last: _Reading | None = None
    told_last: _Reading | None = None
    """The last reading that had the number."""

    @classmethod
    def of(cls, rule: AlarmRule, spread: _Spread) -> _Course:
        course = cls(rule)
        gap = 0
        for window, filed in spread:
            gap = 0 if filed else gap + 1
            course.read(_read(rule, window, filed, gap))
        return course

    def read(self, reading: _Reading) -> None:
        self.last = reading
        if reading.standing is not None:
            self.told_last = reading
        if self.standing is None:
            self._before(reading)
        else:
            self._during(self.standing, reading)

    def _before(self, reading: _Reading) -> None:
        if reading.standing is _Standing.BREACH:
            self.row.append(reading)
        elif reading.standing in (_Standing.BACK, _Standing.BETWEEN) and self._all_there(self.row, reading):
            self.row = []
        if len(self.row) >= self.rule.windows:
            first = self.row[0].window
            name = f"{self.rule.name}@{first.name.partition('/')[0]}"
            self.standing = Episode(self.rule.name, name, first, reading.window, reading.window)
            self.breached = frozenset().union(*(one.breaching for one in self.row))
            self.row, self.back = [], 0

    @staticmethod
    def _all_there(row: Iterable[_Reading], reading: _Reading) -> bool:
        return all(one.breaching <= reading.names for one in row)

    def _during(self, episode: Episode, reading: _Reading) -> None:
        if reading.standing is _Standing.BREACH:
            self.breached |= reading.breaching
            self.standing = replace(episode, last=reading.window)
        if reading.standing is not _Standing.BACK or not self.breached <= reading.names:
            self.back = 0
            return
        self.back += 1
        if self.back >= self.rule.recover_windows:
            self.past.append(replace(episode, ended=reading.window))
            self.standing, self.back, self.breached = None, 0, frozenset()

    def told(self) -> list[Episode]:
        return [*self.past, *([self.standing] if self.standing else [])]

    def state(self) -> AlarmState:
        state, why = self._state()
        shown = self.told_last if state in ("alarm", "breached", "recovering") else self.last
        return AlarmState(
            rule=self.rule.name,
            number=self.rule.number,
            state=state,
            value=shown.value if shown else None,
            low=shown.low if shown else None,
            high=shown.high if shown else None,
            limit=self.rule.limit,
            episode=self.standing.name if self.standing else None,
            since=self.standing.since if self.standing else None,
            reason=why,
        )

    def _state(self) -> tuple[Literal["quiet", "breached", "alarm", "recovering", "unknown"], str]:
        rule, number, last = self.rule, self.rule.number, self.last
        if last is None:
            return "unknown", f"No window was filed, so {number} is not known."
        now = self._words(last)
        if self.standing is not None:
            since = f"Alarm {rule.name!r} stands since {_moment(self.standing.since)}"
            what = f"{since}: {number} {_side(rule)} in {_windows(rule.windows)}; {now}."
            if self.back:
                return "recovering", f"{what} It is back for {self.back} of {rule.recover_windows} windows.{_do(rule)}"
            return "alarm", f"{what}{_do(rule)}"
        if self.row:
            first = _moment(self.row[0].window.start)
            count = f"{len(self.row)} of {_windows(rule.windows)} since {first}"
            return "breached", f"{number} {_side(rule)} in {count}, not yet an alarm ({rule.name!r}); {now}."
        if last.standing is None or last.standing is _Standing.STRADDLES:
            return "unknown", f"{_first(now)}: whether alarm {rule.name!r} is due is not known."
        return "quiet", f"{_first(now)}; the limit is {_figure(rule.limit)}."

    def _words(self, reading: _Reading) -> str:
        if reading.value is None:
            return f"the window {reading.window.name} {'has no ' + self.rule.number if reading.filed else 'is missing'}"
        interval = ""
        if reading.low is not None or reading.high is not None:
            interval = f" (between {_end(reading.low)} and {_end(reading.high)})"
        held = ", which holds the limit" if reading.standing is _Standing.STRADDLES else ""
        return f"{reading.name} is {_figure(reading.value)}{interval}{held} in the window {reading.window.name}"


def _read(rule: AlarmRule, window: Window, filed: Sequence[WindowNumbers], gap: int) -> _Reading:
    if rule.number == MISSING:
        return _of(rule, window, [(MISSING, float(gap), None, None)], filed=bool(filed))
    pattern = re.compile(".*".join(re.escape(part) for part in rule.number.split("*")), re.DOTALL)
    found = [
        (name, float(value), _known(one.lows.get(name)), _known(one.highs.get(name)))
        for one in filed
        for name, value in one.numbers.items()
        if pattern.fullmatch(name) and not isnan(value)
    ]
    return _of(rule, window, found, filed=bool(filed))


def _of(
    rule: AlarmRule, window: Window, found: list[tuple[str, float, float | None, float | None]], *, filed: bool
) -> _Reading:
    if not found:
        return _Reading(window, filed=filed)
    sign = 1.0 if rule.above is not None else -1.0
    placed = [(_place(rule, value, low, high), name, value, low, high) for name, value, low, high in found]
    # of equals the one that comes first by name speaks, so that the order of the input does not matter
    standing, name, value, low, high = min(placed, key=lambda one: (-one[0], -sign * one[2], one[1], str(one[3:])))
    return _Reading(
        window,
        standing,
        name,
        value,
        low,
        high,
        frozenset(one[1] for one in placed),
        frozenset(one[1] for one in placed if one[0] is _Standing.BREACH),
        filed,
    )


def _place(rule: AlarmRule, value: float, low: float | None, high: float | None) -> _Standing:
    """Where a number stands; the rule turned so that greater is worse."""
    limit, back = rule.limit, rule.recover if rule.recover is not None else rule.limit
    best = worst = value
    if rule.certain:
        best, worst = min(value, _or(low, value)), max(value, _or(high, value))
    if rule.above is None:
        limit, back, best, worst = -limit, -back, -worst, -best
    if best > limit:
        return _Standing.BREACH
    if worst > limit:
        return _Standing.STRADDLES
    return _Standing.BACK if worst <= back else _Standing.BETWEEN


def _or(end: float | None, value: float) -> float:
    return value if end is None else end


def _known(value: float | None) -> float | None:
    return None if value is None or isnan(value) else float(value)


def _side(rule: AlarmRule) -> str:
    return f"{'above' if rule.above is not None else 'below'} {_figure(rule.limit)}"


def _windows(count: int) -> str:
    return f"{count} window" if count == 1 else f"{count} windows"


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _end(value: float | None) -> str:
    return "?" if value is None else _figure(value)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _first(words: str) -> str:
    return words[:1].upper() + words[1:] if words.startswith("the window ") else words


def _do(rule: AlarmRule) -> str:
    remedy = (rule.remedy or "").strip() or "Look into it, and record what is done about it."
    return f" {remedy}" if remedy.endswith((".", "!", "?")) else f" {remedy}."
