"""Incidents with MLflow: opened, held, handled, closed, and what the gate, the log and the report say meanwhile."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from datetime import timedelta

import mlflow
import pytest
from click.testing import CliRunner
from incident_kit import (
    assess,
    champion,
    gated_client,
    handle,
    incidents,
    make_version,
    nonconformities,
    write_policy,
)
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import aims_mlflow
from aims_mlflow.cli import aims
from aims_mlflow.errors import DeliveryError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.gate.entries import HoldEntry, Level
from aims_mlflow.gate.signing import new_key
from aims_mlflow.managing.incidents import open_by_rule
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reconcile import reconcile

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def client(mlflow_store, tmp_path):
    write_policy(tmp_path)
    return gated_client(mlflow_store)


@pytest.fixture
def plain(client, mlflow_store):
    """Past the gate."""
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=mlflow_store)


def log_of(model="credit"):
    return TransitionLog(MlflowClient()).read(model, fresh=True)


def holds_in(model="credit"):
    return [(e.state, e.incident) for e in log_of(model) if isinstance(e, HoldEntry)]


def run(*arguments):
    done = CliRunner().invoke(aims, [str(a) for a in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def refused(call, *args):
    with pytest.raises(MlflowException) as caught:
        call(*args)
    assert caught.value.error_code == "PERMISSION_DENIED"
    return caught.value.message


def swept(*models, **options):
    found = reconcile(models, settled=timedelta(0), **options).findings
    return [f for f in found if f.kind == "held"]


# the life of one


def test_a_serious_incident_holds_its_system_until_it_is_closed(client):
    version = champion(client)
    opened = aims_mlflow.open_incident("Scores shifted", severity="serious", harm="fundamental rights")
    assert (opened.id, opened.record.owner, opened.record.systems) == ("INC-1", "Head of credit", ("loans",))
    assert [(s.model, s.state) for s in opened.holds] == [("credit", "held")]
    assert [(c.ref, c.state) for c in opened.clocks] == [("Art. 73(2)", "running")]
    said = refused(client.set_registered_model_alias, "credit", "champion", "1")
    assert said.startswith("AIMS refused: serious incident INC-1 is open. Next: aims incident close INC-1.")
    refused(client.transition_model_version_stage, "credit", "1", "Production")
    assert aims_mlflow.gate_version("models:/credit/1", alias="champion").refused
    # out of service is always possible
    client.delete_registered_model_alias("credit", "champion")
    with pytest.raises(InputError, match="not contained yet") as caught:
        aims_mlflow.close_incident("INC-1")
    assert 'aims incident update INC-1 --contained "..."' in caught.value.remedy
    handle(incidents(), "INC-1")
    closed = aims_mlflow.close_incident("INC-1", note="scores are back")
    assert closed.content.status == "closed"
    assert [(s.model, s.state) for s in closed.holds] == [("credit", "released")]
    client.set_registered_model_alias("credit", "champion", version.version)
    assert holds_in() == [("held", "INC-1"), ("released", "INC-1")]
    with pytest.raises(InputError, match="holds nothing"):
        aims_mlflow.close_incident("INC-1")


def test_history_verify_gate_and_report_show_the_hold(client):
    champion(client)
    aims_mlflow.open_incident("Scores shifted", severity="serious")
    refused(client.set_registered_model_alias, "credit", "champion", "1")
    shown = run("history", "credit")
    assert "Held: serious incident INC-1 is open since" in shown.output
    assert "Scores shifted" in shown.output
    assert "held: serious incident INC-1 is open" in shown.output
    assert run("verify").exit_code == 0
    asked = run("gate", "credit", "1", "--to", "champion")
    assert asked.exit_code == 1
    assert "serious incident INC-1 is open" in asked.output
    handle(incidents(), "INC-1")
    aims_mlflow.close_incident("INC-1")
    shown = run("history", "credit")
    assert "Held: serious" not in shown.output
    assert "(entry " in shown.output
    assert run("verify").exit_code == 0
    assert run("gate", "credit", "1", "--to", "champion").exit_code == 0


def test_a_report_written_meanwhile_names_the_incident(client):
    version = champion(client)
    plain = MlflowClient()
    plain.delete_tag(version.run_id, "aims.evidence")
    aims_mlflow.log_evidence("my.kind", {"a": 1}, run_id=version.run_id)
    aims_mlflow.assess("models:/credit/1")
    aims_mlflow.open_incident("Scores shifted", severity="serious")
    assert "HELD by incident INC-1" in plain.get_model_version("credit", "1").description
    for form in ("md", "html"):
        text = run("report", "models:/credit/1", "--format", form).output
        assert "serious incident INC-1 is open since" in text
        assert "Scores shifted" in text


def test_a_break_glass_passes_and_a_waiver_does_not(client):
    champion(client)
    aims_mlflow.open_incident("Scores shifted", severity="serious")
    end = now() + timedelta(days=1)
    with pytest.raises(InputError, match="cannot be waived"):
        aims_mlflow.waive("credit", 1, controls="held", person="Ann", reason="r", valid_until=end)
    aims_mlflow.waive("credit", 1, controls="A.7.4", person="Ann", reason="r", valid_until=end)
    refused(client.set_registered_model_alias, "credit", "champion", "1")
    aims_mlflow.break_glass("credit", 1, person="Ann", reason="roll back", valid_until=end)
    client.set_registered_model_alias("credit", "champion", "1")
    assert "by break-glass" in run("history", "credit").output


def test_a_milder_one_holds_nothing_until_it_is_rated_serious_and_no_more_when_rated_lower(client):
    champion(client)
    assert aims_mlflow.open_incident("Slow answers", severity="minor").holds == ()
    assert holds_in() == []
    raised = aims_mlflow.update_incident("INC-1", severity="serious")
    assert [s.state for s in raised.holds] == ["held"]
    refused(client.set_registered_model_alias, "credit", "champion", "1")
    with pytest.raises(InputError, match="needs a reason"):
        aims_mlflow.update_incident("INC-1", severity="major")
    lower = aims_mlflow.update_incident("INC-1", severity="major", reason="nobody was harmed")
    assert [s.state for s in lower.holds] == ["released"]
    client.set_registered_model_alias("credit", "champion", "1")


def test_two_open_incidents_hold_until_both_are_closed(client):
    champion(client)
    for number in (1, 2):
        aims_mlflow.open_incident(f"Case {number}", severity="serious")
    handle(incidents(), "INC-1")
    aims_mlflow.close_incident("INC-1")
    assert "INC-2" in refused(client.set_registered_model_alias, "credit", "champion", "1")
    handle(incidents(), "INC-2")
    aims_mlflow.close_incident("INC-2")
    client.set_registered_model_alias("credit", "champion", "1")


def test_a_copy_of_a_held_version_is_held_wherever_it_is_copied_to(client):
    version = champion(client)
    client.copy_model_version("models:/credit/1", "elsewhere")
    copied = client.get_model_version("elsewhere", "1")
    assert version.version
    aims_mlflow.open_incident("Scores shifted", severity="serious")
    assert "INC-1" in refused(client.set_registered_model_alias, "elsewhere", "champion", copied.version)


def test_models_are_the_systems_by_declaration_by_inventory_and_by_what_took_part(client, plain):
    for name in ("credit", "credit-eu", "other", "pricing"):
        plain.create_registered_model(name)
    version = make_version(plain, "stray")
    ManagementRecords().file(
        "system",
        {"name": "Pricing", "registered_models": ["pric*"], "risk_class": "limited"},
        owner="Head of pricing",
        id="pricing",
    )
    one = aims_mlflow.open_incident("x", severity="serious", affected=["stray/1"])
    assert [s.model for s in one.holds] == ["credit", "credit-eu", "stray"]
    assert [a.version for a in one.content.affected] == [str(version.version)]
    two = aims_mlflow.open_incident("y", severity="serious", system="pricing")
    assert ([s.model for s in two.holds], two.record.owner) == (["pricing"], "Head of pricing")


def test_whatever_is_done_in_whatever_order_the_gate_says_what_the_records_say(client):
    """Two incidents, steps drawn by lot: held exactly while one of them is open and serious."""
    champion(client)
    log, lot, seen = incidents(), random.Random(5), set()
    steps = {
        "contain": lambda i: log.correct(i, "taken out"),
        "explain": lambda i: log.explain(i, "labels"),
        "no action": lambda i: log.no_action(i, "cannot come back"),
        "check": lambda i: log.check(i, effective=True, how="h", checked_by="V"),
        "tell": lambda i: log.notify(i, to="authority"),
        "raise": lambda i: log.update(i, severity="serious"),
        "lower": lambda i: log.update(i, severity="minor", reason="r"),
        "close": lambda i: log.close(i),
    }
    for severity in ("minor", "serious"):
        log.open("x", severity=severity, affected=[])
    for _ in range(40):
        name, which = lot.choice(list(steps)), lot.choice(["INC-1", "INC-2"])
        with suppress(InputError):  # not allowed now: nothing was done
            steps[name](which)
        cases = log.log().cases
        expected = any(c.content.severity == "serious" and c.content.status != "closed" for c in cases)
        decision = aims_mlflow.gate_version("models:/credit/1", alias="champion")
        assert decision.refused == expected, (name, which, cases)
        seen.add((expected, *sorted(c.content.status for c in cases)))
    assert {held for held, *_ in seen} == {True, False}
    assert any("closed" in states for _, *states in seen)
    assert swept() == []
    assert run("verify").exit_code == 0


# errors


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"title": " "}, "title"),
        ({"severity": "grave"}, "severity"),
        ({"system": "nowhere"}, "no system 'nowhere'"),
        ({"affected": ["credit"]}, "names no registered version"),
        ({"affected": ["credit/99"]}, "no version 99"),
        ({"aware_at": "2099-01-01"}, "in the future"),
        ({"aware_at": "yesterday"}, "neither a day"),
        ({"aware_at": "2026-01-01T00:00"}, "zone"),
        ({"occurred_at": "2026-11-02", "aware_at": "2026-11-01"}, "before it occurred"),
        ({"harm": "annoyance"}, "harm"),
        ({"owner": "Ann Adams and Bob Brown"}, "more than one owner"),
        ({"links": ["risk:R-9"]}, "no record 'risk:R-9'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_filed_or_held(client, plain, given, says):
    make_version(plain)
    with pytest.raises(InputError, match=says):
        aims_mlflow.open_incident(**{"title": "x", "severity": "serious"} | given)
    assert aims_mlflow.search_incidents().cases == ()
    assert holds_in() == []


def test_without_a_system_or_an_owner_nothing_is_opened(client, tmp_path):
    write_policy(tmp_path, "system: {name: x}\n")
    with pytest.raises(InputError, match="is of a system"):
        aims_mlflow.open_incident("x", severity="minor")
    write_policy(tmp_path, "system: {id: loans}\n")
    with pytest.raises(InputError, match="needs an owner"):
        aims_mlflow.open_incident("x", severity="minor")


def test_a_day_of_awareness_starts_the_clock_with_its_first_moment(client):
    one = aims_mlflow.open_incident("x", severity="serious", harm="critical infrastructure", aware_at="2026-11-01")
    assert f"{one.content.aware_at:%Y-%m-%d %H:%M}" == "2026-11-01 00:00"
    assert one.overdue == ("INC-1: notice to the authority (Art. 73(3)), due 2026-11-03 00:00 UTC",)


# frozen evidence


def test_what_was_frozen_is_held_against_what_is_there_now(client, plain, tmp_path):
    version = champion(client)
    other = make_version(plain, text="challenger")
    one = aims_mlflow.open_incident("x", severity="minor")
    (frozen,) = one.content.affected
    assert (frozen.uri, frozen.targets, frozen.run_id) == ("credit/1", ("alias champion",), version.run_id)
    assert one.content.evidence == (frozen.evidence_sha256,)
    assert [c.in_words for c in incidents().show("INC-1").frozen] == ["model files same, evidence same"]
    assert run("incident", "show", "INC-1").exit_code == 0
    aims_mlflow.update_incident("INC-1", affected=[f"credit/{other.version}"])
    weights = next((tmp_path).rglob(f"{version.run_id}/**/weights.txt"))
    weights.write_text("WEIGHTS")
    plain.set_tag(other.run_id, "aims.evidence", "sha256:" + "0" * 64)
    assert [(c.model, c.evidence) for c in incidents().show("INC-1").frozen] == [
        ("changed", "same"),
        ("same", "changed"),
    ]
    shown = run("incident", "show", "INC-1")
    assert (shown.exit_code, "frozen credit/1: model files changed" in shown.output) == (1, True)
    plain.delete_model_version("credit", other.version)
    plain.delete_run(other.run_id)
    assert [(c.model, c.evidence) for c in incidents().show("INC-1").frozen][1] == ("gone", "gone")


def test_evidence_that_came_later_is_no_change_and_evidence_that_was_changed_is(client, plain, tmp_path):
    version = champion(client)
    plain.delete_tag(version.run_id, "aims.evidence")
    aims_mlflow.log_evidence("my.kind", {"a": 1}, run_id=version.run_id)
    one = aims_mlflow.open_incident("x", severity="minor")
    (frozen,) = one.content.affected
    assert len(frozen.evidence_files) >= 1
    assert [c.evidence for c in incidents().show("INC-1").frozen] == ["same"]
    aims_mlflow.assess("models:/credit/1")  # writes what was not on record yet, and a new manifest
    assert plain.get_run(version.run_id).data.tags["aims.evidence"] != frozen.evidence_sha256
    (check,) = incidents().show("INC-1").frozen
    assert (check.evidence, check.holds) == ("added to", True)
    assert run("incident", "show", "INC-1").exit_code == 0
    (kept,) = tmp_path.rglob(f"{version.run_id}/**/evidence/my.kind-*.json")
    kept.write_bytes(kept.read_bytes().replace(b'"a":1', b'"a":2'))
    (check,) = incidents().show("INC-1").frozen
    assert (check.evidence, check.holds) == ("changed", False)
    assert run("incident", "show", "INC-1").exit_code == 1


def test_a_version_without_evidence_or_readable_files_can_still_be_named(client, plain):
    experiment = plain.create_experiment("bare")
    bare = plain.create_run(experiment)
    plain.create_registered_model("credit")
    plain.create_model_version("credit", f"runs:/{bare.info.run_id}/nothing", bare.info.run_id)
    one = aims_mlflow.open_incident("x", severity="minor", affected=["credit/1"])
    (frozen,) = one.content.affected
    assert (frozen.model_sha256, frozen.evidence_sha256, one.content.evidence) == (None, None, ())
    assert incidents().show("INC-1").frozen[0].in_words == "model files not frozen, evidence not frozen"


# by rule, and at once


def test_a_rule_opens_one_incident_for_each_episode_however_often_it_is_called(client):
    champion(client)
    first = open_by_rule("drift", episode="2026-W47", title="Drift confirmed", severity="serious")
    again = open_by_rule("drift", episode="2026-W47", title="Drift confirmed again", severity="serious")
    other = open_by_rule("drift", episode="2026-W48", title="Drift confirmed")
    assert (first.id, first.content.opened_by, again.content.title) == (again.id, "drift", "Drift confirmed")
    assert [s.state for s in again.holds] == ["held before"]
    assert other.id != first.id
    assert len(aims_mlflow.search_incidents().cases) == 2
    handle(incidents(), first.id)
    aims_mlflow.close_incident(first.id)
    after = open_by_rule("drift", episode="2026-W47", title="Drift confirmed", severity="serious")
    assert (after.content.status, after.holds) == ("closed", ())
    assert len(aims_mlflow.search_incidents().cases) == 2


def at_once(calls):
    """Run them at the same moment; their results, errors among them."""
    found = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def go(number):
        gate.wait()
        try:
            found[number] = calls[number]()
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=go, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_incidents_opened_at_the_same_moment_are_all_on_file(client):
    calls = [lambda n=n: aims_mlflow.open_incident(f"Case {n}", severity="minor", affected=()) for n in range(3)]
    found = at_once(calls)
    assert not [f for f in found if isinstance(f, Exception)], found
    log = aims_mlflow.search_incidents()
    assert {c.content.title for c in log.cases} == {"Case 0", "Case 1", "Case 2"}
    assert log.problems == ()
    assert len({f.id for f in found}) == 3


def test_one_episode_reported_by_several_at_once_is_one_incident(client):
    champion(client)
    call = lambda: open_by_rule("drift", episode="W47", title="Drift", severity="serious", affected=())  # noqa: E731
    found = at_once([call] * 3)
    assert not [f for f in found if isinstance(f, Exception)], found
    log = aims_mlflow.search_incidents()
    assert (len(log.cases), log.problems) == (1, ())
    assert {f.id for f in found} == {log.cases[0].id}
    refused(client.set_registered_model_alias, "credit", "champion", "1")


# afterwards


def test_a_model_registered_later_is_found_and_held(client, plain):
    champion(client)
    aims_mlflow.open_incident("x", severity="serious")
    late = make_version(plain, "credit-late")
    assess(plain, late)
    (found,) = swept()
    assert (found.model, found.level) == ("credit-late", Level.DETECTED)
    assert found.what == "serious incident INC-1 is open, and nothing in the log holds the model"
    assert found.remedy == "`aims reconcile credit-late --fix-log` holds it"
    assert run("reconcile", "credit-late").exit_code == 1
    (mended,) = swept(fix_log=True)
    assert mended.recorded
    assert holds_in("credit-late") == [("held", "INC-1")]
    refused(client.set_registered_model_alias, "credit-late", "champion", "1")
    assert swept() == []
    handle(incidents(), "INC-1")
    closed = aims_mlflow.close_incident("INC-1")
    assert [s.model for s in closed.holds] == ["credit", "credit-late"]
    client.set_registered_model_alias("credit-late", "champion", "1")


def test_an_update_of_an_open_serious_one_holds_what_was_registered_since(client, plain):
    champion(client)
    aims_mlflow.open_incident("x", severity="serious")
    make_version(plain, "credit-late")
    done = aims_mlflow.update_incident("INC-1", note="seen in another region too")
    assert [(s.model, s.state) for s in done.holds] == [("credit", "held before"), ("credit-late", "held")]


def test_a_hold_left_over_is_found_is_not_released_by_the_sweep_and_closing_again_releases(client):
    champion(client)
    aims_mlflow.open_incident("x", severity="serious")
    records = ManagementRecords()
    records.withdraw("incident", "INC-1", reason="opened by mistake")
    (found,) = swept(fix_log=True)
    assert found.what == "incident INC-1 was withdrawn, and the log still holds the model"
    assert found.remedy == "aims incident close INC-1"
    refused(client.set_registered_model_alias, "credit", "champion", "1")
    done = run("incident", "close", "INC-1")
    assert done.exit_code == 0, done.output
    client.set_registered_model_alias("credit", "champion", "1")
    assert swept() == []


def test_a_deleted_record_frees_nothing(client, plain):
    champion(client)
    one = aims_mlflow.open_incident("x", severity="serious")
    plain.delete_run(one.logged.filed.run_id)
    refused(client.set_registered_model_alias, "credit", "champion", "1")
    (found,) = swept()
    assert "revision 1 was deleted" in found.what
    assert run("incident", "list").exit_code == 2
    plain.restore_run(one.logged.filed.run_id)
    assert swept() == []


def test_a_renamed_model_stays_held_and_is_released_under_its_new_name(client):
    champion(client, "credit-a")
    client.delete_registered_model_alias("credit-a", "champion")
    aims_mlflow.open_incident("x", severity="serious")
    client.rename_registered_model("credit-a", "credit-b")
    refused(client.set_registered_model_alias, "credit-b", "champion", "1")
    handle(incidents(), "INC-1")
    assert [s.model for s in aims_mlflow.close_incident("INC-1").holds] == ["credit-b"]
    version = client.get_model_version("credit-b", "1")
    assess(client, version)
    client.set_registered_model_alias("credit-b", "champion", "1")


def test_an_unreadable_log_refuses_and_a_hold_that_could_not_be_written_is_said(client, monkeypatch):
    champion(client)

    def broken(*_, **__):
        raise DeliveryError("no answer")

    said = "INC-1 is on file and open, but not every model is held by it"
    with monkeypatch.context() as patched, pytest.raises(DeliveryError, match=said) as caught:
        patched.setattr(TransitionLog, "append", broken)
        aims_mlflow.open_incident("x", severity="serious")
    assert "aims reconcile --fix-log" in caught.value.remedy
    assert [f.model for f in swept(fix_log=True)] == ["credit"]


def test_what_a_key_signed_is_closed_with_a_key_only(client, tmp_path, monkeypatch):
    champion(client)
    key = tmp_path / "ann.pem"
    key.write_bytes(new_key().pem())
    monkeypatch.setenv("AIMS_SIGNING_KEY", str(key))
    plain = MlflowClient()
    assert plain is not None
    mlflow.set_registry_uri(mlflow.get_tracking_uri())  # no gate in this process
    aims_mlflow.open_incident("x", severity="serious")
    handle(incidents(), "INC-1")
    monkeypatch.delenv("AIMS_SIGNING_KEY")
    with pytest.raises(InputError, match="held by a signed entry"):
        aims_mlflow.close_incident("INC-1")
    assert aims_mlflow.search_incidents().open  # nothing was closed
    monkeypatch.setenv("AIMS_SIGNING_KEY", str(key))
    aims_mlflow.close_incident("INC-1")
    client.set_registered_model_alias("credit", "champion", "1")
    assert run("verify").exit_code == 0


# nonconformities


def test_a_nonconformity_has_correction_cause_action_and_effectiveness(client):
    log = nonconformities()
    one = log.open("No management review this year", rows=["9.3.1"], found_by="internal audit", owner="CEO")
    assert (one.id, one.record.systems, one.content.found_by) == ("NC-1", (), "internal audit")
    with pytest.raises(InputError, match=r"no clause or control '9\.9\.9'"):
        log.open("x", rows=["9.9.9"], owner="CEO")
    with pytest.raises(InputError, match="no requirement is named"):
        log.open("x", rows=[], owner="CEO")
    with pytest.raises(InputError, match="to be closed it needs what was done at once") as caught:
        log.close("NC-1")
    assert caught.value.remedy == 'aims nonconformity update NC-1 --correction "..."'
    handle(log, "NC-1")
    with pytest.raises(InputError, match="needs a reason"):
        log.update("NC-1", grade="major")
    assert log.update("NC-1", grade="major", reason="second time").content.grade == "major"
    assert log.close("NC-1").content.status == "closed"
    assert log.open("y", rows=["7.2"], owner="CEO").id == "NC-2"
    by_rule = [log.open("z", rows=["A.7.4"], owner="CEO", rule="data quality", episode="1").id for _ in range(2)]
    assert by_rule[0] == by_rule[1]
    assert log.log().kind == "nonconformity"


def test_a_log_is_reviewed_as_a_whole_and_for_a_system(client):
    log = incidents()
    assert log.log().last_used is None
    whole = log.review("Nothing reported", owner="Head of AI")
    own = log.review("Nothing reported", owner="Head of AI", system="loans")
    assert (whole.record.link, own.record.link) == ("incident_log:incident_log", "incident_log:incident_log-loans")
    assert (own.record.valid_until - own.record.valid_from).days == 92
    assert len(log.log().reviews) == 2
    with pytest.raises(InputError, match="nothing is said"):
        log.review(" ", owner="Head of AI")


def test_what_was_known_then_is_shown_as_of_then(client):
    log = incidents()
    log.open("x", severity="serious", affected=())
    before = now()
    handle(log, "INC-1")
    log.close("INC-1")
    assert log.log(at=before).cases[0].content.status == "open"
    assert log.show("INC-1", at=before).content.log[-1].what == "opened"
    assert log.log().open == ()


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    """Tables wrap where the terminal ends: their words are looked for in whole lines."""
    monkeypatch.setenv("COLUMNS", "200")
