"""Maturity of a clause or control, capped by the evidence it rests on. Pure.

= ==========================================================================================================
0 Nothing is on file for at least one thing the row asks for.
1 Evidence is there, but it shows that a requirement is not met, allows no verdict, or could not be judged.
2 All was met once; part of the evidence has lapsed, or is about another version.
3 All is met now, and at least a part rests on a person's word alone (a statement, a declaration).
4 All is met now, by measured or reported evidence alone.
5 Is never given: that a row is steadily made better shows in a series of assessments, not in one.
= ==========================================================================================================

A row is as mature as the least of its requirements: three good parts do not make up for one nobody has.
"""

from __future__ import annotations

from collections.abc import Sequence

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.checks.judging import is_human
from aims_mlflow.evidence import Basis

HIGHEST = 4
"""The most that evidence alone can show."""

_CAP = {
    Outcome.MISSING: 0,
    Outcome.FAIL: 1,
    Outcome.ERROR: 1,
    Outcome.UNCERTAIN: 1,
    Outcome.STALE: 2,
}


def maturity_of(results: Sequence[CheckResult]) -> int:
    """The maturity of a row by the results of its requirements; 0 where there is none."""
    return min([level_of(one.outcome, one.basis) for one in results], default=0)


def level_of(outcome: Outcome, basis: Basis | None) -> int:
    """The most one requirement allows.

    A pass whose basis is not known counts as a person's word.
    """
    if outcome is not Outcome.PASS:
        return _CAP[outcome]
    return 3 if basis is None or is_human((basis,)) else HIGHEST
