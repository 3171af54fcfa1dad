"""A profile seen as the tables' comparison sees a table: names, rows, missing values."""

from __future__ import annotations

from dataclasses import dataclass

from aims_mlflow.sketches import ColumnSketch, Profile


@dataclass(frozen=True)
class Gone:
    """How many rows of a column have no value of its type."""

    rows: int

    def missing(self) -> int:
        """Rows without a value: null or NaN, without the column, or with one of another type."""
        return self.rows


class Side:
    """One profile.

    Attributes:
        rows: Rows it tells of.
    """

    def __init__(self, profile: Profile) -> None:
        self.rows = profile.rows - profile.withheld
        self._missing = {name: _gone(sketch) for name, sketch in profile.columns.items() if not lacks(sketch)}
        self._missing |= dict.fromkeys(profile.new_columns, 0)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._missing)

    def __contains__(self, name: object) -> bool:
        return name in self._missing

    def __getitem__(self, name: str) -> Gone:
        return Gone(self._missing[name])


def lacks(sketch: ColumnSketch) -> bool:
    """Whether the column was in none of the rows."""
    return sketch.absent > 0 and not sketch.rows and not sketch.retyped


def _gone(sketch: ColumnSketch) -> int:
    return sketch.missing + sketch.absent + sketch.retyped
