"""The command ``aims``: parse, call, print. Heavy modules are imported by the commands that need them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from aims_mlflow import __version__
from aims_mlflow.cli.applicability import soa
from aims_mlflow.cli.assessing import assess, report
from aims_mlflow.cli.attesting import attest
from aims_mlflow.cli.declaring import check, init
from aims_mlflow.cli.delivering import flush
from aims_mlflow.cli.demonstrating import demo
from aims_mlflow.cli.describing import bom, card
from aims_mlflow.cli.documenting import annex_iv, crosswalk, requests
from aims_mlflow.cli.exits import FailClosedGroup, debug_option
from aims_mlflow.cli.gaps import gap
from aims_mlflow.cli.gating import gate, promote
from aims_mlflow.cli.history import history, verify
from aims_mlflow.cli.impacts import impact
from aims_mlflow.cli.incidents import incident
from aims_mlflow.cli.keeping import records
from aims_mlflow.cli.listing import register
from aims_mlflow.cli.nonconformities import nonconformity
from aims_mlflow.cli.observing import observe
from aims_mlflow.cli.periods import effectiveness
from aims_mlflow.cli.refreshing import refresh
from aims_mlflow.cli.reviewing import approve, keygen, reject, waive, withdraw
from aims_mlflow.cli.risks import risk
from aims_mlflow.cli.systems import systems
from aims_mlflow.cli.watching import reconcile, webhook

_EPILOG = "Exit codes: 0 met, 1 not met, 2 could not run."


@click.group(
    cls=FailClosedGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="aims")
@debug_option
def aims() -> None:
    """ISO/IEC 42001 evidence from MLflow runs."""


for _command in (init, check, assess, report, gate, promote, register, flush, demo):
    aims.add_command(_command)

for _command in (approve, reject, waive, withdraw, history, verify, keygen, reconcile, webhook):
    aims.add_command(_command)

aims.add_command(effectiveness)
aims.add_command(gap)
aims.add_command(refresh)
aims.add_command(observe)

for _command in (attest, records, soa):
    aims.add_command(_command)

for _command in (risk, impact):
    aims.add_command(_command)

aims.add_command(systems)

for _command in (crosswalk, requests, annex_iv, card, bom):
    aims.add_command(_command)

for _command in (incident, nonconformity):
    aims.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``aims`` and leave the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a terminal that lacks a sign shows an escape instead of failing
            reconfigure(errors="backslashreplace")
    aims.main(args=arguments, prog_name="aims")
    raise AssertionError("click leaves the process")  # pragma: no cover


__all__ = ["aims", "main"]
