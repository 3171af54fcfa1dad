"""What the commands print: words beside symbols, no meaning by colour alone, nothing of the user's taken as markup."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PIPE_WIDTH = 120
"""Columns where the output is no terminal and ``COLUMNS`` does not say."""
WIDE = 110
"""From this width on, tables show their explaining columns."""

_ASCII_SYMBOLS = {"✓": "+", "✗": "x", "▲": "?", "▽": "~", "○": "o", "◇": "?", "□": ".", "\N{EN DASH}": "-"}
_STYLES = {"bad": "bold red", "err": "bold magenta", "unc": "yellow", "old": "yellow", "none": "cyan", "ask": "cyan"}


def console(*, error: bool = False) -> Console:
    """A console over the present stdout or stderr. ``NO_COLOR`` and ``COLUMNS`` are honoured; markup is off."""
    from rich.console import Console

    class PipeSafeConsole(Console):
        """A console whose reader may leave early (``aims register | head``) without changing the exit code."""

        def on_broken_pipe(self) -> None:
            _drop(self.file)
            self.quiet = True

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return PipeSafeConsole(file=stream, markup=False, highlight=False, emoji=False, width=width)


def clean(text: object) -> str:
    """Text as it may go to a terminal: control characters (escape sequences too) are written out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))


def cell(text: object, style: str = "") -> Text:
    """Text for a table or line; nothing in it is markup."""
    from rich.text import Text

    return Text(clean(text), style=style)


def badge(symbol: str, word: str, look: str = "") -> Text:
    """A symbol and its word; ASCII where the output cannot show the symbol."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    shown = symbol if encoding.startswith("utf") else _ASCII_SYMBOLS.get(symbol, symbol if symbol.isascii() else "*")
    return cell(f"{shown} {word}", _STYLES.get(look, ""))


def table(*headers: str) -> Table:
    """An empty table; cells wrap at words. Ids (the first column) never wrap."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, header in enumerate(headers):
        made.add_column(header, no_wrap=index == 0, overflow="fold")
    return made


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its noun: ``1 entry``, ``2 entries``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def say(*parts: Any) -> None:
    """Print tables and texts, in order."""
    out = console()
    for part in parts:
        out.print(cell(part) if isinstance(part, str) else part)


def say_plain(text: str, *, error: bool = False) -> None:
    """Print text as it is, line by line, without wrapping: places such as ``aims.yaml:12`` stay whole."""
    console(error=error).print(cell(text), soft_wrap=True)


def say_error(message: str, remedy: str = "") -> None:
    """``error: ...`` and what to do next, to stderr."""
    say_plain(f"error: {message}" + "".join(f"\n  {line}" for line in remedy.splitlines()), error=True)


def say_json(value: Any) -> None:
    """Print JSON in ASCII, which every pipe carries."""
    write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def write(text: str) -> None:
    """Write text to stdout as it is."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)


@contextlib.contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show that work goes on, on stderr and only on a terminal; the value given names the next step.

    What libraries print meanwhile goes to stderr, so that stdout holds the result alone.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    out = console(error=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(
        *columns, console=out, transient=True, disable=not out.is_terminal, redirect_stdout=False
    ) as progress:
        task = progress.add_task(clean(what), total=None)
        with contextlib.redirect_stdout(sys.stderr):
            yield lambda step: progress.update(task, description=clean(step))


def rows(made: Table, content: Sequence[Sequence[Any]]) -> Table:
    """Fill a table; plain strings become safe text."""
    for line in content:
        made.add_row(*(cell(part) if isinstance(part, str) else part for part in line))
    return made


def _drop(stream: TextIO | Any) -> None:
    """The reader has gone: let the rest of the output vanish, so that the exit code remains the verdict's."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
