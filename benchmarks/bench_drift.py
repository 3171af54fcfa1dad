"""Drift: this library against Evidently's DataDriftPreset, CPU seconds and memory, on the same frames in one run.

    python benchmarks/bench_drift.py [--rows 100000 1000000] [--columns 20] [--linear] [--no-evidently]

Each measurement runs in a process of its own; imports are done before the clock starts. CPU is user + system time;
memory is the growth of the process's peak over what it was with both frames loaded. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd


def frames(rows: int, columns: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """60 % floats (a quarter with 2 % NaN), 20 % integers, an id, the rest string labels; a fifth of them drift."""
    floats, whole = columns * 12 // 20, columns * 4 // 20
    labels = columns - floats - whole - 1
    drifting = (
        {"f1", "f5", "i2", "c1"} if columns <= 20 else {f"f{i}" for i in (1, 5, 9, 13, 17)} | {"i2", "i5", "c1", "c4"}
    )

    def make(seed: int, drifted: bool) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        data: dict[str, object] = {}
        for j in range(floats):
            scale = 1 + j % 3
            values = rng.normal(j, scale, rows) if j % 3 else rng.gamma(2, scale, rows)
            if drifted and f"f{j}" in drifting:
                values = values + 0.5 * scale
            if j % 4 == 3:
                values[rng.random(rows) < 0.02] = np.nan
            data[f"f{j}"] = values
        for j in range(whole):
            data[f"i{j}"] = rng.poisson(20 + 10 * j, rows) + (5 if drifted and f"i{j}" in drifting else 0)
        for j in range(labels):
            levels = [3, 10, 50][j % 3]
            weights = np.arange(1, levels + 1, dtype=float)
            if drifted and f"c{j}" in drifting:
                weights = weights[::-1]
            names = np.array([f"level_{k}" for k in range(levels)], dtype=object)
            data[f"c{j}"] = names[rng.choice(levels, rows, p=weights / weights.sum())]
        # Unsigned: a type Evidently leaves out, so that neither side spends time on it.
        data["id"] = np.arange(rows, dtype=np.uint64)
        return pd.DataFrame(data)

    return make(0, False), make(1, True)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run_own(reference: pd.DataFrame, current: pd.DataFrame, cached: bool) -> dict[str, str]:
    from aims_mlflow.config import Columns, DriftPolicy, PrivacyPolicy
    from aims_mlflow.frames import as_table
    from aims_mlflow.measure.drift import ReferenceSummary, measure_drift

    summary = ReferenceSummary.of(as_table(reference)) if cached else None
    start = cpu()
    payload = measure_drift(
        as_table(reference), as_table(current), policy=DriftPolicy(), columns=Columns(ids=("id",)),
        privacy=PrivacyPolicy(), summary=summary,
    )  # fmt: skip
    used = cpu() - start
    return {"cpu": used, "verdicts": {c.column: str(c.verdict) for c in payload.columns if c.score is not None}}


def run_evidently(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, object]:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    start = cpu()
    found = Report([DataDriftPreset()], include_tests=True).run(current, reference).dict()
    used = cpu() - start
    verdicts = {
        m["config"]["column"]: "fail" if str(getattr(t["status"], "value", t["status"])) == "FAIL" else "pass"
        for m, t in zip(found["metrics"], found["tests"], strict=True)
        if "column" in m["config"]
    }
    return {"cpu": used, "verdicts": verdicts}


def child(engine: str, rows: int, columns: int) -> None:
    import warnings

    warnings.simplefilter("ignore")
    import aims_mlflow.measure.drift  # noqa: F401

    if engine == "evidently":
        import evidently.presets  # noqa: F401
    reference, current = frames(rows, columns)
    size = int(current.memory_usage(deep=True).sum())
    small = reference.iloc[:2000], current.iloc[:2000]
    if engine == "evidently":
        run_evidently(*small)
    else:
        run_own(*small, cached=False)
    give_back()
    before = peak()
    found = (
        run_evidently(reference, current) if engine == "evidently" else run_own(reference, current, engine == "cached")
    )
    found |= {"memory": max(peak() - before, 0), "frame": size}
    print(json.dumps(found))


def give_back() -> None:
    """Return freed memory to the system, so that what is used next counts as growth."""
    import ctypes
    import gc

    import pyarrow

    gc.collect()
    pyarrow.default_memory_pool().release_unused()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def peak() -> int:
    """Peak resident bytes since the last call (Linux resets the mark on request); elsewhere since the start."""
    try:
        with Path("/proc/self/status").open() as status:
            lines = dict(line.split(":", 1) for line in status if ":" in line)
        value = int(lines["VmHWM"].split()[0]) * 1024
        current_size = int(lines["VmRSS"].split()[0]) * 1024
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return current_size if not _MARKED and not _MARKED.append(True) else value


_MARKED: list[bool] = []


def measure(engine: str, rows: int, columns: int, times: int) -> dict[str, object]:
    runs = []
    for _ in range(times):
        command = [sys.executable, __file__, "--child", engine, "--rows", str(rows), "--columns", str(columns)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return min(runs, key=lambda run: run["cpu"]) | {"memory": max(run["memory"] for run in runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--linear", action="store_true", help="also 50 columns, this library only")
    parser.add_argument("--no-evidently", action="store_true")
    parser.add_argument("--child", choices=["own", "cached", "evidently"])
    options = parser.parse_args()
    if options.child:
        child(options.child, options.rows[0], options.columns)
        return
    print("| rows x columns | engine | CPU s | ratio | extra memory / frame | differing verdicts |")
    print("|---|---|---|---|---|---|")
    started = time.time()
    shapes = [(rows, options.columns) for rows in options.rows] + ([(max(options.rows), 50)] if options.linear else [])
    for rows, columns in shapes:
        own = measure("own", rows, columns, 3)
        cached = measure("cached", rows, columns, 3)
        theirs = None if options.no_evidently or columns == 50 else measure("evidently", rows, columns, 1)
        if theirs is not None:
            show(rows, columns, "Evidently DataDriftPreset", theirs, theirs, None)
        show(rows, columns, "aims-mlflow", own, theirs, theirs)
        show(rows, columns, "aims-mlflow, reference summary kept", cached, theirs, theirs)
    print(f"\nWall time of the whole benchmark: {time.time() - started:.0f} s.", file=sys.stderr)


def show(rows: int, columns: int, name: str, found: dict, base: dict | None, oracle: dict | None) -> None:
    ratio = f"{base['cpu'] / found['cpu']:.0f}" if base else ""
    differ = ""
    if oracle is not None:
        both = set(found["verdicts"]) | set(oracle["verdicts"])
        differ = f"{sum(found['verdicts'].get(c) != oracle['verdicts'].get(c) for c in both)} of {len(both)}"
    share = found["memory"] / found["frame"]
    print(f"| {rows:,} x {columns} | {name} | {found['cpu']:.3f} | {ratio} | {share:.2f} | {differ} |", flush=True)


if __name__ == "__main__":
    main()
