"""A real ``mlflow server`` on loopback, in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def gated_server(folder: Path, *options: str, database: str | None = None, **environment: str) -> Server:
    """A server behind the gate, with the policy and the state of its folder.

    Args:
        folder: Holds ``aims.yaml``; the server's files go there too.
        options: More options of ``mlflow server``.
        database: URI of the database of runs and registry; None: SQLite in the folder.
        environment: More variables.
    """
    uri = database or f"sqlite:///{folder / 'server.db'}"
    own = {"AIMS_CONFIG": str(folder / "aims.yaml"), "XDG_STATE_HOME": str(folder / "state")}
    stores = ("--backend-store-uri", uri, "--registry-store-uri", f"aims:{uri}")
    return Server(folder, *stores, *options, **{**own, **environment})


class Server:
    """Start, stop, start again on the same port and store."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.environment = environment
        self.process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        env.pop("MLFLOW_TRACKING_URI", None)
        env.update(self.environment)
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}",
            "--artifacts-destination", str(self.folder / "served"), *self.options,
        ]  # fmt: skip
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
            if self.process.poll() is not None:
                break
        raise RuntimeError("the server did not start: " + (self.folder / "server.log").read_text()[-2000:])

    def stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)
        self.process = None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # a worker may answer for a moment after the leader is gone
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                time.sleep(0.05)
                continue
            return
