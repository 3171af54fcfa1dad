"""Someone who may write runs and tags, but not approve, tries to get a version past the gate."""

from __future__ import annotations

import json

import gate_kit
import pytest
from gate_kit import assess, make_version, statement_of, tags_of, write_policy
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException

from aims_mlflow.gate.policy import matches
from aims_mlflow.gate.signing import new_key
from aims_mlflow.registry.files import FilesUnreadable, digests_at, served_location
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.marks import is_reserved


@pytest.fixture
def key():
    return new_key()


@pytest.fixture
def gated(mlflow_store, tmp_path, monkeypatch, key):
    monkeypatch.setenv("AIMS_CONFIG", str(write_policy(tmp_path, key=key.public)))
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=f"aims:{mlflow_store}")


@pytest.fixture
def past_the_gate(mlflow_store):
    """Someone with access to the database."""
    return MlflowClient(tracking_uri=mlflow_store, registry_uri=mlflow_store)


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(MlflowException) as caught:
        call(*args, **kwargs)
    assert caught.value.error_code == "PERMISSION_DENIED", caught.value
    assert caught.value.message.startswith("AIMS refused: ")
    return caught.value.message


# Tags


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aims.status", "pass"),
        ("AIMS.status", "pass"),
        (" aims.status", "pass"),
        ("Aims.Gate", "{}"),
        ("aims.approved", "yes"),
        ("aims.", "x"),
        ("aims.evidence", "sha256:" + "0" * 64),
        ("aims.attention", "none"),
        ("aims.vsa", "{}"),
        ("aims.vsa", "[" * 50_000),
        ("aims.vsa", "x" * 90_000),
        ("aims.vsa ", "{}"),
        ("aims.review", "{}"),
        ("aims.review", json.dumps({"decision": "approve", "person": "ada"})),
    ],
)
def test_no_tag_of_ours_is_made_by_hand(gated, name, value):
    version = make_version(gated)
    before = tags_of(gated, version)
    refused(gated.set_model_version_tag, "credit", version.version, name, value)
    assert tags_of(gated, version) == before == {"aims.status": "not-assessed"}
    refused(gated.set_registered_model_alias, "credit", "champion", version.version)


def test_tags_that_come_with_a_new_version_or_model_are_dropped(gated):
    version = make_version(gated)
    tags = {
        "aims.status": "pass",
        "AIMS.vsa": "x",
        "aims.vsa": gate_kit.write_statement(statement_of(version)),
        "mine": "1",
    }
    made = gated.create_model_version("credit", version.source, version.run_id, tags=tags)
    assert tags_of(gated, made) == {"aims.status": "not-assessed", "mine": "1"}
    gated.create_registered_model("credit-new", tags={"aims.risk": "minimal", "mine": "1"})
    assert gated.get_registered_model("credit-new").tags == {"mine": "1"}


def test_our_tags_are_not_deleted(gated):
    version = make_version(gated)
    assess(gated, version)
    for key in ("aims.status", "aims.vsa", "AIMS.status"):
        refused(gated.delete_model_version_tag, "credit", "1", key)
    refused(gated.delete_registered_model_tag, "credit", "aims.risk")
    assert set(tags_of(gated, version)) == {"aims.status", "aims.vsa"}


def test_flat_tags_may_say_what_the_assessment_says_or_less(gated):
    version = make_version(gated)
    statement = assess(gated, version)
    for key, value in (
        ("aims.status", str(statement.overall)),
        ("aims.assessed", f"{statement.assessed_at:%Y-%m-%d}"),
        ("aims.evidence", statement.evidence_sha256),
        ("aims.evidence", statement.evidence_sha256[:23]),
        ("aims.attention", "none"),
        ("aims.fresh_until", "none"),
        ("aims.status", "stale"),
        ("aims.status", "error"),
        ("aims.status", "not-assessed"),
    ):
        gated.set_model_version_tag("credit", "1", key, value)
    for key, value in (
        ("aims.status", "pass"),
        ("aims.assessed", "2099-01-01"),
        ("aims.fresh_until", "2099-01-01"),
        ("aims.evidence", "sha256:0"),
    ):
        assert "says other than" in refused(gated.set_model_version_tag, "credit", "1", key, value)


def test_the_gates_own_decision_is_stored_whatever_the_caller_says(gated):
    version = make_version(gated)
    assess(gated, version, rows=())
    gated.set_model_version_tag("credit", "1", "aims.gate", '{"champion": "allow"}')
    assert json.loads(tags_of(gated, version)["aims.gate"])["champion"] == "refuse"


