"""The verbs of impact assessments: file one with the numbers measured on the version, say whether it still holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from aims_mlflow.api.given import day_of
from aims_mlflow.api.policies import Config, names_of
from aims_mlflow.api.targets import read_model, resolve
from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import AimsError, DeliveryError, InputError
from aims_mlflow.evidence import DocumentRef, EvidenceBase, ModelRef
from aims_mlflow.management.impact import FILLED_IN, ImpactContent, measured_numbers
from aims_mlflow.management.impact_state import ImpactState, state_of
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.systems import SystemContent
from aims_mlflow.management.types import content_of
from aims_mlflow.managing.portfolio import portfolio
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.risk_rules import evidence_of_version


@dataclass(frozen=True)
class FiledImpact:
    """An assessment as filed."""

    filed: Filed
    state: ImpactState
    """As it stands at once: something may be wanting."""


@dataclass(frozen=True)
class Impacts:
    """The assessments there are, and the versions in service that none covers."""

    states: tuple[ImpactState, ...]
    """By system, the latest first."""
    uncovered: tuple[str, ...] = ()
    """``name/version`` of versions in service of a system, with why nothing covers them."""
    unread: tuple[str, ...] = ()
    """What could not be read, so that nothing is known of it."""
    idle: frozenset[str] = frozenset()
    """Ids of assessments of versions that do not serve, of systems of which another one does."""

    @property
    def all_hold(self) -> bool:
        """Whether every assessment that is of use is current, and every version in service has one."""
        return all(state.is_current for state in self.states if state.id not in self.idle) and not self.uncovered


def assess_impact(
    content: Mapping[str, Any] | ImpactContent,
    *,
    system: str,
    model: str | None = None,
    owner: str,
    approver: str | None = None,
    id: str | None = None,  # noqa: A002  (the word of the record)
    valid_from: date | str | None = None,
    valid_until: date | str | None = None,
    links: str | Sequence[str] = (),
    document: str | Path | DocumentRef | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> FiledImpact:
    """File the outcome of an impact assessment; of a version assessed before it becomes the next revision.

    The version's files are hashed, and its metrics, those of groups and the gaps between groups are filled in from its
    evidence, each with the digest of the evidence. Intended use, regions and sources of data that are not given are
    those of the system's record.

    Args:
        content: Fields of ``management.impact.ImpactContent``.
        system: The system's id.
        model: ``models:/name/version`` or ``models:/name@alias``; None for one made before there is a version, which
            then covers none.
        owner: The one who answers for the assessment.
        approver: Who approved it.
        id: The record's id; made from system and version where None.
        valid_from: First day; today where None.
        valid_until: The day it is reviewed by; a year from now where None.
        links: Records it rests on, ``type:id``. A serious incident or drift it names is one it knew of.
        document: Path, URI or title of the report.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        InputError: an unknown system or field, a field that is filled in, or a model whose files cannot be hashed.
        EvidenceError: the version's evidence does not match its manifest.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    given = content.model_dump(mode="json") if isinstance(content, ImpactContent) else dict(content)
    _check_fields(given, typed=isinstance(content, ImpactContent))
    ref, evidence = _version(records, model) if model is not None else (None, [])
    state = records.state()
    given |= _of_system(records, state, system, given)
    given |= {
        "registered_name": ref.registered_name if ref else None,
        "version": ref.version if ref else None,
        "model_sha256": ref.sha256 if ref else None,
        "measured": [one.model_dump(mode="json") for one in measured_numbers(evidence)],
    }
    filed = records.file(
        "impact",
        given,
        owner=owner,
        id=id or _usual_id(system, ref),
        approver=approver,
        valid_from=day_of(valid_from, "valid_from"),
        valid_until=day_of(valid_until, "valid_until"),
        systems=(system,),
        links=names_of(links),
        document=document,
    )
    after = records.state()
    return FiledImpact(filed, state_of(filed, after, records.catalog, model=ref, evidence=evidence))


