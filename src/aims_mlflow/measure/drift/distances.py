"""Drift methods whose score is a distance."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, sqrt
from typing import Any

import numpy as np

from aims_mlflow.measure.drift.sample import Counts, Numbers
from aims_mlflow.measure.drift.wasserstein import Floats, exact_sorted

STD_FLOOR = 0.001
"""Evidently's floor under the reference's standard deviation."""


def wasserstein(data: Numbers) -> float:
    """First Wasserstein distance over the reference's standard deviation, by sorting."""
    norm = max(float(np.std(data.u)), STD_FLOOR)
    return exact_sorted(data.u_sorted, data.v_sorted) / norm


def energy(data: Numbers) -> float:
    """Energy distance, the root of twice the integral of (F - G)^2 (Székely and Rizzo 2013)."""
    u, v = data.u_sorted, data.v_sorted
    points = np.concatenate([u, v])
    points.sort(kind="stable")
    gap = np.searchsorted(u, points[:-1], side="right") / len(u) - np.searchsorted(v, points[:-1], side="right") / len(
        v
    )
    return sqrt(2.0) * sqrt(float((gap * gap * np.diff(points)).sum()))


def histogram(data: Numbers) -> tuple[Floats, Floats]:
    """Shares in Evidently's bins: the distinct values if the reference has 20 or fewer, else Sturges bins."""
    if len(np.unique(data.u_sorted)) <= 20:
        return shares(data.counts)
    u, v = data.as_stored
    edges = np.histogram_bin_edges(np.concatenate([u, v]), bins="sturges")
    return np.histogram(u, edges)[0] / len(u), np.histogram(v, edges)[0] / len(v)


def shares(counts: Counts) -> tuple[Floats, Floats]:
    """Shares of the categories on both sides."""
    return counts.reference / counts.n, counts.current / counts.m


def fill_zeros(share: Floats) -> Floats:
    """Empty cells get 0.0001, or a millionth of the smallest share where that is 0.0001 or less: Evidently's rule."""
    empty = share == 0
    if not empty.any():
        return share
    least = float(share[~empty].min())
    return np.where(empty, least / 10**6 if least <= 0.0001 else 0.0001, share)


def jensen_shannon(p: Floats, q: Floats) -> float:
    """Jensen-Shannon distance in nats: root of the divergence (Endres and Schindelin 2003)."""
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    # Rounding can push the divergence of equal shares just below 0, where SciPy returns NaN; it is 0.
    return sqrt(max((_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2, 0.0))


def kullback_leibler(p: Floats, q: Floats) -> float:
    """Kullback-Leibler divergence of the reference from the current shares, in nats."""
    return _relative_entropy(p / p.sum(), q / q.sum())


def stability_index(p: Floats, q: Floats) -> float:
    """Population stability index."""
    return float(np.sum((p - q) * np.log(p / q)))


def _relative_entropy(p: Floats, q: Floats) -> float:
    held = p > 0
    return float(np.sum(p[held] * np.log(p[held] / q[held])))


def binned(distance: Callable[[Floats, Floats], float], *, fill: bool = True) -> Callable[[Numbers], float]:
    """The distance over Evidently's bins of a numeric column."""

    def of_numbers(data: Numbers) -> float:
        p, q = histogram(data)
        return distance(fill_zeros(p), fill_zeros(q)) if fill else distance(p, q)

    return of_numbers


def jensen_shannon_of(counts: Counts) -> float:
    """Jensen-Shannon distance of counts."""
    return jensen_shannon(*shares(counts))


def kullback_leibler_of(counts: Counts) -> float:
    """Kullback-Leibler divergence of counts, empty cells filled."""
    p, q = shares(counts)
    return kullback_leibler(fill_zeros(p), fill_zeros(q))


def stability_index_of(counts: Counts) -> float:
    """Population stability index of counts, empty cells filled."""
    p, q = shares(counts)
    return stability_index(fill_zeros(p), fill_zeros(q))


def hellinger_of(counts: Counts) -> float:
    """Hellinger distance of counts."""
    p, q = shares(counts)
    return sqrt(1 - min(max(float(np.sqrt(p * q).sum()), 0.0), 1.0))


def hellinger_bins(data: Numbers) -> tuple[Any, Any, float]:
    """Densities of both sides and the width of Evidently's bins for Hellinger: Sturges bins of the distinct values."""
    u, v = data.as_stored
    edges = np.histogram_bin_edges(np.union1d(u, v), bins="sturges")
    width = float(edges.max() - edges.min()) / (len(edges) - 1)
    return np.histogram(u, edges, density=True)[0], np.histogram(v, edges, density=True)[0], width


def hellinger_binned(data: Numbers) -> float:
    """Hellinger distance of the binned densities of a numeric column."""
    p, q, width = hellinger_bins(data)
    affinity = float(np.sum(np.sqrt(p * q) * width))
    return sqrt(1 - min(max(affinity, 0.0), 1.0)) if isfinite(affinity) else float("nan")
