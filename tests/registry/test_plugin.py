"""The gate in front of a registry in SQLite, directly: what is refused, what passes, and what is remembered."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import warnings
from datetime import UTC, datetime, timedelta

import gate_kit
import mlflow
import pytest
from gate_kit import assess, make_version, statement_of, tags_of, write_policy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from aims_mlflow.errors import DeliveryError, InputError
from aims_mlflow.gate.decision import Problem
from aims_mlflow.gate.entries import Actor, Identity, Level, Target
from aims_mlflow.gate.signing import new_key
from aims_mlflow.registry.acting import stating
from aims_mlflow.registry.gatekeeper import Gatekeeper, fault
from aims_mlflow.registry.log import TransitionLog

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def gated(mlflow_store, tmp_path, monkeypatch):
    """A client whose registry is gated, with a policy in force."""
    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path)))
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=f"aims:{mlflow_store}")


@pytest.fixture
def plain(mlflow_store):
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=mlflow_store)


def log_of(client, model="credit"):
    return TransitionLog(MlflowClient(tracking_uri=client.tracking_uri)).read(model)


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(MlflowException) as caught:
        call(*args, **kwargs)
    assert caught.value.error_code == "PERMISSION_DENIED"
    assert caught.value.get_http_status_code() == 403
    assert caught.value.message.startswith("AIMS refused: ")
    return caught.value.message


def policy_with(tmp_path, old, new):
    path = tmp_path / "aims.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(1, (tmp_path / "aims.yaml").stat().st_mtime_ns + 10_000_000))


# Alias and stage


def test_an_alias_is_refused_without_an_assessment_and_set_with_one(gated):
    version = make_version(gated)
    said = refused(gated.set_registered_model_alias, "credit", "champion", version.version)
    assert said.startswith("AIMS refused: the version was not assessed. Next: aims assess models:/credit/1")
    assert gated.get_registered_model("credit").aliases == {}
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", version.version)
    assert gated.get_model_version_by_alias("credit", "champion").version == version.version
    entries = log_of(gated)
    assert [(e.type, getattr(e, "outcome", "")) for e in entries] == [
        ("registered", ""), ("move", "refuse"), ("move", "allow"),
    ]  # fmt: skip
    assert entries[2].level is Level.ADVISED
    assert entries[2].actor.identity is Identity.CLAIMED
    assert entries[2].statement_sha256 and entries[2].policy_sha256 and entries[2].model_sha256


def test_a_stage_is_refused_and_allowed_and_those_it_archives_are_logged(gated):
    first, second = make_version(gated), make_version(gated, text="other")
    refused(gated.transition_model_version_stage, "credit", first.version, "production")
    assess(gated, first)
    assess(gated, second, text="other")
    gated.transition_model_version_stage("credit", first.version, "Production")
    gated.transition_model_version_stage("credit", second.version, "Production", archive_existing_versions=True)
    stages = {v.version: v.current_stage for v in gated.search_model_versions("name='credit'")}
    assert stages == {first.version: "Archived", second.version: "Production"}
    moves = [e for e in log_of(gated) if e.type == "move"]
    assert [(e.version, str(e.target), e.from_version, e.outcome) for e in moves] == [
        ("1", "Production", None, "refuse"),
        ("1", "Production", None, "allow"),
        ("2", "Production", "1", "allow"),
        ("1", "Archived", "1", "allow"),
    ]


def test_a_failed_control_is_named_first_with_its_title(gated):
    version = make_version(gated)
    assess(gated, version, rows=("A.7.4",))
    said = refused(gated.set_registered_model_alias, "credit", "champion", version.version)
    assert "A.6.2.4" in " ".join(said.split()[:6])
    assert "aims assess models:/credit/1" in said


def test_what_no_rule_names_passes_and_leaves_no_entry(gated):
    version = make_version(gated, "elsewhere")
    gated.set_registered_model_alias("elsewhere", "champion", version.version)
    gated.transition_model_version_stage("elsewhere", version.version, "Production")
    make_version(gated)
    gated.set_registered_model_alias("credit", "candidate", "1")
    assert log_of(gated, "elsewhere") == ()
    assert [e.type for e in log_of(gated)] == ["registered"]


def test_taking_out_of_service_is_allowed_and_logged(gated):
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")
    gated.transition_model_version_stage("credit", "1", "Production")
    with stating(actor="ada", reason="bad in the north"):
        gated.delete_registered_model_alias("credit", "champion")
        gated.transition_model_version_stage("credit", "1", "Archived")
    alias, stage = log_of(gated)[-2:]
    assert (alias.operation, alias.version, alias.from_version) == ("delete_registered_model_alias", None, "1")
    assert (str(stage.target), stage.version, stage.actor.name) == ("Archived", "1", "ada")
    assert stage.reason == alias.reason == "bad in the north"


def test_taking_out_of_service_is_allowed_even_where_the_log_cannot_be_written(gated, monkeypatch, tmp_path):
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "blocked"))
    store = gated._get_registry_client().store
    store._aims_verbs._verbs.gate.locks._folder = tmp_path / "blocked" / "locks"
    gated.delete_registered_model_alias("credit", "champion")
    assert gated.get_registered_model("credit").aliases == {}
    said = refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assert "could not decide (NotADirectoryError)" in said


def test_a_move_the_registry_then_does_not_make_is_marked_as_failed(gated, monkeypatch):
    version = make_version(gated)
    assess(gated, version)
    store = gated._get_registry_client().store
    plain_class = type(store).__mro__[1]
    original = plain_class.set_registered_model_alias

    from aims_mlflow.registry.plugin import _gated

    def broken(self, name, alias, version):
        raise MlflowException("disk full", error_code=1)

    broken.__signature__ = __import__("inspect").signature(original)
    monkeypatch.setattr(type(store), "set_registered_model_alias", _gated("set_registered_model_alias", broken))
    with pytest.raises(MlflowException, match="disk full"):
        gated.set_registered_model_alias("credit", "champion", "1")
    move, failed = log_of(gated)[-2:]
    assert (move.outcome, failed.type, failed.move, failed.error) == ("allow", "failed", move.number, "INTERNAL_ERROR")


# Content


def test_files_changed_on_disk_void_the_assessment(gated, tmp_path):
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")
    weights = next(tmp_path.rglob("weights.txt"))
    weights.write_text("WEIGHTS")  # same size
    said = refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assert "the model's files changed since" in said


def test_a_link_among_the_files_is_never_followed(gated, tmp_path):
    version = make_version(gated)
    assess(gated, version)
    folder = next(tmp_path.rglob("weights.txt")).parent
    (tmp_path / "secret").write_text("x")
    (folder / "more").symlink_to(tmp_path / "secret")
    said = refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assert "link or device" in said


def test_evidence_or_datasets_changed_since_void_the_assessment(gated):
    from mlflow.entities import Dataset, DatasetInput

    version = make_version(gated)
    assess(gated, version)
    gated.set_tag(version.run_id, "aims.evidence", gate_kit.sha256_of(b"other"))
    assert "its run's evidence changed since" in refused(gated.set_registered_model_alias, "credit", "champion", "1")
    gated.set_tag(version.run_id, "aims.evidence", gate_kit.EVIDENCE)
    gated.set_registered_model_alias("credit", "champion", "1")
    gated.log_inputs(version.run_id, [DatasetInput(Dataset("t", "abcd", "local", "{}"), [])])
    assert "its run's datasets changed since" in refused(gated.set_registered_model_alias, "credit", "champion", "1")


def test_a_deleted_run_is_no_evidence(gated):
    version = make_version(gated)
    assess(gated, version)
    gated.delete_run(version.run_id)
    assert "run was deleted" in refused(gated.set_registered_model_alias, "credit", "champion", "1")


def test_a_statement_about_another_version_does_not_count(gated, plain):
    good, bad = make_version(gated), make_version(gated, text="bad")
    text = gate_kit.write_statement(statement_of(good))
    assert "other files" in refused(gated.set_model_version_tag, "credit", bad.version, "aims.vsa", text)
    plain.set_model_version_tag("credit", bad.version, "aims.vsa", text)  # past the gate
    assert "it is about other files" in refused(gated.set_registered_model_alias, "credit", "champion", bad.version)


# Copies


def test_an_assessment_follows_a_copy_by_content_and_no_tag_does(gated):
    version = make_version(gated)
    assess(gated, version)
    gated.set_model_version_tag("credit", "1", "aims.status", "warn")
    gated.set_model_version_tag("credit", "1", "note", "kept")
    copied = gated.copy_model_version("models:/credit/1", "credit-eu")
    assert tags_of(gated, copied) == {"aims.status": "not-assessed", "note": "kept"}
    gated.set_registered_model_alias("credit-eu", "champion", copied.version)
    again = gated.copy_model_version("models:/credit-eu/1", "credit-us")
    gated.set_registered_model_alias("credit-us", "champion", again.version)


def test_a_copy_outlives_its_original_only_by_its_own_assessment(gated):
    version = make_version(gated)
    assess(gated, version)
    gated.copy_model_version("models:/credit/1", "credit-eu")
    gated.delete_model_version("credit", "1")
    assert "was not assessed" in refused(gated.set_registered_model_alias, "credit-eu", "champion", "1")


def test_a_model_whose_name_is_a_promise_takes_only_good_copies(gated):
    version = make_version(gated)
    gated.create_registered_model("live")
    with pytest.raises(MlflowException, match="AIMS refused: the version was not assessed"):
        gated.copy_model_version("models:/credit/1", "live")
    said = refused(gated.create_model_version, "live", f"runs:/{version.run_id}/model", version.run_id)
    assert "only a copy of an assessed version may be made here" in said
    assess(gated, version)
    gated.copy_model_version("models:/credit/1", "live")
    assert [(e.type, getattr(e, "outcome", ""), e.version) for e in log_of(gated, "live")] == [
        ("move", "refuse", None), ("move", "refuse", None), ("move", "allow", None), ("registered", "", "1"),
    ]  # fmt: skip


# Deleting and renaming


def test_what_serves_is_neither_deleted_nor_renamed(gated):
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")
    assert "it serves as champion" in refused(gated.delete_model_version, "credit", "1")
    assert "it serves as champion" in refused(gated.delete_registered_model, "credit")
    assert "it serves as champion" in refused(gated.rename_registered_model, "credit", "credit-2")
    gated.delete_registered_model_alias("credit", "champion")
    with contextlib.suppress(AttributeError):  # MLflow 2 on a database: it is renamed all the same
        gated.rename_registered_model("credit", "credit-2")
    assert gated.get_registered_model("credit-2").name == "credit-2"
    assert [e.type for e in log_of(gated, "credit-2")][-1] == "renamed"
    gated.delete_model_version("credit-2", "1")
    gated.delete_registered_model("credit-2")


def test_no_model_leaves_or_enters_the_rules_by_its_name(gated):
    make_version(gated)
    make_version(gated, "elsewhere")
    assert "other rules" in refused(gated.rename_registered_model, "credit", "free")
    assert "other rules" in refused(gated.rename_registered_model, "elsewhere", "credit-x")
    with contextlib.suppress(AttributeError):
        gated.rename_registered_model("elsewhere", "nowhere")
    assert gated.get_registered_model("nowhere").name == "nowhere"


def test_archived_versions_do_not_serve(gated):
    version = make_version(gated)
    assess(gated, version)
    gated.transition_model_version_stage("credit", "1", "Production")
    assert "it serves as Production" in refused(gated.delete_model_version, "credit", "1")
    gated.transition_model_version_stage("credit", "1", "Archived")
    gated.delete_model_version("credit", "1")


# The policy


def test_a_changed_policy_is_in_force_at_once(gated, tmp_path):
    version = make_version(gated)
    refused(gated.set_registered_model_alias, "credit", "champion", version.version)
    policy_with(tmp_path, "mode: enforce", "mode: observe")
    gated.set_registered_model_alias("credit", "champion", version.version)
    last = log_of(gated)[-1]
    assert (last.mode, last.outcome, last.was_made) == ("observe", "refuse", True)


def test_a_broken_policy_refuses_what_was_guarded_and_names_the_mistake(gated, tmp_path):
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")
    policy_with(tmp_path, "risk_class: minimal", "risk_class: tiny")
    said = refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assert "risk_class" in said and "aims check" in said
    assert str(tmp_path) not in said
    gated.set_registered_model_alias("credit", "candidate", "1")
    gated.set_model_version_tag("credit", "1", "note", "x")
    make_version(gated, "elsewhere")


def test_that_the_policy_changed_or_broke_is_logged_once(gated, tmp_path, caplog):
    make_version(gated)
    refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assert "policy" not in caplog.text
    policy_with(tmp_path, "[champion]", "[champion, shadow]")
    for _ in range(2):
        refused(gated.set_registered_model_alias, "credit", "champion", "1")
    policy_with(tmp_path, "risk_class: minimal", "risk_class: tiny")
    for _ in range(2):
        refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assert [caplog.text.count(said) for said in ("was read again", "cannot be used")] == [1, 1]


def test_our_own_fault_is_one_sentence(gated):
    assert ".. " not in str(fault(DeliveryError("the disk is full.", remedy="Make room."), "x"))


def test_a_servers_refusal_is_in_its_log_without_who_said_what(gated, caplog):
    keeper = Gatekeeper(gated, gated, level=Level.ENFORCED)
    make_version(gated)
    target = Target(kind="alias", name="champion")
    with pytest.raises(MlflowException):
        keeper.move("credit", "1", target, "op", None, Actor(name="eve"), "secret words", lambda: None)
    assert "aims: refused 'credit' 1 to 'champion': the version was not assessed" in caplog.text
    assert "eve" not in caplog.text and "secret words" not in caplog.text
    rejected = Problem(id="rejected", what="rejected by Ann: bias", remedy="r")
    decision = keeper.decide("credit", "1", target).model_copy(update={"problems": (rejected,)})
    keeper.refused(decision)
    assert caplog.records[-1].getMessage() == "aims: refused 'credit' 1 to 'champion': rejected"


def test_a_policy_broken_from_the_start_refuses_every_move_and_lets_training_go_on(mlflow_store, tmp_path, monkeypatch):
    (tmp_path / "aims.yaml").write_text("gate: [")
    monkeypatch.setenv("AIMS_CONFIG", str(tmp_path / "aims.yaml"))
    gated = MlflowClient(mlflow_store, f"aims:{mlflow_store}")
    make_version(gated, "any")
    refused(gated.set_registered_model_alias, "any", "whatever", "1")
    refused(gated.transition_model_version_stage, "any", "1", "Staging")
    with pytest.raises(MlflowException, match="AIMS refused"):
        gated.copy_model_version("models:/any/1", "other")
    gated.set_model_version_tag("any", "1", "note", "x")
    gated.update_model_version("any", "1", "text")


@pytest.mark.parametrize("how", ["no file", "no section", "file gone"])
def test_without_a_policy_moves_are_refused_with_the_remedy(mlflow_store, tmp_path, monkeypatch, how):
    if how == "no section":
        (tmp_path / "aims.yaml").write_text("system: {id: x}\n")
    if how == "file gone":
        monkeypatch.setenv("AIMS_CONFIG", str(tmp_path / "gone.yaml"))
    gated = MlflowClient(mlflow_store, f"aims:{mlflow_store}")
    make_version(gated, "any")
    said = refused(gated.set_registered_model_alias, "any", "whatever", "1")
    assert ("no policy" in said or how == "file gone") and "AIMS_CONFIG" in said
    assert "Correct aims.yaml" not in said
    refused(gated.transition_model_version_stage, "any", "1", "Staging")
    gated.update_model_version("any", "1", "text")


def test_a_missing_evidence_store_refuses_guarded_moves_only(mlflow_store, tmp_path, monkeypatch, _store_template):
    import shutil

    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path)))
    shutil.copy(_store_template, tmp_path / "registry.db")
    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    gated = MlflowClient(mlflow_store, f"aims:{registry}")
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")
    gated._tracking_client.store.engine.dispose()
    (tmp_path / "mlflow.db").write_bytes(b"this is no database, and long enough to be looked at" * 100)
    said = refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assert "evidence store" in said
    gated.set_registered_model_alias("credit", "candidate", "1")
    gated.delete_registered_model_alias("credit", "champion")
    policy_with(tmp_path, "mode: enforce", "mode: observe")
    gated.set_registered_model_alias("credit", "champion", "1")


# Prompts


@pytest.mark.skipif(int(mlflow.__version__[0]) < 3, reason="prompts came with MLflow 3")
def test_prompts_are_not_gated(gated, tmp_path):
    policy_with(tmp_path, "models: ['credit', 'credit-*']", "models: ['*']")
    gated.register_prompt("greeting", "Hello {{name}}", tags={"aims.status": "pass"})
    gated.set_prompt_alias("greeting", "champion", 1)
    assert gated.get_prompt_version_by_alias("greeting", "champion").version == 1
    gated.delete_prompt_alias("greeting", "champion")
    gated.delete_prompt_version("greeting", "1")


# Together


def test_threads_that_move_one_alias_at_once_are_logged_in_the_registrys_order(gated):
    versions = [make_version(gated, text=f"w{n}") for n in range(2)]
    for number, version in enumerate(versions):
        assess(gated, version, text=f"w{number}")
    errors = []

    def move(number):
        try:
            gated.set_registered_model_alias("credit", "champion", str(number % 2 + 1))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=move, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    moves = [e for e in log_of(gated) if e.type == "move"]
    assert len(moves) == 16
    assert moves[-1].version == str(gated.get_model_version_by_alias("credit", "champion").version)
    held = [None, *(m.version for m in moves)]
    assert [m.from_version for m in moves] == held[:-1]


def _move_in_a_process(uri, folder, number):
    os.environ.update(
        AIMS_CONFIG=f"{folder}/aims.yaml", XDG_STATE_HOME=f"{folder}/.state", MLFLOW_DISABLE_TELEMETRY="true"
    )
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri, f"aims:{uri}")
    for _ in range(4):
        client.set_registered_model_alias("credit", "champion", str(number % 2 + 1))


def test_processes_that_move_one_alias_at_once_are_logged_in_the_registrys_order(gated, tmp_path, mlflow_store):
    for number in range(2):
        assess(gated, make_version(gated, text=f"w{number}"), text=f"w{number}")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_move_in_a_process, args=(mlflow_store, str(tmp_path), n)) for n in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for worker in workers:
            worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0, 0, 0]
    moves = [e for e in log_of(gated) if e.type == "move"]
    assert len(moves) == 12
    assert moves[-1].version == str(gated.get_model_version_by_alias("credit", "champion").version)
    assert [m.from_version for m in moves] == [None, *(m.version for m in moves)][:-1]


# Signed


def test_where_signatures_are_demanded_only_a_trusted_key_counts(mlflow_store, tmp_path, monkeypatch):
    key, other = new_key(), new_key()
    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path, key=key.public)))
    gated = MlflowClient(mlflow_store, f"aims:{mlflow_store}")
    version = make_version(gated, "signed")
    statement = statement_of(version)
    for text in (
        gate_kit.write_statement(statement),
        gate_kit.write_statement(statement, other),
        gate_kit.forged(statement),
    ):
        said = refused(gated.set_model_version_tag, "signed", "1", "aims.vsa", text)
        assert "not signed by a trusted key" in said
    assess(gated, version, key)
    gated.set_registered_model_alias("signed", "champion", "1")


def test_a_newer_assessment_replaces_an_older_one_and_never_the_reverse(gated):
    version = make_version(gated)
    now = datetime.now(UTC)
    assess(gated, version, assessed_at=now - timedelta(hours=1))
    old = gate_kit.write_statement(statement_of(version, assessed_at=now - timedelta(hours=2)))
    assert "older than the one held" in refused(gated.set_model_version_tag, "credit", "1", "aims.vsa", old)
    assess(gated, version, assessed_at=now)


# The ways in


def test_enable_gate_binds_the_process_and_can_be_taken_back(mlflow_store, tmp_path, monkeypatch):
    import aims_mlflow

    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path)))
    aims_mlflow.enable_gate()
    aims_mlflow.enable_gate()
    assert mlflow.get_registry_uri() == f"aims:{mlflow_store}"
    version = make_version(MlflowClient())
    refused(MlflowClient().set_registered_model_alias, "credit", "champion", version.version)
    aims_mlflow.enable_gate(disable=True)
    assert mlflow.get_registry_uri() == mlflow_store
    MlflowClient().set_registered_model_alias("credit", "champion", version.version)


def test_the_gated_client_is_a_client(mlflow_store, tmp_path, monkeypatch):
    import aims_mlflow

    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path)))
    client = aims_mlflow.GatedMlflowClient()
    assert isinstance(client, MlflowClient)
    version = make_version(client)
    refused(client.set_registered_model_alias, "credit", "champion", version.version)
    assert mlflow.get_registry_uri() == mlflow_store


def test_an_unknown_registry_is_said_at_once(mlflow_store):
    import aims_mlflow

    with pytest.raises(InputError, match="no model registry of that kind"):
        aims_mlflow.GatedMlflowClient(registry_uri="ftp://somewhere")
    with pytest.raises(MlflowException, match="needs the URI"):
        MlflowClient(mlflow_store, "aims:")._get_registry_client()


def test_the_plugin_module_imports_nothing_heavy():
    import subprocess
    import sys

    heavy = "('mlflow', 'pydantic', 'numpy', 'yaml')"
    code = f"import sys, aims_mlflow.registry.plugin; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
