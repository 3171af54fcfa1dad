"""The data files of this package's own, beside the register: law dates, Annex IV, groups of references."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml


def own_file(name: str) -> Any:
    """The content of a shipped YAML file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((files("aims_mlflow.catalog") / name).read_bytes(), Loader=loader)  # noqa: S506  (safe loaders)
