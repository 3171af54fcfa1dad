"""A profile as bytes and back: canonical, damage is noticed, and no single value is in them."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from aims_mlflow.errors import EvidenceError
from aims_mlflow.sketches.labels import LABEL_COUNTERS, ROW_COUNTERS, LabelSketch, RowSketch
from aims_mlflow.sketches.numbers import COUNTERS, NumberSketch
from aims_mlflow.sketches.plan import Plan
from aims_mlflow.sketches.profile import ColumnSketch, Profile
from aims_mlflow.sketches.tokens import Distinct

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MAGIC = b"AIMSPRF1"
SEAL = 16
"""Bytes of the SHA-256 at the end."""
STEPS = 65_535
"""A bin's mean place is told in so many steps of its width; bounds allow for one step."""


class _Writer:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def ints(self, values: Ints) -> None:
        """Whole numbers, 0 or more, in the narrowest type that holds them all."""
        most = int(values.max(initial=0))
        width = next(width for width in (1, 2, 4, 8) if most < 1 << (8 * width - (width == 8)))
        self.parts.append(struct.pack("<BI", width, len(values)) + values.astype(f"<u{width}").tobytes())

    def numbers(self, *values: int) -> None:
        self.ints(np.asarray(values, dtype=np.int64))

    def text(self, content: bytes) -> None:
        self.parts.append(struct.pack("<I", len(content)) + content)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def take(self, size: int) -> bytes:
        part = self.content[self.at : self.at + size]
        if len(part) != size:
            msg = "the bytes end too early"
            raise ValueError(msg)
        self.at += size
        return part

    def ints(self, length: int | None = None) -> Ints:
        width, found = struct.unpack("<BI", self.take(5))
        if width not in (1, 2, 4, 8) or (length is not None and found != length):
            msg = "a list of another length"
            raise ValueError(msg)
        return np.frombuffer(self.take(width * found), dtype=f"<u{width}").astype(np.int64)

    def text(self) -> bytes:
        (size,) = struct.unpack("<I", self.take(4))
        return self.take(size)


def encode(profile: Profile, smallest_cell: int) -> bytes:
    """The profile's bytes."""
    out = _Writer()
    out.text(profile.plan.canonical)
    whole = profile.rows - profile.withheld
    withheld = 0 < whole < smallest_cell
    out.numbers(profile.rows, profile.rows if withheld else profile.withheld, smallest_cell)
    names = sorted(profile.new_columns)
    out.numbers(len(names), *(profile.new_columns[name] for name in names))
    for name in names:
        out.text(name.encode("utf-8", "surrogatepass"))
    for sketch in profile.columns.values():
        if withheld:
            sketch = _nothing_of(sketch)
        hidden = 0 < sketch.n < smallest_cell
        if isinstance(sketch, NumberSketch):
            _write_number(out, sketch, smallest_cell, hidden=hidden)
        elif isinstance(sketch, LabelSketch):
            _write_labels(out, sketch, hidden=hidden)
        else:
            out.numbers(*(getattr(sketch, counter) for counter in ROW_COUNTERS))
    body = MAGIC + b"".join(out.parts)
    return body + hashlib.sha256(body).digest()[:SEAL]


def _nothing_of(sketch: ColumnSketch) -> ColumnSketch:
    """An empty sketch of the same plan: not even missing values are told of a few rows."""
    if isinstance(sketch, NumberSketch):
        return _hidden(sketch, {})
    if isinstance(sketch, LabelSketch):
        return LabelSketch(sketch.plan, np.zeros_like(sketch.counts))
    return RowSketch(sketch.plan)


def _hidden(sketch: NumberSketch, counters: dict[str, int]) -> NumberSketch:
    bare = NumberSketch(
        sketch.plan,
        np.zeros_like(sketch.counts),
        np.zeros_like(sketch.blind),
        np.zeros_like(sketch.sums),
        points=np.zeros_like(sketch.points),
        seen=sketch.seen,
    )
    for counter, count in counters.items():
        setattr(bare, counter, count)
    return bare


def _write_number(out: _Writer, sketch: NumberSketch, cell: int, *, hidden: bool) -> None:
    counters = {counter: getattr(sketch, counter) for counter in COUNTERS}
    if hidden:
        counters["withheld"] += sketch.n
        sketch = _hidden(sketch, counters)
    out.numbers(*counters.values(), sketch.seen)
    out.ints(sketch.points)
    out.numbers(*(1, *sorted(sketch.others)) if sketch.others is not None else (0,))
    # A whole number in a cell of its own lies at the cell's edge: its sum says nothing new.
    told = (sketch.spans() == 1) & (sketch.sums == 0) if sketch.plan.unit and not sketch.seen & 1 else None
    _write_bins(out, sketch.counts, sketch.blind, sketch.sums, cell, told)
    for tail in (sketch.below, sketch.above):
        keys, counts, blind, sums = tail.held()
        out.ints(keys)
        _write_bins(out, counts, blind, sums, cell)


