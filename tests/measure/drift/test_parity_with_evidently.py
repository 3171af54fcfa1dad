"""Own scores and verdicts against the very functions Evidently's report calls, on random pairs of every shape and size.

``AIMS_PARITY=10`` runs ten times as many pairs.
"""

import logging
import os
import warnings

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.errors import InputError
from aims_mlflow.measure.drift.methods import METHODS, select_method
from aims_mlflow.measure.drift.sample import Numbers, counts_of_labels

TIMES = int(os.environ.get("AIMS_PARITY", "1"))
NUMERIC = [name for name, method in METHODS.items() if "numerical" in method.types]
CATEGORICAL = [name for name, method in METHODS.items() if "categorical" in method.types]
SLOW = {"empirical_mmd": 12, "TVD": 5, "es": 60}
SILENT = "Evidently gave no number"


@pytest.fixture(scope="module")
def evidently_tests():
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently.legacy.calculations.stattests import registry
    yield registry
    logging.disable(logging.NOTSET)


def numeric_pair(rng, largest=3000):
    """A reference and a current array of one of fifteen shapes, of sizes on both sides of 1,000."""
    n, m = (int(rng.choice([rng.integers(2, 30), rng.integers(30, 990), rng.integers(1001, largest)])) for _ in "ab")
    if rng.random() < 0.3:
        m = n
    shape = rng.integers(15)
    makers = [
        lambda k: rng.normal(size=k),
        lambda k: rng.normal(100, 15, k),
        lambda k: rng.standard_cauchy(k),
        lambda k: rng.pareto(1.5, k),
        lambda k: np.round(rng.normal(size=k), 1),
        lambda k: rng.integers(0, 50, k),
        lambda k: rng.integers(-100_000, 100_000, k),
        lambda k: rng.integers(0, 4, k),
        lambda k: rng.integers(0, 2, k).astype(float),
        lambda k: np.where(rng.random(k) < 0.5, 0.0, rng.exponential(size=k)),
        lambda k: rng.normal(size=k) * 1e-5,
        lambda k: rng.normal(1e6, 1.0, k),
        lambda k: np.where(rng.random(k) < 0.05, np.nan, rng.normal(size=k)),
        lambda k: np.where(rng.random(k) < 0.05, np.inf, rng.normal(size=k)),
        lambda k: np.full(k, 3.0),
    ]
    reference, current = makers[shape](n), makers[shape](m)
    change = rng.integers(5)
    if change == 1:
        current = current + (
            1
            if reference.dtype.kind == "i"
            else float(np.nan_to_num(np.nanstd(reference[np.isfinite(reference)])) * rng.random())
        )
    elif change == 2:
        current = current * 2
    elif change == 3:
        current = current + np.asarray(0.1 * rng.random()).astype(current.dtype)
    if not np.isfinite(reference).any() or not np.isfinite(current).any():
        return numeric_pair(rng, largest)
    return reference, current


def label_pair(rng, largest=3000):
    n, m = (int(rng.choice([rng.integers(2, 30), rng.integers(30, 990), rng.integers(1001, largest)])) for _ in "ab")
    if rng.random() < 0.4:
        m = n
    k = int(rng.choice([1, 2, 2, 3, 5, 12, 60]))
    weights = rng.dirichlet(np.ones(k) * rng.choice([0.3, 2.0, 50.0]))
    other = weights if rng.random() < 0.5 else rng.dirichlet(np.ones(k))
    names = np.array([f"level {i}" for i in range(k)], dtype=object)
    reference, current = names[rng.choice(k, n, p=weights)], names[rng.choice(k, m, p=other)]
    if rng.random() < 0.2:
        current[rng.random(m) < 0.3] = "unseen"
    return reference, current


def clean(values):
    return pd.Series(values).replace([-np.inf, np.inf], np.nan).dropna()


def as_numbers(reference, current):
    whole = reference.dtype.kind == "i" and current.dtype.kind == "i"
    return Numbers(reference, current, whole=whole)


def as_counts(reference, current):
    sides = [pd.factorize(values) for values in (reference, current)]
    tallies = [(labels, np.bincount(codes[codes >= 0], minlength=len(labels))) for codes, labels in sides]
    return counts_of_labels(*tallies, lambda: sides)


