"""Documents kept with their records, and ``verify``: every way in which the records are not whole is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filing_kit import CATALOG, codes, drafted, file, purge, store, tamper

from aims_mlflow.errors import DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence import DocumentRef, now, sha256_of
from aims_mlflow.filing import EXPERIMENT, verify
from aims_mlflow.filing.document import LARGEST, document_from
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import State


@pytest.fixture
def kept(mlflow_store):
    return store()


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy ä.md"
    path.write_text("# Policy\n")
    return path


def artifact(kept, filed):
    """Where the document of a record lies."""
    root = Path(kept.client.get_run(filed.run_id).info.artifact_uri.removeprefix("file://"))
    (found,) = [path for path in (root / "document").iterdir() if path.is_file()]
    return found


def test_a_document_is_kept_with_its_record_and_read_back(kept, policy):
    filed = file(kept, document=policy)
    assert filed.record.document == DocumentRef(title="policy ä.md", sha256=sha256_of(policy.read_bytes()))
    policy.unlink()
    assert kept.document(filed) == b"# Policy\n"
    assert verify(kept).documents == 1


def test_a_document_that_stays_the_same_is_found_with_an_earlier_revision(kept, policy):
    first = file(kept, document=policy)
    later = [file(kept, text=f"edition {n}", reference=first.record.document) for n in (2, 3)]
    assert kept.client.list_artifacts(later[-1].run_id, "document") == []
    assert kept.document(later[-1]) == b"# Policy\n"
    checked = verify(kept)
    assert (checked.is_whole, checked.documents, checked.revisions) == (True, 1, 3)


def test_a_new_document_takes_its_place_and_the_old_one_stays(kept, policy, tmp_path):
    first = file(kept, document=policy)
    other = tmp_path / "second.md"
    other.write_text("# Second\n")
    second = file(kept, document=other)
    third = file(kept, text="back to the first", reference=first.record.document)
    assert [kept.document(one) for one in (first, second, third)] == [b"# Policy\n", b"# Second\n", b"# Policy\n"]
    assert verify(kept).documents == 2


def test_a_document_of_a_later_revision_or_another_record_is_not_taken_for_it(kept, policy):
    digest = sha256_of(policy.read_bytes())
    first = file(kept, reference=DocumentRef(title="never filed", sha256=digest))
    file(kept, document=policy)
    file(kept, "concerns_channel", document=policy)
    with pytest.raises(EvidenceError, match="absent"):
        kept.document(first)
    assert codes(verify(kept).problems) == [("document", "ai_policy", "ai_policy", 1)]


def test_other_files_beside_the_document_do_not_matter(kept, policy):
    filed = file(kept, document=policy)
    (artifact(kept, filed).parent / "a note.txt").write_text("read me first")
    assert kept.document(filed) == b"# Policy\n"
    assert verify(kept).is_whole


@pytest.mark.parametrize("what", ["changed", "removed", "emptied"])
def test_a_document_that_is_not_the_one_that_was_filed_is_named(kept, policy, what):
    filed = file(kept, document=policy)
    file(kept, "concerns_channel", document=policy)
    path = artifact(kept, filed)
    if what == "removed":
        path.unlink()
    else:
        path.write_text("# Another\n" if what == "changed" else "")
    with pytest.raises(EvidenceError, match="absent" if what == "removed" else "not the one"):
        kept.document(filed)
    checked = verify(kept)
    assert not checked.is_whole
    assert codes(checked.problems) == [("document", "ai_policy", "ai_policy", 1)]
    assert checked.problems[0].run_id == filed.run_id
    assert checked.documents == 2


def test_a_superseded_document_is_looked_at_too(kept, policy, tmp_path):
    first = file(kept, document=policy)
    other = tmp_path / "second.md"
    other.write_text("# Second\n")
    file(kept, document=other)
    artifact(kept, first).write_text("# Another\n")
    assert codes(verify(kept).problems) == [("document", "ai_policy", "ai_policy", 1)]


def test_a_document_that_cannot_be_read_is_told_from_one_that_is_wrong(kept, policy):
    file(kept, document=policy)

    def unreachable(*_):
        raise OSError("the artifact store is away")

    kept.client.download_artifacts = unreachable
    checked = verify(kept)
    assert codes(checked.problems) == [("unread", "ai_policy", "ai_policy", 1)]
    assert "away" not in checked.problems[0].what


def test_a_pointer_is_counted_and_not_followed(kept):
    file(kept, reference=DocumentRef(title="Policy", uri="https://example.org/p", sha256="sha256:" + "ab" * 32))
    checked = verify(kept)
    assert (checked.is_whole, checked.documents, checked.pointers) == (True, 0, 1)
    with pytest.raises(InputError, match="keeps no document"):
        kept.document(next(kept.read().of_type("ai_policy")))


def test_an_empty_document_is_refused(tmp_path):
    path = tmp_path / "empty.md"
    path.touch()
    with pytest.raises(InputError, match="the document is empty"):
        document_from(path)


def test_a_document_of_100_megabytes_is_refused_with_its_hash_and_what_to_do(tmp_path):
    path = tmp_path / "scan.pdf"
    with path.open("wb") as large:
        large.truncate(100 * 1024 * 1024)
    with pytest.raises(InputError, match="has 100 MiB; up to 25 MiB") as found:
        document_from(path)
    assert "--document-sha256 sha256:20492a4d" in found.value.remedy


def test_the_largest_document_is_kept(kept, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(1024) * (LARGEST // 1024))
    filed = file(kept, document=path)
    assert len(kept.document(filed)) == LARGEST


@pytest.mark.parametrize("given", [Path("nowhere.md"), Path()])
def test_what_is_no_file_is_refused(given):
    with pytest.raises(InputError):
        document_from(given)


def test_a_document_that_changes_while_it_is_filed_is_not_filed(kept, policy):
    made, path = drafted(kept, document=policy)
    policy.write_text("# Changed meanwhile\n")
    with pytest.raises(EvidenceError, match="changed while it was filed"):
        kept.file(made, path)
    assert kept.read().current == {}
    assert verify(kept).is_whole


def test_verify_of_nothing_is_whole(kept):
    checked = verify(kept)
    assert (checked.is_whole, checked.records, checked.revisions) == (True, 0, 0)


def forced(kept, **fields):
    """A record that no draft would make, filed all the same."""
    made = ManagementRecord(
        recorded_at=now(),
        owner="Head of AI",
        valid_from=now().date(),
        content={"statement": "x"},
        **{"type": "ai_policy", "id": "a", **fields},
    )
    return kept.file(made)


def test_verify_names_every_problem(kept, mlflow_store):
    one = {name: file(kept, id=name) for name in ("deleted", "altered", "gone")}
    kept.client.delete_run(one["deleted"].run_id)
    tamper(mlflow_store, one["altered"].run_id, "We have one.", "We have none.")
    second = file(kept, id="gone", text="second")
    file(kept, id="gone", text="third")
    purge(mlflow_store, second.run_id)
    forced(kept, id="here", links=("ai_policy:there",))
    forced(kept, id="there", links=("ai_policy:here",))
    forced(kept, id="lost", links=("risk:R-9",))
    found = {(p.code, p.id, p.revision, p.blocks) for p in verify(kept).problems}
    assert found == {
        ("deleted", "deleted", 1, True),
        ("altered", "altered", None, True),
        ("gap", "gone", 2, True),
        ("unfinished", "gone", 3, False),
        ("circle", "here", 1, True),
        ("circle", "there", 1, True),
        ("dangling", "lost", 1, False),
    }
    assert all(problem.what and problem.remedy for problem in verify(kept).problems)


def test_verify_names_two_first_revisions(kept):
    made, _ = drafted(kept)
    kept.file(made)
    other = store(kept.uri)
    other._open = lambda *_: None
    other.file(made.model_copy(update={"owner": "Somebody else"}))
    assert codes(verify(kept).problems) == [("conflict", "ai_policy", "ai_policy", 1)]


def test_verify_says_once_that_the_experiment_was_deleted(kept, policy):
    file(kept, document=policy)
    file(kept, "concerns_channel")
    experiment = kept.client.get_experiment_by_name(EXPERIMENT).experiment_id
    kept.client.delete_experiment(experiment)
    checked = verify(kept)
    assert codes(checked.problems) == [("deleted", "experiment", EXPERIMENT, None)]
    assert f"restore -x {experiment}" in checked.problems[0].remedy
    assert checked.documents == 1


def test_a_circle_is_refused_at_filing(kept):
    file(kept, id="a")
    file(kept, id="b", links=["ai_policy:a"])
    with pytest.raises(InputError, match=r"rest on itself: ai_policy:a -> ai_policy:b -> ai_policy:a"):
        file(kept, id="a", links=["ai_policy:b"])
    with pytest.raises(InputError, match="rest on itself"):
        file(kept, id="c", links=["ai_policy:c"])


def test_verify_needs_mlflow(tmp_path):
    with pytest.raises(DeliveryError):
        verify(store("http://127.0.0.1:9"))


def test_content_that_json_has_no_form_for_is_refused():
    with pytest.raises(InputError, match="JSON has no form"):
        draft(
            State.of([], at=now()),
            CATALOG,
            "access_list",
            id="a",
            content={"statement": "x", "facts": {"a": object()}},
            owner="IT",
        )
