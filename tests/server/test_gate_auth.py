"""The gate behind MLflow's own login, and in front of an evidence store that does not answer."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mlflow
import pytest
import requests
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client

from aims_mlflow.cli import aims
from aims_mlflow.errors import DeliveryError
from aims_mlflow.evidence import now
from aims_mlflow.gate.entries import Actor, HoldEntry, Identity, Level, ReviewEntry, write_entry
from aims_mlflow.gate.signing import new_key, read_key
from aims_mlflow.managing.incidents import Incidents
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.records import slot
from databases import KINDS, postgres_databases
from real_server import gated_server

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "registry"))
from gate_kit import assess, make_version, statement_of, write_policy

pytestmark = [pytest.mark.server, pytest.mark.filterwarnings("ignore::FutureWarning")]

PASSWORDS = {name: f"{name}-has-a-long-password" for name in ("admin", "alice", "bob", "carol", "mallory", "trudy")}
POLICY = """
system: {id: loans, name: Loan scoring, risk_class: minimal}
gate:
  guarded:
    - {aliases: [champion], stages: [Production], profile: house}
  profiles:
    house:
      controls: [A.6.2.4, A.7.4]
      approvals: {count: 1, identity: authenticated, four_eyes: true}
  people:
    Alice Adams: {logins: [alice]}
    Bob Brown: {logins: [bob]}
    Carol Clark: {logins: [carol]}
"""
CONTENT_OF_OTHERS = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, _store_template):
    """A gated server with logins: alice trains, bob and carol may write to her models, mallory to her own runs only,
    and trudy to the records too.
    """
    folder = tmp_path_factory.mktemp("login")
    (folder / "aims.yaml").write_text(POLICY)
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder / 'auth.db'}\n"
        f"admin_username = admin\nadmin_password = {PASSWORDS['admin']}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    shutil.copy(_store_template, folder / "server.db")
    server = gated_server(
        folder,
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(folder / "auth.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="a secret for forms that nobody sends",
    )
    server.granted = set()
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        log_in(patch, "admin")
        admin = get_app_client("basic-auth", tracking_uri=server.uri)
        for name in ("alice", "bob", "carol", "mallory", "trudy"):
            admin.create_user(name, PASSWORDS[name])
    yield server
    server.stop()


def log_in(patch, name):
    patch.setenv("MLFLOW_TRACKING_USERNAME", name)
    patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORDS[name])


class Site:
    """The server, with the login of whoever acts."""

    def __init__(self, server, patch):
        self.server = server
        self.patch = patch
        self.client = MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)

    def act_as(self, name):
        log_in(self.patch, name)
        return self.client

    def grant(self, kind, what, name):
        """The right to edit an experiment or a registered model, given once."""
        if (kind, what, name) in self.server.granted:
            return
        self.server.granted.add((kind, what, name))
        self.act_as("admin")
        app = get_app_client("basic-auth", tracking_uri=self.server.uri)
        if hasattr(app, "grant_user_permission"):
            app.grant_user_permission(name, kind, what, "EDIT")
        elif kind == "experiment":
            app.create_experiment_permission(what, name, "EDIT")
        else:
            app.create_registered_model_permission(what, name, "EDIT")

    def version(self, model):
        """One of alice's, assessed, which bob and carol may write to."""
        client = self.act_as("alice")
        found = client.get_experiment_by_name("alice")
        experiment = found.experiment_id if found else client.create_experiment("alice")
        made = make_version(client, model, experiment=experiment)
        assess(client, made)
        for name in ("bob", "carol"):
            self.grant("registered_model", model, name)
        return made

    def log(self, model):
        self.act_as("admin")
        return TransitionLog(self.client).read(model, fresh=True)

    def champion(self, model, version="1", **options):
        """Ask for the alias over REST, and for nothing else."""
        body = {"name": model, "alias": "champion", "version": version}
        return requests.post(
            f"{self.server.uri}/api/2.0/mlflow/registered-models/alias", json=body, timeout=60, **options
        )


@pytest.fixture
def site(guarded, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(guarded.folder / "client"))
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(guarded.uri)
    mlflow.set_registry_uri(guarded.uri)
    yield Site(guarded, monkeypatch)
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(None)


def say(*arguments):
    return CliRunner().invoke(aims, [str(a) for a in arguments])


# who it was


def test_the_log_names_the_login_and_no_move_is_made_or_logged_without_one(site):
    site.version("credit-login")
    before = len(site.log("credit-login"))
    assert site.champion("credit-login").status_code == 401
    assert site.champion("credit-login", auth=("alice", "not hers")).status_code == 401
    assert site.champion("credit-login", auth=("mallory", PASSWORDS["mallory"])).status_code == 403  # MLflow's own no
    assert len(site.log("credit-login")) == before
    refused = site.champion("credit-login", auth=("alice", PASSWORDS["alice"]))
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("AIMS refused: 0 of 1 approvals. Next: aims approve models:/credit-lo")
    made, move = site.log("credit-login")
    assert (made.type, move.type) == ("registered", "move")
    assert made.actor == move.actor == Actor(name="alice", identity=Identity.AUTHENTICATED)
    assert move.level is Level.ENFORCED
    assert move.is_signed()


