"""A whole dataset against its reference: every column of either side gets a result, and the verdict fails closed."""

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.config import Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.errors import ConfigError
from aims_mlflow.evidence import Verdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.drift import ReferenceSummary, measure_drift

RNG = np.random.default_rng(0)


def drift(reference, current, declared=None, privacy=None, **policy):
    return measure_drift(
        as_table(reference),
        as_table(current),
        policy=DriftPolicy(**policy),
        columns=declared or Columns(),
        privacy=privacy or PrivacyPolicy(),
    )


def one(reference, current, declared=None, **policy):
    payload = drift(pd.DataFrame({"x": reference}), pd.DataFrame({"x": current}), declared, **policy)
    assert len(payload.columns) == 1
    return payload.columns[0]


N = 2000
NUMBERS = RNG.normal(100, 20, N)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype("float32"),
        lambda x: x.astype("uint8"),
        lambda x: x.astype("uint64"),
        lambda x: x.astype("int16"),
        lambda x: pd.array(x.round().astype(int), dtype="Int64"),
        lambda x: pd.array(x, dtype="Float64"),
        lambda x: pd.array(x, dtype="double[pyarrow]"),
        lambda x: pd.array(x.round().astype(int), dtype="int64[pyarrow]"),
        lambda x: np.array([Decimal(f"{v:.2f}") for v in x], dtype=object),
        lambda x: x.astype(object),
        lambda x: pd.to_timedelta(x, unit="h"),
    ],
    ids=["f32", "u8", "u64", "i16", "Int64", "Float64", "arrow", "arrow int", "Decimal", "object", "timedelta"],
)
def test_numbers_of_every_type_are_tested_and_their_drift_is_found(convert):
    same = one(convert(NUMBERS), convert(RNG.permutation(NUMBERS)))
    moved = one(convert(NUMBERS), convert(NUMBERS + 15))
    assert same.method == moved.method == "wasserstein"
    assert (same.verdict, moved.verdict) == (Verdict.PASS, Verdict.FAIL)


LABELS = RNG.choice(["red", "green", "blue"], N, p=[0.6, 0.3, 0.1])


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: pd.Series(x, dtype=object),
        lambda x: pd.Series(x, dtype="str"),
        lambda x: pd.Series(x, dtype="category"),
        lambda x: pd.Series(x, dtype="string[pyarrow]"),
        lambda x: pd.Series(x == "red"),
        lambda x: pd.Series(x == "red", dtype="boolean"),
        lambda x: pd.Series(np.where(x == "red", 1, np.where(x == "green", 2, 3))),
        lambda x: pd.Series([1 if v == "red" else v for v in x], dtype=object),
    ],
    ids=["object", "str", "category", "arrow", "bool", "boolean", "few integers", "mixed"],
)
def test_categories_of_every_type_are_tested_and_their_drift_is_found(convert):
    other = RNG.choice(["red", "green", "blue"], N, p=[0.2, 0.3, 0.5])
    same, moved = one(convert(LABELS), convert(RNG.permutation(LABELS))), one(convert(LABELS), convert(other))
    assert same.type == "categorical"
    assert (same.verdict, moved.verdict) == (Verdict.PASS, Verdict.FAIL)


@pytest.mark.parametrize(
    ("reference", "current", "told"),
    [
        ([np.nan] * 50, [np.nan] * 50, "neither side has a value"),
        (list(range(50)), [np.nan] * 50, "current data has no value"),
        ([None] * 50, list("ab") * 25, "reference has no value"),
        ([np.inf] * 50, [1.5] * 50, "no finite value"),
        ([1 + 2j] * 50, [2j] * 50, "no drift method"),
        ([[1, 2]] * 50, [[1]] * 50, "lists or other nested values"),
        ([{"a": 1}] * 50, [{"a": 2}] * 50, "lists or other nested values"),
        (np.arange(50.0), ["a"] * 50, "changed its type"),
        (["a"] * 50, np.arange(50.0), "changed its type"),
        ([f"id{i}" for i in range(50)], [f"id{i}" for i in range(50, 100)], "identifier"),
    ],
)
def test_what_cannot_be_tested_says_why(reference, current, told):
    result = one(reference, current)
    assert result.verdict is Verdict.NOT_TESTED
    assert told in result.reason[:1].lower() + result.reason[1:]
    assert result.score is None


