"""What a window's run holds that counts, and the record that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aims_mlflow.capture.collect import capture_error
from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.checks.case import WINDOW
from aims_mlflow.checks.live import GRACE, PENDING
from aims_mlflow.config.monitoring import span
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import (
    AlarmState,
    CaptureErrorRecord,
    DriftEvidence,
    EvidenceBase,
    EvidenceStatus,
    FairnessEvidence,
    MonitoringWindow,
    RunRef,
    Verdict,
    canonical_json,
)
from aims_mlflow.monitoring.served import Served
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import Window

_MOST_MISSING = 50
_METHOD = (
    "Windows lie edge to edge from the start of the Unix epoch (UTC). Expected is every window since the first; alarms "
    "are judged over the numbers of all windows filed."
)

_WHY = {
    "unreadable": "without a time that can be read",
    "early": "dated before the version was there",
    "ahead": "dated in the future",
}
_AREA = {
    "drift": "drift",
    "data_quality": "quality",
    "performance": "performance",
    "estimated_performance": "estimated",
    "fairness": "fairness",
    "trace_window": "traces",
}
"""Kind of evidence to the first part of its numbers' names."""

Slot = tuple[str, ...]


def slot_of(record: EvidenceBase) -> Slot:
    """What a record of a window is about: of two with the same slot the later one counts."""
    kind = str(getattr(record, "kind", "custom"))
    if isinstance(record, CaptureErrorRecord):
        return (record.of_kind,)  # a measurement made later takes its place, and it takes that of one that was made
    return (kind,)


def is_same(one: EvidenceBase, other: EvidenceBase) -> bool:
    """Whether two records say the same, whenever they were made, and whatever salt hid the labels of groups."""
    one = one.model_copy(update={"captured_at": other.captured_at})
    if isinstance(one, FairnessEvidence) and isinstance(other, FairnessEvidence):
        return _without_labels(one).digest == _without_labels(other).digest
    return one.digest == other.digest


def _says_no_more(new: EvidenceBase, held: EvidenceBase) -> bool:
    """Whether a record adds nothing to the one that counts.

    So it is where both say the same, and where a comparison of the same batch says of fewer columns what the one on
    record says of them too: the outcomes that came in between are not forgotten because the batch is filed again.
    """
    if is_same(new, held):
        return True
    if not isinstance(new, DriftEvidence) or not isinstance(held, DriftEvidence):
        return False
    alike = new.current.sha256 is not None and (new.current, new.reference) == (held.current, held.reference)
    return alike and new.share_limit == held.share_limit and set(new.columns) < set(held.columns)


def _without_labels(record: FairnessEvidence) -> FairnessEvidence:
    """Labels are hashed with a salt that is forgotten, so that no two records agree on them."""
    groups = sorted((g.model_copy(update={"group": ""}) for g in record.groups), key=lambda g: canonical_json(g))
    gaps = [d.model_copy(update={"lowest_group": None, "highest_group": None}) for d in record.disparities]
    return record.model_copy(update={"groups": tuple(groups), "disparities": tuple(gaps)})


def current_of(held: Sequence[EvidenceBase]) -> MonitoringWindow | None:
    """The window's record that counts: the latest."""
    found = [r for r in held if isinstance(r, MonitoringWindow)]
    return max(found, key=lambda r: (r.captured_at, r.digest), default=None)


