"""The Statement of Applicability in use: how it stands, what does not fit, and filing the next revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from aims_mlflow.api.policies import Config
from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.config import Declaration, Settings, load_settings
from aims_mlflow.delivery import catalog_of
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef, now
from aims_mlflow.management.applicability import SOA, ApplicabilityContent
from aims_mlflow.management.portfolio import Portfolio, SystemStanding
from aims_mlflow.management.soa import Soa, SoaFinding, soa_lines
from aims_mlflow.management.soa.form import form
from aims_mlflow.management.soa.overall import over_systems
from aims_mlflow.management.soa.statements import on_file
from aims_mlflow.management.state import Filed, State
from aims_mlflow.managing.portfolio import is_nothing_there, portfolio
from aims_mlflow.managing.records import ManagementRecords

_ORGANIZATION = f"{SOA}:{SOA}"
_OF_A_SYSTEM = ("declaration-differs",)
"""Findings on the organization's lines that only the view of a system shows."""


def statement_of_applicability(
    system: str | None = None,
    *,
    at: datetime | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Soa:
    """The Statement of Applicability of the organization, or of a system with its own lines in it.

    It needs no record, run or model to exist: where there is no database yet, none is made.

    Args:
        system: Id of the system; None for the organization.
        at: The moment whose knowledge counts, with a time zone; now where None. For a day that is past, ``aims.yaml``
            is left out: nobody knows what it said then.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Returns:
        A line for every control, and what does not fit together.

    Raises:
        InputError: there is no such system, or ``at`` has no time zone.
        ConfigError: ``aims.yaml`` is wrong.
        DeliveryError: MLflow cannot be reached.
    """
    seen = _look(config, tracking_uri, at)
    seen.check_system(system)
    return seen.soa(system)


def contradictions(
    system: str | None = None,
    *,
    at: datetime | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> tuple[SoaFinding, ...]:
    """What does not fit together, or is open, in the organization's statement and in every system's own.

    Args:
        system: Only of this system; None for all.
        at: The moment, as in ``statement_of_applicability``.
        config: As there.
        tracking_uri: As there.

    Returns:
        Contradictions first. One that several systems share stands there once.

    Raises: as ``statement_of_applicability`` does.
    """
    seen = _look(config, tracking_uri, at)
    seen.check_system(system)
    if system is not None:
        return seen.soa(system).findings
    found = dict.fromkeys(seen.soa(None).findings)
    for name in seen.with_own_lines():
        found |= dict.fromkeys(f for f in seen.soa(name).findings if f.where != _ORGANIZATION or f.code in _OF_A_SYSTEM)
    return tuple(sorted(found, key=lambda finding: not finding.contradiction))


def empty_form(system: str | None = None, *, config: Config = None, tracking_uri: str | None = None) -> str:
    """A file with every control to fill in; what is on record stands in it already.

    Args:
        system: The system whose own lines are to be written; None for the organization's.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises: as ``statement_of_applicability`` does.
    """
    seen = _look(config, tracking_uri, None, with_portfolio=False)
    seen.check_system(system)
    return form(seen.catalog, on_file(seen.state, system), system)


def record_applicability(
    content: ApplicabilityContent | Mapping[str, Any],
    *,
    owner: str,
    approver: str | None = None,
    system: str | None = None,
    valid_from: date | None = None,
    valid_until: date | None = None,
    document: str | Path | DocumentRef | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Filed:
    """File the organization's statement, or a system's own lines, as the next revision. It replaces the one before.

    Args:
        content: The lines by control, ``management.soa.form.read_form`` reads them from a file.
        owner: The one who answers for it.
        approver: Who approved it. Without one no exclusion counts, and 6.1.3 is not met.
        system: The system whose own lines they are; None for the organization.
        valid_from: First day; today where None.
        valid_until: Last day; a year on where None.
        document: The document, where there is one beside the record.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        InputError: a line on what is no control, an unknown system, dates in the wrong order; nothing was filed.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    plain = content.model_dump(mode="json") if isinstance(content, ApplicabilityContent) else dict(content)
    lines = plain.get("lines")
    _check_lines(lines if isinstance(lines, Mapping) else {}, records.catalog)
    return records.file(
        SOA,
        plain,
        owner=owner,
        approver=approver,
        systems=(system,) if system is not None else (),
        valid_from=valid_from,
        valid_until=valid_until,
        document=document,
    )


def _check_lines(lines: Mapping[str, Any], catalog: Catalog) -> None:
    for control in lines:
        row = catalog.rows.get(control)
        if row is None:
            hint = nearest(str(control), catalog.rows) or "'aims register' lists them."
            raise InputError(f"there is no control {str(control)[:60]!r}", where="lines", remedy=hint)
        if row.kind != "control":
            raise InputError(
                f"{control} is a clause, and clauses always apply", where="lines", remedy="Take the line out."
            )


@dataclass(frozen=True)
class _Seen:
    """What was read, once."""

    settings: Settings
    catalog: Catalog
    state: State
    standing: Portfolio | None
    declaration: Declaration | None

    def soa(self, system: str | None) -> Soa:
        """The statement of a system or the organization."""
        return soa_lines(self.state, self.catalog, system, self._stands(system), declaration=self.declaration)

    def _stands(self, system: str | None) -> SystemStanding | None:
        if self.standing is None:
            return None
        return self.standing.get(system) if system is not None else over_systems(self.standing, self.state)

    def with_own_lines(self) -> tuple[str, ...]:
        """Systems that have a statement of their own, or that ``aims.yaml`` is about."""
        named = {name for key, one in self.state.current.items() if key[0] == SOA for name in one.record.systems}
        declared = self.settings.declaration.system.id
        return tuple(sorted(named | ({declared} if declared else set())))

    def check_system(self, system: str | None) -> None:
        """Whether there is such a system.

        Raises:
            InputError: there is none; the nearest ids are named.
        """
        known = {one.record.id for one in self.state.of_type("system")} | {self.settings.declaration.system.id}
        names = sorted(name for name in known if name is not None)
        if system is not None and system not in names:
            hint = nearest(system, names) or "'aims systems' lists them; 'aims systems declare' adds one."
            raise InputError(f"there is no system {system[:100]!r}", where="system", remedy=hint)


def _look(config: Config, tracking_uri: str | None, at: datetime | None, *, with_portfolio: bool = True) -> _Seen:
    if at is not None and at.tzinfo is None:
        raise InputError("the moment needs a time zone", where="at", remedy="Use datetime.now(UTC).")
    settings = load_settings(config)
    present = now()
    moment = at or present
    declaration = settings.declaration if moment.date() >= present.date() else None
    catalog = catalog_of(settings)
    if is_nothing_there(tracking_uri):
        return _Seen(settings, catalog, State(at=moment), None, declaration)
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    # In a folder of files no records are kept; what else MLflow holds there is looked at all the same.
    state = records.state(moment) if records.store.can_hold_records else State(at=moment)
    standing = portfolio(records, state) if with_portfolio else None
    return _Seen(settings, catalog, state, standing, declaration)
