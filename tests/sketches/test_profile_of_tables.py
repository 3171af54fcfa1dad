"""Profiles: what they count, that parts make the whole, that bytes come back, and that no value is in them."""

from __future__ import annotations

import pickle
from functools import reduce
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.config import Columns, PrivacyPolicy
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.frames import as_table
from aims_mlflow.sketches import LabelSketch, NumberSketch, Plan, Profile

CELL = 5


def frame(rows, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "amount": rng.lognormal(3, 1, rows) + shift,
            "ratio": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows) + shift),
            "age": rng.integers(18, 95, rows),
            "level": rng.choice([0.5, 1.5, 2.5], rows),
            "member": rng.random(rows) < 0.3,
            "branch": rng.choice(["north", "south", "east", "west"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 86_400, rows), unit="s"),
            "key": np.arange(rows),
        }
    )
    made["branch"] = made["branch"].astype(object).where(rng.random(rows) > 0.05, None)
    return made


COLUMNS = Columns(ids=("key",))


def planned(table, columns=COLUMNS):
    return Profile.plan_of(as_table(table), columns=columns, privacy=PrivacyPolicy(smallest_cell=CELL))


def profile(table, plan):
    return Profile.of(as_table(table), plan)


def shipped(own):
    return Profile.from_bytes(own.to_bytes(smallest_cell=CELL))


wild = st.lists(
    st.one_of(
        st.floats(allow_nan=True, allow_infinity=True),
        st.sampled_from([0.0, -0.0, 1.0, 1e300, -1e300, 1.7e308, 5e-324, 1e-300]),
        st.integers(-20, 20).map(float),
        st.floats(-3, 3).map(lambda x: round(x, 1)),
    ),
    min_size=0,
    max_size=120,
)


