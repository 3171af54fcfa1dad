"""Record types: every topic of the register, and the typed records of the management system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import ValidationError

from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import EvidenceError, InputError
from aims_mlflow.evidence.base import Record
from aims_mlflow.management.applicability import ApplicabilityContent
from aims_mlflow.management.gaps import GapContent
from aims_mlflow.management.impact import ImpactContent
from aims_mlflow.management.incidents import IncidentContent, LogReview, NonconformityContent
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.reports import ReportedFacts
from aims_mlflow.management.risks import RiskContent, RiskCriteria
from aims_mlflow.management.statements import Statement
from aims_mlflow.management.systems import SystemContent

YEAR = 365


@dataclass(frozen=True)
class RecordType:
    """What a kind of record is."""

    id: str
    title: str
    content: type[Record]
    serves_days: int | None = YEAR
    """Usual validity from its first day; None: it has no end of its own."""
    is_topic: bool = False
    """Whether it is a plain statement on a topic of the register."""
    scope: Literal["organization", "system", "either"] = "either"
    """What it may be about; ``system``: it must name at least one."""
    speaks_on: tuple[str, ...] = ()
    """Topics of the register that a typed record speaks on."""
    gives: tuple[str, ...] = ()
    """Kinds of evidence it becomes, beside statements on its topics."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics of the register it speaks on."""
        return (self.id,) if self.is_topic else self.speaks_on


_OF_RISKS = ("risk_assessment", "risk_treatment_plan", "risk_treatment_results")
_OF_IMPACT = ("impact_assessment", "individual_impact", "societal_impact")

_TYPED = (
    RecordType("system", "AI system", SystemContent, scope="organization"),
    RecordType("risk", "Risk", RiskContent, speaks_on=_OF_RISKS),
    RecordType("risk_criteria", "Criteria of AI risk", RiskCriteria, scope="organization"),
    RecordType("impact", "AI system impact assessment", ImpactContent, scope="system", speaks_on=_OF_IMPACT),
    RecordType("soa", "Statement of Applicability", ApplicabilityContent, speaks_on=("statement_of_applicability",)),
    RecordType("incident", "Incident", IncidentContent, serves_days=None, scope="system", gives=("incident",)),
    RecordType("nonconformity", "Nonconformity", NonconformityContent, serves_days=None, gives=("nonconformity",)),
    RecordType("incident_log", "Review of the incident log", LogReview, serves_days=92, gives=("incident",)),
    RecordType(
        "nonconformity_log",
        "Review of the nonconformity log",
        LogReview,
        serves_days=92,
        gives=("nonconformity",),
    ),
    RecordType("gap", "Gap assessment", GapContent, gives=("gap_assessment",)),
    RecordType(
        "access_list",
        "Who may read and change runs, models and records",
        ReportedFacts,
        serves_days=92,
        gives=("access_list",),
    ),
    RecordType("retention", "Retention of records, as found", ReportedFacts, serves_days=92, gives=("retention",)),
)
"""Types with a content of their own; log reviews and extracts serve as long as the quarterly profile allows."""


@lru_cache(maxsize=8)
def record_types(catalog: Catalog) -> Mapping[str, RecordType]:
    """Every type there is under this register, by id: the typed ones, then its topics."""
    topics = {
        topic.id: RecordType(topic.id, topic.title, Statement, is_topic=True) for topic in catalog.topics.values()
    }
    return {one.id: one for one in _TYPED} | topics


def type_of(type_id: str, catalog: Catalog) -> RecordType:
    """The record type of that id.

    Raises:
        InputError: there is none; the nearest ones are named.
    """
    types = record_types(catalog)
    if type_id not in types:
        hint = nearest(type_id, types) or "`aims register` lists the topics."
        raise InputError(f"there is no record type {type_id[:60]!r}", remedy=hint)
    return types[type_id]


def content_of(record: ManagementRecord, catalog: Catalog) -> Record:
    """The record's content, typed.

    Raises:
        InputError: its type is unknown.
        EvidenceError: the content is not of its type.
    """
    kind = type_of(record.type, catalog)
    try:
        return kind.content.model_validate(record.content)
    except ValidationError as error:
        raise EvidenceError(
            f"the content is not that of a record of type {record.type!r}: {said_by(error)}", where=record.link
        ) from error


def said_by(error: ValidationError) -> str:
    """What a validation error says, in a line."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'content'}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()[:5]
    )
