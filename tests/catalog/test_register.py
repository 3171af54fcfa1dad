"""The register: complete, consistent, in our own words."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files

import pytest

from aims_mlflow.catalog import load_catalog, register_rows
from aims_mlflow.controls import Strength
from aims_mlflow.errors import CatalogError
from aims_mlflow.evidence import TYPED_KINDS, Basis

CLAUSES = [
    "4.1", "4.2", "4.3", "4.4", "5.1", "5.2", "5.3", "6.1.1", "6.1.2", "6.1.3", "6.1.4", "6.2", "6.3", "7.1", "7.2",
    "7.3", "7.4", "7.5.1", "7.5.2", "7.5.3", "8.1", "8.2", "8.3", "8.4", "9.1", "9.2.1", "9.2.2", "9.3.1", "9.3.2",
    "9.3.3", "10.1", "10.2",
]  # fmt: skip
CONTROLS = [
    "A.2.2", "A.2.3", "A.2.4", "A.3.2", "A.3.3", "A.4.2", "A.4.3", "A.4.4", "A.4.5", "A.4.6", "A.5.2", "A.5.3",
    "A.5.4", "A.5.5", "A.6.1.2", "A.6.1.3", "A.6.2.2", "A.6.2.3", "A.6.2.4", "A.6.2.5", "A.6.2.6", "A.6.2.7",
    "A.6.2.8", "A.7.2", "A.7.3", "A.7.4", "A.7.5", "A.7.6", "A.8.2", "A.8.3", "A.8.4", "A.8.5", "A.9.2", "A.9.3",
    "A.9.4", "A.10.2", "A.10.3", "A.10.4",
]  # fmt: skip
HUMAN = {Basis.DECLARED, Basis.ATTESTED}

CATALOG = load_catalog()
ROWS = list(CATALOG.rows.values())
REQUIREMENTS = [(row, need) for row in ROWS for need in row.requires]


def test_every_clause_and_every_control_is_there_once_and_in_order():
    assert [row.id for row in ROWS] == CLAUSES + CONTROLS
    assert len(CLAUSES) == 32
    assert len(CONTROLS) == 38
    assert {row.id for row in ROWS if row.kind == "clause"} == set(CLAUSES)


def test_strengths_are_five_twenty_thirteen_and_none_twenty_twelve():
    counted = Counter((row.kind, row.strength) for row in ROWS)
    controls = [counted["control", strength] for strength in Strength]
    clauses = [counted["clause", strength] for strength in Strength]
    assert controls == [5, 20, 13]
    assert clauses == [0, 20, 12]
    automatic = {row.id for row in ROWS if row.strength is Strength.AUTOMATIC}
    assert automatic == {"A.4.4", "A.6.2.4", "A.6.2.5", "A.6.2.6", "A.7.4"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_requirements_of_a_row_fit_its_strength(row):
    human = [set(need.accepts) <= HUMAN for need in row.requires]
    match row.strength:
        case Strength.AUTOMATIC:
            assert not any(set(need.accepts) & HUMAN for need in row.requires)
        case Strength.ASSISTED:
            assert any(human)
            assert any("attestation" not in need.evidence for need in row.requires)
        case Strength.ATTESTED:
            assert all(need.check == "AT001" and need.accepts == (Basis.ATTESTED,) for need in row.requires)


@pytest.mark.parametrize("row", [r for r in ROWS if r.kind == "clause"], ids=lambda row: row.id)
def test_no_clause_can_be_met_without_a_persons_statement(row):
    assert any(need.accepts == (Basis.ATTESTED,) for need in row.requires)


def test_a_statement_that_stands_for_a_required_document_must_name_it():
    for row, need in REQUIREMENTS:
        attested = [n for n in row.requires if n.check == "AT001"]
        if row.record and need in attested:
            assert any("document" in n.where.get("needs", ()) for n in attested), row.id


def test_every_topic_and_every_kind_serves_a_row():
    assert {topic for _, need in REQUIREMENTS for topic in [need.where.get("topic")] if topic} == set(CATALOG.topics)
    used = {kind for _, need in REQUIREMENTS for kind in need.evidence}
    # A reference and an estimate say nothing by themselves: others are held against them.
    assert set(CATALOG.kinds) - used == {"capture_error", "reference_profile", "estimated_performance"}
    assert set(TYPED_KINDS) <= set(CATALOG.kinds)


def test_weekly_telemetry_does_not_make_a_yearly_plan_stale():
    for row, need in REQUIREMENTS:
        age = CATALOG.freshness[need.freshness or row.freshness].max_age_days
        if need.check == "AT001":
            assert age is None or age >= 92, (row.id, need.id)


def test_every_requirement_says_what_and_what_to_do():
    for row, need in REQUIREMENTS:
        assert need.what and not need.what.endswith("."), row.id
        assert len(need.remedy) > 20, row.id
        assert need.remedy.endswith("."), row.id


def test_every_crosswalk_names_every_row_and_only_rows():
    assert [c.id for c in CATALOG.crosswalks] == [
        "eu_ai_act",
        "iso14001_2015",
        "iso27001_2022",
        "iso9001_2015",
        "nist_ai_rmf",
    ]
    for crosswalk in CATALOG.crosswalks:
        assert [entry.row for entry in crosswalk.entries] == CLAUSES + CONTROLS
        assert "support" in crosswalk.note
    assert CATALOG.crosswalk("A.7.4")["eu_ai_act"]["high"] == ("Art. 10(3)-(4)", "Art. 10(2)(f)-(h)")
    assert "iso27001_2022" not in CATALOG.crosswalk("A.7.4")


def _texts():
    folder = files("aims_mlflow.catalog")
    for item in (folder / "iso_42001.yaml", *(folder / "crosswalks").iterdir()):
        yield item.name, item.read_text("utf-8")


def test_the_files_claim_no_conformity_and_hold_no_text_of_the_standard():
    for name, text in _texts():
        flat = re.sub(r"\s+", " ", text).lower()
        assert not re.search(r"\bcompliant\b|\bcertified\b|\bguarantees?\b", flat), name
        assert not re.search(r"presumption of conformity", flat.replace("no presumption of conformity", "")), name
        # "The organization shall ..." is how the standard speaks; our words never do.
        assert not re.search(r"\bshall\b", flat), name


def test_the_built_in_register_is_loaded_once():
    assert load_catalog() is load_catalog()


def test_the_digest_is_over_the_content(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(files("aims_mlflow.catalog").joinpath("iso_42001.yaml").read_text()[:0] + _small())
    first = load_catalog([own]).sha256
    assert first == load_catalog([own]).sha256 != CATALOG.sha256
    own.write_text(_small().replace("One thing", "Another thing"))
    assert load_catalog([own]).sha256 != first


def _small():
    return """
