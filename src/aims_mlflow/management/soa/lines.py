"""The Statement of Applicability as it stands: every control, what was decided by whom, and what evidence shows."""

from __future__ import annotations

from collections.abc import Iterable

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.config import Declaration
from aims_mlflow.config.completeness import is_filled
from aims_mlflow.controls import Row
from aims_mlflow.management.portfolio import RowStanding, SystemStanding
from aims_mlflow.management.soa.contradictions import Sight, findings_in
from aims_mlflow.management.soa.deciding import Ruling, declared_line, rule_on
from aims_mlflow.management.soa.models import Soa, SoaLine
from aims_mlflow.management.soa.risks import risks_of
from aims_mlflow.management.soa.statements import OnFile, on_file
from aims_mlflow.management.state import State


def soa_lines(
    state: State,
    catalog: Catalog,
    system: str | None = None,
    standing: SystemStanding | None = None,
    *,
    declaration: Declaration | None = None,
) -> Soa:
    """The statement of the organization, or of a system with its own lines in it.

    Args:
        state: The records as known at a moment, which is the statement's.
        catalog: The register in force: its controls are the lines, the organization's own after those of Annex A.
        system: The system; None for the organization.
        standing: How the system stands, for the evidence; None where nobody looked, and the lines then say nothing.
        declaration: ``aims.yaml``, whose own lines count where they are about the system; None leaves it out.

    Returns:
        A line for each control. One that nobody decided on is applicable and says so.
    """
    filed = on_file(state, system)
    controls = controls_of(catalog)
    rulings = {row.id: rule_on(row.id, filed, declared_line(row.id, declaration, system)) for row in controls}
    risks = risks_of(state, system)
    rows = standing.rows if standing is not None else {}
    lines = tuple(_line(row, catalog, rulings[row.id], risks.that_name(row.id), rows.get(row.id)) for row in controls)
    sight = Sight(
        state=state,
        catalog=catalog,
        system=system,
        filed=filed,
        rulings=rulings,
        risks=risks,
        rows=rows,
        declaration=declaration,
    )
    groups = {group: title for framework in catalog.frameworks for group, title in framework.groups.items()}
    name, role = _about(state, system, declaration)
    return Soa(
        at=state.at,
        system=system,
        system_name=name,
        role=role,
        sources=tuple(said.source() for said in filed.sources),
        sha256=filed.sha256,
        lines=lines,
        groups={line.group: groups.get(line.group, line.group) for line in lines},
        findings=findings_in(sight),
    )


def controls_of(catalog: Catalog) -> tuple[Row, ...]:
    """The controls of the register: those of Annex A in order, then the organization's own."""
    return tuple(row for row in catalog.rows.values() if row.kind == "control")


def annex_a(catalog: Catalog) -> tuple[str, ...]:
    """Ids of the controls every statement has to decide on."""
    return tuple(row.id for row in controls_of(catalog) if not is_own(row, catalog))


def is_own(row: Row, catalog: Catalog) -> bool:
    """Whether it is a control beside Annex A: of any framework but the built-in one, which comes first."""
    return catalog.framework_of[row.id] != catalog.frameworks[0].id


def without_line(filed: OnFile, controls: Iterable[str]) -> tuple[str, ...]:
    """Those of the controls that no statement on record speaks of with a reason."""
    return tuple(c for c in controls if not any(is_filled(line.justification) for _, line in filed.lines_on(c)))


def _line(row: Row, catalog: Catalog, ruling: Ruling, naming: tuple[str, ...], stands: RowStanding | None) -> SoaLine:
    line = ruling.line
    named = tuple(risk.removeprefix("risk:") for risk in line.risks) if line is not None else ()
    return SoaLine(
        id=row.id,
        title=row.title,
        applicable=ruling.applicable,
        justification=ruling.reason,
        risks=tuple(dict.fromkeys((*named, *naming))),
        status=line.status if line is not None and ruling.applicable else None,
        evidence=_evidence(stands),
        owner=line.owner or (ruling.said.record.owner if ruling.said else None) if line is not None else None,
        next_review=line.next_review if line is not None else None,
        scope=ruling.scope,
        decision=ruling.decision,
        group=row.group,
        framework=catalog.framework_of[row.id],
        own=is_own(row, catalog),
        evidence_status=stands.status if stands is not None else None,
        evidence_strength=stands.strength if stands is not None else None,
        evidence_basis=stands.basis if stands is not None else None,
    )


def _evidence(stands: RowStanding | None) -> str | None:
    """``satisfied (measured; automatic)``: what evidence shows, on what basis, and how the control can be shown."""
    if stands is None:
        return None
    words = str(stands.status).replace("-", " ")
    basis = [str(stands.basis)] if stands.basis is not None and stands.status is not Status.NO_EVIDENCE else []
    return f"{words} ({'; '.join([*basis, str(stands.strength)])})"


def _about(state: State, system: str | None, declaration: Declaration | None) -> tuple[str | None, str | None]:
    """The system's name, and the organization's role for it."""
    if system is None:
        return None, None
    filed = state.get("system", system)
    if filed is not None and filed.record.withdrawn is None:
        content = filed.record.content
        name, role = content.get("name"), content.get("organization_role")
        return (name if isinstance(name, str) else None), (role if isinstance(role, str) else None)
    declared = declaration.system if declaration is not None and declaration.system.id == system else None
    return (declared.name, str(declared.organization_role)) if declared is not None else (None, None)
