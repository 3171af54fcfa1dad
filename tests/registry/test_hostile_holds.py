"""Someone who may write tags, or even into the log, tries to free a model that an incident holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from gate_kit import assess, make_version, tags_of
from log_kit import Intruder
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

sys.path.insert(0, str(Path(__file__).parents[1] / "managing"))
from incident_kit import handle, incidents, write_policy

import aims_mlflow
from aims_mlflow.config import load_settings
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import now, sha256_of
from aims_mlflow.gate.entries import Actor, HoldEntry, Identity, Level, ReviewEntry, Target, write_entry
from aims_mlflow.gate.holds import open_holds
from aims_mlflow.gate.signing import new_key
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.holds import accept_hold
from aims_mlflow.registry.keys import server_key
from aims_mlflow.registry.log import TransitionLog

CHAMPION = Target(kind="alias", name="champion")
TAG = "aims.hold"


@pytest.fixture
def client(mlflow_store, tmp_path):
    """Behind a gate in this process, with an assessed version."""
    write_policy(tmp_path)
    gated = MlflowClient(tracking_uri=mlflow_store, registry_uri=f"aims:{mlflow_store}")
    assess(gated, make_version(gated))
    return gated


@pytest.fixture
def server(client):
    """The gate of a server: its entries are signed with its key."""
    plain = MlflowClient()
    log = TransitionLog(plain, key=server_key())
    return Gatekeeper(plain, plain, load_settings(), Level.ENFORCED, log=log)


def draft(**fields):
    given = {
        "number": 1,
        "at": now(),
        "model": "credit",
        "level": Level.ADVISED,
        "state": "held",
        "incident": "INC-1",
        "severity": "serious",
        "person": "mallory",
        "record_sha256": sha256_of(b"record"),
        "nonce": "0123456789abcdef",
    }
    return HoldEntry(**given | fields)


def refused(call, *args) -> str:
    with pytest.raises(MlflowException) as caught:
        call(*args)
    assert caught.value.error_code == "PERMISSION_DENIED", caught.value
    return caught.value.message


def entries(client):
    return TransitionLog(MlflowClient(client.tracking_uri)).read("credit", fresh=True)


def is_held(server):
    return "held" in {p.id for p in server.decide("credit", "1", CHAMPION).open_problems}


def held_by_server(server):
    """The hold of INC-1, put into the log by the server's gate."""
    one = incidents().open("Scores shifted", severity="major", affected=[])
    records = incidents().records
    record = incidents().update("INC-1", severity="serious").record
    said = draft(record_sha256=record.digest, person="ann", nonce="a" * 16)
    hold = accept_hold(server, "credit", write_entry(said), actor=Actor(name="ann", identity=Identity.AUTHENTICATED))
    assert one and records
    return hold, record


# tags


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "is no hold"),
        ("{}", "is no hold"),
        ("[" * 4000, "is no hold"),
        ("x" * 5001, "too long"),
        (json.dumps({"type": "hold", "state": "held"}), "is no hold"),
        (lambda: write_entry(draft()), "no incident 'INC-1'"),
        (lambda: write_entry(draft(model="other")), "another model"),
        (lambda: write_entry(draft(state="released", releases=sha256_of(b"x"))), "no incident 'INC-1'"),
        (
            lambda: write_entry(
                ReviewEntry(
                    number=1, at=now(), model="credit", version="1", level=Level.ADVISED, decision="approve",
                    person="a", model_sha256=sha256_of(b"m"),
                )
            ),
            "is no hold",
        ),
    ],
)  # fmt: skip
def test_no_hold_is_made_by_hand(client, value, says):
    before = entries(client)
    text = value() if callable(value) else value
    assert says in refused(client.set_registered_model_tag, "credit", TAG, text)
    assert entries(client) == before
    assert TAG not in client.get_registered_model("credit").tags
    refused(client.set_model_version_tag, "credit", "1", TAG, text)
    assert TAG not in tags_of(client, client.get_model_version("credit", "1"))


