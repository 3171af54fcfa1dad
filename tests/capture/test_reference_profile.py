"""The training data's profile as evidence: made once, of the reference only, and read back whole."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.capture.collect import Seen, SeenDataset, Wanted, collect
from aims_mlflow.capture.dataset import dataset_ref
from aims_mlflow.capture.profile import profile_of_record, reference_record
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.config import Settings
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import ReferenceProfile, Subject, Verdict, parse_evidence
from aims_mlflow.frames import as_table
from aims_mlflow.sketches import Profile

AT = datetime(2026, 11, 24, tzinfo=UTC)


def frame(rows=2000, seed=0):
    rng = np.random.default_rng(seed)
    numbers = {f"x{k}": rng.normal(size=rows) for k in range(17)}
    labels = {f"s{k}": rng.choice([f"label {j}" for j in range(10 * k + 3)], rows) for k in range(3)}
    return pd.DataFrame(numbers | labels)


def record(rows, **changes):
    table = as_table(rows)
    ref = dataset_ref(table, name="train", role="training", mlflow_digest=None)
    return reference_record(table, ref, settings=Settings(), subject=Subject(datasets=(ref,)), at=AT)


def test_the_profile_comes_back_from_the_evidence_as_it_went_in():
    rows = frame()
    made = record(rows)
    read = parse_evidence(made.canonical)
    assert isinstance(read, ReferenceProfile) and read == made
    profile = profile_of_record(read)
    assert profile.rows == made.rows == 2000 and tuple(profile.columns) == made.columns
    assert profile.sha256 == made.profile_sha256
    assert made.verdict is Verdict.RECORDED
    own = Profile.of(as_table(rows), profile.plan)
    assert own.to_bytes(smallest_cell=5) == base64.b64decode(made.profile)


def test_the_same_data_gives_the_same_profile():
    assert record(frame()).digest == record(frame()).digest


def test_a_damaged_profile_is_an_error_of_its_own():
    made = record(frame())
    content = bytearray(base64.b64decode(made.profile))
    content[100] ^= 1
    for text in (base64.b64encode(content).decode(), "no base64 at all!", ""):
        with pytest.raises(EvidenceError):
            profile_of_record(made.model_copy(update={"profile": text}))


def test_twenty_columns_take_less_than_60_kb_of_evidence():
    assert len(record(frame(50_000)).canonical) < 60_000


def collected(datasets, **wanted):
    facts = RunFacts(run_id="0" * 32, experiment_id="1", status="FINISHED")
    seen = Seen(datasets=datasets)
    return collect(facts, seen, Settings(), at=AT, wanted=Wanted(**wanted), with_environment=False)


def test_a_run_profiles_the_reference_and_nothing_else():
    train = SeenDataset("train", None, "training", frame())
    test = SeenDataset("held out", None, "test", frame(seed=1))
    for datasets in ([train, test], [test, train], [train]):
        (own,) = [r for r in collected(datasets) if isinstance(r, ReferenceProfile)]
        assert own.dataset.name == "train" and own.subject.datasets == (own.dataset,)
    for datasets, wanted in (([test], {}), ([train], {"drift": False})):
        assert not [r for r in collected(datasets, **wanted) if isinstance(r, ReferenceProfile)]
