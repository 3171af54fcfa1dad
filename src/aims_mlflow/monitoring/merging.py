"""The parts of a window put together, each once, and the window filed from them."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aims_mlflow.attach.store import check_reachable
from aims_mlflow.capture.collect import capture_error
from aims_mlflow.config import MonitoringPolicy, Settings
from aims_mlflow.config.monitoring import span
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError, InputError
from aims_mlflow.evidence import CaptureErrorRecord, now, sha256_of
from aims_mlflow.monitoring.filing import WindowResult, file_window
from aims_mlflow.monitoring.measuring import measure_window
from aims_mlflow.monitoring.observing.filling import NO_PLAN
from aims_mlflow.monitoring.observing.parts import SUFFIX, Part, PartId, read_part
from aims_mlflow.monitoring.observing.shipping import DAMAGED, FOLDER, PREFIX
from aims_mlflow.monitoring.served import Served, served_by
from aims_mlflow.operation.windows import Window
from aims_mlflow.series import WindowStore

if TYPE_CHECKING:
    from aims_mlflow.sketches import Profile

_log = logging.getLogger("aims_mlflow")

PARTS_TAG = "aims.parts"
"""Digest of the parts the window was filed from: where it is that of the parts on record, the window is closed."""
INCOMPLETE_TAG = "aims.parts.incomplete"
"""Parts that end with the last checkpoint of a replica that was killed."""
_TRIES = 4
_WINDOW_KIND = "monitoring_window"


@dataclass(frozen=True)
class PartsState:
    """The parts of a window that count."""

    run_id: str
    parts: Mapping[str, str]
    """Id of each part to its digest, or ``damaged``."""
    closed_from: str | None = None
    """Digest of those it was filed from."""

    @property
    def digest(self) -> str:
        """Over all of them."""
        return sha256_of("".join(f"{k}={v}\n" for k, v in sorted(self.parts.items())).encode())

    @property
    def closed(self) -> bool:
        """Whether the window was filed from just these."""
        return not self.parts or self.closed_from == self.digest

    @property
    def first(self) -> str | None:
        """The replica whose part comes first by name: it closes the window."""
        return min((part.rsplit(".", 2)[0] for part in self.parts), default=None)


@dataclass
class Merged:
    """A window's parts as one."""

    profile: Profile
    rows: int = 0
    parts: int = 0
    incomplete: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Reason to rows that were served and are in no summary."""
    unreadable: list[str] = field(default_factory=list)
    """Parts that are damaged or cannot be merged."""


def state_of(client: Any, of: Any, window: Window) -> PartsState | None:
    """The parts of a window on record; None where it has no run.

    Args:
        client: An ``MlflowClient``.
        of: The version: anything with ``model``, ``version`` and ``policy``.
        window: The window.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    run_id = WindowStore(client, of.policy).run_of(of.model, of.version, window)
    return None if run_id is None else _state(client.get_run(run_id))


def _state(run: Any) -> PartsState:
    parts = {k.removeprefix(PREFIX): str(v) for k, v in run.data.params.items() if k.startswith(PREFIX)}
    return PartsState(str(run.info.run_id), parts, run.data.tags.get(PARTS_TAG))


def merge_parts(client: Any, state: PartsState, served: Served, window: Window) -> Merged:
    """Read the parts of a window and put them together.

    A part that is damaged, or made by another plan than the version's reference has now, is named and left out.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    from aims_mlflow.sketches import Plan, Profile

    plan = served.profile.plan if served.profile is not None else Plan(())
    merged = Merged(Profile.empty(plan))
    for name, part in _read(client, state):
        if part is None or part.id.window != window:
            merged.unreadable.append(name)
            continue
        merged.parts += 1
        merged.incomplete += not part.header.complete
        merged.lost.update(part.header.lost)
        try:
            profile = part.read_profile()
            if profile is not None:
                merged.profile = merged.profile.merge(profile)
                merged.rows += part.header.rows
            elif served.profile is None:
                merged.profile.rows += part.header.rows
                merged.rows += part.header.rows
            else:
                merged.lost[NO_PLAN] += part.header.rows
        except (EvidenceError, InputError) as error:
            _log.warning("aims: part %s cannot be taken in: %s", name, error.message)
            merged.unreadable.append(name)
    return merged


def _read(client: Any, state: PartsState) -> Iterator[tuple[str, Part | None]]:
    """Each part on record by name; None where it is not there as it was committed."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if any(value != DAMAGED for value in state.parts.values()):
            try:
                folder = Path(client.download_artifacts(state.run_id, FOLDER, place))
            except AimsError:
                raise
            except Exception as error:
                raise DeliveryError(
                    f"the parts of a window could not be read ({type(error).__name__})", where=f"run {state.run_id}"
                ) from error
        for name, value in sorted(state.parts.items()):
            path = folder / f"{name}{SUFFIX}"
            try:
                PartId.parse(name)
                content = path.read_bytes() if value != DAMAGED else b""
                yield name, read_part(content, name=name) if sha256_of(content) == value else None
            except (OSError, EvidenceError):
                yield name, None


