"""The templates that records start from, and what is read out of a filled one."""

from __future__ import annotations

from aims_mlflow.management.record_templates.filled import FilledRecord, read_filled
from aims_mlflow.management.record_templates.packaged import asked_of, served_by, template_of

__all__ = ["FilledRecord", "asked_of", "read_filled", "served_by", "template_of"]
