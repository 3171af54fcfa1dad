"""A good training run as evidence, with a complete declaration: what the tests of checks and findings start from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from aims_mlflow.config import Declaration
from aims_mlflow.config.completeness import declared, undeclared
from aims_mlflow.evidence import (
    AttestationRecord,
    Basis,
    CaptureErrorRecord,
    ColumnDrift,
    CustomRecord,
    DataQualityEvidence,
    DatasetRecord,
    DatasetRef,
    DeclarationRecord,
    Disparity,
    DocumentRef,
    DriftEvidence,
    EnvironmentRecord,
    EvidenceBase,
    EvidenceStatus,
    FairnessEvidence,
    Interval,
    LineageEdge,
    LineageRecord,
    MetricResult,
    ModelRecord,
    ModelRef,
    PerformanceEvidence,
    RegistryMoveRecord,
    RuleResult,
    RuleVerdict,
    RunRecord,
    RunRef,
    Subject,
    Tool,
    Verdict,
    sha256_of,
)

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""When the run was captured and assessed."""
TOOL = Tool(name="aims-mlflow", version="0")


def sha(text: str) -> str:
    return sha256_of(text.encode())


MODEL = ModelRef(name="model", model_id="m-1", sha256=sha("model"))
RUN = RunRef(run_id="r1", experiment_id="1")
TRAINING = DatasetRef(
    name="loans.csv", role="training", sha256=sha("training"), mlflow_digest="aa", rows=900, columns=9
)
TEST = DatasetRef(name="loans_test.csv", role="test", sha256=sha("test"), mlflow_digest="bb", rows=300, columns=9)
SUBJECT = Subject(system_id="loans", run=RUN, model=MODEL, datasets=(TRAINING, TEST))


def common(**changes: Any) -> dict[str, Any]:
    return {
        "collector": TOOL,
        "captured_at": AT,
        "subject": SUBJECT,
        "method": "test",
        "verdict": Verdict.PASS,
        "reason": "Within limits.",
        **changes,
    }


def facts(**changes: Any) -> dict[str, Any]:
    return common(**{"verdict": Verdict.RECORDED, "reason": "Recorded.", **changes})


def rule(verdict: RuleVerdict = RuleVerdict.PASS, **changes: Any) -> RuleResult:
    fields = {"rule_id": "r", "rule": "expect_column_values_to_not_be_null", "column": "age", "measure": "share"}
    return RuleResult(**{**fields, "verdict": verdict, "severity": "critical", **changes})


def quality(ref: DatasetRef = TRAINING, **changes: Any) -> DataQualityEvidence:
    fields = {"dataset": ref, "rules": (rule(),), "suite_sha256": sha("suite"), "suite_name": "loans"}
    return DataQualityEvidence(**common(**{**fields, **changes}))


def drift(current: DatasetRef = TEST, **changes: Any) -> DriftEvidence:
    column = ColumnDrift(column="age", type="numerical", verdict=Verdict.PASS)
    fields = {"reference": TRAINING, "current": current, "columns": (column,), "tested": 1, "share_limit": 0.5}
    return DriftEvidence(**common(**{**fields, "drifted_share": 0.0, **changes}))


def metric(name: str = "roc_auc", verdict: Verdict = Verdict.PASS) -> MetricResult:
    return MetricResult(name=name, estimate=Interval(value=0.9, low=0.88, high=0.92), threshold=0.8, verdict=verdict)


def performance(ref: DatasetRef | None = TEST, **changes: Any) -> PerformanceEvidence:
    fields = {"task": "classification", "dataset": ref, "metrics": (metric(),), "rows": 300}
    return PerformanceEvidence(**common(**{**fields, **changes}))


def gap(verdict: Verdict = Verdict.PASS) -> Disparity:
    estimate = Interval(value=0.9, low=0.85, high=0.95)
    return Disparity(
        attribute="sex", metric="selection_rate", statistic="ratio", estimate=estimate, threshold=0.8, verdict=verdict
    )


def fairness(ref: DatasetRef | None = TEST, **changes: Any) -> FairnessEvidence:
    fields = {"task": "classification", "dataset": ref, "disparities": (gap(),), "min_group_size": 30}
    return FairnessEvidence(**common(**{**fields, **changes}))


def dataset(ref: DatasetRef = TRAINING, **changes: Any) -> DatasetRecord:
    return DatasetRecord(**facts(**{"dataset": ref, "schema_sha256": sha("schema"), **changes}))


def run(**changes: Any) -> RunRecord:
    fields = {"run_status": "FINISHED", "params_sha256": sha("params"), "git_commit": "5d1c2e7", "git_dirty": False}
    return RunRecord(**facts(**{"basis": Basis.REPORTED, **fields, **changes}))


