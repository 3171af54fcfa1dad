"""Whole datasets against Evidently's own report, and Evidently as the engine."""

import os
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from aims_mlflow.config import Columns, DriftPolicy, PrivacyPolicy
from aims_mlflow.errors import EngineError
from aims_mlflow.evidence import Verdict
from aims_mlflow.frames import as_table
from aims_mlflow.measure.drift import measure_drift
from aims_mlflow.measure.drift.evidently import _give_pandas_its_name_back


def drift(reference, current, **policy):
    return measure_drift(
        as_table(reference), as_table(current), policy=DriftPolicy(**policy), columns=Columns(),
        privacy=PrivacyPolicy(),
    )  # fmt: skip


def frame(rows, seed, moved=False):
    rng = np.random.default_rng(seed)
    words = np.array(
        ["time", "model", "data", "word", "shop", "ship", "river", "cloud", "table", "green", "stone", "pen"]
    )
    return pd.DataFrame(
        {
            "float": rng.normal(0.4 * moved, 1, rows),
            "holes": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "many integers": rng.poisson(30 + 5 * moved, rows),
            "few integers": rng.integers(0, 4, rows),
            "two": rng.integers(0, 2, rows),
            "few floats": rng.integers(0, 4, rows) / 2,
            "bool": rng.random(rows) < (0.8 if moved else 0.2),
            "label": rng.choice(["a", "b", "c"], rows, p=[0.1, 0.2, 0.7] if moved else [0.7, 0.2, 0.1]),
            "category": pd.Categorical(rng.choice(["x", "y"], rows)),
            "text": [" ".join(rng.choice(words[6 * moved : 6 + 6 * moved], 5)) + f" {i}" for i in range(rows)],
        }
    )


@pytest.mark.parametrize("sizes", [(400, 300), (1000, 1500), (1001, 700)])
def test_every_column_and_the_dataset_get_the_verdict_of_evidentlys_report(sizes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import Report
        from evidently.presets import DataDriftPreset

        reference, current = frame(sizes[0], 1), frame(sizes[1], 2, moved=True)
        found = Report([DataDriftPreset()], include_tests=True).run(current, reference).dict()
    columns = {m["config"]["column"]: float(m["value"]) for m in found["metrics"] if "column" in m["config"]}
    status = {
        m["config"]["column"]: str(getattr(t["status"], "value", t["status"]))
        for m, t in zip(found["metrics"], found["tests"], strict=True)
        if "column" in m["config"]
    }
    own = drift(reference, current)
    assert set(columns) == {c.column for c in own.columns}
    for column in own.columns:
        assert column.score == pytest.approx(columns[column.column], rel=1e-7, abs=5e-8), column.column
        assert column.verdict is {"FAIL": Verdict.FAIL, "SUCCESS": Verdict.PASS}[status[column.column]]
    share = found["metrics"][0]["value"]
    assert own.drifted == share["count"]
    dataset = str(getattr(found["tests"][0]["status"], "value", found["tests"][0]["status"]))
    assert (own.verdict is Verdict.FAIL) == (dataset == "FAIL")


def test_evidently_as_engine_gives_the_same_scores_in_the_same_form_and_leaves_the_environment_alone(monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "as it was")
    reference, current = frame(1200, 3), frame(1100, 4, moved=True)
    reference["nullable"] = pd.array(np.arange(1200) % 50, dtype="Int64")
    current["nullable"] = pd.array(np.arange(1100) % 50, dtype="Int64")
    native, theirs = drift(reference, current), drift(reference, current, engine="evidently")
    assert theirs.engine.name == "evidently"
    assert theirs.html is None
    assert os.environ["DO_NOT_TRACK"] == "as it was"
    for a, b in zip(native.columns, theirs.columns, strict=True):
        assert (a.column, a.method, a.verdict) == (b.column, b.method, b.verdict)
        assert a.score == pytest.approx(b.score, rel=1e-7, abs=5e-8)
    assert theirs.numbers["expected_false_alarms"] is None
    monkeypatch.delenv("DO_NOT_TRACK")
    drift(reference[["bool"]], current[["bool"]], engine="evidently")
    assert "DO_NOT_TRACK" not in os.environ


def test_a_column_evidently_chokes_on_does_not_cost_the_others():
    rng = np.random.default_rng(5)
    reference = pd.DataFrame({"good": rng.normal(size=300), "constant": np.zeros(300), "empty": [np.nan] * 300})
    payload = drift(reference, reference, engine="evidently", method="es")
    assert [c.verdict for c in payload.columns] == [Verdict.PASS, Verdict.NOT_TESTED, Verdict.NOT_TESTED]
    assert "Evidently could not measure" in payload.columns[1].reason


def test_evidentlys_page_comes_only_when_asked_for():
    reference, current = frame(300, 6), frame(300, 7)
    columns = ["float", "label"]
    payload = drift(reference[columns], current[columns], engine="evidently", evidently_html=True)
    assert "<html" in payload.html
    assert drift(reference[columns], current[columns], evidently_html=True).html is None


def test_the_name_pandas_31_lacks_is_put_back_only_where_it_is_missing(monkeypatch):
    from pandas.core.dtypes import common

    own = getattr(common, "infer_dtype_from_object", None)
    _give_pandas_its_name_back()
    if own is not None:
        assert common.infer_dtype_from_object is own
    monkeypatch.delattr(common, "infer_dtype_from_object", raising=False)
    _give_pandas_its_name_back()
    assert common.infer_dtype_from_object(np.dtype("int64")) is np.int64


def test_an_environment_without_evidently_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "evidently", None)
    with pytest.raises(EngineError, match="Evidently cannot be imported"):
        drift({"x": [1.0]}, {"x": [1.0]}, engine="evidently")
