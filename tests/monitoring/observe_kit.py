"""What the tests of the serving path start from: a registered version with a reference profile, and its rows."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from aims_mlflow.config import Declaration, Settings
from aims_mlflow.evidence import ModelRef, now, sha256_of
from aims_mlflow.frames import as_table
from aims_mlflow.monitoring.observing.clock import LiveClock
from aims_mlflow.monitoring.observing.target import Target
from aims_mlflow.sketches import Profile

MODEL = "credit"
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC).timestamp()
DECLARATION = {
    "system": {"id": "loans", "name": "Loan scoring"},
    "registered_models": [MODEL],
    "columns": {"prediction": "prediction"},
    "monitoring": {"window": "1h", "grace": "1m", "smallest_window": 50},
}


def rows(count: int, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "income": rng.normal(3000 + shift, 500, count),
            "age": rng.integers(18, 80, count),
            "region": rng.choice(["north", "south", "west"], count),
        }
    )


class Rule:
    """A model anyone can check: 1 where the income is above 3,000."""

    def predict(self, data, params=None):
        return (data["income"].to_numpy() > 3000).astype(int)


def reference(count: int = 2000) -> pd.DataFrame:
    frame = rows(count, seed=99)
    return frame.assign(prediction=Rule().predict(frame))


def settings(**changes) -> Settings:
    return Settings(Declaration.model_validate({**DECLARATION, **changes}))


def target(uri: str = "http://127.0.0.1:9", *, version: str = "1", plan: bool = True, **changes) -> Target:
    declared = settings(**changes)
    table = as_table(reference())
    columns, privacy = declared.declaration.columns, declared.declaration.privacy
    return Target(
        model=MODEL,
        version=version,
        ref=ModelRef(registered_name=MODEL, version=version, sha256=sha256_of(b"files")),
        tracking_uri=uri,
        settings=declared,
        plan=Profile.plan_of(table, columns=columns, privacy=privacy) if plan else None,
    )


class Wall:
    """A clock that is set by hand."""

    def __init__(self, at: float = NOON):
        self.at = at

    def __call__(self) -> float:
        return self.at

    def clock(self) -> LiveClock:
        return LiveClock(self)


def registered(client, folder, *, declaration=None, model=None, with_reference=True):
    """A version of a pyfunc model, with the evidence that autolog would have captured of its training run.

    Returns:
        Its URI.
    """
    from aims_mlflow.api import resolve
    from aims_mlflow.api.targets import read_model
    from aims_mlflow.capture.profile import reference_record
    from aims_mlflow.delivery import deliver
    from aims_mlflow.evidence import DatasetRef, RunRef, Subject

    declared = settings(**(declaration or {}))
    experiment = client.get_experiment_by_name("training")
    experiment_id = (
        experiment.experiment_id
        if experiment
        else client.create_experiment("training", artifact_location=(folder / "training").as_uri())
    )
    run = client.create_run(experiment_id)
    place = folder / f"model-{run.info.run_id}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_model(place, model)
    client.log_artifacts(run.info.run_id, str(place), "model")
    client.set_terminated(run.info.run_id)
    if not client.search_registered_models(f"name='{MODEL}'"):
        client.create_registered_model(MODEL)
    uri = f"{client.get_run(run.info.run_id).info.artifact_uri}/model"
    version = client.create_model_version(MODEL, uri, run.info.run_id)
    name = f"models:/{MODEL}/{version.version}"
    found = resolve(client, name)
    facts = read_model(client, found.files_uri)
    at = now()
    subject = Subject(
        system_id="loans",
        run=RunRef(run_id=run.info.run_id),
        model=found.model.model_copy(update={"sha256": facts.sha256}),
    )
    if with_reference:
        ref = DatasetRef(name="applications", role="training", sha256=sha256_of(b"data"))
        record = reference_record(as_table(reference()), ref, settings=declared, subject=subject, at=at)
        deliver(client, run.info.run_id, [record], declared, assess=False)
    return name


def save_model(place, model=None):
    """A sklearn model that is given the three columns, as MLflow saves it; ``Rule`` in its own words."""
    import mlflow
    from mlflow.models import infer_signature

    sample = rows(20)
    if model is None:
        code = place.parent / f"{place.name}.py"
        code.write_text(
            "import mlflow\n\n\n"
            "class Rule(mlflow.pyfunc.PythonModel):\n"
            "    def predict(self, context, model_input, params=None):\n"
            "        return (model_input['income'].to_numpy() > 3000).astype(int)\n\n\n"
            "mlflow.models.set_model(Rule())\n"
        )
        model = str(code)
    mlflow.pyfunc.save_model(
        str(place),
        python_model=model,
        signature=infer_signature(sample, Rule().predict(sample)),
        pip_requirements=["mlflow"],
    )
