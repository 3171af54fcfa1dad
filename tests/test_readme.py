"""What README.md and docs/*.md tell people to type works, and what they say of names and files is so."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from aims_mlflow.assessment import Overall, Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config import load_settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page.name, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in _blocks(page)]
PROSE = {page: FENCE.sub("", page.read_text("utf-8")) for page in PAGES}
INLINE = [(page, code) for page, text in PROSE.items() for code in re.findall(r"`([^`\n]+)`", text)]


def of(language: str) -> list[Block]:
    """Blocks of every page but two whose commands build on each other: see test_gate_guide.py and
    test_management_guide.py.
    """
    return [b for b in BLOCKS if b.language == language and b.page not in ("gate.md", "management.md")]


TRAINING = next(block for block in of("python") if block.page == "README.md" and "start_run" in block.text)
LOGGING = next(block for block in of("python") if block.page == "frameworks.md")
INLINE_COMMANDS = sorted({code for _, code in INLINE if code.startswith("aims ")})
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


class Folder:
    """A working folder with a real SQLite store of its own, and processes that run in it."""

    def __init__(self, path: Path, store: Path | None = None) -> None:
        self.path = path
        self.run_id = ""
        database = store or path / "mlflow.db"
        kept = {"MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"}
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("AIMS_", "MLFLOW_")) or k in kept}
        self.env = {**ours, "MLFLOW_TRACKING_URI": f"sqlite:///{database}", "COLUMNS": "120"}

    def python(self, text: str) -> str:
        done = self._run([sys.executable, "-c", text])
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def aims(self, line: str) -> subprocess.CompletedProcess:
        program, *arguments = shlex.split(line.replace("RUN_ID", self.run_id))
        assert program == "aims"
        return self._run([sys.executable, "-m", "aims_mlflow", *arguments])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, cwd=self.path, env=self.env, capture_output=True, text=True, timeout=200, check=False
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder after the training code of the README has run in it as it stands."""
    folder = Folder(tmp_path_factory.mktemp("trained"))
    out = folder.python(TRAINING.text + "\nprint(run.info.run_id)\n").splitlines()
    folder.run_id = out[-1]
    folder.headline = out[-2]
    return folder


@pytest.fixture(scope="module")
def artifacts(trained):
    (found,) = trained.path.glob(f"mlruns/**/{trained.run_id}/artifacts")
    return found


