"""Checks of what ``aims.yaml`` declared when the run was captured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import ClassVar

from aims_mlflow.assessment import CheckResult, Outcome
from aims_mlflow.checks.case import Case, Item
from aims_mlflow.checks.judging import Judgement, judge
from aims_mlflow.evidence import DeclarationRecord

NO_FILE = "no aims.yaml was found when the run was captured"


class FieldsDeclared:
    """The fields are filled in."""

    id: ClassVar[str] = "DC001"
    arguments: ClassVar[tuple[str, ...]] = ("fields",)

    def check(self, case: Case) -> CheckResult:
        """Fill in the fields named, and capture the run anew."""
        fields = case.arguments("fields")

        def rule(item: Item) -> Judgement:
            record = item.record
            if not isinstance(record, DeclarationRecord) or not fields:
                return Outcome.MISSING, "it names no fields"
            missing = list(undeclared_of(fields, record))
            if missing:
                shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
                return Outcome.MISSING, f"aims.yaml leaves out {shown}"
            return Outcome.PASS, f"{', '.join(fields)} declared"

        return judge(case, rule, nothing="no declaration is on file: the run was captured without aims.yaml")


class DeclaredInFile:
    """The declaration is a file with a known digest."""

    id: ClassVar[str] = "DC002"
    arguments: ClassVar[tuple[str, ...]] = ()

    def check(self, case: Case) -> CheckResult:
        """Keep ``aims.yaml`` as a file beside the code, under version control."""

        def rule(item: Item) -> Judgement:
            record = item.record
            digest = record.declaration_sha256 if isinstance(record, DeclarationRecord) else None
            if digest is None:
                return Outcome.MISSING, NO_FILE
            return Outcome.PASS, f"aims.yaml is kept under {digest[:19]}..."

        return judge(case, rule)


def undeclared_of(fields: Iterable[str], record: DeclarationRecord) -> Iterator[str]:
    """Those of the dotted names that the declaration left out; ``*`` stands for every entry declared there.

    ``datasets.*.origin`` asks for the origin of every dataset the declaration names, and for at least one dataset.
    """
    asked = tuple(fields)
    if not any(".*." in name for name in asked):
        yield from _left_out(asked, record.declared)
        return
    filled = set(record.declared)
    leaves = {name.partition(".*.")[2] for name in asked}
    left_out = []
    for name in asked:
        section, star, leaf = name.partition(".*.")
        entries = _entries(section, leaves, record) if star else []
        wanted = [f"{section}.{entry}.{leaf}" for entry in entries] if star else [name]
        left_out += [path for path in wanted or [section] if path not in filled or not wanted]
    yield from dict.fromkeys(left_out)


@lru_cache(maxsize=512)
def _left_out(asked: tuple[str, ...], filled: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the names, none of them with a star, that are not filled in: the same run after run."""
    return tuple(dict.fromkeys(name for name in asked if name not in filled))


def _entries(section: str, leaves: Collection[str], record: DeclarationRecord) -> list[str]:
    """Names of the entries of a section: from its content where the record keeps it, and from the dotted names.

    An entry's name may hold dots itself (``data.csv``), so it is told from the field after it by the fields asked for.
    """
    content = record.content.get(section)
    entries = {str(name) for name in content} if isinstance(content, dict) else set()
    for name in (*record.declared, *record.undeclared):
        entry, _, leaf = name.removeprefix(f"{section}.").rpartition(".")
        if name.startswith(f"{section}.") and entry and leaf in leaves:
            entries.add(entry)
    return sorted(entries)
