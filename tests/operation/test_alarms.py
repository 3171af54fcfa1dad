"""Alarms over windows: rows of breaches, hysteresis, intervals, gaps, and what no order of the input changes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.config import AlarmRule
from aims_mlflow.operation.alarms import episodes, judge
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import Window

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = "drift.drifted_share"


def day(index: int) -> Window:
    return Window(START + index * DAY, START + (index + 1) * DAY)


def filed(index: int, value: float | None, low: float | None = None, high: float | None = None) -> WindowNumbers:
    numbers = {} if value is None else {NUMBER: value}
    lows = {} if low is None else {NUMBER: low}
    highs = {} if high is None else {NUMBER: high}
    return WindowNumbers(day(index), numbers, lows, highs)


def series(values: Sequence[float | None]) -> list[WindowNumbers]:
    return [filed(index, value) for index, value in enumerate(values)]


def rule(**more: object) -> AlarmRule:
    return AlarmRule.model_validate({"name": "drifts", "number": NUMBER, "above": 0.3} | more)


def states(made: AlarmRule, values: Sequence[float | None]) -> list[str]:
    history = series(values)
    return [judge([made], history[: n + 1])[0].state for n in range(len(history))]


def test_without_a_window_nothing_is_known() -> None:
    (state,) = judge([rule()], [])
    assert (state.state, state.episode) == ("unknown", None)


def test_one_breach_is_an_alarm_and_the_limit_itself_is_none() -> None:
    assert states(rule(), [0.3, 0.31]) == ["quiet", "alarm"]
    assert states(rule(above=None, below=0.8), [0.8, 0.79]) == ["quiet", "alarm"]


def test_windows_in_a_row_are_needed_and_a_quiet_one_breaks_the_row() -> None:
    made = rule(windows=2)
    assert states(made, [0.4, 0.1, 0.4, 0.4]) == ["breached", "quiet", "breached", "alarm"]
    (state,) = judge([made], series([0.4, 0.1, 0.4, 0.4]))
    assert state.episode == "drifts@2026-01-03T00:00:00Z"
    assert state.since == day(2).start


def test_the_alarm_ends_only_past_recover_and_after_its_windows() -> None:
    made = rule(recover=0.2, recover_windows=2)
    values = [0.4, 0.25, 0.2, 0.25, 0.1, 0.1, 0.1]
    said = states(made, values)
    assert said == ["alarm", "alarm", "recovering", "alarm", "recovering", "quiet", "quiet"]
    (episode,) = episodes([made], series(values))
    assert (episode.first, episode.last, episode.ended) == (day(0), day(0), day(5))


def test_an_interval_that_holds_the_limit_neither_breaches_nor_recovers() -> None:
    made = rule(recover_windows=1)
    straddling = filed(1, 0.35, 0.25, 0.45)
    assert judge([made], [filed(0, 0.1), straddling])[0].state == "unknown"
    assert judge([made], [filed(0, 0.5), filed(1, 0.25, 0.2, 0.35)])[0].state == "alarm"
    assert judge([made], [filed(0, 0.1), filed(1, 0.35, 0.31, 0.45)])[0].state == "alarm"
    assert judge([rule(certain=False)], [filed(0, 0.1), straddling])[0].state == "alarm"


def test_below_reads_the_other_end_of_the_interval() -> None:
    made = rule(above=None, below=0.8)
    assert judge([made], [filed(0, 0.75, 0.7, 0.79)])[0].state == "alarm"
    assert judge([made], [filed(0, 0.75, 0.7, 0.81)])[0].state == "unknown"
    assert judge([made], [filed(0, 0.85, 0.8, 0.9)])[0].state == "quiet"


def test_neither_a_missing_window_nor_a_missing_number_ends_an_alarm() -> None:
    made = rule(recover_windows=2)
    assert judge([made], series([0.5, None, None, None]))[0].state == "alarm"
    assert judge([made], [filed(0, 0.5)], [day(n) for n in range(1, 9)])[0].state == "alarm"
    back_gap_back = [filed(0, 0.5), filed(1, 0.1), filed(3, 0.1)]
    assert judge([made], back_gap_back, [day(2)])[0].state == "recovering"
    assert judge([made], [*back_gap_back, filed(2, 0.1)])[0].state == "quiet"


def test_a_missing_window_is_no_quiet_one_either() -> None:
    (state,) = judge([rule()], [filed(0, 0.1)], [day(1)])
    assert state.state == "unknown"
    assert "is missing" in state.reason
    assert judge([rule(windows=2)], [filed(0, 0.5), filed(2, 0.5)], [day(1)])[0].state == "alarm"


def test_not_a_number_is_a_number_that_could_not_be_had() -> None:
    assert judge([rule()], series([0.1, float("nan")]))[0].state == "unknown"
    assert judge([rule()], series([0.1, float("inf")]))[0].state == "alarm"


def test_missing_windows_are_a_number_of_their_own() -> None:
    made = rule(number="windows.missing", above=1, recover_windows=1)
    assert judge([made], [filed(0, 0.1)], [day(1)])[0].state == "quiet"
    assert judge([made], [filed(0, 0.1)], [day(1), day(2)])[0].state == "alarm"
    assert judge([made], [filed(0, 0.1), filed(3, 0.1)], [day(1), day(2)])[0].state == "quiet"
    (episode,) = episodes([made], [filed(0, 0.1), filed(3, 0.1)], [day(1), day(2)])
    assert episode.first == day(2)


def columns(index: int, **values: float) -> WindowNumbers:
    return WindowNumbers(day(index), {f"drift.column.{name}": value for name, value in values.items()})


def test_of_many_columns_the_worst_speaks_and_is_named() -> None:
    made = rule(number="drift.column.*")
    (state,) = judge([made], [columns(0, age=0.2, income=0.7, city=0.4)])
    assert state.state == "alarm"
    assert state.value == 0.7
    assert "drift.column.income" in state.reason
    low = rule(number="drift.column.*", above=None, below=0.3)
    (state,) = judge([low], [columns(0, age=0.2, income=0.7)])
    assert "drift.column.age" in state.reason


def test_a_column_that_breached_and_went_away_is_not_back() -> None:
    made = rule(number="drift.column.*", recover_windows=1)
    assert judge([made], [columns(0, age=0.7, city=0.1), columns(1, city=0.1)])[0].state == "alarm"
    assert judge([made], [columns(0, age=0.7, city=0.1), columns(1, age=0.1)])[0].state == "quiet"


def test_a_name_is_taken_as_it_stands_but_for_the_star() -> None:
    made = rule(number="drift.column.a[0]")
    there = WindowNumbers(day(0), {"drift.column.a[0]": 0.9, "drift.column.a0": 0.0, "driftXcolumn.a[0]": 0.0})
    assert judge([made], [there])[0].state == "alarm"


def test_the_reason_names_rule_number_limit_since_when_and_what_to_do() -> None:
    (state,) = judge([rule(remedy="Retrain on the last quarter")], series([0.1, 0.5]))
    said = ("drifts", NUMBER, "above 0.3", "2026-01-02 00:00 UTC", "0.5", "Retrain on the last quarter.")
    for words in said:
        assert words in state.reason


def test_each_rule_is_judged_by_itself_and_in_order() -> None:
    rules = [rule(name="b"), rule(name="a", above=0.9)]
    assert [(one.rule, one.state) for one in judge(rules, series([0.5]))] == [("b", "alarm"), ("a", "quiet")]


values_of = st.one_of(st.none(), st.floats(0, 1), st.just(float("nan")))
rules_of = st.builds(
    lambda windows, gap, back, certain: rule(
        above=0.5, windows=windows, recover=0.5 - gap, recover_windows=back, certain=certain
    ),
    st.integers(1, 4),
    st.floats(0, 0.4),
    st.integers(1, 4),
    st.booleans(),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[WindowNumbers], list[Window]]:
    history, missing = [], []
    for index in range(draw(st.integers(0, 25))):
        if draw(st.integers(0, 5)) == 0:
            missing.append(day(index))
            continue
        value = draw(values_of)
        ends = sorted(draw(st.tuples(st.floats(0, 0.3), st.floats(0, 0.3))))
        wide = value is not None and draw(st.booleans())
        history.append(filed(index, value, value - ends[0], value + ends[1]) if wide else filed(index, value))  # type: ignore[operator]
    return history, missing


@given(rules_of, histories(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    made: AlarmRule, given_: tuple[list[WindowNumbers], list[Window]], chance: object
) -> None:
    history, missing = given_
    expected = judge([made], history, missing), episodes([made], history, missing)
    chance.shuffle(history)  # type: ignore[attr-defined]
    chance.shuffle(missing)  # type: ignore[attr-defined]
    assert (judge([made], history, missing), episodes([made], history, missing)) == expected
    assert (judge([made], [*history, *history], missing), episodes([made], history * 2, missing)) == expected


@given(rules_of, histories())
def test_quiet_windows_end_an_alarm_exactly_after_their_number(
    made: AlarmRule, given_: tuple[list[WindowNumbers], list[Window]]
) -> None:
    history, missing = given_
    start = len(history) + len(missing)
    history = history + [filed(start + n, 0.9) for n in range(made.windows)]
    start += made.windows
    assert judge([made], history, missing)[0].state == "alarm"
    for n in range(1, made.recover_windows + 1):
        history.append(filed(start + n - 1, 0.0))
        expected = "quiet" if n == made.recover_windows else "recovering"
        assert judge([made], history, missing)[0].state == expected


@given(rules_of, st.lists(st.sampled_from([0.6, 0.9, None]), min_size=1, max_size=30))
def test_a_constant_breach_with_gaps_has_one_episode(made: AlarmRule, values: list[float | None]) -> None:
    told = episodes([made], series(values))
    enough = sum(value is not None for value in values) >= made.windows
    assert len(told) == int(enough)
    if enough:
        first = next(index for index, value in enumerate(values) if value is not None)
        assert told[0].name == f"drifts@{day(first).start.isoformat().replace('+00:00', 'Z')}"
        assert told[0].ended is None


@given(st.integers(1, 4), st.lists(st.floats(0.21, 0.99), max_size=40))
def test_flapping_inside_the_band_never_makes_a_second_episode(back: int, values: list[float]) -> None:
    made = rule(above=0.5, recover=0.2, recover_windows=back)
    told = episodes([made], series([0.9, *values]))
    assert [one.ended for one in told] == [None]


@given(rules_of, histories(), st.data())
def test_a_window_that_comes_late_is_judged_as_if_it_had_come_in_time(
    made: AlarmRule, given_: tuple[list[WindowNumbers], list[Window]], data: st.DataObject
) -> None:
    history, missing = given_
    if not history:
        return
    late = data.draw(st.sampled_from(history))
    others = [one for one in history if one is not late]
    judge([made], others, [*missing, late.window])
    expected = judge([made], history, missing)
    assert judge([made], [*others, late], missing) == expected
    assert judge([made], [late, *others], [*missing, late.window]) == expected, "it was filed: no longer missing"


@given(rules_of, histories())
def test_a_missing_window_more_never_ends_an_alarm(
    made: AlarmRule, given_: tuple[list[WindowNumbers], list[Window]]
) -> None:
    history, missing = given_
    (before,) = judge([made], history, missing)
    (after,) = judge([made], history, [*missing, day(len(history) + len(missing))])
    assert after.episode == before.episode
    assert after.state != "quiet"


@given(rules_of, histories())
def test_the_state_and_the_episodes_agree(made: AlarmRule, given_: tuple[list[WindowNumbers], list[Window]]) -> None:
    history, missing = given_
    (state,) = judge([made], history, missing)
    told = episodes([made], history, missing)
    standing = [one for one in told if one.ended is None]
    assert (state.state in {"alarm", "recovering"}) == bool(standing)
    assert state.episode == (standing[0].name if standing else None)
    assert all(one.ended is not None and one.ended < later.first for one, later in itertools.pairwise(told))


@pytest.mark.parametrize("moment", [day(0).start, day(3).start, day(5).end - timedelta(seconds=1)])
def test_an_episode_covers_what_lies_between_its_start_and_its_end(moment: datetime) -> None:
    (episode,) = episodes([rule(recover_windows=2)], series([0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]))
    assert episode.covers(moment)
    assert not episode.covers(day(6).start)
