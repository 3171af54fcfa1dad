"""Checks of third parties: found by entry point; a broken one stops the run, a taken id is refused."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from aims_mlflow.checks import BUILTIN, GROUP, load_checks
from aims_mlflow.errors import CatalogError

PLUGIN = '''
from aims_mlflow.checks import judge
from aims_mlflow.checks.judging import by_verdict

class Fine:
    """A third party's check."""
    id = "ACME001"
    arguments = ()
    def check(self, case):
        """Do what the record says."""
        return judge(case, by_verdict)

class Taken(Fine):
    id = "DQ001"

class Nothing:
    id = "ACME002"

class Raises(Fine):
    def __init__(self):
        raise RuntimeError("no licence")
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "acme_checks.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name, made: EntryPoint(name, f"acme_checks:{made}", GROUP)
    sys.modules.pop("acme_checks", None)


def test_a_plugin_stands_beside_our_own(plugin):
    checks = load_checks([plugin("ACME001", "Fine")])
    assert set(checks) == {made.id for made in BUILTIN} | {"ACME001"}


@pytest.mark.parametrize(
    ("name", "made", "message"),
    [
        ("ACME001", "Absent", "could not be loaded: AttributeError"),
        ("ACME001", "Raises", "could not be loaded: RuntimeError: no licence"),
        ("ACME002", "Nothing", "not a check"),
        ("OTHER", "Fine", "not a check"),
        ("DQ001", "Taken", "'DQ001' is taken by aims_mlflow.checks.data"),
    ],
)
def test_a_broken_plugin_stops_the_run_and_names_itself(plugin, name, made, message):
    with pytest.raises(CatalogError, match=message) as caught:
        load_checks([plugin(name, made)])
    assert name in str(caught.value)


def test_two_plugins_cannot_share_an_id(plugin):
    with pytest.raises(CatalogError, match="taken"):
        load_checks([plugin("ACME001", "Fine"), plugin("ACME001", "Fine")])
