"""What MLflow's contexts mean: the one table from the words people use to the roles the register speaks of."""

from __future__ import annotations

_ROLE_OF_CONTEXT = {
    **dict.fromkeys(("train", "training", "fit"), "training"),
    **dict.fromkeys(("eval", "evaluate", "evaluation", "validation", "validate", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "holdout"), "test"),
    **dict.fromkeys(("reference", "baseline"), "reference"),
    **dict.fromkeys(("production", "prod", "live", "serving", "inference", "scoring", "score"), "production"),
    **dict.fromkeys(("current", "batch", "new"), "current"),
}

CONTEXTS: tuple[str, ...] = tuple(_ROLE_OF_CONTEXT)
"""The words the table knows."""


def role_of_context(context: str) -> str:
    """The role a context means, whatever its case; a context the table does not know is returned as it stands."""
    return _ROLE_OF_CONTEXT.get(context.strip().lower(), context)
