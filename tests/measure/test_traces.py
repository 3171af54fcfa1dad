from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.config import MetricLimit, TracePolicy
from aims_mlflow.evidence import Verdict
from aims_mlflow.measure.traces import DESCRIPTORS, Rating, TraceCounter, TraceFacts, describe_text, is_hit, results

AT = datetime(2026, 3, 1, tzinfo=UTC)


def counted(*traces: TraceFacts, **how: object) -> TraceCounter:
    counter = TraceCounter(**how)
    for trace in traces:
        counter.add(trace)
    return counter


def trace(state="ok", **facts):
    return TraceFacts(at=AT, state=state, **facts)


def test_a_trace_without_an_end_is_counted_and_is_in_no_rate():
    counter = counted(trace(), trace("error"), trace("open"))
    rate, n = counter.estimates()["error_rate"]
    assert (counter.traces, counter.errors, counter.open, n, rate.value) == (3, 1, 1, 2, 0.5)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=400))
def test_percentiles_are_the_order_statistics_and_lie_in_their_interval(times):
    counter = counted(*(trace(milliseconds=float(t)) for t in times))
    for percent in (50, 90, 95, 99):
        estimate, n = counter.estimates()[f"latency_p{percent}"]
        assert n == len(times)
        assert estimate.value == np.quantile(times, percent / 100, method="inverted_cdf")
        assert estimate.low is None or estimate.low <= estimate.value
        assert estimate.high is None or estimate.high >= estimate.value


def test_the_interval_of_a_percentile_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    truth = -np.log(0.1) * 300
    inside = 0
    for _ in range(300):
        counter = counted(*(trace(milliseconds=float(t)) for t in rng.exponential(300, 400)))
        estimate, _ = counter.estimates()["latency_p90"]
        inside += estimate.low - 1 <= truth <= estimate.high + 1
    assert inside / 300 > 0.92


def test_a_percentile_of_few_traces_has_no_upper_end():
    estimate, _ = counted(*(trace(milliseconds=float(t)) for t in range(20))).estimates()["latency_p99"]
    assert estimate.high is None and estimate.value == 19


def test_yes_and_no_make_a_rate_and_numbers_a_mean():
    ratings = [Rating("helpful", "human", v) for v in (True, "no", "Yes")] + [Rating("helpful", "human", "maybe")]
    counter = counted(
        trace(ratings=tuple(ratings)),
        trace(ratings=(Rating("score", "scorer", 3), Rating("score", "scorer", 5.0))),
        trace(ratings=(Rating("score", "scorer", None, failed=True),)),
    )
    found = counter.estimates()
    assert (found["human.helpful"][0].value, found["human.helpful"][1]) == (2 / 3, 3)
    assert (found["scorer.score"][0].value, found["scorer.score"][1]) == (4.0, 2)
    assert dict(counter.unrated) == {"human.helpful": 1, "scorer.score": 1}


def test_a_guardrail_that_was_never_hit_has_a_rate_of_nought_with_its_upper_end():
    counter = counted(*[trace()] * 50, guardrails=["pii"])
    estimate, n = counter.estimates()["guardrail.pii"]
    assert (estimate.value, n) == (0.0, 50) and 0 < estimate.high < 0.1


@pytest.mark.parametrize(("value", "hit"), [(True, True), ("yes", True), (1, True), ("0", False), (None, False)])
def test_what_says_that_a_guardrail_was_hit(value, hit):
    assert is_hit(value) is hit


def test_parts_of_a_window_are_told_apart_where_they_are_large_enough():
    many, few = [trace(prompts=("greet/1",))] * 8, [trace("error", prompts=("greet/2",))] * 4
    found = counted(*many, *few).estimates()
    assert found["error_rate.greet/1"][0].value == 0.0
    assert "error_rate.greet/2" not in found


def test_a_limited_number_that_no_trace_carries_is_not_a_pass():
    (one,) = results({}, {"human.helpful": MetricLimit(min=0.8)})
    assert one.verdict is Verdict.NOT_TESTED


def test_an_interval_that_straddles_its_limit_is_uncertain():
    counter = counted(*[trace()] * 95, *[trace("error")] * 5)
    limits = {"error_rate": MetricLimit(max=0.06)}
    by_name = {r.name: r for r in results(counter.estimates(), limits)}
    assert by_name["error_rate"].verdict is Verdict.UNCERTAIN
    by_name = {r.name: r for r in results(counter.estimates(), {"error_rate": MetricLimit(max=0.2)})}
    assert by_name["error_rate"].verdict is Verdict.PASS


def test_a_misspelt_number_is_refused_when_the_file_is_read():
    with pytest.raises(ValueError, match="no number 'eror_rate'"):
        TracePolicy(limits={"eror_rate": MetricLimit(max=0.1)})
    with pytest.raises(ValueError, match=r"no number 'humans\.helpful'"):
        TracePolicy(limits={"humans.helpful": MetricLimit(min=0.1)})


@given(st.text(max_size=300))
def test_descriptors_are_finite_numbers_of_any_text_and_the_same_each_time(text):
    numbers = describe_text(text)
    assert numbers.keys() == DESCRIPTORS.keys()
    assert all(np.isfinite(v) and v >= 0 for v in numbers.values())
    assert all(numbers[s] <= 1 for s in ("letters", "digits", "punctuation", "beyond_ascii", "vocabulary"))
    assert numbers == describe_text(text)


def test_descriptors_tell_how_a_text_is_written():
    numbers = describe_text("Is it OK? Yes, yes.\nDone 42")
    assert (numbers["characters"], numbers["words"], numbers["lines"], numbers["questions"]) == (27, 7, 2, 1)
    assert numbers["vocabulary"] == 6 / 7 and numbers["sentences"] == 2
