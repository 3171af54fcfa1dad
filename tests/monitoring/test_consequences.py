"""What follows from alarms: an incident, a hold, a tag and a message, once each; and what the end of one undoes."""

from __future__ import annotations

import threading

import pytest
from alarm_kit import OWNER, START, Live, day, webhook, write_policy

from aims_mlflow.gate.holds import open_holds
from aims_mlflow.managing.incidents import close_incident, search_incidents, update_incident
from aims_mlflow.managing.risks import search_risks
from aims_mlflow.monitoring.consequences import follow
from aims_mlflow.registry.log import TransitionLog


@pytest.fixture
def live(mlflow_store, tmp_path):
    return Live(mlflow_store, write_policy(tmp_path))


def incidents_of(live):
    return search_incidents(config=live.path, tracking_uri=live.uri).cases


def handled(live, id_):
    options = {"config": live.path, "tracking_uri": live.uri}
    update_incident(id_, correction="taken out of service", cause="a feed changed its unit", **options)
    from aims_mlflow.managing.incidents import Incidents
    from aims_mlflow.managing.records import ManagementRecords

    log = Incidents(ManagementRecords(**options))
    log.no_action(id_, "the feed is watched now")
    log.check(id_, effective=True, how="a week of windows", checked_by="Validation")


def test_an_alarm_opens_one_incident_holds_the_version_and_is_over_without_a_machine_closing_it(live):
    assert live.decision() is None, "the gate lets it pass before"
    assert live.file(0, 0.5).steps == ()
    raised = live.file(1, 0.6)
    assert [step.what for step in raised.steps] == ["incident", "hold", "message", "tag"] or not raised.failed
    assert raised.failed == ()
    (incident,) = incidents_of(live)
    assert incident.content.severity == "major"
    assert incident.content.opened_by == "drifts"
    assert incident.content.occurred_at == START
    assert incident.record.owner == "Head of credit"
    assert [one.uri for one in incident.content.affected] == ["credit/1"]
    said = incident.content.log[0].what
    for words in ("drift.drifted_share", "above 0.3", "2026-10-01", "Retrain on the last quarter"):
        assert words in said
    refused = live.decision()
    assert refused is not None
    assert incident.id in refused
    assert live.tags()["aims.alarm"] == "drifts since 2026-10-01"

    assert live.file(2, 0.1).failed == ()
    assert live.decision() is not None, "one window is not enough"
    over = live.file(3, 0.1)
    assert over.failed == ()
    (after,) = incidents_of(live)
    assert after.id == incident.id
    assert not after.content.is_closed
    assert "is over" in after.content.log[-1].what
    assert live.decision() is None
    assert "aims.alarm" not in live.tags()


def test_run_again_it_changes_nothing(live):
    live.file(0, 0.5)
    live.file(1, 0.6)
    entries = TransitionLog(live.client).read("credit", fresh=True)
    tags, revisions = live.series_tags(), incidents_of(live)[0].record.revision
    for _ in range(3):
        assert live.follow().steps == ()
    assert TransitionLog(live.client).read("credit", fresh=True) == entries
    assert live.series_tags() == tags
    assert incidents_of(live)[0].record.revision == revisions
    live.file(2, 0.1)
    live.file(3, 0.1)
    revisions = incidents_of(live)[0].record.revision
    assert live.follow().steps == ()
    assert incidents_of(live)[0].record.revision == revisions


def test_the_next_episode_is_another_incident(live):
    for index, value in enumerate([0.5, 0.5, 0.1, 0.1, 0.5, 0.5]):
        live.file(index, value)
    assert len(incidents_of(live)) == 2
    assert live.tags()["aims.alarm"] == "drifts since 2026-10-05"


def test_flapping_in_the_band_and_windows_without_a_number_open_no_other_incident(live):
    for index, value in enumerate([0.5, 0.5, 0.25, 0.35, 0.25, None, 0.1, None, 0.31, 0.1]):
        live.file(index, value)
    assert len(incidents_of(live)) == 1
    assert live.decision() is not None


