"""Traces of generative applications in numbers: how often, how fast, how dear, how liked, and how texts are written."""

from __future__ import annotations

from aims_mlflow.measure.traces.counting import Rating, TraceCounter, TraceFacts, is_hit, moment_of, results
from aims_mlflow.measure.traces.texts import DESCRIPTORS, describe_text

__all__ = [
    "DESCRIPTORS",
    "Rating",
    "TraceCounter",
    "TraceFacts",
    "describe_text",
    "is_hit",
    "moment_of",
    "results",
]
