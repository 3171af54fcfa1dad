"""What fills a part of a document: each takes what is known of a system and gives blocks, or says what is lacking."""

from __future__ import annotations

from aims_mlflow.documentation.fillers import general, running
from aims_mlflow.documentation.fillers.blocks import Filler, Found, Lack

FILLERS: dict[str, Filler] = {**general.FILLERS, **running.FILLERS}
"""By the name the outlines use."""

__all__ = ["FILLERS", "Filler", "Found", "Lack"]