def merged(
    held: Sequence[EvidenceBase], new: Sequence[EvidenceBase]
) -> tuple[tuple[EvidenceBase, ...], list[EvidenceBase]]:
    """The measurements that count once ``new`` ones are taken in, and those of them that are not on record.

    A new one that says what the current one says is not taken in. One of another batch does away with the measurements
    that were made of the batch before and are not made anew, such as of its labels.
    """
    latest: dict[Slot, EvidenceBase] = {}
    for record in sorted(held, key=lambda r: (r.captured_at, r.digest)):
        if not isinstance(record, MonitoringWindow):
            latest[slot_of(record)] = record
    counted = current_of(held)
    known = set(counted.measured) if counted is not None else set()
    # What the record left out was of another batch; what it does not know was filed by another process since.
    current = {
        slot: r
        for slot, r in latest.items()
        if r.digest in known or counted is None or r.captured_at > counted.captured_at
    }
    added = [r for r in new if slot_of(r) not in current or not _says_no_more(r, current[slot_of(r)])]
    added = [r for r in added if r.digest not in {c.digest for c in current.values()}]
    contents = {content for r in new if (content := _content(r)) is not None}
    slots = {slot_of(r) for r in new}
    latest_new = {slot_of(r): r for r in added}
    added = [r for r in added if latest_new[slot_of(r)] is r]
    kept = tuple(
        r
        for slot, r in current.items()
        if slot in slots or not contents or _content(r) is None or _content(r) in contents
    )
    gone = {slot_of(r) for r in added}
    return tuple(r for r in kept if slot_of(r) not in gone), added


def lost_of(held: Sequence[EvidenceBase], served: Served, run_id: str, at: datetime) -> list[EvidenceBase]:
    """An error for each measurement that counted and is not there any more, so that it is not taken for never made."""
    counted = current_of(held)
    there = {r.digest for r in held}
    gone = {kind for digest, kind in (counted.measured if counted else {}).items() if digest not in there}
    subject = served.subject.model_copy(update={"run": RunRef(run_id=run_id)})
    error = EvidenceError("evidence that was on record is absent or altered")
    return [capture_error(kind, "reading it back", error, subject=subject, at=at) for kind in sorted(gone)]


def _content(record: EvidenceBase) -> str | None:
    """Digest of the batch a measurement was made of; None where it names none."""
    dataset = getattr(record, "dataset", None) or getattr(record, "current", None)
    return getattr(dataset, "sha256", None)


def window_record(
    served: Served,
    window: Window,
    current: Sequence[EvidenceBase],
    states: Sequence[AlarmState],
    *,
    run: RunRef,
    at: datetime,
    expected_from: datetime,
    missing: Sequence[Window],
    pending: Sequence[Window],
    superseded: int,
    numbers: WindowNumbers,
    **facts: Any,
) -> MonitoringWindow:
    """The record of a window.

    Args:
        served: The version.
        window: The window.
        current: The measurements that count.
        states: How the rules stand after it.
        run: The window's run.
        at: When it is made.
        expected_from: Start of the first window expected.
        missing: Windows before it that never came, oldest first.
        pending: Windows before it that may still come in time.
        superseded: Measurements on record that count no more.
        numbers: The window's numbers.
        facts: Further fields of the record.
    """
    verdict, reason = _verdict(current, states, missing, ruled=_ruled(served), rows=facts.get("rows"))
    left_out = {n.removeprefix("rows."): int(v) for n, v in numbers.numbers.items() if n.startswith("rows.")}
    if left_out:
        told = ", ".join(f"{count} {_WHY.get(name, name)}" for name, count in sorted(left_out.items()))
        reason = f"{reason} Rows that belong to no window: {told}."
    if superseded:
        more = "measurements of the window stay" if superseded > 1 else "measurement of the window stays"
        reason = (
            f"{reason} {superseded} earlier {more} on record and {'count' if superseded > 1 else 'counts'} no more."
        )
    return MonitoringWindow(
        collector=COLLECTOR,
        captured_at=at,
        subject=served.subject.model_copy(update={"run": run}),
        method=_METHOD,
        parameters={
            WINDOW: window.name,
            GRACE: int(span(served.policy.grace).total_seconds()),
            **({PENDING: [w.start.isoformat() for w in pending]} if pending else {}),
        },
        verdict=verdict,
        reason=reason,
        numbers={k: v for k, v in sorted(numbers.numbers.items()) if not k.startswith("drift.column.")},
        window=window.ref,
        length_seconds=int(window.length.total_seconds()),
        expected_from=expected_from,
        missing=tuple(w.ref for w in missing[-_MOST_MISSING:]),
        missing_count=len(missing),
        measured={r.digest: str(getattr(r, "kind", "custom")) for r in current},
        alarms=tuple(states),
        **facts,
    )


