"""Pivots: the same evidence by the references of another framework. It supports work on them and never shows more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Literal

from aims_mlflow.assessment import Assessment, Ground, Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.controls import Crosswalk
from aims_mlflow.documentation.law import LAW, LawOnDay, law_dates
from aims_mlflow.documentation.own_files import own_file
from aims_mlflow.errors import InputError
from aims_mlflow.evidence.base import Basis, Record, UtcTime
from aims_mlflow.management.portfolio import RowStanding, SystemStanding

Confidence = Literal["high", "medium", "low"]
CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")
"""Best first."""

SUPPORTED = "supports"
LOW_ONLY = "supports, low confidence only"
NOTHING = "no current evidence"

_LATER_EDITION = re.compile(r"^\d{4} only: ")
_NUMBERS = re.compile(r"(\d+)")
_LEADING = re.compile(r"^\D*\d+")


class Support(Record):
    """One of our rows behind a reference."""

    row: str
    title: str
    relation: Literal["supports"] = "supports"
    confidence: Confidence
    status: Status
    basis: Basis | None = None
    current: bool
    """Whether its evidence is there and current: only then it supports anything."""
    reason: str
    valid_until: UtcTime | None = None


class PivotLine(Record):
    """One reference of the other framework."""

    reference: str
    state: Literal["supports", "supports, low confidence only", "no current evidence"]
    confidence: Confidence | None = None
    """The best among the rows with current evidence."""
    says: str
    """In one sentence."""
    rows: tuple[Support, ...]
    """Best confidence first, then in the order of the register."""


class PivotGroup(Record):
    """Articles, functions or clauses that stand together."""

    id: str
    title: str
    lines: tuple[PivotLine, ...]


class Pivot(Record):
    """A system's evidence by the references of one framework."""

    schema_version: Literal["1"] = "1"
    framework: str
    title: str
    reference: str
    """What their references are: ``article or annex``, ``clause``..."""
    source: str
    note: str
    at: UtcTime
    system: str | None = None
    system_name: str
    risk_class: str
    versions: tuple[str, ...] = ()
    groups: tuple[PivotGroup, ...]
    without: tuple[str, ...] = ()
    """Our rows that have no counterpart there."""
    law: LawOnDay | None = None

    @property
    def lines(self) -> tuple[PivotLine, ...]:
        """Every line, in order."""
        return tuple(line for group in self.groups for line in group.lines)

    @property
    def counts(self) -> dict[str, int]:
        """State to number of references."""
        states = [line.state for line in self.lines]
        return {state: states.count(state) for state in (SUPPORTED, LOW_ONLY, NOTHING)}  # type: ignore[arg-type]


def rows_of(assessment: Assessment) -> dict[str, RowStanding]:
    """An assessment's findings as standings, one for each row of the register."""
    model = assessment.subject.model
    version = (f"{model.registered_name}/{model.version}",) if model and model.registered_name else ()
    return {
        f.id: RowStanding(
            id=f.id,
            title=f.title,
            kind=f.kind,
            status=f.status,
            strength=f.strength,
            basis=f.basis,
            reason=f.reason,
            next_step=f.next_step,
            valid_until=None if f.until_ground is Ground.REFRESH else f.valid_until,
            versions=version,
        )
        for f in assessment.findings
    }


def pivot(
    catalog: Catalog, framework: str, standing: SystemStanding | Assessment, *, at: datetime | None = None
) -> Pivot:
    """The evidence of a system, or of a version, by the references of another framework.

    Args:
        catalog: The register in force.
        framework: Id of a crosswalk.
        standing: How the system stands; or an assessment.
        at: The date of the page; needed with a system, an assessment has its own.

    Raises:
        InputError: there is no such crosswalk; the nearest are named.
    """
    crosswalk = crosswalk_of(catalog, framework)
    if isinstance(standing, Assessment):
        rows, moment = rows_of(standing), at or standing.assessed_at
        system, name = standing.subject.system_id, standing.system_name
        risk_class, versions = str(standing.risk_class), _version_of(standing)
    else:
        if at is None:
            msg = "a pivot of a system needs its date"
            raise ValueError(msg)
        rows, moment, system, name = standing.rows, at, standing.system, standing.name
        risk_class, versions = str(standing.risk_class), tuple(one.uri for one in standing.versions)
    groups = _groups(crosswalk, rows)
    return Pivot(
        framework=crosswalk.id,
        title=crosswalk.title,
        reference=_shape(crosswalk.id)[0],
        source=crosswalk.source,
        note=crosswalk.note,
        at=moment,
        system=system,
        system_name=name or system or "the organization",
        risk_class=risk_class,
        versions=versions,
        groups=groups,
        without=tuple(entry.row for entry in crosswalk.entries if not entry.refs),
        law=law_dates().on(moment.date()) if crosswalk.id == LAW else None,
    )


def crosswalk_of(catalog: Catalog, framework: str) -> Crosswalk:
    """The crosswalk of that id, or of one that is written a little otherwise (``iso27001-2022``).

    Raises:
        InputError: there is none; the nearest are named.
    """
    ids = {crosswalk.id: crosswalk for crosswalk in catalog.crosswalks}
    wanted = framework.strip().lower().replace("-", "_")
    if wanted in ids:
        return ids[wanted]
    hint = nearest(wanted, ids)
    listed = f"There are: {', '.join(sorted(ids))}."
    raise InputError(f"there is no crosswalk {framework[:60]!r}", remedy=f"{hint} {listed}" if hint else listed)


