"""Where settings are found, and what loading them gives."""

import hashlib
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aims_mlflow.config import (
    Columns,
    Declaration,
    KnownNames,
    MetricLimit,
    PerformancePolicy,
    Settings,
    check_declaration,
    examine,
    find_config,
    load_settings,
    undeclared,
)
from aims_mlflow.errors import ConfigError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("AIMS_CONFIG", raising=False)
    (tmp_path / "work" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "deep")
    return tmp_path


def test_argument_comes_before_variable_and_variable_before_search(tmp_path, monkeypatch):
    found, named, argument = tmp_path / "aims.yaml", tmp_path / "named.yaml", tmp_path / "argument.yaml"
    for file in (found, named, argument):
        file.write_text(f"system: {{id: {file.stem}}}\n")
    assert load_settings().declaration.system.id == "aims"
    monkeypatch.setenv("AIMS_CONFIG", str(named))
    assert load_settings().declaration.system.id == "named"
    assert load_settings(argument).declaration.system.id == "argument"
    assert load_settings(str(argument)).path == argument
    monkeypatch.setenv("AIMS_CONFIG", " ")
    assert load_settings().path == found


def test_nearest_file_upward_wins(tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {id: far}\n")
    (tmp_path / "work" / "aims.yaml").write_text("system: {id: near}\n")
    assert find_config() == tmp_path / "work" / "aims.yaml"


def test_a_folder_stands_for_the_file_in_it(tmp_path):
    (tmp_path / "aims.yaml").write_text("system: {id: here}\n")
    assert find_config(tmp_path) == tmp_path / "aims.yaml"


def test_without_a_file_the_declaration_is_empty_and_everything_is_undeclared():
    loaded = load_settings()
    assert (loaded.path, loaded.sha256, loaded.declaration) == (None, None, Declaration())
    assert {"system.id", "system.purpose", "columns.target", "datasets"} <= set(undeclared(loaded.declaration))


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_named_file_that_is_absent_is_an_error_and_never_replaced(tmp_path, monkeypatch, how):
    (tmp_path / "aims.yaml").write_text("system: {id: other}\n")
    if how == "variable":
        monkeypatch.setenv("AIMS_CONFIG", str(tmp_path / "gone.yaml"))
    with pytest.raises(ConfigError, match="no such file") as raised:
        load_settings(tmp_path / "gone.yaml" if how == "argument" else None)
    assert raised.value.problems == ()
    assert ("AIMS_CONFIG" in str(raised.value)) == (how == "variable")


def test_a_working_folder_that_was_removed_finds_nothing(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_settings().path is None


def test_an_unreadable_file_is_an_error(tmp_path):
    file = tmp_path / "aims.yaml"
    file.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path)


def test_the_digest_covers_the_bytes_of_the_file(tmp_path):
    content = "\ufeffsystem: {id: a}   # comment\r\n".encode()
    (tmp_path / "aims.yaml").write_bytes(content)
    loaded = load_settings()
    assert loaded.sha256 == "sha256:" + hashlib.sha256(content).hexdigest()
    assert loaded.declaration.system.id == "a"
    assert loaded.folder == tmp_path


def test_settings_and_declarations_pass_through():
    declaration = Declaration(columns=Columns(target="y"))
    loaded = load_settings(declaration)
    assert loaded == Settings(declaration)
    assert load_settings(loaded) is loaded
    assert load_settings({"columns": {"target": "y"}}).declaration == declaration


def test_mistakes_in_a_mapping_are_named_without_a_line():
    content = {"system": {"risk_clas": "high"}, "drift": None}
    with pytest.raises(ConfigError) as raised:
        load_settings(content)
    assert raised.value.problems == ("declaration: system.risk_clas: unknown key; did you mean 'risk_class'?",)
    assert content == {"system": {"risk_clas": "high"}, "drift": None}, "the caller's mapping stays as it was"


def test_a_declaration_built_in_code_is_held_to_the_same_rules():
    limits = PerformancePolicy(metrics={"accuracy": MetricLimit(min=0.9, max=0.1)})
    declaration = Declaration(performance=limits, columns=Columns(target="y", ids=("y",)), freshness={"A.7.44": 3})
    keys = [problem.key for problem in check_declaration(declaration, known_ids=["A.7.4"])]
    assert keys == ["columns.ids[0]", "freshness.A.7.44", "performance.metrics.accuracy.min"]
    with pytest.raises(ConfigError):
        load_settings(declaration)
    with pytest.raises(ConfigError, match=r"A\.7\.4"):
        load_settings(Settings(Declaration(freshness={"A.7.44": 3})), known=KnownNames(ids=["A.7.4"]))


def test_yaml_means_what_it_says(tmp_path):
    (tmp_path / "aims.yaml").write_text(
        """
system:
  purpose: no            # text, not false
  lifecycle_stage:
columns:
  positive_label: yes
  sensitive: [on, 3]
datasets:
  2024: {licence: 4.0, collected: 2024}
drift:
freshness: {9.10: 30}
attestations:
  - {topic: ai_policy, statement: s, owner: o, valid_from: 2026-01-01, valid_until: 2026-12-31, supports: [9.1, 6.10]}
data_quality:
  rules:
    - {type: expect_column_values_to_be_between, kwargs: {column: 5, min_value: 0o17, max_value: 1e3}}
"""
    )
    declaration = load_settings().declaration
    assert declaration.system.purpose == "no"
    assert declaration.columns.positive_label == "yes"
    assert declaration.columns.sensitive == ("on", "3")
    assert declaration.datasets["2024"].licence == "4.0"
    assert declaration.datasets["2024"].collected == "2024"
    assert declaration.freshness == {"9.10": 30}
    assert declaration.attestations[0].supports == ("9.1", "6.10")
    assert declaration.drift.enabled
    assert declaration.data_quality.rules[0].kwargs == {"column": 5, "min_value": 15, "max_value": 1000.0}


def test_merge_keys_and_anchors_are_read(tmp_path):
    (tmp_path / "aims.yaml").write_text(
        "datasets:\n  training: &t {licence: CC-BY-4.0, origin: census}\n  test:\n    <<: *t\n    origin: other\n"
    )
    sheets = load_settings().declaration.datasets
    assert (sheets["test"].licence, sheets["test"].origin) == ("CC-BY-4.0", "other")


def test_the_same_file_means_the_same_without_the_c_parser(tmp_path, monkeypatch):
    import yaml

    from aims_mlflow.config import document

    (tmp_path / "aims.yaml").write_text("system: {purpose: no}\nfreshness: {9.10: 30}\ncolumns: {ids: [1_000]}\n")
    with_c = load_settings()
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    document._loader_class.cache_clear()
    try:
        assert load_settings() == with_c
        (tmp_path / "deep.yaml").write_text("[" * 5000)
        assert "levels deep" in str(check_declaration(tmp_path / "deep.yaml")[0])
    finally:
        document._loader_class.cache_clear()


@pytest.mark.parametrize(
    "content", ["[" * 200_000, "- " * 200_000, "{a: " * 50_000], ids=["brackets", "dashes", "braces"]
)
def test_deep_nesting_is_refused_and_does_not_end_the_process(tmp_path, content):
    file = tmp_path / "deep.yaml"
    file.write_text(content)
    code = f"from aims_mlflow.config import check_declaration as c; print(*c({str(file)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "nested more than 64 levels deep" in done.stdout


def test_an_alias_bomb_is_refused_quickly(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "aims.yaml").write_text("\n".join(lines))
    started = time.process_time()
    assert "aliases" in str(check_declaration()[0])
    assert time.process_time() - started < 5


def test_a_huge_file_is_refused(tmp_path):
    (tmp_path / "aims.yaml").write_bytes(b"#" * 3_000_000)
    assert "3000000 bytes" in str(check_declaration()[0])


WORDS = st.sampled_from(
    ["system", "drift", "columns", "datasets", "id", "metrics", "min", "a", "1", "null", "~", ".nan", "2026-01-01", "%"]
)
SIGNS = st.sampled_from(
    [": ", ":\n  ", "\n", "\n- ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!t ", "'", '"', "<<: ", "\t", "|"]
)
FORGED = st.one_of(st.text(max_size=200), st.lists(WORDS | SIGNS, max_size=30).map("".join))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=FORGED)
def test_whatever_the_file_holds_loading_ends_in_settings_or_named_mistakes(tmp_path, content):
    file = tmp_path / "wild.yaml"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    loaded, problems = examine(file)
    assert (loaded.sha256 is None) == bool(problems)
    for problem in problems:
        assert problem.line is not None
        assert str(problem).isprintable()


def test_importing_config_imports_nothing_heavy():
    code = (
        "import sys, aims_mlflow.config as c\n"
        "c.load_settings({})\n"
        "print([m for m in ('mlflow','pandas','numpy','yaml','ruamel','jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
