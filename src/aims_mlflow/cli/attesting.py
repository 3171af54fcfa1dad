"""``aims attest``: a statement on record, by hand or from a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import debug_option, json_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.managing.attesting import Attested

_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
_config_option = click.option("--config", type=click.Path(path_type=Path), help="aims.yaml with your own frameworks.")

_TEXTS = (".md", ".yaml", ".yml")


@click.command()
@click.argument("topic", required=False)
@click.option("--statement", metavar="TEXT", help="What is stated; @FILE reads it from a file.")
@click.option("--owner", help="The one person or function that answers for it.")
@click.option("--approver", help="Who approved it.")
@click.option("--role", help="The owner's role.")
@click.option("--document", metavar="FILE|URI", help="The document: a file, which is kept with it, or its address.")
@click.option("--document-sha256", metavar="HASH", help="Hash of the document, 64 hex digits.")
@click.option("--valid-from", metavar="DATE", help="First day; by default today.")
@click.option("--valid-until", metavar="DATE", help="Last day; by default as long as its kind is usually valid.")
@click.option("--system", "systems", multiple=True, metavar="ID", help="AI system it is about; repeatable.")
@click.option("--supports", multiple=True, metavar="ID", help="For this clause or control only; repeatable.")
@click.option("--link", "links", multiple=True, metavar="TYPE:ID", help="Record it rests on; repeatable.")
@click.option("--id", "id_", metavar="ID", help="The record's id, where there are several on a topic.")
@click.option(
    "--verdict",
    type=click.Choice(["recorded", "pass", "fail"]),
    default="recorded",
    show_default=True,
    help="Of an extract (access_list, retention): what it comes to.",
)
@click.option("--template", is_flag=True, help="Print a text to start from, and file nothing.")
@click.option(
    "--from",
    "filled",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="File a filled template, or all (.md, .yaml) in a folder, by name.",
)
@_config_option
@_uri_option
@json_option
@debug_option
def attest(
    topic: str | None,
    *,
    template: bool,
    filled: Path | None,
    config: Path | None,
    tracking_uri: str | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Put a person's statement on record.

    TOPIC is a topic of the register ('aims register' lists them), access_list, retention, incident_log or
    nonconformity_log; with --from the file may say it. A statement on a topic that is on record becomes its next
    revision; what was said before stays readable. What the register asks for and the statement lacks is said; it is
    filed all the same.
    """
    given = {name: value for name, value in said.items() if value not in (None, (), "recorded")}
    if template or filled is not None:
        _refuse_both(given, template=template, filled=filled)
    if template:
        _print_template(topic, config)
        return
    if filled is not None and filled.is_dir():
        _attest_folder(filled, topic, config, tracking_uri, as_json=as_json)
        return
    from aims_mlflow.managing.attesting import file_filled, file_statement
    from aims_mlflow.managing.records import ManagementRecords

    with terminal.working("Filing the statement"):
        if filled is not None:
            done = file_filled(ManagementRecords(config=config, tracking_uri=tracking_uri), filled, topic)
        else:
            record = _said(topic, given)
            done = file_statement(
                ManagementRecords(config=config, tracking_uri=tracking_uri),
                record,
                document=given.get("document"),
                document_sha256=given.get("document_sha256"),
                verdict=given.get("verdict", "recorded"),
            )
    if as_json:
        terminal.say_json(_plain(done))
    else:
        _print(done)


def _attest_folder(
    folder: Path, topic: str | None, config: Path | None, tracking_uri: str | None, *, as_json: bool
) -> None:
    """File every filled template of a folder. All are read before the first is filed."""
    from aims_mlflow.errors import AimsError
    from aims_mlflow.managing.attesting import file_filled
    from aims_mlflow.managing.records import ManagementRecords

    if topic is not None:
        raise InputError("with a folder each file says its own topic", where="TOPIC", remedy="Leave TOPIC out.")
    paths = sorted(path for path in folder.iterdir() if path.suffix in _TEXTS and path.is_file())
    if not paths:
        raise InputError("no .md or .yaml file in it", where=str(folder))
    _read_all(paths)
    done: list[tuple[Path, Attested]] = []
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    try:
        with terminal.working("Filing the statements") as step:
            for path in paths:
                step(f"Filing {path.name}")
                done.append((path, file_filled(records, path)))
    except AimsError:
        terminal.say_plain(
            f"filed before the error: {', '.join(path.name for path, _ in done) or 'nothing'}", error=True
        )
        raise
    if as_json:
        terminal.say_json([_plain(one) for _, one in done])
    else:
        _print_folder(done)