def _verdict(
    current: Sequence[EvidenceBase],
    states: Sequence[AlarmState],
    missing: Sequence[Window],
    *,
    ruled: frozenset[str],
    rows: int | None,
) -> tuple[Verdict, str]:
    """The window's verdict; a measurement that failed is a breach where no rule says when it is one."""
    by_verdict: Mapping[Verdict, list[str]] = {
        verdict: [_named(r) for r in current if r.verdict is verdict and r.status is EvidenceStatus.OK]
        for verdict in Verdict
    }
    errors = [_named(r) for r in current if r.status is EvidenceStatus.ERROR]
    failed, uncertain = by_verdict[Verdict.FAIL], by_verdict[Verdict.UNCERTAIN]
    free = {_named(r) for r in current if _AREA.get(str(getattr(r, "kind", ""))) not in ruled}
    breaches, open_ = [name for name in failed if name in free], [name for name in uncertain if name in free]
    judged = [*by_verdict[Verdict.PASS], *failed, *uncertain, *by_verdict[Verdict.RECORDED]]
    standing = [s.rule for s in states if s.state in ("alarm", "recovering")]
    unknown = [s.rule for s in states if s.state == "unknown"]
    told = _told(by_verdict, errors)
    if standing or missing or breaches:
        why = []
        if standing:
            why.append(f"{'alarms' if len(standing) > 1 else 'the alarm'} {', '.join(standing)} "
                       f"stand{'' if len(standing) > 1 else 's'}")  # fmt: skip
        if missing:
            why.append(_missing_words(missing))
        if breaches:
            why.append(f"{', '.join(breaches)} failed, and no rule says from when on that is an alarm")
        return Verdict.FAIL, f"{_sentence('; '.join(why))} {told}"
    if errors or unknown:
        hidden = [*(f"{name} could not be measured" for name in errors), *(f"{u} is not known" for u in unknown)]
        return Verdict.UNCERTAIN, f"{_sentence('; '.join(hidden))} {told}"
    if not judged:
        empty = "the window is empty" if rows == 0 else "nothing of it could be judged"
        return Verdict.NOT_TESTED, f"{_sentence(empty)} {told}"
    if open_:
        return Verdict.UNCERTAIN, f"{_sentence(', '.join(open_) + ' uncertain, and no rule says more')} {told}"
    return Verdict.PASS, f"No alarm stands and no window is missing. {told}"


def _ruled(served: Served) -> frozenset[str]:
    """Areas whose numbers a rule names."""
    return frozenset(rule.number.partition(".")[0] for rule in served.policy.rules)


def _told(by_verdict: Mapping[Verdict, Sequence[str]], errors: Sequence[str]) -> str:
    words = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.UNCERTAIN: "uncertain",
             Verdict.NOT_TESTED: "not tested", Verdict.RECORDED: "recorded"}  # fmt: skip
    parts = [f"{', '.join(sorted(by_verdict[v]))} {word}" for v, word in words.items() if by_verdict[v]]
    parts += [f"{', '.join(sorted(errors))} not measured"] if errors else []
    return f"Measured: {'; '.join(parts)}." if parts else "Nothing was measured."


def _named(record: EvidenceBase) -> str:
    kind = record.of_kind if isinstance(record, CaptureErrorRecord) else str(getattr(record, "kind", "custom"))
    return kind.replace("_", " ")


def _missing_words(missing: Sequence[Window]) -> str:
    first = ", ".join(w.name for w in missing[-3:])
    more = f" and {len(missing) - 3} before" if len(missing) > 3 else ""
    return f"{len(missing)} {'windows are' if len(missing) > 1 else 'window is'} missing ({first}{more})"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
