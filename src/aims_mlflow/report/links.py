"""Links into the MLflow UI, in the only forms that survive a path prefix and open the right sidebar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import quote

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import Subject

_QUERY = "?workflowType=machine_learning"
_SAFE = re.compile(r"#/[A-Za-z0-9/._~%?=&:@+-]*")


def _checked(name: str, link: str) -> None:
    if not _SAFE.fullmatch(link):
        remedy = "Give one that starts with '#/'."
        raise InputError(f"'{name}' is not a link inside the MLflow UI", where="ReportLinks", remedy=remedy)


@dataclass(frozen=True, slots=True)
class ReportLinks:
    """Links that start with ``#/``; null where there is no such page.

    They work in Markdown (artifact and description); the HTML report has none, since MLflow's sandbox blocks them.
    """

    run: str | None = None
    report: str | None = None
    """The HTML report in the run's artifacts."""
    rows: str | None = None
    """The Markdown report, whose links work."""
    assessment: str | None = None
    version: str | None = None
    """The registered model version."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Digest of a record to the link of its file."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, str):
                _checked(entry.name, value)
        for digest, link in self.evidence.items():
            _checked(digest, link)


def report_links(subject: Subject, *, folder: str = "aims", evidence: Mapping[str, str] | None = None) -> ReportLinks:
    """The links of a subject's run and version.

    Args:
        subject: What was assessed; without an experiment id there are no run links.
        folder: Artifact folder that holds the report.
        evidence: Digest to the path of its file below ``folder``.
    """
    run, model = subject.run, subject.model
    version = None
    if model and model.registered_name and model.version:
        version = f"#/models/{quote(model.registered_name, safe='')}/versions/{quote(model.version, safe='')}{_QUERY}"
    if run is None or run.experiment_id is None:
        return ReportLinks(version=version)
    base = f"#/experiments/{quote(run.experiment_id, safe='')}/runs/{quote(run.run_id, safe='')}"

    def artifact(path: str) -> str:
        return f"{base}/artifacts/{quote(folder)}/{quote(path)}{_QUERY}"

    return ReportLinks(
        run=base + _QUERY,
        report=artifact("report.html"),
        rows=artifact("report.md"),
        assessment=artifact("assessment.json"),
        version=version,
        evidence={digest: artifact(path) for digest, path in (evidence or {}).items()},
    )
