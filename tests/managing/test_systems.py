"""Systems declared, listed, classified and shown, on a real MLflow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import mlflow
import pytest
from mlflow import MlflowClient

import aims_mlflow
from aims_mlflow.catalog.questionnaire import load_questionnaire
from aims_mlflow.config.models import Declaration
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import ConfigError, DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.managing import registered, systems
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.registered import read_registered
from aims_mlflow.managing.systems import (
    against_classification,
    record_classification,
    show_system,
)

PROMPT = "mlflow.prompt.is_prompt"
HIGH = {question.id: "no" for question in load_questionnaire().questions} | {
    "ai_system": "yes",
    "in_union": "yes",
    "provider": "yes",
    "annex_iii_5": "yes",
    "annex_iii_5b": "yes",
    "art6_3_profiling": "yes",
}
MINIMAL = HIGH | {"annex_iii_5": "no", "annex_iii_5b": "no"}


def declaration(id_="credit", *models, owner="Head of Lending", datasets=None, **said):
    system = {"id": id_, "name": "Credit scoring", "organization_role": "provider", "owner": {"name": owner}} | said
    return Declaration.model_validate(
        {"system": system, "registered_models": list(models or ("credit-*",)), "datasets": datasets or {}}
    )


def declare(*given, **said):
    keyed = {name: said.pop(name) for name in ("valid_until", "reopen") if name in said}
    return aims_mlflow.declare_system(config=declaration(*given, **said), **keyed)


def make(name, versions=1, **tags):
    client = MlflowClient()
    client.create_registered_model(name)
    for _ in range(versions):
        client.create_model_version(name, f"file:///models/{name}", tags=tags)
    return client


def search():
    return aims_mlflow.search_systems(config=Declaration())


# declaring


def test_a_declared_system_is_listed_with_everything_the_file_says(mlflow_store):
    done = declare(
        purpose="Score loans", lifecycle_stage="operation", risk_class="high", datasets={"loans": {}, "bureau": {}}
    )
    assert done.is_new
    content = done.filed.record.content
    assert (content["purpose"], content["data_sources"]) == ("Score loans", ["bureau", "loans"])
    (entry,) = search().systems
    assert (entry.id, entry.name, entry.owner, entry.revision) == ("credit", "Credit scoring", "Head of Lending", 1)
    assert (entry.organization_role, entry.risk_class, entry.lifecycle_stage) == ("provider", "high", "operation")
    assert entry.valid_until == datetime.now(UTC).date() + timedelta(days=365)


def test_the_same_declaration_again_files_nothing(mlflow_store):
    first, again = declare(), declare()
    assert (first.is_new, again.is_new) == (True, False)
    assert again.filed.record == first.filed.record
    assert len(ManagementRecords(config=Declaration()).store.everything()[0]) == 1


def test_a_change_elsewhere_in_the_file_files_nothing(mlflow_store, tmp_path):
    text = "system: {id: credit, owner: {name: Head}}\nregistered_models: [credit-*]\n"
    file = tmp_path / "aims.yaml"
    file.write_text(text)
    assert aims_mlflow.declare_system(config=file).is_new
    file.write_text(text + "drift: {share_limit: 0.4}\n")
    assert not aims_mlflow.declare_system(config=file).is_new


@pytest.mark.parametrize(
    "change",
    [{"purpose": "Another"}, {"owner": "Head of Risk"}, {"lifecycle_stage": "retirement"}, {"datasets": {"new": {}}}],
)
def test_what_the_file_says_anew_is_a_revision_and_the_one_before_stays(mlflow_store, change):
    declare()
    done = declare(**change)
    assert done.is_new
    assert done.filed.record.revision == 2
    filed, problems = ManagementRecords(config=Declaration()).store.everything("system:credit")
    assert len(filed) == 2
    assert not problems
    assert not declare(**change).is_new


def test_a_lapsed_declaration_is_filed_again(mlflow_store, monkeypatch):
    declare(valid_until=datetime.now(UTC).date())
    later = now() + timedelta(days=400)
    monkeypatch.setattr("aims_mlflow.filing.store.now", lambda: later)
    (problem,) = search().problems
    assert problem.code == "lapsed"
    assert not search().is_complete
    done = declare()
    assert done.is_new
    assert done.filed.record.valid_until == later.date() + timedelta(days=365)
    assert search().is_complete


def test_a_new_day_of_review_is_a_revision(mlflow_store):
    declare()
    day = datetime.now(UTC).date() + timedelta(days=30)
    assert declare(valid_until=day).filed.record.valid_until == day
    assert not declare(valid_until=day).is_new


def test_a_withdrawn_system_is_not_declared_again_in_silence(mlflow_store):
    declare()
    ManagementRecords(config=Declaration()).withdraw("system", "credit", reason="retired")
    assert not search().systems
    with pytest.raises(InputError, match=r"was withdrawn: retired.*--reopen"):
        declare()
    assert declare(reopen=True).filed.record.revision == 3
    assert search().systems[0].id == "credit"


def test_a_deleted_record_is_restored_before_anything_is_filed_on_it(mlflow_store):
    MlflowClient().delete_run(declare().filed.run_id)
    for call in (declare, lambda: record_classification("credit", HIGH, config=Declaration())):
        with pytest.raises(EvidenceError, match=r"revision 1 was deleted.*mlflow runs restore"):
            call()
    view = search()
    assert not view.systems
    assert [problem.code for problem in view.problems] == ["deleted"]
    with pytest.raises(InputError, match=r"counts for nothing.*revision 1 was deleted"):
        show_system("credit", config=Declaration())


def test_a_file_without_system_or_owner_is_refused_and_names_what_to_fill_in(mlflow_store, tmp_path):
    with pytest.raises(ConfigError, match=r"no aims\.yaml here"):
        aims_mlflow.declare_system()
    with pytest.raises(ConfigError, match=r"system\.id"):
        aims_mlflow.declare_system(config={"registered_models": ["x"]})
    for owner in (None, {"name": "TODO"}):
        with pytest.raises(ConfigError, match=r"nobody answers for the system.*--owner"):
            aims_mlflow.declare_system(config={"system": {"id": "credit", "owner": owner}})
    done = aims_mlflow.declare_system(config={"system": {"id": "credit"}}, owner=" Head ")
    assert done.filed.record.owner == "Head"
    assert done.filed.record.content["name"] == "credit"
    assert any("registered_models" in note for note in done.notes)


def test_two_owners_are_refused(mlflow_store):
    with pytest.raises(InputError, match="more than one owner"):
        declare(owner="Ann Smith and Bob Jones")


def test_a_day_of_review_that_is_past_is_refused(mlflow_store):
    with pytest.raises(InputError, match="it would end on"):
        declare(valid_until=date(2020, 1, 1))


# models


def test_models_are_assigned_and_those_of_no_system_are_listed(mlflow_store):
    make("credit-pd")
    make("fraud")
    declare()
    view = search()
    assert view.systems[0].models == ("credit-pd",)
    assert view.undeclared == ("fraud",)
    assert not view.is_complete
    declare("ops", "fraud")
    assert search().is_complete


def test_a_model_two_systems_claim_is_a_problem_of_both(mlflow_store):
    make("credit-pd")
    declare()
    declare("other", "*-pd")
    view = search()
    assert view.contested == {"credit-pd": ("credit", "other")}
    assert not view.is_complete
    assert all("is claimed by" in entry.problems[0] for entry in view.systems)


def test_versions_in_service_come_with_alias_stage_and_status(mlflow_store):
    client = make("credit-pd", 4, **{"aims.status": "pass", "aims.fresh_until": "2999-01-01", "team": "x"})
    client.set_registered_model_alias("credit-pd", "champion", "2")
    client.set_registered_model_alias("credit-pd", "shadow", "2")
    with pytest.warns(FutureWarning, match="deprecated"):
        client.transition_model_version_stage("credit-pd", "1", "Production")
        client.transition_model_version_stage("credit-pd", "3", "Production")
        client.transition_model_version_stage("credit-pd", "4", "Archived")
    declare()
    found = search().systems[0].versions
    assert [(v.version, v.targets) for v in found] == [
        ("1", ("stage Production",)),
        ("2", ("alias champion", "alias shadow")),
        ("3", ("stage Production",)),
    ]
    assert {(v.status, v.fresh_until) for v in found} == {("pass", date(2999, 1, 1))}
    assert read_registered(client).served["credit-pd"][0].tags == {
        "aims.status": "pass",
        "aims.fresh_until": "2999-01-01",
    }


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({}, "not-assessed"),
        ({"aims.status": "pass", "aims.fresh_until": "2020-01-01"}, "stale"),
        ({"aims.status": "warn", "aims.fresh_until": "2020-01-01"}, "stale"),
        ({"aims.status": "fail", "aims.fresh_until": "2020-01-01"}, "fail"),
        ({"aims.status": "pass", "aims.fresh_until": "none"}, "pass"),
        ({"aims.status": "pass", "aims.fresh_until": "soon"}, "stale"),
        ({"aims.status": "pass"}, "pass"),
    ],
)
def test_a_status_that_lapsed_or_whose_end_cannot_be_read_is_stale(mlflow_store, tags, status):
    client = make("credit-pd", **tags)
    client.set_registered_model_alias("credit-pd", "champion", "1")
    declare()
    assert search().systems[0].versions[0].status == status


def test_a_prompt_is_no_model_and_a_model_tagged_as_prompt_is_one(mlflow_store):
    client = make("hidden", 2)
    client.set_registered_model_alias("hidden", "champion", "1")
    client.set_registered_model_tag("hidden", PROMPT, "true")
    mixed = make("mixed", 1)
    mixed.set_model_version_tag("mixed", "1", PROMPT, "true")
    for text in ("a", "b", "c"):
        client.register_prompt("prompt", text)
    client.register_prompt("whole", "one")
    client._get_registry_client().store.delete_model_version("prompt", "2")
    found = read_registered(client)
    assert found.models == ("hidden", "mixed")
    assert [v.targets for v in found.served["hidden"]] == [("alias champion",)]


def test_everything_is_read_page_by_page_without_asking_for_single_versions(mlflow_store, monkeypatch):
    for n in range(5):
        client = make(f"credit-{n}", 3)
        client.set_registered_model_alias(f"credit-{n}", "champion", "3")
    store = client._get_registry_client().store
    calls = []
    for name in ("search_registered_models", "search_model_versions", "get_model_version", "get_registered_model"):
        real = getattr(type(store), name)
        monkeypatch.setattr(
            type(store), name, lambda self, *a, _r=real, _n=name, **k: calls.append(_n) or _r(self, *a, **k)
        )
    monkeypatch.setattr(registered, "_PAGE", 4)
    found = read_registered(client)
    assert len(found.models) == 5
    assert {name: [v.version for v in served] for name, served in found.served.items()} == {
        f"credit-{n}": ["3"] for n in range(5)
    }
    assert calls.count("search_registered_models") == 3  # five by four, and the prompts
    assert calls.count("search_model_versions") == 4  # fifteen by four
    assert set(calls) == {"search_registered_models", "search_model_versions"}


def test_a_registry_that_cannot_be_read_is_said_in_our_words(mlflow_store, monkeypatch):
    client = MlflowClient()
    store = type(client._get_registry_client().store)

    def broken(*_args, **_kwargs):
        raise ValueError("secret")

    monkeypatch.setattr(store, "search_registered_models", broken)
    with pytest.raises(DeliveryError, match=r"could not be read \(ValueError\)") as error:
        read_registered(client)
    assert "secret" not in str(error.value)


# classifying


def test_answers_and_class_are_kept_in_the_record_once(mlflow_store):
    declare()
    done = record_classification("credit", HIGH, config=Declaration())
    content = done.filed.record.content
    assert done.is_new
    assert content["risk_class"] == "high"
    assert "Annex III, point 5(b)" in content["risk_reason"]
    assert content["answers"]["annex_iii_5b"] == "yes"
    assert content["questionnaire"] == load_questionnaire().name
    assert not record_classification("credit", HIGH, config=Declaration()).is_new
    assert search().systems[0].risk_class == "high"


def test_a_lighter_class_in_aims_yaml_does_not_replace_the_one_of_the_questionnaire(mlflow_store):
    declare()
    record_classification("credit", HIGH, config=Declaration())
    done = declare(risk_class="minimal")
    assert not done.is_new
    assert done.filed.record.content["risk_class"] == "high"
    assert any("declared minimal, while the questionnaire comes to high" in note for note in done.notes)


def test_open_questions_weigh_more_than_a_lighter_class_in_aims_yaml(mlflow_store):
    declare()
    record_classification("credit", MINIMAL | {"art5_a": "unsure"}, config=Declaration())
    assert declare(risk_class="minimal").filed.record.content["risk_class"] == "unclassified"
    assert declare(risk_class="high").filed.record.content["risk_class"] == "high"


def test_a_heavier_class_in_aims_yaml_stays(mlflow_store):
    said = declaration(risk_class="high", risk_reason="We treat it so")
    aims_mlflow.declare_system(config=said)
    done = record_classification("credit", MINIMAL, config=said)
    assert (done.filed.record.content["risk_class"], done.filed.record.content["risk_reason"]) == (
        "high",
        "We treat it so",
    )
    assert done.filed.record.content["answers"]["annex_iii_5b"] == "no"
    assert not aims_mlflow.declare_system(config=said).is_new


def test_a_class_made_lighter_without_questionnaire_is_noted(mlflow_store):
    declare(risk_class="high")
    done = declare(risk_class="minimal")
    assert any("it was high and is now declared minimal" in note for note in done.notes)


def test_answers_and_regions_survive_the_next_declaration(mlflow_store):
    declare()
    record_classification("credit", HIGH, config=Declaration())
    records = ManagementRecords(config=Declaration())
    records.revise("system", "credit", lambda content: content.model_copy(update={"regions": ("EU",)}))
    content = declare(purpose="Another").filed.record.content
    assert content["regions"] == ["EU"]
    assert content["answers"]["annex_iii_5b"] == "yes"


def test_what_aims_yaml_declares_is_held_against_the_questionnaire(mlflow_store):
    declare()
    outcome = systems.classify(HIGH | {"deployer": "yes"})
    said = against_classification(outcome, "credit", config=declaration(risk_class="limited"))
    assert len(said) == 2
    assert "declared limited, while the questionnaire comes to high" in said[0]
    assert "deployer, too" in said[1]
    assert against_classification(outcome, config=Declaration()) == ()
    (of_record,) = against_classification(outcome, "credit", config=declaration("another", risk_class="minimal"))
    assert of_record.startswith("record system:credit: the role")


def test_a_system_that_is_not_there_is_named_with_the_nearest(mlflow_store):
    declare()
    for call in (
        lambda: record_classification("credti", HIGH, config=Declaration()),
        lambda: show_system("credti", config=Declaration()),
    ):
        with pytest.raises(InputError, match=r"Did you mean credit\?"):
            call()


def test_an_answer_that_is_none_files_nothing(mlflow_store):
    declare()
    with pytest.raises(InputError, match="expected yes, no or unsure"):
        record_classification("credit", {"ai_system": "perhaps"}, config=Declaration())
    assert search().systems[0].revision == 1


# one system


def test_a_system_nothing_contradicts_is_clear(mlflow_store):
    make("credit-pd")
    said = declaration(risk_class="high")
    aims_mlflow.declare_system(config=said)
    record_classification("credit", HIGH, config=said)
    detail = show_system("credit", config=said)
    assert detail.is_clear
    assert detail.classification.risk_class == "high"
    assert detail.entry.models == ("credit-pd",)


def test_the_aims_yaml_at_hand_that_says_other_is_a_named_contradiction(mlflow_store):
    declare(risk_class="high", purpose="Score loans")
    here = declaration(risk_class="limited", purpose="Score loans", owner="Somebody else")
    said = {(one.field, one.inventory, one.said, one.by) for one in show_system("credit", config=here).contradictions}
    assert said == {
        ("risk_class", "high", "limited", "aims.yaml"),
        ("owner", "Head of Lending", "Somebody else", "aims.yaml"),
    }
    assert show_system("credit", config=declaration("another")).is_clear


def test_an_aims_yaml_of_a_served_version_that_says_other_is_a_named_contradiction(mlflow_store):
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
    aims_mlflow.assess(
        run.info.run_id,
        config=declaration(
            "credit", "older-*", risk_class="minimal", organization_role="deployer", lifecycle_stage="design"
        ),
    )
    client = MlflowClient()
    client.create_registered_model("credit-pd")
    client.create_model_version("credit-pd", "file:///models/credit", run_id=run.info.run_id)
    declare(risk_class="high", lifecycle_stage="operation")
    assert show_system("credit", config=Declaration()).is_clear  # it does not serve
    client.set_registered_model_alias("credit-pd", "champion", "1")
    detail = show_system("credit", config=Declaration())
    by = f"run {run.info.run_id} of credit-pd/1 (alias champion)"
    assert {(one.field, one.inventory, one.said, one.by) for one in detail.contradictions} == {
        ("risk_class", "high", "minimal", by),
        ("organization_role", "provider", "deployer", by),
    }
    assert not detail.is_clear


def test_a_served_version_of_a_run_of_another_system_is_a_named_contradiction(mlflow_store):
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
    aims_mlflow.assess(run.info.run_id, config=declaration("fraud"))
    client = MlflowClient()
    client.create_registered_model("credit-pd")
    client.create_model_version("credit-pd", "file:///models/credit", run_id=run.info.run_id)
    client.set_registered_model_alias("credit-pd", "champion", "1")
    declare()
    (found,) = show_system("credit", config=Declaration()).contradictions
    assert (found.field, found.inventory, found.said) == ("id", "credit", "fraud")


def test_a_run_that_cannot_be_read_is_said_and_never_taken_for_agreement(mlflow_store):
    client = MlflowClient()
    client.create_registered_model("credit-pd")
    client.create_model_version("credit-pd", "file:///models/credit", run_id="0" * 32)
    client.set_registered_model_alias("credit-pd", "champion", "1")
    declare()
    detail = show_system("credit", config=Declaration())
    assert len(detail.unread) == 1
    assert not detail.is_clear


def test_answers_that_no_longer_fit_the_record_are_contradictions(mlflow_store):
    declare()
    record_classification("credit", HIGH | {"deployer": "yes"}, config=Declaration())
    records = ManagementRecords(config=Declaration())
    records.revise("system", "credit", lambda content: content.model_copy(update={"risk_class": RiskClass.LIMITED}))
    found = {one.field: one for one in show_system("credit", config=Declaration()).contradictions}
    assert found["risk_class"].said.startswith("high (Creditworthiness")
    assert (found["organization_role"].inventory, found["organization_role"].said) == (
        "provider",
        "provider and deployer",
    )
    records.revise("system", "credit", lambda content: content.model_copy(update={"answers": {"gone": "yes"}}))
    (found,) = show_system("credit", config=Declaration()).contradictions
    assert found.field == "answers"


def test_a_record_that_is_no_system_is_shown_as_broken(mlflow_store):
    records = ManagementRecords(config=Declaration())
    filed = records.file("system", {"name": "Credit"}, owner="Head", id="credit")
    state = records.state()
    broken = filed.record.model_copy(
        update={"revision": 2, "previous": filed.record.digest, "content": {"nonsense": 1}, "recorded_at": state.at}
    )
    records.store.file(broken)
    detail = show_system("credit", config=Declaration())
    assert detail.content is None
    assert not detail.is_clear
    assert declare().is_new
    assert search().systems[0].name == "Credit scoring"
