"""A hint leads to a look into the registry: what it finds is written down, assessed, and put back where told to."""

from __future__ import annotations

import mlflow
import pytest
from gate_kit import assess
from watch_kit import MlflowClient, set_alias, set_stage, sql, sweep, version_with_evidence, write_policy

import aims_mlflow
from aims_mlflow.gate.entries import FoundEntry, Level
from aims_mlflow.gate.signing import new_key
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reconcile.watch import watching_gatekeeper
from aims_mlflow.registry.webhook import Looker

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class Assessor:
    """Notes what it was asked for; ``do`` is what an assessment writes."""

    def __init__(self, do=lambda uri: None):
        self.asked = []
        self.do = do

    def __call__(self, uri):
        self.asked.append(uri)
        self.do(uri)


@pytest.fixture
def client(mlflow_store, tmp_path):
    write_policy(tmp_path)
    return MlflowClient()


def looker(client, *, revert=False, assessor=None):
    return Looker(client, watching_gatekeeper(client, None), assessor or Assessor(), revert=revert)


def found(client, model="credit"):
    return [e for e in TransitionLog(client).read(model, fresh=True) if isinstance(e, FoundEntry)]


def alias(client, model="credit"):
    held = client.get_registered_model(model).aliases.get("champion")
    return None if held is None else str(held)


# Moves


def test_a_move_the_log_explains_is_no_news(client):
    set_alias(client, "credit", version_with_evidence(client).version)
    assert looker(client, revert=True).look("credit").found == ()
    assert found(client) == []


def test_a_move_past_the_gate_is_written_down_once(client):
    first, second = version_with_evidence(client), version_with_evidence(client)
    set_alias(client, "credit", first.version)
    client.set_registered_model_alias("credit", "champion", second.version)
    watching = looker(client)
    assert len(watching.look("credit").found) == 1
    assert watching.look("credit").found == ()
    (entry,) = found(client)
    assert (entry.version, entry.from_version, entry.level, entry.reverted) == ("2", "1", Level.DETECTED, False)
    assert alias(client) == "2"
    assert sweep().clean


def test_a_forbidden_alias_is_put_back_to_what_the_log_says_and_the_log_says_so(client):
    first, second = version_with_evidence(client), version_with_evidence(client, assessed=False)
    set_alias(client, "credit", first.version)
    client.set_registered_model_alias("credit", "champion", second.version)
    watching = looker(client, revert=True)
    assert watching.look("credit").reverted == ("champion",)
    assert alias(client) == "1"
    (entry,) = found(client)
    assert entry.reverted
    assert entry.version == "2"
    assert watching.look("credit").found == ()  # our own write comes back as a delivery


def test_what_somebody_else_decided_meanwhile_is_not_undone(client):
    first, bad, third = (version_with_evidence(client, assessed=a) for a in (True, False, True))
    set_alias(client, "credit", first.version)
    client.set_registered_model_alias("credit", "champion", bad.version)
    watching = looker(client, revert=True)
    record = watching.watch.record

    def and_then(*arguments, **options):
        entry = record(*arguments, **options)
        set_alias(client, "credit", third.version)
        return entry

    watching.watch.record = and_then
    assert watching.look("credit").reverted == ()
    assert alias(client) == third.version
    assert watching.look("credit").found == ()


def test_a_forbidden_alias_the_log_knows_nothing_of_is_removed(client):
    version = version_with_evidence(client, assessed=False)
    client.set_registered_model_alias("credit", "champion", version.version)
    watching = looker(client, revert=True)
    assert watching.look("credit").reverted == ("champion",)
    assert alias(client) is None
    assert watching.look("credit").found == ()


def test_an_alias_that_cannot_go_back_is_removed_and_the_log_agrees(client, mlflow_store):
    first, second = version_with_evidence(client), version_with_evidence(client, assessed=False)
    set_alias(client, "credit", first.version)
    client.set_registered_model_alias("credit", "champion", second.version)
    sql(mlflow_store, "DELETE FROM model_versions WHERE version = ?", int(first.version))
    watching = looker(client, revert=True)
    assert watching.look("credit").reverted == ("champion",)
    assert alias(client) is None
    assert watching.look("credit").found == ()


def test_an_alias_that_names_no_version_that_exists_stops_nothing(client, mlflow_store):
    version = version_with_evidence(client)
    client.set_registered_model_alias("credit", "champion", version.version)
    client.set_registered_model_alias("credit", "other", version.version)
    version_with_evidence(client, assessed=False)
    sql(mlflow_store, "DELETE FROM model_versions WHERE version = ?", int(version.version))
    assessor = Assessor()
    watching = looker(client, revert=True, assessor=assessor)
    assert watching.look("credit").reverted == ("champion",)
    assert assessor.asked == ["models:/credit/2"]


def test_behind_a_gate_that_refuses_to_put_it_back_the_alias_is_removed(client, mlflow_store):
    first, second = version_with_evidence(client), version_with_evidence(client, assessed=False)
    set_alias(client, "credit", first.version)
    client.set_registered_model_alias("credit", "champion", second.version)
    client.set_tag(first.run_id, "aims.evidence", "sha256:" + "0" * 64)  # by now it would be refused as well
    gated = MlflowClient(mlflow_store, f"aims:{mlflow_store}")
    watching = looker(gated, revert=True)
    assert watching.look("credit").reverted == ("champion",)
    assert alias(client) is None
    assert watching.look("credit").found == ()
    assert {f.kind for f in sweep().findings} <= {"unassessed"}


