"""A table in mergeable summaries of constant size."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from aims_mlflow.config import Columns, PrivacyPolicy
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import sha256_of
from aims_mlflow.frames import Column, ColumnKind, Table
from aims_mlflow.sketches.labels import LabelSketch, RowSketch
from aims_mlflow.sketches.numbers import COUNTERS, Grids, NumberSketch, Values, kind_bit
from aims_mlflow.sketches.plan import ColumnPlan, Plan
from aims_mlflow.sketches.planning import LABELS, MOMENTS, NUMBERS, numbers_of, plan_of

ColumnSketch = NumberSketch | LabelSketch | RowSketch

NEW_COLUMNS = 100
"""Names of columns the plan does not know that are kept."""


class Profile:
    """A plan and one mergeable summary per column; its size does not depend on the rows it has seen.

    Attributes:
        plan: How each column is summarised.
        rows: Rows seen, those withheld included.
        withheld: Rows of which nothing but their number is told, because there were fewer than the smallest cell.
        columns: The summary of each column of the plan, by name.
        new_columns: Columns the plan does not know, to the rows they were seen in; at most 100 names.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rows = 0
        self.withheld = 0
        self.new_columns: dict[str, int] = {}
        self._grids = Grids([column for column in plan.columns if column.kind == "number"])
        self._settle()

    def _settle(self) -> None:
        self._state, self._numbers = self._grids.views()
        numbers = iter(self._numbers)
        self.columns: dict[str, ColumnSketch] = {}
        for column in self.plan.columns:
            sketch: ColumnSketch
            if column.kind == "number":
                sketch = next(numbers)
            elif column.kind == "label":
                sketch = LabelSketch(column, np.zeros(len(column.levels), dtype=np.int64))
            else:
                sketch = RowSketch(column)
            self.columns[column.name] = sketch

    @classmethod
    def plan_of(cls, table: Table, *, columns: Columns, privacy: PrivacyPolicy) -> Plan:
        """A plan made for reference data.

        Args:
            table: The reference.
            columns: Which column is what; identifiers, the time column and ignored ones are only counted.
            privacy: The smallest count that may be told.
        """
        return plan_of(table, columns, privacy)

    @classmethod
    def of(cls, table: Table, plan: Plan) -> Profile:
        """The profile of one table."""
        profile = cls(plan)
        profile.add(table)
        return profile

    @classmethod
    def empty(cls, plan: Plan) -> Profile:
        """The profile of no rows."""
        return cls(plan)

    def add(self, table: Table) -> None:
        """Add the rows of a table, in place.

        Columns that are new, missing or of another type are counted (``schema_changes``) and never raise.
        """
        rows = table.rows
        self.rows += rows
        arrays: list[Values | None] = []
        for name, sketch in self.columns.items():
            column = table[name] if name in table else None  # noqa: SIM401  (a table has no get)
            if isinstance(sketch, NumberSketch):
                arrays.append(self._number(sketch, column, rows))
            elif column is None:
                sketch.absent += rows
            elif isinstance(sketch, LabelSketch):
                _add_labels(sketch, column)
            else:
                sketch.rows += rows
                sketch.missing += column.missing()
        if arrays and rows:
            self._grids.add(arrays, rows, self._state, self._numbers)
        for column in table.columns:
            if column.name not in self.columns:
                self.saw_new(column.name, rows)

    def saw_new(self, name: str, rows: int) -> None:
        """Count rows with a column the plan does not know."""
        if name in self.new_columns or len(self.new_columns) < NEW_COLUMNS:
            self.new_columns[name] = self.new_columns.get(name, 0) + rows

    def add_arrays(self, arrays: Mapping[str, Any], rows: int) -> None:
        """Add rows of plain NumPy arrays by column name, in place: the quick way in for a serving process.

        Only columns of numbers (integers, floats, truth values) may be given so; a column of the plan that is not
        given is absent. Use ``add`` for anything else.
        """
        self.rows += rows
        given: list[Values | None] = []
        for name, sketch in self.columns.items():
            array = arrays.get(name)
            if isinstance(sketch, NumberSketch):
                if array is None:
                    sketch.absent += rows
                else:
                    sketch.rows += rows
                    sketch.seen |= {"i": 2, "u": 2, "b": 4}.get(array.dtype.kind, 1)
                given.append(array)
            elif array is None:
                sketch.absent += rows
            else:
                msg = f"column {name!r} is not a column of numbers"
                raise InputError(msg, where=name, remedy="Hand the rows over as a table.")
        if given and rows:
            self._grids.add(given, rows, self._state, self._numbers)

    def _number(self, sketch: NumberSketch, column: Column | None, rows: int) -> Values | None:
        if column is None:
            sketch.absent += rows
            return None
        values = _numbers_for(sketch.plan, column)
        if values is None:
            if column.missing() == rows:
                sketch.rows += rows
                sketch.missing += rows
            else:
                sketch.retyped += rows
            return None
        sketch.rows += rows
        sketch.seen |= kind_bit(column.kind.value)
        return values

    def merge(self, other: Profile) -> Profile:
        """Both together, as if one profile had seen the rows of either.

        Raises:
            InputError: the two have different plans.
        """
        if self.plan is not other.plan and self.plan.sha256 != other.plan.sha256:
            msg = "profiles made by different plans cannot be merged"
            raise InputError(msg, remedy="Make both by the plan of the same reference.")
        joined = Profile.empty(self.plan)
        joined.rows = self.rows + other.rows
        joined.withheld = self.withheld + other.withheld
        for side in (self, other):
            for name, rows in side.new_columns.items():
                joined.new_columns[name] = joined.new_columns.get(name, 0) + rows
        joined.new_columns = dict(sorted(joined.new_columns.items())[:NEW_COLUMNS])
        for name, mine in self.columns.items():
            joined.put(name, mine.merge(other.columns[name]))  # type: ignore[arg-type]
        return joined

    def put(self, name: str, sketch: ColumnSketch) -> None:
        """Take over the content of a column's sketch."""
        own = self.columns[name]
        if isinstance(own, NumberSketch) and isinstance(sketch, NumberSketch):
            own.counts[:], own.blind[:], own.sums[:] = sketch.counts, sketch.blind, sketch.sums
            own.points[:] = sketch.points
            for field in (*COUNTERS, "seen", "others", "rounded"):
                setattr(own, field, getattr(sketch, field))
            for mine, tail in ((own.below, sketch.below), (own.above, sketch.above)):
                mine.counts[:], mine.blind[:], mine.sums[:], mine.far = tail.counts, tail.blind, tail.sums, tail.far
        else:
            self.columns[name] = sketch

    @property
    def schema_changes(self) -> dict[str, dict[str, int]]:
        """Rows by column under ``missing`` (no such column), ``new`` and ``retyped``; empty where nothing changed."""
        found = {
            "missing": {name: own.absent for name, own in self.columns.items() if own.absent},
            "new": dict(self.new_columns),
            "retyped": {name: own.retyped for name, own in self.columns.items() if own.retyped},
        }
        return {word: columns for word, columns in found.items() if columns}

    def to_bytes(self, *, smallest_cell: int) -> bytes:
        """The profile in bytes that may be shipped: canonical, and without a single value.

        Sums of bins with fewer than ``smallest_cell`` values are left out; a profile of fewer rows than that, or a
        column of fewer values, tells only how many there were.
        """
        from aims_mlflow.sketches.coding import encode

        return encode(self, smallest_cell)

    @classmethod
    def from_bytes(cls, content: bytes) -> Profile:
        """Read what ``to_bytes`` wrote.

        Raises:
            EvidenceError: the bytes are damaged, or of an unknown version.
        """
        from aims_mlflow.sketches.coding import decode

        return decode(content)

    def digest(self, *, smallest_cell: int) -> str:
        """``sha256:`` over ``to_bytes``."""
        return sha256_of(self.to_bytes(smallest_cell=smallest_cell))

    @property
    def sha256(self) -> str:
        """``sha256:`` over ``to_bytes`` at the smallest cell of the default policy, or the one it was read with."""
        return self.digest(smallest_cell=self.smallest_cell)

    @cached_property
    def smallest_cell(self) -> int:
        """The smallest cell ``sha256`` goes by."""
        return PrivacyPolicy().smallest_cell

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_state", "_numbers", "_grids")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        columns = self.columns
        self._grids = Grids([column for column in self.plan.columns if column.kind == "number"])
        self._settle()
        for name, sketch in columns.items():
            self.put(name, sketch)


