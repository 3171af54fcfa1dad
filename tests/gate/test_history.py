"""Which version served where, since when, moved by whom, on what."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.evidence import sha256_of
from aims_mlflow.gate.entries import (
    Actor,
    FailedEntry,
    FoundEntry,
    Identity,
    Level,
    MoveEntry,
    RegisteredEntry,
    RenamedEntry,
    ReviewEntry,
    Target,
)
from aims_mlflow.gate.history import history

START = datetime(2026, 11, 1, tzinfo=UTC)
CHAMPION = Target(kind="alias", name="champion")
PRODUCTION = Target(kind="stage", name="Production")
SHA = sha256_of(b"model")


class Log:
    """Entries a day apart."""

    def __init__(self):
        self.entries = []

    def add(self, kind, **fields):
        number = len(self.entries) + 1
        given = {
            "number": number,
            "at": START + timedelta(days=number),
            "model": "credit",
            "level": Level.ENFORCED,
            "actor": Actor(name="ann", identity=Identity.AUTHENTICATED),
        }
        self.entries.append(kind(**given | fields))
        return self.entries[-1]

    def move(self, version, target=CHAMPION, **fields):
        given = {"operation": "any", "outcome": "allow", "mode": "enforce"}
        return self.add(MoveEntry, version=version, target=target, **given | fields)

    def review(self, decision="approve", person="Ann", **fields):
        return self.add(ReviewEntry, version="1", decision=decision, person=person, model_sha256=SHA, **fields)

    def at(self, day=1000, model="credit"):
        return history(self.entries, model=model, at=START + timedelta(days=day))


def spans(found):
    day = timedelta(days=1)
    return [
        (str(s.target), s.version, (s.since - START) // day, s.until and (s.until - START) // day)
        for s in found.servings
    ]


def test_an_alias_passes_from_one_version_to_the_next_and_each_end_has_its_mover():
    log = Log()
    log.move("1")
    log.move("2", actor=Actor(name="bob"))
    log.move(None, operation="delete_registered_model_alias", from_version="2")
    found = log.at()
    assert spans(found) == [("champion", "1", 1, 2), ("champion", "2", 2, 3)]
    assert [(s.by.name, s.ended_by.name) for s in found.servings] == [("ann", "bob"), ("bob", "ann")]
    assert found.current == ()


def test_a_version_is_in_one_stage_and_a_stage_may_hold_several():
    log = Log()
    staging = Target(kind="stage", name="Staging")
    log.move("1", PRODUCTION)
    log.move("2", staging)
    log.move("2", PRODUCTION)
    log.move("1", Target(kind="stage", name="Archived"), outcome="allow")
    assert spans(log.at()) == [("Production", "1", 1, 4), ("Staging", "2", 2, 3), ("Production", "2", 3, None)]


def test_refused_moves_and_those_the_registry_did_not_make_change_nothing_and_are_listed():
    log = Log()
    log.move("1")
    log.move("2", outcome="refuse", problems=("A.7.4: stale",))
    moved = log.move("3")
    log.add(FailedEntry, move=moved.number, error="RESOURCE_DOES_NOT_EXIST")
    found = log.at()
    assert spans(found) == [("champion", "1", 1, None)]
    assert [(r.version, r.problems, r.failed) for r in found.refusals] == [
        ("2", ("A.7.4: stale",), None),
        ("3", (), "RESOURCE_DOES_NOT_EXIST"),
    ]


def test_in_observe_mode_a_refused_move_was_made():
    log = Log()
    log.move("1", outcome="refuse", mode="observe", problems=("A.7.4: stale",))
    (served,) = log.at().current
    assert (served.version, served.outcome, served.problems) == ("1", "refuse", ("A.7.4: stale",))


def test_what_a_move_rested_on_is_named_by_person():
    log = Log()
    approval = log.review(role="owner")
    waiver = log.review("waive", "Bob", controls=("A.7.4",), reason="late", valid_until=START + timedelta(days=9))
    elsewhere = sha256_of(b"in the log of the original")
    log.move(
        "1",
        outcome="allow-by-waiver",
        approved=(approval.digest, elsewhere),
        waived=(waiver.digest,),
        evidence_sha256=sha256_of(b"e"),
    )
    (served,) = log.at().current
    assert [(s.person, s.role) for s in served.approved] == [("Ann", "owner"), (None, None)]
    assert [(s.person, s.decision) for s in served.waived] == [("Bob", "waive")]
    assert served.evidence_sha256 == sha256_of(b"e")


def test_what_was_true_then_does_not_know_what_came_later():
    log = Log()
    approval = log.review()
    log.move("1")
    log.review("withdraw", withdraws=approval.digest)
    log.move("2")
    then = log.at(2)
    assert spans(then) == [("champion", "1", 2, None)]
    assert [r.withdrawn for r in then.reviews] == [False]
    later = log.at(4)
    assert spans(later) == [("champion", "1", 2, 4), ("champion", "2", 4, None)]
    assert [r.withdrawn for r in later.reviews if r.decision == "approve"] == [True]
    assert log.at(0).entries == 0


def test_only_who_said_it_takes_it_back():
    log = Log()
    rejection = log.review("reject", "Ann", reason="bias")
    log.review("withdraw", "Bob", withdraws=rejection.digest)
    assert [r.withdrawn for r in log.at().reviews if r.decision == "reject"] == [False]


def test_a_waiver_lapses():
    log = Log()
    log.review("waive", controls=("A.7.4",), reason="late", valid_until=START + timedelta(days=5))
    assert [log.at(day).reviews[0].lapsed for day in (4, 5)] == [False, True]


def test_what_was_found_past_the_gate_is_in_it_and_what_was_put_right_is_not():
    log = Log()
    log.move("1")
    log.add(FoundEntry, target=CHAMPION, version="9", from_version="1", finding="moved past", level=Level.DETECTED)
    log.move("1")
    log.add(FoundEntry, target=CHAMPION, version="8", from_version="1", finding="reverted", reverted=True)
    log.add(FoundEntry, target=PRODUCTION, version="7", from_version="Staging", finding="moved past")
    log.add(FoundEntry, target=CHAMPION, version=None, from_version="1", finding="deleted past")
    found = log.at()
    assert spans(found) == [
        ("champion", "1", 1, 2),
        ("champion", "9", 2, 3),
        ("champion", "1", 3, 6),
        ("Production", "7", 5, None),
    ]
    assert [s.outcome for s in found.servings] == ["allow", "found", "allow", "found"]


def test_a_renamed_model_keeps_its_past():
    log = Log()
    log.move("1")
    log.add(RenamedEntry, to="credit-eu")
    log.move("2", model="credit-eu")
    found = log.at(model="credit-eu")
    assert found.former_names == ("credit",)
    assert spans(found) == [("champion", "1", 1, 3), ("champion", "2", 3, None)]


def test_registrations_are_counted_and_serve_nobody():
    log = Log()
    log.add(RegisteredEntry, version="1")
    log.move(None, Target(kind="registration", name="credit"), from_version="dev/3")
    assert (log.at().registered, log.at().servings) == (1, ())


moves = st.lists(
    st.tuples(
        st.sampled_from([CHAMPION, Target(kind="alias", name="b"), PRODUCTION, Target(kind="stage", name="Staging")]),
        st.sampled_from(["1", "2", "3", None]),
        st.sampled_from(["allow", "refuse"]),
    ),
    max_size=25,
)


@given(moves)
def test_an_alias_never_names_two_versions_and_no_version_is_in_two_stages(steps):
    log = Log()
    for target, version, outcome in steps:
        log.move(version, target, outcome=outcome)
    for day in range(len(steps) + 1):
        serving = log.at(day).current
        aliases = [s.target.name for s in serving if s.target.kind == "alias"]
        staged = [s.version for s in serving if s.target.kind == "stage"]
        assert len(aliases) == len(set(aliases))
        assert len(staged) == len(set(staged))
        assert all(s.since <= (s.until or s.since) for s in log.at(day).servings)


ROOT = Actor(name="root", identity=Identity.CLAIMED)


def test_who_found_a_bypass_is_not_who_made_it_and_since_lies_between_two_moments():
    log = Log()
    log.move("1")
    log.add(FoundEntry, target=CHAMPION, version="9", from_version="1", finding="past", actor=ROOT)
    log.add(FoundEntry, target=PRODUCTION, version="7", finding="past", actor=ROOT)
    ended, alias, stage = log.at().servings
    assert (ended.ended_by.name, ended.end_found_by) == (None, ROOT)
    assert (alias.by, alias.found_by) == (Actor(), ROOT)
    assert (alias.known_before, alias.since) == (START + timedelta(days=1), START + timedelta(days=2))
    assert (stage.by, stage.known_before) == (Actor(), None)


def test_who_put_an_alias_back_did_move_it():
    log = Log()
    log.add(FoundEntry, target=CHAMPION, version="8", from_version="1", finding="put right", reverted=True, actor=ROOT)
    (served,) = log.at().current
    assert (served.version, served.by) == ("1", ROOT)


def test_moving_a_version_to_where_it_stands_keeps_since_and_mover_and_takes_the_new_decision():
    log = Log()
    log.move("1", outcome="refuse", mode="observe")
    log.move("1", actor=ROOT, reason="again")
    log.move("2", PRODUCTION)
    log.move("2", PRODUCTION)
    alias, stage = log.at().servings
    assert (alias.since, alias.by.name, alias.until) == (START + timedelta(days=1), "ann", None)
    assert (alias.outcome, alias.reason, alias.confirmed_by) == ("allow", "again", ROOT)
    assert (stage.since, stage.confirmed_at) == (START + timedelta(days=3), START + timedelta(days=4))
