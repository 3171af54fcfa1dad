"""A dataset as evidence: who it is, what it is for, and no value of it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.capture.collect import Seen, SeenDataset, Wanted, collect
from aims_mlflow.capture.dataset import dataset_record, dataset_ref, datasheet_for, role_of
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.config import Declaration, Settings
from aims_mlflow.evidence import Subject
from aims_mlflow.frames import as_table

AT = datetime(2026, 11, 24, tzinfo=UTC)


def declared(**datasets):
    return Declaration.model_validate({"datasets": datasets})


SHEETS = declared(
    census={"role": "training", "contexts": ["train", "fit-*"]},
    **{"live-2026": {"role": "production"}, "notes": {"description": "no role"}},
)


@pytest.mark.parametrize(
    ("name", "context", "entry", "role"),
    [
        ("census", "test", "census", "training"),
        ("anything", "train", "census", "training"),
        ("anything", "fit-3", "census", "training"),
        ("fit-7", None, "census", "training"),
        ("live-2026", None, "live-2026", "production"),
        ("notes", "eval", "notes", "validation"),
        ("other", "eval", None, "validation"),
        ("other", "Holdout", None, "test"),
        ("other", "my own", None, "my own"),
        ("other", None, None, None),
        (None, "scoring", None, "production"),
    ],
)
def test_the_declared_role_goes_before_mlflows_context(name, context, entry, role):
    found = datasheet_for(SHEETS, name, context)
    assert (found[0] if found else None) == entry
    assert role_of(SHEETS, name, context) == role


def record_of(data, **changes):
    table = as_table(data)
    ref = dataset_ref(table, name="d", role="training", mlflow_digest="x")
    return dataset_record(table, ref, subject=Subject(), captured_at=AT, declaration=SHEETS, **changes)


def test_a_dataset_is_named_by_every_row_of_it():
    data = pd.DataFrame({"a": np.arange(20_000)})
    changed = data.copy()
    changed.loc[19_999, "a"] = -1  # past the rows MLflow's own digest covers
    one, other = record_of(data), record_of(changed)
    assert one.dataset.sha256 != other.dataset.sha256
    assert one.schema_sha256 == other.schema_sha256
    assert (one.dataset.rows, one.dataset.columns) == (20_000, 1)


def test_columns_are_told_by_name_and_type_only():
    record = record_of(pd.DataFrame({"who": ["Ada Lovelace"] * 9, "n": [4711.0] * 9}))
    assert [(c.name, c.missing) for c in record.columns] == [("who", 0), ("n", 0)]
    text = record.model_dump_json()
    assert "Lovelace" not in text
    assert "4711" not in text


@pytest.mark.parametrize(
    ("missing", "told"),
    [(0, 0), (1, 5), (4, 5), (5, 5), (6, 6), (95, 95), (96, 95), (99, 95), (100, 100)],
)
def test_a_few_missing_or_present_values_are_not_counted_out(missing, told):
    record = record_of(pd.DataFrame({"a": [np.nan] * missing + [1.0] * (100 - missing)}))
    assert record.columns[0].missing == told


def test_the_smallest_cell_is_the_declared_one():
    record = record_of(pd.DataFrame({"a": [np.nan] * 6 + [1.0] * 94}), smallest_cell=10)
    assert record.columns[0].missing == 10
    assert record.parameters == {"smallest_cell": 10}


FACTS = RunFacts(run_id="a" * 32, experiment_id="1", status="FINISHED")


def kinds(frames, *, policy=None, wanted=None):
    """Kind and dataset names of everything collected for these (name, context, frame)."""
    settings = Settings(Declaration.model_validate({"drift": policy or {}}))
    seen = Seen(datasets=[SeenDataset(name, None, context, data) for name, context, data in frames])
    records = collect(FACTS, seen, settings, at=AT, wanted=wanted or Wanted(), with_environment=False)
    return [
        (r.kind, getattr(r, "of_kind", ""), *(d.name for d in r.subject.datasets))
        for r in records
        if r.kind in {"dataset", "data_quality", "drift", "capture_error"}
    ]


GOOD = pd.DataFrame({"x": np.arange(30.0)})
BAD = pd.DataFrame({"x": pd.Series([object()] * 30, dtype=object)})


def test_one_dataset_has_nothing_to_be_compared_with():
    assert kinds([("a", "training", GOOD)]) == [("dataset", "", "a"), ("data_quality", "", "a")]
    assert [k for k in kinds([("a", "test", GOOD), ("b", "test", GOOD)]) if "drift" in k] == []


def test_every_other_dataset_is_compared_with_the_reference():
    frames = [("now", "test", GOOD), ("train", "train", GOOD), ("later", "production", GOOD)]
    assert [k for k in kinds(frames) if k[0] == "drift"] == [
        ("drift", "", "now", "train"),
        ("drift", "", "later", "train"),
    ]
    chosen = [k for k in kinds(frames, policy={"reference": "now"}) if k[0] == "drift"]
    assert chosen == [("drift", "", "train", "now"), ("drift", "", "later", "now")]


def test_a_dataset_that_cannot_be_read_costs_its_own_evidence_and_says_so():
    found = kinds([("train", "training", GOOD), ("bad", "test", BAD), ("good", "test", GOOD)])
    assert [k for k in found if k[0] == "capture_error"] == [
        ("capture_error", "dataset", "bad"),
        ("capture_error", "data_quality", "bad"),
        ("capture_error", "drift", "bad", "train"),
    ]
    assert ("drift", "", "good", "train") in found


def test_a_reference_that_cannot_be_read_costs_every_comparison_and_says_so():
    found = kinds([("train", "training", BAD), ("one", "test", GOOD), ("two", "validation", GOOD)])
    assert [k for k in found if k[1] == "drift"] == [
        ("capture_error", "drift", "one", "train"),
        ("capture_error", "drift", "two", "train"),
    ]


@pytest.mark.parametrize("off", [{"wanted": Wanted(drift=False)}, {"policy": {"enabled": False}}])
def test_a_comparison_nobody_asked_for_is_no_error(off):
    found = kinds([("train", "training", BAD), ("one", "test", GOOD)], **off)
    assert not [k for k in found if "drift" in k]


def test_a_frame_changed_since_it_was_logged_is_refused():
    seen = Seen(datasets=[SeenDataset("a", None, "training", GOOD, sha256_when_logged="sha256:" + "0" * 64)])
    records = collect(FACTS, seen, Settings(), at=AT, with_environment=False)
    assert [r.of_kind for r in records if r.kind == "capture_error"] == ["dataset", "data_quality"]
    assert not [r for r in records if r.kind == "dataset"]
