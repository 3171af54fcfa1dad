"""``aims init`` and ``aims check``: write a declaration, and say what is wrong or missing in one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import MET, NOT_MET, debug_option, json_option
from aims_mlflow.errors import CatalogError, ConfigError, InputError

if TYPE_CHECKING:
    from aims_mlflow.config import Declaration, KnownNames, Problem, Settings

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@click.command()
@click.option("--path", type=click.Path(path_type=Path), default=Path("aims.yaml"), show_default=True)
@click.option("--system-id", help="Short stable id of the AI system: letters, digits, '_', '.', '-'.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@debug_option
def init(path: Path, system_id: str | None, *, force: bool) -> None:
    """Write a commented aims.yaml to fill in."""
    from aims_mlflow.config import STARTER_TEMPLATE, load_settings, starter, undeclared
    from aims_mlflow.report import template_root

    if system_id is not None and not _ID.fullmatch(system_id):
        raise InputError(
            f"the system id {system_id!r} is not valid",
            remedy="Use at most 100 letters, digits, '_', '.' or '-', beginning with a letter or digit.",
        )
    if path.is_dir():
        path /= "aims.yaml"
    template = template_root().joinpath(STARTER_TEMPLATE).read_text(encoding="utf-8")
    content = starter(template, system_id=system_id)
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError as error:
        raise ConfigError(
            "the file is there already", where=str(path), remedy="'--force' replaces it; '--path' writes elsewhere."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot be written ({error.strerror})", where=str(path), remedy="Name another place with '--path'."
        ) from error
    missing = undeclared(load_settings(path).declaration)
    terminal.say_plain(f"wrote {path}\nNext: fill in {', '.join(missing[:4])}...; 'aims check' lists what is missing.")


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
@debug_option
@click.pass_context
def check(context: click.Context, path: Path | None, *, as_json: bool) -> None:
    """List mistakes in aims.yaml, then what is missing.

    Without PATH the file is searched as a run searches it: AIMS_CONFIG, then aims.yaml upward from here. Exit code 1
    where there are mistakes; what is undeclared is a hint and no mistake.
    """
    from aims_mlflow.config import examine, find_config, undeclared

    file = find_config(path)
    if file is None:
        raise ConfigError(
            "no aims.yaml here or in a folder above, and AIMS_CONFIG is not set", remedy="Write one with 'aims init'."
        )
    broken: list[str] = []
    settings, problems = examine(path, known=lambda frameworks: _known(frameworks, broken))
    valid = not problems and not broken
    missing = undeclared(settings.declaration) if valid else ()
    foreign = _foreign_rules(settings.declaration) if valid else ()
    own = _own_metrics(settings.declaration) if valid else ()
    if as_json:
        terminal.say_json(_as_json(file, settings, problems, broken, missing, foreign, own))
    else:
        _print(file, problems, broken, missing, foreign, own)
    context.exit(MET if valid else NOT_MET)


def _known(frameworks: tuple[Path, ...], broken: list[str]) -> KnownNames:
    """The names a declaration may use: ids from the register and its own framework files, rules, drift methods."""
    from aims_mlflow.catalog import load_catalog, register_rows
    from aims_mlflow.config import DRIFT_METHODS, KnownNames

    listed: list[dict[str, Any]] | None = None
    topics: set[str] | None = None
    try:
        catalog = load_catalog(frameworks)
        listed, topics = register_rows(catalog), set(catalog.topics)
    except CatalogError as error:
        broken.append(str(error))
    return KnownNames(
        topics=topics,
        disparities=_Disparities(),
        ids=None if listed is None else {row["id"] for row in listed},
        clauses=None if listed is None else {row["id"] for row in listed if row["kind"] == "clause"},
        expectations=expectation_names() or None,
        drift_methods=DRIFT_METHODS,
    )


class _Disparities(Collection[str]):
    """Names of the fairness disparities, looked up only where a file limits one: numpy is imported for it."""

    @cached_property
    def _names(self) -> frozenset[str]:
        from aims_mlflow.measure.fairness import DISPARITIES

        return DISPARITIES

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def expectation_names() -> frozenset[str]:
    """The rule types of the installed Great Expectations, from its file names: importing it would take seconds."""
    found = find_spec("great_expectations")
    folders = (found.submodule_search_locations or []) if found else []
    return frozenset(
        file.stem for folder in folders for file in (Path(folder) / "expectations" / "core").glob("expect_*.py")
    )


def _foreign_rules(declaration: Declaration) -> tuple[str, ...]:
    known = expectation_names()
    return tuple(sorted({rule.type for rule in declaration.data_quality.rules if known and rule.type not in known}))


def _own_metrics(declaration: Declaration) -> tuple[str, ...]:
    from aims_mlflow.config import is_computed

    return tuple(name for name in declaration.performance.metrics if not is_computed(name))


def _as_json(
    file: Path,
    settings: Settings,
    problems: tuple[Problem, ...],
    broken: list[str],
    missing: tuple[str, ...],
    foreign: tuple[str, ...],
    own: tuple[str, ...],
) -> dict[str, Any]:
    from aims_mlflow.config import label_of

    listed = [{"line": p.line, "key": p.key, "message": p.message, "text": str(p)} for p in problems]
    listed += [{"line": None, "key": "frameworks", "message": text, "text": text} for text in broken]
    return {
        "path": label_of(file),
        "sha256": settings.sha256,
        "valid": not listed,
        "problems": listed,
        "undeclared": list(missing),
        "unknown_rules": list(foreign),
        "own_metrics": list(own),
    }


def _print(
    file: Path,
    problems: tuple[Problem, ...],
    broken: list[str],
    missing: tuple[str, ...],
    foreign: tuple[str, ...],
    own: tuple[str, ...],
) -> None:
    from aims_mlflow.config import label_of

    mistakes = [str(problem) for problem in problems] + broken
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        terminal.say_plain("\n".join([*mistakes, "", f"not valid: {count} in {label_of(file)}"]))
        return
    lines = [f"valid: {label_of(file)}"]
    if foreign:
        lines += ["", "Rules that are not Great Expectations' own: yours, or misspelt. Where the engine does not know"]
        lines += ["them a run records them as 'unknown', never as met:", *(f"  - {name}" for name in foreign)]
    if own:
        lines += [
            "",
            "Limits on metrics that are not computed here: yours, or misspelt. Each needs a value",
        ]
        lines += ["of that name logged to the run with mlflow.log_metric; without one its limit is open:"]
        lines += [f"  - {name}" for name in own]
    if missing:
        lines += ["", f"Not declared yet; a reviewer will ask for it ({len(missing)}):"]
        lines += [f"  - {name}" for name in missing]
    else:
        lines += ["", "Everything a reviewer asks for is declared."]
    terminal.say_plain("\n".join(lines))
