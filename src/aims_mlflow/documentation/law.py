"""When the parts of the EU AI Act apply: data with source and confidence, read for a day."""

from __future__ import annotations

from datetime import date as Day  # noqa: N812  (a field below is called `date`)
from datetime import timedelta
from functools import lru_cache
from typing import Literal

from pydantic import Field, model_validator

from aims_mlflow.documentation.own_files import own_file
from aims_mlflow.evidence.base import Record

LAW = "eu_ai_act"
_RECHECK = timedelta(days=180)
"""Dates older than this are to be checked again before anybody relies on them."""


class LawSource(Record):
    """Where a date was read."""

    title: str = Field(min_length=1)
    url: str = Field(min_length=1)
    published: Day
    read: Day
    """The day it was read."""


class LawDate(Record):
    """A day from which something applies."""

    date: Day
    applies: str = Field(min_length=1)
    high_risk: bool = False
    """Whether it is the day from which duties of high-risk systems apply."""
    confidence: Literal["high", "medium", "low"]
    sources: tuple[str, ...] = Field(min_length=1)
    """Names of sources."""


class ReadingNote(Record):
    """How the dates are to be read."""

    note: str
    confidence: Literal["high", "medium", "low"]


class DatedDuty(Record):
    """A law date as it stands on a day."""

    date: Day
    applies: str
    high_risk: bool
    confidence: Literal["high", "medium", "low"]
    in_force: bool
    sources: tuple[str, ...]
    """Names of sources."""


class LawOnDay(Record):
    """What applies on a day."""

    id: str
    title: str
    amended_by: str
    day: Day
    checked: Day
    """When the data were last held against their sources."""
    recheck: bool
    """Whether that is so long before ``day`` that they are to be checked again."""
    note: str
    duties: tuple[DatedDuty, ...]
    sources: dict[str, LawSource]
    reading: tuple[ReadingNote, ...]

    @property
    def checked_words(self) -> str:
        """When the data were checked, in a sentence."""
        more = " That is long before the date of this page: check them again." if self.recheck else ""
        if self.day < self.checked:
            more = " They are as known then, not as the law stood on the date of this page."
        return f"The dates were last checked on {self.checked}.{more}"

    @property
    def high_risk_words(self) -> str:
        """From when duties of high-risk systems apply, in a sentence."""
        dates = [one for one in self.duties if one.high_risk]
        said = "; ".join(f"{one.date} ({'in force' if one.in_force else 'upcoming'}): {one.applies}" for one in dates)
        return f"Duties of high-risk systems apply from: {said}."


class LawDates(Record):
    """The file ``law_dates.yaml``."""

    id: str
    title: str
    amended_by: str
    checked: Day
    note: str
    sources: dict[str, LawSource]
    dates: tuple[LawDate, ...]
    reading: tuple[ReadingNote, ...] = ()

    @model_validator(mode="after")
    def _sources_are_named(self) -> LawDates:
        for one in self.dates:
            unknown = [name for name in one.sources if name not in self.sources]
            if unknown:
                msg = f"{one.date}: there is no source {unknown[0]!r}"
                raise ValueError(msg)
        return self

    def on(self, day: Day) -> LawOnDay:
        """What applies on a day, and what is to come."""
        return LawOnDay(
            id=self.id,
            title=self.title,
            amended_by=self.amended_by,
            day=day,
            checked=self.checked,
            recheck=day - self.checked > _RECHECK,
            note=self.note,
            duties=tuple(
                DatedDuty(
                    date=one.date,
                    applies=one.applies,
                    high_risk=one.high_risk,
                    confidence=one.confidence,
                    in_force=one.date <= day,
                    sources=one.sources,
                )
                for one in sorted(self.dates, key=lambda one: one.date)
            ),
            sources=self.sources,
            reading=self.reading,
        )


@lru_cache(maxsize=1)
def law_dates() -> LawDates:
    """The dates of the EU AI Act."""
    plain = own_file("law_dates.yaml")
    return LawDates.model_validate(
        {**plain["law"], "sources": plain["sources"], "dates": plain["dates"], "reading": plain["reading"]}
    )
