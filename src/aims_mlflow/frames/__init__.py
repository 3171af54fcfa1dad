"""Frames of many libraries, seen as one: columns of values with a kind, nothing copied that need not be."""

from __future__ import annotations

from aims_mlflow.frames.fingerprint import fingerprint_table, schema_digest
from aims_mlflow.frames.kinds import ColumnKind
from aims_mlflow.frames.table import Column, Table, as_column, as_table

__all__ = ["Column", "ColumnKind", "Table", "as_column", "as_table", "fingerprint_table", "schema_digest"]
