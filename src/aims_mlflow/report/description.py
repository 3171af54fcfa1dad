"""What is written beside the report: the block in a description, and the table for MLflow's run comparison."""

from __future__ import annotations

import re
from typing import Any

from aims_mlflow.assessment import Assessment, Overall, Status
from aims_mlflow.gate.standing import Standing
from aims_mlflow.report import words
from aims_mlflow.report.gate import GateView, build_gate
from aims_mlflow.report.links import ReportLinks
from aims_mlflow.report.markdown import escape, link
from aims_mlflow.report.page import counted, ranked

_BEGIN = "<!-- aims:begin -->"
_END = "<!-- aims:end -->"
_ITEMS = 5
_LONGEST = 4_500
"""MLflow's databases keep 5,000 characters of a version's description; the user's own text needs room too."""
# MLflow's tables show the first characters of a description raw, so the block opens with words and the marker ends
# the first line. Nothing inside the block can hold a comment: `<` is escaped there.
_SAYS = re.compile(r"^(AIMS: (?:(?:HELD by|BREAK-GLASS until) [^,\n]*, )*)[A-Z][A-Z -]*(?=, )", re.MULTILINE)
"""The first line of the block up to its status."""
_BLOCK = re.compile(rf"^AIMS: [^\n]*{re.escape(_BEGIN)}\r?\n(?:(?!<!--)[\s\S])*?{re.escape(_END)}", re.MULTILINE)


def description_block(
    assessment: Assessment,
    links: ReportLinks | None = None,
    *,
    brief: bool = False,
    standing: Standing | None = None,
) -> str:
    """The block for the description of a run or version.

    The first line is plain words, the second holds the links, then come at most five items, worst first. Two HTML
    comments mark its ends; they are invisible where Markdown is rendered. ``brief`` leaves out the items. ``standing``
    adds a line on the gate; a serious incident or a break-glass comes before everything else.
    """
    where = links or ReportLinks()
    targets = (
        ("Open report", where.report),
        ("Rows with links", where.rows),
        ("Assessment", where.assessment),
        ("Run", where.run),
        ("Model version", where.version),
    )
    line = " · ".join(link(text, target) for text, target in targets if target)
    gate = build_gate(standing)
    first = _first_line(assessment)
    if gate is not None and gate.alarm:
        latest = gate.alarm[-1]
        first = first.replace("AIMS: ", f"AIMS: BREAK-GLASS until {latest.until}, ", 1)
    if gate is not None and gate.holds:
        first = first.replace("AIMS: ", f"AIMS: HELD by incident {escape(gate.holds[-1].incident)}, ", 1)
    head = "\n".join(p for p in (f"{first} {_BEGIN}", line) if p)
    if gate is not None:
        head = "\n\n".join([head, *_gate_lines(gate)])
    if brief:
        return f"{head}\n\n{_END}"
    block = ""
    for most in range(_ITEMS, 0, -1):
        block = "\n\n".join(p for p in (head, "\n".join(_items(assessment, most)), _END) if p)
        if len(block) <= _LONGEST:
            break
    return block


def _gate_lines(gate: GateView) -> list[str]:
    answers = ", ".join(f"{escape(words.cut(t.name, 60))} {t.label.symbol} {t.label.word}" for t in gate.targets[:6])
    more = f" and {len(gate.targets) - 6} more" if len(gate.targets) > 6 else ""
    alarm = [
        f"**! Break-glass** by {escape(words.cut(r.person, 60))} until {r.until}: {escape(words.cut(r.reason, 160))}"
        for r in gate.alarm[-3:]
    ]
    held = [
        f"**{h.label.symbol} Held** since {h.since}: {escape(h.severity)} incident {escape(h.incident)} is open"
        for h in gate.holds[-3:]
    ]
    return [*held, *alarm, *([f"Gate: {answers}{more}"] if answers else [])]


def _first_line(assessment: Assessment) -> str:
    parts = [f"AIMS: {words.OVERALL[assessment.overall].word.upper()}"]
    if assessment.overall is not Overall.NOT_ASSESSED or assessment.findings:
        parts.append(assessment.in_short)
    parts.append(f"assessed {words.day(assessment.assessed_at)}")
    fresh = words.day(assessment.fresh_until)
    parts.append(f"fresh until {fresh}" if fresh else "no end of freshness on file")
    return ", ".join(parts)


def _items(assessment: Assessment, most: int) -> list[str]:
    counts = counted(assessment)
    unmet = ranked(assessment)
    first = [f for f in unmet if f.status in words.ATTENTION]
    gaps = [f for f in unmet if f.status is Status.NO_EVIDENCE]
    waiting = (
        (counts[Status.NO_EVIDENCE], "without evidence"),
        (counts[Status.NEEDS_ATTESTATION], "waiting for a person's statement"),
    )
    lacking = ", ".join(f"{rows} {word}" for rows, word in waiting if rows)
    tail = [f"- ○ rows: {lacking}"] if lacking else []
    shown = [*first, *(gaps if not first else [])][: most - len(tail)]
    lines = []
    for finding in shown:
        label = words.STATUS[finding.status]
        head = f"{words.cut(finding.id, 40)} {words.cut(finding.title, 80)}"
        lines.append(f"- {label.symbol} {label.word}: {escape(head)}: {escape(words.cut(finding.reason, 160))}")
    more = len(first) - len(shown)
    if first and more > 0 and lines:
        lines[-1] += f" (and {words.plural(more, 'more row')} in the report)"
    return lines + tail


def merge_description(existing: str | None, block: str) -> str:
    """The description with our block in it: replaced where it stands, else put first.

    Everything outside the block is kept byte for byte. Only a whole block counts as ours: its first line, both
    markers and no other comment in between; loose markers in the user's text are the user's text.
    """
    if not existing:
        return block
    found = _BLOCK.search(existing)
    if found:
        return existing[: found.start()] + block + existing[found.end() :]
    return f"{block}\n\n{existing}"


def restate(existing: str | None, status: str) -> str:
    """The description with another status in the first line of our block; as it is where it holds no block of ours.

    Args:
        existing: The description.
        status: What the tag ``aims.status`` says: an overall finding or ``at-risk``.
    """
    text = existing or ""
    found = _BLOCK.search(text)
    if found is None:
        return text
    word = words.OVERALL[Overall(status)].word if status in set(Overall) else status
    block = _SAYS.sub(lambda said: f"{said[1]}{word.upper()}", found[0], count=1)
    return text[: found.start()] + block + text[found.end() :]


def controls_matrix(assessment: Assessment) -> dict[str, Any]:
    """Row and status of every finding in the form ``mlflow.log_table`` writes, for MLflow's run comparison."""
    return {"columns": ["control", "status"], "data": [[f.id, str(f.status)] for f in assessment.findings]}
