from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from aims_mlflow.report import REPORTS, render, template_root
from aims_mlflow.report.environment import environment

ROOT = Path(__file__).resolve().parents[2]


def test_every_report_has_its_template_and_every_top_template_its_report():
    found = {p.name for p in template_root().iterdir() if p.name.startswith("assessment.")}
    assert found == set(REPORTS.values())


def test_in_the_checkout_the_templates_at_the_root_are_used():
    assert Path(str(template_root())) == ROOT / "templates"


def test_an_installed_package_uses_the_templates_it_carries(tmp_path):
    shutil.copytree(
        ROOT / "src" / "aims_mlflow", tmp_path / "aims_mlflow", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "templates", tmp_path / "aims_mlflow" / "templates")
    program = (
        "from aims_mlflow.testing import *; from aims_mlflow.report import *; import sys\n"
        "print(template_root()); e = sample_evidence(); print(len(render('report.html', sample_assessment(e), e)))"
        "; print('mlflow' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert Path(said[0]) == tmp_path / "aims_mlflow" / "templates"
    assert int(said[1]) > 50_000 and said[2] == "False"


def test_a_name_the_template_does_not_get_is_an_error():
    for html in (True, False):
        with pytest.raises(UndefinedError):
            environment(html=html).from_string("{{ nothing }}").render()


@pytest.mark.parametrize("name", ["assessment.html.j2", "partials/evidence.html.j2", "x.html", "x.txt"])
def test_html_templates_escape_by_themselves(name):
    assert environment(html=True).autoescape(name) is True


def test_rendering_twice_gives_the_same_text(assessment, evidence):
    for name in REPORTS:
        assert render(name, assessment, evidence) == render(name, assessment, evidence)
