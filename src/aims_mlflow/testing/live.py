"""Samples of live use: the reference's profile, a window with its estimate, traces."""

from __future__ import annotations

import base64
from datetime import timedelta

from aims_mlflow.evidence import (
    AlarmState,
    EstimatedPerformance,
    EvidenceBase,
    Interval,
    MetricResult,
    MonitoringWindow,
    ReferenceProfile,
    TraceWindow,
    Verdict,
    WindowRef,
    sha256_of,
)
from aims_mlflow.testing.subjects import SAMPLE_TIME, TOOL, dataset, sha, subject


def _profile() -> bytes:
    """A profile of a thousand made-up rows."""
    import numpy as np

    from aims_mlflow.config import Columns, PrivacyPolicy
    from aims_mlflow.frames import as_table
    from aims_mlflow.sketches import Profile

    rows = np.arange(1000)
    table = as_table({"income": 20_000.0 + 37 * (rows % 613), "age": 18 + rows % 60})
    plan = Profile.plan_of(table, columns=Columns(), privacy=PrivacyPolicy())
    return Profile.of(table, plan).to_bytes(smallest_cell=PrivacyPolicy().smallest_cell)


def live_samples() -> list[EvidenceBase]:
    """Live use: the reference's profile, a day's window with its estimate, and the day's traces."""
    day = WindowRef(
        start=SAMPLE_TIME.replace(hour=0, minute=0) - timedelta(days=1), end=SAMPLE_TIME.replace(hour=0, minute=0)
    )
    content = _profile()
    reference = ReferenceProfile(
        collector=TOOL,
        captured_at=SAMPLE_TIME,
        subject=subject(dataset("training")),
        method="one pass",
        verdict=Verdict.RECORDED,
        reason="1,000 rows and 2 columns are summarised.",
        dataset=dataset("training"),
        profile_sha256=sha256_of(content),
        profile=base64.b64encode(content).decode("ascii"),
        rows=1000,
        columns=("income", "age"),
    )
    estimate = MetricResult(
        name="accuracy", estimate=Interval(value=0.851, low=0.842, high=0.860, method="CBPE"), verdict=Verdict.RECORDED
    )
    latency = MetricResult(
        name="latency_p95_ms",
        estimate=Interval(value=412.0, low=398.0, high=431.0, method="order statistics"),
        verdict=Verdict.RECORDED,
    )
    return [
        reference,
        MonitoringWindow(
            collector=TOOL, captured_at=SAMPLE_TIME, subject=subject(dataset("production")), method="windows",
            verdict=Verdict.PASS, reason="1,000 rows came, no window is missing and no alarm stands.", window=day,
            length_seconds=86_400, expected_from=day.start - timedelta(days=6), rows=1000, parts=2,
            labels={"matched": 412, "unmatched": 588}, profile_sha256=sha("window"),
            reference_sha256=reference.profile_sha256, measured={sha("drift of the day"): "drift"},
            alarms=(AlarmState(rule="drifted", number="drift.drifted_share", state="quiet", value=0.1, limit=0.5),),
        ),
        EstimatedPerformance(
            collector=TOOL, captured_at=SAMPLE_TIME, subject=subject(dataset("production")), method="CBPE",
            verdict=Verdict.RECORDED, reason="Accuracy is estimated at 0.851 before labels are in.",
            task="classification", dataset=dataset("production"), metrics=(estimate,), rows=1000,
            calibrated_on=reference.profile_sha256, assumptions=("no concept drift", "calibrated probabilities"),
        ),
        TraceWindow(
            collector=TOOL, captured_at=SAMPLE_TIME, subject=subject(), method="MLflow traces, counted",
            verdict=Verdict.RECORDED, reason="980 of 1,000 requests were traced, 4 of them with an error.", window=day,
            traces=980, errors=4, expected=1000, coverage=0.98, oldest=day.start - timedelta(days=180),
            by_version={"3": 980}, metrics=(latency,),
        ),
    ]  # fmt: skip
