"""Geometry of the small charts: everything in per cent of the width, so that text keeps its size at any width."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from aims_mlflow.evidence import ColumnDrift, Interval, Verdict

_LOOK = {Verdict.FAIL: "bad", Verdict.UNCERTAIN: "unc", Verdict.PASS: "ok"}
_WIDEST = 4.0
"""A bar longer than this many times its limit is cut and marked so."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar against its limit."""

    width: float
    limit: float
    look: str
    title: str
    low: float | None = None
    high: float | None = None
    """Ends of the whisker."""
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """An estimate, its interval and its limit on one axis."""

    at: float
    look: str
    title: str
    low: float | None = None
    high: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the stacked bar."""

    x: float
    width: float
    look: str
    text: str


def drift_ratio(score: float | None, column: ColumnDrift) -> float | None:
    """How many times its limit a score is; 1 at the limit, more is drift.

    A distance is divided by its limit. A p-value, where low means drift, is compared on the logarithmic scale:
    log(p) / log(limit). Null where either is undefined.
    """
    limit = column.threshold
    if score is None or limit is None or limit <= 0:
        return None
    if column.direction == "p_value":
        if not 0 < limit < 1:
            return None
        return math.log(min(max(score, 1e-300), 1.0)) / math.log(limit)
    return max(score, 0.0) / limit


def whisker(column: ColumnDrift) -> tuple[float | None, float | None]:
    """Ends of the interval on the score's own scale: the effect's, where it is the score, else the proven bounds."""
    effect = column.effect
    same = effect and None not in (effect.value, effect.low, effect.high) and effect.value == column.score
    if same and effect:
        return effect.low, effect.high
    if column.score_low != column.score_high:
        return column.score_low, column.score_high
    return None, None


def drift_scale(ratios: Iterable[float | None]) -> float:
    """How many limits fit in the width of a chart."""
    return min(_WIDEST, max([1.5, *(r * 1.06 for r in ratios if r is not None)]))


def drift_bar(column: ColumnDrift, scale: float, title: str) -> Bar | None:
    """The bar of one column; null where there is nothing to draw."""
    ratio = drift_ratio(column.score, column)
    if ratio is None:
        return None
    low, high = (drift_ratio(end, column) for end in whisker(column))
    if low is not None and high is not None and low > high:
        low, high = high, low
    return Bar(
        width=_percent(ratio, scale),
        limit=_percent(1.0, scale),
        look=_LOOK.get(column.verdict, "na"),
        title=title,
        low=None if low is None else _percent(low, scale),
        high=None if high is None else _percent(high, scale),
        clipped=ratio > scale,
    )


def _percent(value: float, scale: float) -> float:
    return round(100 * min(max(value / scale, 0.0), 1.0), 2)


def axis(values: Iterable[float | None]) -> tuple[float, float]:
    """Ends of an axis: the values' own range with a margin, not below 0 where no value is."""
    known = [v for v in values if v is not None]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    # Halved before subtracting: the difference of two huge numbers may overflow.
    margin = (high / 2 - low / 2) * 0.3 or max(abs(low) * 0.1, 1e-12)
    return (max(low - margin, 0.0) if low >= 0 else low - margin), high + margin


def dot(estimate: Interval, limit: float | None, verdict: Verdict, ends: tuple[float, float], title: str) -> Dot | None:
    """The dot of one estimate on an axis; null where the estimate is undefined."""
    if estimate.value is None:
        return None

    def at(value: float | None) -> float | None:
        if value is None:
            return None
        span = ends[1] / 2 - ends[0] / 2
        part = (value / 2 - ends[0] / 2) / span if span > 0 and math.isfinite(span) else 0.5
        return round(2 + 96 * min(max(part, 0.0), 1.0), 2)

    return Dot(
        at=at(estimate.value) or 0.0,
        look=_LOOK.get(verdict, "na"),
        title=title,
        low=at(estimate.low),
        high=at(estimate.high),
        limit=at(limit),
    )


def stack(counts: Iterable[tuple[int, str, str]]) -> tuple[Segment, ...]:
    """Segments of a stacked bar from (count, look, symbol); a part that exists stays visible (at least 1 %)."""
    parts = [(n, look, symbol) for n, look, symbol in counts if n > 0]
    total = sum(n for n, _, _ in parts)
    widths = [max(100 * n / total, 1.0) for n, _, _ in parts]
    factor = 100 / sum(widths) if widths else 1.0
    segments, x = [], 0.0
    for (n, look, symbol), width in zip(parts, widths, strict=True):
        share = width * factor
        text = f"{symbol} {n}" if share >= 9 else (str(n) if share >= 4 else "")
        segments.append(Segment(x=round(x, 2), width=round(share, 2), look=look, text=text))
        x += share
    return tuple(segments)
