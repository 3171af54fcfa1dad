"""Where windows live in MLflow: claimed by parameters, which only one of several writers can set.

The first writer of a store makes the experiment ``<name>-root``, whose name MLflow gives away once; its tag names the
root run. A parameter of the root names the series run of a version, a parameter of the series run names the run of a
window. A run that won is tagged as claimed, so that reading needs one search and no parameters.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isnan, nan
from typing import Any, TypeVar

from aims_mlflow.attach.store import check_reachable
from aims_mlflow.config import MonitoringPolicy
from aims_mlflow.errors import DeliveryError, EvidenceError, InputError
from aims_mlflow.operation.history import WindowNumbers
from aims_mlflow.operation.windows import Window
from aims_mlflow.series.numbers import HIGH, LOW, metric_key

ROOT_TAG = "aims.root"
KIND_TAG = "aims.kind"
SERIES_TAG = "aims.series"
"""Digest of the registered model and version, the same on the series run and all its windows."""
CLAIMED_TAG = "aims.claimed"
WINDOW_TAG = "aims.window"
KINDS_TAG = "aims.kinds"
"""Kinds of evidence the window holds, each between commas, so that a search finds those with a kind."""
STATUS_TAG = "aims.status"
ENDS = "window.end"
"""Metric with the end of the window in seconds since 1970: windows are ordered and looked up by it."""
FILED = "window.filed"
"""Metric with the moment of the first filing, in seconds since 1970."""
SERIES, WINDOW, ROOT = "monitor-series", "monitor", "monitor-root"

_FILE_STORE = ("file:", "/", "./", "../")
_OWN = (ENDS, FILED)
_PAGE = 1000
_BATCH = 900
_TRUSTED_SECONDS = 5.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class FiledWindow:
    """The run of a window that was filed."""

    window: Window
    run_id: str
    status: str
    kinds: frozenset[str]
    numbers: WindowNumbers
    rules: Mapping[str, str]
    """Tags ``aims.alarm.<rule>``: rule to state."""
    first_filed: datetime | None = None


class WindowStore:
    """The monitoring runs of one MLflow.

    Args:
        client: An ``MlflowClient``.
        policy: Names the experiment.
    """

    def __init__(self, client: Any, policy: MonitoringPolicy) -> None:
        self.client = client
        self.policy = policy
        self.uri = str(getattr(client, "tracking_uri", "") or "")
        self._answered = float("-inf")

    # series

    def series(self, model: str, version: str) -> str | None:
        """Id of the series run of a version; None where nothing was ever filed of it.

        Raises:
            EvidenceError: the experiment was deleted.
            DeliveryError: MLflow cannot be reached.
        """
        found = next(self._search(f"tags.`{KIND_TAG}` = '{SERIES}' and {_of(model, version)}", most=1), None)
        return None if found is None else str(found.info.run_id)

    def open(self, model: str, version: str, *, system_id: str | None = None) -> str:
        """Id of the series run of a version, made where there is none; of several who make it, all get the same.

        Raises:
            EvidenceError, DeliveryError: see ``series``.
        """
        held = self.series(model, version)
        if held is not None:
            return held
        root = self._root()
        own = self._new_run(
            f"{model} {version}",
            {
                KIND_TAG: SERIES,
                SERIES_TAG: series_key(model, version),
                "aims.model": model,
                "aims.version": version,
                **({"aims.system_id": system_id} if system_id else {}),
            },
        )
        self._finish(own)
        return self._claim(root, series_key(model, version), own)

    # windows

    def run_of(self, model: str, version: str, window: Window) -> str | None:
        """The run of a window; None where nobody claimed it.

        Raises:
            EvidenceError, DeliveryError: see ``series``.
        """
        only = f"tags.`{KIND_TAG}` = '{WINDOW}' and {_of(model, version)} and tags.`{WINDOW_TAG}` = '{window.name}'"
        found = next(self._search(only, most=1), None)
        return None if found is None else str(found.info.run_id)

    def claim(self, model: str, version: str, window: Window, *, system_id: str | None = None) -> str:
        """The run of a window, made where there is none; of several who claim it at once, all get the same.

        Raises:
            EvidenceError: its run was deleted, or see ``series``.
            DeliveryError: MLflow cannot be reached.
        """
        held = self.run_of(model, version, window)
        if held is not None:
            return held
        series = self.open(model, version, system_id=system_id)
        own = self._new_run(
            window.name,
            {
                KIND_TAG: WINDOW,
                SERIES_TAG: series_key(model, version),
                "aims.model": model,
                "aims.version": version,
                WINDOW_TAG: window.name,
                "mlflow.parentRunId": series,
                **({"aims.system_id": system_id} if system_id else {}),
            },
            start=window.start,
        )
        return self._claim(series, f"window.{window.index}.{int(window.length.total_seconds())}", own)

    def _claim(self, parent: str, name: str, own: str) -> str:
        """Take a slot for a run of ours; the run that holds it is tagged, whoever's it is, and ours discarded if not.

        Raises:
            EvidenceError: the run that holds it was deleted.
            DeliveryError: MLflow cannot be reached.
        """
        holder = own
        try:
            self._reach()
            self.client.log_param(parent, name, own)
        except Exception as error:
            # The answer may have been lost after the write, so only what is there now counts.
            now_there = self._ask(lambda: self.client.get_run(parent)).data.params.get(name)
            if now_there is None:
                self._ask(lambda: self.client.delete_run(own))
                raise DeliveryError(_words(error), where=f"run {parent}") from error
            holder = str(now_there)
        if holder != own:
            self._ask(lambda: self.client.delete_run(own))
            run = self._ask(lambda: self.client.get_run(holder))
            if run.info.lifecycle_stage != "active":
                raise EvidenceError(
                    "the run of this window, or of its series, was deleted",
                    where=f"run {holder}",
                    remedy=f"Restore it: `mlflow runs restore --run-id {holder}`.",
                )
        self._ask(lambda: self.client.set_tag(holder, CLAIMED_TAG, "1"))
        return holder

    # reading

    def history(self, model: str, version: str, until: datetime | None = None) -> list[WindowNumbers]:
        """The numbers of all windows that were filed of a version, oldest first.

        Args:
            model: The registered model.
            version: Its version.
            until: Only windows that had ended by then.

        Raises:
            EvidenceError, DeliveryError: see ``series``.
        """
        return sorted((one.numbers for one in self.filed(model, version, until=until)), key=lambda n: n.window)

    def filed(
        self,
        model: str,
        version: str,
        *,
        until: datetime | None = None,
        kind: str | None = None,
        most: int | None = None,
    ) -> list[FiledWindow]:
        """The windows that were filed of a version, latest first.

        Args:
            model: The registered model.
            version: Its version.
            until: Only windows that had ended by then.
            kind: Only windows that hold evidence of that kind.
            most: At most so many.

        Raises:
            EvidenceError, DeliveryError: see ``series``.
        """
        only = f"tags.`{KIND_TAG}` = '{WINDOW}' and {_of(model, version)}"
        if until is not None:
            only += f" and metrics.`{ENDS}` <= {until.timestamp():.3f}"
        if kind is not None:
            only += f" and tags.`{KINDS_TAG}` LIKE '%,{kind},%'"
        found = []
        for run in self._search(only, order=f"metrics.`{ENDS}` DESC", most=most):
            one = self._filed(run)
            if one is not None:
                found.append(one)
        return sorted(found, key=lambda f: f.window, reverse=True)

    def _filed(self, run: Any) -> FiledWindow | None:
        """What a search says of a window's run; None where nothing was filed into it yet."""
        tags = dict(run.data.tags)
        metrics = {k: float(v) for k, v in run.data.metrics.items() if not isnan(v)}
        if STATUS_TAG not in tags or KINDS_TAG not in tags or ENDS not in metrics:
            return None
        try:
            window = Window.parse(tags.get(WINDOW_TAG, ""))
        except InputError:
            return None  # somebody changed the tag: the window counts as missing until it is filed again
        return FiledWindow(
            window,
            str(run.info.run_id),
            tags[STATUS_TAG],
            frozenset(filter(None, tags[KINDS_TAG].split(","))),
            self._numbers(window, metrics, str(run.info.run_id)),
            {k.removeprefix("aims.alarm."): v for k, v in tags.items() if k.startswith("aims.alarm.")},
            datetime.fromtimestamp(metrics[FILED], UTC) if FILED in metrics else None,
        )

    def _numbers(self, window: Window, metrics: Mapping[str, float], run_id: str) -> WindowNumbers:
        """Metrics as numbers, those a rule names under the name it gives them."""
        given = {metric_key(rule.number): rule.number for rule in self.policy.rules}

        def ending(suffix: str) -> dict[str, float]:
            return {
                given.get(stem, stem): v
                for k, v in metrics.items()
                if k.endswith(suffix) and (stem := k.removesuffix(suffix)) in metrics
            }

        lows, highs = ending(LOW), ending(HIGH)
        ends = {f"{k}{end}" for held, end in ((lows, LOW), (highs, HIGH)) for k in held}
        values = {name: v for k, v in metrics.items() if k not in _OWN and (name := given.get(k, k)) not in ends}
        return WindowNumbers(window, values, lows, highs, run_id)

    # writing

    def write(
        self,
        run_id: str,
        numbers: WindowNumbers,
        tags: Mapping[str, str],
        *,
        at: datetime,
        model_id: str | None = None,
    ) -> None:
        """Write the numbers of a window to its run and to its logged model, then the tags that make it count as filed.

        A number that was there and could not be had again is overwritten with NaN, which reads as absent.

        Args:
            run_id: The window's run.
            numbers: Its numbers.
            tags: Tags; ``aims.status`` and ``aims.kinds`` among them.
            at: Moment of the filing, later than that of any filing before.
            model_id: The logged model, where MLflow has them; columns' numbers are not repeated there.

        Raises:
            DeliveryError: MLflow cannot be reached.
        """
        from mlflow.entities import Metric, RunTag

        values = _metrics_of(numbers)
        run = self._ask(lambda: self.client.get_run(run_id))
        values.setdefault(FILED, run.data.metrics.get(FILED, at.timestamp()))
        gone = {name: nan for name, v in run.data.metrics.items() if name not in values and not isnan(v)}
        moment, step = int(at.timestamp() * 1000), numbers.window.index
        metrics = [Metric(k, v, moment, step) for k, v in {**values, **gone}.items()]
        for first in range(0, len(metrics), _BATCH):
            self._ask(partial(self.client.log_batch, run_id, metrics=metrics[first : first + _BATCH]))
        if model_id is not None and hasattr(self.client, "log_model_params"):
            self._write_to_model(run_id, model_id, {k: v for k, v in values.items() if k not in _OWN}, moment, step)
        if run.data.tags.get(STATUS_TAG) is None or run.info.status != "FINISHED":
            self._finish(run_id)
        stale = [k for k in run.data.tags if k.startswith("aims.alarm.") and k not in tags]
        for key in stale:
            self._ask(partial(self.client.delete_tag, run_id, key))
        self._ask(lambda: self.client.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags.items()]))

    def _write_to_model(self, run_id: str, model_id: str, values: Mapping[str, float], moment: int, step: int) -> None:
        """The same numbers for the page of the logged model; it may be deleted, which loses nothing of the window."""
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        metrics = [
            Metric(k, v, moment, step, model_id=model_id)
            for k, v in values.items()
            if not k.startswith("drift.column.")
        ]
        try:
            self.client.log_batch(run_id, metrics=metrics[:_BATCH])
        except MlflowException as error:
            if getattr(error, "error_code", "") not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise DeliveryError(_words(error), where=f"model {model_id}") from error

    # MLflow

    def _root(self) -> str:
        """The root run, made if there is none; of several processes that try, all get the same."""
        name = f"{self.policy.experiment}-root"
        found = self._ask(lambda: self.client.get_experiment_by_name(name))
        if found is None:
            own = self._new_run("aims monitoring: series", {KIND_TAG: ROOT})
            self._finish(own)
            found = self._made(name, {KIND_TAG: ROOT, ROOT_TAG: own})
            if dict(found.tags).get(ROOT_TAG) != own:
                self._ask(lambda: self.client.delete_run(own))
        self._is_there(found, name)
        root = dict(found.tags).get(ROOT_TAG)
        if not root:
            raise EvidenceError(
                f"the experiment {name!r} names no root run", remedy=f"Set its tag {ROOT_TAG} again; a backup has it."
            )
        return str(root)

    def _experiment(self) -> str:
        name = self.policy.experiment
        found = self._ask(lambda: self.client.get_experiment_by_name(name))
        if found is None:
            found = self._made(name, {KIND_TAG: WINDOW})
        self._is_there(found, name)
        return str(found.experiment_id)

    def _made(self, name: str, tags: dict[str, str]) -> Any:
        try:
            self._reach()
            self.client.create_experiment(name, tags=tags)
        except Exception as error:
            found = self._ask(lambda: self.client.get_experiment_by_name(name))
            if found is None:
                raise DeliveryError(_words(error), where=f"experiment {name}") from error
            return found
        return self._ask(lambda: self.client.get_experiment_by_name(name))

    @staticmethod
    def _is_there(found: Any, name: str) -> None:
        if found.lifecycle_stage != "active":
            raise EvidenceError(
                f"the experiment {name!r}, which holds the monitoring runs, was deleted",
                remedy=f"Restore it: `mlflow experiments restore -x {found.experiment_id}`.",
            )

    def _search(self, only: str, *, order: str = "attributes.start_time ASC", most: int | None = None) -> Iterator[Any]:
        """Claimed runs of the experiment; none where it was never made."""
        name = self.policy.experiment
        experiment = self._ask(lambda: self.client.get_experiment_by_name(name))
        if experiment is None:
            return
        self._is_there(experiment, name)
        token: str | None = None
        left = most
        while left is None or left > 0:
            search = partial(
                self.client.search_runs,
                [experiment.experiment_id],
                filter_string=f"{only} and tags.`{CLAIMED_TAG}` = '1'",
                max_results=_PAGE if left is None else min(left, _PAGE),
                order_by=[order],
                page_token=token,
            )
            page = self._ask(search)
            yield from page
            token = page.token
            if not token:
                return
            left = None if left is None else left - len(page)

    def _new_run(self, name: str, tags: dict[str, str], *, start: datetime | None = None) -> str:
        experiment = self._experiment()
        begun = int((start.timestamp() if start else time.time()) * 1000)
        named = {"mlflow.runName": name[:250], **{k: v[:500] for k, v in tags.items()}}
        create = _plain(self.client, "create_run")
        run = self._ask(lambda: create(self.client, experiment, start_time=begun, tags=named))
        return str(run.info.run_id)

    def _finish(self, run_id: str) -> None:
        self._ask(lambda: _plain(self.client, "update_run")(self.client, run_id, status="FINISHED"))

    def _ask(self, call: Callable[[], _T]) -> _T:
        self._reach()
        try:
            answer = call()
        except Exception as error:
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                raise EvidenceError("a monitoring run is gone", remedy="Restore MLflow's backup.") from error
            raise DeliveryError(_words(error), where="the monitoring runs") from error
        self._answered = time.monotonic()
        return answer

    @property
    def can_hold_windows(self) -> bool:
        """Whether a database is behind MLflow: in a folder of files nothing was ever filed."""
        return bool(self.uri) and not self.uri.startswith(_FILE_STORE)

    def _reach(self) -> None:
        if not self.can_hold_windows:
            raise DeliveryError(
                "windows need a database behind MLflow: a folder of files lets two writers claim one window",
                remedy="Use sqlite:///FILE or a server with a database as tracking store.",
            )
        if time.monotonic() - self._answered > _TRUSTED_SECONDS:
            check_reachable(self.uri)


