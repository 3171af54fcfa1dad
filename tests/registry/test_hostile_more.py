"""A second look with hostile eyes: what the first attacks did not try."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import click
import gate_kit
import pytest
from gate_kit import assess, make_version, statement_of, write_policy
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path

from aims_mlflow import cli
from aims_mlflow.capture.model import read_model_directory
from aims_mlflow.config import Declaration
from aims_mlflow.errors import DeliveryError
from aims_mlflow.gate.decision import VersionFacts, decide
from aims_mlflow.gate.entries import Actor, Level, RegisteredEntry, ReviewEntry, Target, write_entry
from aims_mlflow.gate.outcome import LOG_BROKEN
from aims_mlflow.gate.policy import matches
from aims_mlflow.registry.acting import stating
from aims_mlflow.registry.facts import VersionReader
from aims_mlflow.registry.files import FilesUnreadable, digests_at, local_folder, served_location
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reconcile import reconcile
from aims_mlflow.registry.verbs import GatedVerbs

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
PROMPT = "mlflow.prompt.is_prompt"


@pytest.fixture
def gated(mlflow_store, tmp_path, monkeypatch):
    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path)))
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=f"aims:{mlflow_store}")


@pytest.fixture
def store(gated):
    """The registry as MLflow's server sees it."""
    return gated._get_registry_client().store


@pytest.fixture
def past_the_gate(mlflow_store):
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=mlflow_store)


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(MlflowException) as caught:
        call(*args, **kwargs)
    assert caught.value.error_code == "PERMISSION_DENIED", caught.value
    assert caught.value.message.startswith("AIMS refused: ")
    return caught.value.message


def log_of(client):
    return TransitionLog(MlflowClient(client.tracking_uri))


# Prompts


def fake_prompt(client, name="credit"):
    """A version that looks like a prompt's, in a model that is none."""
    store = client._get_registry_client().store
    return store.create_model_version(name, "dummy-source", tags=[ModelVersionTag(PROMPT, "true")])


def test_a_version_dressed_up_as_a_prompt_does_not_take_the_alias_of_a_model(gated, store):
    good = make_version(gated)
    assess(gated, good)
    gated.set_registered_model_alias("credit", "champion", "1")
    fake = fake_prompt(gated)
    refused(store.set_registered_model_alias, "credit", "champion", fake.version)
    assert str(gated.get_registered_model("credit").aliases["champion"]) == "1"


def test_a_version_dressed_up_as_a_prompt_does_not_archive_the_model_in_production(gated, store):
    good = make_version(gated)
    assess(gated, good)
    gated.transition_model_version_stage("credit", "1", "Production")
    fake = fake_prompt(gated)
    refused(store.transition_model_version_stage, "credit", fake.version, "Production", True)
    assert gated.get_model_version("credit", "1").current_stage == "Production"


def test_a_version_dressed_up_as_a_prompt_is_not_made_in_a_protected_model(gated):
    gated.create_registered_model("live")
    refused(fake_prompt, gated, "live")


# Renames


def test_a_rename_onto_a_model_that_exists_leaves_that_models_log_alone(gated, store):
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")
    before = log_of(gated).read("credit")
    assert len(before) == 2
    make_version(gated, "credit-x")
    with pytest.raises(MlflowException):
        store.rename_registered_model("credit-x", "credit")
    assert log_of(gated).read("credit")[: len(before)] == before


# Stages


def test_a_version_can_always_be_archived_whatever_the_policy_names(gated, past_the_gate, tmp_path):
    path = tmp_path / "aims.yaml"
    path.write_text(path.read_text().replace("stages: [Production]", "stages: ['*']"))
    make_version(gated)
    past_the_gate.transition_model_version_stage("credit", "1", "Production")
    gated.transition_model_version_stage("credit", "1", "Archived")
    assert gated.get_model_version("credit", "1").current_stage == "Archived"


# Names


@pytest.mark.parametrize("name", ["team[1]", "a[!b]c", "[x]", "x]"])
def test_brackets_in_a_models_name_mean_themselves(name):
    assert matches(name, (name,))
    assert matches(name + "-1", (name + "-*",))


@pytest.mark.parametrize("name", ["cre\u200bdit", "credit\u200b", "\ufeffcredit", "cre\u00addit", "credit\x00"])
def test_characters_that_databases_and_eyes_leave_out_are_left_out(name):
    assert matches(name, ("credit",))


@pytest.mark.parametrize("key", ["áims.status", "a\u0301ims.vsa"])
def test_accents_do_not_hide_a_tag_of_ours(gated, key):
    make_version(gated)
    refused(gated.set_model_version_tag, "credit", "1", key, "x")


