"""What mends a difference between registry and log, as a command where there is one. Pure."""

from __future__ import annotations

from shlex import quote

from aims_mlflow.gate.entries import Target
from aims_mlflow.registry.reconcile.standing import Difference


def mending(model: str, one: Difference) -> str:
    """The command that makes the registry agree with the log, or takes what is not in it through the gate.

    Empty where there is none.
    """
    move = one.not_made
    if move is not None:
        does = "makes the move again"
        if move.version is None:
            return f"`{removal(model, move.target.name)}` {does}"
        return f"`{promotion(model, move.version, move.target)}` {does}" if move.target.kind != "registration" else ""
    if one.target.kind == "registration" or (one.said is None and one.version is None):
        return ""
    if one.said is None:
        return f"`{promotion(model, str(one.version), one.target)}` takes it through the gate"
    if one.target.kind == "alias":
        return f"`{promotion(model, one.said, one.target)}` puts it back"
    return f"`{promotion(model, str(one.version), Target(kind='stage', name=one.said))}` puts it back"


def promotion(model: str, version: str, target: Target) -> str:
    """The command that moves a version through the gate."""
    option = "--to" if target.kind == "alias" else "--to-stage"
    return f"aims promote {quote(model)} {version} {option} {quote(target.name)}"


def removal(model: str, alias: str) -> str:
    """The call that takes an alias away."""
    return f"mlflow.MlflowClient().delete_registered_model_alias({model!r}, {alias!r})"
