"""Evidence held against the register: one finding for every row of every framework, whatever is on file. Pure.

The status of a row is the worst of its requirements, in this order: not satisfied, error, uncertain, stale, no
evidence, needs attestation. Only where all are met is it satisfied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from aims_mlflow import __version__
from aims_mlflow.assessment import Assessment, CheckResult, Finding, Ground, Outcome, Overall, Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.checks import ALIKE_WITHOUT_EVIDENCE, Case, Check, Pool, advice_of, available_checks, result
from aims_mlflow.checks.case import after
from aims_mlflow.checks.judging import first_end, lapsed, weakest, worst
from aims_mlflow.config.models import Applicability, Declaration
from aims_mlflow.controls import Requirement, Row
from aims_mlflow.errors import CatalogError, InputError
from aims_mlflow.evidence import AttestationRecord, DocumentRef, EvidenceBase, Sha256, Subject, Tool, Verdict

COLLECTOR = Tool(name="aims-mlflow", version=__version__)

ATTENTION = (Status.NOT_SATISFIED, Status.ERROR, Status.UNCERTAIN, Status.STALE)
"""What to look at first, in this order."""

_STATUS = {
    Outcome.FAIL: Status.NOT_SATISFIED,
    Outcome.ERROR: Status.ERROR,
    Outcome.UNCERTAIN: Status.UNCERTAIN,
    Outcome.STALE: Status.STALE,
    Outcome.MISSING: Status.NO_EVIDENCE,
    Outcome.PASS: Status.SATISFIED,
}


def evaluate(
    evidence: Sequence[EvidenceBase],
    catalog: Catalog,
    declaration: Declaration,
    *,
    subject: Subject,
    at: datetime,
    declaration_sha256: Sha256 | None = None,
    undeclared: Sequence[str] = (),
    checks: Mapping[str, Check] | None = None,
) -> Assessment:
    """All findings for one subject at one time.

    Args:
        evidence: What is on file. The statements of ``aims.yaml`` are added (see ``declared_attestations``); giving
            them here as well changes nothing.
        catalog: The register in force.
        declaration: Applicability, freshness and limits as declared.
        subject: What is assessed. Evidence about another run or version counts for nothing.
        at: When, with a time zone. Evidence dated later counts for nothing.
        declaration_sha256: Digest of ``aims.yaml``, kept with the result.
        undeclared: Dotted names of what ``aims.yaml`` leaves out, kept with the result.
        checks: Checks by id; those installed where absent.

    Raises:
        InputError: ``at`` has no time zone.
        CatalogError: the register names a check that is not installed, or the declaration an id the register does not
            hold; the nearest valid name is in the error.
    """
    if at.tzinfo is None:
        raise InputError("the time of an assessment needs a zone", where="at", remedy="Use datetime.now(UTC).")
    at = at.astimezone(UTC)
    lines = _installed_lines(catalog) if checks is None else _lines(catalog, checks)
    _refuse_unknown(catalog, declaration)
    everything = [*evidence, *declared_attestations(declaration, at)]
    pool = Pool.of(everything, subject=subject, at=at, declaration=declaration)
    findings = tuple(_finding(line, pool) for line in lines)
    counted = Counter(finding.status for finding in findings)
    attention = tuple(f.id for status in ATTENTION for f in findings if f.status is status)
    ends = [f.valid_until for f in findings if f.status is Status.SATISFIED and f.valid_until is not None]
    return Assessment(
        assessed_at=at,
        collector=COLLECTOR,
        subject=subject,
        system_name=declaration.system.name,
        risk_class=str(declaration.system.risk_class),
        overall=_overall(counted),
        headline=_headline(findings, counted, attention),
        counts={str(status): counted[status] for status in Status},
        findings=findings,
        attention=attention,
        fresh_until=min(ends, default=None),
        declaration_sha256=declaration_sha256,
        catalog_sha256=catalog.sha256,
        evidence=dict(pool.digests),
        undeclared=tuple(undeclared),
    )


def declared_attestations(declaration: Declaration, at: datetime) -> list[AttestationRecord]:
    """The statements kept in ``aims.yaml``, as evidence.

    Each is dated the day it is valid from, so that its age counts from there, and serves until the end of its last day
    (UTC). One that is not valid yet is dated ``at``; it counts for nothing until its day comes.
    """
    records = []
    for item in declaration.attestations:
        dated = datetime.combine(item.valid_from, time.min, UTC)
        records.append(
            AttestationRecord(
                collector=COLLECTOR,
                captured_at=min(dated, at),
                valid_until=datetime.combine(item.valid_until, time.max.replace(microsecond=0), UTC),
                subject=Subject(system_id=declaration.system.id),
                method="Stated under attestations in aims.yaml.",
                verdict=Verdict.RECORDED,
                reason=f"Stated by {item.owner}.",
                topic=item.topic,
                statement=item.statement,
                owner=item.owner,
                approver=item.approver,
                valid_from=item.valid_from,
                supports=item.supports,
                document=DocumentRef(title=item.document) if item.document else None,
            )
        )
    return records


def _refuse_unknown(catalog: Catalog, declaration: Declaration) -> None:
    for section, ids in (("applicability", declaration.applicability), ("freshness", declaration.freshness)):
        for row_id in ids:
            try:
                catalog.row(row_id)
            except CatalogError as error:
                raise CatalogError(error.message, where=f"aims.yaml, {section}", remedy=error.remedy) from error


@dataclass(frozen=True, eq=False, slots=True)
class _Need:
    """A requirement with what the register settles about it, whatever the evidence."""

    requirement: Requirement
    check: Check
    max_age: timedelta | None
    """By the requirement's own freshness profile, else by the row's."""
    blank: CheckResult | None
    """What the check says where nothing is on file; null where that depends on more than the requirement."""


@dataclass(frozen=True, eq=False, slots=True)
class _Line:
    """A row ready to be judged."""

    row: Row
    framework: str
    needs: tuple[_Need, ...]


@lru_cache(maxsize=4)
def _installed_lines(catalog: Catalog) -> tuple[_Line, ...]:
    """The rows with the installed checks; worked out once for a register."""
    return _lines(catalog, available_checks())


def _lines(catalog: Catalog, checks: Mapping[str, Check]) -> tuple[_Line, ...]:
    return tuple(
        _Line(row, catalog.framework_of[row.id], tuple(_need(row, need, catalog, checks) for need in row.requires))
        for row in catalog.rows.values()
    )


def _need(row: Row, requirement: Requirement, catalog: Catalog, checks: Mapping[str, Check]) -> _Need:
    check = checks.get(requirement.check)
    if check is None:
        raise CatalogError(
            f"the check {requirement.check!r} is not installed",
            where=f"row {row.id}, requirement {requirement.id}",
            remedy="Install the plugin that provides it, or name another check.",
        )
    days = catalog.freshness[requirement.freshness or row.freshness].max_age_days
    blank = None
    if type(check) in ALIKE_WITHOUT_EVIDENCE:
        nothing = Pool(at=datetime.max.replace(tzinfo=UTC), subject=Subject())
        blank = _checked(check, Case(row, requirement, nothing))
    return _Need(requirement, check, _age(days), blank)


def _age(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=max(-1, min(days, timedelta.max.days)))


def _finding(line: _Line, pool: Pool) -> Finding:
    row = line.row
    declared_days = pool.declaration.freshness.get(row.id)
    results = tuple([_judge(row, need, pool, declared_days) for need in line.needs])
    excluded = pool.declaration.applicability.get(row.id)
    again = looked_at_again(pool.at, pool.declaration)
    if excluded is None and all(r.evidence == () for r in results):
        return _without_evidence(line, results, again)
    return _concluded(line, results, excluded, again)


@lru_cache(maxsize=2048)
def _without_evidence(line: _Line, results: tuple[CheckResult, ...], again: datetime) -> Finding:
    """The finding on a row for which nothing is on file: most rows, and the same for all runs of a day."""
    return _concluded(line, results, None, again)


def looked_at_again(at: datetime, declaration: Declaration) -> datetime:
    """By when what is open at a moment is looked at again: the end of that day, UTC."""
    last = after(at.astimezone(UTC), timedelta(days=declaration.validity.open_days))
    return datetime.combine(last, time.max.replace(microsecond=0), UTC)


def conclude(
    row_id: str,
    results: Sequence[CheckResult],
    catalog: Catalog,
    declaration: Declaration,
    *,
    at: datetime,
) -> Finding:
    """What results that were put together elsewhere come to, by the same rules as those of ``evaluate``.

    Args:
        row_id: The row.
        results: One for each of its requirements, in the register's order.
        catalog: The register in force.
        declaration: Its applicability and validity count.
        at: When they were put together: what is open holds from then until it is looked at again.

    Raises:
        InputError: there are more or fewer results than requirements.
        CatalogError: the register does not know the row, or names a check that is not installed.
    """
    row = catalog.row(row_id)
    if len(results) != len(row.requires):
        raise InputError(f"the row has {len(row.requires)} requirements, not {len(results)}", where=row_id)
    again = looked_at_again(at, declaration)
    return _concluded(_installed_by_id(catalog)[row_id], tuple(results), declaration.applicability.get(row_id), again)


@lru_cache(maxsize=4)
def _installed_by_id(catalog: Catalog) -> Mapping[str, _Line]:
    return {line.row.id: line for line in _installed_lines(catalog)}


def deciding(results: Sequence[CheckResult]) -> tuple[int, ...]:
    """Places of the results that decide the status of a row, the one that the reason names first; none where all pass.

    Where measured evidence is missing, that decides before a person's statement that is missing as well.
    """
    outcome = worst([r.outcome for r in results])
    if outcome is Outcome.PASS:
        return ()
    measured = [n for n, r in enumerate(results) if r.outcome is outcome and not r.attested_part]
    if outcome is Outcome.MISSING and measured:
        return tuple(measured)
    return tuple(n for n, r in enumerate(results) if r.outcome is outcome)


def _concluded(
    line: _Line, results: tuple[CheckResult, ...], excluded: Applicability | None, again: datetime
) -> Finding:
    """What the results of a row's requirements come to; ``again``: when what is open is looked at again."""
    row = line.row
    status = _status(results)
    reason, next_step = _why(line, results, status)
    if excluded is not None and not excluded.applicable:
        if row.kind == "clause":
            reason = f"{reason} It cannot be excluded: clauses always apply."
        elif status in (Status.NOT_SATISFIED, Status.ERROR):
            # Evidence that exists cannot be declared away: the row stays in the count.
            reason = f"{_excluded(excluded)} That is at odds with evidence on file: {reason}"
        else:
            reason, next_step = _excluded(excluded), ""
            status = Status.NOT_APPLICABLE
    until = _holds_until(results, status) or (again, Ground.REFRESH)
    return Finding(
        id=row.id,
        title=row.title,
        kind=row.kind,
        framework=line.framework,
        status=status,
        strength=row.strength,
        basis=weakest([r.basis for r in results if r.basis is not None]),
        reason=reason,
        next_step=next_step,
        evidence=tuple(dict.fromkeys([digest for r in results for digest in r.evidence])),
        valid_until=until[0],
        until_ground=until[1],
        checks=results,
    )


