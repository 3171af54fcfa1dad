"""What falls due as an iCalendar file (RFC 5545), to subscribe to or import. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from aims_mlflow.management.due import Due

PRODUCT = "-//aims-mlflow//management system//EN"
_REMIND = timedelta(days=-7)


def calendar_of(items: Iterable[Due], *, at: datetime) -> bytes:
    """An all-day event for each item, with a reminder a week ahead.

    Each item keeps its identity from export to export, so that importing again moves an event and doubles none; equal
    items at an equal moment give equal bytes.

    Args:
        items: What falls due.
        at: The moment of the export.
    """
    from icalendar import Alarm, Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", "AI management system")
    seen: set[str] = set()
    for item in items:
        uid = hashlib.sha256(item.key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        if uid in seen:  # the same thing on two days: each of its days is an event
            uid = hashlib.sha256(f"{item.key} {item.by:%Y%m%d}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        seen.add(uid)
        event = Event()
        event.add("uid", f"{uid}@aims-mlflow")
        event.add("dtstamp", at.replace(microsecond=0))
        event.add("dtstart", item.by.date())
        event.add("dtend", item.by.date() + timedelta(days=1))
        event.add("summary", _clean(f"{item.what} ({item.owner})"))
        event.add("description", _clean(_text(item)))
        event.add("categories", [_clean(item.system or "organization")])
        event.add("transp", "TRANSPARENT")
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", _clean(item.what))
        alarm.add("trigger", _REMIND)
        event.add_component(alarm)
        calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content


def _text(item: Due) -> str:
    lines = [f"Owner: {item.owner}", f"About: {item.about}"]
    if item.system:
        lines.append(f"System: {item.system}")
    if item.rows:
        lines.append(f"Clauses and controls: {', '.join(item.rows)}")
    return "\n".join([*lines, f"Next: {item.next_step}"])


def _clean(text: str) -> str:
    """Without control characters and lone surrogates, which RFC 5545 has no form for."""
    kept = "".join(sign for sign in text if sign == "\n" or sign.isprintable())
    return kept.encode("utf-8", "replace").decode("utf-8")
