"""How all systems stand: the records, the registry and the assessments the versions in service bear, put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aims_mlflow.assessment import Overall
from aims_mlflow.catalog import Catalog
from aims_mlflow.config import Settings
from aims_mlflow.config.models import Declaration
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import now
from aims_mlflow.gate.policy import demands_signature
from aims_mlflow.gate.statement import TAG, Statement, files_place, read_statement
from aims_mlflow.management.inventory import FIRST_LOOKED_AT, Claims, InventoriedSystem, Inventory, assign
from aims_mlflow.management.portfolio import Portfolio, ServedVersion, SystemStanding
from aims_mlflow.management.soa import applicability_in_force
from aims_mlflow.management.standing import standing_of
from aims_mlflow.management.state import State
from aims_mlflow.managing.registered import InService, Registered, read_registered
from aims_mlflow.managing.then import Then
from aims_mlflow.registry.facts import copied_from

if TYPE_CHECKING:
    from aims_mlflow.managing.records import ManagementRecords

_CLOCKS_DIFFER = timedelta(minutes=5)
_STATUS_TAG = "aims.status"
_LONGEST_CHAIN = 16


def portfolio(records: ManagementRecords, state: State | None = None, *, past: bool | None = None) -> Portfolio:
    """All declared systems, high-risk ones first, each with all rows of the register.

    A system is one on record, or the one ``aims.yaml`` names; where there is none, the organization stands alone. A
    version serves where an alias or a stage other than None and Archived points to it, and counts by the assessment in
    its tag, see ``management.standing``. At a moment that is past, a version serves that served then by the transition
    log of its model; without a log, the one that serves now, for MLflow keeps no history of aliases. Where its
    assessment is of a later moment, it is judged anew from the evidence that was on record then.

    Args:
        records: The records in use.
        state: What was known at a moment; now where None.
        past: Whether that moment is past; None: where it is more than five minutes ago.

    Raises:
        EvidenceError: the transition log of a model, which says what served then, is broken.
        DeliveryError: MLflow cannot be reached.
    """
    known = state if state is not None else records.state()
    registered = read_registered(records.client)
    is_past = known.at < now() - _CLOCKS_DIFFER if past is None else past
    then = Then(records, known.at) if is_past else None
    if then is not None:
        registered = then.served(registered)
    return portfolio_of(known, registered, records.settings, records.catalog, _Sources(records.client), then)


def portfolio_of(
    state: State,
    registered: Registered,
    settings: Settings,
    catalog: Catalog,
    sources: _Sources | None = None,
    then: Then | None = None,
) -> Portfolio:
    """The portfolio of what was read.

    Args:
        state: The records, as they were known at a moment.
        registered: Registered models and their versions in service.
        settings: ``aims.yaml``.
        catalog: The register in force.
        sources: Where copied versions come from; None: they are what they say.
        then: Judges versions anew for a moment that is past; None: what was assessed later counts for nothing.
    """
    inventory = assign(registered.models, state)
    declared = _declared_systems(inventory, settings.declaration, state)
    systems = []
    for one in sorted(declared, key=lambda one: (FIRST_LOOKED_AT[one.risk_class], one.system or "")):
        declaration = declaration_for(one.system, settings.declaration, state, catalog)
        reader = _Reader(one.system, state, catalog, settings.declaration, sources or _Sources(None), then)
        served = [reader.read(version) for model in one.models for version in registered.served.get(model, ())]
        bare = SystemStanding(
            system=one.system,
            name=one.name,
            risk_class=one.risk_class,
            owner=one.owner,
            lifecycle_stage=one.lifecycle_stage,
            versions=tuple(served),
            models=one.models,
        )
        systems.append(standing_of(bare, state, catalog, declaration))
    taken = {model for one in declared for model in one.models}
    return Portfolio(
        at=state.at,
        systems=tuple(systems),
        undeclared=tuple(model for model in inventory.undeclared if model not in taken),
        problems=tuple(str(problem) for problem in inventory.problems),
    )


def declaration_for(system: str | None, declaration: Declaration, state: State, catalog: Catalog) -> Declaration:
    """What ``aims.yaml`` says about a system, with the applicability in force.

    Where it is about another one, its statements, freshness and limits say nothing here.
    """
    own = declaration.system.id
    about_it = system is None or own is None or own == system
    kept = declaration if about_it else Declaration()
    return kept.model_copy(update={"applicability": applicability_in_force(state, declaration, system, catalog)})


def is_nothing_there(tracking_uri: str | None = None) -> bool:
    """Whether MLflow would only now make the database or folder it is pointed at: then there is nothing to read.

    So a question about an empty folder is answered without leaving a database behind.
    """
    from mlflow.tracking import get_registry_uri, get_tracking_uri

    tracking = tracking_uri or get_tracking_uri()
    registry = get_registry_uri() if tracking_uri is None else tracking
    return all(_is_absent(str(uri)) for uri in (tracking, registry))


def _is_absent(uri: str) -> bool:
    if uri.startswith("sqlite:///"):
        name = unquote(uri.removeprefix("sqlite:///").partition("?")[0])
        return name not in ("", ":memory:") and not Path(name).exists()
    if "://" not in uri:
        return not Path(uri.removeprefix("file:")).exists()
    return uri.startswith("file://") and not Path(unquote(uri.removeprefix("file://"))).exists()


# which systems there are


@dataclass(frozen=True)
class _Declared:
    """A system, and where its models come from."""

    system: str | None
    name: str
    risk_class: RiskClass
    owner: str | None
    lifecycle_stage: str | None
    models: tuple[str, ...]


def _declared_systems(inventory: Inventory, declaration: Declaration, state: State) -> list[_Declared]:
    """Systems on record, broken ones too; the one of ``aims.yaml``; the organization alone where there is none."""
    found = [_on_record(one) for one in inventory.systems]
    known = {one.system for one in found}
    for problem in (p for p in state.problems if p.type == "system" and p.blocks and p.id not in known):
        filed = state.get("system", problem.id)
        if filed is not None and filed.record.withdrawn is not None:
            continue
        known.add(problem.id)
        owner = filed.record.owner if filed else None
        found.append(_Declared(problem.id, problem.id, RiskClass.UNCLASSIFIED, owner, None, ()))
    own = declaration.system
    if own.id not in known and (own.id is not None or not known):
        claims = Claims([("own", declaration.registered_models)])
        models = tuple(model for model in inventory.undeclared if claims.on(model))
        found.append(
            _Declared(
                own.id,
                own.name or own.id or "The organization",
                own.risk_class,
                own.owner.name if own.owner else None,
                own.lifecycle_stage,
                models,
            )
        )
    return found


def _on_record(one: InventoriedSystem) -> _Declared:
    return _Declared(
        one.id,
        one.name,
        one.risk_class,
        one.record.owner,
        one.content.lifecycle_stage if one.content else None,
        one.models,
    )


# what the versions bear


@dataclass
class _Sources:
    """Follows copies of versions back to the one that was assessed."""

    client: Any
    _seen: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def original(self, source: str | None) -> str | None:
        """Where the files are: a copy's source is another version, and that one's is looked up."""
        for _ in range(_LONGEST_CHAIN):
            copied = copied_from(source)
            if copied is None or self.client is None:
                break
            before = self._source_of(copied)
            if before is None:  # deleted since: the copy stands for itself
                break
            source = before
        return source

    def _source_of(self, copied: tuple[str, str]) -> str | None:
        from mlflow import MlflowException

        if copied not in self._seen:
            try:
                self._seen[copied] = str(self.client.get_model_version(*copied).source or "")
            except MlflowException:
                self._seen[copied] = None
        return self._seen[copied]


@dataclass(frozen=True)
class _Reader:
    """Reads the assessment in short of the versions of a system."""

    system: str | None
    state: State
    catalog: Catalog
    declaration: Declaration
    sources: _Sources
    then: Then | None

    def read(self, version: InService) -> ServedVersion:
        """A version in service; without a statement, and with the reason, where none counts."""
        statement, problem, is_broken = self._statement(version)
        remedy = f"Assess it: `aims assess models:/{version.uri}`."
        if statement is not None and self._is_later(statement):
            remedy = f"See what was known then: `aims assess models:/{version.uri} --as-of {self.state.at:%Y-%m-%d}`."
        return ServedVersion(
            registered_name=version.model,
            version=version.version,
            targets=version.targets,
            statement=None if problem else statement,
            problem=problem,
            is_broken=is_broken,
            remedy=remedy if problem else "",
            status=version.tags.get(_STATUS_TAG, ""),
        )

    def _is_later(self, said: Statement) -> bool:
        return said.assessed_at > self.state.at + (timedelta() if self.then is not None else _CLOCKS_DIFFER)

    def _statement(self, version: InService) -> tuple[Statement | None, str, bool]:
        """The statement, what is wrong with it, and whether that is an error rather than an absence."""
        text = version.tags.get(TAG)
        if text is None:
            return None, "it was never assessed", False
        gate = self.declaration.gate
        try:
            held = read_statement(text, gate.trusted_keys if gate else {})
        except EvidenceError:
            return None, "its assessment cannot be read", True
        said = held.statement
        wrong = next(self._wrong(version, said), "")
        if wrong:
            return said, wrong, True
        if held.signed_by is None and gate is not None and demands_signature(self.declaration, version.model):
            return said, "its assessment is not signed by a trusted key", True
        if self._is_later(said):
            return self._then(version, said)
        tagged = version.tags.get(_STATUS_TAG)
        if tagged == str(Overall.ERROR) != str(said.overall):
            return said, "what was assessed has changed since, and could not be judged again", True
        if tagged == str(Overall.NOT_ASSESSED):
            return said, "its assessment no longer counts: what it was made on has changed since", False
        return said, self._does_not_count(said), False

    def _then(self, version: InService, said: Statement) -> tuple[Statement, str, bool]:
        """What the assessment would have said at the moment asked for, where that is to be found out."""
        if self.then is None:
            late = f"its assessment is of {said.assessed_at:%Y-%m-%d}, later than the moment asked for"
            return said, late, False
        try:
            before = self.then.statement(version, said)
        except EvidenceError as error:
            return said, f"what was on record of it then cannot be read: {error.message}", True
        return before, self._does_not_count(before), False

    def _wrong(self, version: InService, said: Statement) -> Iterator[str]:
        source = self.sources.original(version.source)
        if source is not None and files_place(source) != said.source:
            yield "its assessment is about other files"
        if version.run_id and said.run_id and version.run_id != said.run_id:
            yield "its assessment is about another run"
        if self.system is not None and said.system_id not in (None, self.system):
            yield f"it was assessed as a version of the system {said.system_id}"

    def _does_not_count(self, said: Statement) -> str:
        return "it was assessed against another register" if said.catalog_sha256 != self.catalog.sha256 else ""
