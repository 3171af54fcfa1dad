"""Traces of a window, counted one by one and then let go: rates, percentiles, tokens, feedback, guardrails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil, floor, isfinite, sqrt
from typing import Literal

from aims_mlflow.config.monitoring import PERCENTILES
from aims_mlflow.config.sections import MetricLimit
from aims_mlflow.evidence import Interval, MetricResult, Verdict
from aims_mlflow.measure.intervals import mean_from_moments, normal_quantile, proportion, undefined
from aims_mlflow.measure.limits import Direction, judge

ORDER_STATISTICS = "order statistics, distribution-free (Hahn and Meeker 1991, section 5.2, normal approximation)"

_YES = frozenset({"yes", "true", "pass", "passed", "correct", "1"})
_NO = frozenset({"no", "false", "fail", "failed", "incorrect", "0"})

Source = Literal["human", "scorer"]


@dataclass(frozen=True, slots=True)
class Rating:
    """One assessment of a trace."""

    name: str
    source: Source
    """A person, or code or a judging model."""
    value: object = None
    failed: bool = False
    """Whether the scorer raised: it says nothing then."""


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """What is taken from one trace; no text of it."""

    at: datetime
    state: Literal["ok", "error", "open"]
    milliseconds: float | None = None
    version: str | None = None
    """Version of the model, as the caller names it."""
    prompts: tuple[str, ...] = ()
    """Prompt versions it used, ``name/version``."""
    tokens: Mapping[str, float] = field(default_factory=dict)
    """``input``, ``output`` and ``total`` tokens."""
    cost: float | None = None
    """US dollars, as MLflow works it out."""
    ratings: tuple[Rating, ...] = ()
    guardrails: tuple[str, ...] = ()
    """Names of the guardrails that were hit."""


@dataclass
class _Sum:
    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.n += 1
        self.total += value
        self.squares += value * value

    def mean(self, level: float, *, at_least: float | None = None) -> Interval:
        if not self.n:
            return undefined(level, "mean")
        mean = self.total / self.n
        spread = max(self.squares / self.n - mean * mean, 0.0)
        return mean_from_moments(mean, sqrt(spread * self.n / max(self.n - 1, 1)), self.n, level, at_least=at_least)


@dataclass
class _Rate:
    n: int = 0
    hits: int = 0


class TraceCounter:
    """Counts traces in constant memory: latencies by the whole millisecond, all else as sums.

    Args:
        guardrails: Names of the guardrails in use: one that was never hit has a rate of 0.
        level: Confidence level of the intervals.
        smallest_cell: Numbers over fewer traces are left out where they are of a part of the window.
    """

    def __init__(self, *, guardrails: Iterable[str] = (), level: float = 0.95, smallest_cell: int = 5) -> None:
        self.level = level
        self.smallest_cell = smallest_cell
        self.traces = self.errors = self.open = 0
        self.oldest: datetime | None = None
        self.newest: datetime | None = None
        self.by_version: Counter[str] = Counter()
        self.unrated: Counter[str] = Counter()
        """Ratings whose scorer raised or whose value is neither a number nor a yes or no."""
        self._errors_by: Counter[str] = Counter()
        self._latencies: Counter[int] = Counter()
        self._tokens: dict[str, _Sum] = {}
        self._cost = _Sum()
        self._rates: dict[str, _Rate] = {}
        self._means: dict[str, _Sum] = {}
        self._hits: Counter[str] = Counter(dict.fromkeys(guardrails, 0))

    def add(self, trace: TraceFacts) -> None:
        """Count one trace."""
        self.traces += 1
        self.oldest = min(self.oldest or trace.at, trace.at)
        self.newest = max(self.newest or trace.at, trace.at)
        parts = [part for part in (trace.version, *trace.prompts) if part]
        self.by_version.update(parts)
        if trace.state == "open":
            self.open += 1
        elif trace.state == "error":
            self.errors += 1
            self._errors_by.update(parts)
        if trace.milliseconds is not None and isfinite(trace.milliseconds) and trace.milliseconds >= 0:
            self._latencies[round(trace.milliseconds)] += 1
        for name, tokens in trace.tokens.items():
            if isfinite(tokens):
                self._tokens.setdefault(name, _Sum()).add(tokens)
        if trace.cost is not None and isfinite(trace.cost):
            self._cost.add(trace.cost)
        for name in set(trace.guardrails):
            self._hits[name] += 1
        for rating in trace.ratings:
            self._rate(rating)

    def _rate(self, rating: Rating) -> None:
        name = f"{rating.source}.{rating.name}"
        value = _as_number(rating.value)
        if rating.failed or value is None:
            self.unrated[name] += 1
        elif isinstance(value, bool):
            rate = self._rates.setdefault(name, _Rate())
            rate.n += 1
            rate.hits += value
        else:
            self._means.setdefault(name, _Sum()).add(value)

    @property
    def ended(self) -> int:
        """Traces that came to an end: what rates are over."""
        return self.traces - self.open

    def estimates(self) -> dict[str, tuple[Interval, int]]:
        """Name of each number to its estimate with interval and the traces it is over."""
        found: dict[str, tuple[Interval, int]] = {}
        found["error_rate"] = (proportion(self.errors, self.ended, self.level), self.ended)
        timed = sum(self._latencies.values())
        for percent in PERCENTILES:
            found[f"latency_p{percent}"] = (self._percentile(percent / 100), timed)
        for name, tokens in sorted(self._tokens.items()):
            found[f"tokens_{name}"] = (tokens.mean(self.level, at_least=0.0), tokens.n)
        if self._cost.n:
            found["cost"] = (self._cost.mean(self.level, at_least=0.0), self._cost.n)
        for name, hits in sorted(self._hits.items()):
            found[f"guardrail.{name}"] = (proportion(hits, self.traces, self.level), self.traces)
        for name, rate in sorted(self._rates.items()):
            found[name] = (proportion(rate.hits, rate.n, self.level), rate.n)
        for name, scores in sorted(self._means.items()):
            key = f"{name}.mean" if name in self._rates else name
            found[key] = (scores.mean(self.level), scores.n)
        if len(self.by_version) > 1:
            for name, count in sorted(self.by_version.items()):
                if count >= self.smallest_cell:
                    found[f"error_rate.{name}"] = (proportion(self._errors_by[name], count, self.level), count)
        return found

    def totals(self) -> dict[str, float | None]:
        """Sums over the window, for charts."""
        sums: dict[str, float | None] = {f"tokens_{name}_sum": s.total for name, s in sorted(self._tokens.items())}
        if self._cost.n:
            sums["cost_sum"] = self._cost.total
        return {"count": self.traces, "errors": self.errors, "open": self.open, **sums}

    def _percentile(self, share: float) -> Interval:
        n = sum(self._latencies.values())
        if not n:
            return undefined(self.level, ORDER_STATISTICS)
        ordered = sorted(self._latencies.items())
        half = normal_quantile(self.level) * sqrt(n * share * (1 - share))
        first, last = floor(n * share - half), ceil(n * share + half) + 1
        return Interval(
            value=_at_rank(ordered, max(1, ceil(n * share))),
            low=_at_rank(ordered, first) if first >= 1 else None,
            high=_at_rank(ordered, last) if last <= n else None,
            level=self.level,
            method=ORDER_STATISTICS,
        )


def _at_rank(ordered: list[tuple[int, int]], rank: int) -> float:
    seen = 0
    for value, count in ordered:
        seen += count
        if seen >= rank:
            return float(value)
    return float(ordered[-1][0])


def _as_number(value: object) -> float | bool | None:
    """A rating as yes or no, or as a number; None where it is neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value) if isfinite(value) else None
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _YES:
            return True
        if word in _NO:
            return False
    return None


