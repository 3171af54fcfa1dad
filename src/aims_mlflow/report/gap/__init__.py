"""The gap as a page: a heat map, what to do first, every row. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aims_mlflow.controls import Framework
from aims_mlflow.management.gap import GapAssessment, SystemGap, Trend
from aims_mlflow.report.environment import environment
from aims_mlflow.report.gap.page import build_gap_page
from aims_mlflow.report.gap.words import (
    HOW_IT_COUNTS,
    LEVELS,
    RISK,
    change_text,
    figure,
    headline,
    last_run_text,
    percent,
    titled,
    trend_text,
)

GapForm = Literal["html", "md"]


def render_gap(
    form: GapForm,
    assessment: GapAssessment,
    shown: SystemGap,
    *,
    frameworks: Sequence[Framework],
    trend: Trend | None = None,
) -> str:
    """Render the gap of the organization or of one system.

    Args:
        form: ``html`` or ``md``.
        assessment: The gap of all systems.
        shown: The part to show: ``assessment.whole``, or one of its systems.
        frameworks: Where the groups of rows and their titles come from.
        trend: How it changed.
    """
    page = build_gap_page(assessment, shown, frameworks, trend)
    return (
        environment(html=form == "html")
        .get_template(f"gap.{form}.j2")
        .render(page=page, levels=LEVELS, risks=RISK, change=change_text)
    )


__all__ = [
    "HOW_IT_COUNTS",
    "RISK",
    "GapForm",
    "figure",
    "headline",
    "last_run_text",
    "percent",
    "render_gap",
    "titled",
    "trend_text",
]
