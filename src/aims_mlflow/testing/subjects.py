"""What the samples are about: one run, one model, its datasets, one moment."""

from __future__ import annotations

from datetime import UTC, datetime

from aims_mlflow.evidence import DatasetRef, ModelRef, RunRef, Subject, Tool, sha256_of

SAMPLE_TIME = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
"""When the sample run was assessed."""

TOOL = Tool(name="aims-mlflow", version="0.1.0")
RUN_ID = "90c94a1e0f3946199372fcc6c7b12952"


def sha(text: str) -> str:
    """A made-up digest."""
    return sha256_of(text.encode())


def model() -> ModelRef:
    """The model."""
    return ModelRef(name="model", model_id="m-4f1c", registered_name="credit-scoring", version="3", sha256=sha("model"))


def dataset(role: str) -> DatasetRef:
    """A dataset of the run."""
    return DatasetRef(
        name=f"applications_{role}", role=role, sha256=sha(role), mlflow_digest="3f1ab2c4", rows=48_842, columns=15
    )


def subject(*datasets: DatasetRef) -> Subject:
    """The run and its model, with datasets."""
    return Subject(
        system_id="credit-scoring", run=RunRef(run_id=RUN_ID, experiment_id="2"), model=model(), datasets=datasets
    )
