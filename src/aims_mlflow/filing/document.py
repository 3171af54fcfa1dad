"""The document of a record: a file that is kept with it, or a pointer with the hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef

LARGEST = 25 * 1024 * 1024
"""Bytes of a document that is kept with its record."""
FOLDER = "document"
_CHUNK = 1024 * 1024


def document_from(
    given: str | Path | DocumentRef | None, *, title: str | None = None
) -> tuple[DocumentRef | None, Path | None]:
    """The reference, and the file that is to be kept with the record.

    Args:
        given: The path of a file, which is kept with the record; a URI or title, which is only pointed at; or a
            reference.
        title: Its title; the file's name where None.

    Raises:
        InputError: the file is empty, larger than ``LARGEST``, a folder, or cannot be read.
    """
    if given is None or isinstance(given, DocumentRef):
        return given, None
    path = Path(given)
    if not (isinstance(given, Path) or _is_file(path)):
        is_uri = "://" in str(given)
        return DocumentRef(title=title or str(given), uri=str(given) if is_uri else None), None
    try:
        if path.is_dir():
            raise InputError("a document is one file, not a folder", where=str(path))
        size = path.stat().st_size
        if size == 0:
            raise InputError("the document is empty", where=str(path), remedy="Give the one with content.")
        digest = sha256_of_file(path)
    except OSError as error:
        raise InputError(f"the document cannot be read ({error.strerror})", where=str(path)) from error
    if size > LARGEST:
        raise InputError(
            f"the document has {size / 2**20:,.0f} MiB; up to {LARGEST // 2**20} MiB are kept with a record",
            where=str(path),
            remedy=f"Keep it where it is and give its URI with its hash: --document URI --document-sha256 {digest}.",
        )
    return DocumentRef(title=title or path.name, sha256=digest), path


def _is_file(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, or not a name at all: it is a title
        return False


def sha256_of_file(path: Path) -> str:
    """``sha256:`` and the hex digest of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()
