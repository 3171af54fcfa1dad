"""Risks: the words for where they come from, how they are weighed, and one entry of the register (6.1.2, 6.1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from aims_mlflow.catalog.register import nearest
from aims_mlflow.evidence.base import Record, Sha256, UtcTime

SCALE = 5
"""Likelihood and consequence go from 1 (least) to 5; the level of a risk is their product."""

Affected = Literal["organization", "individuals", "groups", "society"]
Treatment = Literal["avoid", "reduce", "share", "accept", "undecided"]
Grade = Annotated[int, Field(ge=1, le=SCALE)]


class Source(Record):
    """Where risks come from: a word of the vocabulary."""

    title: str
    about: str


class Band(Record):
    """A part of the scale of levels, by name."""

    name: str = Field(min_length=1)
    least: int = Field(ge=1, le=SCALE**2)
    """The lowest level that belongs to it."""
    review_days: int = Field(ge=1)
    """How soon a risk of this level is looked at again."""


class RiskCriteria(Record):
    """The yardstick: what is tolerable, and what levels are called. A record of the organization."""

    tolerable: int = Field(ge=1, le=SCALE**2)
    """The highest level that may stand without treatment."""
    bands: tuple[Band, ...] = Field(min_length=1)
    """From the lowest level up."""

    @model_validator(mode="after")
    def _cover_the_scale(self) -> Self:
        starts = [band.least for band in self.bands]
        if starts[0] != 1 or starts != sorted(set(starts)):
            msg = "the bands start at level 1 and go up"
            raise ValueError(msg)
        return self

    def band(self, level: int) -> Band:
        """The band a level belongs to."""
        return max((band for band in self.bands if band.least <= level), key=lambda band: band.least)


class RuleOfRisk(Record):
    """What a confirmed failure opens."""

    source: str
    title: str
    """With ``{system}`` in it."""
    event: str
    affects: tuple[Affected, ...]
    likelihood: Grade
    consequence: Grade
    controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class RiskData:
    """The vocabulary, the usual criteria and the rules, as shipped."""

    sources: Mapping[str, Source]
    criteria: RiskCriteria
    rules: Mapping[str, RuleOfRisk]
    """Kind of evidence to what its failure opens."""


@lru_cache(maxsize=1)
def risk_data() -> RiskData:
    """Read from the data file of this package."""
    plain = yaml.safe_load(files("aims_mlflow.management").joinpath("risks.yaml").read_text("utf-8"))
    return RiskData(
        sources={name: Source.model_validate(one) for name, one in plain["sources"].items()},
        criteria=RiskCriteria.model_validate(plain["criteria"]),
        rules={name: RuleOfRisk.model_validate(one) for name, one in plain["rules"].items()},
    )


def _word(given: Any) -> Any:
    return given.strip().lower().replace(" ", "_").replace("-", "_") if isinstance(given, str) else given


def _known(word: str) -> str:
    sources = risk_data().sources
    if word not in sources:
        hint = nearest(word, sources) or f"There are: {', '.join(sources)}."
        msg = f"there is no source of risk {word[:60]!r}. {hint}"
        raise ValueError(msg)
    return word


SourceWord = Annotated[str, BeforeValidator(_word), AfterValidator(_known)]
"""A word of the vocabulary; blanks and hyphens are read as underscores."""


class RiskContent(Record):
    """One risk."""

    title: str = Field(min_length=1)
    source: SourceWord
    """Where it comes from, a word of the vocabulary of risk sources."""
    event: str = ""
    """What may happen, and what would follow."""
    affects: tuple[Affected, ...] = ()
    likelihood: Grade
    consequence: Grade
    treatment: Treatment = "undecided"
    actions: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    """Ids of the controls that treat it."""
    residual_likelihood: Grade | None = None
    residual_consequence: Grade | None = None
    accepted_by: str | None = None
    """Who accepted what is left."""
    accepted_on: date | None = None
    accepted_because: str | None = None
    """Why, where what is left lies above the tolerable level."""
    results: str = ""
    """What the treatment came to."""
    review_by: date
    status: Literal["open", "treated", "closed"] = "open"
    opened_by: str | None = None
    """Rule that opened it by itself; null where a person did."""
    evidence: tuple[Sha256, ...] = ()
    """Digests of the evidence it rests on."""
    confirmed_at: UtcTime | None = None
    """When the latest of what a rule found was measured."""
    versions: tuple[str, ...] = ()
    """Versions the evidence is about, ``name/version``."""
    news: tuple[str, ...] = ()
    """What a rule added and no person has weighed since."""
    log: tuple[str, ...] = ()
    """What was noted at each step, oldest first."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.residual_likelihood is None) != (self.residual_consequence is None):
            msg = "what is left has a likelihood and a consequence, or neither"
            raise ValueError(msg)
        left = self.residual
        if left is not None and left > self.level:
            msg = f"what is left ({left}) is more than the risk itself ({self.level})"
            raise ValueError(msg)
        return self

    @property
    def level(self) -> int:
        """Likelihood times consequence, before treatment."""
        return self.likelihood * self.consequence

    @property
    def residual(self) -> int | None:
        """Level of what treatment leaves; None where that was not weighed."""
        if self.residual_likelihood is None or self.residual_consequence is None:
            return None
        return self.residual_likelihood * self.residual_consequence

    @property
    def left(self) -> int:
        """The level that stands: what is left where it was treated, else the whole."""
        residual = self.residual
        return self.level if residual is None or self.status == "open" else residual

    @property
    def is_live(self) -> bool:
        """Whether it still has to be looked after."""
        return self.status != "closed"


def unknown_controls(controls: Iterable[str], known: Iterable[str]) -> list[str]:
    """Ids that are no row of the register, in order."""
    there = set(known)
    return [one for one in dict.fromkeys(controls) if one not in there]
