"""Pivots: the same evidence by another framework's references. It supports, and never shows more than it is."""

from __future__ import annotations

import random

import pytest
from document_kit import CATALOG, WHEN, judged
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.assessment import Status
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.documentation.neighbours import (
    CONFIDENCES,
    LOW_ONLY,
    NOTHING,
    SUPPORTED,
    Pivot,
    group_of,
    natural,
    pivot,
    references,
    rows_of,
)
from aims_mlflow.errors import InputError
from aims_mlflow.management.portfolio import RowStanding, SystemStanding

FRAMEWORKS = [crosswalk.id for crosswalk in CATALOG.crosswalks]


def standing(**statuses: Status) -> SystemStanding:
    """Every row without evidence, but those named (``A_7_4`` for A.7.4, ``c5_2`` for clause 5.2)."""
    named = {name.removeprefix("c").replace("_", "."): status for name, status in statuses.items()}
    rows = {
        row.id: RowStanding(
            id=row.id,
            title=row.title,
            kind=row.kind,
            status=named.pop(row.id, Status.NO_EVIDENCE),
            strength=row.strength,
            reason="Because.",
            next_step="",
        )
        for row in CATALOG.rows.values()
    }
    assert not named
    return SystemStanding("loans", "Loan scoring", RiskClass.HIGH, rows=rows)


def line(found: Pivot, reference: str):
    return next(one for one in found.lines if one.reference == reference)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_reference_of_the_crosswalk_stands_there_once_with_its_rows(framework: str) -> None:
    found = pivot(CATALOG, framework, standing(), at=WHEN)
    crosswalk = next(c for c in CATALOG.crosswalks if c.id == framework)
    pairs = {
        (reference, entry.row, confidence)
        for entry in crosswalk.entries
        for confidence, named in entry.refs.items()
        for reference in named
    }
    listed = [one.reference for one in found.lines]
    assert len(listed) == len(set(listed))
    assert {(one.reference, s.row, s.confidence) for one in found.lines for s in one.rows} == pairs
    assert found.without == tuple(entry.row for entry in crosswalk.entries if not entry.refs)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_without_evidence_no_line_is_supported_and_each_says_so(framework: str) -> None:
    found = pivot(CATALOG, framework, standing(), at=WHEN)
    assert found.counts == {SUPPORTED: 0, LOW_ONLY: 0, NOTHING: len(found.lines)}
    for one in found.lines:
        assert one.state == NOTHING
        assert one.confidence is None
        assert one.says.startswith("No current evidence")


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.SATISFIED])
def test_only_a_satisfied_row_supports_anything(status: Status) -> None:
    named = {("c" + row if row[0].isdigit() else row).replace(".", "_"): status for row in CATALOG.rows}
    found = pivot(CATALOG, "eu_ai_act", standing(**named), at=WHEN)
    assert {one.state for one in found.lines} == {NOTHING}


def test_the_relation_is_support_and_no_word_says_conformity() -> None:
    everything = {("c" + row if row[0].isdigit() else row).replace(".", "_"): Status.SATISFIED for row in CATALOG.rows}
    for framework in FRAMEWORKS:
        found = pivot(CATALOG, framework, standing(**everything), at=WHEN)
        for one in found.lines:
            assert {s.relation for s in one.rows} == {"supports"}
            assert one.state in (SUPPORTED, LOW_ONLY)
            assert "supports it" in one.says
            assert not {"conform", "complian", "certif", "satisf"} & set(one.says.lower().split())


def test_the_confidence_is_the_best_among_rows_with_current_evidence() -> None:
    found = pivot(CATALOG, "eu_ai_act", standing(A_4_2=Status.SATISFIED), at=WHEN)
    one = line(found, "Annex IV(2)(c)")  # A.4.5 high, A.4.2 medium
    assert [(s.row, s.confidence, s.current) for s in one.rows[:2]] == [
        ("A.4.5", "high", False),
        ("A.4.2", "medium", True),
    ]
    assert (one.state, one.confidence) == (SUPPORTED, "medium")
    assert "A.4.5 no evidence" in one.says


def test_a_reference_that_only_low_confidence_supports_says_so() -> None:
    only_low = pivot(CATALOG, "eu_ai_act", standing(A_5_5=Status.SATISFIED), at=WHEN)
    one = line(only_low, "Art. 27(1)")
    assert one.state == LOW_ONLY
    assert "low confidence only: rows of higher confidence have no current evidence" in one.says
    mapped = pivot(CATALOG, "iso14001_2015", standing(A_3_3=Status.SATISFIED), at=WHEN)
    assert line(mapped, "7.4").state == LOW_ONLY
    alone = [
        (c.id, reference)
        for c in CATALOG.crosswalks
        for reference, ours in references(c).items()
        if {confidence for _, confidence in ours} == {"low"}
    ]
    assert alone
    framework, reference = alone[0]
    row = references(next(c for c in CATALOG.crosswalks if c.id == framework))[reference][0][0]
    key = ("c" + row if row[0].isdigit() else row).replace(".", "_")
    says = line(pivot(CATALOG, framework, standing(**{key: Status.SATISFIED}), at=WHEN), reference).says
    assert "no other row maps to it" in says
    assert (
        "Only rows of low confidence would support it."
        in line(pivot(CATALOG, framework, standing(), at=WHEN), reference).says
    )


def test_an_excluded_row_is_named_and_counts_neither_way() -> None:
    found = pivot(CATALOG, "eu_ai_act", standing(A_4_5=Status.NOT_APPLICABLE, A_4_2=Status.SATISFIED), at=WHEN)
    says = line(found, "Annex IV(2)(c)").says
    assert "1 of 1 row" in says
    assert "Excluded, with a reason: A.4.5" in says


