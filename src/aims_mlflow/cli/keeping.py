"""``aims records``: what is on record, one record in full, taking one back, and whether all of them are whole."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import COULD_NOT_RUN, MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option

if TYPE_CHECKING:
    from aims_mlflow.filing import RecordsCheck
    from aims_mlflow.management.listing import Listed
    from aims_mlflow.management.state import Filed, Problem, State
    from aims_mlflow.managing.records import ManagementRecords

_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
_config_option = click.option("--config", type=click.Path(path_type=Path), help="aims.yaml with your own frameworks.")

_BADGES = {
    "in force": ("✓", ""),
    "not yet valid": ("○", "none"),
    "lapsed": ("▽", "old"),
    "withdrawn": ("\N{EN DASH}", "none"),
    "broken": ("✗", "bad"),
}


@click.group(invoke_without_command=True)
@click.option("--type", "type_id", metavar="TYPE", help="Only this type, e.g. ai_policy.")
@click.option("--system", metavar="ID", help="Only those that name this AI system.")
@click.option("--owner", help="Only those of this owner.")
@as_of_option()
@click.option("--all", "every", is_flag=True, help="Also those that were withdrawn.")
@_config_option
@_uri_option
@json_option
@debug_option
@click.pass_context
def records(
    context: click.Context,
    type_id: str | None,
    system: str | None,
    owner: str | None,
    as_of: datetime | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """List the records of the management system: what each is, whether it is in force, until when, whose it is.

    'aims records verify' says whether they are whole.
    """
    if context.invoked_subcommand is not None:
        return
    from aims_mlflow.managing.attesting import list_records

    with terminal.working("Reading the records"):
        kept = _records(config, tracking_uri)
        state = kept.state(as_of)
        found = list_records(kept, state, type_id=type_id, system=system, owner=owner, include_withdrawn=every)
    wrong = [p for p in state.problems if type_id in (None, p.type)]
    if as_json:
        plain = [one.model_dump(mode="json") | {"link": one.record.link} for one in found]
        terminal.say_json({"at": state.at.isoformat(), "records": plain, "problems": _plain(wrong)})
        return
    _print_list(found, state, past=as_of is not None)
    for problem in wrong:
        terminal.say_plain(f"{'wrong' if problem.blocks else 'note'}: {problem}", error=True)


@records.command()
@click.argument("link", metavar="TYPE:ID")
@_config_option
@_uri_option
@json_option
@debug_option
def show(link: str, config: Path | None, tracking_uri: str | None, *, as_json: bool) -> None:
    """Show a record with all its revisions, the latest first."""
    from aims_mlflow.management.state import State
    from aims_mlflow.managing.attesting import parse_link

    type_id, id_ = parse_link(link)
    with terminal.working(f"Reading {link}"):
        kept = _records(config, tracking_uri)
        filed, problems = kept.store.everything()
        state = State.of(filed, at=_latest(filed), problems=problems)
    revisions = sorted(
        (one for one in filed if one.record.key == (type_id, id_)), key=lambda one: one.record.revision, reverse=True
    )
    wrong = [p for p in state.problems if (p.type, p.id) == (type_id, id_)]
    if not revisions and not wrong:
        kept.one(state, type_id, id_)
    if as_json:
        plain = [
            one.record.model_dump(mode="json")
            | {"digest": one.record.digest, "run_id": one.run_id, "deleted": one.deleted}
            for one in revisions
        ]
        terminal.say_json({"link": link, "revisions": plain, "problems": _plain(wrong)})
        return
    for one in revisions:
        terminal.say_plain("\n".join(_in_full(one)))
    for problem in wrong:
        terminal.say_plain(f"{'wrong' if problem.blocks else 'note'}: {problem}", error=True)


@records.command()
@click.argument("link", metavar="TYPE:ID")
@click.option("--reason", required=True, help="Why, for the record.")
@_config_option
@_uri_option
@json_option
@debug_option
def withdraw(link: str, reason: str, config: Path | None, tracking_uri: str | None, *, as_json: bool) -> None:
    """Withdraw a record: it counts for nothing from now on, and stays readable."""
    import aims_mlflow

    with terminal.working(f"Withdrawing {link}"):
        record = aims_mlflow.withdraw_record(link, reason=reason, config=config, tracking_uri=tracking_uri)
    if as_json:
        terminal.say_json(record.model_dump(mode="json") | {"link": record.link, "digest": record.digest})
    else:
        terminal.say_plain(f"withdrawn: {record.link}, revision {record.revision}: {record.withdrawn}")


@records.command()
@_uri_option
@json_option
@debug_option
@click.pass_context
def verify(context: click.Context, tracking_uri: str | None, *, as_json: bool) -> None:
    """Look whether the records are whole: every run, every revision, every kept document.

    Exit code 1 where a run was deleted or altered, a revision is absent or stands twice, records rest on each other in
    a circle or on one that is not there, or a document is not the one that was filed; 2 where it could not be told.
    """
    from mlflow import MlflowClient

    from aims_mlflow.filing import RecordStore
    from aims_mlflow.filing import verify as look
    from aims_mlflow.filing.verification import UNREAD

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for each document says nothing
    with terminal.working("Reading the records") as step:
        checked = look(RecordStore(MlflowClient(tracking_uri=tracking_uri)), progress=step)
    if as_json:
        terminal.say_json(checked.model_dump(mode="json") | {"whole": checked.is_whole})
    else:
        _print_check(checked)
    if checked.is_whole:
        context.exit(MET)
    context.exit(COULD_NOT_RUN if all(p.code == UNREAD for p in checked.problems) else NOT_MET)


def _records(config: Path | None, tracking_uri: str | None) -> ManagementRecords:
    from aims_mlflow.managing.records import ManagementRecords

    return ManagementRecords(config=config, tracking_uri=tracking_uri)


def _latest(filed: list[Filed]) -> datetime:
    """The present, or the last filing where a clock ran ahead: all that is on file is to be seen."""
    from aims_mlflow.evidence import now

    return max([now(), *(one.record.recorded_at for one in filed)])


def _plain(problems: list[Problem]) -> list[dict[str, Any]]:
    return [problem.model_dump(mode="json") for problem in problems]


def _print_list(found: list[Listed], state: State, *, past: bool) -> None:
    when = f"as known on {state.at:%Y-%m-%d %H:%M} UTC" if past else "now"
    if not found:
        terminal.say_plain(f"No record {when}. Next: aims attest TOPIC, or aims attest TOPIC --template.")
        return
    made = terminal.table("Record", "Rev", "Standing", "From", "Until", "Owner", "About")
    for one in found:
        record = one.record
        symbol, look = _BADGES[one.standing]
        standing = terminal.badge(symbol, f"{one.standing}{f': {one.reason}' if one.reason else ''}", look)
        until = str(record.valid_until or "-")
        about = ", ".join(record.systems) or "organization"
        line = [record.link, str(record.revision), standing, str(record.valid_from), until, record.owner, about]
        terminal.rows(made, [line])
    forced = sum(one.standing == "in force" for one in found)
    terminal.say(made, f"{terminal.counted(len(found), 'record')} {when}, {forced} in force.")


def _in_full(one: Filed) -> list[str]:
    record = one.record
    lines = [
        f"{record.link} revision {record.revision}{' (its run was deleted)' if one.deleted else ''}",
        f"  filed: {record.recorded_at:%Y-%m-%d %H:%M:%S} UTC by {record.recorded_by or 'unknown'} (run {one.run_id})",
        f"  owner: {record.owner}" + (f"; approved by {record.approver}" if record.approver else ""),
        f"  valid: from {record.valid_from} until {record.valid_until or 'superseded or withdrawn'}",
        f"  about: {', '.join(record.systems) or 'the organization'}",
    ]
    if record.withdrawn is not None:
        lines.append(f"  withdrawn: {record.withdrawn}")
    if record.supports:
        lines.append(f"  for: {', '.join(record.supports)}")
    if record.links:
        lines.append(f"  rests on: {', '.join(record.links)}")
    if record.document is not None:
        paper = record.document
        where = paper.uri or ("kept with the record" if paper.sha256 else "not kept")
        lines.append(f"  document: {paper.title} ({where}{f', {paper.sha256}' if paper.sha256 else ''})")
    lines.append(f"  digest: {record.digest}")
    lines += [line for name, value in record.content.items() for line in _field(name, value)]
    return lines


def _field(name: str, value: Any) -> list[str]:
    import json

    if value in (None, {}, []):
        return []
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return [f"  {name}:", *(line for key, text in value.items() for line in _text(f"    {key}: ", text))]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _text(f"  {name}: ", text)


def _text(head: str, text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [head + first, *(" " * (len(head) - len(head.lstrip()) + 2) + line for line in rest)]


def _print_check(checked: RecordsCheck) -> None:
    counted = (
        f"{terminal.counted(checked.records, 'record')} in {terminal.counted(checked.revisions, 'revision')}, "
        f"{terminal.counted(checked.documents, 'document')} hashed again"
    )
    if checked.is_whole:
        terminal.say(terminal.badge("✓", f"Whole: {counted}."))
    else:
        wrong = terminal.counted(len(checked.problems), "problem")
        terminal.say(terminal.badge("✗", f"Not whole: {wrong} in {counted}.", "bad"))
        for problem in checked.problems:
            terminal.say_plain(f"{problem.code}: {problem}")
    if checked.pointers:
        are = "is" if checked.pointers == 1 else "are"
        counted = terminal.counted(checked.pointers, "document")
        terminal.say_plain(f"note: {counted} {are} only pointed at; whether they changed cannot be told here.")
