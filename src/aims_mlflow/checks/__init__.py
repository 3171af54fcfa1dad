"""Checks: evidence in, one outcome per requirement out. Pure; each a small class whose docstrings are its texts.

Our own are listed in ``BUILTIN``. Others register a class under the entry point group ``aims_mlflow.checks``, named by
its id; a plugin that cannot be loaded stops the assessment, and so does an id that is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import getdoc
from types import MappingProxyType

from aims_mlflow.checks.case import Case, Item, Pool
from aims_mlflow.checks.data import ContentKnown, DriftWithinLimit, RulesMet, TrainingDataTested
from aims_mlflow.checks.declared import DeclaredInFile, FieldsDeclared
from aims_mlflow.checks.judging import judge, result, worst
from aims_mlflow.checks.live import UseOnRecord, WindowsWatched
from aims_mlflow.checks.model import GroupsTreatedAlike, ModelIdentified, PerformanceWithinLimits
from aims_mlflow.checks.protocol import Check
from aims_mlflow.checks.records import OnRecord, StatementInForce, VerdictPassed
from aims_mlflow.checks.run import LineageComplete, RunOnRecord, SoftwarePinned
from aims_mlflow.errors import CatalogError

GROUP = "aims_mlflow.checks"

BUILTIN: tuple[type[Check], ...] = (
    OnRecord,
    VerdictPassed,
    StatementInForce,
    FieldsDeclared,
    DeclaredInFile,
    ContentKnown,
    RulesMet,
    TrainingDataTested,
    DriftWithinLimit,
    ModelIdentified,
    PerformanceWithinLimits,
    GroupsTreatedAlike,
    RunOnRecord,
    SoftwarePinned,
    LineageComplete,
    WindowsWatched,
    UseOnRecord,
)
"""Named here, not found by entry point: a check that silently is not there would be the worst of faults."""

ALIKE_WITHOUT_EVIDENCE: frozenset[type[Check]] = frozenset(BUILTIN) - {TrainingDataTested, GroupsTreatedAlike}
"""Those of ours that look at nothing but the requirement where none of its evidence is on file.

The other two then look at the datasets or the declaration.
"""


@cache
def available_checks() -> Mapping[str, Check]:
    """Our own checks and those of installed plugins, by id; looked up once a process.

    Raises:
        CatalogError: a plugin cannot be loaded, is not a check, or takes an id that is in use.
    """
    return load_checks(entry_points(group=GROUP))


def load_checks(plugins: Iterable[EntryPoint] = ()) -> Mapping[str, Check]:
    """Our own checks and those of the entry points given, by id.

    Raises:
        CatalogError: a plugin cannot be loaded, is not a check, or takes an id that is in use.
    """
    checks: dict[str, Check] = {}
    for made in BUILTIN:
        _add(checks, made(), made.__module__)
    for plugin in sorted(plugins, key=lambda p: (p.name, p.value)):
        origin = f"check plugin {plugin.name!r} ({plugin.dist.name if plugin.dist else plugin.value})"
        try:
            check = plugin.load()()
        except Exception as error:
            message = f"it could not be loaded: {type(error).__name__}: {error}"
            remedy = "Mend or uninstall it: without it, rows would silently go unjudged."
            raise CatalogError(message, where=origin, remedy=remedy) from error
        if not isinstance(check, Check) or check.id != plugin.name:
            remedy = (
                "It needs 'id' (the entry point's name), 'arguments' and 'check(case)': see aims_mlflow.checks.Check."
            )
            raise CatalogError("it is not a check", where=origin, remedy=remedy)
        _add(checks, check, origin)
    return MappingProxyType(checks)


def _add(checks: dict[str, Check], check: Check, origin: str) -> None:
    if check.id in checks:
        taken = type(checks[check.id]).__module__
        raise CatalogError(f"the check id {check.id!r} is taken by {taken}", where=origin, remedy="Choose another id.")
    checks[check.id] = check


def title_of(check: Check) -> str:
    """What the check holds true: the first line of its class docstring."""
    return (getdoc(type(check)) or check.id).splitlines()[0]


def advice_of(check: Check) -> str:
    """What to do about a failure: the first paragraph of ``check``'s docstring, on one line."""
    paragraph = (getdoc(check.check) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


__all__ = [
    "ALIKE_WITHOUT_EVIDENCE",
    "BUILTIN",
    "Case",
    "Check",
    "Item",
    "Pool",
    "advice_of",
    "available_checks",
    "judge",
    "load_checks",
    "result",
    "title_of",
    "worst",
]
