"""Intervals: published examples, brute-force twins, and how often they hold the truth."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.measure import intervals
from aims_mlflow.measure.intervals import Cells, Estimates


def limits(interval):
    return interval.low, interval.high


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_examples(hits, rows, low, high):
    assert limits(intervals.proportion(hits, rows, 0.95)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_the_difference_gives_newcombes_published_examples(table, low, high):
    assert limits(intervals.difference(*table, 0.95)) == pytest.approx((low, high), abs=5e-5)


def test_no_rows_give_nulls_everywhere():
    nothing = np.array([])
    found = [
        intervals.proportion(0, 0, 0.95),
        intervals.difference(0, 0, 3, 5, 0.95),
        intervals.ratio(1, 5, 0, 0, 0.95),
        intervals.f1_score(0, 0, 0, 0.95),
        intervals.mean_of_proportions(np.array([0.0, 3]), np.array([0.0, 5]), 0.95),
        intervals.mean_of_proportions(nothing, nothing, 0.95),
        intervals.matthews(cells(np.zeros((2, 2))), 0.95),
        intervals.matthews(cells(np.array([[5.0, 5], [0, 0]])), 0.95),
        intervals.macro_f1(cells(np.zeros((3, 3))), 0.95),
        intervals.roc_auc(nothing, np.array([], bool), 0.95),
        intervals.roc_auc(np.array([1.0, 2]), np.array([True, True]), 0.95),
        intervals.mean(nothing, 0.95),
        intervals.root_mean_square(nothing, 0.95),
        intervals.determination(nothing, nothing, 0.95),
        intervals.determination(np.ones(9), np.ones(9), 0.95),
    ]
    assert all((i.value, i.low, i.high) == (None, None, None) for i in found)


def test_one_value_and_few_equal_values_have_a_mean_and_no_limits():
    assert intervals.mean(np.array([2.0]), 0.95).value == 2.0
    for values in (np.array([2.0]), np.zeros(29)):
        assert limits(intervals.mean(values, 0.95)) == (None, None)
    assert limits(intervals.mean(np.zeros(30), 0.95)) == (0.0, 0.0)


def test_every_interval_names_its_method():
    table = cells(np.array([[30.0, 5], [4, 40]]))
    scores, positive = np.arange(40.0), np.arange(40) % 3 == 0
    found = [
        intervals.proportion(3, 9, 0.9),
        intervals.difference(3, 9, 4, 9, 0.9),
        intervals.ratio(3, 9, 4, 9, 0.9),
        intervals.f1_score(3, 4, 5, 0.9),
        intervals.matthews(table, 0.9),
        intervals.macro_f1(table, 0.9),
        intervals.roc_auc(scores, positive, 0.9),
        intervals.mean(scores, 0.9),
        intervals.determination(scores, scores % 3, 0.9),
    ]
    assert all(i.level == 0.9 and len(i.method) > 10 and i.low < i.value < i.high for i in found)


COUNTS = st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=300, deadline=None)
@given(COUNTS, COUNTS, st.sampled_from([0.8, 0.95, 0.999]))
def test_proportions_differences_and_ratios_lie_within_their_own_limits(one, two, level):
    for found, bottom, top in (
        (intervals.proportion(*one, level), 0, 1),
        (intervals.difference(*one, *two, level), -1, 1),
        (intervals.ratio(*one, *two, level), 0, float("inf")),
    ):
        if found.value is None:
            assert found.low is None
            continue
        high = float("inf") if found.high is None else found.high
        assert bottom - 1e-12 <= found.low <= found.value + 1e-12
        assert found.value <= high + 1e-12
        assert high <= top + 1e-12


@settings(max_examples=200, deadline=None)
@given(COUNTS, COUNTS)
def test_swapping_the_sides_mirrors_differences_and_inverts_ratios(one, two):
    there, back = intervals.difference(*one, *two, 0.95), intervals.difference(*two, *one, 0.95)
    if there.value is not None:
        assert limits(there) == pytest.approx((-back.high, -back.low))
    if one[0] and two[0]:
        there, back = intervals.ratio(*one, *two, 0.95), intervals.ratio(*two, *one, 0.95)
        assert limits(there) == pytest.approx((1 / back.high, 1 / back.low))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 25), min_size=4, max_size=4))
def test_table_metrics_lie_within_their_own_limits(counts):
    tp, fp, fn, tn = counts
    table = cells(np.array([[tn, fp], [fn, tp]], float))
    for found, bottom in (
        (intervals.f1_score(tp, fp, fn, 0.95), 0),
        (intervals.matthews(table, 0.95), -1),
        (intervals.macro_f1(table, 0.95), 0),
        (intervals.mean_of_proportions(np.array([tp, tn], float), np.array([tp + fn, tn + fp], float), 0.95), 0),
    ):
        if found.value is not None:
            assert bottom - 1e-12 <= found.low <= found.value + 1e-12 <= found.high + 2e-12 <= 1 + 3e-12


def test_a_perfect_score_is_never_certain_on_few_rows():
    perfect = cells(np.diag([6.0, 6.0]))
    assert intervals.f1_score(6, 0, 0, 0.95).low < 0.8
    assert intervals.matthews(perfect, 0.95).low < 0.9
    assert intervals.macro_f1(perfect, 0.95).low < 0.8
    assert intervals.mean_of_proportions(np.array([6.0, 6]), np.array([6.0, 6]), 0.95).low < 0.8
    for size in (2, 5, 12):
        scores = np.arange(2.0 * size)
        area = intervals.roc_auc(scores, scores >= size, 0.95)
        assert area.value == area.high == 1
        assert area.low < 0.95


def cells(table):
    k = len(table)
    true, predicted = np.divmod(np.arange(k * k), k)
    return Cells(true, predicted, np.asarray(table, float).ravel(), k)


def slow_delong(scores, positive):
    """The area and its variance from the m x n comparisons, as DeLong et al. wrote it."""
    above, below = scores[positive], scores[~positive]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    return wins.mean(), wins.mean(1).var(ddof=1) / len(above) + wins.mean(0).var(ddof=1) / len(below)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_the_area_and_its_variance_are_delongs_ties_included(seed, levels):
    random = np.random.default_rng(seed)
    positive = random.random(80) < 0.4
    scores = random.integers(0, levels + 1, 80) + positive * random.integers(0, 2, 80) * 1.0
    area, variance = slow_delong(scores, positive)
    found = intervals.roc_auc(scores, positive, 0.95)
    assert found.value == pytest.approx(area, abs=1e-12)
    if found.method.startswith("DeLong"):
        reach = NormalDist().inv_cdf(0.975) * variance**0.5 / (area * (1 - area))
        odds = np.log(area / (1 - area)) + np.array([-reach, reach])
        assert limits(found) == pytest.approx(tuple(1 / (1 + np.exp(-odds))), abs=1e-9)


def test_the_area_of_a_million_scores_takes_well_under_a_second_of_cpu():
    import time

    random = np.random.default_rng(1)
    positive = random.random(1_000_000) < 0.5
    scores = random.normal(size=1_000_000) + positive
    before = time.process_time()
    found = intervals.roc_auc(scores, positive, 0.95)
    assert time.process_time() - before < 3  # about 0.4 alone; the machine is shared
    assert found.low < 0.76025 < found.high


# How often the interval holds the truth: nominal 95 %, allowed 92 % (the approximations) to 100 %.


def coverage(draw, truth, runs=600):
    random = np.random.default_rng(20_24)
    found = [draw(random) for _ in range(runs)]
    return np.mean([i.low is not None and i.low <= truth <= (np.inf if i.high is None else i.high) for i in found])


SHARES = np.array([0.35, 0.1, 0.15, 0.4])  # tp, fp, fn, tn


def sampled_table(random, rows):
    tp, fp, fn, tn = random.multinomial(rows, SHARES)
    return cells([[tn, fp], [fn, tp]])


@pytest.mark.parametrize("rows", [40, 400])
def test_f1_and_matthews_hold_the_truth_as_often_as_they_say(rows):
    tp, fp, fn, tn = SHARES

    def f1(random):
        a, b, c, _ = random.multinomial(rows, SHARES)
        return intervals.f1_score(a, b, c, 0.95)

    mcc = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert 0.92 <= coverage(f1, 2 * tp / (2 * tp + fp + fn)) <= 0.985
    assert 0.92 <= coverage(lambda random: intervals.matthews(sampled_table(random, rows), 0.95), mcc) <= 0.985


def test_multiclass_metrics_hold_the_truth_as_often_as_they_say():
    shares = np.array([[0.3, 0.05, 0.02], [0.04, 0.2, 0.06], [0.03, 0.08, 0.22]])

    def draw(metric):
        return lambda random: metric(cells(random.multinomial(300, shares.ravel()).reshape(3, 3)), 0.95)

    hits, truths, predictions = np.diag(shares), shares.sum(1), shares.sum(0)
    f1 = np.mean(2 * hits / (truths + predictions))
    mcc = (hits.sum() - truths @ predictions) / np.sqrt((1 - truths @ truths) * (1 - predictions @ predictions))
    assert 0.925 <= coverage(draw(intervals.macro_f1), f1) <= 0.98
    assert 0.925 <= coverage(draw(intervals.matthews), mcc) <= 0.98

    def recall(random):
        table = random.multinomial(300, shares.ravel()).reshape(3, 3).astype(float)
        return intervals.mean_of_proportions(np.diag(table), table.sum(1), 0.95)

    assert 0.925 <= coverage(recall, np.mean(hits / truths)) <= 0.985


@pytest.mark.parametrize("shift", [0.5, 2.5])
def test_the_area_holds_the_truth_as_often_as_it_says(shift):
    truth = NormalDist().cdf(shift / 2**0.5)

    def draw(random):
        positive = np.arange(60) < 25
        return intervals.roc_auc(random.normal(size=60) + shift * positive, positive, 0.95)

    assert 0.92 <= coverage(draw, truth) <= 0.985


def test_the_area_of_tiny_classes_holds_the_truth():
    truth = NormalDist().cdf(1.5 / 2**0.5)

    def draw(random):
        positive = np.arange(14) < 6
        return intervals.roc_auc(random.normal(size=14) + 1.5 * positive, positive, 0.95)

    assert coverage(draw, truth) >= 0.93


def test_error_means_and_r_squared_hold_the_truth_as_often_as_they_say():
    def draw(metric):
        def once(random):
            signal, noise = random.normal(size=120) * 2, random.normal(size=120)
            return metric(signal + noise, -noise)

        return once

    assert 0.925 <= coverage(draw(lambda y, e: intervals.mean(np.abs(e), 0.95)), np.sqrt(2 / np.pi)) <= 0.98
    assert 0.92 <= coverage(draw(lambda y, e: intervals.root_mean_square(e, 0.95)), 1.0) <= 0.98
    assert 0.92 <= coverage(draw(lambda y, e: intervals.determination(y, e, 0.95)), 0.8) <= 0.98


@pytest.mark.parametrize("rates", [(0.3, 0.3), (0.1, 0.4), (0.2, 0.2, 0.2, 0.2, 0.2), (0.05, 0.2, 0.5)])
def test_the_widest_gap_and_the_smallest_ratio_hold_the_truth_at_least_as_often_as_they_say(rates):
    """Choosing the extreme groups after looking is what ruins naive intervals; here it is paid for."""
    rates, rows = np.array(rates), 150

    def draw(compute):
        def once(random):
            level = intervals.pairwise_level(0.95, len(rates))
            found = intervals.proportions(random.binomial(rows, rates), np.full(len(rates), rows), level)
            return compute(found, 0.95, "")[0]

        return once

    assert coverage(draw(intervals.largest_gap), np.ptp(rates)) >= 0.93
    assert coverage(draw(intervals.smallest_ratio), rates.min() / rates.max()) >= 0.93


def test_two_groups_have_newcombes_interval_folded_at_zero():
    counts, rows = np.array([56.0, 48]), np.array([70.0, 80])
    found, lowest, highest = intervals.largest_gap(intervals.proportions(counts, rows, 0.95), 0.95, "")
    assert (found.value, lowest, highest) == (pytest.approx(0.2), 1, 0)
    assert limits(found) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    same, _, _ = intervals.largest_gap(intervals.proportions(np.array([5.0, 5]), np.array([9.0, 9]), 0.95), 0.95, "")
    assert (same.value, same.low) == (0, 0)
    assert same.high > 0


def test_unknown_limits_of_one_group_make_the_gap_unknown():
    groups = Estimates(np.array([1.0, 2.0]), np.array([0.5, np.nan]), np.array([1.5, np.nan]))
    for compute in (intervals.largest_gap, intervals.smallest_ratio):
        found, _, _ = compute(groups, 0.95, "")
        assert found.value is not None
        assert limits(found) == (None, None)
