"""``aims systems``: the AI systems, their models and versions in service, their risk class with its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.classifying import classify, duties_table, place_options
from aims_mlflow.cli.exits import MET, NOT_MET
from aims_mlflow.cli.moments import as_of_option

if TYPE_CHECKING:
    from aims_mlflow.management.system_view import ServedEntry, SystemDetail, SystemEntry, SystemsView

_SHOWN = 3
"""Models named in a cell of the table."""


@click.group(invoke_without_command=True, epilog="Exit codes: 0 met, 1 not met, 2 could not run.")
@as_of_option()
@place_options
@click.pass_context
def systems(
    context: click.Context, as_of: datetime | None, config: Path | None, tracking_uri: str | None, *, as_json: bool
) -> None:
    """List the AI systems with their models and versions in service.

    With --as-of: what was on record, registered and assessed then. What served then is told by the log of its model;
    without a log, it is what serves now.

    Exit code 1 where a registered model belongs to no declared system, or to several, or a declaration does not hold.
    """
    if context.invoked_subcommand is not None:
        given = (as_of is not None, config is not None, tracking_uri is not None, as_json)
        if any(given):
            raise click.UsageError(f"put the options after '{context.invoked_subcommand}'")
        return
    from aims_mlflow.managing.systems import search_systems

    with terminal.working("Reading records and registry"):
        view = search_systems(as_of=as_of, config=config, tracking_uri=tracking_uri)
    if as_json:
        terminal.say_json(view.model_dump(mode="json") | {"is_complete": view.is_complete})
    else:
        if as_of is not None:
            terminal.say_plain(f"As known on {view.at:%Y-%m-%d %H:%M} UTC:")
        _print_view(view)
    context.exit(MET if view.is_complete else NOT_MET)


@systems.command()
@click.option("--owner", metavar="NAME", help="Who answers for the system, where aims.yaml does not say.")
@click.option(
    "--valid-until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Day it is to be reviewed by; by default a year from now.",
)
@click.option("--reopen", is_flag=True, help="Declare a system again that was withdrawn.")
@place_options
def declare(
    owner: str | None,
    valid_until: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    reopen: bool,
    as_json: bool,
) -> None:
    """File the system that aims.yaml declares.

    Where the record says it already, nothing is filed.
    """
    from aims_mlflow.managing.systems import declare_system

    with terminal.working("Filing the system"):
        done = declare_system(
            config=config,
            tracking_uri=tracking_uri,
            owner=owner,
            valid_until=valid_until.date() if valid_until else None,
            reopen=reopen,
        )
    record = done.filed.record
    if as_json:
        said = {"is_new": done.is_new, "notes": list(done.notes), "run_id": done.filed.run_id}
        terminal.say_json(said | {"record": record.model_dump(mode="json")})
        return
    verb = "filed" if done.is_new else "unchanged"
    until = f", valid until {record.valid_until}" if record.valid_until else ""
    terminal.say_plain(f"{verb}: system {record.id}, revision {record.revision}, owner {record.owner}{until}")
    for note in done.notes:
        terminal.say_plain(f"note: {note}", error=True)


@systems.command()
@click.argument("system", metavar="ID")
@place_options
@click.pass_context
def show(context: click.Context, system: str, config: Path | None, tracking_uri: str | None, *, as_json: bool) -> None:
    """Show one system, with everything that contradicts its record.

    Held against it are the answers to the questionnaire, the aims.yaml at hand, and what the runs of its versions in
    service were captured with. Exit code 1 where something contradicts, or its declaration does not hold.
    """
    from aims_mlflow.managing.systems import show_system

    with terminal.working(f"Reading {system}"):
        detail = show_system(system, config=config, tracking_uri=tracking_uri)
    if as_json:
        terminal.say_json(detail.model_dump(mode="json") | {"is_clear": detail.is_clear})
    else:
        _print_detail(detail)
    context.exit(MET if detail.is_clear else NOT_MET)


# the list


def _print_view(view: SystemsView) -> None:
    if view.systems:
        terminal.say(_table(view))
    else:
        terminal.say_plain("No AI system is declared; 'aims systems declare' files the one in aims.yaml.")
    lines = [f"{terminal.counted(len(view.systems), 'system')}: {_counts(view)}."] if view.systems else []
    if view.without_models:
        lines += ["", "Without a registered model:", *(f"  - {system}" for system in view.without_models)]
    if view.undeclared:
        lines += ["", f"Registered models that belong to no declared system ({len(view.undeclared)}):"]
        lines += [f"  - {model}" for model in view.undeclared]
        lines += ["  Name them under 'registered_models' in aims.yaml, then 'aims systems declare'."]
    if view.problems:
        lines += ["", f"Problems ({len(view.problems)}):", *(f"  - {problem}" for problem in view.problems)]
    if lines:
        terminal.say_plain("\n".join(lines))


def _counts(view: SystemsView) -> str:
    classes = [str(entry.risk_class) for entry in view.systems]
    return ", ".join(f"{classes.count(one)} {one}" for one in dict.fromkeys(classes))


def _table(view: SystemsView) -> Any:
    wide = terminal.console().width >= terminal.WIDE
    headers = ("Id", "Name", "Role", "Risk class", "Stage", "Owner", "Models", "In service")
    made = terminal.table(*(headers if wide else ("Id", "Risk class", "Owner", "In service")))
    for entry in view.systems:
        served = "\n".join(_served(version) for version in entry.versions) or "none"
        line = [entry.id, str(entry.risk_class), entry.owner, served]
        if wide:
            role = str(entry.organization_role).replace("_", " ")
            stage = entry.lifecycle_stage or "undeclared"
            line = [entry.id, entry.name, role, line[1], stage, line[2], _models(entry), served]
        terminal.rows(made, [line])
    return made


def _models(entry: SystemEntry) -> str:
    if not entry.models:
        return "none"
    more = len(entry.models) - _SHOWN
    return "\n".join([*entry.models[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _served(version: ServedEntry) -> str:
    until = f", fresh until {version.fresh_until}" if version.fresh_until else ""
    return f"{version.model}/{version.version} ({', '.join(version.targets)}): {status_word(version.status)}{until}"


def status_word(status: str) -> str:
    """The word for ``aims.status``; one that is none is shown as it stands."""
    from aims_mlflow.assessment import Overall
    from aims_mlflow.report.words import OVERALL

    return OVERALL[Overall(status)].word if status in set(Overall) else status


# one system


def _print_detail(detail: SystemDetail) -> None:
    entry = detail.entry
    lines = [f"{entry.id}  {entry.name}", *(f"  {text}" for text in _facts(detail))]
    if entry.versions:
        lines += ["", "In service:", *(f"  - {_served(version)}" for version in entry.versions)]
    if entry.problems:
        lines += ["", "Problems:", *(f"  - {problem}" for problem in entry.problems)]
    if detail.contradictions:
        lines += ["", f"Contradictions ({len(detail.contradictions)}):"]
        lines += [f"  - {contradiction}" for contradiction in detail.contradictions]
    if detail.unread:
        lines += ["", "Could not be read, so whether it contradicts is not known:"]
        lines += [f"  - {text}" for text in detail.unread]
    terminal.say_plain("\n".join(lines))
    outcome = detail.classification
    if outcome is not None:
        if outcome.duties:
            terminal.say("", duties_table(outcome))
        terminal.say_plain(f"\n{outcome.notice}")


def _facts(detail: SystemDetail) -> Iterator[str]:
    entry, content = detail.entry, detail.content
    until = f", to be reviewed by {entry.valid_until}" if entry.valid_until else ""
    yield f"record: revision {entry.revision}, owner {entry.owner}{until}"
    role, stage = str(entry.organization_role).replace("_", " "), entry.lifecycle_stage or "undeclared"
    yield f"role: {role}; lifecycle stage: {stage}"
    yield f"risk class: {entry.risk_class}" + (f". {entry.risk_reason}" if entry.risk_reason else "")
    yield f"models: {', '.join(entry.models) or 'none'}"
    if content is None:
        return
    told = (
        ("purpose", content.purpose),
        ("intended use", content.intended_use),
        ("not for", "; ".join(content.not_for)),
        ("affected groups", ", ".join(content.affected_groups)),
        ("human oversight", content.human_oversight),
        ("data sources", ", ".join(content.data_sources)),
        ("regions", ", ".join(content.regions)),
    )
    yield from (f"{name}: {text}" for name, text in told if text)
    outcome = detail.classification
    if outcome is None:
        yield f"questionnaire: not answered; 'aims systems classify --record {entry.id}' asks it"
    elif outcome.open:
        yield f"questionnaire: {terminal.counted(len(outcome.open), 'open question')}"


systems.add_command(classify)
