"""Labels that come late: joined to the rows they are about by id, counted, and never kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aims_mlflow.config import Columns
from aims_mlflow.errors import InputError
from aims_mlflow.frames import Table
from aims_mlflow.monitoring.incoming import batch_of


@dataclass(frozen=True)
class Joined:
    """The true outcome of each row of a batch, where it is known."""

    target: pd.Series
    """One value for each row, null where it is not known."""
    matched: int
    unmatched: int
    duplicate: int = 0
    """Labels that say again what another one of the same id says."""
    conflicting: int = 0
    """Ids with labels that contradict each other: none of them is taken."""
    unknown: int = 0
    """Ids of labels that no row of the batch has."""

    def of(self, places: np.ndarray) -> Joined:
        """For some of the rows, by place. What is not about a row stays as it is."""
        target = self.target.iloc[places].reset_index(drop=True)
        matched = int(target.notna().sum())
        return Joined(target, matched, len(target) - matched, self.duplicate, self.conflicting, self.unknown)

    def counts(self, smallest_cell: int) -> dict[str, int]:
        """The counts as they may be told: 1 up to the smallest cell is told as that."""
        rows = self.matched + self.unmatched
        unmatched = _told(self.unmatched, smallest_cell)
        found = {
            "matched": max(0, rows - unmatched) if unmatched != self.unmatched else self.matched,
            "unmatched": unmatched,
            "duplicate": _told(self.duplicate, smallest_cell),
            "conflicting": _told(self.conflicting, smallest_cell),
            "unknown": _told(self.unknown, smallest_cell),
        }
        return {name: n for name, n in found.items() if n or name in ("matched", "unmatched")}


def _told(count: int, smallest_cell: int) -> int:
    return smallest_cell if 0 < count < smallest_cell else count


def joined(table: Table, labels: Any, columns: Columns, *, on: str | None = None) -> Joined | None:
    """The outcomes of a batch's rows: from its own target column, or from labels by id.

    Args:
        table: The batch.
        labels: A frame, dataset or file with id and target; None: the batch's own target column, where it has one.
        columns: Which column is what.
        on: The id column both share; the first of ``columns.ids`` where None.

    Returns:
        None where nothing says what came out.

    Raises:
        InputError: target or id is not declared, or a column is missing.
    """
    if labels is None:
        return _own(table, columns)
    key, target = _names(columns, on)
    said = batch_of(labels)
    for name, place, where in ((key, table, "the batch"), (key, said, "the labels"), (target, said, "the labels")):
        if name not in place:
            raise InputError(
                f"{where} {'have' if where == 'the labels' else 'has'} no column {name!r}",
                where="labels",
                remedy=f"They are joined by {key!r}, and the outcome stands in {target!r}.",
            )
    known = pd.DataFrame(
        {"key": _keys(said, key), "value": said.select([target]).pandas()[target].reset_index(drop=True)}
    ).dropna()
    before = len(known)
    known = known[~_repeated(known)]
    duplicate = before - len(known)
    twice = known["key"].duplicated(keep=False)
    conflicting = int(known.loc[twice, "key"].nunique())
    known = known[~twice]
    own = _keys(table, key)
    outcome = own.map(known.set_index("key")["value"])
    matched = int(outcome.notna().sum())
    unknown = int((~known["key"].isin(own)).sum())
    return Joined(outcome, matched, table.rows - matched, duplicate, conflicting, unknown)


def _repeated(known: pd.DataFrame) -> pd.Series:
    return known.assign(value=known["value"].map(_text)).duplicated(keep="first")


def _own(table: Table, columns: Columns) -> Joined | None:
    if columns.target is None or columns.target not in table:
        return None
    target = table.select([columns.target]).pandas()[columns.target].reset_index(drop=True)
    matched = int(target.notna().sum())
    return Joined(target, matched, table.rows - matched) if matched else None


def _names(columns: Columns, on: str | None) -> tuple[str, str]:
    key = on or next(iter(columns.ids), None)
    if key is None:
        raise InputError(
            "labels are joined by an id, and none is declared",
            where="labels",
            remedy="Declare columns.ids in aims.yaml, or name it: on=... (--on).",
        )
    if columns.target is None:
        raise InputError(
            "the outcome stands in columns.target, which is not declared",
            where="labels",
            remedy="Declare columns.target in aims.yaml.",
        )
    return key, columns.target


def _keys(table: Table, name: str) -> pd.Series:
    """Ids as text, so that 7, 7.0 and "7" are one; null where missing."""
    values = table.select([name]).pandas()[name].reset_index(drop=True)
    texts: Mapping[Any, str] = {value: _text(value) for value in values.dropna().unique()}
    return values.map(texts)


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()
