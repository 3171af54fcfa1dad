"""One real MLflow server that delivers its webhooks to a real receiver."""

from __future__ import annotations

import base64
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.gate.entries import FoundEntry
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reconcile.watch import watching_gatekeeper
from aims_mlflow.registry.webhook import Looker, Receiver, Seen, build_server
from real_server import Server

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "registry"))
from deliveries import SECRET
from watch_kit import set_alias, sweep, version_with_evidence, write_policy

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.skipif(not hasattr(MlflowClient, "create_webhook"), reason="this MLflow has no webhooks"),
]
EVENTS = [
    "model_version.created",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "model_version_tag.set",
    "model_version_tag.deleted",
]


@pytest.fixture(scope="module")
def delivering(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
        patch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
        patch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", base64.urlsafe_b64encode(os.urandom(32)).decode())
        patch.setenv("MLFLOW_WEBHOOK_CACHE_TTL", "0")
        server = Server(tmp_path_factory.mktemp("delivering"))
        server.start()
        yield server
        server.stop()


class Watching:
    """A receiver on a port of its own, and the webhook that leads to it."""

    def __init__(self, folder, client, *, secret=SECRET):
        self.answers = []
        assess = partial(aims_mlflow.assess, tracking_uri=client.tracking_uri)
        self.looker = Looker(client, watching_gatekeeper(client, None), assess, revert=True)
        self.looks = []
        self.receiver = Receiver(SECRET, Seen(folder / "seen.db"), self.look)
        take = self.receiver.take

        def noted(*arguments):
            self.answers.append(take(*arguments))
            return self.answers[-1]

        self.receiver.take = noted
        self.server = build_server(self.receiver, "127.0.0.1", 0)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.receiver.start()
        self.client = client
        url = f"http://127.0.0.1:{self.server.server_port}/webhook"
        self.webhook = client.create_webhook(f"aims-{self.server.server_port}", url, EVENTS, secret=secret)

    def look(self, model):
        self.looks.append(self.looker.look(model))

    def until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.05)
        return False

    def settled(self):
        """Wait until no delivery came for a while."""
        count = -1
        while count != len(self.answers) or not self.receiver.idle(30):
            count = len(self.answers)
            time.sleep(1)

    def close(self):
        self.client.delete_webhook(self.webhook.webhook_id)
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.receiver.stop()


@pytest.fixture
def client(delivering, tmp_path):
    write_policy(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(delivering.uri)
    mlflow.set_registry_uri(delivering.uri)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)


@pytest.fixture
def watching(client, tmp_path):
    made = Watching(tmp_path, client)
    yield made
    made.close()


def aliases(client, model):
    return {a: str(v) for a, v in client.get_registered_model(model).aliases.items()}


def test_a_forbidden_alias_is_seen_logged_and_put_back_and_a_decided_one_is_left(watching, client):
    first = version_with_evidence(client, "credit-a")
    set_alias(client, "credit-a", first.version)
    watching.settled()
    assert all(look.found == () for look in watching.looks)
    assert aliases(client, "credit-a") == {"champion": "1"}

    second = version_with_evidence(client, "credit-a", assessed=False)
    client.set_registered_model_alias("credit-a", "champion", second.version)
    assert watching.until(lambda: any(look.reverted for look in watching.looks))
    watching.settled()
    assert aliases(client, "credit-a") == {"champion": "1"}
    found = [e for e in TransitionLog(client).read("credit-a") if isinstance(e, FoundEntry)]
    assert [(e.version, e.from_version, e.reverted) for e in found] == [("2", "1", True)]
    assert not [f for f in sweep("credit-a").findings if str(f.kind) == "bypassed"]


def test_a_new_version_is_assessed_once_though_our_tags_come_back_as_deliveries(watching, client):
    version_with_evidence(client, "credit-b", assessed=False)
    assert watching.until(lambda: any(look.assessed for look in watching.looks))
    watching.settled()
    assert sum(look.assessed != () for look in watching.looks) == 1
    assert len(watching.answers) > 3  # the version, and our own tags
    assert client.get_model_version("credit-b", "1").tags["aims.status"]
    assert {status for status, _ in watching.answers} == {200}


def test_deliveries_under_another_secret_lead_to_no_look(client, tmp_path):
    watching = Watching(tmp_path, client, secret="a secret somebody else chose")
    try:
        version_with_evidence(client, "credit-c")
        assert watching.until(lambda: watching.answers)
        watching.settled()
        assert {status for status, _ in watching.answers} == {401}
        assert watching.looks == []
    finally:
        watching.close()


def test_mlflows_own_test_delivery_is_answered_with_success(watching, client):
    result = client.test_webhook(watching.webhook.webhook_id, "model_version_alias.created")
    assert (result.success, result.response_status) == (True, 200)
    watching.settled()
    assert all((look.found, look.reverted, look.assessed) == ((), (), ()) for look in watching.looks)
