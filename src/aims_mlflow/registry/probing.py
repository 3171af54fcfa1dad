"""Whether a registry has a gate of its own: asked without writing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aims_mlflow.gate.entries import Level

PROBE = "aims-gate-probe"
"""An alias nobody has. A gated registry answers a question for it in words of its own."""
_ANSWER = "AIMS gate: "
_WHERE = " in this registry"


def answer(level: Level) -> str:
    """What a gated registry says when it is asked."""
    return f"{_ANSWER}{level}{_WHERE}"


def is_gated(client: Any, model: str) -> bool:
    """Whether the registry behind the client decides on moves itself, or the client is gated in this process.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    return gate_level(client, model) is not None


def gate_level(client: Any, model: str) -> Level | None:
    """How far the gate binds that is there: ``enforced`` in a server, ``advised`` in this process; None without one.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.get_model_version_by_alias(model, PROBE)
    except MlflowException as error:
        from aims_mlflow.gate.entries import Level

        said = str(error)
        if answer(Level.ADVISED) in said:
            return Level.ADVISED
        if _ANSWER in said:
            return Level.ENFORCED
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
    return None
