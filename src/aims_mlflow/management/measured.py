"""What was measured of a version in service, as the assessment in short in its tag says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from aims_mlflow.assessment import CheckResult, Ground, Outcome, Status
from aims_mlflow.catalog import Catalog
from aims_mlflow.checks.case import after
from aims_mlflow.checks.judging import is_human, lapsed, weakest
from aims_mlflow.config.models import Declaration
from aims_mlflow.controls import Requirement, Row
from aims_mlflow.evidence import Basis
from aims_mlflow.gate.statement import RowResult, Statement
from aims_mlflow.management.portfolio import ServedVersion, SystemStanding
from aims_mlflow.management.types import record_types

_OUTCOME = {
    Status.NOT_SATISFIED: Outcome.FAIL,
    Status.ERROR: Outcome.ERROR,
    Status.UNCERTAIN: Outcome.UNCERTAIN,
    Status.STALE: Outcome.STALE,
    Status.NO_EVIDENCE: Outcome.MISSING,
    Status.NEEDS_ATTESTATION: Outcome.MISSING,
    Status.NOT_APPLICABLE: Outcome.MISSING,
}
"""The worst a requirement can have come to where its row came to this."""

_WORD = {
    Outcome.FAIL: "not satisfied",
    Outcome.ERROR: "could not be judged",
    Outcome.UNCERTAIN: "uncertain",
    Outcome.STALE: "stale",
    Outcome.MISSING: "without evidence",
}

NO_VERSION = "no version of this system is in service"
NO_SYSTEM = "no AI system is declared, so no version of one is in service"


class Source(StrEnum):
    """Where a requirement is judged from."""

    RECORDS = "records"
    MEASURED = "measured"
    BOTH = "both"


def source_of(requirement: Requirement, kinds: frozenset[str]) -> Source:
    """Where a requirement is judged from.

    Args:
        requirement: The requirement.
        kinds: Kinds of evidence that records give, see ``kinds_of_records``.
    """
    asked = set(requirement.evidence)
    if asked <= kinds or requirement.accepts == (Basis.ATTESTED,):
        return Source.RECORDS
    return Source.BOTH if asked & kinds else Source.MEASURED


@lru_cache(maxsize=8)
def kinds_of_records(catalog: Catalog) -> frozenset[str]:
    """Kinds of evidence that management records give."""
    return frozenset({"attestation"}.union(*(kind.gives for kind in record_types(catalog).values())))


@dataclass(frozen=True)
class Measured:
    """What was measured of a version, as its assessment in short says."""

    system: SystemStanding
    served: ServedVersion | None
    at: datetime
    declaration: Declaration

    @property
    def uri(self) -> str | None:
        """``name/version``; None where no version is in service."""
        return self.served.uri if self.served else None

    def result(self, row: Row, place: int, catalog: Catalog, *, only: frozenset[str] | None = None) -> CheckResult:
        """One requirement of a row.

        Args:
            row: The row.
            place: Place of the requirement.
            catalog: The register in force.
            only: Kinds of evidence of which the assessment must have seen one, for a requirement that records can meet
                as well: a pass that rested on a record counts only as the record is now.
        """
        statement = self.served.statement if self.served else None
        if self.served is None or statement is None:
            is_broken = self.served is not None and self.served.is_broken
            reason = f"{self.served.uri}: {self.served.problem}" if self.served else self._nothing_serves()
            return self._made(row, place, Outcome.ERROR if is_broken else Outcome.MISSING, reason)
        if only is not None and only.isdisjoint(statement.kinds):
            return self._made(row, place, Outcome.MISSING, f"{self.served.uri}: no {_named(sorted(only))} was on file")
        said = statement.rows.get(row.id)
        if said is None:
            return self._made(row, place, Outcome.ERROR, f"{self.served.uri}: its assessment leaves the row out")
        return self._by(statement, said, row, place, catalog)

    def _by(self, statement: Statement, said: RowResult, row: Row, place: int, catalog: Catalog) -> CheckResult:
        when = f"as assessed on {statement.assessed_at:%Y-%m-%d}"
        outcome = met_as_stated(said, place)
        stated = (said.valid_until, said.until_ground or Ground.EVIDENCE) if said.valid_until else None
        if outcome is not Outcome.PASS:
            return self._made(row, place, outcome, f"{self.uri}: {_WORD[outcome]} {when}", until=stated)
        if said.status is not Status.SATISFIED or stated is None:
            age = _age(row, row.requires[place], catalog, self.declaration)
            days = self.declaration.validity.version_bound_days
            ground = Ground.CYCLE if age is None else Ground.EVIDENCE
            stated = after(statement.assessed_at, timedelta(days=days) if age is None else age), ground
        if stated[0] < self.at:
            return self._made(row, place, Outcome.STALE, f"{self.uri}: {lapsed(stated)}", until=stated)
        basis = basis_as_stated(said, row.requires[place])
        return self._made(row, place, Outcome.PASS, f"{self.uri}: met {when}", until=stated, basis=basis)

    def _made(
        self,
        row: Row,
        place: int,
        outcome: Outcome,
        reason: str,
        *,
        until: tuple[datetime, Ground] | None = None,
        basis: Basis | None = None,
    ) -> CheckResult:
        need = row.requires[place]
        return CheckResult(
            requirement=need.id,
            check=need.check,
            outcome=outcome,
            reason=reason,
            basis=basis,
            attested_part=is_human(need.accepts),
            valid_until=until[0] if until else None,
            until_ground=until[1] if until else None,
        )

    @property
    def assessed_at(self) -> datetime:
        """When the version was assessed; where it was not, the moment asked for."""
        return self.served.statement.assessed_at if self.served and self.served.statement else self.at

    def remedy(self, requirement: Requirement, remedy: str) -> str:
        """What to do about a measured part that is not met: the register's remedy, and the assessment after it."""
        if self.served is None:
            return self._name_version()
        assess = f"`aims assess models:/{self.served.uri}`"
        if self.served.statement is None:
            return f"{self.served.remedy or f'Assess it: {assess}.'}"
        return f"{(remedy or requirement.remedy).rstrip()} Then {assess}."

    def _nothing_serves(self) -> str:
        return NO_SYSTEM if self.system.system is None and not self.system.models else NO_VERSION

    def _name_version(self) -> str:
        if self.system.models:
            return f"Say which version serves: `aims promote {self.system.models[0]} VERSION --to ALIAS`."
        if self.system.system is None:
            return "Declare the AI system: `aims init`, fill in aims.yaml, then `aims systems declare`."
        return "Name its registered models in aims.yaml (registered_models), then `aims systems declare`."


