"""A document that names its gaps in place: sections of items made of text, facts, tables and gaps. Models only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from aims_mlflow.evidence.base import Record, UtcTime

PARAGRAPH = 1_800
"""Characters of a paragraph: reports cut longer texts, so they are broken up before."""


class Text(Record):
    """Paragraphs."""

    block: Literal["text"] = "text"
    text: str
    source: str = ""
    """Where it comes from: a record, evidence, the declaration."""

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The text in paragraphs none of which is cut."""
        parts = [part.strip() for part in self.text.split("\n") if part.strip()]
        return tuple(part[i : i + PARAGRAPH] for part in parts for i in range(0, len(part), PARAGRAPH))


class Fact(Record):
    """A name with what is known of it."""

    name: str
    value: str


class Facts(Record):
    """Names with what is known of them."""

    block: Literal["facts"] = "facts"
    facts: tuple[Fact, ...]
    source: str = ""


class Table(Record):
    """A table; every row has as many cells as the head."""

    block: Literal["table"] = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    source: str = ""


class Gap(Record):
    """Something that is not known, named where it belongs."""

    block: Literal["gap"] = "gap"
    missing: str
    """What is missing, completing 'Missing:'."""
    whose: str
    """Whose job it is."""
    how: str
    """The command or call that closes it."""


Block = Annotated[Text | Facts | Table | Gap, Field(discriminator="block")]


class Item(Record):
    """What one reference asks, answered or named as a gap."""

    ref: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is missing in it."""
        return tuple(block for block in self.blocks if isinstance(block, Gap))


class Section(Record):
    """Items that stand together."""

    number: str
    title: str
    items: tuple[Item, ...]


class Paper(Record):
    """The document."""

    schema_version: Literal["1"] = "1"
    id: str
    """What kind of document it is: ``annex_iv``, ``card``."""
    title: str
    subject: str
    """The system or version it is about."""
    at: UtcTime
    notes: tuple[str, ...]
    """What the reader must know first."""
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]

    def gaps(self) -> Iterator[tuple[str, Gap]]:
        """Reference and gap, in order."""
        for section in self.sections:
            for item in section.items:
                for gap in item.gaps:
                    yield item.ref, gap

    @property
    def in_short(self) -> str:
        """How much of it is filled, in a sentence."""
        items = [item for section in self.sections for item in section.items]
        gaps = sum(len(item.gaps) for item in items)
        whole = sum(not item.gaps for item in items)
        word = "gap" if gaps == 1 else "gaps"
        return f"{whole} of {len(items)} items have no gap; {gaps} {word} named in place"
