"""``monitor``: a batch of live data becomes evidence of its window."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aims_mlflow.api.destination import dataset_of
from aims_mlflow.api.policies import Config
from aims_mlflow.attach.store import check_reachable
from aims_mlflow.config import Settings, load_settings
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import now
from aims_mlflow.frames import Table
from aims_mlflow.monitoring.filing import WindowResult, file_window
from aims_mlflow.monitoring.incoming import CLOCK_TOLERANCE, Split, batch_of, split
from aims_mlflow.monitoring.labels import Joined, joined
from aims_mlflow.monitoring.measuring import Reference, measure_window
from aims_mlflow.monitoring.served import Served, served_by
from aims_mlflow.operation.windows import Window

_log = logging.getLogger("aims_mlflow")


def monitor(
    model: str,
    data: Any,
    *,
    window: Window | str | datetime | None = None,
    labels: Any = None,
    on: str | None = None,
    reference: Any = None,
    config: Config | Settings = None,
    tracking_uri: str | None = None,
) -> WindowResult:
    """Measure a batch of live data and file it as evidence of its window, tied to the version and the system.

    Quality by the rules in force, drift of inputs, predictions and outcomes against the reference the version was
    registered with, an estimate of performance, and, where labels are, performance and fairness. Filing a window twice
    changes nothing; with more, such as labels that came late, it is added and judged anew. Rules of ``monitoring`` in
    ``aims.yaml`` turn numbers into alarms, and the version is assessed with all of it. No row is kept.

    Args:
        model: ``models:/name/version``, ``models:/name@alias``, or the name where ``monitoring.alias`` is declared.
        data: The batch with the predictions that were made: a frame (pandas, polars, Arrow, NumPy), an ``mlflow.data``
            dataset, or the path of a CSV or Parquet file.
        window: The window, as ``start/end`` or any moment in it; rows outside it are counted and left out. None: each
            row belongs to the window of its ``columns.time``; without such a column all belong to the present one.
        labels: Frame, dataset or file with an id column and ``columns.target``: outcomes, as far as they are known.
        on: The id column; the first of ``columns.ids`` where None.
        reference: A frame to hold the batch against, where the training run keeps no reference profile. It must be the
            version's own training or reference data.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None, else the one the
            training run was captured with.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Returns:
        The latest window of the batch; ``earlier`` holds the others.

    Raises:
        InputError: the model is no registered version, the batch cannot be read, no row has a usable time, the window
            lies in the future or before the version was registered (unless ``monitoring.start`` says otherwise), or
            the reference is not the version's own.
        ConfigError: ``aims.yaml`` is wrong.
        EvidenceError: what the training run or the window keeps was altered or deleted.
        DeliveryError: MLflow cannot be reached; nothing was filed.
    """
    from mlflow import MlflowClient

    settings = load_settings(config)
    client = MlflowClient(tracking_uri=tracking_uri)
    check_reachable(str(client.tracking_uri))
    served = served_by(client, model, settings)
    return monitor_served(client, served, data, window=window, labels=labels, on=on, reference=reference)


def monitor_served(
    client: Any,
    served: Served,
    data: Any,
    *,
    window: Window | str | datetime | None = None,
    labels: Any = None,
    on: str | None = None,
    reference: Any = None,
    time: str | None = None,
) -> WindowResult:
    """``monitor`` for a version that is at hand.

    Args:
        client: An ``MlflowClient``.
        served: The version.
        data: As of ``monitor``.
        window: As of ``monitor``.
        labels: As of ``monitor``.
        on: As of ``monitor``.
        reference: As of ``monitor``.
        time: The column with the moment of each row; ``columns.time`` where None.

    Raises:
        InputError, EvidenceError, DeliveryError: as of ``monitor``.
    """
    columns, policy = served.settings.declaration.columns, served.policy
    at = now()
    wanted = window_of(window, served)
    since = serving_since(client, served)
    if wanted is not None:
        _check_window(wanted, at, since)
    base = _reference(reference, served.settings)
    table = batch_of(data)
    if not isinstance(table, Table):  # summaries: they know no rows, so all of it is the window asked for
        whole = wanted or Window.holding(at, policy.length)
        measured = measure_window(served, table, reference=base, at=at)
        return _file(client, served, whole, measured, {}, assess=True)
    found = split(table, time=time or columns.time, length=policy.length, at=at, window=wanted, since=since)
    outcomes = joined(table, labels, columns, on=on)
    results: list[WindowResult] = []
    for place, (own, rows) in enumerate(sorted(found.windows.items())):
        is_last = place == len(found.windows) - 1
        known = _outcomes_of(outcomes, found, own, len(found.windows))
        measured = measure_window(served, rows, labels=known, reference=base, at=now())
        counts = _left_out(found, served.settings) if is_last else {}
        results.append(_file(client, served, own, measured, counts, assess=is_last))
    return replace(results[-1], earlier=tuple(results[:-1]))


def _file(
    client: Any, served: Served, window: Window, measured: Any, counts: Mapping[str, int], *, assess: bool
) -> WindowResult:
    late = counts.get("late", 0)
    return file_window(
        served,
        window,
        measured.evidence,
        rows=measured.rows,
        late_rows=late,
        labels=measured.labels,
        profile_sha256=measured.profile_sha256,
        reference_sha256=measured.reference_sha256,
        counts={name: n for name, n in counts.items() if name != "late"},
        client=client,
        assess=assess,
    )


def window_of(window: Window | str | datetime | None, served: Served) -> Window | None:
    """The window asked for, by ``start/end`` or by any moment in it.

    Raises:
        InputError: it is written otherwise, or is no window of the policy's length and grid.
    """
    length = served.policy.length
    if window is None:
        return None
    if isinstance(window, str) and "/" not in window:
        try:
            moment = datetime.fromisoformat(window.strip())
        except ValueError as error:
            raise InputError(
                f"{window!r} is no moment", where="window", remedy="Write 2026-01-31, or start/end."
            ) from error
        window = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(window, datetime):
        if window.tzinfo is None:
            raise InputError("the moment needs a zone", where="window", remedy="Use datetime.now(UTC).")
        return Window.holding(window, length)
    found = Window.parse(window) if isinstance(window, str) else window
    if found != Window.holding(found.start, length):
        nearest = Window.holding(found.start, length)
        raise InputError(
            f"{found.name} is no window of monitoring.window ({served.policy.window})",
            where="window",
            remedy=f"The window there is {nearest.name}.",
        )
    return found


def _check_window(window: Window, at: datetime, since: datetime | None) -> None:
    if window.start > at + CLOCK_TOLERANCE:
        raise InputError(f"the window {window.name} lies in the future", where="window", remedy="Look at the clock.")
    if since is not None and window.end <= since:
        raise InputError(
            f"the window {window.name} ended before the version was registered",
            where="window",
            remedy="For data from before, set monitoring.start in aims.yaml to the day from which windows count.",
        )


def serving_since(client: Any, served: Served) -> datetime | None:
    """From when the version can have served: ``monitoring.start``, else the window in which it was registered."""
    if served.policy.starts is not None:
        return served.policy.starts
    version = client.get_model_version(served.model, served.version)
    created = getattr(version, "creation_timestamp", None)
    if not created:
        return None
    return Window.holding(datetime.fromtimestamp(int(created) / 1000, UTC), served.policy.length).start


def _reference(reference: Any, settings: Settings) -> Reference | None:
    if reference is None:
        return None
    table, ref = dataset_of(batch_of(reference), settings, name=None, role="reference")
    return Reference(table, ref)


def _outcomes_of(outcomes: Joined | None, found: Split, window: Window, windows: int) -> Joined | None:
    if outcomes is None:
        return None
    own = outcomes if windows == 1 and not found.late and not any(found.counts.values()) else None
    return own or outcomes.of(found.rows[window])


def _left_out(found: Split, settings: Settings) -> dict[str, int]:
    """Rows that belong to no window, as they may be told."""
    cell = settings.declaration.privacy.smallest_cell
    counts = {"late": found.late, **found.counts}
    return {name: max(n, cell) for name, n in counts.items() if n}


__all__ = ["WindowResult", "monitor", "monitor_served", "window_of"]
