"""The gate in one process, for those whose registry has no server of their own to stand before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aims_mlflow.errors import InputError
from aims_mlflow.registry.plugin import SCHEME

if TYPE_CHECKING:
    pass

_log = logging.getLogger("aims_mlflow")


def enable_gate(disable: bool = False) -> None:
    """Let every move this process makes in the model registry be decided by the gate first.

    It binds this process and those it starts; a server behind ``aims:`` binds everyone. Call it after
    ``mlflow.set_tracking_uri``: from then on the registry is the one that was in force. Calling it again changes
    nothing.

    Args:
        disable: True puts the registry's own URI back.

    Raises:
        InputError: MLflow knows no registry of that URI.
    """
    import mlflow

    before = mlflow.get_registry_uri()
    if disable:
        if before.startswith(SCHEME):
            mlflow.set_registry_uri(_plain(before))
        return
    if before.startswith(SCHEME):
        return
    mlflow.set_registry_uri(gated_uri(before))


def gated_uri(registry_uri: str) -> str:
    """The URI with ``aims:`` in front.

    Raises:
        InputError: MLflow knows no registry of that URI.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._model_registry.utils import _get_store_registry

    inner = _plain(registry_uri)
    try:
        _get_store_registry().get_store_builder(inner)
    except MlflowException as error:
        raise InputError(
            "MLflow knows no model registry of that kind",
            where=inner.split("://", 1)[0][:60],
            remedy="Give the URI of a database, of a tracking server (http, https), or 'databricks'.",
        ) from error
    return SCHEME + inner


def _plain(uri: str) -> str:
    while uri.startswith(SCHEME):
        uri = uri[len(SCHEME) :]
    return uri


def __getattr__(name: str) -> Any:
    """``GatedMlflowClient`` is made when it is first asked for: its base is MLflow's client."""
    if name != "GatedMlflowClient":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from mlflow import MlflowClient

    class GatedMlflowClient(MlflowClient):  # type: ignore[misc]
        """``MlflowClient`` whose moves in the model registry are decided by the gate first.

        Args:
            tracking_uri: As of ``MlflowClient``.
            registry_uri: As of ``MlflowClient``; ``aims:`` in front may be there or not.

        Raises:
            InputError: MLflow knows no registry of that URI.
        """

        def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
            plain = MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri)
            super().__init__(tracking_uri=tracking_uri, registry_uri=gated_uri(str(plain._registry_uri)))

    GatedMlflowClient.__module__, GatedMlflowClient.__qualname__ = __name__, "GatedMlflowClient"
    globals()[name] = GatedMlflowClient
    return GatedMlflowClient
