"""AI systems: declare one from ``aims.yaml``, list them with their models, classify one, show one in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from aims_mlflow.api.policies import Config
from aims_mlflow.attach.store import RunStore
from aims_mlflow.capture.declaration import settings_on_record
from aims_mlflow.config.completeness import is_filled
from aims_mlflow.config.models import Declaration
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.config.settings import label_of, load_settings
from aims_mlflow.errors import AimsError, ConfigError, EvidenceError, InputError
from aims_mlflow.management.classification import Classification, classify, is_lighter
from aims_mlflow.management.declared_systems import (
    Contradiction,
    against_declaration,
    against_questionnaire,
    classified,
    content_from,
    is_same,
    outcome_of,
)
from aims_mlflow.management.inventory import TYPE, InventoriedSystem, Inventory, assign
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.system_view import SystemDetail, SystemsView, entry_of, view_of
from aims_mlflow.management.systems import SystemContent
from aims_mlflow.management.types import content_of
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.registered import InService, Registered, read_registered
from aims_mlflow.managing.then import Then


@dataclass(frozen=True)
class Declared:
    """What declaring a system came to."""

    filed: Filed
    is_new: bool
    """Whether a revision was filed; false: the record says it already."""
    notes: tuple[str, ...] = ()
    """What to look at, in sentences."""


# listing


def search_systems(
    *, as_of: datetime | None = None, config: Config = None, tracking_uri: str | None = None
) -> SystemsView:
    """All declared AI systems with their models and versions in service, and the registered models that belong to none.

    Args:
        as_of: What was known and true then; now where None. What served then is told by the transition log of its
            model; without a log, it is what serves now, for MLflow keeps no history of aliases.
        config: ``aims.yaml``; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        ConfigError: ``aims.yaml`` is wrong.
        EvidenceError: the transition log of a model is broken.
        DeliveryError: MLflow cannot be reached.
    """
    return systems_view(ManagementRecords(config=config, tracking_uri=tracking_uri), as_of=as_of)


def systems_view(records: ManagementRecords, *, as_of: datetime | None = None) -> SystemsView:
    """See ``search_systems``."""
    state = records.state() if as_of is None else records.state(as_of)
    registered = read_registered(records.client)
    if as_of is not None:
        registered = Then(records, as_of).registered(registered)
    return view_of(assign(registered.models, state), registered.served, state.at)


def show_system(system: str, *, config: Config = None, tracking_uri: str | None = None) -> SystemDetail:
    """One system in full, with everything that contradicts its record.

    Held against it are the answers to the questionnaire, the ``aims.yaml`` at hand, and what the runs of its versions
    in service were captured with.

    Raises:
        InputError: there is no such system; the nearest ids are named.
        ConfigError: ``aims.yaml`` is wrong.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state()
    registered = read_registered(records.client)
    inventory = assign(registered.models, state)
    one = inventory.get(system)
    if one is None:
        records.one(state, TYPE, system)  # says that there is none, or that it was withdrawn
        raise InputError(
            f"the record of the system {system[:100]!r} counts for nothing", remedy=_why(inventory, system)
        )
    entry = entry_of(one, inventory, registered.served, state.at.date())
    if one.content is None:
        return SystemDetail(entry=entry, content=None)
    outcome = outcome_of(one.content)
    said, unread = _said_by_runs(records, one, registered, one.content)
    contradictions = (*against_questionnaire(one.content, outcome), *_said_here(records, one, one.content), *said)
    return SystemDetail(
        entry=entry, content=one.content, classification=outcome, contradictions=contradictions, unread=tuple(unread)
    )


def _why(inventory: Inventory, system: str) -> str:
    found = [f"{problem.what}. {problem.remedy}" for problem in inventory.problems if problem.id == system]
    return " ".join(found)


def _said_here(records: ManagementRecords, one: InventoriedSystem, content: SystemContent) -> Iterator[Contradiction]:
    """What the ``aims.yaml`` at hand says other, where it is about this system."""
    declaration = records.settings.declaration
    if declaration.system.id != one.id:
        return
    path = records.settings.path
    yield from against_declaration(content, one.id, declaration, by=label_of(path) if path else "aims.yaml")
    owner = declaration.system.owner
    if owner is not None and is_filled(owner.name) and owner.name.strip() != one.record.owner:
        by = label_of(path) if path else "aims.yaml"
        yield Contradiction(field="owner", inventory=one.record.owner, said=owner.name, by=by)


