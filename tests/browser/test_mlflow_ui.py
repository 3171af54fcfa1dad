"""A reviewer in the real MLflow UI: version page, one click, report; nothing foreign is loaded, no script is needed."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
from mlflow_pages import go, open_page, report_frame, shoot

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from real_server import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("ui"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def captured(server, tmp_path_factory):
    """One captured run with drift, whose names hold HTML; returns experiment, run and version."""
    import mlflow
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    import aims_mlflow

    rng = np.random.default_rng(0)

    def frame(shift):
        age = rng.normal(40 + shift, 10, 1500)
        return pd.DataFrame({"age": age, "<script>alert(1)</script>": rng.choice(["a", "b"], 1500), "y": age > 40})

    config = tmp_path_factory.mktemp("config") / "aims.yaml"
    config.write_text(
        "system: {id: ui, name: 'Credit <script>alert(2)</script>', risk_class: high}\nregistered_models: [ui]\n"
        "performance: {metrics: {accuracy: {min: 0.7}}}\n"
    )
    mlflow.set_tracking_uri(server.uri)
    mlflow.set_registry_uri(server.uri)
    experiment = mlflow.set_experiment("ui").experiment_id
    aims_mlflow.autolog(config)
    with mlflow.start_run(run_name="train", description="My own words") as run, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train, later = frame(0), frame(12)
        mlflow.log_input(mlflow.data.from_pandas(train, name="train"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(later, name="later"), context="test")
        model = LogisticRegression().fit(train[["age"]], train["y"])
        aims_mlflow.log_performance(later["y"], model.predict(later[["age"]]), role="test", config=config)
        where = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
        mlflow.sklearn.log_model(model, **where, input_example=train[["age"]].head(2), registered_model_name="ui")
    aims_mlflow.autolog(disable=True)
    return experiment, run.info.run_id, "1"


def test_one_click_from_the_version_page_to_the_report(browser, server, captured):
    page = open_page(browser, server)
    go(page, server, "/models/ui/versions/1?workflowType=machine_learning")
    page.get_by_text("aims.status").first.wait_for()
    page.get_by_text("aims.fresh_until").first.wait_for()
    assert page.get_by_text("AIMS: FAIL").first.is_visible()
    shoot(page, "version")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open report").click()
    tab = opened.value
    frame = report_frame(tab)
    assert "Credit <script>alert(2)</script>" in frame.locator("h1").inner_text()
    assert frame.locator("script").count() == 0
    assert "A.7.4" in frame.content()
    assert page.foreign == []
    shoot(tab, "report")


def test_the_run_page_keeps_the_users_words_and_shows_the_verdict(browser, server, captured):
    experiment, run_id, _ = captured
    page = open_page(browser, server)
    go(page, server, f"/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning")
    page.get_by_text("AIMS: FAIL").first.wait_for()
    shoot(page, "run")
    go(page, server, f"/experiments/{experiment}/runs/{run_id}/artifacts/aims/report.md?workflowType=machine_learning")
    page.get_by_role("link", name="Run").first.wait_for()
    assert page.get_by_text("My own words").count() == 0
    shoot(page, "report-md")


def test_a_passed_row_opens_its_evidence_in_place(browser, server, captured):
    experiment, run_id, _ = captured
    page = open_page(browser, server)
    go(
        page,
        server,
        f"/experiments/{experiment}/runs/{run_id}/artifacts/aims/report.html?workflowType=machine_learning",
    )
    frame = report_frame(page)
    closed = frame.locator("details:not([open]) > summary").first
    closed.click()
    assert frame.evaluate("document.querySelectorAll('details[open]').length") > 0


@pytest.mark.parametrize(("width", "scheme"), [(500, "light"), (900, "dark"), (1920, "light")])
def test_the_downloaded_report_reads_without_javascript_at_any_width(
    browser, server, captured, tmp_path, width, scheme
):
    import mlflow

    from aims_mlflow.api import load_report

    mlflow.set_tracking_uri(server.uri)
    path = tmp_path / "report.html"
    path.write_bytes(load_report(captured[1]))
    page = open_page(browser, server, width=width, scheme=scheme, javascript=False)
    page.goto(path.as_uri())
    shoot(page, f"report-{width}-{scheme}")
    assert page.locator("h1").is_visible()
    assert page.locator("body").bounding_box()["width"] <= width
    assert page.foreign == []
