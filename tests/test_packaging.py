"""Wheel, sdist and editable install: each carries the templates and data files, and works away from the checkout."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

import aims_mlflow

ROOT = Path(__file__).resolve().parents[1]

RENDER = """
import json, sys
from importlib.metadata import distribution
import aims_mlflow
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config import STARTER_TEMPLATE
from aims_mlflow.management.record_templates import template_of
from aims_mlflow.management.types import record_types
from aims_mlflow.report import REPORTS, render_reports, template_root
from aims_mlflow.testing import sample_assessment, sample_evidence

evidence = sample_evidence()
pages = render_reports(sample_assessment(evidence), evidence)
json.dump(
    {
        "package": aims_mlflow.__file__,
        "distribution": str(distribution("aims-mlflow").locate_file("")),
        "templates": str(template_root()),
        "starter": template_root().joinpath(STARTER_TEMPLATE).is_file(),
        "demo": template_root().joinpath("demo_aims.yaml").is_file(),
        "records": len([1 for t in record_types(load_catalog()) if t != "gap" and template_of(t, load_catalog())]),
        "rows": len(load_catalog().rows),
        "crosswalks": len(load_catalog().crosswalks),
        "pages": {name: page[:15] for name, page in pages.items()},
        "system": all("Credit pre-scoring" in page for page in pages.values()),
    },
    sys.stdout,
)
"""


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel built from that sdist; without network."""
    for needed in ("build", "hatchling"):
        if importlib.util.find_spec(needed) is None:
            pytest.fail(f"'{needed}' is not installed: pip install --group dev")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built):
    (path,) = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder into which pip installed the wheel; its dependencies stay in the running environment."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this environment was made without pip")
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run(*pip, "--target", target, wheel, cwd=target)
    return target


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def info(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [p for p in archive.namelist() if p.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def files_under(folder: Path) -> set[str]:
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {p.as_posix() for p in found if "__pycache__" not in p.parts}


def test_the_wheel_holds_the_templates_of_the_checkout_byte_for_byte(wheel):
    prefix = "aims_mlflow/templates/"
    shipped = {name.removeprefix(prefix) for name in names(wheel) if name.startswith(prefix)}
    assert shipped == files_under(ROOT / "templates")
    assert "assessment.html.j2" in shipped
    with zipfile.ZipFile(wheel) as archive:
        for name in shipped:
            assert archive.read(prefix + name) == (ROOT / "templates" / name).read_bytes(), name


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    package = {f"aims_mlflow/{name}" for name in files_under(ROOT / "src" / "aims_mlflow")}
    templates = {f"aims_mlflow/templates/{name}" for name in files_under(ROOT / "templates")}
    shipped = names(wheel)
    assert {name for name in shipped if ".dist-info/" not in name} == package | templates
    crosswalks = {f"aims_mlflow/catalog/crosswalks/{p.name}" for p in ROOT.glob("src/*/catalog/crosswalks/*.yaml")}
    assert len(crosswalks) == 5
    assert shipped >= crosswalks | {
        "aims_mlflow/py.typed",
        "aims_mlflow/schema/evidence-1.json",
        "aims_mlflow/catalog/iso_42001.yaml",
    }


def test_no_tests_caches_or_compiled_files_are_shipped(wheel, sdist):
    with tarfile.open(sdist) as archive:
        everything = names(wheel) | set(archive.getnames())
    assert [n for n in everything if n.endswith((".pyc", ".pyo", ".db", ".log")) or "__pycache__" in n] == []
    assert [n for n in names(wheel) if {"tests", "benchmarks", "docs", "notebooks"} & set(PurePosixPath(n).parts)] == []


def test_entry_points_licence_and_dependencies_are_those_of_pyproject(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    points = configparser.ConfigParser()
    points.read_string(info(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == project["scripts"]
    assert dict(points["mlflow.run_context_provider"]) == project["entry-points"]["mlflow.run_context_provider"]
    metadata = Parser().parsestr(info(wheel, "METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("aims-mlflow", aims_mlflow.__version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == project["requires-python"]
    named = {
        entry.split("<")[0].split(">")[0].lower()
        for entry in metadata.get_all("Requires-Dist")
        if "extra ==" not in entry
    }
    assert named == {entry.split("<")[0].split(">")[0].lower() for entry in project["dependencies"]}
    assert info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text("utf-8")


def test_the_wheel_from_the_checkout_equals_the_wheel_from_the_sdist(wheel, tmp_path):
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (direct,) = tmp_path.glob("*.whl")
    assert names(direct) == names(wheel)
    assert info(direct, "RECORD") == info(wheel, "RECORD")


def test_the_sdist_holds_what_its_own_tests_and_make_need(sdist):
    with tarfile.open(sdist) as archive:
        paths = {PurePosixPath(n).relative_to(PurePosixPath(n).parts[0]).as_posix() for n in archive.getnames()}
    assert paths >= {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile"}
    for folder in ("src", "templates", "tests", "docs", "notebooks", "benchmarks"):
        expected = {f"{folder}/{n}" for n in files_under(ROOT / folder) if not n.endswith(".pyc")}
        assert expected, folder
        assert expected <= paths, f"missing from the sdist: {sorted(expected - paths)[:5]}"


def test_an_installed_wheel_renders_and_loads_its_register_away_from_the_checkout(installed, tmp_path):
    found = json.loads(run(sys.executable, "-c", RENDER, cwd=tmp_path, PYTHONPATH=str(installed)))
    assert Path(found["package"]).is_relative_to(installed)
    assert Path(found["distribution"]) == installed
    assert Path(found["templates"]) == installed / "aims_mlflow" / "templates"
    assert found["starter"]
    assert found["demo"]
    assert found["records"] == len(list((ROOT / "templates" / "records").iterdir())) - 1, "all but the general one"
    assert (found["rows"], found["crosswalks"]) == (70, 5)
    assert found["pages"]["report.html"] == "<!DOCTYPE html>"
    assert set(found["pages"]) == {"report.html", "report.md"}
    assert found["system"]
    assert list(tmp_path.iterdir()) == []


def test_a_zipped_wheel_on_the_path_renders_as_well(wheel, tmp_path):
    found = json.loads(run(sys.executable, "-c", RENDER, cwd=tmp_path, PYTHONPATH=str(wheel)))
    assert found["package"].startswith(str(wheel))
    assert found["rows"] == 70
    assert found["records"] > 60
    assert found["system"]


def test_the_installed_command_works_away_from_the_checkout(installed, tmp_path):
    aims = installed / "bin" / "aims"
    here = {"PYTHONPATH": str(installed)}
    assert run(aims, "--version", cwd=tmp_path, **here).split()[-1] == aims_mlflow.__version__
    run(aims, "init", cwd=tmp_path, **here)
    run(aims, "check", cwd=tmp_path, **here)
    assert len(json.loads(run(aims, "register", "--json", cwd=tmp_path, **here))) == 70


def test_mlflow_finds_the_plugin_of_an_installed_wheel(installed, tmp_path):
    code = (
        "from mlflow.tracking.context.registry import _run_context_provider_registry as r;"
        "print([type(p).__module__ for p in r])"
    )
    assert "aims_mlflow.hooks.plugin" in run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))


def test_an_editable_install_reads_the_live_templates_of_the_checkout(tmp_path):
    package = Path(aims_mlflow.__file__).parent
    if package != ROOT / "src" / "aims_mlflow":
        pytest.skip("this environment has no editable install of this checkout")
    assert not (package / "templates").exists(), "a copy inside the package would hide changes of the templates"
    found = json.loads(run(sys.executable, "-c", RENDER, cwd=tmp_path))
    assert Path(found["templates"]) == ROOT / "templates"
    assert (found["starter"], found["demo"], found["system"]) == (True, True, True)
