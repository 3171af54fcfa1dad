"""``monitor_traces``: a window of an application's MLflow traces becomes evidence of the version that answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aims_mlflow.api.policies import Config
from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.capture.traces import Kept, trace_evidence
from aims_mlflow.config import Columns, TracePolicy, load_settings
from aims_mlflow.errors import DeliveryError, InputError
from aims_mlflow.evidence import DatasetRef, DriftEvidence, EvidenceBase, ReferenceProfile, now
from aims_mlflow.measure.traces import DESCRIPTORS, TraceCounter, describe_text
from aims_mlflow.monitoring.filing import WindowResult, file_window
from aims_mlflow.monitoring.served import Served, served_by
from aims_mlflow.monitoring.trace_reading import ReadTrace, oldest_trace, read_traces
from aims_mlflow.operation.windows import Window
from aims_mlflow.series import WindowStore

if TYPE_CHECKING:
    import numpy as np

_CHUNK = 2_000
_MOST_IN_REFERENCE = 50_000
"""Traces a reference of texts is made of at most: the first of its window."""
_SIDES = ("request", "response")


def monitor_traces(
    model: str,
    *,
    window: str | Window | None = None,
    requests: int | None = None,
    experiment: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> WindowResult:
    """Count the traces of a window and file them as evidence of the version that answered.

    Error rate, percentiles of latency, tokens and cost, rates of feedback and scorers, guardrail hits, coverage of the
    logging and how far back logs are kept, each with its interval; how requests and responses are written is held
    against a reference window by descriptors such as length and share of digits. No text is kept.

    Traces that name another logged model are left to theirs; those that name none count.

    Args:
        model: The registered version: ``models:/name/version`` or ``name@alias``.
        window: The window, or its name ``start/end``; the last one that has ended where None.
        requests: How many requests there were in truth (from the gateway, say), for the coverage of the logging.
        experiment: Name or id of the experiment live use is traced to; ``monitoring.traces.experiment`` where None.
        config: ``aims.yaml``, by path, or a declaration.
        tracking_uri: The MLflow server or database.

    Returns:
        What was filed; filing the same traces again changes nothing.

    Raises:
        InputError: the version, the window or the experiment is not there.
        DeliveryError: MLflow cannot be reached.
    """
    from mlflow import MlflowClient

    settings = load_settings(config)
    client = MlflowClient(tracking_uri=tracking_uri)
    served = served_by(client, model, settings)
    policy = served.policy.traces
    place = _experiment(client, experiment or policy.experiment)
    at = now()
    span = _window(window, served, at)
    counter = TraceCounter(guardrails=policy.guardrails, smallest_cell=_cell(served))
    store = WindowStore(client, served.policy)
    reference = _reference_of(client, store, served, span)
    texts = _Texts(served, reference)
    seen = _Seen()
    for trace in _of_version(read_traces(client, place, span, guardrails=policy.guardrails), served, seen):
        counter.add(trace.facts)
        texts.add(trace)
    record = trace_evidence(
        counter,
        span.ref,
        policy=policy,
        privacy=served.settings.declaration.privacy,
        subject=served.subject,
        at=at,
        kept=Kept(oldest_trace(client, place), _kept_since(store, served, policy, span)),
        requests=requests,
        others=seen.others,
        unbound=seen.unbound,
    )
    measured: list[EvidenceBase] = [record, *texts.evidence(span, at)]
    return file_window(served, span, measured, rows=counter.traces, client=client)


@dataclass
class _Seen:
    others: int = 0
    unbound: int = 0


def _of_version(traces: Iterator[ReadTrace], served: Served, seen: _Seen) -> Iterator[ReadTrace]:
    own = served.ref.model_id
    for trace in traces:
        if trace.model_id is not None and own is not None and trace.model_id != own:
            seen.others += 1
            continue
        if trace.model_id is None:
            seen.unbound += 1
        yield trace


def _cell(served: Served) -> int:
    return served.settings.declaration.privacy.smallest_cell


def _experiment(client: Any, named: str | None) -> str:
    if named is None:
        raise InputError(
            "nobody said which experiment live use is traced to",
            where="monitoring.traces.experiment",
            remedy="Set it in aims.yaml, or give experiment=.",
        )
    found = client.get_experiment_by_name(named)
    if found is None and named.isdigit():
        return named
    if found is None:
        raise InputError(f"there is no experiment {named!r}", where="experiment", remedy="`mlflow experiments search`.")
    return str(found.experiment_id)


def _window(window: str | Window | None, served: Served, at: datetime) -> Window:
    if isinstance(window, Window):
        return window
    if window is not None:
        return Window.parse(window)
    length = served.policy.length
    return Window.holding(at - length, length)


def _kept_since(store: WindowStore, served: Served, policy: TracePolicy, span: Window) -> datetime | None:
    """End of the earliest window with traces, of those whose traces must still be kept when this one ended."""
    first = span.end - timedelta(days=policy.keep_days)
    ends = [
        one.window.end
        for one in store.history(served.model, served.version)
        if one.window.start >= first and one.window < span and one.numbers.get("traces.traces", 0) > 0
    ]
    return min(ends, default=None)


def _reference_of(client: Any, store: WindowStore, served: Served, span: Window) -> ReferenceProfile | None:
    """The profile of texts that other windows are held against; of the declared window, else of the first filed.

    None where there is none yet, or the window looked at is the reference itself.
    """
    from aims_mlflow.attach.store import RunStore

    filed = store.filed(served.model, served.version, kind="reference_profile")
    named = served.policy.traces.reference
    if named is not None:
        filed = [one for one in filed if one.window == Window.parse(named)]
    if not filed or filed[-1].window == span:
        return None
    run = RunStore(client, filed[-1].run_id)
    found = [r for r in run.holdings(run.facts()).evidence if isinstance(r, ReferenceProfile)]
    if not found:
        raise DeliveryError("the reference of the texts could not be read", where=f"run {filed[-1].run_id}")
    return max(found, key=lambda r: (r.captured_at, r.digest))


@dataclass
class _Texts:
    """How requests and responses are written: summed up as they pass, no text kept."""

    served: Served
    reference: ReferenceProfile | None
    rows: list[list[float]] = field(default_factory=list)
    count: int = 0
    profile: Any = None

    def __post_init__(self) -> None:
        if self.reference is not None:
            from aims_mlflow.capture.profile import profile_of_record
            from aims_mlflow.sketches import Profile

            self.profile = Profile.empty(profile_of_record(self.reference).plan)

    def add(self, trace: ReadTrace) -> None:
        self.count += 1
        if self.profile is None and len(self.rows) >= _MOST_IN_REFERENCE:
            return
        described = (describe_text(trace.request), describe_text(trace.response))
        self.rows.append([value for side in described for value in side.values()])
        if self.profile is not None and len(self.rows) >= _CHUNK:
            self._fold()

    def _fold(self) -> None:
        if self.rows:
            self.profile.add(_table(self.rows))
            self.rows = []

    def evidence(self, span: Window, at: datetime) -> Sequence[EvidenceBase]:
        """The comparison with the reference; the reference itself where this window is it; nothing of too few."""
        if self.reference is None:
            return self._first(span, at)
        self._fold()
        return [self._drift(self.reference, at)]

    def _first(self, span: Window, at: datetime) -> Sequence[EvidenceBase]:
        from aims_mlflow.capture.profile import reference_record

        named = self.served.policy.traces.reference
        if self.count < self.served.policy.smallest_window or (named is not None and Window.parse(named) != span):
            return []
        ref = DatasetRef(name=_name(self.served), role="reference", rows=len(self.rows))
        return [
            reference_record(_table(self.rows), ref, settings=_plain(self.served), subject=self.served.subject, at=at)
        ]

    def _drift(self, reference: ReferenceProfile, at: datetime) -> DriftEvidence:
        from dataclasses import fields

        from aims_mlflow.capture.profile import profile_of_record
        from aims_mlflow.measure.sketched import drift_of_profiles

        declaration = self.served.settings.declaration
        payload = drift_of_profiles(
            profile_of_record(reference),
            self.profile,
            policy=declaration.drift,
            columns=Columns(),
            privacy=declaration.privacy,
        )
        own = {f.name: getattr(payload, f.name) for f in fields(payload) if f.name != "html"}
        own["parameters"] = {**own["parameters"], "texts": "as MLflow previews them", "descriptors": dict(DESCRIPTORS)}
        current = DatasetRef(name=_name(self.served), role="production", rows=self.count)
        return DriftEvidence(
            collector=COLLECTOR,
            captured_at=at,
            subject=self.served.subject,
            reference=reference.dataset,
            current=current,
            **own,
        )


def _plain(served: Served) -> Any:
    """The settings without the columns of the application's own data: descriptors are columns of another kind."""
    from dataclasses import replace

    declaration = served.settings.declaration.model_copy(update={"columns": Columns()})
    return replace(served.settings, declaration=declaration)


def _name(served: Served) -> str:
    return f"{served.model} texts"


def _table(rows: list[list[float]]) -> Any:
    import numpy as np
    import pandas as pd

    from aims_mlflow.frames import as_table

    names = [f"{side}.{name}" for side in _SIDES for name in DESCRIPTORS]
    values: np.ndarray = np.asarray(rows, dtype=np.float64).reshape(-1, len(names))
    return as_table(pd.DataFrame(values, columns=names))