def _holds_until(results: Sequence[CheckResult], status: Status) -> tuple[datetime, Ground] | None:
    """Until when a satisfied finding holds, or when a stale one lapsed; None of others, and where nothing dates it."""
    if status not in (Status.SATISFIED, Status.STALE):
        return None
    outcome = Outcome.PASS if status is Status.SATISFIED else Outcome.STALE
    return first_end(
        (r.valid_until, r.until_ground or Ground.EVIDENCE) for r in results if r.valid_until and r.outcome is outcome
    )


def _judge(row: Row, need: _Need, pool: Pool, declared_days: int | None) -> CheckResult:
    """Judge one requirement.

    Evidence may be as old as the requirement's own profile says, else the declaration, else the row's profile.
    """
    requirement = need.requirement
    if need.blank is not None and pool.holds_none_of(requirement.evidence):
        return need.blank
    by_declaration = declared_days is not None and requirement.freshness is None
    return _checked(need.check, Case(row, requirement, pool, _age(declared_days) if by_declaration else need.max_age))


def _checked(check: Check, case: Case) -> CheckResult:
    """Run the check. One that raises, or passes on nothing, could not run: that is an error and never a pass."""
    try:
        found = check.check(case)
    except Exception as error:  # noqa: BLE001  (a fault of one check must show as such, not hide the other rows)
        return result(case, Outcome.ERROR, f"the check {check.id} could not run ({type(error).__name__})")
    if found.outcome == Outcome.PASS and not (found.evidence and set(found.evidence) <= case.pool.digests.keys()):
        return result(case, Outcome.ERROR, f"the check {check.id} passed without evidence on file")
    return found if found.valid_until is not None or found.outcome != Outcome.PASS else _dated(case, found)


