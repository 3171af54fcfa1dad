"""Holds: a serious incident keeps guarded moves of its system's models from passing until it is closed.

A hold is an entry in the model's transition log, where the gate reads anyway. It rests on the incident's record: it is
written while that is open and serious, and released when it is not.
"""

from __future__ import annotations

from aims_mlflow.registry.holds.accepting import accept_hold
from aims_mlflow.registry.holds.saying import Holds, HoldStep
from aims_mlflow.registry.holds.systems import Owners

__all__ = ["HoldStep", "Holds", "Owners", "accept_hold"]
