"""What a document about a system or a version is made from: records, declaration, evidence, moves. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from aims_mlflow.assessment import Assessment
from aims_mlflow.catalog import Catalog
from aims_mlflow.checks.case import Item, Pool
from aims_mlflow.config.models import Declaration, System
from aims_mlflow.documentation.paper import Text
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import EvidenceBase, EvidenceStatus, Interval, Subject, Verdict
from aims_mlflow.evidence.base import Record
from aims_mlflow.gate.history import History
from aims_mlflow.management.projection.view import METHOD
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.statements import Statement
from aims_mlflow.management.systems import SystemContent
from aims_mlflow.management.types import content_of

E = TypeVar("E", bound=EvidenceBase)
R = TypeVar("R", bound=Record)

DIGITS = 16
"""Hex digits of a digest that are shown, as in the names of evidence files."""


@dataclass(frozen=True)
class Column:
    """A column or tensor of a model's signature."""

    name: str
    type: str
    side: str
    """``input`` or ``output``."""


@dataclass(frozen=True)
class Judged:
    """A version, or the organization alone, as it is judged, with the evidence it was judged on."""

    assessment: Assessment | None
    """None where it could not be judged; ``problem`` says why."""
    evidence: tuple[EvidenceBase, ...] = ()
    """What it rests on, management records included."""
    attached: Assessment | None = None
    """The assessment last attached to the version: it stays what it is, whenever one looks."""
    name: str | None = None
    """Registered model; None: the organization alone."""
    version: str | None = None
    targets: tuple[str, ...] = ()
    """``alias champion``, ``stage Production``."""
    run_id: str | None = None
    problem: str = ""
    declaration: Declaration = field(default_factory=Declaration)
    declaration_sha256: str | None = None
    parameters: Mapping[str, str] | None = None
    """Values of the run's parameters, where they are to be told and are those the evidence was made with."""
    parameters_changed: bool = False
    """Whether their values were asked for and are not those any more."""
    signature: tuple[Column, ...] = ()
    """Where it is the one the evidence was made with."""
    registered_at: datetime | None = None

    @property
    def label(self) -> str:
        """``models:/name/version``."""
        return f"models:/{self.name}/{self.version}" if self.name else "the organization"

    @cached_property
    def pool(self) -> Pool:
        """The evidence, sorted, with what is about something else told apart."""
        if self.assessment is None:
            return Pool.of((), subject=Subject(), at=datetime.max.replace(tzinfo=_zone()))
        return Pool.of(
            self.evidence,
            subject=self.assessment.subject,
            at=self.assessment.assessed_at,
            declaration=self.declaration,
        )

    @property
    def settled_at(self) -> datetime | None:
        """When what is known of it was settled: its attached assessment's time, else that of its latest evidence."""
        if self.attached is not None:
            return self.attached.assessed_at
        return max((r.captured_at for r in self.evidence if r.method != METHOD), default=None)

    def of(self, kind: str, model: type[E]) -> list[E]:
        """The evidence of a kind that is about this version: of what answers the same question the latest."""
        latest: dict[tuple[object, ...], Item] = {}
        for item in sorted(self.pool.own(kind), key=lambda i: (i.record.captured_at, i.digest)):
            latest[item.key] = item
        found = [i.record for i in latest.values() if isinstance(i.record, model)]
        return [r for r in found if r.status is EvidenceStatus.OK and r.method != METHOD]

    def first(self, kind: str, model: type[E]) -> E | None:
        """The latest of ``of``."""
        found = self.of(kind, model)
        return max(found, key=lambda r: (r.captured_at, r.digest)) if found else None


def _zone() -> Any:
    from datetime import UTC

    return UTC


