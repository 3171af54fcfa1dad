"""What is let go while the records are read changes no state that is asked for, and takes memory off."""

from __future__ import annotations

import gc
import random
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.filing.runs import Reading, filed_of
from aims_mlflow.filing.shelf import Chain, Shelved
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Revision, State

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def runs_of(record_id, revisions):
    """The runs of a record: (days until the next is filed, days until it is valid, withdrawn, deleted) for each."""
    runs, before, at = [], None, BEGIN
    for number, (pause, ahead, withdrawn, deleted) in enumerate(revisions, 1):
        at += timedelta(days=pause, seconds=1)
        record = ManagementRecord(
            type="risk",
            id=record_id,
            revision=number,
            previous=before,
            recorded_at=at,
            owner="Owner",
            valid_from=at.date() + timedelta(days=ahead),
            withdrawn="No longer so." if withdrawn else None,
            content={"statement": f"Revision {number}"},
        )
        before = record.digest
        params = {"sha256": record.digest, "record.000": record.canonical.decode().removesuffix("\n")}
        if number < len(revisions):
            params["next"] = f"{record_id}-{number + 1}"
        runs.append(run(f"{record_id}-{number}", params, deleted=deleted))
    return runs


def run(run_id, params, *, deleted=False):
    info = SimpleNamespace(run_id=run_id, lifecycle_stage="deleted" if deleted else "active")
    return SimpleNamespace(info=info, data=SimpleNamespace(params=params, tags={}))


def shown(state):
    """All that a state says."""
    return (
        {key: one.record for key, one in state.current.items()},
        {key: one.record for key, one in state.until_then.items()},
        {key: one.run_id for key, one in state.current.items()},
        state.problems,
    )


REVISION = st.tuples(
    st.integers(0, 30), st.integers(-40, 40), st.booleans(), st.sampled_from([False, False, False, True])
)
BOOK = st.lists(st.lists(REVISION, min_size=1, max_size=6), min_size=1, max_size=4)


@given(BOOK, st.integers(0, 120), st.integers(0, 120), st.randoms(use_true_random=False))
def test_a_flat_reading_gives_the_states_of_a_whole_one(book, since, later, told: random.Random):
    runs = [one for n, revisions in enumerate(book) for one in runs_of(f"r{n}", revisions)]
    told.shuffle(runs)
    moments = [BEGIN + timedelta(days=since), BEGIN + timedelta(days=since + later)]
    whole, flat = Reading(runs, lambda _: None), Reading(runs, lambda _: None, since=moments[0])
    for at in moments:
        expected = State.of(whole.filed, at=at, problems=whole.problems)
        found = flat.state(at)
        assert shown(found) == shown(expected)
        assert all(isinstance(one.record, ManagementRecord) for one in found.current.values())


def contents(reading):
    """Which revisions of the record still have their content."""
    (chain,) = reading._chains.values()
    return [one.filed is not None for one, _ in chain.revisions()]


def test_of_many_revisions_one_is_kept_whole():
    flat = Reading(runs_of("r", [(1, 0, False, False)] * 50), lambda _: None, since=BEGIN + timedelta(days=400))
    assert contents(flat) == [False] * 49 + [True]


def test_a_revision_that_begins_later_lets_none_go():
    revisions = [(1, 0, False, False), (1, 300, False, False)]
    flat = Reading(runs_of("r", revisions), lambda _: None, since=BEGIN + timedelta(days=10))
    assert contents(flat) == [True, True]


def test_an_attempt_nobody_claimed_lets_none_go():
    """Written beside the revision that holds, and named by none."""
    runs = runs_of("r", [(1, 0, False, False), (1, 0, False, False)])
    del runs[0].data.params["next"]
    state = Reading(runs, lambda _: None, since=BEGIN + timedelta(days=10)).state(BEGIN + timedelta(days=10))
    assert state.get("risk", "r").record.revision == 1
    assert state.get("risk", "r").record.content == {"statement": "Revision 1"}
    assert [one.code for one in state.problems] == ["unfinished"]


