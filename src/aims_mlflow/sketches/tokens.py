"""Labels as digests, and how many different ones there were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from numbers import Real
from typing import Any

from aims_mlflow.errors import EvidenceError
from aims_mlflow.frames.tokens import token
from aims_mlflow.sketches.plan import DIGEST

_LOG_SIZE = 10
"""1,024 registers: the count is off by 3.3 % (one standard error)."""
_IN_ORDER = 0x10
_LIST, _SET, _ARRAY = 0, 1, 2


def label_text(value: Any) -> str:
    """One text for labels Python calls equal: 1, 1.0 and True are the same label, as they are to the drift engine."""
    if isinstance(value, str):
        return "s" + value
    if isinstance(value, Real) and not isinstance(value, str):
        number = float(value)
        return f"n{int(number)}" if number.is_integer() and abs(number) < 2.0**53 else f"n{value!r}"
    return token(value)


def digest_of(column: str, value: Any) -> str:
    """Digest of a label, salted with the column's name."""
    text = f"aims label\0{column}\0{label_text(value)}"
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:DIGEST]


class Distinct:
    """How many different labels there were: Apache DataSketches' HyperLogLog, over digests only."""

    def __init__(self, content: bytes = b"") -> None:
        self._sketch: Any = None
        self._content = content
        if content:
            self._sketch = _restored(content)

    def update(self, digests: Iterable[str]) -> None:
        """Count digests."""
        for digest in digests:
            if self._sketch is None:
                from datasketches import HLL_8, hll_sketch

                self._sketch = hll_sketch(_LOG_SIZE, HLL_8)
            self._sketch.update(int(digest, 16))

    def merge(self, other: Distinct) -> Distinct:
        """Those of both together."""
        if self._sketch is None or other._sketch is None:
            return Distinct(self.to_bytes() or other.to_bytes())
        from datasketches import HLL_8, hll_union

        union = hll_union(_LOG_SIZE)
        union.update(self._sketch)
        union.update(other._sketch)
        joined = Distinct()
        joined._sketch = union.get_result(HLL_8)
        return joined

    def bounds(self) -> tuple[float, float, float]:
        """Lower bound, estimate, upper bound (two standard errors)."""
        if self._sketch is None:
            return 0.0, 0.0, 0.0
        return self._sketch.get_lower_bound(2), self._sketch.get_estimate(), self._sketch.get_upper_bound(2)

    def to_bytes(self) -> bytes:
        """The sketch in a form that does not depend on the order the labels came in."""
        return _ordered(bytes(self._sketch.serialize_compact())) if self._sketch is not None else b""

    def __getstate__(self) -> bytes:
        return self.to_bytes()

    def __setstate__(self, state: bytes) -> None:
        self.__init__(state)  # type: ignore[misc]


def _restored(content: bytes) -> Any:
    from datasketches import hll_sketch

    try:
        return hll_sketch.deserialize(content)
    except (RuntimeError, ValueError, TypeError, IndexError, MemoryError) as error:
        msg = f"a sketch of distinct labels cannot be read ({type(error).__name__})"
        raise EvidenceError(msg) from None


def _ordered(content: bytes) -> bytes:
    """Coupons sorted; of registers, the estimator that depends on the order set aside (marked "out of order")."""
    mode = content[7] & 3
    if mode == _ARRAY:
        return content[:5] + bytes([content[5] | _IN_ORDER]) + content[6:8] + bytes(8) + content[16:]
    start = 8 if mode == _LIST else 12
    coupons = [content[place : place + 4] for place in range(start, len(content), 4)]
    return content[:start] + b"".join(sorted(coupons))
