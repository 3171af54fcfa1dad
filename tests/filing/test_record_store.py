"""Records in MLflow's database: what is filed stays, one wins, and what was tampered with never counts."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filing_kit import Killed, codes, drafted, file, in_force, purge, sql, store, tamper
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import ViewType

from aims_mlflow.errors import DeliveryError, EvidenceError, InputError
from aims_mlflow.filing import EXPERIMENT, opening
from aims_mlflow.filing.opening import Rival, Standing, standing
from aims_mlflow.filing.store import RevisedError

NASTY = [
    "é ü 漢字 😀 \u202e right to left",
    "a\x00b\x01\x1b[31m red",
    " \t\n leading and trailing \n ",
    " " * 12_000,
    "\\ud800 \"quoted\" 'n' `ticks` %s {x}",
    "long " * 40_000,
    "</script><script>alert(1)</script>",
]


@pytest.fixture
def kept(mlflow_store):
    return store()


def runs():
    client = MlflowClient()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL))


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_any_text_comes_back_as_it_was_filed(kept, text):
    filed = file(kept, text=text)
    (one,) = kept.read().of_type("ai_policy")
    assert one.record == filed.record
    assert one.record.content["statement"] == text


@given(st.text(min_size=1, max_size=300))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_unicode_at_all_comes_back(kept, text):
    assert file(kept, text=text).record.content["statement"] == text
    (one,) = kept.read().of_type("ai_policy")
    assert one.record.content["statement"] == text


@pytest.mark.parametrize("wrong", ["a\ud800b", "\udfff"])
def test_text_that_is_no_unicode_is_refused_before_anything_is_filed(kept, wrong):
    with pytest.raises(InputError):
        file(kept, text=wrong)
    made, _ = drafted(kept)
    for content in ({"statement": "x", "answers": {wrong: "y"}}, {"statement": wrong}):
        with pytest.raises(InputError, match="no Unicode"):
            kept.file(made.model_copy(update={"content": content}))
    assert MlflowClient().get_experiment_by_name(EXPERIMENT) is None


def test_a_record_that_is_too_long_is_refused_before_anything_is_filed(kept):
    with pytest.raises(InputError, match="up to 495,000 are kept") as found:
        file(kept, text="x" * 600_000)
    assert "document" in found.value.remedy
    assert MlflowClient().get_experiment_by_name(EXPERIMENT) is None


def test_every_revision_stays_readable(kept):
    for number in range(1, 4):
        assert file(kept, text=f"edition {number}").record.revision == number
    filed, problems = kept.everything()
    assert problems == []
    assert [one.record.content["statement"] for one in sorted(filed, key=lambda one: one.record.revision)] == [
        "edition 1",
        "edition 2",
        "edition 3",
    ]
    assert in_force(kept) == [3]


def race(count, work):
    """All at once; what each came to."""
    barrier, found = threading.Barrier(count), {}

    def run(number):
        barrier.wait()
        try:
            found[number] = work(number)
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [found[number] for number in range(count)]


@pytest.mark.parametrize("is_new", [True, False], ids=["first revision", "next revision"])
def test_of_those_who_write_one_revision_at_once_exactly_one_wins(kept, mlflow_store, is_new):
    if not is_new:
        file(kept, text="before")
    number = 1 if is_new else 2
    drafts = [drafted(kept, text=f"by writer {n}")[0] for n in range(6)]
    assert {made.revision for made in drafts} == {number}
    results = race(6, lambda n: store(mlflow_store).file(drafts[n]))
    won = [one for one in results if not isinstance(one, Exception)]
    assert len(won) == 1
    assert [type(one) for one in results if one not in won] == [RevisedError] * 5
    state = kept.read()
    assert state.problems == ()
    assert state.get("ai_policy", "ai_policy").record == won[0].record


def test_of_those_who_lost_each_files_the_next_revision_and_none_is_lost(kept, mlflow_store):
    def until_filed(n):
        mine = store(mlflow_store)
        while True:
            try:
                return file(mine, text=f"by writer {n}")
            except RevisedError:
                continue

    results = race(5, until_filed)
    assert sorted(one.record.revision for one in results) == [1, 2, 3, 4, 5]
    filed, problems = kept.everything()
    assert problems == []
    assert {one.record.content["statement"] for one in filed} == {f"by writer {n}" for n in range(5)}
    assert in_force(kept) == [5]


_WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import filing_kit as kit
from aims_mlflow.filing.store import RevisedError
mine = kit.store({uri!r})
made, _ = kit.drafted(mine, text="by process " + sys.argv[1])
Path("ready-" + sys.argv[1]).touch()
while not Path("go").exists():
    time.sleep(0.005)
try:
    print(mine.file(made).record.revision)
except RevisedError:
    print("lost")
"""