def test_no_hold_is_made_by_hand_where_the_policy_only_observes(client, tmp_path):
    path = tmp_path / "aims.yaml"
    path.write_text(path.read_text().replace("mode: enforce", "mode: observe"))
    assert "is no hold" in refused(client.set_registered_model_tag, "credit", TAG, "{}")


def test_a_model_is_not_released_while_its_incident_is_open_whoever_asks(client):
    aims_mlflow.open_incident("x", severity="serious", affected=[])
    hold = next(e for e in entries(client) if isinstance(e, HoldEntry))
    record = aims_mlflow.search_incidents().cases[0].record
    said = draft(state="released", releases=hold.digest, record_sha256=record.digest)
    told = refused(client.set_registered_model_tag, "credit", TAG, write_entry(said))
    assert "incident INC-1 is open and serious" in told
    assert "Next: aims incident close INC-1" in told
    said = said.model_copy(update={"record_sha256": sha256_of(b"a closed one")})
    assert "was revised meanwhile" in refused(client.set_registered_model_tag, "credit", TAG, write_entry(said))


def test_a_model_is_not_held_for_an_incident_that_is_not_open_and_serious(client):
    aims_mlflow.open_incident("x", severity="minor", affected=[])
    record = aims_mlflow.search_incidents().cases[0].record
    said = write_entry(draft(record_sha256=record.digest))
    assert "holds nothing" in refused(client.set_registered_model_tag, "credit", TAG, said)


def test_a_release_of_another_incidents_hold_is_refused(client):
    aims_mlflow.open_incident("x", severity="serious", affected=[])
    aims_mlflow.open_incident("y", severity="minor", affected=[])
    hold = next(e for e in entries(client) if isinstance(e, HoldEntry))
    minor = next(c.record for c in aims_mlflow.search_incidents().cases if c.id == "INC-2")
    said = draft(incident="INC-2", state="released", releases=hold.digest, record_sha256=minor.digest)
    assert "no hold of incident INC-2" in refused(client.set_registered_model_tag, "credit", TAG, write_entry(said))


def test_what_a_client_sends_twice_stands_there_once(client, server):
    hold, record = held_by_server(server)
    again = draft(record_sha256=record.digest, person="ann", nonce="a" * 16)
    actor = Actor(name="ann", identity=Identity.AUTHENTICATED)
    assert accept_hold(server, "credit", write_entry(again), actor=actor) == hold
    other = again.model_copy(update={"nonce": "b" * 16})
    assert accept_hold(server, "credit", write_entry(other), actor=actor).digest == hold.digest


def test_who_is_logged_in_holds_and_releases_in_no_other_name(client, server):
    _, record = held_by_server(server)
    said = draft(record_sha256=record.digest, person="bob", nonce="c" * 16)
    with pytest.raises(AimsError, match="cannot speak for 'bob'"):
        accept_hold(server, "credit", write_entry(said), actor=Actor(name="ann", identity=Identity.AUTHENTICATED))


def test_what_a_client_claims_of_itself_does_not_enter_the_log(client, server):
    record = incidents().open("x", severity="major", affected=[]).record
    record = (
        incidents().records.revise("incident", "INC-1", lambda c: c.model_copy(update={"severity": "serious"})).record
    )
    boast = draft(
        record_sha256=record.digest,
        actor=Actor(name="root", identity=Identity.SIGNED),
        level=Level.ENFORCED,
        person="ann",
    ).signed(new_key())
    entry = accept_hold(server, "credit", write_entry(boast), actor=Actor(name="ann", identity=Identity.CLAIMED))
    assert (entry.actor, entry.key) == (Actor(name="ann", identity=Identity.CLAIMED), server_key().public)


# the log


def test_a_hold_put_there_first_by_somebody_else_does_not_take_the_place_of_the_gates(client, server):
    """It could be lifted by anybody; the gate signs one of its own."""
    hold, record = held_by_server(server)
    assert hold.key == server_key().public
    others = [e for e in entries(client) if isinstance(e, HoldEntry) and e.key is None]
    assert others
    for one in others:
        TransitionLog(MlflowClient()).append(
            draft(state="released", releases=one.digest, record_sha256=record.digest, nonce=None)
        )
    assert is_held(server)


