"""Builders of realistic evidence and of an assessment, for those who write checks, reports or tests.

Everything is made up, fixed and the same on every call: times, digests, numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

from aims_mlflow.assessment import Assessment, CheckResult, Finding, Outcome, Overall, Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.controls import Row, Strength
from aims_mlflow.evidence import (
    AttestationRecord,
    Basis,
    CaptureErrorRecord,
    ColumnDrift,
    ColumnFact,
    Comparison,
    CustomRecord,
    DataQualityEvidence,
    DatasetRecord,
    DeclarationRecord,
    Disparity,
    DocumentRef,
    DriftEvidence,
    EnvironmentRecord,
    EvidenceBase,
    EvidenceStatus,
    FairnessEvidence,
    GroupResult,
    Interval,
    LineageEdge,
    LineageRecord,
    MetricResult,
    ModelFile,
    ModelRecord,
    PerformanceEvidence,
    RegistryMoveRecord,
    RuleResult,
    RuleVerdict,
    RunRecord,
    Subject,
    Threshold,
    Tool,
    Verdict,
)
from aims_mlflow.testing.live import live_samples
from aims_mlflow.testing.subjects import RUN_ID, SAMPLE_TIME
from aims_mlflow.testing.subjects import TOOL as _TOOL
from aims_mlflow.testing.subjects import dataset as _dataset
from aims_mlflow.testing.subjects import sha as _sha
from aims_mlflow.testing.subjects import subject as _subject

_NUMERICAL = (
    "age",
    "hours_per_week",
    "income",
    "capital_gain",
    "capital_loss",
    "tenure_months",
    "balance",
    "utilisation",
)
_NAMES = (*_NUMERICAL, "region", "education", "occupation", "contract", "channel", "housing")


def _about_the_run() -> list[EvidenceBase]:
    subject, at = _subject(), SAMPLE_TIME - timedelta(minutes=4)
    training = f"dataset applications_training ({_sha('training')[7:15]})"
    return [
        RunRecord(
            collector=_TOOL, captured_at=at, subject=subject, method="read from MLflow", verdict=Verdict.RECORDED,
            reason="The run ended as FINISHED.", run_status="FINISHED", params=("C", "max_iter", "penalty", "seed"),
            params_sha256=_sha("params"), metrics={"training_accuracy_score": 0.8571, "val_roc_auc": 0.9043},
            git_commit="5d1c2e7a9b0f4c3d8e6a1b2c3d4e5f6a7b8c9d0e", git_dirty=True, source_type="LOCAL",
            duration_seconds=41.7,
        ),
        EnvironmentRecord(
            collector=_TOOL, captured_at=at, subject=subject, method="requirements of the logged model",
            verdict=Verdict.RECORDED, reason="6 distributions, 1 without a pinned version.", python="3.11.7",
            packages={"mlflow": "3.17.2", "numpy": "2.4.6", "pandas": "3.0.6", "scikit-learn": "1.9.1",
                      "scipy": "1.17.1", "cloudpickle": ""},
            source="model", unpinned=("cloudpickle",),
        ),
        ModelRecord(
            collector=_TOOL, captured_at=at, subject=subject, method="SHA-256 of every file", verdict=Verdict.RECORDED,
            reason="Signature and input example are there.", flavors=("python_function", "sklearn"),
            signature_inputs=14, signature_outputs=1, signature_sha256=_sha("signature"), input_example=True,
            mlflow_version="3.17.2",
            files=tuple(ModelFile(path=p, sha256=_sha(p), bytes=1024 * (i + 1))
                        for i, p in enumerate(("MLmodel", "model.pkl", "requirements.txt", "input_example.json"))),
        ),
        LineageRecord(
            collector=_TOOL, captured_at=at, subject=subject, method="MLflow inputs and outputs",
            verdict=Verdict.RECORDED, reason="The chain reaches from the training data to version 3.",
            edges=(
                LineageEdge(source=training, target=f"run {RUN_ID[:8]}", relation="input"),
                LineageEdge(source=f"run {RUN_ID[:8]}", target="logged model m-4f1c", relation="output"),
                LineageEdge(source="logged model m-4f1c", target="credit-scoring version 3", relation="registered_as"),
            ),
        ),
        DeclarationRecord(
            basis=Basis.DECLARED, collector=_TOOL, captured_at=at, subject=subject, method="aims.yaml",
            verdict=Verdict.RECORDED, reason="aims.yaml leaves two fields open that a reviewer will ask for.",
            declaration_sha256=_sha("aims.yaml"), declared=("system.id", "system.purpose", "system.owner"),
            undeclared=("system.human_oversight", "datasets.production.legal_basis"),
            content={"system": {"id": "credit-scoring", "name": "Credit pre-scoring", "risk_class": "high",
                                "owner": {"name": "Head of credit analytics"}}},
        ),
        CaptureErrorRecord(
            status=EvidenceStatus.ERROR, collector=_TOOL, captured_at=at, subject=subject, method="autolog",
            verdict=Verdict.NOT_TESTED, reason="The collector of explanations could not run.",
            of_kind="explainability", stage="collect", error_type="MemoryError",
        ),
    ]  # fmt: skip


def _datasets() -> list[EvidenceBase]:
    records: list[EvidenceBase] = []
    for role in ("training", "production"):
        facts = tuple(ColumnFact(name=n, dtype="float64" if i < 8 else "object", missing=37 * (i == 2))
                      for i, n in enumerate(_NAMES))  # fmt: skip
        records.append(
            DatasetRecord(
                collector=_TOOL,
                captured_at=SAMPLE_TIME - timedelta(minutes=4),
                subject=_subject(_dataset(role)),
                method="SHA-256 over every row, column name and type",
                verdict=Verdict.RECORDED,
                reason="48,842 rows and 15 columns were read in full.",
                dataset=_dataset(role),
                source_type="local",
                schema_sha256=_sha("schema"),
                columns=facts,
                declared_as="applications" if role == "training" else None,
            )
        )
    return records


def _quality(role: str) -> DataQualityEvidence:
    bad = role == "production"
    kinds = (
        ("expect_column_values_to_not_be_null", "unexpected share", 0.0007),
        ("expect_column_values_to_be_between", "unexpected share", 0.0),
        ("expect_column_values_to_be_in_set", "unexpected share", 0.0),
    )
    rules = [
        RuleResult(rule_id=f"r{i}", rule=rule, column=name, measure=measure, value=value, limit=0.05,
                   verdict=RuleVerdict.PASS, rows=48_842, unexpected=34 if value else 0, severity="critical",
                   source="derived")
        for i, (name, (rule, measure, value)) in enumerate((n, kinds[j % 3]) for j, n in enumerate(_NAMES[:9]))
    ]  # fmt: skip
    if bad:
        changes: list[dict[str, object]] = [
            {"verdict": RuleVerdict.FAIL, "value": 0.1312, "unexpected": 6408},
            {"verdict": RuleVerdict.VACUOUS, "value": None, "rows": 0, "unexpected": None},
            {"verdict": RuleVerdict.ERROR, "value": None, "error_type": "KeyError", "unexpected": None},
            {"verdict": RuleVerdict.UNKNOWN, "value": None, "unexpected": None},
        ]
        rules[2:6] = [rule.model_copy(update=change) for rule, change in zip(rules[2:6], changes, strict=True)]
    return DataQualityEvidence(
        collector=_TOOL, engine=Tool(name="great_expectations", version="1.24.1"), captured_at=SAMPLE_TIME,
        subject=_subject(_dataset(role)), method="Great Expectations rules", dataset=_dataset(role),
        rules=tuple(rules), suite_sha256=_sha("suite"), suite_name="applications",
        verdict=Verdict.FAIL if bad else Verdict.PASS,
        reason="1 of 9 rules failed: income is null in 13.1 % of rows, at most 5 % are allowed."
        if bad else "All 9 rules are met.",
    )  # fmt: skip


def _column_drift(index: int) -> ColumnDrift:
    name = _NAMES[index % len(_NAMES)] + (f"_{index // len(_NAMES)}" if index >= len(_NAMES) else "")
    if index % 13 == 12:
        return ColumnDrift(column=name, type="id", verdict=Verdict.NOT_TESTED, reason="Declared as an identifier.")
    categorical = index % len(_NAMES) >= 8
    score = round(0.4 * math.exp(-index / 6) + 0.004, 4)
    verdict = Verdict.FAIL if score > 0.1 else Verdict.PASS
    low = high = score
    if 0.09 < score < 0.13:
        verdict, low, high = Verdict.UNCERTAIN, score - 0.03, score + 0.02
    effect = Interval(value=score, low=score * 0.86, high=score * 1.14, method="bootstrap-free delta method")
    p_value = index == 6
    method = "Jensen-Shannon distance" if categorical else "Wasserstein distance (normed)"
    return ColumnDrift(
        column=name, type="categorical" if categorical else "numerical",
        method="K-S p_value" if p_value else method,
        direction="p_value" if p_value else "distance", score=0.0007 if p_value else score,
        score_low=0.0007 if p_value else low, score_high=0.0007 if p_value else high,
        threshold=0.05 if p_value else 0.1, verdict=Verdict.FAIL if p_value else verdict,
        effect=None if p_value else effect, n_reference=48_842, n_current=12_000,
        missing_reference=0, missing_current=37,
    )  # fmt: skip


def sample_drift(columns: int = 40) -> DriftEvidence:
    """Drift evidence of so many columns: some drifted, some uncertain, some not tested."""
    results = tuple(_column_drift(i) for i in range(columns))
    seen = Counter(c.verdict for c in results)
    tested = columns - seen[Verdict.NOT_TESTED]
    share = seen[Verdict.FAIL] / tested if tested else None
    return DriftEvidence(
        collector=_TOOL, captured_at=SAMPLE_TIME, subject=_subject(_dataset("training"), _dataset("production")),
        method="Evidently's methods and selection rule, own exact implementation",
        reference=_dataset("training"), current=_dataset("production"), columns=results,
        drifted=seen[Verdict.FAIL], tested=tested, uncertain=seen[Verdict.UNCERTAIN],
        not_tested=seen[Verdict.NOT_TESTED], drifted_share=share, share_limit=0.5, false_alarm_budget=0.05,
        thresholds=(Threshold(name="share of drifted columns", op="<", value=0.5, source="default"),),
        verdict=Verdict.UNCERTAIN, reason="Fewer than half of the columns drifted; one column cannot be decided.",
    )  # fmt: skip


def _model_quality() -> list[EvidenceBase]:
    def metric(name: str, value: float, half: float, limit: float | None, verdict: Verdict) -> MetricResult:
        return MetricResult(
            name=name, estimate=Interval(value=value, low=value - half, high=value + half, method="Wilson"), n=9_768,
            threshold=limit, direction="higher_is_better", verdict=verdict, reason="",
        )  # fmt: skip

    groups = tuple(
        GroupResult(
            attribute="sex", group=group, n=n, judged=judged,
            metrics={
                "selection_rate": Interval(value=rate, low=rate - 0.02, high=rate + 0.02, method="Wilson"),
                "true_positive_rate": Interval(value=tpr, low=None if tpr is None else tpr - 0.03,
                                               high=None if tpr is None else tpr + 0.03, method="Wilson"),
            },
        )
        for group, n, judged, rate, tpr in (
            ("female", 3_236, True, 0.083, 0.512), ("male", 6_520, True, 0.262, 0.603),
            ("missing", 12, False, 0.1, None),
        )
    )  # fmt: skip
    gap: tuple[tuple[str, Literal["difference", "ratio"], float, float, float, float, Verdict], ...] = (
        ("selection_rate", "ratio", 0.317, 0.284, 0.351, 0.8, Verdict.FAIL),
        ("true_positive_rate", "difference", 0.091, 0.048, 0.134, 0.1, Verdict.UNCERTAIN),
    )
    return [
        PerformanceEvidence(
            collector=_TOOL, captured_at=SAMPLE_TIME, subject=_subject(_dataset("test")), task="classification",
            dataset=_dataset("test"), rows=9_768, dropped=1, method="counts, Wilson intervals", verdict=Verdict.PASS,
            reason="Every declared limit is met with 95 % confidence.",
            metrics=(
                metric("accuracy", 0.857, 0.007, 0.83, Verdict.PASS), metric("recall", 0.604, 0.02, 0.55, Verdict.PASS),
                metric("precision", 0.741, 0.019, None, Verdict.RECORDED),
                metric("roc_auc", 0.904, 0.006, 0.9, Verdict.UNCERTAIN),
            ),
            comparisons=(
                Comparison(metric="roc_auc", value=0.904, baseline=0.901, baseline_ref="models:/credit-scoring/2",
                           difference=Interval(value=0.003, low=-0.004, high=0.010, method="DeLong"),
                           threshold=0.0, verdict=Verdict.UNCERTAIN),
            ),
        ),
        FairnessEvidence(
            collector=_TOOL, captured_at=SAMPLE_TIME, subject=_subject(_dataset("test")), task="classification",
            dataset=_dataset("test"), rows=9_768, min_group_size=30, groups=groups,
            method="one confusion table per group", verdict=Verdict.FAIL,
            disparities=tuple(
                Disparity(attribute="sex", metric=m, statistic=s, estimate=Interval(value=v, low=lo, high=hi),
                          lowest_group="female", highest_group="male", threshold=t, verdict=d)
                for m, s, v, lo, hi, t, d in gap
            ),
            reason="The selection rate of one group is 0.32 of another's; at least 0.8 is asked for.",
        ),
    ]  # fmt: skip


def _statements() -> list[EvidenceBase]:
    return [
        AttestationRecord(
            collector=_TOOL, captured_at=SAMPLE_TIME - timedelta(days=70), subject=Subject(system_id="credit-scoring"),
            valid_until=SAMPLE_TIME + timedelta(days=295), method="statement", verdict=Verdict.RECORDED,
            reason="Stated by the owner, in force.", topic="ai_policy", statement="The AI policy was approved.",
            owner="Management board", approver="Chair of the board", role="top management",
            valid_from=date(2026, 9, 15),
            supports=("5.2", "A.2.2"),
            document=DocumentRef(title="AI policy", version="2.1", uri="dms:policies/ai", sha256=_sha("policy")),
        ),
        RegistryMoveRecord(
            collector=_TOOL, captured_at=SAMPLE_TIME, subject=_subject(), method="transition log",
            verdict=Verdict.PASS, reason="Moved to alias champion; every condition of the policy was met.",
            target="alias champion", from_version="2", outcome="allow", mode="enforce", level="enforced", approvals=1,
            moved_by="authenticated", entry=7, entry_sha256=_sha("entry"), policy_sha256=_sha("policy of the gate"),
        ),
        CustomRecord(
            kind="robustness_results", collector=_TOOL, captured_at=SAMPLE_TIME, subject=_subject(),
            method="caller's own", verdict=Verdict.PASS, reason="Noise of 5 % moves accuracy by less than 0.01.",
            content={"perturbation": "gaussian 5 %", "accuracy_loss": 0.006, "limits": {"accuracy_loss": 0.01}},
        ),
    ]  # fmt: skip


def sample_evidence(*, columns: int = 40) -> tuple[EvidenceBase, ...]:
    """One record or more of every kind, about one run.

    Args:
        columns: Columns in the drift evidence.
    """
    measured = [_quality("training"), _quality("production"), sample_drift(columns), *_model_quality()]
    return (*_about_the_run(), *_datasets(), *measured, *live_samples(), *_statements())


_SPECIAL: dict[str, tuple[Status, str, str, str, int | None]] = {
    "A.7.4": (Status.NOT_SATISFIED, "data_quality",
              "Data quality of applications_production failed: income is null in 13.1 % of rows, limit 5 %.",
              "Repair or exclude the rows, or justify another limit in aims.yaml, and run again.", None),
    "A.5.4": (Status.NOT_SATISFIED, "fairness",
              "The selection rate of the least favoured group is 0.32 of the most favoured one's; 0.8 is asked for.",
              "Look into the group metrics, then mitigate or state the reason in the impact assessment.", None),
    "A.4.5": (Status.ERROR, "capture_error", "A collector could not run (MemoryError).",
              "Run the training again with more memory, or hand the record over with log_evidence.", None),
    "A.6.2.6": (Status.UNCERTAIN, "drift", "The interval of utilisation's drift straddles its limit.",
                "Measure on more rows: the next batch will do.", None),
    "6.1.2": (Status.STALE, "attestation", "The risk assessment lapsed on 2026-10-31.",
              "Review the risk assessment and record it anew with `aims attest`.", None),
    "A.10.2": (Status.NOT_APPLICABLE, "", "No supplier or customer takes part in the life cycle.", "", None),
    "A.6.2.8": (Status.NO_EVIDENCE, "", "No record of event logging is on file.",
                "Log the logging plan with log_evidence(kind='event_log').", None),
    "A.6.2.5": (Status.NO_EVIDENCE, "", "No release record is on file.", "Register the model version.", None),
    "A.6.2.4": (Status.SATISFIED, "performance", "Every declared limit is met on applications_test.", "", 30),
    "A.4.4": (Status.SATISFIED, "environment", "The software of the run is recorded with versions.", "", None),
    "A.6.2.3": (Status.SATISFIED, "run", "Parameters, code version and lineage of the run are recorded.", "", None),
    "A.7.5": (Status.SATISFIED, "lineage", "The chain from training data to version 3 is recorded.", "", None),
    "A.4.3": (Status.SATISFIED, "dataset", "Both datasets are recorded by full-content digest.", "", None),
    "5.2": (Status.SATISFIED, "attestation", "The AI policy was approved on 2026-09-15.", "", 295),
    "A.2.2": (Status.SATISFIED, "attestation", "The AI policy was approved on 2026-09-15.", "", 295),
    "A.9.4": (Status.SATISFIED, "declaration", "Intended use and limits are declared.", "", 31),
}  # fmt: skip

_OUTCOMES = {
    Status.SATISFIED: Outcome.PASS,
    Status.NOT_SATISFIED: Outcome.FAIL,
    Status.UNCERTAIN: Outcome.UNCERTAIN,
    Status.STALE: Outcome.STALE,
    Status.ERROR: Outcome.ERROR,
}


def _finding(row: Row, by_kind: dict[str, list[EvidenceBase]]) -> Finding:
    default = (Status.NEEDS_ATTESTATION, "", "Only a person's statement can show this, and none is on file.",
               "Record the statement in aims.yaml under attestations.", None)  # fmt: skip
    status, kind, reason, step, days = _SPECIAL.get(row.id, default)
    records = by_kind.get(kind, [])
    until = SAMPLE_TIME + timedelta(days=days) if days else None
    digests = tuple(r.digest for r in records)
    basis = records[0].basis if records else None
    checks = [
        CheckResult(requirement="on_file", check="EV001", outcome=_OUTCOMES.get(status, Outcome.MISSING), reason=reason,
                    evidence=digests, basis=basis, valid_until=until)
    ]  # fmt: skip
    if row.strength is not Strength.AUTOMATIC:
        met = status is Status.SATISFIED
        checks.append(
            CheckResult(requirement="statement", check="EV002", outcome=Outcome.PASS if met else Outcome.MISSING,
                        reason="A statement is on file." if met else "No statement is on file.", attested_part=True)
        )  # fmt: skip
    return Finding(
        id=row.id, title=row.title, kind=row.kind, framework="iso_42001", status=status, strength=row.strength,
        basis=basis, reason=reason, next_step=step, evidence=digests,
        valid_until=until, checks=() if status is Status.NOT_APPLICABLE else tuple(checks),
    )  # fmt: skip


def sample_assessment(evidence: Sequence[EvidenceBase] | None = None) -> Assessment:
    """An assessment of all 70 rows of ISO/IEC 42001 with every status, on the evidence given or on the sample."""
    records = sample_evidence() if evidence is None else evidence
    by_kind: dict[str, list[EvidenceBase]] = {}
    kinds: dict[str, str] = {}
    for record in records:
        kind = str(getattr(record, "kind", "custom"))
        by_kind.setdefault(kind, []).append(record)
        kinds[record.digest] = kind
    findings = tuple(_finding(row, by_kind) for row in load_catalog().rows.values())
    counts = Counter(f.status for f in findings)
    order = (Status.NOT_SATISFIED, Status.ERROR, Status.UNCERTAIN, Status.STALE)
    attention = tuple(f.id for status in order for f in findings if f.status is status)
    return Assessment(
        assessed_at=SAMPLE_TIME, collector=_TOOL, subject=_subject(_dataset("training"), _dataset("production")),
        system_name="Credit pre-scoring", risk_class="high", overall=Overall.FAIL,
        headline=f"{counts[Status.NOT_SATISFIED]} of {len(findings)} rows are not satisfied, "
        f"{len(attention)} need attention.",
        counts={str(s): counts[s] for s in Status}, findings=findings, attention=attention,
        fresh_until=SAMPLE_TIME + timedelta(days=30), declaration_sha256=_sha("aims.yaml"),
        catalog_sha256=_sha("catalog"), evidence=kinds,
        undeclared=("system.human_oversight", "datasets.production.legal_basis"),
    )  # fmt: skip


__all__ = ["SAMPLE_TIME", "sample_assessment", "sample_drift", "sample_evidence"]