def environment(**changes: Any) -> EnvironmentRecord:
    return EnvironmentRecord(
        **facts(**{"python": "3.11.7", "packages": {"scikit-learn": "1.9.1"}, "source": "model", **changes})
    )


def model(**changes: Any) -> ModelRecord:
    return ModelRecord(**facts(**{"flavors": ("sklearn",), "signature_inputs": 8, "signature_outputs": 1, **changes}))


def lineage(**changes: Any) -> LineageRecord:
    edges = (
        LineageEdge(source="dataset:loans.csv", target="run:r1", relation="input"),
        LineageEdge(source="run:r1", target="model:m-1", relation="output"),
    )
    return LineageRecord(**facts(**{"basis": Basis.REPORTED, "edges": edges, **changes}))


def declaration(**changes: Any) -> Declaration:
    """A complete declaration; ``changes`` replace whole sections."""
    sheet = dict.fromkeys(
        ("description", "owner", "origin", "licence", "legal_basis", "collected", "labelling", "preparation"), "stated"
    ) | dict.fromkeys(("known_bias", "retention"), "stated")
    system = {
        "id": "loans",
        "name": "Loan scoring",
        "purpose": "Rank applications.",
        "intended_use": "Support of a clerk's decision.",
        "not_for": ["automatic refusal"],
        "owner": {"name": "Head of credit"},
        "roles": {"reviewer": {"name": "Risk office"}},
        "organization_role": "provider",
        "risk_class": "high",
        "risk_reason": "Annex III, point 5(b).",
        "affected_groups": ["applicants"],
        "human_oversight": "A clerk decides.",
    }
    plain = {
        "system": system,
        "registered_models": ["loans"],
        "columns": {"target": "repaid", "sensitive": ["sex"]},
        "datasets": {"loans.csv": {"role": "training", **sheet}, "loans_test.csv": {"role": "test", **sheet}},
        "performance": {"metrics": {"roc_auc": {"min": 0.8}}},
        "fairness": {"metrics": {"selection_rate_ratio": {"min": 0.8}}},
        "applicability": {"A.2.2": {"applicable": True, "reason": "We make AI."}},
    }
    return Declaration.model_validate({**plain, **changes})


def declared_record(source: Declaration | None = None, **changes: Any) -> DeclarationRecord:
    source = declaration() if source is None else source
    fields = {
        "basis": Basis.DECLARED,
        "declaration_sha256": sha("aims.yaml"),
        "declared": declared(source),
        "undeclared": undeclared(source),
        "content": source.model_dump(mode="json", include={"system", "datasets"}),
    }
    return DeclarationRecord(**facts(**{**fields, **changes}))


def attestation(topic: str = "ai_policy", **changes: Any) -> AttestationRecord:
    fields = {
        "topic": topic,
        "statement": "It is in place.",
        "owner": "Management board",
        "approver": "Chair",
        "valid_from": date(2026, 11, 1),
        "valid_until": AT + timedelta(days=200),
        "document": DocumentRef(title="Document"),
        "subject": Subject(system_id="loans"),
    }
    return AttestationRecord(**facts(**{**fields, **changes}))


def custom(kind: str, **changes: Any) -> CustomRecord:
    return CustomRecord(**common(**{"kind": kind, "basis": Basis.REPORTED, **changes}))


def move(**changes: Any) -> RegistryMoveRecord:
    """The version became champion through the gate."""
    fields = {
        "verdict": Verdict.PASS, "target": "alias champion", "outcome": "allow", "mode": "enforce", "level": "enforced",
        "entry": 1, "entry_sha256": sha("entry"),
    }  # fmt: skip
    return RegistryMoveRecord(**common(**{**fields, **changes}))


def failed_capture(of_kind: str, **changes: Any) -> CaptureErrorRecord:
    fields = {"status": EvidenceStatus.ERROR, "verdict": Verdict.NOT_TESTED, "of_kind": of_kind, "stage": "measuring"}
    return CaptureErrorRecord(
        **common(**{**fields, "error_type": "MemoryError", "reason": "Could not run.", **changes})
    )


def good_run(source: Declaration | None = None) -> list[EvidenceBase]:
    """All evidence a good training run leaves, without any statement of a person."""
    return [
        run(),
        environment(),
        model(),
        lineage(),
        declared_record(source),
        dataset(TRAINING),
        dataset(TEST),
        quality(TRAINING),
        quality(TEST),
        drift(TEST),
        performance(),
        fairness(),
    ]
