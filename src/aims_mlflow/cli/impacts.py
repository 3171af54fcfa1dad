"""``aims impact``: impact assessments on the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.entries import read_entry, required, together
from aims_mlflow.cli.exits import COULD_NOT_RUN, MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.management.impact import ImpactContent
    from aims_mlflow.management.impact_state import ImpactState
    from aims_mlflow.managing.impacts import Impacts

_BADGES = {
    "current": ("✓", ""),
    "stale": ("▽", "old"),
    "not acceptable": ("✗", "bad"),
    "incomplete": ("□", "unc"),
    "unreadable": ("✗", "err"),
    "not begun": ("□", "none"),
}


@click.group()
@debug_option
def impact() -> None:
    """File impact assessments, and see whether they still hold.

    An assessment is of one system and one version of its model, by content. It is stale once one of its triggers is
    pulled: a new source of data, another intended use, a new region, a new model version, a serious incident, or
    confirmed drift.
    """


def _place(command: Callable[..., Any]) -> Any:
    options = (
        click.option("--config", type=click.Path(path_type=Path), help="aims.yaml."),
        click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use."),
        json_option,
        debug_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@impact.command("new")
@click.option("--system", metavar="ID", help="The AI system; by default the one FILE names.")
@click.option(
    "--model", metavar="URI", help="models:/NAME/VERSION or models:/NAME@ALIAS; leave it out before there is a version."
)
@click.option("--from", "file", type=click.Path(path_type=Path), metavar="FILE", required=True, help="The outcome.")
@click.option("--owner", help="The one person or function that answers for it.")
@click.option("--approver", help="Who approved it.")
@click.option("--valid-until", metavar="DATE", help="Reviewed by; by default a year from now.")
@click.option("--id", "id_", metavar="ID", help="By default made from system and version.")
@click.option("--link", "links", multiple=True, metavar="TYPE:ID", help="Record it rests on; repeatable.")
@click.option("--document", metavar="FILE|URI", help="The report: a file, which is kept with it, or its address.")
@_place
@click.pass_context
def new(
    context: click.Context,
    /,
    system: str | None,
    model: str | None,
    file: Path,
    config: Path | None,
    tracking_uri: str | None,
    id_: str | None,
    *,
    as_json: bool,
    **given: Any,
) -> None:
    """File the outcome of an impact assessment.

    FILE is YAML with intended_use, misuse, regions, data_sources, data, model, environment, affected, effects,
    thresholds, conclusion ('acceptable', 'acceptable with measures' or 'not acceptable') and reason; owner, approver
    and valid_until may stand in it. The measured numbers are filled in from the version's evidence. Exit codes: 0 it
    holds, 1 something is wanting, or it was found not acceptable.
    """
    from aims_mlflow.managing.impacts import assess_impact

    entry = read_entry(file, "impact")
    named = ("owner", "approver", "valid_from", "valid_until", "links", "document", "id", "systems")
    said = together({name: entry.pop(name) for name in named if name in entry}, {**given, "id": id_})
    system, model = _about(system or said.pop("systems", None), model, entry)
    said.pop("systems", None)
    required(said, "owner")
    with terminal.working("Filing the assessment"):
        done = assess_impact(entry, system=system, model=model, config=config, tracking_uri=tracking_uri, **said)
    if as_json:
        terminal.say_json(_plain(done.state))
    else:
        record = done.filed.record
        terminal.say_plain(f"filed: impact {record.id}, revision {record.revision} (run {done.filed.run_id})")
        _print(done.state, judged_only=True)
        if model is None:
            terminal.say_plain("note: it is bound to no version, so it covers none", error=True)
    context.exit(MET if done.state.is_current else NOT_MET)


@impact.command("show")
@click.argument("id_", metavar="ID")
@as_of_option()
@_place
@click.pass_context
def show(
    context: click.Context,
    id_: str,
    as_of: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Show one assessment with its state and triggers.

    Exit codes: 0 it holds, 1 it is stale, incomplete or not acceptable, 2 it could not be read.
    """
    from aims_mlflow.managing.impacts import show_impact

    with terminal.working(f"Reading {id_}"):
        state = show_impact(id_, at=as_of, config=config, tracking_uri=tracking_uri)
    if as_json:
        terminal.say_json(_plain(state))
    else:
        _print(state)
    context.exit(COULD_NOT_RUN if state.content is None else MET if state.is_current else NOT_MET)


