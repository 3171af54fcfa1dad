"""Datasets of a run: role, content digest, columns."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase

from aims_mlflow.capture.run import COLLECTOR
from aims_mlflow.config import Datasheet, Declaration
from aims_mlflow.evidence import ColumnFact, DatasetRecord, DatasetRef, Subject, Verdict
from aims_mlflow.evidence.roles import role_of_context
from aims_mlflow.frames import Table, fingerprint_table, schema_digest


def datasheet_for(declaration: Declaration, name: str | None, context: str | None) -> tuple[str, Datasheet] | None:
    """The entry of ``aims.yaml`` that describes a dataset: by its own name first, then by name or context patterns."""
    if name in declaration.datasets:
        return name, declaration.datasets[name]
    for wanted in (name, context):
        if wanted is None:
            continue
        for entry, sheet in declaration.datasets.items():
            if entry == wanted or any(fnmatchcase(wanted, pattern) for pattern in sheet.contexts):
                return entry, sheet
    return None


def role_of(declaration: Declaration, name: str | None, context: str | None) -> str | None:
    """The dataset's role: the declared one, else what MLflow's context means, else the context itself."""
    found = datasheet_for(declaration, name, context)
    if found and found[1].role != "other":
        return str(found[1].role)
    if context is None:
        return None
    return role_of_context(context)


def dataset_ref(
    table: Table, *, name: str | None = None, role: str | None = None, mlflow_digest: str | None = None
) -> DatasetRef:
    """A reference by full content."""
    return DatasetRef(
        name=name,
        role=role,
        sha256=fingerprint_table(table),
        mlflow_digest=mlflow_digest,
        rows=table.rows,
        columns=len(table.columns),
    )


def dataset_record(
    table: Table,
    ref: DatasetRef,
    *,
    subject: Subject,
    captured_at: datetime,
    declaration: Declaration,
    context: str | None = None,
    source_type: str | None = None,
    smallest_cell: int = 5,
) -> DatasetRecord:
    """The dataset as evidence: shape, columns with types and missing counts (small counts rounded up to the cell)."""
    columns = [
        ColumnFact(name=c.name, dtype=c.dtype, missing=_shown(c.missing(), table.rows, smallest_cell))
        for c in table.columns
    ]
    found = datasheet_for(declaration, ref.name, context)
    return DatasetRecord(
        collector=COLLECTOR,
        captured_at=captured_at,
        subject=subject,
        method="SHA-256 over every value, column name and type; counts of missing values "
        f"(1 to {smallest_cell - 1} missing or present are shown as {smallest_cell}).",
        parameters={"smallest_cell": smallest_cell},
        verdict=Verdict.RECORDED,
        reason=f"{table.rows} rows and {len(table.columns)} columns hashed in full.",
        dataset=ref,
        source_type=source_type,
        schema_sha256=schema_digest(table),
        columns=tuple(columns),
        declared_as=found[0] if found else None,
        numbers={"rows": table.rows, "columns": len(table.columns)},
    )


def _shown(missing: int, rows: int, smallest_cell: int) -> int:
    """The count of missing values as it may be told: neither it nor the rest is a few rows."""
    if 0 < missing < smallest_cell:
        return smallest_cell
    if 0 < rows - missing < smallest_cell:
        return max(rows - smallest_cell, smallest_cell)
    return missing