def test_who_is_logged_in_speaks_for_no_one_else(site):
    site.version("credit-voice")
    site.act_as("bob")
    for person in ("Carol Clark", "carol", "Someone Nobody Knows"):
        done = say("approve", "credit-voice", "1", "--person", person)
        assert done.exit_code == 2, done.output
        assert "logged in as 'bob' cannot speak for" in done.output
    assert not any(isinstance(e, ReviewEntry) for e in site.log("credit-voice"))
    site.act_as("bob")
    done = say("approve", "credit-voice", "1", "--to", "champion", "--person", "Bob Brown", "--reason", "read")
    assert done.exit_code == 0, done.output
    (said,) = [e for e in site.log("credit-voice") if isinstance(e, ReviewEntry)]
    assert said.actor == Actor(name="bob", identity=Identity.AUTHENTICATED)
    assert said.key == read_key(site.server.folder / "state" / "aims-mlflow" / "gate.key").public
    assert "aims.review" not in site.client.get_model_version("credit-voice", "1").tags


def test_who_registered_it_does_not_approve_it_alone(site):
    site.version("credit-eyes")
    site.act_as("alice")
    assert say("approve", "credit-eyes", "1", "--person", "Alice Adams").exit_code == 0
    with pytest.raises(MlflowException, match="approved only by who trained or registered it"):
        site.client.set_registered_model_alias("credit-eyes", "champion", "1")
    site.act_as("carol")
    assert say("approve", "credit-eyes", "1", "--person", "Carol Clark").exit_code == 0
    site.act_as("alice").set_registered_model_alias("credit-eyes", "champion", "1")
    site.client.transition_model_version_stage("credit-eyes", "1", "Production")
    moves = [e for e in site.log("credit-eyes") if e.type == "move"]
    assert [(e.outcome, e.actor.name) for e in moves] == [("refuse", "alice"), ("allow", "alice"), ("allow", "alice")]
    assert len(moves[-1].approved) == 2


# what is forged


def forged_approval(log, version, *, key=None):
    """An entry that continues the log as it stands, in which bob approves; signed by whoever forges it, if at all."""
    draft = ReviewEntry(
        number=len(log) + 1,
        previous=log[-1].digest,
        nonce="0123456789abcdef",
        at=now(),
        model=version.name,
        version=str(version.version),
        actor=Actor(name="bob", identity=Identity.AUTHENTICATED),
        level=Level.ENFORCED,
        decision="approve",
        person="Bob Brown",
        model_sha256=statement_of(version).model_sha256,
    )
    return draft.signed(key) if key is not None else draft


def records_run(site, model):
    """The run that holds a model's log, and its experiment."""
    client = site.act_as("admin")
    experiment = client.get_experiment_by_name("aims-records")
    runs = client.search_runs([experiment.experiment_id], f"tags.`aims.model` = '{model}'")
    return runs[0].info.run_id, experiment.experiment_id


def test_who_may_write_runs_cannot_write_into_the_log(site):
    version = site.version("credit-forged")
    run_id, _ = records_run(site, "credit-forged")
    entries = site.log("credit-forged")
    text = write_entry(forged_approval(entries, version))
    client = site.act_as("mallory")
    own = client.create_experiment("mallory's")
    client.log_param(
        client.create_run(own).info.run_id, slot(len(entries) + 1), "of her own runs she may write anything"
    )
    mine = ("mallory", PASSWORDS["mallory"])
    url = f"{site.server.uri}/api/2.0/mlflow"
    body = {"run_id": run_id, "key": slot(len(entries) + 1), "value": text}
    assert requests.post(f"{url}/runs/log-parameter", json=body, auth=mine, timeout=30).status_code == 403
    batch = {"run_id": run_id, "params": [{"key": body["key"], "value": text}]}
    assert requests.post(f"{url}/runs/log-batch", json=batch, auth=mine, timeout=30).status_code == 403
    assert requests.post(f"{url}/runs/delete", json={"run_id": run_id}, auth=mine, timeout=30).status_code == 403
    review = {"name": version.name, "version": "1", "key": "aims.review", "value": text}
    assert requests.post(f"{url}/model-versions/set-tag", json=review, auth=mine, timeout=30).status_code == 403
    assert site.log("credit-forged") == entries
    assert site.champion("credit-forged", auth=("alice", PASSWORDS["alice"])).status_code == 403


