"""Frames nobody should have, through ``autolog()`` and the explicit functions: a clear record or error, nothing lost.

Locked databases, read-only artifact stores, deleted runs, two writers and tags over MLflow's limits: ``test_delivery``.
"""

from __future__ import annotations

import datetime as dt
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import CaptureErrorRecord

ROWS = 60


def plain(rows=ROWS):
    rng = np.random.default_rng(1)
    return pd.DataFrame({"x": rng.normal(size=rows), "k": rng.choice(["a", "b"], rows)})


def named(*labels):
    data = plain()
    data.columns = pd.Index(labels, dtype=object)
    return data


def objects(values):
    return pd.Series(values * (ROWS // len(values)), dtype=object)


def arrow(values, kind):
    return pd.array(values * (ROWS // len(values)), dtype=pd.ArrowDtype(kind))


def arrow_types():
    pa = pytest.importorskip("pyarrow")
    return pd.DataFrame(
        {
            "int8": arrow([1, None, 3], pa.int8()),
            "decimal": arrow([Decimal("1.5"), None, Decimal("2.5")], pa.decimal128(5, 2)),
            "list": arrow([[1], [2, 3], None], pa.list_(pa.int64())),
            "time": arrow([dt.datetime(2024, 1, 1)], pa.timestamp("us", "UTC")),  # noqa: DTZ001
            "dictionary": arrow(["a", "b", "a"], pa.dictionary(pa.int8(), pa.string())),
            "struct": arrow([{"q": 1}], pa.struct([("q", pa.int64())])),
            "duration": arrow([dt.timedelta(1)], pa.duration("ms")),
            "binary": arrow([b"x"], pa.binary()),
        }
    )


def nullable():
    return pd.DataFrame(
        {
            "i": pd.array([1, None, 3] * 20, "Int64"),
            "u": pd.array([1, 2, 3] * 20, "UInt8"),
            "f": pd.array([1.5, None, 2.5] * 20, "Float64"),
            "b": pd.array([True, None, False] * 20, "boolean"),
            "s": pd.array(["a", None, "b"] * 20, "string"),
        }
    )


def zones():
    return pd.DataFrame(
        {
            "utc": pd.date_range("2024", periods=ROWS, tz="UTC"),
            "vienna": pd.date_range("2024", periods=ROWS, tz="Europe/Vienna"),
            "none": pd.date_range("2024", periods=ROWS),
        }
    )


def two_zones():
    moment = pd.Timestamp("2024-01-01", tz="UTC")
    return pd.DataFrame({"both": objects([moment, moment.tz_convert("Asia/Tokyo")]), "other": zones()["none"]})


def levels(*values, unused=()):
    return pd.DataFrame(
        {"c": pd.Categorical(list(values) * (ROWS // len(values)), categories=[*dict.fromkeys(values), *unused])}
    )


def odd_numbers():
    return pd.DataFrame(
        {
            "huge": objects([2**70, -(2**65), 5]),
            "unsigned": np.array([2**63 + 5, 1, 2] * 20, dtype="u8"),
            "decimal": objects([Decimal("1.1"), Decimal("NaN"), Decimal(2)]),
            "extreme": [1e308, -1e308, 1e-320] * 20,
            "half": np.arange(ROWS, dtype="f2"),
        }
    )


def odd_times():
    return pd.DataFrame(
        {
            "date": objects([dt.date(2024, 1, 1), dt.date(9999, 1, 1), None]),
            "clock": objects([dt.time(1)]),
            "long": pd.Series([dt.timedelta(days=90_000), dt.timedelta(0)] * (ROWS // 2)),
        }
    )


def of_pandas_only():
    return pd.DataFrame(
        {
            "period": pd.period_range("2024", periods=ROWS, freq="D"),
            "interval": pd.interval_range(0, ROWS),
            "sparse": pd.arrays.SparseArray([0, 0, 1] * 20),
            "complex": np.arange(ROWS) * 1j,
        }
    )


def holding_itself():
    ring: list[object] = []
    ring.append(ring)
    return pd.DataFrame({"ring": objects([ring]), "x": range(ROWS)})


def two_levels_of_names():
    data = plain()
    data.columns = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])
    return data


@dataclass(frozen=True)
class Case:
    """One odd frame, the reference it is compared with, and what must be said of it."""

    current: Callable[[], pd.DataFrame]
    reference: Callable[[], pd.DataFrame] | None = None
    """The frame itself where None."""
    refused: str = ""
    """What the refusal names, where the frame cannot be read at all."""
    drift: dict[str, str] = field(default_factory=dict)
    """Column to verdict, or to part of the reason it was not tested for."""
    quality: tuple[str, ...] = ("pass",)
    rules: dict[str, set[str]] = field(default_factory=dict)
    """Column to the verdicts of its rules."""


CASES = {
    "no rows": Case(
        lambda: plain().iloc[:0],
        plain,
        drift={"x": "the current data has no rows", "k": "the current data has no rows"},
        quality=("fail",),
        rules={"x": {"vacuous"}, "k": {"vacuous"}},
    ),
    "no rows in the reference": Case(plain, lambda: plain().iloc[:0], drift={"x": "the reference has no rows"}),
    "no columns": Case(lambda: pd.DataFrame(index=range(ROWS)), quality=("fail",)),
    "nothing at all": Case(pd.DataFrame, plain, drift={"x": "missing in the current data"}, quality=("fail",)),
    "all NaN": Case(
        lambda: plain().assign(x=np.nan),
        plain,
        drift={"x": "no value in this column", "k": "pass"},
        quality=("fail",),
        rules={"x": {"fail", "vacuous", "pass"}},
    ),
    "all NaN on both sides": Case(
        lambda: pd.DataFrame({"x": [np.nan] * ROWS, "k": [None] * ROWS}),
        drift={"x": "neither side has a value", "k": "neither side has a value"},
        quality=("fail",),
        rules={"x": {"fail", "vacuous"}, "k": {"fail", "vacuous"}},
    ),
    "one column all NaN on both sides": Case(
        lambda: plain().assign(n=np.nan),
        drift={"x": "pass", "n": "neither side has a value"},
        quality=("fail",),
        rules={"x": {"pass"}, "k": {"pass"}, "n": {"fail"}},
    ),
    "partly empty": Case(
        lambda: plain().assign(x=lambda d: d["x"].where(d.index % 2 == 0)), drift={"x": "pass"}, rules={"x": {"pass"}}
    ),
    "constant": Case(lambda: pd.DataFrame({"x": [3.0] * ROWS, "k": ["a"] * ROWS}), drift={"x": "pass", "k": "pass"}),
    "only infinite": Case(
        lambda: plain().assign(x=[np.inf, -np.inf] * (ROWS // 2)),
        plain,
        drift={"x": "no finite value", "k": "pass"},
        quality=("fail",),
    ),
    "one infinite": Case(lambda: plain().assign(x=[np.inf, *plain()["x"][1:]]), plain, drift={"x": "pass"}),
    "mixed types": Case(lambda: pd.DataFrame({"m": objects([1, "a", 2.5, None, True, b"z"])}), drift={"m": "pass"}),
    "duplicate names": Case(lambda: named("x", "x"), drift={"x": "pass", "x#2": "pass"}),
    "duplicate names and one that looks like the other": Case(
        lambda: pd.concat([named("x", "x"), plain()[["k"]].set_axis(["x#2"], axis=1)], axis=1),
        drift={"x": "pass", "x#2": "pass", "x#3": "pass"},
    ),
    "names that are numbers": Case(lambda: named(1, 2.5), drift={"1": "pass", "2.5": "pass"}),
    "names that are tuples and None": Case(lambda: named(("a", 1), None), drift={"a.1": "pass", "None": "pass"}),
    "names in two levels": Case(two_levels_of_names, drift={"a.b": "pass", "a.c": "pass"}),
    "an empty name and a null character": Case(lambda: named("", "\x00"), drift={"": "pass", "\x00": "pass"}),
    "names of six thousand letters": Case(lambda: named("x" * 6000, "y" * 6000), drift={"x" * 6000: "pass"}),
    "disjoint columns": Case(
        lambda: plain().rename(columns={"x": "p", "k": "q"}),
        plain,
        drift={"x": "missing in the current data", "p": "the reference does not have it"},
        quality=("fail",),
        rules={"x": {"error"}, "k": {"error"}},
    ),
    "columns that changed their type": Case(
        lambda: plain().assign(x="now text", k=1.5), plain, drift={"x": "changed its type", "k": "changed its type"},
        quality=("fail", "uncertain"),
    ),
    "bool": Case(lambda: pd.DataFrame({"b": [True, False, True] * 20}), drift={"b": "pass"}),
    "time zones": Case(zones, drift={"utc": "pass", "vienna": "pass", "none": "pass"}),
    "two zones in a column": Case(two_zones, drift={"both": "pass", "other": "pass"}),
    "unseen levels": Case(
        lambda: levels("a", "z"), lambda: levels("a", "b", unused=["never"]), drift={"c": "fail"}, quality=("fail",)
    ),
    "nullable types": Case(nullable, drift=dict.fromkeys("iufbs", "pass")),
    "Arrow types": Case(
        arrow_types,
        drift={"int8": "pass", "decimal": "pass", "dictionary": "pass", "duration": "pass", "list": "nested",
               "struct": "nested", "binary": "no drift method", "time": "time column"},
    ),
    "types only pandas has": Case(
        of_pandas_only,
        drift={**dict.fromkeys(("period", "interval", "complex"), "no drift method"), "sparse": "pass"},
    ),
    "a hundred thousand texts": Case(
        lambda: pd.DataFrame({"s": [f"user {n}" for n in range(100_000)]}), drift={"s": "pin the method"}
    ),
    "nested lists": Case(
        lambda: pd.DataFrame({"l": objects([[1, 2], [3], []]), "d": objects([{"a": 1}, {"b": [2]}, None]),
                              "t": objects([(1,), (2,), (3,)]), "a": [np.arange(3)] * ROWS}),
        drift=dict.fromkeys("ldta", "nested"),
    ),
    "objects without content": Case(lambda: pd.DataFrame({"o": objects([object()]), "x": range(ROWS)}), refused="o"),
    "lists that hold themselves": Case(holding_itself, refused="ring"),
    "numbers beyond every type": Case(odd_numbers, drift={"huge": "pass", "unsigned": "pass", "decimal": "pass"}),
    "dates and times": Case(odd_times, drift={"clock": "no drift method", "long": "pass"}),
    "bytes": Case(lambda: pd.DataFrame({"y": objects([b"a", b"\xff", b""])}), drift={"y": "no drift method"}),
    "half of a letter in a value": Case(
        lambda: pd.DataFrame({"s": objects(["\ud800", "a", "b"])}), drift={"s": "pass"}
    ),
    "HTML and all the world's letters": Case(
        lambda: named("<script>alert(1)</script>", "größe 😀 日本\n\t\u202e|*_`[x](y)"),
        drift={"<script>alert(1)</script>": "pass"},
    ),
    "one row": Case(lambda: plain().iloc[:1], plain),
}  # fmt: skip


def accepted_by_mlflow(data):
    """Whether MLflow itself can log the frame."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mlflow.data.from_pandas(data, name="probe")._to_mlflow_entity()
    except Exception:  # whatever MLflow says of it
        return False
    return True


def assert_complete(run_id):
    """The run was captured whole: five tags, seventy findings."""
    tags = MlflowClient().get_run(run_id).data.tags
    assert len([t for t in tags if t.startswith("aims.")]) == 5
    assert len(aims_mlflow.load_assessment(run_id).findings) == 70


def verdicts(found):
    return {c.column: c for c in found.columns}


def assert_drift(found, expected):
    columns = verdicts(found)
    for name, wanted in expected.items():
        column = columns[name]
        if wanted in {"pass", "fail", "uncertain"}:
            assert str(column.verdict) == wanted, (name, column.reason)
        else:
            assert str(column.verdict) == "not_tested", name
            assert wanted in column.reason[0].lower() + column.reason[1:], name
    for column in columns.values():
        assert column.reason
        assert (str(column.verdict) == "not_tested") == (column.score is None)
    assert found.tested + found.not_tested == len(columns)
    assert found.tested or found.verdict == "not_tested"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_an_odd_frame_leaves_a_record_or_an_error_and_training_goes_on(mlflow_store, name):
    case = CASES[name]
    current = case.current()
    reference = case.reference() if case.reference else current
    aims_mlflow.autolog()
    logged = []
    with mlflow.start_run() as run:
        for data, context in ((reference, "training"), (current, "validation")):
            if accepted_by_mlflow(data):
                mlflow.log_input(mlflow.data.from_pandas(data, name=context), context=context)
                logged.append(context)
        mlflow.log_metric("done", 1.0)
    assert_complete(run.info.run_id)
    everything = aims_mlflow.load_evidence(run.info.run_id)
    wanted = [(kind, context) for context in logged for kind in ("dataset", "data_quality")]
    wanted += [("drift", "validation")] if len(logged) == 2 else []
    for kind, context in wanted:
        about = [r for r in everything if kind in {r.kind, getattr(r, "of_kind", "")}]
        assert [r.subject.datasets[0].name for r in about].count(context) == 1, (kind, context)
    errors = [r for r in everything if isinstance(r, CaptureErrorRecord)]
    assert bool(errors) == bool(case.refused and logged)
    if len(logged) == 2 and not case.refused:
        assert_drift(next(r for r in everything if r.kind == "drift"), case.drift)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_an_odd_frame_handed_over_is_measured_or_refused_with_its_column(mlflow_store, name):
    case = CASES[name]
    current = case.current()
    reference = case.reference() if case.reference else current
    with mlflow.start_run() as run:
        if case.refused:
            for call in (
                lambda: aims_mlflow.log_data_quality(current),
                lambda: aims_mlflow.log_drift(current, reference),
            ):
                with pytest.raises(InputError) as raised:
                    call()
                assert raised.value.where == case.refused
                assert raised.value.message
                assert raised.value.remedy
            return
        quality = aims_mlflow.log_data_quality(current, reference=reference)
        drift = aims_mlflow.log_drift(current, reference)
    kept = {r.digest for r in aims_mlflow.load_evidence(run.info.run_id)}
    assert {quality.digest, drift.digest} <= kept
    assert str(quality.verdict) in case.quality, quality.reason
    for column, wanted in case.rules.items():
        assert {str(r.verdict) for r in quality.rules if r.column == column} <= wanted
    assert_drift(drift, case.drift)


@pytest.mark.parametrize("verdict", ["quality", "drift"])
def test_a_frame_without_rows_passes_nothing(mlflow_store, verdict):
    with mlflow.start_run():
        if verdict == "quality":
            rules = [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}}]
            found = aims_mlflow.log_data_quality(plain().iloc[:0], suite=rules)
        else:
            found = aims_mlflow.log_drift(plain().iloc[:0], plain().iloc[:0])
    assert found.verdict == "not_tested"


WITHOUT_VALUES = {
    "no columns": "the data has no columns",
    "no rows": "the data has no rows",
    "nothing at all": "the data has no",
    "all NaN on both sides": "on column 'x': the column holds no value",
    "one column all NaN on both sides": "on column 'n': the column holds no value",
}


@pytest.mark.parametrize("empty", WITHOUT_VALUES)
def test_what_holds_no_value_fails_the_derived_rules_without_a_reference(mlflow_store, empty):
    with mlflow.start_run():
        found = aims_mlflow.log_data_quality(CASES[empty].current())
    assert found.verdict == "fail"
    assert WITHOUT_VALUES[empty] in found.reason


def test_a_column_without_a_value_in_training_data_is_a_finding_of_the_run(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(plain().assign(n=np.nan), name="train"), context="training")
    (found,) = aims_mlflow.load_evidence(run.info.run_id, "data_quality")
    assert found.verdict == "fail"
    assert found.numbers["empty_columns"] == 1
    status = {f.id: f.status for f in aims_mlflow.load_assessment(run.info.run_id).findings}
    assert status["A.7.4"] == "not-satisfied"


OTHERS = {
    "a structured array": lambda: np.array([(1.0, "a"), (2.0, "b")] * 30, dtype=[("x", "f8"), ("k", "U1")]),
    "a masked array": lambda: np.ma.masked_array(np.arange(120.0).reshape(60, 2), mask=[[True, False]] * 60),
    "three dimensions": lambda: np.arange(240.0).reshape(60, 2, 2),
    "an array of objects": lambda: np.array([[1, "a"], [None, 2.5]] * 30, dtype=object),
    "one dimension": lambda: np.arange(60.0),
    "polars with every kind of column": lambda: pytest.importorskip("polars").DataFrame(
        {"l": [[1], [2, 3]] * 30, "n": [None] * 60, "s": ["a", None] * 30, "t": [dt.datetime(2024, 1, 1)] * 60}  # noqa: DTZ001
    ),
    "polars, lazy": lambda: pytest.importorskip("polars").LazyFrame({"x": range(60)}),
    "Arrow": lambda: pytest.importorskip("pyarrow").table({"x": list(range(60)), "n": [None] * 60}),
    "a dict of arrays": lambda: {"x": np.arange(60), "y": np.arange(120.0).reshape(60, 2)},
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_pandas_frame_is_measured_too(mlflow_store, name):
    with mlflow.start_run() as run:
        quality = aims_mlflow.log_data_quality(OTHERS[name](), reference=OTHERS[name]())
        drift = aims_mlflow.log_drift(OTHERS[name](), OTHERS[name]())
    assert {quality.digest, drift.digest} <= {r.digest for r in aims_mlflow.load_evidence(run.info.run_id)}
    assert quality.dataset.rows == 60
    assert not [c for c in drift.columns if c.verdict == "fail"]


REFUSED = {
    "columns of different lengths": lambda: {"x": [1, 2], "y": [1]},
    "no dimension": lambda: np.array(1.0),
    "a path": lambda: "data.csv",
    "a generator": lambda: (n for n in range(3)),
    "nothing": lambda: None,
    "a list of rows": lambda: [[1, 2], [3, 4]],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_frame_is_refused_with_what_would_be_read(mlflow_store, name):
    with mlflow.start_run() as run:
        for call in (
            lambda: aims_mlflow.log_data_quality(REFUSED[name]()),
            lambda: aims_mlflow.log_data_quality(plain(), reference=REFUSED[name]()) if name != "nothing" else _raise(),
            lambda: aims_mlflow.log_drift(REFUSED[name](), plain()),
            lambda: aims_mlflow.log_drift(plain(), REFUSED[name]()),
        ):
            with pytest.raises(InputError) as raised:
                call()
            assert raised.value.message
            assert raised.value.remedy
    assert aims_mlflow.load_evidence(run.info.run_id) == []


def _raise():
    raise InputError("no reference is no mistake", remedy="None is asked.")


def test_half_of_a_letter_in_a_name_is_measured_or_refused(mlflow_store):
    odd = named("\ud800", "k")
    with mlflow.start_run():
        drift = aims_mlflow.log_drift(odd, odd)
        aims_mlflow.log_data_quality(odd, reference=odd)
    assert drift.tested == 2


def test_two_thousand_columns_are_captured_in_seconds(mlflow_store):
    rng = np.random.default_rng(3)
    wide = pd.DataFrame(rng.normal(size=(100, 2000)), columns=[f"c{n}" for n in range(2000)])
    other = wide + 0.01
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(wide, name="train"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(other, name="later"), context="validation")
        started = time.process_time()
    spent = time.process_time() - started
    assert_complete(run.info.run_id)
    (drift,) = aims_mlflow.load_evidence(run.info.run_id, "drift")
    assert drift.tested == 2000
    later = next(r for r in aims_mlflow.load_evidence(run.info.run_id, "data_quality") if r.dataset.name == "later")
    assert len(later.rules) > 6000
    assert {str(r.verdict) for r in later.rules} == {"pass"}
    page = Path(mlflow.get_run(run.info.run_id).info.artifact_uri.removeprefix("file://")) / "aims" / "report.html"
    assert page.stat().st_size < 300_000
    assert spent < 60


ODD_TEXT = '<script>alert("1")</script> größe 😀 \u202e日本 |*_`[x](javascript:1)'


def test_markup_and_all_letters_in_names_stay_text(mlflow_store):
    aims_mlflow.autolog()
    data = named(ODD_TEXT, "k")
    with mlflow.start_run(run_name=ODD_TEXT, tags={"team": ODD_TEXT}, description=ODD_TEXT) as run:
        mlflow.log_input(mlflow.data.from_pandas(data, name=ODD_TEXT), context=ODD_TEXT)
        mlflow.log_input(mlflow.data.from_pandas(data, name="train"), context="training")
        mlflow.log_param("p", ODD_TEXT)
        aims_mlflow.log_data_quality(data, name=ODD_TEXT, role=ODD_TEXT)
        aims_mlflow.log_drift(data, data, name=ODD_TEXT)
        aims_mlflow.log_performance([0, 1] * 30, [0, 1] * 30, name=ODD_TEXT)
        aims_mlflow.log_fairness(
            [0, 1] * 30, [0, 1] * 30, pd.Series(["a", "b"] * 30, name=ODD_TEXT), safe_labels=ODD_TEXT
        )
        aims_mlflow.log_evidence("my.kind", {ODD_TEXT: ODD_TEXT}, reason=ODD_TEXT, verdict="pass")
    assert_complete(run.info.run_id)
    names = {r.dataset.name for r in aims_mlflow.load_evidence(run.info.run_id, "data_quality")}
    assert ODD_TEXT in names
    root = Path(mlflow.get_run(run.info.run_id).info.artifact_uri.removeprefix("file://")) / "aims"
    page = (root / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in (root / "report.md").read_text()
    assert ODD_TEXT in mlflow.get_run(run.info.run_id).data.tags["mlflow.note.content"]


@pytest.mark.filterwarnings("ignore")
def test_an_unreadable_reference_is_on_record_for_every_comparison_it_spoils(mlflow_store):
    aims_mlflow.autolog()
    with mlflow.start_run() as run:
        mlflow.log_input(
            mlflow.data.from_pandas(CASES["objects without content"].current(), name="train"), context="train"
        )
        mlflow.log_input(mlflow.data.from_pandas(plain(), name="one"), context="validation")
        mlflow.log_input(mlflow.data.from_pandas(plain(50), name="two"), context="test")
    errors = aims_mlflow.load_evidence(run.info.run_id, "capture_error")
    lost = [[d.name for d in e.subject.datasets] for e in errors if e.of_kind == "drift"]
    assert sorted(lost) == [["one", "train"], ["two", "train"]]
    assert {e.subject.datasets[0].role for e in errors if e.of_kind == "dataset"} == {"training"}
    findings = {f.id: f for f in aims_mlflow.load_assessment(run.info.run_id).findings}
    assert findings["A.7.4"].status == "error"


def test_more_datasets_than_asked_for_are_recorded_as_not_captured(mlflow_store):
    aims_mlflow.autolog(max_datasets=2)
    with mlflow.start_run() as run:
        for n in range(4):
            mlflow.log_input(
                mlflow.data.from_pandas(plain(20 + n), name=f"d{n}"), context="training" if n == 0 else "test"
            )
    datasets = {r.dataset.name for r in aims_mlflow.load_evidence(run.info.run_id, "dataset")}
    errors = aims_mlflow.load_evidence(run.info.run_id, "capture_error")
    assert datasets == {"d0", "d1"}
    assert {e.subject.datasets[0].name for e in errors if e.of_kind == "dataset"} == {"d2", "d3"}
