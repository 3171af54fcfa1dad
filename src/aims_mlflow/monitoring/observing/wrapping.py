"""``observe``: a loaded model that profiles what it is given and answers."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aims_mlflow.config import Declaration, Settings, load_settings
from aims_mlflow.errors import DeliveryError, InputError
from aims_mlflow.monitoring.observing.observer import EVERY_ROWS, EVERY_SECONDS, Observer
from aims_mlflow.monitoring.observing.target import Target, target_of

_log = logging.getLogger("aims_mlflow")

Config = str | Path | Declaration | Settings | dict[str, Any] | None


class ObservedModel:
    """A model whose ``predict`` is observed; everything else is the model's own.

    Attributes:
        observer: What summarises its rows.
    """

    def __init__(self, model: Any, observer: Observer, *, predict: str = "predict") -> None:
        own = self.__dict__
        own["_model"] = model
        own["observer"] = observer
        own[predict] = _observed(getattr(model, predict), observer)

    def close(self) -> None:
        """Finish what was observed so far and deliver it; called when the process ends, too."""
        self.observer.close()

    @property
    def __class__(self) -> Any:
        """That of the model, so that it passes where one is asked for."""
        return type(self._model)

    @__class__.setter
    def __class__(self, value: Any) -> None:  # pragma: no cover
        raise TypeError(f"an observed model stays one, and becomes no {value!r}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_model" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.__dict__["_model"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_model"], name, value)

    def __repr__(self) -> str:
        return f"observed {self._model!r}"

    def __eq__(self, other: object) -> bool:
        return self is other or bool(self._model == (other._model if type(other) is ObservedModel else other))

    __hash__ = None  # type: ignore[assignment]


def _observed(predict: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    """The same call with the same signature, result and exceptions; its rows and the answer are summarised."""
    before, after, failed = observer.before, observer.after, observer.failed

    @functools.wraps(predict)
    def observed(*args: Any, **kwargs: Any) -> Any:
        taken = before(args[0] if args else next(iter(kwargs.values()), None))
        try:
            result = predict(*args, **kwargs)
        except BaseException:
            failed()
            raise
        after(taken, result)
        return result

    return observed


def observe(
    model: Any,
    *,
    model_uri: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
    replica: str | None = None,
    every_rows: int = EVERY_ROWS,
    every_seconds: float = EVERY_SECONDS,
    part_rows: int | None = None,
    part_seconds: float | None = None,
    spool: str | Path | None = None,
    closes: bool = True,
) -> Any:
    """A model that goes on as before, and whose inputs and answers become windows of evidence.

    Rows are summarised in constant memory by the plan of the version's reference profile; none is kept. A version
    without one has its rows counted and nothing else said of them: replicas that each made a plan of their own could
    not be put together. What an observer cannot do costs a warning, never a prediction.

    When a window ends (and at the end of the process) its part goes to MLflow; it waits on disk while MLflow is away.
    A process that is killed loses at most the rows since its last checkpoint: those of the last ``every_seconds``, and
    never more than ``every_rows`` that were answered. The next observer with the same spool, or `aims observe deliver`,
    delivers the rest.

    Args:
        model: A model loaded by ``mlflow.pyfunc.load_model``, anything else with ``predict``, or ``models:/...`` to
            load.
        model_uri: The registered version it is, ``models:/name/version`` or ``models:/name@alias``; needed unless
            ``model`` is such a name, or a logged model with one registered version.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None, else the one the
            training run was captured with.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        replica: A name to recognise this process by; the host's where None.
        every_rows: Rows at risk at most.
        every_seconds: Seconds between checkpoints at most.
        part_rows: Rows after which a part is delivered before its window ends; None: never.
        part_seconds: Seconds after which it is.
        spool: Folder for checkpoints and undelivered parts; None: ``observe`` in the spool of undelivered evidence.
        closes: False leaves it to `aims observe close`, or to other replicas, to file the windows.

    Raises:
        InputError: ``model_uri`` names no registered version, or is needed.
        ConfigError: ``aims.yaml`` is wrong.
    """
    settings = load_settings(config)
    if every_rows < 1 or every_seconds <= 0:
        raise InputError("every_rows and every_seconds must be above 0", where="every_rows")
    if isinstance(model, str):
        model_uri = model_uri or model
        model = _loaded(model, tracking_uri)
    if not hasattr(model, "predict"):
        raise InputError(
            f"an object of type {type(model).__name__} has no predict",
            remedy="Give what mlflow.pyfunc.load_model returns.",
        )

    def resolve() -> Target:
        return _target(model, model_uri, settings, tracking_uri)

    target: Any = resolve
    try:
        target = resolve()
    except DeliveryError as error:
        _log.warning("aims: rows are only counted until MLflow answers: %s", error.message)
    if isinstance(target, Target) and target.plan is None:
        _log.warning(
            "aims: %s has no reference profile: its rows are counted, and nothing else is said of them", target.uri
        )
    observer = Observer(
        target,
        replica=replica,
        every_rows=every_rows,
        every_seconds=every_seconds,
        part_rows=part_rows,
        part_seconds=part_seconds,
        spool=spool,
        closes=closes,
    )
    return ObservedModel(model, observer)


def _loaded(uri: str, tracking_uri: str | None) -> Any:
    """The model of a URI, past MLflow's global settings.

    Raises:
        InputError: it names no model.
        DeliveryError: MLflow cannot be reached.
    """
    from mlflow import MlflowClient
    from mlflow.pyfunc import load_model

    client = MlflowClient(tracking_uri=tracking_uri)
    return load_model(str(files_of(client, uri)))


def files_of(client: Any, uri: str) -> Path:
    """The files of a model on this disk.

    Raises:
        InputError: there is no such model.
        DeliveryError: MLflow cannot be reached.
    """
    from mlflow import MlflowException
    from mlflow.artifacts import download_artifacts

    from aims_mlflow.api import resolve
    from aims_mlflow.attach.store import check_reachable

    check_reachable(str(client.tracking_uri))
    try:
        place = resolve(client, uri)
    except MlflowException as error:
        raise InputError(
            f"there is no model {uri!r}", where="model", remedy="`aims list` shows what is registered."
        ) from error
    if place.files_uri is None:
        raise InputError(f"{uri!r} is no model", where="model", remedy="Give models:/NAME/VERSION.")
    return Path(download_artifacts(artifact_uri=place.files_uri, tracking_uri=str(client.tracking_uri)))


def _target(model: Any, model_uri: str | None, settings: Settings, tracking_uri: str | None) -> Target:
    """The version that is observed, by the registry's word.

    Raises:
        InputError: there is none.
        DeliveryError: MLflow cannot be reached.
    """
    from mlflow import MlflowClient

    from aims_mlflow.attach.store import check_reachable
    from aims_mlflow.monitoring.served import served_by

    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    uri = model_uri or _registered_as(client, model)
    return target_of(served_by(client, uri, settings), str(client.tracking_uri))


def _registered_as(client: Any, model: Any) -> str:
    """The one registered version a loaded model is.

    Raises:
        InputError: it is none, or several.
    """
    model_id = getattr(model, "model_id", None)
    found = []
    if model_id:
        logged = client.get_logged_model(model_id)
        named = f"models:/{model_id}"
        runs = f"run_id = '{logged.source_run_id}'" if logged.source_run_id else ""
        versions = client.search_model_versions(runs)
        found = [v for v in versions if str(v.source or "").rstrip("/") == named]
    if len(found) != 1:
        why = "is registered as several versions" if found else "does not say which registered version it is"
        raise InputError(f"the model {why}", where="model_uri", remedy="Give model_uri='models:/NAME/VERSION'.")
    return f"models:/{found[0].name}/{found[0].version}"
