"""The document somebody names for a record: a file that is kept, or a pointer with its hash."""

from __future__ import annotations

import re
from pathlib import Path

from aims_mlflow.errors import InputError
from aims_mlflow.evidence import DocumentRef
from aims_mlflow.filing.document import sha256_of_file

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_HEX = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


def document_given(
    given: str | Path | DocumentRef | None, sha256: str | None
) -> tuple[Path | DocumentRef | None, tuple[str, ...]]:
    """The document as a file or reference, and what should be said of it.

    Args:
        given: The path of a file, a URI, or a reference.
        sha256: Its hash.

    Raises:
        InputError: it is neither a file nor a URI; the hash is none, stands alone, or is not that of the file; a
            reference with a hash and without a URI.
    """
    digest = _digest(sha256)
    if given is None:
        if digest is not None:
            raise InputError(
                "a hash needs the document it is of", where="document_sha256", remedy="Give document, too."
            )
        return None, ()
    if isinstance(given, DocumentRef):
        return _reference(given, digest)
    if isinstance(given, str) and _URI.fullmatch(given.strip()):
        uri = given.strip()
        title = uri.rstrip("/").rpartition("/")[2] or uri
        return _reference(DocumentRef(title=title[:200], uri=uri), digest)
    path = Path(given)
    try:
        is_there = path.exists()
    except (OSError, ValueError):  # too long for a name, or not a name at all
        is_there = False
    if not is_there:
        raise InputError(
            f"there is no file {str(given)[:200]!r}",
            where="document",
            remedy="Give the path of a file, or a URI with its scheme (https://...).",
        )
    if digest is not None and path.is_file():
        found = sha256_of_file(path)
        if found != digest:
            raise InputError(
                "the document is not the one the hash is of",
                where=str(given),
                remedy=f"Its hash is {found}; look which of the two is wrong.",
            )
    return path, ()


def _reference(given: DocumentRef, digest: str | None) -> tuple[DocumentRef, tuple[str, ...]]:
    if digest is not None and given.sha256 not in (None, digest):
        raise InputError("the reference holds another hash", where="document_sha256")
    made = given.model_copy(update={"sha256": digest}) if digest is not None else given
    if made.sha256 is not None and made.uri is None:
        raise InputError(
            "a hash without file or URI leads nowhere", where="document", remedy="Give the file's path, or its URI."
        )
    if made.sha256 is None:
        return made, ("its document is only pointed at, without a hash: nobody can tell whether it changed",)
    return made, ()


def _digest(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    found = _HEX.fullmatch(sha256.strip())
    if found is None:
        raise InputError(
            f"{sha256[:80]!r} is no SHA-256 hash",
            where="document_sha256",
            remedy="Give 64 hex digits: `sha256sum FILE`.",
        )
    return f"sha256:{found[1].lower()}"
