"""Parts on their way into MLflow: each is counted once, whatever is lost on the way."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from observe_kit import DECLARATION, MODEL, NOON, Rule, Wall, registered, rows, settings

from aims_mlflow.attach.store import RunStore
from aims_mlflow.cli import aims
from aims_mlflow.errors import DeliveryError, EvidenceError
from aims_mlflow.evidence import CaptureErrorRecord, DriftEvidence, MonitoringWindow, Verdict
from aims_mlflow.monitoring.merging import close, close_unclosed, merge_parts, state_of, unclosed
from aims_mlflow.monitoring.observing import ObservedModel, Observer, log_observed, observe, observed_model
from aims_mlflow.monitoring.observing.shipping import Shipper, deliver_leftovers
from aims_mlflow.monitoring.observing.spool import replica_folders, waiting
from aims_mlflow.monitoring.observing.target import target_of
from aims_mlflow.monitoring.served import served_by
from aims_mlflow.operation.windows import Window

WINDOW = Window.holding(datetime.fromtimestamp(NOON, UTC), timedelta(hours=1))
LATER = WINDOW.end + timedelta(hours=1)


@pytest.fixture
def client(mlflow_store):
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=mlflow_store)


@pytest.fixture
def served(client, tmp_path):
    return served_by(client, registered(client, tmp_path), settings())


@pytest.fixture
def replica(client, served, tmp_path):
    observers = []

    def make(name="pod", **options):
        clock = options.pop("clock", None) or Wall().clock()
        found = target_of(served, str(client.tracking_uri))
        observer = Observer(
            found, replica=name, spool=tmp_path / "spool", background=False, client=client, clock=clock, **options
        )
        observers.append(observer)
        return ObservedModel(Rule(), observer)

    yield make
    for observer in observers:
        observer.close(ship=False)


def killed(model):
    """The process dies: its lock is given back, and nothing else happens."""
    observer = model.observer
    observer._spool.forget()
    observer._closed = True


def evidence(client, run_id):
    store = RunStore(client, run_id)
    return store.holdings(store.facts()).evidence


def latest(client, run_id):
    return max((r for r in evidence(client, run_id) if isinstance(r, MonitoringWindow)), key=lambda r: r.captured_at)


def test_parts_of_several_replicas_become_one_window_and_filing_it_again_changes_nothing(client, served, replica):
    for name in ("a", "b", "c"):
        model = replica(name)
        model.predict(rows(100, seed=ord(name)))
        model.observer.save(finish=True)
        model.observer.ship()
    result = close(served, WINDOW, client=client)
    assert (result.record.rows, result.record.parts) == (300, 3)
    assert any(isinstance(r, DriftEvidence) and r.verdict is Verdict.PASS for r in result.evidence)
    assert result.record.subject.model.sha256 == served.ref.sha256
    before = {r.digest for r in evidence(client, result.run_id)}
    assert close(served, WINDOW, client=client) is None
    assert close(served, WINDOW, client=client, again=True).changed is False
    assert {r.digest for r in evidence(client, result.run_id)} == before


def test_a_part_that_comes_after_closing_opens_the_window_again(client, served, replica):
    first, late = replica("a"), replica("b")
    first.predict(rows(100))
    late.predict(rows(60, seed=5))
    first.observer.save(finish=True)
    first.observer.ship()
    assert close(served, WINDOW, client=client).record.rows == 100
    late.observer.save(finish=True)
    late.observer.ship()
    assert [one.window for one in unclosed(client, served.policy, at=LATER)] == [WINDOW]
    done, failed = close_unclosed(client, served.settings, at=LATER)
    assert not failed
    assert done[0].record.rows == 160
    assert unclosed(client, served.policy, at=LATER) == []


class Faulty(MlflowClient):
    """A client whose calls do their work and lose the answer, or do not do it at all, as often as told."""

    def __init__(self, client, **faults):
        super().__init__(tracking_uri=client.tracking_uri, registry_uri=client.tracking_uri)
        self.faults = faults

    def __getattribute__(self, name):
        found = object.__getattribute__(self, name)
        faults = object.__getattribute__(self, "__dict__").get("faults", {})
        if name not in faults:
            return found

        def call(*args, **kwargs):
            fault = faults[name].pop(0) if faults[name] else None
            if fault == "before":
                raise ConnectionError
            answer = found(*args, **kwargs)
            if fault == "after":
                raise ConnectionError
            return answer

        return call


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize("call", ["log_artifact", "log_param", "get_run"])
def test_whatever_answer_is_lost_a_part_is_counted_once(client, served, replica, call, fault):
    model = replica()
    model.predict(rows(80))
    model.observer.save(finish=True)
    home, (path,) = model.observer._spool.home, waiting(model.observer._spool.folder)
    copy = path.read_bytes()
    faulty = Faulty(client, **{call: [fault, fault]})
    for _ in range(5):
        try:
            if path.exists():
                Shipper(faulty, home).ship(path)
        except DeliveryError:
            assert path.exists()
    assert not path.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(copy)  # it dies before it can remove the file: the next one sends it once more
    Shipper(client, home).ship(path)
    state = state_of(client, served, WINDOW)
    assert len(state.parts) == 1
    assert merge_parts(client, state, served, WINDOW).rows == 80


def test_a_killed_replica_is_counted_by_its_checkpoint_and_once(client, served, replica, tmp_path):
    dead, alive = replica("dead"), replica("alive")
    dead.predict(rows(100))
    dead.observer.save()
    dead.predict(rows(7))  # after the checkpoint
    alive.predict(rows(50))
    alive.observer.save()
    killed(dead)
    first = deliver_leftovers((tmp_path / "spool",))
    assert (len(first.delivered), first.recovered) == (1, 1)
    again = deliver_leftovers((tmp_path / "spool",))
    assert (again.delivered, again.recovered) == ([], 0)
    assert [folder.name for folder in replica_folders((tmp_path / "spool",))] == [alive.observer.replica]
    alive.observer.save(finish=True)
    alive.observer.ship()
    result = close(served, WINDOW, client=client)
    assert result.record.rows == 150
    assert client.get_run(result.run_id).data.tags["aims.parts.incomplete"] == "1"


def test_a_replica_that_dies_between_the_steps_of_finishing_is_counted_once(client, served, replica, tmp_path):
    model = replica()
    model.predict(rows(100))
    model.observer.save()
    folder = model.observer._spool.folder
    (opened,) = folder.glob("*.open")
    kept = opened.read_bytes()
    model.predict(rows(20))
    model.observer.save(finish=True)
    opened.write_bytes(kept)
    killed(model)
    done = deliver_leftovers((tmp_path / "spool",))
    assert (len(done.delivered), done.recovered) == (1, 0)
    state = state_of(client, served, WINDOW)
    assert merge_parts(client, state, served, WINDOW).rows == 120


def test_two_who_find_the_same_leftovers_count_them_once(client, served, replica, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    for number in range(4):
        model = replica(f"dead{number}")
        model.predict(rows(25, seed=number))
        model.observer.save()
        killed(model)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: deliver_leftovers((tmp_path / "spool",)), range(4)))
    for _ in range(2):
        done.append(deliver_leftovers((tmp_path / "spool",)))
    assert sorted(part for one in done for part in one.delivered) == sorted(
        {part for one in done for part in one.delivered}
    )
    state = state_of(client, served, WINDOW)
    assert merge_parts(client, state, served, WINDOW).rows == 100


def test_another_part_of_the_same_name_is_kept_and_not_counted(client, served, replica, tmp_path):
    model = replica()
    model.predict(rows(80))
    model.observer.save()
    folder = model.observer._spool.folder
    saved = {p.name: p.read_bytes() for p in folder.iterdir()}
    model.predict(rows(20))
    model.observer.save(finish=True)
    model.observer.ship()
    killed(model)
    folder.mkdir(exist_ok=True)
    for name, content in saved.items():  # somebody puts a copy of the spool back
        (folder / name).write_bytes(content)
    done = deliver_leftovers((tmp_path / "spool",))
    assert len(done.set_aside) == 1
    state = state_of(client, served, WINDOW)
    assert merge_parts(client, state, served, WINDOW).rows == 100


def test_a_damaged_part_is_set_aside_and_the_window_says_so(client, served, replica, tmp_path, caplog):
    good, bad = replica("good"), replica("bad")
    for model in (good, bad):
        model.predict(rows(100))
        model.observer.save(finish=True)
    (path,) = waiting(bad.observer._spool.folder)
    content = path.read_bytes()
    path.write_bytes(content[:-10] + b"0123456789")
    good.observer.ship()
    with caplog.at_level(logging.WARNING, logger="aims_mlflow"):
        done = bad.observer.ship()
    assert len(done.set_aside) == 1
    assert "damaged" in caplog.text
    assert [p.name for p in path.parent.iterdir() if "damaged" in p.name]
    result = close(served, WINDOW, client=client)
    assert result.record.rows == 100
    assert result.record.verdict is Verdict.UNCERTAIN
    errors = [r for r in evidence(client, result.run_id) if isinstance(r, CaptureErrorRecord)]
    (error,) = [r for r in errors if r.of_kind == "monitoring_window"]
    assert "1 is damaged" in error.reason


def test_a_part_that_is_changed_in_mlflow_is_not_counted(client, served, replica):
    model = replica()
    model.predict(rows(100))
    model.observer.save(finish=True)
    model.observer.ship()
    state = state_of(client, served, WINDOW)
    (name,) = state.parts
    place = Path(local_file_uri_to_path(client.get_run(state.run_id).info.artifact_uri)) / "parts" / f"{name}.bin"
    place.write_bytes(place.read_bytes() + b" ")
    merged = merge_parts(client, state, served, WINDOW)
    assert (merged.rows, merged.unreadable) == (0, [name])


def test_rows_that_are_lost_make_the_window_uncertain(client, served, replica):
    model = replica()
    model.predict(rows(100))
    model.observer.after(model.observer.before(object()), [0])
    model.observer.save(finish=True)
    model.observer.ship()
    result = close(served, WINDOW, client=client)
    assert result.record.rows == 100
    assert result.record.verdict is Verdict.UNCERTAIN
    assert "unreadable" in " ".join(r.reason for r in evidence(client, result.run_id))


def test_the_folder_of_another_user_waits_until_somebody_adopts_it(client, served, replica, tmp_path, monkeypatch):
    model = replica()
    model.predict(rows(60))
    model.observer.save()
    killed(model)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert deliver_leftovers((tmp_path / "spool",)).delivered == []
    assert len(deliver_leftovers((tmp_path / "spool",), adopt=True).delivered) == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1, 2]", b'{"replica": "x"}'])
def test_a_folder_that_says_nothing_of_itself_is_set_aside_and_the_others_are_delivered(
    client, served, replica, tmp_path, content
):
    good, bad = replica("good"), replica("bad")
    for model in (good, bad):
        model.predict(rows(60))
        model.observer.save()
        killed(model)
    (bad.observer._spool.folder / "replica.json").write_bytes(content)
    done = deliver_leftovers((tmp_path / "spool",))
    assert len(done.delivered) == 1
    (left,) = (tmp_path / "spool").iterdir()
    assert "damaged" in left.name
    assert list(left.glob("*.open"))


def test_only_the_replica_whose_part_comes_first_closes_the_window_while_it_is_alive(client, served, replica):
    wall = Wall()
    first, second = replica("a", clock=wall.clock()), replica("b", clock=wall.clock())
    for model in (first, second):
        model.predict(rows(100))
    wall.at = WINDOW.end.timestamp() + 1
    for model in (first, second):
        model.observer.save()
        model.observer.ship()
        model.observer.close_due()
    assert not state_of(client, served, WINDOW).closed
    wall.at += 61
    second.observer.close_due()
    assert not state_of(client, served, WINDOW).closed
    first.observer.close_due()
    state = state_of(client, served, WINDOW)
    assert state.closed
    assert latest(client, state.run_id).rows == 200
    second.observer.close_due()


def test_a_window_whose_first_replica_died_is_closed_by_another_after_a_second_grace(client, served, replica):
    wall = Wall()
    first, second = replica("a", clock=wall.clock()), replica("b", clock=wall.clock())
    for model in (first, second):
        model.predict(rows(100))
    wall.at = WINDOW.end.timestamp() + 1
    for model in (first, second):
        model.observer.save()
        model.observer.ship()
    wall.at += 121
    second.observer.close_due()
    assert state_of(client, served, WINDOW).closed


def test_commands_deliver_and_close(client, served, replica, tmp_path, monkeypatch):
    model = replica()
    model.predict(rows(100))
    model.observer.save()
    killed(model)
    uri = str(client.tracking_uri)
    run = CliRunner().invoke
    told = run(aims, ["observe", "deliver", "--spool", str(tmp_path / "spool"), "--json"])
    assert told.exit_code == 0, told.output
    assert len(json.loads(told.output)["delivered"]) == 1
    (tmp_path / "aims.yaml").write_text(json.dumps(DECLARATION))
    config = ["--config", str(tmp_path / "aims.yaml"), "--tracking-uri", uri]
    told = run(aims, ["observe", "close", MODEL, *config, "--early", "--json"])
    filed = json.loads(told.output[told.output.index("{") :])["filed"]
    assert [one["rows"] for one in filed] == [100]
    told = run(aims, ["observe", "package", f"models:/{MODEL}/1", str(tmp_path / "packed"), *config])
    assert told.exit_code == 0, told.output
    assert (tmp_path / "packed" / "aims_observed" / "observed.json").is_file()


def test_observe_loads_a_version_answers_as_it_does_and_delivers_at_the_end(client, served, tmp_path):
    import mlflow

    uri = str(client.tracking_uri)
    model = observe(served.uri, config=served.settings, tracking_uri=uri, spool=tmp_path / "spool", replica="app")
    frame = rows(120)
    assert isinstance(model, mlflow.pyfunc.PyFuncModel)
    plain = mlflow.pyfunc.load_model(served.uri)
    assert (model.predict(frame) == plain.predict(frame)).all()
    assert model.metadata.signature == plain.metadata.signature
    model.close()
    found = unclosed(client, served.policy, early=True)
    assert len(found) == 1
    state = state_of(client, served, found[0].window)
    assert merge_parts(client, state, served, found[0].window).rows == 120
    assert not list((tmp_path / "spool").glob("*"))


def test_an_observed_folder_serves_the_versions_files_and_binds_to_them(client, served, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(client.tracking_uri))
    monkeypatch.setenv("AIMS_SPOOL_DIR", str(tmp_path / "spool"))
    folder = observed_model(served.uri, tmp_path / "packed", config=served.settings)
    model = mlflow.pyfunc.load_model(str(folder))
    frame = rows(110)
    assert (model.predict(frame) == Rule().predict(frame)).all()
    observed = model._model_impl
    assert observed.observer.target.ref.sha256 == served.ref.sha256
    observed.close()
    (found,) = unclosed(client, served.policy, early=True)
    assert (found.model, found.version) == (MODEL, "1")
    assert merge_parts(client, state_of(client, served, found.window), served, found.window).rows == 110
    # other files are not served under the version's name
    spoiled = tmp_path / "spoiled"
    shutil.copytree(folder, spoiled)
    victim = next(p for p in spoiled.iterdir() if p.suffix in {".py", ".pkl"})
    victim.write_bytes(victim.read_bytes() + b"\n")
    with pytest.raises(EvidenceError, match="not those of"):
        mlflow.pyfunc.load_model(str(spoiled))


def test_an_observed_model_is_kept_in_mlflow_beside_the_version(client, served, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("AIMS_SPOOL_DIR", str(tmp_path / "spool"))
    uri = log_observed(served.uri, config=served.settings, tracking_uri=str(client.tracking_uri), part_seconds=60)
    model = mlflow.pyfunc.load_model(uri)
    model.predict(rows(10))
    model._model_impl.observer.close(ship=False)
    assert len(client.search_model_versions(f"name='{MODEL}'")) == 1


def test_without_a_reference_a_window_says_how_many_rows_and_that_nothing_was_compared(client, tmp_path, replica):
    name = registered(client, tmp_path, with_reference=False)
    served = served_by(client, name, settings())
    observer = Observer(
        target_of(served, str(client.tracking_uri)),
        spool=tmp_path / "bare", background=False, client=client, clock=Wall().clock(),
    )  # fmt: skip
    ObservedModel(Rule(), observer).predict(rows(100))
    observer.save(finish=True)
    observer.ship()
    result = close(served, WINDOW, client=client)
    observer.close(ship=False)
    assert result.record.rows == 100
    drift = next(r for r in result.evidence if isinstance(r, DriftEvidence))
    assert drift.verdict is Verdict.NOT_TESTED
