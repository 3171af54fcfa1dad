"""What fairness tells of groups does not give away counts of a few people: a reader tries every table."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.config.models import FairnessPolicy, MetricLimit, PrivacyPolicy
from aims_mlflow.evidence.base import Verdict
from aims_mlflow.measure.fairness import measure_fairness
from aims_mlflow.measure.fairness.disclosure import Cells, told_rows_of, withheld_rates
from aims_mlflow.measure.intervals import proportions

RATES = {
    "selection_rate": lambda tn, fp, fn, tp: (tp + fp, tn + fp + fn + tp),
    "true_positive_rate": lambda tn, fp, fn, tp: (tp, tp + fn),
    "false_positive_rate": lambda tn, fp, fn, tp: (fp, fp + tn),
    "true_negative_rate": lambda tn, fp, fn, tp: (tn, fp + tn),
    "false_negative_rate": lambda tn, fp, fn, tp: (fn, tp + fn),
    "accuracy": lambda tn, fp, fn, tp: (tp + tn, tn + fp + fn + tp),
    "precision": lambda tn, fp, fn, tp: (tp, tp + fp),
}
FAMILIES = ("selection_rate", "accuracy", "true_positive_rate", "false_positive_rate", "precision")


def compositions(total, parts):
    """Every way to share a total out to the parts, one a row."""
    if parts == 1:
        return np.array([[total]])
    return np.concatenate(
        [np.insert(compositions(total - first, parts - 1), 0, first, axis=1) for first in range(total + 1)]
    )


def sensitive_counts(tables):
    tn, fp, fn, tp = tables.T
    return {
        "tn": tn, "fp": fp, "fn": fn, "tp": tp, "positive": tp + fn, "negative": tn + fp,
        "selected": tp + fp, "left": tn + fn, "right": tp + tn, "wrong": fp + fn,
    }  # fmt: skip


def solved(tables, cell):
    """The counts of a few people that are the same in all tables a reader is left with."""
    counts = sensitive_counts(tables)
    return {name: int(c[0]) for name, c in counts.items() if 0 < c[0] < cell and (c == c[0]).all()}


def group_data(sizes_and_tables):
    """Targets, predictions and groups of confusion tables (tn, fp, fn, tp), by label."""
    true, pred, group = [], [], []
    for label, (tn, fp, fn, tp) in sizes_and_tables.items():
        true += [0] * (tn + fp) + [1] * (fn + tp)
        pred += [0] * tn + [1] * fp + [0] * fn + [1] * tp
        group += [label] * (tn + fp + fn + tp)
    return true, pred, group


def measured(tables, *, cell=5, smallest=1, **limits):
    true, pred, group = group_data(tables)
    rules = FairnessPolicy(
        metrics={name: MetricLimit(**limit) for name, limit in limits.items()}, min_group_size=smallest
    )
    privacy = PrivacyPolicy(smallest_cell=cell)
    found = measure_fairness(
        true, pred, {"sex": group}, policy=rules, privacy=privacy, safe_labels=("sex",), positive_label=1
    )
    by_label = {g.group: g for g in found.groups}
    by_gap = {f"{d.metric}_{d.statistic}": d for d in found.disparities}
    return found, by_label, by_gap


def is_withheld(interval):
    return interval.value is None and interval.method.startswith("not told")


# The reader of the record


def numbers_told(result):
    """What one group's record tells of numerator and denominator: of each rate told all pairs that fit its interval."""
    possible = np.array([(k, m) for m in range(1, result.n + 1) for k in range(m + 1)], float)
    pairs = {}
    for name, one in result.metrics.items():
        if is_withheld(one):
            continue
        if one.value is None:
            pairs[name] = {(0, 0)}
            continue
        full = proportions(possible[:, 0], possible[:, 1], one.level)
        fits = np.all(
            [np.isclose(found, given, rtol=0, atol=1e-12)
             for found, given in zip((full.value, full.low, full.high), (one.value, one.low, one.high), strict=True)],
            axis=0,
        )  # fmt: skip
        pairs[name] = {tuple(map(int, pair)) for pair in possible[fits]}
    return pairs


