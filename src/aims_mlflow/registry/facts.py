"""What registry and run say of a version now: the facts a decision compares with the assessment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlparse, urlsplit

from aims_mlflow.attach.bundle import EVIDENCE_TAG
from aims_mlflow.attach.store import check_reachable
from aims_mlflow.capture.run import facts_of
from aims_mlflow.errors import DeliveryError, EvidenceError
from aims_mlflow.gate.decision import VersionFacts
from aims_mlflow.gate.statement import TAG, Held, files_place, inputs_digest, read_statement
from aims_mlflow.registry.files import FilesUnreadable, digests_at
from aims_mlflow.registry.tables import RunRow, VersionRow, model_tag, run_row, version_row

PROMPT_TAG = "mlflow.prompt.is_prompt"
_PROMPT_SOURCES = ("prompt-template", "dummy-source")
"""What MLflow 3 and 2 write as source of a prompt's version: no model can lie there."""
_USER_TAG = "mlflow.user"
_LONGEST_CHAIN = 16
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Reading:
    """A version, read."""

    facts: VersionFacts
    is_prompt: bool
    models: tuple[str, ...]
    """Registered models on the way to the original, the version's own first: their logs hold what people said."""
    versions: tuple[tuple[str, str], ...] = ()
    """The version, and those on the way to the original: name of the model and number."""
    silent: bool = False
    """Whether the evidence store did not answer: the log lies there too, and would keep everyone waiting again."""


def read_facts(
    registry: Any,
    tracking: Any,
    model: str,
    version: str | int,
    *,
    trusted: Mapping[str, str] | None = None,
) -> VersionFacts:
    """Read a version once. See :class:`VersionReader`."""
    return VersionReader(registry, tracking).read(model, version, trusted or {}).facts


def is_prompts_name(registry: Any, model: str) -> bool:
    """Whether a registered model is a prompt. Of one that holds models, the gate lets nobody say so.

    Raises:
        MlflowException: the registry does not know it.
    """
    said = model_tag(registry, model, PROMPT_TAG)
    if said is None:
        found = registry.get_registered_model(model)
        # MLflow leaves the tag out of those it shows.
        said = str(dict(getattr(found, "_tags", None) or found.tags or {}).get(PROMPT_TAG))
    return said.lower() == "true"


def is_prompt_source(source: object) -> bool:
    """Whether it is what MLflow writes as source of a prompt's version."""
    return source in _PROMPT_SOURCES


