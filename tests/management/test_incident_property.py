"""Whatever is done in whatever order: the record stays valid, and the gate agrees with it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "gate"))
from cases import CHAMPION, declaration, facts, sha, statement

from aims_mlflow.errors import InputError
from aims_mlflow.gate.decision import DecisionOutcome, decide
from aims_mlflow.gate.entries import HoldEntry, Level
from aims_mlflow.gate.holds import open_holds
from aims_mlflow.management import incident_steps as steps
from aims_mlflow.management.incident_clocks import clocks_of
from aims_mlflow.management.incidents import CorrectiveAction, EffectivenessCheck, IncidentContent, Notice

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def act(content, at):
    return steps.planned(content, CorrectiveAction(what="w", owner="o", due=at + 48 * HOUR), at=at)


def verified(content, at, effective):
    return steps.checked(content, EffectivenessCheck(at=at, by="b", effective=effective, how="h"), at=at)


STEPS = {
    "contain": lambda c, at: steps.corrected(c, "taken out", at=at),
    "explain": lambda c, at: steps.explained(c, "labels", at=at),
    "note": lambda c, at: steps.noted(c, "seen", at=at),
    "raise": lambda c, at: steps.rated(c, "serious", None, at=at),
    "lower": lambda c, at: steps.rated(c, "minor", "nobody was harmed", at=at),
    "lower in silence": lambda c, at: steps.rated(c, "minor", None, at=at),
    "death": lambda c, at: steps.described(c, harm="death", at=at),
    "earlier": lambda c, at: steps.described(c, aware_at=c.aware_at - HOUR, at=at),
    "tell": lambda c, at: steps.notified(c, Notice(to="authority", at=at), at=at),
    "tell users": lambda c, at: steps.notified(c, Notice(to="users", at=at), at=at),
    "not due": lambda c, at: steps.not_due(c, "no", at=at),
    "plan": act,
    "do": lambda c, at: steps.done(c, len(c.actions), at, at=at),
    "no action": lambda c, at: steps.no_action(c, "cannot come back", at=at),
    "check": lambda c, at: verified(c, at, True),
    "check in vain": lambda c, at: verified(c, at, False),
    "close": lambda c, at: steps.closed(c, at=at),
}
HANDLED = ["contain", "explain", "plan", "do", "tell", "check", "close"]


class Log:
    """A model's log, as holds and releases are written into it."""

    def __init__(self):
        self.entries = []

    def follow(self, content, at):
        """Bring it in line with the record: what open, update and close do."""
        standing = [one.entry for one in open_holds(self.entries)]
        if content.holds and not standing:
            self.add(at, "held", None)
        elif not content.holds:
            for entry in standing:
                self.add(at, "released", entry.digest)

    def add(self, at, state, releases):
        entry = HoldEntry(
            number=len(self.entries) + 1,
            at=at,
            model="credit",
            level=Level.ADVISED,
            state=state,
            incident="INC-1",
            severity="serious",
            person="Ann",
            record_sha256=sha("record"),
            releases=releases,
        )
        self.entries.append(entry)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["minor", "major", "serious"]),
    st.lists(st.sampled_from([*STEPS, *HANDLED]), max_size=20),
    st.booleans(),
)
def test_any_sequence_of_steps_keeps_the_record_valid_and_the_gate_in_line(severity, names, handled):
    names = [*names, *HANDLED, "raise", "note"] if handled else names
    log, at = Log(), START
    content = IncidentContent(title="t", severity=severity, aware_at=START)
    log.follow(content, at)
    for name in names:
        at += HOUR
        before = content
        try:
            content = STEPS[name](content, at)
        except InputError as error:
            assert error.message
            assert content is before
        else:
            assert len(content.log) == len(before.log) + 1
        # the record is valid, is read back as it was, and never opens again
        assert IncidentContent.model_validate(content.model_dump(mode="json")) == content
        assert not (before.is_closed and not content.is_closed)
        assert (content.status == "closed") == content.is_closed
        assert not content.is_closed or not list(content.lacking())
        assert all(clock.state != "overdue" or clock.due < at for clock in clocks_of(content, at))
        # the gate says the same
        log.follow(content, at)
        fresh = statement(assessed_at=at - HOUR)
        decision = decide(facts(fresh), CHAMPION, log.entries, declaration(), at=at)
        is_open_and_serious = content.severity == "serious" and content.status != "closed"
        assert (decision.outcome is DecisionOutcome.REFUSE) == is_open_and_serious
        assert [p.id for p in decision.problems] == ["held"] * is_open_and_serious
