"""What the gate costs over HTTP: a guarded ``set_registered_model_alias``, and calls no rule names.

Two real ``mlflow server`` processes, one plain and one gated, with the same content. Calls take turns; ratios are of
medians of the same run. With 10 and with 10,000 versions of the model; the alias goes back and forth between two,
for setting it to what it names already would write nothing. *Client* is
``MlflowClient``, which asks before it sets an alias whether the model is a prompt; *REST* is the one request alone.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "registry")]

MODEL = "credit"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--versions", type=int, nargs="+", default=[10, 10_000])
    options = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.versions, options.calls)
    print("| call | versions | plain, ms | gated, ms | gated / plain |")
    print("|---|---|---|---|---|")
    for call, versions, plain, gated in rows:
        print(f"| {call} | {versions:,} | {plain:.1f} | {gated:.1f} | {gated / plain:.2f} |")


def measure(folder: Path, sizes: list[int], calls: int) -> list[tuple[str, int, float, float]]:
    import mlflow
    from gate_kit import assess, make_version, write_policy
    from mlflow import MlflowClient

    from real_server import Server

    for name in ("plain", "gated"):
        (folder / name).mkdir()
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    os.environ["AIMS_CONFIG"] = str(write_policy(folder))
    database = folder / "gated" / "server.db"
    servers = {
        "plain": Server(folder / "plain", "--registry-store-uri", f"sqlite:///{folder / 'plain' / 'server.db'}"),
        "gated": Server(folder / "gated", "--registry-store-uri", f"aims:sqlite:///{database}"),
    }
    rows = []
    try:
        clients = {}
        for name, server in servers.items():
            server.start()
            clients[name] = MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)
            mlflow.set_tracking_uri(server.uri)
            for _ in range(2):
                assess(clients[name], make_version(clients[name], MODEL))
        for size in sizes:
            for name in servers:
                fill(folder / name / "server.db", size)
            for call, works in workloads(servers, clients).items():
                plain, gated = take_turns(works["plain"], works["gated"], calls)
                rows.append((call, size, plain, gated))
    finally:
        for server in servers.values():
            server.stop()
    return rows


def workloads(servers: dict, clients: dict) -> dict[str, dict[str, Callable[[], object]]]:
    import requests

    sessions = {name: requests.Session() for name in servers}

    def rest(alias: str) -> dict[str, Callable[[], object]]:
        def post(name: str, version: str) -> None:
            url = f"{servers[name].uri}/api/2.0/mlflow/registered-models/alias"
            body = {"name": MODEL, "alias": alias, "version": version}
            sessions[name].post(url, json=body, timeout=60).raise_for_status()

        return {name: alternating(lambda v, name=name: post(name, v)) for name in servers}

    def client(call: Callable[[object, str], object]) -> dict[str, Callable[[], object]]:
        return {name: alternating(lambda v, name=name: call(clients[name], v)) for name in servers}

    return {
        "guarded alias, client": client(lambda c, v: c.set_registered_model_alias(MODEL, "champion", v)),
        "guarded alias, REST": rest("champion"),
        "other alias, client": client(lambda c, v: c.set_registered_model_alias(MODEL, "candidate", v)),
        "other alias, REST": rest("candidate"),
        "get_model_version": client(lambda c, v: c.get_model_version(MODEL, v)),
        "get_model_version_by_alias": client(lambda c, _: c.get_model_version_by_alias(MODEL, "champion")),
        "set_model_version_tag": client(lambda c, v: c.set_model_version_tag(MODEL, "1", "note", v)),
        "update_model_version": client(lambda c, v: c.update_model_version(MODEL, "1", v)),
    }


def alternating(call: Callable[[str], object]) -> Callable[[], object]:
    versions = itertools.cycle(("1", "2"))
    return lambda: call(next(versions))


def take_turns(plain: Callable[[], object], gated: Callable[[], object], calls: int) -> tuple[float, float]:
    """Medians in milliseconds; which goes first changes with every pair."""
    took: dict[int, list[float]] = {0: [], 1: []}
    works = (plain, gated)
    for turn in range(calls + 5):
        for which in (turn % 2, 1 - turn % 2):
            start = time.perf_counter()
            works[which]()
            if turn >= 5:
                took[which].append((time.perf_counter() - start) * 1000)
    return statistics.median(took[0]), statistics.median(took[1])


def fill(database: Path, size: int) -> None:
    """Versions by SQL: through the registry 10,000 would take minutes."""
    with sqlite3.connect(database, timeout=60) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(model_versions)")]
        have = connection.execute("SELECT max(version) FROM model_versions WHERE name = ?", (MODEL,)).fetchone()[0]
        first = connection.execute("SELECT * FROM model_versions WHERE name = ? AND version = 1", (MODEL,)).fetchone()
        place = columns.index("version")
        made = [(*first[:place], number, *first[place + 1 :]) for number in range(have + 1, size + 1)]
        marks = ", ".join("?" for _ in columns)
        connection.executemany(f"INSERT INTO model_versions ({', '.join(columns)}) VALUES ({marks})", made)


if __name__ == "__main__":
    main()
