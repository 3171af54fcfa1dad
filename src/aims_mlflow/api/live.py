"""Live evidence of a version: what its latest windows hold, as it was known at a moment.

It stays in the runs of the windows and is never copied to the training run: a year of windows would bury that.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.collect import capture_error
from aims_mlflow.config import MonitoringPolicy, Settings
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import DatasetRef, EvidenceBase, ModelRef, MonitoringWindow, Subject
from aims_mlflow.series import FiledWindow, WindowStore

_log = logging.getLogger("aims_mlflow")

MEASURED = ("data_quality", "drift", "performance", "fairness", "estimated_performance", "trace_window")
"""Kinds of a window; of each the latest window that holds it counts, since labels come late."""
_RECENT = 40
"""Windows looked through in one search; kinds that come later than that are searched for."""


@dataclass
class _Found:
    """What was found so far, latest first."""

    records: dict[str, EvidenceBase] = field(default_factory=dict)
    """By digest."""
    kinds: set[str] = field(default_factory=set)
    is_latest: bool = True


def live_evidence(
    client: Any, settings: Settings, *, model: ModelRef | None, at: datetime, past: bool = False
) -> list[EvidenceBase]:
    """The evidence of a registered version's latest windows.

    The latest window's record and measurements count; of kinds it does not hold, the latest window that does. Windows
    that cannot be read are errors of all their kinds, so that no row passes without them.

    Args:
        client: An ``MlflowClient``.
        settings: The declaration; its monitoring section names the experiment.
        model: The version.
        at: The moment.
        past: Whether that moment is past: windows and evidence filed later are left aside then.
    """
    if model is None or not model.registered_name or not model.version:
        return []
    store = WindowStore(client, settings.declaration.monitoring or MonitoringPolicy())
    if not store.can_hold_windows:
        return []
    try:
        return list(_read(client, store, model, at if past else None))
    except Exception as error:  # noqa: BLE001  (whatever a store raises: unread evidence is an error, never nothing)
        told = error.message if isinstance(error, AimsError) else type(error).__name__
        _log.warning("aims: the live evidence of %s %s was not read: %s", model.registered_name, model.version, told)
        _log.debug("aims: cause", exc_info=True)
        live = (DatasetRef(name=f"{model.registered_name} live", role="production"),)
        about = Subject(system_id=settings.declaration.system.id, model=model, datasets=live)
        kinds = ("monitoring_window", *MEASURED)
        return [capture_error(kind, "reading live evidence", error, subject=about, at=at) for kind in kinds]


def _read(client: Any, store: WindowStore, model: ModelRef, then: datetime | None) -> Sequence[EvidenceBase]:
    """The records, as of ``live_evidence``.

    Raises:
        AimsError: the runs cannot be read, or their evidence does not match its manifest.
    """
    name, version = str(model.registered_name), str(model.version)
    until = None if then is None else then + store.policy.length
    found = _Found()
    recent = store.filed(name, version, until=until, most=None if then else _RECENT)
    for one in recent:
        if not found.is_latest and not (one.kinds & set(MEASURED)) - found.kinds:
            continue
        _take(client, one, found, then)
    if then is None and len(recent) == _RECENT:
        for kind in MEASURED:
            if kind not in found.kinds:
                for one in store.filed(name, version, kind=kind, most=1):
                    _take(client, one, found, then)
    return list(found.records.values())


def _take(client: Any, one: FiledWindow, found: _Found, then: datetime | None) -> None:
    """Take a window's record, if it is the latest, and its measurements of kinds no later window holds."""
    if then is not None and one.first_filed is not None and one.first_filed > then:
        return
    run = RunStore(client, one.run_id)
    held = run.holdings(run.facts()).evidence
    if then is not None:
        held = tuple(r for r in held if r.captured_at <= then)
    windows = [r for r in held if isinstance(r, MonitoringWindow)]
    counted = max(windows, key=lambda r: (r.captured_at, r.digest), default=None)
    if counted is None:
        return
    by_digest = {r.digest: r for r in held}
    taken = set()
    for digest, kind in counted.measured.items():
        record = by_digest.get(digest)
        of_kind = str(getattr(record, "of_kind", kind))
        if record is not None and of_kind not in found.kinds:
            found.records[digest] = record
            taken.add(of_kind)
    found.kinds |= taken
    if found.is_latest:
        found.records[counted.digest] = counted
        found.is_latest = False
