"""A measured interval held against a limit that was set before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf
from typing import Literal

from aims_mlflow.config.sections import MetricLimit
from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Interval, Threshold, Verdict

Direction = Literal["higher_is_better", "lower_is_better"]


@dataclass(frozen=True)
class Judgement:
    """What an estimate says about its limit, and the limit that decided."""

    verdict: Verdict
    threshold: float | None
    direction: Direction | None
    reason: str


_WORST_FIRST = (Verdict.FAIL, Verdict.UNCERTAIN, Verdict.NOT_TESTED, Verdict.PASS, Verdict.RECORDED)


def is_limited(limit: MetricLimit | None) -> bool:
    """Whether the entry sets a limit at all."""
    return limit is not None and (limit.min is not None or limit.max is not None)


def judge(
    estimate: Interval, limit: MetricLimit | None, *, certain: bool, direction: Direction | None, why: str = ""
) -> Judgement:
    """Hold an estimate against its limit; with two limits the worse side decides.

    Args:
        estimate: The value with its interval. A null end of it means nothing is known on that side.
        limit: The limit; None where none is set.
        certain: True: pass and fail need an interval clear of the limit. False: the value alone decides.
        direction: Which way is better, where no limit says so.
        why: Why the value is undefined, if it is.
    """
    if estimate.value is None:
        threshold, way = _first(limit)
        return Judgement(Verdict.NOT_TESTED, threshold, way or direction, why or "Undefined on these rows.")
    if limit is None or not is_limited(limit):
        return Judgement(Verdict.RECORDED, None, direction, "No limit is set.")
    sides: list[Judgement] = []
    if limit.min is not None:
        sides.append(_one_side(estimate, limit.min, "higher_is_better", certain))
    if limit.max is not None:
        sides.append(_one_side(estimate, limit.max, "lower_is_better", certain))
    return min(sides, key=lambda side: _WORST_FIRST.index(side.verdict))


def _first(limit: MetricLimit | None) -> tuple[float | None, Direction | None]:
    if limit is None:
        return None, None
    if limit.min is not None:
        return limit.min, "higher_is_better"
    return limit.max, "lower_is_better" if limit.max is not None else None


def _one_side(estimate: Interval, limit: float, direction: Direction, certain: bool) -> Judgement:
    value = estimate.value if estimate.value is not None else -inf
    low = estimate.low if estimate.low is not None else -inf
    high = estimate.high if estimate.high is not None else inf
    word = "at least" if direction == "higher_is_better" else "at most"
    if not certain:
        low = high = value
    # Seen from below: a limit from above is one from below with the signs turned.
    worst, best, bar = (low, high, limit) if direction == "higher_is_better" else (-high, -low, -limit)
    if worst >= bar:
        return Judgement(Verdict.PASS, limit, direction, f"It is {word} {limit:g}.")
    if best < bar:
        return Judgement(Verdict.FAIL, limit, direction, f"It is not {word} {limit:g}.")
    return Judgement(
        Verdict.UNCERTAIN, limit, direction, f"The interval straddles the limit of {word} {limit:g}; more rows decide."
    )


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts on limits: fail, uncertain, not tested, pass; recorded where there are none."""
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.RECORDED)


def thresholds_of(name: str, limit: MetricLimit, source: str) -> list[Threshold]:
    """The limits of one metric as the record lists them."""
    found = []
    if limit.min is not None:
        found.append(Threshold(name=name, op=">=", value=limit.min, source=source))
    if limit.max is not None:
        found.append(Threshold(name=name, op="<=", value=limit.max, source=source))
    return found


def unknown_name(name: str, known: Iterable[str], what: str, where: str) -> InputError:
    """The error for a metric nobody knows, with the nearest name."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    remedy = f"Did you mean {near[0]!r}? Known are: " if near else "Known are: "
    return InputError(f"there is no {what} {name!r}", where=f"{where}.{name}", remedy=remedy + ", ".join(names) + ".")