class VersionReader:
    """Reads versions through a registry store or client and a tracking client.

    That is one reading of the version, one of its run, and a look at the times of its files.

    Args:
        registry: A store of MLflow's model registry, or an ``MlflowClient``.
        tracking: An ``MlflowClient``.
    """

    def __init__(self, registry: Any, tracking: Any) -> None:
        self.registry = registry
        self.tracking = tracking

    def read(self, model: str, version: str | int, trusted: Mapping[str, str]) -> Reading:
        """Read what a decision needs.

        Args:
            model: Name of the registered model.
            version: Its number.
            trusted: Name to public key of those who may sign assessments.

        Raises:
            MlflowException: the registry does not know the version. All else that cannot be read is said in
                ``facts.unreadable``.
        """
        row = self.version(model, version)
        if self.is_prompt(row):
            facts = VersionFacts(model=row.name, version=row.version)
            return Reading(facts, is_prompt=True, models=(row.name,))
        case = _Case(self, row, trusted)
        versions = tuple((one.name, one.version) for one in case.chain)
        facts = case.facts()
        return Reading(facts, is_prompt=False, models=case.models, versions=versions, silent=case.silent)

    def is_prompt(self, row: VersionRow) -> bool:
        """Whether a version is a prompt's, in a registered model that is one.

        Its tag alone, which anybody may set on a version, is not believed: an alias of a model must not come to name
        what no model can be loaded from.

        Raises:
            MlflowException: the registry cannot be read.
        """
        looks_so = is_prompt_source(row.source) and str(row.tags.get(PROMPT_TAG)).lower() == "true"
        return looks_so and is_prompts_name(self.registry, row.name)

    def version(self, model: str, version: str | int) -> VersionRow:
        """The version as it is in the registry.

        Raises:
            MlflowException: the registry does not know it.
        """
        row = version_row(self.registry, model, version)
        if row is not None:
            return row
        entity = self.registry.get_model_version(model, version)
        tags = {str(k): str(v) for k, v in dict(entity.tags or {}).items()}
        return VersionRow(str(entity.name), str(entity.version), entity.source, entity.run_id, tags)

    def run(self, run_id: str) -> RunRow:
        """The run.

        Raises:
            DeliveryError: the tracking server does not answer.
            MlflowException: the run cannot be read.
        """
        row = run_row(self.tracking, run_id, (EVIDENCE_TAG, _USER_TAG))
        if row is not None:
            return row
        check_reachable(str(getattr(self.tracking, "tracking_uri", "") or ""))
        run = self.tracking.get_run(run_id)
        read = facts_of(run)
        return RunRow(
            run_id=read.run_id,
            artifact_uri=str(run.info.artifact_uri or ""),
            lifecycle_stage=str(getattr(run.info, "lifecycle_stage", "active")),
            user=getattr(run.info, "user_id", None),
            tags=read.tags,
            datasets=tuple((name, digest, context or "") for name, digest, context in read.datasets),
        )

    def source(self, row: VersionRow) -> str | None:
        """Where a version's files are, as a statement names it; None where that cannot be told."""
        return _Case(self, row, {}).source()

    def place(self, row: VersionRow) -> str:
        """Where the registry serves the version's files from."""
        return row.place or str(self.registry.get_model_version_download_uri(row.name, row.version))