def test_missing_and_new_columns_are_named_and_keep_a_small_dataset_from_passing():
    payload = drift({"a": NUMBERS, "gone": NUMBERS}, {"a": NUMBERS, "new": NUMBERS})
    by_name = {column.column: column for column in payload.columns}
    assert by_name["a"].verdict is Verdict.PASS
    assert "missing in the current data" in by_name["gone"].reason
    assert "The column is new" in by_name["new"].reason
    assert payload.numbers["missing_columns"] == payload.numbers["new_columns"] == 1
    assert payload.verdict is Verdict.UNCERTAIN


def test_one_missing_column_of_many_does_not_hide_that_the_rest_is_fine():
    frame = {f"c{i}": NUMBERS for i in range(5)}
    payload = drift(frame | {"gone": NUMBERS}, frame)
    assert payload.verdict is Verdict.PASS
    assert payload.numbers["worst_case_share"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("empty", [pd.DataFrame(), pd.DataFrame({"x": []}), pd.DataFrame(index=range(5))])
def test_an_empty_side_is_never_a_pass(empty):
    full = pd.DataFrame({"x": NUMBERS})
    for reference, current in ((full, empty), (empty, full), (empty, empty)):
        payload = drift(reference, current)
        assert payload.verdict is Verdict.NOT_TESTED
        assert payload.drifted_share is None


def test_declared_columns_are_left_out_with_the_reason():
    frame = dict.fromkeys(("id", "when", "note", "skipped", "x"), NUMBERS)
    declared = Columns(ids=("id",), time="when", ignore=("note",))
    payload = drift(frame, frame, declared, columns={"skipped": {"skip": True, "reason": "a constant"}})
    told = {c.column: (c.verdict, c.reason) for c in payload.columns}
    assert {name for name, (verdict, _) in told.items() if verdict is Verdict.NOT_TESTED} == {
        "id",
        "when",
        "note",
        "skipped",
    }
    assert "a constant" in told["skipped"][1]
    assert payload.verdict is Verdict.PASS


def test_a_lone_datetime_is_the_time_column_and_further_ones_are_tested_in_seconds():
    start = pd.Timestamp("2024-01-01", tz="Europe/Berlin")
    early = start + pd.to_timedelta(RNG.integers(0, 10**7, N), unit="s")
    late = early + pd.Timedelta(days=365)
    alone = one(early, late)
    assert (alone.verdict, alone.type) == (Verdict.NOT_TESTED, "time")
    assert one(early, late, Columns(numerical=("x",))).verdict is Verdict.FAIL
    payload = drift({"a": early, "b": early}, {"a": early, "b": late})
    assert [c.verdict for c in payload.columns] == [Verdict.PASS, Verdict.FAIL]
    days = [dt.date(2024, 1, 1 + i % 28) for i in range(N)]
    assert one(days, days, Columns(numerical=("x",))).verdict is Verdict.PASS


def test_the_floor_on_the_standard_deviation_does_not_hide_drift_on_a_tiny_scale():
    tiny = RNG.normal(size=N) * 1e-6
    moved = one(tiny, tiny + 1e-4)
    assert moved.verdict is Verdict.FAIL
    assert moved.score == pytest.approx(100, rel=0.1)
    assert "floor of 0.001" in moved.reason
    assert one(tiny, RNG.permutation(tiny)).verdict is Verdict.PASS


def test_values_whose_squares_overflow_are_still_compared():
    huge = RNG.normal(size=N) * 1e300
    assert one(huge, RNG.permutation(huge)).verdict is Verdict.PASS
    assert one(huge, huge + 1e300).verdict is Verdict.FAIL


def test_infinite_values_are_left_out_and_told():
    values = NUMBERS.copy()
    values[:10] = np.inf
    result = one(values, values)
    assert result.verdict is Verdict.PASS
    assert result.n_reference == N - 10
    assert "infinite values of the reference" in result.reason


def test_large_columns_are_decided_by_bounds_that_enclose_the_exact_score():
    from scipy.stats import wasserstein_distance

    u, v = RNG.normal(size=60_000), RNG.normal(0.3, 1, 70_000)
    result = one(u, v)
    assert result.score_low == result.score
    assert result.score_low * (1 - 1e-9) <= wasserstein_distance(u, v) / np.std(u) <= result.score_high * (1 + 1e-9)
    assert result.verdict is Verdict.FAIL


def test_bounds_that_leave_the_verdict_open_are_replaced_by_the_exact_score():
    from scipy.stats import wasserstein_distance

    u, v = RNG.normal(size=60_000), RNG.normal(0.01, 1, 60_000)
    exact = wasserstein_distance(u, v) / np.std(u)
    bounded = one(u, v)
    assert bounded.score_low < bounded.score_high
    middle = (bounded.score_low + bounded.score_high) / 2
    result = one(u, v, threshold=middle)
    assert result.score_low == result.score_high == pytest.approx(exact, rel=1e-9)
    assert result.verdict is (Verdict.FAIL if exact >= middle else Verdict.PASS)


def test_a_kept_and_merged_reference_summary_gives_the_same_result():
    reference = pd.DataFrame({"x": RNG.normal(size=120_000), "k": RNG.poisson(30, 120_000)})
    current = pd.DataFrame({"x": RNG.normal(0.2, 1, 80_000), "k": RNG.poisson(31, 80_000)})
    whole = ReferenceSummary.of(as_table(reference))
    parts = [ReferenceSummary.of(as_table(reference.iloc[s]), like=whole) for s in (slice(50_000), slice(50_000, None))]
    fresh = drift(reference, current)
    kept = measure_drift(
        as_table(reference), as_table(current), policy=DriftPolicy(), columns=Columns(), privacy=PrivacyPolicy(),
        summary=parts[0].merge(parts[1]),
    )  # fmt: skip
    for a, b in zip(fresh.columns, kept.columns, strict=True):
        assert (a.verdict, b.verdict) == (Verdict.FAIL, Verdict.FAIL)
        assert a.score == pytest.approx(b.score, rel=1e-9)


def test_an_unknown_method_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="'wasserstein'"):
        drift({"x": NUMBERS}, {"x": NUMBERS}, method="waserstein")
    with pytest.raises(ConfigError, match=r"drift\.columns\.x\.method.*'TVD'"):
        drift({"x": NUMBERS}, {"x": NUMBERS}, columns={"x": {"method": "tvd"}})