def close(
    of: Any,
    window: Window,
    *,
    client: Any,
    settings: Settings | None = None,
    again: bool = False,
) -> WindowResult | None:
    """Put the parts of a window together, measure them and file the window. A part that comes later opens it again.

    Rows that are known to be in no summary, and parts that are damaged, become an error on record of the window.

    Args:
        of: The version: ``Served``, or anything with ``model``, ``version``, ``uri``, ``policy`` and ``settings``.
        window: The window.
        client: An ``MlflowClient``.
        settings: The declaration; the one of ``of`` where None.
        again: True measures and files it although it is closed.

    Returns:
        What became of it; None where it has no parts, or was closed with just these.

    Raises:
        InputError, EvidenceError, DeliveryError: as of ``file_window`` and ``served_by``.
    """
    check_reachable(str(client.tracking_uri))
    served = of if isinstance(of, Served) else served_by(client, of.uri, settings or of.settings)
    if settings is not None and served.settings is not settings:
        served = replace(served, settings=settings)
    result: WindowResult | None = None
    for _ in range(_TRIES):
        state = state_of(client, served, window)
        if state is None or not state.parts or (state.closed and not again):
            return result
        again = False
        merged = merge_parts(client, state, served, window)
        measured = measure_window(served, merged.profile)
        errors = _errors(merged, served)
        result = file_window(
            served,
            window,
            (*measured.evidence, *errors),
            rows=merged.rows,
            parts=len(state.parts),
            profile_sha256=measured.profile_sha256,
            reference_sha256=measured.reference_sha256,
            client=client,
        )
        if result.spooled is not None:
            return result
        client.set_tag(state.run_id, PARTS_TAG, state.digest)
        if merged.incomplete:
            client.set_tag(state.run_id, INCOMPLETE_TAG, str(merged.incomplete))
    return result


def _errors(merged: Merged, served: Served) -> list[CaptureErrorRecord]:
    told = []
    lost = {reason: rows for reason, rows in sorted(merged.lost.items()) if rows}
    if lost:
        total = sum(lost.values())
        told.append(f"counting its rows: {total} that were served are in no summary ({', '.join(lost)})")
    if merged.unreadable:
        many = len(merged.unreadable)
        told.append(f"reading its parts: {many} {'are' if many > 1 else 'is'} damaged or made by another plan")
    if not told:
        return []
    error = EvidenceError("rows of a window are lost")
    return [capture_error(_WINDOW_KIND, "; ".join(told), error, subject=served.subject, at=now())]


@dataclass(frozen=True)
class Unclosed:
    """A window with parts it was not filed from yet."""

    model: str
    version: str
    window: Window
    run_id: str


def unclosed(
    client: Any, policy: MonitoringPolicy, *, model: str | None = None, at: datetime | None = None, early: bool = False
) -> list[Unclosed]:
    """Windows whose grace is over, with parts they were not filed from; oldest first.

    Args:
        client: An ``MlflowClient``.
        policy: Names the experiment and the grace.
        model: Only of this registered model.
        at: The present.
        early: True lists those, too, that may still get parts.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    check_reachable(str(client.tracking_uri))
    moment = at or now()
    experiment = client.get_experiment_by_name(policy.experiment)
    if experiment is None:
        return []
    found, token = [], None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            filter_string="tags.`aims.kind` = 'monitor' and tags.`aims.claimed` = '1'",
            max_results=1000,
            page_token=token,
        )
        for run in page:
            tags = run.data.tags
            name, version = str(tags.get("aims.model", "")), str(tags.get("aims.version", ""))
            if (model is not None and name != model) or _state(run).closed:
                continue
            window = Window.parse(str(tags.get("aims.window", "")))
            if early or window.end + span(policy.grace) <= moment:
                found.append(Unclosed(name, version, window, str(run.info.run_id)))
        token = page.token
        if not token:
            return sorted(found, key=lambda one: (one.window, one.model, one.version))


def close_unclosed(
    client: Any,
    settings: Settings,
    *,
    model: str | None = None,
    at: datetime | None = None,
    early: bool = False,
) -> tuple[list[WindowResult], dict[str, str]]:
    """Close every window that waits for it, oldest first.

    Args:
        client: An ``MlflowClient``.
        settings: The declaration.
        model: Only of this registered model.
        at: The present.
        early: True closes those, too, that may still get parts.

    Returns:
        The windows that were filed, and those that could not be, with the reason.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    policy = settings.declaration.monitoring or MonitoringPolicy()
    done: list[WindowResult] = []
    failed: dict[str, str] = {}
    served: dict[tuple[str, str], Served] = {}
    for one in unclosed(client, policy, model=model, at=at, early=early):
        key = (one.model, one.version)
        try:
            if key not in served:
                served[key] = served_by(client, f"models:/{one.model}/{one.version}", settings)
            result = close(served[key], one.window, client=client)
        except AimsError as error:
            failed[f"{one.model} {one.version} {one.window.name}"] = error.message
            continue
        if result is not None:
            done.append(result)
    return done, failed
