"""``aims approve``, ``reject``, ``waive``, ``withdraw``: a word on a version. ``aims keygen``: a key to sign with."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import debug_option, json_option
from aims_mlflow.cli.gating import version_uri
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.gate.entries import ReviewEntry

_person_option = click.option("--person", required=True, help="Your name, as the policy knows it.")
_config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="aims.yaml with the policy, which tells your role."
)
_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")


def _review_options(*, reason: str, until: str, required: Collection[str] = ()) -> Callable[[Any], Any]:
    """The options of every review; ``reason`` and ``until`` say what they mean."""
    options = (
        click.option("--to", "aliases", multiple=True, metavar="ALIAS", help="For this alias only; may be repeated."),
        click.option("--to-stage", "stages", multiple=True, metavar="STAGE", help="For this stage only."),
        click.option("--to-model", "models", multiple=True, metavar="MODEL", help="For copying to this model only."),
        _person_option,
        click.option("--role", help="In what role, e.g. 'model owner'; by default the only one the policy gives you."),
        click.option("--reason", help=reason, required="reason" in required),
        click.option("--valid-until", metavar="DATE", help=until, required="until" in required),
        _config_option,
        _uri_option,
        json_option,
        debug_option,
    )

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@_review_options(reason="Why, for the record.", until="Day or time it ends; by default the policy says.")
def approve(model: str, version: str | None, **given: Any) -> None:
    """Approve a version.

    MODEL VERSION may be one URI: models:/NAME/VERSION or models:/NAME@ALIAS. Without --to, --to-stage or --to-model it
    is for every target. It is bound to the version's files and void when they change.
    """
    import aims_mlflow

    _say(lambda uri, said: aims_mlflow.approve(uri, **said), model, version, given)


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@_review_options(reason="Why.", until="Day or time it ends; by default never.", required=("reason",))
def reject(model: str, version: str | None, **given: Any) -> None:
    """Reject a version: no move passes until you withdraw it.

    MODEL VERSION may be one URI: models:/NAME/VERSION or models:/NAME@ALIAS.
    """
    import aims_mlflow

    _say(lambda uri, said: aims_mlflow.reject(uri, **said), model, version, given)


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@click.option(
    "--control",
    "controls",
    multiple=True,
    metavar="ID",
    help="Control, kind of evidence, or 'approvals'; repeatable.  [required without --break-glass]",
)
@click.option("--break-glass", is_flag=True, help="In an emergency: let it pass whatever is missing, 7 days at most.")
@_review_options(reason="Why.", until="Day or time it ends.", required=("reason", "until"))
def waive(model: str, version: str | None, controls: tuple[str, ...], *, break_glass: bool, **given: Any) -> None:
    """Let a version pass without some controls, for a time.

    The findings stay what they are; the waiver shows on them until it lapses. MODEL VERSION may be one URI:
    models:/NAME/VERSION or models:/NAME@ALIAS.
    """
    import aims_mlflow

    if break_glass:
        if controls:
            raise InputError("--break-glass is for everything that is missing", remedy="Leave out --control.")
        _say(lambda uri, said: aims_mlflow.break_glass(uri, **said), model, version, given)
    else:
        _say(lambda uri, said: aims_mlflow.waive(uri, controls=controls, **said), model, version, given)


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@click.option("--entry", "number", type=int, help="Number in the log, see 'aims history'; by default your latest.")
@_person_option
@click.option("--reason", help="Why, for the record.")
@_config_option
@_uri_option
@json_option
@debug_option
def withdraw(
    model: str,
    version: str | None,
    number: int | None,
    person: str,
    reason: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Take back what you said of a version.

    MODEL VERSION may be one URI: models:/NAME/VERSION or models:/NAME@ALIAS.
    """
    import aims_mlflow
    from aims_mlflow.registry.reviews import withdrawn_by

    uri = version_uri(model, version)
    with terminal.working(f"Writing to the log of {uri}"):
        entry = aims_mlflow.withdraw(
            uri, person=person, number=number, reason=reason, config=config, tracking_uri=tracking_uri
        )
        back = withdrawn_by(entry, tracking_uri=tracking_uri)
    _print(entry, as_json=as_json, back=back)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--show", is_flag=True, help="Print the public key of a FILE that is there; nothing is made.")
@debug_option
def keygen(file: Path, *, show: bool) -> None:
    """Make a key to sign assessments and reviews with.

    FILE gets the private key, readable for you alone. The public key is printed; it goes into aims.yaml, under
    gate.people or gate.trusted_keys. A gated server makes its own key, see --show: AIMS_GATE_KEY, by default gate.key
    in the user's folder for state.
    """
    from aims_mlflow.gate.signing import read_key, write_key

    if show:
        terminal.say_plain(read_key(file).public)
        return
    key = write_key(file)
    terminal.say_plain(key.public)
    terminal.say_plain(
        f"wrote {file}\nNext: put the line above into aims.yaml as the key of a person or under trusted_keys, and set"
        f" AIMS_SIGNING_KEY={file} where you sign.",
        error=True,
    )


def _say(call: Callable[[str, dict[str, Any]], ReviewEntry], model: str, version: str | None, given: Any) -> None:
    from aims_mlflow.registry.reviews import notes_on

    uri = version_uri(model, version)
    said = {name: given[name] for name in ("person", "role", "reason", "valid_until", "config", "tracking_uri")}
    said["targets"] = (*given["aliases"], *given["stages"], *given["models"])
    with terminal.working(f"Writing to the log of {uri}"):
        entry = call(uri, said)
        notes = notes_on(entry, config=given["config"])
    _print(entry, as_json=given["as_json"])
    for note in notes:
        terminal.say_plain(f"note: {note}", error=True)


_DONE = {
    "approve": "approved",
    "reject": "rejected",
    "waive": "waived",
    "break-glass": "break-glass",
    "withdraw": "withdrawn",
}


_SAID = {"approve": "approval", "reject": "rejection", "waive": "waiver", "break-glass": "break-glass"}


def _print(entry: ReviewEntry, *, as_json: bool, back: ReviewEntry | None = None) -> None:
    """What was written; ``back`` is what a withdrawal took back."""
    if as_json:
        terminal.say_json(entry.model_dump(mode="json") | {"digest": entry.digest})
        return
    parts = [f"{_DONE[entry.decision]}: {entry.model} {entry.version}"]
    if entry.decision == "waive":
        parts.append(f"without {', '.join(entry.controls)}")
    if back is not None:
        parts.append(f"the {_SAID[back.decision]} of entry {back.number}")
    if entry.decision != "withdraw":
        parts.append(f"for {', '.join(entry.targets) or 'every target'}")
    parts.append(f"by {entry.person}" + (f" as {entry.role}" if entry.role else ""))
    if entry.valid_until:
        parts.append(f"until {entry.valid_until:%Y-%m-%d %H:%M} UTC")
    known = "signed" if entry.signature and entry.level != "enforced" else str(entry.actor.identity)
    terminal.say_plain(f"{', '.join(parts)} (entry {entry.number}, identity {known})")
