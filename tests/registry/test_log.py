"""The transition log: one gapless chain whoever writes, and whatever is done to it afterwards is seen and named."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import sqlalchemy
from log_kit import Intruder, anchors_file, log_of, move, write
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import aims_mlflow
from aims_mlflow.errors import DeliveryError, EvidenceError
from aims_mlflow.gate.entries import Actor, Level, RenamedEntry
from aims_mlflow.gate.signing import new_key
from aims_mlflow.registry import records
from aims_mlflow.registry.anchors import Anchor, AnchorFile, default_anchors, store_name
from aims_mlflow.registry.log import LogMovedError, TransitionLog
from aims_mlflow.registry.records import slot
from aims_mlflow.registry.tables import write_param
from aims_mlflow.registry.verifying import Damage
from databases import KINDS, postgres_databases

SERVER_URI = "http://127.0.0.1:1"


@pytest.fixture
def log(mlflow_store):
    return log_of(mlflow_store)


@pytest.fixture(params=KINDS)
def any_store(request):
    """A store of each kind of database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("mlflow_store")
        return
    with postgres_databases() as (uri,):
        MlflowClient(tracking_uri=uri).search_experiments()  # makes the tables
        yield uri


@pytest.fixture
def intruder(mlflow_store):
    return Intruder(mlflow_store)


def damages(check):
    return {(p.damage, p.model, p.number) for p in check.problems}


# what MLflow must do for it


def test_mlflow_refuses_another_value_for_a_parameter_and_takes_the_same_again(mlflow_store):
    client = MlflowClient()
    run = client.create_run("0").info.run_id
    client.set_terminated(run)
    text = '{"x":"' + "ä" * 5790 + '"}'
    client.log_param(run, "000001", text)
    client.log_param(run, "000001", text)
    with pytest.raises(MlflowException):
        client.log_param(run, "000001", "other")
    assert client.get_run(run).data.params == {"000001": text}


def test_mlflow_makes_an_experiment_of_one_name_once_even_after_it_was_deleted(mlflow_store):
    client = MlflowClient()
    made = client.create_experiment("taken", tags={"a": "1"})
    with pytest.raises(MlflowException):
        client.create_experiment("taken", tags={"a": "2"})
    client.delete_experiment(made)
    with pytest.raises(MlflowException):
        client.create_experiment("taken", tags={"a": "2"})
    assert client.get_experiment(made).tags["a"] == "1"


# writing and reading


def test_entries_are_numbered_chained_and_read_back(log, mlflow_store):
    written = [log.append(move(n)) for n in (1, 2, 3)]
    assert [e.number for e in written] == [1, 2, 3]
    assert [e.previous for e in written] == [None, written[0].digest, written[1].digest]
    assert log.read("m") == tuple(written)
    assert log_of(mlflow_store).read("m") == tuple(written)
    assert log.read("other") == ()
    assert log.models() == ("m",)


def test_a_usual_append_is_one_parameter_and_one_anchor_and_no_read(log, tmp_path, monkeypatch):
    write(log, 2)
    calls = Counter()
    for name in ("log_param", "get_run", "get_experiment_by_name", "create_run", "search_runs"):
        original = getattr(MlflowClient, name)

        def counted(self, *args, _name=name, _original=original, **kwargs):
            calls[_name] += 1
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(MlflowClient, name, counted)
    lines = len(anchors_file(tmp_path).read_text().splitlines())
    assert len(log.read("m")) == 2
    log.append(move(3), after=2)
    assert calls == {"log_param": 1}
    assert len(anchors_file(tmp_path).read_text().splitlines()) == lines + 1


def test_what_another_process_wrote_first_makes_the_caller_decide_again(mlflow_store):
    one, two = log_of(mlflow_store), log_of(mlflow_store)
    write(one, 1)
    assert len(two.read("m")) == 1
    one.append(move(2))
    with pytest.raises(LogMovedError):
        two.append(move(3), after=1)
    assert len(two.read("m")) == 2
    assert two.append(move(3), after=2).number == 3
    assert len(one.read("m")) == 2
    assert len(one.read("m", fresh=True)) == 3
    assert one.append(move(4)).number == 4


