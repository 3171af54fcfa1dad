"""What falls due, by owner, and as a calendar other programs read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.management.calendar import calendar_of
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.due import Due, by_owner, due_items
from aims_mlflow.management.portfolio import Portfolio, RowStanding, SystemStanding
from aims_mlflow.management.state import Filed, State

CATALOG = load_catalog(())
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def filed(type_id, content, *, days, owner="Head of AI", withdrawn=None, at=NOW - timedelta(days=60), **more):
    made = draft(
        State.of([], at=at),
        CATALOG,
        type_id,
        content=content,
        owner=owner,
        valid_until=(NOW + timedelta(days=days)).date(),
        withdrawn=withdrawn,
        **more,
    )
    return Filed(made)


def statement(topic, *, days, **more):
    return filed(topic, {"statement": "So it is."}, days=days, **more)


def due(*records, within=30, portfolio=None):
    return due_items(State.of(records, at=NOW), CATALOG, portfolio=portfolio, within=timedelta(days=within))


def test_records_that_end_are_listed_with_owner_and_rows_the_overdue_first():
    found = due(
        statement("ai_policy", days=10, owner="Board"),
        statement("concerns_channel", days=-3),
        statement("competence", days=31),
    )
    assert [(one.about, one.owner, one.overdue) for one in found] == [
        ("concerns_channel:concerns_channel", "Head of AI", True),
        ("ai_policy:ai_policy", "Board", False),
    ]
    assert found[1].rows == ("5.2", "A.2.2")
    assert "aims attest ai_policy" in found[1].next_step


def test_what_was_withdrawn_falls_due_no_more():
    assert due(statement("ai_policy", days=10, withdrawn="Replaced by the group's")) == []


def test_owners_have_their_lists():
    found = due(statement("ai_policy", days=10, owner="Board"), statement("competence", days=5), within=60)
    assert {owner: [one.about for one in items] for owner, items in by_owner(found).items()} == {
        "Head of AI": ["competence:competence"],
        "Board": ["ai_policy:ai_policy"],
    }


def test_evidence_of_a_version_in_service_that_lapses_is_one_item():
    def row(name, status, days):
        return RowStanding(
            id=name,
            title=name,
            kind="control",
            status=status,
            strength="automatic",
            reason="",
            next_step="",
            valid_until=NOW + timedelta(days=days),
            versions=("credit/3",),
        )

    rows = {r.id: r for r in (row("A.7.4", Status.SATISFIED, 9), row("A.6.2.4", Status.SATISFIED, 9))}
    rows["A.4.4"] = row("A.4.4", Status.SATISFIED, 300)
    system = SystemStanding("loans", "Loans", RiskClass.HIGH, owner="Head of loans", rows=rows)
    found = due(portfolio=Portfolio(NOW, (system,)))
    assert [(one.about, one.rows, one.owner) for one in found] == [("credit/3", ("A.7.4", "A.6.2.4"), "Head of loans")]


def test_the_clock_of_a_serious_incident_is_due_to_its_last_moment():
    aware = NOW - timedelta(days=14)
    content = {"title": "Refused", "severity": "serious", "harm": "fundamental rights", "aware_at": aware.isoformat()}
    found = due(filed("incident", content, days=300, id="INC-1", systems=("loans",), known_systems=("loans",)))
    assert [(one.by, one.system, one.overdue) for one in found] == [(aware + timedelta(days=15), "loans", False)]
    assert "notice to the authority, Art. 73(2)" in found[0].what


def test_a_calendar_can_be_imported_twice():
    """Equal bytes for equal items, and an identity that stays when the date moves."""
    first = due(statement("ai_policy", days=10))
    moved = due(statement("ai_policy", days=20))
    assert calendar_of(first, at=NOW) == calendar_of(first, at=NOW)
    one, other = (events(calendar_of(items, at=NOW))[0] for items in (first, moved))
    assert one["uid"] == other["uid"]
    assert one.decoded("dtstart") != other.decoded("dtstart")
    assert str(one["summary"]) == "AI policy ends: review it (Head of AI)"


def events(content):
    return Calendar.from_ical(content).walk("VEVENT")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.text()), min_size=1, max_size=5))
def test_no_text_breaks_the_calendar_or_adds_to_it(texts):
    """Line breaks, colons, a second BEGIN:VEVENT, lone surrogates."""
    items = [
        Due(by=NOW, what=f"{what}\r\nBEGIN:VEVENT", owner=owner, about=f"risk:R-{n}", system=system, next_step="Go\n:")
        for n, (what, owner, system) in enumerate(texts)
    ]
    found = events(calendar_of(items, at=NOW))
    assert len(found) == len(items)
    assert len({str(event["uid"]) for event in found}) == len(items)
