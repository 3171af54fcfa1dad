"""Bins beyond a column's grid: eight to every doubling of the distance, so that any finite number has a finite bin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PER_DOUBLING = 8
FIRST = 16
"""The first bin beyond the grid is about as wide as a cell of the grid: distances count in the range's sixteenths."""
_GROWTH = 2 ** (1 / PER_DOUBLING) - 1
_FAR = 1e15


def place(distance_halved: Floats, unit: Floats) -> tuple[Ints, Floats]:
    """Bin of each distance from the grid's end, and where in its bin it lies, as a share of the bin's width.

    Args:
        distance_halved: Half the distances, 0 or more: the whole ones may be too large for a float.
        unit: What each is counted in.
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = distance_halved / (unit / 2)
        height = np.log2(1 + ratio) * PER_DOUBLING
        far = ratio > _FAR
        if far.any():
            # One more or less does not count here, and the quotient itself may overflow.
            height[far] = (np.log2(distance_halved[far]) + 1 - np.log2(unit[far])) * PER_DOUBLING
    bins = np.floor(height)
    share = np.expm1((height - bins) * (np.log(2.0) / PER_DOUBLING)) / _GROWTH
    return bins.astype(np.int64), np.clip(share, 0.0, 1.0)


def log2_width(bins: Floats, log2_unit: float) -> Floats:
    """Base-2 logarithm of the width of each bin: the width itself may be too large for a float."""
    return np.asarray(bins / PER_DOUBLING + log2_unit + np.log2(_GROWTH))