@impact.command("list")
@click.option("--system", metavar="ID", help="Only of this system.")
@as_of_option()
@_place
@click.pass_context
def list_(
    context: click.Context,
    system: str | None,
    as_of: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """List assessments with their state, and versions in service without one.

    Exit codes: 0 all hold and every version in service has one, 1 not so, 2 something could not be read.
    """
    from aims_mlflow.managing.impacts import search_impacts

    with terminal.working("Reading the assessments"):
        found = search_impacts(system=system, at=as_of, config=config, tracking_uri=tracking_uri)
    if as_json:
        terminal.say_json(
            {
                "assessments": [_plain(state) | {"in_use": state.id not in found.idle} for state in found.states],
                "uncovered": list(found.uncovered),
                "unread": list(found.unread),
            }
        )
    else:
        _print_list(found)
    if found.unread or any(state.content is None for state in found.states):
        context.exit(COULD_NOT_RUN)
    context.exit(MET if found.all_hold else NOT_MET)


def _about(system: Any, model: str | None, entry: dict[str, Any]) -> tuple[str, str | None]:
    """System and version, of the command line or the file, which names the version by model and number."""
    name, version = entry.pop("registered_name", None), entry.pop("version", None)
    if model is None and name is not None and version is not None:
        model = f"models:/{name}/{version}"
    systems = [system] if isinstance(system, str) else list(system or ())
    if len(systems) != 1:
        raise InputError("an assessment is of one system", remedy="Name it: --system ID.")
    return str(systems[0]), model


def _plain(state: ImpactState) -> dict[str, Any]:
    record, content = state.filed.record, state.content
    return {
        "id": state.id,
        "revision": record.revision,
        "systems": list(record.systems),
        "owner": record.owner,
        "approver": record.approver,
        "filed_at": record.recorded_at.isoformat(),
        "state": state.word,
        "reason": state.reason,
        "triggers": [trigger.model_dump(mode="json") for trigger in state.triggers],
        "wanting": list(state.wanting),
        "valid_until": state.ends.isoformat() if state.ends else None,
        "content": content.model_dump(mode="json") if content else None,
        "digest": record.digest,
        "run_id": state.filed.run_id,
    }


def _print_list(found: Impacts) -> None:
    if not found.states:
        terminal.say_plain("No impact assessment is on record. File one: aims impact new --system ... --from FILE")
    else:
        made = terminal.table("Id", "State", "System", "Version", "Conclusion", "Until", "Why")
        for state in found.states:
            symbol, look = _BADGES[state.word]
            content = state.content
            until = f"{state.ends:%Y-%m-%d}" if state.ends else "-"
            rests = " (not in service)" if state.id in found.idle else ""
            about = [", ".join(state.filed.record.systems), _version(content) + rests]
            concluded = content.conclusion if content else "-"
            badge = terminal.badge(symbol, state.word, look)
            terminal.rows(made, [[state.id, badge, *about, concluded, until, state.reason]])
        terminal.say(made)
    for text in found.uncovered:
        terminal.say(terminal.badge("✗", f"in service without an assessment: {text}", "bad"))
    for text in found.unread:
        terminal.say(terminal.badge("✗", f"not read: {text}", "err"))


def _version(content: ImpactContent | None) -> str:
    if content is None or content.registered_name is None:
        return "none"
    return f"{content.registered_name} {content.version}"


def _print(state: ImpactState, *, judged_only: bool = False) -> None:
    record, content = state.filed.record, state.content
    symbol, look = _BADGES[state.word]
    terminal.say(terminal.badge(symbol, f"{state.word}: {state.reason}.", look))
    terminal.say_plain(
        f"impact {state.id}, revision {record.revision}, of {', '.join(record.systems)}, {_version(content)},"
        f" filed {record.recorded_at:%Y-%m-%d} by {record.owner}"
    )
    for trigger in state.triggers:
        terminal.say_plain(f"trigger: {trigger.what} ({trigger.at:%Y-%m-%d %H:%M} UTC)")
    if content is None:
        return
    terminal.say_plain(f"conclusion: {content.conclusion}: {content.reason}")
    if content.effects:
        made = terminal.table("Kind", "To", "What", "Severity", "Likelihood", "Measure")
        lines = [[e.kind, e.to, e.what, e.severity, e.likelihood, e.measure or "none"] for e in content.effects]
        terminal.say(terminal.rows(made, lines))
    numbers = [m for m in content.measured if m.verdict is not None or not judged_only]
    if numbers:
        made = terminal.table("Measured", "Value", "Interval", "Data", "Verdict", "Evidence")
        lines = [
            [m.name, _number(m.value), f"{_number(m.low)} to {_number(m.high)}", m.data or "-", str(m.verdict or "-"),
             m.evidence[7:19]]
            for m in numbers
        ]  # fmt: skip
        terminal.say(terminal.rows(made, lines))
    if more := len(content.measured) - len(numbers):
        terminal.say_plain(
            f"{terminal.counted(more, 'number')} without a limit: 'aims impact show {state.id}' lists all."
        )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
