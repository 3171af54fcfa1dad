"""``aims history`` and ``aims verify``: what the log says of the past, and whether the log is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option

if TYPE_CHECKING:
    from aims_mlflow.gate.history import History, Holding, Review, Said, Serving
    from aims_mlflow.registry.verifying import LogCheck

_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
_SHORT = len("sha256:") + 12


@click.command()
@click.argument("model")
@as_of_option("--at")
@_uri_option
@json_option
@debug_option
def history(model: str, as_of: datetime | None, tracking_uri: str | None, *, as_json: bool) -> None:
    """Say which version served where, since when, moved by whom, on what.

    MODEL is the name of a registered model. What is printed comes from the transition log, which is verified on the
    way; 'aims verify' holds it against the anchor file in full.
    """
    from aims_mlflow.errors import InputError
    from aims_mlflow.evidence import now
    from aims_mlflow.gate.history import history as read

    name = model.removeprefix("models:/")
    when = as_of or now()
    with terminal.working(f"Reading the log of {name}"):
        entries = _log(tracking_uri).read(name, fresh=True)
    if not entries:
        raise InputError(
            f"there is no log of {name!r}",
            remedy="Moves of guarded targets, approvals and waivers are logged; 'aims gate' says what is guarded.",
        )
    found = read(entries, model=name, at=when)
    if as_json:
        plain = found.model_dump(mode="json")
        terminal.say_json(plain | {"current": [s.model_dump(mode="json") for s in found.current]})
        return
    _print_history(found, past=as_of is not None)


def _log(tracking_uri: str | None) -> Any:
    from mlflow import MlflowClient

    from aims_mlflow.attach.store import check_reachable
    from aims_mlflow.gate.signing import own_key
    from aims_mlflow.registry.log import TransitionLog

    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    return TransitionLog(client, key=own_key())


def _print_history(found: History, *, past: bool) -> None:
    when = f"at {_time(found.at)}" if past else "now"
    names = f" (before: {', '.join(found.former_names)})" if found.former_names else ""
    entries = terminal.counted(found.entries, "entry", "entries")
    terminal.say_plain(f"{found.model}{names}: {entries} in the log. Serving {when}:")
    for hold in found.holdings:
        if hold.until is None:
            what = f"Held: {hold.severity} incident {hold.incident} is open since {_time(hold.since)} UTC"
            terminal.say(terminal.badge("✗", f"{what}{f': {hold.what}' if hold.what else ''}", "bad"))
    if found.current:
        terminal.say(_servings(found, found.current, ended=False))
    else:
        terminal.say_plain("  no version")
    earlier = [s for s in found.servings if s.until is not None]
    if earlier:
        terminal.say("Before:", _servings(found, earlier, ended=True))
    if found.refusals:
        made = terminal.table("Entry", "When", "Version", "To", "By", "Refused because")
        for refusal in found.refusals:
            why = f"not made by the registry: {refusal.failed}" if refusal.failed else "; ".join(refusal.problems)
            line = [str(refusal.number), _time(refusal.at), refusal.version or "-", str(refusal.target)]
            terminal.rows(made, [[*line, refusal.by.name or "unknown", why or "no reason on record"]])
        terminal.say("Refused or failed:", made)
    if found.holdings:
        terminal.say("Held by incidents:", _holdings(found.holdings))
    if found.reviews:
        terminal.say("Said of versions:", _reviews(found.reviews))


def _servings(found: History, listed: Sequence[Serving], *, ended: bool) -> Any:
    wide = terminal.console().width >= terminal.WIDE
    headers = ["Target", "Version", "Since", *(["Until"] if ended else []), "Moved by", "Decision"]
    made = terminal.table(*headers, *(["On"] if wide else []))
    for one in listed:
        line: list[Any] = [str(one.target), one.version, _since(one)]
        if ended:
            line.append(f"found {_time(one.until)}" if one.end_found_by else _time(one.until))
        line += [_mover(one), _decision(one)]
        if wide:
            line.append(_rests_on(one, {r.digest: r for r in found.reviews}))
        terminal.rows(made, [line])
    return made


def _since(one: Serving) -> str:
    if one.found_by is None:
        return _time(one.since)
    after = f"after {_time(one.known_before)}" if one.known_before else "nothing known before"
    return f"found at {_time(one.since)} ({after})"


def _mover(one: Serving) -> str:
    """Who moved it there, who found it there, who ended it: who looks is not who moves."""
    parts = [f"{one.by.name} ({one.by.identity})" if one.by.name else "unknown"]
    if one.found_by is not None and one.found_by != one.by:
        parts.append(f"found by {one.found_by.name or 'unknown'}")
    if one.confirmed_by is not None:
        parts.append(f"again {_time(one.confirmed_at)} by {one.confirmed_by.name or 'unknown'}")
    if one.end_found_by is not None:
        parts.append(f"ended by unknown, found by {one.end_found_by.name or 'unknown'}")
    elif one.ended_by is not None and one.ended_by != one.by:
        parts.append(f"ended by {one.ended_by.name or 'unknown'}")
    return ", ".join(parts)


def _decision(one: Serving) -> Any:
    match one.outcome:
        case "allow":
            return terminal.badge("✓", "allowed")
        case "allow-by-waiver":
            broken = any(w.decision == "break-glass" for w in one.waived)
            return terminal.badge("▲", "by break-glass" if broken else "by waiver", "bad" if broken else "unc")
        case "refuse":
            return terminal.badge("✗", "would be refused, only observed", "bad")
        case "not-guarded":
            return terminal.badge("○", "not guarded", "none")
        case "found":
            return terminal.badge("✗", "past the gate", "bad")


def _rests_on(one: Serving, reviews: Mapping[str, Review]) -> str:
    parts = []
    if one.statement_sha256:
        parts.append(f"assessment {one.statement_sha256[:_SHORT]}")
    if one.evidence_sha256:
        parts.append(f"evidence {one.evidence_sha256[:_SHORT]}")
    parts += [f"approved by {_person(said, reviews)}" for said in one.approved]
    parts += [f"waived by {_person(said, reviews)}" for said in one.waived]
    if one.outcome == "found" or one.reason:
        parts.append(f"{'found' if one.outcome == 'found' else 'reason'}: {one.reason}")
    return "; ".join(parts) or "nothing on record"


def _person(said: Said, reviews: Mapping[str, Review]) -> str:
    if said.person is None:
        return f"{said.digest[:_SHORT]} (in another log)"
    review = reviews.get(said.digest)
    gone = (
        " (withdrawn since)" if review and review.withdrawn else " (lapsed since)" if review and review.lapsed else ""
    )
    return said.person + (f" as {said.role}" if said.role else "") + gone


def _holdings(listed: tuple[Holding, ...]) -> Any:
    made = terminal.table("Entry", "Incident", "Held since", "By", "Until", "Released by")
    for one in listed:
        by = f"{one.person} ({one.by.identity})"
        until: Any = _time(one.until) if one.until else terminal.badge("✗", "still held", "bad")
        freed = "-"
        if one.until is not None:
            freed = f"{one.released_by} (entry {one.release})" + (f": {one.why}" if one.why else "")
            freed += "; not signed as the hold is, 'aims gate' says whether it counts" if one.doubtful else ""
        terminal.rows(made, [[str(one.number), f"{one.incident} ({one.severity})", _time(one.since), by, until, freed]])
    return made


def _reviews(listed: tuple[Review, ...]) -> Any:
    made = terminal.table("Entry", "When", "Version", "Who", "Said", "Stands")
    for one in listed:
        who = f"{one.person}{f' as {one.role}' if one.role else ''} ({one.identity})"
        said = " ".join(filter(None, [one.decision, ", ".join(one.controls)]))
        said += f" for {', '.join(one.targets)}" if one.targets else ""
        said += f"; reason: {one.reason}" if one.reason else ""
        stands = f"until {_time(one.valid_until)}" if one.valid_until else "yes"
        if one.decision == "withdraw":
            stands = "-"
        elif one.withdrawn:
            stands = "withdrawn"
        elif one.lapsed:
            stands = f"lapsed {_time(one.valid_until)}"
        stops = one.decision in {"break-glass", "reject"} and not one.withdrawn
        shown = terminal.badge("✗", said, "bad") if stops else said
        line: list[Any] = [str(one.number), _time(one.at), one.version or "-", who, shown]
        terminal.rows(made, [[*line, stands]])
    return made


def _time(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "-"


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--anchors", type=click.Path(path_type=Path, dir_okay=False), help="Anchor file, e.g. of the server's machine."
)
@click.option(
    "--gate-key", "gate_keys", multiple=True, metavar="KEY", help="Public key of the gate; its entries must have it."
)
@click.option("--pin", is_flag=True, help="Add what was read to the anchor file, and accept it as it is.")
@_uri_option
@json_option
@debug_option
@click.pass_context
def verify(
    context: click.Context,
    models: tuple[str, ...],
    anchors: Path | None,
    gate_keys: tuple[str, ...],
    tracking_uri: str | None,
    *,
    pin: bool,
    as_json: bool,
) -> None:
    """Hold the transition log against itself and the anchor file.

    All logs, or those of the models named. The anchor file is AIMS_ANCHORS, by default anchors.jsonl in the user's
    folder for state; the gate's own is on the machine it runs on. Exit code 1 where something was cut, altered,
    removed or rewritten, or where nothing outside MLflow vouches for a log; 2 where there is none, or it could not be
    read. With --pin 0 where what was found is accepted by it.
    """
    from aims_mlflow.errors import InputError
    from aims_mlflow.gate.signing import is_public_key

    if anchors is not None and not anchors.exists() and not pin:
        raise InputError("there is no such anchor file", where=str(anchors), remedy="--pin starts one.")
    for key in gate_keys:
        if not is_public_key(key):
            raise InputError(
                f"{key[:60]!r} is no public key", remedy="`aims keygen --show FILE` prints one of a key file."
            )
    names = [model.removeprefix("models:/") for model in models]
    with terminal.working("Reading the log"):
        checked = _log(tracking_uri).verify(names or None, anchors=anchors, gate_keys=gate_keys, pin=pin)
    if as_json:
        terminal.say_json(checked.model_dump(mode="json") | {"intact": checked.intact})
    else:
        _print_check(checked)
    if checked.intact and checked.without_log:
        raise InputError(
            f"there is no log of {', '.join(repr(name) for name in checked.without_log)}",
            remedy="Moves of guarded targets, approvals and waivers are logged.",
        )
    context.exit(MET if checked.intact or checked.accepted else NOT_MET)


def _print_check(checked: LogCheck) -> None:
    entries = terminal.counted(checked.entries, "entry", "entries")
    counted = f"{entries} of {terminal.counted(checked.models, 'model')}, {checked.anchored} of them anchored"
    if checked.intact:
        terminal.say(terminal.badge("✓", f"Whole: {counted}."))
    else:
        terminal.say(
            terminal.badge("✗", f"Not whole: {terminal.counted(len(checked.problems), 'finding')} in {counted}.", "bad")
        )
        made = terminal.table("Model", "Entry", "What", "Finding", "Next")
        for one in checked.problems:
            where = [one.model or "all", str(one.number or "-"), str(one.damage)]
            terminal.rows(made, [[*where, one.what, one.remedy]])
        terminal.say(made)
    for note in checked.notes:
        terminal.say_plain(f"note: {note}")
    if checked.pinned:
        were = "was" if checked.pinned == 1 else "were"
        terminal.say_plain(f"{terminal.counted(checked.pinned, 'line')} {were} added to the anchor file.")
    if checked.accepted:
        terminal.say_plain("Accepted: from now on the anchor file is about the log as it is.")
