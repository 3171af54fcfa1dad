"""A version as a folder that observes itself where it is loaded: ``mlflow models serve``, a Spark UDF, a container.

The folder holds the version's own files; only the pyfunc flavor's loader and the requirements differ, and what they
were stands beside them. When it is loaded the files are hashed, as they were, and held against the version's digest:
the evidence is bound to the registered version, of which the folder is a way of serving, never a version of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from aims_mlflow import __version__
from aims_mlflow.capture.model import ADDED_BY_DOWNLOAD, files_sha256, read_model_directory
from aims_mlflow.config import load_settings
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence import canonical_json
from aims_mlflow.monitoring.observing.observer import EVERY_ROWS, EVERY_SECONDS
from aims_mlflow.monitoring.observing.target import Target, target_of
from aims_mlflow.monitoring.observing.wrapping import Config, files_of

OWN = "aims_observed"
RECORD = "observed.json"
ORIGINAL = "original"
LOADER = "aims_mlflow.monitoring.observing.loader"
_CHANGED = ("MLmodel", "requirements.txt", "conda.yaml")
_ARTIFACT = "observed"


def observed_model(
    model_uri: str,
    path: str | Path,
    *,
    config: Config = None,
    tracking_uri: str | None = None,
    every_rows: int = EVERY_ROWS,
    every_seconds: float = EVERY_SECONDS,
    part_rows: int | None = None,
    part_seconds: float | None = None,
    spool: str | None = None,
    closes: bool = True,
) -> Path:
    """Write a registered version as a model folder that observes itself when it is loaded.

    ``mlflow models serve -m PATH``, ``mlflow.pyfunc.load_model(PATH)`` and ``mlflow.pyfunc.spark_udf(spark, PATH)``
    serve it like the version. It needs no server to be loaded: declaration and plan are in it. Parts go to
    ``MLFLOW_TRACKING_URI`` where it is set, else to the server they were read from. A Spark worker ends without notice:
    with ``part_seconds`` it delivers while it lives.

    Args:
        model_uri: ``models:/name/version`` or ``models:/name@alias``; the alias is followed now.
        path: The folder to make; it must not exist.
        config: As of ``observe``.
        tracking_uri: As of ``observe``.
        every_rows: As of ``observe``.
        every_seconds: As of ``observe``.
        part_rows: As of ``observe``.
        part_seconds: As of ``observe``.
        spool: As of ``observe``; a folder on the machine that serves.
        closes: As of ``observe``.

    Returns:
        The folder.

    Raises:
        InputError: there is no such version, it has no pyfunc flavor, or the folder exists.
        EvidenceError: the version's files are not those on record.
        DeliveryError: MLflow cannot be reached.
    """
    from mlflow import MlflowClient

    from aims_mlflow.monitoring.served import served_by

    client = MlflowClient(tracking_uri=tracking_uri)
    folder = Path(path)
    if folder.exists():
        raise InputError(f"{folder} exists", where="path", remedy="Name a folder that does not.")
    served = served_by(client, model_uri, load_settings(config))
    target = target_of(served, _without_password(str(client.tracking_uri)))
    options = {
        "every_rows": every_rows,
        "every_seconds": every_seconds,
        "part_rows": part_rows,
        "part_seconds": part_seconds,
        "spool": spool,
        "closes": closes,
    }
    source = files_of(client, served.uri)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*ADDED_BY_DOWNLOAD))
    try:
        _write(folder, target, options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def log_observed(model_uri: str, *, config: Config = None, tracking_uri: str | None = None, **options: Any) -> str:
    """Keep ``observed_model`` in MLflow, as the artifact of a run of its own; it is no version, and is not registered.

    Args:
        model_uri: As of ``observed_model``.
        config: As of ``observe``.
        tracking_uri: As of ``observe``.
        options: As of ``observed_model``.

    Returns:
        Its URI, for ``mlflow models serve -m`` and ``spark_udf``.

    Raises:
        InputError, EvidenceError, DeliveryError: as of ``observed_model``.
    """
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri)
    with tempfile.TemporaryDirectory(prefix="aims-observed-") as place:
        folder = observed_model(model_uri, Path(place) / _ARTIFACT, config=config, tracking_uri=tracking_uri, **options)
        target = read_observed(folder)[0]
        name = target.policy.experiment
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found is not None else client.create_experiment(name)
        tags = {
            "aims.kind": "observed-model",
            "aims.model": target.model,
            "aims.version": target.version,
            "mlflow.runName": f"{target.model} {target.version} observed",
        }
        run = client.create_run(experiment, tags=tags)
        client.log_artifacts(run.info.run_id, str(folder), _ARTIFACT)
        client.set_terminated(run.info.run_id)
    return f"runs:/{run.info.run_id}/{_ARTIFACT}"


def _write(folder: Path, target: Target, options: dict[str, Any]) -> None:
    own = folder / OWN
    (own / ORIGINAL).mkdir(parents=True)
    for name in _CHANGED:
        if (folder / name).is_file():
            shutil.copy2(folder / name, own / ORIGINAL / name)
    spec = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    conf = (spec.get("flavors") or {}).get("python_function")
    if conf is None:
        raise InputError(f"{target.uri} has no pyfunc flavor", where="model_uri", remedy="Log it with one.")
    if conf["loader_module"] == LOADER:
        raise InputError(f"{target.uri} observes itself already", where="model_uri")
    conf["loader_module"] = LOADER
    (folder / "MLmodel").write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")
    _require_us(folder)
    (own / RECORD).write_bytes(canonical_json({"target": target.record(), "options": options}))
    check_files(folder, target)


def _require_us(folder: Path) -> None:
    ours = f"aims-mlflow=={__version__}"
    requirements = folder / "requirements.txt"
    if requirements.is_file():
        text = requirements.read_text("utf-8")
        requirements.write_text(f"{text.rstrip()}\n{ours}\n", "utf-8")
    conda = folder / "conda.yaml"
    if conda.is_file():
        spec = yaml.safe_load(conda.read_text("utf-8")) or {}
        for entry in spec.get("dependencies") or []:
            if isinstance(entry, dict) and isinstance(entry.get("pip"), list):
                entry["pip"].append(ours)
        conda.write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")


def check_files(folder: Path, target: Target) -> None:
    """Hold the version's files in the folder against its digest.

    Raises:
        EvidenceError: they are other ones.
    """
    facts = read_model_directory(folder)
    files = []
    for file in facts.files if facts is not None else ():
        if file.path in _CHANGED and (folder / OWN / ORIGINAL / file.path).is_file():
            continue
        if not file.path.startswith(f"{OWN}/"):
            files.append(file)
        elif file.path.startswith(f"{OWN}/{ORIGINAL}/"):
            files.append(file.model_copy(update={"path": file.path.removeprefix(f"{OWN}/{ORIGINAL}/")}))
    if files_sha256(files) != target.ref.sha256:
        raise EvidenceError(
            f"the files are not those of {target.uri}",
            where=str(folder),
            remedy="Make the folder anew with aims_mlflow.observed_model.",
        )


def read_observed(folder: Path) -> tuple[Target, dict[str, Any]]:
    """What the folder observes, and how.

    Raises:
        EvidenceError: it does not say.
    """
    from aims_mlflow.monitoring.observing.target import target_from

    path = folder / OWN / RECORD
    try:
        record = json.loads(path.read_bytes())
        target = target_from(record["target"], tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or None)
        return target, dict(record["options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(
            f"the model does not say what it observes ({type(error).__name__})",
            where=str(path),
            remedy="Make the folder anew with aims_mlflow.observed_model.",
        ) from error


def _without_password(uri: str) -> str:
    """A server's address without the user's name and password: the folder goes to other machines."""
    with suppress(ValueError):
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https") and "@" in parts.netloc:
            return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return uri


__all__ = ["check_files", "log_observed", "observed_model", "read_observed"]
