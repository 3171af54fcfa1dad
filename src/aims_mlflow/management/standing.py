"""How one AI system stands, row by row: what was measured of its versions, and what people have on record now. Pure.

Two sources meet in a row. What only a person's statement or a management record can meet is judged now, from the
records as they were known at the moment asked for. What is measured comes from the assessment in short that each
version in service bears: it holds until the moment it names itself, and says nothing once it has lapsed. Neither ever
stands in for the other, and what is absent, unreadable or about something else is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aims_mlflow.assessment import CheckResult, Finding, Ground, Outcome, Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.checks.judging import first_end, weakest, worst
from aims_mlflow.config.models import Declaration
from aims_mlflow.controls import Row
from aims_mlflow.evaluate import conclude, deciding, declared_attestations, evaluate
from aims_mlflow.evidence import EvidenceBase, ModelRef, Subject
from aims_mlflow.management.maturity import maturity_of
from aims_mlflow.management.measured import Measured, Source, kinds_of_records, source_of
from aims_mlflow.management.portfolio import RowStanding, ServedVersion, SystemStanding
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.state import State

WORST_FIRST = (
    Status.NOT_SATISFIED,
    Status.ERROR,
    Status.UNCERTAIN,
    Status.STALE,
    Status.NO_EVIDENCE,
    Status.NEEDS_ATTESTATION,
    Status.SATISFIED,
    Status.NOT_APPLICABLE,
)
"""Which status stands for several versions or systems."""

RANK = {status: rank for rank, status in enumerate(WORST_FIRST)}

_CURRENT = (Outcome.PASS, Outcome.FAIL, Outcome.UNCERTAIN)
"""Evidence that is there and not lapsed, whatever it says."""


def standing_of(system: SystemStanding, state: State, catalog: Catalog, declaration: Declaration) -> SystemStanding:
    """The system with all its rows: each the worst over its versions in service.

    Args:
        system: The system with its versions; what it holds of rows is not looked at.
        state: The records, as they were known at the moment asked for.
        catalog: The register in force.
        declaration: The system's own, with the applicability in force; its statements count as well.
    """
    served: Sequence[ServedVersion | None] = system.versions or (None,)
    judged = [_judged(system, one, state, catalog, declaration) for one in served]
    rows = {row_id: _row_standing(row, [one[row_id] for one in judged]) for row_id, row in catalog.rows.items()}
    return replace(system, rows=rows)


@dataclass(frozen=True)
class _RowJudged:
    """A row for one version, or for a system without one."""

    finding: Finding
    maturity: int
    is_fresh: bool
    version: str | None
    """Where measured evidence has a part in it."""
    next_step: str
    decided_by: str
    records: tuple[str, ...]
    owner: str | None


def _judged(
    system: SystemStanding, served: ServedVersion | None, state: State, catalog: Catalog, declaration: Declaration
) -> dict[str, _RowJudged]:
    """All rows for one version, or for a system without one."""
    model = _model_of(served)
    records = evidence_of(View(state, catalog, system=system.system, model=model))
    subject = Subject(system_id=system.system, model=model)
    judged = evaluate(records, catalog, declaration, subject=subject, at=state.at)
    whose = _whose([*records, *declared_attestations(declaration, state.at)], state)
    measured = Measured(system, served, state.at, declaration)
    rows = {}
    for finding in judged.findings:
        row = catalog.rows[finding.id]
        results = tuple(_merged(row, place, now, measured, catalog) for place, now in enumerate(finding.checks))
        rows[row.id] = _row_judged(row, results, measured, whose, catalog)
    return rows


def _model_of(served: ServedVersion | None) -> ModelRef | None:
    if served is None:
        return None
    return ModelRef(
        name=served.registered_name,
        uri=f"models:/{served.uri}",
        registered_name=served.registered_name,
        version=served.version,
        sha256=served.statement.model_sha256 if served.statement else None,
    )


def _row_judged(
    row: Row,
    results: tuple[CheckResult, ...],
    measured: Measured,
    whose: Mapping[str, _Whose],
    catalog: Catalog,
) -> _RowJudged:
    kinds = kinds_of_records(catalog)
    has_measured = any(source_of(need, kinds) is not Source.RECORDS for need in row.requires)
    by_measure = any(source_of(row.requires[place], kinds) is not Source.RECORDS for place in deciding(results))
    looked_at = measured.assessed_at if by_measure else measured.at
    finding = conclude(row.id, results, catalog, measured.declaration, at=looked_at)
    cited = [whose[digest] for digest in finding.evidence if digest in whose]
    places = deciding(results) if finding.status not in (Status.SATISFIED, Status.NOT_APPLICABLE) else ()
    next_step = finding.next_step
    if places and source_of(row.requires[places[0]], kinds) is Source.MEASURED:
        next_step = measured.remedy(row.requires[places[0]], next_step)
    return _RowJudged(
        finding=finding,
        maturity=maturity_of(results),
        is_fresh=all(one.outcome in _CURRENT for one in results),
        version=measured.uri if has_measured else None,
        next_step=next_step,
        decided_by=row.requires[places[0]].id if places else "",
        records=tuple(dict.fromkeys(one.link for one in cited if one.link)),
        owner=_owner(results, places, whose) or measured.system.owner,
    )


def _owner(results: Sequence[CheckResult], places: Sequence[int], whose: Mapping[str, _Whose]) -> str | None:
    """The owner of the record that decides the row; where all is met, of the one that lapses first."""
    if places:
        first = results[places[0]]
    else:
        ending = [one for one in results if one.valid_until is not None]
        if not ending:
            return None
        first = min(ending, key=lambda one: (one.valid_until is None, one.valid_until))
    return next((whose[digest].owner for digest in first.evidence if digest in whose), None)


def _row_standing(row: Row, judged: Sequence[_RowJudged]) -> RowStanding:
    """The worst of several versions; their maturity is the least."""
    worst_one = min(judged, key=lambda one: (RANK[one.finding.status], one.maturity))
    alike = [one for one in judged if one.finding.status is worst_one.finding.status]
    finding = worst_one.finding
    until, ground = _first_end(one.finding for one in alike)
    bases = [one.finding.basis for one in judged if one.finding.basis is not None]
    return RowStanding(
        id=row.id,
        title=row.title,
        kind=row.kind,
        status=finding.status,
        strength=row.strength,
        basis=weakest(bases),
        reason=finding.reason,
        next_step=worst_one.next_step,
        valid_until=until,
        until_ground=ground,
        records=tuple(dict.fromkeys(link for one in alike for link in one.records)),
        versions=tuple(one.version for one in alike if one.version is not None),
        owner=worst_one.owner,
        maturity=min(one.maturity for one in judged),
        is_fresh=all(one.is_fresh for one in judged),
        decided_by=worst_one.decided_by,
    )


def _merged(row: Row, place: int, now: CheckResult, measured: Measured, catalog: Catalog) -> CheckResult:
    """One requirement, from the records as judged now and from what was measured."""
    need, kinds = row.requires[place], kinds_of_records(catalog)
    source = source_of(need, kinds)
    if source is Source.RECORDS:
        return now
    then = measured.result(
        row, place, catalog, only=frozenset(need.evidence) - kinds if source is Source.BOTH else None
    )
    if source is Source.MEASURED:
        return then
    if Outcome.MISSING in (now.outcome, then.outcome):
        return then if now.outcome is Outcome.MISSING else now
    deciding_one = now if worst([now.outcome, then.outcome]) is now.outcome else then
    until, ground = _first_end((now, then))
    return deciding_one.model_copy(
        update={
            "basis": weakest([one.basis for one in (now, then) if one.basis is not None]),
            "evidence": now.evidence,
            "valid_until": until,
            "until_ground": ground,
        }
    )


def _first_end(said: Iterable[CheckResult | Finding]) -> tuple[datetime, Ground] | tuple[None, None]:
    """The earliest end and what says so; nothing where there is none."""
    dated = [(one.valid_until, one.until_ground or Ground.EVIDENCE) for one in said if one.valid_until is not None]
    return first_end(dated) or (None, None)


# whose records


@dataclass(frozen=True)
class _Whose:
    """The record a piece of evidence stands for, and its owner."""

    link: str
    owner: str | None


def _whose(evidence: Iterable[EvidenceBase], state: State) -> dict[str, _Whose]:
    found = {}
    for one in evidence:
        link = str(one.parameters.get("record") or "")
        type_, _, id_ = link.partition(":")
        filed = state.get(type_, id_)
        owner = filed.record.owner if filed else getattr(one, "owner", None)
        found[one.digest] = _Whose(link, owner)
    return found