def test_risk_class_and_system_of_a_model_are_not_made_up(gated):
    version = make_version(gated)
    refused(gated.set_registered_model_tag, "credit", "aims.risk", "high")
    refused(gated.set_registered_model_tag, "credit", "aims.risk", "none at all")
    refused(gated.set_registered_model_tag, "credit", "aims.other", "x")
    gated.set_registered_model_tag("credit", "aims.risk", "minimal")  # as aims.yaml says
    assess(gated, version, risk_class="high", system_id="other")
    gated.set_registered_model_tag("credit", "aims.system_id", "other")  # as an assessment says


@given(
    st.sampled_from(["aims.", "AIMS.", "Aims.", "ａｉｍｓ.", "ai\u200bms.", "\u00a0aims.", "aims．"]),
    st.text(max_size=10),
)
def test_whatever_looks_like_our_prefix_is_reserved(prefix, rest):
    assert is_reserved(prefix + rest)


@given(st.text(max_size=20).filter(lambda t: "." not in t and "．" not in t and "․" not in t))
def test_other_names_are_free(text):
    assert not is_reserved(text)


# Names


@pytest.mark.parametrize("alias", ["Champion", "CHAMPION", "chämpion", "champión"])
def test_an_alias_that_only_looks_different_is_guarded_too(gated, alias):
    make_version(gated)
    refused(gated.set_registered_model_alias, "credit", alias, "1")


@pytest.mark.parametrize("name", ["Credit", "CREDIT-x", " credit", "credit ", "crédit"])
def test_a_model_that_only_looks_different_is_guarded_too(gated, name):
    make_version(gated, name)
    refused(gated.set_registered_model_alias, name, "champion", "1")


@pytest.mark.parametrize("stage", ["production", "PRODUCTION", "Production"])
def test_a_stage_in_any_case_is_guarded(gated, stage):
    make_version(gated)
    refused(gated.transition_model_version_stage, "credit", "1", stage)


