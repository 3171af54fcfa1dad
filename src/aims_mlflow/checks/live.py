"""Checks of live operation: windows that came, windows that did not, alarms that stand."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import ClassVar

from aims_mlflow.assessment import CheckResult, Ground, Outcome
from aims_mlflow.checks.case import Case, Item
from aims_mlflow.checks.judging import Judgement, by_presence, by_verdict, judge
from aims_mlflow.checks.records import is_fact
from aims_mlflow.config.monitoring import MonitoringPolicy, span
from aims_mlflow.evidence import EvidenceStatus, MonitoringWindow, Verdict, WindowRef

PENDING = "pending"
"""Parameter of a window's record: starts of earlier windows that might still have come in time when it was made."""
GRACE = "grace_seconds"
_STANDING = ("alarm", "recovering")
_MANY = 1_000


class WindowsWatched:
    """Live use is watched: the latest window was judged, none is missing and no alarm stands."""

    id: ClassVar[str] = "MW001"
    arguments: ClassVar[tuple[str, ...]] = ()

    def check(self, case: Case) -> CheckResult:
        """Deal with what the alarm names; file windows that are missing, with an empty batch where nothing came.

        Records of other kinds count by their own verdict.
        """
        own = [i for i in case.pool.own("monitoring_window") if isinstance(i.record, MonitoringWindow)]
        newest = max(own, key=_place, default=None)

        def counts(item: Item) -> bool:
            if isinstance(item.record, MonitoringWindow):
                return newest is None or item.foreign != "" or item is newest
            return not is_fact(item)

        def rule(item: Item) -> Judgement:
            if isinstance(item.record, MonitoringWindow):
                return _judge_window(item, item.record, case)
            return by_verdict(item)

        found = judge(case, rule, matches=counts)
        if found.outcome is not Outcome.PASS or newest is None or not isinstance(newest.record, MonitoringWindow):
            return found
        due = _next_due(newest.record, _grace(newest.record, case))
        if newest.digest not in found.evidence or (found.valid_until is not None and found.valid_until <= due):
            return found
        return found.model_copy(update={"valid_until": due, "until_ground": Ground.EVIDENCE})


class UseOnRecord:
    """Live use is on record, whatever it showed."""

    id: ClassVar[str] = "MW002"
    arguments: ClassVar[tuple[str, ...]] = ()

    def check(self, case: Case) -> CheckResult:
        """File a window of live use, `aims monitor MODEL DATA`, or record the use yourself.

        Records of other kinds count as EV001 counts them.
        """
        own = [i for i in case.pool.own("monitoring_window") if isinstance(i.record, MonitoringWindow)]
        newest = max(own, key=_place, default=None)

        def counts(item: Item) -> bool:
            return not isinstance(item.record, MonitoringWindow) or item.foreign != "" or item is newest

        def rule(item: Item) -> Judgement:
            record = item.record
            if not isinstance(record, MonitoringWindow):
                return by_presence(item)
            if record.verdict is Verdict.NOT_TESTED:
                return by_verdict(item)
            return Outcome.PASS, f"the window {_named(record.window)} is on record, {record.rows or 0} rows"

        return judge(case, rule, matches=counts)


def _place(item: Item) -> tuple[datetime, datetime, str]:
    record = item.record
    end = record.window.end if isinstance(record, MonitoringWindow) else record.captured_at
    return end, record.captured_at, item.digest


def _judge_window(item: Item, record: MonitoringWindow, case: Case) -> Judgement:
    standing = [alarm for alarm in record.alarms if alarm.state in _STANDING]
    if standing:
        first = standing[0]
        more = f" (and {len(standing) - 1} more)" if len(standing) > 1 else ""
        return Outcome.FAIL, f"the alarm {first.rule} stands{more}: {first.reason.rstrip('.') or first.number}"
    missing, count = _missing(record, case)
    if count:
        shown = ", ".join(_named(ref) for ref in missing[-3:])
        more = f" and {count - min(3, len(missing))} more" if count > min(3, len(missing)) else ""
        return Outcome.FAIL, f"{count} {'windows are' if count > 1 else 'window is'} missing: {shown}{more}"
    if record.status is EvidenceStatus.ERROR:
        return Outcome.ERROR, "the window could not be judged"
    return by_verdict(item)


def _missing(record: MonitoringWindow, case: Case) -> tuple[list[WindowRef], int]:
    """Windows that never came: before the latest one on record, and since; those named, and how many there are."""
    length, grace = timedelta(seconds=record.length_seconds), _grace(record, case)
    at = case.pool.at
    named, count = list(record.missing), record.missing_count
    late = [WindowRef(start=start, end=start + length) for start in _pending(record) if start + length + grace < at]
    gone = max(0, (at - grace - record.window.end) // length) if at - grace > record.window.end else 0
    first = max(0, gone - _MANY)
    since = [
        WindowRef(start=record.window.end + n * length, end=record.window.end + (n + 1) * length)
        for n in islice(range(first, gone), _MANY)
    ]
    return [*named, *late, *since], count + len(late) + gone


def _next_due(record: MonitoringWindow, grace: timedelta) -> datetime:
    """When the next window is missing if nothing comes; what still may come before it counts as well."""
    length = timedelta(seconds=record.length_seconds)
    starts = [record.window.end, *_pending(record)]
    try:
        return min(starts) + length + grace
    except OverflowError:
        return datetime.max.replace(tzinfo=record.window.end.tzinfo)


def _pending(record: MonitoringWindow) -> list[datetime]:
    given = record.parameters.get(PENDING)
    return [datetime.fromisoformat(str(text)) for text in given] if isinstance(given, list) else []


def _grace(record: MonitoringWindow, case: Case) -> timedelta:
    """As declared; as it was when the window was filed where nothing is declared here."""
    policy = case.pool.declaration.monitoring
    if policy is not None:
        return span(policy.grace)
    seconds = record.parameters.get(GRACE)
    return timedelta(seconds=seconds) if isinstance(seconds, int) else span(MonitoringPolicy().grace)


def _named(ref: WindowRef) -> str:
    if ref.start.time() == ref.end.time() == datetime.min.time():
        last = ref.end - timedelta(days=1)
        same = last.date() == ref.start.date()
        return f"{ref.start:%Y-%m-%d}" if same else f"{ref.start:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{ref.start:%Y-%m-%d %H:%M} to {ref.end:%Y-%m-%d %H:%M}"
