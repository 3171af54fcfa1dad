"""docs/gate.md, typed from top to bottom, does what it says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aims_mlflow.gate.policy import SHIPPED
from test_readme import TRAINING, Folder, _blocks

from test_readme import ROOT  # isort: skip

GUIDE = _blocks(ROOT / "docs" / "gate.md")
REGISTER = """
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=mlflow.models.infer_signature(train.drop(columns="target"), predicted),
        registered_model_name="credit",
    )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the policy of the guide and the version its commands speak of."""
    made = Folder(tmp_path_factory.mktemp("guide"))
    made.env["XDG_STATE_HOME"] = str(made.path / ".state")
    (policy,) = [block for block in GUIDE if block.language == "yaml"]
    (made.path / "aims.yaml").write_text(policy.text)
    register = REGISTER
    import mlflow

    if not mlflow.__version__.startswith("3"):
        register = register.replace(" name=", " artifact_path=")
    made.python(TRAINING.text.replace("\nprint(", f"{register}\nprint("))
    return made


def test_its_commands_in_their_order_do_what_the_text_says(folder):
    codes = {}
    for block in GUIDE:
        if block.language == "bash":
            for line in block.text.splitlines():
                done = folder.aims(line)
                codes.setdefault(line, done)
                assert done.returncode != 2, f"{line}: {done.stdout}{done.stderr}"
    first, *rest = codes
    assert codes[first].returncode == 1
    assert "aims approve models:/credit/1 --to champion" in codes[first].stdout
    assert {line: codes[line].stdout for line in rest if codes[line].returncode} == {}
    assert "champion" in codes["aims history credit"].stdout
    assert "Model validation" in codes["aims history credit"].stdout
    assert codes["aims keygen ci.pem"].stdout.startswith("ed25519:")
    assert folder.aims("aims check").returncode == 0
    assert "champion" in folder.aims(f"aims history credit --at {datetime.now(UTC):%Y-%m-%d}").stdout


def test_the_table_of_profiles_says_what_they_ask_for():
    text = (ROOT / "docs" / "gate.md").read_text("utf-8")
    controls: set[str] = set()
    kinds: set[str] = set()
    for name in ("minimal", "limited", "high"):
        line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        _, _, rows, verdicts, approvals, age, _ = [cell.strip() for cell in line.split("|")]
        if rows.startswith("and "):
            controls |= set(rows.removeprefix("and ").split(", "))
        else:
            controls = set(rows.split(", "))
        named = {kind.strip().replace(" ", "_") for kind in verdicts.removeprefix("and ").split(",")}
        kinds = kinds | named if verdicts.startswith("and ") else named
        profile = SHIPPED[name]
        assert set(profile.controls) == controls
        assert set(profile.evidence) == kinds
        assert profile.approvals.count == int(approvals)
        assert age == f"{profile.max_age_days} days"
