"""What an engine finds for one rule, and the one way to read a number off it."""

from __future__ import annotations

import decimal
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from aims_mlflow.evidence.data import RuleVerdict
from aims_mlflow.measure.quality.suite import SuiteRule


@dataclass(frozen=True)
class Outcome:
    """What the engine found for one rule; counts and one number at most."""

    verdict: RuleVerdict
    considered: int | None = None
    """Rows judged: after the rule's row condition and without the nulls it skips."""
    unexpected: int | None = None
    """Rows that broke it; None for a rule that is not about rows."""
    observed: float | None = None
    """The number observed, for a rule about one; the caller decides whether it may be told."""
    error_type: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """A rule on its way to the engine."""

    place: int
    rule: SuiteRule
    expectation: Any


def number_of(value: Any) -> float | None:
    """A number as Python's float; None for anything else, a truth value included."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real | decimal.Decimal):
        return None
    return float(value)
