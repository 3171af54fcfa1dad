"""Nothing of the data and nobody's name leaves: planted values, labels, paths and names are looked for in every file.

Every value of the planted frames, and the user, host and folder names of the process, carry a mark that no text of this
library holds by chance. Column, dataset and file names and what a person wrote in ``aims.yaml`` are no data.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import math
import re
import socket
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.attach.spool import spooled_files

MARK = "zq7"
"""In every planted label, text, user name, host name and folder name."""

NUMBERS = (48151623.4257, 918273645, 7.77123456789e-7)
"""Planted values of numeric columns."""

MOMENT = dt.datetime(1987, 6, 5, 4, 3, 21)  # noqa: DTZ001

WHO = f"{MARK}user"
HOST = f"{MARK}host"
FOLDER = f"{MARK}folder"

FIVE = {"aims.status", "aims.attention", "aims.assessed", "aims.fresh_until", "aims.evidence"}


@pytest.fixture
def planted_process(monkeypatch, tmp_path, mlflow_store):
    """A process whose user, host, home and working folder carry the mark, with an ``aims.yaml`` in that folder."""
    home = tmp_path / FOLDER / WHO
    home.mkdir(parents=True)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, WHO)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HOSTNAME", HOST)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.chdir(home)
    declaration = {
        "system": {"id": "s", "name": "S", "risk_class": "high"},
        "columns": {"target": "target", "sensitive": ["group"], "ids": ["person"], "categorical": ["code"]},
        "data_quality": {
            "rules": [
                {
                    "type": "expect_column_values_to_be_in_set",
                    "kwargs": {"column": "label", "value_set": [f"{MARK} label 0"]},
                },
                {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "label", "regex": "^nobody$"}},
                {"type": "expect_column_max_to_be_between", "kwargs": {"column": "income", "max_value": 1}},
                {"type": "expect_column_values_to_be_of_type", "kwargs": {"column": "label", "type_": "int64"}},
                {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "label", "max_value": 1}},
                {
                    "type": "expect_column_most_common_value_to_be_in_set",
                    "kwargs": {"column": "code", "value_set": [1]},
                },
                {
                    "type": "expect_column_distinct_values_to_be_in_set",
                    "kwargs": {"column": "group", "value_set": ["a"]},
                },
                {
                    "type": "expect_column_quantile_values_to_be_between",
                    "kwargs": {
                        "column": "income",
                        "quantile_ranges": {"quantiles": [0.0, 1.0], "value_ranges": [[0, 1], [0, 1]]},
                    },
                },
            ]
        },
        "performance": {"metrics": {"accuracy": {"min": 0.99}}},
        "fairness": {"metrics": {"selection_rate_ratio": {"min": 0.99}}},
    }
    (home / "aims.yaml").write_text(yaml.safe_dump(declaration))
    return home


def planted(rows=240, seed=0):
    """A frame in which every label, text, identifier and extreme is a mark."""
    rng = np.random.default_rng(seed)
    income = rng.normal(50_000, 9_000, rows).round(2)
    income[:2] = NUMBERS[0], -NUMBERS[0]
    return pd.DataFrame(
        {
            "person": [f"{MARK}-{seed}-{n}" for n in range(rows)],
            "label": rng.choice([f"{MARK} label {n}" for n in range(4)], rows),
            "rare": [f"{MARK} once"] * 2 + [f"{MARK} often"] * (rows - 2),
            "note": [f"{MARK} writes {word} to {MARK}doctor" for word in rng.permutation(rows)],
            "group": rng.choice([f"{MARK} one", f"{MARK} two", None], rows),
            "kind": pd.Categorical(rng.choice([f"{MARK} x", f"{MARK} y"], rows)),
            "income": income,
            "constant": [NUMBERS[1]] * rows,
            "tiny": [NUMBERS[2]] * rows,
            "code": rng.choice([NUMBERS[1], 1, 2], rows),
            "born": [MOMENT] * 3 + list(pd.date_range("2001", periods=rows - 3)),
            "seen": [MOMENT] * rows,
            "mixed": pd.Series([f"{MARK} m", NUMBERS[1], None, 2.5] * (rows // 4), dtype=object),
            "nested": [[f"{MARK} n", n] for n in range(rows)],
            "target": rng.choice([f"{MARK} yes", f"{MARK} no"], rows),
        }
    )


def forms_of(number):
    """The texts a number may appear as."""
    return {repr(number), f"{number:.6g}", f"{number:.4f}", f"{number:,.2f}"} if number > 1 else {repr(number)}


def texts_of(run_id):
    """Every text this library put anywhere for a run: files, tags and descriptions of run, versions and models."""
    client = MlflowClient()
    run = client.get_run(run_id)
    root = Path(run.info.artifact_uri.removeprefix("file://")) / "aims"
    found = {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in root.rglob("*") if p.is_file()}
    found |= {k: v for k, v in run.data.tags.items() if k.startswith("aims.") or k == "mlflow.note.content"}
    found |= {f"metric {k}": str(v) for k, v in run.data.metrics.items() if k.startswith("aims")}
    for version in client.search_model_versions(f"run_id='{run_id}'"):
        label = f"version {version.name}/{version.version}"
        full = client.get_model_version(version.name, version.version)
        found |= {f"{label} {k}": v for k, v in full.tags.items()} | {f"{label} description": full.description or ""}
        found |= {f"model {k}": v for k, v in client.get_registered_model(version.name).tags.items()}
    return found


def numbers_in(text):
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", text)]


def leaks(texts, *, allowed=()):
    """What of the planted was found, as (place, what, surroundings)."""
    out = []
    real_host = socket._socket.gethostname() if hasattr(socket, "_socket") else ""
    wanted = [MARK, MARK.upper(), f"{MOMENT:%Y-%m-%d}", *(f for n in NUMBERS for f in forms_of(n))]
    wanted += [real_host] if len(real_host) > 4 and real_host != "localhost" else []
    for place, text in texts.items():
        for harmless in allowed:
            text = text.replace(harmless, "")
        for word in wanted:
            at = text.find(word)
            if at >= 0:
                out.append((place, word, text[max(at - 80, 0) : at + 80]))
        for number in (*NUMBERS, MOMENT.replace(tzinfo=dt.UTC).timestamp()):
            near = [n for n in numbers_in(text) if math.isclose(abs(n), number, rel_tol=1e-6)]
            out += [(place, number, n) for n in near]
        paths = re.findall(r"(?<![\w:/.<-])/(?:home|root|Users|tmp|work|var|usr|opt|dev)/[\w./-]*", text)
        out += [(place, "path", path) for path in paths]
    return out


def test_the_scan_finds_what_it_looks_for(tmp_path):
    for text in (
        f"a {MARK}",
        "48151623.4257",
        "x 4.81516234257e7 y",
        "at /home/someone/x",
        "918,273,645.00",
        "1987-06-05",
    ):
        assert leaks({"f": text}), text
    assert not leaks({"f": 'sha256:1234 https://host/home/x <p class="a">12.5</p></home/x>'})


def test_values_labels_names_and_paths_never_leave(planted_process):
    assert getpass.getuser() == WHO
    from sklearn.linear_model import LogisticRegression

    aims_mlflow.autolog()
    train, later = planted(), planted(seed=1)
    later.loc[:120, "group"] = f"{MARK} unseen"
    later["income"] *= 40
    features = train[["income", "code"]]
    with mlflow.start_run(run_name="plain") as run:
        mlflow.log_input(mlflow.data.from_pandas(train.drop(columns="nested"), name="train"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(later.drop(columns="nested"), name="later"), context="validation")
        model = LogisticRegression(max_iter=20).fit(features, train["target"])
        mlflow.sklearn.log_model(
            model,
            **{"name" if int(mlflow.__version__.split(".")[0]) > 2 else "artifact_path": "model"},
            input_example=features.head(3),
            registered_model_name="m",
        )
        aims_mlflow.log_data_quality(later, reference=train, name="again")
        aims_mlflow.log_data_quality(
            later,
            name="own suite",
            suite=[
                {
                    "type": "expect_column_values_to_not_be_in_set",
                    "kwargs": {"column": "label", "value_set": [f"{MARK} label 1"]},
                }
            ],
        )
        aims_mlflow.log_drift(later, train)
        aims_mlflow.log_drift(later[["label", "note"]], train[["label", "note"]], method="psi")
        predicted = later["target"].sample(frac=1, random_state=0).to_numpy()
        aims_mlflow.log_performance(later["target"], predicted)
        aims_mlflow.log_performance(later["label"], later["label"].sample(frac=1, random_state=1).to_numpy())
        aims_mlflow.log_performance(later["income"], train["income"])
        aims_mlflow.log_fairness(later["target"], predicted, later[["group", "kind", "code"]])
        aims_mlflow.log_fairness(later["income"], train["income"], later["group"])
    texts = texts_of(run.info.run_id)
    assert {"report.html", "report.md", "assessment.json", "controls_matrix.json", "manifest.json"} <= set(texts)
    assert set(texts) >= FIVE
    assert any(place.startswith("version m/1 aims.") for place in texts)
    kinds = {json.loads(t)["kind"] for p, t in texts.items() if p.startswith("evidence/")}
    assert kinds >= {"run", "environment", "model", "lineage", "declaration", "dataset"}
    assert kinds >= {"data_quality", "drift", "performance", "fairness"}
    assert not leaks(texts)


class Broken(Exception):
    """An exception whose text holds a value."""


def test_texts_of_exceptions_never_leave(planted_process, monkeypatch):
    import aims_mlflow.capture.collect as collect

    def broken(*args, **kwargs):
        raise Broken(f"{MARK} at row 3: {NUMBERS[0]}")

    monkeypatch.setattr(collect, "quality_evidence", broken)
    monkeypatch.setattr(collect, "dataset_record", broken)
    aims_mlflow.autolog()
    with pytest.raises(Broken), mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(planted()[["income"]], name="d"), context="training")
        raise Broken(f"{MARK} in training: {NUMBERS[1]}")
    texts = texts_of(run.info.run_id)
    errors = [json.loads(t) for p, t in texts.items() if p.startswith("evidence/capture_error-")]
    assert {e["of_kind"] for e in errors} == {"dataset", "data_quality"}
    assert {e["error_type"] for e in errors} == {"Broken"}
    assert not leaks(texts)


def test_the_spool_holds_no_value_and_no_name(planted_process, tmp_path):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    experiment = mlflow.create_experiment("ro", artifact_location=(tmp_path / "blocked").as_uri())
    aims_mlflow.autolog()
    with mlflow.start_run(experiment_id=experiment):
        mlflow.log_input(mlflow.data.from_pandas(planted().drop(columns="nested"), name="d"), context="training")
        aims_mlflow.log_drift(planted(seed=1), planted())
    waiting = spooled_files()
    assert len(waiting) == 2
    texts = {}
    for path in waiting:
        body = json.loads(path.read_text("utf-8"))["body"]
        # Where to deliver to and what a person declared: the file stays on this machine, for its owner's eyes only.
        assert body.pop("tracking_uri") == mlflow.get_tracking_uri()
        body.pop("declaration")
        assert path.stat().st_mode & 0o077 == 0
        texts[path.name] = json.dumps(body, ensure_ascii=False)
    assert sum("data_quality" in text for text in texts.values()) == 1
    assert not leaks(texts, allowed=[str(planted_process / "aims.yaml")])


ROWS = 397
"""Rows of the frames with small cells: the shares of a few of them have no second meaning."""

COUNTS = frozenset(
    {
        "n",
        "n_reference",
        "n_current",
        "missing",
        "missing_reference",
        "missing_current",
        "unexpected",
        "rows",
        "dropped",
    }
    | {"dropped_rows", "rows_reference", "rows_current"}
)


def small_counts(texts):
    """Where a count of one to four rows is told, or the share or the rest that gives it away."""
    few = range(1, 5)
    given_away = {ROWS - c for c in few} | {c / ROWS for c in few} | {1 - c / ROWS for c in few}
    words = {f"{share:.{digits}%}" for share in given_away if share < 1 for digits in (1, 2)}
    out = []

    def walk(value, place):
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, (*place, key))
        elif isinstance(value, list):
            for item in value:
                walk(item, place)
        elif isinstance(value, str):
            out.extend((place, word, value) for word in words if word in value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            told = place[-1] in COUNTS and value in few
            if told or any(math.isclose(value, v, rel_tol=1e-9) for v in given_away):
                out.append((place, value))

    for name, text in texts.items():
        if name.startswith("evidence/"):
            walk(json.loads(text), (name.split("-")[0],))
        else:
            out.extend((name, word) for word in words if word in text)
    return out


def small_cells(seed=0):
    """Frames with one to four rows of everything that is counted."""
    rng = np.random.default_rng(seed)
    plain = rng.normal(size=ROWS)
    few_missing, few_infinite = plain.copy(), plain.copy()
    few_missing[:3] = np.nan
    few_infinite[:2] = np.inf
    return pd.DataFrame(
        {
            "few_missing": few_missing,
            "few_present": [1.5] * 2 + [None] * (ROWS - 2),
            "few_infinite": few_infinite,
            "label": ["rare"] * 2 + ["often"] * (ROWS - 2),
            "group": ["of three"] * 3 + ["of four"] * 4 + list(rng.choice(["a", "b"], ROWS - 7)),
            "target": rng.choice([0, 1], ROWS),
        }
    )


def _rule(kind, column, **limits):
    return {"type": f"expect_column_{kind}", "kwargs": {"column": column, **limits}}


SMALL_RULES = [
    _rule("values_to_be_in_set", "label", value_set=["often"]),
    _rule("values_to_not_be_null", "few_missing"),
    _rule("values_to_not_be_null", "few_present"),
    _rule("values_to_be_between", "few_missing", min_value=-9, max_value=9),
    _rule("values_to_be_between", "few_infinite", min_value=-9, max_value=9),
    _rule("proportion_of_non_null_values_to_be_between", "few_missing", min_value=1.0),
    _rule("unique_value_count_to_be_between", "label", max_value=9),
    _rule("mean_to_be_between", "few_present", max_value=1),
]


def test_counts_of_a_few_rows_are_told_nowhere(mlflow_store):
    aims_mlflow.autolog()
    train, later = small_cells(), small_cells(1)
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(train, name="train"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(later, name="later"), context="validation")
        aims_mlflow.log_data_quality(later, suite=SMALL_RULES)
        aims_mlflow.log_data_quality(later, reference=train, name="derived")
        aims_mlflow.log_drift(later, train)
        aims_mlflow.log_performance(train["target"], later["target"])
        aims_mlflow.log_fairness(train["target"], later["target"], train["group"])
    assert not small_counts(texts_of(run.info.run_id))


def test_a_few_rows_left_out_of_performance_and_fairness_are_not_counted_out(mlflow_store):
    truth, predicted = small_cells()["target"], small_cells(1)["target"].astype("Int64")
    predicted[:4] = pd.NA
    with mlflow.start_run() as run:
        aims_mlflow.log_performance(truth, predicted)
        aims_mlflow.log_fairness(truth, predicted, small_cells()["group"])
    assert not small_counts(texts_of(run.info.run_id))


def test_a_comparison_with_a_few_rows_tells_no_score_of_them(mlflow_store):
    with mlflow.start_run():
        found = aims_mlflow.log_drift(pd.DataFrame({"x": [NUMBERS[0]]}), pd.DataFrame({"x": np.arange(2000.0)}))
    column = found.columns[0]
    assert column.score is None
    assert column.effect is None
    assert column.verdict == "not_tested"


def test_only_declared_labels_are_written(mlflow_store):
    data = planted()
    with mlflow.start_run() as run:
        hidden = aims_mlflow.log_fairness(data["target"], data["target"], data["group"])
        told = aims_mlflow.log_fairness(data["target"], data["target"], data["group"], safe_labels=["group"])
    assert {g.group for g in told.groups} == {f"{MARK} one", f"{MARK} two", "missing"}
    assert all(re.fullmatch(r"group [0-9a-f]{12}|missing", g.group) for g in hidden.groups)
    assert not {g.group for g in hidden.groups if g.group != "missing"} & {
        g.group
        for g in aims_mlflow.log_fairness(data["target"], data["target"], data["group"], run_id=run.info.run_id).groups
    }
