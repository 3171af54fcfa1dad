"""Quality and drift as a run's capture does them, against the public path of the same tools, in one run on one machine.

    python benchmarks/bench_capture.py [--rows 100000 1000000] [--linear] [--no-naive]

*Ours*: fingerprint, dataset record, rules derived from the reference and run, drift against it.
*Naive*: Great Expectations' public path with the same rules, plus Evidently's DataDriftPreset.
*log_input*: what ``mlflow.data.from_pandas`` and ``mlflow.log_input`` of the same frame cost on SQLite.
Imports apart; each in a process of its own; CPU is user + system seconds; memory is growth over both frames.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_drift import cpu, frames, give_back, peak, run_evidently


def own(reference, current):
    from aims_mlflow.capture.dataset import dataset_record, dataset_ref
    from aims_mlflow.capture.measured import drift_evidence, quality_evidence
    from aims_mlflow.config import Declaration, Settings
    from aims_mlflow.evidence import Subject, now
    from aims_mlflow.frames import as_table

    settings = Settings(Declaration.model_validate({"columns": {"ids": ["id"]}}))
    start = cpu()
    base, table = as_table(reference), as_table(current)
    refs = [dataset_ref(base, name="reference"), dataset_ref(table, name="current")]
    common = {"subject": Subject(), "captured_at": now(), "declaration": settings.declaration}
    records = [dataset_record(t, r, **common) for t, r in zip((base, table), refs, strict=True)]
    quality = quality_evidence(table, refs[1], settings=settings, subject=Subject(), at=now(), reference=base)
    drift = drift_evidence(base, table, *refs, settings=settings, subject=Subject(), at=now())
    size = sum(len(r.canonical) for r in (*records, quality, drift))
    used = cpu() - start
    return {
        "cpu": used,
        "bytes": size,
        "rules": len(quality.rules),
        "quality": {r.rule_id: str(r.verdict) for r in quality.rules},
        "drift": {c.column: str(c.verdict) for c in drift.columns if c.score is not None},
    }


def naive(reference, current):
    from aims_mlflow.config import Columns, DataQualityPolicy
    from aims_mlflow.frames import as_table
    from aims_mlflow.measure.quality import measure_quality, profile_table, suite_in_force
    from aims_mlflow.measure.quality.suite import Suite

    columns = Columns(ids=("id",))
    profile = profile_table(as_table(reference), columns=columns)
    rules = suite_in_force(Suite("none"), policy=DataQualityPolicy(), columns=columns, profile=profile)
    start = cpu()
    quality = measure_quality(as_table(current), rules=rules, columns=columns, engine="public")
    found = run_evidently(reference, current)
    used = cpu() - start
    return {
        "cpu": used,
        "rules": len(quality.rules),
        "quality": {r.rule_id: str(r.verdict) for r in quality.rules},
        "drift": found["verdicts"],
    }


def log_input(reference, current):
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/m.db")
        mlflow.set_experiment("bench")
        with mlflow.start_run():
            start = cpu()
            mlflow.log_input(mlflow.data.from_pandas(reference, name="reference"), context="training")
            mlflow.log_input(mlflow.data.from_pandas(current, name="current"), context="test")
            used = cpu() - start
    return {"cpu": used}


WAYS = {"ours": own, "naive": naive, "log_input": log_input}


def child(way, rows, columns):
    warnings.simplefilter("ignore")
    reference, current = frames(rows, columns)
    frame = int(current.memory_usage(deep=True).sum())
    if way != "log_input":
        WAYS[way](reference.iloc[:2000], current.iloc[:2000])  # imports and first-call costs
    give_back()
    before = peak()
    found = WAYS[way](reference, current)
    found |= {"memory": max(peak() - before, 0) / frame}
    print(json.dumps(found))


def run(way, rows, columns):
    command = [sys.executable, __file__, "--child", way, "--rows", str(rows), "--columns", str(columns)]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--linear", action="store_true", help="also 1,000,000 x 50, ours only")
    parser.add_argument("--no-naive", action="store_true")
    parser.add_argument("--child", choices=WAYS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.rows[0], options.columns)
        return
    print("| rows x columns | way | CPU s | naive / this | extra memory / frame | rules | differing verdicts |")
    print("|---|---|---|---|---|---|---|")
    for rows in options.rows:
        ours = run("ours", rows, options.columns)
        logged = run("log_input", rows, options.columns)
        other = None if options.no_naive else run("naive", rows, options.columns)
        shape = f"{rows:,} x {options.columns}"
        if other:
            shared = set(ours["drift"]) & set(other["drift"])
            differ = sum(ours["quality"][k] != other["quality"].get(k) for k in ours["quality"])
            differ += sum(ours["drift"][k] != other["drift"][k] for k in shared)
            print(f"| {shape} | naive | {other['cpu']:.2f} | 1 | {other['memory']:.2f} | {other['rules']} | |")
            ratio = f"{other['cpu'] / ours['cpu']:.0f}"
            judged = f"{differ} of {len(ours['quality']) + len(shared)}"
        else:
            ratio = judged = ""
        print(f"| {shape} | ours | {ours['cpu']:.2f} | {ratio} | {ours['memory']:.2f} | {ours['rules']} | {judged} |")
        print(f"| {shape} | mlflow.log_input | {logged['cpu']:.2f} | | {logged['memory']:.2f} | | |")
    if options.linear:
        wide = run("ours", 1_000_000, 50)
        print(f"| 1,000,000 x 50 | ours | {wide['cpu']:.2f} | | {wide['memory']:.2f} | {wide['rules']} | |")


if __name__ == "__main__":
    main()
