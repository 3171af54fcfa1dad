"""The one way a window becomes evidence: claimed, delivered, judged over the whole history, and the version with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aims_mlflow.assessment import Assessment
from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.checks.case import WINDOW
from aims_mlflow.config import MonitoringPolicy, Settings
from aims_mlflow.config.monitoring import span
from aims_mlflow.delivery import deliver
from aims_mlflow.delivery.locks import lock_of
from aims_mlflow.errors import AimsError, DeliveryError
from aims_mlflow.evidence import (
    AlarmState,
    CaptureErrorRecord,
    EvidenceBase,
    MonitoringWindow,
    RunRef,
    Verdict,
    WindowRef,
    now,
)
from aims_mlflow.monitoring.record import current_of, is_same, lost_of, merged, slot_of, window_record
from aims_mlflow.monitoring.served import Served
from aims_mlflow.operation.alarms import judge
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import Window, missing_windows
from aims_mlflow.series import FiledWindow, WindowStore, numbers_of

_log = logging.getLogger("aims_mlflow")

_TRIES = 4
"""Times a window is judged again when another process filed into it at the same moment."""


@dataclass(frozen=True)
class WindowResult:
    """What became of a window."""

    window: Window
    run_id: str
    """The monitoring run, whose artifacts hold the evidence."""
    record: MonitoringWindow
    """What was expected, what came, what was measured, which alarms stand."""
    evidence: tuple[EvidenceBase, ...] = ()
    """The window's measurements that count."""
    changed: bool = True
    """False where all of it was on record already."""
    assessment: Assessment | None = None
    """The version judged anew; None where nothing changed, or that could not be done (a warning says why)."""
    spooled: Path | None = None
    """Where the evidence waits, if the server went away; `aims flush` delivers it."""
    notes: tuple[str, ...] = ()
    """What the caller should know besides."""
    followed: Any = None
    """What came of the alarms: incidents, risks, messages."""
    earlier: tuple[WindowResult, ...] = ()
    """Earlier windows the same batch held rows of, oldest first."""

    @property
    def verdict(self) -> Verdict:
        """The window's."""
        return self.record.verdict

    @property
    def alarms(self) -> tuple[AlarmState, ...]:
        """How each rule stands after the latest window."""
        return self.record.alarms

    @property
    def missing(self) -> tuple[WindowRef, ...]:
        """Windows before this one that never came."""
        return self.record.missing


@dataclass(frozen=True)
class _Facts:
    """What is known of the window besides its measurements."""

    rows: int | None = None
    parts: int = 1
    late_rows: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    profile_sha256: str | None = None
    reference_sha256: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


def file_window(
    served: Served,
    window: Window,
    measured: Sequence[EvidenceBase],
    *,
    rows: int | None,
    parts: int = 1,
    late_rows: int = 0,
    labels: Mapping[str, int] | None = None,
    profile_sha256: str | None = None,
    reference_sha256: str | None = None,
    settings: Settings | None = None,
    client: Any,
    counts: Mapping[str, int] | None = None,
    assess: bool = True,
) -> WindowResult:
    """File what was measured of a window.

    The window has one run, whoever files it and however often. Measurements that are on record already change nothing;
    others take the place of those of their kind, which stay on record. All rules are then judged over the whole history
    of the version, the window's record is written, what the alarms ask for is done, and the version is assessed anew.

    Args:
        served: The version.
        window: The window.
        measured: Its measurements.
        rows: Rows it holds; None where that is not known (traces).
        parts: Replicas' parts or batches it was put together from.
        late_rows: Rows dated outside it that were left out.
        labels: Counts of the join with labels.
        profile_sha256: Digest of the window's profile.
        reference_sha256: Digest of the reference it was held against: of the version's reference profile, or of a
            dataset's full content.
        settings: The declaration; the served version's where None.
        client: An ``MlflowClient``.
        counts: Rows that came and belong to no window, by why (``unreadable``, ``early``, ``ahead``).
        assess: False leaves the version as it is assessed.

    Raises:
        InputError: the reference is not the version's own.
        EvidenceError: a monitoring run or its experiment was deleted.
        DeliveryError: MLflow cannot be reached: nothing was filed.
    """
    served.check_reference(reference_sha256)
    if settings is not None and settings is not served.settings:
        served = replace(served, settings=settings)
    store = WindowStore(client, served.policy)
    run_id = store.claim(served.model, served.version, window, system_id=served.system_id)
    facts = _Facts(rows, parts, late_rows, dict(labels or {}), profile_sha256, reference_sha256, dict(counts or {}))
    with lock_of(run_id):
        result = _file(client, store, served, window, run_id, measured, facts)
    if result.spooled is not None or not result.changed:
        return result
    _judge_latest(client, store, served, window)
    result = replace(result, followed=_follow(client, served))
    if not assess:
        return result
    assessment, notes = _assess(client, served)
    return replace(result, assessment=assessment, notes=(*result.notes, *notes))


