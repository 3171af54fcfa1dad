"""Whether an impact assessment still holds: its triggers, each named, with the moment it was pulled. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from aims_mlflow.catalog import Catalog
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import (
    DriftEvidence,
    EvidenceBase,
    EvidenceStatus,
    FairnessEvidence,
    ModelRef,
    PerformanceEvidence,
    Verdict,
)
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.impact import ImpactContent, latest_of, measured_numbers
from aims_mlflow.management.incidents import IncidentContent
from aims_mlflow.management.risks import RiskContent
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.systems import SystemContent
from aims_mlflow.management.types import content_of

_MOMENT = timedelta(milliseconds=1)

TriggerCode = Literal[
    "data source", "intended use", "region", "model version", "serious incident", "confirmed drift", "unreadable"
]


class Trigger(Record):
    """Something happened that the assessment did not know of."""

    code: TriggerCode
    what: str
    """In a few words: ``new data source 'bureau'``."""
    at: UtcTime
    """When it came to be known, never before the assessment was filed."""

    @property
    def held_until(self) -> datetime:
        """The last moment at which the assessment held."""
        return self.at - _MOMENT


@dataclass(frozen=True)
class ImpactState:
    """An assessment as it stands."""

    filed: Filed
    content: ImpactContent | None
    """None where it cannot be read."""
    at: datetime
    triggers: tuple[Trigger, ...] = ()
    """Earliest first."""
    wanting: tuple[str, ...] = ()
    """What it leaves out: a harm without a measure, a threshold that is not met..."""
    problem: str = ""
    """Why it cannot be read."""

    @property
    def id(self) -> str:
        """The record's id."""
        return self.filed.record.id

    @property
    def ends(self) -> datetime | None:
        """When it ends or ended: by its own date, or because of the first trigger."""
        ends = [trigger.held_until for trigger in self.triggers]
        own = self.filed.record.ends
        return min([*ends, own] if own else ends, default=None)

    @property
    def is_stale(self) -> bool:
        """Whether it does not hold any more, whatever it concluded."""
        return bool(self.triggers) or (self.ends is not None and self.ends < self.at)

    @property
    def is_current(self) -> bool:
        """Whether it holds, is whole, and finds the system acceptable."""
        fine = self.content is not None and self.content.conclusion != "not acceptable"
        return fine and not self.is_stale and not self.wanting and self.filed.record.starts <= self.at

    @property
    def word(self) -> Literal["current", "stale", "not acceptable", "incomplete", "unreadable", "not begun"]:
        """Its state in a word, the worst first."""
        if self.content is None:
            return "unreadable"
        if self.content.conclusion == "not acceptable":
            return "not acceptable"
        if self.is_stale:
            return "stale"
        if self.wanting:
            return "incomplete"
        return "current" if self.filed.record.starts <= self.at else "not begun"

    @property
    def reason(self) -> str:
        """Why it is in that state, in one sentence without the full stop."""
        if self.content is None:
            return self.problem
        if self.content.conclusion == "not acceptable":
            return f"it was found not acceptable: {self.content.reason.rstrip('.')}"
        parts = [trigger.what for trigger in self.triggers]
        if not parts and self.is_stale:
            parts = [f"its record lapsed on {self.filed.record.valid_until}"]
        return "; ".join([*parts, *self.wanting]) or f"assessed by {self.filed.record.owner}"


def state_of(
    one: Filed,
    state: State,
    catalog: Catalog,
    *,
    model: ModelRef | None = None,
    evidence: Sequence[EvidenceBase] = (),
) -> ImpactState:
    """How an assessment stands.

    Args:
        one: The assessment.
        state: What is on record.
        catalog: The register in force.
        model: A version that is held against it, with its content digest; None: none is.
        evidence: About that version: confirmed drift, and the numbers of a version trained anew.
    """
    try:
        content = content_of(one.record, catalog)
    except AimsError as error:
        return ImpactState(one, None, state.at, problem=error.message)
    assert isinstance(content, ImpactContent)  # noqa: S101  (the type of the record says so)
    found = [
        *_of_systems(one, content, state, catalog),
        *_of_version(one, content, model, evidence),
        *_of_incidents(one, state, catalog),
        *_of_drift(one, state, catalog, evidence),
    ]
    pulled = sorted({(t.at, t.code, t.what): t for t in found}.values(), key=lambda t: (t.at, t.code, t.what))
    return ImpactState(one, content, state.at, tuple(pulled), tuple(_wanting(content)))


def _since(one: Filed, moment: datetime) -> datetime:
    return max(moment, one.record.recorded_at)


def _of_systems(one: Filed, content: ImpactContent, state: State, catalog: Catalog) -> Iterable[Trigger]:
    """What the system's own record says otherwise than it did."""
    in_force = {filed.record.id: filed for filed in state.of_type("system")}
    for system in one.record.systems:
        latest, filed = state.get("system", system), in_force.get(system)
        if latest is None or latest.record.withdrawn is not None:
            continue
        at = _since(one, (filed or latest).record.recorded_at)
        try:
            declared = content_of(filed.record, catalog) if filed is not None else None
        except AimsError:
            declared = None
        if isinstance(declared, SystemContent):
            yield from _of_declaration(content, declared, at)
        else:
            yield Trigger(code="unreadable", what=f"the record of system {system} cannot be read", at=at)


def _of_declaration(content: ImpactContent, declared: SystemContent, at: datetime) -> Iterable[Trigger]:
    for source in _new(content.data_sources, declared.data_sources):
        yield Trigger(code="data source", what=f"new data source {source!r}", at=at)
    for source in _new(declared.data_sources, content.data_sources) if declared.data_sources else ():
        yield Trigger(code="data source", what=f"data source {source!r} is not used any more", at=at)
    for region in _new(content.regions, declared.regions):
        yield Trigger(code="region", what=f"new region {region!r}", at=at)
    assessed = content.intended_use if content.declared_use is None else content.declared_use
    if declared.intended_use is not None and _plain(declared.intended_use) != _plain(assessed):
        yield Trigger(code="intended use", what="the intended use was changed", at=at)


