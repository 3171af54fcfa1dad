"""The shipped JSON schema says what the records are, and every record survives the way to disk and back."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import (
    SCHEMA_VERSION,
    TYPED_KINDS,
    CustomRecord,
    Interval,
    MetricResult,
    PerformanceEvidence,
    Subject,
    Tool,
    Verdict,
    canonical_json,
    evidence_json_schema,
    parse_evidence,
)
from aims_mlflow.testing import sample_evidence

SAMPLES = sample_evidence()
BY_KIND = {record.kind: record for record in SAMPLES}
SHIPPED = json.loads((files("aims_mlflow") / "schema" / f"evidence-{SCHEMA_VERSION}.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SHIPPED, format_checker=Draft202012Validator.FORMAT_CHECKER)
WRITTEN_BY_PYDANTIC = (2, 14)
"""The version whose wording the shipped file has; older ones say the same in other words."""

REGENERATE = """The shipped schema is not the one of the models. Write it again:
python -c "import json; from aims_mlflow.evidence import evidence_json_schema as s
print(json.dumps(s(), indent=1, sort_keys=True))" > src/aims_mlflow/schema/evidence-1.json"""


def plain(record):
    return json.loads(record.canonical)


def one_of(kind="run"):
    return copy.deepcopy(plain(BY_KIND[kind]))


def test_the_samples_show_every_kind_and_one_of_the_callers_own():
    assert set(TYPED_KINDS) < set(BY_KIND)
    assert [r for r in SAMPLES if isinstance(r, CustomRecord)]


def test_the_shipped_schema_is_a_valid_schema():
    Draft202012Validator.check_schema(SHIPPED)
    assert SHIPPED["$schema"].endswith("2020-12/schema")


@pytest.mark.skipif(
    tuple(map(int, version("pydantic").split(".")[:2])) < WRITTEN_BY_PYDANTIC,
    reason="older pydantic words it otherwise",
)
def test_the_shipped_schema_is_the_one_of_the_models():
    assert evidence_json_schema() == SHIPPED, REGENERATE


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: record.kind)
def test_a_record_as_written_fits_the_shipped_schema(record):
    problems = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in VALIDATOR.iter_errors(plain(record))]
    assert problems == [], REGENERATE


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: record.kind)
def test_a_record_comes_back_from_disk_as_it_was(record):
    back = parse_evidence(record.canonical)
    assert type(back) is type(record)
    assert back == record
    assert back.canonical == record.canonical
    assert back.digest == record.digest


def _changed(change):
    content = one_of()
    change(content)
    return content


WRONG = {
    "unknown field": lambda c: c.update(remark="x"),
    "unknown verdict": lambda c: c.update(verdict="compliant-ish"),
    "unknown basis": lambda c: c.update(basis="guessed"),
    "no method": lambda c: c.pop("method"),
    "no reason": lambda c: c.pop("reason"),
    "no time": lambda c: c.pop("captured_at"),
    "no collector": lambda c: c.pop("collector"),
    "another schema version": lambda c: c.update(schema_version="2"),
    "half a digest": lambda c: c.update(params_sha256="sha256:abc"),
    "text for a number": lambda c: c.update(metrics={"accuracy": "good"}),
    "a kind of another shape": lambda c: c.update(kind="drift"),
    "a kind no name can be": lambda c: c.update(kind="No Kind"),
    "unknown field of a part": lambda c: c["collector"].update(host="h"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_the_schema_refuses_the_library_refuses_too(change):
    content = _changed(change)
    assert not VALIDATOR.is_valid(content)
    with pytest.raises(EvidenceError):
        parse_evidence(content, where="evidence/run.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"run"', b"{}", b"\xff\xfe"])
def test_what_is_no_record_at_all_is_refused_with_our_error(content):
    with pytest.raises(EvidenceError):
        parse_evidence(content)


@pytest.mark.parametrize("found", ["0", "2", "1.0", 1, None, ["1"]])
@pytest.mark.parametrize("kind", ["run", "robustness_results"])
def test_another_schema_version_is_refused_and_the_remedy_names_who_can_read_it(kind, found):
    content = one_of(kind)
    content["schema_version"] = found
    with pytest.raises(EvidenceError, match="schema version") as caught:
        parse_evidence(json.dumps(content), where="evidence/x.json")
    assert "collector" in caught.value.remedy
    assert caught.value.where == "evidence/x.json"


def test_a_record_without_schema_version_or_kind_is_refused():
    for name in ("schema_version", "kind"):
        content = one_of()
        del content[name]
        with pytest.raises(EvidenceError):
            parse_evidence(content)


finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIRST, LAST = datetime.fromisoformat("1970-01-02"), datetime.fromisoformat("9998-01-01")
texts = st.text(max_size=40)
numbers = st.none() | st.floats()
moments = st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.just(UTC) | st.timezones())


@given(
    kind=st.from_regex(r"\A[a-z][a-z0-9_.]{1,63}\Z").filter(lambda k: k not in TYPED_KINDS),
    content=st.dictionaries(texts, json_values, max_size=4),
    reason=texts,
    at=moments,
    figures=st.dictionaries(texts, numbers, max_size=4),
    verdict=st.sampled_from(Verdict),
)
def test_any_record_of_the_callers_own_comes_back_and_fits_the_schema(kind, content, reason, at, figures, verdict):
    record = CustomRecord(
        kind=kind, collector=Tool(name="t", version="1"), captured_at=at, subject=Subject(system_id="s"), method="m",
        verdict=verdict, reason=reason, content=content, numbers=figures,
    )  # fmt: skip
    back = parse_evidence(record.canonical)
    assert back == record
    assert back.canonical == record.canonical
    assert VALIDATOR.is_valid(plain(record))


@given(value=numbers, low=numbers, high=numbers, name=texts)
def test_any_number_comes_back_and_an_undefined_one_is_null_never_zero(value, low, high, name):
    estimate = Interval(value=value, low=low, high=high)
    made = BY_KIND["performance"].model_copy(
        update={"metrics": (MetricResult(name=name, estimate=estimate, verdict=Verdict.RECORDED, reason="r"),)}
    )
    record = PerformanceEvidence.model_validate_json(canonical_json(made))
    back = parse_evidence(record.canonical)
    assert back == record
    assert VALIDATOR.is_valid(plain(record))
    written = plain(record)["metrics"][0]["estimate"]
    for given_number, found in ((value, written["value"]), (low, written["low"]), (high, written["high"])):
        finite = given_number is not None and abs(given_number) < float("inf")
        assert found == (given_number if finite else None)


@pytest.mark.parametrize("told_by", ["kind", "schema_version"])
@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: record.kind)
def test_the_schema_refuses_a_record_that_does_not_say_what_it_is(record, told_by):
    content = plain(record)
    del content[told_by]
    assert not VALIDATOR.is_valid(content)
