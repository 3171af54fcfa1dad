"""Maturity is capped by evidence: the table of caps, and that nothing ever lifts a row above the least of its parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.evidence.base import Basis
from aims_mlflow.management.maturity import HIGHEST, level_of, maturity_of

OUTCOMES = st.sampled_from(list(Outcome))
BASES = st.none() | st.sampled_from(list(Basis))


def result(outcome, basis=None):
    return CheckResult(requirement="r", check="EV001", outcome=outcome, reason="why", basis=basis)


@pytest.mark.parametrize(
    ("outcome", "basis", "level"),
    [
        (Outcome.MISSING, None, 0),
        (Outcome.FAIL, None, 1),
        (Outcome.ERROR, None, 1),
        (Outcome.UNCERTAIN, None, 1),
        (Outcome.STALE, None, 2),
        (Outcome.PASS, Basis.ATTESTED, 3),
        (Outcome.PASS, Basis.DECLARED, 3),
        (Outcome.PASS, Basis.REPORTED, 4),
        (Outcome.PASS, Basis.MEASURED, 4),
        (Outcome.PASS, None, 3),
    ],
)
def test_each_outcome_allows_its_level(outcome, basis, level):
    assert level_of(outcome, basis) == level


def test_nothing_at_all_is_level_0():
    assert maturity_of([]) == 0


def test_three_good_parts_do_not_make_up_for_one_nobody_has():
    good = [result(Outcome.PASS, Basis.MEASURED)] * 3
    assert maturity_of([*good, result(Outcome.MISSING)]) == 0
    assert maturity_of(good) == 4


@given(st.lists(st.tuples(OUTCOMES, BASES), min_size=1, max_size=6))
def test_a_row_is_never_above_any_of_its_parts_and_never_level_5(parts):
    results = [result(*one) for one in parts]
    assert maturity_of(results) == min(level_of(*one) for one in parts) <= HIGHEST < 5


@given(st.lists(st.tuples(OUTCOMES, BASES), min_size=1, max_size=6), BASES)
def test_a_lapsed_record_leaves_level_2_at_most(parts, basis):
    results = [result(*one) for one in parts]
    assert maturity_of([*results, result(Outcome.STALE, basis)]) <= 2
