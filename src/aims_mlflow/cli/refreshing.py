"""``aims refresh``: judge anew what changed, flip tags, and list what falls due by owner."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.managing.refreshing import Refresh


@click.command()
@click.option("--within", type=click.IntRange(0, 3650), default=30, show_default=True, help="Days to look ahead.")
@click.option("--ical", type=click.Path(path_type=Path, dir_okay=False), help="Write what falls due as a calendar.")
@click.option("--tags-only", is_flag=True, help="Flip tags, and judge no version anew.")
@click.option("--config", type=click.Path(path_type=Path), help="aims.yaml of its own system.")
@click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
@json_option
@debug_option
@click.pass_context
def refresh(
    context: click.Context,
    within: int,
    ical: Path | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    tags_only: bool,
    as_json: bool,
) -> None:
    """Bring findings and tags up to date, and say what falls due. Made for cron: a second time does nothing.

    Exit code 1 where something is overdue, or a version in service is stale or could not be judged.
    """
    from aims_mlflow.managing.refreshing import refresh_all

    with terminal.working("Reading records and registry") as step:
        found = refresh_all(
            within=timedelta(days=within),
            reassess=not tags_only,
            config=config,
            tracking_uri=tracking_uri,
            progress=step,
        )
    if ical is not None:
        _write_calendar(ical, found)
    if as_json:
        terminal.say_json(found.model_dump(mode="json"))
    else:
        _print(found, within, ical)
    wrong = any(one.overdue for one in found.due) or any(
        one.action not in ("current", "reassessed", "at-risk") or one.status in ("stale", "error")
        for one in found.versions
    )
    context.exit(NOT_MET if wrong else MET)


def _write_calendar(path: Path, found: Refresh) -> None:
    from aims_mlflow.management.calendar import calendar_of

    try:
        path.write_bytes(calendar_of(found.due, at=found.at))
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(path)) from error


def _print(found: Refresh, within: int, ical: Path | None) -> None:
    from aims_mlflow.management.due import by_owner

    changed = [one for one in found.versions if one.action != "current"]
    versions = terminal.counted(len(found.versions), "version")
    terminal.say_plain(f"{versions} in service; {len(changed)} changed or need attention.")
    if changed:
        made = terminal.table("Version", "System", "What was done", "Status", "Because")
        lines = [[one.version, one.system or "-", one.action, one.status, one.reason] for one in changed]
        terminal.say(terminal.rows(made, lines))
    overdue = sum(one.overdue for one in found.due)
    terminal.say_plain(f"{overdue} overdue, {len(found.due) - overdue} due within {within} days.")
    for owner, items in by_owner(found.due).items():
        terminal.say_plain(f"\n{owner}:")
        made = terminal.table("By", "What", "System", "Next")
        for one in items:
            day = f"{one.by:%Y-%m-%d}{' overdue' if one.overdue else ''}"
            terminal.rows(made, [[day, one.what, one.system or "-", one.next_step]])
        terminal.say(made)
    for problem in found.problems:
        terminal.say_plain(f"problem: {problem}")
    if ical is not None:
        terminal.say_plain(f"wrote {ical}")
