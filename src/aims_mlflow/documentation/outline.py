"""The outline of a document, as data: what each item asks, what fills it, whose job it is where nothing is known."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from pydantic import Field

from aims_mlflow.documentation.fillers import FILLERS, Lack
from aims_mlflow.documentation.material import Material
from aims_mlflow.documentation.own_files import own_file
from aims_mlflow.documentation.paper import Block, Gap, Item, Section
from aims_mlflow.errors import CatalogError
from aims_mlflow.evidence.base import Record


class Part(Record):
    """One thing an item asks."""

    id: str
    asks: str = Field(min_length=1)
    """In our own words."""
    fill: str | None = None
    """Name of the filler; null where only a person can answer."""
    whose: str = Field(min_length=1)
    """Whose job it is where nothing is known."""
    how: str = Field(min_length=1)
    """What to do then."""
    measured: bool = False
    """Whether only evidence closes it: what a person answers stands beside the gap."""


class OutlineItem(Record):
    """An item of a section."""

    ref: str
    title: str
    parts: tuple[Part, ...] = Field(min_length=1)


class OutlineSection(Record):
    """A section."""

    number: str
    title: str
    items: tuple[OutlineItem, ...] = Field(min_length=1)


class Outline(Record):
    """An outline, as it stands in its file."""

    id: str
    title: str
    source: str
    read: date
    """The day the source was read."""
    sections: tuple[OutlineSection, ...]


@lru_cache(maxsize=4)
def outline(name: str) -> Outline:
    """The outline of that name.

    Raises:
        CatalogError: it names a filler that does not exist.
    """
    plain = own_file(f"{name}.yaml")
    made = Outline.model_validate({**plain["outline"], "sections": plain["sections"]})
    for section in made.sections:
        for item in section.items:
            for part in item.parts:
                if part.fill is not None and part.fill not in FILLERS:
                    raise CatalogError(f"there is no filler {part.fill!r}", where=f"{name}.yaml, {item.ref}, {part.id}")
    return made


def filled(outline: Outline, material: Material) -> tuple[Section, ...]:
    """The sections, filled.

    A part nothing is known of becomes a gap with whose job it is and what to do. What a person answers in a record on
    ``technical_documentation`` stands in place: under an item's reference it closes the parts only a person can answer,
    under reference and part that part; what has to be measured it never closes.

    Args:
        outline: The outline.
        material: All that is known.
    """
    return tuple(
        Section(number=s.number, title=s.title, items=tuple(_item(item, material) for item in s.items))
        for s in outline.sections
    )


def _item(item: OutlineItem, material: Material) -> Item:
    answers = material.answers(item.ref)
    blocks: list[Block] = [*answers]
    for part in item.parts:
        own = material.answers(f"{item.ref} {part.id}")
        whole = bool(answers) and (part.fill is None or len(item.parts) == 1)
        blocks += own
        blocks += _part(part, material, answered=(bool(own) or whole) and not part.measured)
    return Item(ref=item.ref, title=item.title, blocks=tuple(blocks))


def _part(part: Part, material: Material, *, answered: bool) -> list[Block]:
    if part.fill is None:
        return [] if answered else [_gap(part, part.asks, material)]
    found = FILLERS[part.fill](material)
    if not found:
        return [] if answered else [_gap(part, part.asks, material)]
    kept = [one for one in found if not (answered and isinstance(one, Lack) and one.answerable)]
    return [_gap(part, f.what, material, f.how, f.whose) if isinstance(f, Lack) else f for f in kept]


def _gap(part: Part, what: str, material: Material, how: str = "", whose: str = "") -> Gap:
    job = whose or part.whose
    if job == "system owner" and material.owner:
        job = f"system owner ({material.owner})"
    return Gap(missing=what, whose=job, how=(how or part.how).replace("{system}", material.system or "ID"))
