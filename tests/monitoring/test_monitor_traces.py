import inspect
import random
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import SpanStatusCode

from aims_mlflow.api.assessing import assess
from aims_mlflow.attach.store import RunStore
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DriftEvidence, ReferenceProfile, TraceWindow, Verdict
from aims_mlflow.monitoring.traces import monitor_traces
from aims_mlflow.operation.windows import Window

NEW = "locations" in inspect.signature(MlflowClient.search_traces).parameters
pytestmark = pytest.mark.skipif(not NEW, reason="MLflow 2 with a current OpenTelemetry never ends its traces")

DAY = timedelta(days=1)
FIRST = Window.holding(datetime(2026, 10, 5, 12, tzinfo=UTC), DAY)
CONFIG = {
    "system": {"id": "helpdesk"},
    "monitoring": {
        "window": "1d",
        "smallest_window": 40,
        "traces": {
            "experiment": "helpdesk-live",
            "expected": 60,
            "guardrails": ["pii"],
            "limits": {"error_rate": {"max": 0.1}},
        },
    },
}


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input


@pytest.fixture
def app(mlflow_store):
    """A registered version of an application, and a way to let it answer on a day."""
    client = MlflowClient()
    mlflow.set_experiment("helpdesk-train")
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(name="model", python_model=Echo())
    version = mlflow.register_model(logged.model_uri, "helpdesk")
    client.set_registered_model_alias("helpdesk", "champion", version.version)
    live = client.create_experiment("helpdesk-live")
    rng = random.Random(3)

    def answer(window, count, *, errors=0, words=6, digits=False, model_id=logged.model_id):
        mlflow.set_experiment(experiment_id=live)
        for number in range(count):
            start = window.start + DAY * (number + 0.5) / (count + 1)
            at = int(start.timestamp() * 1e9)
            length = max(1, round(rng.gauss(words, 1.5)))
            text = " ".join(
                str(rng.randint(0, 9999)) if digits else rng.choice(["please", "reset", "my", "code"])
                for _ in range(length)
            )
            span = mlflow.start_span_no_context(
                "ask", inputs={"q": text}, start_time_ns=at, metadata={"mlflow.modelId": model_id}
            )
            span.set_outputs(text.upper())
            span.end(
                status=SpanStatusCode.ERROR if number < errors else SpanStatusCode.OK,
                end_time_ns=at + int(rng.gauss(80, 10) * 1e6),
            )
        mlflow.flush_trace_async_logging()

    return client, answer


def evidence_of(client, result):
    store = RunStore(client, result.run_id)
    return store.holdings(store.facts()).evidence


def only(kind, records):
    (found,) = [r for r in records if isinstance(r, kind)]
    return found


def watch(window, **how):
    return monitor_traces("helpdesk@champion", window=window, config=CONFIG, **how)


def test_a_window_of_traces_is_evidence_of_the_version_that_answered(app):
    client, answer = app
    answer(FIRST, 60, errors=1)
    result = watch(FIRST)
    traces = only(TraceWindow, result.evidence)
    assert (traces.traces, traces.errors, traces.coverage) == (60, 1, 1.0)
    assert traces.subject.model.version == "1" and traces.subject.model.sha256
    by_name = {m.name: m for m in traces.metrics}
    assert by_name["latency_p50"].estimate.value == pytest.approx(80, abs=8)
    assert by_name["guardrail.pii"].estimate.value == 0.0
    assert by_name["error_rate"].verdict is Verdict.PASS
    assert client.get_run(result.run_id).data.metrics["traces.error_rate"] == pytest.approx(1 / 60)


def test_counting_the_same_traces_again_changes_nothing(app):
    _, answer = app
    answer(FIRST, 60)
    first, again = watch(FIRST), watch(FIRST)
    assert first.changed and not again.changed and again.run_id == first.run_id


def test_no_text_of_any_trace_is_kept(app):
    client, answer = app
    answer(FIRST, 60)
    result = watch(FIRST)
    for record in evidence_of(client, result):
        assert b"please" not in record.canonical and b"PLEASE" not in record.canonical


def test_texts_that_are_written_otherwise_are_drift_and_texts_alike_are_not(app):
    _, answer = app
    second, third = FIRST.next(), FIRST.next().next()
    answer(FIRST, 60)
    answer(second, 60)
    answer(third, 60, words=14, digits=True)
    reference = only(ReferenceProfile, watch(FIRST).evidence)
    alike = only(DriftEvidence, watch(second).evidence)
    changed = only(DriftEvidence, watch(third).evidence)
    assert reference.rows == 60 and alike.reference == reference.dataset
    assert alike.verdict is not Verdict.FAIL
    assert changed.verdict is Verdict.FAIL
    drifted = {c.column for c in changed.columns if c.verdict is Verdict.FAIL}
    assert {"request.digits", "response.words"} <= drifted


def test_many_errors_fail_their_limit_and_too_few_traces_the_coverage(app):
    _, answer = app
    answer(FIRST, 50, errors=20)
    traces = only(TraceWindow, watch(FIRST).evidence)
    by_name = {m.name: m.verdict for m in traces.metrics}
    assert by_name["error_rate"] is Verdict.FAIL and by_name["coverage"] is Verdict.FAIL
    assert traces.verdict is Verdict.FAIL


def test_a_window_without_traces_is_no_pass(app):
    without = {**CONFIG, "monitoring": {**CONFIG["monitoring"], "traces": {"experiment": "helpdesk-live"}}}
    result = monitor_traces("helpdesk@champion", window=FIRST, config=without)
    assert only(TraceWindow, result.evidence).verdict is Verdict.NOT_TESTED
    assert result.verdict is not Verdict.PASS


def test_traces_of_another_logged_model_are_left_to_theirs(app):
    _, answer = app
    answer(FIRST, 60)
    answer(FIRST, 7, model_id="m-00000000000000000000000000000000")
    traces = only(TraceWindow, watch(FIRST).evidence)
    assert traces.traces == 60 and traces.parameters["of_other_versions"] == 7


def test_traces_that_were_deleted_too_early_are_found_out(app):
    client, answer = app
    second = FIRST.next()
    answer(FIRST, 60)
    watch(FIRST)
    answer(second, 60)
    live = client.get_experiment_by_name("helpdesk-live").experiment_id
    assert only(TraceWindow, watch(second).evidence).verdict is Verdict.PASS
    client.delete_traces(live, max_timestamp_millis=int(second.start.timestamp() * 1000))
    traces = only(TraceWindow, watch(second).evidence)
    kept = next(m for m in traces.metrics if m.name == "kept_days")
    assert kept.verdict is Verdict.FAIL and "are gone" in kept.reason


def test_the_assessment_of_the_version_counts_its_traces(app):
    _, answer = app
    now_there = Window.holding(datetime.now(UTC), DAY)
    answer(now_there, 60)
    watch(now_there)
    found = {f.id: f for f in assess("models:/helpdesk/1", config=CONFIG).findings}
    events = next(c for c in found["A.6.2.8"].checks if c.requirement == "events")
    assert events.outcome == "pass"


def test_an_experiment_that_is_not_there_is_named(app):
    with pytest.raises(InputError, match="no experiment 'elsewhere'"):
        watch(FIRST, experiment="elsewhere")