def _file(
    client: Any,
    store: WindowStore,
    served: Served,
    window: Window,
    run_id: str,
    measured: Sequence[EvidenceBase],
    facts: _Facts,
) -> WindowResult:
    """Add to the window's evidence and judge it; until what was judged is all there is."""
    run = RunRef(run_id=run_id)
    bound = [_bound(r, run, window) for r in measured]
    changed = False
    for _ in range(_TRIES):
        result, known = _file_once(client, store, served, window, run_id, bound, facts)
        changed = changed or result.changed
        if not result.changed or result.spooled is not None or {r.digest for r in _held(client, run_id)} <= known:
            return replace(result, changed=changed)
    raise DeliveryError("other writers did not leave the window alone", where=f"run {run_id}", remedy="File it again.")


def _bound(record: EvidenceBase, run: RunRef, window: Window) -> EvidenceBase:
    """A measurement, tied to the run and the window it is of: its age counts from the window's end."""
    subject = record.subject.model_copy(update={"run": run})
    return record.model_copy(update={"subject": subject, "parameters": {**record.parameters, WINDOW: window.name}})


def _file_once(
    client: Any,
    store: WindowStore,
    served: Served,
    window: Window,
    run_id: str,
    bound: Sequence[EvidenceBase],
    facts: _Facts,
) -> tuple[WindowResult, set[str]]:
    """One try; and the digests of all that was taken into account."""
    held = _held(client, run_id)
    before = current_of(held)
    at = _later_than(held)
    kept, added = merged(held, [*lost_of(held, served, run_id, at), *bound])
    added = [r if _is_later(r, held) else r.model_copy(update={"captured_at": at}) for r in added]
    current = tuple(sorted((*kept, *added), key=lambda r: (slot_of(r), r.digest)))
    judged = _judged(store, served, window, run_id, current, facts, before, at)
    record = window_record(
        served,
        window,
        current,
        judged.states,
        run=RunRef(run_id=run_id),
        at=at,
        expected_from=judged.expected_from,
        missing=judged.missing,
        pending=judged.pending,
        rows=facts.rows if facts.rows is not None else before.rows if before else None,
        parts=facts.parts,
        late_rows=facts.late_rows,
        labels=dict(facts.labels) or (before.labels if before else {}),
        profile_sha256=facts.profile_sha256 or (before.profile_sha256 if before else None),
        reference_sha256=facts.reference_sha256 or (before.reference_sha256 if before else None),
        superseded=_superseded(held, current),
        numbers=judged.numbers,
    )
    if before is not None and not added and is_same(record, before):
        _finish_if_torn(store, served, run_id, judged, before, current)
        return WindowResult(window, run_id, before, current, changed=False), set()
    delivery = deliver(client, run_id, [*added, record], served.settings, assess=False)
    result = WindowResult(window, run_id, record, current, spooled=delivery.spooled)
    if delivery.spooled is None:
        _write(store, served, run_id, judged, record, current)
    return result, {r.digest for r in (*held, *added, record)}


@dataclass(frozen=True)
class _Judged:
    """The whole history with this window in it, judged."""

    states: tuple[AlarmState, ...]
    numbers: WindowNumbers
    expected_from: datetime
    missing: tuple[Window, ...]
    pending: tuple[Window, ...]
    """Windows before this one that never came and may still come in time."""


def _judged(
    store: WindowStore,
    served: Served,
    window: Window,
    run_id: str,
    current: Sequence[EvidenceBase],
    facts: _Facts,
    before: MonitoringWindow | None,
    at: datetime,
) -> _Judged:
    policy = served.policy
    others = [one for one in store.history(served.model, served.version) if one.window != window]
    earlier = [one for one in others if one.window < window]
    expected_from, absent = _missing([one.window for one in others], window, policy)
    pending = [w for w in absent if w.end + span(policy.grace) >= at]
    missing = absent[: len(absent) - len(pending)]
    rows = facts.rows if facts.rows is not None else before.rows if before else None
    labels = dict(facts.labels) or (dict(before.labels) if before else {})
    extra: dict[str, float | None] = {
        "rows": rows,
        "late_rows": facts.late_rows,
        "windows.missing": len(missing),
        **{f"labels.{name}": count for name, count in labels.items()},
        **{f"rows.{name}": count for name, count in facts.counts.items()},
    }
    own = replace(numbers_of(window, current, extra), run_id=run_id)
    return _Judged(judge(policy.rules, [*earlier, own], missing), own, expected_from, tuple(missing), tuple(pending))


