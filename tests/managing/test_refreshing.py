"""``aims refresh``: what changed is judged anew, once; tags say what lapses; what falls due has an owner."""

from __future__ import annotations

import json
from datetime import timedelta

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner
from icalendar import Calendar
from sklearn.linear_model import LogisticRegression

import aims_mlflow
from aims_mlflow.assessment import Ground
from aims_mlflow.cli import aims
from aims_mlflow.evidence import now
from aims_mlflow.gate.statement import read_statement, write_statement
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.refreshing import refresh_all

DECLARED = """
system: {id: loans, name: Loan scoring, risk_class: minimal, owner: {name: Head of loans}}
registered_models: [credit]
"""


@pytest.fixture
def served(mlflow_store, tmp_path):
    """A version in service that was assessed."""
    (tmp_path / "aims.yaml").write_text(DECLARED)
    frame = pd.DataFrame({"a": [0.0, 1.0, 0.2, 0.8] * 20, "b": [1.0, 0.0, 0.9, 0.1] * 20})
    name = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
    aims_mlflow.autolog()
    with mlflow.start_run():
        model = LogisticRegression().fit(frame, [0, 1, 0, 1] * 20)
        mlflow.sklearn.log_model(model, **name, registered_model_name="credit", input_example=frame[:2])
    aims_mlflow.autolog(disable=True)
    aims_mlflow.assess("models:/credit/1")
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("credit", "champion", "1")
    return client


def tags(client):
    return client.get_model_version("credit", "1").tags


def says(client):
    return client.get_model_version("credit", "1").description.partition(",")[0]


def state(topic="concerns_channel", days=200, **more):
    until = (now() + timedelta(days=days)).date()
    records = ManagementRecords()
    return records.file(topic, {"statement": "So it is."}, owner="Ethics committee", valid_until=until, **more)


def test_where_nothing_changed_nothing_is_written(served):
    before = tags(served)
    found = refresh_all()
    assert [(one.version, one.action) for one in found.versions] == [("credit/1", "current")]
    assert tags(served) == before


def test_a_record_filed_since_is_judged_once(served):
    state()
    first = refresh_all()
    assert first.versions[0].action == "reassessed"
    assert "management records changed" in first.versions[0].reason
    judged = aims_mlflow.load_assessment("models:/credit/1")
    assert next(f.status for f in judged.findings if f.id == "A.3.3") == "satisfied"
    before = tags(served)
    assert refresh_all().versions[0].action == "current"
    assert tags(served) == before


def test_a_record_about_another_system_changes_nothing(served):
    records = ManagementRecords()
    records.file("system", {"name": "Hiring"}, id="hiring", owner="Head of people")
    refresh_all()  # the inventory itself is of the organization
    state(systems=("hiring",))
    assert refresh_all().versions[0].action == "current"


def test_what_lapses_soon_is_at_risk_and_what_is_renewed_is_not(served):
    state(days=10)
    found = refresh_all()
    assert tags(served)["aims.status"] == "at-risk" == found.versions[0].status
    assert says(served) == "AIMS: AT-RISK"
    assert [(one.owner, one.rows, one.overdue) for one in found.due if one.about.startswith("concerns")] == [
        ("Ethics committee", ("A.3.3",), False)
    ]
    before = tags(served), served.get_model_version("credit", "1").description
    assert refresh_all().versions[0].action == "at-risk"
    assert (tags(served), served.get_model_version("credit", "1").description) == before
    state(days=300)
    assert refresh_all().versions[0].status == "warn"
    assert says(served) == "AIMS: WARN"


def test_tags_only_says_stale_and_judges_nothing(served):
    state()
    assessed = tags(served)["aims.vsa"]
    found = refresh_all(reassess=False)
    assert found.versions[0].action == "stale"
    assert tags(served)["aims.status"] == "stale"
    assert says(served) == "AIMS: STALE"
    assert tags(served)["aims.vsa"] == assessed


def test_the_users_own_words_in_the_description_stay(served):
    text = served.get_model_version("credit", "1").description
    served.update_model_version("credit", "1", description=f"AIMS: WARN, we say\n{text}\nmine")
    state(days=10)
    refresh_all(reassess=False)
    assert served.get_model_version("credit", "1").description == (
        f"AIMS: WARN, we say\n{text.replace('AIMS: WARN', 'AIMS: STALE', 1)}\nmine"
    )


def test_what_is_open_is_looked_at_again_when_its_time_has_come(served):
    held = read_statement(tags(served)["aims.vsa"], {}).statement
    assert held.open_until is not None
    past = held.model_copy(update={"open_until": now() - timedelta(days=1)})
    served.set_model_version_tag("credit", "1", "aims.vsa", write_statement(past))
    before = tags(served)
    assert refresh_all(reassess=False).versions[0].action == "current"
    assert tags(served) == before, "an open row is no worse for not having been looked at"
    found = refresh_all().versions[0]
    assert found.action == "reassessed" and "was to be looked at again by" in found.reason
    assert refresh_all().versions[0].action == "current"


def test_what_the_cycle_is_to_look_at_is_at_risk_before_and_stale_after(served):
    held = read_statement(tags(served)["aims.vsa"], {}).statement
    by_cycle = {row for row, said in held.rows.items() if said.until_ground is Ground.CYCLE}
    assert by_cycle, "the run's software is bound to the version"
    for days, action in ((20, "at-risk"), (-1, "stale")):
        until = now().replace(microsecond=0) + timedelta(days=days)
        rows = {r: s.model_copy(update={"valid_until": until}) if r in by_cycle else s for r, s in held.rows.items()}
        served.set_model_version_tag("credit", "1", "aims.vsa", write_statement(held.model_copy(update={"rows": rows})))
        assert refresh_all(reassess=False).versions[0].action == action


def test_a_version_that_was_never_assessed_is_named(served):
    run_id = served.get_model_version("credit", "1").run_id
    served.create_model_version("credit", served.get_model_version("credit", "1").source, run_id)
    served.set_registered_model_alias("credit", "challenger", "2")
    found = {one.version: one for one in refresh_all().versions}
    assert found["credit/2"].action == "not assessed"
    assert "aims assess models:/credit/2" in found["credit/2"].reason


def test_the_command_lists_by_owner_and_writes_a_calendar(served, tmp_path):
    state(days=10)
    result = CliRunner().invoke(aims, ["refresh", "--ical", "due.ics"])
    assert result.exit_code == 0, result.output
    assert "Ethics committee:" in result.output
    events = Calendar.from_ical((tmp_path / "due.ics").read_bytes()).walk("VEVENT")
    assert any("Channel for raising concerns" in str(event["summary"]) for event in events)
    told = json.loads(CliRunner().invoke(aims, ["refresh", "--json"]).stdout)
    assert told["versions"][0]["status"] == "at-risk"
    assert CliRunner().invoke(aims, ["refresh", "--ical", "no/such/folder.ics"]).exit_code == 2
