"""Documents from MLflow itself: real runs, versions in service, records, the transition log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from triage_store import copy_of, triage

from aims_mlflow.documentation.bom import schema_problem
from aims_mlflow.documentation.neighbours import SUPPORTED
from aims_mlflow.documentation.paper import Item, Paper, Table
from aims_mlflow.errors import InputError
from aims_mlflow.managing.documenting import (
    annex_iv,
    bill_of_materials,
    card,
    evidence_requests,
    file_card,
    gaps_of,
    log_bill_of_materials,
    neighbours,
)
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.report.documents import render_paper


@pytest.fixture
def store(tmp_path_factory):
    return triage(tmp_path_factory)


@pytest.fixture
def records(store):
    return ManagementRecords(config=store.config, tracking_uri=store.uri)


@pytest.fixture
def own(store, tmp_path):
    copied = copy_of(store, tmp_path)
    return ManagementRecords(config=copied.config, tracking_uri=copied.uri)


def item(paper: Paper, ref: str) -> Item:
    return next(one for section in paper.sections for one in section.items if one.ref == ref)


def test_the_pivot_shows_how_the_system_stands_with_its_version_in_service(records) -> None:
    found = neighbours(records, "eu_ai_act")
    assert (found.system, found.system_name, found.risk_class) == ("triage", "Tumour triage", "high")
    assert found.versions == ("triage/2",)
    assert found.counts[SUPPORTED] > 0
    assert found.law is not None
    current = {s.row for line in found.lines for s in line.rows if s.current}
    assert "A.4.4" in current


def test_a_record_on_file_supports_their_reference_and_one_withdrawn_does_not(own, tmp_path) -> None:
    before = neighbours(own, "iso27001_2022")
    line = next(one for one in before.lines if one.reference == "clause 5.2")
    assert line.state == "no current evidence"
    paper = tmp_path / "policy.md"
    paper.write_text("# AI policy")
    own.file("ai_policy", {"statement": "In force."}, owner="Board secretary", approver="Board", document=paper)
    line = next(one for one in neighbours(own, "iso27001_2022").lines if one.reference == "clause 5.2")
    assert (line.state, line.confidence) == ("supports", "high")
    own.withdraw("ai_policy", "ai_policy", reason="A new one is drafted.")
    line = next(one for one in neighbours(own, "iso27001_2022").lines if one.reference == "clause 5.2")
    assert line.state == "no current evidence"


def test_an_unknown_system_is_an_error_that_says_which_there_are(records) -> None:
    with pytest.raises(InputError, match="triage"):
        neighbours(records, "eu_ai_act", system="triagee")
    with pytest.raises(InputError, match="nist_ai_rmf"):
        neighbours(records, "nist_ai_rf")


def test_annex_iv_is_filled_from_evidence_declaration_and_log(records) -> None:
    paper = annex_iv(records)
    text = render_paper(paper, "md")
    for said in ("Rank biopsies", "models:/triage/2 (alias champion)", "roc_auc", "wdbc-train", "scikit-learn"):
        assert said in text, said
    metrics = [b for b in item(paper, "Annex IV(2)(g)").blocks if isinstance(b, Table)]
    auc = next(row for one in metrics for row in one.rows if row[0] == "roc_auc")
    assert "[" in auc[1]
    assert auc[4] == "pass"
    signature = [b for b in item(paper, "Annex IV(3)").blocks if isinstance(b, Table) and "signature" in b.caption]
    assert ("input", "mean radius", "double") in signature[0].rows
    moves = next(b for b in item(paper, "Annex IV(6)").blocks if isinstance(b, Table))
    assert moves.rows[0][:2] == ("champion", "2")
    assert not {"Annex IV(1)(d)", "Annex IV(2)(e)"} & {ref for ref, _ in paper.gaps()}
    assert {"Annex IV(8)", "Annex IV(5)"} <= {ref for ref, _ in paper.gaps()}


def test_it_tells_values_of_parameters_only_on_request_and_only_unaltered(own) -> None:
    assert '"0.1"' not in render_paper(annex_iv(own), "json")
    assert '"0.1"' in render_paper(annex_iv(own, parameters=True), "json")
    run_id = own.client.get_model_version("triage", "2").run_id
    own.client.log_param(run_id, "sneaked", "in")
    told = render_paper(annex_iv(own, parameters=True), "json")
    assert "sneaked" not in told
    assert "are not those the run ended with" in told


def test_a_version_that_does_not_serve_yet_can_be_documented(records) -> None:
    paper = annex_iv(records, versions=["models:/triage/1"])
    facts = {fact.name: fact.value for fact in paper.facts}
    assert facts["Versions documented"] == "models:/triage/1 (not in service)"
    with pytest.raises(InputError, match="is no version of a model"):
        annex_iv(records, versions=["runs:/" + "0" * 32])


def test_evidence_that_was_altered_is_named_and_none_of_it_used(own) -> None:
    run_id = own.client.get_model_version("triage", "2").run_id
    own.client.set_tag(run_id, "aims.evidence", "sha256:" + "0" * 64)
    paper = annex_iv(own)
    assert any("cannot be used" in note for note in paper.notes)
    assert not any(isinstance(b, Table) and "metrics" in b.caption for b in item(paper, "Annex IV(2)(g)").blocks)
    assert any("measured accuracy" in gap.missing for gap in item(paper, "Annex IV(2)(g)").gaps)
    found = evidence_requests(own, ["iso27001_2022"])
    assert {one.state for one in found.requests} == {"could not be judged"}


def test_requests_say_where_evidence_and_records_lie(own, tmp_path) -> None:
    paper = tmp_path / "policy.md"
    paper.write_text("# AI policy")
    filed = own.file("ai_policy", {"statement": "In force."}, owner="Board secretary", approver="Board", document=paper)
    found = evidence_requests(own, ["iso27001_2022", "iso9001_2015"])
    by_id = {one.id: one for one in found.requests}
    policy = by_id["statement:ai_policy"]
    assert policy.state == "on file"
    assert policy.lies == (f"record ai_policy:ai_policy, run {filed.run_id}, document policy.md",)
    software = by_id["evidence:environment:EN001"]
    run_id = own.client.get_model_version("triage", "2").run_id
    assert software.lies[0].startswith(f"run {run_id}, aims/evidence/environment-")
    path = software.lies[0].partition(", ")[2]
    assert own.client.download_artifacts(run_id, path, str(tmp_path))
    assert found.judged == ("models:/triage/2",)


def test_without_a_version_in_service_the_records_alone_are_judged(mlflow_store, tmp_path) -> None:
    config = tmp_path / "aims.yaml"
    config.write_text("system: {id: plain, name: Plain}\n")
    records = ManagementRecords(config=config, tracking_uri=mlflow_store)
    records.file("context", {"statement": "A bank."}, owner="Secretary")
    found = evidence_requests(records, [])
    by_id = {one.id: one for one in found.requests}
    assert by_id["statement:context"].state == "on file"
    assert by_id["evidence:environment:EN001"].state == "open"
    paper = annex_iv(records)
    assert len(list(paper.gaps())) > 30
    assert all(one.blocks for section in paper.sections for one in section.items)


def test_the_card_of_a_version_and_filing_it_as_somebodys_word(own) -> None:
    paper, system = card(own, "models:/triage@champion")
    assert system == "triage"
    assert paper.subject == "triage version 2"
    html = render_paper(paper, "html").encode()
    filed = file_card(
        own,
        paper,
        html,
        ["technical_documentation", "user_information"],
        owner="Head of pathology",
        approver="Quality office",
        system=system,
    )
    assert [one.record.link for one in filed] == [
        "technical_documentation:technical_documentation-triage",
        "user_information:user_information-triage",
    ]
    assert own.store.document(filed[0]) == html
    assert filed[0].record.approver == "Quality office"
    assert "gaps named in place" in filed[0].record.content["statement"]
    state = {one.id: one.state for one in evidence_requests(own, []).requests}
    assert state["statement:user_information"] == "on file"
    again = file_card(own, paper, html, ["user_information"], owner="Head of pathology", system=system)
    assert again[0].record.revision == 2
    with pytest.raises(InputError, match="ai_policy"):
        file_card(own, paper, html, ["ai_policy"], owner="x")


def test_model_card_is_there_for_python(store) -> None:
    import aims_mlflow

    text = aims_mlflow.model_card("models:/triage/2", config=store.config, tracking_uri=store.uri)
    assert text.startswith("# Model card: triage version 2")
    assert aims_mlflow.model_card("models:/triage/2", format="html", config=store.config, tracking_uri=store.uri)
    with pytest.raises(InputError):
        aims_mlflow.model_card("models:/triage/2", format="pdf", config=store.config, tracking_uri=store.uri)
    with pytest.raises(InputError):
        aims_mlflow.model_card("runs:/" + "0" * 32, config=store.config, tracking_uri=store.uri)


def test_the_bill_of_materials_is_valid_and_the_same_again(records) -> None:
    first = bill_of_materials(records, "models:/triage/2")
    assert schema_problem(first) is None
    assert bill_of_materials(records, "models:/triage@champion") == first
    plain = json.loads(first)
    assert plain["metadata"]["timestamp"].startswith("20")
    assert any(one["name"] == "scikit-learn" for one in plain["components"])
    values = {str(v) for v in (17.99, 20.57)}  # the first rows of the data
    assert not any(value in first for value in values)


def test_a_logged_bill_becomes_evidence_the_supplier_control_accepts(mlflow_store, tmp_path) -> None:
    import mlflow
    from sklearn.dummy import DummyClassifier

    import aims_mlflow

    config = tmp_path / "aims.yaml"
    config.write_text("system: {id: small, name: Small}\nregistered_models: [small]\n")
    with mlflow.start_run():
        model = DummyClassifier().fit([[0], [1]], [0, 1])
        mlflow.sklearn.log_model(model, "model", pip_requirements=[], registered_model_name="small")
    aims_mlflow.assess("models:/small/1", config=config)
    records = ManagementRecords(config=config, tracking_uri=mlflow_store)
    text = bill_of_materials(records, "models:/small/1")
    assert gaps_of(json.loads(text))
    logged = log_bill_of_materials(records, "models:/small/1", text)
    assert logged.kind == "components"
    assert logged.content["serial_number"] == json.loads(text)["serialNumber"]
    run_id = records.client.get_model_version("small", "1").run_id
    kept = records.client.download_artifacts(run_id, logged.content["artifact"], str(tmp_path))
    assert Path(kept).read_text() == text
    judged = aims_mlflow.assess("models:/small/1", config=config)
    checks = {c.requirement: c for f in judged.findings if f.id == "A.10.3" for c in f.checks}
    assert checks["components"].outcome == "pass"
    assert logged.digest in checks["components"].evidence


def test_a_model_of_no_system_has_a_card_that_says_so(mlflow_store) -> None:
    import mlflow
    from sklearn.dummy import DummyClassifier

    with mlflow.start_run():
        mlflow.sklearn.log_model(
            DummyClassifier().fit([[0]], [0]), "model", pip_requirements=[], registered_model_name="stray"
        )
    records = ManagementRecords(tracking_uri=mlflow_store)
    paper, system = card(records, "models:/stray/1")
    assert system is None
    assert {"Intended use", "Metrics", "Human oversight"} <= {ref for ref, _ in paper.gaps()}


def test_as_of_a_date_before_everything_nothing_is_on_record(records) -> None:
    from datetime import UTC, datetime

    paper = annex_iv(records, as_of=datetime(2020, 1, 1, tzinfo=UTC))
    blocks = [b for s in paper.sections for i in s.items for b in i.blocks]
    assert not any(isinstance(b, Table) and "metrics" in b.caption for b in blocks)
    assert "not as the law stood" in " ".join(paper.notes)
    facts = {fact.name: fact.value for fact in paper.facts}
    assert facts["Versions documented"] == "none"  # the log knows that nothing served then
    early = annex_iv(records, as_of=datetime(2020, 1, 1, tzinfo=UTC), versions=["models:/triage/2"])
    assert any("registered only on" in note for note in early.notes)