class _Case:
    """One reading of one version."""

    def __init__(self, reader: VersionReader, row: VersionRow, trusted: Mapping[str, str]) -> None:
        self.reader = reader
        self.row = row
        self.trusted = trusted
        self.unreadable: list[str] = []
        self.silent = False
        self.chain = self._chain()

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.name for row in self.chain))

    def facts(self) -> VersionFacts:
        held = self._held()
        run = self.run(held)
        source = self.source()
        files = self._files(run, held, source)
        evidence = run.tags.get(EVIDENCE_TAG) if run else None
        if evidence is not None and not _SHA256.fullmatch(evidence):
            self.unreadable.append("the run's evidence is not named by a digest")
            evidence = None
        return VersionFacts(
            model=self.row.name,
            version=self.row.version,
            source=source,
            run_id=run.run_id if run else None,
            model_sha256=files[0],
            listing_sha256=files[1],
            evidence_sha256=evidence,
            inputs_sha256=inputs_digest(run.datasets) if run else None,
            held=held,
            unreadable=tuple(dict.fromkeys(self.unreadable)),
            trained_by=(run.tags.get(_USER_TAG) or run.user) if run else None,
            makers=(run.user,) if run and run.user else (),
        )

    def _chain(self) -> list[VersionRow]:
        """The version, what it was copied from, and so on to the original."""
        chain = [self.row]
        while (copied := copied_from(chain[-1].source)) is not None:
            if len(chain) == _LONGEST_CHAIN:
                self.unreadable.append("the version was copied too many times to follow")
                break
            try:
                chain.append(self.reader.version(*copied))
            except Exception:  # noqa: BLE001  (the original may be gone; the place of the files still tells the source)
                break
        return chain

    def _held(self) -> Held | None:
        """The statement to go by: of the version and its originals, a signed one first, then the newest.

        A copy's other tags say nothing: they may have travelled with it. A statement is bound to content.
        """
        found: list[Held] = []
        for place, row in enumerate(self.chain):
            text = row.tags.get(TAG)
            if text is None:
                continue
            try:
                found.append(_stated(str(text), tuple(self.trusted.items())))
            except EvidenceError:
                if place == 0:
                    self.unreadable.append("the assessment on the version cannot be read")
        return max(found, key=lambda h: (h.signed_by is not None, h.statement.assessed_at), default=None)

    def run(self, held: Held | None) -> RunRow | None:
        run_id = self.row.run_id or (held.statement.run_id if held else None)
        if not run_id:
            return None
        try:
            run = self.reader.run(run_id)
        except DeliveryError:
            self.silent = True
            self.unreadable.append("the evidence store does not answer")
            return None
        except Exception as error:  # noqa: BLE001  (whatever a store raises: what cannot be read never lets a move pass)
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                self.unreadable.append("the version's run does not exist")
            else:
                self.unreadable.append(f"the evidence store cannot be read ({type(error).__name__})")
            return None
        if run.lifecycle_stage != "active":
            self.unreadable.append("the version's run was deleted")
        return run

    def source(self) -> str | None:
        """Where the files are, as a statement names it."""
        origin = str(self.chain[-1].source or "")
        if copied_from(origin) is None:
            return files_place(origin) or None
        # The original is gone: what is served still lies where it lay.
        place = self._place()
        return None if place is None else self._logged_model_at(place) or files_place(place) or None

    def _place(self) -> str | None:
        try:
            return self.reader.place(self.row)
        except Exception as error:  # noqa: BLE001  (see above)
            self.unreadable.append(f"the model's files cannot be found ({type(error).__name__})")
            return None

    def _logged_model_at(self, place: str) -> str | None:
        """The logged model whose folder it is; a path that only looks like one is not believed."""
        for part in reversed(urlsplit(place).path.split("/")):
            if re.fullmatch(r"m-[0-9a-f]{32}", part):
                try:
                    known = self.reader.tracking.get_logged_model(part)
                except Exception:  # noqa: BLE001  (then the source stays unknown, which refuses)
                    return None
                return part if str(known.artifact_location).rstrip("/") == place.rstrip("/") else None
        return None

    def _files(self, run: RunRow | None, held: Held | None, source: str | None) -> tuple[str | None, str | None]:
        """Digests of content and listing. What an assessment is not about need not be hashed."""
        if held is None or held.statement.source != source:
            return None, None
        place = self._place()
        if place is None:
            return None, None
        try:
            location = _resolved(place, run)
            found = digests_at(location, tracking_uri=getattr(self.reader.tracking, "tracking_uri", None))
        except FilesUnreadable as why:
            self.unreadable.append(str(why))
            return None, None
        return found.model_sha256, found.listing_sha256


@lru_cache(maxsize=256)
def _stated(text: str, trusted: tuple[tuple[str, str], ...]) -> Held:
    """The assessment in a tag. What a text says, and by which of the keys it is signed, stays so."""
    return read_statement(text, dict(trusted))


def copied_from(source: object) -> tuple[str, str] | None:
    """The version a copy was made of: model and version of ``models:/name/version``; None for any other source."""
    parts = urlparse(str(source or ""), allow_fragments=False)  # as MLflow reads it
    if parts.scheme != "models" or parts.netloc or parts.query or parts.params:
        return None
    name, _, version = parts.path.lstrip("/").rpartition("/")
    return (name, version) if name and "/" not in name and version.isascii() and version.isdigit() else None


def _resolved(place: str, run: RunRow | None) -> str:
    """The place as an artifact location: a ``runs:`` URI by its run's folder.

    Raises:
        FilesUnreadable: the run is not the version's.
    """
    parts = urlsplit(place)
    if parts.scheme != "runs":
        return place
    run_id, _, path = parts.path.strip("/").partition("/")
    if run is None or run.run_id != run_id or ".." in unquote(path).split("/"):
        msg = "the model's files lie in another run"
        raise FilesUnreadable(msg)
    return f"{run.artifact_uri.rstrip('/')}/{path}"
