"""``aims soa``: the Statement of Applicability, how it stands, what does not fit, and filing the next revision."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aims_mlflow.management.soa import Soa, SoaFinding, SoaLine

_FORMATS = ("html", "csv", "xlsx", "md")
_NARROW = ("Id", "Applies", "Status", "Why")
"""Columns that a narrow terminal has room for."""
_WIDE = ("Id", "Title", "Applies", "Status", "Evidence", "Why")
_ROOMY = 150
"""Columns of a terminal that shows them all."""
_FIRST = 5
"""Contradictions that are named below the table; the rest is counted."""
_SUFFIXES = {".html": "html", ".htm": "html", ".csv": "csv", ".xlsx": "xlsx", ".md": "md"}

_system_option = click.option("--system", metavar="ID", help="The system; by default the organization.")


def _place_options(command: Any) -> Any:
    """``--config`` and ``--tracking-uri``."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.option(
            "--config", type=click.Path(path_type=Path), help="aims.yaml, by default the one found from here."
        ),
        click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_system_option
@as_of_option()
@click.option("--format", "form", type=click.Choice(_FORMATS), help="By default what the suffix of --out says.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default stdout.")
@_place_options
@json_option
@debug_option
@click.pass_context
def soa(
    context: click.Context,
    system: str | None,
    as_of: datetime | None,
    form: str | None,
    out: Path | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the Statement of Applicability: every control, whether it applies, and why.

    It needs no run, model or record. A control nobody decided on counts as applicable.
    """
    given = {"--system": system, "--as-of": as_of, "--format": form, "--out": out, "--json": as_json or None}
    if context.invoked_subcommand is not None:
        early = [name for name, value in given.items() if value is not None]
        if early:
            raise InputError(
                f"{early[0]} stands before '{context.invoked_subcommand}'", remedy="Put options after the command."
            )
        context.obj = {"config": config, "tracking_uri": tracking_uri}
        return
    from aims_mlflow.managing.applicability import statement_of_applicability

    chosen = _form_of(out, form)
    if as_json and chosen:
        raise InputError("--json and --format are two ways to say it", remedy="Leave out one of them.")
    with terminal.working("Reading the statement"):
        stands = statement_of_applicability(system, at=as_of, config=config, tracking_uri=tracking_uri)
    if chosen is not None:
        _write(stands, chosen, out)
    elif as_json:
        terminal.say_json([_plain(line) for line in stands.lines])
    else:
        _print(stands)


@soa.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("soa.yaml"), show_default=True)
@_system_option
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@_place_options
@debug_option
@click.pass_context
def init(
    context: click.Context, out: Path, system: str | None, config: Path | None, tracking_uri: str | None, *, force: bool
) -> None:
    """Write a file with every control to fill in.

    What is on record stands in it already. With --system it is for the lines in which that system differs.
    """
    from aims_mlflow.managing.applicability import empty_form

    place = _place(context, config, tracking_uri)
    with terminal.working("Reading the statement"):
        text = empty_form(system, **place)
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(
            "the file is there already", where=str(out), remedy="'--force' replaces it; '--out' writes elsewhere."
        ) from error
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(out)) from error
    whose = f" --system {system}" if system else ""
    terminal.say_plain(
        f"wrote {out}\nNext: fill in 'applicable' and 'justification', then 'aims soa record {out}{whose}'."
    )


@soa.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--owner", help="The one person or function that answers for it; by default what FILE says.")
@click.option("--approver", help="Who approved it; by default what FILE says. Without one no exclusion counts.")
@click.option(
    "--system", metavar="ID", help="Its own lines are in FILE; by default what FILE says, else the organization."
)
@click.option("--valid-from", metavar="DATE", help="First day; by default today.")
@click.option("--valid-until", metavar="DATE", help="Last day, by which it is reviewed; by default a year on.")
@click.option("--document", help="File that is kept with the record, or its address.")
@_place_options
@json_option
@debug_option
@click.pass_context
def record(
    context: click.Context, /, file: Path, config: Path | None, tracking_uri: str | None, *, as_json: bool, **said: Any
) -> None:
    """File FILE as the next revision of the statement.

    It replaces the revision before, which stays readable. Mistakes are listed with their lines, and nothing is filed.
    """
    from aims_mlflow.config import load_settings
    from aims_mlflow.delivery import catalog_of
    from aims_mlflow.management.soa.form import day, read_form
    from aims_mlflow.managing.applicability import record_applicability, statement_of_applicability

    place = _place(context, config, tracking_uri)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=str(file), remedy="'aims soa init' writes one to fill in."
        ) from error
    filled = read_form(content, str(file), catalog_of(load_settings(place["config"])))
    given = {name: said[name] or filled.header.get(name) for name in said}
    if not given["owner"]:
        raise InputError("a statement needs an owner", where="owner", remedy="Name one with --owner, or in the file.")
    with terminal.working("Filing the statement"):
        filed = record_applicability(
            filled.content,
            owner=given["owner"],
            approver=given["approver"],
            system=given["system"],
            valid_from=day(given["valid_from"], "valid_from") if given["valid_from"] else None,
            valid_until=day(given["valid_until"], "valid_until") if given["valid_until"] else None,
            document=given["document"],
            **place,
        )
        stands = statement_of_applicability(given["system"], **place)
    if as_json:
        terminal.say_json(
            filed.record.model_dump(mode="json") | {"sha256": filed.record.digest, "run_id": filed.run_id}
        )
        return
    controls = terminal.counted(len(filled.content.lines), "control")
    terminal.say_plain(
        f"recorded {filed.record.link} revision {filed.record.revision}, {controls}, valid "
        f"until {filed.record.valid_until}\n{filed.record.digest}"
    )
    _notes(stands)


@soa.command()
@click.option("--system", metavar="ID", help="Only of this system; by default the organization and every system.")
@as_of_option()
@_place_options
@json_option
@debug_option
@click.pass_context
def check(
    context: click.Context,
    system: str | None,
    as_of: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """List what does not fit together in the statement, and what is open.

    Controls left out yet evidenced, or that a risk needs; controls that apply without evidence; what aims.yaml says
    otherwise; reviews that are due. Exit code 1 where there is anything.
    """
    from aims_mlflow.managing.applicability import contradictions

    with terminal.working("Checking the statement"):
        found = contradictions(system, at=as_of, **_place(context, config, tracking_uri))
    if as_json:
        terminal.say_json([finding.model_dump(mode="json") for finding in found])
    else:
        _print_findings(found)
    context.exit(NOT_MET if found else MET)


def _place(context: click.Context, config: Path | None, tracking_uri: str | None) -> dict[str, Any]:
    """Where to look: the command's own options before those of ``aims soa``."""
    outer = context.obj or {}
    return {
        "config": config if config is not None else outer.get("config"),
        "tracking_uri": tracking_uri if tracking_uri is not None else outer.get("tracking_uri"),
    }


def _form_of(out: Path | None, form: str | None) -> str | None:
    """The format asked for; None for the terminal."""
    if form == "xlsx" and out is None:
        raise InputError("a workbook is no text", remedy="Name the file with --out soa.xlsx.")
    if form is not None or out is None:
        return form
    found = _SUFFIXES.get(out.suffix.lower())
    if found is None:
        raise InputError(
            f"the suffix {out.suffix!r} names no format",
            where=str(out),
            remedy=f"Say it: --format {'|'.join(_FORMATS)}.",
        )
    return found


def _write(stands: Soa, form: str, out: Path | None) -> None:
    from aims_mlflow.report.soa import render_soa

    content = render_soa(stands, form)
    if out is None:
        terminal.write(content.decode("utf-8-sig"))
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(out)) from error
    terminal.say_plain(f"wrote {out}", error=True)