def _said_by_runs(
    records: ManagementRecords, one: InventoriedSystem, registered: Registered, content: SystemContent
) -> tuple[list[Contradiction], list[str]]:
    """What the declarations of the runs behind the versions in service say other, and which could not be read."""
    serving: dict[str, list[InService]] = {}
    for model in one.models:
        for version in registered.served.get(model, ()):
            if version.run_id is not None:
                serving.setdefault(version.run_id, []).append(version)
    found: list[Contradiction] = []
    unread: list[str] = []
    for run_id, versions in serving.items():
        served = ", ".join(f"{v.uri} ({', '.join(v.targets)})" for v in versions)
        try:
            declaration = _declaration_of(records.client, run_id)
        except AimsError as error:
            unread.append(f"run {run_id} of {served}: {error.message}")
            continue
        except Exception as error:  # noqa: BLE001  (whatever a store raises: what is not read is not taken for agreement)
            code = getattr(error, "error_code", None) or type(error).__name__
            unread.append(f"run {run_id} of {served}: MLflow could not read it ({code})")
            continue
        if declaration is not None:
            by = f"run {run_id} of {served}"
            found += against_declaration(content, one.id, declaration, by=by, of_a_run=True)
    return found, unread


def _declaration_of(client: Any, run_id: str) -> Declaration | None:
    store = RunStore(client, run_id)
    settings = settings_on_record(store.holdings(store.facts()).evidence)
    return settings.declaration if settings is not None else None


# declaring


