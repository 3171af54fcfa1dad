"""What the affected versions were when an incident was opened, and whether they still are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from aims_mlflow.api.targets import read_model
from aims_mlflow.attach.bundle import EVIDENCE_TAG
from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.run import facts_of
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError, InputError
from aims_mlflow.gate.outcome import VersionFacts
from aims_mlflow.management.incidents import AffectedVersion
from aims_mlflow.registry.facts import VersionReader
from aims_mlflow.registry.reconcile.reading import registry_of

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}

_MOST_FILES = 100
"""Pieces of evidence that are frozen one by one; of a run with more only the manifest is."""

Match = Literal["same", "added to", "changed", "gone", "unreadable", "not frozen"]
"""``added to``: all that was frozen is still there as it was, and more came."""


@dataclass(frozen=True)
class FrozenCheck:
    """Whether a version still is what it was."""

    version: AffectedVersion
    model: Match
    """Its files."""
    evidence: Match
    """Its run's evidence."""

    @property
    def holds(self) -> bool:
        """Whether all that was frozen is as it was, and something was."""
        said = {self.model, self.evidence}
        return bool(said & {"same", "added to"}) and said <= {"same", "added to", "not frozen"}

    @property
    def in_words(self) -> str:
        """Both, in a few words."""
        return f"model files {self.model}, evidence {self.evidence}"


def freeze(client: Any, versions: Iterable[tuple[str, str, tuple[str, ...]]]) -> tuple[AffectedVersion, ...]:
    """Versions with the digests of their files and of their runs' evidence as they are now.

    Files that cannot be read leave no digest, and ``aims incident show`` says so: an incident is not kept from being
    opened by it.

    Args:
        client: ``MlflowClient``.
        versions: Registered model, version, and what it serves as.

    Raises:
        InputError: there is no such version.
        DeliveryError: the registry cannot be read.
    """
    return tuple(_frozen(client, name, version, targets) for name, version, targets in versions)


def _frozen(client: Any, name: str, version: str, targets: tuple[str, ...]) -> AffectedVersion:
    facts = _facts(client, name, version)
    if facts is None:
        raise InputError(f"there is no version {version[:20]} of {name[:100]!r}", where="affected")
    evidence = facts.evidence_sha256
    return AffectedVersion(
        registered_name=facts.model,
        version=facts.version,
        model_sha256=_files(client, facts),
        run_id=facts.run_id,
        evidence_sha256=evidence if evidence and _SHA256.fullmatch(evidence) else None,
        evidence_files=_listed(client, facts.run_id) if evidence else (),
        targets=targets,
    )


def still(client: Any, affected: Iterable[AffectedVersion]) -> tuple[FrozenCheck, ...]:
    """Hold what was frozen against what is there now.

    Raises:
        DeliveryError: the registry cannot be read.
    """
    return tuple(_checked(client, one) for one in affected)


def _checked(client: Any, one: AffectedVersion) -> FrozenCheck:
    facts = _facts(client, one.registered_name, one.version)
    if facts is None:
        return FrozenCheck(one, "gone" if one.model_sha256 else "not frozen", _evidence(client, one))
    files = _files(client, facts) if one.model_sha256 else None
    return FrozenCheck(one, _compared(one.model_sha256, files, absent="unreadable"), _evidence(client, one))


def _evidence(client: Any, one: AffectedVersion) -> Match:
    """The evidence of a version's run, read from end to end where it was frozen piece by piece."""
    if not one.evidence_sha256 or not one.run_id:
        return "not frozen"
    try:
        run = client.get_run(one.run_id)
    except Exception as error:  # noqa: BLE001  (whatever a store raises: what cannot be read is not the same)
        return "gone" if getattr(error, "error_code", "") in _ABSENT else "unreadable"
    if run.info.lifecycle_stage != "active":
        return "gone"
    tag = _compared(one.evidence_sha256, run.data.tags.get(EVIDENCE_TAG))
    if not one.evidence_files:
        return tag
    try:
        there = {record.digest for record in RunStore(client, one.run_id).holdings(facts_of(run)).evidence}
    except EvidenceError:
        return "changed"
    except Exception:  # noqa: BLE001  (every artifact store has errors of its own; what cannot be read is not the same)
        return "unreadable"
    if not there.issuperset(one.evidence_files):
        return "changed"
    return "same" if tag == "same" else "added to"


def _listed(client: Any, run_id: str | None) -> tuple[str, ...]:
    """Digests of the evidence the run's manifest lists; none where it cannot be read, or lists too many."""
    if run_id is None:
        return ()
    store = RunStore(client, run_id)
    try:
        manifest = store.manifest(store.facts())
    except Exception:  # noqa: BLE001  (an incident is not kept from being opened; the manifest's digest is frozen)
        return ()
    found = tuple(sorted(manifest.files[path].sha256 for path in manifest.evidence_paths))
    return found if len(found) <= _MOST_FILES else ()


def _compared(frozen: str | None, now_there: str | None, *, absent: Match = "changed") -> Match:
    if frozen is None:
        return "not frozen"
    if now_there is None:
        return absent
    return "same" if frozen == now_there else "changed"


def _facts(client: Any, name: str, version: str) -> VersionFacts | None:
    """What registry and run say of a version; None where there is none."""
    registry = registry_of(client)
    try:
        return VersionReader(registry, client).read(name, version, {}).facts
    except AimsError:
        raise
    except Exception as error:
        code = getattr(error, "error_code", "") or type(error).__name__
        if code in _ABSENT or isinstance(error, ValueError):
            return None
        raise DeliveryError(f"the version cannot be read ({code})", where=f"{name}/{version}") from error


def _files(client: Any, facts: VersionFacts) -> str | None:
    """Digest of the model's files; None where they cannot be read.

    Where they lie elsewhere and are listed as they were when they were assessed, the digest of then counts: hashing
    them would mean to download the model while people wait for an incident to be opened.
    """
    if facts.model_sha256 is not None:
        return facts.model_sha256
    held = facts.held.statement if facts.held else None
    listed = held is not None and facts.source == held.source and facts.listing_sha256 == held.listing_sha256
    if held is not None and listed and facts.listing_sha256 is not None:
        return held.model_sha256
    try:
        place = client.get_model_version_download_uri(facts.model, facts.version)
        read = read_model(client, place)
    except Exception:  # noqa: BLE001  (every artifact store has errors of its own; without files there is no digest)
        return None
    return read.sha256 if read is not None else None
