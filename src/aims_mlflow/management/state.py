"""What was known and in force at a date, worked out from all revisions ever filed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from heapq import merge
from typing import NamedTuple

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


@dataclass(frozen=True, eq=False, slots=True)
class Filed:
    """A revision as it lies in MLflow.

    ``filing`` gives ones that parse the record when it is asked for; what all records are asked for at once stands
    beside it.
    """

    record: ManagementRecord
    run_id: str | None = None
    """The records run that holds it; None for one that is only drafted."""
    deleted: bool = False
    """Whether somebody deleted its run: it is then known, and counts for nothing."""

    @property
    def systems(self) -> tuple[str, ...]:
        """Of the record."""
        return self.record.systems

    @property
    def links(self) -> tuple[str, ...]:
        """Of the record."""
        return self.record.links

    @property
    def is_withdrawn(self) -> bool:
        """Whether the revision takes the record back."""
        return self.record.withdrawn is not None

    def is_about(self, system: str | None) -> bool:
        """Whether the record bears on a system: records of the organization bear on every one."""
        return not self.systems or system in self.systems

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Filed):
            return NotImplemented
        return (self.record, self.run_id, self.deleted) == (other.record, other.run_id, other.deleted)

    __hash__ = None  # type: ignore[assignment]  # a record holds a dictionary


class Revision(NamedTuple):
    """What is told of a revision to find the one that counts: its place among the others, and when it begins."""

    key: tuple[str, str]
    number: int
    previous: str | None
    digest: str
    recorded_at: datetime
    starts: datetime
    is_withdrawn: bool
    deleted: bool
    run_id: str | None
    filed: Filed | None
    """The revision itself; None where its content was let go, because a later one counts at every moment asked for."""

    @classmethod
    def of(cls, filed: Filed) -> Revision:
        """What is told of a revision that is at hand."""
        record = filed.record
        return cls(
            key=record.key,
            number=record.revision,
            previous=record.previous,
            digest=record.digest,
            recorded_at=record.recorded_at,
            starts=record.starts,
            is_withdrawn=record.withdrawn is not None,
            deleted=filed.deleted,
            run_id=filed.run_id,
            filed=filed,
        )


@dataclass(frozen=True, eq=False)
class State:
    """The records of a management system as they were known at a moment.

    ``current`` holds the latest revision of each record; of two with the same number the one filed first, and a problem
    says so. A record with a problem that blocks, or withdrawn, is not in force. Where the latest revision is not valid
    yet, the one before serves until its day comes (``until_then``).
    """

    at: datetime
    current: dict[tuple[str, str], Filed] = field(default_factory=dict)
    until_then: dict[tuple[str, str], Filed] = field(default_factory=dict)
    """The revision that serves until the latest one is valid, for records where that is another one."""
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, filed: Iterable[Filed], *, at: datetime, problems: Iterable[Problem] = ()) -> State:
        """Work out what was known at ``at``.

        Args:
            filed: Every revision ever filed, in any order.
            at: The moment; what was filed later counts for nothing.
            problems: What the reading of the records found.
        """
        revisions: dict[tuple[str, str], list[Revision]] = {}
        for one in filed:
            revisions.setdefault(one.record.key, []).append(Revision.of(one))
        return cls.of_chains((chain for _, chain in sorted(revisions.items())), at=at, problems=problems)

    @classmethod
    def of_chains(cls, chains: Iterable[list[Revision]], *, at: datetime, problems: Iterable[Problem] = ()) -> State:
        """Work out what was known at ``at``, from one record after the other.

        Args:
            chains: The revisions of each record, in any order; the records by type and id.
            at: The moment; what was filed later counts for nothing.
            problems: What the reading of the records found.
        """
        found = [p for p in problems if p.known_at is None or p.known_at <= at]
        current: dict[tuple[str, str], Filed] = {}
        until_then: dict[tuple[str, str], Filed] = {}
        for chain in chains:
            known = [one for one in chain if one.recorded_at <= at]
            if not known:
                continue
            known.sort(key=lambda o: (o.number, o.recorded_at, o.digest, o.run_id or ""))
            found += _chain_problems(known)
            first_of = {one.number: one for one in reversed(known)}
            latest = first_of[known[-1].number]
            current[latest.key] = _at_hand(latest)
            serving = _serving(first_of, at)
            if serving is not None and serving is not latest:
                until_then[latest.key] = _at_hand(serving)
        found += _link_problems(current)
        found.sort(key=lambda p: (p.type, p.id, p.revision or 0, p.code, p.run_id or "", p.what))
        return cls(at=at, current=current, until_then=until_then, problems=tuple(found))

    @cached_property
    def blocked(self) -> frozenset[tuple[str, str]]:
        """Keys of the records that count for nothing because something is wrong with them."""
        return frozenset((p.type, p.id) for p in self.problems if p.blocks)

    def of_type(self, type_: str) -> Iterator[Filed]:
        """The revision that counts of each record of a type that is not withdrawn and has nothing wrong, by id.

        It is the latest one, or the one before where the latest is not valid yet. Validity is not looked at else: one
        that starts later or has lapsed is there, and whoever uses it says so.
        """
        yield from self._usable.get(type_, ())

    def about(self, type_: str, system: str | None) -> Iterator[Filed]:
        """``of_type``, those that bear on a system."""
        own = self._by_system.get((type_, system), []) if system is not None else []
        general = self._by_system.get((type_, None), [])
        yield from merge(own, general, key=lambda one: one.record.id) if own and general else own or general

    @cached_property
    def _usable(self) -> Mapping[str, list[Filed]]:
        """By type, what ``of_type`` gives: hundreds of systems ask for the records of each."""
        found: dict[str, list[Filed]] = {}
        for key, one in self.current.items():
            if not one.is_withdrawn and not one.deleted and key not in self.blocked:
                found.setdefault(key[0], []).append(self.until_then.get(key, one))
        return found

    @cached_property
    def _by_system(self) -> Mapping[tuple[str, str | None], list[Filed]]:
        """By type and system what names that system, and by type and None what is the organization's, by id."""
        found: dict[tuple[str, str | None], list[Filed]] = {}
        for type_, records in self._usable.items():
            for one in records:
                for system in dict.fromkeys(one.systems) or (None,):
                    found.setdefault((type_, system), []).append(one)
        return found

    def get(self, type_: str, id_: str) -> Filed | None:
        """The latest revision of a record, withdrawn or not; None where there is none."""
        return self.current.get((type_, id_))