def test_only_the_version_that_drifts_is_held_and_its_successor_may_be_promoted(live):
    from alarm_kit import assess, make_version

    live.file(0, 0.5)
    live.file(1, 0.6)
    retrained = make_version(live.client, text="retrained")
    assess(live.client, retrained, text="retrained")
    assert live.decision(retrained.version) is None
    assert live.decision("1") is not None


def test_a_copy_of_the_version_is_held_with_it(live):

    live.file(0, 0.5)
    live.file(1, 0.6)
    live.client.create_registered_model("credit-live")
    copy = live.client.copy_model_version("models:/credit/1", "credit-live")
    assert "incident" in (live.decision(copy.version, "credit-live") or "")


@pytest.mark.parametrize("step", ["open", "block", "set_model_version_tag", "note"])
def test_it_goes_on_where_it_died(live, monkeypatch, step):
    """Every step checks what is there: the process may have died after any of them."""
    from aims_mlflow.managing.incidents import Incidents
    from aims_mlflow.monitoring.episodes import Memory

    place = {"open": Incidents, "block": Incidents, "note": Memory}.get(step, live.client)
    whole = getattr(place, step)

    class Killed(BaseException):
        pass

    def dies_after(*given, **more):
        whole(*given, **more)
        raise Killed

    live.file(0, 0.5)
    live.write(1, 0.6)
    with monkeypatch.context() as patched:
        patched.setattr(place, step, dies_after)
        with pytest.raises(Killed):
            live.follow()
    assert live.follow().failed == ()
    assert len(incidents_of(live)) == 1
    holds = open_holds(TransitionLog(live.client).read("credit", fresh=True))
    assert [(one.entry.version, one.entry.incident) for one in holds] == [("1", incidents_of(live)[0].id)]
    assert live.tags()["aims.alarm"] == "drifts since 2026-10-01"


def test_what_fails_is_on_record_and_done_at_the_next_window(live, monkeypatch):
    from aims_mlflow.managing.incidents import Incidents

    def unreachable(*_, **__):
        raise ConnectionError

    live.file(0, 0.5)
    with monkeypatch.context() as patched:
        patched.setattr(Incidents, "open", unreachable)
        failed = live.file(1, 0.6)
    assert [(step.what, step.detail) for step in failed.failed] == [("incident", "ConnectionError")]
    assert "incident of drifts" in live.series_tags()["aims.follow.failed"]
    assert live.tags()["aims.alarm"] == "drifts since 2026-10-01", "the others went on"
    assert live.file(2, 0.6).failed == ()
    assert len(incidents_of(live)) == 1
    assert "aims.follow.failed" not in live.series_tags()


def test_a_store_that_is_away_never_raises_into_the_monitoring(live):
    from mlflow import MlflowClient

    live.file(0, 0.5)
    away = follow(live.served, client=MlflowClient(tracking_uri="http://127.0.0.1:9"))
    assert [step.state for step in away.steps] == ["failed"]


def test_an_earlier_window_that_comes_late_moves_the_start_and_opens_nothing_new(live):
    live.file(0, 0.1)
    live.file(2, 0.5)
    live.file(3, 0.6)
    assert len(incidents_of(live)) == 1
    late = live.file(1, 0.7)
    assert late.states[0].since == day(1).start
    assert len(incidents_of(live)) == 1
    live.file(4, 0.1)
    live.file(5, 0.1)
    assert "is over" in incidents_of(live)[0].content.log[-1].what
    assert live.decision() is None


def test_a_late_window_that_shows_there_was_no_alarm_ends_it(live):
    live.file(0, 0.5)
    live.file(2, 0.6)
    assert live.decision() is not None
    live.file(1, 0.1)
    assert "was none" in incidents_of(live)[0].content.log[-1].what
    assert live.decision() is None


def test_a_late_window_that_lets_an_alarm_go_on_holds_the_version_again(live):
    live.file(0, 0.5)
    live.file(1, 0.6)
    live.file(3, 0.1)
    live.file(4, 0.1)
    assert live.decision() is None
    live.write(2, 0.1)
    live.write(3, 0.9)
    live.follow()
    assert live.decision() is not None
    assert len(incidents_of(live)) == 1


