"""A model directory as evidence: every file by content, what it declares, what it was packed with."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
import yaml

from aims_mlflow.capture.model import files_sha256, model_environment, model_record, read_model_directory
from aims_mlflow.evidence import Subject

AT = datetime(2026, 11, 24, tzinfo=UTC)

SPEC = {
    "artifact_path": "model",
    "run_id": "a" * 32,
    "mlflow_version": "3.0.0",
    "flavors": {"sklearn": {}, "python_function": {"python_version": "3.11.4"}},
    "signature": {"inputs": '[{"name": "age", "type": "double"}, {"name": "b", "type": "double"}]', "outputs": "[{}]"},
}


@pytest.fixture
def folder(tmp_path):
    """A small model directory."""
    root = tmp_path / "model"
    (root / "code").mkdir(parents=True)
    (root / "MLmodel").write_text(yaml.safe_dump(SPEC))
    (root / "model.pkl").write_bytes(b"weights")
    (root / "code" / "prepare.py").write_text("x = 1\n")
    (root / "requirements.txt").write_text(
        "# packed\nscikit_learn==1.5.0\nnumpy\n-e /home/me/mine\n--index-url x\n\nA[b]===2 ; x\n"
    )
    return root


def test_every_file_is_hashed_under_its_own_path(folder):
    facts = read_model_directory(folder)
    found = {f.path: (f.sha256, f.bytes) for f in facts.files}
    assert set(found) == {"MLmodel", "model.pkl", "code/prepare.py", "requirements.txt"}
    assert found["model.pkl"] == ("sha256:" + hashlib.sha256(b"weights").hexdigest(), 7)
    assert facts.sha256 == files_sha256(reversed(facts.files))


def change(folder):
    (folder / "model.pkl").write_bytes(b"weightz")


def add(folder):
    (folder / "code" / "more.py").write_text("")


def remove(folder):
    (folder / "code" / "prepare.py").unlink()


def rename(folder):
    (folder / "model.pkl").rename(folder / "model2.pkl")


@pytest.mark.parametrize("what", [change, add, remove, rename])
def test_the_digest_changes_with_any_file(folder, what):
    before = read_model_directory(folder).sha256
    what(folder)
    assert read_model_directory(folder).sha256 != before


def test_the_digest_does_not_change_with_the_place_or_what_a_download_adds(folder):
    before = read_model_directory(folder).sha256
    (folder / "registered_model_meta").write_text("model_name: x")
    moved = folder.rename(folder.with_name("elsewhere"))
    assert read_model_directory(moved, model_id="m-1", name="n").sha256 == before


def test_a_folder_without_a_model_is_none_and_a_broken_one_an_error(tmp_path, folder):
    assert read_model_directory(tmp_path) is None
    assert read_model_directory(tmp_path / "absent") is None
    (folder / "MLmodel").write_text("a: [")
    with pytest.raises(ValueError, match="not YAML"):
        read_model_directory(folder)


def test_what_the_model_declares_is_counted_not_copied(folder):
    record = model_record(read_model_directory(folder), subject=Subject(), captured_at=AT)
    assert record.flavors == ("python_function", "sklearn")
    assert (record.signature_inputs, record.signature_outputs) == (2, 1)
    assert record.signature_sha256 is not None
    assert record.input_example is False
    assert "no input example" in record.reason
    assert '"age"' not in record.model_dump_json()


@pytest.mark.parametrize("signature", [None, {}, {"inputs": None}, {"inputs": "not json"}, {"inputs": 7}])
def test_a_signature_that_says_nothing_counts_as_none(folder, signature):
    (folder / "MLmodel").write_text(yaml.safe_dump({**SPEC, "signature": signature}))
    record = model_record(read_model_directory(folder), subject=Subject(), captured_at=AT)
    assert record.signature_inputs is None


def test_requirements_are_read_with_what_is_not_pinned_and_no_path(folder):
    record = model_environment(read_model_directory(folder), subject=Subject(), captured_at=AT)
    assert record.packages == {"scikit-learn": "1.5.0", "numpy": "", "a": "2"}
    assert record.unpinned == ("numpy",)
    assert record.python == "3.11.4"
    assert "/home" not in record.model_dump_json()


def test_a_model_without_requirements_has_no_environment(folder):
    (folder / "requirements.txt").unlink()
    assert model_environment(read_model_directory(folder), subject=Subject(), captured_at=AT) is None


@pytest.mark.parametrize(
    ("spec", "uri"),
    [
        ({}, f"runs:/{'a' * 32}/model"),
        ({"model_id": "m-7", "artifact_path": "file:///x/models/m-7/artifacts"}, "models:/m-7"),
        ({"run_id": None}, None),
    ],
)
def test_the_model_is_named_by_id_else_by_run_and_path(folder, spec, uri):
    (folder / "MLmodel").write_text(yaml.safe_dump({**SPEC, **spec}))
    ref = read_model_directory(folder).ref
    assert ref.uri == uri
    assert ref.name == (None if "model_id" in spec else "model")
    assert ref.sha256.startswith("sha256:")
