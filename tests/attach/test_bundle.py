"""The manifest binds every file; anything that differs is named."""

import pytest

from aims_mlflow.attach.bundle import build_manifest, check_file, entry_of, evidence_path, names_itself, read_manifest
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import CustomRecord, Tool, canonical_json, now

TOOL = Tool(name="aims-mlflow", version="0")


def record(**content):
    return CustomRecord(
        kind="my.kind", collector=TOOL, captured_at=now(), method="m", verdict="recorded", reason="r", content=content
    )


def test_an_evidence_file_names_its_own_content():
    one = record(a=1)
    content = canonical_json(one)
    assert names_itself(evidence_path(one), content)
    assert not names_itself(evidence_path(one), content.replace(b"1", b"2"))
    assert not names_itself("evidence/../x.json", content)


def test_a_manifest_is_read_only_under_the_digest_the_tag_names():
    content, digest = build_manifest("r1", {"a.json": entry_of(b"x")}, created_at=now(), collector=TOOL)
    assert read_manifest(content, expected=digest, run_id="r1").files["a.json"].bytes == 1
    for wrong in (
        {"expected": digest.replace(digest[-1], "0" if digest[-1] != "0" else "1"), "run_id": "r1"},
        {"expected": digest, "run_id": "r2"},
    ):
        with pytest.raises(EvidenceError):
            read_manifest(content, **wrong)


@pytest.mark.parametrize(("path", "content"), [("a.json", b"y"), ("a.json", None), ("b.json", b"x")])
def test_a_changed_absent_or_unlisted_file_is_refused(path, content):
    raw, digest = build_manifest("r1", {"a.json": entry_of(b"x")}, created_at=now(), collector=TOOL)
    manifest = read_manifest(raw, expected=digest, run_id="r1")
    with pytest.raises(EvidenceError, match=path):
        check_file(manifest, path, content)
