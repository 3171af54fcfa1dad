"""What people say of a version: bound to its content, and to who said it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import mlflow
import pytest
import yaml
from gate_kit import assess, make_version, statement_of
from log_kit import log_of
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

import aims_mlflow
from aims_mlflow.config import load_settings
from aims_mlflow.errors import AimsError, DeliveryError, InputError
from aims_mlflow.evidence import now, sha256_of
from aims_mlflow.gate.decision import DecisionOutcome
from aims_mlflow.gate.entries import Actor, Identity, Level, ReviewEntry, Target, write_entry
from aims_mlflow.gate.signing import new_key
from aims_mlflow.registry.gatekeeper import Gatekeeper
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reviews import accept_review, moment
from aims_mlflow.registry.reviews.saying import _hand_over

CHAMPION = Target(kind="alias", name="champion")
SOON = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"
ANN_LOGIN = Actor(name="ann.k", identity=Identity.AUTHENTICATED)


def policy(folder, *, approvals=None, people=None, controls=("A.6.2.4", "A.7.4")):
    profile = {"controls": list(controls), "evidence": ["performance"], "approvals": approvals or {"count": 1}}
    content = {
        "system": {"id": "loans", "risk_class": "minimal"},
        "gate": {
            "guarded": [{"models": ["credit"], "aliases": ["champion"], "profile": "one"}],
            "profiles": {"one": profile},
            "people": people or {},
        },
    }
    (folder / "aims.yaml").write_text(yaml.safe_dump(content))


@pytest.fixture
def client(mlflow_store, tmp_path):
    policy(tmp_path)
    return MlflowClient()


@pytest.fixture
def version(client):
    """``credit/1``, assessed."""
    made = make_version(client)
    assess(client, made)
    return made


def keeper(client, level=Level.ADVISED, key=None):
    log = TransitionLog(client, key=key)
    return Gatekeeper(client, client, load_settings(), level, log=log)


def outcome(client, version="1"):
    return keeper(client).decide("credit", version, CHAMPION).outcome


# a person says it


def test_an_approval_lets_the_move_pass_and_its_withdrawal_stops_it(client, version):
    assert outcome(client) is DecisionOutcome.REFUSE
    entry = aims_mlflow.approve("credit", 1, person="Ann", role="owner", reason="looked  at\nit", targets="champion")
    assert (entry.number, entry.decision, entry.person, entry.role) == (1, "approve", "Ann", "owner")
    assert (entry.reason, entry.targets, entry.valid_until) == ("looked at it", ("champion",), None)
    assert entry.model_sha256 == statement_of(version).model_sha256
    assert entry.actor.identity is Identity.CLAIMED
    assert outcome(client) is DecisionOutcome.ALLOW
    back = aims_mlflow.withdraw("models:/credit/1", person="Ann", reason="saw more")
    assert (back.withdraws, back.number) == (entry.digest, 2)
    assert outcome(client) is DecisionOutcome.REFUSE
    assert [e.decision for e in log_of(mlflow.get_tracking_uri()).read("credit")] == ["approve", "withdraw"]


def test_a_rejection_stops_what_was_approved(client, version):
    aims_mlflow.approve("credit", 1, person="Ann")
    aims_mlflow.reject("models:/credit/1", person="Bob", reason="biased")
    decision = keeper(client).decide("credit", "1", CHAMPION)
    assert [p.id for p in decision.open_problems] == ["rejected"]
    with pytest.raises(InputError, match="Bob's"):
        aims_mlflow.withdraw("credit", 1, person="Ann", number=2)
    aims_mlflow.withdraw("credit", 1, person="bob", number=2)
    assert outcome(client) is DecisionOutcome.ALLOW


def test_a_waiver_changes_the_decision_and_not_the_finding(client, mlflow_store):
    made = make_version(client)
    assess(client, made, rows=("A.6.2.4",))
    aims_mlflow.approve("credit", 1, person="Ann")
    assert outcome(client) is DecisionOutcome.REFUSE
    entry = aims_mlflow.waive("credit", 1, controls="A.7.4", person="Ann", reason="until the audit", valid_until=SOON)
    assert (entry.controls, entry.valid_until) == (("A.7.4",), moment(SOON))
    decision = keeper(client).decide("credit", "1", CHAMPION)
    assert decision.outcome is DecisionOutcome.ALLOW_BY_WAIVER
    assert [(p.id, p.waived_by) for p in decision.problems] == [("A.7.4", entry.digest)]
    later = keeper(client).decide("credit", "1", CHAMPION, at=moment(SOON) + timedelta(seconds=1))
    assert later.outcome is DecisionOutcome.REFUSE


def test_break_glass_covers_all_and_shows_in_the_decision(client):
    assess(client, make_version(client), rows=())
    aims_mlflow.break_glass("credit", 1, person="Ann", reason="outage", valid_until=now() + timedelta(hours=4))
    decision = keeper(client).decide("credit", "1", CHAMPION)
    assert (decision.outcome, decision.break_glass) == (DecisionOutcome.ALLOW_BY_WAIVER, True)


def test_what_was_said_is_void_when_the_content_changes(client, version):
    aims_mlflow.approve("credit", 1, person="Ann")
    assess(client, version, text="other weights", model_sha256=sha256_of(b"other"))
    problems = {p.id for p in keeper(client).decide("credit", "1", CHAMPION).open_problems}
    assert {"content", "approvals"} <= problems
    with pytest.raises(InputError, match="changed since it was assessed"):
        aims_mlflow.approve("credit", 1, person="Ann")


def test_an_approval_of_one_version_says_nothing_of_another(client, version):
    aims_mlflow.approve("credit", 1, person="Ann")
    assess(client, make_version(client, text="other"), text="other")
    assert outcome(client, "2") is DecisionOutcome.REFUSE


def test_a_version_that_was_never_assessed_cannot_be_approved(client):
    make_version(client)
    with pytest.raises(InputError, match="never assessed") as caught:
        aims_mlflow.approve("credit", 1, person="Ann")
    assert "aims assess models:/credit/1" in caught.value.remedy


def test_without_a_statement_the_runs_own_evidence_names_the_content(mlflow_store, tmp_path):
    from test_api import declare, log_all, log_model

    declare(tmp_path)
    aims_mlflow.autolog()
    with mlflow.start_run():
        log_all()
        log_model(registered_model_name="m")
    aims_mlflow.autolog(disable=True)
    client = MlflowClient()
    stated = aims_mlflow.approve("m", 1, person="Ann").model_sha256
    client.delete_model_version_tag("m", "1", "aims.vsa")
    assert aims_mlflow.approve("m", 1, person="Ann").model_sha256 == stated


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: aims_mlflow.approve("credit", 1, person="  "), "name"),
        (lambda: aims_mlflow.approve("credit", 1, person="x" * 300), "too long"),
        (lambda: aims_mlflow.approve("credit", 1, person="Ann", reason="x" * 2000), "reason"),
        (lambda: aims_mlflow.approve("credit", 1, person="Ann", targets=[f"{n:090d}" for n in range(90)]), "fit"),
        (lambda: aims_mlflow.approve("credit", 1, person="Ann", reason="\ud83d"), "plain"),
        (lambda: aims_mlflow.approve("credit", 1, person="Ann", valid_until="2020-01-01"), "past"),
        (lambda: aims_mlflow.approve("credit", 1, person="Ann", valid_until="soon"), "neither a day"),
        (lambda: aims_mlflow.approve("credit", 1, person="Ann", valid_until="2999-01-01T00:00"), "zone"),
        (lambda: aims_mlflow.approve("credit", "x", person="Ann"), "one version"),
        (lambda: aims_mlflow.approve("credit", person="Ann"), "registered version"),
        (lambda: aims_mlflow.reject("credit", 1, person="Ann"), "needs a reason"),
        (lambda: aims_mlflow.waive("credit", 1, controls=(), person="A", reason="r", valid_until=SOON), "controls"),
        (lambda: aims_mlflow.waive("credit", 1, controls="A.1", person="A", reason=" ", valid_until=SOON), "reason"),
        (lambda: aims_mlflow.waive("credit", 1, controls="A.1", person="A", reason="r", valid_until=None), "end"),
        (lambda: aims_mlflow.break_glass("credit", 1, person="A", reason="", valid_until=SOON), "reason"),
        (lambda: aims_mlflow.break_glass("credit", 1, person="A", reason="r", valid_until=None), "end"),
        (lambda: aims_mlflow.break_glass("credit", 1, person="A", reason="r", valid_until="2999-01-01"), "7 days"),
        (lambda: aims_mlflow.withdraw("credit", 1, person="Ann"), "no review"),
        (lambda: aims_mlflow.withdraw("credit", 1, person="Ann", number=7), "entry 7"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said_and_nothing_is_written(client, version, call, says):
    with pytest.raises(InputError) as caught:
        call()
    assert says in str(caught.value)
    assert log_of(mlflow.get_tracking_uri()).read("credit") == ()


def test_a_day_counts_in_full_and_a_time_needs_its_zone():
    assert moment("2026-12-01") == datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC)
    assert moment(date(2026, 12, 1)) == moment("2026-12-01")
    assert moment("2026-12-01T12:00:00+02:00") == datetime(2026, 12, 1, 10, tzinfo=UTC)
    for wrong in ("2026-12-01T12:00:00", "", "2026-13-01", 7):
        with pytest.raises(InputError):
            moment(wrong)


def test_a_break_glass_may_end_with_the_seventh_day(client, version):
    aims_mlflow.break_glass("credit", 1, person="Ann", reason="r", valid_until=now().date() + timedelta(days=7))
    with pytest.raises(InputError):
        aims_mlflow.break_glass("credit", 1, person="Ann", reason="r", valid_until=now().date() + timedelta(days=9))


def test_a_server_out_of_reach_is_said(monkeypatch):
    with pytest.raises(DeliveryError):
        aims_mlflow.approve("credit", 1, person="Ann", tracking_uri="http://127.0.0.1:1")


def test_a_version_that_does_not_exist_is_mlflows_own_error(client):
    with pytest.raises(MlflowException, match="not found"):
        aims_mlflow.approve("credit", 9, person="Ann")


# signatures


def test_with_a_key_of_the_policy_an_approval_is_signed(client, version, tmp_path, monkeypatch):
    key = new_key()
    policy(tmp_path, approvals={"count": 1, "identity": "signed"}, people={"Ann": {"key": key.public}})
    aims_mlflow.approve("credit", 1, person="Ann")
    assert outcome(client) is DecisionOutcome.REFUSE
    monkeypatch.setenv("AIMS_SIGNING_KEY", new_key().pem().decode())
    aims_mlflow.approve("credit", 1, person="Ann")
    assert outcome(client) is DecisionOutcome.REFUSE
    monkeypatch.setenv("AIMS_SIGNING_KEY", key.pem().decode())
    entry = aims_mlflow.approve("credit", 1, person="Ann")
    assert entry.is_signed()
    assert outcome(client) is DecisionOutcome.ALLOW


def test_a_signed_approval_that_was_withdrawn_does_not_come_back_as_a_copy(client, version, tmp_path, monkeypatch):
    key = new_key()
    policy(tmp_path, approvals={"count": 1, "identity": "signed"}, people={"Ann": {"key": key.public}})
    monkeypatch.setenv("AIMS_SIGNING_KEY", key.pem().decode())
    entry = aims_mlflow.approve("credit", 1, person="Ann")
    aims_mlflow.withdraw("credit", 1, person="Ann")
    monkeypatch.delenv("AIMS_SIGNING_KEY")
    copied = log_of(mlflow.get_tracking_uri()).append(entry)  # anybody who may write runs can do this
    assert copied.is_signed()
    assert outcome(client) is DecisionOutcome.REFUSE
    assert any(p.damage == "replayed" for p in log_of(mlflow.get_tracking_uri()).verify().problems)


# through the gate


def draft(made, person="Ann", **changes):
    fields = {
        "number": 1,
        "at": now(),
        "model": "credit",
        "version": "1",
        "level": Level.ADVISED,
        "decision": "approve",
        "person": person,
        "model_sha256": statement_of(made).model_sha256,
        "nonce": "n1",
    }
    return ReviewEntry(**fields | changes)


def accept(gate, given, actor=ANN_LOGIN, **more):
    text = given if isinstance(given, str) else write_entry(given)
    return accept_review(gate, more.get("model", "credit"), more.get("version", "1"), text, actor=actor)


@pytest.fixture
def gate(client, version, tmp_path):
    people = {"Ann": {"logins": ["ann.k"]}, "Bob": {"logins": ["bob"]}}
    policy(tmp_path, approvals={"count": 1, "identity": "authenticated"}, people=people)
    return keeper(client, Level.ENFORCED, new_key())


def test_the_gate_puts_the_login_its_own_time_and_its_signature_into_the_entry(gate, version):
    sent = draft(version, at=now() - timedelta(days=400), actor=Actor(name="root", identity=Identity.SIGNED))
    entry = accept(gate, sent)
    assert entry.actor == ANN_LOGIN
    assert entry.level is Level.ENFORCED
    assert abs(now() - entry.at) < timedelta(minutes=1)
    assert entry.is_signed()
    assert entry.key == gate.log.key.public
    assert gate.log.read("credit") == (entry,)


def test_nobody_speaks_for_another(gate, version):
    with pytest.raises(InputError, match="cannot speak for 'Bob'"):
        accept(gate, draft(version, "Bob"))
    with pytest.raises(InputError, match="cannot speak"):
        accept(gate, draft(version), actor=Actor(name=None, identity=Identity.AUTHENTICATED))
    assert gate.log.read("credit") == ()


def test_without_a_login_the_word_stays_a_claim(gate, version, client):
    entry = accept(gate, draft(version), actor=Actor(name="someone", identity=Identity.CLAIMED))
    assert entry.actor.identity is Identity.CLAIMED
    assert gate.decide("credit", "1", CHAMPION).outcome is DecisionOutcome.REFUSE


def test_a_persons_own_signature_counts_whoever_sends_it_and_anothers_is_dropped(gate, version, tmp_path, client):
    key, other = new_key(), new_key()
    policy(tmp_path, people={"Ann": {"key": key.public}})
    gate = keeper(client, Level.ENFORCED, new_key())
    robot = Actor(name="ci", identity=Identity.AUTHENTICATED)
    entry = accept(gate, draft(version).signed(key), actor=robot)
    assert (entry.key, entry.is_signed()) == (key.public, True)
    with pytest.raises(InputError, match="cannot speak"):
        accept(gate, draft(version, nonce="n2").signed(other), actor=robot)
    with pytest.raises(InputError, match="another time"):
        accept(gate, draft(version, nonce="n3", at=now() - timedelta(hours=2)).signed(key), actor=robot)


def test_what_was_sent_twice_is_written_once(gate, version):
    sent = draft(version)
    assert accept(gate, sent) == accept(gate, sent)
    assert accept(gate, draft(version, nonce="n2")).number == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "2"}, "another version"),
        ({"model": "other"}, "another version"),
        ({"model_sha256": sha256_of(b"else")}, "not what it was"),
        ({"decision": "waive", "controls": ("A.7.4",), "reason": "r"}, "needs an end"),
        ({"decision": "break-glass", "reason": "r", "valid_until": now() + timedelta(days=60)}, "7 days"),
        ({"decision": "reject"}, "needs a reason"),
        ({"decision": "withdraw"}, "needs the entry"),
        ({"decision": "withdraw", "withdraws": sha256_of(b"none")}, "no such entry"),
        ({"valid_until": now() - timedelta(days=1)}, "past"),
        ({"person": " "}, "cannot speak"),
    ],
)
def test_the_gate_checks_what_the_client_should_have_checked(gate, version, change, says):
    with pytest.raises(InputError) as caught:
        accept(gate, draft(version, **change))
    assert says in str(caught.value)
    assert gate.log.read("credit") == ()


@pytest.mark.parametrize("text", ["", "{}", "x" * 9000, '{"type":"move"}', "[" * 3000, '{"type":"review","number":1}'])
def test_what_is_no_review_is_refused(gate, text):
    with pytest.raises(AimsError):
        accept(gate, text)


def test_only_who_said_it_takes_it_back_at_the_gate(gate, version):
    entry = accept(gate, draft(version))
    back = draft(version, "Bob", decision="withdraw", withdraws=entry.digest, nonce="n2")
    with pytest.raises(InputError, match="only Ann"):
        accept(gate, back, actor=Actor(name="bob", identity=Identity.AUTHENTICATED))
    assert accept(gate, back.model_copy(update={"person": "ann.k"})).withdraws == entry.digest


@pytest.fixture
def gated(mlflow_store, version, monkeypatch):
    """The registry behind the gate in this process."""
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"aims:{mlflow_store}")
    mlflow.set_registry_uri(f"aims:{mlflow_store}")
    return MlflowClient()


def test_behind_a_gate_the_review_goes_through_it_and_no_tag_is_stored(gated, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    sent = []
    original = MlflowClient.set_model_version_tag
    monkeypatch.setattr(
        MlflowClient,
        "set_model_version_tag",
        lambda self, *args, **more: (sent.append(args[2]), original(self, *args, **more))[1],
    )
    entry = aims_mlflow.approve("credit", 1, person="Ann")
    assert sent[0] == "aims.review"
    assert set(sent[1:]) <= {"aims.gate"}
    assert entry == log_of(mlflow.get_tracking_uri()).read("credit")[-1]
    assert entry.actor == Actor(name="ann", identity=Identity.CLAIMED)
    assert "aims.review" not in gated.get_model_version("credit", "1").tags
    gated.set_registered_model_alias("credit", "champion", "1")
    aims_mlflow.withdraw("credit", 1, person="Ann")
    with pytest.raises(MlflowException, match="approvals"):
        gated.set_registered_model_alias("credit", "champion", "1")


def test_what_the_gate_refuses_is_said_as_it_says_it(gated):
    assess(gated, make_version(gated, text="other"), text="other")
    sent = draft(gated.get_model_version("credit", "1"), version="2")
    with pytest.raises(InputError, match=r"^AIMS refused: the version is not what it was"):
        _hand_over(gated, sent)


@pytest.mark.parametrize("said", ["PERMISSION_DENIED", None])
def test_a_login_without_the_right_to_edit_is_told_which_right_it_needs(gated, monkeypatch, said):
    def denied(*_args, **_more):
        if said:
            raise MlflowException("no", error_code=PERMISSION_DENIED)
        raise MlflowException("request failed with error code 403 != 200. Response body: 'Permission denied'")

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", denied)
    with pytest.raises(InputError, match="permission EDIT"):
        aims_mlflow.approve("credit", 1, person="Ann")


def test_where_the_gate_went_away_the_tag_is_taken_back_and_the_entry_written_directly(client, version, monkeypatch):
    monkeypatch.setattr("aims_mlflow.registry.reviews.saying.is_gated", lambda *_: True)
    entry = aims_mlflow.approve("credit", 1, person="Ann")
    assert entry == log_of(mlflow.get_tracking_uri()).read("credit")[-1]
    assert "aims.review" not in client.get_model_version("credit", "1").tags


def test_the_only_role_of_a_person_is_taken_and_another_is_refused_at_once(client, version, tmp_path):
    people = {"Ann": {"logins": ["ann.k"], "roles": ["owner"]}, "Bob": {"roles": ["owner", "validator"]}}
    policy(tmp_path, people=people)
    assert aims_mlflow.approve("credit", 1, person="ann.k").role == "owner"
    assert aims_mlflow.approve("credit", 1, person="Bob").role is None
    with pytest.raises(InputError, match="did you mean 'validator'"):
        aims_mlflow.approve("credit", 1, person="Bob", role="validater")
    assert aims_mlflow.approve("credit", 1, person="Stranger", role="any").role == "any"


def test_the_gate_takes_no_waiver_of_what_is_not_there_and_no_wrong_role(client, version, tmp_path):
    policy(tmp_path, people={"Ann": {"roles": ["owner"]}})
    gate = keeper(client)
    good = aims_mlflow.approve("credit", 1, person="Ann", targets="champion")
    for change, says in (({"role": "boss"}, "may not act as"), ({"controls": ("A.99",)}, "no control")):
        changed = good.model_copy(update={"nonce": "n", **change})
        with pytest.raises(InputError, match=says):
            accept_review(gate, "credit", 1, write_entry(changed), actor=Actor())
