"""The gap: targets, order, the mean no exclusion raises, the organization as the worst of its systems, the trend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Verdict
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.gap import Summary, assess_gap, trend_of, work_of
from aims_mlflow.management.gap.models import mean_of
from aims_mlflow.management.portfolio import Portfolio, RowStanding, SystemStanding
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.state import Filed, State

CATALOG = load_catalog(())
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
S = Status
CONTROLS = [row.id for row in CATALOG.rows.values() if row.kind == "control"]


def system(id_, risk="high", given=None, *, level=0, status=S.NO_EVIDENCE):
    """A system whose rows stand as given, id to (status, level); the others alike."""
    rows = {}
    for one in CATALOG.rows.values():
        stands, maturity = (given or {}).get(one.id, (status, level))
        rows[one.id] = RowStanding(
            id=one.id,
            title=one.title,
            kind=one.kind,
            status=stands,
            strength=one.strength,
            reason="Why.",
            next_step=f"Do {one.id}.",
            maturity=maturity,
            is_fresh=stands is S.SATISFIED,
            owner=f"Owner of {id_}",
        )
    return SystemStanding(id_, id_.title(), RiskClass(risk), rows=rows)


def gap_of(*systems, target=3):
    return assess_gap(Portfolio(NOW, systems), CATALOG, target=target)


def test_a_high_risk_system_is_asked_for_level_4_where_measured_evidence_can_show_it():
    found = gap_of(system("a", "high"), system("b", "minimal"), system("c", "unclassified"), system("d", "prohibited"))
    automatic = {row.id for row in CATALOG.rows.values() if row.strength == "automatic"}
    for one in found.systems:
        high = one.system != "b"
        assert {line.id for line in one.lines if line.target == 4} == (automatic if high else set())
        assert all(line.target in (3, 4) for line in one.lines)


def test_no_row_is_asked_for_more_than_its_evidence_can_show():
    found = gap_of(system("a", "minimal"), target=4).systems[0]
    assert {line.target for line in found.lines if line.strength == "attested"} == {3}
    assert {line.target for line in found.lines if line.strength == "automatic"} == {4}


@pytest.mark.parametrize("target", [0, 5, -1])
def test_a_target_nothing_is_held_against_is_refused(target):
    with pytest.raises(InputError, match="target"):
        gap_of(system("a"), target=target)


def test_high_risk_systems_come_first_then_the_wider_gap_then_what_is_not_satisfied():
    risky = system("risky", "high", {"4.1": (S.NOT_SATISFIED, 1), "4.2": (S.STALE, 2), "4.4": (S.STALE, 1)})
    plain = system("plain", "minimal", {"4.1": (S.NOT_SATISFIED, 0)})
    lines = gap_of(plain, risky).lines
    assert [line.system for line in lines] == ["risky"] * 70 + ["plain"] * 70
    assert [line.gap for line in lines[:70]] == sorted((line.gap for line in lines[:70]), reverse=True)
    two_below = [line.id for line in lines[:70] if line.gap == 2]
    assert two_below == ["4.1", "4.4"]
    assert lines[70].id == "4.1"


def test_the_organization_is_the_worst_of_its_systems_and_says_which():
    good = system("good", "high", {"4.1": (S.SATISFIED, 3)}, level=3, status=S.SATISFIED)
    bad = system("bad", "minimal", {"4.1": (S.STALE, 2)}, level=3, status=S.SATISFIED)
    line = gap_of(good, bad).whole.line("4.1")
    assert (line.status, line.maturity, line.system, line.also) == (S.STALE, 2, "bad", ())
    both = gap_of(system("a"), system("b")).whole.line("4.1")
    assert (both.system, both.also) == ("a", ("b",))


def test_a_control_one_system_excludes_counts_for_the_others():
    one = system("one", given={"A.10.4": (S.NOT_APPLICABLE, 0)})
    other = system("other", given={"A.10.4": (S.SATISFIED, 3)})
    line = gap_of(one, other).whole.line("A.10.4")
    assert (line.status, line.system, line.maturity) == (S.SATISFIED, "other", 3)
    assert gap_of(one).whole.line("A.10.4").target is None


def test_excluded_controls_have_no_target_and_are_counted_apart():
    found = gap_of(system("a", given=dict.fromkeys(CONTROLS[:5], (S.NOT_APPLICABLE, 0))))
    summary = found.whole.summary
    assert (summary.rows, summary.applicable, summary.excluded, summary.below_target) == (70, 65, 5, 65)


@given(
    levels=st.lists(st.integers(0, 4), min_size=2, max_size=40),
    excluded=st.sets(st.integers(0, 39)),
    more=st.integers(0, 39),
)
def test_excluding_a_control_never_raises_the_mean(levels, excluded, more):
    def mean(left_out):
        counted = [level for n, level in enumerate(levels) if n not in left_out]
        return mean_of(counted, [level for n, level in enumerate(levels) if n in left_out])

    before, after = mean(excluded), mean(excluded | {more})
    assert after is None or (before is not None and after <= before + 1e-12)


@given(
    levels=st.lists(st.lists(st.integers(0, 4), min_size=70, max_size=70), min_size=1, max_size=3),
    excluded=st.lists(st.sets(st.sampled_from(CONTROLS)), min_size=3, max_size=3),
    where=st.integers(0, 2),
    more=st.sampled_from(CONTROLS),
)
def test_excluding_a_control_of_any_system_never_raises_the_mean_of_the_organization(levels, excluded, where, more):
    def mean(left_out):
        systems = []
        for n, its_levels in enumerate(levels):
            rows = zip(CATALOG.ids, its_levels, strict=True)
            given = {row: (S.NOT_APPLICABLE if row in left_out[n] else S.STALE, level) for row, level in rows}
            systems.append(system(f"s{n}", given=given))
        return gap_of(*systems).whole.summary.mean

    one_more = [names | {more} if n == where % len(levels) else names for n, names in enumerate(excluded)]
    assert mean(one_more) <= mean(excluded) + 1e-9


@given(st.lists(st.integers(0, 4), min_size=1), st.lists(st.integers(0, 4)))
def test_the_mean_is_never_above_that_of_the_applicable_rows_nor_below_the_least(applicable, excluded):
    mean = mean_of(applicable, excluded)
    assert min([*applicable, *excluded]) <= mean <= sum(applicable) / len(applicable) + 1e-12


def test_the_share_of_fresh_rows_stands_beside_the_mean():
    summary = gap_of(system("a", given={"4.1": (S.SATISFIED, 3), "4.2": (S.STALE, 2)})).whole.summary
    assert (summary.fresh, summary.fresh_share) == (1, round(1 / 70, 4))
    assert summary.mean == round(5 / 70, 4)


def test_nothing_counted_is_no_mean():
    assert Summary.of([]).mean is None and Summary.of([]).fresh_share is None


def test_one_step_that_mends_many_rows_is_one_thing_to_do():
    systems = [system("a"), system("b", "minimal")]
    work = work_of(line for one in gap_of(*systems).systems for line in one.lines)
    assert len(work) == 70
    assert all(one.systems == ("a", "b") and one.lines == 2 for one in work)
    assert work[0].gap == max(one.gap for one in work)
    assert not work_of(gap_of(system("c", "minimal", level=4, status=S.SATISFIED)).whole.lines)


def test_the_trend_names_what_became_better_and_worse():
    then = gap_of(system("a", given={"4.1": (S.SATISFIED, 3), "A.10.4": (S.NOT_APPLICABLE, 0)})).whole
    now = gap_of(system("a", given={"4.2": (S.SATISFIED, 3), "4.1": (S.STALE, 2), "4.4": (S.NEEDS_ATTESTATION, 0)}))
    trend = trend_of(now.whole, then, since=NOW - timedelta(days=90), source="records")
    assert [one.id for one in trend.better] == ["4.2"]
    assert [one.id for one in trend.worse] == ["4.1"]
    assert {one.id for one in trend.other} == {"4.4", "A.10.4"}
    assert trend.same == 66 and not trend.incomparable


def test_what_is_filed_compares_like_what_was_worked_out():
    then = gap_of(system("a", given={"4.1": (S.SATISFIED, 3)}))
    now = gap_of(system("a")).whole
    worked_out = trend_of(now, then.whole, since=NOW, source="x")
    assert trend_of(now, then.content(), since=NOW, source="x") == worked_out
    assert then.content().systems == {"a": then.whole.summary.mean}


def on_file(*days_and_levels):
    filed = []
    for days, level in days_and_levels:
        at = NOW - timedelta(days=days)
        found = assess_gap(Portfolio(at, (system("a", level=level),)), CATALOG)
        made = draft(
            State.of(filed, at=at), CATALOG, "gap", id=f"gap-{days}", content=found.content(), owner="Head of AI"
        )
        filed.append(Filed(made))
    return filed


def trend_evidence(filed, at=NOW):
    return [one for one in evidence_of(View(State.of(filed, at=at), CATALOG)) if one.kind == "gap_assessment"]


def test_one_gap_assessment_is_no_comparison():
    assert trend_evidence([]) == []
    (alone,) = trend_evidence(on_file((10, 1)))
    assert alone.verdict is Verdict.NOT_TESTED
    assert "only one on file" in alone.reason


def test_two_of_different_days_are_evidence_of_a_trend():
    (found,) = trend_evidence(on_file((100, 1), (10, 2)))
    assert found.verdict is Verdict.RECORDED
    assert found.numbers["mean_before"] == 1.0 and found.numbers["mean"] == 2.0
    assert found.numbers["rows_better"] == 70
    assert found.valid_until.date() == (NOW - timedelta(days=10) + timedelta(days=365)).date()
    assert trend_evidence(on_file((100, 1), (10, 2)))[0].digest == found.digest


def test_as_of_an_earlier_day_only_what_was_filed_then_is_compared():
    filed = on_file((100, 1), (50, 2), (10, 3))
    assert trend_evidence(filed, NOW - timedelta(days=40))[0].numbers["mean"] == 2.0
    assert trend_evidence(filed, NOW - timedelta(days=80))[0].verdict is Verdict.NOT_TESTED
