"""``aims flush``: deliver the evidence that could not be written when it was made."""

from __future__ import annotations

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option


@click.command()
@json_option
@debug_option
@click.pass_context
def flush(context: click.Context, *, as_json: bool) -> None:
    """Deliver evidence kept while MLflow was unreachable.

    Exit code 1 where some of it still could not be delivered; it is kept and can be tried again.
    """
    import aims_mlflow

    with terminal.working("Delivering kept evidence"):
        result = aims_mlflow.flush()
    if as_json:
        terminal.say_json(
            {"delivered": list(result.delivered), "kept": list(result.kept), "reasons": dict(result.reasons)}
        )
    elif not result.delivered and not result.kept:
        terminal.say_plain("nothing to deliver")
    else:
        lines = [f"delivered: run {run}" for run in result.delivered]
        lines += [f"kept: {file} ({result.reasons.get(file, 'reason unknown')})" for file in result.kept]
        lines.append(f"{len(result.delivered)} delivered, {len(result.kept)} kept")
        terminal.say_plain("\n".join(lines))
    context.exit(NOT_MET if result.kept else MET)
