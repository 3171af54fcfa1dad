"""``update_risks``: read the evidence of the versions in service, and let confirmed failures open or revise risks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aims_mlflow.api.policies import Config
from aims_mlflow.api.targets import resolve
from aims_mlflow.attach.store import RunStore
from aims_mlflow.delivery.judging import about
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import EvidenceBase, now
from aims_mlflow.management.projection import is_projected
from aims_mlflow.management.risk_register import UNASSIGNED
from aims_mlflow.management.risk_rules import Signal, Step, added_to, signals_of, steps
from aims_mlflow.management.risks import RiskContent
from aims_mlflow.management.state import Filed
from aims_mlflow.managing.portfolio import portfolio
from aims_mlflow.managing.records import ManagementRecords


@dataclass(frozen=True)
class RiskUpdate:
    """What an update of the register by rule came to."""

    opened: tuple[Filed, ...] = ()
    revised: tuple[Filed, ...] = ()
    standing: tuple[Signal, ...] = ()
    """Every confirmed failure that was found, on the register before or not."""
    versions: int = 0
    """Versions in service whose evidence was read."""
    unread: tuple[str, ...] = ()
    """Versions, and why their evidence could not be read: nothing is known of them."""
    undeclared: tuple[str, ...] = ()
    """Registered models that belong to no system: no risk is kept for them."""


def update_risks(*, system: str | None = None, config: Config = None, tracking_uri: str | None = None) -> RiskUpdate:
    """Open or revise a risk for every confirmed drift, data-quality or fairness failure of a version in service.

    It may be run as often as you like: what is on the register is not put there again.

    Args:
        system: Only this system; all where None.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state()
    found = portfolio(records, state)
    signals: list[Signal] = []
    unread: list[str] = []
    read = 0
    owners: dict[str, str] = {}
    for one in found.systems:
        if one.system is None or system not in (None, one.system):
            continue
        owners[one.system] = one.owner or UNASSIGNED
        for version in one.versions:
            try:
                evidence = evidence_of_version(records.client, version.registered_name, version.version)
            except AimsError as error:
                unread.append(f"{version.uri}: {error.message}")
                continue
            read += 1
            signals += signals_of(evidence, system=one.system, version=version.uri)
    opened: list[Filed] = []
    revised: list[Filed] = []
    for step in steps(signals, state, records.catalog):
        filed = _file(records, step, owners[step.system])
        (opened if step.before is None else revised).append(filed)
    return RiskUpdate(
        tuple(opened), tuple(revised), tuple(signals), read, tuple(unread), found.undeclared if system is None else ()
    )


def evidence_of_version(client: Any, name: str, version: str) -> list[EvidenceBase]:
    """The evidence about a registered version, verified; none where no run made it.

    Raises:
        AimsError: it does not match its manifest, or MLflow does not answer.
    """
    from mlflow import MlflowException

    from aims_mlflow.errors import DeliveryError

    try:
        place = resolve(client, f"models:/{name}/{version}")
        if place.run_id is None:
            return []
        store = RunStore(client, place.run_id)
        held = store.holdings(store.facts()).evidence
    except MlflowException as error:
        raise DeliveryError(f"MLflow could not read it ({error.error_code})", where=f"models:/{name}/{version}") from (
            error
        )
    return [record for record in about(held, place.model) if not is_projected(record)]


def _file(records: ManagementRecords, step: Step, owner: str) -> Filed:
    if step.before is None:
        return records.file("risk", step.content, owner=owner, id=step.id, systems=(step.system,))

    def change(before: RiskContent) -> RiskContent:
        return added_to(before, step.signals, now().date())

    return records.revise("risk", step.id, change)