def test_the_first_entry_of_a_model_can_be_decided_on_an_empty_log(mlflow_store):
    one, two = log_of(mlflow_store), log_of(mlflow_store)
    assert (one.read("m"), two.read("m")) == ((), ())
    assert one.append(move(), after=0).number == 1
    with pytest.raises(LogMovedError):
        two.append(move(), after=0)


def test_a_log_goes_on_over_many_records_runs(mlflow_store, monkeypatch):
    for module in ("chains", "log", "records", "verifying"):
        monkeypatch.setattr(f"aims_mlflow.registry.{module}.SEGMENT", 3)
    one, two = log_of(mlflow_store), log_of(mlflow_store)
    for number in range(1, 12):
        (one if number % 2 else two).append(move(number))
    assert [e.version for e in log_of(mlflow_store).read("m")] == [str(n) for n in range(1, 12)]
    check = one.verify()
    assert (check.intact, check.entries, check.anchored) == (True, 11, 11)
    runs = MlflowClient().search_runs([MlflowClient().get_experiment_by_name("aims-records").experiment_id])
    assert len(runs) == 5
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert {r.data.tags["aims.kind"] for r in runs} == {"records"}


@pytest.mark.parametrize("name", ["Ünï çode 模型", "a" * 250, "dots.and-dash_es", "per%cent 'quote'"])
def test_models_of_any_name_have_a_log(log, mlflow_store, name):
    log.append(move(model=name))
    assert [e.model for e in log_of(mlflow_store).read(name)] == [name]


def test_a_retried_request_is_recognised_as_ones_own(log, monkeypatch):
    """MLflow's client sends a request again when it got no answer: the first may have been carried out."""
    write(log, 1)
    original = MlflowClient.log_param

    def answer_lost(self, run_id, key, value, **more):
        original(self, run_id, key, value, **more)
        raise ConnectionError

    monkeypatch.setattr(MlflowClient, "log_param", answer_lost)
    assert log.append(move(2), after=1).number == 2
    assert len(log.read("m", fresh=True)) == 2


def test_a_busy_database_is_tried_again(log, monkeypatch):
    write(log, 1)
    original, failures = MlflowClient.log_param, iter([True, True])

    def locked(self, *args, **more):
        if next(failures, False):
            raise MlflowException("database is locked", 1)
        return original(self, *args, **more)

    monkeypatch.setattr(MlflowClient, "log_param", locked)
    assert log.append(move(2)).number == 2


@contextmanager
def database_of(log):
    """What the log's database is told, commits included."""
    told, engine = [], log.records.client._tracking_client.store.engine

    def statement(_connection, _cursor, text, *_rest):
        told.append(" ".join(text.split()))

    def commit(_connection):
        told.append("COMMIT")

    sqlalchemy.event.listen(engine, "before_cursor_execute", statement)
    sqlalchemy.event.listen(engine, "commit", commit)
    try:
        yield told
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", statement)
        sqlalchemy.event.remove(engine, "commit", commit)


def test_an_append_to_a_database_is_one_insert_and_one_commit_as_durable_as_mlflows(log, mlflow_store):
    write(log, 2)
    with database_of(log) as told:
        log.append(move(3), after=2)
    wait, insert, commit = told
    assert (wait, commit) == ("PRAGMA busy_timeout = 20000", "COMMIT")
    assert insert.startswith("INSERT INTO params (")
    assert len(log_of(mlflow_store).read("m")) == 3
    with log.records.client._tracking_client.store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL"


def test_a_commit_that_was_made_and_not_answered_is_recognised_as_ones_own(log, mlflow_store):
    write(log, 1)
    engine, lost = log.records.client._tracking_client.store.engine, iter([True])
    real = engine.dialect.do_commit

    def commit(connection):
        real(connection)
        if next(lost, False):
            raise ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", commit)
        assert log.append(move(2), after=1).number == 2
    assert next(lost, None) is None
    assert len(log_of(mlflow_store).read("m")) == 2


def test_a_slot_is_never_written_over(log, mlflow_store):
    write(log, 1)
    run, client = Intruder(mlflow_store).run(1), log.records.client
    before = client.get_run(run).data.params
    assert not write_param(client, run, slot(1), "other")
    assert not write_param(client, run, slot(1), before[slot(1)])
    assert write_param(client, run, slot(2), "free")
    assert client.get_run(run).data.params == {**before, slot(2): "free"}


