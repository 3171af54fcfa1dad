"""What counts as declared, and what a reviewer will miss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aims_mlflow.config import (
    ColumnDriftPolicy,
    Columns,
    Datasheet,
    Declaration,
    DriftPolicy,
    FairnessPolicy,
    MetricLimit,
    PerformancePolicy,
    Person,
    RiskClass,
    System,
    declared,
    undeclared,
)


def test_an_empty_declaration_lists_what_a_reviewer_asks_for_in_file_order():
    assert undeclared(Declaration()) == (
        "system.id",
        "system.name",
        "system.purpose",
        "system.intended_use",
        "system.owner",
        "system.organization_role",
        "system.risk_class",
        "system.affected_groups",
        "registered_models",
        "columns.target",
        "datasets",
    )
    assert declared(Declaration()) == ()


@pytest.mark.parametrize("nothing", ["", "   ", "TODO", "todo: ask the owner", "tbd", "?", "...", "TBA"])
def test_placeholders_are_not_answers(nothing):
    declaration = Declaration(system=System(purpose=nothing))
    assert "system.purpose" in undeclared(declaration)
    assert "system.purpose" not in declared(declaration)


def test_an_answer_that_only_begins_like_a_placeholder_is_one():
    assert "system.purpose" in declared(Declaration(system=System(purpose="Todolist ranking")))


def test_unclassified_and_undeclared_are_not_answers():
    declaration = Declaration(system=System(risk_class="unclassified", organization_role="undeclared"))
    assert {"system.risk_class", "system.organization_role"} <= set(undeclared(declaration))


def test_high_risk_asks_for_more():
    asked = set(undeclared(Declaration(system=System(risk_class=RiskClass.HIGH))))
    assert {"system.risk_reason", "system.human_oversight", "columns.sensitive"} <= asked
    assert "system.human_oversight" not in undeclared(Declaration(system=System(risk_class="minimal")))


def test_limits_are_asked_for_once_the_columns_are_known():
    columns = Columns(target="y", sensitive=("sex",))
    assert {"performance.metrics", "fairness.metrics"} <= set(undeclared(Declaration(columns=columns)))
    limits = Declaration(
        columns=columns,
        performance=PerformancePolicy(metrics={"accuracy": MetricLimit(min=0.8)}),
        fairness=FairnessPolicy(metrics={"selection_rate_ratio": MetricLimit(min=0.8)}),
    )
    assert not {"performance.metrics", "fairness.metrics"} & set(undeclared(limits))


def test_each_dataset_owes_its_datasheet():
    asked = undeclared(Declaration(datasets={"training": Datasheet(origin="census", licence="CC0")}))
    assert "datasets.training.legal_basis" in asked
    assert "datasets.training.origin" not in asked
    assert "datasets" not in asked


def test_a_column_left_out_of_drift_owes_its_reason():
    drift = DriftPolicy(columns={"campaign": ColumnDriftPolicy(skip=True)})
    assert "drift.columns.campaign.reason" in undeclared(Declaration(drift=drift))


def test_declared_names_sections_keys_and_entries_but_no_defaults():
    declaration = Declaration(
        system=System(id="a", owner=Person(name="Risk", contact=None)),
        datasets={"training": Datasheet(origin="census"), "test": Datasheet()},
        performance=PerformancePolicy(metrics={"accuracy": MetricLimit(min=0.8)}),
    )
    assert declared(declaration) == (
        "system",
        "system.id",
        "system.owner",
        "system.owner.name",
        "datasets",
        "datasets.training",
        "datasets.training.origin",
        "performance",
        "performance.metrics",
        "performance.metrics.accuracy",
        "performance.metrics.accuracy.min",
    )


@given(
    st.builds(
        Declaration,
        system=st.builds(
            System,
            id=st.none(),
            name=st.none() | st.sampled_from(["x", "TODO", ""]),
            purpose=st.none() | st.text(max_size=8),
            risk_class=st.sampled_from(RiskClass),
        ),
        columns=st.builds(Columns, target=st.none() | st.just("y"), sensitive=st.just(()) | st.just(("s",))),
        registered_models=st.just(()) | st.just(("m",)) | st.just(("",)),
    )
)
def test_no_name_is_both_declared_and_undeclared(declaration):
    assert not set(declared(declaration)) & set(undeclared(declaration))
