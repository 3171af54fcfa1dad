"""Load the built-in register and the caller's own files, and hold each word they use against the words there are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from aims_mlflow.catalog.files import build, parse, table
from aims_mlflow.catalog.register import Catalog, nearest
from aims_mlflow.config.models import Declaration
from aims_mlflow.config.sections import Section
from aims_mlflow.controls import (
    Crosswalk,
    CrosswalkEntry,
    EvidenceKind,
    Framework,
    FreshnessProfile,
    Requirement,
    Row,
    Topic,
)
from aims_mlflow.errors import CatalogError

BUILT_IN = "iso_42001.yaml"

Word = TypeVar("Word", EvidenceKind, FreshnessProfile, Topic)


def load_catalog(extra: Sequence[Path] = ()) -> Catalog:
    """The register: ISO/IEC 42001 with its crosswalks, then the files of ``extra``, in order.

    Files of ``extra`` are read each time, and parsed only where their content is new to the process. The shape of the
    files is in the docstring of :mod:`aims_mlflow.catalog`.

    Raises:
        CatalogError: a file cannot be read, or a row speaks of a kind, check, freshness profile, group, topic, field of
            ``aims.yaml`` or crosswalk target that does not exist, or an id stands twice. File, row and the nearest
            valid name are in the error.
    """
    return _load(tuple([(path.name, _content(path, str(path))) for path in map(Path, extra)]))


@lru_cache(maxsize=8)
def _load(extra: tuple[tuple[str, bytes], ...]) -> Catalog:
    """The built-in files, then name and content of others."""
    draft = _Draft()
    here = files("aims_mlflow.catalog")
    crosswalks = sorted((here / "crosswalks").iterdir(), key=lambda item: item.name)
    for item in (here / BUILT_IN, *(c for c in crosswalks if c.name.endswith(".yaml"))):
        draft.add(item.name, _content(item, item.name))
    for name, content in extra:
        draft.add(name, content)
    return draft.finish()


def _content(item: Traversable | Path, where: str) -> bytes:
    try:
        return item.read_bytes()
    except OSError as error:
        remedy = "Paths in 'frameworks' are relative to the folder of aims.yaml."
        raise CatalogError(f"the file cannot be read ({type(error).__name__})", where=where, remedy=remedy) from error


@dataclass
class _Draft:
    """What the files said so far."""

    frameworks: list[Framework] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    """Row id to the file it stands in."""
    framework_of: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, EvidenceKind] = field(default_factory=dict)
    freshness: dict[str, FreshnessProfile] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    checks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    crosswalks: list[tuple[str, Crosswalk]] = field(default_factory=list)
    hashed: list[bytes] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> None:
        """Take in one file."""
        plain = parse(content, where=name)
        self.hashed.append(name.encode() + b"\0" + hashlib.sha256(content).digest())
        if "crosswalk" in plain:
            self._add_crosswalk(name, plain)
        else:
            self._add_framework(name, plain)

    def _add_framework(self, name: str, plain: dict[str, Any]) -> None:
        _merge(self.kinds, EvidenceKind, table(plain, "evidence_kinds", where=name), f"{name}, evidence_kinds")
        _merge(self.freshness, FreshnessProfile, table(plain, "freshness_profiles", where=name), f"{name}, freshness")
        _merge(self.topics, Topic, table(plain, "topics", where=name), f"{name}, topics")
        for check, arguments in table(plain, "checks", where=name).items():
            if check in self.checks:
                raise CatalogError(f"the check {check!r} is listed twice", where=f"{name}, checks")
            if not isinstance(arguments, list) or not all(isinstance(a, str) for a in arguments):
                raise CatalogError("expected a list of argument names", where=f"{name}, checks, {check}")
            self.checks[check] = tuple(arguments)
        head = plain.get("framework")
        if not isinstance(head, dict):
            raise CatalogError("expected 'framework' with id, title and version", where=name)
        rows = plain.get("rows")
        if not isinstance(rows, list) or not rows:
            raise CatalogError("expected 'rows', a list with at least one clause or control", where=name)
        framework = build(
            Framework,
            head,
            where=f"{name}, framework",
            groups=table(plain, "groups", where=name),
            rows=tuple(self._add_row(name, index, item) for index, item in enumerate(rows)),
        )
        if any(framework.id == other.id for other in self.frameworks):
            raise CatalogError(f"the framework {framework.id!r} is there already", where=name)
        self.frameworks.append(framework)
        self.framework_of.update(dict.fromkeys((row.id for row in framework.rows), framework.id))

    def _add_row(self, name: str, index: int, plain: Any) -> Row:
        label = plain.get("id", f"number {index + 1}") if isinstance(plain, dict) else f"number {index + 1}"
        row = build(Row, plain, where=f"{name}, row {label}")
        if row.id in self.rows:
            message = f"the id {row.id!r} is taken by a row of {self.places[row.id]}"
            raise CatalogError(message, where=f"{name}, row {label}")
        self.rows[row.id] = row
        self.places[row.id] = name
        return row

    def _add_crosswalk(self, name: str, plain: dict[str, Any]) -> None:
        entries = []
        for row, refs in table(plain, "entries", where=name).items():
            entries.append(build(CrosswalkEntry, {"refs": refs}, where=f"{name}, entry {row}", row=row))
        crosswalk = build(Crosswalk, plain["crosswalk"], where=f"{name}, crosswalk", entries=tuple(entries))
        if any(crosswalk.id == other.id for _, other in self.crosswalks):
            raise CatalogError(f"the crosswalk {crosswalk.id!r} is there already", where=name)
        self.crosswalks.append((name, crosswalk))

    def finish(self) -> Catalog:
        """Validate the whole and close it."""
        for framework in self.frameworks:
            for row in framework.rows:
                self._validate_row(row, framework, f"{self.places[row.id]}, row {row.id}")
        for name, crosswalk in self.crosswalks:
            for entry in crosswalk.entries:
                _known(entry.row, self.rows, "clause or control", f"{name}, entry {entry.row}")
        return Catalog(
            frameworks=tuple(self.frameworks),
            rows=self.rows,
            framework_of=self.framework_of,
            kinds=self.kinds,
            freshness=self.freshness,
            topics=self.topics,
            checks=self.checks,
            crosswalks=tuple(crosswalk for _, crosswalk in self.crosswalks),
            sha256="sha256:" + hashlib.sha256(b"".join(self.hashed)).hexdigest(),
        )

    def _validate_row(self, row: Row, framework: Framework, where: str) -> None:
        _known(row.group, framework.groups, "group", where)
        _known(row.freshness, self.freshness, "freshness profile", where)
        seen: set[str] = set()
        for requirement in row.requires:
            here = f"{where}, requirement {requirement.id or '?'}"
            if not requirement.id or requirement.id in seen:
                raise CatalogError("every requirement of a row needs an id of its own", where=here)
            seen.add(requirement.id)
            self._validate_requirement(requirement, here)

    def _validate_requirement(self, requirement: Requirement, where: str) -> None:
        if not requirement.evidence or not requirement.accepts:
            raise CatalogError("'evidence' and 'accepts' must name something: an empty set is never met", where=where)
        for kind in requirement.evidence:
            _known(kind, self.kinds, "evidence kind", where)
        _known(requirement.check, self.checks, "check", where)
        if requirement.freshness is not None:
            _known(requirement.freshness, self.freshness, "freshness profile", where)
        for argument in requirement.where:
            _known(argument, self.checks[requirement.check], f"argument of {requirement.check}", where)
        for topic in words(requirement.where, "topic"):
            _known(topic, self.topics, "attestation topic", where)
        for argument in ("fields", "when_declared"):
            for path in words(requirement.where, argument):
                _declarable(path, where)


def words(where: Mapping[str, str | tuple[str, ...]], name: str) -> tuple[str, ...]:
    """The values of an argument of ``where``: one text counts as a list of one; empty where it is absent."""
    value = where.get(name, ())
    return (value,) if isinstance(value, str) else tuple(value)


def _merge(known: dict[str, Word], model: type[Word], plain: dict[str, Any], where: str) -> None:
    for name, item in plain.items():
        if name in known:
            raise CatalogError(f"{name!r} is there already", where=where)
        known[name] = build(model, item, where=f"{where}, {name}", id=name)


def _known(name: str, valid: Collection[str], what: str, where: str) -> None:
    if name not in valid:
        raise CatalogError(f"there is no {what} {name[:60]!r}", where=where, remedy=nearest(name, valid))


def _declarable(path: str, where: str) -> None:
    """Refuse a dotted name that no declaration can have; ``*`` stands for a name the user chooses."""
    model: type[BaseModel] | None = Declaration
    for part in path.split("."):
        if model is None:
            raise CatalogError(f"aims.yaml has no field {path!r}", where=where)
        if part == "*":
            continue
        if part not in model.model_fields:
            raise CatalogError(
                f"aims.yaml has no field {path!r}", where=where, remedy=nearest(part, model.model_fields)
            )
        model = _section_of(model.model_fields[part].annotation)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section a field holds, alone or as values of a mapping; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_of(argument)
        if found is not None:
            return found
    return None


def register_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """The register for machines: one plain mapping per row, in order, as ``aims register --json`` prints it."""
    crosswalks: dict[str, dict[str, dict[str, list[str]]]] = {row: {} for row in catalog.rows}
    for crosswalk in catalog.crosswalks:
        for entry in crosswalk.entries:
            if entry.refs:
                crosswalks[entry.row][crosswalk.id] = {str(c): list(refs) for c, refs in entry.refs.items()}
    return [
        {
            "id": row.id,
            "title": row.title,
            "kind": row.kind,
            "strength": str(row.strength),
            "framework": catalog.framework_of[row.id],
            "group": row.group,
            "summary": row.summary,
            "pdca": row.pdca,
            "record": row.record,
            "freshness": row.freshness,
            "topics": sorted({topic for requirement in row.requires for topic in words(requirement.where, "topic")}),
            "requires": [_plain(requirement) for requirement in row.requires],
            "crosswalk": crosswalks[row.id],
        }
        for row in catalog.rows.values()
    ]


def _plain(requirement: Requirement) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "what": requirement.what,
        "evidence": list(requirement.evidence),
        "check": requirement.check,
        "accepts": [str(basis) for basis in requirement.accepts],
        "where": {name: list(words(requirement.where, name)) for name in requirement.where},
        "freshness": requirement.freshness,
        "remedy": requirement.remedy,
    }