def _at_hand(one: Revision) -> Filed:
    """The revision itself.

    Raises:
        LookupError: it was let go, and counts all the same: the moment is not one that the reading was for.
    """
    if one.filed is None:
        raise LookupError(f"revision {one.number} of {':'.join(one.key)} was not kept for this moment")
    return one.filed


def _serving(by_revision: Mapping[int, Revision], at: datetime) -> Revision | None:
    """The latest revision whose first day has come; None where there is none since it was last withdrawn."""
    for number in sorted(by_revision, reverse=True):
        one = by_revision[number]
        if one.is_withdrawn:
            return None
        if one.starts <= at:
            return one
    return None


def _chain_problems(known: list[Revision]) -> list[Problem]:
    """What is wrong with the revisions of one record, sorted by number."""
    found = []
    expected, before = 1, None
    seen: dict[int, str] = {}
    for one in known:
        if one.deleted:
            found.append(
                _problem(
                    "deleted",
                    one,
                    f"revision {one.number} was deleted",
                    "Restore its run: `mlflow runs restore --run-id {run}`.",
                )
            )
        if one.number in seen:
            if seen[one.number] != one.digest:
                found.append(
                    _problem(
                        "conflict",
                        one,
                        f"there are two revisions {one.number}",
                        "File the one that holds as a new revision.",
                        blocks=one.number == known[-1].number,
                    )
                )
            continue
        if one.number != expected:
            found.append(
                _problem(
                    "gap", one, f"revision {expected} is absent", "Restore MLflow's backup, or file the record anew."
                )
            )
        elif before is not None and one.previous != before:
            found.append(
                _problem(
                    "altered",
                    one,
                    f"revision {one.number} does not follow from the one before",
                    "Restore MLflow's backup, or file the record anew.",
                )
            )
        seen[one.number] = one.digest
        expected, before = one.number + 1, one.digest
    return found


def _link_problems(current: dict[tuple[str, str], Filed]) -> list[Problem]:
    """Links that lead nowhere, and circles."""
    resting = {f"{type_}:{id_}": one for (type_, id_), one in current.items() if one.links}
    found = [
        _problem(
            "dangling",
            Revision.of(one),
            f"it rests on {link}, which is not on file",
            "File that record, or mend the link.",
            blocks=False,
        )
        for one in resting.values()
        for link in one.links
        if tuple(link.split(":", 1)) not in current
    ]
    named: set[str] = set()
    for circle in circles({name: one.links for name, one in resting.items()}):
        shown = " -> ".join((*circle, circle[0]))
        found += [
            _problem("circle", Revision.of(resting[name]), f"it rests on itself: {shown}", "Take out one of the links.")
            for name in circle
            if name not in named
        ]
        named.update(circle)
    return found


def circles(links: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Circles of links, each from its smallest name on, sorted: every name that rests on itself is in one of them."""
    graph = {name: sorted({to for to in rest if to in links}) for name, rest in links.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        pass
    else:
        return []
    found: set[tuple[str, ...]] = set()
    covered: set[str] = set()
    for name in sorted(graph):
        circle = () if name in covered else _shortest_way_back(name, graph)
        if circle:
            least = circle.index(min(circle))
            found.add(circle[least:] + circle[:least])
            covered.update(circle)
    return sorted(found)


def _shortest_way_back(start: str, graph: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The names on the shortest way from a name to itself; none where there is no such way."""
    came_from: dict[str, str] = {}
    front = [start]
    while front:
        following = []
        for name in front:
            for to in graph[name]:
                if to == start:
                    way = [name]
                    while way[-1] != start:
                        way.append(came_from[way[-1]])
                    return tuple(reversed(way))
                if to not in came_from:
                    came_from[to] = name
                    following.append(to)
        front = following
    return ()


def _problem(code: str, one: Revision, what: str, remedy: str, *, blocks: bool = True) -> Problem:
    return Problem(
        code=code,
        type=one.key[0],
        id=one.key[1],
        revision=one.number,
        what=what,
        remedy=remedy.replace("{run}", one.run_id or ""),
        run_id=one.run_id,
        blocks=blocks,
        known_at=one.recorded_at,
    )
