"""Every way a move can pass, and every way it cannot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cases import AT, CHAMPION, KINDS, declaration, facts, review, row, rows, sha, statement
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config import Declaration
from aims_mlflow.evidence import Verdict
from aims_mlflow.evidence.base import Basis
from aims_mlflow.gate.decision import DecisionOutcome, GateDecision, decide
from aims_mlflow.gate.entries import Actor, Identity, Target
from aims_mlflow.gate.messages import one_line, refusal
from aims_mlflow.gate.policy import policy_sha256
from aims_mlflow.gate.signing import new_key

ALLOW, REFUSE = DecisionOutcome.ALLOW, DecisionOutcome.REFUSE
REGISTER = load_catalog().rows


def judge(version=None, entries=(), policy=None, target=CHAMPION, at=AT, **more) -> GateDecision:
    return decide(version or facts(), target, entries, policy or declaration(), at=at, rows=REGISTER, **more)


def ids(decision: GateDecision) -> set[str]:
    return {problem.id for problem in decision.problems}


def test_a_version_with_current_evidence_is_allowed():
    decision = judge()
    assert decision.outcome is ALLOW
    assert decision.problems == ()
    assert decision.valid_until == AT + timedelta(days=30)
    assert decision.statement_sha256 == statement().digest


def test_a_move_no_rule_names_is_not_guarded():
    assert judge(target=Target(kind="alias", name="challenger")).outcome is DecisionOutcome.NOT_GUARDED


@pytest.mark.parametrize("name", ["champion", "Champion", "CHAMPION"])
def test_letters_case_does_not_slip_past_a_rule(name):
    assert judge(facts(held=None), target=Target(kind="alias", name=name)).outcome is not DecisionOutcome.NOT_GUARDED


def test_a_version_that_was_never_assessed_is_refused():
    decision = judge(facts().model_copy(update={"held": None}))
    assert decision.refused
    assert ids(decision) == {"assessment"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"source": "m-2"}, "other files"),
        ({"source": None}, "other files"),
        ({"model_sha256": sha("altered")}, "files changed"),
        ({"model_sha256": None, "listing_sha256": sha("other")}, "files changed"),
        ({"model_sha256": None}, "could not be compared"),
        ({"evidence_sha256": sha("other")}, "evidence changed"),
        ({"evidence_sha256": None}, "evidence changed"),
        ({"inputs_sha256": sha("other")}, "datasets changed"),
        ({"inputs_sha256": None}, "datasets changed"),
    ],
)
def test_evidence_about_other_content_does_not_count(changes, what):
    decision = judge(facts(**changes))
    assert decision.refused
    assert ids(decision) == {"content"}
    assert what in decision.problems[0].what


def test_path_and_size_serve_where_the_files_cannot_be_hashed_unless_the_policy_asks_for_hashes():
    listed = facts(model_sha256=None, listing_sha256=sha("listing"))
    assert judge(listed).outcome is ALLOW
    strict = declaration(profiles={"minimal": {"controls": ["A.7.4"], "files": "hash"}})
    assert ids(judge(listed, policy=strict)) == {"content"}


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.SATISFIED])
def test_a_required_control_that_is_anything_but_satisfied_refuses(status):
    decision = judge(facts(statement(rows=rows(A_7_4=row(status)))))
    assert decision.refused
    assert ids(decision) == {"A.7.4"}


def test_a_required_control_that_is_not_in_the_assessment_refuses():
    assert ids(judge(facts(statement(rows=rows(A_7_4=None))))) == {"A.7.4"}


def test_a_required_control_past_its_validity_refuses_though_it_was_satisfied():
    decision = judge(facts(statement(rows=rows(A_7_4=row(days=-1)))))
    assert ids(decision) == {"A.7.4"}
    assert decision.problems[0].what == "stale"


def test_an_uncertain_control_passes_only_where_the_policy_says_so():
    shaky = facts(statement(rows=rows(A_7_4=row(Status.UNCERTAIN))))
    lenient = declaration(profiles={"minimal": {"controls": ["A.7.4"], "uncertain": "allow"}})
    assert judge(shaky).refused
    assert judge(shaky, policy=lenient).outcome is ALLOW


def test_an_uncertain_control_that_is_stale_or_too_weak_never_passes():
    lenient = declaration(
        profiles={"minimal": {"controls": ["A.7.4"], "uncertain": "allow", "minimum_basis": "measured"}}
    )
    for shaky in (row(Status.UNCERTAIN, days=-1), row(Status.UNCERTAIN, basis=Basis.ATTESTED)):
        assert judge(facts(statement(rows=rows(A_7_4=shaky))), policy=lenient).refused


def test_a_control_on_weaker_ground_than_asked_refuses():
    attested = facts(statement(rows=rows(A_7_4=row(basis=Basis.ATTESTED))))
    assert "attested" in judge(attested).problems[0].what
    content = declaration(profiles={"minimal": {"controls": ["A.7.4"]}})
    assert judge(attested, policy=content).outcome is ALLOW
    one = declaration(profiles={"minimal": {"controls": ["A.7.4", "A.4.3"], "basis": {"A.7.4": "measured"}}})
    assert ids(judge(attested, policy=one)) == {"A.7.4"}


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.PASS] + [None])
def test_a_required_kind_of_evidence_must_have_passed(verdict):
    kinds = {k: v for k, v in (KINDS | {"performance": verdict}).items() if v is not None}
    assert ids(judge(facts(statement(kinds=kinds)))) == {"performance"}


def test_an_assessment_that_is_too_old_or_from_the_future_refuses():
    assert ids(judge(facts(statement(assessed_at=AT - timedelta(days=91))))) == {"assessment"}
    assert ids(judge(facts(statement(assessed_at=AT + timedelta(hours=1))))) == {"assessment"}


def test_a_signature_is_asked_for_where_the_policy_says_so():
    policy = declaration(profiles={"minimal": {"controls": ["A.7.4"], "signed": True}})
    assert ids(judge(policy=policy)) == {"signature"}
    assert judge(facts(signed_by="ci"), policy=policy).outcome is ALLOW


def test_what_could_not_be_read_refuses_even_beside_a_good_assessment():
    assert ids(judge(facts(unreadable=("the run could not be read",)))) == {"unreadable"}


# Policy


def test_no_policy_refuses():
    decision = judge(policy=Declaration())
    assert decision.refused
    assert ids(decision) == {"policy"}


@pytest.mark.parametrize(
    ("risk", "gate"),
    [
        ("unclassified", {}),
        ("minimal", {"profiles": {"minimal": {}}}),
        ("minimal", {"guarded": [{"aliases": ["champion"], "profile": "nobody"}]}),
    ],
)
def test_a_guarded_target_without_a_usable_profile_refuses(risk, gate):
    assert ids(judge(policy=declaration(risk, **gate))) == {"policy"}


def test_no_profile_lets_a_prohibited_system_pass():
    rule = {"aliases": ["champion"], "profile": "minimal"}
    for more in ({}, {"risk_class": "minimal"}):
        assert ids(judge(policy=declaration("prohibited", guarded=[rule | more]))) == {"prohibited"}
    assert ids(judge(policy=declaration("minimal", guarded=[rule | {"risk_class": "prohibited"}]))) == {"prohibited"}


def test_a_prohibited_system_is_refused_by_a_decision_and_not_for_want_of_one():
    decision = judge(policy=declaration("prohibited"))
    assert (decision.refused, ids(decision)) == (True, {"prohibited"})
    assert not any(problem.could_not_decide for problem in decision.problems)
    assert ".." not in refusal(decision)


def test_a_refusal_ends_its_sentences_once():
    assert ".." not in refusal(judge(policy=Declaration()))


def test_the_first_rule_that_names_the_move_decides():
    policy = declaration(
        guarded=[
            {"models": ["credit"], "aliases": ["champion"], "profile": "high"},
            {"models": ["*"], "aliases": ["*"], "profile": "minimal"},
        ]
    )
    assert ids(judge(policy=policy)) == {"approvals"}
    assert judge(facts(model="other"), policy=policy).outcome is ALLOW


def test_in_observe_mode_the_verdict_is_the_same_and_nothing_is_refused():
    decision = judge(facts(source="m-2"), policy=declaration(mode="observe"))
    assert decision.outcome is REFUSE
    assert not decision.refused
    assert one_line(decision).startswith("Would be refused")


def test_the_policys_hash_changes_with_everything_a_decision_depends_on():
    one = policy_sha256(declaration())
    assert one == policy_sha256(declaration())
    assert one != policy_sha256(declaration("high"))
    assert one != policy_sha256(declaration(mode="observe"))
    assert judge().policy_sha256 == one


# Approvals


def test_the_shipped_profile_of_high_risk_asks_for_two_approvals_by_different_people():
    policy = declaration("high")
    one = review(person="a")
    assert ids(judge(policy=policy)) == {"approvals"}
    assert ids(judge(entries=[one], policy=policy)) == {"approvals"}
    assert ids(judge(entries=[one, review(person=" A ", number=2)], policy=policy)) == {"approvals"}
    decision = judge(entries=[one, review(person="b", number=2)], policy=policy)
    assert decision.outcome is ALLOW
    assert decision.approved_by == ("a", "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"model_sha256": sha("other content")},
        {"valid_until": AT - timedelta(seconds=1)},
        {"targets": ("challenger",)},
        {"person": " "},
    ],
)
def test_an_approval_that_is_about_something_else_or_expired_does_not_count(changes):
    policy = declaration("limited")
    assert judge(entries=[review()], policy=policy).outcome is ALLOW
    assert ids(judge(entries=[review(**changes)], policy=policy)) == {"approvals"}


def test_who_trained_or_registered_may_not_be_the_only_approver():
    policy = declaration("limited")
    assert ids(judge(entries=[review(person="Trainer")], policy=policy)) == {"approvals"}
    registered = facts(registered_by="clerk")
    assert ids(judge(registered, [review(person="clerk")], policy)) == {"approvals"}
    both = [review(person="trainer"), review(person="reviewer", number=2)]
    assert judge(entries=both, policy=policy).outcome is ALLOW


def test_a_login_of_the_trainer_is_the_trainer():
    policy = declaration("limited", people={"T. Rainer": {"logins": ["trainer", "tr"]}})
    assert ids(judge(entries=[review(person="tr")], policy=policy)) == {"approvals"}


def test_only_the_people_named_may_approve_each_in_own_roles():
    approvals = {"count": 1, "roles": ["validation"]}
    policy = declaration(
        profiles={"minimal": {"approvals": approvals}},
        people={"v": {"roles": ["validation"]}, "o": {"roles": ["o"]}},
    )
    assert judge(entries=[review(person="v", role="validation")], policy=policy).outcome is ALLOW
    assert judge(entries=[review(person="o", role="validation")], policy=policy).refused
    assert judge(entries=[review(person="v")], policy=policy).refused
    assert judge(entries=[review(person="stranger", role="validation")], policy=policy).refused


def test_a_rejection_stops_the_move_until_its_person_approves_or_withdraws_it():
    policy = declaration("limited")
    approval, rejection = review(person="a"), review("reject", person="b", number=2)
    assert ids(judge(entries=[approval, rejection], policy=policy)) == {"rejected"}
    back = review("withdraw", person="b", number=3, withdraws=rejection.digest)
    assert judge(entries=[approval, rejection, back], policy=policy).outcome is ALLOW
    assert judge(entries=[approval, rejection, review(person="b", number=3)], policy=policy).outcome is ALLOW


def test_a_rejection_counts_even_from_someone_who_could_not_approve():
    policy = declaration("limited", people={"a": {}})
    assert ids(judge(entries=[review(person="a"), review("reject", person="x", number=2)], policy=policy)) == {
        "rejected"
    }


def test_nobody_can_take_back_what_another_said():
    policy = declaration("limited")
    approval, rejection = review(person="a"), review("reject", person="b", number=2)
    foreign = review("withdraw", person="a", number=3, withdraws=rejection.digest)
    assert ids(judge(entries=[approval, rejection, foreign], policy=policy)) == {"rejected"}


def test_a_signed_approval_is_believed_only_with_the_persons_own_key():
    key, other = new_key(), new_key()
    approvals = {"count": 1, "identity": "signed"}
    policy = declaration(profiles={"minimal": {"approvals": approvals}}, people={"v": {"key": key.public}})
    entry = review(person="v")
    assert judge(entries=[entry.signed(key)], policy=policy).outcome is ALLOW
    assert judge(entries=[entry], policy=policy).refused
    assert judge(entries=[entry.signed(other)], policy=policy).refused
    altered = entry.signed(key).model_copy(update={"reason": "something else"})
    assert judge(entries=[altered], policy=policy).refused


def test_a_servers_word_on_a_login_is_believed_only_with_its_key_and_for_that_login():
    key = new_key()
    policy = declaration(profiles={"minimal": {"approvals": {"count": 1, "identity": "authenticated"}}})
    login = Actor(name="v", identity=Identity.AUTHENTICATED)
    entry = review(person="v", actor=login).signed(key)
    assert judge(entries=[entry], policy=policy, gate_keys=[key.public]).outcome is ALLOW
    assert judge(entries=[entry], policy=policy).refused
    named = declaration(
        profiles={"minimal": {"approvals": {"count": 1, "identity": "authenticated"}}}, servers={"s": key.public}
    )
    assert judge(entries=[entry], policy=named).outcome is ALLOW
    foreign = review(person="w", actor=login).signed(key)
    assert judge(entries=[foreign], policy=policy, gate_keys=[key.public]).refused


# Waivers


def broken() -> object:
    return facts(statement(rows=rows(A_7_4=row(Status.NOT_SATISFIED))))


def test_a_waiver_lets_the_move_pass_and_leaves_the_problem_in_sight():
    waiver = review("waive", controls=("A.7.4",))
    decision = judge(broken(), [waiver])
    assert decision.outcome is DecisionOutcome.ALLOW_BY_WAIVER
    assert decision.problems[0].waived_by == waiver.digest
    assert decision.valid_until == waiver.valid_until


@pytest.mark.parametrize(
    "changes",
    [
        {"controls": ("A.6.2.4",)},
        {"controls": ()},
        {"valid_until": None},
        {"valid_until": AT - timedelta(seconds=1)},
        {"reason": None},
        {"model_sha256": sha("other")},
    ],
)
def test_a_waiver_that_does_not_name_the_control_or_lacks_reason_or_expiry_covers_nothing(changes):
    assert judge(broken(), [review("waive", **({"controls": ("A.7.4",)} | changes))]).refused


def test_the_policy_may_forbid_waivers():
    waiver = review("waive", controls=("A.7.4",))
    for profile in ({"waivers": False}, {"not_waivable": ["A.7.4"]}):
        policy = declaration(profiles={"minimal": {"controls": ["A.7.4"]} | profile})
        assert judge(broken(), [waiver], policy).refused


def test_a_break_glass_covers_what_no_waiver_covers_and_is_seen():
    policy = declaration(profiles={"minimal": {"controls": ["A.7.4"], "not_waivable": ["A.7.4"]}})
    decision = judge(broken(), [review("break-glass")], policy)
    assert decision.outcome is DecisionOutcome.ALLOW_BY_WAIVER
    assert decision.break_glass
    assert "break-glass" in one_line(decision)


@pytest.mark.parametrize("changes", [{"source": "m-2"}, {"unreadable": ("x",)}])
def test_nothing_waives_content_that_changed_or_cannot_be_read(changes):
    assert judge(facts(**changes), [review("break-glass")]).refused


# Messages


def test_a_refusal_says_what_failed_within_a_dozen_words_and_one_command():
    decision = judge(facts(statement(rows=rows(A_7_4=row(Status.NOT_SATISFIED), A_6_2_4=row(Status.STALE)))))
    message = refusal(decision)
    assert message.startswith("AIMS refused: A.6.2.4 AI system verification and validation: stale; A.7.4 ")
    assert "Next: aims assess models:/credit/3." in message
    assert "compliant" not in message


def test_the_remedy_of_a_control_is_that_of_its_first_unmet_requirement():
    unmet = row(Status.NO_EVIDENCE).model_copy(update={"unmet": 1})
    remedy = judge(facts(statement(rows=rows(A_7_4=unmet)))).problems[0].remedy
    assert remedy.startswith("Call `aims_mlflow.log_data_quality(frame)` with rules under data_quality.rules")
    assert remedy.endswith("; then aims assess models:/credit/3")
    foreign = unmet.model_copy(update={"unmet": 99})
    assert judge(facts(statement(rows=rows(A_7_4=foreign)))).problems[0].remedy == "aims assess models:/credit/3"


def test_what_failed_is_looked_up_in_the_report_for_measuring_it_again_mends_nothing():
    failed = facts(statement(rows=rows(A_7_4=row(Status.NOT_SATISFIED)), kinds=KINDS | {"data_quality": Verdict.FAIL}))
    said = {p.id: p.remedy for p in judge(failed).problems}
    assert said["A.7.4"] == "mend what `aims report models:/credit/3` says of A.7.4; then aims assess models:/credit/3"
    assert "aims report models:/credit/3` says of data quality" in said["data_quality"]


def test_evidence_that_is_not_there_is_asked_for_by_the_call_that_makes_it():
    kinds = {k: v for k, v in KINDS.items() if k != "performance"}
    (problem,) = judge(facts(statement(kinds=kinds))).problems
    assert problem.remedy.startswith("call aims_mlflow.log_performance(y_true, y_pred) in the run; then aims assess")


# Fail closed


@given(
    status=st.sampled_from(list(Status)),
    basis=st.sampled_from([*Basis, None]),
    days=st.one_of(st.none(), st.integers(-40, 40)),
    age=st.integers(-5, 200),
    changed=st.sampled_from([None, "source", "model_sha256", "evidence_sha256", "inputs_sha256"]),
)
def test_nothing_but_current_strong_evidence_on_the_same_content_ever_passes(status, basis, days, age, changed):
    held = statement(rows=rows(A_7_4=row(status, basis, days)), assessed_at=AT - timedelta(days=age))
    version = facts(held, **({changed: None} if changed else {}))
    if changed == "model_sha256":
        version = version.model_copy(update={"model_sha256": sha("x")})
    good = (
        status is Status.SATISFIED
        and basis in {Basis.MEASURED, Basis.REPORTED}
        and (days is None or days >= 0)
        and 0 <= age <= 90
        and changed is None
    )
    assert (judge(version).outcome is ALLOW) == good
