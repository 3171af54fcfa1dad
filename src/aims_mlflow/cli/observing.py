"""``aims observe``: what the serving path left, delivered and filed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option

_spool_option = click.option(
    "--spool", type=click.Path(path_type=Path), help="Spool folder; by default that of observe."
)
_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
_config_option = click.option("--config", type=click.Path(path_type=Path), help="aims.yaml with the policy.")


@click.group()
@debug_option
def observe() -> None:
    """Evidence from the serving path: package a model, deliver what is left, file windows."""


@observe.command()
@click.argument("model_uri")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--part-seconds", type=click.FloatRange(min=1), help="Deliver so often; for workers that end unseen.")
@click.option("--spool", help="Spool folder on the machine that serves.")
@_config_option
@_uri_option
@json_option
@debug_option
def package(
    model_uri: str,
    folder: Path,
    part_seconds: float | None,
    spool: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Write a registered version as a model FOLDER that observes itself: mlflow models serve -m FOLDER."""
    from aims_mlflow.monitoring.observing import observed_model

    with terminal.working("Writing the model"):
        made = observed_model(
            model_uri, folder, config=config, tracking_uri=tracking_uri, part_seconds=part_seconds, spool=spool
        )
    if as_json:
        terminal.say_json({"folder": str(made), "model": model_uri})
    else:
        terminal.say_plain(f"{made} observes {model_uri}; serve it with: mlflow models serve -m {made}")


@observe.command()
@click.option("--adopt", is_flag=True, help="Deliver what another user left, too, or one whose key is gone.")
@_spool_option
@_uri_option
@json_option
@debug_option
@click.pass_context
def deliver(
    context: click.Context, spool: Path | None, tracking_uri: str | None, *, adopt: bool, as_json: bool
) -> None:
    """Deliver the parts that killed processes, or ones without a server, left on this disk.

    What processes that live hold is theirs and stays. Exit code 1 where something is kept or damaged.
    """
    from aims_mlflow.monitoring.observing.shipping import deliver_leftovers
    from aims_mlflow.monitoring.observing.spool import spool_roots

    with terminal.working("Delivering parts"):
        done = deliver_leftovers(spool_roots(spool), tracking_uri=tracking_uri, adopt=adopt)
    if as_json:
        terminal.say_json(
            {
                "delivered": done.delivered,
                "recovered": done.recovered,
                "kept": done.kept,
                "set_aside": done.set_aside,
            }
        )
    else:
        lines = [f"delivered: {name}" for name in done.delivered]
        lines += [f"damaged and set aside: {path}" for path in done.set_aside]
        lines += [f"kept: {path} ({why})" for path, why in done.kept.items()]
        if done.recovered:
            lines.append(
                f"{terminal.counted(done.recovered, 'checkpoint')} of killed processes: their last rows are lost"
            )
        lines.append(f"{len(done.delivered)} delivered, {len(done.kept)} kept, {len(done.set_aside)} damaged")
        terminal.say_plain("\n".join(lines))
    context.exit(NOT_MET if done.kept or done.set_aside else MET)


@observe.command()
@click.argument("model", required=False)
@click.option("--early", is_flag=True, help="File windows, too, that may still get parts.")
@_config_option
@_uri_option
@json_option
@debug_option
@click.pass_context
def close(
    context: click.Context,
    model: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    early: bool,
    as_json: bool,
) -> None:
    """Put the parts of each window together, measure it and file it as evidence, once its grace is over.

    A window that got another part since it was filed is filed again. Exit code 1 where a window could not be filed, or
    one that was did not pass.
    """
    from mlflow import MlflowClient

    from aims_mlflow.config import load_settings
    from aims_mlflow.evidence import Verdict
    from aims_mlflow.monitoring.merging import close_unclosed

    with terminal.working("Filing windows"):
        client = MlflowClient(tracking_uri=tracking_uri)
        results, failed = close_unclosed(client, load_settings(config), model=model, early=early)
    if as_json:
        terminal.say_json({"filed": [_told(r) for r in results], "failed": failed})
    else:
        lines = [f"{r.window.name}: {r.verdict}, {r.record.rows} rows of {r.record.parts} parts" for r in results]
        lines += [f"not filed: {name} ({why})" for name, why in failed.items()]
        lines.append(f"{terminal.counted(len(results), 'window')} filed")
        terminal.say_plain("\n".join(lines))
    passed = not failed and all(r.verdict is Verdict.PASS for r in results)
    context.exit(MET if passed else NOT_MET)


def _told(result: Any) -> dict[str, Any]:
    record = result.record
    return {
        "window": result.window.name,
        "run_id": result.run_id,
        "verdict": str(result.verdict),
        "rows": record.rows,
        "parts": record.parts,
        "reason": record.reason,
    }
