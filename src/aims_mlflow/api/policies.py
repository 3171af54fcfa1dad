"""Limits and methods given as arguments, merged with those of ``aims.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aims_mlflow.config import Declaration, Settings, meant_metric
from aims_mlflow.errors import ConfigError, InputError

Config = str | Path | Declaration | Settings | dict[str, Any] | None


def limits_of(metrics: Mapping[str, Any] | None) -> dict[str, dict[str, float]]:
    """Limits as a plain dict.

    Raises:
        InputError: a limit is a bare number, which does not say on which side it stands.
    """
    wrong = [name for name, limit in (metrics or {}).items() if not isinstance(limit, Mapping)]
    if wrong:
        raise InputError(
            "a limit says whether it is the least or the most",
            where=f"metrics[{wrong[0]!r}]",
            remedy=f'Give {{{wrong[0]!r}: {{"min": ...}}}} or {{{wrong[0]!r}: {{"max": ...}}}}.',
        )
    return {name: dict(limit) for name, limit in (metrics or {}).items()}


def refuse_misspelt(metrics: Mapping[str, Any]) -> None:
    """Refuse a limit on a misspelt metric, which nothing would be held against.

    Raises:
        InputError: a name is nearly that of a metric; those of the caller's own are fine.
    """
    for name in metrics:
        meant = meant_metric(name)
        if meant is not None:
            raise InputError(
                f"unknown metric {name[:60]!r}", where=f"metrics[{name[:60]!r}]", remedy=f"Did you mean {meant!r}?"
            )


def stricter(declared: Mapping[str, Any], given: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Declared and given limits together; where both limit a metric, the stricter one of each side."""
    merged: dict[str, dict[str, Any]] = {name: dict(limit) for name, limit in declared.items()}
    for name, limit in given.items():
        held = merged.setdefault(name, {})
        for side, pick in (("min", max), ("max", min)):
            values = [v for v in (held.get(side), limit.get(side)) if v is not None]
            if values:
                held[side] = pick(values)
        held.update({k: v for k, v in limit.items() if k not in {"min", "max"}})
    return merged


def refuse_override(settings: Settings, changes: Mapping[str, Any]) -> None:
    """A limit or method of drift that ``aims.yaml`` declares is not set aside by an argument."""
    policy = settings.declaration.drift
    declared = {
        "threshold": policy.threshold is not None or any(c.threshold is not None for c in policy.columns.values()),
        "method": policy.method != "auto" or any(c.method is not None for c in policy.columns.values()),
    }
    for name in ("threshold", "method"):
        if name in changes and declared[name]:
            raise InputError(
                f"aims.yaml declares the drift {name}", where=name, remedy="Change it there, or leave the argument out."
            )


def with_policy(settings: Settings, section: str, changes: Mapping[str, Any]) -> Settings:
    """The settings with fields of one section changed.

    Raises:
        InputError: the section does not allow the change.
    """
    from pydantic import ValidationError

    if not changes:
        return settings
    plain = settings.declaration.model_dump()
    plain[section] = plain[section] | dict(changes)
    try:
        return Settings(Declaration.model_validate(plain), settings.path, settings.sha256)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"], where=".".join(map(str, first["loc"][1:]))) from error


def check_method(method: str | None) -> None:
    """Refuse the name of a drift method nobody knows.

    Raises:
        InputError: no method has that name.
    """
    if method is None or method == "auto":
        return
    from aims_mlflow.measure.drift.methods import find_method

    try:
        find_method(method)
    except ConfigError as error:
        raise InputError(error.message, where="method", remedy=error.remedy) from error


def names_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """One name may stand for a list of one."""
    return (given,) if isinstance(given, str) else tuple(given)
