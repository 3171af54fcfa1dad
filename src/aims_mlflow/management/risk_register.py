"""The risk register worked out from its records: levels, what is overdue, untreated or not accepted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Literal

from aims_mlflow.catalog import Catalog
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence.base import Record, Sha256, canonical_json, sha256_of
from aims_mlflow.management.risks import Band, RiskContent, RiskCriteria, risk_data, unknown_controls
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.systems import SystemContent
from aims_mlflow.management.types import content_of

CRITERIA = "risk_criteria"
UNASSIGNED = "unassigned"
"""Owner of a risk that a rule opened for a system nobody answers for."""

Topic = Literal["risk_assessment", "risk_treatment_plan", "risk_treatment_results"]
TOPICS: tuple[Topic, ...] = ("risk_assessment", "risk_treatment_plan", "risk_treatment_results")

Code = Literal[
    "unreadable",
    "overdue",
    "lapsed",
    "not weighed",
    "no owner",
    "untreated",
    "untreated above the limit",
    "no measures",
    "unknown control",
    "not accepted",
    "accepted without a name",
    "above the limit",
    "without result",
]

_BEARS_ON: dict[Code, tuple[Topic, ...]] = {
    "unreadable": TOPICS,
    "overdue": TOPICS,
    "lapsed": TOPICS,
    "not weighed": TOPICS,
    "no owner": TOPICS,
    "untreated": TOPICS[1:],
    "untreated above the limit": TOPICS[1:],
    "no measures": TOPICS[1:],
    "unknown control": TOPICS[1:],
    "not accepted": TOPICS[1:2],
    "accepted without a name": TOPICS[1:],
    "above the limit": TOPICS[1:2],
    "without result": TOPICS[2:],
}


class Fault(Record):
    """What is wanting with a risk."""

    code: Code
    risk: str
    """Id of the risk."""
    what: str
    """In a few words, without the risk's id."""
    remedy: str

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Topics of the register that it stands against."""
        return _BEARS_ON[self.code]

    @property
    def is_of_time(self) -> bool:
        """Whether it was in order once, and time went by."""
        return self.code in ("overdue", "lapsed")

    def __str__(self) -> str:
        return f"risk {self.risk}: {self.what}"


@dataclass(frozen=True)
class RiskLine:
    """One risk of the register, as it stands at a moment."""

    filed: Filed
    content: RiskContent | None
    """None where it cannot be read."""
    band: Band | None
    """Of the level that stands."""
    faults: tuple[Fault, ...]
    is_high_risk: bool = False
    """Whether one of its systems is high-risk, or prohibited."""

    @property
    def id(self) -> str:
        """The record's id."""
        return self.filed.record.id

    @property
    def systems(self) -> tuple[str, ...]:
        """Systems it is about; none: the organization."""
        return self.filed.record.systems

    @property
    def left(self) -> int:
        """The level that stands; one that cannot be read counts as the highest."""
        return self.content.left if self.content else 1_000

    @property
    def is_overdue(self) -> bool:
        """Whether its review is."""
        return any(fault.is_of_time for fault in self.faults)

    @property
    def is_live(self) -> bool:
        """Whether it still has to be looked after; one that cannot be read does."""
        return self.content is None or self.content.is_live

    @property
    def ends(self) -> datetime | None:
        """The last moment at which it is in order by its dates; None where closed or unreadable."""
        if self.content is None or not self.is_live:
            return None
        review = end_of(self.content.review_by)
        own = self.filed.record.ends
        return min(review, own) if own else review


class Summary(Record):
    """The register of a system in numbers."""

    system: str | None
    """Null: risks of the organization."""
    risks: int
    live: int
    bands: dict[str, int]
    """Band to number of live risks whose standing level is in it."""
    highest: int
    overdue: int
    untreated: int
    wanting: int
    """Risks with anything wanting."""


