"""The dates of the EU AI Act are data: each with a source, a day it was read, and how sure it is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from aims_mlflow.documentation.law import LawDates, law_dates

LAW = law_dates()


def test_every_date_has_a_source_that_says_where_and_when_it_was_read() -> None:
    assert len(LAW.dates) >= 10
    for one in LAW.dates:
        assert one.sources, one
        for name in one.sources:
            source = LAW.sources[name]
            assert source.url.startswith("https://"), name
            assert source.title, name
            assert source.published <= source.read <= LAW.checked, name
        assert one.confidence in ("high", "medium", "low")


def test_no_source_stands_there_that_nothing_rests_on() -> None:
    assert set(LAW.sources) == {name for one in LAW.dates for name in one.sources}


def test_a_date_without_a_source_is_refused() -> None:
    plain = LAW.model_dump(mode="json")
    plain["dates"][0]["sources"] = []
    with pytest.raises(ValidationError):
        LawDates.model_validate(plain)
    plain["dates"][0]["sources"] = ["hearsay"]
    with pytest.raises(ValidationError, match="hearsay"):
        LawDates.model_validate(plain)


@pytest.mark.parametrize(
    ("day", "in_force"),
    [("2025-02-01", 0), ("2025-02-02", 1), ("2026-08-01", 2), ("2026-08-02", 3), ("2027-12-01", 6), ("2027-12-02", 7)],
)
def test_what_applies_is_told_by_the_day_of_the_page(day: str, in_force: int) -> None:
    on = LAW.on(date.fromisoformat(day))
    assert sum(one.in_force for one in on.duties) == in_force
    assert [one.date for one in on.duties] == sorted(one.date for one in on.duties)


def test_high_risk_duties_are_those_of_the_reference_and_upcoming_before_their_day() -> None:
    high = [one for one in LAW.on(date(2026, 11, 24)).duties if one.high_risk]
    assert [str(one.date) for one in high] == ["2027-12-02", "2028-08-02", "2030-08-02"]
    assert not any(one.in_force for one in high)
    assert "2027-12-02 (upcoming)" in LAW.on(date(2026, 11, 24)).high_risk_words
    assert "2027-12-02 (in force)" in LAW.on(date(2028, 1, 1)).high_risk_words


def test_old_data_say_that_they_are_to_be_checked_again() -> None:
    assert not LAW.on(LAW.checked + timedelta(days=180)).recheck
    late = LAW.on(LAW.checked + timedelta(days=181))
    assert late.recheck
    assert "check them again" in late.checked_words
    assert str(LAW.checked) in late.checked_words


def test_a_page_of_an_earlier_day_says_that_the_law_is_read_as_of_later() -> None:
    assert "not as the law stood" in LAW.on(LAW.checked - timedelta(days=1)).checked_words
