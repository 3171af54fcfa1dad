"""The file that ``aims init`` writes is valid as written and as its comments say."""

import re
from pathlib import Path

import pytest

from aims_mlflow.config import (
    STARTER_TEMPLATE,
    Declaration,
    GateMode,
    GatePolicy,
    GateRule,
    check_declaration,
    load_settings,
    starter,
    undeclared,
)

TEMPLATE = (Path(__file__).parents[2] / "templates" / STARTER_TEMPLATE).read_text(encoding="utf-8")


@pytest.fixture
def written(tmp_path):
    file = tmp_path / "aims.yaml"
    file.write_text(starter(TEMPLATE, system_id="credit"), encoding="utf-8")
    return file


def test_it_is_valid_as_written_and_then_asks_for_what_is_empty(written):
    loaded = load_settings(written)
    assert loaded.declaration.system.id == "credit"
    asked = undeclared(loaded.declaration)
    assert "system.id" not in asked
    assert set(asked) == set(undeclared(Declaration())) - {"system.id"}


def test_without_an_id_it_is_valid_too(tmp_path):
    file = tmp_path / "aims.yaml"
    file.write_text(starter(TEMPLATE), encoding="utf-8")
    assert load_settings(file).declaration.system.id is None


def test_its_active_values_are_the_defaults(written):
    found, default = load_settings(written).declaration, Declaration()
    for name in set(Declaration.model_fields) - {"system", "gate"}:
        assert getattr(found, name) == getattr(default, name), name


def test_it_guards_champion_and_production_by_the_profile_of_the_risk_class(written):
    gate = load_settings(written).declaration.gate
    rule = GateRule(models=("*",), aliases=("champion",), stages=("Production",))
    assert gate == GatePolicy(mode=GateMode.ENFORCE, guarded=(rule,))


def test_every_section_and_every_key_is_shown(written):
    text = written.read_text()
    for name, field in Declaration.model_fields.items():
        assert re.search(rf"^{name}:", text, re.MULTILINE), name
        for key in getattr(type(field.get_default(call_default_factory=True, validated_data={})), "model_fields", {}):
            assert re.search(rf"^ +(# +)?{key}:", text, re.MULTILINE), f"{name}.{key}"


def test_every_example_is_valid_once_its_sign_is_taken_away(written, tmp_path):
    example = re.compile(r"^( *)# ( *(?:- |[\w.]+:(?: |$)).*)$", re.MULTILINE)
    text, count = example.subn(r"\1\2", written.read_text())
    assert count > 40
    (tmp_path / "suites").mkdir()
    (tmp_path / "frameworks").mkdir()
    (tmp_path / "suites" / "applications.json").write_text("{}")
    (tmp_path / "frameworks" / "house-rules.yaml").write_text("{}")
    written.write_text(text)
    assert [str(p) for p in check_declaration(written)] == []
    declaration = load_settings(written).declaration
    assert declaration.datasets["training"].retention == "Five years"
    assert declaration.performance.metrics["accuracy"].min == 0.8
    assert declaration.drift.columns["campaign"].skip
    assert declaration.attestations[0].supports == ("A.2.2", "5.2")


def test_loading_it_takes_a_few_milliseconds(written):
    import time

    load_settings(written)
    best = min(_cpu(lambda: load_settings(written), time) for _ in range(5))
    assert best < 0.05


def _cpu(call, time):
    started = time.process_time()
    call()
    return time.process_time() - started


def test_the_names_in_its_examples_exist_in_the_register(written):
    from aims_mlflow.catalog import load_catalog

    named = set(re.findall(r"\bA\.\d+(?:\.\d+)+\b", written.read_text()))
    assert named
    assert named <= set(load_catalog().ids)
    assert "ai_policy" in load_catalog().topics
