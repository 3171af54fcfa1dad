"""A serious incident holds a model: what passes, what frees it, and whose word on that counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cases import AT, CHAMPION, declaration, facts, review, sha

from aims_mlflow.gate.decision import DecisionOutcome, decide
from aims_mlflow.gate.entries import Actor, HoldEntry, Identity, Level, Target, read_entry, write_entry
from aims_mlflow.gate.history import history
from aims_mlflow.gate.holds import open_holds
from aims_mlflow.gate.messages import refusal
from aims_mlflow.gate.signing import new_key
from aims_mlflow.gate.standing import standing_of
from aims_mlflow.gate.summary import junit, markdown

GATE, OTHER = new_key(), new_key()


def hold(incident="INC-3", **fields):
    given = {
        "number": 1,
        "at": AT - timedelta(hours=2),
        "model": "credit",
        "level": Level.ADVISED,
        "actor": Actor(name="ann", identity=Identity.CLAIMED),
        "state": "held",
        "incident": incident,
        "severity": "serious",
        "person": "Ann",
        "record_sha256": sha("record"),
        "reason": "scores shifted",
    }
    return HoldEntry(**given | fields)


def release(of, **fields):
    given = {"state": "released", "releases": of.digest, "at": AT - timedelta(hours=1), "number": 2, "reason": "closed"}
    return of.model_copy(update={"signature": None, "key": None} | given | fields)


def said(entries, declared=None, at=AT, **keys):
    return decide(facts(), CHAMPION, entries, declared or declaration(), at=at, **keys)


def test_an_entry_is_read_back_as_it_was_written():
    for entry in (hold(), release(hold()), hold().signed(GATE)):
        assert read_entry(write_entry(entry)) == entry


def test_a_held_model_is_refused_with_the_incident_named_and_the_command():
    decision = said([hold()])
    assert (decision.outcome, decision.refused) == (DecisionOutcome.REFUSE, True)
    words = "AIMS refused: serious incident INC-3 is open. Next: aims incident close INC-3. (credit 3 → champion)"
    assert refusal(decision) == words
    assert "scores shifted" not in words  # what the incident is about is for the log's readers
    assert "serious incident INC-3 is open" in markdown(decision)
    assert 'type="refused"' in junit(decision)


def test_every_version_and_content_is_held_and_each_incident_named_once():
    entries = [hold(), hold("INC-4", number=2), hold(number=3)]
    decision = decide(facts(version="9", model_sha256=None, held=None), CHAMPION, entries, declaration(), at=AT)
    assert [p.what for p in decision.problems if p.id == "held"] == [
        "serious incident INC-3 is open",
        "serious incident INC-4 is open",
    ]


def test_what_is_not_guarded_or_leaves_service_is_not_held():
    for target in (Target(kind="alias", name="challenger"), Target(kind="stage", name="Archived")):
        assert decide(facts(), target, [hold()], declaration(), at=AT).outcome is DecisionOutcome.NOT_GUARDED


def test_a_release_frees_the_model_and_a_new_hold_holds_it_again():
    first = hold()
    entries = [first, release(first)]
    assert said(entries).outcome is DecisionOutcome.ALLOW
    assert said([*entries, hold(number=3)]).outcome is DecisionOutcome.REFUSE


def test_an_old_release_copied_lifts_no_later_hold():
    first = hold()
    again = hold(number=3, at=AT - timedelta(minutes=30))
    assert said([first, release(first), again, release(first, number=4, at=AT)]).outcome is DecisionOutcome.REFUSE


@pytest.mark.parametrize(
    "change", [{"releases": None}, {"releases": sha("another")}, {"incident": "INC-9"}, {"at": AT + timedelta(hours=1)}]
)
def test_a_release_that_is_not_of_the_hold_frees_nothing(change):
    assert said([hold(), release(hold(), **change)]).outcome is DecisionOutcome.REFUSE


def test_a_break_glass_said_after_the_hold_passes_and_shows_and_a_waiver_does_not():
    waiver = review("waive", controls=("held", "A.7.4"), at=AT - timedelta(minutes=1))
    assert said([hold(), waiver]).outcome is DecisionOutcome.REFUSE
    glass = review("break-glass", at=AT - timedelta(minutes=1))
    decision = said([hold(), glass])
    assert (decision.outcome, decision.break_glass) == (DecisionOutcome.ALLOW_BY_WAIVER, True)
    assert decision.problems[0].what == "serious incident INC-3 is open"
    assert "break-glass by reviewer" in decision.problems[0].waiver
    lapsed = glass.model_copy(update={"valid_until": AT - timedelta(seconds=1)})
    assert said([hold(), lapsed]).outcome is DecisionOutcome.REFUSE


def test_a_break_glass_from_before_anybody_knew_of_the_incident_does_not_pass():
    glass = review("break-glass", at=AT - timedelta(hours=3))
    assert said([glass, hold()]).outcome is DecisionOutcome.REFUSE


def test_a_policy_without_waivers_has_no_break_glass_for_a_hold_either():
    declared = declaration(profiles={"minimal": {"controls": ["A.7.4"], "waivers": False}})
    assert said([hold(), review("break-glass", at=AT)], declared).outcome is DecisionOutcome.REFUSE


# whose release counts


def test_what_a_gate_signed_only_a_known_key_lifts():
    held = hold(level=Level.ENFORCED).signed(GATE)
    forged = release(held, actor=Actor(name="ann", identity=Identity.AUTHENTICATED), level=Level.ENFORCED)
    for entry in (forged, forged.signed(OTHER)):
        decision = said([held, entry], gate_keys=[GATE.public])
        assert decision.outcome is DecisionOutcome.REFUSE
        assert "a release does not count: Ann: it is not signed as the hold is" in decision.problems[0].what
    assert said([held, forged.signed(GATE)]).outcome is DecisionOutcome.ALLOW
    # another gate of the policy, or a person whose key it knows
    servers = declaration(servers={"eu": OTHER.public})
    assert said([held, forged.signed(OTHER)], servers).outcome is DecisionOutcome.ALLOW
    people = declaration(people={"Ann": {"key": OTHER.public}})
    assert said([held, forged.signed(OTHER)], people).outcome is DecisionOutcome.ALLOW


def test_a_signature_that_is_none_lifts_nothing():
    held = hold().signed(GATE)
    forged = release(held).model_copy(update={"signature": held.signature, "key": held.key})
    assert said([held, forged]).outcome is DecisionOutcome.REFUSE


def test_where_the_policy_names_people_only_theirs_counts():
    declared = declaration(people={"Bob Brown": {"logins": ["bob"]}})
    held = hold()
    assert said([held, release(held)], declared).outcome is DecisionOutcome.REFUSE
    assert said([held, release(held, person="bob")], declared).outcome is DecisionOutcome.ALLOW


@pytest.mark.parametrize("identity", ["authenticated", "signed"])
def test_a_release_is_as_sure_as_an_approval_must_be(identity):
    profile = {"controls": ["A.7.4"], "approvals": {"count": 0, "identity": identity}}
    key = new_key()
    people = {"Ann": {"logins": ["ann"], "key": key.public}}
    declared = declaration(profiles={"minimal": profile}, people=people)
    held = hold()
    claimed = said([held, release(held)], declared)
    assert claimed.outcome is DecisionOutcome.REFUSE
    assert f"identity is only claimed, {identity} asked" in claimed.problems[0].what
    assert said([held, release(held).signed(key)], declared).outcome is DecisionOutcome.ALLOW
    login = release(held, actor=Actor(name="ann", identity=Identity.AUTHENTICATED)).signed(GATE)
    by_gate = said([held, login], declared, gate_keys=[GATE.public])
    assert by_gate.outcome is (DecisionOutcome.ALLOW if identity == "authenticated" else DecisionOutcome.REFUSE)


def test_a_hold_counts_whoever_wrote_it_and_though_its_clock_was_ahead():
    assert said([hold(at=AT + timedelta(hours=5))]).outcome is DecisionOutcome.REFUSE
    assert said([hold(at=AT + timedelta(days=2))]).outcome is DecisionOutcome.ALLOW  # asked for a past day
    declared = declaration(people={"Bob Brown": {}})
    assert said([hold()], declared).outcome is DecisionOutcome.REFUSE


def test_a_replayed_hold_that_was_released_holds_no_more():
    held = hold().signed(GATE)
    freed = release(held).signed(GATE)
    again = held.model_copy(update={"number": 3, "previous": sha("x")})
    assert open_holds([held, freed, again]) == ()


# the past


def test_history_says_who_held_who_released_and_when():
    held = hold()
    entries = [held, release(held, person="Bob")]
    (then,) = history(entries, model="credit", at=AT - timedelta(hours=1, minutes=30)).holdings
    assert (then.incident, then.until, then.person, then.what) == ("INC-3", None, "Ann", "scores shifted")
    (now,) = history(entries, model="credit", at=AT).holdings
    assert (now.released_by, now.until, now.release, now.doubtful) == ("Bob", AT - timedelta(hours=1), 2, False)


def test_history_marks_a_release_that_is_not_signed_as_the_hold_is():
    held = hold().signed(GATE)
    forged = release(held)
    (found,) = history([held, forged], model="credit", at=AT).holdings
    assert found.doubtful
    true = release(held, number=3, person="Bob").signed(GATE)
    (found,) = history([held, forged, true], model="credit", at=AT).holdings
    assert (found.doubtful, found.released_by) == (False, "Bob")


def test_the_standing_of_a_version_names_what_holds_it():
    standing = standing_of(facts(), [hold()], declaration(), at=AT)
    assert [h.incident for h in standing.holds] == ["INC-3"]
    assert {d.outcome for d in standing.decisions} == {DecisionOutcome.REFUSE}
    held = hold()
    assert standing_of(facts(), [held, release(held)], declaration(), at=AT).holds == ()
