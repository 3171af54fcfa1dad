"""The records as a list: what each says, where it stands, and what is wrong with it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from aims_mlflow.evidence.base import Record
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Problem, State


class Standing(StrEnum):
    """Where a record stands at a moment."""

    IN_FORCE = "in force"
    NOT_YET = "not yet valid"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    BROKEN = "broken"
    """Something is wrong with it: it counts for nothing."""


class Listed(Record):
    """A record with where it stands."""

    record: ManagementRecord
    run_id: str | None = None
    standing: Standing
    reason: str = ""
    """Why it is withdrawn or broken; which revision serves until its day comes."""


def listed(
    state: State,
    *,
    type_id: str | None = None,
    system: str | None = None,
    owner: str | None = None,
    only_current: bool = True,
) -> list[Listed]:
    """The latest revision of each record, by type and id.

    Args:
        state: What was known at the moment.
        type_id: Only this type.
        system: Only those that name this system.
        owner: Only those of this owner, whatever the case of the letters.
        only_current: Without those that are withdrawn.
    """
    problems: dict[tuple[str, str], list[Problem]] = {}
    for problem in state.problems:
        if problem.blocks:
            problems.setdefault((problem.type, problem.id), []).append(problem)
    found = []
    for key, one in state.current.items():
        record = one.record
        wanted = (
            type_id in (None, record.type)
            and (system is None or system in record.systems)
            and (owner is None or owner.strip().casefold() == record.owner.casefold())
            and not (only_current and record.withdrawn is not None)
        )
        if wanted:
            found.append(_listed(one, state, problems.get(key, ())))
    return found


def standing_of(record: ManagementRecord, at: datetime) -> Standing:
    """Where a record that nothing is wrong with stands at a moment."""
    if record.withdrawn is not None:
        return Standing.WITHDRAWN
    if record.starts > at:
        return Standing.NOT_YET
    return Standing.LAPSED if record.ends is not None and record.ends < at else Standing.IN_FORCE


def _listed(one: Filed, state: State, problems: list[Problem] | tuple[()]) -> Listed:
    record = one.record
    stands = standing_of(record, state.at)
    reason = record.withdrawn or ""
    if problems and stands is not Standing.WITHDRAWN:
        stands, reason = Standing.BROKEN, "; ".join(problem.what for problem in problems)
    serving = state.until_then.get(record.key)
    if stands is Standing.NOT_YET and serving is not None:
        reason = f"revision {serving.record.revision} serves until {record.valid_from}"
    return Listed(record=record, run_id=one.run_id, standing=stands, reason=reason)
