"""``aims risk``: the risk register on the command line."""

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
from aims_mlflow.cli.risk_tables import (
    plain_line,
    plain_register,
    print_filed,
    print_line,
    print_register,
    print_sources,
    print_update,
)
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.management.risk_register import RiskRegister

_GRADE = click.IntRange(1, 5)
_SCALE = "1 (least) to 5."


@click.group()
@debug_option
def risk() -> None:
    """Keep the risk register.

    Exit codes of 'list' and 'show': 0 all in order, 1 a review is overdue, or a treatment or its acceptance is wanting,
    2 something could not be read.
    """


def _options(*own: Any) -> Callable[[Any], Any]:
    """The options of a command that writes, after its own."""
    common = (
        click.option("--owner", help="The one person or function that answers for it."),
        click.option("--approver", help="Who approved it."),
        *_place(),
    )

    def decorate(command: Any) -> Any:
        for option in reversed((*own, *common)):
            command = option(command)
        return command

    return decorate


def _place() -> tuple[Any, ...]:
    return (
        click.option("--config", type=click.Path(path_type=Path), help="aims.yaml."),
        click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use."),
        json_option,
        debug_option,
    )


_note = click.option("--note", default="", help="Why, for the risk's log.")
_fields = (
    click.option("--title", help="The risk in a line."),
    click.option("--source", help="Where it comes from: drift, training_data, misuse...; '--sources' lists them."),
    click.option("--event", help="What may happen, and what would follow."),
    click.option(
        "--affects",
        multiple=True,
        type=click.Choice(["organization", "individuals", "groups", "society"]),
        help="Whom; repeatable.",
    ),
    click.option("--likelihood", type=int, help=_SCALE),
    click.option("--consequence", type=int, help=_SCALE),
)
_from = click.option(
    "--from", "file", type=click.Path(path_type=Path), metavar="FILE", help="YAML with the fields; options go first."
)


@risk.command("open")
@_options(
    *_fields,
    click.option("--id", "id_", metavar="ID", help="By default made from the title."),
    click.option("--system", "systems", multiple=True, metavar="ID", help="AI system it is about; repeatable."),
    click.option("--review-by", metavar="DATE", help="By default as soon as its level asks for."),
    click.option("--link", "links", multiple=True, metavar="TYPE:ID", help="Record it rests on; repeatable."),
    click.option("--sources", is_flag=True, help="List the words for --source, and do nothing else."),
    _from,
)
def open_(
    *, file: Path | None, id_: str | None, config: Path | None, tracking_uri: str | None, as_json: bool, **given: Any
) -> None:
    """Put a risk on the register.

    Without --system it is one of the organization, and bears on every system.
    """
    if given.pop("sources"):
        print_sources(as_json=as_json)
        return
    from aims_mlflow.managing.risks import open_risk

    entry = read_entry(file, "risk") if file is not None else {}
    said = together(entry, {**given, "id": id_})
    required(said, "title", "source", "likelihood", "consequence", "owner")
    with terminal.working("Filing the risk"):
        filed = open_risk(said.pop("title"), config=config, tracking_uri=tracking_uri, **said)
    print_filed(filed, "opened", as_json=as_json)


