"""Records through a real MLflow server, which holds database and artifacts: the same as on a database of one's own."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from filing_kit import drafted, file, in_force, store

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import aims_mlflow
from aims_mlflow.cli import aims
from aims_mlflow.filing import verify
from aims_mlflow.filing.store import RevisedError
from real_server import Server

pytestmark = [pytest.mark.server, pytest.mark.slow]

TEXT = "ä 漢字 😀 \x00\x1b[31m \\ud800 " + "long " * 30_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("records"))
    running.start()
    yield running
    running.stop()


def race(count, work):
    barrier, found = threading.Barrier(count), [None] * count

    def one(number):
        barrier.wait()
        try:
            found[number] = work(number)
        except RevisedError as error:
            found[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return found


def test_any_text_and_document_come_back_through_the_server(server, tmp_path):
    kept = store(server.uri)
    path = tmp_path / "policy ä.md"
    path.write_bytes(b"# Policy\n" * 1000)
    filed = file(kept, text=TEXT, document=path)
    again = file(kept, text="second", reference=filed.record.document)
    one = next(one for one in kept.everything()[0] if one.run_id == filed.run_id)
    assert one.record == filed.record
    assert one.record.content["statement"] == TEXT
    assert kept.document(again) == b"# Policy\n" * 1000
    assert [p for p in verify(kept).problems if p.type == "ai_policy"] == []


@pytest.mark.parametrize("is_new", [True, False], ids=["first revision", "next revision"])
def test_of_those_who_write_one_revision_at_once_exactly_one_wins(server, is_new):
    topic = "concerns_channel" if is_new else "awareness"
    kept = store(server.uri)
    if not is_new:
        file(kept, topic)
    drafts = [drafted(kept, topic, text=f"by writer {n}")[0] for n in range(4)]
    results = race(4, lambda n: store(server.uri).file(drafts[n]))
    won = [one for one in results if not isinstance(one, RevisedError)]
    assert len(won) == 1
    assert in_force(kept, topic) == [1 if is_new else 2]
    assert not [p for p in kept.read().problems if p.type == topic]


def test_people_who_state_at_once_each_get_a_revision(server):
    said = race(3, lambda n: aims_mlflow.attest("resources", f"by {n}", owner="Ann Lee", tracking_uri=server.uri))
    assert sorted(record.revision for record in said) == [1, 2, 3]


def test_what_was_changed_or_deleted_behind_the_server_is_found(server):
    kept = store(server.uri)
    altered, deleted = file(kept, "policy_alignment"), file(kept, "ai_policy_review")
    with sqlite3.connect(server.folder / "server.db") as database:
        database.execute(
            "UPDATE params SET value = replace(value, 'We have one.', 'We have two.') WHERE run_uuid = ?",
            (altered.run_id,),
        )
    database.close()
    kept.client.delete_run(deleted.run_id)
    done = CliRunner().invoke(aims, ["records", "verify", "--json", "--tracking-uri", server.uri])
    assert done.exit_code == 1
    found = {(p["code"], p["type"]) for p in json.loads(done.stdout)["problems"]}
    assert found == {("altered", "policy_alignment"), ("deleted", "ai_policy_review")}
    kept.client.restore_run(deleted.run_id)


def test_an_assessment_over_http_rests_on_the_records(server, tmp_path):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.uri)
    try:
        with mlflow.start_run() as run:
            mlflow.log_param("a", 1)
        path = tmp_path / "p.md"
        path.write_text("# Policy\n")
        aims_mlflow.attest("ai_policy", "In force.", owner="Head of AI", approver="Board", document=path)
        found = aims_mlflow.assess(run.info.run_id, config={}, attach=False)
        assert {f.id: f.status for f in found.findings}["5.2"] == "satisfied"
    finally:
        mlflow.set_tracking_uri(before)