def search_impacts(
    *,
    system: str | None = None,
    at: datetime | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Impacts:
    """The assessments on record, whether each holds, and the versions in service without one.

    What was measured on an assessed version since, such as drift, is read from its evidence.

    Args:
        system: Of this system; of all where None.
        at: What was known at that moment; now where None. Versions in service are those of now.
        config: As of ``assess_impact``.
        tracking_uri: As of ``assess_impact``.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state(at)
    reader = _Reader(records, state)
    states = [reader.stands(one) for one in state.of_type("impact") if system is None or system in one.record.systems]
    states.sort(key=lambda s: s.filed.record.recorded_at, reverse=True)
    states.sort(key=lambda s: s.filed.record.systems)
    uncovered, idle = _in_service(records, state, states, system, reader)
    broken = [str(p) for p in state.problems if p.type == "impact" and p.blocks]
    return Impacts(tuple(states), tuple(uncovered), (*reader.unread, *broken), frozenset(idle))


def show_impact(
    id: str,  # noqa: A002  (the word of the record)
    *,
    at: datetime | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> ImpactState:
    """One assessment, as it stands.

    Raises:
        InputError: there is none of that id; the nearest ids are named.
        EvidenceError: the evidence of its version cannot be read.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state(at)
    records.one(state, "impact", id)
    found = next((one for one in state.of_type("impact") if one.record.id == id), None)
    if found is None:
        wrong = next((str(p) for p in state.problems if p.type == "impact" and p.id == id), "it counts for nothing")
        raise InputError(f"the assessment cannot be used: {wrong}", where=f"impact:{id}")
    reader = _Reader(records, state)
    stands = reader.stands(found)
    if reader.unread:
        raise DeliveryError(reader.unread[0], where=f"impact:{id}")
    return stands


class _Reader:
    """Holds assessments against the evidence of their versions."""

    def __init__(self, records: ManagementRecords, state: State) -> None:
        self.records = records
        self.state = state
        self.unread: list[str] = []

    def stands(self, one: Filed) -> ImpactState:
        try:
            content = content_of(one.record, self.records.catalog)
        except AimsError:
            content = None
        evidence: list[EvidenceBase] = []
        if isinstance(content, ImpactContent) and content.registered_name and content.version:
            evidence = self.evidence(content.registered_name, content.version)
        return state_of(one, self.state, self.records.catalog, evidence=evidence)

    def evidence(self, name: str, version: str) -> list[EvidenceBase]:
        try:
            found = evidence_of_version(self.records.client, name, version)
        except AimsError as error:
            self.unread.append(f"{name}/{version}: {error.message}")
            return []
        return [record for record in found if record.captured_at <= self.state.at]


def _in_service(
    records: ManagementRecords, state: State, states: Sequence[ImpactState], system: str | None, reader: _Reader
) -> tuple[list[str], set[str]]:
    """Versions in service that no assessment of their system covers, and assessments of versions that do not serve."""
    uncovered: list[str] = []
    idle: set[str] = set()
    for one in portfolio(records, state).systems:
        if one.system is None or system not in (None, one.system):
            continue
        own = [s for s in states if one.system in s.filed.record.systems]
        useful: set[str] = set()
        for version in one.versions:
            digest = version.statement.model_sha256 if version.statement else None
            ref = ModelRef(registered_name=version.registered_name, version=version.version, sha256=digest)
            covering = _covering(ref, own, state, records, reader)
            if not covering:
                none = "no impact assessment was made of it"
                why = "new model version: no impact assessment covers it" if own else none
                uncovered.append(f"{version.uri}: {why}")
            useful |= covering
        if one.versions:
            idle |= {s.id for s in own if s.content is not None} - useful
    return uncovered, idle


def _covering(
    ref: ModelRef, own: Sequence[ImpactState], state: State, records: ManagementRecords, reader: _Reader
) -> set[str]:
    """Ids of the assessments that cover a version: made of it, of the same content, or reaching beyond their own."""
    made = {s.id for s in own if s.content and _is_of(s.content, ref)}
    reaching = [s for s in own if s.content and s.content.retraining.assess == "beyond limits" and s.id not in made]
    evidence = reader.evidence(str(ref.registered_name), str(ref.version)) if reaching and not made else []
    for one in reaching if not made else ():
        held = state_of(one.filed, state, records.catalog, model=ref, evidence=evidence)
        if not any(trigger.code == "model version" for trigger in held.triggers):
            made.add(one.id)
    return made


def _is_of(content: ImpactContent, ref: ModelRef) -> bool:
    if content.model_sha256 is None:
        return False
    if ref.sha256 is None:  # never assessed: told by its name until it is
        return (content.registered_name, content.version) == (ref.registered_name, ref.version)
    return content.model_sha256 == ref.sha256


def _version(records: ManagementRecords, model: str) -> tuple[ModelRef, list[EvidenceBase]]:
    """The version with the digest its files have now, and its evidence."""
    from mlflow import MlflowException

    if not model.startswith("models:/"):
        raise InputError(f"{model!r} names no registered version", remedy="Give models:/NAME/VERSION.")
    try:
        place = resolve(records.client, model)
        if place.version is None or place.model is None or place.files_uri is None:
            raise InputError(f"{model!r} names no registered version", remedy="Give models:/NAME/VERSION.")
        read = read_model(records.client, place.files_uri, model_id=place.model.model_id)
    except MlflowException as error:
        raise InputError(f"there is no such version ({error.error_code})", where=model) from error
    if read is None:
        raise InputError("the files of the version are not there, so nothing can be bound to them", where=model)
    name, number = str(place.version.name), str(place.version.version)
    ref = place.model.model_copy(update={"sha256": read.sha256})
    return ref, evidence_of_version(records.client, name, number)


def _of_system(records: ManagementRecords, state: State, system: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the system's record says and the assessment does not."""
    filed = next((one for one in state.of_type("system") if one.record.id == system), None)
    content = content_of(filed.record, records.catalog) if filed is not None else None
    if isinstance(content, SystemContent):
        declared: dict[str, Any] = {
            "purpose": content.purpose,
            "intended_use": content.intended_use,
            "misuse": content.not_for,
            "regions": content.regions,
            "data_sources": content.data_sources,
            "affected": content.affected_groups,
            "declared_use": content.intended_use,
        }
    else:
        one = records.settings.declaration.system
        own = one.id == system
        declared = {
            "purpose": one.purpose if own else None,
            "intended_use": one.intended_use if own else None,
            "misuse": one.not_for if own else (),
            "affected": one.affected_groups if own else (),
        }
    return {name: value for name, value in declared.items() if value and not given.get(name)}


def _check_fields(given: Mapping[str, Any], *, typed: bool) -> None:
    for name, value in given.items():
        if name in FILLED_IN and not (typed and not value):
            raise InputError(f"{name!r} is filled in, not written by hand", where=name, remedy="Leave it out.")
        if name not in ImpactContent.model_fields:
            hint = nearest(name, ImpactContent.model_fields) or f"There are: {', '.join(ImpactContent.model_fields)}."
            raise InputError(f"an impact assessment has no field {name[:60]!r}", where=name, remedy=hint)


def _usual_id(system: str, ref: ModelRef | None) -> str:
    words = f"{system}-{ref.registered_name}-{ref.version}" if ref else f"{system}-design"
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", words)[:100].strip("-.") or "impact"