def test_of_many_writers_of_a_slot_one_wins(any_store):
    clients = [MlflowClient(tracking_uri=any_store) for _ in range(8)]
    run = clients[0].create_run(clients[0].create_experiment("slots")).info.run_id
    with ThreadPoolExecutor(8) as pool:
        for number in range(2, 12):
            won = list(pool.map(lambda n, k=number: write_param(clients[n], run, slot(k), f"by {n}"), range(8)))
            assert won.count(True) == 1
            assert clients[0].get_run(run).data.params[slot(number)] == f"by {won.index(True)}"


@pytest.mark.parametrize("gone", ["deleted", "unknown"])
def test_a_run_that_is_gone_takes_no_entry(log, mlflow_store, gone):
    write(log, 1)
    run, client = Intruder(mlflow_store).run(1), log.records.client
    if gone == "deleted":
        client.delete_run(run)
    else:
        run = "0" * 32
    assert not write_param(client, run, slot(2), "text")
    assert Intruder(mlflow_store).sql("SELECT count(*) FROM params WHERE key = ?", slot(2)) == [(0,)]
    if gone == "deleted":
        with pytest.raises(EvidenceError, match="deleted"):
            log.append(move(2), after=1)


def test_a_store_with_a_log_param_of_its_own_is_not_passed_by(log, mlflow_store, monkeypatch):
    store = log.records.client._tracking_client.store
    write(log, 1)
    seen = []

    class Own(type(store)):
        def log_param(self, run_id, param):
            seen.append(param.key)
            return super().log_param(run_id, param)

    monkeypatch.setattr(store, "__class__", Own)
    log.append(move(2), after=1)
    assert seen == [slot(2)]


def test_a_database_that_keeps_the_log_waiting_is_a_delivery_error_and_takes_nothing(log, mlflow_store, monkeypatch):
    write(log, 1)
    engine = log.records.client._tracking_client.store.engine
    monkeypatch.setattr("aims_mlflow.registry.tables._PATIENCE", 0.0)
    client, run = log.records.client, Intruder(mlflow_store).run(1)

    def down(*_args):
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(engine.dialect, "do_commit", down)
    with pytest.raises(DeliveryError):
        write_param(client, run, slot(2), "text")
    monkeypatch.undo()
    assert slot(2) not in client.get_run(run).data.params


def test_our_hooks_see_no_run_of_the_users_in_a_records_run(mlflow_store):
    aims_mlflow.autolog()
    log_of(mlflow_store).append(move())
    client = MlflowClient()
    ids = [e.experiment_id for e in client.search_experiments()]
    assert all(not any(k == "aims.status" for k in r.data.tags) for r in client.search_runs(ids))
    assert not client.search_runs([client.get_experiment_by_name("test").experiment_id])


def test_a_deleted_models_log_goes_on_when_the_name_is_used_again(mlflow_store):
    write(log_of(mlflow_store), 2)
    assert log_of(mlflow_store).append(move(1)).number == 3


# names


def test_a_renamed_model_takes_its_log_along_and_the_old_name_starts_anew(mlflow_store):
    one, two = log_of(mlflow_store), log_of(mlflow_store)
    write(one, 2)
    assert len(two.read("m")) == 2
    said = one.rename("m", "n", actor=Actor(name="ann"), level=Level.ENFORCED)
    assert isinstance(said, RenamedEntry)
    assert [e.model for e in one.read("n")] == ["m", "m", "m"]
    assert one.append(move(3, "n")).number == 4
    assert two.append(move(1, "m")).number == 1
    assert len(two.read("n")) == 4
    assert set(two.models()) == {"m", "n"}
    assert two.verify().intact
    assert one.rename("absent", "x") is None


def test_a_name_that_is_used_again_is_set_aside_and_led_back(mlflow_store):
    log, other = log_of(mlflow_store), log_of(mlflow_store)
    write(log, 1, "old")
    write(log, 2, "new")
    assert len(other.read("new")) == 2
    log.rename("old", "new")
    assert len(log.read("new")) == 2
    assert other.append(move(9, "new")).number == 3
    log.rename("new", "old")
    assert len(log_of(mlflow_store).read("old")) == 4
    check = log.verify()
    assert check.intact, check.problems
    assert any(name.startswith("new (until ") for name in {p.name for p in log._views[None].chains.values()})


