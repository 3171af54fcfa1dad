"""What ``aims incident`` and ``aims nonconformity`` have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import incident_tables as tables
from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import COULD_NOT_RUN, MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.management.incident_log import CaseLog

TIME = "A time with its zone, or a day."
person = click.option("--person", help="Who says so; by default the login or user of this process.")
note = click.option("--note", help="For its log.")
owner = click.option("--owner", help="The one person or function that answers for it; by default the system's owner.")


def options(*own: Any) -> Callable[[Any], Any]:
    """The options of a command, and those all of them have."""
    common = (
        click.option("--config", type=click.Path(path_type=Path), help="aims.yaml."),
        click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use."),
        json_option,
        debug_option,
    )

    def decorate(command: Any) -> Any:
        for option in reversed((*own, *common)):
            command = option(command)
        return command

    return decorate


def print_logged(word: str, one: Any, *, as_json: bool) -> None:
    """What a step came to."""
    if as_json:
        terminal.say_json(one.plain())
    else:
        tables.print_step(word, one)


def _act(log: Callable[[Path | None, str | None], Any]) -> Callable[..., None]:
    def act(
        id_: str,
        *,
        what: str | None,
        owner: str | None,
        due: str | None,
        number: int | None,
        at: str | None,
        none_because: str | None,
        person: str | None,
        config: Path | None,
        tracking_uri: str | None,
        as_json: bool,
    ) -> None:
        """Plan an action against its return (--what, --owner, --due), say that it is done, or why none is needed."""
        if sum(one is not None for one in (what, number, none_because)) != 1:
            raise InputError("say what is done", remedy="Give --what with --owner and --due, or --done N, or --none.")
        with terminal.working(f"Filing the action of {id_}"):
            cases = log(config, tracking_uri)
            if number is not None:
                one = cases.done(id_, number, done_at=at, by=person)
            elif none_because is not None:
                one = cases.no_action(id_, none_because, by=person)
            else:
                if not owner or not due:
                    raise InputError("an action needs an owner and a day", remedy="Give --owner and --due.")
                one = cases.plan(id_, what, owner=owner, due=due, by=person)
        print_logged("action of", one, as_json=as_json)

    return act


def _check(log: Callable[[Path | None, str | None], Any]) -> Callable[..., None]:
    def check(
        id_: str,
        *,
        effective: bool,
        by: str,
        how: str,
        at: str | None,
        config: Path | None,
        tracking_uri: str | None,
        as_json: bool,
    ) -> None:
        """Say whether what was done worked."""
        with terminal.working(f"Filing the check of {id_}"):
            one = log(config, tracking_uri).check(id_, effective=effective, how=how, checked_by=by, at=at, by=by)
        print_logged("checked", one, as_json=as_json)

    return check


def _list(log: Callable[[Path | None, str | None], Any]) -> Callable[..., None]:
    def list_(
        context: click.Context,
        *,
        system: str | None,
        every: bool,
        as_of: datetime | None,
        config: Path | None,
        tracking_uri: str | None,
        as_json: bool,
    ) -> None:
        """List what is open, with what is overdue first; --all lists the closed ones too."""
        with terminal.working("Reading the log"):
            found: CaseLog = log(config, tracking_uri).log(system=system, at=as_of)
        shown = found.cases if every else found.open
        if as_json:
            terminal.say_json(tables.plain_log(found, shown))
        else:
            tables.print_log(found, shown)
        context.exit(COULD_NOT_RUN if found.problems else NOT_MET if found.overdue else MET)

    return list_


def _review(log: Callable[[Path | None, str | None], Any]) -> Callable[..., None]:
    def review(
        *,
        statement: str,
        owner: str,
        approver: str | None,
        system: str | None,
        valid_until: str | None,
        config: Path | None,
        tracking_uri: str | None,
        as_json: bool,
    ) -> None:
        """Say that you looked through the log, and what you found: an empty log nobody looks at shows nothing."""
        from aims_mlflow.api.given import day_of

        until = day_of(valid_until, "--valid-until")
        with terminal.working("Filing the review"):
            cases = log(config, tracking_uri)
            filed = cases.review(statement, owner=owner, system=system, valid_until=until, approver=approver)
        if as_json:
            terminal.say_json(filed.record.model_dump(mode="json") | {"run_id": filed.run_id})
        else:
            record = filed.record
            terminal.say_plain(f"reviewed: {record.link} by {record.owner}, serves until {record.valid_until}")

    return review


identified = click.argument("id_", metavar="ID")


def add_common(group: click.Group, log: Callable[[Path | None, str | None], Any]) -> None:
    """Give a group the commands both kinds have: ``act``, ``check``, ``list``, ``review``."""
    group.command("act")(
        identified(
            options(
                click.option("--what", help="What is done so that it does not come back."),
                click.option("--owner", help="Who does it."),
                click.option("--due", metavar="DATE", help="Until when; a day counts in full."),
                click.option("--done", "number", type=int, metavar="N", help="Action N is done."),
                click.option("--at", metavar="TIME", help=f"With --done: when; now by default. {TIME}"),
                click.option("--none", "none_because", metavar="REASON", help="Why no action is needed."),
                person,
            )(_act(log))
        )
    )
    group.command("check")(
        identified(
            options(
                click.option("--effective/--not-effective", required=True, default=None),
                click.option("--by", required=True, help="Who looked."),
                click.option("--how", required=True, help="How it was told."),
                click.option("--at", metavar="TIME", help=f"When; now by default. {TIME}"),
            )(_check(log))
        )
    )
    group.command("list")(
        options(
            click.option("--system", metavar="ID", help="Only what bears on this system."),
            click.option("--all", "every", is_flag=True, help="Closed ones too."),
            as_of_option("--at"),
        )(click.pass_context(_list(log)))
    )
    group.command("review")(
        options(
            click.option("--statement", required=True, metavar="TEXT", help="What was looked at, and found."),
            click.option("--owner", required=True, help="Who looked."),
            click.option("--approver", help="Who approved it."),
            click.option("--system", metavar="ID", help="The log of one system; by default all of it."),
            click.option("--valid-until", metavar="DATE", help="Until when it serves; by default a quarter."),
        )(_review(log))
    )
