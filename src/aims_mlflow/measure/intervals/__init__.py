"""Confidence intervals from counts and moments: no row is drawn again.

Every function returns an ``Interval`` whose ``method`` names its source. Where nothing can be said (no rows, a rate
without a denominator) value and limits are null. A limit that is null while the value is not is unknown or unbounded.
"""

from __future__ import annotations

from aims_mlflow.measure.intervals.confusion import Cells, f1_score, macro_f1, matthews
from aims_mlflow.measure.intervals.gaps import largest_gap, pairwise_level, smallest_ratio
from aims_mlflow.measure.intervals.means import determination, mean, mean_from_moments, root_mean_square
from aims_mlflow.measure.intervals.normal import Floats, normal_quantile, t_quantile, undefined
from aims_mlflow.measure.intervals.proportions import (
    MOVER_R,
    NEWCOMBE,
    WILSON,
    Estimates,
    difference,
    mean_of_proportions,
    mover_differences,
    mover_ratios,
    proportion,
    proportions,
    ratio,
    wilson_limits,
)
from aims_mlflow.measure.intervals.ranking import midranks, roc_auc

__all__ = [
    "MOVER_R",
    "NEWCOMBE",
    "WILSON",
    "Cells",
    "Estimates",
    "Floats",
    "determination",
    "difference",
    "f1_score",
    "largest_gap",
    "macro_f1",
    "matthews",
    "mean",
    "mean_from_moments",
    "mean_of_proportions",
    "midranks",
    "mover_differences",
    "mover_ratios",
    "normal_quantile",
    "pairwise_level",
    "proportion",
    "proportions",
    "ratio",
    "roc_auc",
    "root_mean_square",
    "smallest_ratio",
    "t_quantile",
    "undefined",
    "wilson_limits",
]
