"""``aims crosswalk``, ``requests``, ``annex-iv``, ``card``, ``bom``: forms, files, exit codes, errors."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aims_mlflow.catalog import load_catalog
from aims_mlflow.cli import aims
from aims_mlflow.documentation.outline import outline
from aims_mlflow.management.types import record_types

sys.path.insert(0, str(Path(__file__).parents[1] / "managing"))
from triage_store import copy_of, triage


@pytest.fixture
def store(tmp_path_factory):
    return triage(tmp_path_factory)


def run(store, *arguments: str):
    where = ["--tracking-uri", store.uri, "--config", str(store.config)] if store else []
    return CliRunner().invoke(aims, [*arguments, *where])


def done(store, *arguments: str) -> str:
    result = run(store, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_crosswalk_prints_a_table_and_when_the_dates_were_checked(store) -> None:
    told = done(store, "crosswalk", "eu_ai_act")
    assert "Art. 9(1)" in told
    assert "no current evidence" in told
    assert "last checked on 2026-11-23" in told
    assert "Support is no conformity." in told


def test_crosswalk_as_json_names_relation_confidence_and_status(store) -> None:
    plain = json.loads(done(store, "crosswalk", "iso27001_2022", "--json"))
    line = plain["groups"][0]["lines"][0]
    assert line["reference"] == "clause 4.1"
    assert line["rows"][0] | {"reason": ""} == line["rows"][0] | {"reason": ""}
    assert {row["relation"] for g in plain["groups"] for one in g["lines"] for row in one["rows"]} == {"supports"}
    assert plain["law"] is None
    assert sum(plain["counts"].values()) == sum(len(group["lines"]) for group in plain["groups"])


@pytest.mark.parametrize("suffix", ["html", "md", "csv", "json"])
def test_crosswalk_writes_what_the_suffix_says(store, tmp_path, suffix: str) -> None:
    path = tmp_path / f"eu.{suffix}"
    done(store, "crosswalk", "eu_ai_act", "--out", str(path))
    text = path.read_text("utf-8")
    assert "Art. 9(1)" in text
    if suffix == "csv":
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        assert {row["relation"] for row in rows} == {"supports"}


def test_a_wrong_name_or_suffix_ends_with_2_and_says_what_there_is(store, tmp_path) -> None:
    result = run(store, "crosswalk", "eu_ai_axt")
    assert result.exit_code == 2
    assert "eu_ai_act" in result.output
    result = run(store, "crosswalk", "eu_ai_act", "--out", str(tmp_path / "x.docx"))
    assert result.exit_code == 2
    assert "html" in result.output
    result = run(store, "crosswalk", "eu_ai_act", "--system", "triag")
    assert result.exit_code == 2
    assert "triage" in result.output
    result = run(store, "annex-iv", "--out", str(tmp_path / "none" / "x.html"))
    assert result.exit_code == 2
    assert "cannot be written" in result.output


def test_requests_merge_and_serve_both(store, tmp_path) -> None:
    told = done(store, "requests", "--with", "iso27001_2022")
    assert "also serve ISO/IEC 27001:2022" in told
    plain = json.loads(done(store, "requests", "--with", "iso27001_2022", "--with", "iso9001_2015", "--json"))
    assert len(plain["requests"]) < plain["asked"]
    assert set(plain["frameworks"]) == {"iso27001_2022", "iso9001_2015"}
    path = tmp_path / "r.csv"
    done(store, "requests", "--with", "iso27001_2022", "--out", str(path))
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    policy = next(row for row in rows if row["id"] == "statement:ai_policy")
    assert policy["iso_42001"] == "5.2, A.2.2"
    assert "A.5.1 (medium)" in policy["iso27001_2022"]


def test_strict_ends_with_1_where_something_is_missing(store, tmp_path) -> None:
    assert run(store, "requests", "--strict").exit_code == 1
    assert run(store, "annex-iv", "--strict", "--out", str(tmp_path / "a.md")).exit_code == 1
    assert run(store, "card", "models:/triage/2", "--strict", "--out", str(tmp_path / "c.md")).exit_code == 1
    assert run(store, "bom", "models:/triage/2", "--strict", "--out", str(tmp_path / "b.json")).exit_code == 1


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_annex_iv_in_every_form(store, form: str) -> None:
    told = done(store, "annex-iv", "--system", "triage", "--format", form)
    assert "no presumption of conformity" in told
    assert "Annex IV(9)" in told
    if form == "json":
        plain = json.loads(told)
        assert {gap["ref"] for gap in plain["gaps"]}
        assert all(gap["missing"] and gap["whose"] and gap["how"] for gap in plain["gaps"])


def test_annex_iv_of_a_date_and_of_a_version(store, tmp_path) -> None:
    told = done(store, "annex-iv", "--as-of", "2020-01-01", "--json")
    assert json.loads(told)["at"].startswith("2020-01-01")
    told = done(store, "annex-iv", "--version", "models:/triage/1", "--json")
    assert "models:/triage/1 (not in service)" in told


def test_card_prints_writes_and_files(store, tmp_path) -> None:
    own = copy_of(store, tmp_path)
    assert "# Model card: triage version 2" in done(own, "card", "models:/triage@champion")
    path = tmp_path / "card.html"
    result = run(
        own, "card", "models:/triage/2", "--out", str(path), "--record", "technical_documentation",
        "--owner", "Head of pathology", "--approver", "Quality office", "--valid-until", "2099-01-31",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "filed as the document of technical_documentation:technical_documentation-triage revision 1" in result.stderr
    shown = json.loads(done(own, "records", "--type", "technical_documentation", "--json"))
    assert "2099-01-31" in json.dumps(shown)


def test_card_refuses_a_record_without_owner_or_in_the_past(store) -> None:
    for arguments, said in (
        (("--record", "user_information"), "needs an owner"),
        (("--owner", "Head"), "of a record"),
        (("--record", "user_information", "--owner", "Head", "--as-of", "2026-01-01"), "filed now"),
    ):
        result = run(store, "card", "models:/triage/2", *arguments)
        assert result.exit_code == 2
        assert said in result.output
    assert run(store, "card", "runs:/" + "0" * 32).exit_code == 2


def test_bom_writes_and_sums_up(store, tmp_path) -> None:
    path = tmp_path / "bom.json"
    plain = json.loads(done(store, "bom", "models:/triage/2", "--out", str(path), "--json"))
    written = json.loads(path.read_text())
    assert plain["serial_number"] == written["serialNumber"]
    assert plain["components"] == len(written["components"])
    assert json.loads(done(store, "bom", "models:/triage/2")) == written
    result = run(store, "bom", "models:/triage/2", "--log", "--as-of", "2026-01-01")
    assert result.exit_code == 2


COMMAND = re.compile(r"`aims ([a-z-]+)(?: ([a-z_]+))?")


def test_every_command_a_gap_names_exists() -> None:
    types = record_types(load_catalog())
    seen = 0
    for name in ("annex_iv", "model_card"):
        for part in (p for s in outline(name).sections for i in s.items for p in i.parts):
            for command, word in COMMAND.findall(part.how):
                seen += 1
                found = aims.commands[command]
                if isinstance(found, click.Group) and word:
                    assert word in found.commands, part.how
                if command == "attest":
                    assert word in types, part.how
    assert seen > 20
