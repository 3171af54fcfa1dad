"""Columns of labels, and columns of which only rows are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.sketches.plan import ColumnPlan
from aims_mlflow.sketches.tokens import Distinct, digest_of

Ints = NDArray[np.int64]


@dataclass
class LabelSketch:
    """One column of labels: how many rows hold each of the reference's, and how many something else."""

    plan: ColumnPlan
    counts: Ints
    """Rows of each of the plan's levels."""
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    absent: int = 0
    retyped: int = 0
    withheld: int = 0
    rare: int = 0
    """Rows that hold one of the plan's rare labels."""
    unseen: int = 0
    """Rows that hold a label the reference has not (or one too many for the plan)."""
    distinct: Distinct = field(default_factory=Distinct)
    """Of the unseen labels."""
    _places: dict[Any, int] = field(default_factory=dict, repr=False, compare=False)
    _index: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Rows with a label."""
        return int(self.counts.sum()) + self.rare + self.unseen

    def add(self, labels: Sequence[Any], held: Ints) -> None:
        """Add distinct labels and how many rows hold each."""
        if not self._index:
            self._index = {digest: place for place, digest in enumerate(self.plan.levels)}
            self._index.update(dict.fromkeys(self.plan.rare, -1))
        places = self._places
        unseen = []
        for label, rows in zip(labels, held.tolist(), strict=True):
            place = _look(places, label)
            if place is None:
                if isinstance(label, float) and not isfinite(label):
                    self.infinite += rows
                    continue
                digest = digest_of(self.plan.name, label)
                place = self._index.get(digest)
                if place is None:
                    self.unseen += rows
                    unseen.append(digest)
                    continue
                # Only labels the plan knows are kept, so the store does not grow with the stream.
                places[label] = place
            if place < 0:
                self.rare += rows
            else:
                self.counts[place] += rows
        self.distinct.update(unseen)

    def merge(self, other: LabelSketch) -> LabelSketch:
        """Both together."""
        joined = LabelSketch(
            self.plan,
            self.counts + other.counts,
            *(getattr(self, name) + getattr(other, name) for name in LABEL_COUNTERS),
        )
        joined.distinct = self.distinct.merge(other.distinct)
        return joined


LABEL_COUNTERS = ("rows", "missing", "infinite", "absent", "retyped", "withheld", "rare", "unseen")


def _look(places: dict[Any, int], label: Any) -> int | None:
    try:
        return places.get(label)
    except TypeError:
        return None


@dataclass
class RowSketch:
    """A column of which rows and missing ones are counted, and nothing else: identifiers, time, text."""

    plan: ColumnPlan
    rows: int = 0
    missing: int = 0
    absent: int = 0
    retyped: int = 0
    withheld: int = 0

    @property
    def n(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    def merge(self, other: RowSketch) -> RowSketch:
        """Both together."""
        return RowSketch(self.plan, *(getattr(self, name) + getattr(other, name) for name in ROW_COUNTERS))


ROW_COUNTERS = ("rows", "missing", "absent", "retyped", "withheld")
