"""The transition log: what was decided and said of a registered model, append-only and hash-chained.

It lives in MLflow (see ``records``), is cached in the process (entries never change) and is held against an anchor
file outside MLflow (see ``anchors``). A usual append costs one parameter and one line in that file, and no read.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError
from aims_mlflow.evidence.base import now
from aims_mlflow.gate.entries import (
    MAX_CHARS,
    Actor,
    Entry,
    Level,
    MoveEntry,
    RenamedEntry,
    write_entry,
)
from aims_mlflow.gate.signing import SigningKey
from aims_mlflow.registry.anchors import Anchor, AnchorFile, default_anchors, is_firm, store_name
from aims_mlflow.registry.chains import Chain, advance, check_heads
from aims_mlflow.registry.records import (
    NEXT,
    SEGMENT,
    Mapping,
    NotStoredError,
    Records,
    SlotTakenError,
    hashed,
    slot,
    workspace,
)

if TYPE_CHECKING:
    from aims_mlflow.registry.verifying import LogCheck

_TRIES = 500
_SIGNATURE_CHARS = 400


class LogMovedError(AimsError):
    """The log has entries the caller had not seen when it decided; it reads them and decides again."""

    error_code = "LOG_MOVED"


class LogClient(Protocol):
    """The part of ``MlflowClient`` the log uses."""

    tracking_uri: Any

    def log_param(self, run_id: str, key: str, value: Any) -> Any:
        """See MLflow."""

    def get_run(self, run_id: str) -> Any:
        """See MLflow."""


@dataclass
class _View:
    """What is known of one store, or of one workspace of it."""

    store: str
    root: str | None = None
    mappings: dict[str, list[Mapping]] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


class TransitionLog:
    """The logs of all registered models of one tracking store.

    Args:
        client: ``MlflowClient`` of the tracking store.
        anchors: The anchor file; None: see ``anchors.default_anchors``.
        key: Signs anchors, and entries that are not signed yet: the gate's key, or the process's own.
    """

    def __init__(self, client: LogClient, *, anchors: Path | None = None, key: SigningKey | None = None) -> None:
        self.records = Records(client)
        self.anchors = AnchorFile(anchors or default_anchors())
        self.key = key
        self._views: dict[str | None, _View] = {}
        self._lock = threading.Lock()
        _LOGS.add(self)

    # reading

    def read(self, model: str, fresh: bool = False) -> tuple[Entry, ...]:
        """A model's log; empty where nothing was recorded of it.

        Args:
            model: Name of the registered model.
            fresh: True asks MLflow for entries other processes added since; False gives what this process knows,
                and reads only what it never read.

        Raises:
            EvidenceError: it is broken, or shorter or other than the anchor file says.
            DeliveryError: MLflow cannot be reached.
        """
        chain = self._chain(model, fresh=fresh)
        if chain is None:
            return ()
        with chain.lock:
            return tuple(chain.entries)

    def models(self) -> tuple[str, ...]:
        """Names of the registered models that have a log, sorted.

        Raises:
            EvidenceError: the list of logs, or one of them, is broken.
            DeliveryError: MLflow cannot be reached.
        """
        return tuple(name for name in self.names() if self._chain(name, fresh=True) is not None)

    def names(self) -> tuple[str, ...]:
        """Names under which a log was ever begun, sorted; no log is read.

        Raises:
            EvidenceError: the list of logs is broken.
            DeliveryError: MLflow cannot be reached.
        """
        view = self._view()
        with view.lock:
            if self._root(view) is None:
                return ()
            view.mappings = self.records.mappings(str(view.root))
            names = {made[-1].model for made in view.mappings.values()}
        return tuple(sorted(names))

    # writing

    def append(self, draft: Entry, after: int | None = None) -> Entry:
        """Write an entry; ``number``, ``previous``, a nonce and, where it has none, a signature are set here.

        Args:
            draft: The entry; its number counts for nothing.
            after: The number of entries the caller knew. None writes it after whatever is there.

        Returns:
            The entry as written.

        Raises:
            LogMovedError: with ``after``, another process wrote that slot; read again and decide again.
            EvidenceError: the log is broken, or the entry does not fit.
            DeliveryError: MLflow or the anchor file cannot be written.
        """
        missed = 0
        while True:
            chain = self._chain(draft.model)
            if chain is None:
                self._start(draft.model)
                continue
            with chain.lock, self.anchors.opened() as anchor:
                if not chain.is_of(draft.model):  # renamed meanwhile
                    continue
                number = len(chain.entries) + 1
                if after is not None and number != after + 1:
                    raise self._moved(draft.model, number - 1)
                entry = self._made(draft, number, chain.head)
                text = write_entry(entry)
                try:
                    self.records.put(self._room(chain, number), slot(number), text)
                except SlotTakenError as error:
                    advance(self.records, chain)
                    if after is not None:
                        raise self._moved(draft.model, len(chain.entries)) from error
                    missed += 1
                except NotStoredError:
                    missed += _TRIES // 10
                    if missed >= _TRIES:
                        raise
                else:
                    chain.keep(entry, text)
                    anchor(self.anchor_of(chain))
                    return entry
            if missed >= _TRIES:
                raise DeliveryError("the log is too busy", where=f"log of {draft.model}")
            time.sleep(random.uniform(0, min(0.002 * missed, 0.1)))  # noqa: S311  (spreads the writers, guards nothing)

    def rename(
        self,
        old: str,
        new: str,
        *,
        actor: Actor | None = None,
        level: Level = Level.ADVISED,
        at: datetime | None = None,
    ) -> Entry | None:
        """Let a log go on under the model's new name; what the new name had before stays on record.

        Returns:
            The entry that says so; None where the model has no log.

        Raises:
            EvidenceError, DeliveryError: see ``append``.
        """
        chain = self._chain(old, fresh=True)
        if chain is None or old == new:
            return None
        moment = at or now()
        said = {"number": 1, "at": moment, "actor": actor or Actor(), "level": level}
        if self._chain(new, fresh=True) is not None:
            # The log of a model of that name that was deleted before: set aside, so that no process goes on with it.
            self.append(RenamedEntry(model=new, to=f"{new} (until {moment:%Y-%m-%dT%H:%M:%SZ})", **said))
        self._map(new, chain.first)
        return self.append(RenamedEntry(model=old, to=new, **said))

    def verify(
        self,
        models: Iterable[str] | None = None,
        *,
        anchors: Path | None = None,
        gate_keys: Iterable[str] = (),
        pin: bool = False,
    ) -> LogCheck:
        """Read everything anew and hold it against itself and the anchor file; see ``verifying.verify``."""
        from aims_mlflow.registry.verifying import verify

        return verify(self, models, anchors=anchors, gate_keys=frozenset(gate_keys), pin=pin)

    # the store

    def _view(self) -> _View:
        name = workspace()
        with self._lock:
            return self._views.setdefault(name, _View(store_name(self.records.uri, name)))

    def _root(self, view: _View, *, make: bool = False) -> str | None:
        """The root's id, looked up once. Called with the view's lock held."""
        if view.root is None:
            known = list(self.anchors.read().roots.get(view.store, ()))  # before the log: it is never ahead of that
            found = self.records.root()
            if known and known[-1] != found and is_firm(view.store):
                raise EvidenceError(
                    "the transition log of this store was removed or replaced",
                    where=f"anchor file {self.anchors.path}",
                    remedy="Restore MLflow's backup; if the store was made anew, `aims verify --pin` accepts that.",
                )
            if found is None and make:
                found = self.records.elect_root()
            view.root = found
        return view.root

    def _map(self, model: str, chain: str) -> None:
        """Name a log as the one of a model from now on.

        Raises:
            SlotTakenError: another process named one at the same time.
        """
        view = self._view()
        with view.lock:
            root = self._root(view, make=True)
            made = view.mappings.get(hashed(model), [])
            try:
                self.records.map(str(root), model, chain, made[-1].generation + 1 if made else 1)
            finally:
                view.mappings = self.records.mappings(str(root))

    # chains

    def _chain(self, model: str, *, fresh: bool = False) -> Chain | None:
        """The model's log, read at least once; None where it has none."""
        view = self._view()
        with view.lock:
            chain = None if fresh else self._known(view, model)
            if chain is None or not chain.is_of(model):
                if self._root(view) is None:
                    return None
                anchored = {first: held.model for first, held in self.anchors.read().of(str(view.root)).items()}
                view.mappings = self.records.mappings(str(view.root))
                chain = self._known(view, model)
                self._check_displaced(view, model, chain, anchored)
        if chain is None:
            return None
        with chain.lock:
            self._load(view, chain, fresh=fresh)
            return chain if chain.is_of(model) else None

    @staticmethod
    def _known(view: _View, model: str) -> Chain | None:
        made = view.mappings.get(hashed(model))
        return view.chains.setdefault(made[-1].chain, Chain([made[-1].chain])) if made else None

    def _load(self, view: _View, chain: Chain, *, fresh: bool) -> None:
        """Read what was not read yet. The first time, the log is held against the anchor file."""
        if not chain.loaded:
            held = self.anchors.read().chains.get((str(view.root), chain.first))
            heads = {number: digest for number, (digest, _) in held.heads.copy().items()} if held else {}
            advance(self.records, chain)
            check_heads(chain, heads, str(self.anchors.path))
            chain.loaded = True
        elif fresh:
            advance(self.records, chain)

    def _check_displaced(self, view: _View, model: str, chain: Chain | None, anchored: dict[str, str]) -> None:
        """Refuse a list of logs that names another log, or none, for a model whose log is known by the anchor file."""
        for first, name in anchored.items():
            if name != model or (chain is not None and first == chain.first):
                continue
            other = view.chains.setdefault(first, Chain([first]))
            with other.lock:
                self._load(view, other, fresh=True)
                if other.name == model:
                    raise EvidenceError(
                        f"the list of logs no longer names the log of {model!r}",
                        where=f"run {view.root}",
                        remedy="Restore MLflow's backup. `aims verify` says what is broken.",
                    )

    def _start(self, model: str) -> None:
        """Begin a log for a model, unless another process does."""
        view = self._view()
        with view.lock:
            known = self._known(view, model)
            if known is not None and known.is_of(model):  # another thread was faster
                return
            own = self.records.new_run(f"aims records: {model}", {"aims.model": model})
            try:
                self._map(model, own)
            except SlotTakenError:
                self.records.discard(own)

    def _room(self, chain: Chain, number: int) -> str:
        """The records run an entry belongs into, made where the one before is full."""
        if (number - 1) // SEGMENT >= len(chain.segments):
            own = self.records.new_run(f"aims records: {chain.name} from {number}", {"aims.model": str(chain.name)})
            try:
                self.records.put(chain.segments[-1], NEXT, own)
            except SlotTakenError:
                self.records.discard(own)
                own = self.records.params(chain.segments[-1])[NEXT]
            chain.segment(own)
        return chain.segments[-1]

    # entries

    def _made(self, draft: Entry, number: int, previous: str | None) -> Entry:
        """The draft as it is written."""
        update: dict[str, Any] = {"number": number, "previous": previous}
        if draft.signature is not None:
            return draft.model_copy(update=update)
        entry = draft.model_copy(update=update | {"nonce": draft.nonce or secrets.token_hex(8)})
        if isinstance(entry, MoveEntry):
            entry = entry.fitted(MAX_CHARS - _SIGNATURE_CHARS)
        return entry.signed(self.key) if self.key is not None else entry

    def anchor_of(self, chain: Chain, *, accepted: bool = False) -> Anchor:
        """The line that says where a log stands now."""
        view = self._view()
        return Anchor(
            at=now(),
            store=view.store,
            root=str(view.root),
            chain=chain.first,
            model=chain.name,
            number=len(chain.entries),
            digest=chain.head,
            accepted=accepted,
        ).signed(self.key)

    @staticmethod
    def _moved(model: str, number: int) -> LogMovedError:
        return LogMovedError(f"the log of {model!r} has {number} entries now", remedy="Read it and decide again.")

    def forget_locks(self) -> None:
        """Locks of its own, for a process that was forked while another thread held them."""
        self._lock = threading.Lock()
        self.anchors.forget_locks()
        for view in self._views.values():
            view.lock = threading.RLock()
            for chain in view.chains.values():
                chain.lock = threading.RLock()


_LOGS: weakref.WeakSet[TransitionLog] = weakref.WeakSet()


def _forget_locks() -> None:
    for log in list(_LOGS):
        log.forget_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
