"""What callers hand to ``log_evidence``: dates, documents, kinds and content, read or refused with a plain error."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, date, datetime
from pathlib import Path

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aims_mlflow
from aims_mlflow.api.given import document_of, refuse_infinite
from aims_mlflow.assessment import Status
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef

STATEMENT = {"topic": "leadership_commitment", "statement": "It is so.", "owner": "Head of Quality"}


def attest(**more):
    return aims_mlflow.log_evidence("attestation", **{**STATEMENT, "valid_until": "2099-01-31", **more})


def test_dates_may_be_iso_text(mlflow_store):
    with mlflow.start_run():
        made = attest(valid_from="2026-01-01")
        zoned = attest(valid_until="2099-01-31T12:00:00+02:00")
    assert made.valid_until == datetime(2099, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert made.valid_from == date(2026, 1, 1)
    assert zoned.valid_until == datetime(2099, 1, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize("wrong", ["31.1.2099", "2099-13-01", "soon", "", 2099, ["2099-01-31"]])
@pytest.mark.parametrize("where", ["valid_until", "valid_from"])
def test_what_is_no_date_is_said_where_it_stands(mlflow_store, where, wrong):
    with mlflow.start_run() as run, pytest.raises(InputError, match=where) as raised:
        attest(**{where: wrong})
    assert "2027-01-31" in raised.value.remedy
    assert aims_mlflow.load_evidence(run.info.run_id) == []


def test_a_document_is_a_title_a_uri_or_a_file(tmp_path):
    (tmp_path / "policy.md").write_text("We mean it.\n")
    digest = "sha256:" + hashlib.sha256(b"We mean it.\n").hexdigest()
    assert document_of("AI policy, edition 3") == DocumentRef(title="AI policy, edition 3")
    uri = "https://wiki.example.org/policies/ai-policy"
    assert document_of(uri) == DocumentRef(title="ai-policy", uri=uri)
    assert document_of("policy.md") == DocumentRef(title="policy.md", sha256=digest)
    assert document_of(Path("policy.md")).sha256 == digest
    away = document_of(str(tmp_path / "policy.md"))
    assert (away.title, away.sha256) == ("policy.md", digest)
    assert str(tmp_path) not in away.model_dump_json()
    assert document_of(None) is None
    for wrong in (Path("absent.md"), "  "):
        with pytest.raises(InputError, match="document"):
            document_of(wrong)


def test_a_document_given_as_text_meets_a_row_that_asks_for_one(mlflow_store):
    with mlflow.start_run() as run:
        attest(topic="aims_scope")
    without = aims_mlflow.assess(run.info.run_id)
    with mlflow.start_run(run_id=run.info.run_id):
        attest(topic="aims_scope", document="Scope of the AIMS")
    found = aims_mlflow.assess(run.info.run_id)

    def scope(assessment):
        row = next(f for f in assessment.findings if f.id == "4.3")
        return next(c.outcome for c in row.checks if c.check == "AT001")

    assert (scope(without), scope(found)) == ("missing", "pass")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("attestaton", "attestation"),
        ("perfomance", "performance"),
        ("Incident", "incident"),
        ("data-quality", "data_quality"),
    ],
)
def test_a_kind_that_is_nearly_a_known_one_is_refused(mlflow_store, wrong, meant):
    with mlflow.start_run() as run, pytest.raises(InputError, match=f"Did you mean '{meant}'"):
        aims_mlflow.log_evidence(wrong, {"a": 1})
    assert aims_mlflow.load_evidence(run.info.run_id) == []


@pytest.mark.parametrize("own", ["robustness", "acme.incident", "incident_2", "penetration_test"])
def test_a_kind_of_ones_own_is_taken(mlflow_store, own):
    with mlflow.start_run():
        assert aims_mlflow.log_evidence(own, {"a": 1}).kind == own


def test_a_statement_that_has_lapsed_is_kept_said_and_stale(mlflow_store, caplog):
    with mlflow.start_run() as run, caplog.at_level(logging.WARNING, "aims_mlflow"):
        made = attest(valid_until="2026-01-31")
    assert made.valid_from <= made.valid_until.date()
    assert "ended on 2026-01-31" in caplog.text
    found = {f.id: f.status for f in aims_mlflow.assess(run.info.run_id).findings}
    assert found["5.1"] is Status.STALE


@pytest.mark.parametrize(
    "content", [{"x": float("nan")}, {"x": {"y": [1, float("inf")]}}, {"x": (float("-inf"),)}, {float("nan"): 1}]
)
def test_nan_and_infinity_are_refused_not_made_null(mlflow_store, content):
    with mlflow.start_run() as run:
        with pytest.raises(InputError, match="NaN and infinity"):
            aims_mlflow.log_evidence("my.kind", content)
        whole = aims_mlflow.log_evidence("my.kind", {"a": 1})
        with pytest.raises(InputError, match="NaN and infinity"):
            aims_mlflow.log_evidence(whole.model_copy(update={"content": content}))
    assert len(aims_mlflow.load_evidence(run.info.run_id, "my.kind")) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_finite_content_is_never_refused(content):
    refuse_infinite(content)