def _write_bins(
    out: _Writer, counts: Ints, blind: Ints, sums: Floats, cell: int, told: NDArray[np.bool_] | None = None
) -> None:
    """Counts, how many of them are blind, and the mean place of the others where there are enough of them."""
    known = counts - blind
    few = (known > 0) & (known < cell)
    if told is not None:
        few &= ~told
    known = np.where(few, 0, known)
    blind = counts - known
    own = sums[known > 0]
    means = np.rint(np.clip(own / known[known > 0], 0.0, 1.0) * STEPS).astype(np.int64)
    # Only values that all lie at the edge itself have a sum of 0.
    means = np.maximum(means, own != 0)
    out.ints(counts)
    partly = (known > 0) & (blind > 0)
    # Bit 1: something is known; bit 2: something is blind. Which is which follows from the counts, but where both are.
    out.parts.append(np.packbits(known > 0).tobytes() + np.packbits(partly).tobytes())
    out.ints(blind[partly])
    out.ints(means)


def _read_bins(source: _Reader, length: int | None = None) -> tuple[Ints, Ints, Floats]:
    counts = source.ints(length)
    size = len(counts)
    bits = [
        np.unpackbits(np.frombuffer(source.take((size + 7) // 8), dtype=np.uint8), count=size).astype(bool)
        for _ in range(2)
    ]
    known, partly = bits
    blind = np.where(known, 0, counts)
    blind[partly] = source.ints(int(partly.sum()))
    means = source.ints(int(known.sum()))
    sums = np.zeros(size)
    sums[known] = means / STEPS * (counts - blind)[known]
    if (blind > counts).any() or (means > STEPS).any():
        msg = "more blind values than there are"
        raise ValueError(msg)
    return counts, blind, sums


def _write_labels(out: _Writer, sketch: LabelSketch, *, hidden: bool) -> None:
    counters = {counter: getattr(sketch, counter) for counter in LABEL_COUNTERS}
    counts, distinct = sketch.counts, sketch.distinct
    if hidden:
        counters["withheld"] += sketch.n
        counters["rare"] = counters["unseen"] = 0
        counts, distinct = np.zeros_like(counts), Distinct()
    out.numbers(*counters.values())
    out.ints(counts)
    out.text(distinct.to_bytes())


def decode(content: bytes) -> Profile:
    """The profile the bytes tell of.

    Raises:
        EvidenceError: they are damaged, or of an unknown version.
    """
    if content[:7] != MAGIC[:7]:
        msg = "these bytes are no profile"
        raise EvidenceError(msg)
    if content[7:8] != MAGIC[7:]:
        msg = "the profile has an unknown version"
        raise EvidenceError(msg, remedy="Read it with the version of aims-mlflow that wrote it.")
    if len(content) < len(MAGIC) + SEAL or hashlib.sha256(content[:-SEAL]).digest()[:SEAL] != content[-SEAL:]:
        msg = "the profile is damaged: its bytes do not match their own digest"
        raise EvidenceError(msg)
    source = _Reader(content[len(MAGIC) : -SEAL])
    try:
        return _profile(source)
    except (ValueError, struct.error, IndexError, UnicodeDecodeError, OverflowError) as error:
        msg = f"the profile cannot be read ({type(error).__name__})"
        raise EvidenceError(msg) from None


def _profile(source: _Reader) -> Profile:
    profile = Profile.empty(Plan.from_bytes(source.text()))
    profile.rows, profile.withheld, profile.smallest_cell = source.ints(3).tolist()
    count, *rows = source.ints().tolist()
    names = [source.text().decode("utf-8", "surrogatepass") for _ in range(count)]
    profile.new_columns = dict(zip(names, rows, strict=True))
    for name, sketch in profile.columns.items():
        if isinstance(sketch, NumberSketch):
            _read_number(source, sketch)
        elif isinstance(sketch, LabelSketch):
            counters = source.ints(len(LABEL_COUNTERS)).tolist()
            counts = source.ints(len(sketch.plan.levels))
            read = LabelSketch(sketch.plan, counts, *counters)
            read.distinct = Distinct(source.text())
            profile.put(name, read)
        else:
            profile.put(name, RowSketch(sketch.plan, *source.ints(len(ROW_COUNTERS)).tolist()))
    if source.at != len(source.content):
        msg = "there is more than there should be"
        raise ValueError(msg)
    return profile


def _read_number(source: _Reader, sketch: NumberSketch) -> None:
    sketch.rounded = True
    *counters, sketch.seen = source.ints(len(COUNTERS) + 1).tolist()
    for counter, value in zip(COUNTERS, counters, strict=True):
        setattr(sketch, counter, value)
    sketch.points[:] = source.ints(len(sketch.plan.points))
    told, *others = source.ints().tolist()
    sketch.others = set(others) if told else None
    counts, blind, sums = _read_bins(source, len(sketch.counts))
    sketch.counts[:], sketch.blind[:], sketch.sums[:] = counts, blind, sums
    for tail in (sketch.below, sketch.above):
        keys = source.ints()
        tail.put(keys, *_read_bins(source, len(keys)))
