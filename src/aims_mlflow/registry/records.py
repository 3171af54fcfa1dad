"""Where the log lives in MLflow: parameters of runs, which MLflow lets nobody change once they are written.

Writing a parameter that is there already with another value is refused, by every store with a database behind it, so
a parameter is a slot that is taken once: of several writers one wins, and the others see it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aims_mlflow.attach.store import check_reachable
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError
from aims_mlflow.registry.tables import write_param

ROOT_EXPERIMENT = "aims-records-root"
"""Its name is taken once, and its tag with it: it says which run all logs of the store start from."""
EXPERIMENT = "aims-records"
ROOT_TAG = "aims.root"
KIND_TAG = "aims.kind"
KIND = "records"
NEXT = "next"
"""The parameter of a full records run that names the one that goes on."""
SEGMENT = 200
"""Entries of one records run: it is read whole when another process wrote to it."""

_T = TypeVar("_T")
_TRUSTED_SECONDS = 5.0
"""For so long a server that answered is taken to be there: MLflow would try one that is not for minutes."""
_FILE_STORE = ("file:", "/", "./", "../")


class SlotTakenError(AimsError):
    """Another process wrote the slot first."""

    error_code = "SLOT_TAKEN"


class NotStoredError(DeliveryError):
    """MLflow answers and did not take the write, perhaps because it was busy."""


@dataclass(frozen=True)
class Mapping:
    """What a parameter of the root says of a model's name."""

    model: str
    chain: str
    """First records run of the log."""
    generation: int


def slot(number: int) -> str:
    """Name of the parameter that holds an entry."""
    return f"{number:06d}"


def hashed(model: str) -> str:
    """A parameter's name for a model of any name."""
    return hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def workspace() -> str | None:
    """MLflow's workspace of this request or process; None where there are none."""
    module = sys.modules.get("mlflow.utils.workspace_context")
    found = module.get_request_workspace() if module is not None else None
    return found or None