def test_methods_and_limits_can_be_pinned_for_all_and_for_one():
    frame = {"x": NUMBERS, "y": NUMBERS, "c": LABELS}
    payload = drift(frame, frame, method="psi", threshold=0.3, columns={"y": {"method": "ks", "threshold": 0.01}})
    assert [(c.method, c.threshold) for c in payload.columns] == [("psi", 0.3), ("ks", 0.01), ("psi", 0.3)]
    by_all = drift(frame, frame, method="ks")
    assert by_all.columns[2].method == "jensenshannon"
    assert "'ks' is not for categorical columns" in by_all.columns[2].reason
    by_one = drift(frame, frame, columns={"c": {"method": "ks"}})
    assert by_one.columns[2].verdict is Verdict.NOT_TESTED


def test_the_share_of_drifted_columns_decides_at_the_limit_as_evidently_does():
    frame = {"a": NUMBERS, "b": NUMBERS}
    payload = drift(frame, frame | {"b": NUMBERS + 50})
    assert payload.drifted_share == 0.5
    assert payload.verdict is Verdict.FAIL
    assert drift(frame, frame | {"b": NUMBERS + 50}, share_limit=0.6).verdict is Verdict.PASS


def test_a_score_whose_interval_straddles_the_limit_is_uncertain_only_if_asked():
    u = RNG.normal(size=1500)
    v = u + 0.11 * u.std()
    plain, strict = one(u, v), one(u, v, require_certain=True)
    assert plain.verdict is Verdict.FAIL
    assert "straddles the limit" in plain.reason
    assert strict.verdict is Verdict.UNCERTAIN
    assert strict.score_interval.low < 0.1 < strict.score_interval.high
    assert one(u, u + u.std(), require_certain=True).verdict is Verdict.FAIL


