"""What the gap over many systems costs: 200 systems, 10,000 versions, 50,000 records, in SQLite.

*Plain* is MLflow's own searches that fetch the same tags and parameters, page by page, each page let go: the registered
models, their versions, and the runs of the records. *Gap* is all of it: read, check every digest, judge every row of
every system, put the assessment together. Both in fresh processes, so that the peak of the resident memory is theirs.
Each is measured several times in turn; ratios are of medians. Seconds are of the processor, user and system. The store
is filled by SQL, not through MLflow.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

PAGE = 1_000
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=200)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--revisions", type=int, default=5, help="Revisions of each record.")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--work", choices=list(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--uri", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(WORK[options.work](options.uri)))
        return
    print("| records | work | CPU s | times plain | peak memory, MB | above import, MB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        make_tables(template)
        for number in options.records:
            path = Path(folder) / f"{number}.db"
            path.write_bytes(template.read_bytes())
            fill(path, options.systems, options.versions, number, options.revisions)
            report(path, number, options.times)


def report(path: Path, records: int, times: int) -> None:
    found: dict[str, list[dict]] = {work: [] for work in WORK}
    in_a_process("refresh", path)  # the first flips tags
    for _ in range(times):
        for work in found:
            found[work].append(in_a_process(work, path))
    plain = statistics.median(one["seconds"] for one in found["plain"])
    for work, measured in found.items():
        seconds = statistics.median(one["seconds"] for one in measured)
        peak = statistics.median(one["peak"] for one in measured)
        above = statistics.median(one["peak"] - one["before"] for one in measured)
        print(
            f"| {records:,} | {work} | {seconds:.1f} | {seconds / plain:.2f} | {peak:.0f} | {above:.0f} |", flush=True
        )


def in_a_process(work: str, path: Path) -> dict:
    command = [sys.executable, __file__, "--work", work, "--uri", f"sqlite:///{path}"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=path.parent)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


# what is measured, in a process of its own


def timed(work) -> dict:
    before = resident("VmRSS")
    begun = time.process_time()
    said = work()
    return {"seconds": time.process_time() - begun, "before": before, "peak": resident("VmHWM"), "said": said}


def resident(what: str) -> float:
    """Megabytes, as the kernel counts them."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def connected(uri: str):
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient()
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)
    return client


def plain(uri: str) -> dict:
    """MLflow's own searches that fetch the same."""
    from mlflow.entities import ViewType

    client = connected(uri)

    def pages(search, **given) -> int:
        number, token = 0, None
        while True:
            page = search(max_results=PAGE, page_token=token, **given)
            number, token = number + len(page), page.token
            if not token:
                return number

    def work() -> dict:
        experiment = client.get_experiment_by_name("aims-management").experiment_id
        return {
            "models": pages(client.search_registered_models),
            "versions": pages(client.search_model_versions, filter_string=""),
            "records": pages(
                lambda **given: client.search_runs(
                    [experiment], run_view_type=ViewType.ALL, order_by=["attributes.start_time ASC"], **given
                )
            ),
        }

    return timed(work)


def state(uri: str) -> dict:
    """The records alone."""
    from aims_mlflow.managing.records import ManagementRecords

    connected(uri)
    records = ManagementRecords()
    return timed(lambda: {"current": len(records.state().current)})


def gap(uri: str) -> dict:
    """The gap of every system."""
    from aims_mlflow.managing.gaps import gap as look

    connected(uri)

    def work() -> dict:
        assessment = look().assessment
        assert not assessment.problems, assessment.problems[:3]
        return {"systems": len(assessment.systems), "mean": assessment.whole.summary.mean}

    return timed(work)


def inventory(uri: str) -> dict:
    """The list of systems with their versions in service."""
    from aims_mlflow.managing.systems import search_systems

    connected(uri)
    return timed(lambda: {"systems": len(search_systems().systems)})


def refresh(uri: str) -> dict:
    """A refresh that finds tags as they should be: the usual one, after the first."""
    from aims_mlflow.managing.refreshing import refresh_all

    connected(uri)

    def work() -> dict:
        found = refresh_all(reassess=False)
        return {"versions": len(found.versions), "due": len(found.due)}

    return timed(work)


WORK = {"plain": plain, "state": state, "inventory": inventory, "gap": gap, "refresh": refresh}


# the store

WORDS = Path(__file__).read_text("utf-8").split()


def wording(number: int) -> str:
    """Some 350 characters, other ones for each number, which pack no better than prose."""
    return " ".join(random.Random(number).choices(WORDS, k=48))


