"""``aims register``: the clauses and controls, how each can be shown, and what else the same evidence supports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aims_mlflow.cli import terminal
from aims_mlflow.cli.exits import debug_option, json_option
from aims_mlflow.errors import InputError

Row = dict[str, Any]


@click.command()
@click.option("--id", "row_id", help="One clause or control in full, e.g. A.7.4.")
@click.option("--framework", help="Only this framework's rows, or rows that also support this one (a crosswalk).")
@click.option("--config", type=click.Path(path_type=Path), help="aims.yaml whose own frameworks are listed too.")
@json_option
@debug_option
def register(row_id: str | None, framework: str | None, config: Path | None, *, as_json: bool) -> None:
    """List the clauses and controls.

    With strength (how each can be shown), freshness (how long evidence serves), the topics of statements that count
    for it, what shows it, and crosswalks.
    """
    from aims_mlflow.catalog import load_catalog, register_rows

    catalog = load_catalog(_own_frameworks(config))
    listed: list[Row] = register_rows(catalog)
    if framework is not None:
        listed = _of_framework(listed, framework)
    if row_id is not None:
        wanted = catalog.row(row_id.strip()).id
        listed = [row for row in listed if row["id"] == wanted]
    if as_json:
        terminal.say_json(listed)
    elif row_id is not None:
        for row in listed:
            _print_row(row)
    else:
        _print_table(listed)


def _own_frameworks(config: Path | None) -> tuple[Path, ...]:
    """The framework files of the declaration. One with mistakes that nobody named must not hide the register."""
    from aims_mlflow.config import examine, load_settings

    settings, problems = examine(config)
    if problems and config is not None:
        load_settings(config)
    if problems:
        terminal.say_plain("note: aims.yaml has mistakes ('aims check'); its own frameworks are not listed", error=True)
    return tuple(settings.folder / name for name in settings.declaration.frameworks)


def _of_framework(listed: list[Row], framework: str) -> list[Row]:
    from difflib import get_close_matches

    own = {row["framework"] for row in listed}
    others = {name for row in listed for name in row["crosswalk"]}
    if framework in own:
        return [row for row in listed if row["framework"] == framework]
    if framework in others:
        return [row for row in listed if framework in row["crosswalk"]]
    near = get_close_matches(framework.lower().replace("-", "_"), sorted(own | others), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"there is no framework or crosswalk {framework!r}",
        remedy=f"{hint}There are: {', '.join(sorted(own | others))}.",
    )


def _print_table(listed: list[Row]) -> None:
    wide = terminal.console().width >= terminal.WIDE
    headers = ["Id", "Title", "Strength", "Freshness", "Topics"] + (["Shown by", "Also supports"] if wide else [])
    made = terminal.table(*headers)
    for row in listed:
        line = [row["id"], row["title"], row["strength"], row["freshness"], " ".join(row["topics"])]
        if wide:
            line += ["; ".join(need["what"] for need in row["requires"]), _crosswalk_names(row)]
        terminal.rows(made, [line])
    counts = _count(listed, "strength")
    kinds = ", ".join(f"{sum(row['kind'] == kind for row in listed)} {kind}s" for kind in ("clause", "control"))
    footer = f"{len(listed)} rows ({kinds}): {counts}."
    hint = "'aims register --id ID' shows one in full, '--json' everything."
    terminal.say(made, footer, hint)


def _count(listed: list[Row], key: str) -> str:
    values = [row[key] for row in listed]
    return ", ".join(f"{values.count(value)} {value}" for value in dict.fromkeys(sorted(values)))


def _crosswalk_names(row: Row) -> str:
    return ", ".join(f"{name} {sum(map(len, refs.values()))}" for name, refs in row["crosswalk"].items())


def _print_row(row: Row) -> None:
    lines = [
        f"{row['id']}  {row['title']}",
        f"  {row['kind']} of {row['framework']}, group {row['group']}",
        f"  {row['summary']}",
        f"  strength: {row['strength']}; freshness: {row['freshness']}",
        "  needs:",
    ]
    for need in row["requires"]:
        kinds, bases = " or ".join(need["evidence"]), " or ".join(need["accepts"])
        lines += [f"  - {need['what']}", f"      evidence: {kinds} ({bases})"]
        if need["where"].get("topic"):
            lines.append(f"      topic of the attestation: {' or '.join(need['where']['topic'])}")
        lines.append(f"      next: {need['remedy']}")
    if row["crosswalk"]:
        lines.append("  the same evidence also supports:")
    for name, references in row["crosswalk"].items():
        lines += [f"  - {name} ({confidence}): {', '.join(refs)}" for confidence, refs in references.items() if refs]
    terminal.say_plain("\n".join(lines))