def _new(known: Iterable[str], now: Iterable[str]) -> list[str]:
    """Those of now that were not known, in order."""
    before = {_plain(one) for one in known}
    return [one for one in dict.fromkeys(now) if _plain(one) not in before]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")


def _of_version(
    one: Filed, content: ImpactContent, model: ModelRef | None, evidence: Sequence[EvidenceBase]
) -> Iterable[Trigger]:
    if model is None or (model.sha256 is not None and model.sha256 == content.model_sha256):
        return
    named = f"{model.registered_name} {model.version}" if model.registered_name else "the version"
    if content.model_sha256 is None and content.version is not None:
        what = "it names a version without its content: `aims impact new` binds it to that"
    elif content.model_sha256 is None:
        what = "it was made before there was a version"
    elif model.sha256 is None:
        what = f"the files of {named} could not be hashed"
    elif content.retraining.assess == "every version":
        what = f"new model version: {named} has other content than the one assessed"
    else:
        moved = _moved(content, evidence)
        if moved is None:
            return
        what = f"new model version: {named} has other content than the one assessed, and {moved}"
    yield Trigger(code="model version", what=what, at=one.record.recorded_at)


def _moved(content: ImpactContent, evidence: Sequence[EvidenceBase]) -> str | None:
    """How the metrics of a version trained anew moved beyond the limits; None where it is shown that they did not."""
    assessed = {(one.name, one.data): one for one in content.measured if one.direction is not None}
    records = [r for r in evidence if isinstance(r, PerformanceEvidence | FairnessEvidence)]
    if not assessed:
        return "no metric of that one is on record"
    if any(record.verdict is not Verdict.PASS for record in latest_of(records)):
        return "its own metrics are not shown to be within their limits"
    now = {(one.name, one.data): one for one in measured_numbers(records)}
    for key, before in assessed.items():
        after = now.get(key)
        if after is None or after.value is None or before.value is None:
            return f"{before.name} was not measured on it"
        loss = before.value - after.value if before.direction == "higher_is_better" else after.value - before.value
        if loss > content.retraining.max_loss:
            return f"{before.name} moved from {before.value:.4g} to {after.value:.4g}"
    return None


def _of_incidents(one: Filed, state: State, catalog: Catalog) -> Iterable[Trigger]:
    """Serious incidents of its systems it does not rest on: those known since, and those filed since."""
    for filed in _bearing(state, "incident", one):
        record = filed.record
        if record.link in one.record.links:
            continue
        try:
            content = content_of(record, catalog)
        except AimsError:
            yield Trigger(code="unreadable", what=f"{record.link} cannot be read", at=_since(one, record.recorded_at))
            continue
        if not isinstance(content, IncidentContent) or content.severity != "serious":
            continue
        if max(content.aware_at, record.recorded_at) > one.record.recorded_at:
            words = "open serious incident" if content.status != "closed" else "serious incident since"
            known = content.aware_at if content.aware_at > one.record.recorded_at else record.recorded_at
            at = _since(one, min(known, state.at))
            yield Trigger(code="serious incident", what=f"{words} {record.id}", at=at)


def _of_drift(one: Filed, state: State, catalog: Catalog, evidence: Sequence[EvidenceBase]) -> Iterable[Trigger]:
    """Drift confirmed after the assessment: by evidence, or by a risk that the rule opened on such evidence."""
    seen = set()
    for record in evidence:
        if is_confirmed_drift(record) and one.record.recorded_at < record.captured_at <= state.at:
            seen.add(record.digest)
            yield Trigger(
                code="confirmed drift",
                what=f"drift confirmed on {record.captured_at:%Y-%m-%d} (evidence {record.digest[7:19]})",
                at=record.captured_at,
            )
    for filed in _bearing(state, "risk", one):
        if filed.record.link in one.record.links:
            continue
        try:
            content = content_of(filed.record, catalog)
        except AimsError:
            continue  # the register of risks says so
        if not isinstance(content, RiskContent) or content.opened_by != "drift" or seen.issuperset(content.evidence):
            continue
        known = content.confirmed_at
        if known is not None and known > one.record.recorded_at:
            at = min(known, filed.record.recorded_at)
            yield Trigger(code="confirmed drift", what=f"drift was confirmed: risk {filed.record.id}", at=at)


def is_confirmed_drift(record: EvidenceBase) -> bool:
    """Whether it shows drift beyond its limit; an uncertain one does not."""
    return isinstance(record, DriftEvidence) and record.status is EvidenceStatus.OK and record.verdict is Verdict.FAIL


def _bearing(state: State, type_: str, one: Filed) -> list[Filed]:
    """Records of a type on any of the assessment's systems."""
    found = {
        filed.record.link: filed
        for system in one.record.systems
        for filed in state.about(type_, system)
        if filed.record.systems
    }
    return [found[link] for link in sorted(found)]


def _wanting(content: ImpactContent) -> Iterable[str]:
    asks = {"acceptable": ("major", "severe")}.get(content.conclusion, ("minor", "moderate", "major", "severe"))
    for effect in content.effects:
        if effect.kind == "harm" and effect.severity in asks and not (effect.measure or "").strip():
            yield f"no measure is named against a harm to {effect.to}"
    for line in content.thresholds:
        if not line.met:
            yield f"the threshold on {line.what} is not met"
    if not content.effects:
        yield "it names no effect on anybody"
