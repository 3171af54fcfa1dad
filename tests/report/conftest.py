from __future__ import annotations

import pytest

from aims_mlflow.testing import sample_assessment, sample_evidence


@pytest.fixture(scope="session")
def evidence():
    return sample_evidence()


@pytest.fixture(scope="session")
def assessment(evidence):
    return sample_assessment(evidence)
