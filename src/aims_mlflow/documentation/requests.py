"""The joint-audit view: one list of evidence requests that serves several audits, duplicates merged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from aims_mlflow.assessment import CheckResult, Outcome, Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.controls import Crosswalk, Requirement, Row
from aims_mlflow.documentation.material import Judged, short
from aims_mlflow.documentation.neighbours import CONFIDENCES, Confidence, references
from aims_mlflow.evidence import AttestationRecord, EvidenceBase
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.projection.view import METHOD

_WORST = (Outcome.FAIL, Outcome.ERROR, Outcome.UNCERTAIN, Outcome.STALE, Outcome.MISSING, Outcome.PASS)
_STATE = {
    Outcome.FAIL: "not met",
    Outcome.ERROR: "could not be judged",
    Outcome.UNCERTAIN: "uncertain",
    Outcome.STALE: "stale",
    Outcome.MISSING: "open",
    Outcome.PASS: "on file",
}
EXCLUDED = "excluded"
STATES = (*(_STATE[outcome] for outcome in _WORST), EXCLUDED)
_CHECKED_BY_PRESENCE = "EV001"
_PLACES = 20

_References = Mapping[str, Sequence[tuple[str, Confidence]]]
"""Their reference to our rows with the confidence."""


class Asking(Record):
    """A clause or control of ours that asks for it."""

    row: str
    title: str
    requirement: str
    what: str


class Theirs(Record):
    """A reference of another framework that the same evidence supports."""

    framework: str
    reference: str
    relation: Literal["supports"] = "supports"
    confidence: Confidence


class EvidenceRequest(Record):
    """One thing to ask for, once for all audits."""

    id: str
    """Stable: what is asked for, not when."""
    asks: str
    kinds: tuple[str, ...]
    """Kinds of evidence, any of which serves."""
    topics: tuple[str, ...] = ()
    """Topics of the statement, any of which serves."""
    fields: tuple[str, ...] = ()
    """Fields of ``aims.yaml``."""
    ours: tuple[Asking, ...]
    theirs: tuple[Theirs, ...] = ()
    shared: bool
    """Whether it serves another audit too."""
    state: str
    """``on file``, ``open``, ``stale``, ``uncertain``, ``not met``, ``could not be judged``, ``excluded``."""
    reason: str
    lies: tuple[str, ...] = ()
    """Where the evidence lies."""
    valid_until: UtcTime | None = None
    remedy: str = ""
    """What to do where it is not on file."""


class RequestList(Record):
    """Every request, those that serve several audits first."""

    schema_version: Literal["1"] = "1"
    at: UtcTime
    system: str | None = None
    subject: str
    frameworks: dict[str, str]
    """Ids and titles of the other frameworks."""
    notes: tuple[str, ...] = ()
    judged: tuple[str, ...]
    """Versions the state is judged on."""
    requests: tuple[EvidenceRequest, ...]
    asked: int
    """Requirements before duplicates were merged."""

    @property
    def counts(self) -> dict[str, int]:
        """State to number of requests."""
        return {state: sum(one.state == state for one in self.requests) for state in STATES}

    @property
    def in_short(self) -> str:
        """The list in a sentence."""
        shared = sum(one.shared for one in self.requests)
        on_file = self.counts["on file"]
        others = " and ".join(self.frameworks.values()) or "no other framework"
        return (
            f"{self.asked} requirements of ISO/IEC 42001 make {len(self.requests)} requests; "
            f"{shared} of them also serve {others}; {on_file} are on file"
        )


def requests(
    catalog: Catalog,
    others: Sequence[Crosswalk],
    judged: Sequence[Judged],
    *,
    at: datetime,
    system: str | None = None,
    subject: str = "the organization",
) -> RequestList:
    """The evidence requests of an audit against the register that other audits can share.

    Requirements that ask for the same statement, the same part of the declaration, or the same evidence in the same
    role are one request. What is on file is told by the checks of the assessments, the worst over all versions: what is
    missing of one version is open.

    Args:
        catalog: The register in force.
        others: Crosswalks of the other audits.
        judged: The versions in service with their assessments; or the organization alone.
        at: The moment.
        system: Id of the system.
        subject: Its name.
    """
    groups: dict[str, list[tuple[Row, Requirement]]] = {}
    for row in catalog.rows.values():
        for requirement in row.requires:
            groups.setdefault(_key(requirement), []).append((row, requirement))
    theirs = {crosswalk.id: references(crosswalk) for crosswalk in others}
    made = [_request(key, asking, theirs, judged) for key, asking in groups.items()]
    return RequestList(
        at=at,
        system=system,
        subject=subject,
        frameworks={crosswalk.id: crosswalk.title for crosswalk in others},
        notes=tuple(f"{crosswalk.title}: {crosswalk.note} {crosswalk.source}".strip() for crosswalk in others),
        judged=tuple(one.label for one in judged),
        requests=tuple(sorted(made, key=lambda one: not one.shared)),
        asked=sum(map(len, groups.values())),
    )


def _key(requirement: Requirement) -> str:
    """What is asked for: requirements with the same key are one request."""
    topics = _words(requirement.where.get("topic", ()))
    if topics:
        return "statement:" + "+".join(sorted(topics))
    fields = _words(requirement.where.get("fields", ()))
    if fields:
        return "declaration:" + "+".join(sorted({field.split(".")[0] for field in fields}))
    roles = _words(requirement.where.get("role", ()))
    check = "" if requirement.check == _CHECKED_BY_PRESENCE else f":{requirement.check}"
    role = f":{'+'.join(sorted(roles))}" if roles else ""
    return f"evidence:{'+'.join(sorted(requirement.evidence))}{role}{check}"


def _words(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _request(
    key: str,
    asking: Sequence[tuple[Row, Requirement]],
    theirs: Mapping[str, _References],
    judged: Sequence[Judged],
) -> EvidenceRequest:
    served = _theirs([row.id for row, _ in asking], theirs)
    state, reason, results = _state(asking, judged)
    held = {record.digest: (record, one) for one in judged for record in one.evidence}
    found = {d: held[d] for result in results for d in result.evidence if d in held}
    lies = tuple(dict.fromkeys(_lies(record, one) for record, one in found.values()))
    more = (f"and {len(lies) - _PLACES} more",) if len(lies) > _PLACES else ()
    ends = [result.valid_until for result in results if result.valid_until]
    wanted = [requirement for _, requirement in asking]
    return EvidenceRequest(
        id=key,
        asks=_one_line("; ".join(dict.fromkeys(one.what for one in wanted))),
        kinds=_all(one.evidence for one in wanted),
        topics=_all(_words(one.where.get("topic", ())) for one in wanted),
        fields=_all(_words(one.where.get("fields", ())) for one in wanted),
        ours=tuple(Asking(row=row.id, title=row.title, requirement=r.id, what=_one_line(r.what)) for row, r in asking),
        theirs=served,
        shared=bool(served),
        state=state,
        reason=reason,
        lies=(*lies[:_PLACES], *more),
        valid_until=min(ends) if ends and state == _STATE[Outcome.PASS] else None,
        remedy="" if state in (_STATE[Outcome.PASS], EXCLUDED) else _one_line(wanted[0].remedy),
    )


def _all(named: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in named for name in names))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _theirs(rows: Sequence[str], theirs: Mapping[str, _References]) -> tuple[Theirs, ...]:
    made = []
    for framework, by_reference in theirs.items():
        for reference, ours in by_reference.items():
            found = [confidence for row, confidence in ours if row in rows]
            if found:
                best = min(found, key=CONFIDENCES.index)
                made.append(Theirs(framework=framework, reference=reference, confidence=best))
    return tuple(made)


def _state(asking: Sequence[tuple[Row, Requirement]], judged: Sequence[Judged]) -> tuple[str, str, list[CheckResult]]:
    """The worst state over all versions and rows that apply, why, and every result."""
    wanted = {(row.id, requirement.id) for row, requirement in asking}
    results: list[tuple[CheckResult, Judged]] = []
    broken = [one for one in judged if one.assessment is None]
    applies = False
    for one in judged:
        for finding in one.assessment.findings if one.assessment else ():
            if finding.status is Status.NOT_APPLICABLE:
                continue
            for result in finding.checks:
                if (finding.id, result.requirement) in wanted:
                    applies = True
                    results.append((result, one))
    if broken:
        reason = "; ".join(f"{one.label}: {one.problem}" for one in broken)
        return _STATE[Outcome.ERROR], reason, [result for result, _ in results]
    if not applies:
        rows = ", ".join(dict.fromkeys(row.id for row, _ in asking))
        excluded = any(one.assessment for one in judged)
        return (EXCLUDED, f"{rows}: excluded, with a reason", []) if excluded else ("open", "nothing was assessed", [])
    worst, one = min(results, key=lambda found: _WORST.index(found[0].outcome))
    where = f" ({one.label})" if len(judged) > 1 else ""
    return _STATE[worst.outcome], f"{worst.reason}{where}", [result for result, _ in results]


def _lies(record: EvidenceBase, one: Judged) -> str:
    """Where a piece of evidence lies, so that an auditor finds it."""
    if record.method == METHOD:
        run = f", run {record.parameters['run_id']}" if record.parameters.get("run_id") else ""
        document = record.document if isinstance(record, AttestationRecord) else None
        paper = f", document {document.title}" if document else ""
        place = f" at {document.uri}" if document and document.uri else ""
        return f"record {record.parameters.get('record', '')}{run}{paper}{place}"
    kind = getattr(record, "kind", "record")
    name = f"{kind}-{short(record.digest)}"
    if isinstance(record, AttestationRecord) and one.run_id is None:
        return f"aims.yaml, statement on {record.topic}"
    return f"run {one.run_id}, aims/evidence/{name}.json" if one.run_id else name