framework: {id: own, title: Own, version: '1'}
groups: {g: Group}
rows:
- {id: X-1, title: One thing, kind: control, group: g, summary: s, strength: attested, freshness: annual,
   requires: [{id: a, what: a thing, evidence: [run], remedy: Do it.}]}
"""


def test_rows_are_looked_up_and_an_unknown_id_is_refused_with_the_nearest():
    assert CATALOG.row("A.7.4").title == "Quality of data for AI systems"
    with pytest.raises(CatalogError, match=r"A\.7\.44.*Did you mean A\.7\.4"):
        CATALOG.row("A.7.44")
    with pytest.raises(CatalogError, match=r"ai_polcy.*Did you mean ai_policy"):
        CATALOG.topic("ai_polcy")
    with pytest.raises(CatalogError):
        CATALOG.crosswalk("B.1")


def test_the_machine_form_has_the_promised_keys():
    listed = register_rows(CATALOG)
    assert [row["id"] for row in listed] == CLAUSES + CONTROLS
    for row in listed:
        assert {"id", "title", "kind", "strength", "group", "freshness", "requires", "crosswalk"} <= set(row)
        for need in row["requires"]:
            assert {"what", "evidence", "remedy"} <= set(need)
    import json

    assert json.loads(json.dumps(listed)) == listed
