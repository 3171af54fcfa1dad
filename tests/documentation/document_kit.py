"""Material for documents: a good run, records of every kind, a log of moves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from aims_mlflow.catalog import load_catalog
from aims_mlflow.documentation.material import Column, Judged, Material
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import (
    DatasetRecord,
    EvidenceBase,
    GroupResult,
    Interval,
    ModelFile,
    Subject,
)
from aims_mlflow.gate.entries import Actor, Level, MoveEntry, Target
from aims_mlflow.gate.history import history
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, State
from good_run import AT, MODEL, declaration, good_run, sha

CATALOG = load_catalog()
WHEN = AT + timedelta(hours=1)
FILED = AT - timedelta(days=1)
REGISTERED = MODEL.model_copy(update={"registered_name": "loans", "version": "3"})


def good_evidence(**changes: Any) -> list[EvidenceBase]:
    """A good run with files of the model and metrics by group."""
    from good_run import fairness, model

    groups = (
        GroupResult(
            attribute="sex",
            group="female",
            n=150,
            judged=True,
            metrics={"selection_rate": Interval(value=0.4, low=0.33, high=0.48)},
        ),
        GroupResult(attribute="sex", group="other", n=None, judged=False, metrics={}),
    )
    files = (ModelFile(path="model.pkl", sha256=sha("pkl"), bytes=12),)
    changed = {"model": model(files=files, signature_sha256=sha("signature")), "fairness": fairness(groups=groups)}
    changed |= changes
    found = [changed.get(str(getattr(one, "kind", "")), one) for one in good_run()]
    return [
        one.model_copy(update={"declared_as": one.dataset.name}) if isinstance(one, DatasetRecord) else one
        for one in found
    ]


def judged(evidence: Sequence[EvidenceBase] | None = None, **changes: Any) -> Judged:
    held = tuple(good_evidence() if evidence is None else evidence)
    declared = changes.pop("declaration", declaration())
    subject = Subject(system_id="loans", run=held[0].subject.run if held else None, model=REGISTERED)
    assessment = evaluate(held, CATALOG, declared, subject=subject, at=AT)
    fields = {
        "evidence": held,
        "attached": assessment,
        "name": "loans",
        "version": "3",
        "targets": ("alias champion",),
        "run_id": "r1",
        "declaration": declared,
        "signature": (Column("age", "double", "input"), Column("repaid", "long", "output")),
        "registered_at": AT,
    }
    return Judged(assessment, **{**fields, **changes})


def record(type_id: str, content: dict[str, Any], *, id_: str | None = None, **said: Any) -> ManagementRecord:
    known = said.pop("known_systems", ("loans",))
    fields = {"owner": "Head of credit", "valid_from": date(2026, 11, 1), "valid_until": date(2027, 11, 1)}
    return draft(
        State.of([], at=FILED),
        CATALOG,
        type_id,
        id=id_,
        content=content,
        known_systems=known,
        **{**fields, **said},
    )


def statement(topic: str, text: str = "It is done.", *, answers: dict[str, str] | None = None, **said: Any) -> Any:
    return record(topic, {"statement": text, "answers": answers or {}}, **said)


def state_of(*records: ManagementRecord) -> State:
    return State.of([Filed(one, f"run-{n}") for n, one in enumerate(records)], at=WHEN)


def move(version: str = "3", *, number: int = 1, model: str = "loans", **changes: Any) -> MoveEntry:
    fields = {
        "at": AT,
        "actor": Actor(name="Release"),
        "level": Level.ENFORCED,
        "target": Target(kind="alias", name="champion"),
        "operation": "set_registered_model_alias",
        "outcome": "allow",
        "mode": "enforce",
        "reason": "Better on all groups.",
    }
    return MoveEntry(number=number, model=model, version=version, **{**fields, **changes})


def material(*records: ManagementRecord, versions: Sequence[Judged] | None = None, **changes: Any) -> Material:
    fields = {
        "at": WHEN,
        "catalog": CATALOG,
        "state": state_of(*records),
        "system": "loans",
        "declaration": declaration(),
        "versions": tuple([judged()] if versions is None else versions),
        "histories": (history([move()], model="loans", at=WHEN),),
    }
    return Material(**{**fields, **changes})


def empty(**changes: Any) -> Material:
    """A system nobody has said or measured anything of."""
    from aims_mlflow.config import Declaration

    return material(versions=(), declaration=Declaration(), histories=(), **changes)
