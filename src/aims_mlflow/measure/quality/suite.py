"""A suite: the data-quality rules in force, whoever wrote them, in Great Expectations' language."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aims_mlflow.config.models import DataQualityPolicy
from aims_mlflow.errors import ConfigError
from aims_mlflow.evidence.base import canonical_json, sha256_of

Severity = Literal["critical", "warning", "info"]
Source = Literal["suite", "aims.yaml", "derived", "argument"]

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")

_NOT_PART_OF_THE_RULE = frozenset(
    {
        "result_format",
        "catch_exceptions",
        "include_config",
        "include_rendered_content",
        "batch_id",
        "auto",
        "profiler_config",
        "meta",
        "notes",
        "description",
        "severity",
        "id",
        "rendered_content",
    }
)
"""Arguments Great Expectations 0.18 and 1.x accept beside the rule's own; ``result_format`` may ask for values."""


@dataclass(frozen=True)
class SuiteRule:
    """One rule: a type of expectation and its arguments."""

    type: str
    """Great Expectations' name, ``expect_column_values_to_not_be_null``."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "critical"
    source: Source = "argument"
    id: str = ""
    """The author's id, or 16 hex digits of the SHA-256 over type and arguments."""

    def __post_init__(self) -> None:
        kept = {key: value for key, value in self.kwargs.items() if key not in _NOT_PART_OF_THE_RULE}
        object.__setattr__(self, "kwargs", kept)
        if not self.id:
            object.__setattr__(self, "id", hashlib.sha256(self.content).hexdigest()[:16])

    @cached_property
    def content(self) -> bytes:
        """The one byte form of type and arguments."""
        return canonical_json([self.type, plain(self.kwargs)])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns the arguments point at; empty for a rule about the table."""
        if "column" in self.kwargs:
            return (str(self.kwargs["column"]),)
        if "column_A" in self.kwargs and "column_B" in self.kwargs:
            return (str(self.kwargs["column_A"]), str(self.kwargs["column_B"]))
        several = self.kwargs.get("column_list")
        return tuple(str(name) for name in several) if isinstance(several, list | tuple) else ()


@dataclass(frozen=True)
class EveryColumn:
    """A rule for each column the data turns out to have: set before its columns are known."""

    rule: SuiteRule
    """The rule without its ``column``."""
    apart: frozenset[str] = frozenset()
    """Names of the columns it is not put to."""


@dataclass(frozen=True)
class Suite:
    """A named set of rules."""

    name: str
    rules: tuple[SuiteRule, ...] = ()
    every_column: EveryColumn | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", _with_unique_ids(self.rules))

    @cached_property
    def sha256(self) -> str:
        """``sha256:...`` over type, arguments and severity of every rule; order, ids and names do not count.

        A rule for every column counts once, whatever columns the data has.
        """
        lines = sorted({rule.content + rule.severity.encode() + b"\n" for rule in self.rules})
        if self.every_column is not None:
            every = self.every_column
            lines.append(canonical_json(["every column", sorted(every.apart)]) + every.rule.content + b"\n")
            lines.append(every.rule.severity.encode())
        return sha256_of(b"".join(lines))

    def plus(self, other: Suite) -> Suite:
        """Both suites' rules, under this one's name; a rule that is there already is not added twice."""
        return Suite(self.name, self.rules + other.rules, self.every_column or other.every_column)

    def plus_derived(self, derived: Suite) -> Suite:
        """This suite, and those derived rules whose type and columns its author has not ruled on."""
        ruled = {(rule.type, rule.columns) for rule in self.rules}
        added = tuple(rule for rule in derived.rules if (rule.type, rule.columns) not in ruled)
        return self.plus(Suite(derived.name, added, derived.every_column))

    def over(self, names: Iterable[str]) -> Suite:
        """The suite for data with these columns: the rule for every column put to those that have none of its type."""
        if self.every_column is None:
            return self
        rule, apart = self.every_column.rule, self.every_column.apart
        ruled = {own.columns for own in self.rules if own.type == rule.type}
        put = tuple(
            SuiteRule(rule.type, {"column": name, **rule.kwargs}, severity=rule.severity, source=rule.source)
            for name in names
            if name not in apart and (name,) not in ruled
        )
        return Suite(self.name, self.rules + put)


def _with_unique_ids(rules: Iterable[SuiteRule]) -> tuple[SuiteRule, ...]:
    """The rules, twins left out, and a ``#2`` added where an author used one id for two rules."""
    kept: list[SuiteRule] = []
    twins: set[tuple[bytes, str]] = set()
    seen: dict[str, int] = {}
    for rule in rules:
        twin = (rule.content, rule.severity)
        if twin in twins:
            continue
        twins.add(twin)
        seen[rule.id] = seen.get(rule.id, 0) + 1
        kept.append(rule if seen[rule.id] == 1 else replace(rule, id=f"{rule.id}#{seen[rule.id]}"))
    return tuple(kept)


