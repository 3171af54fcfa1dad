"""Annex IV: filled from what is on record, every gap named in place, never a blank."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from document_kit import CATALOG, WHEN, empty, good_evidence, judged, material, move, record, statement

from aims_mlflow.documentation.annex_iv import annex_iv
from aims_mlflow.documentation.fillers import FILLERS
from aims_mlflow.documentation.outline import outline
from aims_mlflow.documentation.paper import Facts, Gap, Item, Paper, Table, Text
from aims_mlflow.evidence import Interval, MetricResult, Verdict
from aims_mlflow.gate.history import history
from aims_mlflow.report.documents import render_paper
from good_run import AT, SUBJECT, attestation, custom, drift, fairness, performance, run

COMMAND = re.compile(r"`|record on technical_documentation|aims\.yaml|git checkout|who changed")


def item(paper: Paper, ref: str) -> Item:
    return next(one for section in paper.sections for one in section.items if one.ref == ref)


def words(one: Item) -> str:
    return one.model_dump_json()


def missing(paper: Paper, ref: str) -> str:
    return " | ".join(gap.missing for gap in item(paper, ref).gaps)


def test_the_outline_has_the_nine_sections_and_every_item_of_the_annex() -> None:
    sections = outline("annex_iv").sections
    assert [s.number for s in sections] == [str(n) for n in range(1, 10)]
    refs = [one.ref for s in sections for one in s.items]
    assert refs == (
        [f"Annex IV(1)({letter})" for letter in "abcdefgh"]
        + [f"Annex IV(2)({letter})" for letter in "abcdefgh"]
        + [f"Annex IV({n})" for n in range(3, 10)]
    )


def test_every_part_has_a_filler_or_a_person_and_says_whose_job_and_how() -> None:
    named = set()
    for name in ("annex_iv", "model_card"):
        for section in outline(name).sections:
            for one in section.items:
                assert len({part.id for part in one.parts}) == len(one.parts)
                for part in one.parts:
                    named.add(part.fill)
                    assert part.whose
                    assert COMMAND.search(part.how), part.how
    assert named - {None} == set(FILLERS)


def test_of_a_system_nobody_knows_anything_of_every_item_names_what_is_missing() -> None:
    paper = annex_iv(empty())
    for section in paper.sections:
        for one in section.items:
            assert one.blocks, one.ref
            assert all(isinstance(block, Gap) for block in one.blocks), one.ref
    asked = [part for s in outline("annex_iv").sections for one in s.items for part in one.parts]
    assert len(list(paper.gaps())) == len(asked)


def test_no_item_is_ever_blank_whatever_evidence_is_taken_away() -> None:
    whole = good_evidence()
    for left_out in range(len(whole)):
        held = whole[:left_out] + whole[left_out + 1 :]
        paper = annex_iv(material(versions=[judged(held)]))
        assert all(one.blocks for section in paper.sections for one in section.items)


@pytest.mark.parametrize(
    ("kind", "ref", "what"),
    [
        ("environment", "Annex IV(1)(c)", "the software it needs"),
        ("run", "Annex IV(2)(a)", "the training run"),
        ("model", "Annex IV(2)(c)", "how the components build"),
        ("performance", "Annex IV(2)(g)", "measured accuracy"),
        ("fairness", "Annex IV(2)(g)", "measured differences between groups"),
        ("drift", "Annex IV(9)", "the monitoring in place"),
    ],
)
def test_evidence_that_is_not_there_is_a_gap_where_it_belongs(kind: str, ref: str, what: str) -> None:
    assert what not in missing(annex_iv(material()), ref)
    without = [r for r in good_evidence() if getattr(r, "kind", "") != kind]
    assert what in missing(annex_iv(material(versions=[judged(without)])), ref)


def test_metrics_stand_with_their_intervals_limits_and_verdicts() -> None:
    tables = [b for b in item(annex_iv(material()), "Annex IV(2)(g)").blocks if isinstance(b, Table)]
    rows = [row for one in tables for row in one.rows]
    assert ("roc_auc", "0.9 [0.88, 0.92], 95%", "not told", "0.8", "pass") in rows
    assert ("sex", "female", "150", "selection_rate", "0.4 [0.33, 0.48], 95%") in rows
    assert any(row[:3] == ("sex", "other", "suppressed") and "not judged" in row[4] for row in rows)
    assert ("sex", "selection_rate ratio", "0.9 [0.85, 0.95], 95%", "0.8", "pass") in rows


def test_an_undefined_number_is_never_shown_as_zero() -> None:
    metric = MetricResult(name="roc_auc", estimate=Interval(), verdict=Verdict.NOT_TESTED)
    held = good_evidence(performance=performance(metrics=(metric,)))
    assert "undefined" in words(item(annex_iv(material(versions=[judged(held)])), "Annex IV(2)(g)"))


def test_a_single_number_without_interval_is_a_gap() -> None:
    metric = MetricResult(name="acc", estimate=Interval(value=0.9), verdict=Verdict.RECORDED)
    held = good_evidence(performance=performance(metrics=(metric,), verdict=Verdict.RECORDED))
    assert "uncertainty of the metrics" in missing(annex_iv(material(versions=[judged(held)])), "Annex IV(2)(g)")


def test_a_comparison_that_judged_nothing_is_a_gap() -> None:
    held = good_evidence(fairness=fairness(verdict=Verdict.NOT_TESTED, reason="Groups too small."))
    assert "judged nothing. Groups too small." in missing(annex_iv(material(versions=[judged(held)])), "Annex IV(2)(g)")


def test_a_failed_test_is_shown_as_failed() -> None:
    held = good_evidence(drift=drift(verdict=Verdict.FAIL, reason="Age has drifted.", drifted=1))
    shown = words(item(annex_iv(material(versions=[judged(held)])), "Annex IV(9)"))
    assert "fail" in shown
    assert "Age has drifted." in shown


def test_evidence_that_has_lapsed_is_shown_and_a_gap() -> None:
    held = good_evidence(performance=performance(valid_until=WHEN - timedelta(minutes=1)))
    assert "has lapsed" in missing(annex_iv(material(versions=[judged(held)])), "Annex IV(2)(g)")


def test_evidence_about_another_version_is_not_shown() -> None:
    from aims_mlflow.evidence import ModelRef, sha256_of

    other = SUBJECT.model_copy(update={"model": ModelRef(model_id="m-2", sha256=sha256_of(b"other"))})
    held = good_evidence(performance=performance(subject=other))
    paper = annex_iv(material(versions=[judged(held)]))
    assert "measured accuracy" in missing(paper, "Annex IV(2)(g)")


def test_datasets_stand_with_content_digest_and_data_sheet_and_what_it_lacks() -> None:
    from good_run import declaration

    shown = item(annex_iv(material()), "Annex IV(2)(d)")
    assert not shown.gaps
    assert SUBJECT.datasets[0].sha256 in words(shown)
    bare = declaration(datasets={"loans.csv": {"role": "training", "origin": "bank"}})
    paper = annex_iv(material(versions=[judged(declaration=bare)], declaration=bare))
    assert "in the data sheet of" in missing(paper, "Annex IV(2)(d)")
    assert "known_bias" in missing(paper, "Annex IV(2)(d)")
    without = annex_iv(material(versions=[judged(good_evidence(), declaration=declaration(datasets={}))]))
    assert "a data sheet of loans.csv (training)" in missing(without, "Annex IV(2)(d)")


def test_a_version_whose_evidence_cannot_be_read_is_named_on_top_and_in_every_part() -> None:
    broken = judged()
    from dataclasses import replace

    broken = replace(broken, assessment=None, evidence=(), problem="the manifest does not match")
    paper = annex_iv(material(versions=[broken]))
    assert any("the manifest does not match" in note for note in paper.notes)
    assert "the manifest does not match" in missing(paper, "Annex IV(2)(g)")
    assert not any(isinstance(b, Table) for b in item(paper, "Annex IV(2)(g)").blocks)
    both = annex_iv(material(versions=[judged(), replace(broken, version="4")]))
    assert any(isinstance(b, Table) for b in item(both, "Annex IV(2)(g)").blocks)
    assert "models:/loans/4" in missing(both, "Annex IV(2)(g)")


def test_of_two_versions_the_one_without_evidence_is_named() -> None:
    from dataclasses import replace

    other = replace(judged([r for r in good_evidence() if r.kind != "performance"]), version="4")
    found = missing(annex_iv(material(versions=[judged(), other])), "Annex IV(2)(g)")
    assert "measured accuracy of models:/loans/4" in found


def test_statements_stand_in_their_place_with_owner_and_validity() -> None:
    paper = annex_iv(
        material(
            statement("risk_assessment_process", "Yearly, by the risk office.", answers={"Scale": "1 to 5"}),
            statement("computing_resources", "Two servers.", systems=("loans",)),
        )
    )
    text = next(b for b in item(paper, "Annex IV(5)").blocks if isinstance(b, Text))
    assert "Yearly, by the risk office." in text.text
    assert "Scale: 1 to 5" in text.text
    assert "Head of credit" in text.source
    assert "2027-11-01" in text.source
    assert not item(paper, "Annex IV(1)(e)").gaps


@pytest.mark.parametrize(
    "said",
    [
        {"valid_from": date(2026, 10, 1), "valid_until": date(2026, 11, 23)},
        {"valid_from": date(2026, 11, 30)},
        {"systems": ("other",), "known_systems": ("other",)},
    ],
)
def test_a_statement_that_lapsed_has_not_begun_or_is_about_another_system_does_not_count(said) -> None:
    paper = annex_iv(material(statement("risk_assessment_process", "Yearly.", **said)))
    assert "the process of risk management" in missing(paper, "Annex IV(5)")


def test_a_persons_answer_closes_what_only_a_person_can_say() -> None:
    before = annex_iv(material())
    assert item(before, "Annex IV(1)(g)").gaps
    answers = {"Annex IV(1)(g)": "A web form.", "annex iv(8)": "In the vault, file 7.", "Annex IV(4)": "Ranks matter."}
    paper = annex_iv(material(statement("technical_documentation", answers=answers, systems=("loans",))))
    assert not item(paper, "Annex IV(1)(g)").gaps
    assert "A web form." in words(item(paper, "Annex IV(1)(g)"))
    assert not item(paper, "Annex IV(8)").gaps
    assert not item(paper, "Annex IV(4)").gaps


def test_a_persons_answer_never_closes_what_has_to_be_measured() -> None:
    answers = {
        "Annex IV(2)(g)": "All is well.",
        "Annex IV(2)(g) robustness": "It is robust.",
        "Annex IV(2)(g) reports": "Signed on paper, cabinet 3.",
    }
    without = [r for r in good_evidence() if r.kind != "performance"]
    paper = annex_iv(
        material(statement("technical_documentation", answers=answers, systems=("loans",)), versions=[judged(without)])
    )
    found = missing(paper, "Annex IV(2)(g)")
    assert "measured robustness" in found
    assert "measured accuracy" in found
    assert "It is robust." in words(item(paper, "Annex IV(2)(g)"))


def test_an_answer_of_blanks_is_none() -> None:
    paper = annex_iv(material(statement("technical_documentation", answers={"Annex IV(8)": "  \n "})))
    assert item(paper, "Annex IV(8)").gaps


def test_risks_impact_incidents_and_applicability_fill_their_sections() -> None:
    risk = record(
        "risk",
        {
            "title": "Unfair refusals",
            "source": "data_quality",
            "likelihood": 3,
            "consequence": 4,
            "review_by": "2027-01-01",
        },
        id_="R-1",
        systems=("loans",),
    )
    impact = record(
        "impact",
        {
            "intended_use": "Support",
            "conclusion": "acceptable with measures",
            "reason": "A clerk decides.",
            "effects": [{"to": "applicants", "of": "individuals", "what": "refusal", "kind": "harm"}],
            "misuse": ["automatic refusal"],
        },
        id_="I-1",
        systems=("loans",),
    )
    incident = record(
        "incident",
        {"title": "Outage", "severity": "minor", "aware_at": "2026-11-20T10:00:00Z"},
        id_="INC-1",
        systems=("loans",),
        valid_until=None,
    )
    soa = record(
        "soa",
        {
            "lines": {
                "A.2.2": {"applicable": True, "justification": "We make AI.", "status": "implemented"},
                "A.10.4": {"applicable": False, "justification": "No customers."},
            }
        },
    )
    paper = annex_iv(material(risk, impact, incident, soa))
    risks = next(b for b in item(paper, "Annex IV(5)").blocks if isinstance(b, Table))
    assert risks.rows[0][:4] == ("R-1", "Unfair refusals", "data_quality", "12")
    assert "a treatment of R-1" in missing(paper, "Annex IV(5)")
    assert "refusal" in words(item(paper, "Annex IV(3)"))
    assert "Outage" in words(item(paper, "Annex IV(9)"))
    assert "a current review of the incident log" in missing(paper, "Annex IV(9)")
    assert "No customers." in words(item(paper, "Annex IV(7)"))
    assert "no harmonised standard" in words(item(paper, "Annex IV(7)"))


def test_a_risk_past_its_review_is_a_gap() -> None:
    risk = record(
        "risk",
        {
            "title": "t",
            "source": "drift",
            "likelihood": 1,
            "consequence": 1,
            "review_by": "2026-11-02",
            "treatment": "accept",
        },
        id_="R-2",
    )
    assert "R-2 was to be reviewed by 2026-11-02" in missing(annex_iv(material(risk)), "Annex IV(5)")


def test_changes_come_from_the_transition_log_with_who_and_why() -> None:
    entries = [
        move("2", at=AT - timedelta(days=9)),
        move("3", number=2, outcome="refuse", mode="observe", problems=("x",)),
    ]
    paper = annex_iv(material(histories=(history(entries, model="loans", at=WHEN),)))
    table = next(b for b in item(paper, "Annex IV(6)").blocks if isinstance(b, Table))
    assert [row[1] for row in table.rows] == ["2", "3"]
    assert table.rows[0][3] != "serves"
    assert table.rows[1][5] == "refused, and made all the same"
    none = annex_iv(material(histories=()))
    assert "the changes made" in missing(none, "Annex IV(6)")
    unread = annex_iv(material(histories=(), unread=("loans: entry 3 was altered",)))
    assert "entry 3 was altered" in missing(unread, "Annex IV(6)")


def test_code_and_parameters_are_told_and_their_values_only_on_request() -> None:
    from dataclasses import replace

    held = good_evidence(run=run(params=("C", "penalty"), git_commit=None))
    paper = annex_iv(material(versions=[judged(held)]))
    assert "the version of the code" in missing(paper, "Annex IV(2)(a)")
    assert "C, penalty" in words(item(paper, "Annex IV(2)(a)"))
    told = replace(judged(held), parameters={"C": "0.5", "penalty": "l2"})
    table = next(b for b in item(annex_iv(material(versions=[told])), "Annex IV(2)(a)").blocks if isinstance(b, Table))
    assert table.rows == (("C", "0.5"), ("penalty", "l2"))
    changed = replace(judged(held), parameters_changed=True)
    assert "are not those the run ended with" in missing(annex_iv(material(versions=[changed])), "Annex IV(2)(a)")


def test_records_of_ones_own_kind_fill_robustness_and_computing() -> None:
    held = [
        *good_evidence(),
        custom("robustness", content={"noise": 0.1}, verdict=Verdict.FAIL, reason="It breaks."),
        custom("compute_usage", content={"gpu_hours": 3}, verdict=Verdict.RECORDED),
    ]
    paper = annex_iv(material(versions=[judged(held)]))
    assert "measured robustness" not in missing(paper, "Annex IV(2)(g)")
    assert "It breaks." in words(item(paper, "Annex IV(2)(g)"))
    assert not item(paper, "Annex IV(2)(c)").gaps


def test_the_header_says_what_the_standard_does_not_give_and_from_when_duties_apply() -> None:
    paper = annex_iv(material())
    head = " ".join(paper.notes)
    assert "no presumption of conformity" in head
    assert "no legal advice" in head
    assert "2027-12-02 (upcoming)" in head
    assert "last checked on 2026-11-23" in head
    late = " ".join(annex_iv(material(at=datetime(2028, 1, 1, tzinfo=UTC))).notes)
    assert "2027-12-02 (in force)" in late


def test_the_inventory_speaks_before_aims_yaml() -> None:
    system = record(
        "system",
        {"name": "Loans", "purpose": "From the inventory.", "risk_class": "high", "organization_role": "deployer"},
        id_="loans",
        owner="Chief risk officer",
    )
    paper = annex_iv(material(system))
    shown = words(item(paper, "Annex IV(1)(a)"))
    assert "From the inventory." in shown
    assert "deployer" in shown
    facts = {fact.name: fact.value for fact in paper.facts}
    assert facts["Answers for it"] == "Chief risk officer"
    assert "inventory" in facts["Risk class"]
    assert any(gap.whose == "system owner (Chief risk officer)" for _, gap in paper.gaps())


def test_a_declaration_of_another_system_says_nothing_here() -> None:
    paper = annex_iv(material(system="other", versions=()))
    assert "the intended purpose" in missing(paper, "Annex IV(1)(a)")
    assert {fact.name: fact.value for fact in paper.facts}["Answers for it"] == "nobody is named"


def test_the_same_material_gives_the_same_bytes() -> None:
    first = annex_iv(material(statement("development_process")))
    second = annex_iv(material(statement("development_process")))
    for form in ("html", "md", "json"):
        assert render_paper(first, form) == render_paper(second, form)


def test_an_attestation_logged_to_the_run_is_no_measurement() -> None:
    paper = annex_iv(material(versions=[judged([*good_evidence(), attestation("system_requirements")])]))
    assert "what it is designed to optimise" in missing(paper, "Annex IV(2)(b)")


def test_long_tables_say_how_much_they_leave_out() -> None:
    from good_run import environment

    held = good_evidence(environment=environment(packages={f"p{n:04d}": "1" for n in range(300)}))
    table = next(
        b for b in item(annex_iv(material(versions=[judged(held)])), "Annex IV(1)(c)").blocks if isinstance(b, Table)
    )
    assert len(table.rows) == 200
    assert "100 more rows" in table.note


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    paper = annex_iv(material())
    for section in paper.sections:
        for one in section.items:
            for block in one.blocks:
                if isinstance(block, Table):
                    assert all(len(row) == len(block.head) for row in block.rows), block.caption
                if isinstance(block, Facts):
                    assert block.facts
    assert CATALOG is not None
