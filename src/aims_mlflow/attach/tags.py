"""The tags and metrics that say an assessment in short. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from aims_mlflow.assessment import Assessment, Status
from aims_mlflow.evidence import DataQualityEvidence, DriftEvidence, EvidenceBase, FairnessEvidence, RuleVerdict

RUN_TAGS = ("aims.status", "aims.attention", "aims.assessed", "aims.fresh_until", "aims.evidence")
"""The five tags; a sixth would bury the verdict in MLflow's tag box."""
MODEL_TAGS = ("aims.system_id", "aims.risk")
AT_RISK = "at-risk"
"""Value of ``aims.status`` of a version that is fine and whose evidence lapses soon; only a refresh writes it."""

_TAG_LIMIT = 5000
"""Smallest tag value limit of the databases MLflow runs on (registered models)."""
_METRIC_LIMIT = 200
_COLUMN_METRICS = 20
"""Columns with a metric of their own, the most drifted first."""


def assessment_tags(assessment: Assessment, *, evidence_sha256: str | None = None) -> dict[str, str]:
    """The flat tags of run and version; ``aims.evidence`` only where the digest is given."""
    fresh = assessment.fresh_until
    tags = {
        "aims.status": str(assessment.overall),
        "aims.attention": shorten(_attention(assessment)),
        "aims.assessed": f"{assessment.assessed_at:%Y-%m-%d}",
        "aims.fresh_until": f"{fresh:%Y-%m-%d}" if fresh else "none",
    }
    if evidence_sha256:
        tags["aims.evidence"] = evidence_sha256
    return tags


LOOK_FIRST = "; look first at "


def _attention(assessment: Assessment) -> str:
    """The headline in short and the ids to look at first; ``none`` where no row is open."""
    if all(f.status in (Status.SATISFIED, Status.NOT_APPLICABLE) for f in assessment.findings):
        return "none"
    first = f"{LOOK_FIRST}{' '.join(assessment.attention)}" if assessment.attention else ""
    return f"{assessment.in_short}{first}"


def short_digest(digest: str | None) -> str | None:
    """``sha256:`` and 16 hex digits: one line in the tag box of a version, whose run's tag holds the whole digest."""
    return None if digest is None else digest[: len("sha256:") + 16]


def shorten(value: str, limit: int = _TAG_LIMIT) -> str:
    """The value, cut at the limit with an ellipsis, never in silence."""
    return value if len(value) <= limit else value[: limit - 2].rsplit(" ", 1)[0] + " …"


def assessment_metrics(assessment: Assessment, evidence: Iterable[EvidenceBase]) -> dict[str, float]:
    """Numbers for MLflow's charts, grouped by ``/``."""
    counts = assessment.counts
    metrics: dict[str, float] = {
        f"aims/rows_{str(status).replace('-', '_')}": float(counts.get(str(status), 0)) for status in Status
    }
    for record in evidence:
        if isinstance(record, DriftEvidence):
            metrics |= _drift_metrics(record)
        elif isinstance(record, DataQualityEvidence):
            label = metric_name(record.dataset.role or record.dataset.name or "data")
            for verdict in (RuleVerdict.PASS, RuleVerdict.FAIL):
                metrics[f"aims_quality/{label}/rules_{verdict}"] = float(
                    sum(r.verdict is verdict for r in record.rules)
                )
        elif isinstance(record, FairnessEvidence):
            for gap in record.disparities:
                if gap.estimate.value is not None:
                    name = metric_name(f"{gap.attribute} {gap.metric} {gap.statistic}")
                    metrics[f"aims_fairness/{name}"] = gap.estimate.value
    return metrics


def _drift_metrics(record: DriftEvidence) -> dict[str, float]:
    label = metric_name(record.current.role or record.current.name or "data")
    metrics = {}
    if record.drifted_share is not None:
        metrics[f"aims_drift/{label}/share_drifted"] = record.drifted_share
    ranked = []
    for column in record.columns:
        if column.score is not None and column.threshold:
            over = column.score / column.threshold
            if column.direction == "p_value":
                over = column.threshold / max(column.score, 1e-300)
            ranked.append((min(over, 1e6), column.column))
    ranked.sort(reverse=True)
    for over, column_name in ranked[:_COLUMN_METRICS]:
        metrics[f"aims_drift/{label}/score_over_limit/{metric_name(column_name)}"] = over
    return metrics


def metric_name(text: str) -> str:
    """A name MLflow takes as part of a metric's name; one that had to be changed gets a digest so that none collide."""
    clean = re.sub(r"[^A-Za-z0-9_\-. ]", "_", text).strip(" .") or "_"
    if clean != text or len(clean) > _METRIC_LIMIT // 2:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
        clean = f"{clean[: _METRIC_LIMIT // 2]}_{digest}"
    return clean