def tables_left(result, cell, first):
    """Every confusion table that a reader who knows the rules cannot tell from the one behind a group's record."""
    tables = compositions(result.n, 4)
    fits = np.ones(len(tables), bool)
    told = numbers_told(result)
    for name, pairs in told.items():
        numerators, denominators = RATES[name](*tables.T)
        fits &= [pair in pairs for pair in zip(numerators.tolist(), denominators.tolist(), strict=True)]
    tn, fp, fn, tp = tables.T.astype(float)
    for name, held in withheld_rates(Cells(tn, fp, fn, tp, tn), cell, first).items():
        fits &= held != (name in told)
    return tables[fits]


group_tables = st.tuples(*[st.one_of(st.integers(0, 9), st.just(0))] * 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(group_tables, min_size=2, max_size=4), st.sampled_from(FAMILIES), st.integers(3, 6))
def test_no_count_of_a_few_people_can_be_solved_from_the_record(tables, first, cell):
    named = {f"g{place}": table for place, table in enumerate(tables) if sum(table)}
    found, groups, _ = measured(named, cell=cell, **{f"{first}_difference": {"max": 0.1}})
    told = {label: result for label, result in groups.items() if result.n is not None}
    for label, result in told.items():
        left = tables_left(result, cell, first)
        assert len(left), "the record fits the rules"
        assert solved(left, cell) == {}
        if found.rows is not None and sum(r.n for r in told.values()) == found.rows:
            assert list(named[label]) in left.tolist()
    for label in groups.keys() - told.keys():
        assert not groups[label].judged
        assert {one.value for one in groups[label].metrics.values()} == {None}
        assert sum(named[label]) < cell


def test_the_reader_does_solve_what_is_told_without_these_rules():
    _, groups, _ = measured({"a": (20, 3, 6, 9), "b": (9, 8, 7, 6)}, cell=1)
    assert solved(tables_left(groups["a"], 1, "selection_rate"), 5) == {"fp": 3}
    # Selection rate and true positive rate alone give the withheld third away.
    both = numbers_told(groups["a"])
    every = compositions(38, 4)
    fits = [
        all(RATES[name](*table) in both[name] for name in ("selection_rate", "true_positive_rate")) for table in every
    ]
    assert solved(every[np.array(fits)], 5) == {"fp": 3}


@pytest.mark.parametrize("cell", [3, 5])
@pytest.mark.parametrize("first", FAMILIES)
def test_no_table_of_any_size_can_be_told_from_one_with_other_small_counts(cell, first):
    """All tables of a size at once: those the rules tell the same of differ in every count of a few people."""
    for rows in (*range(cell, 2 * cell + 2), 3 * cell, 4 * cell + 1, 30, 37):
        tables = compositions(rows, 4)
        tn, fp, fn, tp = tables.T.astype(float)
        held = withheld_rates(Cells(tn, fp, fn, tp, tn), cell, first)
        told = [np.where(held[name], -1, part) for name, of in RATES.items() for part in of(*tables.T)]
        _, alike = np.unique(np.column_stack(told), axis=0, return_inverse=True)
        alike = alike.ravel()
        for name, count in sensitive_counts(tables).items():
            low, high = np.full(alike.max() + 1, rows), np.zeros(alike.max() + 1, int)
            np.minimum.at(low, alike, count)
            np.maximum.at(high, alike, count)
            given_away = (count > 0) & (count < cell) & (low == high)[alike]
            assert not given_away.any(), (rows, name, tables[given_away][0])