# several writers


def test_threads_of_one_process_write_one_gapless_chain(mlflow_store):
    log = log_of(mlflow_store)
    failures = []

    def work(worker):
        try:
            for n in range(12):
                log.append(move(f"{worker}{n:02d}"))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(w,)) for w in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    entries = log_of(mlflow_store).read("m")
    assert [e.number for e in entries] == list(range(1, 73))
    assert sorted(e.version for e in entries) == sorted(f"{w}{n:02d}" for w in range(1, 7) for n in range(12))
    assert log.verify().intact


_WRITER = """
import sys
from log_kit import log_of, move
log = log_of(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    print(log.append(move(f"{sys.argv[2]}{n:03d}")).number, flush=True)
"""


def writers(uri, count, entries, tmp_path):
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, uri, str(worker), str(entries)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=env,
        )
        for worker in range(1, count + 1)
    ]


def test_processes_write_one_gapless_chain_and_one_that_is_killed_leaves_it_whole(any_store, tmp_path):
    """They also race for the root and for the first records run: nothing is there before they start."""
    running = writers(any_store, 4, 15, tmp_path)
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    victim = running[0]
    assert victim.stdout.readline()
    time.sleep(0.05)
    victim.kill()
    told = [[int(line) for line in process.communicate(timeout=120)[0].split()] for process in running[1:]]
    victim.wait()
    victim.stdout.close()
    assert [p.returncode for p in running[1:]] == [0] * 3
    entries = log_of(any_store).read("m")
    assert [e.number for e in entries] == list(range(1, len(entries) + 1))
    versions = Counter(e.version for e in entries)
    assert set(versions.values()) == {1}
    assert {f"{w}{n:03d}" for w in range(2, 5) for n in range(15)} <= set(versions)
    by_number = {e.number: e.version for e in entries}
    for worker, numbers in enumerate(told, 2):
        assert [by_number[n] for n in numbers] == [f"{worker}{n:03d}" for n in range(15)]
    check = log_of(any_store).verify()
    assert check.intact, check.problems
    assert check.models == 1


def test_a_forked_child_does_not_wait_for_a_thread_it_does_not_have(mlflow_store):
    log = log_of(mlflow_store)
    write(log, 1)
    chain = next(iter(log._views[None].chains.values()))
    with chain.lock, log._lock, log.anchors._lock:
        child = os.fork()
        if child == 0:
            free = all(
                lock.acquire(blocking=False)
                for lock in (next(iter(log._views[None].chains.values())).lock, log._lock, log.anchors._lock)
            )
            os._exit(0 if free else 1)
    assert os.waitpid(child, 0)[1] == 0


# what is done to it


def test_a_tail_that_was_cut_is_seen(log, intruder, mlflow_store):
    write(log, 5)
    intruder.remove(5)
    intruder.remove(4)
    assert damages(log.verify()) == {(Damage.CUT, "m", 4)}
    for fresh in (log_of(mlflow_store), log):
        with pytest.raises(EvidenceError, match=r"ends at entry 3|altered or removed"):
            fresh.read("m", fresh=True)


def test_a_whole_segment_that_was_cut_is_seen(mlflow_store, intruder, monkeypatch):
    for module in ("chains", "log", "records", "verifying"):
        monkeypatch.setattr(f"aims_mlflow.registry.{module}.SEGMENT", 3)
    log = log_of(mlflow_store)
    write(log, 5)
    intruder.sql("DELETE FROM params WHERE key = 'next'")
    assert damages(log.verify()) == {(Damage.CUT, "m", 4)}


def test_an_entry_in_between_that_was_removed_is_seen(log, intruder, mlflow_store):
    write(log, 4)
    intruder.remove(2)
    assert (Damage.REMOVED, "m", 2) in damages(log.verify())
    with pytest.raises(EvidenceError, match="missing"):
        log_of(mlflow_store).read("m")


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("anchored", [True, False])
def test_an_altered_entry_is_named(log, intruder, mlflow_store, tmp_path, number, anchored):
    write(log, 4)
    if not anchored:
        anchors_file(tmp_path).unlink()
    intruder.put(intruder.entry(number).model_copy(update={"version": "99"}))
    found = damages(log.verify())
    assert (Damage.ALTERED, "m", number) in found
    assert found <= {(Damage.ALTERED, "m", number), (Damage.UNANCHORED, "m", None)}
    with pytest.raises(EvidenceError):
        log_of(mlflow_store).read("m")


