"""A person in the real MLflow UI before the gate: refused with words to act on, and let through with evidence."""

from __future__ import annotations

import re
import sys
import time
import warnings
from pathlib import Path

import pytest
from mlflow_pages import OLD_REGISTRY, SEED, go, open_page, shoot

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from real_server import gated_server

pytestmark = pytest.mark.browser

POLICY = """
system: {id: loans, name: Loans, risk_class: high}
performance: {metrics: {test_accuracy: {min: 0.5}}}
gate:
  guarded:
    - {aliases: [champion], stages: [Production], profile: house}
  profiles:
    house: {controls: [A.7.4], evidence: [data_quality]}
"""
GOOD, BARE, DRIFTED = "1", "2", "3"
REFUSED = {
    BARE: "AIMS refused: the version was not assessed. Next: aims assess models:/credit/2.",
    DRIFTED: "AIMS refused: A.7.4 Quality of data for AI systems: not satisfied; data quality: failed. Next: mend ",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """With the versions of ``credit``: one with evidence, one without, one whose later data drifted."""
    import mlflow

    import aims_mlflow
    from test_api import frame, log_model

    folder = tmp_path_factory.mktemp("gated")
    (folder / "aims.yaml").write_text(POLICY)
    running = gated_server(folder)
    running.start()
    mlflow.set_tracking_uri(running.uri)
    mlflow.set_registry_uri(running.uri)
    mlflow.set_experiment("credit")

    def train(later):
        with mlflow.start_run():
            mlflow.log_input(mlflow.data.from_pandas(frame(), name="train"), context="training")
            mlflow.log_input(mlflow.data.from_pandas(later, name="later"), context="validation")
            mlflow.log_metric("test_accuracy", 0.9)
            log_model(registered_model_name="credit")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        aims_mlflow.autolog(folder / "aims.yaml")
        train(frame(seed=1))
        aims_mlflow.autolog(disable=True)
        train(frame(seed=1))
        aims_mlflow.autolog(folder / "aims.yaml")
        train(frame(seed=1, shift=40))
        aims_mlflow.autolog(disable=True)
    yield running
    running.stop()


@pytest.fixture
def registry(server, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("XDG_STATE_HOME", str(server.folder / "state"))
    return MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)


def last_move(client):
    from aims_mlflow.registry.log import TransitionLog

    move = [e for e in TransitionLog(client).read("credit") if e.type == "move"][-1]
    return str(move.target), move.version, move.outcome, str(move.level)


def give_alias(page, server, version, alias):
    """What a person does; returns the dialog."""
    go(page, server, f"/models/credit/versions/{version}?workflowType=machine_learning")
    page.get_by_title("Add aliases").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill(alias)
    dialog.get_by_role("combobox").press("Enter")
    dialog.get_by_role("button", name="Save aliases").click()
    return dialog


def give_stage(page, server, version, stage):
    go(page, server, f"/models/credit/versions/{version}?workflowType=machine_learning")
    page.locator(".mlflow-stage-transition-dropdown").click()
    page.get_by_role("menuitem").filter(has_text=stage).click()
    page.get_by_role("dialog").get_by_role("button", name="OK").click()


@pytest.mark.parametrize("version", [BARE, DRIFTED])
def test_the_alias_dialog_stays_open_and_says_in_red_what_to_do(browser, server, registry, version):
    page = open_page(browser, server)
    dialog = give_alias(page, server, version, "champion")
    message = dialog.get_by_role("alert").get_by_text("AIMS refused")
    message.wait_for()
    shoot(page, f"gate-alias-refused-{version}")
    assert message.inner_text().startswith(REFUSED[version])
    red, green, blue = map(int, re.findall(r"\d+", message.evaluate("e => getComputedStyle(e).color"))[:3])
    assert red > 150
    assert max(green, blue) < 100
    page.wait_for_timeout(4000)  # longer than a toast
    assert message.is_visible()
    dialog.get_by_role("button", name="Cancel").click()
    assert registry.get_registered_model("credit").aliases.get("champion") != version
    assert last_move(registry) == ("champion", version, "refuse", "enforced")
    assert page.foreign == []


def test_the_alias_of_a_version_with_evidence_appears(browser, server, registry):
    page = open_page(browser, server)
    dialog = give_alias(page, server, GOOD, "champion")
    dialog.wait_for(state="hidden")
    page.get_by_title("champion").first.wait_for()
    shoot(page, "gate-alias-allowed")
    assert str(registry.get_model_version_by_alias("credit", "champion").version) == GOOD
    assert last_move(registry) == ("champion", GOOD, "allow", "enforced")


def test_an_alias_nothing_guards_is_given_without_evidence(browser, server, registry):
    page = open_page(browser, server)
    give_alias(page, server, BARE, "challenger").wait_for(state="hidden")
    assert str(registry.get_model_version_by_alias("credit", "challenger").version) == BARE
    registry.delete_registered_model_alias("credit", "challenger")


@pytest.mark.parametrize("version", [BARE, DRIFTED])
def test_a_refused_stage_is_told_in_a_toast_that_begins_with_the_reason(browser, server, registry, version):
    page = open_page(browser, server, seed=SEED + OLD_REGISTRY)
    give_stage(page, server, version, "Production")
    toast = page.get_by_text("PERMISSION_DENIED: AIMS refused")
    toast.wait_for()
    seen = time.monotonic()
    told = toast.inner_text()
    page.wait_for_timeout(300)  # it slides in
    shoot(page, f"gate-stage-refused-{version}")
    assert told.startswith(f"PERMISSION_DENIED: {REFUSED[version]}")
    toast.wait_for(state="detached")
    assert time.monotonic() - seen > 2
    assert page.locator(".mlflow-stage-transition-dropdown").inner_text().strip() == "None"
    assert registry.get_model_version("credit", version).current_stage == "None"
    assert last_move(registry) == ("Production", version, "refuse", "enforced")


def test_the_stage_of_a_version_with_evidence_is_changed(browser, server, registry):
    page = open_page(browser, server, seed=SEED + OLD_REGISTRY)
    give_stage(page, server, GOOD, "Production")
    page.locator(".mlflow-stage-transition-dropdown").filter(has_text="Production").wait_for()
    shoot(page, "gate-stage-allowed")
    assert page.get_by_text("PERMISSION_DENIED").count() == 0
    assert registry.get_model_version("credit", GOOD).current_stage == "Production"
    assert last_move(registry) == ("Production", GOOD, "allow", "enforced")
