"""The Markdown below the header, cut at its headings of the second level."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from aims_mlflow.management.record_templates.problems import Problems

_HEADING = re.compile(r" {0,3}##[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_COMMENT = re.compile(r" {0,3}<!--")


@dataclass
class Section:
    """What stands under one heading."""

    line: int
    """Line of the heading, counted from 1."""
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text, without the empty lines around it."""
        return "\n".join(self.lines).strip()


def sections(lines: list[str], start: int, problems: Problems) -> dict[str, Section]:
    """Heading to what stands under it, in order.

    Args:
        lines: The whole text.
        start: Index of the first line after the header.
        problems: Takes headings that stand twice, and comments and code fences without an end.
    """
    found: dict[str, Section] = {}
    current = Section(start + 1)
    for number, line, is_code in _visible(lines, start, problems):
        heading = None if is_code else _HEADING.fullmatch(line)
        if heading and (name := " ".join(heading[1].split())):
            if name in found:
                problems.add(number, f"'## {name}'", f"the heading stands twice, first in line {found[name].line}")
            current = found.setdefault(name, Section(number))
        else:
            current.lines.append(line)
    return found


def _visible(lines: list[str], start: int, problems: Problems) -> Iterator[tuple[int, str, bool]]:
    """The lines without comments: number, text, and whether it belongs to a code fence."""
    fence, opened = "", 0
    in_comment = False
    for index in range(start, len(lines)):
        line = lines[index]
        if fence:
            yield index + 1, line, True
            fence = "" if _closes(line, fence) else fence
            continue
        if in_comment and _COMMENT.match(line):
            problems.add(opened, "comment", f"it is opened and not closed before the next one, in line {index + 1}")
        shown, was_open = _uncommented(line, in_comment)
        if was_open and not in_comment:
            opened = index + 1
        in_comment = was_open
        if shown is None:
            continue
        if fence := _fence(shown):
            opened = index + 1
        yield index + 1, shown, bool(fence)
    if fence or in_comment:
        what = "code fence" if fence else "comment"
        problems.add(opened, what, f"it is opened and never closed; all that follows would belong to the {what}")


def _uncommented(line: str, in_comment: bool) -> tuple[str | None, bool]:
    """A line without the comments it begins with, and whether one stays open at its end.

    Nothing is left of a line that held a comment and no more: None then.
    """
    had_one = in_comment
    while in_comment or _COMMENT.match(line):
        had_one = True
        rest = line if in_comment else line.partition("<!--")[2]
        _, ends, line = rest.partition("-->")
        if not ends:
            return None, True
        in_comment = False
    return (None if had_one and not line.strip() else line), False


def _fence(line: str) -> str:
    """The mark of the code fence that the line opens; empty where it opens none."""
    found = _FENCE.fullmatch(line)
    return found[1] if found and not (found[1][0] == "`" and "`" in found[2]) else ""


def _closes(line: str, mark: str) -> bool:
    found = _FENCE.fullmatch(line)
    return bool(found and found[1].startswith(mark) and not found[2].strip())
