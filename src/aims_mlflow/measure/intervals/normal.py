"""Quantiles, and the estimate that does not exist."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from aims_mlflow.evidence.base import Interval

Floats = np.ndarray[Any, np.dtype[np.float64]]


def undefined(level: float, method: str = "undefined") -> Interval:
    """An estimate that does not exist: value and limits null."""
    return Interval(level=level, method=method)


@lru_cache(maxsize=64)
def normal_quantile(level: float) -> float:
    """Half width, in standard errors, of a two-sided normal interval."""
    return NormalDist().inv_cdf((1 + level) / 2)


@lru_cache(maxsize=256)
def t_quantile(level: float, freedom: int) -> float:
    """Half width, in standard errors, of a two-sided Student interval."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))
