"""Names kept here that belong to others are compared with the others."""

import re
import sysconfig
from pathlib import Path

from aims_mlflow.config import DRIFT_METHODS, misspelt

PACKAGES = Path(sysconfig.get_path("purelib"))


def test_the_drift_methods_are_evidentlys_own():
    sources = (PACKAGES / "evidently" / "legacy" / "calculations" / "stattests").glob("*.py")
    found = {name for file in sources for name in re.findall(r'StatTest\(\s*name="(\w+)"', file.read_text())}
    assert found == set(DRIFT_METHODS)


def test_a_slip_of_the_pen_is_told_from_a_rule_of_ones_own():
    known = {"expect_column_values_to_be_between", "expect_column_values_to_not_be_null"}
    assert misspelt("expect_column_values_to_be_betwen", known)
    assert misspelt("not_null", known)
    assert not misspelt("expect_column_values_to_be_between", known)
    assert not misspelt("expect_house_policy_to_hold", known)
