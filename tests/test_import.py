"""Importing the package does nothing and costs nothing."""

import subprocess
import sys

PROBE = """
import sys, time
import mlflow
before = set(sys.modules)
start = time.perf_counter()
import aims_mlflow
spent = time.perf_counter() - start
new = set(sys.modules) - before
print(spent)
print(" ".join(sorted(new)))
"""


def test_import_after_mlflow_takes_under_50_ms_and_loads_nothing_heavy():
    best = 9.0
    for _ in range(3):
        out = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        best = min(best, float(out[0]))
        loaded = {name.split(".")[0] for name in out[1].split()}
        assert not loaded & {"great_expectations", "evidently", "pandas", "scipy", "sklearn", "rich", "click", "jinja2"}
    assert best < 0.05


def test_import_alone_imports_no_mlflow_and_touches_no_file(tmp_path):
    code = "import sys, aims_mlflow; assert 'mlflow' not in sys.modules; assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_public_name_can_be_loaded():
    import aims_mlflow

    for name in aims_mlflow.__all__:
        assert getattr(aims_mlflow, name) is not None
    assert set(aims_mlflow.__all__) <= set(dir(aims_mlflow))