def is_hit(value: object) -> bool:
    """Whether the value of a guardrail's assessment or tag says that it was hit."""
    number = _as_number(value)
    return bool(number) if number is not None else False


_BETTER_HIGH = ("human.", "scorer.")


def results(
    estimates: Mapping[str, tuple[Interval, int]], limits: Mapping[str, MetricLimit], *, certain: bool = True
) -> tuple[MetricResult, ...]:
    """Each number held against its limit, where it has one.

    A limited number that the window does not have (no such scorer ran) is ``not_tested``: never a pass.

    Args:
        estimates: See :meth:`TraceCounter.estimates`.
        limits: Name to limit.
        certain: Whether an interval that straddles its limit is uncertain.
    """
    found = [_result(name, interval, n, limits.get(name), certain) for name, (interval, n) in estimates.items()]
    for name, limit in limits.items():
        if name not in estimates:
            nothing = undefined(0.95, "no trace of the window carries it")
            found.append(_result(name, nothing, 0, limit, certain))
    return tuple(found)


def _result(name: str, interval: Interval, n: int, limit: MetricLimit | None, certain: bool) -> MetricResult:
    direction: Direction = "higher_is_better" if name.startswith(_BETTER_HIGH) else "lower_is_better"
    why = "No trace of the window carries it."
    judged = judge(interval, limit, certain=certain, direction=direction, why=why)
    verdict = Verdict.RECORDED if limit is None and judged.verdict is Verdict.NOT_TESTED else judged.verdict
    return MetricResult(
        name=name,
        estimate=interval,
        n=n,
        threshold=judged.threshold,
        direction=judged.direction,
        verdict=verdict,
        reason=judged.reason,
    )


def moment_of(milliseconds: float) -> datetime:
    """A time in milliseconds from the epoch as a moment in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
