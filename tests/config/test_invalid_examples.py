"""Every file in tests/invalid_examples gives exactly the messages in the file beside it."""

import os
from pathlib import Path

import pytest

from aims_mlflow.config import DRIFT_METHODS, KnownNames, examine, load_settings
from aims_mlflow.errors import ConfigError

EXAMPLES = Path(__file__).parents[1] / "invalid_examples"
KNOWN = KnownNames(
    ids=("4.1", "5.2", "9.1", "A.2.2", "A.7.4", "A.7.5", "A.9.2", "A.10.3", "A.10.4"),
    clauses=("4.1", "5.2", "9.1"),
    expectations=("expect_column_values_to_be_between", "expect_column_values_to_not_be_null"),
    drift_methods=DRIFT_METHODS,
    disparities=("selection_rate_ratio", "true_positive_rate_difference"),
)


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_each_mistake_is_named_with_its_line_key_and_nearest_valid_name(name, monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    _, problems = examine(f"{name}.yaml", known=KNOWN)
    said = "".join(f"{problem}\n" for problem in problems)
    expected = EXAMPLES / f"{name}.errors.txt"
    if os.environ.get("AIMS_REWRITE_EXPECTED"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")
    assert problems, "an invalid example must be refused"


def test_every_expected_file_has_its_example():
    assert {p.name.removesuffix(".errors.txt") for p in EXAMPLES.glob("*.errors.txt")} == {
        p.stem for p in EXAMPLES.glob("*.yaml")
    }


def test_loading_refuses_what_checking_lists(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    with pytest.raises(ConfigError) as raised:
        load_settings("wrong_types.yaml")
    assert raised.value.problems == tuple(str(p) for p in examine("wrong_types.yaml")[1])
    assert len(raised.value.problems) > 15
    assert "\n" not in str(raised.value)
    assert "wrong_types.yaml:1: version: expected 1" in str(raised.value)
