"""The bill of materials: valid by CycloneDX's own validator, the same each time, by content, without a row of data."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from document_kit import WHEN, good_evidence, judged, material, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aims_mlflow.documentation.bom import ml_bom, schema_problem
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import Interval, MetricResult, Verdict
from good_run import AT, TEST, TRAINING, dataset, declaration, environment, fairness, model, performance, run, sha


def made(*records: Any, **changes: Any) -> dict[str, Any]:
    return json.loads(ml_bom(material(*records, **changes)))


def properties(part: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["name"], one["value"]) for one in part.get("properties", [])]


def parts(plain: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in plain["components"] if one["type"] == kind]


def test_the_validator_is_there_and_can_find_something() -> None:
    plain = made()
    assert schema_problem(json.dumps(plain)) is None
    plain["metadata"]["component"]["modelCard"]["surprise"] = 1
    assert schema_problem(json.dumps(plain)) is not None
    plain = made()
    plain["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["value"] = 0.9
    assert schema_problem(json.dumps(plain)) is not None


def test_the_schemas_are_read_from_the_library_and_not_from_the_network(monkeypatch) -> None:
    import socket

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert schema_problem(ml_bom(material())) is None


def test_it_is_a_machine_learning_model_with_a_model_card() -> None:
    plain = made()
    assert (plain["bomFormat"], plain["specVersion"]) == ("CycloneDX", "1.6")
    root = plain["metadata"]["component"]
    assert (root["type"], root["name"], root["version"]) == ("machine-learning-model", "loans", "3")
    assert root["hashes"] == [{"alg": "SHA-256", "content": sha("model").removeprefix("sha256:")}]
    assert [(f["type"], f["name"]) for f in root["components"]] == [("file", "model.pkl")]
    card = root["modelCard"]
    assert card["modelParameters"]["task"] == "classification"
    assert {"format": "age: double"} in card["modelParameters"]["inputs"]
    assert card["considerations"]["useCases"] == ["Support of a clerk's decision."]
    assert card["considerations"]["technicalLimitations"] == ["Not for: automatic refusal"]


def test_metrics_stand_by_slice_with_their_intervals() -> None:
    metrics = made()["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    overall = next(m for m in metrics if m["type"] == "roc_auc")
    assert overall["value"] == "0.9"
    assert overall["confidenceInterval"] == {"lowerBound": "0.88", "upperBound": "0.92"}
    assert overall["slice"] == "test loans_test.csv"
    group = next(m for m in metrics if "female" in m["slice"])
    assert (group["type"], group["value"]) == ("selection_rate", "0.4")


def test_an_undefined_metric_is_left_out_and_never_zero() -> None:
    nothing = MetricResult(name="roc_auc", estimate=Interval(), verdict=Verdict.NOT_TESTED)
    held = good_evidence(performance=performance(metrics=(nothing,)), fairness=fairness(disparities=()))
    plain = made(versions=[judged(held)])
    assert "quantitativeAnalysis" not in plain["metadata"]["component"]["modelCard"]


def test_data_sets_are_named_by_the_digest_of_their_full_content() -> None:
    data = parts(made(), "data")
    assert {one["hashes"][0]["content"] for one in data} == {
        ref.sha256.removeprefix("sha256:") for ref in (TRAINING, TEST)
    }
    assert all(one["data"][0]["type"] == "dataset" for one in data)
    assert {one["data"][0]["governance"]["owners"][0]["organization"]["name"] for one in data} == {"stated"}
    refs = made()["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]
    assert {one["ref"] for one in refs} == {one["bom-ref"] for one in data}


def test_packages_bear_versions_and_package_urls() -> None:
    libraries = parts(made(), "library")
    assert [(one["name"], one["version"], one["purl"]) for one in libraries] == [
        ("scikit-learn", "1.9.1", "pkg:pypi/scikit-learn@1.9.1")
    ]
    assert parts(made(), "platform")[0]["purl"] == "pkg:generic/python@3.11.7"


def test_everything_it_rests_on_is_a_dependency() -> None:
    plain = made()
    tree = {one["ref"]: one.get("dependsOn", []) for one in plain["dependencies"]}
    assert set(tree["model"]) == {one["bom-ref"] for one in plain["components"]}


def test_the_same_evidence_gives_the_same_bytes_whenever_it_is_made() -> None:
    first = ml_bom(material())
    assert first == ml_bom(material(at=WHEN + timedelta(days=30)))
    assert json.loads(first)["metadata"]["timestamp"] == AT.isoformat()


def test_other_evidence_gives_another_serial_number() -> None:
    serial = made()["serialNumber"]
    assert serial.startswith("urn:uuid:")
    other = made(versions=[judged(good_evidence(environment=environment(packages={"scikit-learn": "1.9.2"})))])
    assert other["serialNumber"] != serial


def test_what_is_not_known_is_named() -> None:
    plain = made(versions=[judged([])], declaration=declaration(system={"id": "loans"}))
    root = plain["metadata"]["component"]
    gaps = {value for name, value in properties(root) if name == "aims:gap"}
    assert any("digest" in gap for gap in gaps)
    assert any("data set" in gap for gap in gaps)
    assert any("software" in gap for gap in gaps)
    assert ("aims:gap", "no metric is on record") in properties(root["modelCard"])


def test_an_unpinned_package_and_a_data_set_without_digest_are_gaps() -> None:
    bare = TRAINING.model_copy(update={"sha256": None})
    held = [
        *(r for r in good_evidence() if r.kind not in ("dataset", "environment")),
        dataset(bare),
        environment(packages={"numpy": ""}, unpinned=("numpy",)),
    ]
    plain = made(versions=[judged(held)])
    assert ("aims:gap", "no digest of the full content is on record") in properties(parts(plain, "data")[0])
    assert ("aims:gap", "no data sheet describes it") in properties(parts(plain, "data")[0])
    library = parts(plain, "library")[0]
    assert "version" not in library
    assert ("aims:gap", "no exact version is on record") in properties(library)


def test_values_of_parameters_are_told_only_on_request() -> None:
    held = good_evidence(run=run(params=("C",)))
    told = replace(judged(held), parameters={"C": "0.5"})
    card = made(versions=[judged(held)])["metadata"]["component"]["modelCard"]
    assert ("aims:parameter:C", "value is in MLflow") in properties(card)
    card = made(versions=[told])["metadata"]["component"]["modelCard"]
    assert ("aims:parameter:C", "0.5") in properties(card)


def test_harms_of_the_impact_assessment_are_considerations() -> None:
    impact = record(
        "impact",
        {
            "intended_use": "Support",
            "conclusion": "acceptable",
            "reason": "r",
            "effects": [
                {"to": "applicants", "of": "individuals", "what": "refusal", "kind": "harm", "measure": "clerk"}
            ],
        },
        id_="I-1",
        systems=("loans",),
    )
    found = made(impact)["metadata"]["component"]["modelCard"]["considerations"]["ethicalConsiderations"]
    assert found == [{"name": "refusal (minor, possible)", "mitigationStrategy": "clerk"}]


def test_no_bill_without_evidence_that_can_be_read() -> None:
    with pytest.raises(EvidenceError, match="altered"):
        ml_bom(material(versions=[replace(judged(), assessment=None, problem="altered")]))
    with pytest.raises(ValueError, match="one version"):
        ml_bom(material(versions=[]))


def test_two_names_for_one_package_and_two_roles_of_one_data_set_do_not_clash() -> None:
    held = [
        *(r for r in good_evidence() if r.kind not in ("dataset", "environment")),
        dataset(TRAINING),
        dataset(TRAINING.model_copy(update={"role": "validation"})),
        environment(packages={"a_b": "1", "a-b": "1", "a.b": "1"}),
    ]
    plain = made(versions=[judged(held)])
    refs = [one["bom-ref"] for one in plain["components"]]
    assert len(refs) == len(set(refs)) == 7  # the run names the test data too


HOSTILE = st.text(max_size=40) | st.sampled_from(
    [
        "",
        " ",
        "<script>alert(1)</script>",
        "\x00\x1b[31m",
        "\ud800",
        "pkg:pypi/x@1",
        "../../etc/passwd",
        "=1+1",
        "é\u202e",
        "a" * 5000,
    ]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=HOSTILE, version=HOSTILE, licence=HOSTILE, use=HOSTILE, group=HOSTILE)
def test_whatever_stands_in_the_fields_it_is_valid_json_of_the_schema(name, version, licence, use, group) -> None:
    from aims_mlflow.evidence import Disparity, ModelFile

    sheet = dict.fromkeys(("description", "owner", "origin", "labelling", "retention"), name) | {"licence": licence}
    declared = declaration(
        system={"id": "loans", "name": name, "intended_use": use, "not_for": [use], "human_oversight": use},
        datasets={"d": {"role": "training", **sheet}},
        columns={"sensitive": [group]} if group.strip() else {},
    )
    gap = Disparity(
        attribute=group, metric=name, statistic="ratio", estimate=Interval(value=1.0), lowest_group=use,
        verdict=Verdict.FAIL,
    )  # fmt: skip
    held = [
        run(params=(name,), git_commit=version),
        environment(python=version, packages={name: version}),
        model(flavors=(name,), files=(ModelFile(path=name, sha256=sha("x"), bytes=1),)),
        dataset(TRAINING.model_copy(update={"name": name, "role": use})).model_copy(update={"declared_as": "d"}),
        performance(metrics=(MetricResult(name=name, estimate=Interval(value=0.5), verdict=Verdict.PASS),)),
        fairness(disparities=(gap,)),
    ]
    text = ml_bom(material(versions=[judged(held, declaration=declared, name=name or "m")], declaration=declared))
    assert text.isascii()
    assert schema_problem(text) is None
    assert json.loads(text)["bomFormat"] == "CycloneDX"
