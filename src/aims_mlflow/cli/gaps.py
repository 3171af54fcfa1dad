"""``aims gap``: how far each clause and control is from where it should be, and what to do next."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option, past
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.management.gap import GapLine, SystemGap, Trend
    from aims_mlflow.managing.gaps import GapView

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "md"}
_ROWS = 15


@click.command()
@click.option("--system", help="Show one system; by default the organization: of each row the worst over its systems.")
@as_of_option()
@click.option("--since", metavar="DATE", help="Also say what changed since that day.")
@click.option(
    "--target",
    type=click.IntRange(1, 4),
    default=3,
    show_default=True,
    help="Level every row should have. High-risk systems are asked for 4 where measured evidence can show it.",
)
@click.option("--rows", type=click.IntRange(0), default=_ROWS, show_default=True, help="How many things to do to list.")
@click.option("--format", "form", type=click.Choice(["html", "md"]), help="Write a report; by default as --out ends.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default stdout.")
@click.option("--record", is_flag=True, help="File the state of today, to compare later ones with (clause 10.1).")
@click.option("--owner", help="With --record: the one who answers for it.")
@click.option("--config", type=click.Path(path_type=Path), help="aims.yaml to judge it against.")
@click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
@json_option
@debug_option
@click.pass_context
def gap(
    context: click.Context,
    system: str | None,
    as_of: datetime | None,
    since: str | None,
    target: int,
    rows: int,
    form: str | None,
    out: Path | None,
    owner: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    record: bool,
    as_json: bool,
) -> None:
    """Say how far each clause and control is from where it should be, high-risk systems first.

    Maturity is capped by evidence: 0 nothing on file, 1 evidence fails, 2 lapsed, 3 stated by people, 4 measured. It
    needs neither run nor model. --json prints one entry for each row, the most urgent first.

    Exit codes: 0 no row is below its target, 1 some are, 2 could not run.
    """
    from aims_mlflow.managing.gaps import gap as look
    from aims_mlflow.managing.gaps import record_gap

    _check(form, out, owner, as_of, record=record, as_json=as_json)
    with terminal.working("Comparing with the register"):
        view = look(
            system=system,
            as_of=as_of,
            since=past(since) if since else None,
            target=target,
            config=config,
            tracking_uri=tracking_uri,
        )
    if as_json:
        terminal.say_json(_json(view))
    elif form or out:
        _write(_rendered(view, form or _form_of(out), config), out)
    else:
        _print(view, rows)
    if record and owner:
        filed = record_gap(view.assessment, owner=owner, config=config, tracking_uri=tracking_uri)
        terminal.say_plain(f"filed {filed.record.link} (revision {filed.record.revision})", error=True)
    context.exit(NOT_MET if view.shown.summary.below_target else MET)


def _check(
    form: str | None, out: Path | None, owner: str | None, as_of: datetime | None, *, record: bool, as_json: bool
) -> None:
    if record and not (owner or "").strip():
        raise InputError("a record needs an owner", where="--record", remedy="Name who answers for it: --owner NAME.")
    if owner is not None and not record:
        raise InputError("only a record has an owner", where="--owner", remedy="Add --record.")
    if record and as_of is not None:
        raise InputError(
            "only the state of today can be filed", where="--record", remedy="Leave out --as-of; --since compares."
        )
    if as_json and (form or out):
        raise InputError("--json and a report exclude each other", remedy="Give one of them.")
    if out is not None and form is None:
        _form_of(out)


def _form_of(out: Path | None) -> str:
    suffix = out.suffix.lower() if out else ""
    if suffix not in _SUFFIXES:
        raise InputError(f"the form of {str(out)!r} is not clear", where="--out", remedy="Say --format html or md.")
    return _SUFFIXES[suffix]


def _rendered(view: GapView, form: str, config: Path | None) -> str:
    from aims_mlflow.config import load_settings
    from aims_mlflow.delivery import catalog_of
    from aims_mlflow.report.gap import render_gap

    frameworks = catalog_of(load_settings(config)).frameworks
    return render_gap(
        "html" if form == "html" else "md", view.assessment, view.shown, frameworks=frameworks, trend=view.trend
    )


def _write(text: str, out: Path | None) -> None:
    if out is None:
        terminal.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(out)) from error
    terminal.say_plain(f"wrote {out}", error=True)


def _json(view: GapView) -> list[dict[str, Any]]:
    from aims_mlflow.management.gap import in_order

    before = {} if view.trend is None else {one.id: one for one in _changes(view.trend)}
    found = []
    run = view.assessment.last_run
    for line in in_order(view.shown.lines):
        entry = line.model_dump(mode="json", exclude={"floor"})
        entry["last_run"] = run.run_id if run is not None and line.id in run.rows else None
        if view.trend is not None:
            one = before.get(line.id)
            entry["before"] = {
                "since": view.trend.since.isoformat(),
                "status": one.status_before if one else str(line.status),
                "maturity": one.maturity_before if one else line.maturity,
            }
            if line.id in view.trend.incomparable:
                entry["before"] = None
        found.append(entry)
    return found


def _changes(trend: Trend) -> list[Any]:
    return [*trend.better, *trend.worse, *trend.other]


def _print(view: GapView, most: int) -> None:
    from aims_mlflow.report.gap import HOW_IT_COUNTS, headline, last_run_text, trend_text

    shown = view.shown
    whose = "the organization" if shown.is_whole else f"system {shown.system or shown.name}"
    terminal.say(f"Gap of {whose}, {view.assessment.at:%Y-%m-%d %H:%M} UTC", headline(shown))
    for problem in view.assessment.problems:
        terminal.say(terminal.badge("!", problem, "err"))
    if view.trend is not None:
        terminal.say(trend_text(view.trend))
    run = view.assessment.last_run
    if run is not None and run.rows:
        terminal.say(f"{last_run_text(run)}:")
        for row, title in run.rows.items():
            terminal.say(f"  {row} {title}")
        terminal.say(HOW_IT_COUNTS)
    if shown.is_whole:
        _print_systems(view)
    _print_work(view, most)
    undeclared = view.assessment.undeclared
    if undeclared and shown.is_whole:
        named = ", ".join(undeclared[:5]) + (f" and {len(undeclared) - 5} more" if len(undeclared) > 5 else "")
        terminal.say(f"{terminal.counted(len(undeclared), 'registered model')} of no declared system: {named}.")


def _print_systems(view: GapView) -> None:
    from aims_mlflow.report.gap import RISK, figure, percent

    made = terminal.table("System", "Risk", "In service", "Mean", "Current", "Below target", "Excluded")
    declared = [one for one in view.assessment.systems if one.system is not None]
    for one in declared:
        label, summary = RISK[one.risk_class], one.summary
        line = [
            one.system or "",
            terminal.badge(label.symbol, label.word, label.look),
            terminal.counted(len(one.versions), "version"),
            figure(summary.mean),
            percent(summary.fresh_share),
            f"{summary.below_target} of {summary.applicable}",
            str(summary.excluded),
        ]
        terminal.rows(made, [line])
    if declared:
        terminal.say(made)
    else:
        terminal.say("No AI system is declared: `aims systems declare`. The rows are those of the organization.")


def _print_work(view: GapView, most: int) -> None:
    from aims_mlflow.management.gap import work_of
    from aims_mlflow.report.gap import titled
    from aims_mlflow.report.words import STATUS

    lines: list[GapLine] = _lines(view.assessment.systems if view.shown.is_whole else (view.shown,))
    work = work_of(lines)
    if not work or not most:
        return
    terminal.say("What to do first:")
    for one in work[:most]:
        label = STATUS[one.status]
        about = f"  level {one.maturity} of {one.target}  {titled(one.rows, one.titles, 3)}"
        about += f"  ({_few(one.systems, 3)})" if one.systems else ""
        # The reports name the other ways, too.
        step = one.next_step.partition("; or ")[0]
        owner = f" Owner: {_few(one.owners, 3)}." if one.owners else ""
        terminal.say(terminal.badge(label.symbol, label.word, label.look).append(about))
        terminal.say(f"  {step.rstrip('.')}.{owner}")
    if len(work) > most:
        terminal.say(f"{terminal.counted(len(work) - most, 'further thing')} to do ('--rows' lists more).")


def _lines(systems: tuple[SystemGap, ...]) -> list[GapLine]:
    return [line for one in systems for line in one.lines]


def _few(names: tuple[str, ...], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
