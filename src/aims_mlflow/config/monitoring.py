"""The ``monitoring`` section of ``aims.yaml``: windows, alarms and where live data comes from."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from aims_mlflow.config.sections import MetricLimit, Section

_SPAN = re.compile(r"^([1-9][0-9]{0,5})(m|h|d|w)$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str) -> timedelta:
    """A duration written as a whole number and ``m``, ``h``, ``d`` or ``w``.

    Raises:
        ValueError: it is written otherwise.
    """
    found = _SPAN.match(text)
    if found is None:
        msg = f"{text!r} is no duration: write a whole number and m, h, d or w, as in 15m, 1h, 1d, 1w"
        raise ValueError(msg)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _checked(text: str) -> str:
    span(text)
    return text


Span = Annotated[str, AfterValidator(_checked)]


class AlarmRule(Section):
    """When a number of the windows is an alarm, and what follows from it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    """Its name, unique in the file."""
    number: str = Field(min_length=1)
    """A number the windows carry: ``drift.drifted_share``, ``drift.column.<name>``, ``quality.failed``,
    ``performance.<metric>``, ``estimated.<metric>``, ``fairness.<disparity>``, ``traces.error_rate``, ``rows``,
    ``windows.missing``."""
    above: float | None = None
    """A window breaches where the number is greater."""
    below: float | None = None
    """A window breaches where the number is smaller."""
    windows: int = Field(default=1, ge=1, le=100)
    """Windows in a row that must breach before it is an alarm."""
    recover: float | None = None
    """Hysteresis: the number must come back past this, not only past the limit; the limit itself where null."""
    recover_windows: int = Field(default=2, ge=1, le=100)
    """Windows in a row that must be back before the alarm ends."""
    opens: Literal["incident", "risk", "nothing"] = "incident"
    severity: Literal["minor", "major", "critical"] = "major"
    block: bool = False
    """Whether the version is held from further promotion while the alarm lasts."""
    controls: tuple[str, ...] = ("A.6.2.6",)
    """Ids of the rows the alarm speaks to."""
    remedy: str | None = None
    """What to do, for whoever is told."""
    certain: bool = True
    """True: a breach counts only where the number's interval, if it has one, lies beyond the limit as a whole."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.above is None) == (self.below is None):
            msg = "give either above or below"
            raise ValueError(msg)
        limit = self.limit
        if self.recover is not None and (self.recover > limit if self.above is not None else self.recover < limit):
            msg = "recover lies on the wrong side of the limit"
            raise ValueError(msg)
        return self

    @property
    def limit(self) -> float:
        """The limit, whichever side it is on."""
        return self.above if self.above is not None else self.below if self.below is not None else float("nan")


class LiveSource(Section):
    """Where ``aims watch`` finds the live data of a window."""

    path: str | None = None
    """A CSV or Parquet file, a folder or pattern of them; ``{start}`` and ``{end}`` stand for the window."""
    query: str | None = None
    """SQL; ``:start`` and ``:end`` are bound to the window."""
    database: str | None = None
    """SQLAlchemy URL of the database; an environment variable as ``$NAME``."""
    time: str | None = None
    """Column with the moment of each row; ``columns.time`` where null. Rows outside the window are left to theirs."""


class LabelSource(LiveSource):
    """Where the true outcomes come from, once they are known."""

    on: str | None = None
    """The id column both sides share; the first of ``columns.ids`` where null."""
    delay: Span = "0m"
    """How long after the window's end all of them are expected."""


PERCENTILES = (50, 90, 95, 99)
"""Percentiles of latency that are given."""

TRACE_NUMBERS = (
    "error_rate",
    *(f"latency_p{percent}" for percent in PERCENTILES),
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "cost",
)
"""Numbers of the traces of a window; besides these ``human.<name>``, ``scorer.<name>``, ``guardrail.<name>`` and
``error_rate.<version>``. Latencies are milliseconds, tokens and cost means over the traces that carry them."""


_FAMILIES = ("human", "scorer", "guardrail")
_FAMILY_WORDS = "human.<name>, scorer.<name>, guardrail.<name>, error_rate.<version>"


class TracePolicy(Section):
    """Evidence from MLflow traces (GenAI)."""

    experiment: str | None = None
    """Experiment whose traces are live use; null: no traces are looked at."""
    expected: int | None = Field(default=None, ge=1)
    """Requests expected per window, for the coverage of logging."""
    keep_days: int = Field(default=183, ge=1)
    """How long logs are kept at least (AI Act Art. 19: six months)."""
    guardrails: tuple[str, ...] = ()
    """Names of assessments or trace tags that say a guardrail was hit (``true``, ``yes``, a number above 0)."""
    limits: dict[str, MetricLimit] = Field(default_factory=dict)
    """Number of the traces, e.g. ``error_rate``, ``latency_p95``, ``human.helpful``, to its limits."""
    reference: str | None = None
    """Window whose texts are the reference of text drift, ``start/end``; the first with enough traces where null."""

    @model_validator(mode="after")
    def _numbers_known(self) -> Self:
        for name in self.limits:
            family = name.partition(".")[0]
            if name not in TRACE_NUMBERS and not ("." in name and family in {*_FAMILIES, "error_rate"}):
                msg = f"limits: there is no number {name!r}; known are {', '.join(TRACE_NUMBERS)} and {_FAMILY_WORDS}"
                raise ValueError(msg)
        return self


class MonitoringPolicy(Section):
    """Live operation: windows of evidence, alarms, schedule."""

    window: Span = "1d"
    """Length of a window; windows lie edge to edge from the start of the Unix epoch, UTC."""
    start: date | datetime | None = None
    """From when windows are expected; null: from the first one on record."""
    grace: Span = "1h"
    """How long after its end a window may be filed before it counts as missing."""
    alias: str | None = None
    """Alias of the registered model that names the version that serves."""
    experiment: str = "aims-monitoring"
    """MLflow experiment of the monitoring runs."""
    smallest_window: int = Field(default=100, ge=1)
    """Rows below which drift and estimates are not judged."""
    estimate: bool = True
    """Estimate performance before labels arrive, for classification."""
    data: LiveSource | None = None
    labels: LabelSource | None = None
    traces: TracePolicy = TracePolicy()
    rules: tuple[AlarmRule, ...] = ()
    notify: tuple[str, ...] = ()
    """Where alarms are sent: Apprise URLs, better as ``$NAME`` of an environment variable that holds one."""

    @property
    def length(self) -> timedelta:
        """Length of a window."""
        return span(self.window)

    @property
    def starts(self) -> datetime | None:
        """``start`` as a moment in UTC."""
        if self.start is None:
            return None
        if isinstance(self.start, datetime):
            return self.start.astimezone(UTC) if self.start.tzinfo else self.start.replace(tzinfo=UTC)
        return datetime.combine(self.start, time.min, UTC)

    @model_validator(mode="after")
    def _rules_differ(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"two rules are called {twice[0]!r}"
            raise ValueError(msg)
        return self
