"""Documents the commands make: in what form, and where to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aims_mlflow.cli import terminal
from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from aims_mlflow.managing.records import ManagementRecords

_SUFFIXES = {".md": "md", ".html": "html", ".htm": "html", ".json": "json", ".csv": "csv"}

uri_option = click.option("--tracking-uri", help="MLflow tracking server; by default the one MLflow itself would use.")
config_option = click.option("--config", type=click.Path(path_type=Path), help="aims.yaml to go by.")
out_option = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default stdout."
)
system_option = click.option("--system", metavar="ID", help="The AI system; by default the only one there is.")


def form_of(given: str | None, out: Path | None, forms: Sequence[str], *, default: str | None) -> str | None:
    """The form asked for: the one said, else that of the file's suffix, else the default.

    Raises:
        InputError: the suffix means none of the forms.
    """
    if given is not None:
        return given
    suffix = out.suffix.lower() if out is not None else ""
    if not suffix:
        return default
    form = _SUFFIXES.get(suffix)
    if form not in forms:
        raise InputError(
            f"there is no form {suffix!r} of it", where=str(out), remedy=f"Use {', '.join(forms)}, or say --format."
        )
    return form


def write_document(text: str, out: Path | None) -> None:
    """Write the document to a file, or to stdout where none is named.

    Raises:
        InputError: the file cannot be written.
    """
    if out is None:
        terminal.write(text)
        return
    try:
        out.write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(out)) from error
    terminal.say_plain(f"wrote {out}", error=True)


def records_of(config: Path | None, tracking_uri: str | None) -> ManagementRecords:
    """The records in use."""
    from aims_mlflow.managing.records import ManagementRecords

    return ManagementRecords(config=config, tracking_uri=tracking_uri)
