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
@click.option(
    "--require-guarded", is_flag=True, help="Exit code 2 where no rule guards the target: a typo does not pass."
)
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
    require_guarded: bool,
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
        print_decision(decision, near=_near(decision, config))
    if require_guarded and decision.outcome == "not-guarded":
        close = _near(decision, config)
        raise InputError(
            f"nothing guards the move of {decision.model} {decision.version} to {decision.target}",
            remedy=f"Did you mean {close}?" if close else "'gate' in aims.yaml names what is guarded.",
        )
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
        refused: GateDecision | None = getattr(error, "decision", None)  # a server's comes as text alone
        if as_json:
            said = {"decision": refused.model_dump(mode="json")} if refused else {}
            terminal.say_json({"moved": False, "reason": text} | said)
        else:
            if refused:
                print_decision(refused)
            terminal.say_plain(text, error=True)
        context.exit(exit_code(refused) if refused else NOT_MET)
    decision = made.decision
    if as_json:
        plain = {"moved": True, "version": made.version, "level": str(made.made_by)}
        terminal.say_json(plain | {"decision": decision.model_dump(mode="json")})
        return
    moved = f"{decision.model} {decision.version} to {decision.target}"
    if made.made_by == "enforced":
        terminal.say_plain(f"moved: {moved} (the server's gate let it pass)")
        _compare(decision)
        return
    print_decision(decision, near=_near(decision, config))
    terminal.say_plain(f"moved: {moved} (decided by a gate in this process)")


def _compare(decision: GateDecision) -> None:
    """Say where the policy here, which did not decide, would have refused what the server let pass."""
    from aims_mlflow.gate.messages import named

    known = [problem for problem in decision.open_problems if problem.id != "policy"]  # without one there is nothing
    if decision.outcome == "refuse" and known:
        why = "; ".join(named(problem) for problem in known)
        terminal.say_plain(f"note: the policy here is another than the server's, and would refuse it: {why}")


def _near(decision: GateDecision, config: Path | None) -> str | None:
    """The guarded target that may have been meant, where nothing guards the one named."""
    from aims_mlflow.config import load_settings
    from aims_mlflow.gate.policy import near, takes_out

    if decision.outcome != "not-guarded" or takes_out(decision.target):
        return None
    return near(load_settings(config).declaration, decision.model, decision.target.name)


def print_decision(decision: GateDecision, *, near: str | None = None) -> None:
    """The decision in a line, then what is wanting and what mends it; ``near`` is the guarded target it is like."""
    from aims_mlflow.gate.decision import DecisionOutcome
    from aims_mlflow.gate.messages import one_line

    looks = {
        DecisionOutcome.ALLOW: ("✓", "ok"),
        DecisionOutcome.ALLOW_BY_WAIVER: ("▲", "bad" if decision.break_glass else "unc"),
        DecisionOutcome.REFUSE: ("✗", "bad"),
        DecisionOutcome.NOT_GUARDED: ("○", "none"),
    }
    symbol, look = looks[decision.outcome]
    close = f" Did you mean {near}?" if near else ""
    terminal.say(terminal.badge(symbol, one_line(decision) + close, look))
    if decision.outcome is DecisionOutcome.NOT_GUARDED:
        return
    if decision.problems:
        made = terminal.table("Id", "Why", "Next")
        lines = [
            [p.id, f"{p.title + ': ' if p.title else ''}{p.what}", p.waiver or "waived" if p.waived_by else p.remedy]
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
