"""A transition log on a real SQLite store, and the hand of someone who can write to its database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mlflow import MlflowClient

from aims_mlflow.evidence import now
from aims_mlflow.gate.entries import Level, MoveEntry, Target, read_entry, write_entry
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.records import slot


def move(version: object = 1, model: str = "m", **fields) -> MoveEntry:
    given = {
        "number": 1,
        "at": now(),
        "model": model,
        "version": str(version),
        "level": Level.ENFORCED,
        "target": Target(kind="alias", name="champion"),
        "operation": "set_registered_model_alias",
        "outcome": "allow",
        "mode": "enforce",
    }
    return MoveEntry(**given | fields)


def log_of(uri: str, **options) -> TransitionLog:
    """A log as another process would open it: it knows nothing yet."""
    return TransitionLog(MlflowClient(tracking_uri=uri), **options)


def write(log: TransitionLog, count: int, model: str = "m") -> None:
    for number in range(1, count + 1):
        log.append(move(number, model))


class Intruder:
    """Someone with access to the database."""

    def __init__(self, uri: str) -> None:
        self.path = uri.removeprefix("sqlite:///")

    def sql(self, statement: str, *values: object) -> list[tuple]:
        with sqlite3.connect(self.path) as database:
            return database.execute(statement, values).fetchall()

    def run(self, number: int, model: str = "m") -> str:
        """The records run that holds an entry."""
        found = self.sql("SELECT run_uuid, value FROM params WHERE key = ?", slot(number))
        return next(run for run, text in found if read_entry(text).model == model)

    def entry(self, number: int, model: str = "m"):
        run = self.run(number, model)
        return read_entry(self.sql("SELECT value FROM params WHERE key = ? AND run_uuid = ?", slot(number), run)[0][0])

    def put(self, entry, model: str = "m") -> None:
        run = self.run(entry.number, model)
        text = write_entry(entry)
        self.sql("UPDATE params SET value = ? WHERE key = ? AND run_uuid = ?", text, slot(entry.number), run)

    def remove(self, number: int, model: str = "m") -> None:
        self.sql("DELETE FROM params WHERE key = ? AND run_uuid = ?", slot(number), self.run(number, model))

    def rewrite(self, first: int, last: int, **change: object) -> None:
        """Change an entry and every one after it, so that the log agrees with itself again."""
        previous = self.entry(first).previous
        for number in range(first, last + 1):
            update = {"previous": previous} | (change if number == first else {})
            entry = self.entry(number).model_copy(update=update)
            self.put(entry)
            previous = entry.digest


def anchors_file(tmp_path: Path) -> Path:
    return tmp_path / ".state" / "aims-mlflow" / "anchors.jsonl"