def _version_of(assessment: Assessment) -> tuple[str, ...]:
    model = assessment.subject.model
    return (f"{model.registered_name}/{model.version}",) if model and model.registered_name else ()


# references


def references(crosswalk: Crosswalk) -> dict[str, list[tuple[str, Confidence]]]:
    """Their reference to our rows with the confidence, references in natural order, best confidence first."""
    found: dict[str, list[tuple[str, Confidence]]] = {}
    for confidence in CONFIDENCES:
        for entry in crosswalk.entries:
            for reference in entry.refs.get(confidence, ()):
                named = found.setdefault(reference, [])
                if entry.row not in [row for row, _ in named]:
                    named.append((entry.row, confidence))
    order = list(_shape(crosswalk.id)[1])

    def place(reference: str) -> tuple[object, ...]:
        group = group_of(crosswalk.id, reference)
        rank = order.index(group) if group in order else len(order)
        return rank, natural(group) if rank == len(order) else (), natural(reference)

    return {reference: found[reference] for reference in sorted(found, key=place)}


def natural(reference: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``A.5.10`` after ``A.5.9``, and ``Art. 10`` after ``Art. 9``."""
    parts = _NUMBERS.split(_LATER_EDITION.sub("", reference))
    return tuple((0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in parts if p)


def group_of(framework: str, reference: str) -> str:
    """The group a reference stands in: the longest known start, else its words up to the first number."""
    plain = _LATER_EDITION.sub("", reference)
    starts = [g for g in _shape(framework)[1] if plain.startswith(g) and not plain[len(g) : len(g) + 1].isalnum()]
    if starts:
        return max(starts, key=len)
    match = _LEADING.match(plain)
    return match[0].strip() if match else plain


@lru_cache(maxsize=16)
def _shape(framework: str) -> tuple[str, Mapping[str, str]]:
    """What the references of a framework are called, and its groups with their titles, in order."""
    known = own_file("neighbours.yaml")["frameworks"].get(framework, {})
    return str(known.get("reference", "reference")), dict(known.get("groups", {}))


# lines


def _groups(crosswalk: Crosswalk, rows: Mapping[str, RowStanding]) -> tuple[PivotGroup, ...]:
    lines: dict[str, list[PivotLine]] = {}
    for reference, ours in references(crosswalk).items():
        lines.setdefault(group_of(crosswalk.id, reference), []).append(_line(reference, ours, rows))
    titles = _shape(crosswalk.id)[1]
    return tuple(PivotGroup(id=g, title=titles.get(g, ""), lines=tuple(found)) for g, found in lines.items())


def _line(reference: str, ours: list[tuple[str, Confidence]], rows: Mapping[str, RowStanding]) -> PivotLine:
    supports = tuple(_support(row, confidence, rows.get(row)) for row, confidence in ours)
    current = [one for one in supports if one.current]
    best = min((one.confidence for one in current), key=CONFIDENCES.index, default=None)
    if best is None:
        state = NOTHING
    elif best == "low":
        state = LOW_ONLY
    else:
        state = SUPPORTED
    return PivotLine.model_validate(
        {"reference": reference, "state": state, "confidence": best, "says": _says(supports, best), "rows": supports}
    )


def _support(row: str, confidence: Confidence, standing: RowStanding | None) -> Support:
    if standing is None:  # a row of a framework nobody judged it by
        return Support(
            row=row,
            title=row,
            confidence=confidence,
            status=Status.NO_EVIDENCE,
            current=False,
            reason="it was not assessed",
        )
    return Support(
        row=row,
        title=standing.title,
        confidence=confidence,
        status=standing.status,
        basis=standing.basis,
        current=standing.status is Status.SATISFIED,
        reason=standing.reason,
        valid_until=None if standing.until_ground is Ground.REFRESH else standing.valid_until,
    )


def _says(supports: tuple[Support, ...], best: Confidence | None) -> str:
    applying = [one for one in supports if one.status is not Status.NOT_APPLICABLE]
    excluded = [one.row for one in supports if one.status is Status.NOT_APPLICABLE]
    current = [one for one in applying if one.current]
    left_out = f" Excluded, with a reason: {', '.join(excluded)}." if excluded else ""
    if best is None:
        if not applying:
            return f"No current evidence.{left_out}"
        only_low = " Only rows of low confidence would support it." if _all_low(applying) else ""
        return f"No current evidence: {_open(applying)}.{only_low}{left_out}"
    share = f"{len(current)} of {len(applying)} {'row' if len(applying) == 1 else 'rows'}"
    missing = [one for one in applying if not one.current]
    open_ones = f" Open: {_open(missing)}." if missing else ""
    if best == "low":
        why = "no other row maps to it" if _all_low(applying) else "rows of higher confidence have no current evidence"
        return f"Current evidence of {share} supports it, with low confidence only: {why}.{open_ones}{left_out}"
    return f"Current evidence of {share} supports it, confidence {best}.{open_ones}{left_out}"


def _all_low(supports: list[Support]) -> bool:
    return all(one.confidence == "low" for one in supports)


def _open(supports: list[Support]) -> str:
    return ", ".join(f"{one.row} {one.status.replace('-', ' ')}" for one in supports)
