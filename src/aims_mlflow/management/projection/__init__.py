"""What the records are evidence of: each one in force becomes evidence the register's checks can judge."""

from __future__ import annotations

from aims_mlflow.evidence import EvidenceBase
from aims_mlflow.management.projection.gaps import gaps
from aims_mlflow.management.projection.impact import impact
from aims_mlflow.management.projection.incidents import incidents
from aims_mlflow.management.projection.reports import reports
from aims_mlflow.management.projection.risks import risks
from aims_mlflow.management.projection.soa import soa
from aims_mlflow.management.projection.statements import broken, statements
from aims_mlflow.management.projection.view import METHOD, View, is_projected


def evidence_of(view: View) -> list[EvidenceBase]:
    """The evidence the records give for a system, a version of it, or the organization.

    A record of the system's own takes the place of the organization's on the same topic. One that was deleted or
    altered, or whose content cannot be read, gives evidence that could not be made, so that its rows say so.
    """
    projectors = (statements, broken, reports, soa, risks, impact, incidents, gaps)
    return [record for project in projectors for record in project(view)]


__all__ = ["METHOD", "View", "evidence_of", "is_projected"]