@risk.command("update")
@click.argument("id_", metavar="[ID]", required=False)
@_options(
    *_fields,
    click.option("--system", metavar="ID", help="Without ID: only from evidence of this system."),
    _note,
    _from,
)
@click.pass_context
def update(
    context: click.Context,
    /,
    id_: str | None,
    *,
    file: Path | None,
    system: str | None,
    note: str,
    owner: str | None,
    approver: str | None,
    config: Path | None,
    tracking_uri: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Update the register from evidence, or change the risk ID.

    Without ID: reads the evidence of every version in service; a confirmed drift, data-quality or fairness failure
    opens a risk, or revises the one that is open for it. Made for cron: what is on the register stays as it is. Exit
    codes: 0 no confirmed failure, 1 there is one, 2 some evidence could not be read.
    """
    changes = together(read_entry(file, "risk") if file is not None else {}, given)
    if id_ is not None:
        from aims_mlflow.managing.risks import revise_risk

        if not changes and not owner:
            raise InputError("nothing is to be changed", remedy="Give what changes, or --from FILE.")
        owner, approver = changes.pop("owner", None) or owner, changes.pop("approver", None) or approver
        with terminal.working(f"Filing the change of {id_}"):
            filed = revise_risk(
                id_, changes, note=note, owner=owner, approver=approver, config=config, tracking_uri=tracking_uri
            )
        print_filed(filed, "changed", as_json=as_json)
        return
    if changes or owner or approver or note:
        raise InputError("which risk is to be changed?", remedy="Name it: aims risk update ID ...")
    from aims_mlflow.managing.risk_rules import update_risks

    with terminal.working("Reading the evidence of the versions in service"):
        done = update_risks(system=system, config=config, tracking_uri=tracking_uri)
    print_update(done, as_json=as_json)
    context.exit(COULD_NOT_RUN if done.unread else NOT_MET if done.standing else MET)


@risk.command("treat")
@click.argument("id_", metavar="ID")
@_options(
    click.option("--how", "treatment", type=click.Choice(["avoid", "reduce", "share", "accept"]), help="Treatment."),
    click.option("--action", "actions", multiple=True, help="What is done; repeatable, in place of those before."),
    click.option("--control", "controls", multiple=True, metavar="ID", help="Control that treats it; repeatable."),
    click.option("--residual", type=(_GRADE, _GRADE), metavar="L C", help="Likelihood and consequence that are left."),
    click.option("--results", help="What it came to; the risk counts as treated from then on."),
    _note,
)
def treat(id_: str, *, as_json: bool, **given: Any) -> None:
    """Say how a risk is treated, and, once that is done, what came of it."""
    from aims_mlflow.managing.risks import treat_risk

    given |= {name: given[name] or None for name in ("actions", "controls")}
    with terminal.working(f"Filing the treatment of {id_}"):
        filed = treat_risk(id_, **given)
    print_filed(filed, "treated" if given["results"] else "treatment of", as_json=as_json)


@risk.command("accept")
@click.argument("id_", metavar="ID")
@_options(
    click.option("--by", required=True, help="The person who accepts it."),
    click.option("--reason", help="Why; needed where what is left lies above the tolerable level."),
    _note,
)
def accept(id_: str, *, as_json: bool, **given: Any) -> None:
    """Accept what is left of a risk, by name."""
    from aims_mlflow.managing.risks import accept_risk

    with terminal.working(f"Filing the acceptance of {id_}"):
        filed = accept_risk(id_, **given)
    print_filed(filed, "accepted", as_json=as_json)


@risk.command("review")
@click.argument("id_", metavar="ID")
@_options(
    click.option("--likelihood", type=int, help=f"As weighed now, {_SCALE}"),
    click.option("--consequence", type=int, help=f"As weighed now, {_SCALE}"),
    click.option("--review-by", metavar="DATE", help="The next review; by default as soon as its level asks for."),
    _note,
)
def review(id_: str, *, as_json: bool, **given: Any) -> None:
    """Say that a person weighed a risk anew; what rules found is taken in."""
    from aims_mlflow.managing.risks import review_risk

    with terminal.working(f"Filing the review of {id_}"):
        filed = review_risk(id_, **given)
    print_filed(filed, "reviewed", as_json=as_json)


@risk.command("close")
@click.argument("id_", metavar="ID")
@_options(click.option("--results", required=True, help="Why it is no risk any more."), _note)
def close(id_: str, *, as_json: bool, **given: Any) -> None:
    """Close a risk."""
    from aims_mlflow.managing.risks import close_risk

    with terminal.working(f"Closing {id_}"):
        filed = close_risk(id_, **given)
    print_filed(filed, "closed", as_json=as_json)


def _reading(command: Any) -> Any:
    for option in reversed((as_of_option(), *_place())):
        command = option(command)
    return command


@risk.command("list")
@click.option("--system", metavar="ID", help="Only those that bear on this system, the organization's own among them.")
@click.option("--all", "closed", is_flag=True, help="With those that are closed.")
@click.option("--overdue", is_flag=True, help="Only those whose review is overdue.")
@_reading
@click.pass_context
def list_(
    context: click.Context,
    system: str | None,
    as_of: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    closed: bool,
    overdue: bool,
    as_json: bool,
) -> None:
    """List risks: high-risk systems first, then the highest level that stands."""
    from aims_mlflow.managing.risks import risk_register

    with terminal.working("Reading the risk register"):
        register = risk_register(system=system, at=as_of, config=config, tracking_uri=tracking_uri)
    shown = [line for line in register.lines if (closed or line.is_live) and (line.is_overdue or not overdue)]
    if as_json:
        terminal.say_json(plain_register(register, shown, system))
    else:
        print_register(register, shown, system)
    context.exit(_code(register))


@risk.command("show")
@click.argument("id_", metavar="ID")
@_reading
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
    """Show one risk whole, with what is wanting."""
    from aims_mlflow.catalog.register import nearest
    from aims_mlflow.managing.risks import risk_register

    with terminal.working("Reading the risk register"):
        register = risk_register(at=as_of, config=config, tracking_uri=tracking_uri)
    found = next((line for line in register.lines if line.id == id_), None)
    if found is None:
        broken = next((fault for fault in register.broken if fault.risk == id_), None)
        if broken is not None:
            raise InputError(f"the risk cannot be used: {broken.what}", where=f"risk:{id_}", remedy=broken.remedy)
        hint = nearest(id_, [line.id for line in register.lines]) or "'aims risk list --all' lists them."
        raise InputError(f"there is no risk {id_[:100]!r}", remedy=hint)
    if as_json:
        terminal.say_json(plain_line(found))
    else:
        print_line(found)
    context.exit(COULD_NOT_RUN if found.content is None else NOT_MET if found.faults else MET)


def _code(register: RiskRegister) -> int:
    if any(fault.code == "unreadable" for fault in register.faults):
        return COULD_NOT_RUN
    return NOT_MET if register.faults else MET
