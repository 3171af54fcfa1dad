"""What confirmed failures of versions in service do to the register: open a risk, or add to the one that is open. Pure.

A failure is confirmed where evidence was held against its limit and failed; one that is uncertain, or could not be
tested, opens nothing. While a risk of the same cause and system is open, further failures are its next revisions; once
it is closed, the next failure opens another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from aims_mlflow.catalog import Catalog
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence import (
    DataQualityEvidence,
    DriftEvidence,
    EvidenceBase,
    EvidenceStatus,
    FairnessEvidence,
    Verdict,
)
from aims_mlflow.evidence.roles import role_of_context
from aims_mlflow.management.impact import latest_of
from aims_mlflow.management.risk_register import criteria_in_force, next_review
from aims_mlflow.management.risks import RiskContent, risk_data
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.types import content_of


@dataclass(frozen=True)
class Signal:
    """A confirmed failure of a version in service."""

    rule: str
    """Kind of the evidence: ``drift``, ``data_quality`` or ``fairness``."""
    system: str
    version: str
    """``name/version``."""
    evidence: str
    """Digest of the evidence."""
    at: datetime
    """When it was measured."""


@dataclass(frozen=True)
class Step:
    """A risk to open or to revise."""

    id: str
    system: str
    content: RiskContent
    signals: tuple[Signal, ...]
    """What is new."""
    before: Filed | None = None
    """The risk as it is; None for one to open."""


def signals_of(evidence: Iterable[EvidenceBase], *, system: str, version: str) -> list[Signal]:
    """The confirmed failures among the evidence about a version.

    Of data that were mended the latest counts; of live data every window does, since what went wrong in one did so
    whatever came later.
    """
    records = [r for r in evidence if isinstance(r, DriftEvidence | DataQualityEvidence | FairnessEvidence)]
    live = [r for r in records if _is_live(r)]
    counted = {r.digest: r for r in (*latest_of(records), *live)}
    return [
        Signal(r.kind, system, version, r.digest, r.captured_at)
        for r in sorted(counted.values(), key=lambda r: (r.captured_at, r.digest))
        if isinstance(r, DriftEvidence | DataQualityEvidence | FairnessEvidence)
        and r.status is EvidenceStatus.OK
        and r.verdict is Verdict.FAIL
    ]


def _is_live(record: DriftEvidence | DataQualityEvidence | FairnessEvidence) -> bool:
    dataset = record.current if isinstance(record, DriftEvidence) else record.dataset
    role = dataset.role if dataset is not None else None
    return role is not None and role_of_context(role).lower() == "production"


def steps(signals: Iterable[Signal], state: State, catalog: Catalog) -> list[Step]:
    """What the failures ask for; nothing for those that are on the register.

    Args:
        signals: The failures, in any order.
        state: What is on record.
        catalog: The register in force.
    """
    by_cause: dict[tuple[str, str], dict[str, Signal]] = {}
    for one in signals:
        by_cause.setdefault((one.rule, one.system), {}).setdefault(one.evidence, one)
    made = []
    for (rule, system), found in sorted(by_cause.items()):
        episodes = _episodes(rule, system, state, catalog)
        known = {digest for _, content in episodes for digest in content.evidence}
        new = sorted((s for d, s in found.items() if d not in known), key=lambda s: (s.at, s.evidence))
        if new:
            made.append(_step(rule, system, new, episodes, state, catalog))
    return made


def added_to(before: RiskContent, new: Sequence[Signal], today: date) -> RiskContent:
    """The next content of a risk: the failures in it, and nobody has weighed or accepted that yet."""
    fresh = [signal for signal in new if signal.evidence not in before.evidence]
    if not fresh:
        return before
    news = tuple(_words(signal) for signal in fresh)
    at = max(signal.at for signal in fresh)
    return before.model_copy(
        update={
            "status": "open",
            "evidence": (*before.evidence, *(signal.evidence for signal in fresh)),
            "versions": tuple(dict.fromkeys((*before.versions, *(signal.version for signal in fresh)))),
            "confirmed_at": max(at, before.confirmed_at) if before.confirmed_at else at,
            "news": (*before.news, *news),
            "log": (*before.log, *(f"{today}: {line}" for line in news)),
            "accepted_by": None,
            "accepted_on": None,
            "accepted_because": None,
        }
    )


def _episodes(rule: str, system: str, state: State, catalog: Catalog) -> list[tuple[Filed, RiskContent]]:
    """The risks the rule ever opened for the system, those that count for nothing too: what they knew is known."""
    found = []
    for (type_, _), filed in state.current.items():
        if type_ != "risk" or system not in filed.systems:
            continue
        try:
            content = content_of(filed.record, catalog)
        except AimsError:
            continue
        if isinstance(content, RiskContent) and content.opened_by == rule:
            found.append((filed, content))
    return found


def _step(
    rule: str,
    system: str,
    new: Sequence[Signal],
    episodes: Sequence[tuple[Filed, RiskContent]],
    state: State,
    catalog: Catalog,
) -> Step:
    today = state.at.date()
    for filed, content in episodes:
        counts = filed.record.withdrawn is None and not filed.deleted and filed.record.key not in state.blocked
        if counts and content.is_live:
            return Step(filed.record.id, system, added_to(content, new, today), tuple(new), filed)
    how = risk_data().rules[rule]
    level = how.likelihood * how.consequence
    bare = RiskContent(
        title=how.title.format(system=system),
        source=how.source,
        event=how.event,
        affects=how.affects,
        likelihood=how.likelihood,
        consequence=how.consequence,
        controls=how.controls,
        review_by=next_review(criteria_in_force(state, catalog), level, today),
        opened_by=rule,
    )
    return Step(_free(rule, system, state), system, added_to(bare, new, today), tuple(new))


def _free(rule: str, system: str, state: State) -> str:
    """``drift-loans``, and for a later episode ``drift-loans-2``."""
    base = f"{rule.replace('_', '-')}-{system}"[:90]
    number, name = 1, base
    while state.get("risk", name) is not None:
        number += 1
        name = f"{base}-{number}"
    return name


def _words(signal: Signal) -> str:
    kind = signal.rule.replace("_", " ")
    return f"{kind} failed on {signal.at:%Y-%m-%d} in {signal.version} (evidence {signal.evidence[7:19]})"
