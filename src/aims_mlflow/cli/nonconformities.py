"""``aims nonconformity``: a requirement that was not met, and what was done."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import incident_tables as tables
from aims_mlflow.cli import terminal
from aims_mlflow.cli.case_commands import TIME, add_common, note, options, owner, person, print_logged
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option
from aims_mlflow.cli.moments import as_of_option

if TYPE_CHECKING:
    from aims_mlflow.managing.nonconformities import Nonconformities

_GRADE = click.Choice(["major", "minor", "opportunity"])
_FOUND_BY = click.Choice(["internal audit", "external audit", "monitoring", "management review", "other"])


def _nonconformities(config: Path | None, tracking_uri: str | None) -> Nonconformities:
    from aims_mlflow.managing.nonconformities import Nonconformities
    from aims_mlflow.managing.records import ManagementRecords

    return Nonconformities(ManagementRecords(config=config, tracking_uri=tracking_uri))


@click.group()
@debug_option
def nonconformity() -> None:
    """Handle nonconformities: correct, find the cause, act, check, close.

    Exit codes of 'list' and 'show': 0 all in time, 1 something is overdue, 2 something could not be read.
    """


@nonconformity.command("open")
@click.argument("title")
@options(
    click.option("--row", "rows", multiple=True, required=True, metavar="ID", help="Clause or control; repeatable."),
    click.option("--grade", type=_GRADE, default="minor", show_default=True),
    click.option("--found-by", type=_FOUND_BY, default="other", show_default=True),
    click.option("--found-at", metavar="TIME", help=f"When; now by default. {TIME}"),
    click.option("--correction", help="What was done at once."),
    click.option("--system", "systems", multiple=True, metavar="ID", help="AI system it is about; repeatable."),
    click.option("--id", "id_", metavar="ID", help="By default NC- and the next number."),
    click.option("--link", "links", multiple=True, metavar="TYPE:ID", help="Record it rests on; repeatable."),
    owner,
    person,
    note,
)
def open_nonconformity(
    title: str, *, id_: str | None, config: Path | None, tracking_uri: str | None, as_json: bool, **given: Any
) -> None:
    """Put a nonconformity on record. Without --system it is the organization's."""
    with terminal.working("Filing the nonconformity"):
        one = _nonconformities(config, tracking_uri).open(title, id=id_, **given)
    print_logged("opened", one, as_json=as_json)


@nonconformity.command("update")
@click.argument("id_", metavar="ID")
@options(
    click.option("--correction", help="What was done at once."),
    click.option("--cause", help="Why it happened."),
    click.option("--grade", type=_GRADE),
    click.option("--reason", help="Why it is graded otherwise."),
    click.option("--row", "rows", multiple=True, metavar="ID", help="Clauses and controls, in place of those before."),
    click.option("--owner", help="Another owner."),
    person,
    note,
)
def update_nonconformity(
    id_: str, *, config: Path | None, tracking_uri: str | None, as_json: bool, **given: Any
) -> None:
    """Say more of a nonconformity."""
    with terminal.working(f"Filing the update of {id_}"):
        one = _nonconformities(config, tracking_uri).update(id_, **given)
    print_logged("updated", one, as_json=as_json)


@nonconformity.command("close")
@click.argument("id_", metavar="ID")
@options(note, person)
def close_nonconformity(
    id_: str, *, config: Path | None, tracking_uri: str | None, as_json: bool, **given: Any
) -> None:
    """Close a nonconformity: correction, cause, action and an effective check must be on record."""
    with terminal.working(f"Closing {id_}"):
        one = _nonconformities(config, tracking_uri).close(id_, **given)
    print_logged("closed", one, as_json=as_json)


@nonconformity.command("show")
@click.argument("id_", metavar="ID")
@options(as_of_option("--at"))
@click.pass_context
def show_nonconformity(
    context: click.Context,
    id_: str,
    *,
    as_of: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Show a nonconformity and what was done."""
    log = _nonconformities(config, tracking_uri)
    one = log.one(log.records.state(as_of), id_)
    if as_json:
        terminal.say_json(one.plain())
    else:
        tables.print_one(one)
    context.exit(NOT_MET if one.overdue else MET)


add_common(nonconformity, _nonconformities)