def test_long_names_are_not_kept():
    from aims_mlflow.gate import policy

    matches("x", ("credit",))
    before = policy._plain.cache_info().currsize
    for number in range(5):
        assert not matches(f"{number}" + "x" * 100_000, ("credit",))
    assert policy._plain.cache_info().currsize == before


# Time


def test_an_assessment_dated_in_the_future_is_not_taken(gated):
    version = make_version(gated)
    future = statement_of(version, assessed_at=datetime(2099, 1, 1, tzinfo=UTC))
    said = refused(gated.set_model_version_tag, "credit", "1", "aims.vsa", gate_kit.write_statement(future))
    assert "future" in said
    assess(gated, version)


def test_an_assessment_dated_in_the_future_does_not_keep_others_out(gated, past_the_gate):
    version = make_version(gated)
    future = statement_of(version, assessed_at=datetime(2099, 1, 1, tzinfo=UTC))
    past_the_gate.set_model_version_tag("credit", "1", "aims.vsa", gate_kit.write_statement(future))
    refused(gated.set_registered_model_alias, "credit", "champion", "1")
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_all_calendars_is_no_time(gated, past_the_gate, at):
    version = make_version(gated)
    import base64

    outer = json.loads(gate_kit.write_statement(statement_of(version)))
    inner = json.loads(base64.b64decode(outer["payload"]))
    inner["predicate"]["assessed_at"] = at
    outer["payload"] = base64.b64encode(json.dumps(inner).encode()).decode()
    said = refused(gated.set_model_version_tag, "credit", "1", "aims.vsa", json.dumps(outer))
    assert "could not decide" not in said
    past_the_gate.set_model_version_tag("credit", "1", "aims.vsa", json.dumps(outer))
    assert "cannot be read" in refused(gated.set_registered_model_alias, "credit", "champion", "1")


# Who


FOUR_EYES = """
    two:
      controls: [A.6.2.4, A.7.4]
      approvals: {count: 1}
"""


@pytest.fixture
def four_eyes(gated, tmp_path):
    path = tmp_path / "aims.yaml"
    text = path.read_text()
    old = "\n    two:\n      controls: [A.6.2.4, A.7.4]\n      evidence: [performance]\n"
    assert old in text
    path.write_text(text.replace(old, FOUR_EYES))
    return gated


def approved_by(client, person, version="1", model="credit", decision="approve"):
    statement = statement_of(client.get_model_version(model, version))
    entry = ReviewEntry(
        number=1, at=datetime.now(UTC), model=model, version=version, level=Level.ADVISED, decision=decision,
        person=person, model_sha256=statement.model_sha256,
    )  # fmt: skip
    log_of(client).append(entry)


def test_a_forged_entry_does_not_make_somebody_else_the_one_who_registered(four_eyes):
    with stating(actor="clerk"):
        version = make_version(four_eyes)
    assess(four_eyes, version)
    forged = RegisteredEntry(
        number=1, at=datetime.now(UTC), model="credit", version="1", actor=Actor(name="other"), level=Level.ENFORCED
    )
    log_of(four_eyes).append(forged)
    approved_by(four_eyes, "clerk")
    assert "only by who" in refused(four_eyes.set_registered_model_alias, "credit", "champion", "1")


def test_a_rename_does_not_make_one_forget_who_registered(four_eyes, store):
    with stating(actor="clerk"):
        version = make_version(four_eyes, "credit-a")
    store.rename_registered_model("credit-a", "credit-b")
    assess(four_eyes, four_eyes.get_model_version("credit-b", version.version))
    approved_by(four_eyes, "clerk", model="credit-b")
    assert "only by who" in refused(four_eyes.set_registered_model_alias, "credit-b", "champion", "1")


def test_who_registered_the_original_is_not_another_pair_of_eyes_for_a_copy(four_eyes):
    with stating(actor="clerk"):
        version = make_version(four_eyes)
    assess(four_eyes, version)
    with stating(actor="robot"):
        four_eyes.copy_model_version("models:/credit/1", "credit-copy")
    approved_by(four_eyes, "clerk")
    assert "only by who" in refused(four_eyes.set_registered_model_alias, "credit-copy", "champion", "1")


def test_a_trainer_renamed_after_the_assessment_is_still_the_trainer(four_eyes):
    with stating(actor="robot"):
        version = make_version(four_eyes)
    assess(four_eyes, version)
    four_eyes.set_tag(version.run_id, "mlflow.user", "somebody else")
    for person in ("trainer", "Trainer ", "somebody else"):
        approved_by(four_eyes, person)
        said = refused(four_eyes.set_registered_model_alias, "credit", "champion", "1")
        assert "only by who" in said