def test_references_are_in_their_own_order() -> None:
    eu = list(references(next(c for c in CATALOG.crosswalks if c.id == "eu_ai_act")))
    assert eu.index("Art. 9(1)") < eu.index("Art. 10(2)") < eu.index("Art. 26(2)") < eu.index("Art. 26(11)")
    assert eu.index("Art. 87") < eu.index("Annex III") < eu.index("Annex IV") < eu.index("Annex IV(2)(a)")
    assert eu.index("Art. 4") + 1 == eu.index("Art. 4a")
    nist = list(references(next(c for c in CATALOG.crosswalks if c.id == "nist_ai_rmf")))
    heads = list(dict.fromkeys(one.split()[0] for one in nist))
    assert heads == ["GOVERN", "MAP", "MEASURE", "MANAGE"]
    assert nist.index("MEASURE 2.9") < nist.index("MEASURE 2.10")
    iso = list(references(next(c for c in CATALOG.crosswalks if c.id == "iso27001_2022")))
    assert (
        iso.index("clause 9.1")
        < iso.index("clause 10.1")
        < iso.index("A.5.1")
        < iso.index("A.5.10")
        < iso.index("A.6.3")
    )
    env = list(references(next(c for c in CATALOG.crosswalks if c.id == "iso14001_2015")))
    assert env.index("6.2") < env.index("2026 only: 6.3") < env.index("7.1")


@given(st.permutations([f"A.{a}.{b}" for a in (5, 6, 10) for b in (1, 2, 9, 10, 11)]))
def test_natural_order_does_not_depend_on_the_order_given(given_order: list[str]) -> None:
    expected = [f"A.{a}.{b}" for a in (5, 6, 10) for b in (1, 2, 9, 10, 11)]
    assert sorted(given_order, key=natural) == expected


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_references_can_be_compared_and_grouped(one: str, other: str) -> None:
    assert (natural(one) < natural(other)) in (True, False)
    assert isinstance(group_of("eu_ai_act", one), str)
    assert isinstance(group_of("own", one), str)


def test_groups_bear_the_titles_of_the_articles() -> None:
    found = pivot(CATALOG, "eu_ai_act", standing(), at=WHEN)
    titles = {group.id: group.title for group in found.groups}
    assert titles["Art. 4"] == "AI literacy"
    assert [one.reference for group in found.groups if group.id == "Art. 4" for one in group.lines] == ["Art. 4"]
    assert all(group.title for group in found.groups)
    for framework in FRAMEWORKS:
        assert all(group.title for group in pivot(CATALOG, framework, standing(), at=WHEN).groups), framework


def test_only_the_page_of_the_act_shows_dates_of_law() -> None:
    for framework in FRAMEWORKS:
        found = pivot(CATALOG, framework, standing(), at=WHEN)
        assert (found.law is not None) == (framework == "eu_ai_act")
    law = pivot(CATALOG, "eu_ai_act", standing(), at=WHEN).law
    assert law is not None
    assert law.day == WHEN.date()


def test_an_assessment_serves_as_well_as_a_system() -> None:
    assessment = judged().assessment
    found = pivot(CATALOG, "eu_ai_act", assessment)
    assert found.at == assessment.assessed_at
    assert found.versions == ("loans/3",)
    current = {s.row for one in found.lines for s in one.rows if s.current}
    satisfied = {f.id for f in assessment.findings if f.status is Status.SATISFIED}
    assert current
    assert current <= satisfied
    assert set(rows_of(assessment)) == set(CATALOG.rows)


def test_a_system_needs_the_date_of_its_page() -> None:
    with pytest.raises(ValueError, match="date"):
        pivot(CATALOG, "eu_ai_act", standing())


def test_an_unknown_framework_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match="eu_ai_act"):
        pivot(CATALOG, "eu_ai_actt", standing(), at=WHEN)
    assert pivot(CATALOG, "ISO27001-2022", standing(), at=WHEN).framework == "iso27001_2022"


def test_a_crosswalk_of_ones_own_is_grouped_by_its_words(tmp_path) -> None:
    from aims_mlflow.catalog import load_catalog

    path = tmp_path / "own.yaml"
    path.write_text(
        "crosswalk: {id: own, title: Own, source: us}\n"
        "entries:\n  '5.2': {high: [Rule 10, Rule 9], low: ['=1+1']}\n  '4.1': {medium: [Rule 9]}\n"
    )
    catalog = load_catalog([path])
    found = pivot(catalog, "own", standing(c5_2=Status.SATISFIED), at=WHEN)
    assert [one.reference for one in found.lines][-2:] == ["Rule 9", "Rule 10"] or "Rule 9" in {
        one.reference for one in found.lines
    }
    assert line(found, "Rule 9").confidence == "high"
    assert line(found, "=1+1").state == LOW_ONLY


def test_a_pivot_is_the_same_however_the_rows_come() -> None:
    system = standing(A_4_2=Status.SATISFIED, c5_2=Status.STALE)
    shuffled = list(system.rows.items())
    random.Random(1).shuffle(shuffled)
    other = SystemStanding(system.system, system.name, system.risk_class, rows=dict(shuffled))
    assert pivot(CATALOG, "nist_ai_rmf", system, at=WHEN) == pivot(CATALOG, "nist_ai_rmf", other, at=WHEN)
    assert CONFIDENCES == ("high", "medium", "low")