def _read_all(paths: Sequence[Path]) -> None:
    """Raise for the first file that cannot be filed as it is."""
    from aims_mlflow.management.record_templates import read_filled

    for path in paths:
        read_filled(_read(f"@{path}"), path.name)


def _print_folder(done: Sequence[tuple[Path, Attested]]) -> None:
    from aims_mlflow.managing.attesting import unmet_words

    made = terminal.table("File", "Record", "Rev", "Until", "Meets")
    for path, one in done:
        record = one.filed.record
        met = ", ".join(dict.fromkeys(row.row for row in one.rows if row.is_met)) or "-"
        terminal.rows(made, [[path.name, record.link, str(record.revision), str(record.valid_until or "-"), met]])
    terminal.say(made, f"{terminal.counted(len(done), 'record')} filed.")
    for path, one in done:
        for note in (*unmet_words(one.unmet), *one.notes):
            terminal.say_plain(f"note: {path.name}: {note}", error=True)


def _refuse_both(given: Mapping[str, Any], *, template: bool, filled: Path | None) -> None:
    if template and filled is not None:
        raise InputError("give --template or --from, not both")
    if given:
        named = ", ".join(f"--{name.removesuffix('_').replace('_', '-')}" for name in given)
        raise InputError(f"{'--template' if template else '--from'} goes with no other option than --config: {named}")


def _said(topic: str | None, given: Mapping[str, Any]) -> Any:
    from aims_mlflow.api.given import day_of
    from aims_mlflow.management.record_templates import FilledRecord

    missing = [name for name in ("statement", "owner") if not given.get(name)]
    if topic is None or missing:
        what = "TOPIC" if topic is None else f"--{missing[0]}"
        raise InputError(
            f"{what} is missing", remedy="For example: aims attest ai_policy --owner 'Head of AI' --statement '...'."
        )
    return FilledRecord(
        type=topic,
        id=given.get("id_"),
        owner=given["owner"],
        approver=given.get("approver"),
        role=given.get("role"),
        valid_from=day_of(given.get("valid_from"), "--valid-from"),
        valid_until=day_of(given.get("valid_until"), "--valid-until"),
        systems=given.get("systems", ()),
        supports=given.get("supports", ()),
        links=given.get("links", ()),
        statement=_read(given["statement"]),
    )


def _read(text: str) -> str:
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    try:
        return path.read_bytes().decode("utf-8").strip()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text", where=str(path)) from error


def _print_template(topic: str | None, config: Path | None) -> None:
    from aims_mlflow.config import load_settings
    from aims_mlflow.delivery import catalog_of
    from aims_mlflow.management.record_templates import template_of

    if topic is None:
        raise InputError("TOPIC is missing", remedy="For example: aims attest ai_policy --template.")
    terminal.write(template_of(topic, catalog_of(load_settings(config))))


def _plain(done: Attested) -> dict[str, Any]:
    record = done.filed.record
    return {
        **record.model_dump(mode="json"),
        "link": record.link,
        "digest": record.digest,
        "run_id": done.filed.run_id,
        "rows": [row.model_dump(mode="json") for row in done.rows],
        "notes": list(done.notes),
    }


def _print(done: Attested) -> None:
    record = done.filed.record
    until = f"until {record.valid_until}" if record.valid_until else "without an end"
    terminal.say_plain(
        f"filed: {record.link}, revision {record.revision}, owner {record.owner}, from {record.valid_from} {until}"
        f" (run {done.filed.run_id})"
    )
    if done.rows:
        made = terminal.table("Row", "", "Needs", "Until")
        for row in done.rows:
            mark = terminal.badge("✓", "met") if row.is_met else terminal.badge("□", "not met", "unc")
            until = f"{row.valid_until:%Y-%m-%d}" if row.valid_until else "-"
            terminal.rows(made, [[row.row, mark, row.what, until]])
        terminal.say(made)
    else:
        terminal.say_plain("No clause or control asks for it.")
    from aims_mlflow.managing.attesting import unmet_words

    for note in (*unmet_words(done.unmet), *done.notes):
        terminal.say_plain(f"note: {note}", error=True)
