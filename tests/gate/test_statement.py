"""The assessment in short: one tag, bound to content, signed, and never trusted further than it can be read."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cases import AT, sha, statement
from hypothesis import given
from hypothesis import strategies as st

import good_run
from aims_mlflow.assessment import Ground, Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import ModelFile, Verdict
from aims_mlflow.evidence.base import Basis
from aims_mlflow.gate.signing import new_key
from aims_mlflow.gate.statement import (
    RowResult,
    files_place,
    inputs_digest,
    kinds_of,
    listing_digest,
    read_statement,
    state,
    write_statement,
)

FILES = (ModelFile(path="MLmodel", sha256=sha("a"), bytes=3), ModelFile(path="model.pkl", sha256=sha("b"), bytes=99))


def of_a_good_run():
    declared = good_run.declaration()
    evidence = good_run.good_run(declared)
    assessment = evaluate(evidence, load_catalog(()), declared, subject=good_run.SUBJECT, at=good_run.AT)
    stated = state(
        assessment,
        evidence,
        files=FILES,
        source="m-1",
        run_id="r1",
        evidence_sha256=sha("manifest"),
        inputs_sha256=inputs_digest([("train", "d1", "training")]),
        trained_by="trainer",
    )
    return assessment, stated


def test_it_says_of_every_row_what_the_assessment_says():
    assessment, stated = of_a_good_run()
    again = read_statement(write_statement(stated), {}).statement
    assert again == stated
    assert len(again.rows) == 70
    for finding in assessment.findings:
        row = again.rows[finding.id]
        assert (row.status, row.basis) == (finding.status, finding.basis)
        assert (row.unmet is None) == (finding.status is Status.SATISFIED)
        if finding.until_ground is Ground.REFRESH:
            assert (row.valid_until, again.open_until) == (None, finding.valid_until)
        else:
            assert (row.valid_until, row.until_ground or Ground.EVIDENCE) == (finding.valid_until, finding.until_ground)
    assert again.kinds["data_quality"] is Verdict.PASS
    assert again.model_sha256 == good_run.MODEL.sha256


def test_it_fits_the_smallest_tag_of_any_database_and_holds_no_text_of_a_person():
    key = new_key()
    text = write_statement(of_a_good_run()[1], key)
    assert len(text) < 5000
    payload = base64.b64decode(json.loads(text)["payload"]).decode()
    assert "Needs" not in payload


def test_it_fits_where_every_row_rests_on_statements_that_end_at_different_times():
    """A whole management system: every row has an end of its own, to the second, and the evidence is of many kinds."""
    stated = of_a_good_run()[1]
    ends = {
        row: RowResult(
            status=status,
            basis=Basis.ATTESTED,
            valid_until=AT + timedelta(days=n, seconds=n),
            until_ground=Ground.CYCLE,
            unmet=n % 3,
        )
        for n, (row, status) in enumerate(zip(stated.rows, list(Status) * 9, strict=False))
    }
    kinds = dict.fromkeys([f"kind_of_evidence_{n}" for n in range(20)], Verdict.NOT_TESTED)
    full = stated.model_copy(update={"rows": ends, "kinds": kinds, "system_id": "benefit-screening"})
    assert len(full.rows) == 70
    assert len(write_statement(full, new_key())) < 5000


def test_a_row_that_was_written_in_full_words_is_still_read():
    old = RowResult.from_short("needs-attestation/a/20271124T000000Z/1")
    assert old == RowResult.from_short("p/a/20271124/1") == RowResult.from_short("p/a/@1827014400/1")
    assert old.status is Status.NEEDS_ATTESTATION


def test_it_is_a_dsse_envelope_around_an_in_toto_statement():
    outer = json.loads(write_statement(statement(), new_key()))
    assert set(outer) == {"payload", "payloadType", "signatures"}
    inner = json.loads(base64.b64decode(outer["payload"]))
    assert inner["_type"] == "https://in-toto.io/Statement/v1"
    assert {s["name"]: s["digest"]["sha256"] for s in inner["subject"]} == {
        "model": sha("model").removeprefix("sha256:"),
        "evidence": sha("evidence").removeprefix("sha256:"),
    }


def test_it_names_the_trusted_key_that_signed_it_and_no_other():
    key, other = new_key(), new_key()
    text = write_statement(statement(), key)
    assert read_statement(text, {"x": other.public, "ci": key.public}).signed_by == "ci"
    assert read_statement(text, {"x": other.public}).signed_by is None
    assert read_statement(write_statement(statement()), {"ci": key.public}).signed_by is None


def test_an_altered_statement_is_not_signed():
    key = new_key()
    outer = json.loads(write_statement(statement(), key))
    better = statement(rows={"A.7.4": RowResult(status=Status.SATISFIED, basis=Basis.MEASURED)})
    outer["payload"] = base64.b64encode(better.payload()).decode()
    assert read_statement(json.dumps(outer), {"ci": key.public}).signed_by is None


def changed(**fields):
    payload = json.loads(statement().payload())
    payload |= fields
    return json.dumps(
        {
            "payloadType": "application/vnd.in-toto+json",
            "payload": base64.b64encode(json.dumps(payload).encode()).decode(),
            "signatures": [],
        }
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pass",
        "{}",
        "[]",
        "null",
        '{"payloadType": "application/vnd.in-toto+json", "payload": "%%%", "signatures": []}',
        '{"payloadType": "application/vnd.in-toto+json", "payload": "e30=", "signatures": []}',
        '{"payloadType": "application/vnd.in-toto+json", "payload": "e30="}',
        "[" * 3000,
        "x" * 30_000,
        changed(predicateType="https://slsa.dev/provenance/v1"),
        changed(subject=[]),
        changed(predicate={"rows": {"A.7.4": "satisfied"}}),
    ],
)
def test_anything_else_is_refused_with_a_remedy(text):
    with pytest.raises(EvidenceError, match="Assess the version again"):
        read_statement(text, {})


@given(st.text(max_size=300))
def test_no_text_at_all_makes_it_crash(text):
    with pytest.raises(EvidenceError):
        read_statement(text, {"ci": new_key().public})


@given(
    st.sampled_from(list(Status)),
    st.sampled_from([*Basis, None]),
    st.one_of(st.none(), st.integers(0, 10**8)),
    st.one_of(st.none(), st.integers(0, 20)),
    st.booleans(),
)
def test_a_row_in_short_reads_back_as_it_was(status, basis, seconds, unmet, by_cycle):
    until = AT + timedelta(seconds=seconds) if seconds is not None else None
    ground = Ground.CYCLE if until and by_cycle else None
    row = RowResult(status=status, basis=basis, valid_until=until, until_ground=ground, unmet=unmet)
    assert RowResult.from_short(row.short()) == row


def test_the_worst_record_of_a_kind_counts_and_one_that_could_not_be_made_is_not_a_pass():
    good = good_run.quality()
    assert kinds_of([good])["data_quality"] is Verdict.PASS
    assert kinds_of([good, good_run.quality(verdict=Verdict.FAIL)])["data_quality"] is Verdict.FAIL
    assert kinds_of([good, good_run.quality(verdict=Verdict.UNCERTAIN)])["data_quality"] is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("models:/m-0a1b", "m-0a1b"),
        ("runs:/0123/model", "0123/model"),
        ("mlflow-artifacts:/1/2/artifacts/model/", "mlflow-artifacts:/1/2/artifacts/model"),
    ],
)
def test_one_place_of_files_has_one_name(source, place):
    assert files_place(source) == place


def test_listing_tells_apart_path_and_size_whatever_the_order():
    one = listing_digest([("a", 1), ("b", 2)])
    assert one == listing_digest([("b", 2), ("a", 1)])
    assert one != listing_digest([("a", 2), ("b", 1)])
    assert one != listing_digest([("a", 1)])