def _missing(others: Sequence[Window], window: Window, policy: MonitoringPolicy) -> tuple[datetime, list[Window]]:
    """From when windows are expected, and those before this one that never came.

    Windows of another length, from before the policy was changed, cover the time they span.
    """
    alike = [w for w in others if w.length == window.length]
    unlike = [w for w in others if w.length != window.length]
    start = policy.starts or min([w.start for w in others] + [window.start])
    missing = missing_windows([*alike, window], start=start, until=window.start, length=window.length)
    return start, [w for w in missing if not any(u.start <= w.start and w.end <= u.end for u in unlike)]


def _write(
    store: WindowStore,
    served: Served,
    run_id: str,
    judged: _Judged,
    record: MonitoringWindow,
    current: Sequence[EvidenceBase],
) -> None:
    kinds = sorted({str(getattr(r, "kind", "")) for r in current} | {record.kind})
    tags = {
        "aims.kinds": f",{','.join(kinds)},",
        "aims.status": str(record.verdict),
        "mlflow.note.content": record.reason,
        **{f"aims.alarm.{state.rule}": state.state for state in record.alarms},
    }
    store.write(run_id, judged.numbers, tags, at=record.captured_at, model_id=served.ref.model_id)


def _finish_if_torn(
    store: WindowStore,
    served: Served,
    run_id: str,
    judged: _Judged,
    record: MonitoringWindow,
    current: Sequence[EvidenceBase],
) -> None:
    """Evidence is on record and the tags that make it count may not be: the process died between the two."""
    run = store.client.get_run(run_id)
    if run.data.tags.get("aims.status") != str(record.verdict) or "aims.kinds" not in run.data.tags:
        _write(store, served, run_id, judged, record, current)


def _held(client: Any, run_id: str) -> tuple[EvidenceBase, ...]:
    """All evidence of the run, as whole as it is there."""
    store = RunStore(client, run_id)
    facts = store.facts()
    return store.holdings(facts, salvage=True).evidence if "aims.evidence" in facts.tags else ()


def _superseded(held: Sequence[EvidenceBase], current: Sequence[EvidenceBase]) -> int:
    """Measurements on record that count no more and say something else than those that do."""
    others = [r for r in held if not isinstance(r, MonitoringWindow) and not isinstance(r, CaptureErrorRecord)]
    return sum(not any(r.digest == c.digest or is_same(r, c) for c in current) for r in others)


def _is_later(record: EvidenceBase, held: Sequence[EvidenceBase]) -> bool:
    """Whether it was made after all that is on record."""
    return all(record.captured_at > r.captured_at for r in held)


def _later_than(held: Sequence[EvidenceBase]) -> datetime:
    """Now, but after all that was filed before: the latest record counts, whatever the clock says."""
    latest = max((r.captured_at for r in held), default=None)
    moment = now()
    return moment if latest is None or moment > latest else latest + timedelta(milliseconds=1)


def _judge_latest(client: Any, store: WindowStore, served: Served, window: Window) -> WindowResult | None:
    """Judge the latest window anew where an earlier one was filed: what was missing before it came."""
    found: list[FiledWindow] = store.filed(served.model, served.version, most=1)
    if not found or found[0].window <= window:
        return None
    latest = found[0]
    with lock_of(latest.run_id):
        return _file(client, store, served, latest.window, latest.run_id, (), _facts_of(client, latest.run_id))


def _facts_of(client: Any, run_id: str) -> _Facts:
    record = current_of(_held(client, run_id))
    if record is None:
        return _Facts()
    return _Facts(
        record.rows,
        record.parts,
        record.late_rows,
        record.labels,
        record.profile_sha256,
        record.reference_sha256,
        {
            name.removeprefix("rows."): int(n)
            for name, n in record.numbers.items()
            if name.startswith("rows.") and n is not None
        },
    )


def _follow(client: Any, served: Served) -> Any:
    """Do what the alarms ask for; that it could not be done costs a warning, and the alarm stands in the evidence."""
    from aims_mlflow.monitoring.consequences import follow

    return follow(served, client=client)


def _assess(client: Any, served: Served) -> tuple[Assessment | None, tuple[str, ...]]:
    """Assess the version anew, so that its tags say what is known now."""
    from aims_mlflow.registry.standing import assess

    try:
        return assess(served.uri, config=served.settings, tracking_uri=str(client.tracking_uri)), ()
    except Exception as error:  # noqa: BLE001  (the window is filed whatever becomes of the assessment)
        told = error.message if isinstance(error, AimsError) else type(error).__name__
        _log.warning("aims: %s was not assessed after its window was filed: %s", served.uri, told)
        _log.debug("aims: cause", exc_info=True)
        return None, (f"{served.uri} was not assessed: {told}",)


__all__ = ["COLLECTOR", "WindowResult", "file_window"]
