"""``aims reconcile`` and ``aims webhook``: find afterwards what no gate saw."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import COULD_NOT_RUN, MET, NOT_MET, debug_option, json_option
from aims_mlflow.errors import ConfigError, InputError

if TYPE_CHECKING:
    from aims_mlflow.registry.reconcile import Reconciliation

SECRET_VARIABLE = "AIMS_WEBHOOK_SECRET"  # noqa: S105  (its name)
_SHORTEST_SECRET = 16

_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
_config_option = click.option("--config", type=click.Path(path_type=Path), help="aims.yaml with the policy.")


@click.command()
@click.argument("models", nargs=-1)
@click.option("--since", help="Leave out runs, and versions that do not serve, from before: a date, or days as in 7d.")
@click.option(
    "--running-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="A run that has not ended after so many hours counts as left over.",
)
@click.option("--full", is_flag=True, help="Read files and evidence of every version, not only of those that serve.")
@click.option("--fix-log", is_flag=True, help="Write what is found into the transition log.")
@click.option("--tag", is_flag=True, help="Set aims.status of versions whose assessment does not count.")
@_config_option
@_uri_option
@json_option
@debug_option
@click.pass_context
def reconcile(
    context: click.Context,
    models: tuple[str, ...],
    since: str | None,
    running_hours: float,
    config: Path | None,
    tracking_uri: str | None,
    *,
    full: bool,
    fix_log: bool,
    tag: bool,
    as_json: bool,
) -> None:
    """Compare the registry with the transition log, and what serves with its evidence.

    Without MODELS all registered models the policy is about. Made for cron: it prints nothing where nothing is found.
    Exit code 0 where nothing is found, 1 where something is, 2 where it, or a part of it, could not be looked at.
    """
    from aims_mlflow.registry.reconcile import reconcile as compare

    with terminal.working("Comparing the registry with the log"):
        result = compare(
            models,
            config=config,
            tracking_uri=tracking_uri,
            since=_moment(since),
            running_hours=running_hours,
            full=full,
            fix_log=fix_log,
            tag=tag,
        )
    if as_json:
        terminal.say_json(result.model_dump(mode="json"))
    elif not result.clean:
        _print(result)
    context.exit(COULD_NOT_RUN if result.unreadable else NOT_MET if result.findings else MET)


def _print(result: Reconciliation) -> None:
    """Findings with what mends them, then what could not be looked at, and what the levels mean."""
    from aims_mlflow.registry.reconcile.findings import LEVELS, WORDS

    for finding in result.findings:
        done = "; written into the log" if finding.recorded else ""
        done += f"; aims.status set to {finding.tagged}" if finding.tagged else ""
        word = WORDS.get(finding.kind, str(finding.kind))
        terminal.say_plain(f"{finding.level}, {word}: {finding}{done}\n    next: {finding.remedy}")
    for what in result.unreadable:
        terminal.say_plain(f"could not be looked at: {what}")
    parts = [f"{len(result.findings)} found in {terminal.counted(len(result.models), 'model')}"]
    if result.unreadable:
        parts.append(f"{len(result.unreadable)} could not be looked at")
    terminal.say_plain(", ".join(parts))
    levels = {finding.level for finding in result.findings}
    if levels:
        terminal.say_plain("; ".join(f"{level}: {meaning}" for level, meaning in LEVELS.items() if level in levels))


def _moment(text: str | None) -> datetime | None:
    """A date, a time, or days before now."""
    if text is None:
        return None
    days = text.removesuffix("d")
    try:
        if days != text and days.isascii() and days.isdigit():
            return datetime.now(UTC) - timedelta(days=int(days))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is no date", remedy="Give one as 2026-11-24, or days as 7d.") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File with the webhook's secret; else {SECRET_VARIABLE}.",
)
@click.option("--revert", is_flag=True, help="Put an alias back that was moved past the gate and would be refused.")
@_config_option
@_uri_option
@debug_option
def webhook(
    port: int, host: str, secret_file: Path | None, config: Path | None, tracking_uri: str | None, *, revert: bool
) -> None:
    """Receive MLflow's webhooks: look at the model each is about, log what passed by the gate, assess again.

    Register it with MLflow as http://HOST:PORT/webhook, with the secret, for the events model_version.created,
    model_version_alias.created, model_version_alias.deleted, model_version_tag.set and model_version_tag.deleted.
    MLflow loses deliveries and sends none for stages: run `aims reconcile` from time to time as well.
    """
    secret = _secret(secret_file)
    if config is not None:
        os.environ["AIMS_CONFIG"] = str(config.absolute())  # so that it is read again when it changes
    _serve(secret, host, port, tracking_uri, revert=revert)


def _secret(file: Path | None) -> str:
    """The webhook's secret.

    Raises:
        InputError: there is none, or it is too short.
    """
    if file is not None:
        try:
            secret = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the secret cannot be read ({type(error).__name__})", where=str(file)) from error
    else:
        secret = os.environ.get(SECRET_VARIABLE, "").strip()
    if not secret:
        raise InputError(
            "the receiver needs the webhook's secret", remedy=f"Give --secret-file, or set {SECRET_VARIABLE}."
        )
    if len(secret) < _SHORTEST_SECRET:
        raise InputError(f"the webhook's secret has fewer than {_SHORTEST_SECRET} characters", remedy="Choose another.")
    return secret


def _serve(secret: str, host: str, port: int, tracking_uri: str | None, *, revert: bool) -> None:
    from functools import partial

    from mlflow import MlflowClient

    import aims_mlflow
    from aims_mlflow.attach.store import check_reachable
    from aims_mlflow.config import load_settings
    from aims_mlflow.registry.anchors import state_directory
    from aims_mlflow.registry.reconcile.watch import watching_gatekeeper
    from aims_mlflow.registry.webhook import Looker, Receiver, Seen, build_server

    gate = load_settings().declaration.gate
    if gate is None or not gate.guarded:
        raise ConfigError("there is no policy to look by", remedy="Write a section 'gate', or name the file: --config.")
    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    assess = partial(aims_mlflow.assess, tracking_uri=tracking_uri)
    looker = Looker(client, watching_gatekeeper(client, None), assess, revert=revert)
    seen = Seen(state_directory() / "webhook-deliveries.db")
    receiver = Receiver(secret, seen, looker.look)
    try:
        server = build_server(receiver, host, port)
    except OSError as error:
        raise InputError(f"cannot listen on {host} port {port} ({error.strerror})") from error
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aims_mlflow").setLevel(logging.INFO)
    receiver.start()
    terminal.say_plain(f"listening on http://{host}:{server.server_port}/webhook", error=True)
    try:
        server.serve_forever()
    finally:
        server.server_close()
        receiver.stop()
        seen.close()