def test_an_altered_last_entry_is_seen_by_the_anchor(log, intruder, mlflow_store):
    write(log, 3)
    intruder.put(intruder.entry(3).model_copy(update={"outcome": "refuse"}))
    assert damages(log.verify()) == {(Damage.REWRITTEN, "m", 3)}
    with pytest.raises(EvidenceError, match="rewritten"):
        log_of(mlflow_store).read("m")
    with pytest.raises(EvidenceError, match="altered"):
        log.read("m", fresh=True)


def test_a_log_rewritten_as_a_whole_agrees_with_itself_and_not_with_the_anchor(log, intruder, mlflow_store):
    write(log, 5)
    intruder.rewrite(2, 5, version="99")
    assert damages(log.verify()) == {(Damage.REWRITTEN, "m", 2)}
    with pytest.raises(EvidenceError, match="rewritten"):
        log_of(mlflow_store).read("m")


@pytest.mark.parametrize("text", ["", "no json", '{"type":"move"}', '{"a":' * 900])
def test_rubbish_in_a_slot_is_an_alteration_and_no_crash(log, intruder, text):
    write(log, 3)
    intruder.sql("UPDATE params SET value = ? WHERE key = '000002'", text)
    assert (Damage.ALTERED, "m", 2) in damages(log.verify())


def test_a_deleted_records_run_is_named_with_the_command_that_restores_it(log, intruder, mlflow_store):
    write(log, 2)
    run = intruder.run(1)
    MlflowClient().delete_run(run)
    (problem,) = log.verify().problems
    assert (problem.damage, problem.model) == (Damage.DELETED, "m")
    assert run in problem.remedy
    with pytest.raises(EvidenceError, match="deleted"):
        log_of(mlflow_store).read("m")
    with pytest.raises(EvidenceError, match="deleted"):
        log.append(move(3))
    MlflowClient().restore_run(run)
    assert log.verify().intact
    assert log.append(move(3)).number == 3


def test_a_records_run_that_is_gone_is_seen(log, intruder, mlflow_store):
    write(log, 2)
    run = intruder.run(1)
    for table in ("params", "tags", "runs"):
        intruder.sql(f"DELETE FROM {table} WHERE run_uuid = ?", run)
    assert {d[:2] for d in damages(log.verify())} == {(Damage.DELETED, "m")}
    with pytest.raises(EvidenceError, match="gone"):
        log_of(mlflow_store).read("m")


@pytest.mark.parametrize("name", ["aims-records", "aims-records-root"])
def test_a_deleted_experiment_is_seen(log, mlflow_store, name):
    write(log, 1)
    MlflowClient().delete_experiment(MlflowClient().get_experiment_by_name(name).experiment_id)
    check = log.verify()
    assert {p.damage for p in check.problems} == {Damage.DELETED}
    with pytest.raises(EvidenceError, match="deleted"):
        log_of(mlflow_store).read("m")


def test_a_log_that_was_removed_and_begun_anew_is_seen(log, mlflow_store, tmp_path):
    write(log, 3)
    client = MlflowClient()
    for name in ("aims-records", "aims-records-root"):
        client.rename_experiment(client.get_experiment_by_name(name).experiment_id, f"{name}-hidden")
    with pytest.raises(EvidenceError, match="removed or replaced"):
        log_of(mlflow_store).read("m")
    with pytest.raises(EvidenceError, match="removed or replaced"):
        log_of(mlflow_store).append(move())
    assert {p.damage for p in log.verify().problems} == {Damage.REPLACED}
    elsewhere = tmp_path / "elsewhere.jsonl"
    write(log_of(mlflow_store, anchors=elsewhere), 1)  # somebody whose machine has no anchors
    assert {p.damage for p in log.verify().problems} == {Damage.REPLACED, Damage.UNANCHORED}
    assert log_of(mlflow_store).verify(pin=True).pinned == 2
    check = log_of(mlflow_store).verify()
    assert check.intact, check.problems
    assert "replaces 1 earlier" in check.notes[0]
    assert log_of(mlflow_store).append(move(2)).number == 2


