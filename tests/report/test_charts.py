from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.evidence import ColumnDrift, Interval, LineageEdge, Verdict
from aims_mlflow.report import charts, words
from aims_mlflow.report.records import chains

finite = st.floats(allow_nan=False, allow_infinity=False)


def column(**given):
    return ColumnDrift(
        **{"column": "a", "type": "numerical", "verdict": Verdict.PASS, "direction": "distance", **given}
    )


def test_a_distance_at_its_limit_has_ratio_one():
    assert charts.drift_ratio(0.1, column(threshold=0.1)) == pytest.approx(1)


def test_a_low_p_value_is_a_long_bar():
    p = column(threshold=0.05, direction="p_value")
    assert charts.drift_ratio(0.05, p) == pytest.approx(1)
    assert charts.drift_ratio(0.0025, p) == pytest.approx(2)
    assert charts.drift_ratio(0.5, p) < 1
    assert math.isfinite(charts.drift_ratio(0.0, p))


def test_where_a_score_or_limit_is_undefined_nothing_is_drawn():
    assert charts.drift_bar(column(threshold=0.1), 2, "") is None
    assert charts.drift_bar(column(score=0.1, threshold=0.0), 2, "") is None


def test_the_whisker_is_the_effects_interval_only_where_it_is_the_score():
    same = column(score=0.2, threshold=0.1, effect=Interval(value=0.2, low=0.1, high=0.3))
    other = column(
        score=0.2, threshold=0.1, score_low=0.15, score_high=0.25, effect=Interval(value=1.0, low=0.5, high=2)
    )
    exact = column(score=0.2, threshold=0.1, score_low=0.2, score_high=0.2)
    assert charts.whisker(same) == (0.1, 0.3)
    assert charts.whisker(other) == (0.15, 0.25)
    assert charts.whisker(exact) == (None, None)


@given(finite, finite, finite, finite, st.sampled_from(["distance", "p_value", None]))
def test_bars_stay_inside_their_box(score, low, high, limit, direction):
    bar = charts.drift_bar(
        column(score=score, score_low=low, score_high=high, threshold=limit, direction=direction), 2.0, "t"
    )
    if bar:
        for value in (bar.width, bar.limit, bar.low, bar.high):
            assert value is None or 0 <= value <= 100


@given(finite, finite, finite, st.none() | finite)
def test_dots_stay_inside_their_box(value, low, high, limit):
    ends = charts.axis((value, low, high, limit))
    dot = charts.dot(Interval(value=value, low=low, high=high), limit, Verdict.PASS, ends, "t")
    assert all(v is None or 0 <= v <= 100 for v in (dot.at, dot.low, dot.high, dot.limit))


def test_an_undefined_estimate_has_no_dot():
    assert charts.dot(Interval(), 0.5, Verdict.NOT_TESTED, (0, 1), "t") is None


@given(st.lists(st.integers(0, 5_000), max_size=8))
def test_the_stacked_bar_fills_its_width_and_shows_every_part(counts):
    parts = charts.stack((n, "ok", "x") for n in counts)
    assert len(parts) == sum(n > 0 for n in counts)
    if parts:
        assert sum(p.width for p in parts) == pytest.approx(100, abs=0.1)
        assert min(p.width for p in parts) > 0.5


def test_lineage_is_written_as_chains_and_circles_end():
    def edge(a, b):
        return LineageEdge(source=a, target=b, relation="input")

    assert chains([edge("d", "r"), edge("e", "r"), edge("r", "m")], limit=9) == ["d → r → m", "e → r → m"]
    assert chains([edge("a", "b"), edge("b", "a")], limit=9) == ["a → b"]
    layers = [edge(f"{i}.{a}", f"{i + 1}.{b}") for i in range(10) for a in range(8) for b in range(8)]
    assert len(chains(layers, limit=9)) <= 9


def test_numbers_are_short_and_undefined_is_never_zero():
    assert words.number(None) == "undefined"
    assert words.number(0.123456) == "0.1235"
    assert words.number(48_842) == "48,842"
    assert words.number(1_234_567.8) == "1,234,568"
    assert words.number(1e-30) == "1e-30"
    assert words.number(10**30) == "1e+30"
    assert words.number({"min": 0}) == '{"min": 0}'
