"""The gap in records: a row, a system, the organization, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from pydantic import Field

from aims_mlflow.assessment import Ground, Status
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.controls import Strength
from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Basis, Record, UtcTime
from aims_mlflow.management.gaps import GapContent, GapRow
from aims_mlflow.management.standing import RANK

RISK_RANK = {
    RiskClass.PROHIBITED: 0,
    RiskClass.HIGH: 1,
    RiskClass.UNCLASSIFIED: 1,
    RiskClass.LIMITED: 2,
    RiskClass.MINIMAL: 3,
}
"""A system nobody has classified counts as a high-risk one."""


class GapLine(Record):
    """One clause or control of one system, or of the organization as the worst of its systems."""

    id: str
    title: str
    kind: str
    group: str
    system: str | None = None
    """The system it is about; of the organization's line the one that decides it, null where none is declared."""
    risk_class: RiskClass = RiskClass.UNCLASSIFIED
    status: Status
    strength: Strength
    basis: Basis | None = None
    maturity: int = Field(ge=0, le=5)
    target: int | None = Field(default=None, ge=0, le=5)
    """Null where the control does not apply."""
    gap: int = Field(default=0, ge=0, le=5)
    """Levels below the target."""
    fresh: bool = False
    """Whether all it rests on is current."""
    reason: str
    next_step: str
    owner: str | None = None
    valid_until: UtcTime | None = None
    """Until when it holds; of a stale one, when it lapsed."""
    until_ground: Ground | None = None
    """What says so: ``evidence``, ``cycle`` or ``refresh``."""
    records: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Of the organization's line: further systems for which it is below target."""
    floor: int = Field(default=0, ge=0, le=5)
    """What it counts for in the mean; of the organization's line the least over all systems, excluded or not."""

    @property
    def applies(self) -> bool:
        """Whether it counts."""
        return self.status is not Status.NOT_APPLICABLE

    @property
    def urgency(self) -> tuple[int, int, int]:
        """What comes first, least first: the riskier system, the wider gap, the worse status."""
        return RISK_RANK[self.risk_class], -self.gap, RANK[self.status]


class Summary(Record):
    """A set of rows in numbers."""

    rows: int
    applicable: int
    excluded: int
    satisfied: int
    below_target: int
    fresh: int
    """Applicable rows that rest on current evidence."""
    mean: float | None = None
    """Mean maturity, which no exclusion ever raises, see ``mean_of``; null where no row applies."""
    mean_applicable: float | None = None
    """Mean maturity of the applicable rows alone."""
    mean_target: float | None = None
    """Mean target of the applicable rows."""
    fresh_share: float | None = None
    """Share of the applicable rows that rest on current evidence."""

    @classmethod
    def of(cls, lines: Iterable[GapLine]) -> Summary:
        """Count."""
        every = list(lines)
        counted = [line for line in every if line.applies]
        fresh = sum(line.fresh for line in counted)
        mean = mean_of([one.floor for one in counted], [one.floor for one in every if not one.applies])
        return cls(
            rows=len(every),
            applicable=len(counted),
            excluded=len(every) - len(counted),
            satisfied=sum(line.status is Status.SATISFIED for line in counted),
            below_target=sum(line.gap > 0 for line in counted),
            fresh=fresh,
            mean=None if mean is None else round(mean, 4),
            mean_applicable=round(fmean(line.maturity for line in counted), 4) if counted else None,
            mean_target=round(fmean(line.target or 0 for line in counted), 4) if counted else None,
            fresh_share=round(fresh / len(counted), 4) if counted else None,
        )


def mean_of(applicable: Sequence[int], excluded: Sequence[int]) -> float | None:
    """The mean maturity, so that excluding a control never raises it.

    A control that is left out still counts with what its evidence shows where that lowers the mean, and not at all
    where it would raise it.

    Args:
        applicable: Levels of the applicable rows.
        excluded: Levels of the excluded ones.
    """
    if not applicable:
        return None
    total, number = sum(applicable), len(applicable)
    for level in sorted(excluded):
        if level * number >= total:
            break
        total, number = total + level, number + 1
    return total / number


class SystemGap(Record):
    """The gap of one system, or of the organization (``system`` null, ``is_whole``)."""

    system: str | None = None
    name: str
    is_whole: bool = False
    """Whether it stands for all systems."""
    risk_class: RiskClass = RiskClass.UNCLASSIFIED
    owner: str | None = None
    lifecycle_stage: str | None = None
    versions: tuple[str, ...] = ()
    """In service, ``name/version``."""
    summary: Summary
    lines: tuple[GapLine, ...]
    """Every row, in the register's order."""

    def line(self, row: str) -> GapLine:
        """The line of a row.

        Raises:
            KeyError: the register has no such row.
        """
        return {line.id: line for line in self.lines}[row]


class Work(Record):
    """One thing to do, with all it would mend: the same statement may be missing for many rows and systems."""

    next_step: str
    reason: str
    """Of the most urgent of its rows."""
    rows: tuple[str, ...]
    titles: tuple[str, ...] = ()
    """Of the rows, in their order."""
    systems: tuple[str, ...]
    owners: tuple[str, ...]
    status: Status
    """The worst."""
    risk_class: RiskClass
    gap: int
    """The widest."""
    maturity: int
    """Of the most urgent of its rows."""
    target: int
    lines: int
    """Rows of systems it is about: what is missing for two systems counts twice."""


class LastRun(Record):
    """What the last assessed run shows by itself, where no version of a declared system serves yet.

    It counts for no system: whoever trains a model does not decide what serves.
    """

    run_id: str
    assessed_at: UtcTime
    rows: dict[str, str]
    """Id to title of the rows it satisfies."""


class GapAssessment(Record):
    """The gap of all systems at a moment."""

    at: UtcTime
    catalog_sha256: str
    target: int
    whole: SystemGap
    """The organization: each row the worst over the systems."""
    systems: tuple[SystemGap, ...]
    """High-risk ones first."""
    undeclared: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    last_run: LastRun | None = None
    """Where no version of a declared system serves: what the last assessed run satisfies, and no row counts yet."""

    def of(self, system: str | None) -> SystemGap:
        """A system's gap; the organization's where None.

        Raises:
            InputError: there is no such system.
        """
        if system is None:
            return self.whole
        for one in self.systems:
            if one.system == system:
                return one
        known = ", ".join(str(one.system) for one in self.systems[:10] if one.system)
        raise InputError(
            f"there is no system {system[:100]!r}",
            remedy=f"There are: {known}." if known else "None is declared yet: `aims systems declare`.",
        )

    @property
    def lines(self) -> list[GapLine]:
        """The rows of all systems, what is most urgent first."""
        return in_order(line for system in self.systems for line in system.lines)

    def content(self) -> GapContent:
        """What is filed of it (record type ``gap``)."""
        whole = self.whole
        rows = {
            line.id: GapRow(status=str(line.status), maturity=line.maturity, target=line.target or 0)
            for line in whole.lines
        }
        means = {str(one.system): one.summary.mean or 0.0 for one in self.systems if one.system is not None}
        return GapContent(
            assessed_at=self.at,
            rows=rows,
            mean=whole.summary.mean or 0.0,
            fresh_share=whole.summary.fresh_share or 0.0,
            systems=means,
        )


def in_order(lines: Iterable[GapLine]) -> list[GapLine]:
    """What is most urgent first; among equals by system, then in the order given."""
    return sorted(lines, key=lambda line: (*line.urgency, line.system or ""))