def test_a_list_of_logs_that_names_another_log_is_seen(log, intruder, mlflow_store):
    write(log, 2)
    view = log._views[None]
    records.Records(MlflowClient()).map(view.root, "m", records.Records(MlflowClient()).new_run("x", {}), 2)
    assert {d[:2] for d in damages(log.verify())} == {(Damage.DISPLACED, "m")}
    with pytest.raises(EvidenceError, match="no longer names"):
        log_of(mlflow_store).read("m")


def test_a_list_of_logs_that_lacks_a_model_is_seen(log, intruder, mlflow_store):
    write(log, 2)
    intruder.sql("DELETE FROM params WHERE run_uuid = ?", log._views[None].root)
    assert {d[:2] for d in damages(log.verify())} == {(Damage.DISPLACED, "m")}
    with pytest.raises(EvidenceError, match="no longer names"):
        log_of(mlflow_store).read("m")


def test_a_forged_entry_at_the_end_has_no_signature_of_the_gate(mlflow_store, tmp_path):
    gate = new_key()
    log = log_of(mlflow_store, key=gate)
    write(log, 2)
    assert all(e.is_signed() and e.key == gate.public for e in log.read("m"))
    forger = log_of(mlflow_store, anchors=tmp_path / "own.jsonl", key=new_key())
    forger.append(move(99))
    assert log.verify().intact
    assert damages(log.verify(gate_keys=[gate.public])) == {(Damage.SIGNATURE, "m", 3)}


def test_a_signature_that_is_not_by_its_key_is_seen(mlflow_store, intruder):
    log = log_of(mlflow_store, key=new_key())
    write(log, 2)
    intruder.rewrite(2, 2, version="99")
    assert (Damage.SIGNATURE, "m", 2) in damages(log.verify())


def test_one_model_can_be_verified_alone(log, intruder):
    write(log, 2)
    write(log, 2, "n")
    intruder.put(intruder.entry(1, "n").model_copy(update={"version": "99"}), "n")
    assert log.verify(["m"]).intact
    assert not log.verify(["n"]).intact
    assert {p.model for p in log.verify().problems} == {"n"}
    assert log.verify(["absent"]).notes == ("absent: has no log",)


def test_a_store_without_a_log_is_whole_and_says_so(log):
    check = log.verify()
    assert (check.intact, check.models, check.entries) == (True, 0, 0)


# the anchor file


def test_without_anchors_nothing_vouches_until_someone_pins(log, mlflow_store, intruder, tmp_path):
    write(log, 2)
    own = tmp_path / "auditor.jsonl"
    (problem,) = log.verify(anchors=own).problems
    assert problem.damage is Damage.UNANCHORED
    pinned = log.verify(anchors=own, pin=True)
    assert (pinned.intact, pinned.pinned) == (True, 1)
    log.append(move(3))
    check = log.verify(anchors=own)
    assert check.intact
    assert "last entry is" in check.notes[0]
    intruder.remove(3)
    intruder.remove(2)
    assert damages(log.verify(anchors=own)) == {(Damage.CUT, "m", 2)}


def test_a_restored_backup_can_be_accepted_by_name_and_is_remembered(log, intruder, mlflow_store):
    write(log, 4)
    intruder.remove(4)
    with pytest.raises(EvidenceError):
        log_of(mlflow_store).append(move())
    assert not log.verify(pin=True).intact
    check = log_of(mlflow_store).verify()
    assert check.intact
    assert "4 older anchors no longer count" in check.notes[0]
    assert log_of(mlflow_store).append(move(5)).number == 4
    assert log_of(mlflow_store).verify().intact


def test_a_broken_chain_is_not_accepted(log, intruder):
    write(log, 3)
    intruder.put(intruder.entry(1).model_copy(update={"version": "99"}))
    assert log.verify(pin=True).pinned == 0
    assert not log.verify().intact


def test_an_anchor_file_of_another_log_vouches_for_nothing(log, tmp_path):
    write(log, 1)
    other = tmp_path / "other.jsonl"
    line = Anchor.model_validate_json(anchors_file(tmp_path).read_text().splitlines()[0])
    other.write_text(line.model_copy(update={"root": "0" * 32, "store": "http://else"}).model_dump_json() + "\n")
    assert {p.damage for p in log.verify(anchors=other).problems} == {Damage.ANCHORS, Damage.UNANCHORED}


