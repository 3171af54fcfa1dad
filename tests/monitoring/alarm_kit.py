"""What the tests of alarms start from: an assessed champion behind a gate, and windows with numbers of one's choice."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mlflow import MlflowClient

sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))
from gate_kit import assess, digest_of, make_version

from aims_mlflow.config import load_settings
from aims_mlflow.evidence import ModelRef, now
from aims_mlflow.monitoring.consequences import follow
from aims_mlflow.monitoring.served import Served
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import Window
from aims_mlflow.series import WindowStore

DAY = timedelta(days=1)
START = datetime(2026, 10, 1, tzinfo=UTC)
POLICY = """
system: {{id: loans, name: Loan scoring, risk_class: minimal{owner}}}
registered_models: [credit]
gate:
  mode: enforce
  guarded:
    - {{models: ['*'], aliases: [champion, next], profile: two}}
  profiles:
    two: {{controls: [A.6.2.4, A.7.4], evidence: [performance]}}
{people}
monitoring:
  window: 1d
  notify: [{notify}]
  rules:
    - name: drifts
      number: drift.drifted_share
      above: 0.3
      recover: 0.2
      windows: 2
      recover_windows: 2
      opens: {opens}
      severity: {severity}
      block: {block}
      controls: [A.6.2.6]
      remedy: Retrain on the last quarter
{more}
"""
OWNER = ", owner: {name: Head of credit}"


def write_policy(
    folder, *, owner=OWNER, people="", notify="", opens="incident", severity="major", block="true", more=""
):
    path = Path(folder) / "aims.yaml"
    text = POLICY.format(
        owner=owner, people=people, notify=notify, opens=opens, severity=severity, block=block, more=more
    )
    path.write_text(text)
    return path


def day(index: int) -> Window:
    return Window(START + index * DAY, START + (index + 1) * DAY)


class Live:
    """A version in use: windows are filed with a number, and what follows from it is done."""

    def __init__(self, uri, path, *, gated=True, model="credit"):
        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri, registry_uri=f"aims:{uri}" if gated else uri)
        self.path = path
        self.settings = load_settings(path)
        version = make_version(self.client, model)
        assess(self.client, version)
        self.add(version)

    def add(self, version):
        folder = Path(self.client.get_run(version.run_id).info.artifact_uri.removeprefix("file://")) / "model"
        ref = ModelRef(registered_name=version.name, version=str(version.version), sha256=digest_of(folder)[0])
        self.served = Served(version.name, str(version.version), ref, version.run_id, self.settings)

    def policy(self, path):
        self.settings = load_settings(path)
        served = self.served
        self.served = Served(served.model, served.version, served.ref, served.run_id, self.settings)

    @property
    def store(self):
        return WindowStore(self.client, self.served.policy)

    def write(self, index, value, **more):
        window = day(index)
        run = self.store.claim(self.served.model, self.served.version, window, system_id="loans")
        numbers = {} if value is None else {"drift.drifted_share": value}
        tags = {"aims.kinds": ",monitoring_window,", "aims.status": "recorded"}
        self.store.write(run, WindowNumbers(window, numbers | more), tags, at=now())

    def file(self, index, value, **more):
        self.write(index, value, **more)
        return self.follow()

    def follow(self, **more):
        return follow(self.served, client=self.client, **more)

    def tags(self):
        return dict(self.client.get_model_version(self.served.model, self.served.version).tags)

    def series_tags(self):
        run = self.store.series(self.served.model, self.served.version)
        return dict(self.client.get_run(run).data.tags)

    def decision(self, version=None, model=None):
        """What the gate says to a move of the version to `next`: None where it makes it, else why not."""
        from mlflow import MlflowException

        name = model or self.served.model
        try:
            self.client.set_registered_model_alias(name, "next", version or self.served.version)
        except MlflowException as error:
            return str(error.message)
        return None


class Inbox:
    """What a webhook was sent, and how it answers."""

    def __init__(self):
        self.received = []
        self.status = 200

    @property
    def titles(self):
        return [one["title"] for one in self.received]


@contextmanager
def webhook():
    """A server on this machine that takes JSON; gives its address for Apprise and what it got."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if inbox.status == 200:
                inbox.received.append(json.loads(body))
            self.send_response(inbox.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/alarms", inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
