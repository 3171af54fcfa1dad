"""What was true on a date: nothing that came later changes what is said of it."""

from __future__ import annotations

import random
from datetime import UTC, timedelta

import mlflow
import numpy as np
import pandas as pd
import pytest

import aims_mlflow
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import now
from aims_mlflow.management.types import record_types
from aims_mlflow.managing.records import ManagementRecords

EVENTS = 200
EVERY = 8

DECLARED = """
system: {{id: loans, name: Loan scoring, risk_class: {risk}, risk_reason: Scores, owner: {{name: Head of loans}}}}
applicability: {{A.10.4: {{applicable: false, reason: {reason}}}}}
performance: {{metrics: {{accuracy: {{min: {limit}}}}}}}
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_as_of_equals_what_was_reported_then(mlflow_store, tmp_path, seed):
    """Over a history of 200 events: records filed, revised and withdrawn, evidence logged, the declaration changed."""
    told = random.Random(seed)
    declare(tmp_path, told)
    records = ManagementRecords()
    topics = [one.id for one in record_types(records.catalog).values() if one.is_topic]
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
    run_id = run.info.run_id
    reported = []
    events = [
        lambda: state_something(records, topics, told),
        lambda: withdraw_something(records, told),
        lambda: log_something(run_id, told),
        lambda: declare(tmp_path, told),
    ]
    for number in range(EVENTS):
        told.choices(events, weights=(8, 2, 2, 1))[0]()
        if number % EVERY == 0:
            reported.append(aims_mlflow.assess(run_id))
    statuses = {tuple(f.status for f in one.findings) for one in reported}
    assert len(statuses) > len(reported) // 2, "the history must have changed something"
    for one in reported:
        again = aims_mlflow.assess(run_id, at=one.assessed_at, attach=False)
        assert again.findings == one.findings
        assert again.canonical == one.canonical


def declare(folder, told):
    text = DECLARED.format(
        risk=told.choice(["high", "limited"]), reason=f"No customers {told.random()}", limit=told.choice([0.2, 0.99])
    )
    (folder / "aims.yaml").write_text(text)


def state_something(records, topics, told):
    topic = told.choice(topics)
    records.file(
        topic,
        {"statement": f"Settled {told.random()}"},
        owner=told.choice(["Head of AI", "Compliance officer"]),
        approver=told.choice([None, "Board"]),
        document=told.choice([None, "https://intranet.example/policy"]),
        valid_from=now().date() + timedelta(days=told.choice([-400, -10, 0, 30])),
        valid_until=now().date() + timedelta(days=told.choice([40, 300])),
    )


def withdraw_something(records, told):
    there = [one.record for one in records.state().current.values() if one.record.withdrawn is None]
    if there:
        one = told.choice(there)
        records.withdraw(one.type, one.id, reason="No longer so")


def log_something(run_id, told):
    truth = np.tile([0, 1], 60)
    flipped = np.where(np.arange(120) < told.choice([0, 50]), 1 - truth, truth)
    with mlflow.start_run(run_id=run_id):
        if told.random() < 0.5:
            aims_mlflow.log_performance(truth, flipped, role="test", name="held out")
        else:
            frame = pd.DataFrame({"age": told.choices(range(18, 90), k=120)})
            aims_mlflow.log_data_quality(frame, role="training", name="applicants")


def test_a_record_filed_today_was_not_known_yesterday(mlflow_store, tmp_path):
    records = ManagementRecords()
    records.file(
        "ai_policy",
        {"statement": "We have one."},
        owner="Head of AI",
        approver="Board",
        document="https://intranet.example/policy",
        valid_from=now().date() - timedelta(days=30),
    )
    with mlflow.start_run() as run:
        pass
    assert status(aims_mlflow.assess(run.info.run_id), "5.2") == "satisfied"
    yesterday = now() - timedelta(days=1)
    assert status(aims_mlflow.assess(run.info.run_id, at=yesterday), "5.2") == "needs-attestation"


def test_an_alias_is_where_it_pointed_then(mlflow_store, tmp_path):
    with pytest.raises(InputError, match="does not say where the alias 'champion'"):
        aims_mlflow.assess("models:/credit@champion", at=now().astimezone(UTC) - timedelta(days=1))


def status(assessment, row):
    return next(f.status for f in assessment.findings if f.id == row)