@pytest.mark.parametrize("version", ["01", " 1", "1 ", "١", "+1", 1, "1_0"])
def test_a_version_written_another_way_is_the_same_version(gated, version):
    make_version(gated)
    with pytest.raises(MlflowException) as caught:
        gated.set_registered_model_alias("credit", "champion", version)
    assert caught.value.error_code in {"PERMISSION_DENIED", "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}
    assert gated.get_registered_model("credit").aliases == {}


@pytest.mark.parametrize(
    "name",
    [
        "credit-..",
        "credit-%2e%2e%2f",
        "credit-'; DROP TABLE runs; --",
        "credit-\n\r\x1b[31m",
        "credit-" + "x" * 200,
        "credit-☃",
    ],
)
def test_names_with_tricks_in_them_are_names(gated, name):
    version = make_version(gated, name)
    said = refused(gated.set_registered_model_alias, name, "champion", version.version)
    assert "not assessed" in said
    assess(gated, version)
    gated.set_registered_model_alias(name, "champion", version.version)
    assert [e.type for e in TransitionLog(MlflowClient(gated.tracking_uri)).read(name)] == [
        "registered",
        "move",
        "move",
    ]


@given(st.text(max_size=30), st.text(max_size=30))
def test_matching_names_never_fails(name, pattern):
    assert matches(name, (pattern, "*"))


# Assessments


def test_an_assessment_of_better_files_does_not_serve(gated, past_the_gate):
    good, bad = make_version(gated), make_version(gated, text="worse")
    good_statement = statement_of(good)
    past_the_gate.set_model_version_tag("credit", bad.version, "aims.vsa", gate_kit.write_statement(good_statement))
    assert "about other files" in refused(gated.set_registered_model_alias, "credit", "champion", bad.version)
    # told to be about these files, it does not fit them
    moved = good_statement.model_copy(update={"source": statement_of(bad).source, "run_id": bad.run_id})
    past_the_gate.set_model_version_tag("credit", bad.version, "aims.vsa", gate_kit.write_statement(moved))
    assert "files changed since" in refused(gated.set_registered_model_alias, "credit", "champion", bad.version)


def test_a_forged_assessment_uploaded_to_the_run_counts_for_nothing(gated, tmp_path):
    version = make_version(gated, "signed")
    forged = gate_kit.write_statement(statement_of(version))
    gated.log_text(version.run_id, forged, "aims/assessment.json")
    gated.set_tag(version.run_id, "aims.vsa", forged)
    gated.set_tag(version.run_id, "aims.status", "pass")
    assert "was not assessed" in refused(gated.set_registered_model_alias, "signed", "champion", version.version)


def test_a_signature_is_over_everything_it_says(gated, past_the_gate, key):
    version = make_version(gated, "signed")
    signed = json.loads(gate_kit.write_statement(statement_of(version, rows=("A.7.4",)), key))
    better = json.loads(gate_kit.write_statement(statement_of(version)))
    signed["payload"] = better["payload"]
    refused(gated.set_model_version_tag, "signed", "1", "aims.vsa", json.dumps(signed))
    past_the_gate.set_model_version_tag("signed", "1", "aims.vsa", json.dumps(signed))
    assert "not signed by a trusted key" in refused(gated.set_registered_model_alias, "signed", "champion", "1")


def test_a_signed_assessment_is_not_replaced_by_an_unsigned_one(gated, key):
    version = make_version(gated)
    assess(gated, version, key)
    newer = gate_kit.write_statement(statement_of(version, assessed_at=gate_kit.datetime.now(gate_kit.UTC)))
    assert "this one is not" in refused(gated.set_model_version_tag, "credit", "1", "aims.vsa", newer)


def test_a_copy_of_a_copy_of_something_else_does_not_borrow_its_assessment(gated, past_the_gate):
    good, bad = make_version(gated), make_version(gated, text="worse")
    assess(gated, good)
    made = past_the_gate.create_model_version(
        "credit", f"runs:/{bad.run_id}/model", good.run_id, tags=tags_of(gated, good)
    )
    refused(gated.set_registered_model_alias, "credit", "champion", made.version)


@pytest.mark.parametrize(
    "source", ["models:/credit/99", "models:/absent/1", "models:/credit@champion", "models:/credit/٣"]
)
def test_sources_that_lead_nowhere_are_refused_by_somebody(gated, source):
    make_version(gated)
    with pytest.raises(MlflowException):
        made = gated.create_model_version("credit", source)
        gated.set_registered_model_alias("credit", "champion", made.version)


def test_copies_that_name_one_another_in_a_ring_end(gated, mlflow_store):
    import sqlalchemy

    for _ in range(2):
        make_version(gated)
    engine = gated._get_registry_client().store.engine
    with engine.begin() as connection:
        for version, other in ((1, 2), (2, 1)):
            connection.execute(
                sqlalchemy.text("UPDATE model_versions SET source = :s WHERE version = :v"),
                {"s": f"models:/credit/{other}", "v": version},
            )
    assert "too many times" in refused(gated.set_registered_model_alias, "credit", "champion", "1")


# Prompts


def test_a_model_does_not_become_a_prompt_to_slip_through(gated, past_the_gate):
    version = make_version(gated)
    refused(gated.set_registered_model_tag, "credit", "mlflow.prompt.is_prompt", "true")
    past_the_gate.set_registered_model_tag("credit", "mlflow.prompt.is_prompt", "true")
    store = gated._get_registry_client().store
    store.set_model_version_tag("credit", "1", ModelVersionTag("mlflow.prompt.is_prompt", "true"))
    refused(store.set_registered_model_alias, "credit", "champion", version.version)
    refused(store.transition_model_version_stage, "credit", version.version, "Production", False)


# Files


def test_a_location_does_not_leave_the_artifact_store(monkeypatch, tmp_path):
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", str(tmp_path / "served"))
    for path in ("/../secret", "/1/%2e%2e/%2e%2e/secret", "/1/../../secret", "/1/%00"):
        with pytest.raises(FilesUnreadable):
            served_location(f"mlflow-artifacts:{path}")
    assert served_location("mlflow-artifacts:/1/run/artifacts/model") == str(tmp_path / "served/1/run/artifacts/model")


def test_a_folder_that_cannot_be_trusted_is_unreadable(tmp_path):
    import os

    with pytest.raises(FilesUnreadable, match="cannot be read"):
        digests_at(str(tmp_path / "absent"), tracking_uri=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FilesUnreadable, match="no files"):
        digests_at(str(tmp_path / "empty"), tracking_uri=None)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "weights")
    with pytest.raises(FilesUnreadable, match="link or device"):
        digests_at(str(tmp_path / "pipe"), tracking_uri=None)
    deep = tmp_path / "deep"
    (deep / "/".join("d" * 40)).mkdir(parents=True)
    (deep / "/".join("d" * 40) / "f").write_text("x")
    with pytest.raises(FilesUnreadable, match="too many"):
        digests_at(str(deep), tracking_uri=None)


def test_a_file_changed_with_its_times_put_back_is_seen(tmp_path):
    import os

    (tmp_path / "m").mkdir()
    file = tmp_path / "m" / "weights"
    file.write_text("one")
    before, times = digests_at(str(tmp_path / "m"), tracking_uri=None), file.stat()
    file.write_text("two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = digests_at(str(tmp_path / "m"), tracking_uri=None)
    assert after.model_sha256 != before.model_sha256
    assert after.listing_sha256 == before.listing_sha256
