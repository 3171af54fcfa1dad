"""``aims register``."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from aims_mlflow.cli import aims

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(*arguments, **environment):
    return CliRunner().invoke(aims, ["register", *arguments], env=environment)


def test_json_is_a_list_of_every_row():
    done = run("--json")
    rows = json.loads(done.stdout)
    assert done.exit_code == 0
    assert isinstance(rows, list)
    assert [sum(r["kind"] == kind for r in rows) for kind in ("clause", "control")] == [32, 38]
    assert all({"id", "title", "kind", "strength", "freshness", "requires", "crosswalk"} <= set(r) for r in rows)
    assert {r["strength"] for r in rows} == {"automatic", "assisted", "attested"}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_every_row_is_listed_at_any_width(width):
    done = run(COLUMNS=str(width))
    rows = json.loads(run("--json").stdout)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= width
    shown = {line.split(" ", 1)[0] for line in lines}
    assert {row["id"] for row in rows} <= shown
    assert ("Also supports" in done.stdout) == (width >= 110)
    assert "32 clauses, 38 controls" in done.stdout


def test_one_row_in_full():
    done = run("--id", "A.7.4")
    assert done.exit_code == 0
    for words in ("A.7.4", "strength: automatic", "evidence: data_quality", "next: ", "eu_ai_act"):
        assert words in done.stdout
    assert [r["id"] for r in json.loads(run("--id", "A.7.4", "--json").stdout)] == ["A.7.4"]


@pytest.mark.parametrize("width", [80, 200])
def test_the_topics_that_count_for_a_row_are_listed(width):
    rows = {row["id"]: row for row in json.loads(run("--json").stdout)}
    assert rows["5.2"]["topics"] == ["ai_policy"]
    assert rows["A.7.4"]["topics"] == []
    lines = run(COLUMNS=str(width)).stdout.splitlines()
    assert "Topics" in lines[0]
    assert any(line.startswith("5.2 ") and " ai_policy" in line for line in lines)
    assert "topic of the attestation: ai_policy\n" in run("--id", "5.2").stdout


def test_the_remedy_of_every_statement_names_its_end():
    needs = [need for row in json.loads(run("--json").stdout) for need in row["requires"] if need["where"].get("topic")]
    assert len(needs) > 50
    assert all("valid_until" in need["remedy"] for need in needs)


def test_an_unknown_id_could_not_be_listed_and_names_the_nearest():
    done = run("--id", "A.7.44")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "A.7.4" in done.stderr


def test_a_crosswalk_narrows_the_list():
    rows = json.loads(run("--framework", "eu_ai_act", "--json").stdout)
    assert 0 < len(rows) <= 70
    assert all("eu_ai_act" in row["crosswalk"] for row in rows)
    done = run("--framework", "eu_ai_akt")
    assert done.exit_code == 2
    assert "Did you mean 'eu_ai_act'?" in done.stderr


def test_frameworks_of_ones_own_are_listed_with_the_rest(tmp_path):
    example = EXAMPLES / "acme_controls.yaml"
    if not example.exists():
        pytest.skip("the catalog's example is not written yet")
    shutil.copy(example, tmp_path / "house.yaml")
    (tmp_path / "aims.yaml").write_text("frameworks: [house.yaml]\n")
    assert len(json.loads(run("--json").stdout)) > 70


def test_a_declaration_with_mistakes_does_not_hide_the_register(tmp_path):
    (tmp_path / "aims.yaml").write_text("systm: {}\n")
    done = run("--json")
    assert (done.exit_code, len(json.loads(done.stdout))) == (0, 70)
    assert "aims check" in done.stderr
    assert run("--config", "aims.yaml").exit_code == 2