@pytest.mark.slow
def test_of_processes_that_open_one_record_at_once_exactly_one_does(kept, mlflow_store, tmp_path):
    kept.read()
    code = _WRITER.format(tests=str(Path(__file__).parent), uri=mlflow_store)
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    deadline = time.monotonic() + 90
    while len(list(tmp_path.glob("ready-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    (tmp_path / "go").touch()
    said = sorted(writer.communicate(timeout=90)[0].strip() for writer in writers)
    assert said == ["1", "lost", "lost"]
    assert in_force(kept) == [1]
    assert kept.read().problems == ()


def killed_at(kept, step, **more):
    """File a revision in a process that dies at a step."""

    def die(*_args, **_more):
        raise Killed

    dying = store(kept.uri)
    setattr(dying, step, die)
    with pytest.raises(Killed):
        file(dying, **more)


@pytest.mark.parametrize("step", ["_open", "_write"])
def test_killed_before_the_first_revision_was_written_nothing_is_on_file(kept, step, monkeypatch):
    monkeypatch.setattr(opening, "LEASE_SECONDS", 0.3)
    killed_at(kept, step, text="never said")
    assert kept.read().current == {}
    assert kept.read().problems == ()
    assert file(kept, text="said").record.revision == 1
    assert in_force(kept) == [1]


def test_killed_after_it_was_written_it_is_on_file(kept):
    made, _ = drafted(kept)
    dying = store(kept.uri)
    dying._open = lambda *_: None
    write = dying._write

    def write_and_die(*given):
        write(*given)
        raise Killed

    dying._write = write_and_die
    with pytest.raises(Killed):
        dying.file(made)
    assert in_force(kept) == [1]


@pytest.mark.parametrize("step", ["_write", "_claim"])
def test_killed_before_a_later_revision_was_claimed_the_one_before_stays(kept, step):
    file(kept, text="one")
    killed_at(kept, step, text="two")
    state = kept.read()
    assert [one.record.content["statement"] for one in state.of_type("ai_policy")] == ["one"]
    assert codes(state.problems) == ([("unfinished", "ai_policy", "ai_policy", 2)] if step == "_claim" else [])
    assert not any(problem.blocks for problem in state.problems)
    file(kept, text="two again")
    after = kept.read()
    assert after.problems == ()  # the attempt came to nothing, and another one took its place
    assert [one.record.content["statement"] for one in after.of_type("ai_policy")] == ["two again"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_deleted_revision_blocks_its_record_until_it_is_restored(kept, number):
    filed = [file(kept, text=f"edition {n}") for n in (1, 2)]
    run_id = filed[number - 1].run_id
    kept.client.delete_run(run_id)
    state = kept.read()
    assert codes(state.problems) == [("deleted", "ai_policy", "ai_policy", number)]
    assert run_id in state.problems[0].remedy
    assert in_force(kept) == []
    kept.client.restore_run(run_id)
    assert kept.read().problems == ()
    assert in_force(kept) == [2]


def test_nothing_follows_a_deleted_revision(kept):
    filed = file(kept)
    kept.client.delete_run(filed.run_id)
    with pytest.raises(EvidenceError, match="was deleted, and none can follow") as found:
        file(kept, text="two")
    assert filed.run_id in found.value.remedy


@pytest.mark.parametrize("number", [1, 2])
def test_a_revision_changed_in_the_database_is_found(kept, mlflow_store, number):
    filed = [file(kept, text=f"edition {n}") for n in (1, 2)]
    tamper(mlflow_store, filed[number - 1].run_id, f"edition {number}", "edition 9")
    state = kept.read()
    assert ("altered", "ai_policy", "ai_policy", None) in codes(state.problems)
    assert in_force(kept) == []


def test_a_revision_changed_with_its_digest_no_longer_leads_to_the_next(kept, mlflow_store):
    first, _ = file(kept, text="edition 1"), file(kept, text="edition 2")
    forged = first.record.model_copy(update={"content": {**first.record.content, "statement": "edition 9"}})
    sql(
        mlflow_store,
        "UPDATE params SET value = ? WHERE run_uuid = ? AND key = 'record.000'",
        forged.canonical.decode().rstrip("\n"),
        first.run_id,
    )
    sql(
        mlflow_store,
        "UPDATE params SET value = ? WHERE run_uuid = ? AND key = 'sha256'",
        forged.digest,
        first.run_id,
    )
    assert codes(kept.read().problems) == [("altered", "ai_policy", "ai_policy", 2)]
    assert in_force(kept) == []


def test_an_altered_withdrawal_does_not_bring_the_record_back_whatever_its_tag_says(kept, mlflow_store):
    file(kept)
    gone = file(kept, withdrawn="Wrong.")
    tamper(mlflow_store, gone.run_id, "Wrong.", "Right.")
    kept.client.set_tag(gone.run_id, "aims.record", "ai_policy:another")
    state = kept.read()
    assert ("gap", "ai_policy", "ai_policy", 2) in codes(state.problems)
    assert in_force(kept) == []


def test_a_withdrawal_taken_out_for_good_does_not_bring_the_record_back(kept, mlflow_store):
    file(kept)
    gone = file(kept, withdrawn="Wrong.")
    purge(mlflow_store, gone.run_id)
    state = kept.read()
    assert codes(state.problems) == [("gap", "ai_policy", "ai_policy", 2)]
    assert "gone" in state.problems[0].what
    assert in_force(kept) == []


def test_a_record_altered_beyond_reading_is_not_opened_again_under_its_id(kept, mlflow_store):
    filed = file(kept)
    tamper(mlflow_store, filed.run_id, "We have one.", "We have none.")
    with pytest.raises(EvidenceError, match="not what was filed") as found:
        file(kept, text="anew")
    assert "another id" in found.value.remedy
    assert file(kept, text="anew", id="ai_policy-2").record.revision == 1
    assert in_force(kept) == [1]


def test_a_tag_that_somebody_changed_hides_no_record(kept):
    filed = file(kept)
    kept.client.set_tag(filed.run_id, "aims.record", "risk:other")
    assert in_force(kept) == [1]
    assert file(kept, text="two").record.revision == 2
    assert in_force(kept) == [2]


def test_with_the_experiment_deleted_nothing_counts_and_nothing_can_be_filed(kept):
    file(kept)
    experiment = kept.client.get_experiment_by_name(EXPERIMENT)
    kept.client.delete_experiment(experiment.experiment_id)
    assert in_force(kept) == []
    assert codes(kept.read().problems) == [("deleted", "ai_policy", "ai_policy", 1)]
    with pytest.raises(EvidenceError, match="was deleted") as found:
        file(kept, "concerns_channel")
    assert f"mlflow experiments restore -x {experiment.experiment_id}" in found.value.remedy
    kept.client.restore_experiment(experiment.experiment_id)
    assert in_force(kept) == [1]


def test_a_folder_of_files_holds_no_records(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # what MLflow 3 asks for, before it makes one at all
    kept = store(str(tmp_path / "mlruns"))
    with pytest.raises(DeliveryError, match="need a database"):
        kept.read()


def test_a_run_of_somebody_elses_in_the_experiment_is_no_record(kept):
    file(kept)
    experiment = kept.client.get_experiment_by_name(EXPERIMENT)
    other = kept.client.create_run(experiment.experiment_id)
    kept.client.log_param(other.info.run_id, "record.000", "{}")
    assert kept.read().problems == ()
    kept.client.log_param(other.info.run_id, "sha256", "sha256:" + "0" * 64)
    assert codes(kept.read().problems) == [("altered", "unknown", "unknown", None)]
    assert in_force(kept) == [1]


def test_a_plain_read_of_many_records_takes_no_call_for_each(kept, monkeypatch):
    for n in range(6):
        file(kept, id=f"policy-{n}")
    calls = []
    for name in ("search_runs", "get_run", "list_artifacts", "get_experiment_by_name"):
        whole = getattr(kept.client, name)
        monkeypatch.setattr(
            kept.client, name, lambda *a, _name=name, _whole=whole, **k: calls.append(_name) or _whole(*a, **k)
        )
    assert len(list(kept.read().of_type("ai_policy"))) == 6
    assert calls == ["get_experiment_by_name", "search_runs"]


def test_who_goes_first():
    now = 1_000.0
    fresh, dead = Rival("b", False, now - 1), Rival("b", False, now - 100)
    assert standing("a", [], now) is Standing.CLEAR
    assert standing("a", [dead], now) is Standing.CLEAR
    assert standing("a", [fresh], now) is Standing.FIRST
    assert standing("c", [fresh], now) is Standing.BEHIND
    assert standing("c", [dead, Rival("d", True, 0.0)], now) is Standing.TAKEN
