"""``aims assess`` and ``aims report``: judge a run or model version, and read the judgement again."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import COULD_NOT_RUN, MET, NOT_MET, debug_option, json_option
from aims_mlflow.cli.moments import as_of_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.assessment import Assessment, Finding, Overall

_TARGET = "Run id, runs:/ID, models:/NAME/VERSION or models:/NAME@ALIAS."
_FAIL_ON = ("fail", "stale", "warn")
"""Overall findings that ``--fail-on`` knows, worst first; each takes in those before it."""
_SUFFIXES = {".md": "md", ".html": "html", ".htm": "html", ".json": "json"}

_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")


@click.command(
    help=f"Judge a run or model version.\n\nTARGET: {_TARGET}\n\n"
    "Exit codes: 0 ok, 1 findings (see --fail-on), 2 could not be judged."
)
@click.argument("target")
@click.option("--config", type=click.Path(path_type=Path), help="aims.yaml to judge it against.")
@_uri_option
@click.option("--no-attach", is_flag=True, help="Judge only; write nothing to MLflow.")
@as_of_option()
@click.option(
    "--fail-on",
    type=click.Choice(_FAIL_ON),
    default="warn",
    show_default=True,
    help="What ends with code 1: 'fail' a row that is not satisfied, 'stale' also lapsed evidence, 'warn' also a row "
    "that is open.",
)
@click.option("--all", "every", is_flag=True, help="List every row, not only those that need attention.")
@json_option
@debug_option
@click.pass_context
def assess(
    context: click.Context,
    target: str,
    config: Path | None,
    tracking_uri: str | None,
    *,
    no_attach: bool,
    as_of: datetime | None,
    fail_on: str,
    every: bool,
    as_json: bool,
) -> None:
    """Judge a run or model version, print what needs attention, and leave with the verdict."""
    import aims_mlflow

    with terminal.working(f"Assessing {target}"):
        attach = not no_attach and as_of is None
        judged = aims_mlflow.assess(target, config=config, tracking_uri=tracking_uri, attach=attach, at=as_of)
    if as_json:
        terminal.say_json(judged.model_dump(mode="json"))
    else:
        print_assessment(judged, every=every)
        terminal.say_plain(where_the_report_is(judged, target, tracking_uri=tracking_uri, attached=attach))
    context.exit(exit_code(judged.overall, fail_on=fail_on))


@click.command(help=f"Print or write the report of an assessment.\n\nIt is the one last attached to TARGET: {_TARGET}")
@click.argument("target")
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "html", "json"]),
    help="By default what the suffix of --output says, else md.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default stdout.")
@_uri_option
@debug_option
def report(target: str, form: str | None, output: Path | None, tracking_uri: str | None) -> None:
    """Print or write the report of an assessment that was attached before."""
    chosen = form or _form_of(output)
    with terminal.working(f"Reading the assessment of {target}"):
        content = _rendered(target, chosen, tracking_uri)
    if output is None:
        terminal.write(content)
        return
    try:
        output.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(output)) from error
    terminal.say_plain(f"wrote {output}", error=True)


def _form_of(output: Path | None) -> str:
    """What the suffix says; a file without one is Markdown."""
    suffix = output.suffix.lower() if output else ""
    if suffix and suffix not in _SUFFIXES:
        raise InputError(
            f"there is no report of the form {suffix!r}",
            where=str(output),
            remedy=f"Use {', '.join(_SUFFIXES)}, or say the form with '--format'.",
        )
    return _SUFFIXES.get(suffix, "md")


def _rendered(target: str, form: str, tracking_uri: str | None) -> str:
    import aims_mlflow
    from aims_mlflow.evidence import canonical_json
    from aims_mlflow.report import render

    judged = aims_mlflow.load_assessment(target, tracking_uri=tracking_uri)
    if form == "json":
        return canonical_json(judged).decode()
    evidence = aims_mlflow.load_evidence(target, tracking_uri=tracking_uri)
    standing = None
    if target.startswith("models:/"):
        from aims_mlflow.registry.standing import standing_now

        standing = standing_now(target, tracking_uri=tracking_uri)
    return render(f"report.{form}", judged, evidence, standing=standing)


def exit_code(overall: Overall, *, fail_on: str = "warn") -> int:
    """1 where the finding is as bad as ``fail_on`` or worse, 2 where a row could not be judged, 0 for all else."""
    from aims_mlflow.assessment import Overall

    match overall:
        case Overall.PASS:
            return MET
        case Overall.ERROR | Overall.NOT_ASSESSED:
            return COULD_NOT_RUN
        case Overall.FAIL | Overall.WARN | Overall.STALE:
            return NOT_MET if str(overall) in _FAIL_ON[: _FAIL_ON.index(fail_on) + 1] else MET


def print_assessment(judged: Assessment, *, every: bool = False) -> None:
    """The headline, the counts, and a table of findings with those to look at first on top."""
    from aims_mlflow.report.words import OVERALL, STATUS

    label = OVERALL[judged.overall]
    subject = " ".join(filter(None, [judged.system_name, _subject(judged)]))
    terminal.say(terminal.badge(label.symbol, f"{label.word}: {judged.headline}", label.look), subject)
    shown = _ordered(judged, every=every)
    if shown:
        terminal.say(_table(shown))
    counted = [
        f"{judged.counts.get(str(status), 0)} {entry.word}"
        for status, entry in STATUS.items()
        if judged.counts.get(str(status), 0)
    ]
    terminal.say(f"{len(judged.findings)} clauses and controls: {', '.join(counted)}.")
    hidden = len(judged.findings) - len(shown)
    if hidden and not every:
        terminal.say(f"{hidden} rows not listed here ('--all' lists them).")


def _ordered(judged: Assessment, *, every: bool) -> list[Finding]:
    from aims_mlflow.assessment import Status
    from aims_mlflow.report.words import STATUS

    first = {row: position for position, row in enumerate(judged.attention)}
    lacking = not first  # nothing failed: what evidence is missing comes next
    chosen = [f for f in judged.findings if every or f.id in first or (lacking and f.status is Status.NO_EVIDENCE)]
    return sorted(chosen, key=lambda f: (f.id not in first, first.get(f.id, 0), STATUS[f.status].rank))


def _table(findings: list[Finding]) -> Any:
    from aims_mlflow.report.words import STATUS

    wide = terminal.console().width >= terminal.WIDE
    headers = ["Id", "Status", "Title", "Why", "Next"] if wide else ["Id", "Status", "Why"]
    made = terminal.table(*headers)
    made.columns[1].no_wrap = True
    for finding in findings:
        label = STATUS[finding.status]
        status = terminal.badge(label.symbol, label.word, label.look)
        narrow = f"{finding.reason}\nNext: {finding.next_step}" if finding.next_step else finding.reason
        why = [finding.title, finding.reason, finding.next_step] if wide else [narrow]
        terminal.rows(made, [[finding.id, status, *why]])
    return made


def _subject(judged: Assessment) -> str:
    model, run = judged.subject.model, judged.subject.run
    if model and model.registered_name:
        return f"{model.registered_name} version {model.version}"
    return f"run {run.run_id}" if run else ""


def where_the_report_is(judged: Assessment, target: str, *, tracking_uri: str | None, attached: bool) -> str:
    """Where a person finds the report: the artifact, its page on a tracking server, the command that prints it."""
    run = judged.subject.run
    if not attached or run is None:
        return "Nothing was written to MLflow."
    lines = [f"Report: artifact aims/report.html of run {run.run_id}"]
    server = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if server.startswith(("http://", "https://")) and run.experiment_id is not None and "@" not in server:
        page = f"{server.rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/aims/report.html"
        lines.append(f"        {page}")
    lines.append(f"        aims report {target}")
    return "\n".join(lines)
