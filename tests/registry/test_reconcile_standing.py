"""What the log says of who holds what, against who does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aims_mlflow.gate.entries import FailedEntry, FoundEntry, Level, MoveEntry, RegisteredEntry, Target
from aims_mlflow.registry.reconcile.standing import LogState, Standing, differences

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CHAMPION = Target(kind="alias", name="champion")
PRODUCTION = Target(kind="stage", name="Production")


class Log:
    """Entries one after the other."""

    def __init__(self):
        self.entries = []

    def add(self, kind, **fields):
        common = {"number": len(self.entries) + 1, "at": AT, "model": "m", "level": Level.ENFORCED}
        self.entries.append(kind(**common | fields))
        return self

    def move(self, version, target=CHAMPION, *, before=None, outcome="allow", mode="enforce", **more):
        fields = {"target": target, "operation": "op", "from_version": before, "outcome": outcome, "mode": mode}
        return self.add(MoveEntry, version=version, **fields, **more)

    def found(self, version, target=CHAMPION, *, before=None, reverted=False):
        return self.add(FoundEntry, version=version, target=target, from_version=before, finding="x", reverted=reverted)


def guarded(target):
    return target.name in {"champion", "Production"} or target.kind == "registration"


def compare(log, aliases=None, stages=None, **more):
    return differences(LogState.of(log.entries), Standing(aliases or {}, stages), model="m", guarded=guarded, **more)


def test_a_registry_the_log_explains_has_no_difference():
    log = Log().move("1").move("2", before="1").move("5", outcome="refuse", before="2")
    assert compare(log, {"champion": "2", "other": "9"}) == []


@pytest.mark.parametrize("now", ["3", "1"])
def test_an_alias_moved_past_the_gate_differs(now):
    log = Log().move("1").move("2", before="1").move("2", before="2")
    (found,) = compare(log, {"champion": now})
    assert (found.version, found.said, found.not_made) == (now, "2", None)


def test_an_alias_set_or_removed_past_the_gate_differs():
    assert compare(Log(), {"champion": "1"})[0].said is None
    log = Log().move("1").move("2", before="1")
    assert compare(log, {})[0].version is None


def test_a_refused_move_that_stands_in_the_registry_differs_and_an_observed_one_does_not():
    log = Log().move("1").move("2", before="1", outcome="refuse")
    assert compare(log, {"champion": "2"})[0].said == "1"
    log = Log().move("1").move("2", before="1", outcome="refuse", mode="observe")
    assert compare(log, {"champion": "2"}) == []


def test_a_move_that_was_never_made_is_told_from_one_past_the_gate():
    log = Log().move("1").move("2", before="1")
    (found,) = compare(log, {"champion": "1"})
    assert found.not_made.number == 2


def test_a_failed_move_changes_nothing():
    log = Log().move("1").move("2", before="1").add(FailedEntry, version="2", move=2, error="X")
    assert compare(log, {"champion": "1"}) == []
    assert compare(log, {"champion": "2"})[0].said == "1"


def test_a_removal_is_explained_and_one_that_was_never_made_is_seen():
    log = Log().move("1").move(None, before="1")
    assert compare(log, {}) == []
    assert compare(log, {"champion": "1"})[0].not_made.number == 2


def test_what_was_found_and_recorded_is_known_from_then_on():
    log = Log().move("1").found("2", before="1")
    assert compare(log, {"champion": "2"}) == []
    assert compare(log, {"champion": "3"})[0].said == "2"


def test_after_a_revert_the_log_says_what_it_said_before():
    log = Log().move("1").found("2", before="1", reverted=True)
    assert compare(log, {"champion": "1"}) == []
    assert compare(log, {"champion": "2"})[0].not_made is None


def test_a_move_under_way_is_no_difference():
    log = Log().move("1", at=AT - timedelta(hours=1)).move("2", before="1")
    settled = {"is_settled": lambda entry: entry.at < AT}
    assert compare(log, {"champion": "1"}, **settled) == []
    assert len(compare(log, {"champion": "1"})) == 1


def registered(log, *versions):
    for version in versions:
        log.add(RegisteredEntry, version=version)
    return log


def test_stages_are_held_against_the_moves_of_each_version():
    log = registered(Log(), "1", "2", "3").move("1", PRODUCTION).move("2", PRODUCTION, before="1")
    assert compare(log, {}, {"1": "Production", "2": "Production", "3": "None"}) == []
    (found,) = compare(log, {}, {"1": "Production", "2": "Production", "3": "Production"})
    assert (found.version, found.said, found.target) == ("3", None, PRODUCTION)


def test_a_version_archived_to_make_room_is_explained():
    log = registered(Log(), "1", "2").move("1", PRODUCTION).move("2", PRODUCTION, before="1")
    assert compare(log, {}, {"1": "Archived", "2": "Production"}) == []
    (found,) = compare(log, {}, {"1": "Staging", "2": "Production"})
    assert (found.version, found.said) == ("1", "Production")


def test_a_version_that_left_a_guarded_stage_past_the_gate_differs_once_it_was_there():
    log = registered(Log(), "1").move("1", PRODUCTION).move("1", PRODUCTION, before="1")
    (found,) = compare(log, {}, {"1": "Archived"})
    assert (found.said, found.not_made) == ("Production", None)


def test_a_stage_that_was_never_reached_or_left_is_a_move_not_made():
    log = registered(Log(), "1").move("1", PRODUCTION)
    assert compare(log, {}, {"1": "None"})[0].not_made.number == 2
    log.move("1", Target(kind="stage", name="Archived"), before="1")
    assert compare(log, {}, {"1": "Production"})[0].not_made.number == 3


def test_a_version_deleted_while_it_served_differs():
    log = registered(Log(), "1").move("1", PRODUCTION)
    (found,) = compare(log, {}, {})
    assert found.gone and found.said == "Production"


def test_a_version_made_past_the_gate_differs():
    (found,) = compare(registered(Log(), "1"), {}, {"1": "None", "2": "None"})
    assert (found.target.kind, found.version) == ("registration", "2")


def test_nothing_is_said_of_versions_that_were_not_read():
    log = Log().move("1", PRODUCTION)
    assert compare(log, {}, None) == []


def test_where_every_stage_is_guarded_a_version_in_none_is_where_it_began():
    def everything(target):
        return target.kind == "stage"

    log = Log()
    state, standing = LogState.of(log.entries), Standing({}, {"1": "None", "2": "Archived"})
    (found,) = differences(state, standing, model="m", guarded=everything)
    assert found.version == "2"
