"""Which system a registered model belongs to: names, patterns, what is contested, undeclared, lapsed or broken."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.management.inventory import Claims, assign
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, State

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def system(id_, *models, risk_class="unclassified", deleted=False, content=None, **said):
    fields = {"recorded_at": NOW - timedelta(days=1), "owner": "Head", "valid_from": date(2026, 11, 1)} | said
    plain = {"name": id_.title(), "registered_models": list(models), "risk_class": risk_class}
    record = ManagementRecord(type="system", id=id_, content=content or plain, **fields)
    return Filed(record, run_id=f"run-{id_}", deleted=deleted)


def inventory(models, *systems):
    return assign(models, State.of(systems, at=NOW))


def test_a_model_belongs_to_the_system_that_names_it_or_whose_pattern_it_matches():
    found = inventory(
        ["credit-pd", "fraud", "team1", "other"], system("credit", "credit-*"), system("ops", "fraud", "team?")
    )
    assert found.assigned == {"credit-pd": "credit", "fraud": "ops", "team1": "ops"}
    assert found.undeclared == ("other",)
    assert found.get("ops").models == ("fraud", "team1")
    assert found.systems_of("credit-pd") == ("credit",)
    assert found.systems_of("other") == ()
    assert not found.problems


def test_case_counts_and_brackets_are_plain_signs():
    found = inventory(["Credit-pd", "a[1]", "a1", "b[2]x"], system("one", "credit-*", "a[1]", "b[2]*"))
    assert found.assigned == {"a[1]": "one", "b[2]x": "one"}
    assert found.undeclared == ("Credit-pd", "a1")


def test_a_star_stands_for_nothing_too():
    assert Claims([("a", ["credit*"]), ("b", ["*credit"])]).on("credit") == ("a", "b")


def test_a_model_that_two_systems_claim_is_a_named_problem_and_counts_for_both():
    found = inventory(["credit-pd"], system("a", "credit-*"), system("b", "credit-pd"), system("c", "x"))
    assert found.contested == {"credit-pd": ("a", "b")}
    assert not found.assigned
    assert not found.undeclared
    assert found.get("a").models == found.get("b").models == ("credit-pd",)
    assert found.systems_of("credit-pd") == ("a", "b")
    (problem,) = found.problems
    assert problem.code == "contested"
    assert "'credit-pd'" in problem.what
    assert "a, b" in problem.what
    assert not problem.blocks


def test_a_name_and_a_pattern_of_the_same_system_claim_a_model_once():
    found = inventory(["credit-pd"], system("a", "credit-pd", "credit-*", "credit-pd"))
    assert found.assigned == {"credit-pd": "a"}
    assert not found.problems


def test_systems_without_a_model_are_listed():
    assert inventory(["x"], system("a", "x"), system("b", "y"), system("c")).without_models == ("b", "c")


def test_prohibited_and_high_risk_systems_come_first_and_unclassified_ones_before_what_is_known_to_be_less():
    classes = ("minimal", "limited", "unclassified", "high", "prohibited")
    found = inventory([], *(system(one, risk_class=one) for one in classes))
    assert [one.id for one in found.systems] == ["prohibited", "high", "unclassified", "limited", "minimal"]


def test_withdrawn_and_deleted_systems_claim_nothing():
    found = inventory(["x", "y"], system("a", "x", withdrawn="retired"), system("b", "y", deleted=True))
    assert found.undeclared == ("x", "y")
    assert not found.systems
    assert [problem.code for problem in found.problems] == ["deleted"]


def test_a_lapsed_declaration_keeps_its_models_and_is_named():
    found = inventory(["x"], system("a", "x", valid_until=date(2026, 11, 23)))
    assert found.assigned == {"x": "a"}
    assert [problem.code for problem in found.problems] == ["lapsed"]


def test_a_declaration_holds_on_its_last_day():
    assert not inventory(["x"], system("a", "x", valid_until=NOW.date())).problems


def test_a_declaration_of_tomorrow_is_named():
    (problem,) = inventory(["x"], system("a", "x", valid_from=date(2026, 11, 25))).problems
    assert problem.code == "not_begun"


def test_a_record_that_is_no_system_claims_nothing_and_is_named():
    found = inventory(["x"], system("a", content={"nonsense": 1}))
    assert found.undeclared == ("x",)
    assert found.get("a").content is None
    assert found.get("a").risk_class == "unclassified"
    assert found.get("a").name == "a"
    assert [problem.code for problem in found.problems] == ["unreadable"]


def test_without_systems_every_model_is_undeclared_and_without_models_nothing_is():
    assert inventory(["b", "a", "a"]).undeclared == ("a", "b")
    assert inventory([]).undeclared == ()
    assert inventory([]).get("a") is None


NAMES = st.text("ab-1", max_size=6)
PATTERNS = st.text("ab-1*?", max_size=6)


@given(st.lists(st.tuples(st.sampled_from("XYZ"), st.lists(PATTERNS, max_size=4)), max_size=5), NAMES)
def test_the_index_finds_what_matching_every_pattern_finds(declared, name):
    expected = {one for one, patterns in declared for pattern in patterns if fnmatchcase(name, pattern)}
    assert Claims(declared).on(name) == tuple(sorted(expected))


@pytest.mark.parametrize("pattern", ["team{}-*", "*-z{}"])
def test_two_hundred_systems_and_ten_thousand_models_take_a_moment(pattern):
    state = State.of([system(f"s{n}", pattern.format(n)) for n in range(200)], at=NOW)
    models = [f"team{n % 200}-m{n}-z{n % 200}" for n in range(10_000)]
    begun = time.process_time()
    found = assign(models, state)
    assert time.process_time() - begun < 10
    assert len(found.assigned) == 10_000
