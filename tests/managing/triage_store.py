"""A system whose model was trained on real data (Wisconsin breast cancer, shipped with scikit-learn).

Of two versions the second is in service through the gate. Made once a process; nothing may write to it but through a
copy of its database.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

DECLARATION = """
version: 1
system:
  id: triage
  name: Tumour triage
  purpose: Rank biopsies for a second look.
  intended_use: Support of a pathologist's order of work.
  not_for: [diagnosis without a pathologist]
  owner: {name: Head of pathology}
  organization_role: provider
  risk_class: high
  risk_reason: 'Annex III, point 5(d).'
  affected_groups: [patients]
  human_oversight: A pathologist reads every slide.
registered_models: [triage]
columns: {target: target, sensitive: [texture], safe_labels: [texture]}
datasets:
  wdbc-train: {role: training, description: Cell nuclei, owner: Registry, origin: UCI, licence: CC-BY-4.0}
performance: {metrics: {roc_auc: {min: 0.9}}}
gate: {mode: observe, guarded: [{models: [triage], aliases: [champion]}]}
"""


@dataclass(frozen=True)
class Store:
    """Where it is."""

    uri: str
    config: Path


_MADE: dict[str, Store] = {}


def triage(tmp_path_factory) -> Store:
    """The store, for reading."""
    if "store" not in _MADE:
        _MADE["store"] = _make(tmp_path_factory.mktemp("triage"))
    return _MADE["store"]


def copy_of(store: Store, folder: Path) -> Store:
    """The same store with a database of its own: records filed there stay there."""
    path = folder / "copy.db"
    shutil.copy(store.uri.removeprefix("sqlite:///"), path)
    return Store(f"sqlite:///{path}", store.config)


def _make(folder: Path) -> Store:
    import mlflow
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import aims_mlflow

    config = folder / "aims.yaml"
    config.write_text(DECLARATION)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    frame = load_breast_cancer(as_frame=True).frame
    frame["texture"] = np.where(frame["mean texture"] > frame["mean texture"].median(), "coarse", "fine")
    features = [name for name in frame.columns if name not in ("target", "texture")][:4]
    frame = frame[[*features, "texture", "target"]]
    train, test = train_test_split(frame, random_state=0, test_size=0.5)
    experiment = mlflow.create_experiment("triage", artifact_location=(folder / "artifacts").as_uri())
    aims_mlflow.autolog(config)
    try:
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_input(mlflow.data.from_pandas(train, name="wdbc-train", targets="target"), "training")
            mlflow.log_input(mlflow.data.from_pandas(test, name="wdbc-test", targets="target"), "test")
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(train[features], train["target"])
            mlflow.log_param("C", 0.1)
            predicted, chance = model.predict(test[features]), model.predict_proba(test[features])[:, 1]
            told = {"name": "wdbc-test", "role": "test", "config": config}
            aims_mlflow.log_performance(test["target"], predicted, y_proba=chance, **told)
            aims_mlflow.log_fairness(test["target"], predicted, test[["texture"]], **told)
            signature = mlflow.models.infer_signature(train[features], predicted)
            requirements = ["scikit-learn==1.5.0", "numpy==2.0.0"]
            mlflow.sklearn.log_model(model, "model", signature=signature, pip_requirements=requirements)
    finally:
        aims_mlflow.autolog(disable=True)
    for _ in range(2):
        mlflow.register_model(f"runs:/{run.info.run_id}/model", "triage")
    aims_mlflow.assess("models:/triage/2", config=config)
    aims_mlflow.promote_version("models:/triage/2", alias="champion", config=config)
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)
    return Store(uri, config)
