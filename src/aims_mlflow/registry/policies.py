"""The policy in force: ``aims.yaml``, read again when it changes; what is guarded is known even while it is broken."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aims_mlflow.config import Declaration, Settings, find_config, load_settings
from aims_mlflow.config.gate import GateMode
from aims_mlflow.config.settings import FILE_NAME, VARIABLE
from aims_mlflow.errors import AimsError, ConfigError
from aims_mlflow.gate.entries import Target
from aims_mlflow.gate.policy import guard_of, is_named, policy_sha256, takes_out

_log = logging.getLogger("aims_mlflow")


@dataclass(frozen=True)
class Policy:
    """What applies now."""

    declaration: Declaration
    """As it is; while the file is broken, the last one that was read, which still says what is guarded."""
    broken: str = ""
    """What is wrong with the file; empty where nothing is."""
    remedy: str = "Correct aims.yaml; `aims check` lists every mistake"
    """What mends a broken file."""
    known: bool = True
    """False where the file is broken and no policy was read before it broke."""

    def mode(self, model: str, target: Target) -> GateMode | None:
        """How a move is guarded; None where it is not. What cannot be told counts as enforced."""
        if takes_out(target):
            return None
        if not self.known:
            return GateMode.ENFORCE
        try:
            guard = guard_of(self.declaration, str(model), target)
        except AimsError:
            return self.declaration.gate.mode if self.declaration.gate else GateMode.ENFORCE
        return guard.mode if guard else None

    def names(self, model: str) -> bool:
        """Whether a rule is about the model. Where there is no policy, every model may be meant."""
        return not self.known or self.declaration.gate is None or is_named(self.declaration, str(model))

    @cached_property
    def sha256(self) -> str:
        """See ``policy_sha256``."""
        return policy_sha256(self.declaration)

    @property
    def trusted_keys(self) -> Mapping[str, str]:
        """Name to public key of those who may sign assessments."""
        return self.declaration.gate.trusted_keys if self.declaration.gate else {}


class PolicyWatch:
    """Gives the policy in force. A look costs one ``stat`` of the file.

    Args:
        settings: A policy that stays; None: the file ``AIMS_CONFIG`` names, or the nearest ``aims.yaml``.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._fixed = Policy(settings.declaration) if settings is not None else None
        self._seen: tuple[object, ...] | None = None
        self._policy = Policy(Declaration(), "never read", known=False)
        self.unlock()
        _KNOWN.add(self)

    def unlock(self) -> None:
        """A lock of its own, for a process forked while another thread held it."""
        self._lock = threading.Lock()

    def current(self) -> Policy:
        """The policy in force. Nothing is raised: a broken file is said in the policy."""
        if self._fixed is not None:
            return self._fixed
        try:
            path = find_config()
            mark = _mark(path)
        except (ConfigError, OSError) as error:
            path, mark = None, ("absent", str(error))
        with self._lock:
            if mark != self._seen:
                self._policy, first = self._read(path, mark), self._seen is None
                self._seen = mark
                self._tell(first=first)
            return self._policy

    def _tell(self, *, first: bool) -> None:
        """Say in the process's log that the policy broke or was read again: moves may be decided otherwise now."""
        if self._policy.broken:
            _log.warning("aims: guarded moves are refused, the gate's policy cannot be used: %s", self._policy.broken)
        elif not first:
            _log.warning("aims: the gate's policy was read again: its file changed")

    def _read(self, path: Path | None, mark: tuple[object, ...]) -> Policy:
        before = self._policy
        if mark[0] == "absent":
            what, remedy = f"{FILE_NAME} cannot be found or read", f"Put {FILE_NAME} back, or name it with {VARIABLE}"
            return Policy(before.declaration, what, remedy, known=before.known)
        try:
            return Policy(load_settings(path).declaration if path else Declaration())
        except AimsError as error:
            text = str(error).replace(f"{path.parent}{os.sep}", "") if path else str(error)
            return Policy(before.declaration, text, known=before.known)


def _mark(path: Path | None) -> tuple[object, ...]:
    if path is None:
        return ("none",)
    status = path.stat()
    return (str(path), status.st_mtime_ns, status.st_size, status.st_ino)


_KNOWN: weakref.WeakSet[PolicyWatch] = weakref.WeakSet()


def _unlock_all() -> None:
    for watch in _KNOWN:
        watch.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)