@settings(max_examples=60, deadline=None)
@given(wild, wild, st.lists(st.sampled_from(["a", "b", "cc", None]), min_size=0, max_size=40))
def test_every_row_is_counted_once_whatever_the_numbers(reference, values, labels):
    plan = planned(pd.DataFrame({"x": np.array(reference, dtype=float)}), Columns())
    own = profile(pd.DataFrame({"x": np.array(values, dtype=float)}), plan)
    sketch = own.columns["x"]
    array = np.array(values, dtype=float)
    assert sketch.n == np.isfinite(array).sum()
    assert (sketch.missing, sketch.infinite) == (np.isnan(array).sum(), np.isinf(array).sum())
    assert sketch.n + sketch.missing + sketch.infinite == own.rows == len(values)
    assert np.isfinite(sketch.sums).all() and (sketch.sums <= sketch.counts + 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(wild, wild, st.lists(st.integers(0, 2), min_size=120, max_size=120))
def test_parts_merged_in_any_way_are_the_whole(reference, values, parts):
    plan = planned(pd.DataFrame({"x": np.array(reference, dtype=float)}), Columns())
    array, part = np.array(values, dtype=float), np.array(parts[: len(values)], dtype=int)
    whole = profile(pd.DataFrame({"x": array}), plan)
    pieces = [profile(pd.DataFrame({"x": array[part == k]}), plan) for k in range(3)]
    for order in ([0, 1, 2], [2, 0, 1]):
        merged = reduce(Profile.merge, [pieces[k] for k in order])
        grouped = pieces[order[0]].merge(pieces[order[1]].merge(pieces[order[2]]))
        for other in (merged, grouped):
            same_counts(whole, other)


def same_counts(one, other):
    assert one.rows == other.rows and one.schema_changes == other.schema_changes
    for name, left in one.columns.items():
        right = other.columns[name]
        assert (left.rows, left.missing, left.absent, left.retyped) == (
            right.rows, right.missing, right.absent, right.retyped,
        )  # fmt: skip
        if isinstance(left, NumberSketch):
            assert left.counts.tolist() == right.counts.tolist()
            assert left.points.tolist() == right.points.tolist()
            assert left.others == right.others
            np.testing.assert_allclose(left.sums, right.sums, rtol=1e-9, atol=1e-9)
            for tail in ("below", "above"):
                mine, theirs = getattr(left, tail).held(), getattr(right, tail).held()
                assert mine[0].tolist() == theirs[0].tolist() and mine[1].tolist() == theirs[1].tolist()
                np.testing.assert_allclose(mine[3], theirs[3], rtol=1e-9, atol=1e-9)
        if isinstance(left, LabelSketch):
            assert left.counts.tolist() == right.counts.tolist()
            assert (left.rare, left.unseen) == (right.rare, right.unseen)
            assert left.distinct.to_bytes() == right.distinct.to_bytes()


def test_the_bytes_of_merged_parts_are_those_of_the_whole():
    rows = frame(6000)
    plan = planned(rows)
    whole = profile(rows, plan)
    for cuts in ([1000, 1500, 5990], [3000], [7, 8, 9, 2000]):
        pieces = [profile(rows.iloc[start:stop], plan) for start, stop in pairwise([0, *cuts, 6000])]
        assert reduce(Profile.merge, pieces).to_bytes(smallest_cell=CELL) == whole.to_bytes(smallest_cell=CELL)
        assert reduce(Profile.merge, pieces[::-1]).to_bytes(smallest_cell=CELL) == whole.to_bytes(smallest_cell=CELL)


def test_a_profile_comes_back_from_its_bytes_and_from_a_pickle():
    rows = frame(3000)
    own = profile(rows, planned(rows))
    content = own.to_bytes(smallest_cell=CELL)
    back = Profile.from_bytes(content)
    assert back.to_bytes(smallest_cell=CELL) == content
    assert back.sha256 == own.sha256
    same = pickle.loads(pickle.dumps(own))
    assert same.to_bytes(smallest_cell=CELL) == content
    same.add(as_table(rows))
    assert same.rows == 6000 and same.columns["amount"].n == 6000
    assert Plan.from_bytes(own.plan.canonical) == own.plan


def test_adding_in_batches_costs_no_more_memory_and_changes_nothing():
    rows = frame(5000)
    plan = planned(rows)
    once, often = profile(rows, plan), Profile.empty(plan)
    for start in range(0, 5000, 137):
        often.add(as_table(rows.iloc[start : start + 137]))
    assert often.to_bytes(smallest_cell=CELL) == once.to_bytes(smallest_cell=CELL)
    size = len(pickle.dumps(often))
    for _ in range(30):
        often.add(as_table(rows))
    assert len(pickle.dumps(often)) < size * 1.3


def test_plain_arrays_are_counted_as_the_table_is():
    rows = frame(2000)[["amount", "ratio", "age", "member"]]
    plan = planned(rows, Columns())
    quick = Profile.empty(plan)
    quick.add_arrays({name: rows[name].to_numpy() for name in rows}, 2000)
    assert quick.to_bytes(smallest_cell=CELL) == profile(rows, plan).to_bytes(smallest_cell=CELL)


def test_other_libraries_frames_give_the_same_profile():
    pl = pytest.importorskip("polars")
    rows = frame(2000)[["amount", "ratio", "age", "branch"]]
    plan = planned(rows, Columns())
    expected = profile(rows, plan).to_bytes(smallest_cell=CELL)
    assert profile(pl.from_pandas(rows), plan).to_bytes(smallest_cell=CELL) == expected
    assert profile(pl.from_pandas(rows).to_arrow(), plan).to_bytes(smallest_cell=CELL) == expected


def test_no_single_value_is_in_the_bytes_nor_any_label():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "income": rng.normal(50_000, 9_000, 60).round(2),
            "age": rng.integers(18, 95, 60),
            "town": [f"Town-{k % 7}-of-secrets" for k in range(60)],
        }
    )
    rows.loc[0, "income"] = 987_654.25
    own = profile(rows, planned(rows, Columns(categorical=("town",))))
    content = own.to_bytes(smallest_cell=CELL)
    for value in rows["income"]:
        number = np.float64(value)
        for form in (
            number.tobytes(),
            number.astype(">f8").tobytes(),
            np.float32(value).tobytes(),
            repr(value).encode(),
        ):
            assert form not in content
    for label in rows["town"].unique():
        assert label.encode() not in content
    back = Profile.from_bytes(content)
    sketch = back.columns["income"]
    known = sketch.counts - sketch.blind
    assert ((known == 0) | (known >= CELL)).all()
    assert (sketch.sums[known == 0] == 0).all()
    keys, counts, blind, _ = sketch.above.held()
    assert keys.size and counts.sum() == blind.sum()
    assert sketch.plan.low not in set(rows["income"]) and sketch.plan.high not in set(rows["income"])


