"""The gap to the standard, row by row and system by system, with what to do next. Pure.

Maturity is capped by evidence (``management.maturity``). The target is 3 for every row, and 4 for rows that measured
evidence alone can show, where the system is high-risk; no target is higher than what evidence of that kind can show.
Excluded controls have no target and are counted apart; excluding one never raises the mean (``models.mean_of``).
"""

from __future__ import annotations

from aims_mlflow.management.gap.assessing import TARGET, TARGETS, assess_gap, target_of, work_of
from aims_mlflow.management.gap.models import GapAssessment, GapLine, LastRun, Summary, SystemGap, Work, in_order
from aims_mlflow.management.gap.trend import Change, Trend, trend_of

__all__ = [
    "TARGET",
    "TARGETS",
    "Change",
    "GapAssessment",
    "GapLine",
    "LastRun",
    "Summary",
    "SystemGap",
    "Trend",
    "Work",
    "assess_gap",
    "in_order",
    "target_of",
    "trend_of",
    "work_of",
]
