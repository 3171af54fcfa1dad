"""The main job on real data: a census model with its evidence, then a batch it was never meant for.

Data: American Community Survey, Massachusetts, 2015 to 2018 (U.S. Census Bureau), as shipped inside the package nannyml
0.13.1 (Apache-2.0). The files are read; the package is not imported.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aims_mlflow.assessment import Assessment
from aims_mlflow.errors import InputError

_PACKAGE = "nannyml"
_PIN = "nannyml==0.13.1"
_FILES = ("employment_MA_reference.pq", "employment_MA_analysis.pq", "employment_MA_analysis_target.pq")
_GROUP_QUARTERS = ("16", "17")
"""RELP codes of residents of institutions and of other group quarters."""
_MODEL = "employment-support"
_ROWS = 30_000


@dataclass(frozen=True)
class DemoResult:
    """What the demo left behind."""

    directory: Path
    tracking_uri: str
    good: Assessment
    drifted: Assessment
    good_run: str
    drifted_run: str
    model_version: str

    @property
    def ui_command(self) -> str:
        """The one command that opens MLflow's UI on it."""
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.tracking_uri, "--port", "5000"]
        return shlex.join(command)

    def report(self, run_id: str) -> Path:
        """The report's file on this machine."""
        found = sorted((self.directory / "artifacts").glob(f"{run_id}/artifacts/aims/report.html"))
        return found[0] if found else self.directory


def demo_data() -> tuple[Any, Any, Any]:
    """Three pandas frames: households 2015 (training), households 2016 (test), group quarters 2018 (the odd batch).

    Raises:
        InputError: the package that ships the data is not installed.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    import pandas as pd

    try:
        folder = Path(str(distribution(_PACKAGE).locate_file("nannyml/datasets/data")))
    except PackageNotFoundError as error:
        raise InputError(
            "the demo's data is not installed", remedy=f"Run `pip install --no-deps {_PIN}`; it is read, not imported."
        ) from error
    absent = [name for name in _FILES if not (folder / name).is_file()]
    if absent:
        raise InputError(f"{_PACKAGE} is installed without {', '.join(absent)}", remedy=f"Install {_PIN}.")
    before = pd.read_parquet(folder / _FILES[0])
    after = pd.read_parquet(folder / _FILES[1]).merge(pd.read_parquet(folder / _FILES[2]), on="id")
    out = []
    for frame, year, in_quarters in ((before, 2015, False), (after, 2016, False), (after, 2018, True)):
        chosen = frame[(frame["year"] == year) & (frame["RELP"].astype(str).isin(_GROUP_QUARTERS) == in_quarters)]
        chosen = chosen.drop(columns=["prediction", "predicted_probability"])
        out.append(chosen.sample(min(_ROWS, len(chosen)), random_state=0).reset_index(drop=True))
    return out[0], out[1], out[2]


def _model(features: list[str], numeric: list[str]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

    codes = [f for f in features if f not in numeric]
    encode = ColumnTransformer(
        [
            ("number", KBinsDiscretizer(12, subsample=None), numeric),
            ("code", OneHotEncoder(handle_unknown="ignore"), codes),
        ]
    )
    return make_pipeline(encode, LogisticRegression(C=0.5, max_iter=400))


def run_demo(directory: str | Path = "aims-demo", *, progress: Callable[[str], None] | None = None) -> DemoResult:
    """Train, capture, assess; then watch a batch that drifts. Everything lands in ``directory``; no network is used.

    Args:
        directory: Made if absent. An existing demo in it is added to, never overwritten.
        progress: Called with a line per step.

    Raises:
        InputError: the data is not installed, or ``directory`` is a file.
    """
    root = Path(directory).resolve()
    if root.exists() and not root.is_dir():
        raise InputError(f"{directory} is not a folder")
    root.mkdir(parents=True, exist_ok=True)
    say = progress or (lambda _: None)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    say("Reading the census files")
    train, test, odd = demo_data()

    import mlflow

    import aims_mlflow
    from aims_mlflow.report import template_root

    config = root / "aims.yaml"
    if not config.exists():
        config.write_text((template_root() / "demo_aims.yaml").read_text("utf-8"), "utf-8")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    variables = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)  # a registry of the user's own is none of the demo's
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # tables made anew, cloudpickle chosen: nothing to tell
    warnings.filterwarnings("ignore", message=".*Inferred schema contains integer column", category=UserWarning)
    aims_mlflow.autolog(config)
    try:
        experiment = mlflow.get_experiment_by_name("census")
        experiment_id = (
            experiment.experiment_id
            if experiment
            else mlflow.create_experiment("census", artifact_location=(root / "artifacts").as_uri())
        )
        say("Training on households of 2015, testing on households of 2016")
        good_run, version = _train(mlflow, experiment_id, train, test, config)
        say("Scoring residents of group quarters of 2018")
        odd_run = _score(mlflow, experiment_id, train, odd, version, config)
        good = aims_mlflow.load_assessment(good_run)
        drifted = aims_mlflow.load_assessment(odd_run)
    finally:
        aims_mlflow.autolog(disable=True)
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
        for name, value in variables.items():  # MLflow sets them beside its own state
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return DemoResult(root, uri, good, drifted, good_run, odd_run, version)


def _columns(frame: Any) -> tuple[list[str], list[str]]:
    features = [c for c in frame.columns if c not in {"id", "year", "employed"}]
    return features, ["AGEP"]


def _train(mlflow: Any, experiment_id: str, train: Any, test: Any, config: Path) -> tuple[str, str]:
    import aims_mlflow

    features, numeric = _columns(train)
    with mlflow.start_run(experiment_id=experiment_id, run_name="train-2015") as run:
        mlflow.log_input(mlflow.data.from_pandas(train, name="census-2015", targets="employed"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(test, name="census-2016", targets="employed"), context="test")
        model = _model(features, numeric).fit(train[features], train["employed"])
        mlflow.log_params({"C": 0.5, "max_iter": 400, "rows": len(train)})
        predicted = model.predict(test[features])
        chance = model.predict_proba(test[features])[:, 1]
        mlflow.log_metric("test_accuracy", float((predicted == test["employed"]).mean()))
        aims_mlflow.log_performance(test["employed"], predicted, y_proba=chance, name="census-2016", config=config)
        aims_mlflow.log_fairness(test["employed"], predicted, test[["SEX", "RAC1P"]], name="census-2016", config=config)
        example = train[features].head(2).assign(AGEP=40.0)
        logged = mlflow.sklearn.log_model(
            model,
            "model",
            signature=mlflow.models.infer_signature(train[features], predicted),
            input_example=example,
            serialization_format="cloudpickle",
            registered_model_name=_MODEL,
        )
    version = getattr(logged, "registered_model_version", None) or "1"
    return run.info.run_id, str(version)


def _score(mlflow: Any, experiment_id: str, train: Any, odd: Any, version: str, config: Path) -> str:
    import aims_mlflow

    features, _ = _columns(train)
    model = mlflow.sklearn.load_model(f"models:/{_MODEL}/{version}")
    with mlflow.start_run(experiment_id=experiment_id, run_name="batch-2018-group-quarters") as run:
        mlflow.log_input(mlflow.data.from_pandas(train, name="census-2015", targets="employed"), context="training")
        mlflow.log_input(
            mlflow.data.from_pandas(odd, name="group-quarters-2018", targets="employed"), context="production"
        )
        aims_mlflow.log_performance(
            odd["employed"],
            model.predict(odd[features]),
            y_proba=model.predict_proba(odd[features])[:, 1],
            name="group-quarters-2018",
            role="production",
            config=config,
        )
    return str(run.info.run_id)