def test_a_trainer_renamed_before_the_assessment_is_still_the_trainer(four_eyes):
    with stating(actor="robot"):
        version = make_version(four_eyes)
    four_eyes.set_tag(version.run_id, "mlflow.user", "somebody else")
    assess(four_eyes, version, trained_by="somebody else")
    approved_by(four_eyes, "trainer")
    assert "only by who" in refused(four_eyes.set_registered_model_alias, "credit", "champion", "1")


def test_a_run_nobody_is_named_for_has_no_known_trainer(four_eyes, mlflow_store, monkeypatch):
    original = MlflowClient.create_run

    def nameless(self, experiment_id, tags=None):
        return original(self, experiment_id, tags={k: v for k, v in tags.items() if k != "mlflow.user"})

    with stating(actor="robot"), monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "create_run", nameless)
        version = make_version(four_eyes)
    assess(four_eyes, version, trained_by=None)
    approved_by(four_eyes, "trainer")
    assert "not known" in refused(four_eyes.set_registered_model_alias, "credit", "champion", "1")


# Logs of other models


def test_a_rejection_of_the_original_by_another_worker_is_seen_for_a_copy(gated):
    version = make_version(gated)
    assess(gated, version)
    gated.set_registered_model_alias("credit", "champion", "1")  # this worker knows the log now
    gated.copy_model_version("models:/credit/1", "credit-copy")
    approved_by(gated, "head of models", decision="reject")
    assert "rejected by" in refused(gated.set_registered_model_alias, "credit-copy", "champion", "1")


# Files


def test_a_file_named_as_mlflow_names_its_own_is_looked_at_unless_it_is_mlflows(tmp_path):
    """MLflow writes over the one beside MLmodel at every load; one deeper down a model could be loaded from."""
    model = tmp_path / "m"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "registered_model_meta").write_text("model_name: credit\n")
    (model / "data" / "registered_model_meta").write_text("one")
    before = digests_at(str(model), tracking_uri=None)
    facts = read_model_directory(model)
    assert facts.sha256 == before.model_sha256
    assert [f.path for f in facts.files] == ["MLmodel", "data/registered_model_meta"]
    (model / "registered_model_meta").write_text("model_name: credit\nmodel_version: 2\n")
    assert digests_at(str(model), tracking_uri=None) == before
    (model / "data" / "registered_model_meta").write_text("two, and longer")
    after = digests_at(str(model), tracking_uri=None)
    assert after.model_sha256 != before.model_sha256
    assert after.listing_sha256 != before.listing_sha256


@pytest.mark.parametrize(
    "name", ["model", "a b", "model%2F..%2Fother", "model%20", "model%25231", "mo%64el", "model;p", "m\u00f6del", "%6d"]
)
@pytest.mark.parametrize("root", ["/data/art", "/data/a%20b", "file:///data/art", "file:///data/a%20b"])
def test_what_is_hashed_is_what_mlflow_would_load(root, name):
    location = f"{root}/{name}"
    folder = local_folder(location)
    assert folder is not None
    assert os.path.normpath(folder) == os.path.normpath(local_file_uri_to_path(location))


def test_files_on_another_server_are_not_looked_for_on_this_one(monkeypatch):
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", "/served")
    for place in ("//elsewhere/1/r/model", "/1/r/mo%2564el", "/1/r/model?x", "/1/r/model#x", "/1/r/a\\..\\b"):
        with pytest.raises(FilesUnreadable):
            served_location(f"mlflow-artifacts:{place}")
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts://own:5000/")
    assert served_location("mlflow-artifacts://own:5000/1/r/model") == "/served/1/r/model"


# Faults


def test_what_to_do_next_is_a_command_there_is():
    decision = decide(
        VersionFacts(model="credit", version="1", unreadable=("the run was deleted", LOG_BROKEN)),
        Target(kind="alias", name="champion"),
        (),
        Declaration.model_validate({"gate": {"guarded": [{"aliases": ["champion"], "profile": "minimal"}]}}),
        at=datetime.now(UTC),
    )
    for problem in decision.problems:
        words = problem.remedy.split()
        command = cli.aims.get_command(click.Context(cli.aims), words[1])
        assert words[0] == "aims" and command is not None
        with command.make_context(words[1], words[2:]):
            pass


