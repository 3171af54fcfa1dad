"""The entry point ``mlflow.run_context_provider``: switches capture on by environment variable, without a line of code.

MLflow imports this module while it is itself half imported, and an exception here would break ``import mlflow`` for
everyone in the environment: so nothing is imported that MLflow has not imported already.
"""

from __future__ import annotations

import logging
import os

from mlflow.tracking.context.abstract_context import RunContextProvider

_SWITCH = "AIMS_MLFLOW_AUTOLOG"


class AimsRunContext(RunContextProvider):  # type: ignore[misc]
    """Calls ``autolog()`` at the first run when ``AIMS_MLFLOW_AUTOLOG`` is ``1``; adds no tags."""

    def in_context(self) -> bool:
        """Never in context; the question is only the moment at which MLflow is whole."""
        if os.environ.get(_SWITCH, "").lower() in {"1", "true"}:
            try:
                from aims_mlflow.hooks.autolog import autolog, is_enabled

                if not is_enabled():
                    autolog()
            except Exception as error:  # noqa: BLE001  (a training job must not die of its evidence)
                logging.getLogger("aims_mlflow").warning("aims: capture could not be switched on: %s", error)
        return False

    def tags(self) -> dict[str, str]:
        """No tags."""
        return {}