def test_without_revert_with_good_evidence_or_only_observed_nothing_is_put_back(client, tmp_path):
    first, bad, good = (version_with_evidence(client, assessed=a) for a in (True, False, True))
    set_alias(client, "credit", first.version)
    client.set_registered_model_alias("credit", "champion", bad.version)
    assert looker(client).look("credit").reverted == ()
    assert alias(client) == bad.version
    client.set_registered_model_alias("credit", "champion", good.version)
    assert looker(client, revert=True).look("credit").reverted == ()
    assert alias(client) == good.version
    write_policy(tmp_path, mode="observe")
    client.set_registered_model_alias("credit", "champion", bad.version)
    assert looker(client, revert=True).look("credit").reverted == ()
    assert len(found(client)) == 3


def test_what_lapsed_where_the_gate_let_it_pass_is_not_put_back(client):
    version = version_with_evidence(client)
    set_alias(client, "credit", version.version)
    client.set_tag(version.run_id, "aims.evidence", "sha256:" + "0" * 64)
    assert looker(client, revert=True).look("credit").reverted == ()
    assert alias(client) == version.version


def test_with_a_broken_policy_nothing_is_touched(client, tmp_path):
    version = version_with_evidence(client, assessed=False)
    client.set_registered_model_alias("credit", "champion", version.version)
    watching = looker(client, revert=True)
    (tmp_path / "aims.yaml").write_text("gate: [")
    assert watching.look("credit").found == ()
    assert alias(client) == version.version


def test_a_stage_moved_past_the_gate_is_written_down_and_left(client):
    first, second = version_with_evidence(client), version_with_evidence(client, assessed=False)
    set_stage(client, "credit", first.version)
    client.transition_model_version_stage("credit", second.version, "Production")
    assert len(looker(client, revert=True).look("credit").found) == 1
    assert client.get_model_version("credit", second.version).current_stage == "Production"


@pytest.mark.parametrize("name", ["nobody", "../../etc/passwd", "credit/1", "credit@champion", "' OR 1=1 --", "größe"])
def test_a_name_that_is_no_models_leads_nowhere(client, name):
    version = version_with_evidence(client)
    client.set_registered_model_alias("credit", "champion", version.version)
    watching = looker(client, revert=True)
    result = watching.look(name)
    assert (result.found, result.reverted, result.assessed) == ((), (), ())
    assert watching.watch.keeper.log.models() == ()


# Assessments


def test_a_new_version_is_assessed_and_our_own_tags_lead_to_no_second_assessment(client):
    version = version_with_evidence(client, assessed=False)
    tag = client.get_run(version.run_id).data.tags["aims.evidence"]
    assessor = Assessor(lambda uri: assess(client, version, evidence_sha256=tag))
    watching = looker(client, assessor=assessor)
    assert watching.look("credit").assessed == ("1",)
    for _ in range(3):
        assert watching.look("credit").assessed == ()
    assert assessor.asked == ["models:/credit/1"]


def test_a_version_an_assessment_leaves_as_bad_as_before_is_not_assessed_in_a_loop(client):
    version_with_evidence(client, assessed=False)
    counter = iter(range(100))
    assessor = Assessor(lambda uri: client.set_model_version_tag("credit", "1", "aims.attention", str(next(counter))))
    watching = looker(client, assessor=assessor)
    for _ in range(5):
        watching.look("credit")
    assert len(assessor.asked) == 1
    client.set_model_version_tag("credit", "1", "aims.status", "pass")
    watching.look("credit")
    assert len(assessor.asked) == 2


def test_an_assessment_that_fails_is_not_tried_at_every_hint(client):
    version_with_evidence(client, assessed=False)

    def fail(uri):
        raise RuntimeError

    assessor = Assessor(fail)
    watching = looker(client, assessor=assessor)
    assert watching.look("credit").assessed == ()
    watching.look("credit")
    assert len(assessor.asked) == 1


def test_a_forged_tag_is_answered_by_an_assessment(client):
    version = version_with_evidence(client)
    assessor = Assessor()
    watching = looker(client, assessor=assessor)
    watching.look("credit")
    assert assessor.asked == []
    client.set_model_version_tag("credit", version.version, "aims.status", "pass")
    watching.look("credit")
    assert assessor.asked == ["models:/credit/1"]


def test_a_signed_assessment_is_not_replaced_where_there_is_no_key(client, tmp_path, monkeypatch):
    key = new_key()
    write_policy(tmp_path, key=key.public)
    version = version_with_evidence(client, "signed", key=key)
    client.set_model_version_tag("signed", version.version, "aims.status", "pass")
    assessor = Assessor()
    watching = looker(client, assessor=assessor)
    watching.look("signed")
    assert assessor.asked == []
    monkeypatch.setenv("AIMS_SIGNING_KEY", key.pem().decode())
    watching.look("signed")
    assert assessor.asked == ["models:/signed/1"]


def test_the_librarys_own_assessment_settles_a_version(client):
    """With ``aims_mlflow.assess`` itself: a second look leaves the version alone."""
    version = version_with_evidence(client, assessed=False)
    watching = looker(client, assessor=lambda uri: aims_mlflow.assess(uri, tracking_uri=mlflow.get_tracking_uri()))
    first = watching.look("credit").assessed
    before = client.get_model_version("credit", version.version).tags
    assert first == ("1",)
    assert watching.look("credit").assessed == ()
    assert client.get_model_version("credit", version.version).tags == before
    assert before["aims.status"]
