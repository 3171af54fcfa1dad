"""A reference's numeric columns as summaries that can be kept and merged."""

from __future__ import annotations

from dataclasses import dataclass

from aims_mlflow.errors import InputError
from aims_mlflow.frames import ColumnKind, Table
from aims_mlflow.measure.drift.select import numbers_of
from aims_mlflow.measure.drift.wasserstein import Grid, Summary


@dataclass(frozen=True)
class ReferenceSummary:
    """Summaries of a table's numeric columns by name; 64 KB a column and the values of its outer 0.2 %.

    Never written as evidence: tails are values of the data.
    """

    columns: dict[str, Summary]

    @classmethod
    def of(cls, table: Table, like: ReferenceSummary | None = None) -> ReferenceSummary:
        """Summarise a table (or a part of one, on the grids of ``like``, so that the parts can be merged)."""
        found = {}
        for column in table.columns:
            if column.kind not in {ColumnKind.FLOAT, ColumnKind.INTEGER}:
                continue
            values = numbers_of(column)
            whole = column.kind is ColumnKind.INTEGER
            known = like.columns.get(column.name) if like is not None else None
            if known is not None and known.grid.unit and not whole:
                msg = f"column {column.name!r} held integers before and holds fractions now"
                raise InputError(msg, where=column.name, remedy="Summarise the whole reference anew.")
            found[column.name] = Summary.of(values, known.grid if known is not None else Grid.of(values, whole=whole))
        return cls(found)

    def merge(self, other: ReferenceSummary) -> ReferenceSummary:
        """The summary of both parts together; both must have the same columns, on the same grids.

        Raises:
            InputError: the parts have different columns.
        """
        if self.columns.keys() != other.columns.keys():
            odd = sorted(self.columns.keys() ^ other.columns.keys())
            msg = f"the two parts differ in their numeric columns: {', '.join(map(repr, odd[:5]))}"
            raise InputError(msg)
        return ReferenceSummary({name: mine.merge(other.columns[name]) for name, mine in self.columns.items()})
