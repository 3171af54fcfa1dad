"""The statements on record that bear on the organization or a system, and what each is worth at a date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from aims_mlflow.evidence import Sha256, canonical_json, sha256_of
from aims_mlflow.management.applicability import SOA, ApplicabilityContent, ApplicabilityLine
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.soa.models import SoaSource
from aims_mlflow.management.state import Filed, State


@dataclass(frozen=True)
class Said:
    """A statement on record that can be read."""

    filed: Filed
    lines: Mapping[str, ApplicabilityLine]
    lack: str
    """Why no exclusion of it counts; empty where they do."""

    @property
    def record(self) -> ManagementRecord:
        """The record."""
        return self.filed.record

    @property
    def scope(self) -> str:
        """Whose word it is."""
        return f"overlay of {', '.join(self.record.systems)}" if self.record.systems else "organization"

    def source(self) -> SoaSource:
        """The record as a source of the statement."""
        record = self.record
        return SoaSource(
            record=record.link,
            revision=record.revision,
            sha256=record.digest,
            owner=record.owner,
            approver=record.approver,
            valid_from=record.valid_from,
            valid_until=record.valid_until,
            recorded_at=record.recorded_at,
            run_id=self.filed.run_id,
            systems=record.systems,
            document=record.document,
            lack=self.lack,
        )


@dataclass(frozen=True)
class OnFile:
    """What is on record for the organization, or for a system."""

    organization: Said | None = None
    overlays: tuple[Said, ...] = ()
    """The system's own; most often one."""
    broken: tuple[tuple[str, str], ...] = ()
    """Statements that count for nothing because something is wrong with them: record and what."""
    strays: tuple[str, ...] = ()
    """Records of the organization under another id than ``soa``: nothing reads them."""

    @property
    def sources(self) -> tuple[Said, ...]:
        """The statements, the organization's first."""
        return (*((self.organization,) if self.organization else ()), *self.overlays)

    @property
    def sha256(self) -> Sha256 | None:
        """Digest of the one record, or over the digests of several."""
        digests = [said.record.digest for said in self.sources]
        if len(digests) > 1:
            return sha256_of(canonical_json(list(digests)))
        return digests[0] if digests else None

    def lines_on(self, control: str) -> Iterator[tuple[Said, ApplicabilityLine]]:
        """Who speaks of a control: the system's own statements before the organization's."""
        for said in (*self.overlays, *((self.organization,) if self.organization else ())):
            if control in said.lines:
                yield said, said.lines[control]

    @property
    def named(self) -> tuple[str, ...]:
        """Ids that have a line."""
        return tuple(dict.fromkeys(control for said in self.sources for control in said.lines))


def on_file(state: State, system: str | None) -> OnFile:
    """The statements that bear on a system, or on the organization where ``system`` is None.

    A record that was deleted or altered, or whose content cannot be read, is never passed over: it is among ``broken``.
    """
    organization: Said | None = None
    overlays: list[Said] = []
    broken = dict(_blocked(state, system))
    strays: list[str] = []
    for one in state.about(SOA, system):
        record = one.record
        said = _read(one, state.at)
        if said is None:
            broken[record.link] = "its content cannot be read"
        elif record.systems:
            overlays.append(said)
        elif record.id == SOA:
            organization = said
        else:
            strays.append(record.link)
    return OnFile(organization, tuple(overlays), tuple(sorted(broken.items())), tuple(strays))


def _blocked(state: State, system: str | None) -> Iterator[tuple[str, str]]:
    """Statements something is wrong with; also one whose run cannot be read at all, told by its name."""
    for problem in state.problems:
        if problem.type != SOA or not problem.blocks:
            continue
        one = state.get(SOA, problem.id)
        about = problem.id in {SOA, f"{SOA}-{system}"} if one is None else one.record.is_about(system)
        if about and (one is None or one.record.withdrawn is None):
            yield f"{problem.type}:{problem.id}", problem.what


def _read(one: Filed, at: datetime) -> Said | None:
    try:
        content = ApplicabilityContent.model_validate(one.record.content)
    except ValidationError:
        return None
    return Said(one, content.lines, _lack(one.record, at))


def _lack(record: ManagementRecord, at: datetime) -> str:
    """Why nothing may be left out on the strength of a statement; empty where it may."""
    if record.starts > at:
        return f"it is not valid before {record.valid_from}"
    if record.ends is not None and record.ends < at:
        return f"it lapsed on {record.valid_until}"
    if record.approver is None:
        return "nobody approved it"
    return ""
