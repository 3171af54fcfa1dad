"""Operating effectiveness: shares, gaps and the longest lapse, against a count by the hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.assessment import Finding, Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config.models import Declaration
from aims_mlflow.errors import InputError
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import Subject
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.effectiveness import moments_of, over_period
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.state import Filed, State

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
CATALOG = load_catalog(())


def day(number):
    return BEGIN + timedelta(days=number)


def filed_on(filed, number, type_id, *, valid_until, valid_from=None, **more):
    """A record filed on a day of the period."""
    state = State.of(filed, at=day(number))
    made = draft(
        state,
        CATALOG,
        type_id,
        content={"statement": "It is so."},
        owner="Head of AI",
        approver="Board",
        valid_from=valid_from or day(number).date(),
        valid_until=valid_until,
        **more,
    )
    return [*filed, Filed(made)]


def findings_of(filed):
    def findings_at(at):
        state = State.of(filed, at=at)
        records = evidence_of(View(state, CATALOG))
        return evaluate(records, CATALOG, Declaration(), subject=Subject(), at=at).findings

    return findings_at


def effect(filed, row, begin=BEGIN, end=END):
    found = over_period(findings_of(filed), moments_of(filed), begin=begin, end=end)
    assert len(found.rows) == 70
    return next(one for one in found.rows if one.id == row)


def test_a_year_with_a_lapse_is_told_to_the_day():
    filed = filed_on([], 31, "concerns_channel", valid_until=day(99).date())
    filed = filed_on(filed, 200, "concerns_channel", valid_until=day(500).date())
    row = effect(filed, "A.3.3")
    assert row.satisfied_days == pytest.approx(69 + 165, abs=0.001)  # days 31 to 99, days 200 to 364
    assert row.satisfied_share == pytest.approx((69 + 165) / 365, abs=1e-5)
    assert row.gaps == 2
    assert row.longest_gap_days == pytest.approx(100, abs=0.001)
    assert abs(row.longest_gap.begin - day(100)) <= timedelta(seconds=1)
    assert row.longest_gap.end == day(200)
    assert row.longest_gap.status is Status.STALE


def test_what_is_filed_later_does_not_mend_the_time_before():
    """A statement of June that says it holds since January was not known in March."""
    filed = filed_on([], 151, "concerns_channel", valid_from=date(2026, 1, 1), valid_until=date(2026, 12, 31))
    row = effect(filed, "A.3.3")
    assert row.satisfied_days == pytest.approx(365 - 151, abs=0.001)


def test_a_record_that_begins_later_counts_from_its_first_day():
    filed = filed_on([], 10, "concerns_channel", valid_from=day(100).date(), valid_until=day(364).date())
    assert effect(filed, "A.3.3").satisfied_days == pytest.approx(265, abs=0.001)


def test_time_in_which_a_row_did_not_apply_is_not_counted():
    def findings_at(at):
        status = Status.SATISFIED if at < day(100) else Status.NOT_APPLICABLE if at < day(300) else Status.STALE
        return [finding("A.3.3", status)]

    found = over_period(findings_at, [day(100), day(300)], begin=BEGIN, end=END)
    row = found.rows[0]
    assert (row.satisfied_days, row.applicable_days, row.gaps) == (100, 165, 1)
    assert row.satisfied_share == pytest.approx(100 / 165)


def test_a_row_that_never_applied_has_no_share():
    found = over_period(lambda _: [finding("A.3.3", Status.NOT_APPLICABLE)], [], begin=BEGIN, end=END)
    assert found.rows[0].satisfied_share is None
    assert found.rows[0].gaps == 0


def test_a_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(InputError, match="before it begins"):
        over_period(lambda _: [], [], begin=END, end=BEGIN)


def finding(row, status, valid_until=None):
    return Finding(
        id=row,
        title="A row",
        kind="control",
        framework="iso_42001",
        status=status,
        strength="attested",
        reason="Because.",
        next_step="",
        valid_until=valid_until,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(list(Status)), st.integers(1, 80)), max_size=8))
def test_shares_and_gaps_agree_with_a_count_by_the_hour(changes):
    """Statuses that change at random hours, and lapse by themselves where they were satisfied."""
    changes = sorted(changes, key=lambda change: change[0])
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    end = begin + timedelta(hours=300)

    def findings_at(at):
        status, until = Status.NO_EVIDENCE, None
        for hour, changed, lasts in changes:
            if begin + timedelta(hours=hour) <= at:
                # valid to the last millisecond before the hour, as days are valid to their last second
                until = begin + timedelta(hours=hour + lasts, milliseconds=-1)
                status = changed
        if status is Status.SATISFIED:
            return [finding("A.3.3", *((status, until) if at <= until else (Status.STALE, None)))]
        return [finding("A.3.3", status)]

    moments = [begin + timedelta(hours=hour) for hour, _, _ in changes]
    row = over_period(findings_at, moments, begin=begin, end=end).rows[0]
    hours = [findings_at(begin + timedelta(hours=n))[0].status for n in range(300)]
    assert row.satisfied_days * 24 == pytest.approx(hours.count(Status.SATISFIED), abs=1e-6)
    assert row.applicable_days * 24 == pytest.approx(300 - hours.count(Status.NOT_APPLICABLE), abs=1e-6)
    open_ = [status not in (Status.SATISFIED, Status.NOT_APPLICABLE) for status in hours]
    runs, longest, length = 0, 0, 0
    for is_open in open_:
        length = length + 1 if is_open else 0
        runs += length == 1
        longest = max(longest, length)
    assert row.gaps == runs
    assert row.longest_gap_days * 24 == pytest.approx(longest, abs=1e-6)
    assert row.spans[0].begin == begin
    assert row.spans[-1].end == end
    assert all(one.end == after.begin for one, after in zip(row.spans, row.spans[1:], strict=False))