def test_a_rule_that_is_new_opens_nothing_for_what_is_over_and_something_for_what_stands(live, tmp_path):
    for index, value in enumerate([0.5, 0.5, 0.1, 0.1]):
        live.write(index, value)
    assert live.follow().failed == ()
    assert incidents_of(live) == ()
    for index, value in enumerate([0.5, 0.5, 0.1, 0.1], start=4):
        live.write(index, value)
    live.follow()
    (incident,) = incidents_of(live)
    assert "came later" in incident.content.log[0].what, "the rule was followed before, and these windows came at once"
    assert live.decision() is None


def test_who_loosens_a_rule_does_not_release_the_version_by_it(live, tmp_path):
    live.file(0, 0.5)
    live.file(1, 0.6)
    text = live.path.read_text().replace("above: 0.3", "above: 0.9")
    live.path.write_text(text)
    live.policy(live.path)
    live.file(2, 0.6)
    live.file(3, 0.6)
    assert live.decision() is not None


def test_a_person_who_closes_the_incident_releases_the_version_though_the_alarm_stands(live):
    live.file(0, 0.5)
    live.file(1, 0.6)
    (incident,) = incidents_of(live)
    handled(live, incident.id)
    close_incident(incident.id, config=live.path, tracking_uri=live.uri)
    assert live.decision() is None
    waiting = live.file(2, 0.6)
    assert [step.state for step in waiting.steps] == ["waiting"]
    assert live.decision() is None
    assert len(incidents_of(live)) == 1


def test_where_the_policy_names_people_the_version_is_held_until_one_of_them_releases_it(mlflow_store, tmp_path):
    path = write_policy(tmp_path, people="  people:\n    Ada: {}")
    live = Live(mlflow_store, path)
    live.file(0, 0.5)
    live.file(1, 0.6)
    live.file(2, 0.1)
    over = live.file(3, 0.1)
    assert [step.what for step in over.failed] == ["recovery"]
    assert live.decision() is not None
    (incident,) = incidents_of(live)
    assert [line.what for line in incident.content.log if "is over" in line.what], "it is noted all the same"
    update_incident(incident.id, note="looked at", person="Ada", config=path, tracking_uri=mlflow_store)
    assert live.decision() is None
    assert live.follow().failed == ()


def test_a_risk_is_opened_once_and_its_end_noted(mlflow_store, tmp_path):
    live = Live(mlflow_store, write_policy(tmp_path, opens="risk", block="false", severity="critical"))
    for index, value in enumerate([0.5, 0.6, 0.6, 0.1, 0.1]):
        assert live.file(index, value).failed == ()
    live.follow()
    (line,) = search_risks(config=live.path, tracking_uri=live.uri)
    content = line.content
    assert (content.source, content.consequence, content.status) == ("drift", 5, "open")
    assert content.versions == ("credit/1",)
    assert "is over" in content.log[-1]
    assert sum("is over" in one for one in content.log) == 1
    assert incidents_of(live) == ()


def test_without_an_owner_the_incident_is_opened_all_the_same(mlflow_store, tmp_path):
    live = Live(mlflow_store, write_policy(tmp_path, owner=""))
    live.file(0, 0.5)
    assert live.file(1, 0.6).failed == ()
    assert incidents_of(live)[0].record.owner == "unassigned"


def test_critical_is_not_serious_in_the_sense_of_the_law_before_a_person_says_so(mlflow_store, tmp_path):
    live = Live(mlflow_store, write_policy(tmp_path, severity="critical", block="false"))
    live.file(0, 0.5)
    live.file(1, 0.6)
    (incident,) = incidents_of(live)
    assert incident.content.severity == "major"
    assert "for a person to say" in incident.content.log[0].what
    assert live.decision() is None, "the rule does not block"


def test_people_are_told_once_at_the_start_and_once_at_the_end(mlflow_store, tmp_path, monkeypatch):
    with webhook() as (address, inbox):
        monkeypatch.setenv("ALARMS", address)
        live = Live(mlflow_store, write_policy(tmp_path, notify="$ALARMS"))
        for index, value in enumerate([0.5, 0.6, 0.6, 0.1, 0.1, 0.1]):
            assert live.file(index, value).failed == ()
            live.follow()
        assert inbox.titles == [
            "Alarm: drifts, credit/1, system Loan scoring (loans)",
            "Alarm over: drifts, credit/1, system Loan scoring (loans)",
        ]
        body = inbox.received[0]["message"]
        (incident,) = incidents_of(live)
        for words in (
            "Loan scoring (loans)",
            "credit/1",
            "A.6.2.6 (",
            "drift.drifted_share",
            "Since: 2026-10-01 00:00 UTC",
            "Retrain on the last quarter",
            f"incident:{incident.id}",
            "held from further promotion",
        ):
            assert words in body


