"""What a check is handed: the evidence of one subject at one time, sorted once, and the requirement to judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property

from aims_mlflow.assessment import Ground
from aims_mlflow.checks.keys import key_of, role_of, series_of
from aims_mlflow.config.models import Declaration
from aims_mlflow.controls import Requirement, Row
from aims_mlflow.evidence import (
    AttestationRecord,
    Basis,
    CaptureErrorRecord,
    CustomRecord,
    DataQualityEvidence,
    DatasetRecord,
    DatasetRef,
    DriftEvidence,
    EvidenceBase,
    EvidenceStatus,
    FairnessEvidence,
    PerformanceEvidence,
    Subject,
)

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Evidence dated further ahead of the assessment is not accepted: clocks of two machines differ by less."""

LONGEST_STATEMENT = timedelta(days=365)
"""How long a statement without an end of its own serves where the row sets no age: it is reviewed once a year."""

_OF_THE_ORGANIZATION = frozenset(
    {"attestation", "evidence_manifest", "retention", "access_list", "incident", "nonconformity", "gap_assessment"}
)
"""Kinds that need not be about one run: they are kept in runs of their own and serve every version of the system."""


_ABOUT_ONE_DATASET = frozenset({"dataset", "data_quality", "drift"})
"""Kinds made once for each dataset: what came for one says nothing of another."""

_ABOUT_DATA = _ABOUT_ONE_DATASET | {"performance", "fairness"}


TYPED_RECORD = "typed_record"
"""Parameter of a statement that stands for typed records (the risks, an impact assessment); it says which. Where there
is one on a topic, a plain statement on that topic counts for nothing: words do not outdo what they are about."""


@dataclass(frozen=True, slots=True)
class Item:
    """One evidence record with what is asked of it again and again."""

    record: EvidenceBase
    digest: str
    kind: str
    basis: Basis
    """How its content came to be, by its kind where the kind settles it, whatever the record claims."""
    key: tuple[object, ...]
    """Records with equal keys answer the same question: the latest counts."""
    series: tuple[object, ...]
    """Records of a series renew each other, but none does away with a failure."""
    datasets: tuple[DatasetRef, ...]
    foreign: str = ""
    """Why it is not about the assessed subject; empty where it is."""

    @property
    def dated(self) -> datetime:
        """When it counts from, however late it was recorded.

        A statement counts from the day it is valid from, live evidence from the end of its window.
        """
        if isinstance(self.record, AttestationRecord):
            return min(self.record.captured_at, start_of_validity(self.record))
        return min(self.record.captured_at, end_of_window(self.record) or self.record.captured_at)

    @property
    def label(self) -> str:
        """The record in a sentence: kind and what it is about."""
        record = self.record
        if isinstance(record, AttestationRecord):
            return f"attestation {record.topic!r}"
        words = self.kind.replace("_", " ")
        # A run or model names all datasets around it; only a record about data is about the first of them.
        named = next((d for d in self.datasets if d.name), None) if self.kind in _ABOUT_DATA else None
        if named is None:
            return words
        return f"{words} of {named.name}" + (f" ({named.role})" if named.role else "")

    @property
    def is_typed(self) -> bool:
        """Whether it stands for typed records of the management system."""
        return isinstance(self.record, AttestationRecord) and TYPED_RECORD in self.record.parameters

    def has_role(self, roles: Iterable[str]) -> bool:
        """Whether it is about a dataset in one of these roles."""
        wanted = {role_of(role) for role in roles}
        return any(role_of(ref.role) in wanted for ref in self.datasets)


def start_of_validity(record: AttestationRecord) -> datetime:
    """The first moment of the day an attestation is valid from, UTC."""
    return datetime.combine(record.valid_from, time.min, UTC)


WINDOW = "window"
"""Parameter of live evidence: its window, ``start/end``."""


