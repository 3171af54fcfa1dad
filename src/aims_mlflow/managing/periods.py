"""Operating effectiveness of a system over a period, from what was known at each moment of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aims_mlflow.api.past import judged_then
from aims_mlflow.api.policies import Config
from aims_mlflow.api.records import OnRecord, said_by
from aims_mlflow.api.targets import registered
from aims_mlflow.assessment import Finding
from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.config import Settings
from aims_mlflow.errors import InputError
from aims_mlflow.evaluate import evaluate
from aims_mlflow.evidence import EvidenceBase, ModelRef, Subject
from aims_mlflow.gate.entries import Entry
from aims_mlflow.gate.history import history
from aims_mlflow.management.effectiveness import Effectiveness, moments_of, over_period
from aims_mlflow.management.inventory import Claims, assign
from aims_mlflow.management.standing import RANK
from aims_mlflow.management.state import Filed, Problem, State
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.registered import read_registered
from aims_mlflow.registry.log import TransitionLog


def operating_effectiveness(
    system: str | None = None,
    *,
    begin: datetime,
    end: datetime,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Effectiveness:
    """How long each clause and control was satisfied between two moments: what auditors sample.

    At each moment the versions that served then are judged by what was known then; of several the worst finding of a
    row counts. While none served, the records alone are judged. Which version served when is read from the transition
    log; of a model without a log, what serves now is taken to have served since it was made, and a note says so.

    Args:
        system: Id of the system; where None the one of ``aims.yaml``, else the organization alone.
        begin: First moment, with a time zone.
        end: Last moment.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Returns:
        For each row the share of time satisfied, the gaps and the longest one.

    Raises:
        InputError: there is no such system, or the period ends before it begins.
        EvidenceError: evidence of a version, or a log, does not match its digests.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    filed, problems = records.store.everything()
    name = system or records.settings.declaration.system.id
    past = _Past(records, filed, problems, name)
    past.read(_models(records, State.of(filed, at=end, problems=problems), name), begin, end)
    return over_period(
        past.findings, past.moments, begin=begin, end=end, system=name, notes=tuple(dict.fromkeys(past.notes))
    )


def _models(records: ManagementRecords, state: State, system: str | None) -> tuple[str, ...]:
    """Registered models of a system.

    Raises:
        InputError: no such system is declared.
    """
    if system is None:
        return ()
    inventory = assign(read_registered(records.client).models, state)
    found = inventory.get(system)
    if found is not None:
        return found.models
    declared = records.settings.declaration
    if declared.system.id != system:
        raise InputError(f"there is no system {system[:100]!r}", remedy="'aims systems' lists them.")
    claims = Claims([(system, declared.registered_models)])
    return tuple(model for model in inventory.undeclared if claims.on(model))


@dataclass
class _Served:
    """A version, with all its run holds, and when it served."""

    model: ModelRef | None
    facts: RunFacts
    held: Sequence[EvidenceBase]
    log: Sequence[Entry]
    times: list[tuple[datetime, datetime | None]] = field(default_factory=list)

    def serves(self, at: datetime) -> bool:
        return any(since <= at and (until is None or at < until) for since, until in self.times)


class _Past:
    """Everything the period is judged by, read once."""

    def __init__(
        self, records: ManagementRecords, filed: Sequence[Filed], problems: Sequence[Problem], system: str | None
    ) -> None:
        self.records = records
        self.filed = filed
        self.problems = problems
        self.system = system
        self.moments = moments_of(filed)
        self.notes: list[str] = []
        self.served: list[_Served] = []
        self._states: tuple[datetime, State] | None = None

    def read(self, models: Sequence[str], begin: datetime, end: datetime) -> None:
        """Read the versions of the models that served in the period."""
        log = TransitionLog(self.records.client)
        for model in models:
            entries = log.read(model, fresh=True)
            times = self._times(model, entries, begin, end)
            for version, stretches in times.items():
                self._read_version(model, version, entries, stretches)
                self.moments += [moment for stretch in stretches for moment in stretch if moment is not None]
            self.moments += [entry.at for entry in entries]

    def _times(
        self, model: str, entries: Sequence[Entry], begin: datetime, end: datetime
    ) -> dict[str, list[tuple[datetime, datetime | None]]]:
        found: dict[str, list[tuple[datetime, datetime | None]]] = {}
        if entries:
            for one in history(entries, model=model, at=end).servings:
                if one.since < end and (one.until is None or one.until > begin):
                    found.setdefault(one.version, []).append((one.since, one.until))
            return found
        row = self.records.client.get_registered_model(model)
        now_serving = sorted({str(version) for version in dict(getattr(row, "aliases", None) or {}).values()})
        for version in now_serving:
            self.notes.append(
                f"{model} has no transition log: version {version} is taken to have served since it was made"
            )
            found[version] = [(begin, None)]
        return found

    def _read_version(
        self, model: str, version: str, log: Sequence[Entry], times: list[tuple[datetime, datetime | None]]
    ) -> None:
        client = self.records.client
        try:
            place = registered(client, f"{model}/{version}", f"models:/{model}/{version}")
        except Exception as error:  # noqa: BLE001  (a version that was deleted since: its time is named, not passed over)
            self.notes.append(f"{model} version {version} served and cannot be read any more ({type(error).__name__})")
            facts = RunFacts(run_id="", experiment_id="", status="")
            gone = ModelRef(registered_name=model, version=version)
            self.served.append(_Served(gone, facts, (), log, times))
            return
        facts = RunFacts(run_id="", experiment_id="", status="")
        held: tuple[EvidenceBase, ...] = ()
        if place.run_id is not None:
            store = RunStore(client, place.run_id)
            facts = store.facts()
            held = store.holdings(facts).evidence
        self.moments += [record.captured_at for record in held]
        self.served.append(_Served(place.model, facts, held, log, times))

    def findings(self, at: datetime) -> Sequence[Finding]:
        """What was known and true at a moment."""
        serving = [one for one in self.served if one.serves(at)]
        if not serving:
            return self._of_records(at)
        worst: dict[str, Finding] = {}
        for one in serving:
            assessment = judged_then(
                one.held,
                one.facts,
                self.records.settings,
                at=at,
                model=one.model,
                log=one.log,
                records=lambda settings, model: self._stated(at, settings, model),
            )
            for finding in assessment.findings:
                known = worst.get(finding.id)
                if known is None or RANK[finding.status] < RANK[known.status]:
                    worst[finding.id] = finding
        return list(worst.values())

    def _of_records(self, at: datetime) -> Sequence[Finding]:
        said = self._stated(at, self.records.settings, None)
        return evaluate(
            said.evidence,
            self.records.catalog,
            said.settings.in_force,
            subject=Subject(system_id=self.system),
            at=at,
            declaration_sha256=said.settings.sha256,
        ).findings

    def _stated(self, at: datetime, settings: Settings, model: ModelRef | None) -> OnRecord:
        if self._states is None or self._states[0] != at:
            self._states = (at, State.of(self.filed, at=at, problems=self.problems))
        return said_by(self._states[1], settings, self.records.catalog, model=model, system=self.system)
