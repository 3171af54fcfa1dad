"""The logs as evidence: A.8.4, 10.2 and 9.3.2 name what is overdue, and lapse when nobody looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aims_mlflow.assessment import Outcome
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config.models import Declaration
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import EvidenceStatus, Subject, Verdict
from aims_mlflow.management import incident_steps as steps
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.incident_log import log_of
from aims_mlflow.management.incidents import (
    CorrectiveAction,
    EffectivenessCheck,
    IncidentContent,
    LogReview,
    NonconformityContent,
    Notice,
)
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.projection.incidents import incidents
from aims_mlflow.management.state import Filed, State

CATALOG = load_catalog(())
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SYSTEMS = ("loans", "claims")


class Records:
    """Records filed one after the other."""

    def __init__(self):
        self.filed = []

    def file(self, type_id, content, *, at, id_=None, systems=(), **said):
        state = State.of(self.filed, at=at)
        made = draft(state, CATALOG, type_id, id=id_, content=content, owner="Head of AI", systems=systems,
                     known_systems=SYSTEMS, **said)  # fmt: skip
        self.filed.append(Filed(made, f"{len(self.filed):032d}"))
        return made

    def incident(self, *, at=AT, id_="INC-1", system="loans", **fields):
        content = IncidentContent(**{"title": "Scores shifted", "severity": "serious", "aware_at": at} | fields)
        return self.file("incident", content, at=at, id_=id_, systems=(system,))

    def review(self, type_id="incident_log", *, at=AT, systems=()):
        return self.file(type_id, LogReview(statement="nothing new"), at=at, id_=type_id, systems=systems)

    def state(self, at):
        return State.of(self.filed, at=at)

    def view(self, at, system="loans"):
        return View(self.state(at), CATALOG, system=system)

    def extract(self, at, system="loans", kind="incident"):
        found = [r for r in incidents(self.view(at, system)) if r.kind == kind and r.status is EvidenceStatus.OK]
        assert len(found) <= 1
        return found[0] if found else None

    def judged(self, at, system="loans"):
        """Row and requirement to its result."""
        evidence = evidence_of(self.view(at, system))
        found = evaluate(evidence, CATALOG, Declaration(), subject=Subject(system_id=system), at=at)
        rows = {f.id: f for f in found.findings}
        return {(row, check.requirement): check for row in ("A.8.4", "10.2", "9.3.2") for check in rows[row].checks}


@pytest.fixture
def records():
    return Records()


def test_an_empty_log_nobody_looks_at_shows_nothing(records):
    assert list(incidents(records.view(AT))) == []
    results = records.judged(AT)
    for place in (("A.8.4", "log"), ("10.2", "log"), ("9.3.2", "trends")):
        assert results[place].outcome is Outcome.MISSING


def test_an_empty_log_somebody_looked_through_passes_for_a_quarter(records):
    records.review()
    records.review("nonconformity_log")
    results = records.judged(AT + DAY)
    for place in (("A.8.4", "log"), ("10.2", "log"), ("9.3.2", "trends")):
        assert results[place].outcome is Outcome.PASS, results[place]
    later = records.judged(AT + 93 * DAY)
    assert {later[p].outcome for p in (("A.8.4", "log"), ("10.2", "log"))} == {Outcome.STALE}


def test_a_review_counts_from_the_day_it_was_made_however_late_it_is_filed(records):
    records.file("incident_log", LogReview(statement="x"), at=AT, id_="incident_log",
                 valid_from=(AT - 91 * DAY).date(), valid_until=(AT + 300 * DAY).date())  # fmt: skip
    assert records.judged(AT)[("A.8.4", "log")].outcome is Outcome.PASS
    assert records.judged(AT + 3 * DAY)[("A.8.4", "log")].outcome is Outcome.STALE


def test_an_open_serious_incident_in_time_is_no_failure_and_is_named_and_holds_until_its_clock_ends(records):
    records.incident(harm="death")
    extract = records.extract(AT + 9 * DAY)
    assert extract.verdict is Verdict.PASS
    assert "serious and open: INC-1 (open; running, due 2026-12-04 12:00 UTC); nothing is overdue" in extract.reason
    assert extract.valid_until == AT + 10 * DAY
    assert extract.captured_at == AT
    assert records.judged(AT + 10 * DAY)[("A.8.4", "log")].outcome is Outcome.PASS
    assert "INC-1" in records.judged(AT + 10 * DAY)[("A.8.4", "log")].reason


def test_a_clock_that_ran_out_fails_both_rows_and_is_named(records):
    records.incident(harm="death")
    results = records.judged(AT + 10 * DAY + timedelta(seconds=1))
    for place in (("A.8.4", "log"), ("9.3.2", "trends")):
        assert results[place].outcome is Outcome.FAIL
        assert "INC-1: notice to the authority (Art. 73(4)), due 2026-12-04 12:00 UTC" in results[place].reason
    assert results[("10.2", "log")].outcome is Outcome.MISSING


def test_a_failure_does_not_lapse_and_a_notice_mends_it(records):
    made = records.incident()
    assert records.judged(AT + 200 * DAY)[("A.8.4", "log")].outcome is Outcome.FAIL
    content = IncidentContent.model_validate(made.content)
    told = steps.notified(content, Notice(to="authority", at=AT + 16 * DAY), at=AT + 16 * DAY)
    records.file("incident", told, at=AT + 16 * DAY, id_="INC-1", systems=("loans",))
    result = records.judged(AT + 17 * DAY)[("A.8.4", "log")]
    assert result.outcome is Outcome.PASS
    assert "told late: INC-1" in result.reason
    # as of before the notice it still failed
    assert records.judged(AT + 16 * DAY - timedelta(hours=1))[("A.8.4", "log")].outcome is Outcome.FAIL


def test_an_action_that_is_overdue_fails_the_log_it_stands_in(records):
    content = NonconformityContent(title="No review", rows=("9.3.1",), found_at=AT)
    planned = steps.planned(content, CorrectiveAction(what="Hold it", owner="CEO", due=AT + 5 * DAY), at=AT)
    records.file("nonconformity", planned, at=AT, id_="NC-1")
    assert records.judged(AT + 5 * DAY)[("10.2", "log")].outcome is Outcome.PASS
    result = records.judged(AT + 6 * DAY)[("10.2", "log")]
    assert result.outcome is Outcome.FAIL
    assert "NC-1: action 1, due 2026-11-29" in result.reason
    done = steps.done(planned, 1, AT + 6 * DAY, at=AT + 6 * DAY)
    records.file("nonconformity", done, at=AT + 6 * DAY, id_="NC-1")
    assert records.judged(AT + 7 * DAY)[("10.2", "log")].outcome is Outcome.PASS


def test_what_is_closed_is_overdue_no_more(records):
    content = IncidentContent(title="x", severity="minor", aware_at=AT)
    made = steps.no_action(steps.explained(steps.corrected(content, "c", at=AT), "c", at=AT), "none", at=AT)
    made = steps.checked(made, EffectivenessCheck(at=AT, by="V", effective=True, how="h"), at=AT)
    records.file("incident", steps.closed(made, at=AT), at=AT, id_="INC-1", systems=("loans",))
    extract = records.extract(AT + DAY)
    assert (extract.verdict, extract.numbers["open"], extract.numbers["on_file"]) == (Verdict.PASS, 0, 1)


def test_another_systems_incident_is_not_this_ones_and_the_organization_sees_all(records):
    records.incident(system="claims")
    assert records.extract(AT + 99 * DAY, "loans") is None
    assert records.extract(AT + 99 * DAY, "claims").verdict is Verdict.FAIL
    assert records.extract(AT + 99 * DAY, None).verdict is Verdict.FAIL


def test_an_organizations_nonconformity_bears_on_every_system(records):
    content = NonconformityContent(title="No review", rows=("9.3.1",), found_at=AT)
    records.file("nonconformity", content, at=AT, id_="NC-1")
    for system in ("loans", "claims", None):
        assert records.extract(AT, system, "nonconformity").numbers["open"] == 1


def test_a_record_that_is_broken_is_an_error_and_never_a_pass(records):
    records.review()
    records.incident()
    whole = records.filed[-1]
    records.filed[-1] = Filed(whole.record, whole.run_id, deleted=True)
    results = records.judged(AT + DAY)
    assert results[("A.8.4", "log")].outcome is Outcome.ERROR
    assert "incident:INC-1: revision 1 was deleted" in results[("A.8.4", "log")].reason
    assert records.judged(AT + DAY, "claims")[("A.8.4", "log")].outcome is Outcome.PASS


def test_a_content_that_is_none_is_an_error(records):
    made = records.incident()
    broken = made.model_copy(update={"content": {**made.content, "status": "closed"}})
    records.filed[-1] = Filed(broken, "0" * 32)
    assert records.judged(AT + DAY)[("A.8.4", "log")].outcome is Outcome.ERROR


def test_a_withdrawn_one_counts_for_nothing_and_is_counted(records):
    records.review(at=AT - DAY)
    made = records.incident()
    records.file("incident", made.content, at=AT + DAY, id_="INC-1", systems=("loans",), withdrawn="opened twice")
    extract = records.extract(AT + 99 * DAY)
    assert (extract.numbers["withdrawn"], extract.numbers["on_file"]) == (1, 0)
    assert log_of("incident", records.state(AT + 99 * DAY)).withdrawn == ("INC-1",)


def test_the_extract_says_the_same_for_the_same_records_and_moment_and_holds_no_words_of_people(records):
    records.incident(title="Anna Example was refused")
    first, again = records.extract(AT + DAY), records.extract(AT + DAY)
    assert first.digest == again.digest
    assert b"Anna" not in first.canonical
    assert b"Head of AI" not in first.canonical


def test_removing_the_one_incident_changes_just_the_rows_that_rest_on_it(records):
    with_it = Records()
    for one in (records, with_it):
        one.review()
        one.review("nonconformity_log")
    with_it.incident()
    before, after = records.judged(AT + 30 * DAY), with_it.judged(AT + 30 * DAY)
    changed = {place for place in before if before[place].outcome is not after[place].outcome}
    assert changed == {("A.8.4", "log"), ("9.3.2", "trends")}
