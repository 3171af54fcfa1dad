"""How many false alarms a run may raise: gamma tails and Holm's procedure."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, fsum, inf, isfinite, lgamma, log, sqrt
from statistics import NormalDist


def gamma_tail(shape: float, x: float) -> float:
    """Upper tail of the gamma distribution of scale 1, by series or continued fraction.

    Abramowitz and Stegun (1964), 6.5.29 and 6.5.31.
    """
    if x <= 0 or not isfinite(shape):
        return 1.0
    if not isfinite(x):
        return 0.0
    if shape > 1e4:
        # Wilson and Hilferty (1931): the cube root is nearly normal, the better the larger the shape.
        return erfc(((x / shape) ** (1 / 3) - 1 + 1 / (9 * shape)) * 3 * sqrt(shape) / sqrt(2)) / 2
    scale = exp(min(shape * log(x) - x - lgamma(shape), 700.0))
    if x < shape + 1:
        term = total = 1 / shape
        step = shape
        while term > total * 1e-15:
            step += 1
            term *= x / step
            total += term
        return min(max(1 - scale * total, 0.0), 1.0)
    b, c = x + 1 - shape, inf
    d = h = 1 / b
    for i in range(1, 10_000):
        a = -i * (i - shape)
        b += 2
        d = a * d + b
        d = 1 / (d if abs(d) > 1e-300 else 1e-300)
        c = b + a / c
        factor = d * c
        h *= factor
        if abs(factor - 1) < 1e-15:
            break
    return min(max(scale * h, 0.0), 1.0)


def chi_square_tail(x: float, freedom: float) -> float:
    """Upper tail of the chi-square distribution; 1 without a degree of freedom."""
    return gamma_tail(freedom / 2, x / 2) if freedom > 0 else 1.0


def chi_square_point(tail: float, freedom: int) -> float:
    """The point with that upper tail, by bisection."""
    low, high = 0.0, freedom + 40 * sqrt(2.0 * freedom) + 100
    for _ in range(60):
        middle = (low + high) / 2
        if chi_square_tail(middle, freedom) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def matched_tail(x: float, mean: float, variance: float) -> float:
    """Upper tail of the gamma distribution with that mean and variance (Satterthwaite's matching)."""
    if mean <= 0:
        return 0.0 if x > 0 else 1.0
    if variance <= 0:
        return 0.0 if x > mean else 1.0
    return gamma_tail(mean * mean / variance, x * mean / variance)


def normal_point(level: float) -> float:
    """Half width, in standard errors, of a two-sided normal interval."""
    return NormalDist().inv_cdf((1 + level) / 2)


def holm(p_values: Sequence[float], budget: float) -> list[bool]:
    """Which p-values Holm's step-down procedure (1979) rejects at a family-wise level, whatever their dependence."""
    rejected = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] > budget / (len(p_values) - rank):
            break
        rejected[place] = True
    return rejected


def any_false_alarm(chances: Sequence[float]) -> float:
    """Bonferroni's bound on the probability of at least one false alarm, from those of the columns."""
    return min(1.0, fsum(chances))
