"""Operating effectiveness from real records, runs and the transition log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from click.testing import CliRunner

import aims_mlflow
from aims_mlflow.cli import aims
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import now
from aims_mlflow.management.drafting import draft
from aims_mlflow.managing.periods import operating_effectiveness
from aims_mlflow.managing.records import ManagementRecords

DECLARED = """
system: {id: loans, name: Loan scoring, risk_class: minimal}
registered_models: [credit]
"""


def test_of_the_organization_over_the_last_days(mlflow_store):
    """Records that were filed in the past, as a store holds them that was in use for a while."""
    records = ManagementRecords()
    present = now()
    for days, length in ((90, 29), (40, 365)):
        at = present - timedelta(days=days)
        state = records.state(at)
        made = draft(
            state,
            records.catalog,
            "concerns_channel",
            content={"statement": "Anybody may write to the committee."},
            owner="Ethics committee",
            valid_from=at.date(),
            valid_until=(at + timedelta(days=length)).date(),
        )
        records.store.file(made)
    found = operating_effectiveness(begin=present - timedelta(days=100), end=present)
    row = next(one for one in found.rows if one.id == "A.3.3")
    assert row.gaps == 2
    assert row.longest_gap_days == pytest.approx(20, abs=1.01)  # to the end of the last day
    assert row.satisfied_days == pytest.approx(70, abs=1.01)
    result = CliRunner().invoke(
        aims, ["effectiveness", "--from", f"{present - timedelta(days=100):%Y-%m-%d}", "--json"]
    )
    assert result.exit_code == 1
    told = {one["id"]: one for one in json.loads(result.stdout)["rows"]}
    assert len(told) == 70
    assert told["A.3.3"]["gaps"] == 2
    assert told["5.2"]["satisfied_share"] == 0


def test_of_a_system_the_version_that_served_then_is_judged(mlflow_store, tmp_path):
    """Version 1 has its evidence and serves first; version 2 has none and takes its place."""
    from sklearn.linear_model import LogisticRegression

    (tmp_path / "aims.yaml").write_text(DECLARED)
    aims_mlflow.autolog()
    client = mlflow.MlflowClient()
    data = [[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.8, 0.1]] * 20
    model = LogisticRegression().fit(data, [0, 1, 0, 1] * 20)
    import pandas as pd

    with mlflow.start_run():
        log_model(model, registered_model_name="credit", input_example=pd.DataFrame(data[:2], columns=["a", "b"]))
    aims_mlflow.autolog(disable=True)
    with mlflow.start_run():
        log_model(model, registered_model_name="credit")
    begin = now()
    aims_mlflow.assess("models:/credit/1")
    client.set_registered_model_alias("credit", "champion", "1")
    found = operating_effectiveness(begin=begin, end=now())
    assert any("no transition log" in note for note in found.notes)
    row = next(one for one in found.rows if one.id == "A.4.4")
    assert row.satisfied_share is not None
    assert row.satisfied_share > 0
    client.set_registered_model_alias("credit", "champion", "2")
    found = operating_effectiveness(begin=begin, end=now())
    assert next(one for one in found.rows if one.id == "A.4.4").satisfied_share == 0


def log_model(model, **more):
    name = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
    return mlflow.sklearn.log_model(model, **name, **more)


def test_an_unknown_system_is_refused(mlflow_store):
    with pytest.raises(InputError, match="no system 'laons'"):
        operating_effectiveness("laons", begin=datetime(2026, 1, 1, tzinfo=UTC), end=now())
