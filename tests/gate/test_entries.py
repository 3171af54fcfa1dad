"""Entries of the transition log: one text, one digest, and what is seen when they are changed."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import sha256_of
from aims_mlflow.gate.entries import (
    MAX_CHARS,
    Actor,
    FailedEntry,
    FoundEntry,
    Level,
    MoveEntry,
    RegisteredEntry,
    RenamedEntry,
    ReviewEntry,
    Target,
    name_after,
    read_entry,
    read_link,
    without_replays,
    write_entry,
)
from aims_mlflow.gate.signing import new_key

AT = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
TARGET = Target(kind="alias", name="champion")
BASE = {"number": 1, "at": AT, "model": "credit", "version": "3", "level": Level.ENFORCED}
MOVE = MoveEntry(**BASE, target=TARGET, operation="set_registered_model_alias", outcome="allow", mode="enforce")
REVIEW = ReviewEntry(**BASE, decision="approve", person="Ann", model_sha256=sha256_of(b"m"), nonce="n1")
ENTRIES = [
    MOVE,
    REVIEW,
    FailedEntry(**BASE, move=1, error="RESOURCE_DOES_NOT_EXIST"),
    RegisteredEntry(**BASE, source="models:/m-1"),
    FoundEntry(**BASE, target=TARGET, from_version="2", finding="moved past the gate"),
    RenamedEntry(**BASE, to="credit-eu"),
]
texts = st.text(max_size=60).filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.type)
def test_every_kind_is_read_back_as_it_was_written(entry):
    text = write_entry(entry)
    assert read_entry(text) == entry
    assert read_entry(text).digest == entry.digest
    assert read_link(text, number=1, previous=None, model="credit") == entry


@given(reason=texts, name=texts, model=texts.filter(bool))
def test_whatever_people_write_is_read_back_with_the_same_digest(reason, name, model):
    entry = MOVE.model_copy(update={"reason": reason, "actor": Actor(name=name), "model": model})
    again = read_entry(write_entry(entry))
    assert (again, again.digest) == (entry, entry.digest)


def test_half_a_surrogate_pair_would_not_be_read_back_so_it_is_not_written():
    with pytest.raises(EvidenceError):
        write_entry(MOVE.model_copy(update={"reason": "half \ud83d"}))


def test_null_is_not_written_so_a_field_added_later_leaves_the_digests_of_older_entries():
    assert "null" not in write_entry(MOVE)
    plain = json.loads(write_entry(MOVE))
    assert MoveEntry.model_validate(plain | {"from_version": None, "nonce": None}).digest == MOVE.digest


def test_what_does_not_fit_is_refused_and_the_problems_of_a_move_are_cut():
    with pytest.raises(EvidenceError, match="does not fit"):
        write_entry(MOVE.model_copy(update={"problems": ("x" * 100,) * 80}))
    cut = MOVE.model_copy(update={"problems": tuple(f"{n}: " + "x" * 100 for n in range(80))}).fitted(MAX_CHARS)
    assert write_entry(cut)
    assert 40 < len(cut.problems) < 80
    assert cut.problems[-1] == f"and {80 - len(cut.problems) + 1} more"
    assert MOVE.fitted(MAX_CHARS) == MOVE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"number": 2}, "number 2"),
        ({"previous": sha256_of(b"other")}, "does not follow"),
        ({"model": "other"}, "another model"),
    ],
)
def test_an_entry_in_the_wrong_place_is_seen(change, says):
    text = write_entry(MOVE.model_copy(update=change))
    with pytest.raises(EvidenceError, match=says):
        read_link(text, number=1, previous=None, model="credit")


@pytest.mark.parametrize("spoil", [lambda t: t + " ", lambda t: t.replace(":", ": ", 1), lambda t: '{"a":1,' + t[1:]])
def test_another_spelling_of_the_same_entry_is_an_alteration(spoil):
    with pytest.raises(EvidenceError):
        read_link(spoil(write_entry(MOVE)), number=1, previous=None, model="credit")


@given(st.text(max_size=200) | st.binary(max_size=50).map(lambda b: b.decode("latin-1")))
def test_anything_else_is_no_entry(text):
    with pytest.raises(EvidenceError):
        read_entry(text)


def test_a_signature_covers_all_but_the_place_in_the_log():
    key = new_key()
    signed = REVIEW.signed(key)
    moved = signed.model_copy(update={"number": 9, "previous": sha256_of(b"p")})
    assert signed.is_signed()
    assert moved.is_signed()
    for change in (
        {"person": "Bob"},
        {"decision": "reject"},
        {"version": "4"},
        {"model": "other"},
        {"targets": ("x",)},
        {"valid_until": AT + timedelta(days=1)},
        {"nonce": "n2"},
        {"key": new_key().public},
        {"signature": None},
    ):
        assert not signed.model_copy(update=change).is_signed(), change
    assert not REVIEW.is_signed()


def test_a_signed_entry_that_was_copied_counts_once():
    signed = REVIEW.signed(new_key())
    copy = signed.model_copy(update={"number": 5, "previous": sha256_of(b"p")})
    assert without_replays([MOVE, signed, MOVE, copy]) == [MOVE, signed, MOVE]


def test_the_log_goes_on_under_the_new_name():
    assert [name_after(e) for e in ENTRIES] == ["credit"] * 5 + ["credit-eu"]