def _dated(case: Case, found: CheckResult) -> CheckResult:
    """A pass whose check sets no end: it holds as long as the records it names."""
    named = set(found.evidence)
    items = [item for kind in case.pool.by_kind for item in case.pool.of_kind(kind) if item.digest in named]
    until = first_end([case.serves_until(item) for item in items])
    if until is None:
        return result(case, Outcome.ERROR, f"the check {found.check} passed on evidence dated after the assessment")
    changes = {"valid_until": until[0], "until_ground": until[1]}
    if case.pool.at > until[0]:
        changes |= {"outcome": Outcome.STALE, "reason": lapsed(until)}
    return found.model_copy(update=changes)


def _status(results: Sequence[CheckResult]) -> Status:
    outcome = worst([r.outcome for r in results])
    if outcome is Outcome.MISSING and all(r.attested_part for r in results if r.outcome is Outcome.MISSING):
        return Status.NEEDS_ATTESTATION
    return _STATUS[outcome]


def _why(line: _Line, results: Sequence[CheckResult], status: Status) -> tuple[str, str]:
    """The reason in one sentence, and what to do next."""
    if status is Status.SATISFIED:
        parts = "; ".join([r.reason for r in results])
        return f"{'All requirements are' if len(results) > 1 else 'The requirement is'} met: {parts}.", ""
    unmet = [(line.needs[n], results[n]) for n in deciding(results)]
    need, first = unmet[0]
    more = f" ({len(unmet) - 1} more like it)" if len(unmet) > 1 else ""
    reason = f"Needs {need.requirement.what}: {first.reason}{more}."
    if first.outcome in (Outcome.FAIL, Outcome.UNCERTAIN):
        return reason, advice_of(need.check) or need.requirement.remedy
    return reason, need.requirement.remedy


