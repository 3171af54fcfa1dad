"""What a caller hands over for a record, read into the record's own forms: dates, documents, kinds, free content."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef
from aims_mlflow.evidence.roles import CONTEXTS

_NEAR = 0.8
"""Ratio of ``difflib`` from which a name was meant to be a known one."""
_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:\S+$")
_DATE_REMEDY = "Give a date, a datetime or ISO text such as '2027-01-31'."


def moment_of(given: datetime | date | str | None, where: str) -> datetime | None:
    """The end of the day named, or the moment named, in UTC. Text is read as ISO 8601.

    Raises:
        InputError: neither a date nor text of one.
    """
    if given is None:
        return None
    if isinstance(given, str):
        given = _read(given, where)
    if isinstance(given, datetime):
        return given.astimezone(UTC)
    if isinstance(given, date):
        return datetime.combine(given, time(23, 59, 59), UTC)
    raise InputError(f"expected a date, found {type(given).__name__}", where=where, remedy=_DATE_REMEDY)


def day_of(given: datetime | date | str | None, where: str) -> date | None:
    """The day named; errors as ``moment_of``."""
    if isinstance(given, str):
        given = _read(given, where)
    if isinstance(given, datetime):
        return given.date()
    if given is None or isinstance(given, date):
        return given
    raise InputError(f"expected a date, found {type(given).__name__}", where=where, remedy=_DATE_REMEDY)


def _read(text: str, where: str) -> date | datetime:
    plain = text.strip()
    try:
        return date.fromisoformat(plain) if len(plain) <= len("2027-01-31") else datetime.fromisoformat(plain)
    except ValueError as error:
        raise InputError(f"{text[:40]!r} is no date", where=where, remedy=_DATE_REMEDY) from error


def document_of(given: DocumentRef | Mapping[str, Any] | str | Path | None) -> DocumentRef | Mapping[str, Any] | None:
    """A document by its fields, its title, its URI, or the path of a file, which is hashed.

    Raises:
        InputError: a ``Path`` that is no file, or a file that cannot be read.
    """
    if isinstance(given, str):
        text = given.strip()
        if not text:
            raise InputError("a document needs a title", where="document")
        if _URI.match(text) and "\\" not in text:
            return DocumentRef(title=text.rstrip("/").rpartition("/")[2] or text, uri=text)
        return _file(Path(text), text) if _is_file(Path(text)) else DocumentRef(title=text)
    if isinstance(given, Path):
        if not _is_file(given):
            raise InputError(f"no such file: {given.name!r}", where="document", remedy="Give its title or URI as text.")
        return _file(given, str(given))
    return given


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _file(path: Path, written: str) -> DocumentRef:
    """The file by name and digest: where it lies on this machine is nobody else's concern."""
    digest = sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"the document {path.name!r} cannot be read", where="document") from error
    return DocumentRef(title=path.name if path.is_absolute() else written, sha256=f"sha256:{digest.hexdigest()}")


def refuse_near_miss(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that is nearly a known one: it was meant to be that.

    Names of the caller's own are fine, also such as hold a known one (``acme.incident``).

    Raises:
        InputError: with the name that was meant.
    """
    names = set(known)
    if name in names:
        return
    near = get_close_matches(name.strip().lower().replace("-", "_"), sorted(names), n=1, cutoff=_NEAR)
    if near and not re.search(rf"(^|[._ -]){re.escape(near[0])}([._ -]|\d)|[._ -]{re.escape(near[0])}$", name):
        raise InputError(f"unknown {what} {name[:60]!r}", where=what, remedy=f"Did you mean {near[0]!r}?")


def refuse_misspelt_role(role: str | None) -> None:
    """Refuse a role that is nearly a known one: evidence about data in an unknown role answers to no control."""
    if role is not None:
        refuse_near_miss(role.strip().lower(), CONTEXTS, "role")


def refuse_infinite(content: Any, where: str = "content") -> None:
    """Refuse NaN and infinity anywhere in free content: JSON has no form for them.

    Raises:
        InputError: with the place of the first one.
    """
    if isinstance(content, float) and not math.isfinite(content):
        raise InputError(
            "NaN and infinity have no form in JSON", where=where, remedy="Give None where a value is undefined."
        )
    if isinstance(content, Mapping):
        for key, value in content.items():
            refuse_infinite(key, f"{where}, a key")
            refuse_infinite(value, f"{where}.{str(key)[:60]}")
    elif isinstance(content, list | tuple | set | frozenset):
        for index, value in enumerate(content):
            refuse_infinite(value, f"{where}[{index}]")