def series_key(model: str, version: str) -> str:
    """The tag that joins the windows of a version, whatever its name is made of."""
    return hashlib.sha256(f"{model}\0{version}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def lengths_of(windows: Sequence[Window]) -> set[timedelta]:
    """The lengths that occur; more than one where the policy was changed."""
    return {window.length for window in windows}


def _of(model: str, version: str) -> str:
    return f"tags.`{SERIES_TAG}` = '{series_key(model, version)}'"


def _metrics_of(numbers: WindowNumbers) -> dict[str, float]:
    values = {metric_key(k): float(v) for k, v in numbers.numbers.items()}
    values |= {metric_key(k) + LOW: float(v) for k, v in numbers.lows.items()}
    values |= {metric_key(k) + HIGH: float(v) for k, v in numbers.highs.items()}
    return values | {ENDS: numbers.window.end.timestamp()}


def _plain(client: Any, name: str) -> Callable[..., Any]:
    """MLflow's own method, past the hooks of ``autolog``: a window is no training run of the user's."""
    method = getattr(type(client), name)
    plain: Callable[..., Any] = getattr(method, "__aims_original__", method)
    return plain


def _words(error: Exception) -> str:
    code = getattr(error, "error_code", None) or type(error).__name__
    return f"MLflow could not read or write a monitoring run ({code})"
