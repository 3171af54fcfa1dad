"""All 70 rows of the register against the records: none, one of every type, and each of them away, back or aged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from every_record import (
    AT,
    CATALOG,
    LATER,
    PLAIN,
    SPOKEN_ON,
    SYSTEM,
    TYPED,
    TYPES,
    every_record,
    first,
    judge,
    withdrawal,
)

from aims_mlflow.assessment import Outcome, Status
from aims_mlflow.config.models import Declaration
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import Subject

# Row: strength; status with no record; status with one record of every type and no run; requirements unmet even then.
EXPECTED = {
    "4.1": ("attested", "needs-attestation", "satisfied", ""),
    "4.2": ("attested", "needs-attestation", "satisfied", ""),
    "4.3": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "4.4": ("attested", "needs-attestation", "satisfied", ""),
    "5.1": ("attested", "needs-attestation", "satisfied", ""),
    "5.2": ("attested", "needs-attestation", "satisfied", ""),
    "5.3": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "6.1.1": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "6.1.2": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "6.1.3": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "6.1.4": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "6.2": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "6.3": ("assisted", "needs-attestation", "needs-attestation", "rules_as_code"),
    "7.1": ("attested", "needs-attestation", "satisfied", ""),
    "7.2": ("attested", "needs-attestation", "satisfied", ""),
    "7.3": ("attested", "needs-attestation", "satisfied", ""),
    "7.4": ("attested", "needs-attestation", "satisfied", ""),
    "7.5.1": ("assisted", "no-evidence", "no-evidence", "run"),
    "7.5.2": ("assisted", "needs-attestation", "needs-attestation", "rules_as_code"),
    "7.5.3": ("assisted", "no-evidence", "satisfied", ""),
    "8.1": ("assisted", "no-evidence", "no-evidence", "decision monitoring"),
    "8.2": ("assisted", "no-evidence", "no-evidence", "version"),
    "8.3": ("assisted", "no-evidence", "no-evidence", "decision"),
    "8.4": ("assisted", "no-evidence", "no-evidence", "version"),
    "9.1": ("assisted", "no-evidence", "no-evidence", "monitoring live_drift"),
    "9.2.1": ("assisted", "no-evidence", "no-evidence", "run"),
    "9.2.2": ("attested", "needs-attestation", "satisfied", ""),
    "9.3.1": ("attested", "needs-attestation", "satisfied", ""),
    "9.3.2": ("assisted", "no-evidence", "satisfied", ""),
    "9.3.3": ("attested", "needs-attestation", "satisfied", ""),
    "10.1": ("assisted", "no-evidence", "satisfied", ""),
    "10.2": ("assisted", "no-evidence", "satisfied", ""),
    "A.2.2": ("attested", "needs-attestation", "satisfied", ""),
    "A.2.3": ("attested", "needs-attestation", "satisfied", ""),
    "A.2.4": ("attested", "needs-attestation", "satisfied", ""),
    "A.3.2": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "A.3.3": ("attested", "needs-attestation", "satisfied", ""),
    "A.4.2": ("assisted", "no-evidence", "no-evidence", "software content"),
    "A.4.3": ("assisted", "no-evidence", "no-evidence", "content tested_data datasheet"),
    "A.4.4": ("automatic", "no-evidence", "no-evidence", "software run"),
    "A.4.5": ("assisted", "no-evidence", "no-evidence", "platform usage"),
    "A.4.6": ("attested", "needs-attestation", "satisfied", ""),
    "A.5.2": ("attested", "needs-attestation", "satisfied", ""),
    "A.5.3": ("assisted", "no-evidence", "no-evidence", "version"),
    "A.5.4": ("assisted", "no-evidence", "no-evidence", "groups declared"),
    "A.5.5": ("attested", "needs-attestation", "satisfied", ""),
    "A.6.1.2": ("assisted", "needs-attestation", "needs-attestation", "declared"),
    "A.6.1.3": ("assisted", "no-evidence", "no-evidence", "run declared"),
    "A.6.2.2": ("assisted", "no-evidence", "no-evidence", "model declared"),
    "A.6.2.3": ("assisted", "no-evidence", "no-evidence", "run lineage software"),
    "A.6.2.4": ("automatic", "no-evidence", "no-evidence", "model pass_marks groups data_fit"),
    "A.6.2.5": ("automatic", "no-evidence", "no-evidence", "conditions release"),
    "A.6.2.6": ("automatic", "no-evidence", "no-evidence", "window live_quality live_drift"),
    "A.6.2.7": ("assisted", "no-evidence", "no-evidence", "model lineage declared"),
    "A.6.2.8": ("assisted", "no-evidence", "no-evidence", "events"),
    "A.7.2": ("assisted", "no-evidence", "no-evidence", "tested_data lineage"),
    "A.7.3": ("assisted", "no-evidence", "no-evidence", "content datasheet"),
    "A.7.4": ("automatic", "no-evidence", "no-evidence", "tested_data rules_met representative content"),
    "A.7.5": ("assisted", "no-evidence", "no-evidence", "content lineage run datasheet"),
    "A.7.6": ("assisted", "no-evidence", "no-evidence", "run tested_data datasheet"),
    "A.8.2": ("assisted", "no-evidence", "no-evidence", "model declared"),
    "A.8.3": ("attested", "needs-attestation", "satisfied", ""),
    "A.8.4": ("assisted", "no-evidence", "satisfied", ""),
    "A.8.5": ("attested", "needs-attestation", "satisfied", ""),
    "A.9.2": ("attested", "needs-attestation", "satisfied", ""),
    "A.9.3": ("attested", "needs-attestation", "satisfied", ""),
    "A.9.4": ("assisted", "no-evidence", "no-evidence", "declared in_use inputs_as_intended"),
    "A.10.2": ("attested", "needs-attestation", "satisfied", ""),
    "A.10.3": ("assisted", "no-evidence", "no-evidence", "components"),
    "A.10.4": ("attested", "needs-attestation", "satisfied", ""),
}

KINDS_OF = {
    "access_list": {"access_list"},
    "retention": {"retention"},
    "incident": {"incident"},
    "incident_log": {"incident"},
    "nonconformity": {"nonconformity"},
    "nonconformity_log": {"nonconformity"},
    "gap": {"gap_assessment"},
}
"""Record types that become evidence of a kind of their own."""
LOGS = {"incident", "incident_log", "nonconformity", "nonconformity_log"}
"""Their evidence is the log as a whole: without one entry of several, the rest still is a log somebody keeps."""


def words(value):
    return {value} if isinstance(value, str) else set(value)


def requirements_on(type_id):
    """Row and requirement that ask for records of a type: worked out from the register alone."""
    topics = set(TYPES["risk" if type_id == "risk_criteria" else type_id].topics)  # risks are weighed by the criteria
    kinds = KINDS_OF.get(type_id, set())
    return {
        (row.id, need.id)
        for row in CATALOG.rows.values()
        for need in row.requires
        if topics & words(need.where.get("topic", ())) or kinds & set(need.evidence)
    }


def changed(before, after):
    """Rows whose finding is another one, and requirements whose result is."""
    rows = {row for row in before if before[row] != after[row]}
    needs = {
        (row, one.requirement)
        for row in rows
        for one, other in zip(before[row].checks, after[row].checks, strict=True)
        if one != other
    }
    return rows, needs


def outcomes(findings, needs):
    return {check.outcome for row, need in needs for check in findings[row].checks if check.requirement == need}


@pytest.fixture(scope="module")
def nothing():
    return judge([])


@pytest.fixture(scope="module", params=[PLAIN, TYPED], ids=["plain statements", "typed records"])
def whole(request):
    records = every_record(request.param)
    return records, judge(records.values())


def test_the_table_is_the_register():
    assert list(EXPECTED) == list(CATALOG.ids)
    assert len(EXPECTED) == 70


@pytest.mark.parametrize("row_id", EXPECTED)
def test_with_no_records_every_row_says_what_is_missing_and_what_to_do(row_id, nothing):
    finding, row = nothing[row_id], CATALOG.rows[row_id]
    strength, status, _, _ = EXPECTED[row_id]
    assert (finding.strength, finding.status) == (strength, status)
    for need, check in zip(row.requires, finding.checks, strict=True):
        assert check.outcome is Outcome.MISSING
        named = words(need.where.get("topic", ())) or {kind.replace("_", " ") for kind in need.evidence}
        named |= {"training dataset"} if need.check == "DQ002" else set()  # it looks for the data first
        assert any(name in check.reason for name in named), check.reason
    assert finding.next_step in {need.remedy for need in row.requires}
    assert finding.next_step.strip()
    assert any(need.what in finding.reason for need in row.requires)


@pytest.mark.parametrize("row_id", EXPECTED)
def test_with_every_record_each_row_stands_as_expected(row_id, whole):
    finding = whole[1][row_id]
    strength, _, status, unmet = EXPECTED[row_id]
    open_ = [check.requirement for check in finding.checks if check.outcome is not Outcome.PASS]
    assert (finding.strength, finding.status, open_) == (strength, status, unmet.split()), finding.reason
    if status == Status.SATISFIED:
        assert finding.evidence
        assert finding.basis in ("attested", "reported")
        assert finding.valid_until is not None


def test_every_record_rests_under_some_row_or_under_none_on_purpose():
    assert {name for name in TYPES if not requirements_on(name)} == {"system"}


@pytest.mark.parametrize("type_id", TYPES)
@pytest.mark.parametrize("what", ["removed", "withdrawn", "aged", "deleted"])
def test_without_one_record_exactly_the_rows_change_that_rest_on_it(type_id, what):
    records = every_record(PLAIN if type_id in SPOKEN_ON else TYPED)
    before = judge(records.values())
    one = records.pop(type_id)
    if what == "withdrawn":
        records |= {type_id: one, "": withdrawal(one)}
    elif what == "aged":
        records[type_id] = first(type_id, valid_until=(LATER - timedelta(days=5)).date())
    elif what == "deleted":
        records[type_id] = type(one)(one.record, one.run_id, deleted=True)
    after = judge(records.values())
    rows, needs = changed(before, after)
    asked = requirements_on(type_id)
    if (type_id, what) == ("system", "deleted"):  # an assessment of what cannot be read any more does not hold
        asked = requirements_on("impact")
    assert needs == asked
    assert rows == {row for row, _ in asked}
    expected = {
        "removed": {Outcome.MISSING},
        "withdrawn": {Outcome.MISSING},
        "aged": {Outcome.STALE},
        "deleted": {Outcome.STALE if type_id == "system" else Outcome.ERROR},
    }[what]
    if type_id in LOGS or (
        type_id in ("access_list", "retention", "risk_criteria") and what in ("removed", "withdrawn")
    ):
        expected = expected | {Outcome.PASS}  # another record serves as well, or the criteria as shipped
    assert outcomes(after, asked) <= expected


@pytest.mark.parametrize("kind", ["access_list", "retention"])
def test_an_extract_alone_carries_its_row_and_its_end_ends_it(kind):
    others = {name: one for name, one in every_record(PLAIN).items() if name not in ("access_list", "retention")}
    asked = requirements_on(kind)
    for until, outcome in ((LATER + timedelta(days=1), Outcome.PASS), (LATER - timedelta(days=1), Outcome.STALE)):
        found = judge([*others.values(), first(kind, valid_until=until.date())])
        assert outcomes(found, asked) == {outcome}
    assert outcomes(judge(others.values()), asked) == {Outcome.MISSING}


@pytest.mark.parametrize("kind", ["incident_log", "nonconformity_log"])
def test_a_log_nobody_wrote_into_since_serves_as_long_as_its_review(kind):
    asked = requirements_on(kind)
    for until, outcome in ((LATER + timedelta(days=1), Outcome.PASS), (LATER - timedelta(days=1), Outcome.STALE)):
        assert outcomes(judge([first(kind, valid_until=until.date())]), asked) == {outcome}
    later = first(kind.removesuffix("_log"), at=AT + timedelta(days=1))
    aged = first(kind, valid_until=(LATER - timedelta(days=1)).date())
    assert outcomes(judge([aged, later]), asked) == {Outcome.PASS}


def test_an_extract_is_reported_and_never_measured(whole):
    assert whole[1]["7.5.3"].basis == "attested"
    protection = next(check for check in whole[1]["7.5.3"].checks if check.requirement == "protection")
    assert protection.basis == "reported"


def test_an_extract_that_says_it_failed_is_no_pass():
    records = every_record(PLAIN) | {
        "access_list": first("access_list", content={"statement": "Leavers still have access.", "verdict": "fail"})
    }
    finding = judge(records.values())["7.5.3"]
    assert finding.status is Status.NOT_SATISFIED
    assert "Leavers" not in finding.reason


def test_an_extract_that_starts_later_counts_from_its_day_only():
    begins = (LATER + timedelta(days=2)).date()
    coming = first("access_list", valid_from=begins)
    assert outcomes(judge([coming]), requirements_on("access_list")) == {Outcome.MISSING}
    later = judge([coming], at=LATER + timedelta(days=3))
    assert outcomes(later, requirements_on("access_list")) == {Outcome.PASS}


@pytest.mark.parametrize("lacking", ["document", "approver"])
def test_a_statement_without_what_a_row_needs_does_not_meet_it_and_meets_the_others(lacking):
    topics = [name for name, kind in TYPES.items() if kind.is_topic]
    records = {name: first(name, **{lacking: None}) for name in topics}
    found = judge(records.values())
    for row in CATALOG.rows.values():
        for need, check in zip(row.requires, found[row.id].checks, strict=True):
            if need.check == "AT001":
                wanted = lacking in words(need.where.get("needs", ()))
                assert check.outcome is (Outcome.MISSING if wanted else Outcome.PASS), (row.id, check.reason)
                assert not wanted or lacking in check.reason


@pytest.mark.parametrize("type_id", sorted(set(PLAIN) - SPOKEN_ON - set(KINDS_OF) - {"system", "risk_criteria"}))
def test_a_systems_own_record_takes_the_organizations_place_for_that_system_only(type_id):
    own = first(type_id, id="own", systems=(SYSTEM,), approver=None, document=None, valid_until=LATER.date())
    lapsed = LATER + timedelta(days=1)
    both = [first(type_id), own]
    assert outcomes(judge(both, at=lapsed), requirements_on(type_id)) <= {Outcome.STALE, Outcome.MISSING}
    assert outcomes(judge(both, at=lapsed, system="other"), requirements_on(type_id)) == {Outcome.PASS}


def test_a_new_edition_filed_ahead_leaves_the_old_one_in_force_until_its_day():
    from aims_mlflow.management.drafting import draft
    from aims_mlflow.management.state import Filed, State

    old = first("ai_policy")
    begins = LATER + timedelta(days=10)
    new = Filed(
        draft(
            State.of([old], at=AT + timedelta(days=1)),
            CATALOG,
            "ai_policy",
            content={"statement": "The new one."},
            owner="Head of AI",
            valid_from=begins.date(),
        )
    )
    needs = requirements_on("ai_policy")
    assert outcomes(judge([old, new]), needs) == {Outcome.PASS}
    after = judge([old, new], at=begins)
    assert outcomes(after, needs) == {Outcome.MISSING}  # the new one names neither document nor approver


def test_evidence_of_the_records_is_the_same_whenever_it_is_read():
    from aims_mlflow.management.projection import View, evidence_of
    from aims_mlflow.management.state import State

    for types in (PLAIN, TYPED):
        filed = list(every_record(types).values())
        found = [
            [one.digest for one in evidence_of(View(State.of(order, at=LATER), CATALOG, system=SYSTEM))]
            for order in (filed, filed[::-1])
        ]
        assert found[0] == found[1]
        assert len(set(found[0])) == len(found[0])


def test_nothing_a_record_says_reaches_a_row_that_does_not_ask_for_it():
    for name in TYPES:
        found = judge([first(name)])
        met = {(row, c.requirement) for row, f in found.items() for c in f.checks if c.outcome is not Outcome.MISSING}
        assert met <= requirements_on(name), name


def test_an_assessment_of_no_run_at_all_is_never_a_pass():
    judged = evaluate([], CATALOG, Declaration(), subject=Subject(), at=AT)
    assert judged.counts["satisfied"] == 0
