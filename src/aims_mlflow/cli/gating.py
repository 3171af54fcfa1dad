"""``aims gate`` and ``aims promote``: ask whether a version may move, and move it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import COULD_NOT_RUN, MET, NOT_MET, debug_option, json_option
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.gate.decision import GateDecision

_TARGETS = (
    click.option("--to", "alias", metavar="ALIAS", help="Alias the version would get, e.g. champion."),
    click.option("--to-stage", "stage", metavar="STAGE", help="Stage it would move to, e.g. Production."),
    click.option("--to-model", metavar="MODEL", help="Registered model it would be copied to."),
)
_uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
_config_option = click.option("--config", type=click.Path(path_type=Path), help="aims.yaml with the policy.")


def target_options(command: Any) -> Any:
    """``--to``, ``--to-stage``, ``--to-model``."""
    for option in reversed(_TARGETS):
        command = option(command)
    return command


def version_uri(model: str, version: str | None) -> str:
    """``models:/name/version`` from what was typed: a URI, or a name and a number.

    Raises:
        InputError: it names no version.
    """
    if model.startswith("models:/"):
        if version is not None:
            raise InputError("give a model URI, or a model and a version, not both")
        return model
    if version is None or not version.isdigit():
        raise InputError(
            "name one version of one model",
            remedy=f"For example: {model} 3, or models:/{model}/3, models:/{model}@champion.",
        )
    return f"models:/{model}/{version}"


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@target_options
@_config_option
@_uri_option
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write the decision as JUnit XML.")
@click.option("--summary", type=click.Path(path_type=Path, dir_okay=False), help="Also write it as Markdown.")
@json_option
@debug_option
@click.pass_context
def gate(
    context: click.Context,
    model: str,
    version: str | None,
    alias: str | None,
    stage: str | None,
    to_model: str | None,
    config: Path | None,
    tracking_uri: str | None,
    junit: Path | None,
    summary: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say whether a version may move; nothing is moved.

    MODEL VERSION may be one URI: models:/NAME/VERSION or models:/NAME@ALIAS. Exit code 0 where the move may pass (also
    where it is only observed, or not guarded), 1 where it is refused, 2 where it could not be decided: no policy, or
    something that could not be read. In GitHub Actions the summary is added to the job's page.
    """
    from aims_mlflow.gate import summary as forms
    from aims_mlflow.registry.moving import gate_version

    decision = gate_version(
        version_uri(model, version),
        alias=alias,
        stage=stage,
        to_model=to_model,
        config=config,
        tracking_uri=tracking_uri,
    )
    if junit is not None:
        _write(junit, forms.junit(decision))
    if summary is not None:
        _write(summary, forms.markdown(decision))
    elif os.environ.get("GITHUB_STEP_SUMMARY"):
        _write(Path(os.environ["GITHUB_STEP_SUMMARY"]), forms.markdown(decision), append=True)
    if as_json:
        terminal.say_json(decision.model_dump(mode="json"))
    else:
        print_decision(decision)
    context.exit(exit_code(decision))


def exit_code(decision: GateDecision) -> int:
    """0 where the move may pass, 1 where it is refused, 2 where that could not be decided."""
    if not decision.refused:
        return MET
    return COULD_NOT_RUN if any(p.could_not_decide for p in decision.open_problems) else NOT_MET


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@target_options
@click.option("--reason", help="Why; it stands in the log.")
@click.option("--archive-existing", is_flag=True, help="Archive what is in the stage now.")
@_config_option
@_uri_option
@json_option
@debug_option
@click.pass_context
def promote(
    context: click.Context,
    model: str,
    version: str | None,
    alias: str | None,
    stage: str | None,
    to_model: str | None,
    reason: str | None,
    config: Path | None,
    tracking_uri: str | None,
    *,
    archive_existing: bool,
    as_json: bool,
) -> None:
    """Move a version through the gate: decide, write the decision into the log, make the move.

    MODEL VERSION may be one URI: models:/NAME/VERSION or models:/NAME@ALIAS. Exit code 1 where the move is refused.
    """
    from mlflow.exceptions import MlflowException

    from aims_mlflow.registry.moving import promote_version

    if archive_existing and not stage:
        raise InputError("--archive-existing is about a stage", remedy="Name one with --to-stage.")
    uri = version_uri(model, version)
    try:
        made = promote_version(
            uri,
            alias=alias,
            stage=stage,
            to_model=to_model,
            reason=reason,
            archive_existing=archive_existing,
            config=config,
            tracking_uri=tracking_uri,
        )
    except MlflowException as error:
        if error.error_code != "PERMISSION_DENIED":
            raise
        text = str(error.message).removeprefix("PERMISSION_DENIED: ")
        if as_json:
            terminal.say_json({"moved": False, "reason": text})
        else:
            terminal.say_plain(text, error=True)
        context.exit(NOT_MET)
    decision = made.decision
    if as_json:
        plain = {"moved": True, "version": made.version, "level": str(made.made_by)}
        terminal.say_json(plain | {"decision": decision.model_dump(mode="json")})
        return
    print_decision(decision)
    where = "the server's gate" if made.made_by == "enforced" else "this process alone"
    terminal.say_plain(f"moved: {decision.model} {decision.version} to {decision.target} (decided by {where})")


def print_decision(decision: GateDecision) -> None:
    """The decision in a line, then what is wanting and what mends it."""
    from aims_mlflow.gate.decision import DecisionOutcome
    from aims_mlflow.gate.messages import one_line

    looks = {
        DecisionOutcome.ALLOW: ("✓", "ok"),
        DecisionOutcome.ALLOW_BY_WAIVER: ("▲", "bad" if decision.break_glass else "unc"),
        DecisionOutcome.REFUSE: ("✗", "bad"),
        DecisionOutcome.NOT_GUARDED: ("○", "none"),
    }
    symbol, look = looks[decision.outcome]
    terminal.say(terminal.badge(symbol, one_line(decision), look))
    if decision.problems:
        made = terminal.table("Id", "Why", "Next")
        lines = [
            [p.id, f"{p.title + ': ' if p.title else ''}{p.what}", "waived" if p.waived_by else p.remedy]
            for p in decision.problems
        ]
        terminal.rows(made, lines)
        terminal.say(made)
    facts = [f"Profile {decision.profile or 'none'}, {decision.mode}"]
    if decision.approvals_needed:
        facts.append(f"approved by {', '.join(decision.approved_by) or 'nobody'}")
    if decision.signed_by:
        facts.append(f"assessment signed by {decision.signed_by}")
    if decision.valid_until:
        facts.append(f"holds until {decision.valid_until:%Y-%m-%d %H:%M} UTC")
    terminal.say_plain("; ".join(facts) + ".")


def _write(path: Path, text: str, *, append: bool = False) -> None:
    try:
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(path)) from error
