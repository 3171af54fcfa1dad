"""Assessment and evidence as a page a reviewer can read. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from aims_mlflow.assessment import Assessment
from aims_mlflow.catalog import load_catalog
from aims_mlflow.catalog.packaged import template_root
from aims_mlflow.controls import Framework
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import EvidenceBase
from aims_mlflow.gate.standing import Standing
from aims_mlflow.report import words
from aims_mlflow.report.description import controls_matrix, description_block, merge_description, restate
from aims_mlflow.report.detail import LEVELS, Detail
from aims_mlflow.report.environment import environment
from aims_mlflow.report.gate import build_gate
from aims_mlflow.report.links import ReportLinks, report_links
from aims_mlflow.report.measured import BODIES
from aims_mlflow.report.page import Page, build_page
from aims_mlflow.report.records import Section, build_sections

REPORTS: dict[str, str] = {
    "report.html": "assessment.html.j2",
    "report.md": "assessment.md.j2",
}
"""Name of the report, which is its file name under ``aims/``, to its template."""

_Contents = tuple[Page, tuple[Section, ...]]
"""What every format shows at one level of detail."""

_SIZE_LIMIT = {"report.html": 300_000, "report.md": 100_000}
"""Bytes. The page stays quick to open; MLflow renders long Markdown slowly."""


def render(
    name: str,
    assessment: Assessment,
    evidence: Sequence[EvidenceBase],
    *,
    links: ReportLinks | None = None,
    manifest_sha256: str | None = None,
    owner: str | None = None,
    frameworks: Sequence[Framework] | None = None,
    standing: Standing | None = None,
) -> str:
    """Render one report.

    Everything that came from outside is escaped for the format. Long evidence is shortened, and the page says by how
    much, until the text fits the format's size limit (300 KB of HTML, 100 KB of Markdown); every row of the register
    is always written.

    Args:
        name: A key of ``REPORTS``.
        assessment: What was found.
        evidence: The records it rests on. A record named by the assessment and not given here is listed as such.
        links: Links of the Markdown form; the HTML form has none, since MLflow's viewer blocks them.
        manifest_sha256: Digest of the evidence manifest, where it is known already.
        owner: Who answers for the system; null to read it from the declaration among the evidence.
        frameworks: Where groups and their titles come from; null for the built-in register. Rows of a framework that is
            not among them stand in one group.
        standing: How the registered version stands before the gate; null where nothing guards it.

    Raises:
        InputError: no report of that name.
        AimsError: the templates are not installed.
    """
    return _render(name, assessment, evidence, links, manifest_sha256, owner, frameworks, {}, standing)


def render_reports(
    assessment: Assessment,
    evidence: Sequence[EvidenceBase],
    *,
    links: ReportLinks | None = None,
    frameworks: Sequence[Framework] | None = None,
    standing: Standing | None = None,
) -> dict[str, str]:
    """Render every report, name to text; what they share is worked out once. Arguments and errors as in ``render``."""
    pages: dict[Detail, _Contents] = {}
    return {
        name: _render(name, assessment, evidence, links, None, None, frameworks, pages, standing) for name in REPORTS
    }


def _render(
    name: str,
    assessment: Assessment,
    evidence: Sequence[EvidenceBase],
    links: ReportLinks | None,
    manifest_sha256: str | None,
    owner: str | None,
    frameworks: Sequence[Framework] | None,
    pages: dict[Detail, _Contents],
    standing: Standing | None,
) -> str:
    if name not in REPORTS:
        close = get_close_matches(name, REPORTS, n=1, cutoff=0.4)
        remedy = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(REPORTS)}."
        raise InputError(f"there is no report '{name}'", where="render", remedy=remedy)
    template = environment(html=name.endswith(".html")).get_template(REPORTS[name])
    given = {record.digest: record for record in evidence}
    unseen = [(kind, digest) for digest, kind in assessment.evidence.items() if digest not in given]
    known = load_catalog().frameworks if frameworks is None else frameworks
    text = ""
    for detail in LEVELS:
        contents = pages.get(detail)
        if contents is None:
            page = build_page(
                assessment, evidence, detail=detail, manifest_sha256=manifest_sha256, owner=owner, frameworks=known
            )
            sections = build_sections(given, at=assessment.assessed_at, detail=detail, bodies=BODIES)
            contents = pages[detail] = (page, sections)
        context: dict[str, Any] = {
            "page": contents[0],
            "sections": contents[1],
            "gate": build_gate(standing),
            "unseen": [f"{kind}-{words.short(digest)}" for kind, digest in unseen[: detail.items * 2]],
            "unseen_total": len(unseen),
            "links": links or ReportLinks(),
        }
        text = template.render(context)
        if len(text.encode("utf-8", "backslashreplace")) <= _SIZE_LIMIT[name]:
            break
    return text


__all__ = [
    "REPORTS",
    "ReportLinks",
    "controls_matrix",
    "description_block",
    "merge_description",
    "render",
    "render_reports",
    "report_links",
    "restate",
    "template_root",
]
