"""A registered version that serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class InService:
    """A registered version that serves: an alias or a stage in which something serves points to it."""

    model: str
    version: str
    targets: tuple[str, ...]
    """``alias champion``, ``stage Production``; sorted."""
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """This library's tags (``aims.*``), as they were written: nothing here is checked."""
    source: str | None = None
    """Where its files come from, as the registry names it."""

    @property
    def uri(self) -> str:
        """``name/version``."""
        return f"{self.model}/{self.version}"
