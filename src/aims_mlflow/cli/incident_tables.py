"""What ``aims incident`` and ``aims nonconformity`` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aims_mlflow.cli import terminal

if TYPE_CHECKING:
    from aims_mlflow.management.incident_clocks import Clock
    from aims_mlflow.management.incident_log import CaseLog, Logged
    from aims_mlflow.managing.freezing import FrozenCheck
    from aims_mlflow.managing.incidents import Incident
    from aims_mlflow.registry.holds import HoldStep

_CLOCKS = {
    "met": ("✓", ""),
    "late": ("▲", "unc"),
    "running": ("◇", "ask"),
    "overdue": ("✗", "bad"),
    "not due": ("○", "none"),
}
_STATUS = {"open": ("✗", "bad"), "contained": ("▲", "unc"), "closed": ("✓", "")}


def plain_incident(one: Incident) -> dict[str, Any]:
    """For machines."""
    plain = one.logged.plain()
    plain["holds"] = [{"model": s.model, "state": s.state, "entry": s.number} for s in one.holds]
    if one.frozen:
        plain["frozen"] = [
            {"version": f.version.uri, "model": f.model, "evidence": f.evidence, "holds": f.holds} for f in one.frozen
        ]
    return plain


def plain_log(log: CaseLog, shown: Sequence[Logged]) -> dict[str, Any]:
    """For machines."""
    return {
        "kind": log.kind,
        "at": f"{log.at:%Y-%m-%dT%H:%M:%SZ}",
        "cases": [one.plain() for one in shown],
        "overdue": list(log.overdue),
        "withdrawn": list(log.withdrawn),
        "unreadable": [{"record": f"{p.type}:{p.id}", "what": p.what, "remedy": p.remedy} for p in log.problems],
        "last_used": f"{log.last_used:%Y-%m-%dT%H:%M:%SZ}" if log.last_used else None,
        "next_due": f"{log.next_due:%Y-%m-%dT%H:%M:%SZ}" if log.next_due else None,
    }


def print_step(word: str, one: Logged, holds: Sequence[HoldStep] = ()) -> None:
    """What a command came to: the state now, the clocks, what is held, what is still to do."""
    terminal.say_plain(f"{word}: {one.id} ({one.weight}, {one.content.status}): {one.content.title}")
    for clock in one.clocks:
        terminal.say(_clock(clock))
    for step in holds:
        entry = f" (entry {step.number} of its log)" if step.number else ""
        terminal.say_plain(f"{step.state}: {step.model}{entry}")
    if one.holds and not holds and word in {"opened", "updated"}:
        terminal.say_plain("note: no registered model belongs to its systems, so none is held")
    to_close = [] if one.content.is_closed else list(one.content.lacking())
    if to_close:
        terminal.say_plain(f"To close it: {'; '.join(to_close)}.")


def print_log(log: CaseLog, shown: Sequence[Logged]) -> None:
    """The log: what is overdue first, then each line."""
    noun = terminal.counted(len(log.cases), log.kind, "incidents" if log.kind == "incident" else "nonconformities")
    used = f"last entry or review {log.last_used:%Y-%m-%d}" if log.last_used else "nobody ever looked at it"
    terminal.say_plain(f"{noun} on file, {len(log.open)} open; {used}.")
    for what in log.overdue:
        terminal.say(terminal.badge("✗", f"overdue: {what}", "bad"))
    for problem in log.problems:
        terminal.say(terminal.badge("✗", f"cannot be read: {problem}", "err"))
    if not shown:
        return
    headers = ["Id", "Status", "Severity" if log.kind == "incident" else "Grade", "Title", "Owner", "Due"]
    made = terminal.table(*headers)
    for one in shown:
        symbol, look = _STATUS[one.content.status]
        due = [clock.in_words for clock in one.clocks]
        due += [f"action {n}: {a.due:%Y-%m-%d}" for n, a in enumerate(one.content.actions, 1) if a.done_at is None]
        status = terminal.badge(symbol, one.content.status, look)
        line = [one.weight, one.content.title, one.record.owner, "; ".join(due) or "-"]
        terminal.rows(made, [[one.id, status, *line]])
    terminal.say(made)


def print_one(one: Logged, frozen: Sequence[FrozenCheck] = ()) -> None:
    """Everything on record of one, with what follows from it now."""
    content, record = one.content, one.record
    symbol, look = _STATUS[content.status]
    terminal.say(terminal.badge(symbol, f"{one.id} ({one.weight}, {content.status}): {content.title}", look))
    about = ", ".join(record.systems) or "the organization"
    lines = [f"Owner {record.owner}; about {about}; revision {record.revision}"]
    lines.append(f"Known since {content.known_since:%Y-%m-%d %H:%M} UTC" + _more(one))
    lines += [f"{name}: {text}" for name, text in _told(one) if text]
    terminal.say_plain("\n".join(lines))
    for clock in one.clocks:
        terminal.say(_clock(clock))
    for number, action in enumerate(content.actions, 1):
        done = f"done {action.done_at:%Y-%m-%d}" if action.done_at else f"due {action.due:%Y-%m-%d}"
        bad = any(what.startswith(f"{one.id}: action {number},") for what in one.overdue)
        text = f"action {number} ({action.owner}, {'overdue, ' if bad else ''}{done}): {action.what}"
        terminal.say(terminal.badge("✓" if action.done_at else "✗" if bad else "◇", text, "bad" if bad else ""))
    for check in frozen:
        text = f"frozen {check.version.uri}: {check.in_words}"
        terminal.say(terminal.badge("✓" if check.holds else "✗", text, "" if check.holds else "bad"))
    if content.log:
        made = terminal.table("When", "By", "What")
        terminal.rows(made, [[f"{line.at:%Y-%m-%d %H:%M}", line.by or "-", line.what] for line in content.log])
        terminal.say(made)
    to_close = [] if content.is_closed else list(content.lacking())
    if to_close:
        terminal.say_plain(f"To close it: {'; '.join(to_close)}.")


def _more(one: Logged) -> str:
    from aims_mlflow.management.incidents import IncidentContent

    if not isinstance(one.content, IncidentContent):
        return f"; not met: {', '.join(one.content.rows)}; found by {one.content.found_by}"
    parts = [f"harm: {one.content.harm}", *(["widespread"] if one.content.widespread else [])]
    if one.content.occurred_at:
        parts.append(f"occurred {one.content.occurred_at:%Y-%m-%d %H:%M} UTC")
    parts += [f"{n.kind} notice to {n.to} {n.at:%Y-%m-%d %H:%M} UTC" for n in one.content.notices]
    return "; " + "; ".join(parts)


def _told(one: Logged) -> list[tuple[str, str | None]]:
    content = one.content
    check = content.effectiveness
    worked = None
    if check is not None:
        word = "effective" if check.effective else "not effective"
        worked = f"{word} ({check.by}, {check.at:%Y-%m-%d}): {check.how}"
    return [
        ("Correction", content.correction),
        ("Cause", content.cause),
        ("No action needed", content.no_action_reason),
        ("Checked", worked),
        ("Opened by rule", content.opened_by),
    ]


def _clock(clock: Clock) -> Any:
    symbol, look = _CLOCKS[clock.state]
    return terminal.badge(symbol, f"{clock.ref}, {clock.days} days ({clock.case}): {clock.in_words}", look)