def plain(value: Any) -> Any:
    """The JSON form of an argument: sets sorted, times in ISO form, NumPy scalars and decimals as Python's."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=lambda item: (type(item).__name__, str(item)))
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item()) if not isinstance(value.item(), np.generic) else str(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return plain(float(value))
    dump = getattr(value, "to_dict", None) or getattr(value, "dict", None)
    return plain(dump()) if callable(dump) and not isinstance(value, type) else str(value)


def suite_from_policy(policy: DataQualityPolicy, *, base: Path | None = None) -> Suite:
    """The rules written in ``aims.yaml``: its suite file (path relative to ``base``) and its inline rules.

    Raises:
        ConfigError: the suite file is absent, is no JSON, or an entry in it is no rule.
    """
    suite = Suite("aims.yaml")
    if policy.suite is not None:
        suite = read_suite((base or Path()) / policy.suite)
    inline = tuple(
        SuiteRule(rule.type, rule.kwargs, severity=rule.severity, source="aims.yaml", id=rule.id or "")
        for rule in policy.rules
    )
    return suite.plus(Suite("aims.yaml", inline))


def read_suite(path: Path) -> Suite:
    """The suite in a JSON file, as Great Expectations 1.x or 0.18 writes it.

    Raises:
        ConfigError: the file is absent, is no JSON, or an entry in it is no rule.
    """
    remedy = "Write the path in data_quality.suite relative to aims.yaml, or take the line out."
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise ConfigError(
            f"the data-quality suite cannot be read: {reason}.", where=str(path), remedy=remedy
        ) from error
    try:
        document = json.loads(content)
    except ValueError as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(
            f"the data-quality suite is not JSON{place}.",
            where=str(path),
            remedy="Save it with ExpectationSuite.to_json_dict() and json.dump.",
        ) from error
    return as_suite(document, name=path.stem, source="suite", where=str(path))


def as_suite(value: Any, *, name: str = "suite", source: Source = "argument", where: str = "") -> Suite:
    """A suite from whatever holds rules.

    Args:
        value: A ``Suite``, a ``great_expectations.ExpectationSuite``, one expectation object, a suite's JSON as dict or
            text, or a list of expectation objects and dicts.
        name: Its name if it has none of its own.
        source: Who wrote it.
        where: The file, for messages.

    Raises:
        ConfigError: an entry is no rule; every such entry is listed.
    """
    if isinstance(value, Suite):
        return value
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ConfigError(
                "the suite is text but not JSON.", where=where, remedy="For a file, call read_suite(path)."
            ) from error
    name, entries, parameters = _entries(value, name, where)
    rules: list[SuiteRule] = []
    problems: list[str] = []
    for place, entry in enumerate(entries):
        try:
            rules.append(_rule(entry, parameters, source))
        except ValueError as error:
            problems.append(f"expectations[{place}]: {error}")
    if problems:
        raise ConfigError(
            f"{len(problems)} of {len(entries)} entries of the suite are no rules; first: {problems[0]}.",
            where=where,
            remedy='A rule is {"type": "expect_...", "kwargs": {...}}.',
            problems=tuple(problems),
        )
    return Suite(name, tuple(rules))


def _entries(value: Any, name: str, where: str) -> tuple[str, Sequence[Any], Mapping[str, Any]]:
    """Name, entries and parameters of anything that holds rules."""
    if isinstance(value, Mapping) and ("type" in value or "expectation_type" in value):
        return name, [value], {}
    if isinstance(value, Mapping) and isinstance(value.get("expectations"), list | tuple):
        own = value.get("name") or value.get("expectation_suite_name")
        parameters = value.get("suite_parameters") or value.get("evaluation_parameters") or {}
        return str(own or name), value["expectations"], parameters
    if isinstance(value, list | tuple):
        return name, value, {}
    if isinstance(getattr(value, "expectations", None), list | tuple):
        return str(value.name), value.expectations, getattr(value, "suite_parameters", None) or {}
    if hasattr(value, "configuration"):
        return name, [value], {}
    raise ConfigError(
        f"rules cannot be read from a {type(value).__name__}.",
        where=where,
        remedy="Give an ExpectationSuite, a list of expectations, or a suite's JSON with a list 'expectations'.",
    )


def _rule(entry: Any, parameters: Mapping[str, Any], source: Source) -> SuiteRule:
    """One entry as a rule.

    Raises:
        ValueError: it is none; the text says what is missing and holds nothing of the entry.
    """
    if isinstance(entry, SuiteRule):
        return entry
    if not isinstance(entry, Mapping):
        configuration = getattr(entry, "configuration", entry)
        if not hasattr(configuration, "type") or not hasattr(configuration, "kwargs"):
            msg = f"a {type(entry).__name__} is neither an object nor an expectation"
            raise ValueError(msg)
        entry = {key: getattr(configuration, key, None) for key in ("type", "kwargs", "meta", "severity", "id")}
    kind = entry.get("type") or entry.get("expectation_type")
    if not isinstance(kind, str) or not kind:
        msg = "'type' is missing"
        raise ValueError(msg)
    kwargs = entry.get("kwargs") or {}
    if not isinstance(kwargs, Mapping):
        msg = "'kwargs' is no object"
        raise ValueError(msg)
    meta = entry.get("meta") if isinstance(entry.get("meta"), Mapping) else {}
    severity = str(getattr(entry.get("severity"), "value", entry.get("severity")) or meta.get("severity") or "critical")
    if severity not in SEVERITIES:
        msg = f"'severity' is none of {', '.join(SEVERITIES)}"
        raise ValueError(msg)
    return SuiteRule(
        kind,
        {str(key): _filled_in(item, parameters) for key, item in kwargs.items()},
        severity=severity,
        source=source,
        id=str(entry.get("id") or meta.get("id") or ""),
    )


def _filled_in(value: Any, parameters: Mapping[str, Any]) -> Any:
    """The argument with the suite's own parameter in the place of ``{"$PARAMETER": name}``."""
    if isinstance(value, Mapping) and set(value) == {"$PARAMETER"}:
        return parameters.get(value["$PARAMETER"], value)
    return value
