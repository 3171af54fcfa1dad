"""What was known at a moment: neither the order of reading nor later records matter, and nothing wrong is silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aims_mlflow.management.record import ManagementRecord, names_several
from aims_mlflow.management.state import Filed, Problem, State, circles

START = datetime(2027, 1, 1, tzinfo=UTC)
END = START + timedelta(days=400)


def record(id_="a", revision=1, *, hours=0, previous=None, **more):
    return ManagementRecord(
        type="risk",
        id=id_,
        revision=revision,
        previous=previous,
        recorded_at=START + timedelta(hours=hours),
        owner="Head of AI",
        **{"valid_from": START.date(), **more},
    )


def chain(id_, *steps):
    """Revisions that follow from one another; each step is what it changes."""
    made = []
    for number, step in enumerate(steps, 1):
        previous = made[-1].record.digest if made else None
        made.append(Filed(record(id_, number, previous=previous, **{"hours": number, **step}), f"run-{id_}-{number}"))
    return made


IDS = ("a", "b", "c", "d")

steps = st.fixed_dictionaries(
    {"hours": st.integers(0, 300)},
    optional={
        "withdrawn": st.sampled_from(["Not any more.", None]),
        "valid_from": st.integers(-30, 60).map(lambda days: START.date() + timedelta(days=days)),
        "links": st.lists(st.sampled_from([f"risk:{name}" for name in (*IDS, "nowhere")]), max_size=2).map(tuple),
    },
)


@st.composite
def histories(draw):
    """Up to forty revisions of four records; some runs deleted, some revisions lost, some filed twice over."""
    found = []
    for name in IDS:
        previous, hours = None, 0
        for number in range(1, draw(st.integers(0, 10)) + 1):
            step = draw(steps)
            hours += 1 + step["hours"]
            made = record(name, number, previous=previous, **(step | {"hours": hours}))
            previous = made.digest
            fate = draw(st.sampled_from(["kept"] * 8 + ["deleted", "lost", "twice", "altered"]))
            if fate != "lost":
                found.append(Filed(made, f"run-{name}-{number}", deleted=fate == "deleted"))
            if fate == "twice":
                found.append(Filed(made.model_copy(update={"owner": "Somebody else"}), f"run-{name}-{number}x"))
            if fate == "altered":
                previous = "sha256:" + "0" * 64
    return found


PROBLEMS = [
    Problem(code="altered", type="risk", id="a", what="x", remedy="y", known_at=START + timedelta(hours=50)),
    Problem(code="altered", type="risk", id="b", what="x", remedy="y"),
]


def shown(state):
    return (
        list(state.current.items()),
        list(state.until_then.items()),
        state.problems,
        [one.record.link for one in state.of_type("risk")],
    )


@given(histories(), st.integers(0, 3_000), st.randoms(use_true_random=False))
@settings(max_examples=120, deadline=None)
def test_a_state_does_not_depend_on_the_order_of_the_records(filed, hours, random):
    at = START + timedelta(hours=hours)
    mixed, problems = list(filed), list(PROBLEMS)
    random.shuffle(mixed)
    random.shuffle(problems)
    assert shown(State.of(filed, at=at, problems=PROBLEMS)) == shown(State.of(mixed, at=at, problems=problems))


@given(histories(), st.integers(0, 3_000))
@settings(max_examples=120, deadline=None)
def test_as_of_a_moment_is_what_the_records_said_when_no_later_one_was_there(filed, hours):
    at = START + timedelta(hours=hours)
    then = [one for one in filed if one.record.recorded_at <= at]
    known = [p for p in PROBLEMS if p.known_at is None or p.known_at <= at]
    assert shown(State.of(filed, at=at, problems=PROBLEMS)) == shown(State.of(then, at=at, problems=known))


@given(histories(), st.integers(0, 3_000))
@settings(max_examples=120, deadline=None)
def test_what_is_in_force_is_whole_not_withdrawn_and_at_most_one_a_record(filed, hours):
    state = State.of(filed, at=START + timedelta(hours=hours))
    found = list(state.of_type("risk"))
    assert len({one.record.key for one in found}) == len(found)
    for one in found:
        latest = state.get(*one.record.key)
        assert latest is not None
        assert latest.record.withdrawn is None
        assert not latest.deleted
        assert one.record.key not in state.blocked
        if one is not latest:  # only where the latest one is still to come
            assert latest.record.starts > state.at >= one.record.starts


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_rests_on_itself_is_in_a_circle_and_nothing_else(links):
    found = circles(links)
    assert found == circles({name: rest[::-1] for name, rest in reversed(links.items())})
    for circle in found:
        assert all(to in links[start] for start, to in pairwise([*circle, circle[0]]))
        assert circle[0] == min(circle)
    assert {name for circle in found for name in circle} == {name for name in links if name in _reached(name, links)}


def _reached(name, links):
    reached, front = set(), {name}
    while front:
        front = {to for start in front for to in links.get(start, ())} - reached
        reached |= front
    return reached


def codes(state):
    return {(p.id, p.code, p.blocks) for p in state.problems}


def test_a_lost_revision_is_a_gap_and_its_record_counts_for_nothing():
    one, _, three = chain("a", {}, {}, {})
    state = State.of([one, three], at=END)
    assert codes(state) == {("a", "gap", True)}
    assert list(state.of_type("risk")) == []


def test_a_revision_that_does_not_follow_is_altered():
    one, two = chain("a", {}, {})
    other = Filed(one.record.model_copy(update={"owner": "Somebody else"}), "run-a-1")
    assert codes(State.of([other, two], at=END)) == {("a", "altered", True)}


def test_two_first_revisions_are_a_conflict_until_a_later_one_settles_it():
    (one,) = chain("a", {})
    rival = Filed(one.record.model_copy(update={"owner": "Somebody else", "recorded_at": START}), "run-a-x")
    both = [one, rival]
    assert codes(State.of(both, at=END)) == {("a", "conflict", True)}
    settled = Filed(record("a", 2, hours=9, previous=rival.record.digest), "run-a-2")
    state = State.of([*both, settled], at=END)
    assert codes(state) == {("a", "conflict", False)}
    assert [filed.record.revision for filed in state.of_type("risk")] == [2]


def test_a_copy_of_a_revision_under_another_run_is_no_second_one():
    (one,) = chain("a", {})
    state = State.of([one, Filed(one.record, "run-copy")], at=END)
    assert state.problems == ()
    assert state.current[("risk", "a")].run_id == "run-a-1"


def test_a_deleted_copy_blocks_whichever_is_read_first():
    (one,) = chain("a", {})
    copy = Filed(one.record, "run-copy", deleted=True)
    for order in ([one, copy], [copy, one]):
        assert codes(State.of(order, at=END)) == {("a", "deleted", True)}


def test_every_record_of_a_circle_counts_for_nothing():
    filed = [
        *chain("a", {"links": ("risk:b",)}),
        *chain("b", {"links": ("risk:c",)}),
        *chain("c", {"links": ("risk:a",)}),
        *chain("d", {"links": ("risk:a",)}),
    ]
    state = State.of(filed, at=END)
    assert codes(state) == {("a", "circle", True), ("b", "circle", True), ("c", "circle", True)}
    assert "risk:a -> risk:b -> risk:c -> risk:a" in state.problems[0].what
    assert [one.record.id for one in state.of_type("risk")] == ["d"]


def test_a_link_that_leads_nowhere_is_named_and_blocks_nothing():
    state = State.of(chain("a", {"links": ("risk:zz",)}), at=END)
    assert codes(state) == {("a", "dangling", False)}
    assert "risk:zz" in state.problems[0].what


def test_a_revision_that_is_not_valid_yet_leaves_the_one_before_in_force():
    soon = START.date() + timedelta(days=10)
    filed = chain("a", {}, {"valid_from": soon})
    before = State.of(filed, at=START + timedelta(days=9))
    assert [one.record.revision for one in before.of_type("risk")] == [1]
    assert before.get("risk", "a").record.revision == 2
    after = State.of(filed, at=START + timedelta(days=10))
    assert [one.record.revision for one in after.of_type("risk")] == [2]
    assert after.until_then == {}


def test_a_withdrawn_record_does_not_come_back_with_one_that_is_still_to_come():
    soon = START.date() + timedelta(days=10)
    filed = chain("a", {}, {"withdrawn": "Wrong."}, {"valid_from": soon})
    state = State.of(filed, at=START + timedelta(days=5))
    assert [one.record.revision for one in state.of_type("risk")] == [3]
    assert State.of(filed[:2], at=START + timedelta(days=5)).until_then == {}


@pytest.mark.parametrize(
    ("owner", "several"),
    [
        ("Ann Lee and Bob Ray", True),
        ("ann@example.org, bob@example.org", True),
        ("Ann Lee; Bob Ray", True),
        ("Ann Lee / Bob Ray", True),
        ("Head of Risk and Compliance", False),
        ("Research & Development", False),
        ("Ann Lee", False),
        ("Team AI", False),
    ],
)
def test_two_owners_are_told_from_one_function(owner, several):
    assert names_several(owner) is several
