"""Days and times on the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def as_of_option(*names: str) -> Callable[[_Command], _Command]:
    """``--as-of``, passed on as ``as_of``: None, or the moment.

    Args:
        names: Further names of the option.
    """
    return click.option(
        "--as-of",
        *names,
        "as_of",
        metavar="DATE",
        callback=_read,
        help="What was known and true then: a day (its end, UTC) or a time with its zone.",
    )


def _read(_context: click.Context, _parameter: click.Parameter, given: str | None) -> datetime | None:
    return None if given is None else past(given)


def past(given: str) -> datetime:
    """A moment that is past; of today, whose end is still to come, the present.

    Raises:
        InputError: it is no day or time, or it is to come: what will be known then is not known.
    """
    from aims_mlflow.errors import InputError
    from aims_mlflow.evidence import now
    from aims_mlflow.registry.reviews import moment

    when, present = moment(given), now()
    if when <= present:
        return when
    if "T" not in given.upper() and " " not in given.strip() and when.date() == present.date():
        return present
    raise InputError(f"{given!r} is in the future", remedy="Give a day or time that is past.")
