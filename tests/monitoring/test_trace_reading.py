import inspect
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from mlflow import MlflowClient

from aims_mlflow.monitoring.trace_reading import oldest_trace, read_traces
from aims_mlflow.operation.windows import Window

NEW = "locations" in inspect.signature(MlflowClient.search_traces).parameters
pytestmark = pytest.mark.skipif(not NEW, reason="MLflow 2 with a current OpenTelemetry never ends its traces")


@pytest.fixture
def live(mlflow_store):
    client = MlflowClient()
    experiment = client.create_experiment("live-use")

    def leave(text, *, fails=False):
        mlflow.set_experiment(experiment_id=experiment)

        @mlflow.trace
        def ask(question):
            if fails:
                raise ValueError(question)
            return question.upper()

        with suppress(ValueError):
            ask(text)
        if hasattr(mlflow, "flush_trace_async_logging"):
            mlflow.flush_trace_async_logging()

    return client, experiment, leave


def around_now():
    return Window.holding(datetime.now(UTC), timedelta(days=1))


def test_traces_of_the_window_are_read_with_their_state_time_and_texts(live):
    client, experiment, leave = live
    leave("what is it?")
    leave("and this?", fails=True)
    first, second = read_traces(client, experiment, around_now())
    assert (first.facts.state, second.facts.state) == ("ok", "error")
    assert first.facts.milliseconds is not None and first.facts.milliseconds >= 0
    assert "what is it?" in first.request and "WHAT IS IT?" in first.response
    assert oldest_trace(client, experiment) == first.facts.at


def test_traces_of_another_time_are_left_to_theirs(live):
    client, experiment, leave = live
    leave("now")
    yesterday = Window.holding(datetime.now(UTC) - timedelta(days=2), timedelta(days=1))
    assert list(read_traces(client, experiment, yesterday)) == []


def test_an_experiment_without_traces_has_no_oldest(live):
    client, experiment, _ = live
    assert oldest_trace(client, experiment) is None


def test_feedback_scores_guardrails_tokens_and_prompts_are_read(live):
    from mlflow.entities import AssessmentSource

    client, experiment, leave = live
    leave("rate me")
    (found,) = client.search_traces(locations=[experiment])
    one = found.info.trace_id
    human = AssessmentSource(source_type="HUMAN", source_id="a reviewer")
    mlflow.log_feedback(trace_id=one, name="helpful", value=True, source=human)
    mlflow.log_feedback(trace_id=one, name="groundedness", value=0.25)
    mlflow.log_feedback(trace_id=one, name="pii", value="yes")
    client.set_trace_tag(one, "mlflow.linkedPrompts", '[{"name": "greet", "version": "3"}]')
    client.set_trace_tag(one, "blocked", "true")
    (read,) = read_traces(client, experiment, around_now(), guardrails=["pii", "blocked"])
    ratings = {(r.name, r.source, r.value) for r in read.facts.ratings}
    assert ratings == {("helpful", "human", True), ("groundedness", "scorer", 0.25)}
    assert set(read.facts.guardrails) == {"pii", "blocked"}
    assert read.facts.prompts == ("greet/3",)


def test_more_traces_than_a_page_are_all_read(live, monkeypatch):
    client, experiment, leave = live
    monkeypatch.setattr("aims_mlflow.monitoring.trace_reading._PAGE", 2)
    for number in range(5):
        leave(f"question {number}")
    assert len(list(read_traces(client, experiment, around_now()))) == 5