def _numbers_for(plan: ColumnPlan, column: Column) -> Values | None:
    """The column's numbers, if it holds what the plan was made for."""
    was = ColumnKind(plan.was)
    if was in MOMENTS:
        return column.numbers() if column.kind is was else None
    if column.kind in NUMBERS:
        return numbers_of(column)
    if column.kind is ColumnKind.CATEGORY:
        codes, levels = column.codes()
        if levels and all(isinstance(level, int | float | np.number) for level in levels):
            numbers: Values = np.array([*map(float, levels), np.nan])[codes]
            return numbers
    return None


def _add_labels(sketch: LabelSketch, column: Column) -> None:
    rows = len(column)
    was = ColumnKind(sketch.plan.was)
    accepted = LABELS | (NUMBERS if was in NUMBERS else set())
    if was is ColumnKind.CATEGORY:
        accepted |= {ColumnKind.INTEGER, ColumnKind.BOOLEAN}
    if column.kind not in accepted:
        if column.missing() == rows:
            sketch.rows += rows
            sketch.missing += rows
        else:
            sketch.retyped += rows
        return
    try:
        labels, held = column.tallies()
    except InputError:
        # Objects without a text of their own among the labels.
        sketch.retyped += rows
        return
    sketch.rows += rows
    sketch.missing += rows - int(held.sum())
    sketch.add(labels, held)
