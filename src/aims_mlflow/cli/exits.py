"""Exit codes and errors: 0 met, 1 not met, 2 could not run. Nothing that broke is ever mistaken for a verdict."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import click

from aims_mlflow.cli import terminal
from aims_mlflow.errors import AimsError, ConfigError

MET = 0
NOT_MET = 1
COULD_NOT_RUN = 2

_Command = TypeVar("_Command", bound=Callable[..., Any])
_DEBUG = "aims_mlflow.debug"


def debug_option(command: _Command) -> _Command:
    """``--debug``, on the group and on every command."""

    def remember(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            context.find_root().meta[_DEBUG] = True

    option = click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )
    return option(command)


def json_option(command: _Command) -> _Command:
    """``--json``, passed on as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(command)


class FailClosedGroup(click.Group):
    """A group whose commands end with 2, and say why, whenever they could not run."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error becomes a line or two on stderr and exit code 2."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (click.Abort, KeyboardInterrupt):
            terminal.say_error("interrupted")
        except AimsError as error:
            _report(error)
            _trace(ctx, error)
        except Exception as error:  # noqa: BLE001  (Python's own exit code for a traceback is 1, which means 'not met')
            hint = "" if _debugging(ctx) else "--debug shows where."
            terminal.say_error(f"could not run: {type(error).__name__}: {error}", hint)
            _trace(ctx, error)
        raise click.exceptions.Exit(COULD_NOT_RUN)


def _report(error: AimsError) -> None:
    if isinstance(error, ConfigError) and len(error.problems) > 1:
        terminal.say_error(f"{len(error.problems)} mistakes in the declaration", "\n".join(error.problems))
    else:
        place = f"{error.where}: " if error.where else ""
        terminal.say_error(place + error.message, error.remedy)


def _debugging(ctx: click.Context) -> bool:
    return bool(ctx.find_root().meta.get(_DEBUG))


def _trace(ctx: click.Context, error: BaseException) -> None:
    if _debugging(ctx):
        terminal.say_plain("".join(traceback.format_exception(error)), error=True)