@pytest.mark.parametrize("first", FAMILIES)
def test_nor_with_more_than_two_labels(first):
    """Right negatives are another count then; tables are (right negatives, other true negatives, fp, fn, tp)."""
    cell = 3
    for rows in (3, 5, 8, 14):
        tables = compositions(rows, 5)
        right_negatives, others, fp, fn, tp = tables.T
        tn, right = right_negatives + others, right_negatives + tp
        held = withheld_rates(Cells(*(c.astype(float) for c in (tn, fp, fn, tp, right_negatives))), cell, first)
        pairs = {name: of(tn, fp, fn, tp) for name, of in RATES.items()} | {"accuracy": (right, tn * 0 + rows)}
        told = [np.where(held[name], -1, part) for name, pair in pairs.items() for part in pair]
        _, alike = np.unique(np.column_stack(told), axis=0, return_inverse=True)
        alike = alike.ravel()
        for count in (right_negatives, others, tn, fp, fn, tp, tp + fn, tn + fp, tp + fp, tn + fn, right, rows - right):
            low, high = np.full(alike.max() + 1, rows), np.zeros(alike.max() + 1, int)
            np.minimum.at(low, alike, count)
            np.maximum.at(high, alike, count)
            assert not ((count > 0) & (count < cell) & (low == high)[alike]).any()


# Sizes of groups


def sizes_told(sizes, cell):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    told = told_rows_of(codes, np.ones(len(codes), bool), len(sizes), cell)
    if told is None:
        return None
    return tuple(int(n) if n >= cell else None for n in np.bincount(codes[told], minlength=len(sizes)))


@pytest.mark.parametrize(("cell", "groups", "most"), [(2, 3, 12), (3, 3, 20), (3, 4, 14), (5, 3, 26), (5, 4, 17)])
def test_sizes_told_fit_every_size_a_small_group_can_have(cell, groups, most):
    """A reader who knows all rows, the rules and which groups are the small ones learns nothing of their sizes."""
    few = range(1, cell)
    for rows in range(cell, most):
        by_told = {}
        for sizes in compositions(rows, groups).tolist():
            small = tuple(0 < size < cell for size in sizes)
            by_told.setdefault((sizes_told(sizes, cell), small), set()).add(tuple(sizes))
        for (told, small), alike in by_told.items():
            own = {tuple(s for s, is_small in zip(sizes, small, strict=True) if is_small) for sizes in alike}
            if told is not None:
                assert own == set(product(few, repeat=sum(small))), (told, alike)
        untold = [sizes for (told, _), alike in by_told.items() if told is None for sizes in alike]
        for column in np.array(untold).T if cell > 2 else ():
            assert len(set(column.tolist())) > 1, (rows, untold)
        for (told, small), alike in by_told.items():
            # Where nothing is told, knowing which are the small ones leaves two sizes of each too, room permitting.
            if told is None and cell > 2 and rows >= cell * groups:
                for place in np.flatnonzero(small):
                    assert len({sizes[place] for sizes in alike}) > 1, alike


def test_a_few_people_without_an_entry_do_not_keep_two_large_groups_from_being_judged():
    """Three rows hidden, two of the largest group left out with them, whatever the three are, one to four."""
    told = []
    for few in (1, 3, 4):
        found, groups, gaps = measured(
            {"f": (1000, 200, 300, 500), "m": (1500 - few, 300, 450, 750), "x": (few, 0, 0, 0)},
            smallest=30,
            selection_rate_ratio={"min": 0.8},
        )
        assert gaps["selection_rate_ratio"].verdict is Verdict.PASS
        assert found.verdict is Verdict.PASS
        told.append((found.rows, {label: result.n for label, result in groups.items()}))
    assert told == [(5000, {"f": 2000, "m": 2995, "x": None})] * 3


def test_rows_left_out_with_a_small_group_are_spread_over_the_largest():
    codes = np.array([0] * 100 + [1] * 30 + [2] * 1)
    told = told_rows_of(codes, np.ones(131, bool), 3, 5)
    assert np.flatnonzero(~told).tolist() == [12, 37, 62, 87, 130]
    kept = np.ones(131, bool)
    kept[130] = False
    assert told_rows_of(codes, kept, 3, 5) is kept, "a group without rows hides nothing"


