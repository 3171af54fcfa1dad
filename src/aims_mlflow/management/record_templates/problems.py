"""What is wrong with a filled template: gathered, so that one reading names all of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aims_mlflow.errors import InputError

_PLACEHOLDER = re.compile(
    r"YYYY-MM-DD|TODO|TBD|TBC|FIXME|XX+|WHO|FILE|NAME|N\.? ?N\.?|to be (?:done|defined|determined)|\?+|\.{2,}|…+|_{2,}"
    r"|<[^<>]*>|\[[^\[\]]*\]|\{\{[^{}]*\}\}",
    re.IGNORECASE,
)


def is_placeholder(text: str) -> bool:
    """Whether the text only holds the place of one that is still to be written."""
    return bool(_PLACEHOLDER.fullmatch(text.strip().rstrip(".:!") or text.strip()))


@dataclass
class Problems:
    """Mistakes by line."""

    where: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, what: str, why: str) -> None:
        """Note a mistake in a line, counted from 1."""
        self.found.append((line, f"{what}: {why}"))

    def settle(self) -> None:
        """Refuse the text if there was any mistake.

        Raises:
            InputError: there was; the first one leads, the others follow.
        """
        if not self.found:
            return
        (line, first), *others = sorted(self.found)
        more = "".join(f"; line {n}: {what}" for n, what in others[:4])
        more += f"; and {len(others) - 4} more" if len(others) > 4 else ""
        raise InputError(
            first + more, where=f"{self.where}, line {line}", remedy="Fill it in, or take out an optional line."
        )
