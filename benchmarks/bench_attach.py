"""A run without data: what our end-of-run work costs against the same MLflow calls made plainly.

The calls that the hook makes are recorded with their arguments, then replayed on fresh runs of the same store: same
number, same payload, no AIMS. *Attach* is reading the run, writing files, tags and metrics, and reading the manifest
back; *whole* adds capturing, judging 70 rows and rendering both reports. Ratios are medians of pairs. On SQLite, and
over HTTP with ``--http``.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

CALLS = ("get_run", "log_artifacts", "log_batch", "list_artifacts", "search_model_versions", "set_tag")
"""``MlflowClient`` methods the hook may call."""


def measure(uri: str, runs: int) -> dict:
    import mlflow
    from mlflow import MlflowClient

    import aims_mlflow
    from aims_mlflow.attach.store import RunStore
    from aims_mlflow.hooks import steps
    from aims_mlflow.hooks.state import process_state

    mlflow.set_tracking_uri(uri)
    experiment = mlflow.set_experiment(f"bench-{time.time_ns()}").experiment_id
    client = MlflowClient()
    recorded: list[tuple[str, tuple, dict]] = []
    kept = Path(tempfile.mkdtemp())

    def record(name, original):
        def call(self, *args, **kwargs):
            if recording[0] and not nested and getattr(process_state().local, "busy", False):
                if name == "log_artifacts":
                    copy = kept / str(len(recorded))
                    shutil.copytree(args[1], copy)
                    recorded.append((name, (args[0], str(copy), *args[2:]), kwargs))
                else:
                    recorded.append((name, args, kwargs))
            nested.append(name)
            try:
                return original(self, *args, **kwargs)
            finally:
                nested.pop()

        return call

    nested: list[str] = []
    recording = [False]
    originals = {name: getattr(MlflowClient, name) for name in CALLS}

    def one_run():
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_params({"a": 1, "b": 2})
            mlflow.log_metric("loss", 0.1)
        return run.info.run_id

    aims_mlflow.autolog()
    logging.getLogger("aims_mlflow").setLevel(logging.ERROR)
    for _ in range(3):
        one_run()
    for name, original in originals.items():
        setattr(MlflowClient, name, record(name, original))
    recording[0] = True
    one_run()
    recording[0] = False
    for name, original in originals.items():
        setattr(MlflowClient, name, original)
    aims_mlflow.autolog(disable=True)
    aims_mlflow.autolog()

    hook_wall, attach_wall, plain_wall = [], [], []
    original_finish = steps.finish_run

    def timed(*args, **kwargs):
        attaching.clear()
        wall = time.perf_counter()
        original_finish(*args, **kwargs)
        hook_wall.append(time.perf_counter() - wall)
        attach_wall.append(sum(attaching))

    attaching: list[float] = []

    def part(original):
        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                attaching.append(time.perf_counter() - start)

        return call

    for name in ("facts", "write", "evidence_names", "manifest_sha256"):
        setattr(RunStore, name, part(getattr(RunStore, name)))

    for _ in range(runs):
        steps.finish_run = timed
        one_run()
        steps.finish_run = original_finish
        aims_mlflow.autolog(disable=True)
        target = one_run()
        wall = time.perf_counter()
        for name, args, kwargs in recorded:
            replaced = tuple(target if isinstance(a, str) and len(a) == 32 else a for a in args)
            getattr(client, name)(*replaced, **kwargs)
        plain_wall.append(time.perf_counter() - wall)
        aims_mlflow.autolog()
    aims_mlflow.autolog(disable=True)
    shutil.rmtree(kept)
    return {
        "calls": [name for name, _, _ in recorded],
        "plain_ms": statistics.median(plain_wall) * 1e3,
        "attach_ms": statistics.median(attach_wall) * 1e3,
        "attach": statistics.median(h / p for h, p in zip(attach_wall, plain_wall, strict=True)),
        "whole_ms": statistics.median(hook_wall) * 1e3,
        "whole": statistics.median(h / p for h, p in zip(hook_wall, plain_wall, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--http", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        import os

        os.chdir(folder)
        rows.append(("SQLite", measure(f"sqlite:///{folder}/bench.db", options.runs)))
        if options.http:
            from real_server import Server

            server = Server(Path(folder))
            server.start()
            try:
                rows.append(("HTTP", measure(server.uri, options.runs)))
            finally:
                server.stop()
    print("| store | calls | plain, ms | attach, ms | attach / plain | whole hook, ms | whole / plain |")
    print("|---|---|---|---|---|---|---|")
    for store, r in rows:
        print(
            f"| {store} | {len(r['calls'])} | {r['plain_ms']:.1f} | {r['attach_ms']:.1f} | {r['attach']:.2f} "
            f"| {r['whole_ms']:.1f} | {r['whole']:.2f} |"
        )
    print("calls:", ", ".join(rows[0][1]["calls"]))


if __name__ == "__main__":
    main()
