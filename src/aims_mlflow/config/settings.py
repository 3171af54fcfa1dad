"""Find and load ``aims.yaml``: by argument, then ``AIMS_CONFIG``, then upward from the working folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aims_mlflow.config.completeness import declared, undeclared
from aims_mlflow.config.consistency import KnownNames, framework_files, mistakes
from aims_mlflow.config.document import Document, read_document
from aims_mlflow.config.models import Applicability, Declaration
from aims_mlflow.config.problems import Loc, Problem, explain
from aims_mlflow.errors import ConfigError
from aims_mlflow.evidence.base import sha256_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE_NAME = "aims.yaml"
VARIABLE = "AIMS_CONFIG"

Config = str | Path | Declaration | Mapping[str, Any]
"""What a caller may hand over as configuration: a path, a declaration, or its content as a mapping."""


Known = KnownNames | Callable[[tuple[Path, ...]], KnownNames]
"""Names that exist outside the declaration, or what tells them once the declared framework files are known."""


@dataclass(frozen=True)
class Settings:
    """A declaration and where it came from."""

    declaration: Declaration = field(default_factory=Declaration)
    path: Path | None = None
    """The file; None when there is none (everything then is undeclared)."""
    sha256: str | None = None
    """``sha256:...`` over the file's bytes."""
    applicability: Mapping[str, Applicability] | None = None
    """What applies, the Statement of Applicability on record taken in; None: what the declaration itself says.

    It is only judged by: the declaration stays what the file says, wherever it is captured or kept.
    """

    @property
    def in_force(self) -> Declaration:
        """The declaration to judge by."""
        if self.applicability is None:
            return self.declaration
        return self.declaration.model_copy(update={"applicability": dict(self.applicability)})

    def with_applicability(self, lines: Mapping[str, Applicability]) -> Settings:
        """The same, judged by other lines on what applies."""
        return replace(self, applicability=lines)

    @property
    def folder(self) -> Path:
        """The folder that paths in the declaration are relative to."""
        return self.path.parent if self.path else Path()


def find_config(config: str | Path | None = None) -> Path | None:
    """The file that applies: ``config``, else ``$AIMS_CONFIG``, else ``aims.yaml`` upward from the working folder.

    A folder stands for the ``aims.yaml`` in it. An empty ``AIMS_CONFIG`` counts as unset.

    Raises:
        ConfigError: the file that was named does not exist. A named file is never silently replaced by another.
    """
    if config is not None:
        return _named(Path(config), "")
    variable = os.environ.get(VARIABLE, "").strip()
    if variable:
        return _named(Path(variable), f" (named by {VARIABLE})")
    try:
        start = Path.cwd()
    except OSError:  # the working folder is gone
        return None
    for folder in (start, *start.parents):
        if _is_file(folder / FILE_NAME):
            return folder / FILE_NAME
    return None


def load_settings(config: Config | Settings | None = None, *, known: Known | None = None) -> Settings:
    """Load and validate; an absent file (none named) gives an empty declaration.

    Args:
        config: A path, the declaration itself or its content as a mapping, or settings already loaded. None: searched,
            see :func:`find_config`.
        known: Names that exist outside the declaration (ids of controls and so on), to be checked as well.

    Raises:
        ConfigError: the file does not exist, cannot be read, or holds mistakes; ``problems`` lists them all.
    """
    if isinstance(config, Settings) and known is None:
        return config
    settings, problems = examine(config, known=known)
    if problems:
        raise _error(problems)
    return settings


def check_declaration(
    config: Config | Settings | None = None,
    *,
    known_ids: Collection[str] | None = None,
    clause_ids: Collection[str] | None = None,
    known_expectations: Collection[str] | None = None,
    known_drift_methods: Collection[str] | None = None,
    known_disparities: Collection[str] | None = None,
) -> tuple[Problem, ...]:
    """Every mistake, sorted by line; empty when there is none. Names are checked only where the valid ones are given.

    Raises:
        ConfigError: the file does not exist or cannot be read.
    """
    known = KnownNames(known_ids, clause_ids, known_expectations, known_drift_methods, known_disparities)
    return examine(config, known=known)[1]


