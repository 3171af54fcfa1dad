"""Reading and writing the ``aims/`` folder of one run through ``MlflowClient``."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aims_mlflow.attach.bundle import (
    EVIDENCE_TAG,
    MANIFEST,
    ROOT,
    FileEntry,
    Manifest,
    build_manifest,
    check_file,
    entry_of,
    evidence_path,
    kind_of_path,
    names_itself,
    parse_all,
    read_manifest,
)
from aims_mlflow.capture.run import RunFacts, facts_of
from aims_mlflow.errors import DeliveryError, EvidenceError
from aims_mlflow.evidence import TYPED_KINDS, EvidenceBase, Tool, sha256_of

VERIFIED_KINDS = tuple(kind for kind in TYPED_KINDS if kind not in {"capture_error", "attestation", "registry_move"})
"""Kinds that count as lost where the manifest itself cannot be trusted."""


@dataclass(frozen=True)
class Holdings:
    """What a run already holds under ``aims/``."""

    evidence: tuple[EvidenceBase, ...] = ()
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    """Evidence files only; the rest is written anew with each assessment."""
    manifest_sha256: str | None = None
    lost: tuple[str, ...] = ()
    """Kinds of evidence that were on record and could not be read back as they were written."""
    ignored: frozenset[str] = frozenset()
    """Files among the evidence that are not what their name says: left out, whoever put them there."""


class _Cache:
    """Holdings of the runs this process wrote, so that they need not be read back; bounded."""

    def __init__(self, size: int = 64) -> None:
        self._held: OrderedDict[tuple[str, str], Holdings] = OrderedDict()
        self._size = size
        self.unlock()

    def unlock(self) -> None:
        """A lock of its own, for a new process or one that was forked while another thread held it."""
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str], manifest_sha256: str | None) -> Holdings | None:
        with self._lock:
            held = self._held.get(key)
        return held if held is not None and held.manifest_sha256 == manifest_sha256 else None

    def put(self, key: tuple[str, str], held: Holdings) -> None:
        with self._lock:
            self._held[key] = held
            self._held.move_to_end(key)
            while len(self._held) > self._size:
                self._held.popitem(last=False)


_CACHE = _Cache()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CACHE.unlock)


class RunStore:
    """One run's ``aims/`` folder. Every method may raise what ``MlflowClient`` raises."""

    def __init__(self, client: Any, run_id: str) -> None:
        self.client = client
        self.run_id = run_id

    @property
    def _key(self) -> tuple[str, str]:
        return str(getattr(self.client, "tracking_uri", "")), self.run_id

    def facts(self) -> RunFacts:
        """Read the run."""
        return facts_of(self.client.get_run(self.run_id))

    # reading

    def holdings(self, facts: RunFacts, *, salvage: bool = False) -> Holdings:
        """The run's evidence, verified against the manifest that the tag names.

        Args:
            facts: The run as just read.
            salvage: True, for a writer, takes every evidence file whose name agrees with its content, listed or not,
                so that a torn or concurrent write loses nothing, and says in ``lost`` what was listed and is not
                there as it was. What this process wrote itself is not read back. A reader always reads.

        Raises:
            EvidenceError: without ``salvage``, anything that does not match.
        """
        digest = facts.tags.get(EVIDENCE_TAG)
        if digest is None and not salvage:
            return Holdings()
        cached = _CACHE.get(self._key, digest) if salvage else None
        if cached is not None:
            return cached
        contents = self._download()
        lost: tuple[str, ...] = ()
        if salvage:
            good = {p: c for p, c in contents.items() if names_itself(p, c)}
            lost = self._lost(contents, good, digest) if digest is not None else ()
        else:
            good = self._trusted(contents, str(digest))
        evidence = parse_all(good.items(), run_id=self.run_id)
        ignored = frozenset(contents) - set(good) - {MANIFEST}
        return Holdings(tuple(evidence), {p: entry_of(c) for p, c in good.items()}, digest, lost, ignored)

    def _lost(self, contents: Mapping[str, bytes], good: Mapping[str, bytes], digest: str) -> tuple[str, ...]:
        """Kinds of the files the manifest lists that are absent or altered; every kind where it cannot be trusted."""
        try:
            manifest = read_manifest(contents.get(MANIFEST, b""), expected=digest, run_id=self.run_id)
        except EvidenceError:
            return tuple(sorted({*VERIFIED_KINDS, *(kind_of_path(p) for p in good)}))
        gone = {
            path
            for path in manifest.evidence_paths
            if path not in good or entry_of(good[path]).sha256 != manifest.files[path].sha256
        }
        return tuple(sorted({kind_of_path(path) for path in gone}))

    def read(self, path: str, facts: RunFacts) -> bytes:
        """One file under ``aims/``, verified.

        Raises:
            EvidenceError: the run holds none, or it does not match the manifest.
        """
        return check_file(self.manifest(facts), path, self._file(path))

    def manifest(self, facts: RunFacts) -> Manifest:
        """The manifest, verified against the tag.

        Raises:
            EvidenceError: there is none, or its digest differs.
        """
        digest = facts.tags.get(EVIDENCE_TAG)
        if digest is None:
            raise EvidenceError(
                "the run holds no AIMS evidence",
                where=f"run {self.run_id}",
                remedy=f"Run it under aims_mlflow.autolog(), or `aims assess {self.run_id}`.",
            )
        content = self._file(MANIFEST)
        if content is None:
            raise EvidenceError(
                f"the tag {EVIDENCE_TAG} names a manifest that is absent",
                where=f"run {self.run_id}, {ROOT}/{MANIFEST}",
                remedy=f"Do not rely on this run's evidence. `aims assess {self.run_id}` gathers what is still intact.",
            )
        return read_manifest(content, expected=digest, run_id=self.run_id)

    def _trusted(self, contents: Mapping[str, bytes], digest: str) -> dict[str, bytes]:
        manifest = read_manifest(contents.get(MANIFEST, b""), expected=digest, run_id=self.run_id)
        return {path: check_file(manifest, path, contents.get(path)) for path in manifest.evidence_paths}

    def manifest_sha256(self) -> str | None:
        """Digest of the manifest now in the run, trusted or not; None where there is none."""
        content = self._file(MANIFEST)
        return None if content is None else sha256_of(content)

    def _download(self) -> dict[str, bytes]:
        """Manifest and evidence files, path below ``aims/`` to content; absent ones left out."""
        found = {}
        for name in [MANIFEST, *sorted(self.evidence_names())]:
            content = self._file(name)
            if content is not None:
                found[name] = content
        return found

    def _file(self, name: str) -> bytes | None:
        """One artifact, without a thread pool (none may start while the interpreter shuts down); None if absent."""
        with _folder_of({}) as folder:
            target = Path(folder) / "file"
            try:
                self._repository._download_file(f"{ROOT}/{name}", str(target))
            except Exception as error:
                if _says_absent(error):
                    return None
                raise
            return target.read_bytes() if target.is_file() else None

    def evidence_names(self) -> set[str]:
        """Names of the evidence files now in the run."""
        listed = self._repository.list_artifacts(f"{ROOT}/evidence")
        return {f.path.removeprefix(f"{ROOT}/") for f in listed if not f.is_dir}

    @property
    def _repository(self) -> Any:
        """The run's artifact store; the client keeps it. Its own ``list_artifacts`` would read the run anew."""
        return self.client._tracking_client._get_artifact_repo(self.run_id)

    # writing

    def write(
        self,
        held: Holdings,
        new: Sequence[EvidenceBase],
        documents: Mapping[str, bytes],
        *,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        at: datetime,
        collector: Tool,
    ) -> str:
        """Write the files in one artifact call, then, last, tags and metrics in one batch.

        Returns:
            The manifest's digest, which the tag ``aims.evidence`` now names.
        """
        from mlflow.entities import Metric, RunTag

        fresh = {evidence_path(r): r.canonical for r in new}
        files = dict(held.files) | {evidence_path(r): FileEntry(sha256=r.digest, bytes=len(r.canonical)) for r in new}
        listed = files | {p: entry_of(c) for p, c in documents.items()}
        manifest, digest = build_manifest(self.run_id, listed, created_at=at, collector=collector)
        with _folder_of({**fresh, **documents, MANIFEST: manifest}) as folder:
            self.client.log_artifacts(self.run_id, folder, ROOT)
        moment = int(at.timestamp() * 1000)
        self.client.log_batch(
            self.run_id,
            metrics=[Metric(k, v, moment, 0) for k, v in metrics.items()],
            tags=[RunTag(k, v) for k, v in {**tags, EVIDENCE_TAG: digest}.items()],
        )
        seen = {r.digest for r in new}
        kept = tuple(r for r in held.evidence if r.digest not in seen)
        _CACHE.put(self._key, Holdings((*kept, *new), files, digest))
        return digest