@pytest.mark.parametrize("signed", [False, True])
def test_a_release_written_past_the_gate_frees_nothing(client, server, signed):
    """Who may write into the log can continue it, and cannot sign as the gate does."""
    hold, record = held_by_server(server)
    assert is_held(server)
    forged = draft(
        state="released",
        releases=hold.digest,
        record_sha256=record.digest,
        level=Level.ENFORCED,
        actor=Actor(name="ann", identity=Identity.AUTHENTICATED),
        person="ann",
    )
    past = TransitionLog(MlflowClient(), key=new_key() if signed else None)
    written = past.append(forged)
    assert is_held(server)
    (told,) = server.log.read("credit", fresh=True)[-1:]
    assert told == written
    why = [one.passed_over for one in open_holds(server.log.read("credit")) if one.entry == hold]
    assert why == [("ann: it is not signed as the hold is",)]
    checked = server.log.verify(["credit"], gate_keys=[server_key().public])
    assert ("signature", written.number) in {(str(p.damage), p.number) for p in checked.problems}
    if not signed:
        assert ("release", written.number) in {(str(p.damage), p.number) for p in checked.problems}
    # the true one still counts, and what was forged does not stand in its way
    handle(incidents(), "INC-1")
    incidents().records.revise("incident", "INC-1", lambda c: closed(c))
    record = incidents().records.state().get("incident", "INC-1").record
    for n, one in enumerate(e for e in entries(client) if isinstance(e, HoldEntry) and e.state == "held"):
        true = draft(state="released", releases=one.digest, record_sha256=record.digest, person="ann", nonce=f"d{n}")
        accept_hold(server, "credit", write_entry(true), actor=Actor(name="ann", identity=Identity.AUTHENTICATED))
    assert not is_held(server)


def closed(content):
    from aims_mlflow.management import incident_steps as steps

    return steps.closed(content, at=now())


def test_a_release_of_nothing_is_named_by_verify(client):
    log = TransitionLog(MlflowClient())
    written = log.append(draft(state="released", releases=sha256_of(b"nothing")))
    checked = log.verify(["credit"])
    assert [(str(p.damage), p.number) for p in checked.problems] == [("release", written.number)]


def test_a_hold_cut_from_the_log_or_turned_into_a_release_is_seen(client, server, mlflow_store):
    hold, _ = held_by_server(server)
    intruder = Intruder(mlflow_store)
    intruder.put(hold.model_copy(update={"state": "released"}), "credit")
    assert not server.log.verify(["credit"]).intact
    fresh = Gatekeeper(MlflowClient(), MlflowClient(), load_settings(), Level.ENFORCED)
    assert "unreadable" in {p.id for p in fresh.decide("credit", "1", CHAMPION).open_problems}
    intruder.remove(hold.number, "credit")
    assert not server.log.verify(["credit"]).intact
    fresh = Gatekeeper(MlflowClient(), MlflowClient(), load_settings(), Level.ENFORCED)
    assert "unreadable" in {p.id for p in fresh.decide("credit", "1", CHAMPION).open_problems}


def test_a_hold_costs_a_guarded_move_no_read(client, server, monkeypatch):
    """The log is known to the gate: what stands in it is not asked for again."""
    server.log.read("credit")
    asked = []
    real = server.log.records.client.get_run
    monkeypatch.setattr(server.log.records.client, "get_run", lambda run_id: asked.append(run_id) or real(run_id))
    searched = []
    monkeypatch.setattr(MlflowClient, "search_runs", lambda *a, **k: searched.append(a))
    moved = []
    actor = Actor(name="ann")
    for _ in range(3):
        server.move("credit", "1", CHAMPION, "set_registered_model_alias", None, actor, None, lambda: moved.append(1))
    assert (len(moved), searched) == (3, [])
    assert asked == []
