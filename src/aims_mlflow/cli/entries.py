"""``--from FILE``: a whole entry of a register, as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aims_mlflow.errors import InputError


def read_entry(path: Path, type_: str) -> dict[str, Any]:
    """The keys and values of a file: flat, or as in the templates with ``content`` apart. Empty ones are none.

    Raises:
        InputError: it cannot be read, is no YAML of keys and values (line and key are named), or of another type.
    """
    from aims_mlflow.config.document import read_document

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    document = read_document(content, str(path))
    if document.problems:
        raise InputError(document.problems[0].message, where=f"{path}:{document.problems[0].line or 1}")
    entry = dict(document.content)
    named = entry.pop("type", type_)
    if named != type_:
        raise InputError(f"the file holds a record of type {str(named)[:60]!r}, not {type_!r}", where=str(path))
    content = entry.pop("content", None)
    if isinstance(content, dict):
        entry |= content
    about = entry.pop("system", None)
    if about is not None:
        entry["systems"] = about
    return {name: value for name, value in entry.items() if value not in (None, "", [])}


def together(entry: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says, and over it what the command line says."""
    return {**entry, **{name: value for name, value in given.items() if value not in (None, ())}}


def required(said: Mapping[str, Any], *names: str) -> None:
    """Refuse an entry that lacks something.

    Raises:
        InputError: the first name that is absent.
    """
    for name in names:
        if said.get(name) in (None, ""):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} is missing", remedy=f"Give it, or '{name}' in the file of --from.")
