"""Parts on their way into MLflow: each into the run of its window, and counted once whatever is lost on the way.

A part is an artifact ``parts/<id>.bin`` of the window's run, and it counts once its digest stands as the parameter
``part.<id>`` of that run. MLflow never changes a parameter, so that a part that is sent twice, by whomever, stays one
part, and one that was sent in half does not count until it is there as a whole.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aims_mlflow.attach.store import check_reachable
from aims_mlflow.config import MonitoringPolicy
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError
from aims_mlflow.evidence import sha256_of
from aims_mlflow.monitoring.observing.spool import (
    Home,
    leftover,
    part_named,
    read_spooled,
    replica_folders,
    set_aside,
    waiting,
)
from aims_mlflow.operation.windows import Window
from aims_mlflow.series import WindowStore

_log = logging.getLogger("aims_mlflow")

FOLDER = "parts"
PREFIX = "part."
DAMAGED = "damaged"
"""Value of the parameter of a part that was lost: what it held is not counted, and the window says so."""

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 300.0


class Backoff:
    """How long to wait after a failure: twice as long each time, never in step with other replicas."""

    def __init__(self, *, first: float = _FIRST_WAIT, longest: float = _LONGEST_WAIT) -> None:
        self._first, self._longest = first, longest
        self._failures = 0

    def failed(self) -> float:
        """Seconds to wait now."""
        self._failures += 1
        most = min(self._first * 2 ** min(self._failures - 1, 30), self._longest)
        return float(most) * random.uniform(0.5, 1.0)  # noqa: S311  (no secret)

    def worked(self) -> None:
        """Start anew."""
        self._failures = 0


@dataclass
class Shipment:
    """What became of the parts in a spool."""

    delivered: list[str] = field(default_factory=list)
    """Ids of parts."""
    set_aside: list[str] = field(default_factory=list)
    """Files that are damaged."""
    kept: dict[str, str] = field(default_factory=dict)
    """File to why it still waits."""
    recovered: int = 0
    """Checkpoints of replicas that were killed."""
    windows: set[tuple[str, str, str, str, Window]] = field(default_factory=set)
    """Tracking URI, experiment, model, version and window of each part delivered."""


class Shipper:
    """Delivers the parts of one destination.

    Args:
        client: An ``MlflowClient``.
        home: Where the parts go.
    """

    def __init__(self, client: Any, home: Home) -> None:
        self._client = client
        self._home = home
        self._store = WindowStore(client, MonitoringPolicy(experiment=home.experiment))
        self._runs: dict[Window, str] = {}

    def ship(self, path: Path, *, adopted: bool = False) -> Window | None:
        """Deliver one part and remove it from the spool; None where it was damaged and is set aside.

        Args:
            path: The file.
            adopted: True leaves its seal unchecked.

        Raises:
            DeliveryError: MLflow cannot be reached; the part waits on.
            EvidenceError: the window's run was deleted; the part waits on.
            OSError: the file cannot be read.
        """
        check_reachable(self._home.tracking_uri)  # MLflow itself would try for minutes
        try:
            part = read_spooled(path, adopted=adopted)
        except EvidenceError as error:
            _log.warning("aims: %s: %s", path.name, error.message)
            self._report_damage(path)
            set_aside(path)
            return None
        run_id = self._run_of(part.id.window)
        key, digest = f"{PREFIX}{part.id}", sha256_of(path.read_bytes())
        held = self._param(run_id, key)
        if held is None:
            self._do(lambda: self._client.log_artifact(run_id, str(path), FOLDER))
            held = self._commit(run_id, key, digest)
        if held != digest:
            _log.warning("aims: another part %s is on record already; this one is kept and not counted", part.id)
            set_aside(path)
            return None
        path.unlink(missing_ok=True)
        return part.id.window

    def _report_damage(self, path: Path) -> None:
        """Say in the window that a part of it is lost, where the file's name still says which window that is."""
        named = part_named(path)
        if named is None or named.replica != self._home.replica:
            return
        run_id = self._run_of(named.window)
        key = f"{PREFIX}{named}"
        if self._param(run_id, key) is None:
            self._commit(run_id, key, DAMAGED)

    def _run_of(self, window: Window) -> str:
        if window not in self._runs:
            home = self._home
            self._runs[window] = self._store.claim(home.model, home.version, window, system_id=home.system_id)
            while len(self._runs) > 64:
                del self._runs[next(iter(self._runs))]
        return self._runs[window]

    def _param(self, run_id: str, key: str) -> str | None:
        run: Any = self._do(lambda: self._client.get_run(run_id))
        value = run.data.params.get(key)
        return None if value is None else str(value)

    def _commit(self, run_id: str, key: str, value: str) -> str | None:
        try:
            self._client.log_param(run_id, key, value)
        except Exception as error:  # the answer may have been lost after the write, or another was first
            held = self._param(run_id, key)
            if held is None:
                raise DeliveryError(_words(error), where=f"run {run_id}") from error
            return held
        return value

    def _do(self, call: Any) -> Any:
        try:
            return call()
        except AimsError:
            raise
        except Exception as error:
            _log.debug("aims: cause", exc_info=True)
            raise DeliveryError(_words(error), where="parts") from error