@dataclass(frozen=True)
class RiskRegister:
    """The risks of a system with those of the organization, or all there are."""

    at: datetime
    criteria: RiskCriteria
    lines: tuple[RiskLine, ...]
    """High-risk systems first, then the highest level that stands, then by id."""
    criteria_filed: Filed | None = None
    """The record of the criteria; None where those shipped serve."""
    broken: tuple[Fault, ...] = ()
    """Risks, or criteria, on record that something is wrong with: they count for nothing, and nothing passes."""

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """All that is wanting."""
        return (*self.broken, *(fault for line in self.lines for fault in line.faults))

    def against(self, topic: Topic) -> list[Fault]:
        """What stands against a topic, by risk."""
        return [fault for fault in self.faults if topic in fault.topics]

    @cached_property
    def live(self) -> tuple[RiskLine, ...]:
        """Risks that still have to be looked after."""
        return tuple(line for line in self.lines if line.is_live)

    @property
    def ends(self) -> datetime | None:
        """The first moment at which a risk, or the criteria, is not in order any more by its dates alone."""
        ends = [line.ends for line in self.lines if line.ends is not None]
        if self.criteria_filed is not None and self.criteria_filed.record.ends is not None:
            ends.append(self.criteria_filed.record.ends)
        return min(ends, default=None)

    @property
    def dated(self) -> datetime | None:
        """When the risk that was looked at longest ago was: the register is as old as its oldest part."""
        counted = self.live or self.lines
        return min((line.filed.record.recorded_at for line in counted), default=None)

    @cached_property
    def sha256(self) -> Sha256:
        """Over the risks and the criteria."""
        named = sorted([line.filed.record.link, line.filed.record.digest] for line in self.lines)
        criteria = self.criteria_filed.record.digest if self.criteria_filed else self.criteria.model_dump(mode="json")
        return sha256_of(canonical_json({"risks": named, "criteria": criteria}))

    def summary(self, system: str | None) -> Summary:
        """The risks of one system alone, or those of the organization, in numbers."""
        own = [line for line in self.lines if (system in line.systems if system else not line.systems)]
        live = [line for line in own if line.is_live]
        bands = Counter(line.band.name for line in live if line.band)
        return Summary(
            system=system,
            risks=len(own),
            live=len(live),
            bands={band.name: bands[band.name] for band in self.criteria.bands},
            highest=max((line.left for line in live if line.content), default=0),
            overdue=sum(line.is_overdue for line in live),
            untreated=sum(any(f.code.startswith("untreated") for f in line.faults) for line in live),
            wanting=sum(bool(line.faults) for line in own),
        )


def register_of(state: State, catalog: Catalog, system: str | None = None, *, every: bool = False) -> RiskRegister:
    """The register of a system, in which the organization's own risks bear on every system.

    A risk of a system takes the place of none of the organization's: they are different risks.

    Args:
        state: What is on record.
        catalog: The register of controls in force.
        system: The system; None: the organization alone.
        every: All risks there are, of all systems.
    """
    criteria, filed, broken = _criteria(state, catalog)
    found = list(state.of_type("risk") if every else state.about("risk", system))
    named = {name for one in found for name in one.record.systems}
    risky = {one.record.id for one in state.of_type("system") if one.record.id in named and _is_high(one, catalog)}
    lines = [_line(one, state.at, catalog, criteria, risky) for one in found]
    lines.sort(key=lambda line: (not line.is_high_risk, not line.is_live, -line.left, line.id))
    broken += _broken(state, "risk", system, every=every)
    return RiskRegister(state.at, criteria, tuple(lines), filed, tuple(broken))


def end_of(day: date) -> datetime:
    """The last second of a day, UTC."""
    return datetime.combine(day, time.max.replace(microsecond=0), UTC)


def next_review(criteria: RiskCriteria, level: int, today: date) -> date:
    """When a risk of a level is looked at again."""
    return today + timedelta(days=criteria.band(level).review_days)


def criteria_in_force(state: State, catalog: Catalog) -> RiskCriteria:
    """The organization's criteria, else those shipped."""
    return _criteria(state, catalog)[0]


def _criteria(state: State, catalog: Catalog) -> tuple[RiskCriteria, Filed | None, list[Fault]]:
    usual = risk_data().criteria
    broken = _broken(state, CRITERIA, None, every=True)
    filed = max(state.of_type(CRITERIA), key=lambda one: (one.record.recorded_at, one.record.digest), default=None)
    if filed is None:
        return usual, None, broken
    try:
        content = content_of(filed.record, catalog)
    except AimsError as error:
        return usual, filed, [*broken, _unreadable(filed.record.link, error.message)]
    return (content if isinstance(content, RiskCriteria) else usual), filed, broken


def _broken(state: State, type_: str, system: str | None, *, every: bool) -> list[Fault]:
    """Records of a type that count for nothing because something is wrong with them."""
    found = []
    for problem in state.problems:
        filed = state.get(problem.type, problem.id)
        about = every or filed is None or filed.record.is_about(system)
        gone = filed is not None and filed.record.withdrawn is not None and problem.code != "altered"
        if problem.type == type_ and problem.blocks and about and not gone:
            found.append(Fault(code="unreadable", risk=problem.id, what=problem.what, remedy=problem.remedy))
    return found


