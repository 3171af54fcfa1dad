"""How much of a report is written out before the rest is summed up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Detail:
    """One level of detail. Whatever a level leaves out is counted and said on the page."""

    rules: int
    drift: int
    metrics: int
    groups: int
    items: int
    records: int
    """Records of one kind that are shown in full."""
    first: int
    """Rows of one status that are written out under "what to fix first"."""
    checks: int
    """Requirements shown of one row."""
    text: int
    """Length of a reason."""


LEVELS = (
    Detail(rules=40, drift=20, metrics=30, groups=40, items=25, records=12, first=12, checks=12, text=400),
    Detail(rules=15, drift=20, metrics=12, groups=12, items=10, records=4, first=8, checks=4, text=240),
    Detail(rules=5, drift=20, metrics=5, groups=5, items=3, records=1, first=4, checks=0, text=120),
)
"""From full to short; the first that fits the format's size limit is taken."""