def end_of_window(record: EvidenceBase) -> datetime | None:
    """When the window ended that live evidence is about; None for evidence of anything else."""
    text = record.parameters.get(WINDOW)
    if not isinstance(text, str) or "/" not in text:
        return None
    try:
        end = datetime.fromisoformat(text.partition("/")[2])
    except ValueError:
        return None
    return end if end.tzinfo is not None else None


def kind_of(record: EvidenceBase) -> str:
    """The record's ``kind``."""
    return str(getattr(record, "kind", "custom"))


def _basis(record: EvidenceBase, kind: str) -> Basis:
    if kind == "declaration":
        return Basis.DECLARED
    if isinstance(record, AttestationRecord):
        return Basis.ATTESTED
    if isinstance(record, CustomRecord) and record.basis is Basis.MEASURED:
        return Basis.REPORTED  # the caller's own content: this library measured nothing of it
    return record.basis


def _datasets(record: EvidenceBase) -> tuple[DatasetRef, ...]:
    match record:
        case DatasetRecord() | DataQualityEvidence():
            return (record.dataset,)
        case DriftEvidence():
            return (record.current,)
        case PerformanceEvidence() | FairnessEvidence():
            return (record.dataset,) if record.dataset else ()
        case _:
            return record.subject.datasets


def _is_same(one: DatasetRef, other: DatasetRef) -> bool:
    """Whether two references mean one dataset: by the strongest name both have. Blank ones mean none."""
    for name in ("sha256", "mlflow_digest", "name"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine is not None and theirs is not None:
            return bool(mine == theirs)
    return False


def _foreign(record: EvidenceBase, kind: str, subject: Subject) -> str:
    """Why the record is not about the subject; empty where it is, or where nothing tells them apart."""
    theirs, system = record.subject, subject.system_id
    if theirs.system_id and system and theirs.system_id != system:
        return "it is about another AI system"
    mine, other = subject.model, theirs.model
    if mine and other and mine.sha256 and other.sha256:
        return "" if mine.sha256 == other.sha256 else "it is about another version of the model"
    if mine and mine.sha256 is None and (other or kind not in _OF_THE_ORGANIZATION):
        return "the files of this version could not be hashed"
    if kind in _OF_THE_ORGANIZATION:
        return ""
    if mine and other and mine.model_id and other.model_id and mine.model_id != other.model_id:
        return "it is about another version of the model"
    if subject.run and theirs.run:
        return "" if subject.run.run_id == theirs.run.run_id else "it is about another run"
    if subject.run or subject.model:
        return "it is not bound to the run or version assessed"
    return ""


@dataclass(frozen=True)
class Pool:
    """All evidence at hand, sorted by kind, with what is foreign or dated ahead told apart."""

    at: datetime
    subject: Subject
    declaration: Declaration = field(default_factory=Declaration)
    by_kind: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    ahead: Mapping[str, int] = field(default_factory=dict)
    """Kind to the number of records dated after the assessment: they count for nothing."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Digest to kind of every record, those dated ahead included."""

    @classmethod
    def of(
        cls, evidence: Sequence[EvidenceBase], *, subject: Subject, at: datetime, declaration: Declaration | None = None
    ) -> Pool:
        """Sort the evidence; equal records count once, and the order they come in does not matter."""
        declared = declaration or Declaration()
        seen: dict[str, EvidenceBase] = {record.digest: record for record in evidence}
        by_kind: dict[str, list[Item]] = {}
        ahead: dict[str, int] = {}
        for digest, record in sorted(seen.items()):
            kind = kind_of(record)
            if record.captured_at > at + CLOCK_TOLERANCE:
                ahead[kind] = ahead.get(kind, 0) + 1
                continue
            key = key_of(record, kind, declared)
            item = Item(
                record=record,
                digest=digest,
                kind=kind,
                basis=_basis(record, kind),
                key=key,
                series=series_of(record, key),
                datasets=_datasets(record),
                foreign=_foreign(record, kind, subject),
            )
            by_kind.setdefault(kind, []).append(item)
        return cls(
            at=at,
            subject=subject,
            declaration=declared,
            by_kind={kind: tuple(items) for kind, items in by_kind.items()},
            ahead=ahead,
            digests={digest: kind_of(record) for digest, record in sorted(seen.items())},
        )

    def holds_none_of(self, kinds: Iterable[str]) -> bool:
        """Whether nothing of these kinds is on file: no record, none dated ahead, no collector that failed."""
        return "capture_error" not in self.by_kind and self._kinds.isdisjoint(kinds)

    @cached_property
    def _kinds(self) -> frozenset[str]:
        """Every kind on file, records dated ahead included."""
        return frozenset({*self.by_kind, *self.ahead})

    def of_kind(self, kind: str) -> tuple[Item, ...]:
        """Records of a kind, foreign ones included."""
        return self.by_kind.get(kind, ())

    def own(self, kind: str) -> tuple[Item, ...]:
        """Records of a kind that are about the subject."""
        return tuple(item for item in self.of_kind(kind) if not item.foreign)

    def open_errors(self, kinds: Iterable[str], roles: Iterable[str] = ()) -> list[Item]:
        """Collectors of these kinds that could not run and whose evidence did not come later."""
        if "capture_error" not in self.by_kind:
            return []
        wanted = set(kinds)
        return [
            item
            for item in self.own("capture_error")
            if isinstance(item.record, CaptureErrorRecord)
            and item.record.of_kind in wanted
            and not (roles and _names_other_roles(item, roles))
            and not self._came_later(item, item.record.of_kind)
        ]

    def _came_later(self, error: Item, kind: str) -> bool:
        """Whether evidence of the kind was made after the error: about the same dataset, for kinds made per dataset."""
        named = error.datasets if kind in _ABOUT_ONE_DATASET else ()
        for item in self.own(kind):
            if item.record.captured_at <= error.record.captured_at or item.record.status is EvidenceStatus.ERROR:
                continue
            if not named or any(_is_same(mine, theirs) for mine in item.datasets for theirs in named):
                return True
        return False


def _names_other_roles(item: Item, roles: Iterable[str]) -> bool:
    """Whether every dataset it names has a role, and none of them is asked for; silence about one is no acquittal."""
    return bool(item.datasets) and all(ref.role for ref in item.datasets) and not item.has_role(roles)


def after(moment: datetime, age: timedelta) -> datetime:
    """The moment of that age, or the last there is: a declared age may lead beyond the calendar."""
    last = datetime.max.replace(tzinfo=UTC)
    return last if age > last - moment else moment + age


@dataclass(frozen=True)
class Case:
    """One requirement of one row to be judged over a pool of evidence."""

    row: Row
    requirement: Requirement
    pool: Pool
    max_age: timedelta | None = None
    """How old evidence may be; None: it is bound to the version or event instead."""

    def arguments(self, name: str) -> tuple[str, ...]:
        """Values of a ``where`` argument; empty where the requirement does not set it."""
        value = self.requirement.where.get(name, ())
        return (value,) if isinstance(value, str) else tuple(value)

    def lapses(self, item: Item) -> datetime:
        """The moment the record stops to serve here, see ``serves_until``."""
        return self.serves_until(item)[0]

    def serves_until(self, item: Item) -> tuple[datetime, Ground]:
        """The moment the record stops to serve here, and what says so.

        That is its own end or its greatest age. Where it has neither, only a version or event binds it: it serves until
        the management system's own cycle looks at it again; a statement for a year.
        """
        ends = [item.record.valid_until] if item.record.valid_until else []
        if self.max_age is not None:
            ends.append(after(item.dated, self.max_age))
        elif not ends and isinstance(item.record, AttestationRecord):
            ends.append(after(item.dated, LONGEST_STATEMENT))
        if ends:
            return min(ends), Ground.EVIDENCE
        return after(item.dated, timedelta(days=self.pool.declaration.validity.version_bound_days)), Ground.CYCLE

    def is_current(self, item: Item) -> bool:
        """Whether the record still serves."""
        return self.pool.at <= self.lapses(item)