def examine(
    config: Config | Settings | None = None, *, known: Known | None = None
) -> tuple[Settings, tuple[Problem, ...]]:
    """Settings and mistakes together; the settings are empty where there are mistakes.

    Raises:
        ConfigError: the file does not exist or cannot be read.
    """
    known = known or KnownNames()
    if config is None or isinstance(config, str | Path):
        path = find_config(config)
        return _examine_file(path, known) if path else (Settings(), ())
    if isinstance(config, Settings):
        plain = Document("declaration", _plain(config.declaration))
        return config, _sorted(_consistency(plain, config.folder, known))
    document = Document("declaration")
    if isinstance(config, Declaration):
        declaration: Declaration | None = config
        document.content = _plain(config)
    else:
        document.content = deepcopy(dict(config))
        declaration = _validate(document, as_json=False)
    problems = (*document.problems, *_consistency(document, Path(), known))
    return Settings(declaration or Declaration()), _sorted(problems)


def _examine_file(path: Path, known: Known) -> tuple[Settings, tuple[Problem, ...]]:
    label = label_of(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot be read ({error.strerror or type(error).__name__})"
        raise ConfigError(message, where=label, remedy="Check its permissions.") from error
    document = read_document(content, label)
    declaration = None
    if isinstance(document.content, dict):
        declaration = _validate(document, as_json=True)
        document.problems += _consistency(document, path.parent, known)
    problems = _sorted(document.problems)
    settings = Settings(declaration, path, sha256_of(content)) if declaration and not problems else Settings(path=path)
    return settings, problems


def _validate(document: Document, *, as_json: bool) -> Declaration | None:
    """Validate the content; mistakes are noted in the document.

    A file is validated strictly (``"0.5"`` in quotes is text, no number). Empty sections count as left out, and a
    number where text is expected is taken as it was written.
    """
    while True:
        try:
            if as_json:
                return Declaration.model_validate_json(json.dumps(document.content), strict=True)
            return Declaration.model_validate(document.content)
        except ValidationError as error:
            details = error.errors(include_url=False)
            repaired = [_repair(document, detail) for detail in details]
            if any(repaired):
                continue
            for detail in details:
                document.add(_loc(detail), explain(detail))
            return None


def _repair(document: Document, detail: ErrorDetails) -> bool:
    """Put right what is no mistake: an empty section, a number written where text is expected."""
    loc, kind = _loc(detail), detail["type"]
    if kind == "string_type" and loc in document.written:
        _replace(document.content, loc, document.written[loc])
        return True
    if detail.get("input") is None and loc and not isinstance(loc[-1], int):
        empty: dict[str, Any] = {"model_type": {}, "model_attributes_type": {}, "dict_type": {}, "tuple_type": []}
        if kind in empty:
            _replace(document.content, loc, empty[kind])
            return True
    return False


def _replace(content: Any, loc: Loc, value: Any) -> None:
    for part in loc[:-1]:
        content = content[part]
    content[loc[-1]] = value


def _loc(detail: ErrorDetails) -> Loc:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _consistency(document: Document, folder: Path, known: Known) -> list[Problem]:
    if callable(known):
        known = known(framework_files(document.content, folder))
    found = mistakes(document.content, folder=folder, known=known)
    said = {problem.loc for problem in document.problems}
    return [Problem(loc, message, document.line_of(loc), document.label) for loc, message in found if loc not in said]


def _plain(declaration: Declaration) -> dict[str, Any]:
    return declaration.model_dump(exclude_unset=True)


def _sorted(problems: Collection[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.key, problem.message)))


def _error(problems: tuple[Problem, ...]) -> ConfigError:
    texts = tuple(str(problem) for problem in problems)
    if len(texts) == 1:
        return ConfigError(texts[0], problems=texts)
    shown = "; ".join(texts[:5])
    more = f"; and {len(texts) - 5} more ('aims check' lists them)" if len(texts) > 5 else ""
    return ConfigError(f"{len(texts)} mistakes: {shown}{more}", where=problems[0].label, problems=texts)


def _named(path: Path, origin: str) -> Path:
    file = path / FILE_NAME if _is_dir(path) else path
    if not _exists(file):
        raise ConfigError(
            f"no such file{origin}",
            where=str(file),
            remedy="Write one with 'aims init', or correct the path.",
        )
    return file


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def label_of(path: Path) -> str:
    """The path as the reader sees it from the working folder."""
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except (OSError, ValueError):
        return str(path)


__all__ = [
    "Config",
    "KnownNames",
    "Problem",
    "Settings",
    "check_declaration",
    "declared",
    "examine",
    "find_config",
    "label_of",
    "load_settings",
    "undeclared",
]
