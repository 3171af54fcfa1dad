"""Where the templates are: shipped inside the package, or at the root of the checkout."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from aims_mlflow.errors import AimsError


def template_root() -> Traversable:
    """The folder of the templates: inside the installed package, or at the root of the checkout.

    Raises:
        AimsError: neither is there.
    """
    packaged = files("aims_mlflow") / "templates"
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[3] / "templates"
    if checkout.is_dir():
        return checkout
    raise AimsError(
        "the templates are not installed",
        where=f"{packaged} and {checkout}",
        remedy="Install aims-mlflow again; its wheel carries them.",
    )
