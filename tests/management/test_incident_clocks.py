"""The clocks of Art. 73: which runs, until when, and whether it was met."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.management.incident_clocks import ClockRules, Deadline, clock_rules, clocks_of
from aims_mlflow.management.incidents import IncidentContent, Notice

AWARE = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def incident(**fields):
    return IncidentContent(**{"title": "Scores shifted", "severity": "serious", "aware_at": AWARE} | fields)


def told(at, to="authority", **fields):
    return Notice(to=to, at=at, **fields)


@pytest.mark.parametrize(
    ("fields", "days", "ref"),
    [
        ({}, 15, "Art. 73(2)"),
        ({"harm": "health"}, 15, "Art. 73(2)"),
        ({"harm": "fundamental rights"}, 15, "Art. 73(2)"),
        ({"harm": "property or environment"}, 15, "Art. 73(2)"),
        ({"harm": "death"}, 10, "Art. 73(4)"),
        ({"harm": "critical infrastructure"}, 2, "Art. 73(3)"),
        ({"widespread": True}, 2, "Art. 73(3)"),
        ({"widespread": True, "harm": "fundamental rights"}, 2, "Art. 73(3)"),
        ({"widespread": True, "harm": "death"}, 2, "Art. 73(3)"),
    ],
)
def test_the_period_follows_from_the_harm_and_the_strictest_comes_first(fields, days, ref):
    first = clocks_of(incident(**fields), AWARE)[0]
    assert (first.days, first.ref) == (days, ref)
    assert first.due == AWARE + timedelta(days=days)


def test_a_death_in_a_widespread_case_has_both_its_clocks():
    clocks = clocks_of(incident(widespread=True, harm="death"), AWARE + timedelta(days=3))
    assert [(c.days, c.state) for c in clocks] == [(2, "overdue"), (10, "running")]


@pytest.mark.parametrize("severity", ["minor", "major"])
def test_what_is_not_serious_has_no_clock(severity):
    assert clocks_of(incident(severity=severity, harm="death"), AWARE + timedelta(days=99)) == ()


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (timedelta(0), "running"),
        (timedelta(days=15) - SECOND, "running"),
        (timedelta(days=15), "running"),  # exactly at the due moment
        (timedelta(days=15, microseconds=1), "overdue"),
        (timedelta(days=15) + SECOND, "overdue"),
        (timedelta(days=400), "overdue"),
    ],
)
def test_without_a_notice_it_runs_to_the_very_moment(after, state):
    (clock,) = clocks_of(incident(), AWARE + after)
    assert clock.state == state
    assert clock.notice is None


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (timedelta(0), "met"),
        (timedelta(days=15), "met"),  # exactly at the due moment
        (timedelta(days=15, microseconds=1), "late"),
        (timedelta(days=30), "late"),
    ],
)
def test_a_notice_meets_it_up_to_the_very_moment(after, state):
    (clock,) = clocks_of(incident(notices=(told(AWARE + after),)), AWARE + timedelta(days=60))
    assert clock.state == state
    assert clock.notice == told(AWARE + after)


def test_the_first_notice_to_the_authority_counts_and_no_other():
    notices = (
        told(AWARE + timedelta(hours=1), to="users"),
        told(AWARE + timedelta(days=20), kind="final"),
        told(AWARE + timedelta(days=3), reference="MSA-1"),
    )
    (clock,) = clocks_of(incident(notices=notices), AWARE + timedelta(days=60))
    assert (clock.state, clock.notice.reference) == ("met", "MSA-1")
    (clock,) = clocks_of(incident(notices=notices[:1]), AWARE + timedelta(days=60))
    assert clock.state == "overdue"


def test_a_notice_that_is_later_than_the_moment_asked_for_is_not_known_yet():
    content = incident(notices=(told(AWARE + timedelta(days=3)),))
    assert clocks_of(content, AWARE + timedelta(days=2))[0].state == "running"
    assert clocks_of(content, AWARE + timedelta(days=3))[0].state == "met"


def test_a_reason_why_none_was_due_stops_the_clock_and_a_notice_counts_for_more():
    content = incident(no_notice_reason="not high-risk")
    (clock,) = clocks_of(content, AWARE + timedelta(days=99))
    assert (clock.state, clock.why) == ("not due", "not high-risk")
    late = incident(no_notice_reason="not high-risk", notices=(told(AWARE + timedelta(days=16)),))
    assert clocks_of(late, AWARE + timedelta(days=99))[0].state == "late"


def test_days_are_days_of_utc_whatever_the_zone_they_were_told_in():
    """In Berlin an hour is lost on 2026-03-29 and gained on 2026-10-25: neither makes a period shorter or longer."""
    for aware in (
        datetime(2026, 3, 28, 12, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 10, 24, 12, tzinfo=UTC),
    ):
        (clock,) = clocks_of(incident(aware_at=aware, harm="critical infrastructure"), aware)
        assert clock.due - aware == timedelta(hours=48)
        assert clock.due.tzinfo is UTC


@given(
    st.integers(0, 60 * 24 * 40),
    st.integers(0, 60 * 24 * 40),
    st.sampled_from(["none", "death", "critical infrastructure"]),
)
def test_state_and_moments_always_agree(notice_after, asked_after, harm):
    content = incident(harm=harm, notices=(told(AWARE + timedelta(minutes=notice_after)),))
    at = AWARE + timedelta(minutes=asked_after)
    (clock,) = clocks_of(content, at)
    if notice_after <= asked_after:
        assert clock.state == ("met" if clock.notice.at <= clock.due else "late")
    else:
        assert clock.state == ("running" if at <= clock.due else "overdue")


def test_the_periods_are_data_with_source_and_date():
    rules = clock_rules()
    assert rules.source.url.startswith("https://eur-lex.europa.eu/")
    assert (rules.article, rules.source.published.isoformat()) == ("Art. 73", "2024-07-12")
    assert {d.id: d.days for d in rules.deadlines} == {"standard": 15, "death": 10, "widespread": 2}
    other = rules.model_copy(update={"deadlines": (Deadline(id="x", ref="1", days=1, case="all"),)})
    assert isinstance(other, ClockRules)
    assert clocks_of(incident(), AWARE, other)[0].days == 1