@pytest.mark.parametrize("sizes", [(3, 4), (4, 4), (3, 6), (1, 1, 1, 1, 1), (2, 2, 2, 10)])
def test_groups_too_few_and_small_are_not_told_at_all(sizes):
    tables = {f"g{place}": (size, 0, 0, 0) for place, size in enumerate(sizes)}
    found, groups, gaps = measured(tables, selection_rate_difference={"max": 0.1})
    assert groups == {}
    assert found.verdict is Verdict.NOT_TESTED
    assert "so few and small" in gaps["selection_rate_difference"].reason


def test_a_small_group_of_a_regression_is_hidden_the_same_way():
    group = ["a"] * 60 + ["b"] * 40 + ["c"] * 2
    truth = np.random.default_rng(0).normal(size=102)
    found = measure_fairness(
        truth, truth + 0.1 * np.arange(102), {"sex": group}, policy=FairnessPolicy(), safe_labels=("sex",)
    )
    assert {g.group: g.n for g in found.groups} == {"a": 57, "b": 40, "c": None}
    assert {one.value for g in found.groups if g.group == "c" for one in g.metrics.values()} == {None}


# Worked examples of rates


def told_of(result):
    return {name for name, one in result.metrics.items() if one.value is not None}


ODD = (500, 3, 60, 300)
"""Three false positives."""
EVEN = (500, 80, 60, 300)


def test_a_group_with_three_false_positives_tells_one_rate_and_with_a_limit_that_one():
    _, groups, _ = measured({"a": ODD, "b": EVEN})
    assert told_of(groups["a"]) == {"selection_rate", "accuracy"}
    assert told_of(groups["b"]) == set(RATES)
    assert groups["a"].n == 863
    _, groups, _ = measured({"a": ODD, "b": EVEN}, true_positive_rate_difference={"max": 0.1})
    assert told_of(groups["a"]) == {"true_positive_rate", "false_negative_rate"}
    _, groups, _ = measured({"a": ODD, "b": EVEN}, false_positive_rate_difference={"max": 0.1})
    assert told_of(groups["a"]) == {"selection_rate"}


def test_a_few_wrong_rows_withhold_the_accuracy_and_leave_the_selection_rate():
    _, groups, _ = measured({"a": (490, 2, 0, 10), "b": EVEN})
    assert told_of(groups["a"]) == {"selection_rate"}


@pytest.mark.parametrize("table", [(40, 0, 1, 2), (497, 0, 3, 0), (0, 4, 0, 400)])
def test_a_complement_of_a_few_is_a_count_of_a_few(table):
    _, groups, _ = measured({"a": table, "b": EVEN})
    assert "true_positive_rate" not in told_of(groups["a"])
    assert "accuracy" not in told_of(groups["a"])


def test_a_perfect_group_is_told_for_nobody_is_no_person():
    _, groups, _ = measured({"a": (30, 0, 0, 30), "b": EVEN})
    assert told_of(groups["a"]) == set(RATES)


def test_with_more_than_two_labels_and_none_positive_few_wrong_rows_withhold_the_accuracy():
    true = ["x", "y", "z"] * 40
    found = measure_fairness(
        true, ["x", "y", "z"] * 39 + ["y", "z", "x"], {"sex": ["a"] * 60 + ["b"] * 60}, policy=FairnessPolicy(),
        safe_labels=("sex",),
    )  # fmt: skip
    by_label = {g.group: g.metrics["accuracy"] for g in found.groups}
    assert by_label["a"].value == 1
    assert is_withheld(by_label["b"])


# Verdicts on gaps


