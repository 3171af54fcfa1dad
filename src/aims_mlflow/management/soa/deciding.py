"""Whether a control applies: it is left out only where somebody left it out, with a reason, and nobody objects."""

from __future__ import annotations

from dataclasses import dataclass

from aims_mlflow.catalog import Catalog, load_catalog
from aims_mlflow.config import Declaration
from aims_mlflow.config.completeness import is_filled
from aims_mlflow.config.models import Applicability
from aims_mlflow.management.applicability import ApplicabilityLine
from aims_mlflow.management.soa.models import Decision
from aims_mlflow.management.soa.statements import OnFile, Said, on_file
from aims_mlflow.management.state import State

NOT_DECIDED = "not decided yet"
DECLARED = "aims.yaml"


@dataclass(frozen=True)
class Ruling:
    """What is decided of a control, by whom."""

    decision: Decision
    reason: str
    said: Said | None = None
    """The statement that speaks of it first."""
    line: ApplicabilityLine | None = None
    """Its line."""
    scope: str = ""

    @property
    def applicable(self) -> bool:
        """False only for an exclusion that counts."""
        return self.decision is not Decision.EXCLUDED

    @property
    def decided(self) -> bool:
        """Whether somebody decided, with effect."""
        return self.decision is not Decision.NOT_DECIDED


def declared_line(control: str, declaration: Declaration | None, system: str | None) -> Applicability | None:
    """What ``aims.yaml`` says of a control, where it is about that system (or no system is asked for)."""
    if declaration is None or (system is not None and declaration.system.id not in (None, system)):
        return None
    return declaration.applicability.get(control)


def rule_on(control: str, filed: OnFile, declared: Applicability | None) -> Ruling:
    """Decide on a control.

    The system's own line comes before the organization's, and that before ``aims.yaml``. Whoever says that a control
    applies is heard, whatever his statement is worth. An exclusion counts only from a statement that is approved and in
    force, with a reason, and not while a statement on record cannot be read: that one might object.
    """
    spoken = list(filed.lines_on(control))
    said, line = spoken[0] if spoken else (None, None)
    if declared is not None and declared.applicable and not (line is not None and line.applicable):
        left_out = any(not one.applicable for _, one in spoken)
        reason = f"aims.yaml says that it applies: {declared.reason}" if left_out else declared.reason
        return Ruling(Decision.APPLIES, reason, said, line, DECLARED)
    void = ""
    for who, one in _by_rank(spoken):
        if one.applicable:
            return Ruling(Decision.APPLIES, one.justification, who, one, who.scope)
        lack = _lack(filed, who, one.justification)
        if not lack:
            return Ruling(Decision.EXCLUDED, one.justification, who, one, who.scope)
        void = void or f"the exclusion does not count, {lack}; it says: {one.justification}"
    if declared is not None and not declared.applicable:
        lack = _lack(filed, None, declared.reason)
        if not lack:
            return Ruling(Decision.EXCLUDED, declared.reason, said, line, DECLARED)
        void = void or f"the exclusion does not count, {lack}; it says: {declared.reason}"
    scope = said.scope if said is not None else DECLARED if declared is not None else ""
    return Ruling(Decision.NOT_DECIDED, f"{NOT_DECIDED}: {void}" if void else NOT_DECIDED, said, line, scope)


def _by_rank(spoken: list[tuple[Said, ApplicabilityLine]]) -> list[tuple[Said, ApplicabilityLine]]:
    """The system's own statements before the organization's; of several of its own, one that objects first."""
    return sorted(spoken, key=lambda pair: (not pair[0].record.systems, not pair[1].applicable))


def _lack(filed: OnFile, said: Said | None, reason: str) -> str:
    if filed.broken:
        return f"for {filed.broken[0][0]} cannot be relied on ({filed.broken[0][1]})"
    if said is not None and said.lack:
        return f"for {said.lack}"
    return "" if is_filled(reason) else "for it gives no reason"


def applicability_in_force(
    state: State, declaration: Declaration, system: str | None = None, catalog: Catalog | None = None
) -> dict[str, Applicability]:
    """The lines to judge a system by: those of ``aims.yaml`` and of the statements on record, as one.

    Args:
        state: The records at the moment of the judgement.
        declaration: ``aims.yaml``.
        system: The system; None for the organization.
        catalog: The register in force, the built-in one where None; lines on what it does not hold are left out.

    Returns:
        Control id to line, for ``Declaration.applicability``. Clauses are in it only where ``aims.yaml`` names them.
    """
    rows = (catalog or load_catalog(())).rows
    filed = on_file(state, system)
    found: dict[str, Applicability] = {}
    for control in dict.fromkeys((*declaration.applicability, *filed.named)):
        declared = declared_line(control, declaration, system)
        if declared is None and control not in filed.named:
            continue
        if control not in rows or rows[control].kind != "control":
            if declared is not None:
                found[control] = declared
            continue
        ruling = rule_on(control, filed, declared)
        found[control] = Applicability(applicable=ruling.applicable, reason=ruling.reason)
    return found
