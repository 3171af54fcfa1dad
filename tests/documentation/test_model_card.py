"""The model card: from the same data, gaps named."""

from __future__ import annotations

import pytest
from document_kit import good_evidence, judged, material, statement

from aims_mlflow.documentation.card import model_card
from aims_mlflow.documentation.paper import Table
from aims_mlflow.report.documents import render_paper
from good_run import sha


def test_it_holds_use_limits_data_metrics_by_group_and_oversight() -> None:
    paper = model_card(material())
    text = render_paper(paper, "md")
    for said in (
        "Support of a clerk's decision.",
        "automatic refusal",
        "A clerk decides.",
        "loans.csv",
        "0.4 \\[0.33, 0.48\\], 95%",
        "0.9 \\[0.88, 0.92\\], 95%",
        "female",
        "models:/loans/3 (alias champion)",
        sha("model"),
    ):
        assert said in text, said


def test_every_item_says_something_or_names_the_gap() -> None:
    bare = model_card(material(versions=[judged([])]))
    items = [one for section in bare.sections for one in section.items]
    assert all(one.blocks for one in items)
    gaps = {ref for ref, _ in bare.gaps()}
    assert {"Metrics", "Metrics by group", "Data", "Training", "Robustness", "Monitoring"} <= gaps


def test_metrics_that_are_missing_are_a_gap_and_no_table() -> None:
    paper = model_card(material(versions=[judged([r for r in good_evidence() if r.kind != "performance"])]))
    metrics = next(one for s in paper.sections for one in s.items if one.ref == "Metrics")
    assert [g.missing for g in metrics.gaps] == ["measured accuracy, with intervals"]
    assert not any(isinstance(b, Table) and "metrics on" in b.caption for b in metrics.blocks)


def test_an_answer_under_its_heading_closes_a_gap_of_words_only() -> None:
    answers = {"Computing": "One small server.", "Metrics": "Very good."}
    paper = model_card(
        material(
            statement("technical_documentation", answers=answers, systems=("loans",)),
            versions=[judged([r for r in good_evidence() if r.kind != "performance"])],
        )
    )
    by_ref = {one.ref: one for s in paper.sections for one in s.items}
    assert not by_ref["Computing"].gaps
    assert by_ref["Metrics"].gaps


@pytest.mark.parametrize("count", [0, 2])
def test_a_card_is_of_one_version(count: int) -> None:
    with pytest.raises(ValueError, match="one version"):
        model_card(material(versions=[judged()] * count))


def test_it_is_the_same_each_time() -> None:
    assert render_paper(model_card(material()), "html") == render_paper(model_card(material()), "html")


def test_it_is_no_word_of_conformity() -> None:
    text = render_paper(model_card(material()), "md").lower()
    assert "complian" not in text
    assert "certified" not in text
