"""``aims demo``: a small project on real data, from training to findings."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.assessing import print_assessment
from aims_mlflow.cli.exits import debug_option, json_option

if TYPE_CHECKING:
    from aims_mlflow.demo import DemoResult


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=Path("aims-demo"),
    show_default=True,
    help="Where the demo keeps its files.",
)
@click.option("--no-ui", is_flag=True, help="Do not start the MLflow UI at the end.")
@json_option
@debug_option
def demo(directory: Path, *, no_ui: bool, as_json: bool) -> None:
    """Train on real data, capture evidence, judge it.

    On a terminal the MLflow UI is started at the end, until Ctrl-C; with --no-ui the demo runs unattended.
    """
    with terminal.working("Preparing") as step:
        from aims_mlflow.demo import run_demo

        result = run_demo(directory, progress=step)
    if as_json:
        terminal.say_json(_as_json(result))
        return
    for title, run_id, judged in (
        ("The model, on data like that it was made for", result.good_run, result.good),
        ("The same model, on a batch it was never meant for", result.drifted_run, result.drifted),
    ):
        terminal.say("", f"{title} (run {run_id})")
        print_assessment(judged)
        terminal.say_plain(f"Report: {result.report(run_id)}")
    terminal.say_plain(f"\nSee it in MLflow: {result.ui_command}")
    if not no_ui and sys.stdin.isatty() and sys.stdout.isatty():
        _show(result)


def _show(result: DemoResult) -> None:
    import shlex

    terminal.say_plain("Starting it now; Ctrl-C ends it.")
    with suppress(KeyboardInterrupt):
        subprocess.run(shlex.split(result.ui_command), check=False)  # noqa: S603  (our own words)


def _as_json(result: DemoResult) -> dict[str, Any]:
    return {
        "directory": str(result.directory),
        "tracking_uri": result.tracking_uri,
        "model_version": result.model_version,
        "ui_command": result.ui_command,
        "runs": [
            {
                "name": name,
                "run_id": run_id,
                "overall": str(judged.overall),
                "headline": judged.headline,
                "counts": judged.counts,
                "attention": list(judged.attention),
                "report": str(result.report(run_id)),
            }
            for name, run_id, judged in (
                ("good", result.good_run, result.good),
                ("drifted", result.drifted_run, result.drifted),
            )
        ],
    }
