"""How the controls stand over all systems that the organization's own lines hold for."""

from __future__ import annotations

from aims_mlflow.assessment import Status
from aims_mlflow.checks.judging import weakest
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.management.portfolio import Portfolio, RowStanding, SystemStanding
from aims_mlflow.management.soa.statements import on_file
from aims_mlflow.management.standing import RANK
from aims_mlflow.management.state import State


def over_systems(portfolio: Portfolio, state: State) -> SystemStanding:
    """The organization as the worst of its systems, row by row.

    A system with a line of its own on a control does not bear on the organization's line. One that left the control out
    counts only where all did.
    """
    own = {
        one.system: {control for said in on_file(state, one.system).overlays for control in said.lines}
        for one in portfolio.systems
        if one.system is not None
    }
    rows: dict[str, RowStanding] = {}
    for row_id in dict.fromkeys(row for one in portfolio.systems for row in one.rows):
        held = [one.rows[row_id] for one in portfolio.systems if row_id not in own.get(one.system or "", ())]
        if held:
            rows[row_id] = _worst(held)
    return SystemStanding(system=None, name="The organization", risk_class=RiskClass.UNCLASSIFIED, rows=rows)


def _worst(held: list[RowStanding]) -> RowStanding:
    applying = [row for row in held if row.status is not Status.NOT_APPLICABLE] or held
    worst = min(applying, key=lambda row: RANK[row.status])
    return worst.model_copy(
        update={
            "basis": weakest([row.basis for row in applying if row.basis is not None]),
            "records": tuple(sorted({link for row in applying for link in row.records})),
            "versions": tuple(sorted({version for row in applying for version in row.versions})),
        }
    )
