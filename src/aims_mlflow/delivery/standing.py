"""How a version that was just assessed stands before the gate of its own declaration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aims_mlflow.assessment import Assessment
from aims_mlflow.capture.run import RunFacts
from aims_mlflow.catalog import Catalog
from aims_mlflow.config import Settings
from aims_mlflow.evidence import EvidenceBase, ModelRef
from aims_mlflow.gate.decision import VersionFacts
from aims_mlflow.gate.entries import Entry, RegisteredEntry
from aims_mlflow.gate.signing import own_key
from aims_mlflow.gate.standing import Standing, standing_of
from aims_mlflow.gate.statement import Held, Statement, state

_NONE = "sha256:" + "0" * 64
"""A digest that is not made yet: the manifest lists the very report the standing is shown in."""


def standing_in_report(
    assessment: Assessment,
    evidence: Sequence[EvidenceBase],
    settings: Settings,
    facts: RunFacts,
    catalog: Catalog,
    log: Sequence[Entry],
) -> Standing | None:
    """What the report shows of the gate; None for what is no registered version, or where nothing guards it."""
    model = assessment.subject.model
    if settings.declaration.gate is None or model is None or model.sha256 is None or not model.registered_name:
        return None
    stated = state(
        assessment,
        evidence,
        files=(),
        source="",
        run_id=facts.run_id or None,
        evidence_sha256=_NONE,
        inputs_sha256=_NONE,
        trained_by=facts.tags.get("mlflow.user"),
    )
    return standing_as_assessed(stated, model, settings, log, at=assessment.assessed_at, catalog=catalog)


def standing_as_assessed(
    stated: Statement,
    model: ModelRef,
    settings: Settings,
    log: Sequence[Entry],
    *,
    at: datetime,
    catalog: Catalog | None = None,
) -> Standing:
    """What the declaration's own policy says of an assessment just made: nothing can have changed since.

    Args:
        stated: The assessment in short.
        model: The registered version.
        settings: The declaration, with its policy.
        log: The model's transition log, as far as it was read: what people said of the version.
        at: When it was made.
        catalog: For titles and remedies.
    """
    name, version = str(model.registered_name), str(model.version)
    made = [e for e in log if isinstance(e, RegisteredEntry) and e.model == name and e.version == version]
    now_there = VersionFacts(
        model=name,
        version=version,
        source=stated.source,
        run_id=stated.run_id,
        model_sha256=stated.model_sha256,
        evidence_sha256=stated.evidence_sha256,
        inputs_sha256=stated.inputs_sha256,
        held=Held(statement=stated, signed_by=_own_name(settings)),
        trained_by=stated.trained_by,
        registered_by=made[-1].actor.name if made else None,
    )
    return standing_of(now_there, log, settings.declaration, at=at, rows=catalog.rows if catalog else None)


def _own_name(settings: Settings) -> str | None:
    """Name the policy gives the key this process signs with."""
    key = own_key()
    trusted = settings.declaration.gate.trusted_keys if settings.declaration.gate else {}
    return next((name for name, public in trusted.items() if key is not None and key.public == public), None)
