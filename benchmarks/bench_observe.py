"""What ``observe`` adds to a call of ``predict``: plain and observed calls of one model in turn, in one process.

A model of gradient boosting (scikit-learn, loaded by ``mlflow.pyfunc``) answers batches; each pair of calls gets the
same frame, and which of the two comes first changes from pair to pair. *Added* is the difference of the medians, as
asked for; *mean* is the difference of the means, which holds the summarising and the checkpoints of the other thread,
too. Memory: rows in chunks through one observer, resident size before and after.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of the model that wait for a busy core drown what is measured

import numpy as np
import pandas as pd


def frame_of(rows: int, columns: int, kind: str, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    data = {f"c{i}": rng.normal(size=rows) for i in range(columns)}
    if kind == "mixed":
        data |= {f"c{i}": rng.integers(0, 50, rows) for i in range(0, columns, 5)}
        data |= {f"c{i}": rng.choice(np.array(["north", "south", "west"], dtype=object), rows) for i in (3, 7)}
    return pd.DataFrame(data)


def model_of(columns: int, which: str, kind: str, folder: Path):
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    train = frame_of(20_000, columns, kind, seed=1)
    y = (train.c1 + train.c2**2 > 1).astype(int)
    model = HistGradientBoostingClassifier(early_stopping=False) if which == "hist" else GradientBoostingClassifier()
    if kind == "mixed":
        model = make_pipeline(make_column_transformer((OrdinalEncoder(), ["c3", "c7"]), remainder="passthrough"), model)
    model.fit(train, y)
    place = Path(tempfile.mkdtemp(dir=folder)) / "model"
    extra = {"serialization_format": "cloudpickle"}
    mlflow.sklearn.save_model(model, str(place), signature=infer_signature(train, model.predict(train[:5])), **extra)
    return mlflow.pyfunc.load_model(str(place)), train


def target_of(train: pd.DataFrame, outputs):
    from aims_mlflow.config import Settings
    from aims_mlflow.evidence import ModelRef, sha256_of
    from aims_mlflow.frames import as_table
    from aims_mlflow.monitoring.observing.target import Target
    from aims_mlflow.sketches import Profile

    declaration = Settings().declaration
    table = as_table(train.assign(prediction=outputs))
    plan = Profile.plan_of(table, columns=declaration.columns, privacy=declaration.privacy)
    ref = ModelRef(registered_name="bench", version="1", sha256=sha256_of(b""))
    return Target("bench", "1", ref, "http://127.0.0.1:9", plan=plan)


def measure(columns: int, rows: int, which: str, kind: str, seconds: float, folder: Path, **options) -> dict:
    from aims_mlflow.monitoring.observing import ObservedModel, Observer

    model, train = model_of(columns, which, kind, folder)
    observer = Observer(target_of(train, model.predict(train)), spool=folder / "spool", closes=False, **options)
    observed = ObservedModel(model, observer)
    frames = [frame_of(rows, columns, kind, seed) for seed in range(50)]
    for frame in frames[:20]:
        model.predict(frame)
        observed.predict(frame)
    plain, watched = [], []
    gc.collect()
    end = time.perf_counter() + seconds
    turn = 0
    while time.perf_counter() < end:
        frame = frames[turn % len(frames)]
        for call, times in ((model.predict, plain), (observed.predict, watched))[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            call(frame)
            times.append(time.perf_counter() - start)
        turn += 1
    observer.close(ship=False)
    before, after = statistics.median(plain) * 1e6, statistics.median(watched) * 1e6
    mean = (statistics.fmean(watched) - statistics.fmean(plain)) * 1e6
    return {"calls": turn, "plain": before, "added": after - before, "share": after / before - 1, "mean": mean,
            "mean_share": statistics.fmean(watched) / statistics.fmean(plain) - 1}  # fmt: skip


def path_alone(columns: int, kind: str, folder: Path) -> float:
    """What our code on the call path takes for a single row, the model left out: the median in microseconds."""
    from aims_mlflow.monitoring.observing import Observer

    train = frame_of(5000, columns, kind)
    observer = Observer(target_of(train, np.zeros(len(train))), spool=folder / "alone", closes=False)
    one, answer = train[:1].copy(), np.zeros(1)
    times = []
    for _ in range(5000):
        start = time.perf_counter()
        observer.after(observer.before(one), answer)
        times.append(time.perf_counter() - start)
        time.sleep(0.0002)
    observer.close(ship=False)
    return statistics.median(times) * 1e6


def memory(rows: int, columns: int, folder: Path) -> tuple[float, float, float]:
    """Megabytes resident before, after a tenth and after all rows."""
    from aims_mlflow.monitoring.observing import Observer
    from aims_mlflow.monitoring.observing.taking import Snapshot

    def resident() -> float:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    train = frame_of(50_000, columns, "numbers")
    observer = Observer(target_of(train, np.zeros(len(train))), spool=folder / "memory", closes=False)
    answer = np.zeros(len(train))
    chunk = 50_000
    before = middle = 0.0
    for done in range(0, rows, chunk):
        if done == 10 * chunk:
            before = resident()
        if done == rows // 10 // chunk * chunk:
            middle = resident()
        observer.after(Snapshot(chunk, train), answer)
    observer.save()
    held = sum(f.rows for f in observer._fillings.open.values())
    assert held == rows, (held, rows)
    after = resident()
    observer.close(ship=False)
    return before, middle, after


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--memory-rows", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.chdir(folder)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        print("| model | rows | columns | plain, us | added, us (median) | added | mean, us | mean |")
        print("|---|---|---|---|---|---|---|---|")
        for which, kind, rows, columns in (
            ("hist", "numbers", 1000, 20), ("gbm", "numbers", 1000, 20), ("hist", "mixed", 1000, 20),
            ("hist", "numbers", 1, 20), ("hist", "mixed", 1, 20), ("hist", "numbers", 1, 100),
            ("hist", "mixed", 1, 100),
        ):  # fmt: skip
            r = measure(columns, rows, which, kind, options.seconds, folder)
            print(
                f"| {which}, {kind} | {rows:,} | {columns} | {r['plain']:,.0f} | {r['added']:.0f} | {r['share']:.1%} "
                f"| {r['mean']:.0f} | {r['mean_share']:.1%} |", flush=True
            )  # fmt: skip
        for kind in ("numbers", "mixed"):
            for columns in (20, 100):
                print(f"our part of a single-row call, {columns} columns, {kind}: "
                      f"{path_alone(columns, kind, folder):.1f} us (limit {50 + columns})")  # fmt: skip
        if options.memory_rows:
            start = time.process_time()
            before, middle, after = memory(options.memory_rows, 20, folder)
            took = time.process_time() - start
            print(f"{options.memory_rows:,} rows x 20 columns: {before:.1f} MB resident after the first 500,000, "
                  f"{middle:.1f} after a tenth, {after:.1f} after all; {took:.0f} s of CPU")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
