"""The sweep names what passed by the gate, what no longer holds, and what was left undone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gate_kit import assess
from watch_kit import (
    CHAMPION,
    MlflowClient,
    kinds,
    set_alias,
    set_stage,
    sql,
    sweep,
    version_with_evidence,
    write_policy,
)

from aims_mlflow.errors import ConfigError, InputError
from aims_mlflow.evidence import sha256_of
from aims_mlflow.gate.entries import FailedEntry, FoundEntry, Level, MoveEntry
from aims_mlflow.registry.anchors import default_anchors
from aims_mlflow.registry.keys import server_key
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.reconcile.reading import versions_of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def client(mlflow_store, tmp_path):
    write_policy(tmp_path)
    return MlflowClient()


def entries(client, model="credit"):
    return TransitionLog(client).read(model, fresh=True)


# Nothing found


def test_a_registry_that_agrees_with_its_log_is_clean(client):
    first, second = version_with_evidence(client), version_with_evidence(client)
    set_alias(client, "credit", first.version)
    set_alias(client, "credit", second.version)
    set_stage(client, "credit", first.version)
    client.set_registered_model_alias("credit", "unguarded", first.version)
    result = sweep()
    assert result.clean, result.findings
    assert result.models == ("credit",)
    assert result.policy_sha256


def test_without_a_policy_it_could_not_run_and_a_model_that_never_was_is_an_error(client, tmp_path):
    with pytest.raises(InputError, match="nobody"):
        sweep("nobody")
    (tmp_path / "aims.yaml").write_text("system: {id: loans, risk_class: minimal}\n")
    with pytest.raises(ConfigError, match="policy"):
        sweep()


# (a) past the gate


def test_an_alias_moved_with_the_plain_client_is_found_and_can_be_put_on_record(client):
    first, second = version_with_evidence(client), version_with_evidence(client)
    set_alias(client, "credit", first.version)
    client.set_registered_model_alias("credit", "champion", second.version)
    (found,) = sweep().findings
    assert (str(found.kind), str(found.level), found.version) == ("bypassed", "detected", "2")
    assert found.target == CHAMPION
    assert "--fix-log" in found.remedy
    assert "`aims promote credit 1 --to champion` puts it back" in found.remedy
    (found,) = sweep(fix_log=True).findings
    assert found.recorded
    last = entries(client)[-1]
    assert isinstance(last, FoundEntry)
    assert (last.version, last.from_version, str(last.level)) == ("2", "1", "detected")
    assert sweep().clean


def test_an_alias_written_into_the_database_is_found(client, mlflow_store):
    first, second = version_with_evidence(client), version_with_evidence(client)
    set_alias(client, "credit", second.version)
    set_alias(client, "credit", first.version)
    set_alias(client, "credit", first.version)
    sql(mlflow_store, "UPDATE registered_model_aliases SET version = ? WHERE name = 'credit'", int(second.version))
    assert [f.version for f in sweep().findings] == ["2"]
    sql(mlflow_store, "DELETE FROM registered_model_aliases WHERE name = 'credit'")
    (found,) = sweep().findings
    assert found.version is None
    assert "names no version" in found.what


def test_a_stage_written_into_the_database_is_found(client, mlflow_store):
    first, second = version_with_evidence(client), version_with_evidence(client)
    set_stage(client, "credit", first.version)
    sql(mlflow_store, "UPDATE model_versions SET current_stage = 'Production' WHERE version = ?", int(second.version))
    (found,) = sweep().findings
    assert (str(found.kind), found.version, found.target.name) == ("bypassed", "2", "Production")


def test_a_model_deleted_while_it_served_is_found(client):
    set_alias(client, "credit", version_with_evidence(client).version)
    client.delete_registered_model("credit")
    (found,) = sweep().findings
    assert (str(found.kind), found.target) == ("bypassed", CHAMPION)


def test_a_version_made_past_the_gate_where_making_is_guarded_is_found(client):
    version_with_evidence(client, "live")
    (found,) = sweep().findings
    assert (found.target.kind, found.version) == ("registration", "1")
    sweep(fix_log=True)
    assert sweep().clean


def test_a_model_that_passes_for_a_prompt_is_looked_at_all_the_same(client):
    version = version_with_evidence(client)
    client.set_registered_model_alias("credit", "champion", version.version)
    client.set_registered_model_tag("credit", "mlflow.prompt.is_prompt", "true")
    assert kinds(sweep()) == ["bypassed", "tags"]


# (b) never made


def test_a_move_written_down_and_never_made_is_named_and_can_be_noted(client):
    class Killed(BaseException):
        pass

    def die():
        raise Killed

    first, second = version_with_evidence(client), version_with_evidence(client)
    set_alias(client, "credit", first.version)
    with pytest.raises(Killed):
        set_alias(client, "credit", second.version, do=die)
    (found,) = sweep().findings
    assert (str(found.kind), found.version, str(found.level)) == ("not-made", "2", "advised")
    assert sweep(settled=timedelta(hours=1)).clean
    sweep(fix_log=True)
    last = entries(client)[-1]
    assert isinstance(last, FailedEntry)
    assert last.move == 2
    assert sweep().clean


# (c) lapsed


def test_what_serves_on_an_old_assessment_lapses_and_is_tagged_where_asked_to(client):
    version = version_with_evidence(client)
    set_alias(client, "credit", version.version)
    later = datetime.now(UTC) + timedelta(days=31)
    (found,) = sweep(at=later).findings
    assert (str(found.kind), str(found.level)) == ("lapsed", "advised")
    assert "days old" in found.what
    assert found.tagged is None
    assert sweep(at=later, tag=True).findings[0].tagged == "stale"
    assert client.get_model_version("credit", version.version).tags["aims.status"] == "stale"


def test_the_level_says_who_decided_and_what_is_only_observed_is_said(client, tmp_path):
    version = version_with_evidence(client)
    set_alias(client, "credit", version.version, level=Level.ENFORCED)
    later = datetime.now(UTC) + timedelta(days=31)
    assert [str(f.level) for f in sweep(at=later).findings] == ["enforced"]
    write_policy(tmp_path, mode="observe")
    (found,) = sweep(at=later).findings
    assert "observed" in found.what


# (d) without assessment, or changed


def test_what_serves_without_an_assessment_is_found(client):
    version = version_with_evidence(client, assessed=False)
    client.set_registered_model_alias("credit", "champion", version.version)
    result = sweep(tag=True)
    assert kinds(result) == ["bypassed", "unassessed"]
    assert client.get_model_version("credit", version.version).tags["aims.status"] == "not-assessed"


def test_versions_without_assessment_that_do_not_serve_are_one_finding_a_model(client):
    for _ in range(3):
        version_with_evidence(client, assessed=False)
    (found,) = sweep().findings
    assert (str(found.kind), found.version) == ("unassessed", None)
    assert "3 versions" in found.what
    assert sweep(since=datetime.now(UTC) + timedelta(hours=1)).clean


def model_file(client, version):
    root = client.get_run(version.run_id).info.artifact_uri.removeprefix("file://")
    return Path(root) / "model" / "data" / "weights.txt"


def test_changed_model_files_are_found_by_content_where_size_and_time_are_the_same(client):
    import os

    version = version_with_evidence(client)
    set_alias(client, "credit", version.version)
    file = model_file(client, version)
    before = file.stat()
    file.write_text("w3ights")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    (found,) = sweep().findings
    assert str(found.kind) == "changed"
    assert "files changed" in found.what


def test_evidence_altered_behind_its_manifest_is_found(client):
    version = version_with_evidence(client)
    set_alias(client, "credit", version.version)
    root = Path(client.get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
    (file,) = (root / "aims" / "evidence").glob("my.kind-*.json")
    file.write_text(file.read_text().replace('"a":1', '"a":2'))
    (found,) = sweep().findings
    assert str(found.kind) == "changed"
    assert "manifest" in found.what


def test_versions_that_do_not_serve_are_read_in_full_on_demand(client):
    version = version_with_evidence(client)
    model_file(client, version).write_text("other")
    assert sweep().clean
    assert kinds(sweep(full=True)) == ["changed"]


# (e) runs


def test_a_run_left_running_is_found_and_records_are_not(client):
    long_ago = int((time.time() - 30 * 3600) * 1000)
    left = client.create_run("0", start_time=long_ago)
    client.create_run("0", start_time=long_ago, tags={"aims.kind": "records"})
    client.create_run("0")
    (found,) = sweep().findings
    assert (str(found.kind), found.run_id) == ("running", left.info.run_id)
    assert sweep(running_hours=48).clean
    assert sweep(since=datetime.now(UTC) - timedelta(hours=2)).clean


# (f) the log


def test_a_log_altered_in_the_database_is_found_and_nothing_rests_on_it(client, mlflow_store):
    version = version_with_evidence(client)
    set_alias(client, "credit", version.version)
    sql(mlflow_store, "UPDATE params SET value = replace(value, 'alice', 'mallory') WHERE key = '000001'")
    result = sweep()
    assert "log" in kinds(result)
    assert any("log" in f.what and f.target == CHAMPION for f in result.findings if str(f.kind) != "log")


def test_a_log_cut_short_is_found_by_the_anchor_file(client, mlflow_store):
    first, second = version_with_evidence(client), version_with_evidence(client)
    set_alias(client, "credit", first.version)
    set_alias(client, "credit", second.version)
    sql(mlflow_store, "DELETE FROM params WHERE key = '000002'")
    client.set_registered_model_alias("credit", "champion", first.version)
    assert "log" in kinds(sweep())
    default_anchors().unlink()
    assert sweep().clean  # without its anchor nobody could tell


def test_an_entry_that_only_says_it_is_the_servers_is_found_where_the_servers_key_is_known(client):
    version = version_with_evidence(client)
    server_key()
    forged = {"number": 1, "at": datetime.now(UTC), "model": "credit", "version": "1", "level": Level.ENFORCED}
    move = {"target": CHAMPION, "operation": "set_registered_model_alias", "outcome": "allow", "mode": "enforce"}
    TransitionLog(client).append(MoveEntry(**forged, **move))
    client.set_registered_model_alias("credit", "champion", version.version)
    assert "log" in kinds(sweep())


# (g) tags


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aims.status", "pass"),
        ("aims.assessed", "2020-01-01"),
        ("aims.evidence", sha256_of(b"other")[:23]),
        ("aims.gate", '{"champion": "allow", "digest": "0123456789abcdef"}'),
        ("aims.gate", "no json"),
        ("aims.approved", "yes"),
    ],
)
def test_tags_that_say_other_than_the_assessment_are_found(client, key, value):
    version = version_with_evidence(client)
    client.set_model_version_tag("credit", version.version, key, value)
    (found,) = sweep().findings
    assert str(found.kind) == "tags"


@pytest.mark.parametrize("status", ["stale", "not-assessed", "error", "warn"])
def test_a_status_that_says_less_contradicts_nothing(client, status):
    version = version_with_evidence(client)
    client.set_model_version_tag("credit", version.version, "aims.status", status)
    assert sweep().clean


def test_a_pass_without_an_assessment_is_a_contradiction(client):
    version = version_with_evidence(client, assessed=False)
    client.set_model_version_tag("credit", version.version, "aims.status", "pass")
    assert kinds(sweep()) == ["tags", "unassessed"]


# Names


@pytest.mark.parametrize("name", ["credit-it's", 'credit-"q"', "credit-größe", "credit-a@b", "credit-%", "credit-\\'"])
def test_names_that_could_lead_elsewhere_are_read_as_names(client, name):
    version = version_with_evidence(client, name)
    client.set_registered_model_alias(name, "champion", version.version)
    result = sweep(name)
    if "\\" in name:
        assert result.unreadable
    else:
        assert kinds(result) == ["bypassed"]
        assert [v.name for v in versions_of(client, name)] == [name]


def test_an_unsigned_assessment_where_signatures_are_asked_for_is_found(client):
    version = version_with_evidence(client, "signed")
    client.set_registered_model_alias("signed", "champion", version.version)
    assert kinds(sweep()) == ["bypassed", "never-valid"]  # nothing was ever allowed, so nothing lapsed
    assess(client, version)