def _is_high(one: Filed, catalog: Catalog) -> bool:
    try:
        content = content_of(one.record, catalog)
    except AimsError:
        return True  # what cannot be read is looked at first
    return isinstance(content, SystemContent) and content.risk_class in (RiskClass.HIGH, RiskClass.PROHIBITED)


def _line(one: Filed, at: datetime, catalog: Catalog, criteria: RiskCriteria, risky: set[str]) -> RiskLine:
    high = not risky.isdisjoint(one.record.systems)
    try:
        content = content_of(one.record, catalog)
    except AimsError as error:
        return RiskLine(one, None, None, (_unreadable(one.record.id, error.message),), high)
    assert isinstance(content, RiskContent)  # noqa: S101  (the type of the record says so)
    faults = tuple(_faults(one, content, at, catalog, criteria))
    return RiskLine(one, content, criteria.band(content.left), faults, high)


def _unreadable(risk: str, what: str) -> Fault:
    return Fault(code="unreadable", risk=risk, what=what, remedy="File it anew.")


def _faults(
    one: Filed, content: RiskContent, at: datetime, catalog: Catalog, criteria: RiskCriteria
) -> Iterable[Fault]:
    name = one.record.id

    def fault(code: Code, what: str, remedy: str) -> Fault:
        return Fault(code=code, risk=name, what=what, remedy=remedy)

    if not content.is_live:
        if not content.results.strip():
            yield fault("without result", "it was closed without a result", f"`aims risk close {name} --results ...`.")
        return
    if end_of(content.review_by) < at:
        yield fault("overdue", f"its review was due on {content.review_by}", f"`aims risk review {name}`.")
    ends = one.record.ends
    if ends is not None and ends < at:
        yield fault("lapsed", f"its record lapsed on {one.record.valid_until}", f"`aims risk review {name}`.")
    if content.news:
        yield fault("not weighed", "nobody has weighed what a rule found", f"`aims risk review {name}`.")
    if one.record.owner == UNASSIGNED:
        yield fault("no owner", "nobody answers for it", f"`aims risk review {name} --owner ...`.")
    yield from _of_treatment(name, content, catalog, criteria)


def _of_treatment(name: str, content: RiskContent, catalog: Catalog, criteria: RiskCriteria) -> Iterable[Fault]:
    def fault(code: Code, what: str, remedy: str) -> Fault:
        return Fault(code=code, risk=name, what=what, remedy=remedy)

    if content.treatment == "undecided":
        above = content.level > criteria.tolerable
        yield fault(
            "untreated above the limit" if above else "untreated",
            f"it has no treatment, at level {content.level}"
            + (f" above the tolerable {criteria.tolerable}" if above else ""),
            f"`aims risk treat {name}` or `aims risk accept {name}`.",
        )
        return
    if content.treatment != "accept" and not (content.actions or content.controls):
        yield fault("no measures", "its treatment names no action and no control", f"`aims risk treat {name}`.")
    for control in unknown_controls(content.controls, catalog.rows):
        yield fault("unknown control", f"it names {control[:60]!r}, which is no control", f"`aims risk treat {name}`.")
    if not (content.accepted_by or "").strip():
        bare = content.treatment == "accept"
        yield fault(
            "accepted without a name" if bare else "not accepted",
            "it is accepted by nobody named" if bare else "nobody named has accepted what is left",
            f"`aims risk accept {name} --by NAME`.",
        )
    elif _accepted_level(content) > criteria.tolerable and not (content.accepted_because or "").strip():
        yield fault(
            "above the limit",
            f"what is left ({_accepted_level(content)}) lies above the tolerable {criteria.tolerable},"
            " and no reason is given",
            f"`aims risk accept {name} --reason ...`.",
        )
    if content.treatment != "accept" and (content.status == "open" or not content.results.strip()):
        yield fault("without result", "its treatment has no result yet", f"`aims risk treat {name} --results ...`.")


def _accepted_level(content: RiskContent) -> int:
    """What was accepted: what the treatment is to leave; the whole where that was not weighed."""
    residual = content.residual
    return content.level if residual is None or content.treatment == "accept" else residual


def in_words(faults: Sequence[Fault], most: int = 3) -> str:
    """The faults in one sentence, without the full stop."""
    shown = "; ".join(str(fault) for fault in faults[:most])
    return f"{shown} (and {len(faults) - most} more)" if len(faults) > most else shown
