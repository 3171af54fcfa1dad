"""What the gate's tests start from: a policy, a registered version with files on disk, and its assessment."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlflow import MlflowClient

from aims_mlflow.assessment import Overall, Status
from aims_mlflow.capture.model import files_sha256
from aims_mlflow.evidence import ModelFile, Verdict, sha256_of
from aims_mlflow.evidence.base import Basis
from aims_mlflow.gate.statement import (
    TAG,
    RowResult,
    Statement,
    files_place,
    inputs_digest,
    listing_of,
    write_statement,
)

EVIDENCE = sha256_of(b"evidence")
POLICY = """
system:
  id: loans
  name: Loan scoring
  risk_class: minimal
gate:
  mode: {mode}
  guarded:
    - models: ['credit', 'credit-*']
      aliases: [champion]
      stages: [Production]
      profile: two
    - models: ['live']
      aliases: [champion]
      new_versions: true
      profile: two
    - models: ['signed']
      aliases: [champion]
      profile: strict
  profiles:
    two:
      controls: [A.6.2.4, A.7.4]
      evidence: [performance]
    strict:
      controls: [A.6.2.4]
      signed: true
  trusted_keys:
    ci: {key}
"""
OTHER_KEY = "ed25519:" + "A" * 43 + "="


def write_policy(folder: Path, mode: str = "enforce", key: str = OTHER_KEY) -> Path:
    path = Path(folder) / "aims.yaml"
    path.write_text(POLICY.format(mode=mode, key=key))
    return path


def digest_of(folder: Path) -> tuple[str, str]:
    files = [
        ModelFile(path=p.relative_to(folder).as_posix(), sha256=sha256_of(p.read_bytes()), bytes=p.stat().st_size)
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    ]
    return files_sha256(files), listing_of(files)


def make_version(client: MlflowClient, name: str = "credit", text: str = "weights", experiment: str | None = None):
    """A run with evidence and model files, and a registered version of them."""
    if experiment is None:
        found = client.get_experiment_by_name("training")
        experiment = found.experiment_id if found else client.create_experiment("training")
    run = client.create_run(experiment, tags={"aims.evidence": EVIDENCE, "mlflow.user": "trainer"})
    client.log_text(run.info.run_id, "flavors: {}\n", "model/MLmodel")
    client.log_text(run.info.run_id, text, "model/data/weights.txt")
    client.set_terminated(run.info.run_id)
    try:
        client.create_registered_model(name)
    except Exception as error:
        assert "RESOURCE_ALREADY_EXISTS" in str(error) or "already exists" in str(error), error
    return client.create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)


def statement_of(version, *, text: str = "weights", rows=("A.6.2.4", "A.7.4"), **changes) -> Statement:
    """The assessment of a version of ``make_version``."""
    files = (
        ModelFile(path="MLmodel", sha256=sha256_of(b"flavors: {}\n"), bytes=12),
        ModelFile(path="data/weights.txt", sha256=sha256_of(text.encode()), bytes=len(text)),
    )
    at = changes.pop("assessed_at", datetime.now(UTC) - timedelta(minutes=5))
    fields = {
        "model_sha256": files_sha256(files),
        "listing_sha256": listing_of(files),
        "source": files_place(version.source),
        "run_id": version.run_id,
        "evidence_sha256": EVIDENCE,
        "inputs_sha256": inputs_digest(()),
        "assessment_sha256": sha256_of(b"assessment"),
        "catalog_sha256": sha256_of(b"catalog"),
        "assessed_at": at,
        "overall": Overall.WARN,
        "system_id": "loans",
        "risk_class": "minimal",
        "rows": {row: RowResult(status=Status.SATISFIED, basis=Basis.MEASURED) for row in rows},
        "kinds": {"performance": Verdict.PASS},
        "trained_by": "trainer",
    }
    return Statement(**{**fields, **changes})


def assess(client: MlflowClient, version, key=None, **changes) -> Statement:
    """Write the assessment to the version, as whoever assesses does."""
    statement = statement_of(version, **changes)
    client.set_model_version_tag(version.name, version.version, TAG, write_statement(statement, key))
    return statement


def tags_of(client: MlflowClient, version) -> dict[str, str]:
    return dict(client.get_model_version(version.name, version.version).tags)


def forged(statement: Statement) -> str:
    """The tag of a statement with a signature that is none."""
    outer = json.loads(write_statement(statement))
    outer["signatures"] = [{"keyid": "0" * 16, "sig": "A" * 86 + "=="}]
    return json.dumps(outer)
