"""``aims incident``: what went wrong with a system, its clocks, and what was done."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import incident_tables as tables
from aims_mlflow.cli import terminal
from aims_mlflow.cli.case_commands import TIME, add_common, note, options, owner, person
from aims_mlflow.cli.exits import COULD_NOT_RUN, MET, NOT_MET, debug_option
from aims_mlflow.cli.moments import as_of_option

if TYPE_CHECKING:
    from aims_mlflow.managing.incidents import Incident, Incidents

_SEVERITY = click.Choice(["minor", "major", "serious"])
_HARM = click.Choice(
    ["none", "health", "death", "critical infrastructure", "fundamental rights", "property or environment"]
)
_TO = click.Choice(["authority", "users", "provider", "persons affected", "management"])


def _incidents(config: Path | None, tracking_uri: str | None) -> Incidents:
    from aims_mlflow.managing.incidents import Incidents
    from aims_mlflow.managing.records import ManagementRecords

    return Incidents(ManagementRecords(config=config, tracking_uri=tracking_uri))


def _print(word: str, one: Incident, *, as_json: bool) -> None:
    if as_json:
        terminal.say_json(tables.plain_incident(one))
    else:
        tables.print_step(word, one.logged, one.holds)


@click.group()
@debug_option
def incident() -> None:
    """Handle incidents: open, contain, tell, act, check, close.

    While a serious one is open, no guarded move of its system's models passes. Exit codes of 'list' and 'show': 0 all
    in time, 1 something is overdue or is not what was frozen, 2 something could not be read.
    """


@incident.command("open")
@click.argument("title")
@options(
    click.option("--system", "systems", multiple=True, metavar="ID", help="By default the one of aims.yaml."),
    click.option("--severity", type=_SEVERITY, required=True, help="'serious' in the sense of AI Act Art. 3(49)."),
    click.option("--harm", type=_HARM, default="none", show_default=True),
    click.option("--widespread", is_flag=True, help="It is a widespread infringement."),
    click.option("--aware-at", metavar="TIME", help=f"When you became aware; now by default. {TIME}"),
    click.option("--occurred-at", metavar="TIME", help=f"When it occurred. {TIME}"),
    click.option(
        "--affected",
        multiple=True,
        metavar="MODEL/VERSION",
        help="Version that took part; repeatable. By default all versions in service of the system.",
    ),
    click.option("--id", "id_", metavar="ID", help="By default INC- and the next number."),
    click.option("--link", "links", multiple=True, metavar="TYPE:ID", help="Record it rests on; repeatable."),
    owner,
    person,
    note,
)
def open_(
    title: str,
    *,
    id_: str | None,
    affected: tuple[str, ...],
    config: Path | None,
    tracking_uri: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Open an incident: freeze the evidence of the affected versions, hold the models of a serious one."""
    with terminal.working("Opening the incident"):
        log = _incidents(config, tracking_uri)
        one = log.open(title, id=id_, affected=affected or None, **given)
    _print("opened", one, as_json=as_json)


@incident.command("update")
@click.argument("id_", metavar="ID")
@options(
    click.option("--contained", "--correction", "correction", help="What was done at once; the incident is contained."),
    click.option("--cause", help="Why it happened."),
    click.option("--severity", type=_SEVERITY),
    click.option("--reason", help="Why it is rated lower."),
    click.option("--harm", type=_HARM),
    click.option("--widespread/--not-widespread", default=None),
    click.option("--aware-at", metavar="TIME", help="An earlier moment of awareness."),
    click.option("--occurred-at", metavar="TIME", help=TIME),
    click.option("--affected", multiple=True, metavar="MODEL/VERSION", help="A further version; repeatable."),
    click.option("--owner", help="Another owner."),
    person,
    note,
)
def update(id_: str, *, config: Path | None, tracking_uri: str | None, as_json: bool, **given: Any) -> None:
    """Say more of an incident. Rated lower than serious, with a reason, its models are released."""
    with terminal.working(f"Filing the update of {id_}"):
        one = _incidents(config, tracking_uri).update(id_, **given)
    _print("updated", one, as_json=as_json)


@incident.command("notify")
@click.argument("id_", metavar="ID")
@options(
    click.option("--to", type=_TO, help="Who was told."),
    click.option("--at", metavar="TIME", help=f"When; now by default. {TIME}"),
    click.option("--kind", type=click.Choice(["initial", "intermediate", "final"]), default="initial"),
    click.option("--reference", help="Reference of the notice."),
    click.option("--not-due", metavar="REASON", help="Why the authority need not be told."),
    person,
)
def notify(id_: str, *, config: Path | None, tracking_uri: str | None, as_json: bool, **given: Any) -> None:
    """Say who was told of an incident, or why no notice to the authority is due. Nothing is sent."""
    with terminal.working(f"Filing the notice of {id_}"):
        one = _incidents(config, tracking_uri).notify(id_, **given)
    _print("notice of", one, as_json=as_json)


@incident.command("close")
@click.argument("id_", metavar="ID")
@options(note, person)
def close(id_: str, *, config: Path | None, tracking_uri: str | None, as_json: bool, **given: Any) -> None:
    """Close an incident and release the models it holds.

    It must be contained; cause, action and an effective check must be on record, of a serious one the notice too.
    """
    with terminal.working(f"Closing {id_}"):
        one = _incidents(config, tracking_uri).close(id_, **given)
    _print("closed", one, as_json=as_json)


@incident.command("show")
@click.argument("id_", metavar="ID")
@options(as_of_option("--at"))
@click.pass_context
def show(
    context: click.Context,
    id_: str,
    *,
    as_of: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Show an incident: its clocks, what was done, and whether the frozen versions still are what they were."""
    with terminal.working(f"Reading {id_}"):
        one = _incidents(config, tracking_uri).show(id_, at=as_of)
    if as_json:
        terminal.say_json(tables.plain_incident(one))
    else:
        tables.print_one(one.logged, one.frozen)
    if any("unreadable" in {f.model, f.evidence} for f in one.frozen):
        context.exit(COULD_NOT_RUN)
    broken = one.overdue or any({f.model, f.evidence} & {"changed", "gone"} for f in one.frozen)
    context.exit(NOT_MET if broken else MET)


add_common(incident, _incidents)
