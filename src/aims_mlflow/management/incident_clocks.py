"""The clocks of Art. 73: until when the authority has to be told of a serious incident. Pure; the periods are data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import Field

from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.incidents import Harm, IncidentContent, Notice

FILE = "art_73.yaml"
"""In the package ``aims_mlflow.catalog``."""


class Source(Record):
    """Where the periods stand."""

    title: str
    url: str
    published: date


class Deadline(Record):
    """A period, and the incidents it is for: any kind of harm named, or a widespread one; without either, all."""

    id: str
    ref: str
    days: int = Field(ge=1)
    case: str
    harm: tuple[Harm, ...] = ()
    widespread: bool = False

    @property
    def is_for_all(self) -> bool:
        """Whether it is for every serious incident that no other period is for."""
        return not self.harm and not self.widespread

    def is_for(self, content: IncidentContent) -> bool:
        """Whether an incident is one of those it is made for."""
        return content.harm in self.harm or (self.widespread and content.widespread)


class ClockRules(Record):
    """The periods, with their source and date."""

    law: str
    article: str
    title: str
    source: Source
    checked: date
    applies_from: date
    attaches_to: str
    who: str
    counted: str
    deadlines: tuple[Deadline, ...] = Field(min_length=1)


ClockState = Literal["met", "late", "running", "overdue", "not due"]


class Clock(Record):
    """One period that runs, or ran, for an incident."""

    ref: str
    """``Art. 73(2)``."""
    case: str
    days: int
    due: UtcTime
    """The last moment at which a notice is in time."""
    state: ClockState
    """``met`` in time; ``late``: met after it was due; ``not due``: the record says why none was."""
    notice: Notice | None = None
    """The first notice to the authority."""
    why: str = ""
    """Why none was due."""

    @property
    def in_words(self) -> str:
        """State and moment, in a few words."""
        day = f"{self.due:%Y-%m-%d %H:%M} UTC"
        if self.state in {"met", "late"} and self.notice is not None:
            told = f"authority told on {self.notice.at:%Y-%m-%d %H:%M} UTC"
            return f"{told}, due {day}" if self.state == "met" else f"{told}, after it was due {day}"
        return f"not due: {self.why}" if self.state == "not due" else f"{self.state}, due {day}"


@cache
def clock_rules() -> ClockRules:
    """The periods that are shipped."""
    import yaml

    text = files("aims_mlflow.catalog").joinpath(FILE).read_text("utf-8")
    return ClockRules.model_validate(yaml.safe_load(text))


def clocks_of(content: IncidentContent, at: datetime, rules: ClockRules | None = None) -> tuple[Clock, ...]:
    """The clocks of an incident as they stand at a moment, the strictest first; none where it is not serious.

    Days are counted from the moment of awareness, each of 24 hours in UTC. A notice at the very moment it is due is in
    time.

    Args:
        content: The incident.
        at: The moment; later notices are not known yet.
        rules: The periods; those shipped where None.
    """
    if content.severity != "serious":
        return ()
    known = rules or clock_rules()
    special = [one for one in known.deadlines if not one.is_for_all and one.is_for(content)]
    chosen = special or [one for one in known.deadlines if one.is_for_all]
    told = first_notice(content.notices, at)
    clocks = [_clock(one, content, told, at, known) for one in chosen]
    return tuple(sorted(clocks, key=lambda clock: (clock.due, clock.ref)))


def first_notice(notices: Sequence[Notice], at: datetime) -> Notice | None:
    """The first notice to the authority up to a moment."""
    given = [one for one in notices if one.to == "authority" and one.at <= at]
    return min(given, key=lambda one: one.at, default=None)


def _clock(deadline: Deadline, content: IncidentContent, told: Notice | None, at: datetime, rules: ClockRules) -> Clock:
    due = content.aware_at + timedelta(days=deadline.days)
    state: ClockState
    if told is not None:
        state = "met" if told.at <= due else "late"
    elif content.no_notice_reason:
        state = "not due"
    else:
        state = "running" if at <= due else "overdue"
    return Clock(
        ref=f"{rules.article.partition(' ')[0]} {deadline.ref}",
        case=deadline.case,
        days=deadline.days,
        due=due,
        state=state,
        notice=told,
        why=content.no_notice_reason or "" if state == "not due" else "",
    )
