"""``aims effectiveness``: how long each control was satisfied between two days."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import past

if TYPE_CHECKING:
    from aims_mlflow.management.effectiveness import Effectiveness


@click.command()
@click.option("--from", "begin", required=True, metavar="DATE", help="First day (from its beginning, UTC) or time.")
@click.option("--to", "end", metavar="DATE", help="Last day (to its end, UTC) or time; now where left out.")
@click.option("--system", help="Id of the system; by default that of aims.yaml, else the organization alone.")
@click.option("--all", "every", is_flag=True, help="List the rows that were satisfied all the time, too.")
@click.option("--config", type=click.Path(path_type=Path), help="aims.yaml to judge it against.")
@click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
@json_option
@debug_option
@click.pass_context
def effectiveness(
    context: click.Context,
    begin: str,
    end: str | None,
    system: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """Say how long each clause and control was satisfied in a period.

    At each moment counts what was known at that moment: what was filed later does not mend the time before it. Exit
    code 1 where a row was not satisfied all the time it applied.
    """
    from aims_mlflow.evidence import now
    from aims_mlflow.managing.periods import operating_effectiveness

    first, last = _first(begin), past(end) if end else now()
    with terminal.working("Judging the period"):
        found = operating_effectiveness(system, begin=first, end=last, config=config, tracking_uri=tracking_uri)
    if as_json:
        terminal.say_json(found.model_dump(mode="json"))
    else:
        _print(found, every=every)
    whole = all(row.satisfied_share is None or row.satisfied_share >= 1 for row in found.rows)
    context.exit(MET if whole else NOT_MET)


def _first(given: str) -> datetime:
    """The moment; of a day its beginning."""
    when = past(given)
    is_day = "T" not in given.upper() and " " not in given.strip()
    return when.replace(hour=0, minute=0, second=0, microsecond=0) if is_day else when


def _print(found: Effectiveness, *, every: bool) -> None:
    of = f"of system {found.system}" if found.system else "of the organization"
    terminal.say_plain(f"Operating effectiveness {of}, {found.begin:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC")
    made = terminal.table("Id", "Title", "Satisfied", "Gaps", "Longest gap", "It began with")
    shown = [row for row in found.rows if every or row.satisfied_share is None or row.satisfied_share < 1]
    for row in sorted(shown, key=lambda r: (r.satisfied_share is None, -(r.satisfied_share or 0))):
        share = "not applicable" if row.satisfied_share is None else _percent(row.satisfied_share)
        gap = row.longest_gap
        why = f"{gap.status} since {gap.begin:%Y-%m-%d}: {gap.reason}" if gap and row.satisfied_days else ""
        longest = f"{row.longest_gap_days:,.1f} days" if gap else "none"
        terminal.rows(made, [[row.id, row.title, share, str(row.gaps), longest, why]])
    whole = sum(row.satisfied_share is not None and row.satisfied_share >= 1 for row in found.rows)
    never = sum(row.satisfied_share == 0 for row in found.rows)
    terminal.say(made) if shown else None
    terminal.say_plain(
        f"{whole} of {len(found.rows)} rows were satisfied all the time, {never} never. "
        f"Judged at {terminal.counted(found.moments, 'moment')}."
    )
    for note in found.notes:
        terminal.say_plain(f"note: {note}")


def _percent(share: float) -> str:
    """Never rounded up to the whole, nor down to nothing."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{min(share, 0.999) * 100 if share < 1 else 100:.1f} %"