def deliver_leftovers(
    roots: Sequence[Path], *, tracking_uri: str | None = None, skip: frozenset[str] = frozenset(), adopt: bool = False
) -> Shipment:
    """Deliver what dead replicas left in the spool.

    Args:
        roots: Folders of all replicas.
        tracking_uri: Only what is bound for this server; all where None.
        skip: Replicas not to look at.
        adopt: Deliver what another user left, too, or one whose key is gone.
    """
    done = Shipment()
    for folder in replica_folders(tuple(roots)):
        if folder.name in skip:
            continue
        try:
            with leftover(folder, adopt=adopt) as left:
                if left is None or (tracking_uri is not None and left.home.tracking_uri != tracking_uri):
                    continue
                done.recovered += left.recovered
                _deliver(left.home, left.parts, done, adopted=left.adopted)
        except OSError as error:
            done.kept[str(folder)] = type(error).__name__
    return done


def deliver_waiting(client: Any, home: Home, folder: Path, shipper: Shipper | None = None) -> Shipment:
    """Deliver the finished parts of this replica, oldest first; the first that fails for want of a server ends it.

    Their seals are not looked at: the folder is locked by this process, which wrote them.
    """
    done = Shipment()
    _deliver(home, waiting(folder), done, client=client, shipper=shipper, adopted=True)
    return done


def _deliver(
    home: Home,
    paths: Sequence[Path],
    done: Shipment,
    *,
    client: Any = None,
    shipper: Shipper | None = None,
    adopted: bool = False,
) -> None:
    if not paths:
        return
    if shipper is None:
        from mlflow import MlflowClient

        shipper = Shipper(client if client is not None else MlflowClient(tracking_uri=home.tracking_uri), home)
    for place, path in enumerate(paths):
        name = path.name.removesuffix(path.suffix)
        try:
            window = shipper.ship(path, adopted=adopted)
        except FileNotFoundError:
            continue  # somebody else delivered it
        except (AimsError, OSError) as error:
            why = error.message if isinstance(error, AimsError) else type(error).__name__
            done.kept |= {str(p): why for p in (paths[place:] if isinstance(error, DeliveryError) else [path])}
            if isinstance(error, DeliveryError):
                return
            continue
        if window is None:
            done.set_aside.append(str(path))
        else:
            done.delivered.append(name)
            done.windows.add((home.tracking_uri, home.experiment, home.model, home.version, window))


def _words(error: Exception) -> str:
    with suppress(AttributeError):
        return f"MLflow did not take a part ({error.error_code})"  # type: ignore[attr-defined]
    return f"MLflow did not take a part ({type(error).__name__})"