@pytest.mark.parametrize("signed", [False, True])
def test_an_approval_written_past_the_gate_does_not_count_even_where_permissions_let_it_in(site, signed):
    """On a site where everyone may edit everything, the log can be written to: only the gate's signature counts."""
    model = f"credit-open-{signed}".lower()
    version = site.version(model)
    run_id, experiment = records_run(site, model)
    site.grant("experiment", experiment, "trudy")
    entries = site.log(model)
    forged = forged_approval(entries, version, key=new_key() if signed else None)
    site.act_as("trudy").log_param(run_id, slot(forged.number), write_entry(forged))
    assert site.log(model)[-1] == forged
    refused = site.champion(model, auth=("alice", PASSWORDS["alice"]))
    assert refused.status_code == 403
    assert "0 of 1 approvals (Bob Brown: identity is only claimed, authenticated asked)" in refused.json()["message"]
    key = read_key(site.server.folder / "state" / "aims-mlflow" / "gate.key").public
    anchors = site.server.folder / "state" / "aims-mlflow" / "anchors.jsonl"
    said = TransitionLog(site.act_as("admin"), anchors=anchors).verify([model], gate_keys={key})
    assert [(str(p.damage), p.number) for p in said.problems] == [("signature", forged.number)]
    site.act_as("bob")
    assert say("approve", model, "1", "--person", "Bob Brown").exit_code == 0
    assert site.champion(model, auth=("alice", PASSWORDS["alice"])).status_code == 200


# incidents


OWN = {"system": {"id": "loans", "owner": {"name": "Head of credit"}}}


def test_only_the_gate_and_who_may_free_a_model_that_an_incident_holds(site):
    """mallory may write runs of her own, trudy into the log itself, carol may edit the model; bob opened it."""
    model = "credit-held"
    site.version(model)
    site.act_as("carol")
    assert say("approve", model, "1", "--person", "Carol Clark").exit_code == 0
    alice = {"auth": ("alice", PASSWORDS["alice"])}
    assert site.champion(model, **alice).status_code == 200
    site.act_as("bob")
    log = Incidents(ManagementRecords(config=OWN | {"registered_models": [model]}))
    one = log.open("Scores shifted", severity="serious", affected=[])
    assert [s.state for s in one.holds] == ["held"]
    refused = site.champion(model, **alice)
    assert refused.status_code == 403
    assert refused.json()["message"].startswith(f"AIMS refused: serious incident {one.id} is open. Next: aims incident")
    # what is forged
    entries = site.log(model)
    hold = next(e for e in entries if isinstance(e, HoldEntry))
    assert hold.actor == Actor(name="bob", identity=Identity.AUTHENTICATED)
    forged = hold.model_copy(
        update={"state": "released", "releases": hold.digest, "number": len(entries) + 1,
                "previous": entries[-1].digest, "signature": None, "key": None, "person": "Bob Brown"}
    )  # fmt: skip
    url = f"{site.server.uri}/api/2.0/mlflow/registered-models/set-tag"
    body = {"name": model, "key": "aims.hold", "value": write_entry(forged)}
    said = {
        name: requests.post(url, json=body, auth=(name, PASSWORDS[name]), timeout=30)
        for name in ("mallory", "carol", "bob")
    }
    assert {answer.status_code for answer in said.values()} == {403}
    assert "logged in as 'carol' cannot speak for 'Bob Brown'" in said["carol"].json()["message"]
    assert f"incident {one.id} is open and serious" in said["bob"].json()["message"]
    assert site.log(model) == entries
    run_id, experiment = records_run(site, model)
    site.grant("experiment", experiment, "trudy")
    site.act_as("trudy").log_param(run_id, slot(forged.number), write_entry(forged.signed(new_key())))
    refused = site.champion(model, **alice)
    assert refused.status_code == 403
    assert "a release does not count: Bob Brown: it is not signed as the hold is" in refused.json()["message"]
    key = read_key(site.server.folder / "state" / "aims-mlflow" / "gate.key").public
    anchors = site.server.folder / "state" / "aims-mlflow" / "anchors.jsonl"
    checked = TransitionLog(site.act_as("admin"), anchors=anchors).verify([model], gate_keys={key})
    assert [(str(p.damage), p.number) for p in checked.problems] == [("signature", forged.number)]
    # what is true
    site.act_as("bob")
    with pytest.raises(DeliveryError, match="logged in as 'bob' cannot speak for 'Carol Clark'"):
        log.update(one.id, severity="minor", reason="nobody was harmed", person="Carol Clark")
    assert site.champion(model, **alice).status_code == 403
    site.act_as("bob")
    freed = log.update(one.id, note="again, in my own name", person="Bob Brown")  # minor by now, and still held
    assert [s.state for s in freed.holds] == ["released"]
    assert site.champion(model, **alice).status_code == 200
    assert site.log(model)[-2].actor == Actor(name="bob", identity=Identity.AUTHENTICATED)


