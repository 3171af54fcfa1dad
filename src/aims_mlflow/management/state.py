"""What was known and in force at a date, worked out from all revisions ever filed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.management.record import ManagementRecord


class Problem(Record):
    """Something wrong with the records themselves: never passed over, and never a reason to believe one."""

    code: str
    """``unreadable``, ``altered``, ``deleted``, ``gap``, ``conflict``, ``circle``, ``dangling``, ``unfinished``."""
    type: str
    id: str
    revision: int | None = None
    what: str
    """In one sentence."""
    remedy: str
    run_id: str | None = None
    blocks: bool = True
    """Whether the record counts for nothing because of it."""
    known_at: UtcTime | None = None
    """When the revision it is about was filed, as far as that can be told."""

    def __str__(self) -> str:
        return f"{self.type}:{self.id}: {self.what}. {self.remedy}"


@dataclass(frozen=True)
class Filed:
    """A revision as it lies in MLflow."""

    record: ManagementRecord
    run_id: str | None = None
    """The records run that holds it; None for one that is only drafted."""
    deleted: bool = False
    """Whether somebody deleted its run: it is then known, and counts for nothing."""


@dataclass(frozen=True, eq=False)
class State:
    """The records of a management system as they were known at a moment.

    ``current`` holds the latest revision of each record; of two with the same number the one filed first, and a problem
    says so. A record with a problem that blocks, or withdrawn, is not in force.
    """

    at: datetime
    current: dict[tuple[str, str], Filed] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, filed: Iterable[Filed], *, at: datetime, problems: Iterable[Problem] = ()) -> State:
        """Work out what was known at ``at``.

        Args:
            filed: Every revision ever filed, in any order.
            at: The moment; what was filed later counts for nothing.
            problems: What the reading of the records found.
        """
        revisions: dict[tuple[str, str], list[Filed]] = {}
        for one in filed:
            if one.record.recorded_at <= at:
                revisions.setdefault(one.record.key, []).append(one)
        found = [p for p in problems if p.known_at is None or p.known_at <= at]
        current: dict[tuple[str, str], Filed] = {}
        for key, known in revisions.items():
            known.sort(key=lambda one: (one.record.revision, one.record.recorded_at, one.record.digest))
            found += _chain_problems(known)
            latest = known[-1].record.revision
            current[key] = next(one for one in known if one.record.revision == latest)
        ordered = {key: current[key] for key in sorted(current)}
        found += _link_problems(ordered)
        return cls(at=at, current=ordered, problems=tuple(found))

    @cached_property
    def blocked(self) -> frozenset[tuple[str, str]]:
        """Keys of the records that count for nothing because something is wrong with them."""
        return frozenset((p.type, p.id) for p in self.problems if p.blocks)

    def of_type(self, type_: str) -> Iterator[Filed]:
        """The latest revision of each record of a type that is not withdrawn and has nothing wrong, by id.

        Validity is not looked at: one that starts later or has lapsed is there, and whoever uses it says so.
        """
        for key, one in self.current.items():
            if key[0] == type_ and one.record.withdrawn is None and not one.deleted and key not in self.blocked:
                yield one

    def about(self, type_: str, system: str | None) -> Iterator[Filed]:
        """``of_type``, those that bear on a system."""
        return (one for one in self.of_type(type_) if one.record.is_about(system))

    def get(self, type_: str, id_: str) -> Filed | None:
        """The latest revision of a record, withdrawn or not; None where there is none."""
        return self.current.get((type_, id_))


def _chain_problems(known: list[Filed]) -> list[Problem]:
    """What is wrong with the revisions of one record, sorted by number."""
    found = []
    expected, before = 1, None
    seen: dict[int, str] = {}
    for one in known:
        record = one.record
        if one.deleted:
            found.append(
                _problem(
                    "deleted",
                    one,
                    f"revision {record.revision} was deleted",
                    "Restore its run: `mlflow runs restore --run-id {run}`.",
                )
            )
        if record.revision in seen:
            if seen[record.revision] != record.digest:
                found.append(
                    _problem(
                        "conflict",
                        one,
                        f"there are two revisions {record.revision}",
                        "File the one that holds as a new revision.",
                        blocks=record.revision == known[-1].record.revision,
                    )
                )
            continue
        if record.revision != expected:
            found.append(
                _problem(
                    "gap", one, f"revision {expected} is absent", "Restore MLflow's backup, or file the record anew."
                )
            )
        elif before is not None and record.previous != before:
            found.append(
                _problem(
                    "altered",
                    one,
                    f"revision {record.revision} does not follow from the one before",
                    "Restore MLflow's backup, or file the record anew.",
                )
            )
        seen[record.revision] = record.digest
        expected, before = record.revision + 1, record.digest
    return found


def _link_problems(current: dict[tuple[str, str], Filed]) -> list[Problem]:
    """Links that lead nowhere, and circles."""
    links = {one.record.link: one for one in current.values()}
    found = [
        _problem(
            "dangling",
            one,
            f"it rests on {link}, which is not on file",
            "File that record, or mend the link.",
            blocks=False,
        )
        for one in current.values()
        for link in one.record.links
        if link not in links
    ]
    for circle in circles({name: one.record.links for name, one in links.items()}):
        one = links[circle[0]]
        found.append(
            _problem(
                "circle", one, f"it rests on itself: {' -> '.join((*circle, circle[0]))}", "Take out one of the links."
            )
        )
    return found


def circles(links: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Circles of links, each from its smallest name on, sorted; taking out one link of each leaves none."""
    graph = {name: {to for to in rest if to in links} for name, rest in links.items()}
    found = []
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # The nodes are named from a link's end to its start, the first one again at the end.
            circle = list(reversed(error.args[1]))[:-1]
            least = circle.index(min(circle))
            found.append(tuple(circle[least:] + circle[:least]))
            graph[circle[-1]].discard(circle[0])
            continue
        return sorted(found)


def _problem(code: str, one: Filed, what: str, remedy: str, *, blocks: bool = True) -> Problem:
    record = one.record
    return Problem(
        code=code,
        type=record.type,
        id=record.id,
        revision=record.revision,
        what=what,
        remedy=remedy.replace("{run}", one.run_id or ""),
        run_id=one.run_id,
        blocks=blocks,
        known_at=record.recorded_at,
    )
