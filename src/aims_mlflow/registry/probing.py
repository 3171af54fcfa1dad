"""Whether a registry has a gate of its own: asked without writing anything."""

from __future__ import annotations

from typing import Any

PROBE = "aims-gate-probe"
"""An alias nobody has. A gated registry answers a question for it in words of its own."""
ANSWER = "AIMS gate: enforced in this registry"


def is_gated(client: Any, model: str) -> bool:
    """Whether the registry behind the client decides on moves itself, or the client is gated in this process.

    Raises:
        MlflowException: the registry cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.get_model_version_by_alias(model, PROBE)
    except MlflowException as error:
        if ANSWER in str(error):
            return True
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return False
        raise
    return False