@contextmanager
def _folder_of(files: Mapping[str, bytes]) -> Iterator[str]:
    """A private folder with these files, in memory where the system offers it; it is gone afterwards.

    Making ten files of some 200 KB in all on disk costs as much as working out what they say.
    """
    in_memory = "/dev/shm"  # noqa: S108  (mkdtemp makes a private folder in it)
    try:
        folder = tempfile.mkdtemp(prefix="aims-", dir=in_memory)
    except OSError:
        folder = tempfile.mkdtemp(prefix="aims-")
    try:
        targets = {Path(folder, path): content for path, content in files.items()}
        for parent in {target.parent for target in targets}:
            parent.mkdir(parents=True, exist_ok=True)
        for target, content in targets.items():
            target.write_bytes(content)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _says_absent(error: Exception) -> bool:
    """Whether an artifact store's error means that the file is not there: nothing else may be taken for that."""
    if isinstance(error, FileNotFoundError):
        return True
    response = getattr(error, "response", None)
    return (
        getattr(response, "status_code", None) == 404 or getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"
    )


def _goes_by_proxy(scheme: str, host: str) -> bool:
    """Whether requests would ask a proxy: the server's own port then says nothing."""
    proxies = getproxies()
    return bool(proxies.get(scheme) or proxies.get("all")) and not proxy_bypass(host)


def check_reachable(tracking_uri: str, *, timeout: float = 2.0) -> None:
    """Ask an HTTP tracking server's port before writing: MLflow itself retries for minutes.

    Raises:
        DeliveryError: nothing listens there.
    """
    parts = urlsplit(tracking_uri)
    if parts.scheme not in {"http", "https"} or not parts.hostname or _goes_by_proxy(parts.scheme, parts.hostname):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout).close()
    except OSError as error:
        raise DeliveryError("the tracking server does not answer", where=f"{parts.hostname}:{port}") from error
