"""Names of the performance metrics, and how to tell a misspelt one from a metric of somebody's own."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

METRIC_NAMES = (
    "accuracy",
    "accuracy_score",
    "balanced_accuracy",
    "balanced_accuracy_score",
    "brier",
    "brier_score",
    "brier_score_loss",
    "f1",
    "f1_macro",
    "f1_score",
    "log_loss",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "mae",
    "matthews_corrcoef",
    "mcc",
    "mean_absolute_error",
    "mean_error",
    "mean_squared_error",
    "mse",
    "precision",
    "precision_macro",
    "precision_score",
    "r2",
    "r2_score",
    "recall",
    "recall_macro",
    "recall_score",
    "rmse",
    "roc_auc",
    "roc_auc_score",
    "root_mean_squared_error",
    "sensitivity",
    "specificity",
    "true_negative_rate",
    "true_positive_rate",
)
"""Every name a metric computed here goes by; a test compares them with the measurement's own."""

_NEAR = 0.85
"""Ratio of ``difflib`` from which a name was meant to be the known one."""
_ACRONYM = 5
"""Known names shorter than this are acronyms: one letter more is another metric (``mae``, ``mape``)."""
_OTHER_WORDS = frozenset(
    (
        "average",
        "cohen",
        "curve",
        "deviance",
        "error",
        "explained",
        "false",
        "fbeta",
        "gain",
        "gini",
        "hamming",
        "hinge",
        "jaccard",
        "kappa",
        "lift",
        "log",
        "loss",
        "max",
        "mean",
        "median",
        "micro",
        "min",
        "negative",
        "percentage",
        "pinball",
        "positive",
        "poisson",
        "pr",
        "rate",
        "root",
        "samples",
        "skill",
        "squared",
        "top",
        "true",
        "variance",
        "weighted",
        "zero",
    )
)
"""Words of metrics that are not computed here (``median_absolute_error``, ``recall_micro``)."""


def _parts(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z]+|\d+", name))


_WORDS = _OTHER_WORDS | {part for name in METRIC_NAMES for part in _parts(name)}


def is_computed(name: str) -> bool:
    """Whether a limit on this name is one on a metric computed here."""
    return name in METRIC_NAMES


def meant_metric(name: str) -> str | None:
    """The metric that a misspelt name was meant to be; None where it is right, or a metric of the user's own.

    A name of which every word is known, or that says more than the known one (``val_accuracy``), is no slip of the pen.
    """
    if is_computed(name):
        return None
    folded = re.sub(r"[\s-]+", "_", name.strip().lower())
    if is_computed(folded):
        return folded
    parts = set(_parts(folded))
    if parts <= {word for word in parts if word.isdigit()} | _WORDS:
        return None

    def ratio(known: str) -> float:
        return SequenceMatcher(None, folded, known).ratio()

    candidates = [known for known in METRIC_NAMES if len(known) >= _ACRONYM and not set(_parts(known)) <= parts]
    nearest = max(candidates, key=ratio)
    return nearest if ratio(nearest) >= _NEAR else None
