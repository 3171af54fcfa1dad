"""The risk register in tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aims_mlflow.cli import terminal

if TYPE_CHECKING:
    from aims_mlflow.management.risk_register import RiskLine, RiskRegister
    from aims_mlflow.management.state import Filed
    from aims_mlflow.managing.risk_rules import RiskUpdate


def plain_line(line: RiskLine) -> dict[str, Any]:
    """A risk as JSON."""
    record, content = line.filed.record, line.content
    return {
        "id": line.id,
        "revision": record.revision,
        "systems": list(line.systems),
        "high_risk_system": line.is_high_risk,
        "owner": record.owner,
        "level": content.level if content else None,
        "left": content.left if content else None,
        "band": line.band.name if line.band else None,
        "overdue": line.is_overdue,
        "wanting": [fault.model_dump(mode="json", exclude={"risk"}) for fault in line.faults],
        **(content.model_dump(mode="json") if content else {}),
        "digest": record.digest,
        "run_id": line.filed.run_id,
    }


def plain_register(register: RiskRegister, shown: list[RiskLine], system: str | None) -> dict[str, Any]:
    """The register as JSON."""
    systems = [system] if system else sorted({name for line in register.lines for name in line.systems})
    return {
        "at": register.at.isoformat(),
        "tolerable": register.criteria.tolerable,
        "risks": [plain_line(line) for line in shown],
        "summary": [register.summary(one).model_dump(mode="json") for one in (*systems, None)],
        "broken": [fault.model_dump(mode="json") for fault in register.broken],
    }


def print_register(register: RiskRegister, shown: list[RiskLine], system: str | None) -> None:
    """A table of risks, what is broken, and the sums."""
    if not register.lines:
        terminal.say_plain("No risk is on record. Open one: aims risk open --title ... --source ...")
    elif not shown:
        terminal.say_plain("No risk of that sort is on record.")
    else:
        made = terminal.table("Id", "Level", "Title", "System", "Status", "Review by", "Wanting")
        made.columns[1].no_wrap = True
        for line in shown:
            about = ", ".join(line.systems) or "organization"
            about += " (high-risk)" if line.is_high_risk else ""
            terminal.rows(made, [[line.id, _level(line), _title(line), about, _status(line), _due(line), _why(line)]])
        terminal.say(made)
    for fault in register.broken:
        terminal.say(terminal.badge("✗", f"{fault}. {fault.remedy}", "err"))
    _print_sums(register, system)


def _print_sums(register: RiskRegister, system: str | None) -> None:
    live = [line for line in register.lines if line.is_live]
    overdue = sum(line.is_overdue for line in live)
    wanting = sum(bool(line.faults) for line in register.lines)
    about = f" that bear on {system}" if system else ""
    terminal.say_plain(
        f"{terminal.counted(len(live), 'live risk')}{about}, {overdue} overdue, {wanting} with something wanting;"
        f" tolerable without treatment up to level {register.criteria.tolerable} of 25."
    )


def _level(line: RiskLine) -> Any:
    if line.content is None or line.band is None:
        return terminal.badge("✗", "unreadable", "err")
    look = {"severe": "bad", "high": "bad", "moderate": "unc"}.get(line.band.name, "")
    return terminal.cell(f"{line.content.left} {line.band.name}", {"bad": "bold red", "unc": "yellow"}.get(look, ""))


def _title(line: RiskLine) -> str:
    return line.content.title if line.content else "-"


def _status(line: RiskLine) -> str:
    if line.content is None:
        return "-"
    accepted = ", accepted" if line.content.accepted_by else ""
    return f"{line.content.status}, {line.content.treatment}{accepted}"


def _due(line: RiskLine) -> Any:
    if line.content is None:
        return "-"
    day = str(line.content.review_by)
    return terminal.badge("✗", f"{day} overdue", "bad") if line.is_overdue else day


def _why(line: RiskLine) -> str:
    return "; ".join(fault.what for fault in line.faults) or "-"


def print_line(line: RiskLine) -> None:
    """One risk whole."""
    record, content = line.filed.record, line.content
    terminal.say_plain(f"risk {line.id}, revision {record.revision}, owner {record.owner}")
    if content is not None:
        made = terminal.table("Field", "Value")
        made.show_header = False
        band = line.band.name if line.band else ""
        facts = {
            "Title": content.title,
            "About": ", ".join(line.systems) or "the organization",
            "Source": content.source,
            "Event": content.event,
            "Affects": ", ".join(content.affects),
            "Level": f"{content.level} (likelihood {content.likelihood} x consequence {content.consequence})",
            "Left": f"{content.left} ({band})",
            "Treatment": content.treatment,
            "Actions": "; ".join(content.actions),
            "Controls": ", ".join(content.controls),
            "Accepted": f"by {content.accepted_by} on {content.accepted_on}" if content.accepted_by else "",
            "Because": content.accepted_because or "",
            "Status": content.status,
            "Results": content.results,
            "Review by": str(content.review_by),
            "Opened by": f"rule {content.opened_by}" if content.opened_by else "",
            "Versions": ", ".join(content.versions),
            "Evidence": ", ".join(digest[:19] for digest in content.evidence),
            "Not weighed": "; ".join(content.news),
            "Log": "\n".join(content.log),
        }
        terminal.say(terminal.rows(made, [[name, value] for name, value in facts.items() if value]))
    for fault in line.faults:
        terminal.say(terminal.badge("✗", f"{fault.what}. Next: {fault.remedy}", "bad"))
    if not line.faults:
        terminal.say(terminal.badge("✓", "Nothing is wanting."))


def print_filed(filed: Filed, what: str, *, as_json: bool) -> None:
    """What was filed, in a line."""
    record = filed.record
    if as_json:
        terminal.say_json(record.model_dump(mode="json") | {"link": record.link, "digest": record.digest})
        return
    about = ", ".join(record.systems) or "the organization"
    review = record.content.get("review_by")
    terminal.say_plain(
        f"{what}: risk {record.id} of {about}, revision {record.revision}, owner {record.owner}, review by {review}"
        f" (run {filed.run_id})"
    )


def print_update(done: RiskUpdate, *, as_json: bool) -> None:
    """What an update by rule came to."""
    if as_json:
        terminal.say_json(
            {
                "opened": [one.record.id for one in done.opened],
                "revised": [one.record.id for one in done.revised],
                "failures": [
                    {"kind": s.rule, "system": s.system, "version": s.version, "evidence": s.evidence}
                    for s in done.standing
                ],
                "versions": done.versions,
                "unread": list(done.unread),
                "undeclared": list(done.undeclared),
            }
        )
        return
    for one in done.opened:
        print_filed(one, "opened", as_json=False)
    for one in done.revised:
        print_filed(one, "revised", as_json=False)
    for text in done.unread:
        terminal.say(terminal.badge("✗", f"not read: {text}", "err"))
    if done.undeclared:
        named = ", ".join(done.undeclared[:5]) + (" ..." if len(done.undeclared) > 5 else "")
        terminal.say_plain(f"note: no risk is kept for models of no system: {named}", error=True)
    terminal.say_plain(
        f"{terminal.counted(done.versions, 'version')} in service read,"
        f" {terminal.counted(len(done.standing), 'confirmed failure')}, {len(done.opened)} opened,"
        f" {len(done.revised)} revised."
    )


def print_sources(*, as_json: bool) -> None:
    """The vocabulary of sources."""
    from aims_mlflow.management.risks import risk_data

    sources = risk_data().sources
    if as_json:
        terminal.say_json({name: one.model_dump(mode="json") for name, one in sources.items()})
        return
    made = terminal.table("Word", "Title", "What it is")
    terminal.say(terminal.rows(made, [[name, one.title, one.about] for name, one in sources.items()]))
