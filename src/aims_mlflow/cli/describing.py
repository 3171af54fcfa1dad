"""``aims card`` and ``aims bom``: what a version is, for people and for machines."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option
from aims_mlflow.cli.writing import config_option, form_of, out_option, records_of, uri_option, write_document
from aims_mlflow.errors import InputError

_PAGES = ("html", "md", "json")
_RECORDABLE = ("technical_documentation", "user_information")
_parameters_option = click.option(
    "--parameters", is_flag=True, help="Tell the values of the run's parameters, not only their names."
)


@click.command()
@click.argument("target")
@as_of_option()
@click.option("--format", "form", type=click.Choice(_PAGES), help="By default what --out's suffix says, else md.")
@out_option
@_parameters_option
@click.option("--strict", is_flag=True, help="Leave with code 1 where a gap is named.")
@click.option(
    "--record",
    "topics",
    multiple=True,
    type=click.Choice(_RECORDABLE),
    help="File it as the document of a record on this topic; repeatable. Needs --owner.",
)
@click.option("--owner", help="With --record: the one person or function that answers for it.")
@click.option("--approver", help="With --record: who approved it.")
@click.option("--valid-until", metavar="DATE", help="With --record: last day; by default a year.")
@config_option
@uri_option
@json_option
@debug_option
@click.pass_context
def card(
    context: click.Context,
    target: str,
    as_of: datetime | None,
    form: str | None,
    out: Path | None,
    topics: tuple[str, ...],
    owner: str | None,
    approver: str | None,
    valid_until: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    parameters: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Write the model card of a version from what is on record.

    TARGET is models:/NAME/VERSION or models:/NAME@ALIAS. Every part nothing is known of is named in place.
    With --record somebody answers for it: it becomes the document of a record (A.6.2.7, A.8.2).
    """
    from aims_mlflow.api.given import day_of
    from aims_mlflow.managing.documenting import card as made_of
    from aims_mlflow.managing.documenting import file_card
    from aims_mlflow.report.documents import render_paper

    if topics and not owner:
        raise InputError("a record needs an owner", where="--owner", remedy="Name who answers for the card.")
    if not topics and any((owner, approver, valid_until)):
        raise InputError(
            "--owner, --approver and --valid-until are of a record",
            where="--record",
            remedy=f"Say which: --record {' or --record '.join(_RECORDABLE)}.",
        )
    if topics and as_of is not None:
        raise InputError("a record is filed now, not in the past", where="--as-of", remedy="Leave out one of the two.")
    chosen = "json" if as_json else form_of(form, out, _PAGES, default="md") or "md"
    with terminal.working(f"Gathering what is known of {target}"):
        records = records_of(config, tracking_uri)
        paper, system = made_of(records, target, as_of=as_of, parameters=parameters)
        text = render_paper(paper, chosen)
        content = text.encode("utf-8", "backslashreplace")
        until = day_of(valid_until, "--valid-until") if valid_until else None
        filed = (
            file_card(
                records,
                paper,
                content,
                topics,
                owner=owner or "",
                approver=approver,
                valid_until=until,
                system=system,
                form=chosen,
            )
            if topics
            else []
        )
    write_document(text, out)
    for one in filed:
        terminal.say_plain(f"filed as the document of {one.record.link} revision {one.record.revision}", error=True)
    if out is not None:
        terminal.say_plain(f"{paper.in_short}.", error=True)
    context.exit(NOT_MET if strict and any(paper.gaps()) else MET)


@click.command()
@click.argument("target")
@as_of_option()
@out_option
@_parameters_option
@click.option("--log", is_flag=True, help="Keep it with the version's run, as evidence of kind 'components' (A.10.3).")
@click.option("--strict", is_flag=True, help="Leave with code 1 where something is not known.")
@config_option
@uri_option
@json_option
@debug_option
@click.pass_context
def bom(
    context: click.Context,
    target: str,
    as_of: datetime | None,
    out: Path | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    parameters: bool,
    log: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Write the bill of materials of a version: CycloneDX 1.6 with a model card, as JSON.

    TARGET is models:/NAME/VERSION or models:/NAME@ALIAS. It names the model by content, its data sets by the SHA-256 of
    their full content (no row of them), and packages with versions. What is not known is a property 'aims:gap'. With
    --json and --out, a summary is printed.
    """
    from aims_mlflow.managing.documenting import bill_of_materials, gaps_of, log_bill_of_materials

    if log and as_of is not None:
        raise InputError("evidence is logged now, not in the past", where="--as-of", remedy="Leave out one of the two.")
    with terminal.working(f"Gathering what {target} is made of"):
        records = records_of(config, tracking_uri)
        text = bill_of_materials(records, target, as_of=as_of, parameters=parameters)
        logged = log_bill_of_materials(records, target, text) if log else None
    write_document(text, out)
    plain = json.loads(text)
    gaps = gaps_of(plain)
    if out is not None and as_json:
        terminal.say_json(
            {
                "file": str(out),
                "serial_number": plain["serialNumber"],
                "components": len(plain.get("components", [])),
                "gaps": gaps,
                "evidence": logged.digest if logged else None,
            }
        )
    elif out is not None:
        parts = terminal.counted(len(plain.get("components", [])), "component")
        terminal.say_plain(f"{parts}, {terminal.counted(len(gaps), 'gap')} named in it.", error=True)
    if logged is not None and not as_json:
        terminal.say_plain(
            f"logged as evidence components-{logged.digest[7:23]}; `aims assess {target}` judges the version with it",
            error=True,
        )
    context.exit(NOT_MET if strict and gaps else MET)