def test_no_fault_of_the_gate_is_one_a_client_would_repeat(gated, monkeypatch):
    version = make_version(gated)

    def broken(*_, **__):
        raise MlflowException("the database is locked")  # an internal error: HTTP 500

    monkeypatch.setattr(VersionReader, "read", broken)
    monkeypatch.setattr(VersionReader, "version", broken)
    refused(gated.set_registered_model_alias, "credit", "champion", version.version)
    refused(gated.set_model_version_tag, "credit", "1", "aims.status", "pass")
    draft = ReviewEntry(
        number=1, at=datetime.now(UTC), model="credit", version="1", level=Level.ADVISED, decision="approve",
        person="a", model_sha256=gate_kit.EVIDENCE,
    )  # fmt: skip
    refused(gated.set_model_version_tag, "credit", "1", "aims.review", write_entry(draft))

    def ours(*_, **__):
        raise DeliveryError("no answer")

    monkeypatch.setattr(GatedVerbs, "_mode", ours)
    refused(gated.set_model_version_tag, "credit", "1", "aims.status", "pass")
    refused(gated.create_model_version, "credit", version.source, version.run_id)


def test_what_goes_wrong_after_the_registrys_own_write_does_not_have_it_made_twice(gated, monkeypatch):
    version = make_version(gated)

    def broken(*_, **__):
        raise RuntimeError("after")

    monkeypatch.setattr("aims_mlflow.registry.gatekeeper.Gatekeeper.registered", broken)
    made = gated.create_model_version("credit", version.source, version.run_id)
    assert str(made.version) == "2"


def test_a_broken_policy_shows_nothing_of_the_machine(gated, store, tmp_path):
    version = make_version(gated)
    gated.create_registered_model("live")
    (tmp_path / "aims.yaml").write_text("system: {id: 'secret-value-1', risk_class: sekrit}\ngate: [sekrit-2")
    for call in (
        lambda: gated.set_registered_model_alias("credit", "champion", version.version),
        lambda: store.create_model_version("live", "models:/credit/1"),
    ):
        said = refused(call)
        assert str(tmp_path) not in said
        assert "secret-value-1" not in said
    (tmp_path / "aims.yaml").unlink()
    assert str(tmp_path) not in refused(gated.set_registered_model_alias, "credit", "champion", version.version)


def test_names_of_models_that_are_none_do_not_fill_the_disk(store, tmp_path):
    for number in range(40):
        with pytest.raises(MlflowException):
            store.set_registered_model_alias(f"credit-{number}", "champion", "1")
    locks = list((tmp_path / ".state").rglob("*.lock"))
    assert locks and all(len(lock.stem) <= 3 for lock in locks)


# What MLflow hides


def test_no_tag_of_a_version_hides_its_model_from_mlflows_search(gated, store):
    """MLflow leaves out every version of a model of which one version bears the tag of a prompt."""
    make_version(gated)
    refused(store.set_model_version_tag, "credit", "1", ModelVersionTag(PROMPT, "true"))
    fake_prompt(gated)
    assert len(gated.search_model_versions("name='credit'")) == 2
    refused(store.set_registered_model_tag, "credit", RegisteredModelTag(PROMPT, "true"))


def test_a_model_that_mlflow_hides_is_no_prompt(gated, store, past_the_gate):
    make_version(gated)
    past_the_gate.set_model_version_tag("credit", "1", PROMPT, "true")
    assert not gated.search_model_versions("name='credit'")
    refused(store.set_registered_model_tag, "credit", RegisteredModelTag(PROMPT, "true"))


def test_a_model_that_mlflow_hides_is_looked_at_all_the_same(gated, past_the_gate, mlflow_store):
    make_version(gated)
    make_version(gated, text="other")
    past_the_gate.set_model_version_tag("credit", "1", PROMPT, "true")
    past_the_gate.transition_model_version_stage("credit", "2", "Production")
    found = reconcile(tracking_uri=mlflow_store)
    assert any(f.kind == "bypassed" and f.version == "2" for f in found.findings), found


def test_prompts_are_as_they_were(gated, store, mlflow_store):
    gated.register_prompt("greeting", "Hello {{name}}", tags={"mine": "1"})
    gated.register_prompt("credit-words", "Hello {{name}}")
    gated.set_prompt_alias("credit-words", "champion", 1)
    assert str(store.get_model_version_by_alias("credit-words", "champion").version) == "1"
    store.set_model_version_tag("credit-words", "1", ModelVersionTag(PROMPT, "true"))
    assert gated.load_prompt("credit-words", 1).template == "Hello {{name}}"
    assert reconcile(tracking_uri=mlflow_store).clean
