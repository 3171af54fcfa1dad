"""The portfolio over a real MLflow: which systems there are, which versions serve, and which assessments count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aims_mlflow.assessment import Status
from aims_mlflow.evidence import sha256_of
from aims_mlflow.evidence.base import Basis
from aims_mlflow.managing.portfolio import is_nothing_there, portfolio
from aims_mlflow.managing.records import ManagementRecords

from portfolio_kit import all_rows, declare, register, row  # isort: skip

S = Status
MET = {"A.6.2.4": row(), "A.7.4": row()}


@pytest.fixture
def records(mlflow_store):
    return ManagementRecords(config={})


def versions(found, system):
    return {one.uri: one for one in found.get(system).versions}


def test_two_systems_the_high_risk_one_first_each_by_its_own_versions_and_records(records):
    declare(records, "chat", risk_class="minimal", models=["chat"], owner="Head of Service")
    declare(records, "loans", risk_class="high", models=["credit-*"])
    register(records.client, "credit-pd", rows=all_rows(MET), system_id="loans")
    register(records.client, "chat", rows=all_rows({"A.7.4": row(S.NOT_SATISFIED, None)}), system_id="chat")
    records.file("awareness", {"statement": "All were trained."}, owner="People")
    records.file("awareness", {"statement": "Ours too."}, owner="Service", systems=["chat"])
    found = portfolio(records)
    assert [one.system for one in found.systems] == ["loans", "chat"]
    loans, chat = found.systems
    assert (loans.rows["A.7.4"].status, chat.rows["A.7.4"].status) == (S.SATISFIED, S.NOT_SATISFIED)
    assert (loans.rows["7.3"].owner, chat.rows["7.3"].owner) == ("People", "Service")
    assert chat.rows["A.7.4"].owner == "Head of Service"
    assert found.undeclared == () and found.problems == ()


@pytest.mark.parametrize(
    ("order", "classes"),
    [
        (
            ["p", "h", "u", "l", "m"],
            {"p": "prohibited", "h": "high", "u": "unclassified", "l": "limited", "m": "minimal"},
        )
    ],
)
def test_what_nobody_classified_comes_right_after_what_is_high_risk(records, order, classes):
    for system in reversed(order):
        declare(records, system, risk_class=classes[system])
    assert [one.system for one in portfolio(records).systems] == order


def test_without_any_system_the_organization_stands_alone(records):
    register(records.client, "orphan", rows=all_rows(MET))
    found = portfolio(records)
    assert [one.system for one in found.systems] == [None]
    assert found.undeclared == ("orphan",)
    assert "no AI system is declared" in found.systems[0].rows["A.7.4"].reason


def test_a_system_that_only_aims_yaml_names_counts(mlflow_store):
    config = {
        "system": {"id": "loans", "name": "Loans", "risk_class": "limited", "owner": {"name": "Head of Credit"}},
        "registered_models": ["credit"],
        "attestations": [
            {
                "topic": "awareness",
                "statement": "All were trained.",
                "owner": "People",
                "valid_from": "2026-01-01",
                "valid_until": "2099-01-01",
            }
        ],
    }
    records = ManagementRecords(config=config)
    register(records.client, "credit", rows=all_rows(MET), system_id="loans")
    declare(records, "chat", risk_class="minimal")
    found = portfolio(records)
    loans = found.get("loans")
    assert (loans.name, loans.owner, loans.models) == ("Loans", "Head of Credit", ("credit",))
    assert loans.rows["A.7.4"].status is S.SATISFIED
    assert loans.rows["7.3"].status is S.SATISFIED
    assert found.get("chat").rows["7.3"].status is S.NEEDS_ATTESTATION  # stated of the other system alone
    assert found.undeclared == ()


def test_versions_serve_by_alias_or_stage_and_no_other_counts(records):
    declare(records, "loans", models=["credit"])
    bad = all_rows({"A.7.4": row(S.NOT_SATISFIED, None)})
    register(records.client, "credit", alias=None, rows=bad)
    register(records.client, "credit", alias="champion", rows=all_rows(MET))
    register(records.client, "credit", alias=None, stage="Production", rows=all_rows(MET))
    register(records.client, "credit", alias=None, stage="Archived", rows=bad)
    found = portfolio(records)
    assert {uri: one.targets for uri, one in versions(found, "loans").items()} == {
        "credit/2": ("alias champion",),
        "credit/3": ("stage Production",),
    }
    assert found.get("loans").rows["A.7.4"].status is S.SATISFIED


@pytest.mark.parametrize(
    ("changes", "problem", "status"),
    [
        ({"unassessed": True}, "it was never assessed", S.NO_EVIDENCE),
        ({"tags": {"aims.vsa": "{broken"}}, "its assessment cannot be read", S.ERROR),
        ({"source": "file:///models/other"}, "its assessment is about other files", S.ERROR),
        ({"system_id": "chat"}, "it was assessed as a version of the system chat", S.ERROR),
        ({"catalog_sha256": sha256_of(b"old")}, "it was assessed against another register", S.NO_EVIDENCE),
        ({"tags": {"aims.status": "not-assessed"}}, "its assessment no longer counts", S.NO_EVIDENCE),
        ({"tags": {"aims.status": "error"}}, "what was assessed has changed since", S.ERROR),
        ({"assessed_at": datetime.now(UTC) + timedelta(days=2)}, "later than the moment", S.NO_EVIDENCE),
    ],
)
def test_an_assessment_that_is_absent_unreadable_or_of_something_else_is_never_a_pass(
    records, changes, problem, status
):
    declare(records, "loans", models=["credit"])
    given = dict(changes)
    other = given.pop("source", None)
    register(records.client, "credit", rows=all_rows(MET), **given)
    if other:
        from portfolio_kit import statement

        from aims_mlflow.gate.statement import TAG, write_statement

        said = write_statement(statement(other, rows=all_rows(MET)))
        records.client.set_model_version_tag("credit", "1", TAG, said)
    found = portfolio(records)
    one = versions(found, "loans")["credit/1"]
    assert problem in one.problem and one.statement is None
    assert "aims assess models:/credit/1" in one.remedy
    assert {row_.status for row_ in found.get("loans").rows.values()} & {S.SATISFIED} == set()
    assert found.get("loans").rows["A.7.4"].status is status


def test_an_unsigned_assessment_does_not_count_where_the_gate_asks_for_a_signature(mlflow_store):
    config = {
        "system": {"id": "loans", "risk_class": "high"},
        "registered_models": ["credit"],
        "gate": {
            "guarded": [{"models": ["credit"], "aliases": ["champion"], "profile": "strict"}],
            "profiles": {"strict": {"controls": ["A.7.4"], "signed": True}},
            "trusted_keys": {"ci": "ed25519:" + "A" * 43 + "="},
        },
    }
    records = ManagementRecords(config=config)
    register(records.client, "credit", rows=all_rows(MET), system_id="loans")
    assert "not signed" in versions(portfolio(records), "loans")["credit/1"].problem


def test_a_copied_version_stands_by_the_assessment_of_its_files(records):
    declare(records, "loans", models=["live"])
    original = register(records.client, "credit", alias=None, rows=all_rows(MET))
    copied = records.client.copy_model_version("models:/credit/1", "live")
    assert copied.source == "models:/credit/1" and original.source != copied.source
    records.client.set_registered_model_alias("live", "champion", copied.version)
    assert versions(portfolio(records), "loans")["live/1"].problem == ""


def test_a_deleted_record_of_a_system_does_not_make_the_system_vanish(records):
    """A bad system must not leave the gap by losing its record."""
    filed = declare(records, "loans", models=["credit"])
    declare(records, "chat", risk_class="minimal")
    register(records.client, "credit", rows=all_rows(MET))
    records.client.delete_run(filed.run_id)
    found = portfolio(records)
    assert [one.system for one in found.systems] == ["loans", "chat"]
    assert found.get("loans").risk_class == "unclassified"
    assert any("deleted" in problem for problem in found.problems)
    assert all(one.status is not S.SATISFIED for one in found.get("loans").rows.values())


def test_a_withdrawn_system_is_gone(records):
    declare(records, "loans")
    declare(records, "chat")
    records.withdraw("system", "loans", reason="Switched off.")
    assert [one.system for one in portfolio(records).systems] == ["chat"]


def test_the_statement_of_applicability_of_one_system_leaves_the_other_alone(records):
    declare(records, "loans")
    declare(records, "chat", risk_class="minimal")
    lines = {"A.10.4": {"applicable": False, "justification": "It serves ourselves alone."}}
    records.file(
        "soa",
        {"lines": lines},
        owner="Head of AI",
        approver="Board",
        systems=["chat"],
        document="https://x.example/soa",
    )
    found = portfolio(records)
    assert found.get("chat").rows["A.10.4"].status is S.NOT_APPLICABLE
    assert found.get("loans").rows["A.10.4"].status is S.NEEDS_ATTESTATION


def test_at_an_earlier_moment_only_what_was_known_then_counts(records):
    before = datetime.now(UTC) - timedelta(days=1)
    declare(records, "loans", models=["credit"])
    register(records.client, "credit", rows=all_rows({"A.10.3": row(S.NEEDS_ATTESTATION, Basis.MEASURED, unmet=1)}))
    records.file("supplier_process", {"statement": "We check them."}, owner="Buyer")
    assert portfolio(records).get("loans").rows["A.10.3"].status is S.SATISFIED
    then = portfolio(records, records.state(before))
    assert [one.system for one in then.systems] == [None]
    assert all(one.status is not S.SATISFIED for one in then.systems[0].rows.values())


@pytest.mark.parametrize("uri", ["sqlite:///absent.db", "sqlite:////nowhere/at/all.db", "./mlruns", "file:///nowhere"])
def test_a_place_mlflow_would_only_make_holds_nothing(uri, tmp_path):
    assert is_nothing_there(uri)
    assert not any(path.suffix == ".db" for path in tmp_path.iterdir())


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "postgresql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_server_or_database_elsewhere_is_asked(uri):
    assert not is_nothing_there(uri)


def test_a_database_that_is_there_is_asked(mlflow_store):
    assert not is_nothing_there(mlflow_store)
    assert not is_nothing_there()