def test_what_was_let_go_is_never_taken_for_what_counted_earlier():
    flat = Reading(runs_of("r", [(1, 0, False, False)] * 3), lambda _: None, since=BEGIN + timedelta(days=10))
    with pytest.raises(LookupError, match="risk:r was not kept"):
        flat.state(BEGIN + timedelta(days=1, hours=1))


def test_a_run_two_pages_show_counts_once():
    runs = runs_of("r", [(1, 0, False, False)] * 3)
    flat = Reading([*runs, runs[0], runs[2]], lambda _: None, since=BEGIN + timedelta(days=10))
    assert contents(flat) == [False, False, True]
    assert flat.state(BEGIN + timedelta(days=10)).problems == ()


def test_a_revision_let_go_still_tells_whether_the_chain_holds():
    """The second revision names another one before it than the one that is there."""
    runs, others = runs_of("r", [(1, 0, False, False)] * 4), runs_of("r", [(2, 0, False, False)] * 4)
    runs[1].data.params.update({k: v for k, v in others[1].data.params.items() if k != "next"})
    flat = Reading(runs, lambda _: None, since=BEGIN + timedelta(days=40))
    assert contents(flat) == [False, False, False, True]
    problems = flat.state(BEGIN + timedelta(days=40)).problems
    assert [(one.code, one.revision, one.run_id) for one in problems] == [("altered", 2, "r-2"), ("altered", 3, "r-3")]


RUN_ID = st.one_of(st.text(min_size=1, max_size=40), st.uuids().map(lambda one: one.hex))
WHEN = st.datetimes(timezones=st.just(UTC))
DIGEST = st.one_of(st.none(), st.binary(min_size=32, max_size=32).map(lambda one: f"sha256:{one.hex()}"))


@given(st.lists(st.tuples(RUN_ID, st.integers(1, 10**25), DIGEST, WHEN, st.dates(), st.booleans()), max_size=5))
def test_a_row_gives_back_what_it_was_made_of(given_):
    chain, expected = Chain(("risk", "r")), []
    for run_id, number, previous, at, day, deleted in given_:
        record = ManagementRecord(
            type="risk", id="r", revision=number, previous=previous, recorded_at=at, owner="O", valid_from=day
        )
        one = Shelved(record, record.canonical, run_id, deleted=deleted)
        chain.add(record, one, claimed=False, since=None)
        expected.append(Revision.of(Filed(record, run_id, deleted=deleted)))
        assert chain.holds(run_id) and not chain.holds(f"{run_id}0")
    assert [one for one, _ in chain.revisions()] == expected


def test_memory_grows_with_the_records_in_force_and_hardly_with_their_past():
    """A superseded revision costs a row of about 70 bytes; parsed it would cost 2,000 and more."""
    import tracemalloc

    def kept(revisions):
        tracemalloc.start()
        try:
            many = (one for n in range(20) for one in runs_of(f"r{n}", [(1, 0, False, False)] * revisions))
            reading = Reading(many, lambda _: None, since=BEGIN + timedelta(days=400))
            reading.problems.clear()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    kept(2)  # what is made once
    few, many = kept(2), kept(102)
    assert (many - few) / (20 * 100) < 150


def test_a_record_of_fewer_fields_reads_as_it_was_filed():
    """As an older version of this library filed it: the digest is that of its text, not of the text it would be now."""
    (only,) = runs_of("r", [(1, 0, False, False)])
    text = only.data.params["record.000"].replace('"approver":null,', "")
    from aims_mlflow.evidence import sha256_of

    older = run("older", {"sha256": sha256_of(f"{text}\n".encode()), "record.000": text})
    one = filed_of(older)
    assert one.record.digest == older.data.params["sha256"]
    assert one.record.approver is None and one.record.valid_from >= date(2026, 1, 1)