def met_as_stated(said: RowResult, place: int) -> Outcome:
    """What a requirement came to, as far as the row in short tells; where it does not tell, the worst it can have been.

    The row names the first requirement that was not met: those before it were. That one, and any after it, may have
    been what decided the row.
    """
    if said.status is Status.SATISFIED:
        return Outcome.PASS
    if said.unmet is not None and place < said.unmet:
        return Outcome.PASS
    if said.unmet is None and said.status is Status.NOT_APPLICABLE:
        return Outcome.PASS  # excluded, and every requirement was met all the same
    return _OUTCOME[said.status]


def basis_as_stated(said: RowResult, requirement: Requirement) -> Basis:
    """The basis a measured requirement was met on.

    The row in short names the weakest of all. Where that is a person's word and the requirement takes none, it is no
    better than the weakest the requirement takes.
    """
    if said.basis is not None and said.basis in requirement.accepts:
        return said.basis
    return weakest(requirement.accepts) or Basis.ATTESTED


def _age(row: Row, requirement: Requirement, catalog: Catalog, declaration: Declaration) -> timedelta | None:
    """How old evidence may be, by the requirement, else the declaration, else the row; None: the version binds it."""
    days = catalog.freshness[requirement.freshness or row.freshness].max_age_days
    if requirement.freshness is None:
        days = declaration.freshness.get(row.id, days)
    return None if days is None else timedelta(days=max(-1, min(days, 3_660_000)))


def _named(kinds: Iterable[str]) -> str:
    return " or ".join(kind.replace("_", " ") for kind in kinds)
