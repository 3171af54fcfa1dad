"""How mature each row is, how mature it should be, and what to do next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.controls import Strength
from aims_mlflow.errors import InputError
from aims_mlflow.management.gap.models import RISK_RANK, GapAssessment, GapLine, Summary, SystemGap, Work, in_order
from aims_mlflow.management.maturity import HIGHEST
from aims_mlflow.management.portfolio import Portfolio, RowStanding, SystemStanding
from aims_mlflow.management.standing import RANK

TARGET = 3
"""Where nothing else is asked for."""
TARGETS = (1, 2, 3, 4)
"""What can be asked for: level 5 is never given, so nothing is held against it."""

HIGH_RISK = (RiskClass.PROHIBITED, RiskClass.HIGH, RiskClass.UNCLASSIFIED)
"""A system nobody has classified is held to what a high-risk one is held to."""


def assess_gap(portfolio: Portfolio, catalog: Catalog, *, target: int = TARGET) -> GapAssessment:
    """The gap of every system and of the organization.

    Args:
        portfolio: How the systems stand.
        catalog: The register it was made with.
        target: The level rows should have, see ``target_of``.

    Raises:
        InputError: the target is not 1 to 4.
    """
    if target not in TARGETS:
        raise InputError(f"the target level {target} cannot be met", where="target", remedy="Give 1, 2, 3 or 4.")
    systems = tuple(_system_gap(one, catalog, target) for one in portfolio.systems)
    return GapAssessment(
        at=portfolio.at,
        catalog_sha256=catalog.sha256,
        target=target,
        whole=_whole(systems),
        systems=systems,
        undeclared=portfolio.undeclared,
        problems=portfolio.problems,
    )


def target_of(row: RowStanding, risk_class: RiskClass, target: int) -> int:
    """The level a row should have: one more than usual where measured evidence can show it and the risk is high.

    What rests on a person's word can be level 3 at most, so that no row is asked for more.
    """
    if row.strength is not Strength.AUTOMATIC:
        return min(target, HIGHEST - 1)
    return HIGHEST if risk_class in HIGH_RISK and target >= TARGET else target


def _system_gap(standing: SystemStanding, catalog: Catalog, target: int) -> SystemGap:
    lines = tuple(_line(row, standing, catalog, target) for row in standing.rows.values())
    return SystemGap(
        system=standing.system,
        name=standing.name,
        risk_class=standing.risk_class,
        owner=standing.owner,
        lifecycle_stage=standing.lifecycle_stage,
        versions=tuple(version.uri for version in standing.versions),
        summary=Summary.of(lines),
        lines=lines,
    )


def _line(row: RowStanding, standing: SystemStanding, catalog: Catalog, target: int) -> GapLine:
    applies = row.status is not Status.NOT_APPLICABLE
    wanted = target_of(row, standing.risk_class, target) if applies else None
    return GapLine(
        id=row.id,
        title=row.title,
        kind=row.kind,
        group=catalog.rows[row.id].group,
        system=standing.system,
        risk_class=standing.risk_class,
        status=row.status,
        strength=row.strength,
        basis=row.basis,
        maturity=row.maturity,
        target=wanted,
        gap=max(0, wanted - row.maturity) if wanted is not None else 0,
        fresh=row.is_fresh,
        reason=row.reason,
        next_step=row.next_step,
        owner=row.owner,
        valid_until=row.valid_until,
        until_ground=row.until_ground,
        records=row.records,
        versions=row.versions,
        floor=row.maturity,
    )


def _whole(systems: Sequence[SystemGap]) -> SystemGap:
    """The organization: of each row the most pressing line among the systems to which it applies."""
    lines = []
    for rows in zip(*(one.lines for one in systems), strict=True):
        counted = [line for line in rows if line.applies] or list(rows)
        first = min(counted, key=lambda line: (RANK[line.status], line.maturity, *line.urgency))
        short = [line.system for line in counted if line.gap > 0 and line.system not in (None, first.system)]
        lines.append(
            first.model_copy(
                update={
                    "maturity": min(line.maturity for line in counted),
                    "gap": max(line.gap for line in counted),
                    "target": max((line.target for line in counted if line.target is not None), default=None),
                    "fresh": all(line.fresh for line in counted),
                    "also": tuple(short),
                    "floor": min(line.floor for line in rows),
                }
            )
        )
    return SystemGap(
        name="The organization",
        is_whole=True,
        risk_class=min((one.risk_class for one in systems), key=RISK_RANK.__getitem__, default=RiskClass.UNCLASSIFIED),
        versions=tuple(version for one in systems for version in one.versions),
        summary=Summary.of(lines),
        lines=tuple(lines),
    )


def work_of(lines: Iterable[GapLine]) -> list[Work]:
    """What to do, most urgent first; what one step mends in many rows and systems stands together."""
    together: dict[str, list[GapLine]] = {}
    for line in in_order(lines):
        if line.gap > 0:
            together.setdefault(line.next_step or line.reason, []).append(line)
    return [_work(step, found) for step, found in together.items()]


def _work(step: str, lines: Sequence[GapLine]) -> Work:
    first = lines[0]
    titles = {line.id: line.title for line in lines}
    return Work(
        next_step=step,
        reason=first.reason,
        rows=tuple(titles),
        titles=tuple(titles.values()),
        systems=tuple(dict.fromkeys(line.system for line in lines if line.system is not None)),
        owners=tuple(dict.fromkeys(line.owner for line in lines if line.owner is not None)),
        status=min((line.status for line in lines), key=RANK.__getitem__),
        risk_class=first.risk_class,
        gap=max(line.gap for line in lines),
        maturity=first.maturity,
        target=first.target or 0,
        lines=len(lines),
    )
