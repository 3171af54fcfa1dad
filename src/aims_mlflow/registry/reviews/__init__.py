"""What people say of a version: approval, rejection, waiver, break-glass, and the withdrawal of one.

Each is an entry in the model's log, bound to the content of the version. Where the registry has a gate, the entry is
sent through it, so that the server's login says who it was.
"""

from __future__ import annotations

from aims_mlflow.gate.outcome import BREAK_GLASS_DAYS
from aims_mlflow.registry.reviews.accepting import accept_review
from aims_mlflow.registry.reviews.drafts import Until, moment
from aims_mlflow.registry.reviews.saying import approve, break_glass, notes_on, reject, waive, withdraw, withdrawn_by

__all__ = [
    "BREAK_GLASS_DAYS",
    "Until",
    "accept_review",
    "approve",
    "break_glass",
    "moment",
    "notes_on",
    "reject",
    "waive",
    "withdraw",
    "withdrawn_by",
]
