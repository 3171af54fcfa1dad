"""The inventory: which declared AI system each registered model belongs to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate

from pydantic import ValidationError

from aims_mlflow.config.sections import RiskClass
from aims_mlflow.management.record import ManagementRecord
from aims_mlflow.management.state import Filed, Problem, State
from aims_mlflow.management.systems import SystemContent

TYPE = "system"
CONTESTED = "contested"
"""Code of the problem that several systems claim a model."""
_WILD = re.compile(r"[*?]")
FIRST_LOOKED_AT = {
    RiskClass.PROHIBITED: 0,
    RiskClass.HIGH: 1,
    RiskClass.UNCLASSIFIED: 2,
    RiskClass.LIMITED: 3,
    RiskClass.MINIMAL: 4,
}
"""What nobody has classified may be high-risk: it comes before what is known to be less."""


@dataclass(frozen=True)
class InventoriedSystem:
    """A declared system with the registered models it claims."""

    filed: Filed
    content: SystemContent | None
    """None where what is on record cannot be read as a system: it then claims nothing, and a problem says so."""
    models: tuple[str, ...] = ()
    """Every registered model it claims, those another system claims as well among them, sorted."""

    @property
    def id(self) -> str:
        """The system's id."""
        return self.filed.record.id

    @property
    def record(self) -> ManagementRecord:
        """Its record, latest revision."""
        return self.filed.record

    @property
    def name(self) -> str:
        """Its name; the id where it cannot be read."""
        return self.content.name if self.content else self.id

    @property
    def risk_class(self) -> RiskClass:
        """Its risk class; ``unclassified`` where it cannot be read."""
        return self.content.risk_class if self.content else RiskClass.UNCLASSIFIED


@dataclass(frozen=True)
class Inventory:
    """Systems, the models of each, and what does not fit.

    A model that two systems claim is in ``contested``, and among the models of both: what is wrong with it is wrong
    with each of them until somebody says whose it is.
    """

    systems: tuple[InventoriedSystem, ...] = ()
    """Prohibited and high-risk ones first, then unclassified ones; by id."""
    assigned: Mapping[str, str] = field(default_factory=dict)
    """Registered model to the one system that claims it."""
    contested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Registered model to the systems that claim it, where they are several."""
    undeclared: tuple[str, ...] = ()
    """Registered models that no system claims, sorted."""
    problems: tuple[Problem, ...] = ()
    """Contested models, declarations that lapsed, have not begun or cannot be read, and broken records of systems."""

    @property
    def without_models(self) -> tuple[str, ...]:
        """Ids of systems without a registered model."""
        return tuple(one.id for one in self.systems if not one.models)

    def get(self, system: str) -> InventoriedSystem | None:
        """The declared system of that id; None where there is none."""
        return next((one for one in self.systems if one.id == system), None)

    def systems_of(self, model: str) -> tuple[str, ...]:
        """Ids of the systems that claim a registered model; empty for one that is undeclared."""
        one = self.assigned.get(model)
        return (one,) if one is not None else self.contested.get(model, ())


def assign(models: Iterable[str], state: State) -> Inventory:
    """Give every registered model to the declared system that claims it.

    A system claims what ``registered_models`` names, outright or by a pattern in which ``*`` stands for any signs and
    ``?`` for one. Case counts, as it does in the registry, and brackets are plain signs, as in the gate's rules.

    Args:
        models: Names of registered models, in any order.
        state: The records; systems that were withdrawn, deleted or altered claim nothing.
    """
    systems = [(one, _content(one)) for one in state.of_type(TYPE)]
    claims = Claims((one.record.id, content.registered_models) for one, content in systems if content is not None)
    assigned: dict[str, str] = {}
    contested: dict[str, tuple[str, ...]] = {}
    undeclared: list[str] = []
    of_system: dict[str, list[str]] = {}
    for model in sorted(set(models)):
        by = claims.on(model)
        if not by:
            undeclared.append(model)
        elif len(by) == 1:
            assigned[model] = by[0]
        else:
            contested[model] = by
        for system in by:
            of_system.setdefault(system, []).append(model)
    listed = [InventoriedSystem(one, content, tuple(of_system.get(one.record.id, ()))) for one, content in systems]
    listed.sort(key=lambda one: (FIRST_LOOKED_AT[one.risk_class], one.id))
    problems = (
        *(p for p in state.problems if p.type == TYPE),
        *(problem for one in listed for problem in _standing_problems(one, state)),
        *(_contested(model, by) for model, by in contested.items()),
    )
    return Inventory(tuple(listed), assigned, contested, tuple(undeclared), problems)


class Claims:
    """Names and patterns of many systems, in an index: a name costs as many looks as there are lengths of prefixes.

    Args:
        given: Id of a system, and the names and patterns it declares.
    """

    def __init__(self, given: Iterable[tuple[str, Iterable[str]]]) -> None:
        self._names: dict[str, list[str]] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for system, declared in given:
            for pattern in dict.fromkeys(declared):
                self._add(system, pattern)
        self._lengths = sorted({len(prefix) for prefix in self._patterns})

    def on(self, model: str) -> tuple[str, ...]:
        """Ids of the systems that claim a model, sorted."""
        found = set(self._names.get(model, ()))
        found.update(self._by_pattern(model))
        return tuple(sorted(found))

    def _add(self, system: str, pattern: str) -> None:
        self._names.setdefault(pattern, []).append(system)
        wild = _WILD.search(pattern)
        if wild is not None:
            compiled = re.compile(translate(pattern.replace("[", "[[]")))
            self._patterns.setdefault(pattern[: wild.start()], []).append((compiled, system))

    def _by_pattern(self, model: str) -> Iterator[str]:
        for length in self._lengths:
            if length > len(model):
                return
            for compiled, system in self._patterns.get(model[:length], ()):
                if compiled.match(model):
                    yield system


def _content(one: Filed) -> SystemContent | None:
    try:
        return SystemContent.model_validate(one.record.content)
    except ValidationError:
        return None


def _standing_problems(one: InventoriedSystem, state: State) -> Iterator[Problem]:
    record = one.record
    if one.content is None:
        yield _problem(one, "unreadable", "what is on record is no system", "Declare it anew: 'aims systems declare'.")
    if record.ends is not None and record.ends < state.at:
        yield _problem(
            one, "lapsed", f"its declaration lapsed on {record.valid_until}", "Review it: 'aims systems declare'."
        )
    if record.starts > state.at:
        yield _problem(
            one, "not_begun", f"its declaration begins on {record.valid_from}", "Declare what holds until then."
        )


def _contested(model: str, by: tuple[str, ...]) -> Problem:
    return Problem(
        code=CONTESTED,
        type=TYPE,
        id=by[0],
        what=f"the registered model {model!r} is claimed by {', '.join(by)}",
        remedy="Narrow 'registered_models' in the aims.yaml of all but one, and declare them again.",
        blocks=False,
    )


def _problem(one: InventoriedSystem, code: str, what: str, remedy: str) -> Problem:
    return Problem(
        code=code,
        type=TYPE,
        id=one.id,
        revision=one.record.revision,
        what=what,
        remedy=remedy,
        run_id=one.filed.run_id,
        blocks=False,
        known_at=one.record.recorded_at,
    )


__all__ = ["Claims", "InventoriedSystem", "Inventory", "assign"]
