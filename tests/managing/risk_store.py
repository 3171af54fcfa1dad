"""A registered version in service whose run holds measured evidence, for tests of the registers in MLflow."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient

import aims_mlflow

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
from gate_kit import make_version

DECLARATION = """
system:
  id: loans
  name: Loan scoring
  intended_use: Support of a clerk's decision.
  not_for: [automatic refusal]
  owner: {name: Head of credit}
  risk_class: high
  risk_reason: Annex III, point 5(b).
  affected_groups: [applicants]
registered_models: [credit]
columns: {target: y, sensitive: [sex], safe_labels: [sex]}
performance: {metrics: {accuracy: {min: 0.5}}}
fairness: {metrics: {selection_rate_ratio: {min: 0.1}}}
"""
EFFECTS = [
    {"to": "applicants", "of": "individuals", "what": "refusal", "kind": "harm", "measure": "a clerk decides"},
    {"to": "the region", "of": "society", "what": "quicker answers", "kind": "benefit"},
]
ASSESSED = {"effects": EFFECTS, "conclusion": "acceptable with measures", "reason": "A clerk decides."}


def write_declaration(folder: Path) -> Path:
    path = Path(folder) / "aims.yaml"
    path.write_text(DECLARATION)
    return path


def serve(name: str = "credit", text: str = "weights", alias: str | None = "champion"):
    """A version with files on disk, that an alias points to."""
    client = MlflowClient()
    version = make_version(client, name, text)
    client.delete_tag(version.run_id, "aims.evidence")  # what gate tests pretend is there
    if alias:
        client.set_registered_model_alias(name, alias, version.version)
    return version


def table(shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({"income": random.normal(shift, 1.0, 400), "debt": random.normal(shift, 1.0, 400)})


def drifts(version, *, shift: float = 4.0, seed: int = 1):
    """A window of live data compared with the training data, on the version's run."""
    return aims_mlflow.log_drift(table(), table(shift, seed), run_id=version.run_id)


def measures(version):
    """Performance and fairness of the version, on its run."""
    random = np.random.default_rng(2)
    truth = random.integers(0, 2, 400)
    guess = np.where(random.random(400) < 0.85, truth, 1 - truth)
    groups = pd.DataFrame({"sex": random.choice(["f", "m"], 400)})
    return (
        aims_mlflow.log_performance(truth, guess, run_id=version.run_id),
        aims_mlflow.log_fairness(truth, guess, groups, run_id=version.run_id),
    )