@dataclass(frozen=True)
class Material:
    """All that is known of one system, or of one version of it, at a moment."""

    at: datetime
    catalog: Catalog
    state: State
    system: str | None
    declaration: Declaration = field(default_factory=Declaration)
    """In force: of ``aims.yaml``, else the one the version was captured with."""
    versions: tuple[Judged, ...] = ()
    histories: tuple[History, ...] = ()
    """Of its registered models, one each that has a log."""
    unread: tuple[str, ...] = ()
    """Logs that could not be read: name and why."""

    @cached_property
    def record(self) -> Filed | None:
        """The system's record in the inventory."""
        return next((one for one in self.state.of_type("system") if one.record.id == self.system), None)

    @cached_property
    def inventory(self) -> SystemContent | None:
        """What the inventory says of the system; None where it says nothing or cannot be read."""
        return self.content(self.record, SystemContent) if self.record else None

    @property
    def declared(self) -> System:
        """The system as ``aims.yaml`` declares it; blank where that is about another one."""
        system = self.declaration.system
        return system if self.system is None or system.id in (None, self.system) else System()

    @property
    def name(self) -> str:
        """The system's name."""
        named = self.inventory.name if self.inventory else None
        return named or self.declared.name or self.system or "a system without a name"

    @property
    def owner(self) -> str | None:
        """Who answers for the system."""
        if self.record is not None:
            return self.record.record.owner
        return self.declared.owner.name if self.declared.owner else None

    def said(self, field_name: str) -> tuple[Any, str]:
        """A field of the system with where it stands: the inventory's word before that of ``aims.yaml``."""
        if self.inventory is not None and self.record is not None:
            value = getattr(self.inventory, field_name, None)
            if value:
                return value, f"inventory, record {self.record.record.link}"
        value = getattr(self.declared, field_name, None)
        return (value, "aims.yaml") if value else (None, "")

    def records(self, type_id: str) -> Iterator[Filed]:
        """Records of a type that bear on the system and are in force at the moment, by id."""
        for one in self.state.about(type_id, self.system):
            ends = one.record.ends
            if one.record.starts <= self.at and (ends is None or ends >= self.at):
                yield one

    def nearest(self, type_id: str) -> list[Filed]:
        """``records``: the system's own where there are any, else the organization's."""
        found = list(self.records(type_id))
        return [one for one in found if one.record.systems] or found

    def content(self, one: Filed, model: type[R]) -> R | None:
        """A record's content; None where it is of another kind or cannot be read."""
        try:
            content = content_of(one.record, self.catalog)
        except AimsError:
            return None
        return content if isinstance(content, model) else None

    def statements(self, topic: str) -> list[Text]:
        """What persons state on a topic, with owner and validity."""
        found = []
        for one in self.nearest(topic):
            content = self.content(one, Statement)
            if content is not None:
                answers = "".join(f"\n{heading}: {text}" for heading, text in content.answers.items() if text.strip())
                found.append(Text(text=content.statement + answers + _document(one), source=whence(one)))
        return found

    def answers(self, ref: str) -> list[Text]:
        """What persons answered under a reference in their technical documentation."""
        found = []
        wanted = ref.casefold().replace(" ", "")
        for one in self.nearest("technical_documentation"):
            content = self.content(one, Statement)
            for heading, text in (content.answers if content else {}).items():
                if heading.casefold().replace(" ", "") == wanted and text.strip():
                    found.append(Text(text=text, source=whence(one)))
        return found


def _document(one: Filed) -> str:
    document = one.record.document
    if document is None:
        return ""
    place = document.uri or (f"kept with the record, {short(document.sha256)}" if document.sha256 else "")
    return f"\nDocument: {document.title}{f' ({place})' if place else ''}."


def whence(one: Filed) -> str:
    """Record, revision, owner and validity, for the reader."""
    record = one.record
    until = f", valid until {record.valid_until}" if record.valid_until else ""
    approved = f", approved by {record.approver}" if record.approver else ""
    return f"record {record.link} revision {record.revision}, stated by {record.owner}{approved}{until}"


def cited(record: EvidenceBase) -> str:
    """A piece of evidence for the reader: its file name, basis and date."""
    kind = getattr(record, "kind", "record")
    ends = f", valid until {record.valid_until:%Y-%m-%d}" if record.valid_until else ""
    return f"evidence {kind}-{short(record.digest)} ({record.basis}), captured {record.captured_at:%Y-%m-%d}{ends}"


def short(digest: str | None) -> str:
    """The first hex digits of a digest."""
    return digest.removeprefix("sha256:")[:DIGITS] if digest else "no digest"


def number(value: float | int | None) -> str:
    """Four significant digits; ``undefined`` for null, never 0."""
    if value is None:
        return "undefined"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def estimate(one: Interval) -> str:
    """``0.812 [0.79, 0.834], 95 %``; the value alone without an interval."""
    if one.value is None or one.low is None or one.high is None:
        return f"{number(one.value)} (no interval)" if one.value is not None else "undefined"
    return f"{number(one.value)} [{number(one.low)}, {number(one.high)}], {one.level:.0%}"


def verdict_word(verdict: Verdict) -> str:
    """A verdict in words."""
    return verdict.replace("_", " ")
