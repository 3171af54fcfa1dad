"""Changes to a risk: what may be written, and what a change means for what was accepted. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from aims_mlflow.catalog import Catalog
from aims_mlflow.catalog.register import nearest
from aims_mlflow.errors import InputError
from aims_mlflow.management.risks import RiskContent, unknown_controls
from aims_mlflow.management.types import said_by

_WHAT_WAS_ACCEPTED = (
    "likelihood",
    "consequence",
    "treatment",
    "actions",
    "controls",
    "residual_likelihood",
    "residual_consequence",
)
"""Fields whose change makes an acceptance one of something else."""
_OF_RULES = frozenset({"opened_by", "news", "evidence", "confirmed_at", "log", "accepted_on"})
"""Fields that no person writes by hand."""


def changed(before: RiskContent, given: Mapping[str, Any], *, note: str, weighed: bool, today: date) -> RiskContent:
    """The next content of a risk.

    Args:
        before: The content as it is.
        given: Fields that change.
        note: Why, for its log.
        weighed: Whether a person weighed the risk anew, and so took in what rules found.
        today: The day of the change.

    Raises:
        InputError: a field is wrong.
    """
    plain = before.model_dump()
    changes = dict(given)
    if weighed:
        changes["news"] = ()
    if note.strip():
        changes["log"] = (*before.log, f"{today}: {note.strip()}")
    try:
        made = RiskContent.model_validate(plain | changes)
    except ValidationError as error:
        raise InputError(f"the risk is not valid: {said_by(error)}") from error
    other = any(getattr(made, name) != getattr(before, name) for name in _WHAT_WAS_ACCEPTED)
    if other and "accepted_by" not in changes:
        made = made.model_copy(update={"accepted_by": None, "accepted_on": None, "accepted_because": None})
    elif changes.get("accepted_by"):
        made = made.model_copy(update={"accepted_on": today})
    return made


def check_fields(given: Mapping[str, Any]) -> None:
    """Refuse fields a risk has not, and those only rules write.

    Raises:
        InputError: with the nearest field there is.
    """
    for name in given:
        if name in _OF_RULES:
            raise InputError(f"{name!r} is not written by hand", where=name)
        if name not in RiskContent.model_fields:
            hint = nearest(name, RiskContent.model_fields) or f"There are: {', '.join(RiskContent.model_fields)}."
            raise InputError(f"a risk has no field {name[:60]!r}", where=name, remedy=hint)


def check_controls(catalog: Catalog, given: Mapping[str, Any]) -> None:
    """Refuse ids that are no clause or control.

    Raises:
        InputError: with the nearest id there is.
    """
    named = given.get("controls") or ()
    for control in unknown_controls((named,) if isinstance(named, str) else named, catalog.rows):
        hint = nearest(control, catalog.rows) or "'aims register' lists them."
        raise InputError(f"there is no clause or control {control[:60]!r}", where="controls", remedy=hint)


def free_id(title: str, taken: Collection[str]) -> str:
    """An id from the title: ``biased-labels``, and where that is taken ``biased-labels-2``."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-") or "risk"
    number, name = 1, words
    while name in taken:
        number += 1
        name = f"{words}-{number}"
    return name
