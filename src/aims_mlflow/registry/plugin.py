"""The store MLflow builds for a registry URI with ``aims:`` in front: its own, with the gate before some verbs.

MLflow loads this module whenever it looks for a registry, so it imports nothing heavy.
"""

from __future__ import annotations

import functools
import gc
import inspect
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

from aims_mlflow.errors import AimsError

_log = logging.getLogger("aims_mlflow")
SCHEME = "aims:"
GATED = (
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "transition_model_version_stage",
    "create_registered_model",
    "create_model_version",
    "delete_model_version",
    "delete_registered_model",
    "rename_registered_model",
    "set_model_version_tag",
    "delete_model_version_tag",
    "set_registered_model_tag",
    "delete_registered_model_tag",
)
"""Verbs the gate stands before. All others are MLflow's own, untouched."""

_inside = threading.local()
_classes: dict[type, type] = {}
_classes_guard = threading.Lock()
_announced: list[bool] = []
"""Whether the worker said by which policy it is gated."""


def build(store_uri: str, tracking_uri: str | None = None) -> Any:
    """MLflow's store for the URI after ``aims:``, gated. The entry point ``mlflow.model_registry_store``.

    Raises:
        MlflowException: INVALID_PARAMETER_VALUE where the URI names no registry MLflow knows.
    """
    _announce()
    return gated(plain_store(store_uri, tracking_uri), tracking_uri)


def _announce() -> None:
    """Say once in the log of a server's worker by which policy it is gated."""
    from aims_mlflow.registry.gatekeeper import in_server

    if not in_server() or _announced:
        return
    _announced.append(True)
    from aims_mlflow.config import load_settings

    try:
        settings = load_settings()
    except AimsError as error:
        _log.warning("aims: the model registry is gated, and its policy cannot be used: %s", error)
        return
    policy = settings.declaration.gate
    if policy is None:
        _log.warning("aims: the model registry is gated, and has no policy (%s): moves are refused", settings.path)
        return
    modes = sorted({str(rule.mode or policy.mode) for rule in policy.guarded} or {str(policy.mode)})
    _log.warning("aims: the model registry is gated by %s, mode %s", settings.path, " and ".join(modes))


def plain_store(store_uri: str, tracking_uri: str | None = None) -> Any:
    """The store itself, without a gate.

    Raises:
        MlflowException: see ``build``.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    inner = store_uri
    while inner.startswith(SCHEME):
        inner = inner[len(SCHEME) :]
    if not inner:
        raise MlflowException(
            "aims: needs the URI of a model registry behind it, as in aims:sqlite:///mlflow.db",
            error_code=INVALID_PARAMETER_VALUE,
        )
    # Not get_store(): it holds a lock while it calls us.
    builder = _stores().get_store_builder(inner)
    takes = inspect.signature(builder).parameters
    given = {"store_uri": inner} | ({"tracking_uri": tracking_uri} if "tracking_uri" in takes else {})
    return builder(**given)


def _stores() -> Any:
    """Where stores are built: in MLflow's server by its own table, which knows of read replicas."""
    from aims_mlflow.registry.gatekeeper import in_server

    handlers = sys.modules.get("mlflow.server.handlers")
    if handlers is not None and in_server():
        known = getattr(handlers, "_model_registry_store_registry", None)
        if known is not None:
            return known
    from mlflow.tracking._model_registry.utils import _get_store_registry

    return _get_store_registry()


def gated(store: Any, tracking_uri: str | None = None, gatekeeper: Any | None = None) -> Any:
    """The same store object with the gate before its verbs.

    Args:
        store: A store of MLflow's model registry.
        tracking_uri: Where runs and the log are; None: MLflow's own choice at the time of the first move.
        gatekeeper: Another than the one of this process's settings.
    """
    plain = type(store)
    if getattr(plain, "_aims_gated", False):
        return store
    with _classes_guard:
        if plain not in _classes:
            methods = {verb: _gated(verb, getattr(plain, verb)) for verb in GATED if hasattr(plain, verb)}
            methods["get_model_version_by_alias"] = _probed(plain.get_model_version_by_alias)
            shown = {"__module__": plain.__module__, "__qualname__": plain.__qualname__, "__doc__": plain.__doc__}
            _classes[plain] = type(plain.__name__, (plain,), {**shown, "_aims_gated": True, **methods})
    store.__class__ = _classes[plain]
    store._aims_verbs = _Late(store, tracking_uri, gatekeeper)
    return store


