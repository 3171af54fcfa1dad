"""What the tests of the Statement of Applicability start from: records drafted at a moment, lines on all controls."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config import Declaration, RiskClass
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.portfolio import RowStanding, SystemStanding
from aims_mlflow.management.soa import soa_lines
from aims_mlflow.management.state import Filed, State

CATALOG = load_catalog(())
CONTROLS = tuple(row.id for row in CATALOG.rows.values() if row.kind == "control")
FILED_AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SYSTEM = "loans"
RISK = {
    "title": "Labels favour one group",
    "source": "training_data",
    "likelihood": 3,
    "consequence": 4,
    "review_by": date(2027, 2, 1),
}


def line(*, applicable=True, justification="A risk needs it.", **more):
    return {"applicable": applicable, "justification": justification, **more}


def left_out(reason="Nobody buys from us.", **more):
    return line(applicable=False, justification=reason, **more)


def lines(**changed):
    """Every control applies, but for those given (``A_10_4=...``); None leaves one open."""
    given = {name.replace("_", "."): value for name, value in changed.items()}
    return {c: given.get(c, line()) for c in CONTROLS if given.get(c, 0) is not None}


class Book:
    """Records filed one after the other."""

    def __init__(self):
        self.filed = []
        self.file("system", {"name": "Loan scoring"}, id=SYSTEM)
        self.file("system", {"name": "Chat"}, id="chat")

    def file(self, type_, content, *, at=FILED_AT, owner="Head of AI", **said):
        made = draft(self.state(at), CATALOG, type_, content=content, owner=owner, **said)
        self.filed.append(Filed(made, f"run-{len(self.filed)}"))
        return made

    def soa(self, content=None, *, approver="Board", **said):
        return self.file("soa", {"lines": content if content is not None else lines()}, approver=approver, **said)

    def own(self, content, *, system=SYSTEM, **said):
        return self.soa(content, systems=(system,), **said)

    def delete(self, link):
        self.filed = [Filed(f.record, f.run_id, f.deleted or f.record.link == link) for f in self.filed]

    def state(self, at=AT):
        return State.of(self.filed, at=at)

    def stands(self, system=None, *, at=AT, standing=None, declared=None, name=None):
        declaration = None
        if declared is not None:
            declaration = Declaration.model_validate({"system": {"id": name}, "applicability": declared})
        return soa_lines(self.state(at), CATALOG, system, standing, declaration=declaration)


def one(soa, control):
    return next(found for found in soa.lines if found.id == control)


def codes(soa, control=None):
    return [f.code for f in soa.findings if control is None or f.control == control]


def standing(system=SYSTEM, **rows):
    """A system whose rows are without evidence, but for those given (``A_7_4=Status.SATISFIED``)."""
    given = {name.replace("_", "."): value for name, value in rows.items()}
    made = {}
    for row in CATALOG.rows.values():
        status, basis, records = given.get(row.id, (Status.NO_EVIDENCE, None, ()))
        made[row.id] = RowStanding(
            id=row.id,
            title=row.title,
            kind=row.kind,
            status=status,
            strength=row.strength,
            basis=basis,
            reason="",
            next_step="",
            records=records,
        )
    return SystemStanding(system=system, name="Loan scoring", risk_class=RiskClass.HIGH, rows=made)


def days(number):
    return AT.date() + timedelta(days=number)
