"""Traces as MLflow has them, page by page: what is counted of each, and its texts for as long as it is looked at."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aims_mlflow.measure.traces import Rating, TraceFacts, is_hit, moment_of
from aims_mlflow.operation.windows import Window

_PAGE = 500
_TOKENS = {"input": "input_tokens", "output": "output_tokens", "total": "total_tokens"}


@dataclass(frozen=True, slots=True)
class ReadTrace:
    """One trace: what is counted, which model it names, and its texts as MLflow previews them."""

    facts: TraceFacts
    model_id: str | None
    request: str
    response: str


def read_traces(
    client: Any, experiment_id: str, window: Window, *, guardrails: Collection[str] = ()
) -> Iterator[ReadTrace]:
    """The traces that began in a window, in the order of their start.

    Args:
        client: An ``MlflowClient``.
        experiment_id: The experiment live use is traced to.
        window: The span of time.
        guardrails: Names of assessments or tags that say a guardrail was hit.

    Raises:
        MlflowException: MLflow cannot be reached, or the experiment does not exist.
    """
    first, last = (int(moment.timestamp() * 1000) for moment in (window.start, window.end))
    wanted = f"timestamp_ms >= {first} AND timestamp_ms < {last}"
    for trace in _pages(client, experiment_id, filter_string=wanted):
        yield _read(trace.info, frozenset(guardrails))


def oldest_trace(client: Any, experiment_id: str) -> Any | None:
    """The moment of the oldest trace still kept; None where there is none."""
    found = _search(client, experiment_id, max_results=1, order_by=["timestamp_ms ASC"])
    return moment_of(found[0].info.timestamp_ms) if found else None


def _pages(client: Any, experiment_id: str, **wanted: Any) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = _search(
            client, experiment_id, max_results=_PAGE, order_by=["timestamp_ms ASC"], page_token=token, **wanted
        )
        yield from page
        token = page.token
        if not token:
            return


def _search(client: Any, experiment_id: str, **wanted: Any) -> Any:
    new = "locations" in inspect.signature(client.search_traces).parameters
    place = {"locations": [experiment_id]} if new else {"experiment_ids": [experiment_id]}
    return client.search_traces(**place, include_spans=False, **wanted)


def _read(info: Any, guardrails: frozenset[str]) -> ReadTrace:
    metadata: Mapping[str, str] = getattr(info, "trace_metadata", None) or info.request_metadata
    tags: Mapping[str, str] = info.tags or {}
    assessments = [one for one in getattr(info, "assessments", None) or () if getattr(one, "valid", True) is not False]
    hit = [one.name for one in assessments if one.name in guardrails and is_hit(_value(one))]
    hit += [name for name in guardrails if is_hit(tags.get(name))]
    model_id = metadata.get("mlflow.modelId")
    took = info.execution_time_ms
    facts = TraceFacts(
        at=moment_of(info.timestamp_ms),
        state=_state(info),
        milliseconds=None if took is None else float(took),
        prompts=_prompts(tags.get("mlflow.linkedPrompts")),
        tokens=_numbers(metadata.get("mlflow.trace.tokenUsage"), _TOKENS),
        cost=_numbers(metadata.get("mlflow.trace.cost"), {"total": "total_cost"}).get("total"),
        ratings=tuple(r for one in assessments if one.name not in guardrails for r in _rating(one)),
        guardrails=tuple(hit),
    )
    return ReadTrace(
        facts,
        model_id,
        getattr(info, "request_preview", None) or metadata.get("mlflow.traceInputs") or "",
        getattr(info, "response_preview", None) or metadata.get("mlflow.traceOutputs") or "",
    )


def _state(info: Any) -> Literal["ok", "error", "open"]:
    word = str(getattr(info, "state", None) or info.status).rpartition(".")[2]
    if word == "OK":
        return "ok"
    return "error" if word == "ERROR" else "open"


def _value(assessment: Any) -> object:
    feedback = getattr(assessment, "feedback", None)
    return getattr(feedback, "value", None)


def _rating(assessment: Any) -> Iterator[Rating]:
    """A feedback; an expectation says what should have been and rates nothing."""
    feedback = getattr(assessment, "feedback", None)
    if feedback is None:
        return
    human = str(getattr(assessment.source, "source_type", "")).upper() == "HUMAN"
    failed = getattr(feedback, "error", None) is not None or getattr(assessment, "error", None) is not None
    yield Rating(assessment.name, "human" if human else "scorer", feedback.value, failed)


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _prompts(text: str | None) -> tuple[str, ...]:
    linked = _json(text)
    if not isinstance(linked, list):
        return ()
    return tuple(
        f"{one['name']}/{one['version']}"
        for one in linked
        if isinstance(one, dict) and {"name", "version"} <= one.keys()
    )


def _numbers(text: str | None, names: Mapping[str, str]) -> dict[str, float]:
    content = _json(text)
    if not isinstance(content, dict):
        return {}
    found = {}
    for name, key in names.items():
        value = content.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found