class Records:
    """The records runs of one store, through ``MlflowClient``."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.uri = str(client.tracking_uri or "")
        self._answered = float("-inf")

    # root

    def root(self) -> str | None:
        """Id of the root run; None where nothing was ever recorded.

        Raises:
            EvidenceError: the experiment that names it was deleted or changed.
            DeliveryError: MLflow cannot be reached.
        """
        experiment = self.ask(lambda: self.client.get_experiment_by_name(ROOT_EXPERIMENT))
        if experiment is None:
            return None
        if experiment.lifecycle_stage != "active":
            raise EvidenceError(
                f"the experiment {ROOT_EXPERIMENT!r}, from which every log starts, was deleted",
                remedy=f"Restore it: `mlflow experiments restore -x {experiment.experiment_id}`.",
            )
        root = dict(experiment.tags).get(ROOT_TAG)
        if not root:
            raise EvidenceError(
                f"the experiment {ROOT_EXPERIMENT!r} names no root run",
                remedy=f"Set its tag {ROOT_TAG} again; the anchor file says to what.",
            )
        return str(root)

    def elect_root(self) -> str:
        """Id of the root run, made if there is none; of several processes that try, all get the same.

        Raises:
            EvidenceError, DeliveryError: see ``root``.
        """
        found = self.root()
        if found is not None:
            return found
        own = self.new_run("aims records: models", {"aims.part": "root"})
        self._experiment(ROOT_EXPERIMENT, {ROOT_TAG: own})
        elected = self.root()
        if elected is None:
            raise NotStoredError(f"the experiment {ROOT_EXPERIMENT!r} could not be made")
        if elected != own:
            self.discard(own)
        return elected

    def mappings(self, root: str) -> dict[str, list[Mapping]]:
        """Hashed name of a model to what the root says of it, oldest first.

        Raises:
            EvidenceError: a parameter of the root is not of ours, or the run is gone.
            DeliveryError: MLflow cannot be reached.
        """
        found: dict[str, list[Mapping]] = {}
        for key, text in self.params(root).items():
            name, _, generation = key.partition(".")
            try:
                said = json.loads(text)
                made = Mapping(said["model"], said["chain"], int(generation))
                if hashed(made.model) != name or not isinstance(made.chain, str):
                    raise ValueError(key)
            except (ValueError, TypeError, KeyError) as error:
                raise EvidenceError(
                    "a parameter that says where a model's log starts cannot be read",
                    where=f"run {root}, parameter {key}",
                ) from error
            found.setdefault(name, []).append(made)
        return {name: sorted(made, key=lambda m: m.generation) for name, made in found.items()}

    def map(self, root: str, model: str, chain: str, generation: int) -> None:
        """Say where a model's log starts.

        Raises:
            SlotTakenError: another process said so first.
        """
        text = json.dumps({"model": model, "chain": chain}, sort_keys=True, ensure_ascii=False)
        self.put(root, f"{hashed(model)}.{generation:04d}", text)

    # runs

    def new_run(self, name: str, tags: dict[str, str]) -> str:
        """Make a records run, ended at once: it can still take parameters, and is never mistaken for one that hangs."""
        experiment = self._experiment(EXPERIMENT, {KIND_TAG: KIND})
        named = {KIND_TAG: KIND, "mlflow.runName": name[:250], **tags}
        run = self.ask(lambda: self._plain("create_run")(self.client, experiment, tags=named))
        run_id = str(run.info.run_id)
        self.ask(lambda: self._plain("update_run")(self.client, run_id, status="FINISHED"))
        return run_id

    def discard(self, run_id: str) -> None:
        """Delete a records run of ours that another process was faster than."""
        self.ask(lambda: self.client.delete_run(run_id))

    def params(self, run_id: str) -> dict[str, str]:
        """Parameters of a records run.

        Raises:
            EvidenceError: it is gone or deleted.
            DeliveryError: MLflow cannot be reached.
        """
        run = self.ask(lambda: self.client.get_run(run_id), where=f"run {run_id}")
        if run.info.lifecycle_stage != "active":
            raise EvidenceError(
                "a records run was deleted",
                where=f"run {run_id}",
                remedy=f"Restore it: `mlflow runs restore --run-id {run_id}`.",
            )
        return dict(run.data.params)

    def put(self, run_id: str, key: str, text: str) -> None:
        """Take a slot.

        Raises:
            SlotTakenError: it holds something else.
            NotStoredError: MLflow did not take it; it may be tried again.
            EvidenceError: the run is gone or deleted.
            DeliveryError: MLflow cannot be reached.
        """
        self._reach()
        try:
            if not write_param(self.client, run_id, key, text):
                self.client.log_param(run_id, key, text)
        except Exception as error:
            # The answer may have been lost after the write, so only what is there now counts.
            held = self.params(run_id).get(key)
            if held == text:
                return
            if held is not None:
                raise SlotTakenError("another process was faster", where=f"run {run_id}, parameter {key}") from error
            raise NotStoredError(_words(error), where=f"run {run_id}") from error
        self._answered = time.monotonic()

    def _experiment(self, name: str, tags: dict[str, str]) -> str:
        found = self.ask(lambda: self.client.get_experiment_by_name(name))
        if found is None:
            try:
                return str(self.client.create_experiment(name, tags=tags))
            except Exception as error:
                found = self.ask(lambda: self.client.get_experiment_by_name(name))
                if found is None:
                    raise NotStoredError(_words(error), where=f"experiment {name}") from error
        if found.lifecycle_stage != "active":
            raise EvidenceError(
                f"the experiment {name!r} was deleted",
                remedy=f"Restore it: `mlflow experiments restore -x {found.experiment_id}`.",
            )
        return str(found.experiment_id)

    # MLflow

    def ask(self, call: Callable[[], _T], *, where: str = "") -> _T:
        """Call MLflow; its errors become ours.

        Raises:
            EvidenceError: what was asked for does not exist.
            DeliveryError: anything else.
        """
        self._reach()
        try:
            answer = call()
        except Exception as error:
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                raise EvidenceError("a records run is gone", where=where, remedy="Restore MLflow's backup.") from error
            raise DeliveryError(_words(error), where=where) from error
        self._answered = time.monotonic()
        return answer

    def _reach(self) -> None:
        if self.uri.startswith(_FILE_STORE) or not self.uri:
            raise DeliveryError(
                "the transition log needs a database behind MLflow: a folder of files lets two writers take one slot",
                remedy="Use sqlite:///FILE or a server with a database as tracking store.",
            )
        if time.monotonic() - self._answered > _TRUSTED_SECONDS:
            check_reachable(self.uri)

    def _plain(self, name: str) -> Callable[..., Any]:
        """MLflow's own method, past the hooks of ``autolog``: a records run is no run of the user's."""
        method = getattr(type(self.client), name)
        plain: Callable[..., Any] = getattr(method, "__aims_original__", method)
        return plain


def _words(error: Exception) -> str:
    code = getattr(error, "error_code", None) or type(error).__name__
    return f"MLflow could not read or write a record ({code})"
