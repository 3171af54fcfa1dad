"""Rules that span several keys of a declaration, and names that must exist elsewhere.

They look at plain data, not at the validated model, so that they speak even while other keys are still wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from aims_mlflow.config.gate_rules import gate_mistakes
from aims_mlflow.config.metric_names import meant_metric
from aims_mlflow.config.problems import Loc, did_you_mean, nearest


@dataclass(frozen=True)
class KnownNames:
    """Names that are valid outside the declaration. None: not checked."""

    ids: Collection[str] | None = None
    """Ids of clauses and controls."""
    clauses: Collection[str] | None = None
    """Those of ``ids`` that are clauses: they always apply."""
    expectations: Collection[str] | None = None
    """Expectation types of the rule engine itself. Types of the user's own making are none of a mistake; a name that
    is nearly one of these is."""
    drift_methods: Collection[str] | None = None
    disparities: Collection[str] | None = None
    """Names of the fairness disparities."""
    topics: Collection[str] | None = None
    """What an attestation may be about."""


Mistake = tuple[Loc, str]

DRIFT_METHODS = (
    "anderson",
    "chisquare",
    "cramer_von_mises",
    "ed",
    "es",
    "fisher_exact",
    "g_test",
    "hellinger",
    "jensenshannon",
    "kl_div",
    "ks",
    "mannw",
    "empirical_mmd",
    "psi",
    "t_test",
    "perc_text_content_drift",
    "abs_text_content_drift",
    "TVD",
    "wasserstein",
    "z",
)
"""Evidently's names of its drift methods; a test compares them with the installed Evidently."""


def mistakes(plain: dict[str, Any], *, folder: Path, known: KnownNames) -> Iterator[Mistake]:
    """Every mistake of consistency in ``plain``; paths are taken relative to ``folder``."""
    for rule in _RULES:
        yield from rule(plain)
    yield from gate_mistakes(plain, known.ids)
    yield from _files(plain, folder)
    yield from _names(plain, known)


