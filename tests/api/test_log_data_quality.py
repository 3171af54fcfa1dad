"""``log_data_quality``: the training data's profile is kept, that of other data is not."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest

import aims_mlflow
from aims_mlflow.capture.profile import profile_of_record
from aims_mlflow.evidence import ReferenceProfile

ROWS = pd.DataFrame({"x": np.random.default_rng(0).normal(size=400), "s": list("abcd") * 100})


@pytest.mark.parametrize(("role", "kept"), [("training", 1), ("test", 0), (None, 0)])
def test_the_profile_of_the_training_data_is_kept(mlflow_store, role, kept):
    with mlflow.start_run() as run:
        aims_mlflow.log_data_quality(ROWS, role=role, name="applications")
    found = [r for r in aims_mlflow.load_evidence(run.info.run_id) if isinstance(r, ReferenceProfile)]
    assert len(found) == kept
    for record in found:
        assert profile_of_record(record).rows == 400
        assert record.dataset.name == "applications"
