"""``aims crosswalk``, ``aims requests``, ``aims annex-iv``: the same evidence for other frameworks and for the law."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option
from aims_mlflow.cli.writing import (
    config_option,
    form_of,
    out_option,
    records_of,
    system_option,
    uri_option,
    write_document,
)

if TYPE_CHECKING:
    from aims_mlflow.documentation.neighbours import Pivot
    from aims_mlflow.documentation.requests import RequestList

_TABLES = ("html", "md", "csv", "json")
_PAGES = ("html", "md", "json")


@click.command()
@click.argument("framework")
@system_option
@as_of_option()
@click.option("--format", "form", type=click.Choice(_TABLES), help="By default what --out's suffix says, else a table.")
@out_option
@config_option
@uri_option
@json_option
@debug_option
def crosswalk(
    framework: str,
    system: str | None,
    as_of: datetime | None,
    form: str | None,
    out: Path | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Show a system's evidence by the references of another framework.

    FRAMEWORK is eu_ai_act, nist_ai_rmf, iso27001_2022, iso9001_2015, iso14001_2015, or one of your own. Each line says
    which rows support a reference, with confidence and status; support is no conformity.
    """
    from aims_mlflow.managing.documenting import neighbours
    from aims_mlflow.report.documents import render_pivot

    chosen = "json" if as_json else form_of(form, out, _TABLES, default="md" if out else None)
    with terminal.working("Putting the evidence in their order"):
        found = neighbours(records_of(config, tracking_uri), framework, system=system, as_of=as_of)
    if chosen is None:
        _print_pivot(found)
    else:
        write_document(render_pivot(found, chosen), out)


def _print_pivot(found: Pivot) -> None:
    from aims_mlflow.report.documents import PIVOT_STATE

    made = terminal.table("Reference", "Evidence", "What supports it")
    for line in found.lines:
        label = PIVOT_STATE[line.state]
        terminal.rows(made, [[line.reference, terminal.badge(label.symbol, label.word, label.look), line.says]])
    terminal.say(f"{found.title}: {found.system_name}", made)
    if found.law is not None:
        duties = [d for d in found.law.duties if d.in_force]
        latest = f"latest in force: {duties[-1].date}, {duties[-1].applies}" if duties else "none is in force yet"
        terminal.say_plain(f"Dates of the law on {found.law.day}: {latest}. {found.law.checked_words}")
        terminal.say_plain(found.law.high_risk_words)
    counted = ", ".join(f"{count} {state}" for state, count in found.counts.items())
    terminal.say_plain(f"{counted}. Support is no conformity.")


@click.command()
@click.option(
    "--with", "others", multiple=True, metavar="FRAMEWORK", help="Another audit: iso27001_2022...; repeatable."
)
@system_option
@as_of_option()
@click.option("--format", "form", type=click.Choice(_TABLES), help="By default what --out's suffix says, else a table.")
@out_option
@click.option("--strict", is_flag=True, help="Leave with code 1 where a request is not on file.")
@config_option
@uri_option
@json_option
@debug_option
@click.pass_context
def requests(
    context: click.Context,
    others: tuple[str, ...],
    system: str | None,
    as_of: datetime | None,
    form: str | None,
    out: Path | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    strict: bool,
    as_json: bool,
) -> None:
    """List the evidence an audit asks for, once for several audits.

    Requirements that ask for the same statement, declaration or measurement are one request; each says which clauses it
    serves, whether it is on file and where it lies.
    """
    from aims_mlflow.managing.documenting import evidence_requests
    from aims_mlflow.report.documents import render_requests

    chosen = "json" if as_json else form_of(form, out, _TABLES, default="md" if out else None)
    with terminal.working("Gathering what is on file"):
        found = evidence_requests(records_of(config, tracking_uri), others, system=system, as_of=as_of)
    if chosen is None:
        _print_requests(found)
    else:
        write_document(render_requests(found, chosen), out)
    whole = all(one.state in ("on file", "excluded") for one in found.requests)
    context.exit(NOT_MET if strict and not whole else MET)


def _print_requests(found: RequestList) -> None:
    from aims_mlflow.report.documents import REQUEST_STATE

    made = terminal.table("State", "What is asked for", "Serves", "Where it lies, or what to do")
    for one in found.requests:
        label = REQUEST_STATE[one.state]
        ours = ", ".join(dict.fromkeys(asking.row for asking in one.ours))
        theirs = "; ".join(
            f"{framework}: {', '.join(t.reference for t in one.theirs if t.framework == framework)}"
            for framework in found.frameworks
            if any(t.framework == framework for t in one.theirs)
        )
        serves = f"{ours}\n{theirs}" if theirs else ours
        then = "\n".join(one.lies[:3]) if one.lies else one.remedy or one.reason
        terminal.rows(made, [[terminal.badge(label.symbol, label.word, label.look), one.asks, serves, then]])
    terminal.say(made)
    terminal.say_plain(f"{found.in_short}.")


@click.command("annex-iv")
@system_option
@click.option(
    "--version",
    "versions",
    multiple=True,
    metavar="URI",
    help="Document this version, models:/NAME/VERSION; repeatable. By default those in service.",
)
@as_of_option()
@click.option("--format", "form", type=click.Choice(_PAGES), help="By default what --out's suffix says, else md.")
@out_option
@click.option("--parameters", is_flag=True, help="Tell the values of the runs' parameters, not only their names.")
@click.option("--strict", is_flag=True, help="Leave with code 1 where a gap is named.")
@config_option
@uri_option
@json_option
@debug_option
@click.pass_context
def annex_iv(
    context: click.Context,
    system: str | None,
    versions: tuple[str, ...],
    as_of: datetime | None,
    form: str | None,
    out: Path | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    parameters: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Write the technical documentation of a system (EU AI Act, Annex IV) from what is on record.

    Every part nothing is known of is named in place, with whose job it is and what to do. ISO/IEC 42001 gives no
    presumption of conformity; not legal advice.
    """
    from aims_mlflow.managing.documenting import annex_iv as made_of
    from aims_mlflow.report.documents import render_paper

    chosen = "json" if as_json else form_of(form, out, _PAGES, default="md")
    with terminal.working("Gathering what is on record"):
        records = records_of(config, tracking_uri)
        paper = made_of(records, system, as_of=as_of, versions=versions, parameters=parameters)
    write_document(render_paper(paper, chosen or "md"), out)
    if out is not None:
        terminal.say_plain(f"{paper.in_short}.", error=True)
    context.exit(NOT_MET if strict and any(paper.gaps()) else MET)
