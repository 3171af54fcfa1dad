"""Drift told from profiles: bounds always hold the exact score, and a verdict is the exact one or uncertain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.config import ColumnDriftPolicy, Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Verdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.drift import measure_drift
from aims_mlflow.measure.sketched import drift_of_profiles
from aims_mlflow.measure.sketched.line import Line
from aims_mlflow.sketches import Profile

COLUMNS, PRIVACY = Columns(), PrivacyPolicy()
CELL = PRIVACY.smallest_cell


def both(reference, current, columns=COLUMNS, *, parts=1, ship=True):
    """Profiles of the two, shipped in so many parts or kept as they are."""
    left, right = as_table(reference), as_table(current)
    plan = Profile.plan_of(left, columns=columns, privacy=PRIVACY)
    pieces = [right.pandas().iloc[k::parts] for k in range(parts)]
    made = [Profile.of(left, plan), *(Profile.of(as_table(piece), plan) for piece in pieces)]
    if ship:
        made = [Profile.from_bytes(one.to_bytes(smallest_cell=CELL)) for one in made]
    joined = made[1]
    for piece in made[2:]:
        joined = joined.merge(piece)
    return made[0], joined


def told(reference, current, policy=None, columns=COLUMNS, **kwargs):
    profiles = both(reference, current, columns, **kwargs)
    return drift_of_profiles(*profiles, policy=policy or DriftPolicy(), columns=columns, privacy=PRIVACY)


def exact(reference, current, policy=None, columns=COLUMNS):
    return measure_drift(
        as_table(reference), as_table(current), policy=policy or DriftPolicy(), columns=columns, privacy=PRIVACY
    )


def only(payload):
    (column,) = payload.columns
    return column


def area(u, v):
    """W1 of two samples in extended precision, for values whose squares are no floats."""
    u, v = (np.sort(x[np.isfinite(x)].astype(np.longdouble)) for x in (u, v))
    points = np.sort(np.concatenate([u, v]))
    f, g = (np.searchsorted(x, points[:-1], side="right") / np.longdouble(len(x)) for x in (u, v))
    return float(np.sum(np.abs(f - g) * np.diff(points)) / 2**8) * 2**8 if len(points) > 1 else 0.0


SHAPES = {
    "normal": lambda r, n: r.normal(size=n),
    "ties": lambda r, n: np.round(r.normal(size=n), 1),
    "constant": lambda r, n: np.full(n, r.choice([0.0, 7.0, -1e6, 1e-9])),
    "nan": lambda r, n: np.where(r.random(n) < 0.3, np.nan, r.normal(size=n)),
    "inf": lambda r, n: np.where(r.random(n) < 0.1, r.choice([np.inf, -np.inf], n), r.normal(size=n)),
    "tiny": lambda r, n: r.normal(size=n) * 1e-8 + r.choice([0.0, 1e-7, 5.0]),
    "far": lambda r, n: 1e9 + r.normal(size=n),
    "cauchy": lambda r, n: r.standard_cauchy(n),
    "pareto": lambda r, n: r.pareto(r.choice([0.5, 1.5, 3.0]), n),
    "lognormal": lambda r, n: np.exp(3 * r.normal(size=n)),
    "integers": lambda r, n: r.integers(0, r.choice([2, 3, 6, 12, 100, 300, 10_000]), n),
    "counts": lambda r, n: r.poisson(r.choice([0.01, 1.0, 20.0]), n),
    "truths": lambda r, n: r.random(n) < r.random(),
    "few": lambda r, n: r.choice([0.5, 1.5, 2.25, 9.0], n),
    "outlier": lambda r, n: np.where(np.arange(n) == 0, r.choice([1e3, 1e15, -1e6]), r.normal(size=n)),
    "spike": lambda r, n: np.where(r.random(n) < 0.9, 0.0, r.exponential(size=n)),
    "whole floats": lambda r, n: np.where(r.random(n) < 0.1, np.nan, r.integers(0, 50, n).astype(float)),
    "scales": lambda r, n: r.normal(size=n) * np.where(r.random(n) < 0.5, 1e-3, 1e3),
}


@settings(max_examples=250, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(sorted(SHAPES)),
    st.one_of(st.none(), st.sampled_from(sorted(SHAPES))),
    st.sampled_from([30, 300, 1000, 1001, 3000]),
    st.sampled_from([20, 200, 2000]),
    st.sampled_from([0, 0.05, 0.1, 0.3]),
    st.booleans(),
    st.sampled_from([1, 3]),
)
def test_bounds_hold_the_exact_score_and_no_verdict_is_wrong(seed, shape, other, rows, current, shift, ship, parts):
    rng = np.random.default_rng(seed)
    u, v = SHAPES[shape](rng, rows), SHAPES[other or shape](rng, current)
    if v.dtype.kind == "f":
        finite = u[np.isfinite(u)]
        v = v + shift * float(np.std(finite))
    reference, now = pd.DataFrame({"x": u}), pd.DataFrame({"x": v})
    left, joined = both(reference, now, ship=ship, parts=parts)
    payload = drift_of_profiles(left, joined, policy=DriftPolicy(), columns=COLUMNS, privacy=PRIVACY)
    found, right = only(payload), only(exact(reference, now))
    if joined.withheld + joined.columns["x"].withheld:
        assert "too few" in found.reason or found.verdict in (right.verdict, Verdict.UNCERTAIN)
        return
    assert "could not be measured" not in found.reason
    if found.method != right.method:
        # A fraction and a whole number in one bin: there may be 5 distinct values, or 6.
        assert {found.method, right.method} < {"ks", "wasserstein", "chisquare", "jensenshannon", "z"}
        assert found.verdict in (right.verdict, Verdict.UNCERTAIN)
        return
    if right.score is None or found.score is None:
        assert found.verdict is right.verdict is Verdict.NOT_TESTED
        return
    slack = 1e-9 + 1e-6 * abs(right.score)
    assert found.score_low - slack <= right.score <= found.score_high + slack
    assert found.score_low <= found.score <= found.score_high
    assert found.verdict in (right.verdict, Verdict.UNCERTAIN)
    if found.verdict is Verdict.UNCERTAIN:
        assert found.score_low < found.score_high and "both sides of the limit" in found.reason


wild = st.lists(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([0.0, 1.0, 1e300, -1e300, 1.7e308, 5e-324, 1e-300]),
        st.integers(-20, 20).map(float),
        st.floats(-3, 3),
    ),
    min_size=5,
    max_size=150,
)


@settings(max_examples=250, deadline=None)
@given(wild, wild, st.booleans())
def test_bounds_of_the_area_hold_it_for_any_numbers_a_float_can_be(reference, current, ship):
    u, v = np.array(reference), np.array(current)
    left, right = both(pd.DataFrame({"x": u}), pd.DataFrame({"x": v}), ship=ship)
    line = Line.of(left.columns["x"], right.columns["x"])
    truth = area(u / 4, v / 4)
    unit = 2.0 ** (line.log_unit - 2) if line.log_unit > -1070 else 0.0
    found = line.wasserstein()
    assert found.low * unit <= truth * (1 + 1e-6) + 1e-300
    assert truth <= found.high * unit * (1 + 1e-6) + 1e-300
    assert found.low <= found.value <= found.high


@settings(max_examples=60, deadline=None)
@given(wild, st.booleans())
def test_bounds_of_the_deviation_hold_it(values, ship):
    u = np.array([x for x in values if abs(x) < 1e150 and (abs(x) > 1e-100 or x == 0)] or [0.0] * 5)
    u = np.resize(u, max(len(u), 5))
    left, right = both(pd.DataFrame({"x": u}), pd.DataFrame({"x": u}), ship=ship)
    line = Line.of(left.columns["x"], right.columns["x"])
    std = line.deviation(line.reference)
    size = 1e-9 * max(abs(u).max(), 1e-300)
    truth = float(np.std(u.astype(np.longdouble)))
    assert std.low * 2.0**line.log_unit - size <= truth <= std.high * 2.0**line.log_unit + size


def test_disjoint_columns_drift_for_sure_and_the_same_data_does_not():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"x": rng.normal(size=5000), "n": rng.integers(0, 50, 5000), "s": rng.choice(list("abc"), 5000)}
    )
    far = pd.DataFrame({"x": rng.normal(size=800) + 1e12, "n": rng.integers(900, 950, 800), "s": ["z"] * 800})
    assert [c.verdict for c in told(rows, far).columns] == [Verdict.FAIL] * 3
    assert [c.verdict for c in told(rows, rows).columns] == [Verdict.PASS] * 3


def test_a_shift_is_decided_down_to_the_bound_and_uncertain_within_it():
    rng = np.random.default_rng(1)
    u = rng.normal(size=20_000)
    verdicts = {}
    for shift in (0.09, 0.097, 0.1, 0.103, 0.11):
        found = only(told(pd.DataFrame({"x": u}), pd.DataFrame({"x": u + shift * u.std()})))
        verdicts[shift] = found.verdict
        assert found.score_high - found.score_low < 0.005
    assert verdicts[0.09] is verdicts[0.097] is Verdict.PASS
    assert verdicts[0.103] is verdicts[0.11] is Verdict.FAIL
    assert verdicts[0.1] is Verdict.UNCERTAIN


def labelled(rng, rows, weights):
    names = [f"group {k}" for k in range(len(weights))]
    return pd.DataFrame({"s": rng.choice(names, rows, p=np.array(weights) / sum(weights))})


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.floats(0.0005, 1), min_size=1, max_size=30),
    st.sampled_from([100, 900, 3000]),
    st.sampled_from(["auto", "jensenshannon", "psi", "chisquare", "z", "hellinger", "kl_div", "g_test"]),
    st.booleans(),
)
def test_labels_are_judged_as_with_all_rows_at_hand(seed, weights, rows, method, unseen):
    rng = np.random.default_rng(seed)
    reference, now = labelled(rng, rows, weights), labelled(rng, 700, weights[::-1])
    if unseen:
        now.loc[:20, "s"] = "never met"
    policy = DriftPolicy(method=method)
    found, right = only(told(reference, now, policy)), only(exact(reference, now, policy))
    assert found.method == right.method
    if found.score is None:
        assert found.verdict is Verdict.NOT_TESTED
        assert right.score is None or "together" in found.reason or "sorts first" in found.reason
        return
    assert found.score_low - 1e-9 <= right.score <= found.score_high + 1e-9
    assert found.verdict in (right.verdict, Verdict.UNCERTAIN)


def test_methods_on_the_values_themselves_are_not_tested_and_say_why():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"x": rng.normal(size=2000)})
    for method in ("psi", "anderson", "ed", "t_test"):
        found = only(told(rows, rows, DriftPolicy(method=method)))
        assert found.verdict is Verdict.NOT_TESTED and "needs the values themselves" in found.reason
        assert told(rows, rows, DriftPolicy(method=method)).numbers["not_tested_open"] == 1


def test_every_column_is_told_of_even_where_nothing_can_be_judged():
    rng = np.random.default_rng(3)
    reference = pd.DataFrame(
        {
            "x": rng.normal(size=500),
            "gone": rng.normal(size=500),
            "text": [f"a sentence of number {k}" for k in range(500)],
            "key": [f"id{k}" for k in range(500)],
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(500), unit="h"),
            "odd": [[k] for k in range(500)],
            "turned": rng.normal(size=500),
            "empty": rng.normal(size=500),
            "own": rng.normal(size=500),
        }
    )
    now = reference.drop(columns="gone").assign(new=1.0, turned="text", empty=np.nan)
    columns = Columns(ids=("own",))
    policy = DriftPolicy(columns={"x": ColumnDriftPolicy(skip=True, reason="known")})
    payload = told(reference, now, policy, columns)
    reasons = {c.column: c.reason for c in payload.columns}
    assert {c.verdict for c in payload.columns} == {Verdict.NOT_TESTED}
    assert set(reasons) == {*reference, "new"}
    for name, words in {
        "x": "known", "gone": "missing in the current data", "text": "word by word", "key": "identifier",
        "when": "time column", "odd": "no drift method", "turned": "changed its type", "empty": "no value",
        "own": "identifier", "new": "the reference does not have it",
    }.items():  # fmt: skip
        assert words in reasons[name], name
    right = exact(reference, now, policy, columns)
    # The text is judged where the rows are at hand.
    assert payload.numbers["not_tested_open"] == right.numbers["not_tested_open"] + 1
    assert payload.verdict is Verdict.NOT_TESTED


def test_parts_too_small_to_be_told_are_no_pass():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"x": rng.normal(size=2000)})
    payload = told(rows, rows.iloc[:4])
    assert only(payload).verdict is Verdict.NOT_TESTED and "too few rows" in only(payload).reason
    assert payload.parameters["rows_withheld"] == [0, 4]


def test_bounds_are_not_claimed_where_many_values_came_in_parts_too_small_to_be_told():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"x": rng.normal(size=2000)})
    plan = Profile.plan_of(as_table(rows), columns=COLUMNS, privacy=PRIVACY)
    base = Profile.of(as_table(rows), plan)
    few = Profile.from_bytes(Profile.of(as_table(rows.iloc[:4]), plan).to_bytes(smallest_cell=CELL))
    for told_rows, verdict in ((60, Verdict.NOT_TESTED), (200, Verdict.PASS)):
        now = Profile.of(as_table(rows.iloc[-told_rows:]), plan).merge(few)
        found = only(drift_of_profiles(base, now, policy=DriftPolicy(threshold=0.3), columns=COLUMNS, privacy=PRIVACY))
        assert found.verdict is verdict
        assert "too few" in found.reason


def test_profiles_of_different_plans_are_not_compared():
    rng = np.random.default_rng(5)
    one, other = (both(*[pd.DataFrame({"x": rng.normal(size=500)})] * 2)[0] for _ in range(2))
    with pytest.raises(InputError, match="different plans"):
        drift_of_profiles(one, other, policy=DriftPolicy(), columns=COLUMNS, privacy=PRIVACY)


def test_a_budget_of_false_alarms_is_kept_over_splits_of_stable_data():
    rng = np.random.default_rng(6)
    population = pd.DataFrame({f"x{k}": rng.standard_t(3, 40_000) for k in range(6)})
    population["s"] = rng.choice(list("abcdefgh"), 40_000)
    policy = DriftPolicy(false_alarm_budget=0.05, threshold=0.02)
    alarms = raw = 0
    reference = population.iloc[:20_000]
    left = as_table(reference)
    plan = Profile.plan_of(left, columns=COLUMNS, privacy=PRIVACY)
    base = Profile.of(left, plan)
    for _ in range(40):
        now = Profile.of(as_table(population.iloc[20_000:].sample(400, random_state=rng.integers(2**31))), plan)
        payload = drift_of_profiles(base, now, policy=policy, columns=COLUMNS, privacy=PRIVACY)
        alarms += payload.drifted > 0
        raw += any((c.score_low or 0) >= 0.02 for c in payload.columns)
    assert raw == 40
    assert alarms <= 5


def test_a_real_shift_is_found_under_the_budget():
    rng = np.random.default_rng(7)
    reference = pd.DataFrame({"x": rng.normal(size=20_000), "y": rng.normal(size=20_000)})
    now = pd.DataFrame({"x": rng.normal(size=1000) + 0.3, "y": rng.normal(size=1000)})
    payload = told(reference, now, DriftPolicy(false_alarm_budget=0.05))
    assert [c.verdict for c in payload.columns] == [Verdict.FAIL, Verdict.PASS]
    assert payload.columns[0].null_p < 0.01
    interval = payload.columns[0].score_interval
    assert interval.low < 0.3 < interval.high
