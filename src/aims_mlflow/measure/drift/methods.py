"""Evidently's drift methods for tabular columns, by its names, as functions of arrays and counts.

Definitions, bins, handling of zeros, default limits and the strictness of each comparison are those of Evidently 0.7.23
(``evidently.legacy.calculations.stattests``); the code is our own, and the tests hold it against Evidently's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import numpy as np

from aims_mlflow.errors import ConfigError, InputError
from aims_mlflow.measure.drift import distances, pvalues
from aims_mlflow.measure.drift.sample import Counts, Numbers

ColumnType = Literal["numerical", "categorical", "text"]
Direction = Literal["distance", "p_value"]


@dataclass(frozen=True)
class Method:
    """A way to say how much a column has drifted."""

    name: str
    """Evidently's name."""
    title: str
    """Its name for readers."""
    direction: Direction
    """``distance``: high means drift; ``p_value``: low means drift."""
    threshold: float
    """The limit where none is set."""
    inclusive: bool
    """Whether a score on the limit counts as drift."""
    types: tuple[ColumnType, ...]
    """Column types it may be pinned to."""
    of_numbers: Callable[[Numbers], float] | None = None
    of_counts: Callable[[Counts], float] | None = None

    def crossed(self, score: float, limit: float) -> bool:
        """Whether the score means drift."""
        if self.direction == "distance":
            return score >= limit if self.inclusive else score > limit
        return score <= limit if self.inclusive else score < limit

    @property
    def sign(self) -> str:
        """The comparison that means drift."""
        return (">" if self.direction == "distance" else "<") + ("=" if self.inclusive else "")

    def score(self, data: Numbers | Counts) -> float:
        """The score of a column; a count method takes the distinct numbers of a numeric column as categories.

        Raises:
            InputError: the method is not defined for this column; the message says why.
        """
        try:
            with np.errstate(all="ignore"):
                if isinstance(data, Numbers) and self.of_numbers is not None:
                    value = self.of_numbers(data)
                elif self.of_counts is not None:
                    value = self.of_counts(data.counts if isinstance(data, Numbers) else data)
                else:
                    msg = f"{self.title} needs numbers"
                    raise InputError(msg)
        except (ValueError, ZeroDivisionError, FloatingPointError, np.linalg.LinAlgError) as error:
            # Only the class is told: the text of a NumPy or SciPy error may hold values.
            msg = f"{self.title} is not defined for these values ({type(error).__name__})"
            raise InputError(msg) from None
        if not np.isfinite(value) and not (value > 0 and self.direction == "distance"):
            msg = f"{self.title} is undefined for these values (0 divided by 0)"
            raise InputError(msg)
        return float(value)


def _method(
    name: str,
    title: str,
    direction: Direction,
    threshold: float,
    types: str,
    *,
    inclusive: bool = False,
    numbers: Callable[[Numbers], float] | None = None,
    counts: Callable[[Counts], float] | None = None,
) -> tuple[str, Method]:
    words: dict[str, ColumnType] = {"n": "numerical", "c": "categorical", "t": "text"}
    allowed = tuple(words[letter] for letter in types)
    return name, Method(name, title, direction, threshold, inclusive, allowed, numbers, counts)


METHODS: dict[str, Method] = dict(
    (
        _method("ks", "Kolmogorov-Smirnov test", "p_value", 0.05, "n", inclusive=True, numbers=pvalues.ks),
        _method("anderson", "Anderson-Darling test", "p_value", 0.1, "n", numbers=pvalues.anderson),
        _method("cramer_von_mises", "Cramér-von Mises test", "p_value", 0.1, "n", inclusive=True, numbers=pvalues.cvm),
        _method("mannw", "Mann-Whitney U test", "p_value", 0.05, "n", numbers=pvalues.mann_whitney),
        _method("t_test", "t test", "p_value", 0.05, "n", numbers=pvalues.t_test),
        _method("es", "Epps-Singleton test", "p_value", 0.05, "n", numbers=pvalues.epps_singleton),
        _method("empirical_mmd", "maximum mean discrepancy test", "p_value", 0.1, "n", numbers=pvalues.mmd),
        _method("chisquare", "chi-square test", "p_value", 0.05, "c", counts=pvalues.chi_square),
        _method("z", "Z test of proportions", "p_value", 0.05, "c", counts=pvalues.z_test),
        _method("fisher_exact", "Fisher's exact test", "p_value", 0.1, "c", counts=pvalues.fisher),
        _method("g_test", "G test", "p_value", 0.1, "c", counts=pvalues.g_test),
        _method("TVD", "total variation permutation test", "p_value", 0.1, "c", counts=pvalues.total_variation),
        _method("wasserstein", "normed Wasserstein distance", "distance", 0.1, "n", inclusive=True,
                numbers=distances.wasserstein),
        _method("ed", "energy distance", "distance", 0.1, "n", numbers=distances.energy),
        _method("jensenshannon", "Jensen-Shannon distance", "distance", 0.1, "cn", inclusive=True,
                numbers=distances.binned(distances.jensen_shannon, fill=False), counts=distances.jensen_shannon_of),
        _method("kl_div", "Kullback-Leibler divergence", "distance", 0.1, "cn", inclusive=True,
                numbers=distances.binned(distances.kullback_leibler), counts=distances.kullback_leibler_of),
        _method("psi", "population stability index", "distance", 0.1, "cn", inclusive=True,
                numbers=distances.binned(distances.stability_index), counts=distances.stability_index_of),
        _method("hellinger", "Hellinger distance", "distance", 0.1, "cn", inclusive=True,
                numbers=distances.hellinger_binned, counts=distances.hellinger_of),
        _method("perc_text_content_drift", "text classifier's ROC AUC against chance", "distance", 0.95, "t"),
        _method("abs_text_content_drift", "text classifier's ROC AUC", "distance", 0.55, "t"),
    )
)  # fmt: skip
"""Every method by Evidently's name."""


def find_method(name: str, *, where: str = "drift.method") -> Method:
    """The method of that name.

    Raises:
        ConfigError: there is none; the message names the nearest.
    """
    known = METHODS.get(name)
    if known is not None:
        return known
    lowered = {key.lower(): key for key in METHODS} | {"auto": "auto"}
    near = get_close_matches(name.lower(), lowered, n=1, cutoff=0.4)
    guess = f"Did you mean {lowered[near[0]]!r}? " if near else ""
    msg = f"there is no drift method {name!r}."
    raise ConfigError(
        msg, where=where, remedy=f"{guess}Known are 'auto' and {', '.join(sorted(METHODS, key=str.lower))}."
    )


def select_method(column_type: ColumnType, rows: int, distinct: int) -> Method:
    """Evidently's own choice.

    Args:
        column_type: As Evidently would call the column.
        rows: Rows of the reference, missing and infinite values left out.
        distinct: Distinct values of both sides together; anything above 5 counts as 6.
    """
    if column_type == "text":
        return METHODS["abs_text_content_drift" if rows > 1000 else "perc_text_content_drift"]
    if column_type == "numerical" and distinct > 5:
        return METHODS["wasserstein" if rows > 1000 else "ks"]
    if rows > 1000:
        return METHODS["jensenshannon"]
    return METHODS["chisquare" if distinct > 2 else "z"]


__all__ = ["METHODS", "ColumnType", "Direction", "Method", "find_method", "select_method"]
