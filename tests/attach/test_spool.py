"""What cannot be delivered is on disk, whole, readable by its owner only."""

import stat

import pytest

from aims_mlflow.attach.spool import read_entry, spool, spooled_files
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import CustomRecord, Tool, now

RECORD = CustomRecord(
    kind="my.kind",
    collector=Tool(name="aims-mlflow", version="0"),
    captured_at=now(),
    method="m",
    verdict="recorded",
    reason="r",
    content={"a": [1, "ü", None]},
)


def test_a_bundle_comes_back_as_it_went_in(tmp_path):
    path = spool("sqlite:///x.db", "r1", [RECORD], reason="away")
    assert path.parent == tmp_path / ".aims" / "spool"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entry = read_entry(path)
    assert (entry.tracking_uri, entry.run_id, entry.reason, entry.evidence) == (
        "sqlite:///x.db",
        "r1",
        "away",
        (RECORD,),
    )
    assert spooled_files() == [path]


def test_the_named_folder_is_used_and_a_blocked_one_falls_back(tmp_path, monkeypatch):
    monkeypatch.setenv("AIMS_SPOOL_DIR", str(tmp_path / "here"))
    assert spool("u", "r1", [RECORD], reason="x").parent == tmp_path / "here"
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AIMS_SPOOL_DIR", str(tmp_path / "file" / "sub"))
    path = spool("u", "r1", [RECORD], reason="x")
    assert path.is_file()
    assert path in spooled_files()


@pytest.mark.parametrize(
    "change", [lambda b: b.replace(b"away", b"AWAY"), lambda b: b.replace(b'"seal":"', b'"seal":"0')]
)
def test_a_bundle_somebody_changed_or_made_himself_is_not_delivered(tmp_path, change):
    path = spool("sqlite:///x.db", "r1", [RECORD], reason="away")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EvidenceError, match="not written by this user"):
        read_entry(path)


def test_a_bundle_of_another_user_is_not_delivered(tmp_path, monkeypatch):
    path = spool("sqlite:///x.db", "r1", [RECORD], reason="away")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "somebody"))
    with pytest.raises(EvidenceError, match="not written by this user"):
        read_entry(path)


def test_the_declaration_in_force_travels_with_the_bundle(tmp_path):
    from aims_mlflow.config import load_settings

    (tmp_path / "aims.yaml").write_text("system: {id: a}\nfreshness: {A.7.4: 7}\n")
    settings = load_settings()
    path = spool("u", "r1", [RECORD], reason="x", settings=settings, assess=False)
    (tmp_path / "aims.yaml").unlink()
    entry = read_entry(path)
    assert entry.settings == settings
    assert entry.assess is False


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": "9"}', b"[]", b'{"format": "1"}', b"\xff\xfe"])
def test_a_corrupted_file_is_named_and_kept(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(EvidenceError, match=r"x\.json"):
        read_entry(path)
    assert path.exists()