def agree(name, mine, theirs):
    if name in {"hellinger", "jensenshannon"}:
        return abs(mine - theirs) <= 1e-7 * abs(theirs) + 5e-8
    return abs(mine - theirs) <= 1e-7 * abs(theirs) + 1e-11


def compare(registry, name, column_type, reference, current, data):
    """None if both agree, else what they said. Where Evidently raises or says NaN, own code may say anything."""
    method = METHODS[name]
    test = registry.get_registered_stattest(name, registry.ColumnType(column_type))
    assert test.default_threshold == method.threshold
    np.random.seed(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            result = test(clean(reference), clean(current), registry.ColumnType(column_type), None)
            theirs, drifted = float(result.drift_score), bool(result.drifted)
        except (
            ValueError,
            ZeroDivisionError,
            FloatingPointError,
            np.linalg.LinAlgError,
            OverflowError,
            IndexError,
            TypeError,
        ):
            theirs, drifted = float("nan"), False
    if name == "fisher_exact" and len(data.reference) > 2:
        theirs = float(
            "nan"
        )  # with two values a side but three in all, Evidently counts the third as one of the others
    if name == "chisquare" and len(data.reference) == 1:
        theirs = float("nan")  # no degree of freedom: Evidently's p is 0 or undefined by rounding noise, own is 1
    try:
        mine = method.score(data)
    except InputError:
        return SILENT if np.isnan(theirs) else (name, "refused", theirs)
    if np.isnan(theirs):
        return SILENT
    if name in {"TVD", "empirical_mmd"}:
        # The same permutations; but Evidently's rounding noise counts some ties as smaller, so its p is below or equal.
        return None if -0.011 <= mine - theirs <= 0.25 else (name, mine, theirs)
    if name == "cramer_von_mises" and max(data.n, data.m) <= 20:
        # Evidently's exact p-values of tiny samples come out in half precision.
        return None if abs(mine - theirs) <= 1e-3 * theirs else (name, mine, theirs)
    if not agree(name, mine, theirs):
        return (name, mine, theirs)
    if method.crossed(mine, method.threshold) != drifted:
        return (name, "verdict", mine, theirs)
    return None


@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_methods_score_and_judge_as_evidently_does(evidently_tests, name):
    rng = np.random.default_rng(7)
    failures = []
    for _ in range(SLOW.get(name, 120) * TIMES):
        reference, current = numeric_pair(rng, 1050 if name == "empirical_mmd" else 3000)
        failures.append(compare(evidently_tests, name, "num", reference, current, as_numbers(reference, current)))
    assert [f for f in failures if f and f != SILENT] == []
    assert failures.count(None) > len(failures) / 10, "hardly any pair was compared"


@pytest.mark.parametrize("name", CATEGORICAL)
def test_categorical_methods_score_and_judge_as_evidently_does(evidently_tests, name):
    rng = np.random.default_rng(8)
    failures = []
    for _ in range(SLOW.get(name, 120) * TIMES):
        reference, current = label_pair(rng, 1050 if name == "TVD" else 3000)
        failures.append(compare(evidently_tests, name, "cat", reference, current, as_counts(reference, current)))
    assert [f for f in failures if f and f != SILENT] == []
    assert failures.count(None) > len(failures) / 10, "hardly any pair was compared"


@pytest.mark.parametrize("column_type", ["num", "cat", "text"])
def test_the_automatic_choice_is_evidentlys(evidently_tests, column_type):
    rng = np.random.default_rng(9)
    own = {"num": "numerical", "cat": "categorical", "text": "text"}[column_type]
    for rows in (1, 2, 999, 1000, 1001, 2000):
        for distinct in (1, 2, 3, 5, 6, 7, 40):
            reference = pd.Series(rng.integers(0, distinct, rows))
            current = pd.Series(np.arange(distinct))
            theirs = evidently_tests.get_stattest(reference, current, evidently_tests.ColumnType(column_type), None)
            assert select_method(own, rows, distinct).name == theirs.name


def test_every_evidently_method_is_known_with_its_limit_and_types(evidently_tests):
    words = {"num": "numerical", "cat": "categorical", "text": "text"}
    theirs = {
        name: ({words[t.value] for t in by_type}, next(iter(by_type.values())).default_threshold)
        for name, by_type in evidently_tests._registered_stat_tests.items()
    }
    assert theirs == {name: (set(method.types), method.threshold) for name, method in METHODS.items()}
