"""Profiles: time per value and batch, size, drift told from them against the exact one, and how often it is uncertain.

    python benchmarks/bench_sketches.py [--rows 1000000] [--pairs 400]

Frames are those of bench_drift.py (12 floats, 4 integers, 3 columns of labels, an id). CPU is user + system seconds.
*Capture* is what an end of a run costs for such a training and such a test set (fingerprints, quality, drift), with
the share of the reference profile in it. *Uncertain*: pairs of columns of eleven shapes, shifted by 0 to 0.3 standard
deviations, both sides shipped as bytes; *near* are those whose exact score is within a tenth of the limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_drift import cpu, frames

from aims_mlflow.config import Columns, Declaration, DriftPolicy, PrivacyPolicy, Settings
from aims_mlflow.evidence import Subject, now
from aims_mlflow.frames import as_table
from aims_mlflow.measure.drift import measure_drift
from aims_mlflow.measure.sketched import drift_of_profiles
from aims_mlflow.sketches import Profile

COLUMNS, PRIVACY, POLICY = Columns(ids=("id",)), PrivacyPolicy(), DriftPolicy()
CELL = PRIVACY.smallest_cell


def timed(work, times=1):
    took = []
    for _ in range(times):
        start = cpu()
        result = work()
        took.append(cpu() - start)
    return statistics.median(took), result


def batch(work, times=300):
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e6


def large(rows):
    reference, current = map(as_table, frames(rows, 20))
    planned, plan = timed(lambda: Profile.plan_of(reference, columns=COLUMNS, privacy=PRIVACY))
    numbers = reference.select([c.name for c in reference.columns if c.name[0] == "f"])
    own = Profile.plan_of(numbers, columns=COLUMNS, privacy=PRIVACY)
    floats, _ = timed(lambda: Profile.of(numbers, own), 3)
    whole, profile = timed(lambda: Profile.of(reference, plan), 3)
    other = Profile.of(current, plan)
    content = profile.to_bytes(smallest_cell=CELL)
    read = Profile.from_bytes(content)
    merged, _ = timed(lambda: [profile.merge(other) for _ in range(20)])
    shipped, _ = timed(lambda: [profile.to_bytes(smallest_cell=CELL) for _ in range(20)])
    told, found = timed(lambda: drift_of_profiles(read, other, policy=POLICY, columns=COLUMNS, privacy=PRIVACY), 5)
    sorted_, right = timed(lambda: measure_drift(reference, current, policy=POLICY, columns=COLUMNS, privacy=PRIVACY))
    same = sum(a.verdict == b.verdict for a, b in zip(found.columns, right.columns, strict=True))
    print(f"| {rows:,} rows x 20 columns | |\n|---|---|")
    print(f"| plan | {planned * 1e3:.0f} ms |")
    print(f"| profile, 12 floats | {floats / rows / 12 * 1e9:.1f} ns a value |")
    print(f"| profile, all 20 | {whole * 1e3:.0f} ms, {whole / rows / 19 * 1e9:.1f} ns a value |")
    print(f"| bytes, as text in evidence | {len(content):,}, {len(content) * 4 // 3:,} |")
    print(f"| merge of two, to bytes | {merged / 20 * 1e3:.1f} ms, {shipped / 20 * 1e3:.1f} ms |")
    print(f"| drift from profiles | {told * 1e3:.0f} ms |")
    print(f"| drift from rows (`measure_drift`) | {sorted_ * 1e3:.0f} ms |")
    print(f"| verdicts that agree | {same} of {len(found.columns)} |\n")


def small():
    reference, current = frames(100_000, 20)
    floats = {f"x{k}": np.random.default_rng(k).normal(size=1000) for k in range(20)}
    table, mixed = as_table(floats), as_table(current.iloc[:1000])
    own = Profile.empty(Profile.plan_of(table, columns=Columns(), privacy=PRIVACY))
    every = Profile.empty(Profile.plan_of(as_table(reference), columns=COLUMNS, privacy=PRIVACY))
    rows = current.iloc[:1000]
    print("| 1,000 rows x 20 columns, `add` | µs |\n|---|---|")
    print(f"| 20 floats, a table | {batch(lambda: own.add(table)):.0f} |")
    print(f"| 20 floats, plain arrays (`add_arrays`) | {batch(lambda: own.add_arrays(floats, 1000)):.0f} |")
    print(f"| mixed, a table | {batch(lambda: every.add(mixed)):.0f} |")
    print(f"| mixed, a pandas frame made a table first | {batch(lambda: every.add(as_table(rows))):.0f} |\n")


def capture():
    from aims_mlflow.capture.collect import Seen, SeenDataset, collect
    from aims_mlflow.capture.dataset import dataset_ref
    from aims_mlflow.capture.profile import reference_record
    from aims_mlflow.capture.run import RunFacts

    reference, current = frames(100_000, 20)
    settings = Settings(Declaration.model_validate({"columns": {"ids": ["id"]}}))
    facts = RunFacts(run_id="0" * 32, experiment_id="1", status="FINISHED")
    seen = Seen(
        datasets=[SeenDataset("train", None, "training", reference), SeenDataset("test", None, "test", current)]
    )
    collect(facts, seen, settings, at=now(), with_environment=False)
    whole, _ = timed(lambda: collect(facts, seen, settings, at=now(), with_environment=False), 5)
    table = as_table(reference)
    ref = dataset_ref(table, name="train", role="training")
    part, record = timed(lambda: reference_record(table, ref, settings=settings, subject=Subject(), at=now()), 5)
    print("| end of a run, 100,000 x 20 twice | |\n|---|---|")
    print(f"| capture | {whole * 1e3:.0f} ms CPU |")
    print(f"| of it the reference profile | {part * 1e3:.0f} ms, {part / whole:.0%} |")
    print(f"| its evidence | {len(record.canonical):,} bytes |\n")


SHAPES = {
    "normal": lambda r, n: r.normal(size=n),
    "uniform": lambda r, n: r.random(n),
    "exponential": lambda r, n: r.exponential(size=n),
    "lognormal": lambda r, n: r.lognormal(0, 1.5, n),
    "Cauchy": lambda r, n: r.standard_cauchy(n),
    "Pareto 1.5": lambda r, n: r.pareto(1.5, n),
    "90 % zeros": lambda r, n: np.where(r.random(n) < 0.9, 0.0, r.exponential(size=n)),
    "one decimal": lambda r, n: np.round(r.normal(size=n), 1),
    "integers": lambda r, n: r.integers(0, 80, n),
    "counts": lambda r, n: r.poisson(6, n),
    "labels": lambda r, n: r.choice([f"l{k}" for k in range(12)], n, p=np.arange(12, 0, -1) / 78),
}


def uncertain(pairs):
    print("| rows of reference, window | uncertain | near, of them uncertain | wrong | widest bound, median |")
    print("|---|---|---|---|---|")
    for n, m in ((500, 200), (1_000, 1_000), (2_000, 200), (5_000, 1_000), (20_000, 1_000), (100_000, 10_000)):
        rng = np.random.default_rng(n + m)
        open_, near, near_open, wrong, widths = 0, 0, 0, 0, []
        count = pairs if n < 100_000 else max(pairs // 4, 1)
        for k in range(count):
            make = list(SHAPES.values())[k % len(SHAPES)]
            u, v = make(rng, n), make(rng, m)
            if v.dtype.kind == "f":
                v = v + rng.uniform(0, 0.3) * np.std(u)
            elif v.dtype.kind == "i":
                v = v + rng.integers(0, 3)
            left, right = as_table(pd.DataFrame({"x": u})), as_table(pd.DataFrame({"x": v}))
            plan = Profile.plan_of(left, columns=Columns(), privacy=PRIVACY)
            sides = [Profile.from_bytes(Profile.of(t, plan).to_bytes(smallest_cell=CELL)) for t in (left, right)]
            (found,) = drift_of_profiles(*sides, policy=POLICY, columns=Columns(), privacy=PRIVACY).columns
            (exact,) = measure_drift(left, right, policy=POLICY, columns=Columns(), privacy=PRIVACY).columns
            unsure = found.verdict == "uncertain"
            open_ += unsure
            wrong += not unsure and found.verdict != exact.verdict
            if exact.score and abs(exact.score / exact.threshold - 1) < 0.1:
                near, near_open = near + 1, near_open + unsure
            if found.method == "wasserstein":
                widths.append(found.score_high - found.score_low)
        width = f"{max(widths):.3f}, {statistics.median(widths):.4f}" if widths else "(p-values)"
        print(
            f"| {n:,}, {m:,} | {open_ / count:.1%} | {near}, {near_open} | {wrong} of {count} | {width} |", flush=True
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--pairs", type=int, default=440)
    chosen = options.parse_args()
    large(chosen.rows)
    small()
    capture()
    uncertain(chosen.pairs)


if __name__ == "__main__":
    main()