def declare_system(
    *,
    config: Config = None,
    tracking_uri: str | None = None,
    owner: str | None = None,
    valid_until: date | None = None,
    reopen: bool = False,
) -> Declared:
    """File the system that ``aims.yaml`` declares, or a revision where it says something new.

    The same declaration again files nothing. One that lapsed is filed again.

    Args:
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        owner: Who answers for the system, where ``aims.yaml`` does not say.
        valid_until: Day it is to be reviewed by; a year from now where None.
        reopen: Declare a system again that was withdrawn.

    Raises:
        ConfigError: there is no ``aims.yaml``, or it is wrong or names no system or owner.
        InputError: the system was withdrawn.
        EvidenceError: its record was deleted or altered.
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    declaration = records.settings.declaration
    system = _named(records)
    answers_for_it = _owner(records, owner)
    state = records.state()
    _check_intact(state, system)
    before = state.get(TYPE, system)
    if before is None or before.record.withdrawn is not None:
        if before is not None and not reopen:
            raise InputError(
                f"the system {system!r} was withdrawn: {before.record.withdrawn}",
                remedy="Declare it again with '--reopen', or under another id.",
            )
        content = content_from(declaration, records.settings.sha256, None)
        filed = records.file(TYPE, content, owner=answers_for_it, id=system, valid_until=valid_until)
        return Declared(filed, is_new=True, notes=tuple(_notes(declaration, None, content)))
    known = _content(records, before)
    content = content_from(declaration, records.settings.sha256, known)
    notes = tuple(_notes(declaration, known, content))
    has_lapsed = before.record.ends is not None and before.record.ends < state.at
    is_known = known is not None and is_same(content, known) and before.record.owner == answers_for_it
    if is_known and not has_lapsed and valid_until in (None, before.record.valid_until):
        return Declared(before, is_new=False, notes=notes)
    if known is None:
        filed = records.file(TYPE, content, owner=answers_for_it, id=system, valid_until=valid_until)
        return Declared(filed, is_new=True, notes=notes)
    said: dict[str, Any] = {"owner": answers_for_it}
    if has_lapsed or valid_until is not None:
        said |= {"valid_from": None, "valid_until": valid_until}
    filed = records.revise(TYPE, system, lambda now: content_from(declaration, records.settings.sha256, now), **said)
    return Declared(filed, is_new=True, notes=notes)


def _check_intact(state: State, system: str) -> None:
    """A record that was deleted or altered is put right first: a revision on top of it would count for nothing.

    Raises:
        EvidenceError: something is wrong with the record.
    """
    for problem in state.problems:
        if problem.blocks and (problem.type, problem.id) == (TYPE, system):
            raise EvidenceError(problem.what, where=f"{TYPE}:{system}", remedy=problem.remedy)


def _named(records: ManagementRecords) -> str:
    """The id of the declared system."""
    settings = records.settings
    if settings.path is None and settings.declaration == Declaration():
        raise ConfigError(
            "no aims.yaml here or in a folder above, and AIMS_CONFIG is not set",
            remedy="Write one with 'aims init', or name it: --config PATH.",
        )
    system = settings.declaration.system.id
    if system is None or not is_filled(system):
        raise ConfigError("the declaration names no system", where=_place(records), remedy="Fill in system.id.")
    return system


def _owner(records: ManagementRecords, given: str | None) -> str:
    declared = records.settings.declaration.system.owner
    owner = given if given is not None else declared.name if declared is not None else None
    if owner is None or not is_filled(owner):
        raise ConfigError(
            "nobody answers for the system",
            where=_place(records),
            remedy="Fill in system.owner.name, or name the owner: --owner NAME.",
        )
    return owner.strip()


def _place(records: ManagementRecords) -> str:
    path = records.settings.path
    return label_of(path) if path is not None else "declaration"


def _content(records: ManagementRecords, filed: Filed) -> SystemContent | None:
    """The content on record; None where it cannot be read: then it is declared anew."""
    try:
        content = content_of(filed.record, records.catalog)
    except AimsError:
        return None
    return content if isinstance(content, SystemContent) else None


def _notes(declaration: Declaration, before: SystemContent | None, content: SystemContent) -> Iterator[str]:
    declared = declaration.system.risk_class
    outcome = outcome_of(before) if before is not None else None
    wrong = outcome.against(declared) if outcome is not None else None
    if wrong:
        yield f"risk class: {wrong}; the record keeps {content.risk_class}"
    elif before is not None and outcome is None and is_lighter(content.risk_class, before.risk_class):
        yield (
            f"risk class: it was {before.risk_class} and is now declared {content.risk_class}; "
            "'aims systems classify --record' gives the reasons"
        )
    if content.risk_class is RiskClass.UNCLASSIFIED:
        yield f"risk class: not known yet; 'aims systems classify --record {declaration.system.id}' asks for it"
    if not content.registered_models:
        yield "registered_models: none is named, so no registered model belongs to the system"


# classifying


@dataclass(frozen=True)
class Recorded:
    """A classification on record."""

    filed: Filed
    is_new: bool
    """Whether a revision was filed; false: the record says it already."""


def record_classification(
    system: str, answers: Mapping[str, object], *, config: Config = None, tracking_uri: str | None = None
) -> Recorded:
    """File answers to the questionnaire, and the class they come to, in the record of a system.

    Where ``aims.yaml`` is about the system and declares a heavier class, that one stays.

    Args:
        system: Its id.
        answers: Question id to ``yes``, ``no`` or ``unsure``.
        config: ``aims.yaml``; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        InputError: there is no such system, or a question or answer that is not there.
        EvidenceError: its record was deleted or altered.
        DeliveryError: MLflow cannot be reached.
    """
    outcome = classify(answers)
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    declared = declared_class(records, system)
    state = records.state()
    before = records.one(state, TYPE, system)
    _check_intact(state, system)
    known = _content(records, before)
    if known is not None and classified(known, outcome, declared) == known:
        return Recorded(before, is_new=False)
    has_lapsed = before.record.ends is not None and before.record.ends < state.at
    said: dict[str, Any] = {"valid_from": None, "valid_until": None} if has_lapsed else {}
    filed = records.revise(TYPE, system, lambda content: classified(content, outcome, declared), **said)
    return Recorded(filed, is_new=True)


def declared_class(records: ManagementRecords, system: str) -> RiskClass:
    """The class the ``aims.yaml`` at hand declares, where it is about that system; ``unclassified`` else."""
    declared = records.settings.declaration.system
    return declared.risk_class if declared.id == system else RiskClass.UNCLASSIFIED


def against_classification(
    outcome: Classification, system: str | None = None, *, config: Config = None, tracking_uri: str | None = None
) -> tuple[str, ...]:
    """Where ``aims.yaml``, or the record of a system, declares less than the questionnaire comes to, in sentences.

    Args:
        outcome: Of the questionnaire.
        system: The system it is about, whose record is looked at too; None: the one of ``aims.yaml``, if there is one.
        config: ``aims.yaml``; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; only asked where a system is named.

    Raises:
        InputError: there is no such system.
        ConfigError: ``aims.yaml`` is wrong.
        DeliveryError: MLflow cannot be reached.
    """
    settings = load_settings(config)
    declared = settings.declaration.system
    found: dict[str, str] = {}
    if system is None or declared.id == system:
        place = label_of(settings.path) if settings.path is not None else "declaration"
        said = (outcome.against(declared.risk_class), outcome.against_role(declared.organization_role))
        found |= {text: place for text in said if text}
    if system is not None:
        records = ManagementRecords(config=config, tracking_uri=tracking_uri)
        known = _content(records, records.one(records.state(), TYPE, system))
        wrong = outcome.against_role(known.organization_role) if known is not None else None
        if wrong:
            found.setdefault(wrong, f"record {TYPE}:{system}")
    return tuple(f"{place}: {text}" for text, place in found.items())