def test_a_bin_of_one_whole_number_is_one_that_enough_rows_hold_or_lies_between_such():
    rng = np.random.default_rng(5)
    ages = np.concatenate([rng.integers(20, 60, 4000), [61, 64, 68, 70, 73, 75, 77, 79, 81, 88, 97]])
    plan = planned(pd.DataFrame({"age": ages}), Columns()).columns[0]
    ends = [*plan.starts, plan.cells]
    for start, stop in pairwise(ends):
        if stop - start == 1 and start + plan.low > 61:
            assert (ages == start + plan.low).sum() >= CELL


def test_a_part_of_few_rows_tells_only_how_many_there_were():
    rows = frame(500)
    plan = planned(rows)
    few = profile(rows.iloc[:4], plan)
    back = shipped(few)
    assert (back.rows, back.withheld) == (4, 4)
    assert all(sketch.n == 0 and not getattr(sketch, "missing", 0) for sketch in back.columns.values())
    joined = back.merge(shipped(profile(rows.iloc[4:], plan)))
    assert joined.rows == 500 and joined.withheld == 4
    assert joined.columns["amount"].n == 496


def test_a_column_of_few_values_tells_only_how_many_there_were():
    rows = frame(500)
    plan = planned(rows)
    part = rows.iloc[:50].copy()
    part.loc[part.index[3:], "ratio"] = np.nan
    held = part["ratio"].notna().sum()
    back = shipped(profile(part, plan))
    assert back.columns["ratio"].n == 0 and back.columns["ratio"].withheld == held
    assert back.columns["amount"].n == 50


def test_changes_of_the_schema_are_counted_and_never_raise():
    rows = frame(600)
    own = Profile.empty(planned(rows))
    own.add(as_table(rows.iloc[:100].drop(columns=["age", "branch"])))
    own.add(as_table(rows.iloc[100:200].assign(amount="many", extra=1.0)))
    own.add(as_table(rows.iloc[200:300].assign(branch=3.5)))
    own.add(as_table(rows.iloc[300:400].assign(ratio=None)))
    assert own.schema_changes == {
        "missing": {"age": 100, "branch": 100},
        "new": {"extra": 100},
        "retyped": {"amount": 100, "branch": 100},
    }
    assert own.columns["ratio"].missing >= 100 and own.columns["ratio"].retyped == 0
    assert shipped(own).schema_changes == own.schema_changes


def test_values_nobody_can_read_are_counted_as_rows():
    rows = pd.DataFrame({"s": ["a", "b"] * 20, "o": [object() for _ in range(40)]})
    plan = planned(rows, Columns())
    assert plan.by_name["o"].kind == "unsupported"
    own = profile(rows, plan)
    own.add(as_table(rows.assign(s=rows["o"])))
    assert own.columns["o"].rows == 80
    assert own.schema_changes == {"retyped": {"s": 40}}


def test_profiles_of_different_plans_are_not_merged():
    one, other = frame(500), frame(500, seed=1)
    with pytest.raises(InputError, match="different plans"):
        profile(one, planned(one)).merge(profile(other, planned(other)))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_damaged_bytes_are_refused_with_an_error_of_their_own(place, flip):
    content = bytearray(_CONTENT)
    content[place % len(content)] ^= flip
    with pytest.raises(EvidenceError):
        Profile.from_bytes(bytes(content))
    with pytest.raises(EvidenceError):
        Profile.from_bytes(bytes(content[: place % len(content)]))


_ROWS = frame(800)
_CONTENT = profile(_ROWS, planned(_ROWS)).to_bytes(smallest_cell=CELL)


def test_labels_are_told_apart_as_python_tells_them_and_unseen_ones_are_counted():
    rows = pd.DataFrame({"code": pd.Categorical([1, 2, 3] * 50)})
    plan = planned(rows, Columns())
    own = profile(pd.DataFrame({"code": [1, 1, 2, 9]}), plan)
    sketch = own.columns["code"]
    assert (int(sketch.counts.sum()), sketch.unseen) == (3, 1)
    assert sketch.distinct.bounds()[1] == pytest.approx(1, abs=0.01)


def test_the_numbers_of_a_profile_are_small_whatever_the_rows():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({f"c{k}": rng.standard_cauchy(50_000) for k in range(20)})
    content = profile(rows, planned(rows, Columns())).to_bytes(smallest_cell=CELL)
    assert len(content) * 4 / 3 < 60_000