def test_a_gap_with_a_withheld_group_is_at_best_uncertain_and_says_so():
    tables = {"a": EVEN, "b": EVEN, "c": ODD}
    limits = {"selection_rate_ratio": {"min": 0.6}, "false_positive_rate_difference": {"max": 0.3}}
    found, _, gaps = measured(tables, **limits)
    judged = gaps["false_positive_rate_difference"]
    assert judged.estimate.high < 0.3
    assert judged.verdict is Verdict.UNCERTAIN
    assert "not told in 1 of the judged groups" in judged.reason
    assert gaps["selection_rate_ratio"].verdict is Verdict.PASS
    assert found.verdict is Verdict.UNCERTAIN
    assert "not told" in found.reason
    assert measured({"a": EVEN, "b": EVEN}, **limits)[0].verdict is Verdict.PASS


def test_nor_does_the_value_alone_pass_it():
    true, pred, group = group_data({"a": EVEN, "b": EVEN, "c": ODD})
    rules = FairnessPolicy(
        metrics={"selection_rate_ratio": MetricLimit(min=0.6), "false_positive_rate_difference": MetricLimit(max=0.3)},
        require_certain=False,
    )
    found = measure_fairness(true, pred, {"sex": group}, policy=rules)
    assert found.verdict is Verdict.UNCERTAIN


def test_a_gap_that_fails_between_the_groups_told_fails():
    tables = {"a": EVEN, "b": (100, 480, 60, 300), "c": ODD}
    found, _, gaps = measured(tables, selection_rate_ratio={"min": 0.1}, false_positive_rate_difference={"max": 0.3})
    assert gaps["false_positive_rate_difference"].verdict is Verdict.FAIL
    assert found.verdict is Verdict.FAIL


def test_a_gap_with_one_group_left_is_not_tested():
    _, _, gaps = measured(
        {"a": EVEN, "b": ODD}, selection_rate_ratio={"min": 0.1}, false_positive_rate_difference={"max": 0.9}
    )
    assert gaps["false_positive_rate_difference"].verdict is Verdict.NOT_TESTED
    assert "Fewer than two are left" in gaps["false_positive_rate_difference"].reason


@pytest.mark.parametrize(
    ("tables", "limit", "verdict"),
    [
        ({"a": EVEN, "b": ODD}, {"max": 0.3}, Verdict.UNCERTAIN),
        ({"a": EVEN, "b": (500, 3, 300, 60)}, {"max": 0.3}, Verdict.FAIL),
    ],
)
def test_equalized_odds_with_one_of_its_rates_told_can_fail_and_not_pass(tables, limit, verdict):
    _, _, gaps = measured(tables, equalized_odds_difference=limit)
    found = gaps["equalized_odds_difference"]
    assert found.verdict is verdict
    assert found.estimate.high is None
    assert "the other is not told" in found.estimate.method
    _, _, gaps = measured(tables, equalized_odds_ratio={"min": 0.7})
    assert gaps["equalized_odds_ratio"].verdict is verdict
    assert gaps["equalized_odds_ratio"].estimate.low is None


def test_groups_of_thousands_are_told_in_full_and_decided():
    random = np.random.default_rng(0)
    rows = 20_000
    truth = random.random(rows) < 0.2
    predicted = np.where(random.random(rows) < 0.85, truth, ~truth)
    group = random.choice(["a", "b", "c", "d"], rows, p=[0.4, 0.3, 0.2, 0.1]).astype(object)
    group[[7, 1000, 15_000]] = None
    limits = {
        "selection_rate_ratio": MetricLimit(min=0.7),
        "equalized_odds_difference": MetricLimit(max=0.15),
        "accuracy_difference": MetricLimit(max=0.1),
    }
    found = measure_fairness(
        truth, predicted, {"sex": group}, policy=FairnessPolicy(metrics=limits), safe_labels=("sex",)
    )
    assert [g.n for g in found.groups if g.group == "missing"] == [None]
    assert found.verdict is Verdict.PASS
    assert not any(is_withheld(one) for g in found.groups for one in g.metrics.values())
