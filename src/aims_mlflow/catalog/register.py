"""The loaded register: look-ups by id, each miss an error with the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from aims_mlflow.controls import Crosswalk, EvidenceKind, Framework, FreshnessProfile, Row, Topic
from aims_mlflow.errors import CatalogError


def nearest(name: str, valid: Iterable[str]) -> str:
    """A sentence that names the nearest valid names; empty where none is near."""
    options = {option.lower(): option for option in valid}
    close = get_close_matches(name.lower(), options, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(options[c] for c in close)}?" if close else ""


@dataclass(frozen=True, eq=False)
class Catalog:
    """Every framework in force with the words its rows use. Built by ``load_catalog``, which validates it.

    A catalog equals itself alone, so that what is worked out from one can be kept beside it.
    """

    frameworks: tuple[Framework, ...]
    rows: Mapping[str, Row]
    """Row by id, in the order of the files."""
    framework_of: Mapping[str, str]
    """Row id to the id of its framework."""
    kinds: Mapping[str, EvidenceKind]
    freshness: Mapping[str, FreshnessProfile]
    topics: Mapping[str, Topic]
    checks: Mapping[str, tuple[str, ...]]
    """Id of each check the rows may name, with its ``where`` arguments."""
    crosswalks: tuple[Crosswalk, ...]
    sha256: str
    """``sha256:...`` over name and content of the files it was read from."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all rows."""
        return tuple(self.rows)

    @property
    def clauses(self) -> tuple[str, ...]:
        """Ids of the rows that always apply."""
        return tuple(row.id for row in self.rows.values() if row.kind == "clause")

    def row(self, row_id: str) -> Row:
        """The clause or control of that id.

        Raises:
            CatalogError: there is none; the nearest ids are named.
        """
        found = self.rows.get(row_id)
        if found is None:
            raise CatalogError(f"there is no clause or control {row_id[:60]!r}", remedy=nearest(row_id, self.rows))
        return found

    def topic(self, topic_id: str) -> Topic:
        """The attestation topic of that id.

        Raises:
            CatalogError: there is none; the nearest ids are named.
        """
        found = self.topics.get(topic_id)
        if found is None:
            message = f"there is no attestation topic {topic_id[:60]!r}"
            raise CatalogError(message, remedy=nearest(topic_id, self.topics))
        return found

    def crosswalk(self, row_id: str) -> dict[str, dict[str, tuple[str, ...]]]:
        """What the row's evidence also supports: crosswalk id to confidence to references.

        Raises:
            CatalogError: there is no such row.
        """
        self.row(row_id)
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for crosswalk in self.crosswalks:
            for entry in crosswalk.entries:
                if entry.row == row_id and entry.refs:
                    found[crosswalk.id] = {str(confidence): refs for confidence, refs in entry.refs.items()}
        return found
