"""docs/management.md, typed from top to bottom, does what it says."""

from __future__ import annotations

import json
import shlex

import pytest
from click.testing import CliRunner

from aims_mlflow.cli import aims
from test_readme import ROOT, _blocks

GUIDE = _blocks(ROOT / "docs" / "management.md")
DECLARED = """
system: {id: loans, name: Loan scoring, risk_class: high, risk_reason: Annex III 5(b), owner: {name: Head of lending}}
registered_models: [credit]
"""
IMPACT = """
intended_use: Rank applications for a person who decides.
misuse: [Deciding without a person]
affected: [Applicants]
effects:
  - {to: Young applicants, of: groups, what: Refused more often, kind: harm, severity: moderate, measure: A limit}
conclusion: acceptable with measures
reason: The gap is limited and watched.
"""
OPEN = (
    "aims systems",
    "aims soa check",
    "aims gap",
    "aims impact",
    "aims incident list",
    "aims risk list",
    "aims effectiveness",
)
"""Commands that rightly end with 1 in a system that has just begun."""


@pytest.fixture
def folder(mlflow_store, tmp_path):
    (tmp_path / "aims.yaml").write_text(DECLARED)
    (tmp_path / "impact.yaml").write_text(IMPACT)
    (tmp_path / "ai-policy.md").write_text("# AI policy\n\nWe use AI where it serves people.\n")
    return tmp_path


def run(line):
    """A command of the guide, in this process: as a process of its own each would take seconds to start."""
    _, *words = shlex.split(line)
    return CliRunner().invoke(aims, words)


def test_its_commands_in_their_order_do_what_the_text_says(folder):
    before = run("aims gap --json")
    assert before.exit_code == 1
    assert {row["maturity"] for row in json.loads(before.stdout)} == {0}
    said = {}
    for block in GUIDE:
        if block.language == "bash":
            for line in block.text.splitlines():
                said[line] = done = run(line)
                assert done.exit_code != 2, f"{line}: {done.output}"
                assert done.exit_code == 0 or any(line.startswith(command) for command in OPEN), (
                    f"{line}: {done.output}"
                )
    assert "ai_policy" in said["aims records"].stdout
    assert "Head of lending" in said["aims systems"].stdout
    after = {row["id"]: row for row in json.loads(run("aims gap --json").stdout)}
    assert after["5.2"]["status"] == after["A.3.3"]["status"] == "satisfied"
    assert after["5.2"]["maturity"] == 3
    for name in ("gap.html", "soa.xlsx", "eu-ai-act.html", "requests.csv", "annex-iv.html", "due.ics"):
        assert (folder / name).stat().st_size > 500, name