def test_a_message_that_was_not_taken_is_tried_again_later_and_that_it_failed_is_on_record(
    mlflow_store, tmp_path, monkeypatch
):
    from datetime import timedelta

    from aims_mlflow.evidence import now

    with webhook() as (address, inbox), webhook() as (other, second):
        monkeypatch.setenv("ALARMS", address)
        monkeypatch.setenv("MORE", other)
        live = Live(mlflow_store, write_policy(tmp_path, notify="$ALARMS, $MORE, $NOT_SET"))
        inbox.status = 500
        live.file(0, 0.5)
        failed = live.file(1, 0.6)
        assert [step.what for step in failed.failed] == ["message"]
        assert "$NOT_SET" in failed.failed[0].detail
        assert "message of drifts" in live.series_tags()["aims.follow.failed"]
        assert len(second.received) == 1
        inbox.status = 200
        assert live.follow().failed, "it is too soon to try again, and still on record"
        assert inbox.received == []
        monkeypatch.setenv("NOT_SET", other + "/third")
        assert live.follow(at=now() + timedelta(minutes=5)).failed == ()
        assert (len(inbox.received), len(second.received)) == (1, 2), "only who had not got it"
        assert "aims.follow.failed" not in live.series_tags()


def test_two_that_follow_at_once_tell_people_once(mlflow_store, tmp_path, monkeypatch):
    from aims_mlflow.delivery import locks

    with webhook() as (address, inbox):
        monkeypatch.setenv("ALARMS", address)
        live = Live(mlflow_store, write_policy(tmp_path, notify="$ALARMS"))
        live.file(0, 0.5)
        live.write(1, 0.6)
        free = monkeypatch.setattr  # two processes share no lock
        free("aims_mlflow.monitoring.consequences.lock_of", lambda _: locks.threading.RLock())
        threads = [threading.Thread(target=live.follow) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        live.follow()
        assert len(inbox.received) == 1
        assert len(incidents_of(live)) == 1
        holds = open_holds(TransitionLog(live.client).read("credit", fresh=True))
        assert len({one.entry.incident for one in holds}) == 1


def test_a_missing_window_is_an_alarm_where_a_rule_says_so(mlflow_store, tmp_path):
    more = "    - {name: silent, number: windows.missing, above: 1, recover_windows: 1}"
    live = Live(mlflow_store, write_policy(tmp_path, more=more))
    live.file(0, 0.1)
    assert live.follow(until=day(1).end).steps == ()
    live.follow(until=day(2).end)
    (incident,) = incidents_of(live)
    assert incident.content.opened_by == "silent"
    live.file(3, 0.1)
    assert "is over" in incidents_of(live)[0].content.log[-1].what


def test_the_gate_keeps_the_tag_of_alarms_while_one_holds_the_version(live):
    from mlflow import MlflowException

    live.file(0, 0.5)
    live.file(1, 0.6)
    with pytest.raises(MlflowException, match="an alarm holds the version"):
        live.client.delete_model_version_tag("credit", "1", "aims.alarm")
    with pytest.raises(MlflowException, match="names no alarms"):
        live.client.set_model_version_tag("credit", "1", "aims.alarm", "all is well")


def test_an_ungated_registry_is_held_in_its_log_all_the_same(mlflow_store, tmp_path):
    live = Live(mlflow_store, write_policy(tmp_path, owner=OWNER), gated=False)
    live.file(0, 0.5)
    live.file(1, 0.6)
    (hold,) = open_holds(TransitionLog(live.client).read("credit", fresh=True))
    assert hold.entry.version == "1"
    live.file(2, 0.1)
    live.file(3, 0.1)
    assert open_holds(TransitionLog(live.client).read("credit", fresh=True)) == ()
