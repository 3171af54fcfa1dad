"""How each column of a profile is summarised: fixed by the reference, the same for every part and replica."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

from aims_mlflow.errors import EvidenceError
from aims_mlflow.evidence import sha256_of

PlanKind = Literal["number", "label", "text", "time", "id", "ignored", "unsupported"]

CELLS = 256
"""Cells of a number column's grid at most."""


@dataclass(frozen=True)
class ColumnPlan:
    """How one column is summarised.

    The grid's ends are rounded away from the data; a bin of one single number, and a counted label, is one that at
    least ``smallest_cell`` rows of the reference hold.
    """

    name: str
    kind: PlanKind
    was: str
    """The reference's ``ColumnKind``."""
    dtype: str = ""
    low: float = 0.0
    """Lower end of the grid."""
    width: float = 1.0
    """Width of a cell."""
    cells: int = 0
    starts: tuple[int, ...] = ()
    """First cell of each bin: small neighbours share one."""
    unit: bool = False
    """One cell to a whole number."""
    points: tuple[float, ...] = ()
    """The numbers a column of few distinct ones holds, ascending; empty where there are many, or cells say it."""
    levels: tuple[str, ...] = ()
    """Digests of the labels that are counted one by one."""
    rare: tuple[str, ...] = ()
    """Digests of the labels that are counted together."""
    labels: tuple[str, ...] | None = None
    """The labels of ``levels`` in clear, for columns declared safe."""
    first: str | None = None
    """Digest of the label that sorts first."""
    complete: bool = True
    """Whether every label of the reference is in ``levels`` or ``rare``."""

    @property
    def scale(self) -> float:
        """Cells per unit of the column."""
        return 1.0 / self.width

    @property
    def high(self) -> float:
        """Upper end of the grid."""
        return self.low + self.cells * self.width

    @property
    def range(self) -> float:
        """Width of the grid."""
        return self.cells * self.width


@dataclass(frozen=True)
class Plan:
    """How each column is summarised."""

    columns: tuple[ColumnPlan, ...]

    @cached_property
    def by_name(self) -> Mapping[str, ColumnPlan]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def canonical(self) -> bytes:
        """The plan's one byte form: JSON, keys sorted, what is at its default left out."""
        listed = []
        for column in self.columns:
            own = asdict(column)
            starts = own.pop("starts")
            if starts:
                own["starts"] = _packed(starts)
            for name in ("levels", "rare"):
                own[name] = "".join(own[name])
            listed.append({key: value for key, value in own.items() if value != _DEFAULTS.get(key)})
        document = {"plan": "1", "columns": listed}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "backslashreplace")

    @cached_property
    def sha256(self) -> str:
        """``sha256:`` over the canonical bytes: parts can be merged where it is the same."""
        return sha256_of(self.canonical)

    @classmethod
    def from_bytes(cls, content: bytes) -> Plan:
        """Read the canonical bytes.

        Raises:
            EvidenceError: they are no plan.
        """
        try:
            document = json.loads(content.decode("utf-8"))
            if document["plan"] != "1":
                msg = f"a profile's plan has the unknown version {document['plan']!r}"
                raise EvidenceError(msg, remedy="Read it with the version of aims-mlflow that wrote it.")
            return cls(tuple(_column(own) for own in document["columns"]))
        except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"a profile's plan cannot be read ({type(error).__name__})"
            raise EvidenceError(msg) from None


DIGEST = 12
"""Hexadecimal digits kept of a label's digest."""

_DEFAULTS: dict[str, Any] = {
    field.name: ""
    if field.name in ("levels", "rare")
    else list(field.default)
    if field.default == ()
    else field.default
    for field in fields(ColumnPlan)
    if field.name not in ("name", "kind", "was")
} | {"points": ()}


def _packed(starts: tuple[int, ...]) -> str:
    """The starts as bits of a hexadecimal number, cell 0 the lowest."""
    return f"{sum(1 << start for start in starts):x}"


def _column(own: dict[str, Any]) -> ColumnPlan:
    given = dict(own)
    bits = int(given.pop("starts", "0"), 16)
    for name in ("levels", "rare"):
        joined = given.get(name, "")
        given[name] = tuple(joined[place : place + DIGEST] for place in range(0, len(joined), DIGEST))
    given["points"] = tuple(map(float, given.get("points", ())))
    if given.get("labels") is not None:
        given["labels"] = tuple(given["labels"])
    starts = tuple(place for place in range(bits.bit_length()) if bits >> place & 1)
    plan = ColumnPlan(**given, starts=starts)
    if plan.kind == "number" and not (
        plan.cells > 0 and plan.width > 0 and starts and starts[0] == 0 and starts[-1] < plan.cells
    ):
        msg = "a grid without cells"
        raise ValueError(msg)
    return plan