def _section(plain: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        plain = plain.get(key) if isinstance(plain, dict) else None
    return plain if isinstance(plain, dict) else {}


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _limits(plain: dict[str, Any]) -> Iterator[Mistake]:
    for part in ("performance", "fairness"):
        for name, limit in _section(plain, part, "metrics").items():
            if limit is not None and not isinstance(limit, dict):
                continue
            loc: Loc = (part, "metrics", name)
            low, high = _number((limit or {}).get("min")), _number((limit or {}).get("max"))
            if low is not None and high is not None and low > high:
                yield (*loc, "min"), f"expected min <= max, found min {low:g} and max {high:g}"
            elif all((limit or {}).get(key) is None for key in ("min", "max")):
                yield loc, "expected a limit: 'min', 'max' or both (without one nothing is judged)"


def _metric_names(plain: dict[str, Any]) -> Iterator[Mistake]:
    """A limit on a misspelt metric would never be held against anything; names of the user's own are fine."""
    for name in _section(plain, "performance", "metrics"):
        meant = meant_metric(str(name))
        if meant is not None:
            yield ("performance", "metrics", name), f"unknown metric {str(name)[:60]!r}; did you mean {meant!r}?"


_CONFLICTS = {
    "target": ("prediction", "probability", "time", "sensitive", "ids", "ignore"),
    "prediction": ("probability", "time", "sensitive", "ids", "ignore"),
    "probability": ("time", "sensitive", "ids", "ignore", "categorical"),
    "time": ("ids", "ignore", "categorical", "numerical"),
    "ids": ("sensitive", "ignore", "categorical", "numerical", "safe_labels"),
    "sensitive": ("ignore",),
    "categorical": ("numerical",),
}
"""Roles one column cannot have at once."""


def _roles(plain: dict[str, Any]) -> Iterator[Mistake]:
    columns = _section(plain, "columns")

    def holders(role: str) -> list[tuple[Loc, str]]:
        value = columns.get(role)
        if isinstance(value, str):
            return [(("columns", role), value)]
        return [(("columns", role, i), name) for i, name in enumerate(_items(value)) if isinstance(name, str)]

    for role in columns:
        names = [name for _, name in holders(role)]
        for index, (loc, name) in enumerate(holders(role)):
            if name in names[:index]:
                yield loc, f"the column {name!r} stands twice in this list"
    for role, others in _CONFLICTS.items():
        held = {name for _, name in holders(role)}
        for other in others:
            for loc, name in holders(other):
                if name in held:
                    yield loc, f"the column {name!r} is already 'columns.{role}'; one column cannot be both"


def _periods(plain: dict[str, Any]) -> Iterator[Mistake]:
    for index, item in enumerate(_items(plain.get("attestations"))):
        first, last = (_date(_section(item).get(key)) for key in ("valid_from", "valid_until"))
        if first and last and last < first:
            yield (
                ("attestations", index, "valid_until"),
                f"expected no date before valid_from ({first}), found {last}",
            )


def _date(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _reasons(plain: dict[str, Any]) -> Iterator[Mistake]:
    for name, line in _section(plain, "applicability").items():
        reason = _section(line).get("reason")
        if isinstance(reason, str) and reason and not reason.strip():
            yield ("applicability", name, "reason"), "expected a reason, found blanks"
    for name, days in _section(plain, "freshness").items():
        if _number(days) is not None and days < 1:
            yield ("freshness", name), f"expected a number of days >= 1, found {days:g}"


def _datasets(plain: dict[str, Any]) -> Iterator[Mistake]:
    owner: dict[str, str] = {}
    for name, sheet in _section(plain, "datasets").items():
        for index, context in enumerate(_items(_section(sheet).get("contexts"))):
            if isinstance(context, str) and owner.setdefault(context, name) != name:
                taken = f"{context!r} already means the dataset {owner[context]!r}; one name cannot mean two"
                yield ("datasets", name, "contexts", index), taken


_RULES: tuple[Callable[[dict[str, Any]], Iterator[Mistake]], ...] = (
    _limits,
    _metric_names,
    _roles,
    _periods,
    _reasons,
    _datasets,
)


def framework_files(plain: dict[str, Any], folder: Path) -> tuple[Path, ...]:
    """The declared framework files that exist."""
    named = (folder / name for name in _items(plain.get("frameworks")) if isinstance(name, str))
    return tuple(path for path in named if _is_file(path))


def _files(plain: dict[str, Any], folder: Path) -> Iterator[Mistake]:
    named: list[tuple[Loc, Any]] = [(("data_quality", "suite"), _section(plain, "data_quality").get("suite"))]
    named += [(("frameworks", i), name) for i, name in enumerate(_items(plain.get("frameworks")))]
    for loc, name in named:
        if isinstance(name, str) and not _is_file(folder / name):
            yield loc, f"no such file: {name!r} (paths are relative to the folder of aims.yaml)"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _names(plain: dict[str, Any], known: KnownNames) -> Iterator[Mistake]:
    yield from _ids(plain, known)
    if known.expectations is not None:
        for index, rule in enumerate(_items(_section(plain, "data_quality").get("rules"))):
            name = _section(rule).get("type")
            if isinstance(name, str) and misspelt(name, known.expectations):
                yield from _unknown(("data_quality", "rules", index, "type"), name, known.expectations, "expectation")
    if known.drift_methods is not None:
        methods = ("auto", *sorted(known.drift_methods))
        yield from _unknown(("drift", "method"), _section(plain, "drift").get("method"), methods, "drift method")
        for name, column in _section(plain, "drift", "columns").items():
            loc = ("drift", "columns", name, "method")
            yield from _unknown(loc, _section(column).get("method"), methods, "drift method")
    if known.topics is not None:
        for index, item in enumerate(_items(plain.get("attestations"))):
            topic = _section(item).get("topic")
            yield from _unknown(("attestations", index, "topic"), topic, known.topics, "topic of an attestation")
    if known.disparities is not None:
        for name in _section(plain, "fairness", "metrics"):
            yield from _unknown(("fairness", "metrics", name), name, known.disparities, "disparity")


def misspelt(name: str, expectations: Collection[str]) -> bool:
    """Whether a type is no expectation at all, or so near a known one that it was meant."""
    if name in expectations:
        return False
    return not name.startswith("expect_") or nearest(name, expectations, cutoff=0.9) is not None


def _ids(plain: dict[str, Any], known: KnownNames) -> Iterator[Mistake]:
    if known.ids is None:
        return
    what = "id of a clause or control"
    for part in ("freshness", "applicability"):
        for name in _section(plain, part):
            yield from _unknown((part, name), name, known.ids, what)
    for index, item in enumerate(_items(plain.get("attestations"))):
        for position, name in enumerate(_items(_section(item).get("supports"))):
            yield from _unknown(("attestations", index, "supports", position), str(name), known.ids, what)
    for name, line in _section(plain, "applicability").items():
        if name in (known.clauses or ()) and _section(line).get("applicable") is False:
            yield (
                ("applicability", name, "applicable"),
                "a clause always applies; only Annex A controls can be excluded",
            )


def _unknown(loc: Loc, name: Any, valid: Collection[str], what: str) -> Iterator[Mistake]:
    if isinstance(name, str) and name not in valid:
        yield loc, f"unknown {what} {name[:60]!r}{did_you_mean(name, valid)}"