def _plain(line: SoaLine) -> dict[str, Any]:
    return line.model_dump(mode="json")


def _print(stands: Soa) -> None:
    from aims_mlflow.report.soa.page import build_soa

    page = build_soa(stands)
    terminal.say(terminal.badge(page.overall.symbol, f"{page.overall.word}: {page.headline}", page.overall.look))
    terminal.say(f"{page.title}, as of {stands.at:%Y-%m-%d}{f' ({stands.version})' if stands.version else ''}")
    views = [view for objective in page.objectives for view in objective.lines]
    columns: dict[str, list[Any]] = {
        "Id": [view.line.id for view in views],
        "Title": [view.line.title for view in views],
        "Applies": [terminal.badge(v.decision.symbol, v.decision.word, v.decision.look) for v in views],
        "Status": [view.line.status or "" for view in views],
        "Evidence": [view.line.evidence or "" for view in views],
        "Why": [view.line.justification for view in views],
        "Risks": [", ".join(view.line.risks) for view in views],
        "Owner": [view.line.owner or "" for view in views],
        "Review": [str(view.line.next_review or "") for view in views],
    }
    width = terminal.console().width
    room = columns if width >= _ROOMY else _WIDE if width >= terminal.WIDE else _NARROW
    kept = [name for name, cells in columns.items() if any(cells) and name in room]
    made = terminal.table(*kept)
    terminal.rows(made, list(zip(*(columns[name] for name in kept), strict=True)))
    terminal.say(made)
    _notes(stands)


def _notes(stands: Soa) -> None:
    """What does not fit, in short."""
    for finding in stands.contradictions[:_FIRST]:
        head = f"{finding.control}: " if finding.control else ""
        terminal.say_plain(f"contradiction: {terminal.clean(head + finding.what)}")
    for finding in stands.findings:
        if not finding.contradiction and finding.control is None:
            terminal.say_plain(f"open: {terminal.clean(finding)}")
    if stands.findings:
        against = len(stands.contradictions)
        counted = f"{terminal.counted(against, 'contradiction')}, {len(stands.findings) - against} open"
        whose = f" --system {stands.system}" if stands.system else ""
        terminal.say_plain(f"{counted}: 'aims soa check{whose}' lists them with what to do.")


def _print_findings(found: Sequence[SoaFinding]) -> None:
    if not found:
        terminal.say_plain("nothing contradicts, every control is decided")
        return
    for finding in found:
        word = "contradiction" if finding.contradiction else "open"
        terminal.say_plain(f"{word}: {terminal.clean(finding)}")
    against = sum(finding.contradiction for finding in found)
    terminal.say_plain(f"\n{terminal.counted(against, 'contradiction')}, {len(found) - against} open")
