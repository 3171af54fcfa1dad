"""The risk register: what is wanting with a risk, in what order they stand, and what they are evidence of."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_kit import AT, CATALOG, FILED_AT, MODEL, RISK, ROWS, SYSTEM, Book

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import EvidenceStatus, Verdict
from aims_mlflow.management.risk_register import TOPICS, criteria_in_force, next_review, register_of
from aims_mlflow.management.risks import SCALE, RiskContent, risk_data
from aims_mlflow.management.state import Filed, State

RESTS_ON_RISKS = {"6.1.3", "8.2", "8.3"}
WHOLE = dict.fromkeys(ROWS, "satisfied") | {
    "8.4": "needs-attestation",
    "A.5.3": "needs-attestation",
    "A.5.4": "needs-attestation",
    "A.5.5": "needs-attestation",
}
"""With risks in order and no impact assessment."""
BARE = WHOLE | dict.fromkeys(RESTS_ON_RISKS, "needs-attestation")
"""Without either."""


def codes(book, at=AT, **how):
    return [(fault.risk, fault.code) for fault in register_of(book.state(at), CATALOG, SYSTEM, **how).faults]


def test_without_a_risk_every_row_of_risk_says_that_its_statement_is_missing():
    assert Book().statuses() == BARE


def test_risks_that_are_weighed_treated_and_accepted_meet_the_rows_of_risk_and_no_other():
    book = Book()
    book.risk()
    assert book.statuses() == WHOLE
    assert codes(book) == []


def test_the_evidence_names_the_register_by_digest_its_people_and_the_first_review():
    book = Book()
    book.risk("R-1")
    book.risk("R-2", review_by=date(2027, 1, 10), owner="Ann Lee", at=FILED_AT + timedelta(hours=1))
    found = {one.topic: one for one in book.evidence()}
    assert set(found) == set(TOPICS)
    for one in found.values():
        assert one.document.title == "Risk register"
        assert one.document.sha256 == register_of(book.state(), CATALOG, SYSTEM).sha256
        assert (one.verdict, one.owner) == (Verdict.RECORDED, "Ann Lee, Risk office")
        assert one.valid_until.date() == date(2027, 1, 10)
        assert one.captured_at == FILED_AT  # as old as the risk looked at longest ago
        assert one.parameters["records"] == ["risk:R-1", "risk:R-2"]
    assert found["risk_treatment_plan"].approver == "Head of credit"


@pytest.mark.parametrize(
    ("changes", "code", "open_rows"),
    [
        ({"treatment": "undecided"}, "untreated above the limit", {"6.1.3", "8.3"}),
        ({"treatment": "undecided", "likelihood": 1}, "untreated", {"6.1.3", "8.3"}),
        ({"actions": (), "controls": ()}, "no measures", {"6.1.3", "8.3"}),
        ({"controls": ("A.7.44",)}, "unknown control", {"6.1.3", "8.3"}),
        ({"accepted_by": None}, "not accepted", {"6.1.3"}),
        ({"accepted_by": "  "}, "not accepted", {"6.1.3"}),
        ({"treatment": "accept", "accepted_by": None}, "accepted without a name", {"6.1.3", "8.3"}),
        ({"residual_likelihood": 2}, "above the limit", {"6.1.3"}),
        ({"treatment": "accept"}, "above the limit", {"6.1.3"}),
        ({"status": "open"}, "without result", {"8.3"}),
        ({"results": ""}, "without result", {"8.3"}),
        ({"status": "closed", "results": " "}, "without result", {"8.3"}),
        ({"news": ("drift failed",)}, "not weighed", RESTS_ON_RISKS),
    ],
)
def test_what_is_wanting_opens_the_rows_that_rest_on_it_and_is_named_there(changes, code, open_rows):
    book = Book()
    book.risk("R-0")
    book.risk("R-1", **changes)
    assert codes(book) == [("R-1", code)]
    found = book.findings()
    for row in RESTS_ON_RISKS:
        assert (str(found[row].status) != "satisfied") == (row in open_rows), row
        if row in open_rows:
            assert "risk R-1: " in found[row].reason


def test_a_risk_nobody_answers_for_is_no_assessed_risk():
    book = Book()
    book.risk(owner="unassigned")
    assert codes(book) == [("R-1", "no owner")]
    assert book.statuses() == BARE


def test_with_a_reason_what_lies_above_the_limit_may_be_accepted():
    book = Book()
    book.risk(treatment="accept", accepted_because="The use ends in spring.")
    assert book.statuses() == WHOLE


def test_an_overdue_review_makes_the_rows_stale_and_is_named():
    book = Book()
    book.risk("R-1", review_by=date(2026, 11, 22))
    book.risk("R-2")
    assert codes(book) == [("R-1", "overdue")]
    found = book.findings()
    for row in RESTS_ON_RISKS:
        assert found[row].status == "stale"
        assert "lapsed on 2026-11-22: risk R-1: its review was due on 2026-11-22" in found[row].reason
    assert book.statuses(at=FILED_AT + timedelta(days=1, hours=4)) != WHOLE  # the run is later than that
    assert codes(book, at=FILED_AT + timedelta(days=2)) == []


def test_a_closed_risk_asks_for_no_review_and_no_acceptance():
    book = Book()
    book.risk(status="closed", review_by=date(2026, 11, 21), accepted_by=None)
    assert codes(book) == []
    assert book.statuses() == WHOLE | {"6.1.3": "needs-attestation"}
    assert "it names no approver" in book.findings()["6.1.3"].reason
    book.risk(status="closed", at=FILED_AT + timedelta(hours=1))
    assert book.statuses() == WHOLE


def test_results_older_than_a_quarter_are_stale_and_the_assessment_of_them_is_not():
    book = Book()
    book.risk(at=AT - timedelta(days=100), review_by=date(2027, 2, 1))
    found = book.statuses()
    assert (found["8.2"], found["6.1.3"], found["8.3"]) == ("satisfied", "satisfied", "stale")


def test_a_new_risk_does_not_make_an_old_one_look_fresh():
    book = Book()
    book.risk("R-1", at=AT - timedelta(days=100))
    book.risk("R-2")
    assert book.statuses()["8.3"] == "stale"


def test_a_deleted_or_unreadable_risk_is_an_error_even_where_all_others_are_in_order():
    book = Book()
    gone = book.risk("R-1")
    book.risk("R-2", at=FILED_AT + timedelta(days=1))
    book.filed[0] = Filed(gone.record, gone.run_id, deleted=True)
    found = book.findings()
    assert {str(found[row].status) for row in RESTS_ON_RISKS} == {"error"}
    assert "risk R-1: revision 1 was deleted" in found["8.2"].reason
    strange = gone.record.model_copy(update={"content": dict(gone.record.content, source="bad luck")})
    book.filed[0] = Filed(strange, gone.run_id)
    found = book.findings()
    assert {str(found[row].status) for row in RESTS_ON_RISKS} == {"error"}
    assert "there is no source of risk 'bad_luck'" in found["8.2"].reason
    assert all(one.status is EvidenceStatus.ERROR for one in book.evidence() if one.topic in TOPICS)


def test_risks_of_the_organization_bear_on_every_system_and_those_of_another_do_not():
    book = Book()
    book.risk("R-1")
    book.risk("R-2", systems=("other",), treatment="undecided")
    assert book.statuses() == WHOLE
    book.risk("R-3", systems=(), treatment="undecided")
    assert book.statuses()["6.1.3"] == "needs-attestation"


def test_a_plain_statement_does_not_outdo_the_register():
    from good_run import attestation

    later = [attestation(topic) for topic in TOPICS]
    assert {str(Book().findings(more=later)[row].status) for row in RESTS_ON_RISKS} == {"satisfied"}
    book = Book()
    book.risk(treatment="undecided", news=("drift failed",))
    found = book.findings(more=later)
    assert {str(found[row].status) for row in RESTS_ON_RISKS} == {"needs-attestation"}
    lapsed = [attestation(topic, valid_until=AT - timedelta(days=1)) for topic in TOPICS]
    whole = Book()
    whole.risk()
    assert {str(whole.findings(more=lapsed)[row].status) for row in RESTS_ON_RISKS} == {"satisfied"}


def test_statements_in_a_run_that_claim_to_be_the_register_are_never_taken_from_it():
    from aims_mlflow.management.projection import is_projected

    book = Book()
    book.risk()
    forged = [one.model_copy(update={"method": "Mine."}) for one in book.evidence()]
    assert forged
    assert all(is_projected(one) for one in forged)


def test_the_list_starts_with_high_risk_systems_then_the_highest_level_that_stands():
    book = Book()
    book.system()
    book.file("system", "other", {"name": "Other", "risk_class": "minimal"})
    book.risk("a", systems=("other",), likelihood=5, consequence=5, status="open")
    book.risk("b", status="treated")
    book.risk("c", status="open")
    book.risk("d", systems=(), status="closed")
    lines = register_of(book.state(), CATALOG, every=True).lines
    assert [(line.id, line.left, line.is_high_risk) for line in lines] == [
        ("c", 12, True),
        ("b", 4, True),
        ("a", 25, False),
        ("d", 4, False),
    ]
    sums = register_of(book.state(), CATALOG, every=True).summary(SYSTEM)
    assert (sums.risks, sums.live, sums.highest, sums.bands["high"], sums.wanting) == (2, 2, 12, 1, 1)
    assert register_of(book.state(), CATALOG, every=True).summary(None).live == 0


def test_the_criteria_are_a_record_of_the_organization_and_decide_what_is_tolerable():
    book = Book()
    book.risk(treatment="accept")  # level 12
    assert book.statuses()["6.1.3"] == "needs-attestation"
    criteria = risk_data().criteria.model_dump(mode="json")
    book.file("risk_criteria", "criteria", criteria | {"tolerable": 12}, owner="Board")
    assert criteria_in_force(book.state(), CATALOG).tolerable == 12
    assert book.statuses() == WHOLE
    broken = book.filed[-1]
    book.filed[-1] = Filed(broken.record, broken.run_id, deleted=True)
    assert {book.statuses()[row] for row in RESTS_ON_RISKS} == {"error"}


@pytest.mark.parametrize(
    "bands",
    [
        [],
        [{"name": "low", "least": 2, "review_days": 9}],
        [{"name": "low", "least": 1, "review_days": 9}, {"name": "high", "least": 1, "review_days": 9}],
        [{"name": "low", "least": 1, "review_days": 0}],
        [{"name": "low", "least": 26, "review_days": 3}],
    ],
)
def test_criteria_that_do_not_cover_the_scale_are_refused(bands):
    with pytest.raises(InputError):
        Book().file("risk_criteria", "criteria", {"tolerable": 6, "bands": bands})


def test_every_level_has_a_band_and_a_higher_one_is_looked_at_no_later():
    criteria = risk_data().criteria
    levels = sorted({a * b for a in range(1, SCALE + 1) for b in range(1, SCALE + 1)})
    days = [(next_review(criteria, level, date(2027, 1, 1)) - date(2027, 1, 1)).days for level in levels]
    assert days == sorted(days, reverse=True)
    assert {criteria.band(level).name for level in levels} == {"low", "moderate", "high", "severe"}


def test_the_vocabulary_is_data_and_every_rule_uses_its_words_and_known_controls():
    data = risk_data()
    assert len(data.sources) == 13
    for rule in data.rules.values():
        assert rule.source in data.sources
        assert set(rule.controls) <= set(CATALOG.rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"likelihood": 6}, "likelihood: Input should be less than or equal to 5"),
        ({"consequence": 0}, "consequence: Input should be greater than or equal to 1"),
        ({"source": "trainig data"}, "Did you mean training_data?"),
        ({"source": "weather"}, "There are: environment_complexity"),
        ({"residual_likelihood": None}, "a likelihood and a consequence, or neither"),
        ({"residual_likelihood": 5}, "what is left (20) is more than the risk itself (12)"),
        ({"treatment": "ignore"}, "treatment"),
        ({"review_by": "soon"}, "review_by"),
        ({"title": ""}, "title"),
        ({"color": "red"}, "color: Extra inputs are not permitted"),
    ],
)
def test_a_risk_that_is_wrong_is_refused_with_the_field(changes, words):
    with pytest.raises(InputError) as raised:
        Book().risk(**changes)
    assert words in str(raised.value)


def test_blanks_hyphens_and_case_in_a_source_do_not_matter():
    assert RiskContent.model_validate({**RISK, "source": " Third-Party "}).source == "third_party"


contents = st.fixed_dictionaries(
    {
        "likelihood": st.integers(1, 5),
        "consequence": st.integers(1, 5),
        "treatment": st.sampled_from(["avoid", "reduce", "share", "accept", "undecided"]),
        "actions": st.sampled_from([(), ("Act.",)]),
        "controls": st.sampled_from([(), ("A.7.4",), ("nonsense",)]),
        "residual_likelihood": st.just(1),
        "residual_consequence": st.just(1),
        "accepted_by": st.sampled_from([None, "Ann Lee"]),
        "accepted_because": st.sampled_from([None, "So."]),
        "results": st.sampled_from(["", "Done."]),
        "review_by": st.dates(date(2026, 11, 1), date(2027, 6, 1)),
        "status": st.sampled_from(["open", "treated", "closed"]),
        "news": st.sampled_from([(), ("drift",)]),
    }
)
places = st.sampled_from([(SYSTEM,), (), ("other",)])
books = st.lists(st.tuples(contents, places, st.integers(0, 48)), max_size=5)


def book_of(drawn):
    book = Book()
    for number, (content, systems, hours) in enumerate(drawn):
        book.risk(f"R-{number}", systems=systems, at=FILED_AT + timedelta(hours=hours), **content)
    return book


@settings(max_examples=20, deadline=None)
@given(books, st.randoms())
def test_the_evidence_is_the_same_whatever_the_order_the_risks_are_read_in(drawn, random):
    book = book_of(drawn)
    before = [one.digest for one in book.evidence()]
    random.shuffle(book.filed)
    assert [one.digest for one in book.evidence()] == before


@settings(max_examples=15, deadline=None)
@given(books.filter(bool), st.data())
def test_removing_one_risk_changes_no_row_but_those_that_rest_on_risks(drawn, data):
    book = book_of(drawn)
    before = book.findings()
    book.filed.pop(data.draw(st.integers(0, len(book.filed) - 1)))
    after = book.findings()
    assert {row for row in before if before[row] != after[row]} <= RESTS_ON_RISKS


@settings(max_examples=25, deadline=None)
@given(books)
def test_no_row_passes_while_anything_stands_against_its_topic(drawn):
    book = book_of(drawn)
    register = register_of(book.state(), CATALOG, SYSTEM)
    found = book.findings()
    rests = {"8.2": "risk_assessment", "6.1.3": "risk_treatment_plan", "8.3": "risk_treatment_results"}
    for row, topic in rests.items():
        named = row != "6.1.3" or any(line.content.accepted_by for line in register.lines)
        whole = bool(register.lines) and named and not register.against(topic)
        assert (found[row].status == "satisfied") == whole, (row, found[row].reason)


@settings(max_examples=20, deadline=None)
@given(books)
def test_what_was_filed_later_changes_nothing_that_was_known_before(drawn):
    book = book_of(drawn)
    then = FILED_AT + timedelta(hours=24)
    before = [one.digest for one in book.evidence(then)]
    known = State.of([one for one in book.filed if one.record.recorded_at <= then], at=then)
    early = Book()
    early.filed = [one for one in book.filed if one.record.recorded_at <= then]
    assert [one.digest for one in early.evidence(then)] == before
    assert known.at == then
    assert MODEL.sha256 is not None
