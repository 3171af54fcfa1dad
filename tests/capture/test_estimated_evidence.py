"""The calibration is kept where labels were, found where they are not yet, and never on data that would flatter."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from aims_mlflow.capture.estimated import KEY, calibration_in, estimated_evidence
from aims_mlflow.capture.measured import performance_evidence
from aims_mlflow.config import load_settings
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import DatasetRef, EvidenceStatus, Subject, Verdict, parse_evidence

AT = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = load_settings({"performance": {"metrics": {"accuracy": {"min": 0.6}}}})


def outcomes(rows=2000, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.beta(0.7, 0.9, rows)
    return (rng.random(rows) < score).astype(int), (score >= 0.5).astype(int), score


def measured(role, *, at=AT, rows=2000, proba=True):
    true, predicted, score = outcomes(rows)
    return performance_evidence(
        true,
        predicted,
        y_proba=score if proba else None,
        positive_label=None,
        dataset=DatasetRef(role=role),
        settings=SETTINGS,
        subject=Subject(),
        at=at,
        baseline=None,
    )


@pytest.mark.parametrize("role", ["validation", "test", None])
def test_measuring_performance_on_held_out_data_keeps_a_calibration(role):
    record = measured(role)
    made, digest = calibration_in([record])
    assert made.total == 2000
    assert digest == record.digest


@pytest.mark.parametrize("role", ["training", "production"])
def test_none_is_kept_on_training_data_nor_on_live_windows(role):
    assert KEY not in measured(role).parameters


def test_none_is_kept_without_scores_or_of_few_rows():
    assert KEY not in measured("test", proba=False).parameters
    assert KEY not in measured("test", rows=60).parameters


def test_the_latest_calibration_counts():
    older, newer = measured("test"), measured("test", at=AT.replace(month=4), rows=1500)
    for order in ([older, newer], [newer, older]):
        assert calibration_in(order)[0].total == 1500


def test_a_record_that_could_not_be_made_gives_none():
    assert calibration_in([measured("test").model_copy(update={"status": EvidenceStatus.ERROR})]) is None
    assert calibration_in([]) is None


def test_a_damaged_calibration_is_an_error_and_not_none():
    record = measured("test")
    damaged = record.model_copy(update={"parameters": {KEY: {"version": 1}}})
    with pytest.raises(EvidenceError):
        calibration_in([damaged])


def test_the_estimate_is_evidence_that_names_its_calibration_and_survives_the_way_to_disk():
    made, digest = calibration_in([measured("validation")])
    record = estimated_evidence(
        outcomes(500, seed=1)[2], made, calibrated_on=digest, settings=SETTINGS, subject=Subject(), at=AT
    )
    assert record.calibrated_on == digest
    assert record.verdict is Verdict.PASS
    assert record.numbers["accuracy"] > 0.6
    assert parse_evidence(record.canonical) == record


def test_no_score_of_a_row_is_in_the_evidence():
    score = outcomes(400, seed=3)[2]
    record = measured("validation")
    made, digest = calibration_in([record])
    estimate = estimated_evidence(score, made, calibrated_on=digest, settings=SETTINGS, subject=Subject(), at=AT)
    text = record.canonical.decode() + estimate.canonical.decode()
    assert not [value for value in score.tolist() + outcomes()[2].tolist() if repr(value) in text]