def test_lines_that_were_altered_or_torn_are_named_and_the_rest_still_counts(mlflow_store, tmp_path):
    log = log_of(mlflow_store, key=new_key())
    write(log, 3)
    file = anchors_file(tmp_path)
    lines = file.read_text().splitlines()
    forged = json.loads(lines[1]) | {"number": 3}
    file.write_text("\n".join([lines[0], json.dumps(forged), "{torn", lines[2]]) + "\n")
    check = log.verify()
    assert [(p.damage, p.what[:8]) for p in check.problems] == [(Damage.ANCHORS, "2 lines ")]
    assert check.anchored == 2


def test_where_no_anchor_can_be_written_nothing_is_logged(mlflow_store, tmp_path):
    (tmp_path / "file").write_text("")
    log = log_of(mlflow_store, anchors=tmp_path / "file" / "anchors.jsonl")
    with pytest.raises(DeliveryError, match="anchor file"):
        log.append(move())
    assert log_of(mlflow_store).read("m") == ()


def test_the_file_is_private_read_on_and_read_anew_when_it_was_replaced(tmp_path):
    file = AnchorFile(tmp_path / "a" / "anchors.jsonl")
    assert file.read().lines == 0
    line = {"store": "s", "root": "r", "chain": "c", "model": "m", "digest": "sha256:" + "0" * 64}
    for number in (1, 2):
        with file.opened() as write_line:
            write_line(Anchor(at="2026-11-24T00:00:00Z", number=number, **line))
        assert sorted(file.read().chains["r", "c"].heads) == list(range(1, number + 1))
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.path.write_text("")
    assert file.read().lines == 0


def test_the_file_is_where_the_variable_says(tmp_path, monkeypatch):
    assert default_anchors() == anchors_file(tmp_path)
    monkeypatch.setenv("AIMS_ANCHORS", str(tmp_path / "x.jsonl"))
    assert default_anchors() == tmp_path / "x.jsonl"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("postgresql+psycopg2://user:secret@db:5432/mlflow?sslmode=require", "postgresql+psycopg2://db:5432/mlflow"),
        ("https://user:secret@ml.example/", "https://ml.example"),
        ("sqlite:////srv/m.db", "sqlite:////srv/m.db"),
    ],
)
def test_a_store_is_named_without_its_secrets(uri, name):
    assert store_name(uri) == name
    assert store_name(uri, "team") == f"{name}#team"


# out of reach


def test_a_store_out_of_reach_is_a_delivery_error(tmp_path):
    log = TransitionLog(MlflowClient(tracking_uri=SERVER_URI))
    for call in (lambda: log.read("m"), lambda: log.append(move()), log.models, log.verify):
        with pytest.raises(DeliveryError):
            call()


def test_a_database_that_fails_is_a_delivery_error_and_nothing_is_taken_for_written(log, mlflow_store, monkeypatch):
    write(log, 1)

    def down(*_args, **_kwargs):
        raise MlflowException("the database is down", 1)

    monkeypatch.setattr(MlflowClient, "log_param", down)
    monkeypatch.setattr(MlflowClient, "get_run", down)
    for call in (
        lambda: log.append(move(2)),
        lambda: log.read("m", fresh=True),
        lambda: log_of(mlflow_store).read("m"),
    ):
        with pytest.raises(DeliveryError):
            call()
    assert len(log.read("m")) == 1


def test_a_folder_of_files_is_no_place_for_it(tmp_path):
    client = mlflow.MlflowClient.__new__(mlflow.MlflowClient)
    client._tracking_client = type("C", (), {"tracking_uri": f"file:{tmp_path}"})()
    with pytest.raises(DeliveryError, match="needs a database"):
        TransitionLog(client).append(move())


def test_a_copy_of_the_database_that_wrote_to_the_same_anchor_file_is_named_as_a_cause(mlflow_store, tmp_path):
    write(log_of(mlflow_store), 2)
    copy = tmp_path / "copy.db"
    shutil.copy(mlflow_store.removeprefix("sqlite:///"), copy)
    log_of(f"sqlite:///{copy}").append(move(7))
    with pytest.raises(EvidenceError, match=r"give the copy an AIMS_ANCHORS of its own.*--pin"):
        log_of(mlflow_store).read("m")