def make_tables(path: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    client.create_experiment("aims-management")
    client.create_registered_model("seed")
    client.create_model_version("seed", "file:///seed")
    client.set_model_version_tag("seed", "1", "k", "v")
    client.set_registered_model_alias("seed", "champion", "1")
    run = client.create_run(client.get_experiment_by_name("aims-management").experiment_id, tags={"k": "v"})
    client.log_param(run.info.run_id, "k", "v")


def fill(path: Path, systems: int, versions: int, records: int, revisions: int) -> None:
    names = [f"sys-{n:03d}" for n in range(systems)]
    with sqlite3.connect(path) as database:
        filler = Filler(database)
        filler.versions(names, versions)
        filler.records(names, records, revisions)
        filler.drop_seed()


class Filler:
    """Rows like those MLflow writes itself: what is not given is as in the one it wrote."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.seed = {}
        for table in ("registered_models", "model_versions", "model_version_tags", "registered_model_aliases", "runs",
                      "tags", "params"):  # fmt: skip
            cursor = database.execute(f"select * from {table} limit 1")
            self.seed[table] = dict(zip([c[0] for c in cursor.description], cursor.fetchone(), strict=True))

    def add(self, table: str, rows: list[dict]) -> None:
        columns = list(self.seed[table])
        marks = ",".join("?" * len(columns))
        filled = [[{**self.seed[table], **row}[column] for column in columns] for row in rows]
        self.database.executemany(f"insert into {table} ({','.join(columns)}) values ({marks})", filled)

    def drop_seed(self) -> None:
        run = self.seed["runs"]["run_uuid"]
        for table in ("tags", "params", "runs"):
            self.database.execute(f"delete from {table} where run_uuid = ?", (run,))
        for table in ("registered_model_aliases", "model_version_tags", "model_versions", "registered_models"):
            self.database.execute(f"delete from {table} where name = 'seed'")

    def versions(self, systems: list[str], number: int) -> None:
        """Two models for each system; the newest version of each serves, and every version bears its assessment."""
        models = [f"{system}-{kind}" for system in systems for kind in ("main", "backup")]
        self.add("registered_models", [{"name": name} for name in models])
        made, tags, aliases = [], [], []
        for index in range(number):
            name, version = models[index % len(models)], index // len(models) + 1
            source = f"file:///models/{name}/{version}"
            run = uuid.UUID(int=index).hex
            made.append({"name": name, "version": version, "source": source, "run_id": run, "storage_location": source})
            said = self.statement(systems[(index % len(models)) // 2], source, run)
            given = {"aims.vsa": said, "aims.status": "warn", "aims.attention": "none", "aims.evidence": run,
                     "aims.assessed": "2026-11-01", "aims.fresh_until": "none"}  # fmt: skip
            tags += [{"name": name, "version": version, "key": key, "value": value} for key, value in given.items()]
            if index + len(models) >= number:
                aliases.append({"name": name, "alias": "champion", "version": version})
        self.add("model_versions", made)
        self.add("model_version_tags", tags)
        self.add("registered_model_aliases", aliases)

    def statement(self, system: str, source: str, run: str) -> str:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "managing"))
        import portfolio_kit as kit

        if not hasattr(self, "_rows"):
            met = ("A.4.4", "A.6.2.4", "A.6.2.5", "A.7.4", "A.4.3", "A.7.3", "A.7.6")
            self._rows = kit.all_rows({row: kit.row() for row in met})
        said = kit.statement(source, run_id=run, system_id=system, rows=self._rows)
        return kit.write_statement(said)

    def records(self, systems: list[str], number: int, revisions: int) -> None:
        """One record for each system, then as many topics for each as make up the number, each with its revisions."""
        from portfolio_kit import CATALOG

        from aims_mlflow.management.record import ManagementRecord
        from aims_mlflow.management.types import record_types

        topics = [kind.id for kind in record_types(CATALOG).values() if kind.is_topic]
        today = datetime.now(UTC).date()
        self.pending: dict[str, list[dict]] = {"runs": [], "tags": [], "params": []}
        filed = 0
        for system in systems:
            content = {"name": system.upper(), "registered_models": [f"{system}-*"], "risk_class": "high"}
            record = ManagementRecord(
                type="system",
                id=system,
                recorded_at=BEGIN,
                owner="Head of AI",
                valid_from=BEGIN.date(),
                content=content,
            )
            self.revision(record, None, filed)
            filed += 1
        index = 0
        while filed < number:
            system, topic = systems[index % len(systems)], topics[(index // len(systems)) % len(topics)]
            round_ = index // (len(systems) * len(topics))
            before, run = None, None
            for revision in range(1, min(revisions, number - filed) + 1):
                record = ManagementRecord(
                    type=topic,
                    id=f"{topic}-{system}-{round_}",
                    revision=revision,
                    previous=before.digest if before else None,
                    recorded_at=BEGIN + timedelta(days=revision, seconds=index % 60),
                    owner=f"Owner {index % 40}",
                    approver="Board",
                    valid_from=date(2026, 1, 6),
                    valid_until=today + timedelta(days=200),
                    systems=(system,),
                    document={"title": "Policy", "uri": f"https://intranet.example/{topic}/{system}/{revision}"},
                    content={"statement": f"Revision {revision}: {wording(filed)}"},
                )
                run = self.revision(record, run, filed)
                before, filed = record, filed + 1
            index += 1
        for table, rows in self.pending.items():
            self.add(table, rows)

    def revision(self, record, before: str | None, number: int) -> str:
        run = uuid.UUID(int=10**12 + number).hex
        text = record.canonical.decode().removesuffix("\n")
        given = {"sha256": record.digest, "record.000": text}
        tags = {"aims.kind": "management", "aims.record": record.link, "mlflow.runName": f"{record.link} r1",
                "aims.owner": record.owner, "aims.valid_until": str(record.valid_until or "none")}  # fmt: skip
        self.pending["runs"].append(
            {
                "run_uuid": run,
                "name": record.link,
                "start_time": 1_767_600_000_000 + number,
                "status": "FINISHED",
                "lifecycle_stage": "active",
                "artifact_uri": f"mlflow-artifacts:/1/{run}/artifacts",
            }
        )
        if before is not None:
            self.pending["params"].append({"run_uuid": before, "key": "next", "value": run})
        self.pending["params"] += [{"run_uuid": run, "key": key, "value": value} for key, value in given.items()]
        self.pending["tags"] += [{"run_uuid": run, "key": key, "value": value} for key, value in tags.items()]
        return run


if __name__ == "__main__":
    main()