def test_missing_counts_under_the_smallest_cell_are_suppressed_with_the_rows_that_give_them_away():
    few, many = NUMBERS.copy(), NUMBERS.copy()
    few[:3], many[:300] = np.nan, np.nan
    result = one(few, many)
    assert (result.missing_reference, result.n_reference) == (None, None)
    assert (result.missing_current, result.n_current) == (300, N - 300)
    none = one(NUMBERS, many)
    assert none.missing_reference == 0
    assert "missing share went from 0.0% to 15.0%" in none.reason


def test_a_few_infinite_values_cannot_be_counted_from_the_rows_missing_and_used():
    few, many = NUMBERS.copy(), NUMBERS.copy()
    few[:300], many[:300] = np.nan, np.nan
    few[300:303], many[300:340] = np.inf, np.inf
    result = one(few, many)
    assert (result.missing_reference, result.n_reference) == (300, None)
    assert (result.missing_current, result.n_current) == (300, N - 340)


def test_no_value_of_the_data_is_in_the_payload():
    reference = pd.DataFrame({"c": ["secret-a", "secret-b"] * N, "t": [f"secret word {i}" for i in range(2 * N)]})
    payload = drift(reference, reference.iloc[:N])
    text = (
        json.dumps([c.model_dump(mode="json") for c in payload.columns])
        + payload.reason
        + json.dumps(payload.parameters)
    )
    assert "secret" not in text


def test_odd_names_and_many_columns_are_no_trouble():
    names = ["", " ", "<script>alert(1)</script>", "Größe", "a" * 500, "drift", "NaN"]
    frame = pd.DataFrame(dict.fromkeys(names, NUMBERS[:100]))
    frame.columns = [*names[:-1], 7]
    wide = pd.DataFrame(RNG.normal(size=(30, 2000)))
    assert drift(frame, frame).tested == len(names)
    assert drift(wide, wide).tested == 2000
    doubled = pd.DataFrame(np.stack([NUMBERS, NUMBERS]).T, columns=["x", "x"])
    assert [c.column for c in drift(doubled, doubled).columns] == ["x", "x#2"]


@pytest.mark.parametrize("rows", [1, 2, 3, 6])
def test_a_handful_of_rows_gives_a_result_or_a_reason(rows):
    frame = pd.DataFrame({"x": NUMBERS[:rows], "k": np.arange(rows), "c": list("abcdef")[:rows], "b": [True] * rows})
    for method in (
        "auto",
        "psi",
        "anderson",
        "es",
        "empirical_mmd",
        "TVD",
        "fisher_exact",
        "t_test",
        "cramer_von_mises",
    ):
        payload = drift(frame, frame, method=method)
        assert all(c.reason and "could not be measured" not in c.reason for c in payload.columns)


def test_a_hundred_thousand_distinct_labels_are_compared():
    labels = np.array([f"v{i}" for i in range(100_000)])
    reference = np.concatenate([labels, labels, labels])
    result = one(reference, RNG.permutation(reference))
    assert (result.type, result.verdict, result.score) == ("categorical", Verdict.PASS, 0.0)


def test_polars_and_arrow_frames_give_what_pandas_gives():
    pl = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    reference, current = {"x": NUMBERS, "c": LABELS}, {"x": NUMBERS + 3, "c": RNG.permutation(LABELS)}
    expected = [c.model_dump() for c in drift(reference, current).columns]
    for library in (pl.DataFrame, pa.table):
        assert [c.model_dump() for c in drift(library(reference), library(current)).columns] == expected
