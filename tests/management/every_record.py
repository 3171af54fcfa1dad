"""One record of every type, whole and in force, for tests of what the register makes of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from aims_mlflow.catalog import load_catalog
from aims_mlflow.config.models import Declaration
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import DocumentRef, Subject
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.projection import View, evidence_of
from aims_mlflow.management.risks import risk_data
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.types import record_types

CATALOG = load_catalog(())
TYPES = record_types(CATALOG)
AT = datetime(2027, 1, 15, 12, tzinfo=UTC)
"""When they are filed."""
LATER = AT + timedelta(days=20)
"""When they are looked at."""
SYSTEM = "credit"

_HASH = "sha256:" + "ab" * 32
_CONTENT = {
    "system": {"name": "Credit scoring", "risk_class": "high", "risk_reason": "Annex III, 5(b)"},
    "risk": {
        "title": "Wrong refusals",
        "source": "training_data",
        "event": "Somebody is refused for lack of data.",
        "affects": ["individuals"],
        "likelihood": 3,
        "consequence": 3,
        "treatment": "reduce",
        "actions": ["A person looks at every refusal."],
        "controls": ["A.9.2"],
        "residual_likelihood": 1,
        "residual_consequence": 3,
        "accepted_by": "Board",
        "results": "Fewer complaints.",
        "review_by": "2027-04-01",
        "status": "treated",
    },
    "risk_criteria": risk_data().criteria.model_dump(mode="json"),
    "impact": {
        "intended_use": "Credit scoring",
        "affected": ["applicants"],
        "effects": [
            {"to": "applicants", "of": "individuals", "what": "refusal", "kind": "harm", "measure": "a person looks"},
            {"to": "the region", "of": "society", "what": "access to credit", "kind": "benefit"},
        ],
        "conclusion": "acceptable with measures",
        "reason": "Every refusal is looked at.",
    },
    "soa": {
        "lines": {row: {"applicable": True, "justification": "It stays."} for row in CATALOG.ids if row.startswith("A")}
    },
    "incident": {"title": "Late answers", "severity": "minor", "aware_at": "2027-01-10T08:00:00Z"},
    "nonconformity": {"title": "Minutes missing", "rows": ["9.3.3"], "found_at": "2027-01-10T08:00:00Z"},
    "gap": {
        "assessed_at": "2027-01-15T12:00:00Z",
        "rows": {row: {"status": "no-evidence", "maturity": 0} for row in CATALOG.ids},
        "mean": 0.0,
        "fresh_share": 0.0,
    },
}  # fmt: skip
_IDS = {"system": SYSTEM, "soa": "soa"}
_ABOUT_SYSTEM = ("impact", "incident")
SPOKEN_ON = frozenset(topic for kind in TYPES.values() if not kind.is_topic for topic in kind.speaks_on)
"""Topics on which typed records speak."""
PLAIN = tuple(name for name, kind in TYPES.items() if not kind.speaks_on)
"""A plain statement on every topic, and the types that speak on none."""
TYPED = tuple(name for name in TYPES if name not in SPOKEN_ON)
"""The typed records in place of plain statements on what they speak on."""


def first(type_id, *, at=AT, valid_until=date(2027, 12, 31), **more):
    """The first revision of the record of a type, with all that any row asks for."""
    given = {
        "id": _IDS.get(type_id, type_id),
        "content": _CONTENT.get(type_id, {"statement": "So it is."}),
        "owner": "Head of AI",
        "approver": "Board",
        "systems": (SYSTEM,) if type_id in _ABOUT_SYSTEM else (),
        "document": DocumentRef(title="Document", uri="https://example.org/d", sha256=_HASH),
    } | more
    made = draft(State.of([], at=at), CATALOG, type_id, valid_until=valid_until, known_systems=(SYSTEM,), **given)
    return Filed(made, run_id=f"run-{type_id}-1")


def withdrawal(one, *, at=AT + timedelta(days=1)):
    """The revision that withdraws a record."""
    record = one.record
    made = draft(
        State.of([one], at=at),
        CATALOG,
        record.type,
        id=record.id,
        content=record.content,
        owner=record.owner,
        systems=record.systems,
        valid_from=record.valid_from,
        valid_until=record.valid_until,
        withdrawn="Not any more.",
        known_systems=(SYSTEM,),
    )
    return Filed(made, run_id=f"run-{record.type}-2")


def every_record(types):
    """Type to the first revision of its record; an earlier gap assessment, too, with which the one is compared."""
    earlier = first("gap", id="earlier", content=_CONTENT["gap"] | {"assessed_at": "2026-10-01T12:00:00Z"})
    return {name: first(name) for name in types} | {"an earlier gap": earlier}


def judge(filed, *, at=LATER, system=SYSTEM):
    """Row id to finding, with no run at all."""
    evidence = evidence_of(View(State.of(filed, at=at), CATALOG, system=system))
    judged = evaluate(evidence, CATALOG, Declaration(), subject=Subject(system_id=system), at=at)
    return {finding.id: finding for finding in judged.findings}