# evidence that cannot be had


def test_a_version_whose_run_was_deleted_is_refused_at_once_and_an_unguarded_alias_is_not(site):
    version = site.version("credit-gone")
    site.act_as("carol")
    assert say("approve", "credit-gone", "1", "--person", "Carol Clark").exit_code == 0
    client = site.act_as("alice")
    client.delete_run(version.run_id)
    start = time.monotonic()
    refused = site.champion("credit-gone", auth=("alice", PASSWORDS["alice"]))
    assert time.monotonic() - start < 5
    assert refused.status_code == 403
    assert "AIMS refused: the version's run was deleted" in refused.json()["message"]
    client.set_registered_model_alias("credit-gone", "challenger", "1")
    client.restore_run(version.run_id)
    assert site.champion("credit-gone", auth=("alice", PASSWORDS["alice"])).status_code == 200


@pytest.fixture(scope="module", params=KINDS)
def apart(request, tmp_path_factory, _store_template):
    """A gated server whose runs, and with them evidence and log, are in another database than the registry."""
    folder = tmp_path_factory.mktemp("apart")
    write_policy(folder)
    with ExitStack() as stack:
        if request.param == "sqlite":
            uris = [f"sqlite:///{folder / name}" for name in ("runs.db", "registry.db")]
            for uri in uris:
                shutil.copy(_store_template, uri.removeprefix("sqlite:///"))
        else:
            uris = stack.enter_context(postgres_databases(2))
        server = gated_server(folder, "--registry-store-uri", f"aims:{uris[1]}", database=uris[0])
        server.runs = uris[0]
        stack.callback(server.stop)
        server.start()
        yield server


@contextmanager
def broken(uri):
    """A database that cannot be read: a file full of other bytes, a server that closes and opens no connection."""
    if uri.startswith("sqlite"):
        path = Path(uri.removeprefix("sqlite:///"))
        content = path.read_bytes()
        with path.open("r+b") as file:
            file.write(b"not a database! " * 512)
        try:
            yield
        finally:
            with path.open("r+b") as file:
                file.write(content[: 16 * 512])
        return
    import sqlalchemy

    address = sqlalchemy.make_url(uri)
    name = address.database
    server = sqlalchemy.create_engine(address.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ).all()
        try:
            yield
        finally:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.dispose()


@contextmanager
def locked(uri):
    """A database another process keeps for itself: whoever reads waits."""
    import sqlite3

    with sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None) as database:
        database.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            database.execute("ROLLBACK")


def ask(server, path, **body):
    start = time.monotonic()
    answer = requests.post(f"{server.uri}/api/2.0/mlflow/{path}", json=body, timeout=200)
    return answer, time.monotonic() - start


def champion(server, name, alias="champion"):
    return ask(server, "registered-models/alias", name=name, alias=alias, version="1")


@pytest.mark.skipif(mlflow.__version__.startswith("2."), reason="its versions are made in the way of MLflow 3")
@pytest.mark.parametrize("down", [broken, pytest.param(locked, marks=pytest.mark.slow)])
def test_without_the_evidence_store_guarded_moves_are_refused_at_once_and_others_pass(apart, down):
    if down is locked and not apart.runs.startswith("sqlite"):
        pytest.skip("a lock of SQLite's")
    name = f"credit-{down.__name__}"
    client = MlflowClient(tracking_uri=apart.uri, registry_uri=apart.uri)
    assess(client, make_version(client, name))
    longest = 5 if down is broken else 35  # once: MLflow waits twenty seconds for a locked file
    why = "cannot be read" if down is broken else "does not answer"
    with down(apart.runs):
        for answer, took in (
            champion(apart, name),
            ask(apart, "model-versions/transition-stage", name=name, version="1", stage="Production"),
        ):
            assert answer.status_code == 403, answer.text
            assert answer.json()["error_code"] == "PERMISSION_DENIED"
            assert answer.json()["message"].startswith(f"AIMS refused: the evidence store {why}")
            assert took < longest
        for answer, took in (
            champion(apart, name, "challenger"),
            ask(apart, "model-versions/transition-stage", name=name, version="1", stage="Staging"),
            ask(apart, "model-versions/set-tag", name=name, version="1", key="note", value="mine"),
        ):
            assert answer.status_code == 200, answer.text
            assert took < 5
        # taking out of service is never kept from anyone
        assert ask(apart, "model-versions/transition-stage", name=name, version="1", stage="None")[0].status_code == 200
    assert champion(apart, name)[0].status_code == 200
    assert str(client.get_model_version_by_alias(name, "champion").version) == "1"
