"""A model that is observed answers as before, and each of its rows is in one part of one window."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from observe_kit import NOON, Rule, Wall, rows, settings, target

from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.frames import as_table
from aims_mlflow.monitoring.observing import ObservedModel, Observer, observe
from aims_mlflow.monitoring.observing.clock import LiveClock
from aims_mlflow.monitoring.observing.parts import PartId, read_part
from aims_mlflow.monitoring.observing.spool import leftover, read_spooled, replica_folders, waiting
from aims_mlflow.sketches import Profile


@pytest.fixture
def made(tmp_path):
    observers = []

    def make(of=None, *, model=None, background=False, **options):
        observer = Observer(of or target(), spool=tmp_path / "spool", background=background, **options)
        observers.append(observer)
        return ObservedModel(model or Rule(), observer)

    yield make
    for observer in observers:
        observer.close(ship=False)


def parts(tmp_path):
    return [read_spooled(p) for folder in replica_folders((tmp_path / "spool",)) for p in waiting(folder)]


def test_the_answer_is_the_models_own_object_and_so_are_its_errors_and_attributes(made):
    answer = np.arange(3)

    class Model:
        metadata = "as it was"

        def predict(self, data, params=None):
            if params:
                raise KeyError(params["x"])
            return answer

    model = made(model=Model())
    assert model.predict(rows(3)) is answer
    assert model.metadata == "as it was"
    assert isinstance(model, Model)
    with pytest.raises(KeyError, match="boom"):
        model.predict(rows(3), {"x": "boom"})
    with pytest.raises(KeyError, match="boom"):
        model.predict(data=rows(3), params={"x": "boom"})
    with pytest.raises(AttributeError):
        _ = model.absent


def test_a_part_says_what_one_pass_over_the_same_rows_says(made, tmp_path):
    model = made(clock=Wall().clock())
    frames = [rows(n, seed=n) for n in (1, 1, 700, 3, 9000)]
    for frame in frames:
        model.predict(frame)
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    whole = pd.concat(frames, ignore_index=True)
    whole["prediction"] = Rule().predict(whole)
    expected = Profile.of(as_table(whole), model.observer.target.plan)
    assert part.header.rows == len(whole)
    assert part.header.calls == 5
    assert not part.header.lost
    assert part.read_profile().to_bytes(smallest_cell=5) == Profile.from_bytes(
        expected.to_bytes(smallest_cell=5)
    ).to_bytes(smallest_cell=5)


def test_rows_that_caller_or_model_change_afterwards_count_as_they_came(made, tmp_path):
    class Careless(Rule):
        def predict(self, data, params=None):
            result = super().predict(data)
            data["income"] = -1.0
            return result

    model = made(model=Careless(), clock=Wall().clock())
    buffer = np.full((100, 1), 3100.0)
    for seed in range(3):
        frame = pd.DataFrame(buffer, columns=["income"], copy=False).assign(age=30, region="north")
        answer = model.predict(frame)
        answer[:] = 7
        buffer[:] = -5.0 if seed == 2 else 3100.0
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    expected = pd.DataFrame({"income": np.full(300, 3100.0), "age": 30, "region": "north", "prediction": 1})
    ours = part.read_profile()
    own = Profile.of(as_table(expected), model.observer.target.plan)
    assert ours.to_bytes(smallest_cell=5) == Profile.from_bytes(own.to_bytes(smallest_cell=5)).to_bytes(smallest_cell=5)


def test_the_callers_frame_is_not_kept_alive(made):
    model = made()
    frame = rows(10)
    gone = weakref.ref(frame)
    model.predict(frame)
    del frame
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "text",
        [],
        [1, 2, 3],
        ["a", "b"],
        [{"income": 1.0, "age": 3, "region": "x"}],
        [[1.0, 2, "x"], [2.0, 3, "y"]],
        {"income": np.arange(3.0), "age": np.arange(3), "region": np.array(["a", "b", "c"])},
        {"income": [1.0], "age": [2, 3]},
        np.zeros((2, 3)),
        np.zeros(0),
        np.array(3.0),
        pd.DataFrame(),
        pd.DataFrame({"income": [None, None]}),
        pd.DataFrame([[1, 2]], columns=["income", "income"]),
        pd.DataFrame({"income": ["a", "b"], "age": [object(), object()], "new": [{}, []]}),
        pd.DataFrame({("a", "b"): [1]}),
        pd.Series([1.0, 2.0]),
        object(),
    ],
    ids=lambda odd: type(odd).__name__,
)
def test_whatever_the_model_is_given_it_answers_and_each_row_is_counted_or_lost(made, tmp_path, odd):
    class Any:
        def predict(self, data):
            return [0] * len(data) if hasattr(data, "__len__") else 0

    if isinstance(odd, np.ndarray) and not odd.ndim:
        Any.predict = lambda self, data: 0
    model = made(model=Any(), clock=Wall().clock())
    model.predict(rows(5))
    model.predict(odd)
    model.predict(rows(5))
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    if isinstance(odd, np.ndarray) and not odd.ndim:
        expected = 1
    elif isinstance(odd, dict):
        expected = max(len(v) for v in odd.values())
    else:
        expected = len(odd) if hasattr(odd, "__len__") and not isinstance(odd, str) else 1
    assert part.header.rows + sum(part.header.lost.values()) == 10 + expected
    assert part.header.rows >= 10
    assert part.read_profile().rows == part.header.rows


def test_calls_the_model_answers_with_an_exception_are_counted_and_their_rows_are_not(made, tmp_path):
    class Moody(Rule):
        def predict(self, data, params=None):
            if len(data) == 3:
                raise ValueError
            return super().predict(data)

    model = made(model=Moody(), clock=Wall().clock())
    model.predict(rows(5))
    with pytest.raises(ValueError):
        model.predict(rows(3))
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    assert (part.header.rows, part.header.calls, part.header.failed_calls) == (5, 1, 1)


def test_rows_go_to_the_window_of_the_wall_clock_and_a_full_window_is_finished(made, tmp_path):
    wall = Wall()
    model = made(clock=wall.clock())
    for hour in range(3):
        wall.at = NOON + 3600 * hour
        model.predict(rows(10 + hour))
        model.observer.save()
    assert [(p.id.window.start.hour, p.id.sequence, p.header.rows) for p in parts(tmp_path)] == [
        (12, 0, 10),
        (13, 0, 11),
    ]


@pytest.mark.parametrize("back", [1.0, 30.0, 3600.0, 86400.0])
def test_a_clock_that_goes_backwards_loses_no_row_and_counts_none_twice(made, tmp_path, back):
    wall = Wall(NOON + 3599)
    model = made(clock=wall.clock())
    served = 0
    for step in (0.0, 2.0, 2.0 - back, 3.0, 3.0 - back, 90000.0):
        wall.at = NOON + 3599 + step
        model.predict(rows(10))
        served += 10
        model.observer.save()
    model.observer.save(finish=True)
    found = parts(tmp_path)
    assert sum(p.header.rows for p in found) == served
    assert len({str(p.id) for p in found}) == len(found)
    assert sum(p.header.set_back for p in found) == (2 if back > 60 else 0)


def test_a_clock_that_is_set_back_a_little_stands_still():
    wall = Wall()
    clock = LiveClock(wall)
    wall.at += 10
    assert clock.now() == NOON + 10
    wall.at -= 5
    assert clock.now() == NOON + 10
    wall.at += 6
    assert clock.now() == NOON + 11
    assert clock.set_back == 0


def test_many_threads_lose_no_row(made, tmp_path):
    model = made(background=True, every_rows=500, every_seconds=0.05, clock=Wall().clock())
    frame = rows(7)

    def serve():
        for _ in range(100):
            model.predict(frame)

    threads = [threading.Thread(target=serve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    model.observer.close(ship=False)
    found = parts(tmp_path)
    assert sum(p.header.rows for p in found) == 8 * 100 * 7
    assert not any(p.header.lost for p in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_is_a_replica_of_its_own_and_rows_of_the_parent_are_the_parents(made, tmp_path):
    model = made(background=True, clock=Wall().clock())
    model.predict(rows(11))
    first = model.observer.replica
    with pytest.warns(DeprecationWarning, match="fork") if sys.version_info >= (3, 12) else _nothing():
        child = os.fork()
    if child == 0:
        code = 1
        try:
            model.predict(rows(5))
            model.observer.save(finish=True)
            code = 0 if model.observer.replica != first else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    model.predict(rows(2))
    model.observer.save(finish=True)
    assert model.observer.replica == first
    assert sorted(p.header.rows for p in parts(tmp_path)) == [5, 13]
    assert len({p.id.replica for p in parts(tmp_path)}) == 2


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_at_most_every_rows_answered_rows_are_ahead_of_the_checkpoint(made, tmp_path):
    model = made(every_rows=50, clock=Wall().clock())
    served = 0
    for count in (10, 30, 9, 1, 49, 200, 3):
        model.predict(rows(count))
        served += count
        kept = [read_part(p.read_bytes()).header.rows for p in (tmp_path / "spool").rglob("*.open")]
        assert served - sum(kept) < 50


def test_rows_at_risk_are_written_within_every_seconds(made, tmp_path):
    model = made(background=True, every_seconds=0.2)
    model.predict(rows(10))
    deadline = time.monotonic() + 5
    while not list((tmp_path / "spool").rglob("*.open")) and time.monotonic() < deadline:
        time.sleep(0.02)
    (found,) = (tmp_path / "spool").rglob("*.open")
    assert read_part(found.read_bytes()).header.rows == 10


def test_no_value_of_the_data_is_in_a_checkpoint_or_part(made, tmp_path):
    model = made(every_rows=1, clock=Wall().clock())
    frame = pd.DataFrame({"income": [1234.5678], "age": [77], "region": ["Atlantis-9"]})
    model.predict(frame)
    checkpoints = [p.read_bytes() for p in (tmp_path / "spool").rglob("*.open")]
    model.observer.save(finish=True)
    finished = [p.read_bytes() for p in (tmp_path / "spool").rglob("*.bin")]
    assert checkpoints and finished
    import struct

    for content in (*checkpoints, *finished):
        assert b"Atlantis" not in content
        assert b"1234.5678" not in content
        assert struct.pack("<d", 1234.5678) not in content


def test_without_a_reference_rows_are_counted(made, tmp_path):
    model = made(target(plan=False), clock=Wall().clock())
    model.predict(rows(10))
    model.predict(rows(1))
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    assert (part.header.rows, part.profile, part.read_profile()) == (11, b"", None)


def test_rows_before_the_version_is_known_are_counted_as_lost(made, tmp_path):
    answers = [InputError("not yet"), target()]

    def resolve():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    model = made(resolve, clock=Wall().clock())
    model.predict(rows(10))
    model.observer.save()
    with pytest.raises(InputError):
        model.observer._find_target()
    model.observer._find_target()
    model.predict(rows(3))
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    assert part.header.rows == 3
    assert part.header.lost == {"before the reference was known": 10}


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root writes anywhere")
def test_a_disk_that_takes_nothing_costs_a_warning_and_no_prediction(made, tmp_path, caplog, monkeypatch):
    _blocked(made, tmp_path, caplog, monkeypatch)


def test_a_full_disk_costs_a_warning_and_no_prediction_and_later_parts_are_written_when_there_is_room(
    made, tmp_path, caplog, monkeypatch
):
    from aims_mlflow.monitoring.observing import spool as module

    full = [True]
    write = module._write

    def limited(folder, name, content, *, flush):
        if full[0]:
            raise OSError(28, "No space left on device")
        return write(folder, name, content, flush=flush)

    monkeypatch.setattr(module, "_write", limited)
    wall = Wall()
    model = made(clock=wall.clock())
    with caplog.at_level(logging.WARNING, logger="aims_mlflow"):
        for _ in range(3):
            assert len(model.predict(rows(10))) == 10
            model.observer.save()
            wall.at += 3600
    assert sum("spool" in r.message for r in caplog.records) <= 3
    assert "OSError" in caplog.text
    full[0] = False
    model.observer._retry_spool_at = 0.0
    model.observer.save(finish=True)
    model.observer._rescue(model.observer._folder())
    assert sum(p.header.rows for p in parts(tmp_path)) == 30


def test_parts_that_no_disk_ever_takes_are_counted_as_lost_in_the_next(made, tmp_path, monkeypatch):
    from aims_mlflow.monitoring.observing import observer as module

    monkeypatch.setattr(module, "_IN_MEMORY", 2)
    wall = Wall()
    model = made(clock=wall.clock())
    monkeypatch.setattr(model.observer, "_folder", lambda: None)
    for _ in range(6):
        model.predict(rows(10))
        wall.at += 3600
        model.observer.save()
    held = sum(p.header.rows for p in model.observer._memory)
    told = sum(sum(p.header.lost.values()) for p in model.observer._memory)
    told += sum(sum(f.lost.values()) for f in model.observer._fillings.open.values())
    assert held + told == 60


def _blocked(made, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "no-temp"))
    (tmp_path / "no-temp").write_text("a file")
    (tmp_path / "spool").mkdir(mode=0o500)
    model = made(clock=Wall().clock())
    with caplog.at_level(logging.WARNING, logger="aims_mlflow"):
        assert len(model.predict(rows(10))) == 10
        model.observer.save(finish=True)
    assert "spool" in caplog.text


def test_a_part_is_read_back_as_it_was_written_and_damage_is_found(made, tmp_path):
    model = made(clock=Wall().clock())
    model.predict(rows(100))
    model.observer.save(finish=True)
    (path,) = (tmp_path / "spool").rglob("*.bin")
    content = path.read_bytes()
    assert read_part(content).header.rows == 100
    for place in (0, 20, 90, 200, len(content) // 2, len(content) - 1):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(EvidenceError):
            read_spooled(path)
    for length in (0, 10, 100, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(EvidenceError):
            read_spooled(path)
    path.write_bytes(content)


def test_names_of_parts_are_read_back():
    made_of = target()
    from datetime import UTC, datetime

    from aims_mlflow.operation.windows import Window

    window = Window.holding(datetime.fromtimestamp(NOON, UTC), made_of.length)
    part = PartId("pod-1-abc", window, 7)
    assert PartId.parse(str(part)) == part
    for wrong in ("", "a.b.c", "../x.1-3600.0", "a.1-0.0", "a.999999999999-9999999999.0", "a.1-3600"):
        with pytest.raises(EvidenceError):
            PartId.parse(wrong)


def test_the_folder_of_a_replica_that_lives_is_left_alone(made, tmp_path):
    model = made(clock=Wall().clock())
    model.predict(rows(10))
    model.observer.save()
    (folder,) = replica_folders((tmp_path / "spool",))
    with leftover(folder) as left:
        assert left is None


def test_observe_refuses_what_is_no_registered_model(tmp_path):
    with pytest.raises(InputError, match="predict"):
        observe(object(), model_uri="models:/x/1", tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    with pytest.raises(InputError, match="which registered version"):
        observe(Rule(), config=settings().declaration, tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    with pytest.raises(InputError, match="every_rows"):
        observe(Rule(), model_uri="models:/x/1", every_rows=0)


def test_memory_stays_the_same_over_a_million_rows(made):
    model = made(every_rows=20_000, clock=Wall().clock())
    observer = model.observer
    frame = rows(10_000)
    for _ in range(100):
        model.predict(frame)
        assert observer._buffered < 40_000
    observer.save()
    (filling,) = observer._fillings.open.values()
    assert filling.rows == 1_000_000
    assert len(filling.part(observer.target, complete=True).profile) < 100_000


def test_columns_that_are_gone_new_or_of_another_type_are_counted_and_the_rest_goes_on(made, tmp_path):
    model = made(clock=Wall().clock())
    model.predict(rows(100))

    model.predict(rows(50).assign(age="old"))
    model.predict(rows(30).drop(columns="region"))
    model.predict(rows(20).assign(colour="red"))
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    profile = part.read_profile()
    assert profile.rows == 200
    changes = profile.schema_changes
    assert changes["retyped"] == {"age": 50}
    assert changes["missing"] == {"region": 30}
    assert changes["new"] == {"colour": 20}


def test_a_library_of_frames_that_another_thread_is_importing_costs_no_row(made, tmp_path, monkeypatch):
    import types

    model = made(clock=Wall().clock())
    monkeypatch.setitem(sys.modules, "polars", types.ModuleType("polars"))
    model.predict(rows(100))
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    assert (part.header.rows, part.header.lost) == (100, {})


def test_a_process_told_to_end_finishes_its_parts_first(made, tmp_path):
    model = made(background=True, every_seconds=60)
    model.predict(rows(30))
    assert model.observer.end_soon()
    model.observer.ended.wait(10)
    (part,) = parts(tmp_path)
    assert part.header.rows == 30
    model.predict(rows(5))  # an answer that was still on its way is written at once
    (opened,) = (tmp_path / "spool").rglob("*.open")
    assert read_part(opened.read_bytes()).header.rows == 5


@pytest.mark.parametrize("answer", ["array", "series", "frame", "probabilities", "labels"])
def test_frames_of_numbers_say_the_same_however_many_rows_come_at_a_time(tmp_path, made, answer):
    from dataclasses import replace

    from aims_mlflow.config import Columns, PrivacyPolicy

    def numbers(count, seed):
        rng = np.random.default_rng(seed)
        return pd.DataFrame(rng.normal(size=(count, 4)), columns=["a", "b", "c", "d"])

    class Model:
        def predict(self, data):
            values = data["a"].to_numpy() * 2
            if answer == "array":
                return values
            if answer == "series":
                return pd.Series(values, index=data.index[::-1])
            if answer == "frame":
                return pd.DataFrame({"answer": values})
            if answer == "labels":
                return [str(v > 0) for v in values]
            return np.column_stack([1 - values, values])

    column = "probability" if answer == "probabilities" else "prediction"
    train = numbers(3000, 0)
    given = Model().predict(train)
    given = given[:, 1] if answer == "probabilities" else np.asarray(given).ravel()
    plan = Profile.plan_of(as_table(train.assign(**{column: given})), columns=Columns(), privacy=PrivacyPolicy())
    model = made(replace(target(), plan=plan), model=Model(), clock=Wall().clock())
    frames = [numbers(n, n) for n in (1, 2, 255, 256, 257, 5000)] + [numbers(300, 7).drop(columns="b").assign(e=1.0)]
    for frame in frames:
        model.predict(frame)
    model.observer.save(finish=True)
    (part,) = parts(tmp_path)
    expected = Profile.empty(plan)
    for frame in frames:
        given = Model().predict(frame)
        given = given[:, 1] if answer == "probabilities" else np.asarray(given).ravel()
        expected.add(as_table(frame.assign(**{column: given})))
    assert (part.header.rows, part.header.lost) == (sum(map(len, frames)), {})
    profile = part.read_profile()
    assert profile.to_bytes(smallest_cell=5) == Profile.from_bytes(expected.to_bytes(smallest_cell=5)).to_bytes(
        smallest_cell=5
    )
    assert profile.schema_changes == expected.schema_changes
