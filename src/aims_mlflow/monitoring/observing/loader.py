"""The pyfunc loader of a model folder made by ``observed_model``: loads the version's own model, and observes it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import yaml

from aims_mlflow.errors import EvidenceError
from aims_mlflow.monitoring.observing.deploying import ORIGINAL, OWN, RECORD, check_files, read_observed
from aims_mlflow.monitoring.observing.observer import Observer
from aims_mlflow.monitoring.observing.wrapping import ObservedModel


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Any:
    """What MLflow calls.

    Raises:
        EvidenceError: the folder is not as ``observed_model`` made it.
    """
    folder = _root(Path(path))
    target, options = read_observed(folder)
    check_files(folder, target)
    spec = yaml.safe_load((folder / OWN / ORIGINAL / "MLmodel").read_text("utf-8"))
    conf = spec["flavors"]["python_function"]
    load = importlib.import_module(conf["loader_module"])._load_pyfunc
    model = load(path, model_config) if model_config else load(path)
    return ObservedModel(model, Observer(target, **options), predict=conf.get("predict_fn", "predict"))


def _root(path: Path) -> Path:
    for folder in (path, *path.parents):
        if (folder / OWN / RECORD).is_file():
            return folder
    raise EvidenceError(
        "the model does not say what it observes",
        where=str(path),
        remedy="Make the folder anew with aims_mlflow.observed_model.",
    )