def _excluded(line: Applicability) -> str:
    return f"Excluded in the Statement of Applicability: {line.reason.strip().rstrip('.')}."


def _overall(counted: Mapping[Status, int]) -> Overall:
    for status, overall in (
        (Status.NOT_SATISFIED, Overall.FAIL),
        (Status.ERROR, Overall.ERROR),
        (Status.STALE, Overall.STALE),
        (Status.UNCERTAIN, Overall.WARN),
        (Status.NO_EVIDENCE, Overall.WARN),
        (Status.NEEDS_ATTESTATION, Overall.WARN),
        (Status.SATISFIED, Overall.PASS),
    ):
        if counted.get(status):
            return overall
    return Overall.NOT_ASSESSED


_WORDS = {
    Status.NOT_SATISFIED: "not satisfied",
    Status.ERROR: "could not be judged",
    Status.UNCERTAIN: "uncertain",
    Status.STALE: "stale",
    Status.NO_EVIDENCE: "without evidence",
    Status.NEEDS_ATTESTATION: "awaiting a person's statement",
}


def _headline(findings: Sequence[Finding], counted: Mapping[Status, int], attention: Sequence[str]) -> str:
    applicable = len(findings) - counted.get(Status.NOT_APPLICABLE, 0)
    open_ = ", ".join(f"{counted[status]} {words}" for status, words in _WORDS.items() if counted.get(status))
    text = f"{counted.get(Status.SATISFIED, 0)} of {applicable} applicable clauses and controls are satisfied"
    first = f"; look first at {', '.join(attention[:3])}" if attention else ""
    return f"{text}{': ' + open_ if open_ else ''}{first}."