@pytest.fixture
def tags(trained):
    """As they are now: `aims assess` writes them anew."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=trained.env["MLFLOW_TRACKING_URI"]).get_run(trained.run_id).data.tags


def test_every_block_is_of_a_language_that_is_tried_here():
    assert [str(block) for block in BLOCKS if block.language not in {"python", "bash", "yaml"}] == []
    assert {block.language for block in BLOCKS} == {"python", "bash", "yaml"}


def test_the_training_code_runs_and_its_finding_is_printed(trained):
    assert "of 70 applicable clauses and controls are satisfied" in trained.headline


@pytest.mark.parametrize("block", [block for block in of("python") if block not in (TRAINING, LOGGING)], ids=str)
def test_python_runs(block, trained, tmp_path):
    folder = Folder(tmp_path, trained.path / "mlflow.db")
    out = folder.python(f"RUN_ID = {trained.run_id!r}\n{block.text}")
    if "print(" in block.text:
        assert out.strip()


@pytest.mark.parametrize("block", of("bash"), ids=str)
def test_the_commands_of_a_block_run(block, tmp_path):
    folder = Folder(tmp_path)
    for line in block.text.splitlines():
        if line.startswith("make "):
            assert line.split()[1] in TARGETS
        else:
            done = folder.aims(line)
            assert done.returncode == 0, f"{line}: {done.stdout[-500:]}{done.stderr[-2000:]}"
            assert done.stdout.strip(), line


NEED_A_VERSION = {"gate", "promote", "approve", "reject", "waive", "withdraw", "history", "reconcile", "webhook"}
NEED_RECORDS = {
    "attest",
    "bom",
    "card",
    "gap",
    "impact",
    "incident",
    "nonconformity",
    "records",
    "refresh",
    "risk",
    "soa",
    "systems",
}
"""Run by the tests of the guides; here what a sentence names of them must be there."""


@pytest.mark.parametrize("line", [c for c in INLINE_COMMANDS if c.split()[1] in NEED_A_VERSION | NEED_RECORDS])
def test_a_command_of_the_gate_named_in_a_sentence_has_what_is_named(line):
    from click.testing import CliRunner

    from aims_mlflow.cli import aims

    _, name, *rest = line.split()
    below = getattr(aims.commands[name], "commands", {})
    part = [word for word in rest[:1] if word.islower() and not word.startswith("--") and below]
    assert set(part) <= set(below)
    said = CliRunner().invoke(aims, [name, *part, "--help"])
    assert said.exit_code == 0
    assert [word for word in rest if word.startswith("--") and word not in said.output] == []


@pytest.mark.parametrize(
    "line", [c for c in INLINE_COMMANDS if c.split()[1] not in NEED_A_VERSION | NEED_RECORDS and c != "aims assess"]
)
def test_a_command_named_in_a_sentence_runs(line, trained, tmp_path):
    folder = Folder(tmp_path, trained.path / "mlflow.db")
    folder.run_id = trained.run_id
    done = folder.aims(line)
    not_met = line.startswith("aims assess")  # a model without a management system behind it
    nothing_there = line == "aims check"  # no aims.yaml in this folder
    expected = 1 if not_met else 2 if nothing_there else 0
    assert done.returncode == expected, f"{line}: {done.stdout[-500:]}{done.stderr[-2000:]}"


def test_machines_get_json_from_each_command_the_readme_names_with_it():
    from aims_mlflow.cli import aims

    def commands(group, before=()):
        for name, command in group.commands.items():
            if getattr(command, "commands", None):
                yield from commands(command, (*before, name))
            else:
                yield " ".join((*before, name)), command

    every = dict(commands(aims))

    def options(name):
        return {option for parameter in every[name].params for option in parameter.opts}

    text = " ".join(PROSE[ROOT / "README.md"].split())
    assert "`--json` prints for machines (`aims report RUN_ID --format json`)" in text
    assert [name for name in every if "--json" not in options(name)] == [
        "init",
        "report",
        "keygen",
        "webhook",
        "soa init",
    ]
    assert "--format" in options("report")


def test_every_make_target_named_exists():
    named = {(page.name, target) for page, code in INLINE for target in re.findall(r"^make ([a-z-]+)", code)}
    named |= {(str(b), target) for b in of("bash") for target in re.findall(r"^make ([a-z-]+)", b.text, re.MULTILINE)}
    assert {"demo", "test", "bench", "package"} <= {target for _, target in named}
    assert [place for place in sorted(named) if place[1] not in TARGETS] == []
    script = ROOT / ".ci" / "run"
    if script.is_file():  # it is not part of the sdist
        lines = re.findall(r"^ *make ([a-z -]+)$", script.read_text("utf-8"), re.MULTILINE)
        called = {target for line in lines for target in line.split()}
        assert "test" in called
        assert called <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", PROSE[page]):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, heading = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_every_yaml_block_is_valid_and_the_own_framework_loads(tmp_path):
    declarations, frameworks = [], []
    for block in of("yaml"):
        content = yaml.safe_load(block.text)
        assert isinstance(content, dict), str(block)
        (frameworks if "framework" in content else declarations).append(block)
    assert len(frameworks) == 1
    assert declarations
    own = tmp_path / "acme_controls.yaml"
    own.write_text(frameworks[0].text, "utf-8")
    for block in declarations:
        (tmp_path / "aims.yaml").write_text(block.text, "utf-8")
        named = load_settings(tmp_path / "aims.yaml").declaration.frameworks
        catalog = load_catalog([tmp_path / name for name in named])
        assert (len(catalog.rows), catalog.framework_of["MR-1"]) == (71, "acme")


def test_the_own_control_is_satisfied_by_the_record_the_page_logs(trained, tmp_path):
    for block in of("yaml"):
        name = "acme_controls.yaml" if "framework" in yaml.safe_load(block.text) else "aims.yaml"
        (tmp_path / name).write_text(block.text, "utf-8")
    ending = (
        "import mlflow\n"
        "run_id = mlflow.active_run().info.run_id\n"
        "mlflow.end_run()\n"
        "judged = aims_mlflow.assess(run_id)\n"
        "print(*(f'{f.id} {f.status}' for f in judged.findings if f.framework == 'acme'))\n"
    )
    folder = Folder(tmp_path, trained.path / "mlflow.db")
    assert folder.python(LOGGING.text + ending).split() == ["MR-1", "satisfied"]


def _first_cells(page: Path, header: str) -> list[str]:
    table = page.read_text("utf-8").split(header, 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip().strip("`") for line in table.splitlines()[2:] if line.startswith("|")]


def test_the_table_of_statuses_names_each_once():
    assert _first_cells(ROOT / "README.md", "| status | meaning |") == [str(status) for status in Status]


def test_the_table_of_files_names_what_a_run_holds(artifacts):
    written = {path.relative_to(artifacts / "aims").as_posix() for path in (artifacts / "aims").rglob("*")}
    written -= {"evidence"}
    listed = set(_first_cells(ROOT / "docs" / "evidence.md", "| file | what it is |"))
    records = {name for name in written if name.startswith("evidence/")}
    assert listed == (written - records) | {"evidence/<kind>-<digest>.json"}
    assert len(records) >= 5
    for name in records:
        content = (artifacts / "aims" / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:16]
        assert name == f"evidence/{json.loads(content)['kind']}-{digest}.json"


def test_the_manifest_can_be_checked_with_sha256_alone(artifacts, tags):
    def sha256(name):
        return hashlib.sha256((artifacts / "aims" / name).read_bytes()).hexdigest()

    assert sha256("manifest.json") == tags["aims.evidence"].removeprefix("sha256:")
    listed = json.loads((artifacts / "aims" / "manifest.json").read_bytes())["files"]
    written = {p.relative_to(artifacts / "aims").as_posix() for p in (artifacts / "aims").rglob("*") if p.is_file()}
    assert set(listed) == written - {"manifest.json"}
    for name, entry in listed.items():
        assert entry["sha256"].removeprefix("sha256:") == sha256(name)
        assert entry["bytes"] == (artifacts / "aims" / name).stat().st_size


def test_the_tags_are_the_five_that_are_named_with_the_statuses_that_are_named(tags):
    text = PROSE[ROOT / "docs" / "evidence.md"]
    paragraph = next(part for part in text.split("\n\n") if part.startswith("Five tags"))
    named = re.findall(r"`([^`]+)`", paragraph)
    run_tags = [name for name in named if name.startswith("aims.")][:5]
    assert {name for name in tags if name.startswith("aims.")} == set(run_tags)
    assert {"aims.system_id", "aims.risk"} <= set(named)
    assert {str(overall) for overall in Overall} == {name for name in named if not name.startswith("aims.")}
    assert tags["aims.status"] in named


def test_names_of_files_and_variables_in_the_pages_are_real():
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    for page, code in INLINE:
        if re.fullmatch(r"AIMS_[A-Z_]+(=1)?", code):
            assert code.removesuffix("=1") in source, f"{page.name}: {code}"
        if code.startswith("aims_mlflow/"):
            assert (ROOT / "src" / code).is_file(), f"{page.name}: {code}"


def test_functions_named_in_the_pages_are_public():
    import aims_mlflow

    text = "\n".join(PROSE.values()) + "\n".join(block.text for block in of("python"))
    named = set(re.findall(r"aims_mlflow\.([a-z_]+)\(", text)) | set(re.findall(r"`(log_[a-z_]+)`", text))
    named -= {"log_artifacts", "log_batch", "log_input", "log_param", "log_table"}  # MLflow's own
    assert {"autolog", "load_evidence", "load_assessment", "log_drift", "log_fairness"} <= named
    assert named <= set(aims_mlflow.__all__)


def test_the_counts_of_the_register_are_those_the_readme_states():
    catalog = load_catalog()
    controls = len(catalog.rows) - len(catalog.clauses)
    text = " ".join(PROSE[ROOT / "README.md"].split())
    assert f"{len(catalog.clauses)} auditable clauses and {controls} Annex A controls" in text
    assert f"All {len(catalog.rows)} rows" in text
    named = {"EU AI Act", "NIST AI RMF", "ISO 27001", "ISO 9001", "ISO 14001"}
    assert len(catalog.crosswalks) == len(named)
    assert all(name in PROSE[ROOT / "docs" / "frameworks.md"] for name in named)


def test_the_versions_the_readme_states_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pythons = [name.rsplit(" ", 1)[1] for name in project["classifiers"] if "Python :: 3." in name]
    (mlflow,) = [entry.split(">=")[1] for entry in project["dependencies"] if entry.startswith("mlflow")]
    text = PROSE[ROOT / "README.md"]
    assert f"Python {pythons[0]} to {pythons[-1]}, MLflow {'.'.join(mlflow.split('.')[:2])} and later" in text
    assert f"Licence:\n{project['license']}" in text or f"Licence: {project['license']}" in text