class _Late:
    """The verbs of a store, made when the first is used: MLflow builds stores while it is itself half built."""

    def __init__(self, store: Any, tracking_uri: str | None, gatekeeper: Any | None) -> None:
        self._store = store
        self._tracking_uri = tracking_uri
        self._gatekeeper = gatekeeper
        self._verbs: Any | None = None
        self._lock = threading.Lock()

    def verbs(self) -> Any:
        """The verbs; where the server behind the store has a gate of its own, MLflow's.

        Raises:
            AimsError: the gate cannot be started.
        """
        if self._verbs is None:
            with self._lock:
                if self._verbs is None:
                    self._verbs = self._make()
        return self._verbs

    def level(self) -> Any:
        """How far the gate binds: in this process alone, or everyone, as a server's does."""
        from aims_mlflow.gate.entries import Level
        from aims_mlflow.registry.gatekeeper import in_server

        if self._gatekeeper is not None:
            return self._gatekeeper.level
        return Level.ENFORCED if in_server() or _answers_itself(self._store) else Level.ADVISED

    def _make(self) -> Any:
        from mlflow import MlflowClient

        from aims_mlflow.gate.entries import Level
        from aims_mlflow.registry.gatekeeper import Gatekeeper, in_server
        from aims_mlflow.registry.verbs import GatedVerbs

        gatekeeper = self._gatekeeper
        if gatekeeper is None:
            served = in_server()
            if not served and _answers_itself(self._store):
                return _ServersGate()
            # A server's own tracking store is set by the time of the first request; what it was built with may be not.
            client = MlflowClient() if served else MlflowClient(tracking_uri=self._tracking_uri)
            gatekeeper = Gatekeeper(self._store, client, level=Level.ENFORCED if served else Level.ADVISED)
        if gatekeeper.level is Level.ENFORCED:
            _settle()
        return GatedVerbs(self._store, gatekeeper)


def _settle() -> None:
    """Take what is loaded for good out of the garbage collector's rounds.

    The gate's own objects would else make every large answer of the server slower: MLflow loads all versions of a
    model to name its latest, and each round then looks at ours too.
    """
    gc.collect()
    gc.freeze()


class _ServersGate:
    """The server behind the store decides and logs; a second gate here would log every move twice."""

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        return lambda do, **_: do()


def _answers_itself(store: Any) -> bool:
    """Whether the store is an HTTP client of a server that is gated. One that cannot be asked counts as not."""
    from aims_mlflow.registry.probing import is_gated

    if not hasattr(store, "get_host_creds"):
        return False
    try:
        return is_gated(super(type(store), store), "aims")
    except Exception:  # noqa: BLE001  (the verb itself then says what is wrong)
        return False


def _probed(original: Callable[..., Any]) -> Callable[..., Any]:
    """``get_model_version_by_alias``, which answers the question whether there is a gate."""
    from aims_mlflow.registry.probing import PROBE, answer

    @functools.wraps(original)
    def call(self: Any, name: str, alias: str) -> Any:
        if alias == PROBE:
            from mlflow.exceptions import MlflowException
            from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

            raise MlflowException(answer(self._aims_verbs.level()), error_code=RESOURCE_DOES_NOT_EXIST)
        return original(self, name, alias)

    return call


def _gated(verb: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the store with the gate before it. MLflow looks at the signature, so it stays the original's."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(_inside, "on", False):  # a store may build one verb from others
            return original(self, *args, **kwargs)
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            return original(self, *args, **kwargs)  # MLflow raises its own error
        bound.apply_defaults()
        given = dict(bound.arguments)
        given.pop(next(iter(given)))
        if given.get("name") is None:
            return original(self, *args, **kwargs)
        asked: list[bool] = []
        made: list[Any] = []

        def do(**changed: Any) -> Any:
            asked.append(True)
            made.append(original(self, **{**given, **changed}) if changed else original(self, *args, **kwargs))
            return made[-1]

        _inside.on = True
        try:
            return getattr(_verbs_of(self), verb)(do, **given)
        except Exception as error:
            if made:  # to say that it failed would have the client do it again
                _log.warning("aims: %s was done, and then something failed (%s)", verb, type(error).__name__)
                return made[-1]
            if asked or _is_answer(error):
                raise
            raise _fault(error, verb) from error
        finally:
            _inside.on = False

    return call


def _is_answer(error: Exception) -> bool:
    """Whether it is a refusal, or MLflow's own word that there is no such thing: no fault, which would be repeated."""
    from aims_mlflow.registry.gatekeeper import REGISTRYS_OWN

    code = getattr(error, "error_code", None)
    return not isinstance(error, AimsError) and code in REGISTRYS_OWN | {"PERMISSION_DENIED"}


def _verbs_of(store: Any) -> Any:
    try:
        return store._aims_verbs.verbs()
    except Exception as error:
        raise _fault(error, "the gate could not be started") from error


def _fault(error: Exception, what: str) -> Exception:
    from aims_mlflow.registry.gatekeeper import fault

    return fault(error, what)
