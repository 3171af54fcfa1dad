"""``attest``, ``search_records``, ``withdraw_record``: statements on record, and every way to get one wrong."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import mlflow
import pytest

import aims_mlflow
from aims_mlflow.catalog import load_catalog
from aims_mlflow.errors import ConfigError, DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence import DocumentRef, sha256_of
from aims_mlflow.filing import RecordStore
from aims_mlflow.management.types import record_types
from aims_mlflow.managing import attesting
from aims_mlflow.managing.attesting import STATED, VERBS, file_filled
from aims_mlflow.managing.records import ManagementRecords

TODAY = datetime.now(UTC).date()
CATALOG = load_catalog(())
OTHERS = [name for name, kind in record_types(CATALOG).items() if not kind.is_topic and name not in STATED]


@pytest.fixture
def policy(mlflow_store, tmp_path):
    path = tmp_path / "policy.md"
    path.write_text("# AI policy\n")
    return path


def attest(topic="ai_policy", statement="In force.", owner="Head of AI", **more):
    return aims_mlflow.attest(topic, statement, owner=owner, **more)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def stored():
    return RecordStore(mlflow.MlflowClient())


def finding(row):
    with mlflow.start_run() as run:
        pass
    return next(f for f in aims_mlflow.assess(run.info.run_id, config={}, attach=False).findings if f.id == row)


def test_a_whole_statement_meets_its_rows_and_nothing_is_warned_of(policy, caplog):
    record = attest(approver="Board", document=policy, role="Head", valid_until="2099-12-31")
    assert (record.link, record.revision, record.valid_from) == ("ai_policy:ai_policy", 1, TODAY)
    assert record.valid_until == date(2099, 12, 31)
    assert record.document == DocumentRef(title="policy.md", sha256=sha256_of(policy.read_bytes()))
    assert warnings(caplog) == []
    assert finding("5.2").status == "satisfied"
    assert finding("A.2.2").basis == "attested"


@pytest.mark.parametrize("lacking", ["document", "approver"])
def test_what_a_row_asks_for_and_the_statement_lacks_is_warned_of_and_filed(policy, caplog, lacking):
    given = {"document": policy, "approver": "Board"} | {lacking: None}
    attest(**given)
    (said,) = warnings(caplog)
    assert "5.2, A.2.2 not met by it" in said
    assert f"it names no {lacking}" in said
    assert f"File it again with --{lacking}" in said
    assert finding("5.2").status == "needs-attestation"


def test_a_statement_that_starts_later_is_filed_and_says_from_when_it_counts(policy, caplog):
    begins = TODAY + timedelta(days=30)
    record = attest(approver="Board", document=policy, valid_from=begins)
    assert record.valid_until == begins + timedelta(days=365)
    assert f"not valid before {begins}" in warnings(caplog)[0]


def test_the_next_edition_is_the_next_revision_and_the_first_stays_readable(policy):
    attest(statement="First.", approver="Board", document=policy)
    second = attest(statement="Second.", approver="Board", document=policy)
    assert second.revision == 2
    (record,) = aims_mlflow.search_records("ai_policy")
    assert record.content["statement"] == "Second."
    filed, _ = stored().everything()
    assert {one.record.content["statement"] for one in filed} == {"First.", "Second."}


def test_there_is_a_record_for_every_topic_and_reported_type(mlflow_store):
    topics = [*CATALOG.topics, *STATED]
    for topic in topics:
        record = attest(topic)
        assert record.type == record.id == topic
    assert [record.type for record in aims_mlflow.search_records()] == sorted(topics)


@pytest.mark.parametrize("type_id", OTHERS)
def test_what_is_more_than_a_statement_names_the_command_that_makes_it(mlflow_store, type_id):
    assert type_id in VERBS
    with pytest.raises(InputError, match="more than a statement") as found:
        attest(type_id)
    assert VERBS[type_id] in found.value.remedy


def test_answers_and_facts_are_kept_by_heading(mlflow_store):
    record = attest(answers={"What we use AI for": "Credit."}, role="CTO")
    assert record.content["answers"] == {"What we use AI for": "Credit."}
    assert record.content["role"] == "CTO"
    extract = attest("access_list", answers={"people": 4, "admins": ["IT"]}, verdict="pass")
    assert extract.content["facts"] == {"people": 4, "admins": ["IT"]}
    assert extract.content["verdict"] == "pass"
    review = attest("incident_log", answers={"Period": "Q1"})
    assert "Q1" in review.content["statement"]


def test_an_extract_meets_its_row_and_a_failed_one_does_not(mlflow_store, caplog):
    attest("retention")
    assert warnings(caplog) == []
    attest("access_list", verdict="fail")
    assert "7.5.3 not met by it" in warnings(caplog)[0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"topic": "ai_polcy"}, "no record type 'ai_polcy'.* Did you mean ai_policy"),
        ({"statement": "  "}, "the statement is empty"),
        ({"statement": None}, "needs what it says and its owner"),
        ({"statement": 5}, "expected a text, found int"),
        ({"owner": None}, "needs what it says and its owner"),
        ({"owner": " "}, "needs an owner"),
        ({"owner": "Ann Lee and Bob Ray"}, "more than one owner"),
        ({"owner": ["Ann Lee", "Bob Ray"]}, "found list.*the one who answers"),
        ({"valid_until": TODAY - timedelta(days=1)}, "ended on .* nothing could rest on it|before it begins"),
        ({"valid_from": "2020-01-01", "valid_until": "2020-12-31"}, "ended on 2020-12-31, before it was filed"),
        ({"valid_from": "2031-01-01", "valid_until": "2030-01-01"}, "before it begins on 2031-01-01. Swap"),
        ({"valid_until": "next year"}, "is no date"),
        ({"valid_until": "2027-02-30"}, "is no date"),
        ({"system": "nowhere"}, "there is no system 'nowhere'"),
        ({"system": "a", "systems": ["a"]}, "system or systems"),
        ({"supports": "5.22"}, "no clause or control '5.22'"),
        ({"supports": "A.3.3"}, "A.3.3 does not rest on 'ai_policy'.* concerns_channel"),
        ({"topic": "retention", "supports": "5.2"}, "5.2 does not rest on 'retention'.* 7.5.3"),
        ({"links": "risk:R-9"}, "no record 'risk:R-9'"),
        ({"links": "R-9"}, "no record 'R-9'|not valid"),
        ({"links": "ai_policy:ai_policy"}, "rest on itself"),
        ({"id": "bad id!"}, "not valid"),
        ({"document": "nofile.pdf"}, "there is no file 'nofile.pdf'"),
        ({"document": Path("nofile.pdf")}, "there is no file"),
        ({"document": "."}, "one file, not a folder"),
        ({"document_sha256": "ab" * 32}, "needs the document it is of"),
        ({"document": "https://example.org/p", "document_sha256": "abc"}, "no SHA-256"),
        ({"document": DocumentRef(title="x", sha256="sha256:" + "ab" * 32)}, "leads nowhere"),
        ({"verdict": "fail"}, "a statement has no verdict"),
        ({"answers": {"a": 5}}, "an answer is a text"),
        ({"topic": "retention", "answers": {"a": float("nan")}}, "NaN"),
        ({"topic": "retention", "answers": {"a": object()}}, "JSON has no form"),
        ({"topic": "retention", "answers": {"a": "\ud800"}}, "JSON has no form"),
        ({"answers": {"\ud800": "x"}}, "JSON has no form"),
        ({"statement": "a\ud800"}, "not valid|unicode"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_filed(mlflow_store, wrong, says):
    given = {"topic": "ai_policy", "statement": "In force.", "owner": "Head of AI"} | wrong
    with pytest.raises(InputError, match=says):
        aims_mlflow.attest(given.pop("topic"), given.pop("statement"), **given)
    assert stored().everything() == ([], [])


def test_a_document_with_nothing_in_it_or_too_much_is_refused(mlflow_store, tmp_path):
    empty, large = tmp_path / "empty.md", tmp_path / "scan.pdf"
    empty.touch()
    with large.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(InputError, match="is empty"):
        attest(document=empty)
    with pytest.raises(InputError, match="100 MiB") as found:
        attest(document=large)
    assert stored().everything() == ([], [])
    digest = found.value.remedy.rpartition("--document-sha256 ")[2].rstrip(".")
    record = attest(document="https://example.org/scan.pdf", document_sha256=digest)
    assert record.document == DocumentRef(title="scan.pdf", uri="https://example.org/scan.pdf", sha256=digest)


def test_a_hash_is_held_against_the_file_and_kept_with_the_address(policy, caplog):
    digest = sha256_of(policy.read_bytes())
    assert attest(document=policy, document_sha256=digest.removeprefix("sha256:").upper()).document.sha256 == digest
    with pytest.raises(InputError, match="not the one the hash is of") as found:
        attest(document=policy, document_sha256="0" * 64)
    assert digest in found.value.remedy
    caplog.clear()
    attest(document="https://example.org/p", approver="Board")
    assert any("without a hash" in said for said in warnings(caplog))


def test_a_record_for_one_row_meets_that_row_alone(policy, caplog):
    attest(approver="Board", document=policy, supports="5.2")
    assert warnings(caplog) == []
    assert (finding("5.2").status, finding("A.2.2").status) == ("satisfied", "needs-attestation")


def test_a_record_of_a_system_has_its_own_id(mlflow_store):
    config = {"system": {"id": "credit", "name": "Credit"}}
    record = attest("user_information", system="credit", config=config)
    assert (record.id, record.systems) == ("user_information-credit", ("credit",))


def test_search_filters_and_leaves_out_what_was_withdrawn(mlflow_store):
    config = {"system": {"id": "credit", "name": "Credit"}}
    attest(owner="Ann Lee")
    attest("concerns_channel")
    attest("user_information", system="credit", config=config)
    links = [record.link for record in aims_mlflow.search_records()]
    assert links == [
        "ai_policy:ai_policy",
        "concerns_channel:concerns_channel",
        "user_information:user_information-credit",
    ]
    assert [r.link for r in aims_mlflow.search_records("ai_policy")] == links[:1]
    assert [r.link for r in aims_mlflow.search_records(owner="ann lee")] == links[:1]
    assert [r.link for r in aims_mlflow.search_records(system="credit")] == links[2:]
    gone = aims_mlflow.withdraw_record("ai_policy:ai_policy", reason="Superseded.")
    assert (gone.revision, gone.withdrawn) == (2, "Superseded.")
    assert [r.link for r in aims_mlflow.search_records()] == links[1:]
    assert [r.link for r in aims_mlflow.search_records(include_withdrawn=True)] == links
    with pytest.raises(InputError, match="no record type"):
        aims_mlflow.search_records("ai_polcy")


def test_search_as_of_says_what_was_on_record_then(mlflow_store):
    before = datetime.now(UTC) - timedelta(seconds=1)
    first = attest(statement="First.")
    attest(statement="Second.")
    aims_mlflow.withdraw_record("ai_policy:ai_policy", reason="Wrong.")
    assert aims_mlflow.search_records(at=before) == []
    assert aims_mlflow.search_records(at=first.recorded_at) == [first]
    assert aims_mlflow.search_records(at=TODAY) == []
    assert aims_mlflow.search_records(at=str(TODAY)) == []
    for wrong, says in (("2999-01-01", "in the future"), ("soon", "neither a day"), (datetime(2026, 1, 1), "zone")):  # noqa: DTZ001
        with pytest.raises(InputError, match=says):
            aims_mlflow.search_records(at=wrong)


def test_search_leaves_out_what_is_broken_and_warns(mlflow_store, caplog):
    attest()
    attest("concerns_channel")
    (broken,) = [one for one in stored().everything()[0] if one.record.type == "ai_policy"]
    mlflow.MlflowClient().delete_run(broken.run_id)
    caplog.clear()
    assert [r.type for r in aims_mlflow.search_records()] == ["concerns_channel"]
    (said,) = warnings(caplog)
    assert "ai_policy:ai_policy: revision 1 was deleted" in said
    assert finding("5.2").status == "error"
    with pytest.raises(EvidenceError, match="was deleted"):
        attest()
    with pytest.raises(EvidenceError, match="was deleted"):
        aims_mlflow.withdraw_record("ai_policy:ai_policy", reason="x")


@pytest.mark.parametrize(
    ("link", "reason", "says"),
    [
        ("ai_policy", "x", "names no record"),
        ("ai_policy:", "x", "names no record"),
        ("ai_policy:nowhere", "x", "no record ai_policy:nowhere"),
        ("nothing:x", "x", "no record type"),
        ("ai_policy:ai_policy", "  ", "needs a reason"),
    ],
)
def test_a_withdrawal_that_is_wrong_says_so(mlflow_store, link, reason, says):
    attest()
    with pytest.raises(InputError, match=says):
        aims_mlflow.withdraw_record(link, reason=reason)
    assert [r.revision for r in aims_mlflow.search_records()] == [1]


def test_what_was_withdrawn_counts_for_nothing_and_can_be_stated_anew(policy):
    attest(approver="Board", document=policy)
    aims_mlflow.withdraw_record("ai_policy:ai_policy", reason="Wrong.")
    assert finding("5.2").status == "needs-attestation"
    with pytest.raises(InputError, match="was withdrawn: Wrong"):
        aims_mlflow.withdraw_record("ai_policy:ai_policy", reason="again")
    assert attest(approver="Board", document=policy).revision == 3
    assert finding("5.2").status == "satisfied"


def test_without_mlflow_or_with_a_wrong_declaration_nothing_is_filed(mlflow_store, tmp_path):
    with pytest.raises(DeliveryError, match="does not answer"):
        attest(tracking_uri="http://127.0.0.1:9")
    with pytest.raises(ConfigError):
        attest(config=tmp_path / "nowhere.yaml")


def test_a_filled_template_is_filed_and_is_its_own_document_where_it_names_none(mlflow_store, tmp_path):
    path = tmp_path / "filled.md"
    path.write_text(
        "---\ntype: ai_policy\nowner: Head of AI\napprover: Board\nvalid_until: 2099-12-31\n---\n# AI policy\n\n"
        "## Statement\n\nIn force since May.\n\n## What we use AI for\n\nCredit scoring.\n"
    )
    done = file_filled(ManagementRecords(), path)
    record = done.filed.record
    assert record.content["statement"] == "In force since May."
    assert record.content["answers"]["What we use AI for"] == "Credit scoring."
    assert record.document.sha256 == sha256_of(path.read_bytes())
    assert [row.row for row in done.rows if row.is_met] == ["5.2", "A.2.2"]
    assert stored().document(done.filed) == path.read_bytes()


def test_a_filled_template_names_its_document_beside_it(mlflow_store, tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "policy.pdf").write_bytes(b"%PDF")
    path = folder / "filled.md"
    path.write_text(
        "---\ntype: ai_policy\nowner: Head of AI\napprover: Board\ndocument: policy.pdf\n---\n"
        "## Statement\n\nIn force.\n"
    )
    assert file_filled(ManagementRecords(), path).filed.record.document.title == "policy.pdf"
    with pytest.raises(InputError, match="of type 'ai_policy', not 'concerns_channel'"):
        file_filled(ManagementRecords(), path, "concerns_channel")
    (folder / "policy.pdf").unlink()
    with pytest.raises(InputError, match="there is no file"):
        file_filled(ManagementRecords(), path)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_filled_template_that_cannot_be_read_is_named(mlflow_store, tmp_path, content):
    path = tmp_path / "filled.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"filled\.md"):
        file_filled(ManagementRecords(), path)


def test_a_filled_risk_is_filed_and_what_a_command_fills_in_is_left_to_it(mlflow_store, tmp_path):
    path = tmp_path / "risk.yaml"
    risk = "type: risk\nid: R-1\nowner: Head of AI\ncontent:\n  title: Wrong refusals\n  source: training_data\n"
    path.write_text(risk + "  likelihood: 3\n  consequence: 3\n  review_by: 2099-01-01\n")
    done = file_filled(ManagementRecords(), path)
    assert (done.filed.record.link, done.filed.record.document) == ("risk:R-1", None)
    assert {row.row for row in done.rows} == {"6.1.3", "8.2", "8.3"}
    path.write_text(
        "type: incident\nid: I-1\nowner: Head of AI\nsystem: credit\ncontent:\n  title: Outage\n  severity: minor\n"
        "  aware_at: 2026-01-01T08:00:00Z\n"
    )
    with pytest.raises(InputError, match="more than the file says") as found:
        file_filled(ManagementRecords(), path)
    assert "aims incident open" in found.value.remedy


def test_the_exports_are_lazy_and_there():
    assert {"attest", "search_records", "withdraw_record"} <= set(aims_mlflow.__all__)
    assert aims_mlflow.attest is attesting.attest
