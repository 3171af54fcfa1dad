"""What every evidence record has in common."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

SCHEMA_VERSION = "1"
_Copied = TypeVar("_Copied", bound=BaseModel)

JsonValue = Any
"""A value JSON can hold; checked when the record is written (``canonical_json`` refuses anything else)."""


class Record(BaseModel):
    """A frozen record; unknown fields are refused, the string under a field is its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="null")


def _finite(value: Any) -> Any:
    """NaN and infinity have no JSON form: they become null ("undefined"), never 0."""
    if value is None or isinstance(value, bool):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return number if math.isfinite(number) else None


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        msg = "a time needs a zone (UTC)"
        raise ValueError(msg)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        msg = "a time must lie in the years 1 to 9999 (UTC)"
        raise ValueError(msg) from error


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A finite float; null where it is undefined."""

UtcTime = Annotated[datetime, AfterValidator(_utc)]
"""A time in UTC."""

Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""A full-content SHA-256, written ``sha256:`` and 64 hex digits."""


class Verdict(StrEnum):
    """What a measurement says about its limit."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    UNCERTAIN = "uncertain"
    """The interval straddles the limit, or part of the rules had nothing to judge."""
    NOT_TESTED = "not_tested"
    """Nothing was judged; the reason says why. Never a pass."""
    RECORDED = "recorded"
    """The record states facts; there is no limit to hold them against."""


class EvidenceStatus(StrEnum):
    """Whether the record could be made at all."""

    OK = "ok"
    ERROR = "error"
    """Could not run: no control accepts it."""


class Basis(StrEnum):
    """How the content came to be, weakest last."""

    MEASURED = "measured"
    """Computed by this library from the content named in the subject."""
    REPORTED = "reported"
    """Numbers or facts handed over by the caller's own code, or logged to MLflow by it."""
    DECLARED = "declared"
    """Written in ``aims.yaml``."""
    ATTESTED = "attested"
    """A named person's statement."""


class Tool(Record):
    """A program and its version."""

    name: str
    version: str


class RunRef(Record):
    """The MLflow run."""

    run_id: str
    experiment_id: str | None = None
    sha256: Sha256 | None = None
    """Over the run's params, metrics, tags (ours apart) and dataset inputs as they stood at capture."""


class ModelRef(Record):
    """A logged model or a registered version."""

    name: str | None = None
    model_id: str | None = None
    """Id of the MLflow 3 logged model, ``m-...``."""
    uri: str | None = None
    registered_name: str | None = None
    version: str | None = None
    sha256: Sha256 | None = None
    """Over the manifest (path and SHA-256) of every file of the model artifact."""


class DatasetRef(Record):
    """A dataset, by content."""

    name: str | None = None
    role: str | None = None
    """Its role in the run: MLflow's context (``training``, ``validation``, ``test``...) or the one declared."""
    sha256: Sha256 | None = None
    """Over the full content: every row, column name and type, in order."""
    mlflow_digest: str | None = None
    """MLflow's own short digest (first 10,000 rows): a name, not proof."""
    rows: int | None = None
    columns: int | None = None


class Subject(Record):
    """What the evidence is about."""

    system_id: str | None = None
    run: RunRef | None = None
    model: ModelRef | None = None
    datasets: tuple[DatasetRef, ...] = ()


class Threshold(Record):
    """A limit that was set before the measurement."""

    name: str
    op: Literal["<", "<=", ">", ">=", "==", "in"]
    value: JsonValue
    source: str
    """Where the limit comes from: ``aims.yaml``, ``argument``, ``default`` or the method's own name."""


class Interval(Record):
    """An estimate with its uncertainty."""

    value: Number = None
    low: Number = None
    high: Number = None
    level: float = 0.95
    method: str = "exact"


class EvidenceBase(Record):
    """Fields of every kind. ``kind`` is added by each."""

    schema_version: Literal["1"] = "1"
    status: EvidenceStatus = EvidenceStatus.OK
    basis: Basis = Basis.MEASURED
    collector: Tool
    engine: Tool | None = None
    captured_at: UtcTime
    valid_until: UtcTime | None = None
    """The record's own end of validity; null where only the control's freshness rule and the subject bind it."""
    subject: Subject = Subject()
    method: str
    """How it was obtained, with the source of the method where it is published."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    numbers: dict[str, Number] = Field(default_factory=dict)
    """The summary numbers, for charts and search."""
    verdict: Verdict
    reason: str
    """Why, in one sentence."""

    @cached_property
    def canonical(self) -> bytes:
        """The record's one byte form, as it is written to a file."""
        return canonical_json(self)

    @cached_property
    def digest(self) -> str:
        """``sha256:`` over the record's canonical bytes; the name other records use for it."""
        return sha256_of(self.canonical)

    def __copy__(self) -> Self:
        return _without_cache(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return _without_cache(super().__deepcopy__(memo))


def _without_cache(copy: _Copied) -> _Copied:
    """A copy may be given other fields (``model_copy``): it must not keep the bytes of the original."""
    for name in ("canonical", "digest"):
        copy.__dict__.pop(name, None)
    return copy


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: BaseModel | JsonValue) -> bytes:
    """The one byte form of a record: JSON, keys sorted, no white space, UTF-8, newline at the end.

    Raises:
        ValueError: NaN or infinity inside free-form content.
        TypeError: a value JSON has no form for.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return (_ENCODER.encode(plain) + "\n").encode("utf-8", "backslashreplace")


def sha256_of(content: bytes) -> str:
    """``sha256:`` and the hex digest of the bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def now() -> datetime:
    """The present, in UTC, to the second's thousandth."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
